//! Keys at rest: processes that encrypt and decrypt them, are killed at it, and need them.

use crate::world::{Process, World, run, text};
use std::fs;
use std::process::{Command, Stdio};

/// How often a process is killed while it replaces a key.
const KILLS: u32 = 12;

fn with_passphrase(world: &World, arguments: &[&str], passphrase: &str) -> Command {
    let path = world.path(&format!("passphrase-{passphrase}"));
    fs::write(&path, passphrase).unwrap();
    let mut command = world.node(arguments);
    command.arg("--passphrase-file").arg(path);
    command
}

fn created(world: &World) -> String {
    let (code, node_id, said) = run(world.node(&["identity", "create"]));
    assert_eq!(code, Some(0), "{said}");
    node_id.trim().to_owned()
}

#[test]
fn an_encrypted_key_is_opened_by_its_passphrase_only() {
    let world = World::new();
    let node_id = created(&world);
    let plain = fs::read_to_string(world.path("home/identity.key")).unwrap();
    let (code, _, said) = run(with_passphrase(&world, &["identity", "encrypt"], "right"));
    assert_eq!(code, Some(0), "{said}");
    let sealed = fs::read_to_string(world.path("home/identity.key")).unwrap();
    assert!(!sealed.contains(&plain[..64]));
    // Whose it is, everyone may know.
    let (code, shown, _) = run(world.node(&["identity", "show"]));
    assert_eq!((code, shown.trim()), (Some(0), node_id.as_str()));
    let (_, listed, _) = run(world.node(&["identity", "list", "--json"]));
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let expected = serde_json::json!({ "name": "default", "node_id": node_id, "encrypted": true });
    assert_eq!(listed, expected);
    let (code, _, said) = run(with_passphrase(&world, &["identity", "decrypt"], "wrong"));
    assert_eq!(code, Some(3));
    assert!(said.contains("the passphrase is wrong"), "{said}");
    let (code, _, said) = run(world.node(&["identity", "decrypt"]));
    assert_eq!(code, Some(2));
    assert!(said.contains("--passphrase-file") && said.contains("LoadCredential"), "{said}");
    // A copy is what it was made of, and says so.
    let copy = world.path("copy");
    let (code, _, said) = run(world.node(&["identity", "export", copy.to_str().unwrap()]));
    assert!(code == Some(0) && said.contains("the same passphrase opens the copy"), "{said}");
    assert_eq!(fs::read_to_string(copy).unwrap(), sealed);
    assert_eq!(run(with_passphrase(&world, &["identity", "decrypt"], "right")).0, Some(0));
    assert_eq!(fs::read_to_string(world.path("home/identity.key")).unwrap(), plain);
}

#[test]
fn a_node_with_an_encrypted_key_runs_with_its_passphrase_and_says_what_to_do_without() {
    let world = World::new();
    created(&world);
    run(with_passphrase(&world, &["identity", "encrypt"], "right"));
    let network = world.network();
    let arguments = ["run", "--network", network.to_str().unwrap()];
    let (code, _, said) = run(world.node(&arguments));
    assert_eq!(code, Some(2));
    let words = ["identity default is encrypted", "POSTMESH_PASSPHRASE_FILE"];
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    let (code, _, said) = run(with_passphrase(&world, &arguments, "wrong"));
    assert_eq!(code, Some(3));
    assert!(said.contains("the passphrase is wrong"), "{said}");
    let mut command = world.node(&arguments);
    command.env("POSTMESH_PASSPHRASE_FILE", world.path("passphrase-right"));
    Process::start(command).wait_for("waiting for provers");
}

/// Killed at some moment between the first byte of the new file and the end, again and again, a
/// process leaves one whole key, which is the same.
#[test]
fn a_process_that_is_killed_while_it_replaces_a_key_leaves_the_key() {
    let world = World::new();
    let node_id = created(&world);
    let key = world.path("home/identity.key");
    let temporary = world.path("home/identity.key.tmp");
    for kill in 0..KILLS {
        let encrypted = fs::read_to_string(&key).unwrap().starts_with('{');
        let change = if encrypted { "decrypt" } else { "encrypt" };
        let mut command = with_passphrase(&world, &["identity", change], "right");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        // Until it begins, or has ended before anybody saw it begin; then a little more or less.
        while !temporary.exists() && child.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        for _ in 0..kill * 2000 {
            std::hint::spin_loop();
        }
        let _ = child.kill();
        child.wait().unwrap();
        let (code, shown, said) = run(world.node(&["identity", "show"]));
        assert_eq!((code, shown.trim()), (Some(0), node_id.as_str()), "{said}");
    }
    // What a killed process left is no obstacle, and the key is still the one that it was.
    if fs::read_to_string(&key).unwrap().starts_with('{') {
        let output = with_passphrase(&world, &["identity", "decrypt"], "right").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    } else {
        assert_eq!(run(with_passphrase(&world, &["identity", "encrypt"], "right")).0, Some(0));
        assert_eq!(run(with_passphrase(&world, &["identity", "decrypt"], "right")).0, Some(0));
    }
    assert!(!temporary.exists());
    let (code, shown, _) = run(world.node(&["identity", "show"]));
    assert_eq!((code, shown.trim()), (Some(0), node_id.as_str()));
}
