//! Node and prover on different hosts, as far as one machine can be two: real processes that find
//! each other by QUIC on the loopback, each with a home of its own.

use crate::world::{Process, World, run};
use std::process::Command;

/// A node that listens for other hosts, and its address.
fn listening(world: &World, arguments: &[&str]) -> (Process, String) {
    let mut node = world.start_node(&[&["--listen", "127.0.0.1:0"], arguments].concat());
    let line = node.wait_for("waiting for provers on other hosts on ");
    let address = line.split(" on ").last().unwrap().split(' ').next().unwrap();
    (node, address.to_owned())
}

fn invited(world: &World) -> String {
    let (code, answer, said) = run(world.node(&["prover", "invite"]));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("postmesh-prover pair"), "{said}");
    answer.trim().to_owned()
}

/// A command of the prover, on the host `host`.
fn on(world: &World, host: &str, arguments: &[&str]) -> Command {
    let mut command = world.prover(arguments);
    command.env("POSTMESH_PROVER_HOME", world.path(host));
    command
}

fn serving(world: &World, host: &str, address: &str) -> Process {
    let mut command = on(world, host, &["serve", "--randomx", "light", "--node", address]);
    command.arg("--network").arg(world.network()).arg("--data-dir").arg(world.path("data"));
    Process::start(command)
}

#[test]
fn a_prover_is_invited_serves_and_is_removed() {
    let world = World::new();
    world.furnish();
    let (mut node, address) = listening(&world, &["--every", "1"]);
    let code = invited(&world);
    let pair = ["pair", &address, &code, "--name", "attic"];
    let (exit, answer, said) = run(on(&world, "there", &pair));
    assert_eq!(exit, Some(0), "{said}");
    assert!(answer.contains("which calls this prover attic"), "{answer}");
    // A code is good once; a second prover is told why, and how to go on.
    let (exit, _, said) = run(on(&world, "elsewhere", &pair));
    assert_eq!(exit, Some(3));
    assert!(said.contains("postmesh-node prover invite"), "{said}");

    let mut prover = serving(&world, "there", &address);
    node.wait_for("attic (postmesh-prover");
    node.wait_for("proof 0 is VALID");
    let (exit, answer, _) = run(world.node(&["prover", "list"]));
    assert!(exit == Some(0) && answer.starts_with("attic  paired"), "{answer}");

    // What is not known is not changed.
    let (exit, _, said) = run(world.node(&["prover", "remove", "cellar"]));
    assert!(exit == Some(2) && said.contains("no prover is called cellar"), "{said}");
    let (exit, _, said) = run(world.node(&["prover", "rename", "attic", "loft"]));
    assert_eq!(exit, Some(0), "{said}");
    let (exit, _, said) = run(world.node(&["prover", "remove", "loft"]));
    assert_eq!(exit, Some(0), "{said}");
    prover.wait_for("the node does not know this prover (any more): pair again");
    let (exit, said) = prover.wait();
    assert_eq!(exit, Some(3), "{said}");
}

#[test]
fn a_node_that_comes_back_is_served_again_and_another_in_its_place_is_not() {
    let world = World::new();
    world.furnish();
    let (node, address) = listening(&world, &["--every", "1"]);
    let code = invited(&world);
    let (exit, _, said) = run(on(&world, "there", &["pair", &address, &code, "--name", "attic"]));
    assert_eq!(exit, Some(0), "{said}");
    let mut prover = serving(&world, "there", &address);
    node.kill();
    // Another node, with a key of its own, listens in its place.
    let other = World::new();
    other.furnish();
    let mut imposter = other.start_node(&["--listen", &address]);
    imposter.wait_for("waiting for provers on other hosts");
    prover.wait_for("is not the node that was paired: its key is another");
    imposter.kill();
    let mut node = world.start_node(&["--every", "1", "--listen", &address]);
    node.wait_for("attic (postmesh-prover");
    node.wait_for("is VALID");
}

#[test]
fn what_cannot_be_paired_is_told_why() {
    let world = World::new();
    world.furnish();
    let code = invited(&world);
    let other = if code.starts_with('0') { "1" } else { "0" };
    let mistyped = format!("{other}{}", &code[1..]);
    let there = |arguments: &[&str]| run(on(&world, "there", arguments));
    let (exit, _, said) = there(&["pair", "127.0.0.1:1", &mistyped]);
    assert!(exit == Some(2) && said.contains("mistyped"), "{said}");
    let (exit, _, said) = there(&["pair", "127.0.0.1:1", "no code"]);
    assert!(exit == Some(2) && said.contains("55 letters and digits"), "{said}");
    let (exit, _, said) = there(&["pair", "127.0.0.1", &code]);
    assert!(exit == Some(3) && said.contains("HOST:PORT"), "{said}");
    let (exit, _, said) = there(&["serve", "--node", "127.0.0.1:1", "--data-dir", "x"]);
    assert!(exit == Some(2) || exit == Some(3), "{said}");
    let data = world.path("data");
    let mut serve = on(&world, "there", &["serve", "--node", "127.0.0.1:1", "--data-dir"]);
    serve.arg(data).arg("--network").arg(world.network());
    let (exit, _, said) = run(serve);
    assert!(exit == Some(2) && said.contains("postmesh-prover pair 127.0.0.1:1 CODE"), "{said}");
}
