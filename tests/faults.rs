//! What a disk, a power button and a careless hand can do to data: real processes, killed hundreds
//! of times, on disks that fill up, with files that are cut, grown and flipped. `make test-faults`
//! runs these; the power cuts that no process can play are in the crates, on a simulated disk.

use crate::world::{Process, World, run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// Numbers that look random and are the same in every run: `SplitMix64`.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Runs a command and kills it after some milliseconds, unless it ends before; whether it was
/// killed.
fn killed_after(mut command: Command, millis: u64) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_millis(millis));
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(status.code().is_none_or(|code| code == 0), "{command:?}: {status}");
    status.code().is_none()
}

/// Every file of directories, by directory and name; locks, journals and what was half written are
/// not data.
fn contents(directories: &[PathBuf]) -> BTreeMap<(usize, String), Vec<u8>> {
    let mut all = BTreeMap::new();
    for (at, directory) in directories.iter().enumerate() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name.ends_with(".bin") || name.ends_with("metadata.json") {
                all.insert((at, name), fs::read(entry.path()).unwrap());
            }
        }
    }
    all
}

/// A data set of 3 files over two directories, slow enough to be killed many times.
struct Slow<'a> {
    world: &'a World,
    directories: [PathBuf; 2],
}

const SLOW_LABELS: u64 = 40_000;

impl<'a> Slow<'a> {
    fn new(world: &'a World, name: &str) -> Self {
        Self { world, directories: ["a", "b"].map(|part| world.path(&format!("{name}-{part}"))) }
    }

    fn command(&self, units: u32, more: &[&str]) -> Command {
        let [first, second] = self.directories.each_ref().map(|path| path.display().to_string());
        let (labels, units) = (SLOW_LABELS.to_string(), units.to_string());
        let mut command = self.world.prover(&["init", "--scrypt-n", "512", "--units", &units]);
        command.args(["--data-dir", &format!("path={first},size=300000")]);
        command.args(["--data-dir", &second, "--labels-per-unit", &labels]);
        command.args(["--node-id", &"11".repeat(32), "--commitment-atx", &"22".repeat(32)]);
        command.args(["--max-file-size", "300000"]).args(more);
        command
    }

    fn present(&self) -> u64 {
        let [first, second] = self.directories.each_ref().map(|path| path.display().to_string());
        let flags = ["info", "--json", "--data-dir", &first, "--data-dir", &second];
        let (code, answer, said) = run(self.world.prover(&flags));
        assert_eq!(code, Some(0), "{said}");
        let info: Value = serde_json::from_str(&answer).unwrap();
        info["labels_present"].as_u64().unwrap()
    }
}

#[test]
#[ignore = "make test-faults"]
fn init_killed_hundreds_of_times_comes_to_the_same_bytes() {
    let world = World::new();
    let undisturbed = Slow::new(&world, "whole");
    assert_eq!(run(undisturbed.command(1, &[])).0, Some(0));
    assert_eq!(run(undisturbed.command(8, &["--grow"])).0, Some(0));
    let disturbed = Slow::new(&world, "killed");
    let mut draw = Draw(1);
    let (mut kills, mut present) = (0, 0);
    for (units, more) in [(1, &[][..]), (8, &["--grow"][..])] {
        // Ever a little later, so that it comes to an end on any machine.
        while killed_after(disturbed.command(units, more), 5 + draw.below(40 + kills / 4)) {
            kills += 1;
            assert!(kills < 3000, "it makes no progress");
            if disturbed.directories.iter().all(|path| path.join("postdata_metadata.json").exists())
                && kills % 20 == 0
            {
                let now = disturbed.present();
                assert!(now >= present, "{now} labels of {present}");
                present = now;
            }
        }
    }
    println!("killed {kills} times");
    assert!(kills >= 200, "only {kills} kills: make the data larger");
    assert_same(&disturbed.directories, &undisturbed.directories);
}

/// The same files in the same directories, with the same bytes.
fn assert_same(ours: &[PathBuf], theirs: &[PathBuf]) {
    let (ours, theirs) = (contents(ours), contents(theirs));
    assert!(ours.keys().eq(theirs.keys()), "{:?}: {:?}", ours.keys(), theirs.keys());
    for ((name, ours), theirs) in ours.iter().zip(theirs.values()) {
        let at = ours.iter().zip(theirs).position(|(ours, theirs)| ours != theirs);
        let lengths = (ours.len(), theirs.len());
        assert!(ours == theirs, "{name:?}, of {lengths:?} bytes, differs at {at:?}");
    }
}

