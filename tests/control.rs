//! A prover as a service manager runs it: started by its file, looked at and stopped, with several
//! on one host that know nothing of each other.

use crate::world::{Process, World, run};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

#[test]
fn provers_need_no_flags_are_found_and_stop_in_order() {
    let world = World::new();
    let (code, _, said) = run(world.init(&"84".repeat(32)));
    assert_eq!(code, Some(0), "{said}");
    let directory = world.path("config/postmesh");
    fs::create_dir_all(&directory).unwrap();
    let (data, network) = (world.path("data"), world.network());
    let file = format!("data-dir = {data:?}\nnetwork = {network:?}\nhttp = \"127.0.0.1:0\"\n");
    fs::write(directory.join("prover.toml"), file).unwrap();
    let manager = UnixDatagram::bind(world.path("manager")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut heard = Vec::new();
    let start = || {
        let mut command = world.prover(&["serve", "--device", "cpu"]);
        command.env("NOTIFY_SOCKET", world.path("manager"));
        Process::start(command)
    };
    let mut first = start();
    hear(&manager, &mut heard, "READY=1");
    let mut others = [start(), start()];
    for prover in &mut others {
        prover.wait_for("status and metrics: http://127.0.0.1:");
    }
    let line = first.wait_for("control socket");
    let socket = line.rsplit(' ').next().unwrap().to_owned();
    let shown = status(&world);
    let pids: BTreeSet<u64> = shown.iter().filter_map(|p| p["status"]["pid"].as_u64()).collect();
    assert_eq!((shown.len(), pids.len()), (3, 3), "{shown:?}");
    let ours = shown.iter().find(|prover| prover["control"] == socket.as_str()).unwrap();
    assert_eq!(ours["status"]["sets"][0]["num_units"], 2);
    let (code, said, _) = run(world.prover(&["status", "--control", &socket]));
    assert!(code == Some(0) && said.contains("2 units"), "{said}");
    let pid = ours["status"]["pid"].to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let (code, said) = first.wait();
    assert_eq!(code, Some(0), "{said}");
    hear(&manager, &mut heard, "STOPPING=1");
    assert!(!fs::exists(&socket).unwrap());
    assert_eq!(status(&world).len(), 2);
    // Killed ones leave their sockets behind, which nobody takes for provers.
    others.into_iter().for_each(Process::kill);
    let (code, _, said) = run(world.prover(&["status"]));
    assert!(code == Some(3) && said.contains("no prover of this user runs here"), "{said}");
}

#[test]
fn what_a_file_says_wrong_is_told_before_anything_is_done() {
    let world = World::new();
    let file = world.path("prover.toml");
    fs::write(&file, "data-dir = \"data\"\nnoncse = 64\n").unwrap();
    let mut command = world.prover(&["serve", "--config"]);
    command.arg(&file);
    let (code, _, said) = run(command);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&format!("{}:2: unknown key `noncse`", file.display())), "{said}");
    let (code, _, said) = run(world.prover(&["top"]));
    assert!(code == Some(3) && said.contains("this is no terminal"), "{said}");
}

fn status(world: &World) -> Vec<Value> {
    let (code, shown, said) = run(world.prover(&["status", "--json"]));
    assert_eq!(code, Some(0), "{said}");
    serde_json::from_str(&shown).unwrap()
}

/// Waits until a service manager is told something; what came before is kept.
fn hear(manager: &UnixDatagram, heard: &mut Vec<String>, what: &str) {
    let mut bytes = [0; 4096];
    while !heard.iter().any(|line| line == what) {
        let count = manager.recv(&mut bytes).unwrap();
        heard.extend(String::from_utf8_lossy(&bytes[..count]).lines().map(str::to_owned));
    }
}
