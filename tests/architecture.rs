//! The walls of the house, checked against manifests and sources.
//!
//! [`HOUSE`] says where each crate lies and which crates of the workspace it imports, exactly:
//! an edge that the table lacks fails, and so does an entry that nothing uses. A row may stand
//! here before its crate exists, and binds from the day it does. `docs/architecture.md` shows
//! people the rows that exist, and is compared with the manifests too. Who changes a row says why
//! on a page in `docs/decisions/`.
//!
//! Imports are what a crate ships with: normal and build dependencies. What a crate tests itself
//! with is its own affair, except behind [`DOORS`], which hold for tests too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use proc_macro2::{TokenStream, TokenTree};
use serde_json::Value;

use crate::tidy;

/// A crate's place and what it may import.
struct Row {
    /// Its folder; the last part is also the name of the package.
    folder: &'static str,
    /// Workspace crates, exactly.
    imports: &'static [&'static str],
}

/// Who may import whom, in the order matter flows: imports point up this list, never down.
const HOUSE: &[Row] = &[
    row("shaders", &[]),
    row("prover/post", &[]),
    row("prover/wire", &["post"]),
    row("prover/link", &["wire"]),
    row("prover/pow", &["post"]),
    row("prover/cpu", &["post"]),
    row("prover/gpu", &["post", "shaders"]),
    row("prover/plot", &["post"]),
    row("prover", &["cpu", "gpu", "link", "plot", "post", "pow", "wire"]),
    row("node/chain", &["post"]),
    row("node/ledger", &["chain"]),
    row("node/poet", &["chain"]),
    row("node/consensus", &["chain", "ledger", "poet", "post"]),
    row("node/store", &["chain", "ledger", "post"]),
    row("node/net", &[]),
    row("node/wallet", &["chain"]),
    row("node/api", &["chain"]),
    row("node/client", &["api", "wallet"]),
    row(
        "node",
        &[
            "api",
            "chain",
            "consensus",
            "ledger",
            "link",
            "net",
            "poet",
            "post",
            "pow",
            "store",
            "wallet",
            "wire",
        ],
    ),
];

/// They stand aside and look at everything; nothing imports them.
const ASIDE: &[&str] = &["bench", "tests"];

/// Entries of [`HOUSE`] whose two crates exist but do not meet yet: crate, import, and which of
/// the nine parts wires it. An entry that has come true must go.
const NOT_YET: &[(&str, &str, u8)] = &[];

/// Outside crates that one door leads to: the door's crate and nobody else may name them.
const DOORS: &[(&str, &[&str])] = &[
    ("interprocess", &["link"]),
    ("librocksdb-sys", &[]),
    ("naga", &["shaders"]),
    ("quinn", &["link", "net"]),
    ("randomx-rs", &["pow"]),
    ("rocksdb", &["store"]),
    ("wgpu", &["gpu"]),
];

/// Crates that decide what is true, or decode what a stranger sent: no `std`, no `unsafe`, and
/// outside tests none of [`LAW_LINTS`].
const LAW: &[&str] = &["post", "wire", "chain", "ledger"];

/// What the head of a law crate denies outside tests.
const LAW_LINTS: &[&str] = &[
    "clippy::arithmetic_side_effects",
    "clippy::expect_used",
    "clippy::float_arithmetic",
    "clippy::indexing_slicing",
    "clippy::panic",
    "clippy::unwrap_used",
];

/// The only crates that may contain `unsafe`.
const UNSAFE_IN: &[&str] = &["pow", "cpu", "gpu"];

const CHANGE: &str = "Change the code, or together: HOUSE in tests/architecture.rs, \
                      docs/architecture.md, and a page in docs/decisions/.";

const fn row(folder: &'static str, imports: &'static [&'static str]) -> Row {
    Row { folder, imports }
}

impl Row {
    fn name(&self) -> &'static str {
        self.folder.rsplit('/').next().unwrap_or(self.folder)
    }
}

#[test]
fn the_table_points_one_way() {
    let mut above = BTreeSet::new();
    let mut faults = Vec::new();
    for row in HOUSE {
        for import in row.imports.iter().filter(|import| !above.contains(*import)) {
            faults.push(format!("{} imports {import}, which does not stand above it", row.name()));
        }
        above.insert(row.name());
    }
    tidy::report(&faults);
}

