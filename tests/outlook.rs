//! "Will I make it?" asked of real processes: a rehearsal, what a service foresees from it, and the
//! lease that warns of another host.

use crate::world::{Process, World, run};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The same way of working in all commands: rates belong to one.
const WAY: [&str; 6] = ["--device", "cpu", "--threads", "1", "--randomx", "light"];

fn command(world: &World, name: &str, more: &[&str]) -> Command {
    let mut command = world.prover(&[name]);
    command.args(WAY).args(more).arg("--network").arg(world.network());
    command.arg("--data-dir").arg(world.path("data"));
    command
}

/// What the only service of a world says, as soon as it says this.
fn status(world: &World, says: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let (code, shown, said) = run(world.prover(&["status", "--json"]));
        assert_eq!(code, Some(0), "{said}");
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let shown = &shown[0]["status"];
        if says(shown) {
            return shown.clone();
        }
        assert!(Instant::now() < end, "{shown}");
    }
}

#[test]
fn a_rehearsal_says_how_long_proofs_take_and_a_service_knows_it_then() {
    let world = World::new();
    let (code, _, said) = run(world.init(&"84".repeat(32)));
    assert_eq!(code, Some(0), "{said}");
    let before = world.data();
    let (code, verdict, said) = run(command(&world, "rehearse", &["--window", "12h", "--json"]));
    assert_eq!(code, Some(0), "{said}");
    let verdict: Value = serde_json::from_str(&verdict).unwrap();
    assert_eq!((&verdict["valid"], &verdict["soon_enough"]), (&json!(true), &json!(true)));
    let number = |value: &Value| value.as_f64().unwrap();
    let stages = number(&verdict["stages"]["k2pow"]) + number(&verdict["stages"]["scan"]);
    assert!(stages > 0.0 && stages <= number(&verdict["seconds"]), "{verdict}");
    let margin = number(&verdict["margin_seconds"]);
    let most = number(&verdict["outlook"]["most_seconds"]);
    assert!((margin + most - 43_200.0).abs() < 1e-6 && margin > 43_000.0, "{verdict}");
    for rate in ["disk_bytes_per_second", "scan_bytes_per_second", "hashes_per_second"] {
        assert!(number(&verdict["measured"][rate]) > 0.0, "{verdict}");
    }
    // It leaves what was measured, and nothing else.
    assert!(world.path("data/postmesh_rates.json").exists());
    assert!(!world.path("data/postmesh_proof_0.journal").exists());
    assert_eq!(world.data(), before);
    // A service knows from the beginning what to expect, and says so of each device.
    let mut prover = Process::start(command(&world, "serve", &[]));
    prover.wait_for("control socket");
    let shown = status(&world, |shown| shown["sets"][0].is_object());
    let set = &shown["sets"][0];
    let expected = number(&set["outlook"]["expected_seconds"]);
    assert!((expected - number(&verdict["outlook"]["expected_seconds"])).abs() < 1e-6, "{set}");
    let settings = set["settings"].as_str().unwrap();
    assert!(settings.contains("the best by what was measured here"), "{settings}");
    assert_eq!((&set["outlook"]["in_time"], &set["alarm"]), (&Value::Null, &Value::Null));
    assert_eq!(
        (&shown["devices"][0]["name"], shown["devices"][1].is_null()),
        (&json!("cpu"), true)
    );
    // And so does a proof.
    let challenge = "11".repeat(32);
    let (code, _, said) = run(command(&world, "prove", &["--challenge", &challenge]));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(settings.split_once(" a pass").unwrap().0), "{said}");
    assert!(said.contains("the best by what was measured here"), "{said}");
}

