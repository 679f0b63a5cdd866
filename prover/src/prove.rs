//! A proof: pass after pass over the data, `nonces` at a time, until a nonce has K2 good labels.
//!
//! Reading and scanning overlap: one thread reads ahead while the scanner works. The result does
//! not depend on how either is cut, nor on interruptions: a journal beside the data keeps the
//! k2pows as they are solved, and the position and hits of the scan.

use crate::pace::Pace;
use crate::randomx::Pows;
use cpu::Scan;
use plot::{DataSet, Journal, JournalKey, Lock, PlotError, Scanned};
use post::k2pow::{self, NoUnits, PowHash};
use post::search::{GroupKeys, ScanFault, Scanner, Tally, Threshold, TooFewLabels, Winner, pass};
use post::verify::{Indices, verify};
use post::{LABEL_BYTES, LabelIndex, Nonce, NonceGroup, Params, Proof, Statement};
use pow::{PowFault, Puzzle, RandomX, SolveError};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};
use thiserror::Error;
use wire::Stage;

/// Bytes read at a time; little in tests, so that small data has several chunks.
const CHUNK_BYTES: usize = if cfg!(test) { 1 << 16 } else { 4 << 20 };
/// Chunks in flight: one read, one scanned, one on its way.
const CHUNKS: usize = 3;
/// How often the position of a scan is written down: what a restart costs at most.
const JOURNAL_EVERY: Duration = Duration::from_secs(30);

/// What is to be proven, and how.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) statement: Statement,
    pub(crate) params: Params,
    pub(crate) nonces: u32,
    pub(crate) threads: NonZeroUsize,
}