#[test]
fn every_crate_has_its_row_and_lies_in_its_folder() {
    let mut faults = Vec::new();
    for member in members() {
        let known =
            HOUSE.iter().any(|row| row.folder == member.folder && row.name() == member.name)
                || ASIDE.iter().any(|aside| *aside == member.folder && *aside == member.name);
        if !known {
            faults.push(format!(
                "no row for package {} in {}/. {CHANGE}",
                member.name, member.folder
            ));
        }
    }
    tidy::report(&faults);
}

#[test]
fn members_are_listed_in_the_order_of_the_table() {
    let manifest = toml_of(Path::new("Cargo.toml"));
    let listed: Vec<&str> = manifest["workspace"]["members"]
        .as_array()
        .map(|members| members.iter().filter_map(toml::Value::as_str).collect())
        .unwrap_or_default();
    let order: Vec<&str> = HOUSE
        .iter()
        .map(|row| row.folder)
        .chain(ASIDE.iter().copied())
        .filter(|folder| listed.contains(folder))
        .collect();
    assert_eq!(listed, order, "the members of Cargo.toml stand in the order of HOUSE, then ASIDE");
}

#[test]
fn imports_are_exactly_those_of_the_table() {
    let members = members();
    let exists = |name: &str| members.iter().any(|member| member.name == name);
    let mut faults = Vec::new();
    for row in HOUSE {
        let Some(member) = members.iter().find(|member| member.name == row.name()) else {
            continue;
        };
        for import in &member.imports {
            if !row.imports.contains(&import.as_str()) {
                faults.push(format!("{} imports {import}, which it may not. {CHANGE}", row.name()));
            }
        }
        for import in row.imports {
            let waits = NOT_YET.iter().any(|(from, to, _)| (*from, *to) == (row.name(), *import));
            if exists(import) && !member.imports.contains(*import) && !waits {
                faults.push(format!(
                    "{} does not import {import}, but the table says so. {CHANGE} If a later part \
                     wires it, name it in NOT_YET.",
                    row.name()
                ));
            }
        }
    }
    tidy::report(&faults);
}

#[test]
fn what_is_not_yet_is_in_the_table_and_still_to_come() {
    let members = members();
    let mut faults = Vec::new();
    for (from, to, part) in NOT_YET {
        let of_the_house = HOUSE.iter().any(|row| row.name() == *from && row.imports.contains(to));
        if !of_the_house || !(1..=9).contains(part) {
            faults.push(format!("NOT_YET: {from} -> {to} (part {part}) is no entry of HOUSE"));
        }
        if members.iter().any(|member| member.name == *from && member.imports.contains(*to)) {
            faults.push(format!("NOT_YET: {from} -> {to} has come true; take it off the list"));
        }
    }
    tidy::report(&faults);
}

#[test]
fn outside_crates_stay_behind_their_doors() {
    let mut faults = Vec::new();
    for member in members() {
        for (outside, doors) in DOORS {
            if member.outside.contains(*outside) && !doors.contains(&member.name.as_str()) {
                faults.push(format!(
                    "{} depends on {outside}, which only {doors:?} may (DOORS)",
                    member.name
                ));
            }
        }
    }
    tidy::report(&faults);
}

#[test]
fn law_crates_know_neither_std_nor_unsafe() {
    let mut faults = Vec::new();
    for member in members().iter().filter(|member| LAW.contains(&member.name.as_str())) {
        let lib = format!("{}/src/lib.rs", member.folder);
        let text = read(Path::new(&lib));
        for line in ["#![no_std]", "#![forbid(unsafe_code)]"] {
            if !text.lines().any(|found| found.trim_end() == line) {
                faults.push(format!("{lib}:1: a law crate has the line {line}"));
            }
        }
        let head = text.split("\nmod ").next().unwrap_or_default();
        for lint in LAW_LINTS.iter().filter(|lint| !head.contains(**lint)) {
            faults.push(format!("{lib}:1: a law crate denies {lint} before its first module"));
        }
    }
    tidy::report(&faults);
}

#[test]
fn every_crate_inherits_the_lints_of_the_workspace() {
    let mut faults = Vec::new();
    for member in members() {
        let manifest = format!("{}/Cargo.toml", member.folder);
        let parsed = toml_of(Path::new(&manifest));
        let inherits = parsed.get("lints").and_then(|lints| lints.get("workspace"));
        if inherits.and_then(toml::Value::as_bool) != Some(true) {
            faults.push(format!("{manifest}:1: lacks `[lints] workspace = true`"));
        }
    }
    tidy::report(&faults);
}

