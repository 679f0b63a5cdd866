//! A node that is killed at each stage of a request and started again, before a prover that this
//! test plays: what was wanted is wanted still, and what was recorded stays so, once.

use crate::world::{World, run, text};
use link::{Incoming, Outgoing};
use post::{NetworkId, Proof, Statement};
use prover::ProofFile;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;
use wire::{JobId, PlotInfo, SessionId, SpokenVersions, ToNode, ToProver, WorkInfo, WorkState};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A prover of version 2, as far as this test plays it.
struct Player {
    runtime: Runtime,
    incoming: Incoming,
    outgoing: Outgoing,
}

impl Player {
    /// Connects, and says what it works on and holds.
    fn attach(world: &World, work: Vec<WorkInfo>, plot: &PlotInfo) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let socket = world.path("run/node.sock");
        let connection = runtime.block_on(link::dial(&socket)).unwrap();
        let (incoming, outgoing) = connection.split();
        let mut player = Self { runtime, incoming, outgoing };
        let (versions, software) = (SpokenVersions::OURS, "player".to_owned());
        player.say(&ToNode::Hello { versions, network: network(world), software });
        assert!(matches!(player.hear(), ToProver::Welcome(_)));
        player.say(&ToNode::Attach { session: SessionId([7; 16]), work });
        player.say(&ToNode::Info(vec![plot.clone()]));
        player
    }

    fn say(&mut self, message: &ToNode) {
        self.runtime.block_on(self.outgoing.send(message)).unwrap();
    }

    fn hear(&mut self) -> ToProver {
        let heard = self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, self.incoming.next::<ToProver>()).await
        });
        heard.expect("the node is silent").unwrap().expect("the node is gone")
    }

    fn asked(&mut self) -> (JobId, Statement, u64) {
        match self.hear() {
            ToProver::ProveWithin { job, statement, seconds } => (job, statement, seconds),
            other => panic!("{other:?}"),
        }
    }
}

fn network(world: &World) -> NetworkId {
    let text = std::fs::read_to_string(world.network()).unwrap();
    toml::from_str::<chain::Network>(&text).unwrap().id()
}

/// What a prover says of the data in `data`.
fn held(world: &World) -> PlotInfo {
    let (code, answer, said) =
        run(world.prover(&["info", "--json", "--data-dir", world.path("data").to_str().unwrap()]));
    assert_eq!(code, Some(0), "{said}");
    let info: Value = serde_json::from_str(&answer).unwrap();
    let text = |name: &str| info[name].as_str().unwrap();
    PlotInfo {
        node_id: text("node_id").parse().unwrap(),
        commitment_atx_id: text("commitment_atx_id").parse().unwrap(),
        num_units: u32::try_from(info["num_units"].as_u64().unwrap()).unwrap(),
        labels_per_unit: info["labels_per_unit"].as_u64().unwrap(),
        vrf_nonce: None,
        complete: true,
    }
}

/// The proof of a statement about the data in `data`.
fn prove(world: &World, statement: &Statement) -> Proof {
    let challenge = statement.challenge.to_string();
    let mut command = world.prover(&["prove", "--challenge", &challenge, "--json"]);
    command.arg("--data-dir").arg(world.path("data")).arg("--network").arg(world.network());
    let (code, answer, said) = run(command);
    assert_eq!(code, Some(0), "{said}");
    let (proof, proven) = ProofFile::decode(answer.as_bytes()).unwrap();
    assert_eq!(&proven, statement);
    proof
}

fn history(world: &World) -> Vec<Value> {
    let output = world.node(&["history", "--json"]).output().unwrap();
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_node_killed_at_any_stage_asks_for_the_same_and_records_it_once() {
    let world = World::new();
    world.furnish();
    let plot = held(&world);
    let start = || {
        let mut node = world.start_node(&["--every", "100000"]);
        node.wait_for("waiting for provers");
        node
    };
    let node = start();
    let mut player = Player::attach(&world, vec![], &plot);
    let (_, first, seconds) = player.asked();
    assert!((90_000..=100_000).contains(&seconds), "{seconds}");
    // Killed while it is worked on. The prover comes back, and still works on it or has lost it.
    node.kill();
    let node = start();
    let pending = |statement| WorkInfo { statement, state: WorkState::Pending };
    let mut player = Player::attach(&world, vec![pending(first.clone())], &plot);
    assert_eq!(player.asked().1, first);
    node.kill();
    let node = start();
    let mut player = Player::attach(&world, vec![], &plot);
    let (job, again, _) = player.asked();
    assert_eq!(again, first);
    // Killed when it has the proof, judged and recorded or not.
    let proof = prove(&world, &first);
    player.say(&ToNode::Proved { job, proof: proof.clone() });
    node.kill();
    for _ in 0..2 {
        let node = start();
        let proved = WorkInfo { statement: first.clone(), state: WorkState::Proved };
        let mut player = Player::attach(&world, vec![proved], &plot);
        let (job, again, _) = player.asked();
        assert_eq!(again, first);
        player.say(&ToNode::Proved { job, proof: proof.clone() });
        // From now on the prover may forget it.
        assert_eq!(player.hear(), ToProver::Recorded { job, valid: true });
        node.kill();
        let records = history(&world);
        assert_eq!(records.len(), 1, "{records:?}");
        assert_eq!(records[0]["challenge"], first.challenge.to_string());
        assert_eq!(records[0]["valid"], true);
    }
}

#[test]
fn a_proof_that_is_not_there_in_time_is_late_and_the_next_challenge_comes() {
    let world = World::new();
    world.furnish();
    let plot = held(&world);
    let mut node = world.start_node(&["--every", "2", "--window", "2"]);
    node.wait_for("waiting for provers");
    let mut player = Player::attach(&world, vec![], &plot);
    let (job, first, seconds) = player.asked();
    assert!(seconds <= 2, "{seconds}");
    node.wait_for("LATE: there was no proof of identity");
    assert_eq!(player.hear(), ToProver::Cancel(job));
    let (_, second, _) = player.asked();
    assert_ne!(second.challenge, first.challenge);
    assert_eq!(history(&world), Vec::<Value>::new());
    drop(node);
    let (code, said) = world.start_node(&["--once", "--window", "1"]).wait();
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn every_identity_of_a_home_is_asked_for() {
    let world = World::new();
    world.furnish();
    let (code, other, said) = run(world.node(&["identity", "create", "--name", "second"]));
    assert_eq!(code, Some(0), "{said}");
    let plot = held(&world);
    let mut node = world.start_node(&["--once"]);
    node.wait_for("waiting for provers");
    let mut player = Player::attach(&world, vec![], &plot);
    let (job, first, _) = player.asked();
    let plots = vec![plot.clone(), PlotInfo { node_id: other.trim().parse().unwrap(), ..plot }];
    player.say(&ToNode::Info(plots));
    let (other_job, second, _) = player.asked();
    assert_eq!(second.node_id.to_string(), other.trim());
    let proof = prove(&world, &first);
    player.say(&ToNode::Proved { job, proof: proof.clone() });
    assert_eq!(player.hear(), ToProver::Recorded { job, valid: true });
    // Of the second there is no data: the proof of the first is none of it.
    player.say(&ToNode::Proved { job: other_job, proof });
    assert_eq!(player.hear(), ToProver::Recorded { job: other_job, valid: false });
    let (code, said) = node.wait();
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(history(&world).len(), 2);
    assert!(Path::new(&world.path("home/identities/second.key")).exists());
}
