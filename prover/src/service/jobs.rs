//! All work of a service, without IO: events in, actions out.
//!
//! A request is known by what it asks for and not by who asks: asked twice, by two nodes or by one
//! that was away, it is the same work. It is written down before it is begun, and so is what came
//! of it before anybody is told. Who may work now is the [`schedule`](super::schedule)'s to say.

mod shown;
mod talk;

use super::schedule::{Claim, Needs, Number, Rank, decide};
use super::status::{JobState, JobStatus, Kind, Rest};
use plot::{Outcome, Request};
use post::{NetworkId, Proof, Statement};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::{JobId, PlotInfo, ProveFailure, SessionId, Stage, ToNode, Version};

/// How long work that failed is left alone, in seconds.
const AGAIN_AFTER: u64 = 60;
/// Jobs that have ended and are still shown.
const ENDED: usize = 16;

/// Seconds since 1970.
pub(super) type Time = u64;

/// The number of a connection to a node, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PeerId(pub(super) u64);

/// A data set, as far as work on it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) plot: PlotInfo,
    pub(super) disks: BTreeSet<u64>,
    /// Labels that are to be made.
    pub(super) absent: u64,
    /// When all labels are to be looked at next.
    pub(super) scrub_at: Option<Time>,
}

/// What happened.
#[derive(Debug)]
pub(super) enum Event {
    /// A node welcomed us.
    Joined(PeerId, Version),
    /// It asks for the data sets.
    InfoWanted(PeerId),
    /// It asks for a proof.
    Asked { from: PeerId, job: JobId, statement: Statement, deadline_at: Option<Time> },
    /// It does not want it any more.
    Cancelled(PeerId, JobId),
    /// It has written the proof down.
    Recorded(PeerId, JobId),
    /// It is gone.
    Parted(PeerId),
    /// This is what there is now.
    Sets(Vec<Set>),
    /// A job that was started is at a stage, and waits until it may go on.
    Wants(Number, Stage),
    /// It got on.
    Progress { number: Number, stage: Stage, done: u64, total: u64 },
    /// It ended.
    Ended(Number, End),
    /// Work is to rest, or not.
    Rest(Rest),
    /// Time has passed.
    Tick,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    /// With a proof, or a reason why there is none.
    Proof(Result<Proof, ProveFailure>),
    /// All of it is done.
    Done,
    /// It was stopped, and goes on later.
    Stopped,
    /// It cannot be done, for now.
    Failed(String),
}

/// What is to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Action {
    /// Say this to a node.
    Say(PeerId, ToNode),
    /// Begin a job, on a thread of its own.
    Start(Number, Task),
    /// Let a job go on that waits.
    Grant(Number),
    /// Stop a job; its end will be told.
    Stop(Number),
    /// Write this down, before anything else is done.
    Note(usize, Request),
    /// Strike this out.
    Strike(usize, Statement),
    /// All labels were looked at.
    Scrubbed(usize),
    /// Nothing is left to be done.
    Idle,
}

/// What a job is to do, and with which data set.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Task {
    Prove(usize, Statement),
    Init(usize),
    Scrub(usize),
}

impl Task {
    fn set(&self) -> usize {
        match self {
            Self::Prove(set, _) | Self::Init(set) | Self::Scrub(set) => *set,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Prove(..) => Kind::Prove,
            Self::Init(_) => Kind::Init,
            Self::Scrub(_) => Kind::Scrub,
        }
    }

    fn statement(&self) -> Option<&Statement> {
        match self {
            Self::Prove(_, statement) => Some(statement),
            Self::Init(_) | Self::Scrub(_) => None,
        }
    }
}

#[derive(Debug)]
struct Job {
    task: Task,
    asked_at: Time,
    deadline_at: Option<Time>,
    /// Nodes that wait for it, and their numbers for it.
    askers: BTreeMap<PeerId, JobId>,
    /// The stage that it is in or wants to be in.
    stage: Stage,
    /// What it has; `None` where it has no thread.
    holds: Option<Needs>,
    is_stopping: bool,
    /// Why nobody wants it any more; it is gone once its thread has ended.
    given_up: Option<String>,
    /// It is not begun before.
    not_before: Time,
    why: Option<String>,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    done: u64,
    total: u64,
    /// Where the stage stood when it was first heard of, and when.
    from: Option<(u64, Time)>,
}

