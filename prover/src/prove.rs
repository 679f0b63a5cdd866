//! A proof: pass after pass over the data, `nonces` at a time, until a nonce has K2 good labels.
//!
//! Reading and scanning overlap: one thread reads ahead while the scanner works. The result does
//! not depend on how either is cut.

use crate::randomx::Pows;
use cpu::Scan;
use plot::{DataDir, PlotError};
use post::k2pow::{Difficulty, NoUnits};
use post::search::{GroupKeys, ScanFault, Scanner, Tally, Threshold, TooFewLabels, Winner, pass};
use post::verify::{Indices, verify};
use post::{LABEL_BYTES, LabelIndex, Nonce, NonceGroup, Params, Proof, Statement};
use pow::{Puzzle, SolveError, solve};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use thiserror::Error;
use wire::Stage;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 4 << 20;
/// Chunks in flight: one read, one scanned, one on its way.
const CHUNKS: usize = 3;

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
            SolveError::Stopped => Self::Stopped,
            other => Self::Pow(other),
        }
    }
}

/// What goes on around a proof.
pub(crate) struct Surroundings<'a> {
    pub(crate) pows: &'a Pows,
    pub(crate) stop: &'a (dyn Fn() -> bool + Sync),
    /// Told the stage, what is done of it and what there is.
    pub(crate) progress: &'a (dyn Fn(Stage, u64, u64) + Sync),
}

/// Proves the data of a directory, and verifies the proof before it is given out.
pub(crate) fn prove(
    job: &Job,
    directory: &DataDir,
    around: &Surroundings<'_>,
) -> Result<Proof, ProveError> {
    for file in directory.survey()? {
        file.complete()?;
    }
    let Statement { num_units, labels_per_unit, .. } = job.statement;
    let num_labels = job.statement.num_labels();
    let num_labels = num_labels.ok_or(ProveError::LabelCount { num_units, labels_per_unit })?;
    let threshold = Threshold::new(job.params.k1, num_labels)?;
    let difficulty = job.params.pow_difficulty.scaled(num_units)?;
    for number in 0.. {
        let nonces = pass(number, job.nonces).ok_or(ProveError::NoProof)?;
        let keys = buy(job, nonces.clone(), difficulty, around)?;
        let mut tally = Tally::new(Nonce(nonces.start), nonces.end - nonces.start, job.params.k2);
        let mut scanner = Scan::new(keys.clone(), threshold, job.threads);
        if let Some(winner) = scan(directory, num_labels, &mut scanner, &mut tally, around)? {
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

/// Solves the k2pow of each group of a pass.
fn buy(
    job: &Job,
    nonces: std::ops::Range<u32>,
    difficulty: Difficulty,
    around: &Surroundings<'_>,
) -> Result<Vec<GroupKeys>, ProveError> {
    let groups: Vec<NonceGroup> = nonces
        .step_by(Nonce::PER_GROUP as usize)
        .filter_map(|first| Nonce(first).group())
        .collect();
    let total = groups.len() as u64;
    let count = u32::try_from(groups.len()).unwrap_or(u32::MAX);
    let randomx = around.pows.to_solve(&difficulty, count).map_err(SolveError::from)?;
    let Statement { challenge, node_id, .. } = job.statement;
    let mut keys = Vec::with_capacity(groups.len());
    for (done, group) in (0..).zip(groups) {
        (around.progress)(Stage::Pow, done, total);
        let puzzle = Puzzle { group, challenge, node_id, difficulty };
        let pow = solve(&randomx, &puzzle, job.threads.get(), around.stop, &|_| ())?;
        keys.push(GroupKeys::new(&challenge, group, pow));
    }
    (around.progress)(Stage::Pow, total, total);
    Ok(keys)
}

/// A piece of the data on its way from disk to scanner.
struct Chunk {
    first: u64,
    bytes: Vec<u8>,
}

/// One pass over the data.
fn scan(
    directory: &DataDir,
    num_labels: u64,
    scanner: &mut dyn Scanner,
    tally: &mut Tally,
    around: &Surroundings<'_>,
) -> Result<Option<Winner>, ProveError> {
    let (full, filled) = sync_channel(CHUNKS);
    let (empty, spent) = sync_channel(CHUNKS);
    for _ in 0..CHUNKS {
        // The channel has room for all of them.
        let _ = empty.send(vec![0; CHUNK_BYTES]);
    }
    thread::scope(|scope| {
        let reader = scope.spawn(move || read_ahead(directory, &spent, &full));
        let mut found = Ok(None);
        for chunk in filled {
            (around.progress)(Stage::Scan, chunk.first, num_labels);
            found = match scanner.scan(LabelIndex(chunk.first), &chunk.bytes) {
                Ok(hits) => Ok(tally.add(&hits)),
                Err(fault) => Err(ProveError::from(fault)),
            };
            if (around.stop)() {
                found = Err(ProveError::Stopped);
            }
            if !matches!(found, Ok(None)) || empty.send(chunk.bytes).is_err() {
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

/// Reads the data in order into whatever buffers come back, until it ends or nobody listens.
fn read_ahead(
    directory: &DataDir,
    spent: &Receiver<Vec<u8>>,
    full: &SyncSender<Chunk>,
) -> Result<(), PlotError> {
    let mut reader = directory.reader();
    let mut first = 0;
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
