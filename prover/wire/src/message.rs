//! What is said, in both directions.
//!
//! Enum variants are numbered by their order on the wire: they are only ever appended.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use post::{AtxId, NetworkId, NodeId, Params, Proof, Statement};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

/// The version of the protocol. A higher one understands all that a lower one says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version(pub u16);

impl Version {
    /// Hello, info, prove, progress, cancel, result.
    pub const V1: Self = Self(1);
    /// Sessions: work that goes on while both sides are apart, deadlines, receipts.
    pub const V2: Self = Self(2);
    /// The latest that this build speaks.
    pub const LATEST: Self = Self::V2;
}

/// The versions that a side speaks, from the oldest to the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpokenVersions {
    /// The oldest.
    pub oldest: Version,
    /// The newest.
    pub newest: Version,
}

impl SpokenVersions {
    /// What this build speaks.
    pub const OURS: Self = Self { oldest: Version::V1, newest: Version::LATEST };

    /// Whether a version is among them.
    #[must_use]
    pub fn include(self, version: Version) -> bool {
        (self.oldest..=self.newest).contains(&version)
    }

    /// The newest version that both sides speak.
    #[must_use]
    pub fn common(self, other: Self) -> Option<Version> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest && newest >= other.oldest).then_some(newest)
    }
}

/// Most bytes of a text that the other side gave us to show to people.
pub const TEXT_BYTES_MAX: usize = 512;

/// Most data sets that a prover may hold.
pub const PLOTS_MAX: usize = 256;

/// Most requests that a prover works on, or holds the results of.
pub const WORK_MAX: usize = 256;

/// The number of a prover's run, drawn at random: connections with the same one are to the same
/// process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub [u8; 16]);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The node's number for a request, its own on each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A data set that a prover holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlotInfo {
    /// Whose space.
    pub node_id: NodeId,
    /// The ATX that the labels are tied to.
    pub commitment_atx_id: AtxId,
    /// Units.
    pub num_units: u32,
    /// Labels in a unit.
    pub labels_per_unit: u64,
    /// The index of the VRF nonce's label, when it is known.
    pub vrf_nonce: Option<u64>,
    /// Whether every label is there, so that it can be proven.
    pub complete: bool,
}

/// A request that a prover has taken, from this node or another, in this session or an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkInfo {
    /// What is to be proven.
    pub statement: Statement,
    /// How far it is.
    pub state: WorkState,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkState {
    /// It waits for its turn, or is worked on.
    Pending,
    /// There is a proof: whoever asks gets it at once.
    Proved,
}

/// What a prover is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Solving the k2pows; the unit of progress is a nonce group.
    Pow,
    /// Scanning the labels; the unit of progress is a label.
    Scan,
    /// Waiting for its turn: done is 0, and total what comes before it. From version 2 on.
    Waiting,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pow => "solving the k2pow",
            Self::Scan => "scanning labels",
            Self::Waiting => "waiting for its turn",
        })
    }
}

/// Why a prover has no proof.
#[derive(Clone, Debug, Error, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProveFailure {
    /// It holds no complete data of this identity, commitment and size.
    #[error("the prover holds no complete data of this identity and size")]
    NoSuchData,
    /// It is proving something else.
    #[error("the prover is busy with another proof")]
    Busy,
    /// The node cancelled.
    #[error("cancelled")]
    Cancelled,
    /// All nonces were tried: this data has no proof for this challenge.
    #[error("no nonce has a proof for this challenge")]
    NoProof,
    /// Disk, device or memory failed.
    #[error("{0}")]
    Fault(String),
}

/// Why a node does not talk to a prover.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// No version in common.
    #[error("no protocol version in common: the node speaks {} to {}", .0.oldest.0, .0.newest.0)]
    Version(SpokenVersions),
    /// Another network.
    #[error("the node is on network {0}")]
    Network(NetworkId),
    /// As many provers as the node serves.
    #[error("the node serves no more provers")]
    Full,
}

