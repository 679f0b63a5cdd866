//! Node and prover as people run them: real processes, a real socket, real files, and what goes
//! wrong in life. Each fault must give a clear word and change no data.

use crate::vectors;
use crate::world::{Process, World, run};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn a_proof_is_asked_for_judged_and_remembered_over_restarts() {
    let world = World::new();
    let node_id = world.furnish();
    let _prover = world.start_prover(&world.network());
    for number in 0..2 {
        let (code, said) = world.start_node(&["--once"]).wait();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&format!("proof {number} is VALID")), "{said}");
    }
    let (code, answer, _) = run(world.node(&["history", "--json"]));
    assert_eq!(code, Some(0));
    let records: Vec<Value> = answer.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(records.len(), 2);
    for (record, number) in records.iter().zip([1, 0]) {
        assert_eq!(record["number"], number);
        assert_eq!(record["valid"], true);
        assert_eq!(record["node_id"], node_id);
        assert_eq!(record["num_units"], 2);
    }
    assert_ne!(records[0]["challenge"], records[1]["challenge"]);
}

#[test]
fn a_prover_killed_while_proving_is_asked_again_when_it_is_back() {
    let world = World::new();
    world.furnish();
    let before = world.data();
    let mut node = world.start_node(&["--once"]);
    let mut prover = world.start_prover(&world.endless_network());
    prover.wait_for("proving 2 units");
    node.wait_for("solving the k2pow");
    prover.kill();
    node.wait_for("went away while proving");
    let _prover = world.start_prover(&world.network());
    let (code, said) = node.wait();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(world.data(), before);
}

#[test]
fn a_prover_waits_for_a_node_that_is_killed() {
    let world = World::new();
    world.furnish();
    let mut prover = world.start_prover(&world.endless_network());
    prover.wait_for("waiting for a node");
    let mut node = world.start_node(&[]);
    node.wait_for("solving the k2pow");
    node.kill();
    prover.wait_for("the node is gone");
    // Its socket file is left behind, and must not stop the next one.
    assert!(world.path("run/node.sock").exists());
    // It asks for the same proof again, which is still being made.
    let mut node = world.start_node(&[]);
    node.wait_for("solving the k2pow");
}

#[test]
fn another_network_is_refused_on_both_sides() {
    let world = World::new();
    world.furnish();
    let mut node = world.start_node(&[]);
    node.wait_for("waiting for provers");
    let (code, said) = world.start_prover(Path::new("standalone")).wait();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("the node is on network") && said.contains("--network"), "{said}");
    node.wait_for("refused postmesh-prover");
}

#[test]
fn a_socket_that_is_taken_is_left_to_its_owner() {
    let world = World::new();
    world.furnish();
    let mut first = world.start_node(&[]);
    first.wait_for("waiting for provers");
    // A second node with a home of its own, so that only the socket is contested.
    let key = world.path("home/identity.key");
    fs::create_dir(world.path("other")).unwrap();
    fs::copy(key, world.path("other/identity.key")).unwrap();
    let second = || {
        let mut command = world.node(&["run", "--home"]);
        command.arg(world.path("other")).arg("--network").arg(world.network());
        Process::start(command).wait()
    };
    let (code, said) = second();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("another program listens on"), "{said}");
    first.kill();
    let socket = world.path("run/node.sock");
    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "a letter").unwrap();
    let (code, said) = second();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("is not a socket"), "{said}");
    assert_eq!(fs::read(&socket).unwrap(), b"a letter");
}

#[test]
fn garbage_on_the_socket_harms_nobody() {
    let world = World::new();
    world.furnish();
    let mut node = world.start_node(&["--once"]);
    node.wait_for("waiting for provers");
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 100_000], &[2, 0, 0, 0, 9, 9], b"\0"] {
        let mut stream = UnixStream::connect(world.path("run/node.sock")).unwrap();
        // The node may close before all is written.
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer, b"");
        node.wait_for("a stranger left");
    }
    let _prover = world.start_prover(&world.network());
    let (code, said) = node.wait();
    assert_eq!(code, Some(0), "{said}");
}

/// What `prove` says of the data in `data`.
fn prove(world: &World, more: &[&str]) -> (Option<i32>, String, String) {
    let mut command = world.prover(&["prove", "--challenge", &"11".repeat(32), "--json"]);
    command.arg("--data-dir").arg(world.path("data")).arg("--network").arg(world.network());
    command.args(more);
    run(command)
}

