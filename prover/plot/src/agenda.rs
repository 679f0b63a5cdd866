//! `postmesh_agenda.json`: which proofs of this data were asked for, and what came of it.
//!
//! A service that is ended, however it ends, goes on with the proofs that it had taken on, and a
//! proof that was found is kept until the node says that it has it. The agenda lies beside the
//! data, so that it goes with it to another disk or machine, and needs no place of its own.

use crate::disk::Disk;
use crate::error::PlotError;
use crate::files;
use post::{NetworkId, Proof, Statement};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file's name.
pub(crate) const FILE_NAME: &str = "postmesh_agenda.json";
const VERSION: u32 = 1;
/// Most requests that are kept; of those that are closed the oldest go first.
pub const REQUESTS_MAX: usize = 32;

/// A proof that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What is to be proven.
    pub statement: Statement,
    /// By whose parameters.
    pub network: NetworkId,
    /// When it was asked for, in seconds since 1970.
    pub asked_at: u64,
    /// When the proof is of no use any more, in seconds since 1970.
    pub deadline_at: Option<u64>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing so far.
    #[default]
    Pending,
    /// A proof, which no node has confirmed.
    Proved(Proof),
    /// A proof that a node has.
    Delivered(Proof),
    /// This data has no proof for this challenge.
    Unprovable,
}

impl Request {
    /// Whether nothing is left to be done.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.outcome, Outcome::Delivered(_) | Outcome::Unprovable)
    }
}

/// What was asked of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agenda {
    version: u32,
    /// In the order in which they came.
    requests: Vec<Request>,
    /// When all labels were last looked at in idle time, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrubbed_at: Option<u64>,
}

impl Default for Agenda {
    fn default() -> Self {
        Self { version: VERSION, requests: Vec::new(), scrubbed_at: None }
    }
}

impl Agenda {
    /// What is written down in a directory; nothing where there is nothing, or nothing of this
    /// version: the node will ask again.
    pub(crate) fn load(disk: &dyn Disk, directory: &Path) -> Result<Self, PlotError> {
        let bytes = files::read_small(disk, &directory.join(FILE_NAME))?;
        let read = |bytes: Vec<u8>| serde_json::from_slice::<Self>(&bytes).ok();
        let agenda = bytes.and_then(read).filter(|agenda| agenda.version == VERSION);
        let mut agenda = agenda.unwrap_or_default();
        agenda.shorten();
        Ok(agenda)
    }

    pub(crate) fn save(&self, disk: &dyn Disk, directory: &Path) -> Result<(), PlotError> {
        // Numbers and strings always serialise.
        let json = serde_json::to_vec_pretty(self).unwrap_or_default();
        files::replace(disk, &directory.join(FILE_NAME), &json)
    }

    /// The requests, in the order in which they came.
    #[must_use]
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// Adds a request, or replaces that of the same statement and network.
    ///
    /// Where there are too many, the oldest that is closed goes; where none is, the oldest.
    pub fn put(&mut self, request: Request) {
        let same = |other: &&mut Request| {
            other.statement == request.statement && other.network == request.network
        };
        match self.requests.iter_mut().find(same) {
            Some(there) => *there = request,
            None => self.requests.push(request),
        }
        self.shorten();
    }

    /// Forgets a request.
    pub fn remove(&mut self, statement: &Statement, network: NetworkId) {
        self.requests.retain(|it| it.statement != *statement || it.network != network);
    }

    fn shorten(&mut self) {
        while self.requests.len() > REQUESTS_MAX {
            let closed = self.requests.iter().position(Request::is_closed);
            self.requests.remove(closed.unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::System;
    use crate::simulated::Simulated;
    use post::{AtxId, Challenge, NodeId, Nonce};
    use std::fs;

    const NETWORK: NetworkId = NetworkId([9; 32]);

    fn request(challenge: u8, outcome: Outcome) -> Request {
        let statement = Statement {
            node_id: NodeId([1; 32]),
            commitment_atx_id: AtxId([2; 32]),
            challenge: Challenge([challenge; 32]),
            num_units: 4,
            labels_per_unit: 1024,
        };
        Request { statement, network: NETWORK, asked_at: 1, deadline_at: Some(2), outcome }
    }

    fn proof() -> Proof {
        Proof { nonce: Nonce(3), indices: vec![1, 2, 3], pow: 4 }
    }

    fn agenda(requests: impl IntoIterator<Item = Request>) -> Agenda {
        let mut agenda = Agenda::default();
        requests.into_iter().for_each(|request| agenda.put(request));
        agenda
    }

    #[test]
    fn what_was_promised_is_found_again() {
        let root = tempfile::tempdir().unwrap();
        let load = || Agenda::load(&System, root.path()).unwrap();
        assert_eq!(load(), Agenda::default());
        let mut whole = agenda([
            request(1, Outcome::Pending),
            request(2, Outcome::Proved(proof())),
            request(3, Outcome::Delivered(proof())),
            request(4, Outcome::Unprovable),
        ]);
        whole.scrubbed_at = Some(7);
        whole.save(&System, root.path()).unwrap();
        assert_eq!(load(), whole);
        // The same request again is the same request.
        whole.put(request(1, Outcome::Proved(proof())));
        assert_eq!(whole.requests().len(), 4);
        whole.remove(&request(1, Outcome::Pending).statement, NetworkId([8; 32]));
        assert_eq!(whole.requests().len(), 4);
        whole.remove(&request(1, Outcome::Pending).statement, NETWORK);
        assert_eq!(whole.requests().len(), 3);
        for damaged in ["", "{}", "{\"version\":2,\"requests\":[]}"] {
            fs::write(root.path().join(FILE_NAME), damaged).unwrap();
            assert_eq!(load(), Agenda::default(), "{damaged}");
        }
    }

    #[test]
    fn what_is_closed_gives_way_to_what_is_not() {
        let closed = |n| request(n, Outcome::Unprovable);
        let open = |n| request(n, Outcome::Pending);
        let full = REQUESTS_MAX as u8;
        let mut agenda = agenda((0..full).map(|n| if n == 5 { closed(n) } else { open(n) }));
        agenda.put(open(full));
        assert!(agenda.requests().iter().all(|request| !request.is_closed()));
        agenda.put(open(full + 1));
        assert_eq!(agenda.requests().len(), REQUESTS_MAX);
        assert_eq!(agenda.requests()[0], open(1));
    }

    #[test]
    fn a_power_cut_leaves_the_old_agenda_or_the_new() {
        let root = Path::new("/data");
        let old = agenda([request(1, Outcome::Pending)]);
        let new = agenda([request(1, Outcome::Proved(proof()))]);
        let began = |cut| {
            let disk = Simulated::default();
            old.save(&disk, root).unwrap();
            disk.cut_after(cut);
            (new.save(&disk, root).is_ok(), disk)
        };
        let operations = (0..).find(|cut| began(*cut).0).unwrap();
        for cut in 0..=operations {
            let (saved, disk) = began(cut);
            for seed in 0..32 {
                let left = Agenda::load(&disk.reboot(seed), root).unwrap();
                assert!(left == new || left == old && !saved, "cut {cut}, seed {seed}");
            }
        }
    }
}
