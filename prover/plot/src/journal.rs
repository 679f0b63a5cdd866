//! `postmesh_proof.journal`: how far the proof that is being made has come.
//!
//! A proof may take half a day. Its k2pows are written down as they are solved and its scan now
//! and then, so that a restart costs a minute and not the epoch. There is one journal: a proof of
//! another challenge begins it anew.
//!
//! The file is one line with the BLAKE3 of what follows, then JSON.

use crate::disk::Disk;
use crate::error::PlotError;
use crate::files;
use post::search::Hit;
use post::{LabelIndex, Nonce, NonceGroup, Statement};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) const FILE_NAME: &str = "postmesh_proof.journal";
/// Version 1: pows and one scan.
const VERSION: u32 = 1;

/// What a journal is about: nothing of it is of use to another proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalKey {
    /// What is being proven.
    pub statement: Statement,
    /// K1: decides which labels are good.
    pub k1: u32,
    /// K2: decides who wins.
    pub k2: u32,
    /// The network's bound of the k2pow, in hexadecimal.
    pub pow_difficulty: String,
}

/// A pass over the data that was interrupted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scanned {
    /// The first nonce of the pass.
    pub first_nonce: u32,
    /// Nonces of the pass.
    pub nonces: u32,
    /// Labels that were scanned, from the first on.
    pub labels: u64,
    /// What was good among them: nonce and label, in the order of labels.
    hits: Vec<(u32, u64)>,
}

/// How far a proof has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    version: u32,
    key: JournalKey,
    /// Solved k2pows, by nonce group.
    pows: BTreeMap<u8, u64>,
    /// The pass that was under way.
    scanned: Option<Scanned>,
}

impl Scanned {
    /// A pass of `nonces` nonces that has seen `labels` labels and these hits among them.
    #[must_use]
    pub fn new(first_nonce: Nonce, nonces: u32, labels: u64, hits: &[Hit]) -> Self {
        let hits = hits.iter().map(|hit| (hit.nonce.0, hit.index.0)).collect();
        Self { first_nonce: first_nonce.0, nonces, labels, hits }
    }

    /// The hits, ascending.
    #[must_use]
    pub fn hits(&self) -> Vec<Hit> {
        let hits = self.hits.iter();
        let mut hits: Vec<Hit> = hits
            .map(|(nonce, index)| Hit { index: LabelIndex(*index), nonce: Nonce(*nonce) })
            .collect();
        hits.sort_unstable();
        hits
    }
}

impl Journal {
    /// The journal of a proof that begins.
    #[must_use]
    pub fn new(key: JournalKey) -> Self {
        Self { version: VERSION, key, pows: BTreeMap::new(), scanned: None }
    }

    /// The journal of this very proof, if one was begun and can be read; else a new one. A journal
    /// only saves work: one that is damaged is begun anew.
    pub(crate) fn load(disk: &dyn Disk, directory: &Path, key: JournalKey) -> Self {
        let bytes = files::read_small(disk, &directory.join(FILE_NAME)).ok().flatten();
        let journal = bytes.and_then(|bytes| Self::decode(&bytes));
        let same = journal.filter(|journal| journal.key == key);
        same.unwrap_or_else(|| Self::new(key))
    }

    /// The journal in the bytes of its file; `None` where they are none of this version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (check, json) = bytes.split_at_checked(CHECK_BYTES)?;
        let journal: Self = serde_json::from_slice(json).ok()?;
        (check == check_of(json).as_bytes() && journal.version == VERSION).then_some(journal)
    }

    pub(crate) fn save(&self, disk: &dyn Disk, directory: &Path) -> Result<(), PlotError> {
        // Numbers and strings always serialise.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let bytes = [check_of(&json).as_bytes(), &json].concat();
        files::replace(disk, &directory.join(FILE_NAME), &bytes)
    }

    /// The pow of a group, if it was solved.
    #[must_use]
    pub fn pow(&self, group: NonceGroup) -> Option<u64> {
        self.pows.get(&group.0).copied()
    }

    /// Writes a pow down.
    pub fn set_pow(&mut self, group: NonceGroup, pow: u64) {
        self.pows.insert(group.0, pow);
    }

    /// The pass that was under way.
    #[must_use]
    pub fn scanned(&self) -> Option<&Scanned> {
        self.scanned.as_ref()
    }

    /// Writes down how far the pass is.
    pub fn set_scanned(&mut self, scanned: Scanned) {
        self.scanned = Some(scanned);
    }
}

/// Bytes of the first line.
const CHECK_BYTES: usize = 65;

fn check_of(json: &[u8]) -> String {
    format!("{}\n", blake3::hash(json).to_hex())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::System;
    use post::{AtxId, Challenge, NodeId};
    use proptest::prelude::*;
    use std::fs;

    fn key(challenge: u8) -> JournalKey {
        let statement = Statement {
            node_id: NodeId([1; 32]),
            commitment_atx_id: AtxId([2; 32]),
            challenge: Challenge([challenge; 32]),
            num_units: 4,
            labels_per_unit: 1024,
        };
        JournalKey { statement, k1: 26, k2: 37, pow_difficulty: "ff".into() }
    }

    #[test]
    fn a_journal_is_found_again_by_its_own_proof_only() {
        let root = tempfile::tempdir().unwrap();
        let mut journal = Journal::load(&System, root.path(), key(1));
        assert_eq!(journal, Journal::new(key(1)));
        journal.set_pow(NonceGroup(7), 99);
        let hit = |index, nonce| Hit { index: LabelIndex(index), nonce: Nonce(nonce) };
        let hits = [hit(3, 17), hit(5, 16)];
        journal.set_scanned(Scanned::new(Nonce(16), 16, 6, &hits));
        journal.save(&System, root.path()).unwrap();
        let again = Journal::load(&System, root.path(), key(1));
        assert_eq!(again, journal);
        assert_eq!((again.pow(NonceGroup(7)), again.pow(NonceGroup(8))), (Some(99), None));
        assert_eq!(again.scanned().unwrap().hits(), hits);
        assert_eq!(Journal::load(&System, root.path(), key(2)), Journal::new(key(2)));
        let path = root.path().join(FILE_NAME);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).unwrap();
            let anew = Journal::load(&System, root.path(), key(1));
            assert_eq!(anew, Journal::new(key(1)), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = Journal::decode(&bytes);
        }
    }
}
