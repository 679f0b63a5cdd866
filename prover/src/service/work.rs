//! How a job is done, on a thread of its own: it asks for its turn before each stage, and heeds a
//! wish to stop.

use super::drive::Happening;
use super::foresight::Course;
use super::holding::Holding;
use super::jobs::{End, Event, Task, Time};
use super::roll::{Entry, Roll};
use super::schedule::Number;
use crate::args::{ProofArgs, ServeArgs, WorkArgs};
use crate::check::Check;
use crate::init::Init;
use crate::make::{MakeError, draw_below};
use crate::outcome::{Failure, Result};
use crate::outlook::{Manner, NONCES};
use crate::progress::{Report, unix_now};
use crate::prove::{Hands, Job, ProveError, Surroundings, prove};
use crate::randomx::Pows;
use crate::settings::{self, Network};
use crate::stop::Stop;
use crate::{background, crew, devices};
use plot::{DataSet, Lock};
use post::label::LabelFault;
use post::{Params, Statement};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;
use wire::{ProveFailure, Stage, TEXT_BYTES_MAX};

/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// How much is made again of what is scrubbed, in percent.
const SCRUB_PERCENT: f64 = 0.1;

/// What all jobs work with.
pub(super) struct Tools {
    pub(super) network: Network,
    /// The directories of each data set.
    pub(super) sets: Vec<Vec<PathBuf>>,
    /// Nonces a pass, if they were asked for.
    pub(super) nonces: Option<u32>,
    pub(super) work: WorkArgs,
    pub(super) pows: Pows,
    pub(super) hands: Hands,
    pub(super) roll: Arc<Roll>,
}

impl Tools {
    /// What the flags say.
    pub(super) fn of(args: &ServeArgs, holdings: &[Holding], roll: &Arc<Roll>) -> Result<Self> {
        let threads = settings::threads(&args.work).get();
        let chosen = devices::chosen(&args.work)?;
        roll.enrol(&chosen);
        let watch = Some(roll.watch());
        Ok(Self {
            network: settings::network(&args.network, &ProofArgs::default())?,
            sets: holdings.iter().map(|holding| holding.directories.clone()).collect(),
            nonces: args.proving.nonces.asked(),
            work: args.work.clone(),
            pows: Pows::new(args.proving.randomx, threads, settings::pace(&args.work)),
            hands: Hands { watch, ..devices::hands_of(chosen, &args.work) },
            roll: Arc::clone(roll),
        })
    }

    /// How all jobs work.
    pub(super) fn manner(&self) -> Manner {
        Manner::of(settings::threads(&self.work), &self.hands, settings::pace(&self.work))
    }
}

/// A job on its thread.
pub(super) struct Worker {
    pub(super) tools: Arc<Tools>,
    pub(super) number: Number,
    pub(super) service: Sender<Happening>,
    pub(super) stop: Stop,
    /// When a proof is of no use any more, in seconds since 1970.
    pub(super) deadline_at: Option<Time>,
    /// Says when to go on; gone when it never will be.
    pub(super) turns: Mutex<Receiver<()>>,
}

impl Worker {
    /// Does the job, and tells how it ended.
    pub(super) fn run(self, task: Task) {
        let end = match &task {
            Task::Prove(set, statement) => {
                background::enter(&self.tools.work);
                End::Proof(self.prove(*set, statement.clone()))
            }
            Task::Init(set) => self.own_work(|| self.init(*set)),
            Task::Scrub(set) => self.own_work(|| self.scrub(*set)),
        };
        match &end {
            End::Proof(Ok(proof)) => tracing::info!("proof found: nonce {}", proof.nonce.0),
            End::Proof(Err(ProveFailure::Cancelled)) | End::Stopped | End::Done => {}
            End::Proof(Err(why)) => tracing::warn!("no proof: {why}"),
            End::Failed(why) => tracing::warn!("could not go on: {why}"),
        }
        tracing::debug!("job {} ends", self.number);
        // Nobody listens when the service ends.
        let _ = self.tell(Event::Ended(self.number, end));
    }

    /// Tells the service, and whether it listens.
    fn tell(&self, event: Event) -> bool {
        self.service.blocking_send(Happening::Job(event)).is_ok()
    }

    /// Waits for our turn, and tells whether it came.
    fn turn(&self, stage: Stage) -> bool {
        let number = self.number;
        tracing::debug!("job {number} wants: {stage}");
        if !self.tell(Event::Wants(number, stage)) {
            return false;
        }
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let comes = turns.recv().is_ok() && !self.stop.is_set();
        if comes {
            tracing::debug!("job {number} begins: {stage}");
        }
        comes
    }

    fn paths(&self, set: usize) -> &[PathBuf] {
        self.tools.sets.get(set).map_or(&[], Vec::as_slice)
    }

    /// A function that tells progress, now and then.
    fn progress(&self) -> impl Fn(Stage, u64, u64) + Send + Sync + use<> {
        let (service, number) = (self.service.clone(), self.number);
        let last = Mutex::new((None, Instant::now()));
        move |stage: Stage, done, total| {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.0 == Some(stage) && last.1.elapsed() < PROGRESS_EVERY {
                return;
            }
            *last = (Some(stage), Instant::now());
            // Where the service is busy, the next one tells more.
            let told = Event::Progress { number, stage, done, total };
            let _ = service.try_send(Happening::Job(told));
        }
    }