/// The bad ranges that `check` finds in `data`, and its exit code.
fn check(world: &World, more: &[&str]) -> (Option<i32>, Vec<Value>) {
    let mut command = world.prover(&["check", "--json"]);
    command.arg("--data-dir").arg(world.path("data")).arg("--network").arg(world.network());
    command.args(more);
    let (code, answer, said) = run(command);
    let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{said}"));
    (code, answer["bad"].as_array().unwrap().clone())
}

#[test]
fn a_truncated_file_is_named_and_filled_again() {
    let world = World::new();
    let node_id = world.furnish();
    let whole = world.data();
    let file = fs::OpenOptions::new().write(true).open(world.path("data/postdata_1.bin")).unwrap();
    file.set_len(1000).unwrap();
    let cut = world.data();
    let (code, _, said) = prove(&world, &[]);
    // What is left may have a proof or not; it costs no more than its labels.
    assert!(matches!(code, Some(0 | 1)), "{said}");
    assert!(said.contains("postdata_1.bin has 1000 bytes instead of 6400"), "{said}");
    let (code, bad) = check(&world, &[]);
    assert_eq!((code, bad.len()), (Some(1), 1));
    assert_eq!(
        (&bad[0]["first"], &bad[0]["last"], &bad[0]["why"]),
        (&462.into(), &799.into(), &"missing".into())
    );
    assert_eq!(world.data(), cut);
    assert_eq!(run(world.init(&node_id)).0, Some(0));
    assert_eq!(world.data(), whole);
}

#[test]
fn a_missing_file_is_named_and_made_again_and_costs_its_own_labels_only() {
    let world = World::new();
    let node_id = world.furnish();
    let whole = world.data();
    fs::remove_file(world.path("data/postdata_0.bin")).unwrap();
    let without = world.data();
    let (code, _, said) = prove(&world, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("postdata_0.bin is missing"), "{said}");
    assert!(said.contains("624 of 1024 labels (60.938 %) are there"), "{said}");
    let mut prover = world.start_prover(&world.network());
    prover.wait_for("not complete");
    let mut node = world.start_node(&[]);
    node.wait_for("is not used: it is not complete");
    assert_eq!(world.data(), without);
    drop(prover);
    assert_eq!(run(world.init(&node_id)).0, Some(0));
    assert_eq!(world.data(), whole);
}

#[test]
fn wrong_labels_are_all_listed_and_never_proven_to_the_node() {
    let world = World::new();
    let node_id = world.furnish();
    let path = world.path("data/postdata_0.bin");
    let mut bytes = fs::read(&path).unwrap();
    for label in [3, 4, 5, 100, 399] {
        bytes[label * 16 + 7] ^= 1;
    }
    fs::write(&path, &bytes).unwrap();
    let (code, bad) = check(&world, &[]);
    assert_eq!(code, Some(1));
    let ranges: Vec<_> =
        bad.iter().map(|range| (range["first"].as_u64(), range["last"].as_u64())).collect();
    assert_eq!(ranges, [(3, 5), (100, 100), (399, 399)].map(|(a, b)| (Some(a), Some(b))));
    // All of it wrong: no proof comes out, and nothing is overwritten.
    for name in ["postdata_0.bin", "postdata_1.bin", "postdata_2.bin"] {
        let path = world.path("data").join(name);
        let wrong: Vec<u8> = fs::read(&path).unwrap().iter().map(|byte| byte ^ 1).collect();
        fs::write(&path, wrong).unwrap();
    }
    let before = world.data();
    let (code, answer, said) = prove(&world, &[]);
    assert_eq!((code, answer.as_str()), (Some(3), ""), "{said}");
    assert!(said.contains("Run `check`"), "{said}");
    fs::remove_file(world.path("data/postdata_2.bin")).unwrap();
    let (code, _, said) = run(world.init(&node_id));
    assert_eq!(code, Some(2));
    assert!(said.contains("nothing was written"), "{said}");
    fs::write(world.path("data/postdata_2.bin"), &before["postdata_2.bin"]).unwrap();
    assert_eq!(world.data(), before);
}

#[test]
fn data_of_another_identity_is_named_and_not_touched() {
    let world = World::new();
    let node_id = world.furnish();
    let before = world.data();
    let other = "ab".repeat(32);
    let (code, _, said) = run(world.init(&other));
    assert_eq!(code, Some(2));
    assert!(
        said.contains(&node_id) && said.contains(&other) && said.contains("nothing was changed"),
        "{said}"
    );
    // The node has another identity than the data.
    fs::remove_file(world.path("home/identity.key")).unwrap();
    assert_eq!(run(world.node(&["identity", "create"])).0, Some(0));
    let mut node = world.start_node(&[]);
    let _prover = world.start_prover(&world.network());
    let told = node.wait_for("is not used: it belongs to");
    assert!(told.contains(&node_id), "{told}");
    assert_eq!(world.data(), before);
}

