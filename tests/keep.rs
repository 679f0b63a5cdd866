//! Space given back, brought back, deleted and moved, as people do it: real processes on real
//! filesystems. What a power cut leaves is tested where it is written, in `plot`.

use crate::world::{World, run};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

type Files = BTreeMap<String, Vec<u8>>;

/// Every file of a directory, locks, rates and the lease aside.
fn files(path: &Path) -> Files {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let named = files.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    let aside = [".lock", "_rates.json", "_lease.json"];
    let kept = named.filter(|(name, _)| !aside.iter().any(|ending| name.ends_with(ending)));
    kept.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}

/// Runs a command on `data`: exit code, what it answered, what it said.
fn ask(world: &World, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = world.prover(arguments);
    command.arg("--data-dir").arg(world.path("data"));
    run(command)
}

fn shrink(world: &World, more: &[&str]) -> (Option<i32>, String, String) {
    let network = world.network().display().to_string();
    ask(world, &[&["shrink", "--network", &network], more].concat())
}

fn json(answer: &str) -> Value {
    serde_json::from_str(answer).unwrap_or_else(|_| panic!("{answer}"))
}

fn check(world: &World) -> Option<i32> {
    let network = world.network().display().to_string();
    ask(world, &["check", "--network", &network]).0
}

#[test]
fn a_shrink_is_undone_to_the_byte_and_another_is_purged() {
    let world = World::new();
    world.furnish();
    // A check writes down that it was one.
    assert_eq!(check(&world), Some(0));
    let (data, whole) = (world.path("data"), files(&world.path("data")));
    let (code, answer, said) = shrink(&world, &["--units", "1", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    // 1024 labels in files of 400: the end of 512 cuts through the second.
    let answer = json(&answer);
    assert_eq!((&answer["num_units"], &answer["entry"]), (&1.into(), &1.into()));
    assert!(answer["vrf_nonce"].as_u64().unwrap() < 512);
    let shrunk = files(&data);
    assert_eq!(shrunk["postdata_1.bin"], whole["postdata_1.bin"][..112 * 16]);
    assert!(!shrunk.contains_key("postdata_2.bin"));
    assert_eq!(check(&world), Some(0));
    let (_, info, _) = ask(&world, &["info"]);
    assert!(info.contains("trash            entry 1 (shrink)"), "{info}");
    for units in ["1", "2"] {
        let (code, _, said) = shrink(&world, &["--units", units]);
        assert_eq!(code, Some(2));
        assert!(said.contains("there is nothing to shrink"), "{said}");
    }
    let (code, _, said) = shrink(&world, &["--units", "0"]);
    assert!(code == Some(2) && said.contains("this network allows 1 to 8"), "{said}");

    assert_eq!(ask(&world, &["undo"]).0, Some(0));
    assert_eq!(files(&data), whole);
    let (code, _, said) = ask(&world, &["undo"]);
    assert!(code == Some(2) && said.contains("there is nothing to undo"), "{said}");

    assert_eq!(shrink(&world, &["--units", "1"]).0, Some(0));
    let (code, answer, _) = ask(&world, &["purge"]);
    assert_eq!(code, Some(1));
    assert!(
        answer.contains("postdata_2.bin") && answer.contains("nothing was deleted"),
        "{answer}"
    );
    let (code, answer, _) = ask(&world, &["purge", "--json"]);
    assert_eq!((code, json(&answer)["deleted"].clone()), (Some(1), false.into()));
    assert!(data.join("trash/1/postdata_2.bin").exists());
    assert_eq!(ask(&world, &["purge", "--entry", "7", "--yes"]).0, Some(2));
    assert_eq!(ask(&world, &["purge", "--entry", "1", "--yes"]).0, Some(0));
    assert!(!data.join("trash").exists());
    assert_eq!(files(&data), shrunk);
    assert_eq!(ask(&world, &["undo"]).0, Some(2));
}

#[test]
fn a_set_that_grew_again_is_not_undone_over() {
    let world = World::new();
    let node_id = world.furnish();
    let whole = files(&world.path("data"));
    assert_eq!(shrink(&world, &["--units", "1"]).0, Some(0));
    let mut grow = world.init(&node_id);
    grow.arg("--grow");
    assert_eq!(run(grow).0, Some(0));
    // The same labels, made again.
    let grown = files(&world.path("data"));
    assert_eq!(grown["postdata_1.bin"], whole["postdata_1.bin"]);
    let (code, _, said) = ask(&world, &["undo"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("is in the way") && said.contains("nothing was changed"), "{said}");
    assert_eq!(files(&world.path("data")), grown);
}

#[test]
fn a_wipe_names_what_it_deletes_and_leaves_the_rest() {
    let world = World::new();
    world.furnish();
    let data = world.path("data");
    assert_eq!(shrink(&world, &["--units", "1"]).0, Some(0));
    fs::write(data.join("identity.key"), "mine").unwrap();
    let before = files(&data);
    let (code, answer, _) = ask(&world, &["wipe"]);
    assert_eq!(code, Some(1));
    for name in ["postdata_0.bin", "trash/1/postdata_2.bin", "stays: ", "nothing was deleted"] {
        assert!(answer.contains(name), "{name}: {answer}");
    }
    assert_eq!(files(&data), before);
    // Somebody reads.
    let reader = fs::File::open(data.join("postmesh.lock")).unwrap();
    reader.lock_shared().unwrap();
    for command in [&["wipe", "--yes"][..], &["purge", "--yes"], &["undo"]] {
        let (code, _, said) = ask(&world, command);
        assert!(code == Some(3) && said.contains("is in use"), "{said}");
    }
    assert_eq!(files(&data), before);
    drop(reader);
    assert_eq!(ask(&world, &["wipe", "--yes"]).0, Some(0));
    assert_eq!(files(&data), Files::from([("identity.key".to_owned(), b"mine".to_vec())]));
    assert!(!data.join("trash").exists());
}

/// Moves `data` to a directory; what was answered.
fn move_to(world: &World, to: &Path) -> (Option<i32>, String, String) {
    ask(world, &["move", "--json", "--to", to.to_str().unwrap()])
}

#[test]
fn data_moves_within_a_filesystem() {
    let world = World::new();
    world.furnish();
    let (data, to) = (world.path("data"), world.path("elsewhere/data"));
    let whole = files(&data);
    for bad in [data.clone(), data.join("inside")] {
        let (code, _, said) = move_to(&world, &bad);
        assert!(code == Some(2) && said.contains("cannot be moved"), "{said}");
    }
    let (code, answer, said) = move_to(&world, &to);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(json(&answer)["entry"], Value::Null);
    assert_eq!((files(&to), files(&data)), (whole, Files::new()));
    let (code, _, said) = move_to(&world, &to);
    assert!(code == Some(2) && said.contains("cannot be moved"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn data_moves_to_another_filesystem_and_back_by_undo() {
    let world = World::new();
    world.furnish();
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let (data, to) = (world.path("data"), memory.path().join("data"));
    let whole = files(&data);
    fs::create_dir(&to).unwrap();
    fs::write(to.join("letter.txt"), "dear").unwrap();
    let (code, _, said) = move_to(&world, &to);
    assert!(code == Some(2) && said.contains("it is not empty"), "{said}");
    fs::remove_file(to.join("letter.txt")).unwrap();
    let (code, answer, said) = move_to(&world, &to);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(json(&answer)["entry"], 1);
    assert_eq!((files(&to), files(&data)), (whole.clone(), Files::new()));
    assert_eq!(ask(&world, &["undo"]).0, Some(0));
    assert_eq!((files(&to), files(&data)), (whole.clone(), whole));
}