#[test]
fn unsafe_stays_in_its_crates() {
    let open: Vec<&str> =
        HOUSE.iter().filter(|row| UNSAFE_IN.contains(&row.name())).map(|row| row.folder).collect();
    let mut faults = Vec::new();
    for file in tidy::tracked().iter().filter(|file| file.extension().is_some_and(|e| e == "rs")) {
        if open.iter().any(|folder| file.starts_with(folder)) {
            continue;
        }
        let tokens: Result<TokenStream, _> = read(file).parse();
        match tokens {
            Ok(tokens) => faults.extend(
                unsafe_lines(tokens)
                    .iter()
                    .map(|line| format!("{}:{line}: unsafe outside {UNSAFE_IN:?}", file.display())),
            ),
            Err(error) => faults.push(format!("{}: cannot be read: {error}", file.display())),
        }
    }
    tidy::report(&faults);
}

#[test]
fn the_word_unsafe_is_found_in_code_only() {
    let code = "//! unsafe\nfn f() {\n    g(\"unsafe\");\n    unsafe { h() }\n}\n";
    let tokens = code.parse().map(unsafe_lines);
    assert!(matches!(tokens.as_deref(), Ok([4])), "{tokens:?}");
}

/// The page that people read is no second truth: it shows each crate of [`HOUSE`] that exists,
/// with what it imports today.
#[test]
fn the_page_for_people_shows_what_is() {
    let shown = table_of(&read(Path::new("docs/architecture.md")));
    let imports: BTreeMap<String, BTreeSet<String>> = members()
        .into_iter()
        .filter(|member| !ASIDE.contains(&member.name.as_str()))
        .map(|member| (member.name, member.imports))
        .collect();
    let mut faults = Vec::new();
    for name in imports.keys().chain(shown.keys()).collect::<BTreeSet<_>>() {
        let (page, manifests) = (shown.get(name), imports.get(name));
        if page != manifests {
            faults.push(format!(
                "docs/architecture.md, import table: `{name}` has {page:?}, but its manifest says \
                 {manifests:?}"
            ));
        }
    }
    tidy::report(&faults);
}

/// What the manifests say of one crate of the workspace.
struct Member {
    name: String,
    /// Relative to the root.
    folder: String,
    /// Workspace crates among its normal and build dependencies.
    imports: BTreeSet<String>,
    /// Crates of the outside world, dev-dependencies included.
    outside: BTreeSet<String>,
}

fn members() -> Vec<Member> {
    let metadata = metadata();
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let members: Vec<Member> = packages.iter().map(|package| member(package, root)).collect();
    assert!(!members.is_empty(), "cargo metadata names no packages");
    members
}

fn member(package: &Value, root: &str) -> Member {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let manifest = text(&package["manifest_path"]);
    let folder = Path::new(&manifest)
        .parent()
        .and_then(|folder| folder.strip_prefix(root).ok())
        .unwrap_or_else(|| panic!("{manifest} lies outside {root}"));
    let (mut imports, mut outside) = (BTreeSet::new(), BTreeSet::new());
    for dependency in package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let name = text(&dependency["name"]);
        let of_the_workspace = dependency["path"].is_string();
        if !of_the_workspace {
            outside.insert(name);
        } else if dependency["kind"] != "dev" {
            imports.insert(name);
        }
    }
    let folder = folder.to_string_lossy().replace('\\', "/");
    Member { name: text(&package["name"]), folder, imports, outside }
}

fn metadata() -> Value {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(tidy::root())
        .output()
        .unwrap_or_else(|error| panic!("cargo metadata: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {complaint}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("cargo metadata printed no JSON: {error}"))
}

/// Lines of the word `unsafe` in code; the lexer keeps comments and strings out of it.
fn unsafe_lines(tokens: TokenStream) -> Vec<usize> {
    let mut lines = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => lines.extend(unsafe_lines(group.stream())),
            TokenTree::Ident(word) if word == "unsafe" => lines.push(word.span().start().line),
            _ => {}
        }
    }
    lines
}

/// Crate to imports, from the rows under "Who may import whom": the names in backticks of the
/// first and second column.
fn table_of(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    page.lines()
        .skip_while(|line| *line != "## Who may import whom")
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| {
            let mut cells = line.strip_prefix('|')?.split('|');
            let name = quoted(cells.next()?).into_iter().next()?;
            Some((name, quoted(cells.next()?)))
        })
        .collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn read(file: &Path) -> String {
    fs::read_to_string(tidy::root().join(file))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn toml_of(file: &Path) -> toml::Table {
    toml::from_str(&read(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
