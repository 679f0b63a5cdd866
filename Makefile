# postmesh: the door to every command; `make help` lists them.
#
# Builds go to a cache outside the clone, which every clone on this machine shares. RocksDB's C++
# is the long part: it is compiled once per machine and kept there as an archive
# (docs/decisions/0002-rocksdb-built-once.md). Everything uses the one profile `release`, so that
# run, test and lint share what they build.

SHELL := bash
.DEFAULT_GOAL := build
.PHONY: help setup clone rocksdb build run clean-run test test-faults test-service test-gpu fuzz bench lint deny fmt env

# Where the builds go, and where `make run` keeps its data.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/postmesh
CARGO_TARGET_DIR ?= $(CACHE)/target
RUN_DIR ?= run

export CARGO_TARGET_DIR
# A toolchain that rustup installed a minute ago is found without a new login.
export PATH := $(PATH):$(HOME)/.cargo/bin
# Colours for people, none for files; recipes that read the output strip them.
export CARGO_TERM_COLOR ?= $(if $(MAKE_TERMOUT),always,never)

# Debian and Ubuntu names. C and C++ compilers and make; cmake for RandomX; clang and its library
# for the bindings to RocksDB, which bindgen makes; pkg-config for what looks for libraries.
PACKAGES := build-essential cmake pkg-config clang libclang-dev

# The tests run shaders on every GPU of the machine and on Mesa's software one, lavapipe. Where
# there is none at all they fail, unless GPU=none says so.
test test-gpu: PACKAGES += mesa-vulkan-drivers

# What decides whether an archive of RocksDB fits. Evaluated when used, since the compiler may be
# installed by this very make.
ROCKSDB_VERSION = $(shell awk '/^name = "librocksdb-sys"/ { getline; print $$3 }' Cargo.lock \
	| tr -d '"')
ROCKSDB_FEATURES = $(shell sed -n 's/^rocksdb = .*features = \[\(.*\)\].*/\1/p' Cargo.toml \
	| tr -d ' "' | tr ',' '+')
CXX_USED = $(if $(filter default undefined,$(origin CXX)),c++,$(CXX))
CXX_ID = $(shell { $(CXX_USED) -dumpmachine; \
	$(CXX_USED) --version | grep -qi clang && echo clang || echo gcc; \
	$(CXX_USED) -dumpversion; } 2>/dev/null | paste -sd - -)
FLAGS_ID = $(if $(CFLAGS)$(CXXFLAGS)$(RUSTFLAGS),-$(shell \
	printf '%s|' '$(CFLAGS)' '$(CXXFLAGS)' '$(RUSTFLAGS)' | cksum | cut -d ' ' -f 1))
ROCKSDB_KEY = $(ROCKSDB_VERSION)-$(ROCKSDB_FEATURES)-$(CXX_ID)$(FLAGS_ID)
ROCKSDB_LIB_DIR ?= $(CACHE)/rocksdb/$(ROCKSDB_KEY)

# Cargo with the finished archive: the build script of librocksdb-sys then compiles no C++.
CARGO = ROCKSDB_LIB_DIR='$(ROCKSDB_LIB_DIR)' ROCKSDB_STATIC=1 cargo

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  NO_INSTALL=1 installs no system packages. Builds lie in $(CARGO_TARGET_DIR)."

build: setup rocksdb ## Build everything (the default)
	$(CARGO) build --release --workspace --locked

# What `make run` shows: 4 units of 4,096 labels on the network for one machine.
RUN_NETWORK := standalone
RUN_UNITS := 4
RUN_LABELS := 4096
# How many provers, each with an identity and data of its own.
PROVERS ?= 1
NODE = '$(CARGO_TARGET_DIR)/release/postmesh-node'
PROVER = '$(CARGO_TARGET_DIR)/release/postmesh-prover'
# A socket of its own beside the data, so that it meets no node of yours. Where the path would be
# too long for a socket, one in the temporary directory.
RUN_SOCKET = $(if $(shell printf '%.90s' '$(abspath $(RUN_DIR))' | grep -x '$(abspath $(RUN_DIR))'),\
	$(abspath $(RUN_DIR))/link/node.sock,$(or $(TMPDIR),/tmp)/postmesh-run-$(shell id -u)/node.sock)