    fn prove(
        &self,
        set: usize,
        statement: Statement,
    ) -> std::result::Result<post::Proof, ProveFailure> {
        let proof = self.prove_in(self.paths(set), statement);
        proof.map_err(|failure| match failure {
            Failure::CouldNot(error) => match error.downcast_ref::<ProveError>() {
                Some(ProveError::Stopped) => ProveFailure::Cancelled,
                Some(ProveError::NoProof) => ProveFailure::NoProof,
                _ => ProveFailure::Fault(cut(&error.to_string())),
            },
            Failure::Usage(text) => ProveFailure::Fault(cut(&text)),
        })
    }

    fn prove_in(&self, paths: &[PathBuf], statement: Statement) -> Result<post::Proof> {
        let tools = &*self.tools;
        let _locks = Lock::shared_all(paths.iter().map(PathBuf::as_path))?;
        let set = DataSet::open(paths)?;
        let scrypt_n = crate::commands::scrypt_n(&set, &tools.network)?;
        let params = Params { scrypt_n, ..tools.network.params.clone() };
        let threads = settings::threads(&tools.work);
        let mut job = Job { statement, params, nonces: NONCES, threads };
        let window = self.deadline_at.map(|at| at.saturating_sub(unix_now()) as f64);
        let (plan, standing) = job.plan(&set, &tools.manner(), tools.nonces, window);
        tracing::info!("{}", plan.why);
        let (nonces, why) = (plan.nonces, plan.why);
        let begun = AtomicU32::new(standing.pass_number(nonces));
        let turn = |stage| {
            let comes = self.turn(stage);
            if comes && stage == Stage::Pow {
                let pass = begun.fetch_add(1, Ordering::Relaxed);
                let course = Course { nonces, why: why.clone(), pass };
                // Nobody listens when the service ends.
                let _ = self.service.blocking_send(Happening::Course(self.number, course));
            }
            comes
        };
        let around = Surroundings {
            pows: &tools.pows,
            hands: &tools.hands,
            pace: settings::pace(&tools.work),
            stop: &|| self.stop.is_set(),
            progress: &self.progress(),
            turn: &turn,
        };
        Ok(prove(&job, &set, &around)?)
    }

    /// Work that nobody waits for: everything else on this machine goes first.
    fn own_work(&self, work: impl FnOnce() -> Result<()>) -> End {
        background::enter(&WorkArgs { background: true, ..self.tools.work.clone() });
        match work() {
            Ok(()) => End::Done,
            Err(_) if self.stop.is_set() => End::Stopped,
            Err(Failure::Usage(why)) => End::Failed(why),
            Err(Failure::CouldNot(error)) => End::Failed(format!("{error:#}")),
        }
    }

    fn report(&self, entry: &Arc<Entry>) -> Report {
        let (progress, entry) = (self.progress(), Arc::clone(entry));
        Report::Told(Arc::new(move |done, total, shares| {
            entry.made(shares);
            progress(Stage::Scan, done, total);
        }))
    }

    fn init(&self, set: usize) -> Result<()> {
        let (tools, paths) = (&*self.tools, self.paths(set));
        let _locks = Lock::exclusive_all(paths.iter().map(PathBuf::as_path))?;
        let mut set = DataSet::open(paths)?;
        let n = crate::commands::scrypt_n(&set, &tools.network)?;
        set.reserve()?;
        let devices = devices::chosen(&tools.work)?;
        let mut crew = crew::of(&devices, &tools.work, set.metadata().commitment(), n);
        let stop = || self.stop.is_set();
        let entry = Entry::begin(&tools.roll, &crew);
        let report = self.report(&entry);
        let made = Init { set: &mut set, crew: &mut crew, stop: &stop, report }.run();
        entry.end(&crew);
        crate::commands::warn_of_liars(&set, &crew);
        let summary = made?;
        tracing::info!("{}: all labels are there ({} made now)", set.name(), summary.made);
        Ok(())
    }

    fn scrub(&self, set: usize) -> Result<()> {
        let (tools, paths) = (&*self.tools, self.paths(set));
        let _locks = Lock::shared_all(paths.iter().map(PathBuf::as_path))?;
        let set = DataSet::open(paths)?;
        let n = crate::commands::scrypt_n(&set, &tools.network)?;
        let devices = devices::chosen(&tools.work)?;
        let mut crew = crew::of(&devices, &tools.work, set.metadata().commitment(), n);
        let entry = Entry::begin(&tools.roll, &crew);
        let mut check = Check {
            set: &set,
            labeler: &mut crew,
            n,
            percent: SCRUB_PERCENT,
            seed: draw_below(u64::MAX),
            record: false,
            stop: &|| self.stop.is_set(),
            report: self.report(&entry),
        };
        let findings = check.run();
        entry.end(&crew);
        let findings = findings?;
        if findings.stopped {
            return Err(MakeError::Label(LabelFault::Stopped).into());
        }
        for range in &findings.bad {
            tracing::warn!(
                "labels {} to {} in {}: {}; `repair` mends what differs",
                range.first,
                range.last,
                Path::new(&range.file).display(),
                range.why
            );
        }
        tracing::info!("{}: looked at, {} bad ranges", set.name(), findings.bad.len());
        Ok(())
    }
}

/// A text cut to what the link carries, at a character.
fn cut(text: &str) -> String {
    let fits = text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= TEXT_BYTES_MAX);
    fits.map(|(_, character)| character).collect()
}
