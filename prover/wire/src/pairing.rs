//! What is said once, when a prover on another host presents its invitation.

use alloc::string::String;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::message::Checked;

/// Most bytes of a prover's name.
pub const NAME_BYTES_MAX: usize = 64;

/// From prover to node: the only message of a pairing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairRequest {
    /// What the prover is to be called: printable, without spaces.
    pub name: String,
    /// That it knows the secret of an invitation, for this connection and these keys only.
    pub proof: [u8; 32],
}

/// From node to prover: the answer, after which the node closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PairAnswer {
    /// From now on the prover's key is known.
    Paired,
    /// It is not.
    Refused(PairRefusal),
}

/// Why a node does not pair.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Serialize, Deserialize)]
pub enum PairRefusal {
    /// No open invitation has this secret. Which of the reasons it is, a stranger need not know.
    #[error(
        "the code is wrong, was used already, or is older than ten minutes: run \
         `postmesh-node prover invite` again"
    )]
    Code,
    /// Another prover has this name.
    #[error("the node knows another prover by this name: choose one with --name")]
    NameTaken,
    /// The name cannot be one.
    #[error("a name has 1 to 64 letters, digits and - . _")]
    BadName,
    /// As many provers as a node knows.
    #[error("the node knows too many provers: remove one with `postmesh-node prover remove`")]
    Full,
}

/// Whether a prover may be called so: 1 to 64 letters, digits, `-`, `.` and `_`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(good)
}

impl Checked for PairRequest {
    fn within_bounds(&self) -> bool {
        self.name.len() <= NAME_BYTES_MAX
    }
}

impl Checked for PairAnswer {
    fn within_bounds(&self) -> bool {
        true
    }
}
