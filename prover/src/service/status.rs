//! What a service tells about itself: one value that the control socket, metrics, `status` and
//! `top` all show. Made by the service, read by everybody else; nothing here decides anything.
//!
//! Times are seconds since 1970 where a name ends in `_at`, seconds from now where it ends in
//! `_seconds`. Names are part of the interface (docs/service.md): they are only ever added.

use post::{AtxId, Challenge, NodeId};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// All of it, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Name and version of the program.
    pub(crate) software: String,
    /// The process.
    pub(crate) pid: u32,
    /// When the service began.
    pub(crate) started_at: u64,
    /// When this was true.
    pub(crate) now_at: u64,
    /// Whether work rests, and why.
    pub(crate) rest: Rest,
    /// The nodes that it serves.
    pub(crate) nodes: Vec<NodeStatus>,
    /// The data sets that it holds.
    pub(crate) sets: Vec<SetStatus>,
    /// Work: what is running first, then what waits, in the order in which it will run, then what
    /// has ended lately.
    pub(crate) jobs: Vec<JobStatus>,
    /// What computes.
    pub(crate) devices: Vec<DeviceStatus>,
}

/// What rests, and who wants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rest {
    /// Nothing rests.
    #[default]
    None,
    /// Everything but proofs, as a person asked.
    Asked,
    /// Everything, as a person asked.
    AskedProofsToo,
    /// Everything but proofs: the machine runs on its battery.
    Battery,
}

/// A node, and whether it is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeStatus {
    /// Its socket, or HOST:PORT.
    pub(crate) place: String,
    /// Whether it has welcomed us.
    pub(crate) connected: bool,
    /// Since when that is so.
    pub(crate) since_at: u64,
    /// Why it is not there, when that is known.
    pub(crate) why: Option<String>,
}

/// A data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SetStatus {
    /// Whose space.
    pub(crate) node_id: NodeId,
    /// The ATX that the labels are tied to.
    pub(crate) commitment_atx_id: AtxId,
    /// Its directories.
    pub(crate) directories: Vec<PathBuf>,
    /// Physical disks that it lies on, by the names that the system has for them.
    pub(crate) disks: Vec<String>,
    /// Units.
    pub(crate) num_units: u32,
    /// Labels in a unit, 16 bytes each.
    pub(crate) labels_per_unit: u64,
    /// Labels that are on disk.
    pub(crate) labels_present: u64,
    /// Whether a proof can be made of it.
    pub(crate) complete: bool,
    /// What is to be expected of its next proof; `None` until something was measured.
    pub(crate) outlook: Option<Outlook>,
    /// How its next proof will be gone about and why, for people; `None` where none can be made.
    pub(crate) settings: Option<String>,
    /// Why its next proof may not be there in time and what would help, for people.
    pub(crate) alarm: Option<String>,
    /// Another host that uses this data at the same time, by its name.
    pub(crate) other_host: Option<String>,
}

/// What is to be expected of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outlook {
    /// How likely it is there in time, from 0 to 1; `None` without a time.
    pub(crate) in_time: Option<f64>,
    /// How long it takes on average.
    pub(crate) expected_seconds: f64,
    /// How long 99 of 100 take at most.
    pub(crate) most_seconds: f64,
    /// Nonces a pass.
    pub(crate) nonces: u32,
}

/// What kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A proof that a node asked for.
    Prove,
    /// Labels that are missing.
    Init,
    /// A look at all labels in idle time.
    Scrub,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobState {
    /// Others come first.
    Waiting,
    /// It is worked on.
    Working,
    /// It rests.
    Resting,
    /// It is done, and the node has not confirmed it yet.
    Undelivered,
    /// It is done.
    Done,
    /// It could not be done; `why` says why.
    Failed,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct JobStatus {
    /// Its number in this run of the service.
    pub(crate) id: u64,
    /// What kind of work.
    pub(crate) kind: Kind,
    /// How far it is.
    pub(crate) state: JobState,
    /// Whose space.
    pub(crate) node_id: NodeId,
    /// What a proof answers.
    pub(crate) challenge: Option<Challenge>,
    /// What is being done: `k2pow`, `scan`, `labels`, `check`.
    pub(crate) stage: Option<String>,
    /// Units of the stage that are done, and that there are.
    pub(crate) done: u64,
    pub(crate) total: u64,
    /// Units of the stage a second, lately.
    pub(crate) rate: Option<f64>,
    /// When the stage will be done, at this rate.
    pub(crate) eta_seconds: Option<f64>,
    /// When it was taken on.
    pub(crate) asked_at: u64,
    /// When its proof is of no use any more.
    pub(crate) deadline_at: Option<u64>,
    /// What is to be expected, when something was measured.
    pub(crate) outlook: Option<Outlook>,
    /// How a proof is gone about and why, for people.
    pub(crate) settings: Option<String>,
    /// Why it may not be there in time and what would help, for people.
    pub(crate) alarm: Option<String>,
    /// Why it failed or waits, for people.
    pub(crate) why: Option<String>,
}

/// A device that computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeviceStatus {
    /// The name that `devices` lists it by.
    pub(crate) name: String,
    /// What it is, for people.
    pub(crate) what: String,
    /// Labels that it made in this run of the service.
    pub(crate) labels_made: u64,
    /// Why it is not used any more, if so.
    pub(crate) why_not: Option<String>,
}

/// What people ask of a running service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Rest; proofs too, if so.
    Pause { proofs: bool },
    /// Go on.
    Resume,
    /// Read the configuration again.
    Reload,
}
