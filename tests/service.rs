//! One node and many provers, as real processes: asked at once, killed at any moment, flooded, and
//! left alone. `make test-service` runs the slow ones; who reads which disk when, and which
//! deadline comes first, is also played in virtual time in the prover (`service/jobs/tests.rs`).

use crate::world::{Process, World, run};
use post::NetworkId;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;
use wire::{SpokenVersions, ToNode, encode};

/// The proofs that the node has judged, newest first.
fn history(world: &World) -> Vec<Value> {
    let (code, answer, said) = run(world.node(&["history", "--json"]));
    assert!(code == Some(0) || said.contains("no node has run there yet"), "{code:?}: {said}");
    answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// One node with so many provers, each with data of an identity of its own, all asked at once.
fn provers_beside_one_node(count: usize) {
    let world = World::new();
    let directories = world.furnish_many(count);
    let _provers: Vec<Process> = directories.iter().map(|data| world.serve(&[data])).collect();
    let (code, said) = world.start_node(&["--once"]).wait();
    assert_eq!(code, Some(0), "{said}");
    let records = history(&world);
    let proven: BTreeSet<_> = records.iter().map(|record| record["node_id"].to_string()).collect();
    assert_eq!((records.len(), proven.len()), (count, count));
    assert!(records.iter().all(|record| record["valid"] == true));
}

#[test]
fn four_provers_beside_one_node() {
    provers_beside_one_node(4);
}

#[test]
#[ignore = "make test-service"]
fn one_prover_beside_one_node() {
    provers_beside_one_node(1);
}

#[test]
#[ignore = "make test-service"]
fn sixteen_provers_beside_one_node() {
    provers_beside_one_node(16);
}

/// The lines of a prover, without what stands before the words.
fn words(said: &str) -> impl Iterator<Item = &str> {
    said.lines().filter_map(|line| Some(line.split_once("job ")?.1))
}

/// Four identities in one prover, on one disk: their k2pows and scans overlap, but one reads at a
/// time, and one solves a k2pow at a time.
#[test]
fn identities_on_one_disk_are_never_read_at_the_same_time() {
    let world = World::new();
    let directories = world.furnish_many(4);
    let directories: Vec<&Path> = directories.iter().map(AsRef::as_ref).collect();
    let prover = world.serve(&directories);
    let (code, said) = world.start_node(&["--once"]).wait();
    assert_eq!(code, Some(0), "{said}");
    let said = prover.end();
    let mut at: BTreeMap<&str, &str> = BTreeMap::new();
    let mut scans = 0;
    for line in words(&said) {
        let (job, what) = line.split_once(' ').unwrap();
        match what.split_once(": ") {
            Some(("begins", stage)) => {
                assert!(at.values().all(|other| *other != stage), "{line}, and so is {at:?}");
                scans += usize::from(stage == "scanning labels");
                at.insert(job, stage);
            }
            _ => drop(at.remove(job)),
        }
    }
    assert!(scans >= 4, "{said}");
}

#[test]
fn a_proof_that_was_found_while_the_node_was_away_is_delivered() {
    let world = World::new();
    world.harden(40);
    world.furnish();
    let mut node = world.start_node(&["--once"]);
    let mut prover = world.serve(&[&world.path("data")]);
    prover.wait_for("proving 2 units");
    node.wait_for("asked");
    node.kill();
    prover.wait_for("proof found");
    let (code, said) = world.start_node(&["--once"]).wait();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("still waiting for a proof"), "{said}");
    // Nothing was proven a second time.
    let said = prover.end();
    assert_eq!(said.matches("proving 2 units").count(), 1, "{said}");
}

