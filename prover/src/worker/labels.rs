//! Labels by a GPU that another process drives.

use super::fault::WorkerFault;
use super::message::{Reply, Request, State};
use super::process::{Launcher, Patience, Process};
use core::time::Duration;
use gpu::Tuning;
use post::label::{Candidate, LabelFault};
use post::{Commitment, LABEL_BYTES, LabelIndex, LabelRange, Labeler, ScryptN};

/// The most labels at a time that a worker is believed to make: 64 MiB.
const BATCH_MAX: u64 = 1 << 22;

/// What labels are to be made, and by which device.
#[derive(Clone, Debug)]
pub(crate) struct LabelsJob {
    /// The device's name.
    pub(crate) device: String,
    pub(crate) commitment: Commitment,
    pub(crate) n: ScryptN,
    /// How long a dispatch should take.
    pub(crate) target: Duration,
    /// What is known to be best, instead of measuring.
    pub(crate) tuning: Option<Tuning>,
}

/// Labels of one commitment and N on a GPU. The worker is started by the first call that needs it,
/// and again by the first one after a fault.
pub(crate) struct RemoteLabels {
    launcher: Launcher,
    patience: Patience,
    job: LabelsJob,
    worker: Option<Process>,
    kernel: String,
    state: Option<State>,
}

impl RemoteLabels {
    pub(crate) fn new(launcher: Launcher, patience: Patience, job: LabelsJob) -> Self {
        let kernel = "wgsl".to_owned();
        Self { launcher, patience, job, worker: None, kernel, state: None }
    }

    /// Whether a worker is ready to go on.
    pub(crate) fn is_open(&self) -> bool {
        self.worker.is_some()
    }

    /// What the device has learned; `None` before it was opened.
    pub(crate) fn state(&self) -> Option<State> {
        self.state
    }

    /// The process of the worker.
    #[cfg(test)]
    pub(super) fn process(&self) -> Option<u32> {
        self.worker.as_ref()?.id()
    }

    /// As [`Labeler::fill`], with faults that a program can tell apart.
    pub(crate) fn try_fill(
        &mut self,
        range: LabelRange,
        out: &mut [u8],
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Candidate>, WorkerFault> {
        let (labels, room) = (range.end.saturating_sub(range.start), out.len() as u64);
        if labels.checked_mul(LABEL_BYTES as u64) != Some(room) {
            return Err(gpu::Fault::WrongRoom { labels, room }.into());
        }
        let mut worker = match self.worker.take() {
            Some(worker) => worker,
            None => self.open(stop)?,
        };
        let request = Request::Fill { first: range.start, labels };
        let working = self.patience.working;
        let Reply::Filled { bytes, state } = worker.ask(&request, &[], working, stop)? else {
            return Err(WorkerFault::Nonsense("an answer to another question"));
        };
        if bytes != room {
            return Err(WorkerFault::Nonsense("it made more or fewer labels than were asked for"));
        }
        worker.read(out, working, stop)?;
        let best = smallest(&self.job, range.start, out);
        self.learn(state);
        self.worker = Some(worker);
        Ok(best)
    }

    /// A worker that is ready for this job.
    fn open(&mut self, stop: &dyn Fn() -> bool) -> Result<Process, WorkerFault> {
        let opened = self.try_open(stop);
        if opened.is_err() && self.job.tuning.take().is_some() {
            // What suited the device once may be what it fails at now: the next one measures.
            self.state = None;
        }
        opened
    }

    fn try_open(&mut self, stop: &dyn Fn() -> bool) -> Result<Process, WorkerFault> {
        let LabelsJob { device, commitment, n, target, tuning } = self.job.clone();
        let mut worker = Process::start(&self.launcher)?;
        let request = Request::Labels { device, commitment, n: n.get(), target, tuning };
        match worker.ask(&request, &[], self.patience.opening, stop)? {
            Reply::Ready { kernel, state: Some(state) } => {
                self.kernel = kernel;
                self.learn(state);
                Ok(worker)
            }
            _ => Err(WorkerFault::Nonsense("an answer to another question")),
        }
    }

    fn learn(&mut self, state: State) {
        self.state = Some(state);
        if state.settled {
            // The next worker need not measure again.
            self.job.tuning = Some(state.tuning);
        }
    }
}

/// Where the smallest of the labels that came back is, and what it is by the definition; whether
/// it came back so is for whoever keeps it to see. Labels compare as big-endian numbers, and the
/// stored half decides.
fn smallest(job: &LabelsJob, first: u64, labels: &[u8]) -> Option<Candidate> {
    let numbered = (first..).zip(labels.as_chunks::<LABEL_BYTES>().0);
    let (index, _) = numbered.min_by_key(|(_, stored)| u128::from_be_bytes(**stored))?;
    let index = LabelIndex(index);
    Some(Candidate { index, label: post::label(&job.commitment, index, job.n) })
}

impl Labeler for RemoteLabels {
    fn fill(
        &mut self,
        range: LabelRange,
        out: &mut [u8],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Candidate>, LabelFault> {
        self.try_fill(range, out, stop).map_err(|fault| fault.of(&self.job.device))
    }

    fn kernel(&self) -> &str {
        &self.kernel
    }

    fn batch(&self) -> u64 {
        // Who asks allocates as much.
        self.state.map_or(1, |state| u64::from(state.tuning.labels).clamp(1, BATCH_MAX))
    }
}
