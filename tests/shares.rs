//! One data set made by many machines: the scripts of `docs/many-machines.md`, run as they stand,
//! and shares of ours and of the reference joined by real processes.
//!
//! Stand-ins take the place of the programs that reach other machines: `ssh` and `rsync` find
//! "machines" in folders, `kubectl` and `sbatch` run on the spot what they are given.

use crate::tidy;
use crate::world::{World, run};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const NODE_ID: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const ATX: &str = "2222222222222222222222222222222222222222222222222222222222222222";
/// 1024 labels in files of 100.
const FILES: usize = 11;
const SHARES: usize = 4;

const SSH: &str = "host=$1; shift; DATA=$MACHINES/$host; export DATA; exec \"$@\"";
const RSYNC: &str = "test \"$1 $2\" = '-a --partial' || exit 9
mkdir -p \"$4\"
exec cp -R \"$MACHINES/${3%%:*}/${3##*/}\" \"$4\"";
const KUBECTL: &str = "case $1 in
    create | wait) test \"$2\" = configmap || test \"$2\" = '--for=condition=complete' ;;
    apply) for index in $(cat \"$3.completions\"); do
        JOB_COMPLETION_INDEX=$index sh -c \"$(cat \"$3.body\")\" || exit 1
    done ;;
    logs) ;;
    *) exit 9 ;;
esac";
const SBATCH: &str = "case $1 in
    --parsable) for task in 0 1 2 3; do SLURM_ARRAY_TASK_ID=$task sh \"$2\" >&2 || exit 1; done
        echo 4711 ;;
    --dependency=afterok:4711) for last; do :; done
        exec sh -c \"${last#--wrap=}\" ;;
    *) exit 9 ;;
esac";

/// The page's scripts, in a folder of a world where they can be run.
struct Scripts {
    world: World,
    folder: PathBuf,
}