#[test]
fn a_service_counts_the_labels_of_each_device() {
    let world = World::new();
    world.furnish();
    fs::remove_file(world.path("data/postdata_1.bin")).unwrap();
    let mut prover = Process::start(command(&world, "serve", &[]));
    prover.wait_for("all labels are there");
    // The file holds 400 labels; more may be made for the VRF nonce.
    let made = |shown: &Value| shown["devices"][0]["labels_made"].as_u64() >= Some(400);
    let shown = status(&world, |shown| made(shown) && shown["sets"][0]["complete"] == true);
    assert_eq!(shown["devices"][0]["why_not"], Value::Null);
    let settings = shown["sets"][0]["settings"].as_str().unwrap();
    assert!(settings.starts_with("128 nonces a pass, since nothing was measured"), "{settings}");
}

#[test]
fn a_rehearsal_gives_way_to_a_proof_that_somebody_waits_for() {
    let world = World::new();
    let (code, _, said) = run(world.init(&"84".repeat(32)));
    assert_eq!(code, Some(0), "{said}");
    let lock = |name: &str| {
        let lock = File::create(world.path("data").join(name)).unwrap();
        lock.lock().unwrap();
        lock
    };
    let proof = lock("postmesh_proof.lock");
    let (code, _, said) = run(command(&world, "rehearse", &[]));
    assert!(code == Some(3) && said.contains("rehearse when it is done"), "{said}");
    drop(proof);
    let _init = lock("postmesh.lock");
    let (code, _, said) = run(command(&world, "rehearse", &[]));
    assert!(code == Some(3) && said.contains("in use"), "{said}");
    let (code, _, said) = run(command(&world, "rehearse", &["--window", "soon"]));
    assert!(code == Some(2) && said.contains("such as 43200, 90min or 12h"), "{said}");
}

#[test]
fn another_host_that_uses_the_data_is_told_of_and_nobody_is_kept_from_work() {
    let world = World::new();
    let (code, _, said) = run(world.init(&"84".repeat(32)));
    assert_eq!(code, Some(0), "{said}");
    let note = |every: Value| {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let note = json!({
            "version": 1, "host": "cellar", "host_id": "another", "pid": 7, "session": "a",
            "counter": 3, "at": at, "every": every,
        });
        fs::write(world.path("data/postmesh_lease.json"), note.to_string()).unwrap();
    };
    let challenge = "11".repeat(32);
    note(json!(3600));
    let (code, _, said) = run(command(&world, "prove", &["--challenge", &challenge]));
    assert!(code == Some(0) && said.contains("ANOTHER HOST, cellar"), "{said}");
    note(json!(3600));
    let mut prover = Process::start(command(&world, "serve", &[]));
    prover.wait_for("control socket");
    prover.wait_for("ANOTHER HOST, cellar, USES THIS DATA");
    status(&world, |shown| shown["sets"][0]["other_host"] == "cellar");
    let id = prover.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let (code, said) = prover.wait();
    assert_eq!(code, Some(0), "{said}");
    // It has left, and comes again: the same host is told nothing.
    let left: Value =
        serde_json::from_slice(&fs::read(world.path("data/postmesh_lease.json")).unwrap()).unwrap();
    assert_eq!(left["every"], Value::Null);
    let mut prover = Process::start(command(&world, "serve", &[]));
    prover.wait_for("control socket");
    let known = || fs::read_to_string(world.path("data/postmesh_lease.json")).unwrap();
    while !known().contains("\"every\":3600") {
        std::thread::yield_now();
    }
    // Killed, so that nothing is said at the end; and again, as after a crash.
    prover.kill();
    let (code, _, said) = run(command(&world, "prove", &["--challenge", &challenge]));
    assert!(code == Some(0) && !said.contains("HOST") && !said.contains("last used"), "{said}");
    assert!(known().contains("\"every\":3600"), "the note of who may still be there is put back");
    // Who left long ago is told of, and no more.
    note(Value::Null);
    let (code, _, said) = run(command(&world, "prove", &["--challenge", &challenge]));
    assert!(code == Some(0) && said.contains("last used by the host cellar"), "{said}");
}