impl Job {
    /// Whether it has more than its data set: it does something.
    fn is_at_work(&self) -> bool {
        self.holds.as_ref().is_some_and(|holds| *holds != Needs::only(holds.set))
    }
}

/// What came of a request.
#[derive(Debug)]
struct Answered {
    request: Request,
    set: usize,
    /// Nodes that were told, and their numbers for it.
    told: BTreeMap<PeerId, JobId>,
}

/// All work.
#[derive(Debug)]
pub(super) struct Jobs {
    session: SessionId,
    network: NetworkId,
    fills: bool,
    /// The time of the last event.
    now: Time,
    sets: Vec<Set>,
    peers: BTreeMap<PeerId, Version>,
    jobs: BTreeMap<Number, Job>,
    answered: Vec<Answered>,
    ended: VecDeque<JobStatus>,
    next: Number,
    rest: Rest,
    was_busy: bool,
    actions: VecDeque<Action>,
}

impl Jobs {
    /// Work that begins with nothing; `fills` if labels that are missing are to be made.
    pub(super) fn new(session: SessionId, network: NetworkId, fills: bool) -> Self {
        Self {
            session,
            network,
            fills,
            now: 0,
            sets: Vec::new(),
            peers: BTreeMap::new(),
            jobs: BTreeMap::new(),
            answered: Vec::new(),
            ended: VecDeque::new(),
            next: 1,
            rest: Rest::None,
            was_busy: false,
            actions: VecDeque::new(),
        }
    }

    /// Whether labels that are missing are to be made, from now on.
    pub(super) fn fill(&mut self, fills: bool) {
        self.fills = fills;
    }

    /// Takes up what was written down of a data set.
    pub(super) fn remember(&mut self, set: usize, request: Request) {
        if request.network != self.network {
            return;
        }
        match request.outcome {
            Outcome::Pending => {
                let (statement, asked) = (request.statement.clone(), request.asked_at);
                self.add(Task::Prove(set, statement), asked, request.deadline_at);
            }
            _ => self.answered.push(Answered { request, set, told: BTreeMap::new() }),
        }
    }

    /// Takes in what happened.
    pub(super) fn handle(&mut self, now: Time, event: Event) {
        self.now = now;
        match event {
            Event::Joined(peer, version) => self.joined(peer, version),
            Event::InfoWanted(peer) => self.say_info(peer),
            Event::Asked { from, job, statement, deadline_at } => {
                self.asked(from, job, statement, deadline_at);
            }
            Event::Cancelled(peer, job) => self.cancelled(peer, job),
            Event::Recorded(peer, job) => self.recorded(peer, job),
            Event::Parted(peer) => self.parted(peer),
            Event::Sets(sets) => self.found(sets),
            Event::Wants(number, stage) => self.wants(number, stage),
            Event::Progress { number, stage, done, total } => {
                self.progress(number, stage, done, total);
            }
            Event::Ended(number, end) => self.ended(number, end),
            Event::Rest(rest) => self.rest = rest,
            Event::Tick => {}
        }
        self.drop_what_nobody_wants();
        self.add_own_work();
        self.schedule();
    }

    /// What is to be done next, in order.
    pub(super) fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to be told that time has passed.
    pub(super) fn deadline(&self) -> Option<Time> {
        let jobs = self.jobs.values().filter(|job| job.holds.is_none());
        let again = jobs.clone().map(|job| job.not_before).filter(|at| *at > self.now);
        let unwanted = self.jobs.values().filter(|job| job.askers.is_empty());
        let unwanted = unwanted.filter_map(|job| job.deadline_at).filter(|at| *at > self.now);
        let busy = |set: usize| self.jobs.values().any(|job| job.task.set() == set);
        let sets = self.sets.iter().enumerate().filter(|(number, _)| !busy(*number));
        let scrubs = sets.filter_map(|(_, set)| set.scrub_at).filter(|at| *at > self.now);
        again.chain(unwanted).chain(scrubs).min()
    }

