//! What goes into the node's side of its conversations, and what comes out.

use chain::ProofRequest;
use post::{Challenge, NodeId, Proof, Statement};
use std::time::Duration;
use wire::{PlotInfo, ProveFailure, Refusal, Stage, ToNode, ToProver};

/// The time since the node started.
pub(crate) type Time = Duration;

/// What the clocks say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// For what lasts: never goes back, and stands still while the machine sleeps.
    pub(crate) time: Time,
    /// For deadlines: Unix seconds.
    pub(crate) unix: u64,
}

/// The number of a connection, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// Somebody connected; with a name if it is on another host, and known.
    Connected(ConnectionId, Option<String>),
    /// It said something.
    Said(ConnectionId, ToNode),
    /// It said something with a number that we do not know.
    NotUnderstood(ConnectionId, u32),
    /// It is gone, for this reason if it was not its own will.
    Gone(ConnectionId, Option<String>),
    /// A proof is wanted, and that is written down. One that is wanted of the same identity already
    /// stays instead.
    Wanted(ProofRequest),
    /// The verdict on the proof of a request is written down.
    Recorded { node_id: NodeId, challenge: Challenge, valid: bool },
    /// There is no verdict on the proof of a request, for a reason of our own.
    NotJudged { node_id: NodeId, challenge: Challenge },
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Say this to a prover.
    Say(ConnectionId, ToProver),
    /// Close a connection, when all is said.
    Close(ConnectionId),
    /// A challenge of this identity is due: draw it, write it down, and say [`Event::Wanted`].
    Draw(NodeId),
    /// Judge this proof, and say [`Event::Recorded`] or [`Event::NotJudged`].
    Judge { software: String, request: ProofRequest, statement: Statement, proof: Proof },
    /// This is wanted no longer.
    GiveUp(ProofRequest, GivenUp),
    /// Tell people.
    Tell(Notice),
}

/// Why there is no proof of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// There was none before the deadline.
    Late,
    /// All nonces were tried.
    NoProof,
}

/// What people should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A prover of this software connected.
    Joined { software: String },
    /// A prover or stranger left.
    Left { who: String, why: Option<String> },
    /// A connection was refused.
    Refused { who: String, why: Refusal },
    /// A data set that we will not ask for, and why.
    Unsuitable { plot: PlotInfo, why: String },
    /// A proof was asked for; again, if the prover had taken it on before.
    Asked { software: String, statement: Statement, again: bool },
    /// It gets on.
    Progress { software: String, node_id: NodeId, stage: Stage, done: u64, total: u64 },
    /// A prover failed; another, or the same one later, will be asked.
    Failed { software: String, node_id: NodeId, why: ProveFailure },
    /// A prover that was proving is gone. It is waited for if it works on; else others are asked.
    Lost { software: String, works_on: bool },
}