#[test]
#[ignore = "make test-faults"]
fn a_proof_killed_many_times_comes_out_the_same() {
    let world = World::new();
    let set = Slow::new(&world, "data");
    assert_eq!(run(set.command(1, &[])).0, Some(0));
    // A k2pow of some 16 hashes a group, so that kills find it solving.
    let difficulty = format!("10{}", "00".repeat(31));
    let prove = |challenge: &str, more: &[&str]| {
        let [first, second] = set.directories.each_ref().map(|path| path.display().to_string());
        let mut command = world.prover(&["prove", "--json", "--challenge", &challenge.repeat(32)]);
        command.args(["--data-dir", &first, "--data-dir", &second, "--randomx", "light"]);
        command.args(["--k1", "26", "--k2", "26", "--pow-difficulty", &difficulty]);
        command.args(["--nonces", "32"]).args(more);
        command
    };
    let mut draw = Draw(2);
    let mut kills = 0;
    for challenge in ["33", "44"] {
        while killed_after(prove(challenge, &[]), 300 + draw.below(1000 + 100 * kills)) {
            kills += 1;
            assert!(kills < 500, "it makes no progress");
        }
        let (code, resumed, said) = run(prove(challenge, &[]));
        assert_eq!(code, Some(0), "{said}");
        for directory in &set.directories {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|kind| kind == "journal") {
                    fs::remove_file(path).unwrap();
                }
            }
        }
        let (code, anew, said) = run(prove(challenge, &["--threads", "1"]));
        assert_eq!((code, anew), (Some(0), resumed), "{said}");
    }
    println!("killed {kills} times");
    assert!(kills >= 5, "only {kills} kills");
}

/// Mounts a small filesystem in memory, for one process and its children; needs root or the right
/// to make user namespaces.
fn on_small_disk(mount: &Path, bytes: u64, script: &str) -> (Option<i32>, String) {
    let mount = mount.display();
    let script = format!("mount -t tmpfs -o size={bytes} tmpfs '{mount}' && {script}");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    command.stdin(Stdio::null()).process_group(0);
    let (code, answer, said) = run(command);
    (code, answer + &said)
}

