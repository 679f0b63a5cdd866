//! The journal of the proof, and whether it may be written.

use super::Job;
use super::count::Count;
use super::data::Data;
use plot::{DataSet, Journal, JournalKey, Lock};
use post::search::Hit;
use post::{NonceGroup, Params, Statement};
use std::time::{Duration, Instant};

/// How often the scan is written down: what a restart costs at most, and a little. In tests after
/// every piece.
const EVERY: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 30 });

pub(super) struct Diary<'a> {
    directory: &'a DataSet,
    pub(super) journal: Journal,
    /// `None` where another process writes one, or nobody can, or none is wanted.
    lock: Option<Lock>,
    saved: Instant,
}

impl<'a> Diary<'a> {
    pub(super) fn open(job: &Job, directory: &'a DataSet) -> Self {
        let lock = Lock::journal(directory.home_of_journals());
        let lock = lock.inspect_err(|why| {
            tracing::warn!("an interruption will cost this proof all of its work: {why}");
        });
        let journal = directory.journal(key(job));
        Self { directory, journal, lock: lock.ok(), saved: Instant::now() }
    }

    /// One that is kept in memory only.
    pub(super) fn none(job: &Job, directory: &'a DataSet) -> Self {
        let (journal, saved) = (Journal::new(key(job)), Instant::now());
        Self { directory, journal, lock: None, saved }
    }

    /// The number of the pass to go on with.
    pub(super) fn pass(&self, nonces: u32) -> u32 {
        let scanned = self.journal.scanned();
        let same = scanned.filter(|scanned| scanned.first_nonce.is_multiple_of(nonces));
        same.map_or(0, |scanned| scanned.first_nonce / nonces)
    }

    /// Counts what an earlier run scanned of a pass, as far as it need not be read again.
    pub(super) fn resume(&self, count: &mut Count, data: &Data) {
        self.journal.bad().into_iter().for_each(|index| count.ban(index));
        let Some(scanned) = self.journal.scanned().filter(|scanned| count.is_of(scanned)) else {
            return;
        };
        let done = data.whole_pieces(&scanned.labels);
        let is_done = |hit: &Hit| done.contains(&(hit.index.0..hit.index.0.saturating_add(1)));
        let hits: Vec<Hit> = scanned.hits().into_iter().filter(is_done).collect();
        done.iter().for_each(|labels| count.add(labels, &[], &[]));
        count.add_hits(&hits);
    }

    /// Notes below which pow all of a group were tried; writes it down if it is time to.
    pub(super) fn note_tried(&mut self, group: NonceGroup, below: u64) {
        self.journal.set_tried(group, below);
        if self.saved.elapsed() >= EVERY {
            self.save();
        }
    }

    /// Writes down how far a pass is, if it is time to.
    pub(super) fn note_now_and_then(&mut self, count: &Count) {
        if self.saved.elapsed() >= EVERY {
            self.note(count);
        }
    }

    /// Writes down how far a pass is.
    pub(super) fn note(&mut self, count: &Count) {
        self.journal.set_scanned(count.to_scanned());
        self.save();
    }

    pub(super) fn save(&mut self) {
        if self.lock.is_none() {
            return;
        }
        // A proof without a journal is better than none.
        if let Err(why) = self.directory.save_journal(&self.journal) {
            tracing::warn!("an interruption will cost this proof all of its work: {why}");
            self.lock = None;
        }
        self.saved = Instant::now();
    }
}

/// What makes a proof this one.
pub(crate) fn key(job: &Job) -> JournalKey {
    key_of(&job.statement, &job.params)
}

/// The same, of what is proven by whose rules.
pub(crate) fn key_of(statement: &Statement, params: &Params) -> JournalKey {
    JournalKey {
        statement: statement.clone(),
        k1: params.k1,
        k2: params.k2,
        pow_difficulty: params.pow_difficulty.to_string(),
    }
}
