//! A proof: pass after pass over the data, `nonces` at a time, until a nonce has K2 good labels.
//!
//! Labels flow from the disks through workers that scan them to one place that counts ([`pass`]).
//! Which nonce wins follows from label order alone ([`count`]): not from the number of workers or
//! disks, nor from the order in which pieces come, nor from interruptions, since a journal beside
//! the data keeps the k2pows, what was scanned and what was found ([`diary`]).
//!
//! Labels that are missing, unreadable or wrong cost themselves and nothing else. A proof does not
//! claim that every label is there: it names K2 that are, and whoever has most of the data finds
//! them nearly as soon as who has all of it. So missing and unreadable labels are passed over, and
//! those of a winner are made again before its proof is given out; a wrong one is dropped, and the
//! search goes on ([`judge`]). All of it is told, with what to do about it ([`faults`]).

mod count;
mod data;
mod diary;
mod faults;
mod hands;
mod judge;
mod measure;
mod meter;
mod pass;
mod pows;

use crate::machine;
use crate::outlook::{self, Manner, Plan, Standing, Wish};
use crate::pace::Pace;
use crate::randomx::Pows;
use count::Count;
use data::Data;
use diary::Diary;
use faults::Faults;
use meter::Meter;
use pass::Pass;
use plot::{DataSet, PlotError};
use post::k2pow::NoUnits;
use post::search::{GroupKeys, ScanFault, Scanner, Threshold, TooFewLabels, pass as nonces_of};
use post::verify::{Indices, verify};
use post::{Nonce, Params, Proof, Statement};
use pow::{PowFault, SolveError};
use std::num::NonZeroUsize;
use thiserror::Error;
use wire::Stage;

use diary::key;
pub(crate) use diary::key_of;
pub(crate) use hands::{Device, Hands, Watch};
pub(crate) use measure::measure;

/// What is to be proven, and how.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) statement: Statement,
    pub(crate) params: Params,
    /// Nonces a pass; [`Job::plan`] chooses them.
    pub(crate) nonces: u32,
    pub(crate) threads: NonZeroUsize,
}

impl Job {
    /// Chooses the nonces of a pass, if that is left to us, by what is beside the data: how far
    /// this proof is, and how fast such proofs are made in this manner. `window` is in seconds.
    pub(crate) fn plan(
        &mut self,
        set: &DataSet,
        manner: &Manner,
        nonces: Option<u32>,
        window: Option<f64>,
    ) -> (Plan, Standing) {
        let Statement { num_units, labels_per_unit, .. } = self.statement;
        let num_labels = self.statement.num_labels().unwrap_or(u64::MAX);
        let standing = Standing::of(set.journal(key(self)), num_labels);
        let rates = manner.rates(&set.measured(&machine::name()));
        let task = outlook::task(&self.params, num_units, labels_per_unit).ok();
        let wish = Wish { nonces, window, ..Wish::default() };
        let plan = Plan::of(&wish, Some(&standing), task.as_ref().zip(rates.as_ref()));
        self.nonces = plan.nonces;
        (plan, standing)
    }
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
    #[error("there are no labels to prove anything with: {0}")]
    NoLabels(String),
    #[error(
        "of {} labels that were made again, spread over all of the data in {place}, none is as on \
         disk: it was made for another identity, or with another scrypt N than {n}, or is damaged \
         throughout. Run `check`",
        judge::PROBES
    )]
    AllWrong { place: String, n: u32 },
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
    #[error("the system gives no thread to scan with: {0}")]
    Thread(std::io::Error),
    #[error("the proof that was found is not valid: {0}")]
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
    pub(crate) hands: &'a Hands,
    pub(crate) pace: Pace,
    pub(crate) stop: &'a (dyn Fn() -> bool + Sync),
    /// Told the stage, what is done of it and what there is.
    pub(crate) progress: &'a (dyn Fn(Stage, u64, u64) + Sync),
    /// Asked before each stage, since others may need the same processor or disk; returns when it
    /// is our turn, and whether it ever will be.
    pub(crate) turn: &'a (dyn Fn(Stage) -> bool + Sync),
}

impl Surroundings<'_> {
    fn wait_for(&self, stage: Stage) -> Result<(), ProveError> {
        if (self.turn)(stage) { Ok(()) } else { Err(ProveError::Stopped) }
    }
}

/// A device that scans, on a thread of its own.
type Worker = Box<dyn Scanner + Send>;

/// Makes the workers of a pass.
type Hire<'a> = &'a dyn Fn(&Data, &[GroupKeys], Threshold) -> Vec<Worker>;

/// Proves the data of a directory, and verifies the proof before it is given out.
pub(crate) fn prove(
    job: &Job,
    directory: &DataSet,
    around: &Surroundings<'_>,
) -> Result<Proof, ProveError> {
    prove_by(job, directory, around, &|data, keys, threshold| {
        around.hands.hire(job.threads, data, keys, threshold)
    })
}

/// As [`prove`], without a journal: an interruption costs all of the work. For proofs that nobody
/// waits for, since a journal would take the place of another proof's.
pub(crate) fn rehearse(
    job: &Job,
    directory: &DataSet,
    around: &Surroundings<'_>,
) -> Result<Proof, ProveError> {
    let mut diary = Diary::none(job, directory);
    search(job, directory, around, &mut diary, &|data, keys, threshold| {
        around.hands.hire(job.threads, data, keys, threshold)
    })
}

/// As [`prove`], by any workers.
fn prove_by(
    job: &Job,
    directory: &DataSet,
    around: &Surroundings<'_>,
    hire: Hire<'_>,
) -> Result<Proof, ProveError> {
    search(job, directory, around, &mut Diary::open(job, directory), hire)
}

/// Pass after pass, from where the diary says.
fn search(
    job: &Job,
    directory: &DataSet,
    around: &Surroundings<'_>,
    diary: &mut Diary<'_>,
    hire: Hire<'_>,
) -> Result<Proof, ProveError> {
    let Statement { num_units, labels_per_unit, .. } = job.statement;
    let num_labels = job.statement.num_labels();
    let num_labels = num_labels.ok_or(ProveError::LabelCount { num_units, labels_per_unit })?;
    let threshold = Threshold::new(job.params.k1, num_labels)?;
    let mut faults = Faults::default();
    let data = Data::survey(directory, num_labels, &mut faults)?;
    data.foretell(job);
    let mut passes = Vec::new();
    for number in diary.pass(job.nonces).. {
        let nonces = nonces_of(number, job.nonces).ok_or(ProveError::NoProof)?;
        around.wait_for(Stage::Pow)?;
        let keys = pows::buy(job, nonces.clone(), diary, around)?;
        around.wait_for(Stage::Scan)?;
        let workers = hire(&data, &keys, threshold);
        let mut count = Count::new(nonces.clone(), job.params.k2, &data.missing);
        diary.resume(&mut count, &data);
        let (diary, faults) = (&mut *diary, &mut faults);
        let (data, is_partly_right, meter) = (&data, false, Meter::default());
        let mut pass = Pass {
            job,
            data,
            keys,
            threshold,
            around,
            diary,
            faults,
            count,
            is_partly_right,
            meter,
        };
        let proof = pass.run(workers);
        passes.extend(pass.meter.rate());
        faults.summarize();
        if let Some(proof) = proof? {
            check(&proof, job, around)?;
            measure::write_down(job, directory, around, &passes);
            return Ok(proof);
        }
        tracing::info!("no proof among nonces {nonces:?}: trying the next");
    }
    Err(ProveError::NoProof)
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