    /// Whether work rests, and why.
    pub(super) fn rest(&self) -> Rest {
        self.rest
    }

    /// Whether there is work that nobody waits for.
    pub(super) fn has_own_work(&self) -> bool {
        self.jobs.values().any(|job| job.task.kind() != Kind::Prove)
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    fn add(&mut self, task: Task, asked_at: Time, deadline_at: Option<Time>) -> Number {
        let number = self.next;
        self.next += 1;
        let job = Job {
            task,
            asked_at,
            deadline_at,
            askers: BTreeMap::new(),
            stage: Stage::Pow,
            holds: None,
            is_stopping: false,
            given_up: None,
            not_before: 0,
            why: None,
            progress: Progress::default(),
        };
        self.jobs.insert(number, job);
        number
    }

    fn found(&mut self, sets: Vec<Set>) {
        let plots = |sets: &[Set]| sets.iter().map(|set| set.plot.clone()).collect::<Vec<_>>();
        let is_new = plots(&sets) != plots(&self.sets);
        self.sets = sets;
        if is_new {
            let peers: Vec<_> = self.peers.keys().copied().collect();
            peers.into_iter().for_each(|peer| self.say_info(peer));
        }
    }

    fn wants(&mut self, number: Number, stage: Stage) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        let set = job.task.set();
        if job.stage != stage {
            job.stage = stage;
            job.progress = Progress::default();
            job.holds = Some(Needs::only(set));
        }
        let wanted = self.needs(number);
        let job = self.jobs.get(&number);
        if job.is_some_and(|job| job.holds == wanted && !job.is_stopping) {
            self.act(Action::Grant(number));
        }
    }

    fn progress(&mut self, number: Number, stage: Stage, done: u64, total: u64) {
        let now = self.now;
        let Some(job) = self.jobs.get_mut(&number) else { return };
        let from = job.progress.from.filter(|(from, _)| *from <= done).unwrap_or((done, now));
        job.progress = Progress { done, total, from: Some(from) };
        let askers: Vec<_> = job.askers.iter().map(|(peer, id)| (*peer, *id)).collect();
        for (peer, id) in askers {
            self.tell_progress(peer, id, stage, done, total);
        }
    }

