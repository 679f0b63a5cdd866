//! `postmesh_proof_0.journal` and its like: how far a proof that is being made has come.
//!
//! A proof may take half a day. Its k2pows are written down as they are solved and its scan now
//! and then, so that a restart costs a minute and not the epoch. There are a few journals, each of
//! one proof, so that a rehearsal does not lose the real one: a proof that has none takes a free
//! one, or else that of the proof that nobody has gone on with for longest. What the journal of an
//! older version says (`postmesh_proof.journal`) is not read.
//!
//! The file is one line with the BLAKE3 of what follows, then JSON. A journal only saves work: one
//! that is damaged is begun anew.

use crate::disk::Disk;
use crate::error::PlotError;
use crate::files;
use crate::ranges::Ranges;
use post::search::Hit;
use post::{LabelIndex, Nonce, NonceGroup, Statement};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Journals that are kept.
const JOURNALS: usize = 4;
/// Version 2: pows, ranges and hits of one pass, bad labels.
const VERSION: u32 = 2;
/// Most bytes read of a journal: ten times what the largest pass (4,096 nonces) leaves.
const JOURNAL_BYTES_MAX: u64 = 32 << 20;

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
    /// Labels that were scanned.
    pub labels: Ranges,
    /// What was good among them: nonce and label.
    hits: Vec<(u32, u64)>,
}

/// How far a proof has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    version: u32,
    key: JournalKey,
    /// Above those of all proofs that were begun or gone on with before.
    turn: u64,
    /// Solved k2pows, by nonce group.
    pows: BTreeMap<u8, u64>,
    /// Below which pow all were tried, by nonce group that is not solved.
    #[serde(default)]
    tried: BTreeMap<u8, u64>,
    /// The pass that was under way.
    scanned: Option<Scanned>,
    /// Labels that are wrong on disk.
    bad: BTreeSet<u64>,
    /// Which of the files it is.
    #[serde(skip)]
    place: usize,
}

impl Scanned {
    /// A pass of `nonces` nonces that has seen these labels and these hits among them.
    #[must_use]
    pub fn new(first_nonce: Nonce, nonces: u32, labels: Ranges, hits: &[Hit]) -> Self {
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
        let (pows, tried, bad) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Self { version: VERSION, key, turn: 0, pows, tried, scanned: None, bad, place: 0 }
    }

    /// The journal of this very proof, if one was begun and can be read; else a new one, which
    /// will be written in place of the one that matters least.
    pub(crate) fn load(disk: &dyn Disk, directory: &Path, key: JournalKey) -> Self {
        let (mut own, mut others) = (None, Vec::new());
        for place in 0..JOURNALS {
            let path = path_of(directory, place);
            let bytes = files::read_at_most(disk, &path, JOURNAL_BYTES_MAX).ok().flatten();
            match bytes.and_then(|bytes| Self::decode(&bytes)) {
                Some(journal) if journal.key == key => own = Some(Self { place, ..journal }),
                found => others.push((found.map_or(0, |journal| journal.turn), place)),
            }
        }
        let (_, least) = others.iter().min().copied().unwrap_or_default();
        let newest = others.iter().map(|(turn, _)| *turn).max().unwrap_or(0);
        let mut journal = own.unwrap_or_else(|| Self { place: least, ..Self::new(key) });
        journal.turn = journal.turn.max(newest.saturating_add(1));
        journal
    }

    /// The journal in the bytes of its file; `None` where they are none of this version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (check, json) = bytes.split_at_checked(CHECK_BYTES)?;
        if check != check_of(json).as_bytes() {
            return None;
        }
        let journal: Self = serde_json::from_slice(json).ok()?;
        (journal.version == VERSION).then_some(journal)
    }

    pub(crate) fn save(&self, disk: &dyn Disk, directory: &Path) -> Result<(), PlotError> {
        // Numbers and strings always serialise.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let bytes = [check_of(&json).as_bytes(), &json].concat();
        files::replace(disk, &path_of(directory, self.place), &bytes)
    }

    /// The pow of a group, if it was solved.
    #[must_use]
    pub fn pow(&self, group: NonceGroup) -> Option<u64> {
        self.pows.get(&group.0).copied()
    }

    /// Writes a pow down.
    pub fn set_pow(&mut self, group: NonceGroup, pow: u64) {
        self.pows.insert(group.0, pow);
        self.tried.remove(&group.0);
    }

    /// Below which pow all of a group were tried.
    #[must_use]
    pub fn tried(&self, group: NonceGroup) -> u64 {
        self.tried.get(&group.0).copied().unwrap_or(0)
    }

    /// Writes down below which pow all of a group were tried.
    pub fn set_tried(&mut self, group: NonceGroup, below: u64) {
        self.tried.insert(group.0, below);
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

    /// Labels that are wrong on disk, as far as this proof came upon them.
    #[must_use]
    pub fn bad(&self) -> Vec<LabelIndex> {
        self.bad.iter().copied().map(LabelIndex).collect()
    }

    /// Writes down that a label is wrong on disk.
    pub fn add_bad(&mut self, index: LabelIndex) {
        self.bad.insert(index.0);
    }
}