#[test]
fn two_processes_do_not_write_one_directory() {
    let world = World::new();
    let node_id = world.furnish();
    let lock = fs::File::open(world.path("data/postmesh.lock")).unwrap();
    lock.lock().unwrap();
    let (code, _, said) = run(world.init(&node_id));
    assert_eq!(code, Some(3));
    assert!(said.contains("in use by another postmesh process"), "{said}");
    assert_eq!(prove(&world, &[]).0, Some(3));
}

#[test]
fn a_proof_is_the_same_with_any_number_of_threads_and_its_verdict_exact() {
    let world = World::new();
    world.furnish();
    let (code, proof, said) = prove(&world, &["--threads", "1"]);
    assert_eq!(code, Some(0), "{said}");
    for threads in ["2", "5"] {
        assert_eq!(prove(&world, &["--threads", threads]).1, proof);
    }
    let file = world.path("proof.json");
    let verify = |text: &str, more: &[&str]| {
        fs::write(&file, text).unwrap();
        let mut command = world.prover(&["verify", "--json"]);
        command.arg("--proof").arg(&file).arg("--network").arg(world.network()).args(more);
        let (code, answer, _) = run(command);
        (code, serde_json::from_str::<Value>(&answer).unwrap_or_default()["reason"].to_string())
    };
    assert_eq!(verify(&proof, &[]), (Some(0), "null".to_owned()));
    assert_eq!(verify(&proof, &["--k3", "3", "--seed", "00ff"]), (Some(0), "null".to_owned()));
    let parsed: Value = serde_json::from_str(&proof).unwrap();
    let nonce = format!("\"nonce\":{}", parsed["nonce"]);
    let (code, reason) = verify(&proof.replace(&nonce, "\"nonce\":5000"), &[]);
    assert!(code == Some(1) && reason.contains("beyond the last"), "{reason}");
    let (code, reason) = verify("{}", &[]);
    assert!(code == Some(1) && reason.contains("not a proof"), "{reason}");
    let (code, reason) = verify(&proof, &["--pow-difficulty", &"00".repeat(32)]);
    assert!(code == Some(1) && reason.contains("difficulty"), "{reason}");
}