impl Scripts {
    fn new() -> Self {
        let world = World::new();
        let (folder, programs) = (world.path("scripts"), world.path("programs"));
        fs::create_dir(&folder).unwrap();
        fs::create_dir(&programs).unwrap();
        for (name, text) in blocks() {
            fs::write(folder.join(&name), &text).unwrap();
            if name.ends_with(".yaml") {
                fs::write(folder.join(format!("{name}.body")), body_of(&text)).unwrap();
                let indices = (0..completions(&text)).map(|index| index.to_string());
                let indices = indices.collect::<Vec<_>>().join(" ");
                fs::write(folder.join(format!("{name}.completions")), indices).unwrap();
            }
        }
        for (name, text) in
            [("ssh", SSH), ("rsync", RSYNC), ("kubectl", KUBECTL), ("sbatch", SBATCH)]
        {
            let path = programs.join(name);
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let program = world.prover(&[]).get_program().to_owned();
        symlink(program, programs.join("postmesh-prover")).unwrap();
        // Small data. The values are the environment's.
        fs::write(folder.join("settings.sh"), "").unwrap();
        Self { world, folder }
    }

    /// What runs `sh SCRIPT…` where the scripts are, with the page's settings for small data.
    fn sh(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command.args(arguments).current_dir(&self.folder);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", self.world.path("programs").display()));
        for (name, value) in self.settings() {
            command.env(name, value);
        }
        command.env("HOSTS", "a b c d").env("MACHINES", self.world.path("machines"));
        command
    }

    fn settings(&self) -> BTreeMap<&str, String> {
        let (network, data) = (self.world.network(), self.world.path("joined"));
        BTreeMap::from([
            ("NETWORK", network.display().to_string()),
            ("NODE_ID", NODE_ID.to_owned()),
            ("COMMITMENT_ATX", ATX.to_owned()),
            ("UNITS", "2".to_owned()),
            ("FILE_SIZE", "1600".to_owned()),
            ("FILES", FILES.to_string()),
            ("SHARES", SHARES.to_string()),
            ("DATA", data.display().to_string()),
        ])
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        run(self.sh(arguments))
    }

    /// The directories of the shares, where they were brought together.
    fn shares(&self) -> Vec<PathBuf> {
        let share = |number| self.world.path("joined").join(format!("share-{number}"));
        (0..SHARES).map(share).collect()
    }

    /// The shares are joined, and are what one `init` of everything makes: labels, metadata and
    /// nonce. Returns where that is.
    fn assert_joined(&self) -> PathBuf {
        let whole = self.world.path("whole");
        let network = self.world.network().display().to_string();
        let mut init = self.world.prover(&["init", "--network", &network, "--units", "2"]);
        init.args(["--node-id", NODE_ID, "--commitment-atx", ATX, "--max-file-size", "1600"]);
        let (code, _, said) = run({
            init.arg("--data-dir").arg(&whole);
            init
        });
        assert_eq!(code, Some(0), "{said}");
        let mut joined = BTreeMap::new();
        for share in self.shares() {
            let own = labels_and_metadata(&share);
            assert_eq!(
                own["postdata_metadata.json"],
                labels_and_metadata(&whole)["postdata_metadata.json"]
            );
            joined.extend(own);
        }
        assert_eq!(joined.len(), FILES + 1);
        assert!(joined == labels_and_metadata(&whole));
        let (code, answer, said) = self.run(&["join.sh"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(answer.contains("were merged before"), "{answer}");
        whole
    }

    /// Besides, the proofs of both are the same.
    fn assert_proven(&self) {
        let whole = self.assert_joined();
        let (code, proof, said) = self.prove(&self.shares());
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(proof, self.prove(&[whole]).1);
    }

    fn prove(&self, directories: &[PathBuf]) -> (Option<i32>, String, String) {
        let network = self.world.network().display().to_string();
        let challenge = "07".repeat(32);
        let mut prove =
            self.world.prover(&["prove", "--json", "--randomx", "light", "--nonces", "16"]);
        prove.args(["--network", &network, "--challenge", &challenge]);
        for path in directories {
            prove.arg("--data-dir").arg(path);
        }
        run(prove)
    }
}

/// The page's blocks that name themselves in a comment, as files. The settings are another matter.
fn blocks() -> BTreeMap<String, String> {
    let page = fs::read_to_string(tidy::root().join("docs/many-machines.md")).unwrap();
    let fenced = page.split("\n```").skip(1).step_by(2);
    let named = fenced.filter_map(|block| {
        let (_, text) = block.split_once('\n')?;
        let comments = text.lines().filter_map(|line| line.strip_prefix("# "));
        let names = comments.filter_map(|comment| comment.split([':', ' ']).next());
        let name = names.into_iter().find(|n| n.ends_with(".sh") || n.ends_with(".yaml"))?;
        Some((name.to_owned(), format!("{text}\n")))
    });
    named.collect()
}

/// The script that the container of a manifest runs.
fn body_of(manifest: &str) -> String {
    let (_, body) = manifest.split_once("            - |\n").unwrap();
    let inside = body.lines().map_while(|line| line.strip_prefix("              "));
    inside.map(|line| format!("{line}\n")).collect()
}

fn completions(manifest: &str) -> usize {
    let line = manifest.lines().find_map(|line| line.trim().strip_prefix("completions: "));
    line.map_or(1, |count| count.parse().unwrap())
}

fn labels_and_metadata(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    let kept = named.filter(|(name, _)| name.starts_with("postdata_"));
    kept.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}

fn json(answer: &str) -> Value {
    serde_json::from_str(answer).unwrap_or_else(|_| panic!("{answer}"))
}

#[test]
fn the_page_is_of_one_piece() {
    let blocks = blocks();
    let names: Vec<&str> = blocks.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "by-hand.sh",
            "files.sh",
            "join.sh",
            "join.yaml",
            "kubernetes.sh",
            "settings.sh",
            "share.sh",
            "shares.yaml",
            "slurm.sh",
            "submit.sh",
        ]
    );
    let settings = blocks["settings.sh"].lines().filter_map(|line| line.strip_prefix("export "));
    let settings: BTreeMap<&str, &str> = settings
        .map(|line| line.split('#').next().unwrap().trim().split_once('=').unwrap())
        .collect();
    // The test sets what the page sets.
    let scripts = Scripts::new();
    let set = scripts.settings();
    assert_eq!(
        settings.keys().copied().collect::<BTreeSet<_>>(),
        set.keys().copied().collect::<BTreeSet<_>>()
    );
    // Two schedulers count the shares in their own words.
    assert_eq!(settings["SHARES"], SHARES.to_string());
    assert_eq!(completions(&blocks["shares.yaml"]), SHARES);
    assert!(blocks["slurm.sh"].contains(&format!("#SBATCH --array=0-{}\n", SHARES - 1)));
    for manifest in ["shares.yaml", "join.yaml"] {
        let mounted = format!("mountPath: {}\n", settings["DATA"]);
        assert!(blocks[manifest].contains(&mounted), "{manifest}");
    }
    // 16 files of 4 GiB a unit of mainnet.
    let files = settings["UNITS"].parse::<usize>().unwrap() * 16;
    assert_eq!((settings["NETWORK"], settings["FILE_SIZE"]), ("mainnet", "4GiB"));
    assert_eq!(settings["FILES"], files.to_string());
    let (code, answer, said) = scripts.run(&["files.sh"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(answer.contains("label files      11, 0 to 10"), "{answer}");
    assert!(!scripts.world.path("joined").exists());
}

#[test]
fn shares_made_by_hand_are_joined() {
    let scripts = Scripts::new();
    let (code, answer, said) = scripts.run(&["by-hand.sh"]);
    assert_eq!(code, Some(0), "{answer}{said}");
    for (host, number) in ["a", "b", "c", "d"].iter().zip(0..) {
        // Each machine made its own and no other.
        let made = fs::read_dir(scripts.world.path("machines").join(host)).unwrap();
        let made: Vec<_> = made.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(made, [&*format!("share-{number}")]);
    }
    scripts.assert_proven();
}

#[test]
fn shares_made_in_a_cluster_are_joined() {
    let scripts = Scripts::new();
    let (code, answer, said) = scripts.run(&["kubernetes.sh"]);
    assert_eq!(code, Some(0), "{answer}{said}");
    scripts.assert_proven();
}

/// Besides, one task was preempted, and what it did not make is made by the command that `merge`
/// prints.
#[test]
fn shares_made_by_an_array_job_are_joined() {
    let scripts = Scripts::new();
    let task = scripts.run(&["share.sh", "2"]);
    assert_eq!(task.0, Some(0), "{}", task.2);
    let lost = scripts.shares()[2].join("postdata_6.bin");
    let before = fs::read(&lost).unwrap();
    fs::write(&lost, &before[..160]).unwrap();
    let (code, answer, said) = scripts.run(&["submit.sh"]);
    assert_eq!(code, Some(0), "{answer}{said}");
    assert_eq!(fs::read(&lost).unwrap(), before);
    scripts.assert_proven();
}

#[test]
fn what_is_missing_is_named_with_the_command_that_makes_it() {
    let scripts = Scripts::new();
    for number in ["0", "2", "3"] {
        assert_eq!(scripts.run(&["share.sh", number]).0, Some(0));
    }
    let lost = scripts.shares()[0].join("postdata_1.bin");
    fs::remove_file(&lost).unwrap();
    let (code, answer, said) = scripts.run(&["join.sh"]);
    assert_eq!(code, Some(1), "{answer}{said}");
    assert!(answer.contains("label files 2 to 4 are in none of these directories"), "{answer}");
    assert!(
        answer.contains("label file 1: ") && answer.contains("nothing was changed"),
        "{answer}"
    );
    let commands = answer.lines().filter_map(|line| line.strip_prefix("  postmesh-prover "));
    let commands: Vec<&str> = commands.collect();
    assert_eq!(commands.len(), 2, "{answer}");
    let other = scripts.shares()[1].display().to_string();
    for command in commands {
        let command = format!("postmesh-prover {}", command.replace("DIR", &other));
        let (code, _, said) = scripts.run(&["-c", &command]);
        assert_eq!(code, Some(0), "{command}: {said}");
    }
    let (code, answer, said) = scripts.run(&["join.sh"]);
    assert_eq!(code, Some(0), "{answer}{said}");
    scripts.assert_joined();
}

#[test]
fn a_share_says_what_it_is_and_what_it_is_not_for() {
    let scripts = Scripts::new();
    assert_eq!(scripts.run(&["share.sh", "1"]).0, Some(0));
    let share = scripts.shares()[1].clone();
    let network = scripts.world.network().display().to_string();
    let ask = |arguments: &[&str]| {
        let mut command = scripts.world.prover(arguments);
        command.arg("--data-dir").arg(&share);
        run(command)
    };
    let before = labels_and_metadata(&share);
    let (code, answer, _) = ask(&["info"]);
    assert!(code == Some(0) && answer.contains("label files 2 to 4 of 0 to 10"), "{answer}");
    assert!(answer.contains("300 of 300 present, in 3 files"), "{answer}");
    assert!(!answer.contains("fault"), "{answer}");
    let (_, answer, _) = ask(&["info", "--json"]);
    assert_eq!(json(&answer)["share"], "2 to 4");
    for command in [&["check"][..], &["repair", "--ranges", "200..210"], &["plan"], &["init"]] {
        let (code, _, said) = ask(&[command, &["--network", &network]].concat());
        assert_eq!(code, Some(0), "{command:?}: {said}");
    }
    let (code, _, said) = ask(&["repair", "--network", &network, "--ranges", "500"]);
    assert!(code == Some(2) && said.contains("label file 5 is not in this share"), "{said}");
    for command in [&["nonce"][..], &["serve"], &["shrink", "--units", "1"]] {
        let (code, _, said) = ask(&[command, &["--network", &network]].concat());
        assert!(code == Some(3) && said.contains("name the directories of every share"), "{said}");
    }
    let (code, _, said) = scripts.prove(std::slice::from_ref(&share));
    assert!(code == Some(3) && said.contains("name the directories of every share"), "{said}");
    for (more, why) in [
        (&["--files", "2..5"][..], "is to hold label files 2 to 4, but 2 to 5 are asked for"),
        (&["--files", "9..11"], "there is no file 11: the data has 11 label files, 0 to 10"),
        (&["--files", "4..3"], "is no range"),
        (&["--units", "3", "--grow"], "A share keeps its size"),
    ] {
        let (code, _, said) = ask(&[&["init", "--network", &network], more].concat());
        assert!(code == Some(2) && said.contains(why), "{said}");
    }
    let lock = fs::File::open(share.join("postmesh.lock")).unwrap();
    lock.lock().unwrap();
    let (code, _, said) = ask(&["init", "--network", &network]);
    assert!(code == Some(3) && said.contains("is in use"), "{said}");
    drop(lock);
    assert!(labels_and_metadata(&share) == before);
    // To another disk, and then on.
    let moved = scripts.world.path("moved");
    assert_eq!(ask(&["move", "--to", moved.to_str().unwrap()]).0, Some(0));
    assert!(labels_and_metadata(&moved) == before);
    fs::remove_dir_all(&share).unwrap();
    fs::rename(&moved, &share).unwrap();
    for number in ["0", "2", "3"] {
        assert_eq!(scripts.run(&["share.sh", number]).0, Some(0));
    }
    assert_eq!(scripts.run(&["join.sh"]).0, Some(0));
    scripts.assert_joined();
}

#[test]
fn shares_that_do_not_belong_together_are_refused() {
    let scripts = Scripts::new();
    for number in ["0", "1", "2", "3"] {
        assert_eq!(scripts.run(&["share.sh", number]).0, Some(0));
    }
    let share = scripts.shares()[3].clone();
    fs::remove_dir_all(&share).unwrap();
    let other = NODE_ID.replace('1', "3");
    let mut stranger = scripts.sh(&["share.sh", "3"]);
    stranger.env("NODE_ID", &other);
    assert_eq!(run(stranger).0, Some(0));
    let all = || scripts.shares().iter().map(|path| labels_and_metadata(path)).collect::<Vec<_>>();
    let before = all();
    let (code, _, said) = scripts.run(&["join.sh"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("identity differs") && said.contains(&other), "{said}");
    assert!(all() == before);
    // Its labels under the name of the right ones.
    let metadata = scripts.shares()[0].join("postdata_metadata.json");
    fs::copy(metadata, share.join("postdata_metadata.json")).unwrap();
    for manifest in [8, 9, 10].map(|file| format!("postmesh_{file}.manifest")) {
        fs::remove_file(share.join(manifest)).unwrap();
    }
    let disguised = all();
    let (code, _, said) = scripts.run(&["join.sh"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("postdata_8.bin") && said.contains("nothing was written"), "{said}");
    assert!(all() == disguised);
}

/// Shares that `postcli` made with `-fromFile` and `-toFile`: metadata, and some of the files.
#[test]
fn shares_of_the_reference_are_joined() {
    let world = World::new();
    let reference = tidy::root().join("tests/vectors/reference-data-dir");
    let metadata = fs::read_to_string(reference.join("postdata_metadata.json")).unwrap();
    let nonce = &json(&metadata)["Nonce"];
    // One of them found no nonce among its labels.
    let other = metadata.replace(&format!("\"Nonce\": {nonce}"), "\"Nonce\": null");
    assert_ne!(other, metadata);
    let mut merge = world.prover(&["merge", "--json"]);
    for (name, files, metadata) in [("b", &[1][..], &metadata), ("a", &[0, 2], &other)] {
        let path = world.path(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("postdata_metadata.json"), metadata).unwrap();
        for file in files.iter().map(|number| format!("postdata_{number}.bin")) {
            fs::copy(reference.join(&file), path.join(&file)).unwrap();
        }
        merge.arg("--data-dir").arg(path);
    }
    let (code, answer, said) = run(merge);
    assert_eq!(code, Some(0), "{answer}{said}");
    assert_eq!(&json(&answer)["vrf_nonce"], nonce);
    assert_eq!(json(&answer)["directories"][1]["files"], "0, 2");
    let mut check = world.prover(&["check"]);
    check.arg("--data-dir").arg(world.path("a")).arg("--data-dir").arg(world.path("b"));
    let (code, answer, said) = run(check);
    assert_eq!(code, Some(0), "{answer}{said}");
    for name in ["a", "b"] {
        let joined = fs::read_to_string(world.path(name).join("postdata_metadata.json")).unwrap();
        assert_eq!(&json(&joined)["Nonce"], nonce);
    }
}