#[test]
fn a_proof_that_was_found_before_the_prover_was_killed_is_delivered() {
    let world = World::new();
    world.harden(40);
    world.furnish();
    let mut node = world.start_node(&["--once"]);
    let mut prover = world.serve(&[&world.path("data")]);
    prover.wait_for("proving 2 units");
    node.wait_for("asked");
    node.kill();
    prover.wait_for("proof found");
    // It is on disk before anybody is told.
    let agenda = world.path("data/postmesh_agenda.json");
    while !fs::read_to_string(&agenda).unwrap().contains("proved") {
        thread::yield_now();
    }
    prover.kill();
    let prover = world.serve(&[&world.path("data")]);
    let (code, said) = world.start_node(&["--once"]).wait();
    assert_eq!(code, Some(0), "{said}");
    let said = prover.end();
    assert!(!said.contains("proving 2 units"), "{said}");
}

#[test]
fn labels_that_are_missing_are_made_by_the_service_and_then_proven() {
    let world = World::new();
    world.furnish();
    fs::remove_file(world.path("data/postdata_1.bin")).unwrap();
    let mut prover = world.serve(&[&world.path("data")]);
    prover.wait_for("all labels are there");
    let (code, said) = world.start_node(&["--once"]).wait();
    assert_eq!(code, Some(0), "{said}");
    // Without leave they are not made.
    fs::remove_file(world.path("data/postdata_1.bin")).unwrap();
    drop(prover);
    let mut serve = world.prover(&["serve", "--no-fill", "--network"]);
    serve.arg(world.network()).arg("--data-dir").arg(world.path("data"));
    let mut prover = Process::start(serve);
    prover.wait_for("not complete: run init");
    let mut node = world.start_node(&[]);
    node.wait_for("not used: it is not complete");
    assert!(!world.path("data/postdata_1.bin").exists());
}

/// Kills the prover, or the node, at ever later moments of a proof that takes seconds, until one
/// comes through; it must be valid, and asked for once.
fn killed_ever_later(victim_is_node: bool) {
    let world = World::new();
    world.harden(40);
    world.furnish();
    let mut node = world.start_node(&["--once"]);
    let mut prover = world.serve(&[&world.path("data")]);
    let mut kills = 0;
    let mut wait = Duration::from_millis(40);
    loop {
        thread::sleep(wait);
        if !history(&world).is_empty() {
            break;
        }
        if victim_is_node {
            node.kill();
            node = world.start_node(&["--once"]);
        } else {
            prover.kill();
            prover = world.serve(&[&world.path("data")]);
        }
        kills += 1;
        wait += wait / 3;
        assert!(kills < 30, "no proof comes through");
    }
    let (code, said) = node.wait();
    assert!(kills > 3, "it was too quick to be killed");
    assert!(code == Some(0) || victim_is_node, "{code:?}: {said}");
    let records = history(&world);
    assert!(records.len() == 1 && records[0]["valid"] == true, "{records:?}");
}

#[test]
#[ignore = "make test-service"]
fn a_prover_killed_ever_later_proves_in_the_end() {
    killed_ever_later(false);
}

#[test]
#[ignore = "make test-service"]
fn a_node_killed_ever_later_gets_its_proof_in_the_end() {
    killed_ever_later(true);
}

#[test]
fn a_prover_killed_at_each_stage_delivers_one_proof() {
    let world = World::new();
    world.harden(20);
    world.furnish();
    let node = world.start_node(&["--once"]);
    for stage in [
        "control socket",
        "proving 2 units",
        "begins: solving the k2pow",
        "begins: scanning labels",
        "proof found",
    ] {
        let mut prover = world.serve(&[&world.path("data")]);
        prover.wait_for(stage);
        prover.kill();
    }
    let _prover = world.serve(&[&world.path("data")]);
    let (code, said) = node.wait();
    assert_eq!(code, Some(0), "{said}");
    let records = history(&world);
    assert!(records.len() == 1 && records[0]["valid"] == true, "{records:?}");
}

/// What the system says of a process: open descriptors, threads, and resident KiB.
fn footprint(id: u32) -> (usize, u64, u64) {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let number = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let descriptors = fs::read_dir(format!("/proc/{id}/fd")).unwrap().count();
    (descriptors, number("Threads:"), number("VmRSS:"))
}