run: setup rocksdb $(RUN_DIR)/.postmesh-run ## Fill a little space, prove it, verify it; ONCE=1 ends, PROVERS=16
	$(CARGO) build --release --locked -p prover -p node
	@set -euo pipefail; umask 077; \
	export POSTMESH_HOME='$(abspath $(RUN_DIR))/node' POSTMESH_SOCKET='$(strip $(RUN_SOCKET))'; \
	golden="$$($(NODE) network show $(RUN_NETWORK) | sed -n 's/^id = "\(.*\)"/\1/p')"; \
	provers=; trap 'kill $$provers 2>/dev/null || true' EXIT; \
	for number in $$(seq '$(PROVERS)'); do \
		if [ $$number = 1 ]; then name=default end=; else name=prover-$$number end=-$$number; fi; \
		id="$$($(NODE) identity show --name $$name 2>/dev/null)" || { \
			$(NODE) identity create --name $$name >/dev/null; \
			id="$$($(NODE) identity show --name $$name)"; }; \
		$(PROVER) init --network $(RUN_NETWORK) --labels-per-unit $(RUN_LABELS) \
			--units $(RUN_UNITS) --node-id "$$id" --commitment-atx "$$golden" \
			--data-dir "$(RUN_DIR)/data$$end"; \
		$(PROVER) serve --network $(RUN_NETWORK) --data-dir "$(RUN_DIR)/data$$end" \
			2>"$(RUN_DIR)/prover$$end.log" & provers="$$provers $$!"; \
	done; \
	echo; echo "$(PROVERS) prover(s) hold the data (logs: $(RUN_DIR)/prover*.log), a node asks for proofs:"; \
	if [ -n '$(ONCE)' ]; then \
		$(NODE) run --network $(RUN_NETWORK) --once; \
	else \
		echo "Ctrl-C stops both. Try meanwhile, in another terminal:"; \
		echo "  $(NODE) history --home $(RUN_DIR)/node"; \
		echo "  $(PROVER) status"; \
		echo "  $(PROVER) info --data-dir $(RUN_DIR)/data"; \
		echo "  $(PROVER) check --data-dir $(RUN_DIR)/data"; \
		$(NODE) run --network $(RUN_NETWORK); \
	fi

# The mark says that the folder is ours, so that a mistyped RUN_DIR costs nothing.
$(RUN_DIR)/.postmesh-run:
	@mkdir -p '$(RUN_DIR)' && touch '$@'

clean-run: ## Remove the data of `make run` (RUN_DIR)
	@if [ ! -e '$(RUN_DIR)' ]; then exit 0; fi; \
	if [ ! -e '$(RUN_DIR)/.postmesh-run' ]; then \
		echo "clean-run: $(RUN_DIR) was not made by make run; nothing is removed" >&2; exit 1; \
	fi; \
	rm -rf -- '$(RUN_DIR)' && echo "clean-run: removed $(RUN_DIR)"

# Both runners go on after a failure, so that the closing line counts all.
define RUN_TESTS
if cargo nextest --version >/dev/null 2>&1; then \
	$(CARGO) nextest run --release --workspace --locked --no-fail-fast; \
else \
	$(CARGO) test --release --workspace --locked --no-fail-fast --lib --bins --tests; \
fi
endef

