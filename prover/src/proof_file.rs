//! A proof as one JSON object: what `prove` prints and `verify` reads.

use post::{AtxId, BadHex, Challenge, NodeId, Nonce, Proof, Statement};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A proof with its statement, all bytes in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofFile {
    /// The nonce that won.
    pub nonce: u32,
    /// The packed indices.
    pub indices: String,
    /// The k2pow of the nonce's group.
    pub pow: u64,
    /// Whose space.
    pub node_id: NodeId,
    /// The ATX that the labels are tied to.
    pub commitment_atx_id: AtxId,
    /// What the proof answers.
    pub challenge: Challenge,
    /// Units of space.
    pub num_units: u32,
    /// Labels in a unit.
    pub labels_per_unit: u64,
}

/// Text that is no proof.
#[derive(Debug, Error)]
pub enum BadProofFile {
    /// Not the JSON object that it should be.
    #[error("not a proof in JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The indices are not hexadecimal.
    #[error("the indices: {0}")]
    Indices(#[from] BadHex),
}

impl ProofFile {
    /// Of a proof and what it proves.
    #[must_use]
    pub fn new(proof: &Proof, statement: &Statement) -> Self {
        Self {
            nonce: proof.nonce.0,
            indices: post::to_hex(&proof.indices),
            pow: proof.pow,
            node_id: statement.node_id,
            commitment_atx_id: statement.commitment_atx_id,
            challenge: statement.challenge,
            num_units: statement.num_units,
            labels_per_unit: statement.labels_per_unit,
        }
    }

    /// The proof and the statement that JSON text holds.
    ///
    /// # Errors
    /// [`BadProofFile`]: it is not such an object.
    pub fn decode(text: &[u8]) -> Result<(Proof, Statement), BadProofFile> {
        let file: Self = serde_json::from_slice(text)?;
        let indices = post::from_hex(&file.indices)?;
        let proof = Proof { nonce: Nonce(file.nonce), indices, pow: file.pow };
        let statement = Statement {
            node_id: file.node_id,
            commitment_atx_id: file.commitment_atx_id,
            challenge: file.challenge,
            num_units: file.num_units,
            labels_per_unit: file.labels_per_unit,
        };
        Ok((proof, statement))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_round_trip_as_json() {
        let proof = Proof { nonce: Nonce(17), indices: vec![0xde, 0xad], pow: 5 };
        let statement = Statement {
            node_id: NodeId([1; 32]),
            commitment_atx_id: AtxId([2; 32]),
            challenge: Challenge([3; 32]),
            num_units: 4,
            labels_per_unit: 5,
        };
        let text = serde_json::to_string(&ProofFile::new(&proof, &statement)).unwrap();
        assert!(
            text.starts_with(r#"{"nonce":17,"indices":"dead","pow":5,"node_id":"0101"#),
            "{text}"
        );
        assert_eq!(ProofFile::decode(text.as_bytes()).unwrap(), (proof, statement));
        assert!(ProofFile::decode(b"{}").is_err());
        let odd = text.replace("dead", "dea");
        assert!(matches!(ProofFile::decode(odd.as_bytes()), Err(BadProofFile::Indices(_))));
    }
}
