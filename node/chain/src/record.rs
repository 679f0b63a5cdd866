//! What a node remembers of a proof: what it asked, what it got, what it judged.

use alloc::string::String;
use post::{Proof, Statement};
use serde::{Deserialize, Serialize};

/// A proof and its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofRecord {
    /// When it was asked for, in Unix seconds.
    pub asked_at: u64,
    /// When it was judged, in Unix seconds.
    pub judged_at: u64,
    /// Which program made it.
    pub software: String,
    /// What was to be proven.
    pub statement: Statement,
    /// The answer.
    pub proof: Proof,
    /// Whether it holds.
    pub verdict: Verdict,
}

/// The node's judgement of a proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The data is there.
    Valid,
    /// It is not proven, for this reason.
    Invalid(String),
}