#[test]
#[ignore = "make test-faults"]
fn a_full_disk_is_said_first_and_in_the_middle_harms_nothing() {
    let world = World::new();
    let (small, whole) = (world.path("small"), world.path("whole"));
    fs::create_dir(&small).unwrap();
    let init = |directory: &Path, labels: u64| {
        let (directory, labels) = (directory.display().to_string(), labels.to_string());
        let mut command = world.prover(&["init", "--scrypt-n", "512", "--units", "1"]);
        command.args(["--data-dir", &directory, "--labels-per-unit", &labels]);
        command.args(["--node-id", &"11".repeat(32), "--commitment-atx", &"22".repeat(32)]);
        command
    };
    let shell = |command: &Command| {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| format!("'{}'", word.display())).collect::<Vec<_>>().join(" ")
    };
    // 2 MiB of labels on a disk of 1 MiB: refused before anything is made.
    let data = small.join("data");
    let script =
        format!("{}; code=$?; ls '{}'; exit $code", shell(&init(&data, 1 << 17)), small.display());
    let (code, said) = on_small_disk(&small, 1 << 20, &script);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("there is no room for") && said.contains("nothing was changed"),
        "{said}"
    );
    // A disk that something else fills meanwhile: a clear word, and the next run goes on.
    let labels = 1_u64 << 15;
    assert_eq!(run(init(&whole, labels)).0, Some(0));
    let command = shell(&init(&data, labels));
    let script = format!(
        "{command} --threads 1 & sleep 0.3; kill -9 $!; wait $!; \
         cat /dev/zero > '{small}/ballast' 2>/dev/null; \
         {command}; echo \"full: $?\"; rm '{small}/ballast'; {command}; echo \"room: $?\"; \
         cmp '{small}/data/postdata_0.bin' '{whole}/postdata_0.bin' && echo same",
        small = small.display(),
        whole = whole.display()
    );
    let (_, said) = on_small_disk(&small, 1 << 20, &script);
    assert!(said.contains("room: 0") && said.contains("same"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    if !said.contains("full: 0") {
        assert!(said.contains("full: 3") && said.contains(&*small.to_string_lossy()), "{said}");
    }
}

#[test]
#[ignore = "make test-faults"]
fn a_clock_that_jumps_changes_nothing() {
    let world = World::new();
    let shim = world.path("clock.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("faults/clock.c");
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(source).arg("-ldl");
    assert!(cc.status().unwrap().success(), "{cc:?}");
    let [steady, jumping] = ["steady", "jumping"].map(|name| Slow::new(&world, name));
    assert_eq!(run(steady.command(1, &["--json"])).0, Some(0));
    let mut command = jumping.command(1, &["--json"]);
    command.env("LD_PRELOAD", &shim);
    let (code, _, said) = run(command);
    assert_eq!(code, Some(0), "{said}");
    assert_same(&jumping.directories, &steady.directories);
}

#[test]
#[ignore = "make test-faults"]
fn files_of_impossible_lengths_are_named_and_left_alone() {
    let world = World::new();
    let node_id = world.furnish();
    let whole = world.data();
    for name in whole.keys() {
        let path = world.path("data").join(name);
        for bytes in [vec![], [&whole[name][..], b"more"].concat()] {
            fs::write(&path, &bytes).unwrap();
            let before = world.data();
            let (code, _, said) = run(world.init(&node_id));
            let trailing = name.ends_with(".manifest") && !bytes.is_empty();
            if name.ends_with(".bin") && bytes.is_empty() {
                // An empty label file is one whose labels are missing: they are made.
                assert_eq!(code, Some(0), "{name}: {said}");
            } else if trailing || (name.ends_with(".json") && code == Some(0)) {
                // What comes after the last slot is no slot.
                assert_eq!(code, Some(0), "{name}: {said}");
            } else {
                assert!(matches!(code, Some(2 | 3)), "{name}, {} bytes: {said}", bytes.len());
                assert!(said.contains(name), "{name}: {said}");
                assert_eq!(world.data(), before, "{name}");
            }
            for (name, bytes) in &whole {
                fs::write(world.path("data").join(name), bytes).unwrap();
            }
        }
    }
}

/// Flips of bits anywhere in the labels and in the manifests are named, and mended, by processes.
#[test]
#[ignore = "make test-faults"]
fn flipped_bits_are_named_mended_and_can_come_back() {
    let world = World::new();
    let set = Slow::new(&world, "data");
    assert_eq!(run(set.command(1, &[])).0, Some(0));
    let [first, second] = set.directories.each_ref().map(|path| path.display().to_string());
    let data = ["--data-dir", &first, "--data-dir", &second];
    let ask = |command: &[&str]| run(world.prover(&[command, &data[..]].concat()));
    let whole = contents(&set.directories);
    let mut draw = Draw(3);
    for round in 0..10 {
        let mut flipped = BTreeMap::new();
        for ((at, name), bytes) in whole.iter().filter(|((_, name), _)| name.ends_with(".bin")) {
            let byte = usize::try_from(draw.below(bytes.len() as u64)).unwrap();
            let mut bytes = bytes.clone();
            bytes[byte] ^= 1 << draw.below(8);
            fs::write(set.directories[*at].join(name), &bytes).unwrap();
            flipped.insert((*at, name.clone()), bytes);
        }
        if round % 2 == 1 {
            let path = set.directories[0].join("postmesh_0.manifest");
            let mut bytes = fs::read(&path).unwrap();
            let byte = 64 + usize::try_from(draw.below(bytes.len() as u64 - 64)).unwrap();
            bytes[byte] ^= 1 << draw.below(8);
            fs::write(&path, &bytes).unwrap();
        }
        let (code, answer, said) = ask(&["check", "--json", "--fraction", "100"]);
        assert_eq!(code, Some(1), "{said}");
        let found: Value = serde_json::from_str(&answer).unwrap();
        assert!(found["bad"].as_array().unwrap().len() >= flipped.len(), "{found}");
        // A damaged last slot vouches for nothing: `init` makes those labels again.
        let (code, _, said) = ask(&["repair", "--fraction", "100"]);
        assert!(matches!(code, Some(0 | 1)), "{said}");
        assert_eq!(run(set.command(1, &[])).0, Some(0));
        assert_eq!(contents(&set.directories), whole, "round {round}: {said}");
        assert_eq!(ask(&["check", "--fraction", "100"]).0, Some(0));
        if round == 0 {
            assert_eq!(ask(&["undo"]).0, Some(0));
            let back = contents(&set.directories);
            assert!(flipped.iter().all(|(name, bytes)| back[name] == *bytes));
            assert_eq!(ask(&["repair", "--fraction", "100"]).0, Some(0));
        }
    }
}

#[test]
#[ignore = "make test-faults"]
fn two_processes_never_write_one_directory() {
    let world = World::new();
    let set = Slow::new(&world, "data");
    let mut init = Process::start({
        let mut command = set.command(3, &["--threads", "1"]);
        command.env("POSTMESH_LOG", "debug");
        command
    });
    while !set.directories.iter().all(|path| path.join("postdata_metadata.json").exists()) {
        thread::yield_now();
    }
    let (code, _, said) = run(set.command(3, &[]));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("in use by another postmesh process"), "{said}");
    let first = set.directories[0].display().to_string();
    let (code, _, said) = run(world.prover(&["check", "--data-dir", &first]));
    assert_eq!(code, Some(3), "{said}");
    init.wait_for("VRF nonce");
    let (code, said) = init.wait();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
#[ignore = "make test-faults"]
fn wrong_requests_change_nothing_and_name_both_sides() {
    let world = World::new();
    let set = Slow::new(&world, "data");
    assert_eq!(run(set.command(2, &[])).0, Some(0));
    let before = contents(&set.directories);
    for (units, more, words) in [
        (3, &[][..], &["2 units", "3 are asked for", "--grow"][..]),
        (1, &[], &["2 units", "1 are asked for", "shrink"]),
        (2, &["--node-id", &"99".repeat(32)], &["identity", "on disk"]),
        (2, &["--scrypt-n", "256"], &["N = 512", "256"]),
    ] {
        let mut command = set.command(units, &[]);
        let replaced: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
        // Of a flag that is given twice the last one would be refused: replace it.
        if let [flag, value] = more {
            let at = replaced.iter().position(|arg| arg == flag).unwrap();
            let mut arguments = replaced;
            arguments[at + 1] = (*value).into();
            command = world.prover(&[]);
            command.args(arguments);
        }
        let (code, _, said) = run(command);
        assert_eq!(code, Some(2), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {said}");
        assert_eq!(contents(&set.directories), before);
    }
}