/// Why there is no proof.
#[derive(Debug, Error)]
pub(crate) enum ProveError {
    #[error("all {} nonces were tried: this data has no proof for this challenge", Nonce::END)]
    NoProof,
    #[error("stopped on request")]
    Stopped,
    #[error(transparent)]
    Plot(#[from] PlotError),
    #[error(transparent)]
    TooFewLabels(#[from] TooFewLabels),
    #[error(transparent)]
    NoUnits(#[from] NoUnits),
    #[error("{num_units} units of {labels_per_unit} labels are more than there can be")]
    LabelCount { num_units: u32, labels_per_unit: u64 },
    #[error("the k2pow could not be solved: {0}")]
    Pow(SolveError),
    #[error("the scan failed: {0}")]
    Scan(#[from] ScanFault),
    #[error("the proof that was found is not valid ({0}): labels on disk are wrong, run `check`")]
    Invalid(String),
}

impl From<SolveError> for ProveError {
    fn from(error: SolveError) -> Self {
        match error {
            SolveError::Stopped | SolveError::Fault(PowFault::Stopped) => Self::Stopped,
            other => Self::Pow(other),
        }
    }
}

/// What goes on around a proof.
pub(crate) struct Surroundings<'a> {
    pub(crate) pows: &'a Pows,
    pub(crate) pace: Pace,
    pub(crate) stop: &'a (dyn Fn() -> bool + Sync),
    /// Told the stage, what is done of it and what there is.
    pub(crate) progress: &'a (dyn Fn(Stage, u64, u64) + Sync),
}

/// Proves the data of a directory, and verifies the proof before it is given out.
pub(crate) fn prove(
    job: &Job,
    directory: &DataSet,
    around: &Surroundings<'_>,
) -> Result<Proof, ProveError> {
    for file in directory.survey()? {
        file.complete()?;
    }
    let mut diary = Diary::open(job, directory);
    match search(job, directory, &mut diary, around) {
        // A journal of an earlier run is trusted to save work, never to be right.
        Err(ProveError::Invalid(why)) if diary.resumed => {
            tracing::warn!("the proof that was resumed is not valid ({why}): beginning it anew");
            diary.begin_anew();
            search(job, directory, &mut diary, around)
        }
        other => other,
    }
}

/// Pass after pass, from where the journal says.
fn search(
    job: &Job,
    directory: &DataSet,
    diary: &mut Diary<'_>,
    around: &Surroundings<'_>,
) -> Result<Proof, ProveError> {
    let Statement { num_units, labels_per_unit, .. } = job.statement;
    let num_labels = job.statement.num_labels();
    let num_labels = num_labels.ok_or(ProveError::LabelCount { num_units, labels_per_unit })?;
    let threshold = Threshold::new(job.params.k1, num_labels)?;
    for number in diary.pass(job.nonces).. {
        let nonces = pass(number, job.nonces).ok_or(ProveError::NoProof)?;
        let keys = buy(job, nonces.clone(), diary, around)?;
        let mut tally = Tally::new(Nonce(nonces.start), nonces.end - nonces.start, job.params.k2);
        let mut scanner = Scan::new(keys.clone(), threshold, job.threads);
        let pass = Pass { nonces: nonces.clone(), num_labels };
        if let Some(winner) = pass.scan(directory, &mut scanner, &mut tally, diary, around)? {
            let group = winner.nonce.group();
            let pow = keys.iter().find(|keys| Some(keys.group) == group).map_or(0, |keys| keys.pow);
            let proof = Proof::new(&winner, num_labels, pow);
            check(&proof, job, around)?;
            return Ok(proof);
        }
        tracing::info!("no proof among nonces {nonces:?}: trying the next");
    }
    Err(ProveError::NoProof)
}

/// The journal, and whether it may be written.
struct Diary<'a> {
    directory: &'a DataSet,
    journal: Journal,
    key: JournalKey,
    /// Whether an earlier run's work is in it.
    resumed: bool,
    /// `None` where another process writes it, or nobody can.
    lock: Option<Lock>,
    saved: Instant,
}

impl<'a> Diary<'a> {
    fn open(job: &Job, directory: &'a DataSet) -> Self {
        let key = JournalKey {
            statement: job.statement.clone(),
            k1: job.params.k1,
            k2: job.params.k2,
            pow_difficulty: job.params.pow_difficulty.to_string(),
        };
        let journal = directory.journal(key.clone());
        let resumed = journal != Journal::new(key.clone());
        let lock = Lock::journal(directory.paths().next().unwrap_or(std::path::Path::new(".")));
        let lock = lock.inspect_err(|why| {
            tracing::warn!("an interruption will cost this proof all of its work: {why}");
        });
        Self { directory, journal, key, resumed, lock: lock.ok(), saved: Instant::now() }
    }

    fn begin_anew(&mut self) {
        self.journal = Journal::new(self.key.clone());
        self.resumed = false;
    }

    /// The number of the pass to go on with.
    fn pass(&self, nonces: u32) -> u32 {
        let scanned = self.journal.scanned();
        let same = scanned.filter(|scanned| scanned.first_nonce.is_multiple_of(nonces));
        same.map_or(0, |scanned| scanned.first_nonce / nonces)
    }

    fn save(&mut self) {
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

/// Solves the k2pow of each group of a pass, save those that were solved before.
fn buy(
    job: &Job,
    nonces: Range<u32>,
    diary: &mut Diary<'_>,
    around: &Surroundings<'_>,
) -> Result<Vec<GroupKeys>, ProveError> {
    let firsts = nonces.step_by(Nonce::PER_GROUP as usize);
    let groups: Vec<NonceGroup> = firsts.filter_map(|first| Nonce(first).group()).collect();
    let total = groups.len() as u64;
    let difficulty = job.params.pow_difficulty.scaled(job.statement.num_units)?;
    let missing = groups.iter().filter(|group| diary.journal.pow(**group).is_none()).count();
    let missing = u32::try_from(missing).unwrap_or(u32::MAX);
    let randomx = around.pows.to_solve(&difficulty, missing, around.stop);
    let randomx = randomx.map_err(SolveError::from)?;
    let Statement { challenge, node_id, .. } = job.statement;
    let mut keys = Vec::with_capacity(groups.len());
    for (done, group) in (0..).zip(groups) {
        (around.progress)(Stage::Pow, done, total);
        let puzzle = Puzzle { group, challenge, node_id, difficulty };
        let pow = match diary.journal.pow(group) {
            Some(pow) if solves(&puzzle, pow, &randomx)? => pow,
            _ => {
                let pow = around.pows.solve(&randomx, &puzzle, around.stop)?;
                diary.journal.set_pow(group, pow);
                diary.save();
                pow
            }
        };
        keys.push(GroupKeys::new(&challenge, group, pow));
    }
    (around.progress)(Stage::Pow, total, total);
    Ok(keys)
}

/// Whether a pow from the journal is one.
fn solves(puzzle: &Puzzle, pow: u64, randomx: &RandomX) -> Result<bool, ProveError> {
    let input = k2pow::input(pow, puzzle.group, &puzzle.challenge, &puzzle.node_id);
    let hash = randomx.hash(&input).map_err(SolveError::from)?;
    Ok(pow < k2pow::POW_END && puzzle.difficulty.met_by(&hash))
}

/// A piece of the data on its way from disk to scanner.
struct Chunk {
    first: u64,
    bytes: Vec<u8>,
}

impl Chunk {
    /// One past its last label.
    fn end(&self) -> u64 {
        self.first + (self.bytes.len() / LABEL_BYTES) as u64
    }
}

/// One pass over the data.
struct Pass {
    nonces: Range<u32>,
    num_labels: u64,
}

impl Pass {
    fn scan(
        &self,
        directory: &DataSet,
        scanner: &mut dyn Scanner,
        tally: &mut Tally,
        diary: &mut Diary<'_>,
        around: &Surroundings<'_>,
    ) -> Result<Option<Winner>, ProveError> {
        let first = self.resume(tally, diary);
        let (full, filled) = sync_channel(CHUNKS);
        let (empty, spent) = sync_channel(CHUNKS);
        for _ in 0..CHUNKS {
            // The channel has room for all of them.
            let _ = empty.send(vec![0; CHUNK_BYTES]);
        }
        thread::scope(|scope| {
            let reader = scope.spawn(move || read_ahead(directory, first, &spent, &full));
            let mut found = Ok(None);
            for chunk in filled {
                (around.progress)(Stage::Scan, chunk.first, self.num_labels);
                if (around.stop)() {
                    self.note(chunk.first, tally, diary);
                    found = Err(ProveError::Stopped);
                    break;
                }
                let start = Instant::now();
                found = match scanner.scan(LabelIndex(chunk.first), &chunk.bytes) {
                    Ok(hits) => Ok(tally.add(&hits)),
                    Err(fault) => Err(ProveError::from(fault)),
                };
                if !matches!(found, Ok(None)) {
                    break;
                }
                around.pace.after(start.elapsed(), around.stop);
                if diary.saved.elapsed() >= JOURNAL_EVERY {
                    self.note(chunk.end(), tally, diary);
                }
                if empty.send(chunk.bytes).is_err() {
                    break;
                }
            }
            drop(empty);
            match (found, reader.join()) {
                (Ok(None), Ok(Err(error))) => Err(error.into()),
                (found, _) => found,
            }
        })
    }

    /// The first label to scan: past what an earlier run scanned of this pass, whose hits count.
    fn resume(&self, tally: &mut Tally, diary: &Diary<'_>) -> u64 {
        let Range { start, end } = self.nonces;
        let ours =
            |scanned: &&Scanned| (scanned.first_nonce, scanned.nonces) == (start, end - start);
        let Some(scanned) = diary.journal.scanned().filter(ours) else { return 0 };
        let mut resumed = tally.clone();
        // Had they had a winner, the pass would not have gone on.
        if resumed.add(&scanned.hits()).is_some() {
            return 0;
        }
        *tally = resumed;
        scanned.labels
    }

    fn note(&self, labels: u64, tally: &Tally, diary: &mut Diary<'_>) {
        let nonces = self.nonces.end - self.nonces.start;
        let scanned = Scanned::new(Nonce(self.nonces.start), nonces, labels, &tally.hits());
        diary.journal.set_scanned(scanned);
        diary.save();
    }
}

/// Reads the data in order, from label `first` on, into whatever buffers come back, until it ends
/// or nobody listens.
fn read_ahead(
    directory: &DataSet,
    mut first: u64,
    spent: &Receiver<Vec<u8>>,
    full: &SyncSender<Chunk>,
) -> Result<(), PlotError> {
    let mut reader = directory.reader();
    while let Ok(mut bytes) = spent.recv() {
        bytes.resize(CHUNK_BYTES, 0);
        let count = reader.read(first, &mut bytes)?;
        bytes.truncate(count);
        if count == 0 || full.send(Chunk { first, bytes }).is_err() {
            break;
        }
        first += (count / LABEL_BYTES) as u64;
    }
    Ok(())
}

/// The node will verify the proof; we do it first, since a bad one would cost the identity.
fn check(proof: &Proof, job: &Job, around: &Surroundings<'_>) -> Result<(), ProveError> {
    let randomx = around.pows.to_verify().map_err(SolveError::from)?;
    let params = Params { units_min: 1, units_max: u32::MAX, ..job.params.clone() };
    verify(proof, &job.statement, &params, Indices::All, &*randomx)
        .map_err(|failure| ProveError::Invalid(failure.to_string()))
}

#[cfg(test)]
mod tests;