# Sums nextest's "Summary" and cargo's "test result" lines.
define COUNT_TESTS
{ gsub(/\033\[[0-9;]*m/, ""); gsub(/exec failed|timed out/, "failed") } \
/^ *Summary \[|^test result:/ { \
	for (i = 2; i <= NF; i++) { \
		if ($$i ~ /^passed/) passed += $$(i - 1); \
		if ($$i ~ /^failed/) failed += $$(i - 1); \
		if ($$i ~ /^(skipped|ignored)/) skipped += $$(i - 1); \
	} \
} \
END { \
	printf "make test: %d passed, %d failed, %d skipped", passed, failed, skipped; \
	print (status && !failed) ? "; a step broke off, see above" : ""; \
}
endef

test: setup rocksdb ## Run every test, doc tests too; ends with a line of counts
	@set -uo pipefail; log="$$(mktemp)"; trap 'rm -f "$$log"' EXIT; status=0; \
	{ $(RUN_TESTS); } 2>&1 | tee "$$log" || status=1; \
	$(CARGO) test --doc --release --workspace --locked --no-fail-fast 2>&1 \
		| tee -a "$$log" || status=1; \
	awk -v status="$$status" '$(COUNT_TESTS)' "$$log"; \
	exit "$$status"

test-faults: setup rocksdb ## Kill, fill up, flip and cut: slow tests of what must never lose data
	@set -uo pipefail; \
	if cargo nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --release --locked --no-fail-fast --workspace \
			--run-ignored only -E 'package(tests) & test(faults::)'; \
	else \
		$(CARGO) test --release --locked --no-fail-fast -p tests --test all -- --ignored faults::; \
	fi

test-service: setup rocksdb ## One node with many provers, killed, flooded and left alone: slow tests
	@set -uo pipefail; \
	if cargo nextest --version >/dev/null 2>&1; then \
		$(CARGO) nextest run --release --locked --no-fail-fast --workspace \
			--run-ignored only -E 'package(tests) & test(service::)'; \
	else \
		$(CARGO) test --release --locked --no-fail-fast -p tests --test all -- --ignored service::; \
	fi

# Ends with a list of what the tests ran on.
test-gpu: setup clone ## Run the GPU tests, slow ones too, on every GPU here and on lavapipe
	@set -uo pipefail; status=0; \
	if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --release --locked --no-fail-fast -p gpu -p shaders \
			--run-ignored all || status=1; \
	else \
		cargo test --release --locked --no-fail-fast -p gpu -p shaders --lib -- \
			--include-ignored || status=1; \
	fi; \
	cargo run --quiet --release --locked -p gpu --example gpu_list; \
	exit "$$status"

# Seconds of search for each fuzz target.
SECONDS ?= 30

# A nightly toolchain is used where it is installed; none is downloaded for this.
fuzz: setup ## Search for inputs that break a decoder, SECONDS=30 for each target
	@set -uo pipefail; status=0; export RUSTUP_AUTO_INSTALL=0; \
	export CARGO_TARGET_DIR='$(CARGO_TARGET_DIR)/fuzz'; \
	if ! cargo fuzz --version >/dev/null 2>&1; then \
		echo "fuzz: cargo-fuzz is missing (cargo install --locked cargo-fuzz)" >&2; status=1; \
	fi; \
	if ! cargo +nightly --version >/dev/null 2>&1; then \
		echo "fuzz: a nightly toolchain is missing (rustup toolchain install nightly)" >&2; status=1; \
	fi; \
	[ "$$status" = 0 ] || exit 1; \
	cd tests/fuzz; cargo +nightly fuzz build || exit 1; \
	log="$$(mktemp)"; trap 'rm -f "$$log"' EXIT; \
	for target in $$(cargo fuzz list); do \
		mkdir -p "corpus/$$target"; \
		if cargo +nightly fuzz run "$$target" "corpus/$$target" "seeds/$$target" -- \
			-max_total_time=$(SECONDS) >"$$log" 2>&1; \
		then echo "fuzz: $$target holds: $$(grep -a '^Done' "$$log")"; \
		else tail -n 40 "$$log"; echo "fuzz: $$target is broken, see above"; status=1; \
		fi; \
	done; \
	exit "$$status"

bench: clone ## Run the criterion benchmarks (postmesh-bench --help has the others)
	cargo bench -p bench --profile release --locked

lint: setup rocksdb ## Check format, lints, licences and sources
	cargo fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets --locked -- -D warnings
	@$(MAKE) --no-print-directory deny

deny: ## Check licences, banned crates and sources (needs cargo-deny)
	@if cargo deny --version >/dev/null 2>&1; then \
		cargo deny --locked --log-level error check licenses bans sources; \
	else \
		echo "deny: skipped, cargo-deny is not installed (cargo install --locked cargo-deny)" >&2; \
	fi

fmt: ## Format all Rust code
	cargo fmt --all

env: rocksdb ## Print what plain cargo needs: eval "$(make -s env)"
	@printf 'export %s\n' "CARGO_TARGET_DIR='$(CARGO_TARGET_DIR)'" \
		"ROCKSDB_LIB_DIR='$(ROCKSDB_LIB_DIR)'" 'ROCKSDB_STATIC=1'

# Silent when nothing is missing.
setup: ## Install missing system packages (NO_INSTALL=1 only names them)
	@set -eu; say() { echo "setup: $$*" >&2; }; missing=''; \
	if ! command -v cargo >/dev/null; then \
		say 'cargo is missing; install Rust from https://rustup.rs and run make again'; exit 1; \
	fi; \
	if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then \
		for tool in c++ cmake pkg-config clang; do \
			command -v $$tool >/dev/null || missing="$$missing $$tool"; \
		done; \
		[ -z "$$missing" ] || say "neither Debian nor Ubuntu: please install$$missing" \
			'(a C++20 compiler, CMake, pkg-config, and clang with libclang)'; \
		exit 0; \
	fi; \
	for package in $(PACKAGES); do \
		dpkg-query -W -f='$${db:Status-Status}\n' $$package 2>/dev/null | grep -qx installed \
			|| missing="$$missing $$package"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$(NO_INSTALL)" = 1 ]; then \
		say "missing, and left alone because of NO_INSTALL=1:$$missing"; exit 0; \
	fi; \
	root=''; \
	if [ "$$(id -u)" != 0 ]; then \
		if ! command -v sudo >/dev/null; then \
			say "without root or sudo I cannot; run as root: apt-get install$$missing"; exit 1; \
		fi; \
		root=sudo; \
	fi; \
	say "installing$$missing"; \
	$$root apt-get update -qq; \
	$$root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $$missing

# Cargo tells what is old by the times of files, which mean nothing between two clones that share
# the builds: when another clone built last, everything of ours is built again.
clone: setup
	@set -eu; stamp='$(CARGO_TARGET_DIR)/clone'; \
	if [ "$$(cat "$$stamp" 2>/dev/null)" = '$(CURDIR)' ]; then exit 0; fi; \
	if [ -d '$(CARGO_TARGET_DIR)/release' ]; then cargo clean --quiet --release --workspace; fi; \
	mkdir -p '$(CARGO_TARGET_DIR)'; echo '$(CURDIR)' > "$$stamp"

# Makes sure that the archive exists. A finished build that was not copied (make was stopped
# between the two) is taken as it is; one for another key is thrown away.
rocksdb: clone
	@set -euo pipefail; dir='$(ROCKSDB_LIB_DIR)'; build='$(CACHE)/rocksdb-build'; \
	if [ -f "$$dir/librocksdb.a" ]; then exit 0; fi; \
	finished() { \
		for out in "$$build"/release/build/librocksdb-sys-*/out; do \
			if [ -f "$$out/librocksdb.a" ] \
				&& grep -qsF 'librocksdb-sys-$(ROCKSDB_VERSION)' "$$out/../output"; \
			then echo "$$out/librocksdb.a"; return; fi; \
		done; \
	}; \
	mkdir -p "$$dir" "$$build"; \
	if [ -f "$$build/built-for" ] && [ "$$(cat "$$build/built-for")" != '$(ROCKSDB_KEY)' ]; then \
		rm -rf "$$build/release"; \
	fi; \
	echo '$(ROCKSDB_KEY)' > "$$build/built-for"; \
	if [ -z "$$(finished)" ]; then \
		cores="$$(getconf _NPROCESSORS_ONLN)"; \
		echo "rocksdb: compiling its C++, once per machine: the long step, about" \
			"$$((44 / cores + 1)) minutes on $$cores cores. The archive will lie in $$dir." >&2; \
		env -u ROCKSDB_LIB_DIR -u ROCKSDB_STATIC \
			cargo build --release --locked -p librocksdb-sys --target-dir "$$build"; \
	fi; \
	archive="$$(finished)"; \
	if [ -z "$$archive" ]; then echo "rocksdb: no archive below $$build" >&2; exit 1; fi; \
	cp "$$archive" "$$dir/librocksdb.a.$$$$" && mv -f "$$dir/librocksdb.a.$$$$" "$$dir/librocksdb.a"; \
	echo "rocksdb: the archive lies in $$dir" >&2