#[test]
fn wrong_usage_is_told_from_what_could_not_be() {
    let world = World::new();
    let node_id = world.furnish();
    let none = world.path("nothing").to_str().unwrap().to_owned();
    let data = world.path("data").to_str().unwrap().to_owned();
    let challenge = "11".repeat(32);
    let codes = |mut command: Command, expected, words: &str| {
        let shown = format!("{command:?}");
        let (code, _, said) = run({
            command.env("NO_COLOR", "1");
            command
        });
        assert_eq!(code, Some(expected), "{shown}: {said}");
        assert!(said.contains(words), "{shown}: {said}");
    };
    codes(world.prover(&["prove"]), 2, "--data-dir");
    codes(world.prover(&["prove", "--data-dir", &data, "--challenge", "xyz"]), 2, "hexadecimal");
    let odd = ["prove", "--data-dir", &data, "--challenge", &challenge, "--nonces", "17"];
    codes(world.prover(&odd), 2, "multiple of 16");
    codes(world.prover(&["check", "--data-dir", &data, "--fraction", "0"]), 2, "--fraction");
    codes(world.prover(&["check", "--data-dir", &data, "--scrypt-n", "4"]), 2, "N = 2");
    codes(world.prover(&["check", "--data-dir", &data, "--scrypt-n", "5"]), 2, "power of two");
    codes(world.prover(&["check", "--data-dir", &none]), 3, "holds no PoST data");
    codes(world.prover(&["info", "--data-dir", &none]), 3, "holds no PoST data");
    let mut units = world.init(&node_id);
    units.args(["--units", "3"]);
    codes(units, 2, "");
    codes(world.node(&["run", "--network", "nowhere"]), 2, "mainnet");
    codes(world.node(&["identity", "create"]), 2, "never overwritten");
    codes(world.node(&["identity", "import", &none]), 3, "cannot read the key");
    assert!(!Path::new(&none).exists());
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error_and_one_that_nobody_reads_is_none() {
    let world = World::new();
    let commands = || {
        let mut network = world.node(&["network", "show", "devnet"]);
        network.stderr(Stdio::null());
        let mut completions = world.prover(&["completions", "bash"]);
        completions.stderr(Stdio::null());
        [network, completions]
    };
    for mut command in commands() {
        command.stdout(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        assert_eq!(command.status().unwrap().code(), Some(3), "{command:?}");
    }
    for mut command in commands() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stdout(writer);
        assert_eq!(command.status().unwrap().code(), Some(0), "{command:?}");
    }
}

#[test]
fn data_that_the_reference_made_is_checked_and_proven() {
    let world = World::new();
    let data = world.path("data");
    fs::create_dir(&data).unwrap();
    for entry in fs::read_dir(vectors::folder().join("reference-data-dir")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), data.join(entry.file_name())).unwrap();
    }
    let before = world.data();
    let data = data.to_str().unwrap();
    let (code, answer, _) = run(world.prover(&["info", "--json", "--data-dir", data]));
    let info: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(code, Some(0));
    assert_eq!((&info["complete"], &info["vrf_nonce"]), (&true.into(), &448.into()));
    // A wrong N is not written down; the right one is, and then every hash.
    let (code, answer, said) = run(world.prover(&["check", "--data-dir", data, "--scrypt-n", "2"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(answer.contains("another N, or by another identity"), "{answer}");
    assert_eq!(world.data(), before);
    let (code, answer, said) = run(world.prover(&["check", "--json", "--data-dir", data]));
    assert_eq!(code, Some(0), "{said}");
    let checked: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(checked["labels_recorded"], 768);
    let (_, answer, _) = run(world.prover(&["info", "--json", "--data-dir", data]));
    let info: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(info["labels_hashed_not_verified"], 768);
    assert_eq!(info["checked_percent"], 100.0);
    let easy = "ff".repeat(32);
    let (challenge, flags) = ("33".repeat(32), ["--k2", "26", "--pow-difficulty", &easy]);
    let mut prove = world.prover(&["prove", "--data-dir", data, "--challenge", &challenge]);
    prove.args(flags);
    let (code, proof, said) = run(prove);
    assert_eq!(code, Some(0), "{said}");
    let file = world.path("proof.json");
    fs::write(&file, proof).unwrap();
    let mut verify = world.prover(&["verify", "--proof"]);
    verify.arg(&file).args(flags);
    assert_eq!(run(verify).0, Some(0));
    let after = world.data();
    assert!(before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)));
}

#[test]
fn labels_are_repaired_and_what_they_replaced_is_kept() {
    let world = World::new();
    world.furnish();
    let path = world.path("data/postdata_0.bin");
    let whole = fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    bytes[100 * 16..110 * 16].fill(0);
    fs::write(&path, &bytes).unwrap();
    let repair = |more: &[&str]| {
        let mut command = world.prover(&["repair", "--json", "--data-dir"]);
        command.arg(world.path("data")).arg("--network").arg(world.network()).args(more);
        let (code, answer, said) = run(command);
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{said}"));
        (code, answer)
    };
    let (code, answer) = repair(&["--dry-run"]);
    assert_eq!((code, &answer["labels_replaced"]), (Some(1), &0.into()));
    assert_eq!(fs::read(&path).unwrap(), bytes);
    let (code, answer) = repair(&["--ranges", "90..105,106..120"]);
    assert_eq!((code, &answer["labels_replaced"]), (Some(0), &10.into()));
    assert_eq!(fs::read(&path).unwrap(), whole);
    let kept = fs::read(world.path("data/trash/1/replaced_0")).unwrap();
    assert!(kept.windows(160).any(|window| window == [0; 160]));
    assert_eq!(check(&world, &[]), (Some(0), vec![]));
    let (code, answer) = repair(&[]);
    assert_eq!((code, &answer["bad"]), (Some(0), &Value::Array(vec![])));
    assert!(!world.path("data/trash/2").exists());
}

#[test]
fn a_nonce_that_is_not_written_down_is_searched_on_disk() {
    let world = World::new();
    world.furnish();
    let path = world.path("data/postdata_metadata.json");
    let mut metadata: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let known = (metadata["Nonce"].take(), metadata["NonceValue"].take());
    metadata.as_object_mut().unwrap().remove("NonceValue");
    fs::write(&path, metadata.to_string()).unwrap();
    let mut command = world.prover(&["nonce", "--json", "--data-dir"]);
    command.arg(world.path("data")).arg("--network").arg(world.network());
    let (code, answer, said) = run(command);
    assert_eq!(code, Some(0), "{said}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((&answer["vrf_nonce"], &answer["label"]), (&known.0, &known.1));
    let metadata: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!((&metadata["Nonce"], &metadata["NonceValue"]), (&known.0, &known.1));
}