/// Clock ticks that a process has used of the processor, a hundredth of a second each.
fn ticks(id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
#[ignore = "make test-service"]
fn a_thousand_provers_that_come_and_go_leave_nothing() {
    let world = World::new();
    world.furnish();
    let mut node = world.start_node(&["--every", "1000"]);
    node.wait_for("waiting for provers");
    let network = toml::from_str::<chain::Network>(&fs::read_to_string(world.network()).unwrap());
    let hello = ToNode::Hello {
        versions: SpokenVersions::OURS,
        network: network.map_or(NetworkId([0; 32]), |network| network.id()),
        software: "a visitor".into(),
    };
    let hello = encode(&hello).unwrap();
    let visit = || {
        let mut stream = UnixStream::connect(world.path("run/node.sock")).unwrap();
        stream.write_all(&hello).unwrap();
        let mut welcome = [0; 6];
        stream.read_exact(&mut welcome).unwrap();
    };
    (0..100).for_each(|_| visit());
    let before = footprint(node.id());
    (0..1000).for_each(|_| visit());
    for _ in 0..1100 {
        node.wait_for("a visitor left");
    }
    let after = footprint(node.id());
    println!("descriptors, threads, KiB: {before:?} before 1000 visits, {after:?} after");
    assert!(after.0 <= before.0 + 2 && after.1 <= before.1 + 2, "{before:?} {after:?}");
    assert!(after.2 <= before.2 + 2048, "{before:?} {after:?}");
}

#[test]
#[ignore = "make test-service"]
fn a_flood_of_connections_harms_no_session() {
    let world = World::new();
    world.furnish();
    let mut node = world.start_node(&["--every", "1"]);
    let mut prover = world.serve(&[&world.path("data")]);
    node.wait_for("is VALID");
    let node_id = node.id();
    let mut flood = || {
        let flood: Vec<_> = (0..500)
            .filter_map(|_| UnixStream::connect(world.path("run/node.sock")).ok())
            .collect();
        // Half of them say something that takes its time.
        for mut stream in flood.iter().step_by(2) {
            let _ = stream.write_all(&[200, 0, 0]);
        }
        node.wait_for("is VALID");
    };
    let first = footprint(node_id);
    // The first seconds leave buffers behind, and whatever the allocator keeps. Then no more may
    // come: what leaks, leaks for ever.
    (0..10).for_each(|_| flood());
    let before = footprint(node_id);
    (0..10).for_each(|_| flood());
    let after = footprint(node_id);
    println!(
        "descriptors, threads, KiB: {first:?}, {before:?} after 5,000, {after:?} after 10,000"
    );
    assert!(after.0 <= first.0 + 100 && before.2 <= first.2 + 32 * 1024, "{first:?} {before:?}");
    assert!(after.2 <= before.2 + 4 * 1024, "{before:?} {after:?}");
    prover.wait_for("proof found");
    assert!(!prover.end().contains("gone"));
}

#[test]
#[ignore = "make test-service"]
fn a_prover_without_work_costs_nothing() {
    let world = World::new();
    world.furnish();
    let mut node = world.start_node(&["--every", "1000"]);
    let mut prover = world.serve(&[&world.path("data")]);
    node.wait_for("is VALID");
    prover.wait_for("proof found");
    let second = Duration::from_secs(1);
    thread::sleep(2 * second);
    let (id, begun) = (prover.id(), ticks(prover.id()));
    thread::sleep(30 * second);
    let (used, (_, _, kib)) = (ticks(id) - begun, footprint(id));
    println!("idle for 30 s: {used} ticks of 10 ms, {kib} KiB resident");
    // A tenth of a percent of 30 seconds is 3 ticks.
    assert!(used <= 3, "{used} ticks");
    assert!(kib <= 30 * 1024, "{kib} KiB");
}
