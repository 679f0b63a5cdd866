//! What a node remembers: what it wants proven, and of a proof what it asked, got and judged.

use alloc::string::String;
use post::{Challenge, NodeId, Proof, Statement};
use serde::{Deserialize, Serialize};

/// A proof that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofRequest {
    /// Of whose space.
    pub node_id: NodeId,
    /// What the proof is to answer.
    pub challenge: Challenge,
    /// When the challenge was drawn, in Unix seconds.
    pub asked_at: u64,
    /// From when on the proof is of no use, in Unix seconds.
    pub deadline: u64,
}

/// A proof and its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofRecord {
    /// When its challenge was drawn, in Unix seconds.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Malformed, decode, encode};

    /// The format of what is on the disks of nodes: a change here is another format of the store.
    #[test]
    fn the_bytes_of_a_request() {
        let request = ProofRequest {
            node_id: NodeId([1; 32]),
            challenge: Challenge([2; 32]),
            asked_at: 300,
            deadline: 1,
        };
        let mut bytes = [[1; 32], [2; 32]].concat();
        bytes.extend([0xac, 2, 1]);
        assert_eq!(encode(&request).unwrap(), bytes);
        assert_eq!(decode(&bytes), Ok(request));
        let cut = bytes.get(..bytes.len() - 1).unwrap();
        assert_eq!(decode::<ProofRequest>(cut), Err(Malformed));
    }
}