fn path_of(directory: &Path, place: usize) -> PathBuf {
    directory.join(format!("postmesh_proof_{place}.journal"))
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
    use crate::simulated::Simulated;
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

    fn hit(index: u64, nonce: u32) -> Hit {
        Hit { index: LabelIndex(index), nonce: Nonce(nonce) }
    }

    #[test]
    fn a_journal_is_found_again_by_its_own_proof_only() {
        let root = tempfile::tempdir().unwrap();
        let load = |challenge| Journal::load(&System, root.path(), key(challenge));
        let mut journal = load(1);
        assert_eq!(journal, Journal { turn: 1, ..Journal::new(key(1)) });
        journal.set_pow(NonceGroup(7), 99);
        let hits = [hit(3, 17), hit(5, 16)];
        let labels: Ranges = [0..6, 9..12].into_iter().collect();
        journal.set_scanned(Scanned::new(Nonce(16), 16, labels.clone(), &hits));
        journal.add_bad(LabelIndex(4));
        journal.save(&System, root.path()).unwrap();
        let again = load(1);
        assert_eq!(again, journal);
        assert_eq!((again.pow(NonceGroup(7)), again.pow(NonceGroup(8))), (Some(99), None));
        assert_eq!(again.scanned().unwrap().hits(), hits);
        assert_eq!(again.scanned().unwrap().labels, labels);
        assert_eq!(again.bad(), [LabelIndex(4)]);
        assert_eq!(load(2).scanned(), None);
        let path = path_of(root.path(), 0);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, damaged).unwrap();
            assert_eq!(load(1), Journal { turn: 1, ..Journal::new(key(1)) }, "byte {at}");
        }
    }

    #[test]
    fn a_few_proofs_are_kept_and_the_one_left_longest_gives_way() {
        let root = tempfile::tempdir().unwrap();
        let load = |challenge| Journal::load(&System, root.path(), key(challenge));
        let begin = |challenge| {
            let mut journal = load(challenge);
            journal.set_pow(NonceGroup(0), u64::from(challenge));
            journal.save(&System, root.path()).unwrap();
        };
        (1..=4).for_each(begin);
        let kept = |challenge| load(challenge).pow(NonceGroup(0)).is_some();
        assert_eq!([1, 2, 3, 4].map(kept), [true; 4]);
        begin(1);
        begin(5);
        assert_eq!([1, 2, 3, 4, 5].map(kept), [true, false, true, true, true]);
        begin(6);
        assert_eq!([1, 3, 4, 5, 6].map(kept), [true, false, true, true, true]);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), JOURNALS);
    }

    #[test]
    fn a_power_cut_leaves_the_old_journal_or_the_new() {
        let root = Path::new("/data");
        let mut old = Journal { turn: 1, ..Journal::new(key(1)) };
        old.set_pow(NonceGroup(1), 1);
        let mut new = old.clone();
        new.set_scanned(Scanned::new(Nonce(0), 16, (0..9).map(|n| n..n + 1).collect(), &[]));
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
                let left = Journal::load(&disk.reboot(seed), root, key(1));
                assert!(left == new || left == old && !saved, "cut {cut}, seed {seed}: {left:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = Journal::decode(&bytes);
            let sealed = [check_of(&bytes).as_bytes(), &bytes].concat();
            let _ = Journal::decode(&sealed);
        }

        #[test]
        fn journals_are_read_as_they_were_written(
            turn in 1_u64.., pows: BTreeMap<u8, u64>, tried: BTreeMap<u8, u64>,
            bad: BTreeSet<u64>, first_nonce: u32, nonces: u32,
            hits: Vec<(u32, u64)>, pairs: Vec<(u64, u64)>, some: bool,
        ) {
            let labels = Ranges::from(pairs);
            let scanned = some.then_some(Scanned { first_nonce, nonces, labels, hits });
            let journal = Journal { turn, pows, tried, bad, scanned, ..Journal::new(key(3)) };
            let disk = Simulated::default();
            journal.save(&disk, Path::new("/data")).unwrap();
            prop_assert_eq!(Journal::load(&disk, Path::new("/data"), key(3)), journal);
        }
    }
}