/// From prover to node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToNode {
    /// The first message on a connection.
    Hello {
        /// What the prover speaks.
        versions: SpokenVersions,
        /// The network whose parameters it proves by.
        network: NetworkId,
        /// Its name and version, for people.
        software: String,
    },
    /// The data sets it holds: the answer to [`ToProver::Info`].
    Info(Vec<PlotInfo>),
    /// How far a job is.
    Progress {
        /// Which job.
        job: JobId,
        /// What is being done.
        stage: Stage,
        /// Units of the stage done.
        done: u64,
        /// Units of the stage there are.
        total: u64,
    },
    /// A job's proof.
    Proved {
        /// Which job.
        job: JobId,
        /// The proof.
        proof: Proof,
    },
    /// A job ended without a proof.
    Failed {
        /// Which job.
        job: JobId,
        /// Why.
        why: ProveFailure,
    },
    /// Which run of which prover this is, and what it has taken on: the first message after the
    /// welcome, from version 2 on.
    Attach {
        /// The run.
        session: SessionId,
        /// Requests that it works on, and those whose proofs no node has confirmed yet.
        work: Vec<WorkInfo>,
    },
    /// The answer to a message with this number, which this prover does not know. From version 2
    /// on.
    NotUnderstood(u32),
}

/// From node to prover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToProver {
    /// The answer to a hello: the version that both speak from now on.
    Welcome(Version),
    /// The other answer to a hello; the node closes after it.
    Refused(Refusal),
    /// Asks for the data sets.
    Info,
    /// Asks for a proof.
    Prove {
        /// The number of the job.
        job: JobId,
        /// What is to be proven.
        statement: Statement,
    },
    /// Asks to stop a job.
    Cancel(JobId),
    /// Asks for a proof that is of use for so many seconds from now. Asked again for what the
    /// prover has taken on already, it is the same work. From version 2 on.
    ProveWithin {
        /// The number of the job.
        job: JobId,
        /// What is to be proven.
        statement: Statement,
        /// Seconds until the proof is of no use.
        seconds: u64,
    },
    /// The proof of a job is judged and written down: the prover need not keep it. From version 2
    /// on.
    Recorded {
        /// Which job.
        job: JobId,
        /// Whether the proof was valid.
        valid: bool,
    },
    /// The answer to a message with this number, which this node does not know. From version 2 on.
    NotUnderstood(u32),
}

/// A message whose content is within bounds that its encoding alone does not set.
pub trait Checked: Serialize + DeserializeOwned {
    /// Whether every list and text is as short as agreed.
    fn within_bounds(&self) -> bool;

    /// Whether there is a message with this number.
    #[must_use]
    fn is_known(_number: u32) -> bool {
        true
    }
}

impl Checked for ToNode {
    fn within_bounds(&self) -> bool {
        match self {
            Self::Hello { software, .. } => software.len() <= TEXT_BYTES_MAX,
            Self::Info(plots) => plots.len() <= PLOTS_MAX,
            Self::Proved { proof, .. } => {
                proof.indices.len() <= (Params::K2_MAX as usize).saturating_mul(8)
            }
            Self::Failed { why: ProveFailure::Fault(text), .. } => text.len() <= TEXT_BYTES_MAX,
            Self::Attach { work, .. } => work.len() <= WORK_MAX,
            Self::Progress { .. } | Self::Failed { .. } | Self::NotUnderstood(_) => true,
        }
    }

    fn is_known(number: u32) -> bool {
        number <= 6
    }
}

impl Checked for ToProver {
    fn within_bounds(&self) -> bool {
        true
    }

    fn is_known(number: u32) -> bool {
        number <= 7
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_common_version_is_spoken() {
        let spoken =
            |oldest, newest| SpokenVersions { oldest: Version(oldest), newest: Version(newest) };
        assert_eq!(spoken(1, 3).common(spoken(2, 5)), Some(Version(3)));
        assert_eq!(spoken(1, 1).common(spoken(1, 1)), Some(Version(1)));
        assert_eq!(spoken(1, 1).common(spoken(2, 3)), None);
        assert_eq!(spoken(4, 5).common(spoken(2, 3)), None);
    }
}