    fn ended(&mut self, number: Number, end: End) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        (job.holds, job.is_stopping, job.progress) = (None, false, Progress::default());
        job.stage = Stage::Pow;
        if let Some(why) = job.given_up.take() {
            return self.show_ended(number, JobState::Failed, Some(why));
        }
        match end {
            End::Stopped | End::Proof(Err(ProveFailure::Cancelled)) => {}
            End::Proof(Ok(proof)) => self.close(number, Outcome::Proved(proof)),
            End::Proof(Err(ProveFailure::NoProof)) => self.close(number, Outcome::Unprovable),
            End::Proof(Err(why)) => self.failed(number, &why),
            End::Done => {
                if let Task::Scrub(set) = job.task {
                    self.act(Action::Scrubbed(set));
                }
                self.show_ended(number, JobState::Done, None);
            }
            End::Failed(why) => {
                job.not_before = self.now.saturating_add(AGAIN_AFTER);
                job.why = Some(why);
            }
        }
    }

    /// Proofs that are of no use any more, and that no node waits for.
    fn drop_what_nobody_wants(&mut self) {
        let is_past = |job: &Job| job.deadline_at.is_some_and(|at| at <= self.now);
        let past = self.jobs.iter().filter(|(_, job)| is_past(job) && job.askers.is_empty());
        let past: Vec<_> = past.map(|(number, _)| *number).collect();
        for number in past {
            self.give_up(number, "its time is over, and no node asks for it");
        }
    }

    /// Work that is not wanted any more.
    fn give_up(&mut self, number: Number, why: &str) {
        let Some(job) = self.jobs.get_mut(&number).filter(|job| job.given_up.is_none()) else {
            return;
        };
        let (task, runs) = (job.task.clone(), job.holds.is_some());
        if runs {
            job.given_up = Some(why.to_owned());
        } else {
            self.show_ended(number, JobState::Failed, Some(why.to_owned()));
        }
        if let Task::Prove(set, statement) = task {
            self.act(Action::Strike(set, statement));
        }
        if runs {
            self.stop(number);
        }
    }

    fn stop(&mut self, number: Number) {
        if let Some(job) = self.jobs.get_mut(&number).filter(|job| !job.is_stopping) {
            job.is_stopping = true;
            self.act(Action::Stop(number));
        }
    }

    /// Labels that are missing are made, and labels that were long not looked at are looked at.
    fn add_own_work(&mut self) {
        for number in 0..self.sets.len() {
            let busy = |kind| {
                let mut jobs = self.jobs.values();
                jobs.any(|job| job.task.set() == number && job.task.kind() == kind)
            };
            let Some(set) = self.sets.get(number) else { return };
            let is_due = set.scrub_at.is_some_and(|at| at <= self.now);
            if self.fills && set.absent > 0 && !busy(Kind::Init) {
                self.add(Task::Init(number), self.now, None);
            } else if set.absent == 0 && is_due && !busy(Kind::Scrub) {
                self.add(Task::Scrub(number), self.now, None);
            }
        }
    }

    fn schedule(&mut self) {
        let claims: Vec<Claim> = self.jobs.keys().filter_map(|it| self.claim(*it)).collect();
        let decision = decide(&claims);
        decision.stop.into_iter().for_each(|number| self.stop(number));
        for number in decision.grant {
            let needs = self.needs(number);
            let Some(job) = self.jobs.get_mut(&number).filter(|job| !job.is_stopping) else {
                continue;
            };
            let is_new = job.holds.is_none();
            job.holds = needs;
            let task = job.task.clone();
            self.act(if is_new { Action::Start(number, task) } else { Action::Grant(number) });
        }
        let is_busy = self.jobs.values().any(|job| job.holds.is_some());
        if self.was_busy && !is_busy {
            self.act(Action::Idle);
        }
        self.was_busy = is_busy;
    }

    /// What a job claims.
    fn claim(&self, number: Number) -> Option<Claim> {
        let job = self.jobs.get(&number)?;
        let kind = job.task.kind();
        let rests = match self.rest {
            Rest::None => false,
            Rest::Asked | Rest::Battery => kind != Kind::Prove,
            Rest::AskedProofsToo => true,
        };
        let rests = rests || job.given_up.is_some() || job.not_before > self.now;
        let deadline_at = job.deadline_at.unwrap_or(Time::MAX);
        let rank = Rank { kind, is_late: deadline_at <= self.now, deadline_at, number };
        let wants = if rests { None } else { self.needs(number) };
        Some(Claim { rank, wants, holds: job.holds.clone() })
    }

    /// What the stage of a job needs.
    fn needs(&self, number: Number) -> Option<Needs> {
        let job = self.jobs.get(&number)?;
        let set = job.task.set();
        let disks = || self.sets.get(set).map(|set| set.disks.clone()).unwrap_or_default();
        Some(match (&job.task, job.stage) {
            (Task::Prove(..), Stage::Pow | Stage::Waiting) => {
                Needs { compute: true, ..Needs::only(set) }
            }
            (Task::Prove(..), Stage::Scan) | (Task::Scrub(_), _) => {
                Needs { disks: disks(), ..Needs::only(set) }
            }
            (Task::Init(_), _) => Needs { disks: disks(), compute: true, set },
        })
    }

    /// Jobs that come before this one.
    fn ahead_of(&self, number: Number) -> u64 {
        let Some(own) = self.claim(number) else { return 0 };
        let others = self.jobs.keys().filter_map(|other| self.claim(*other));
        others.filter(|other| other.wants.is_some() && other.rank < own.rank).count() as u64
    }
}

#[cfg(test)]
mod tests;
