//! What is to be expected of proofs, reckoned from what was measured and from how far they are; and
//! the alarm where that is not soon enough. No IO and no clock.
//!
//! A proof that waits for others begins when they are done: those that it shares a disk with count
//! with all that they take on average, the others with their k2pows, since the processor has one at
//! a time. What they can do at the same time is not reckoned, so that it comes rather sooner.

use super::jobs::{Set, Time};
use super::schedule::Number;
use super::status::{JobState, JobStatus, Kind, SetStatus, Status};
use crate::outlook::{
    self, LIKELY, Manner, Outlook, Plan, Prospect, Standing, Wish, alarm, prospect,
};
use crate::planner::{Begun, Rates, Task};
use plot::Measured;
use post::{Nonce, Params, Statement};
use std::collections::{BTreeMap, BTreeSet};

/// How often a proof is reckoned anew while it stays in a stage, in seconds.
const EVERY: Time = 15;

/// How a proof is gone about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Course {
    /// Nonces a pass.
    pub(super) nonces: u32,
    /// Why as many.
    pub(super) why: String,
    /// The number of the pass that it is in.
    pub(super) pass: u32,
}

/// What is known of a data set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) set: &'a Set,
    pub(super) measured: &'a Measured,
    /// Seconds that the node gave its last proof.
    pub(super) window: Option<u64>,
}

/// All that is looked at.
pub(super) struct View<'a> {
    pub(super) manner: &'a Manner,
    pub(super) params: &'a Params,
    /// Nonces that were asked for.
    pub(super) nonces: Option<u32>,
    pub(super) sets: Vec<Known<'a>>,
    /// The data set of a proof, and what it proves.
    pub(super) proof: &'a dyn Fn(Number) -> Option<(usize, Statement)>,
    /// How far a proof was that is not worked on yet; asked once for each.
    pub(super) standing: &'a dyn Fn(usize, &Statement) -> Option<Standing>,
}

/// What was reckoned, and whether people were told.
#[derive(Debug, Default)]
pub(super) struct Foresight {
    courses: BTreeMap<Number, Course>,
    sets: Vec<SetSight>,
    jobs: BTreeMap<Number, JobSight>,
}

/// A change of state that people should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Too late, as it seems.
    Alarm(String),
    /// Soon enough again.
    Relief(String),
}

impl Foresight {
    /// A proof is gone about like this from now on.
    pub(super) fn begins(&mut self, number: Number, course: Course) {
        self.courses.insert(number, course);
    }

    /// Puts into the status what is to be expected, and tells what changed.
    pub(super) fn fill(&mut self, status: &mut Status, view: &View<'_>) -> Vec<Word> {
        let mut words = Vec::new();
        self.sets.resize_with(view.sets.len(), SetSight::default);
        let sets = self.sets.iter_mut().zip(&view.sets).zip(&mut status.sets);
        for ((sight, known), shown) in sets {
            words.extend(sight.look(known, view, shown));
        }
        let there: BTreeSet<Number> = status.jobs.iter().map(|job| job.id).collect();
        self.jobs.retain(|number, _| there.contains(number));
        self.courses.retain(|number, _| there.contains(number));
        let mut before = Vec::new();
        for job in status.jobs.iter_mut().filter(|job| is_open(job)) {
            let Some((set, statement)) = (view.proof)(job.id) else { continue };
            let (Some(sight), Some(known)) = (self.sets.get(set), view.sets.get(set)) else {
                continue;
            };
            let own = self.jobs.entry(job.id).or_insert_with(|| {
                JobSight::new(sight, view, (view.standing)(set, &statement).as_ref())
            });
            let disks = &known.set.disks;
            let ahead = before.iter().map(|it: &Before| it.delays(set, disks)).sum();
            let course = self.courses.get(&job.id);
            words.extend(own.look(job, (status.now_at, ahead), course, sight, view.manner));
            let (pow, all) = (own.pow, own.own_seconds());
            before.push(Before { set, disks: disks.clone(), pow, all });
        }
        words
    }
}

fn is_open(job: &JobStatus) -> bool {
    let open = matches!(job.state, JobState::Waiting | JobState::Working | JobState::Resting);
    job.kind == Kind::Prove && open
}

/// A proof that comes before others.
struct Before {
    set: usize,
    disks: BTreeSet<u64>,
    /// Seconds of its k2pows, and of all of it.
    pow: f64,
    all: f64,
}

impl Before {
    /// Seconds that it makes another one wait.
    fn delays(&self, set: usize, disks: &BTreeSet<u64>) -> f64 {
        let shared = self.set == set || !self.disks.is_disjoint(disks);
        if shared { self.all } else { self.pow }
    }
}

/// The next proof of a data set.
#[derive(Debug, Default)]
struct SetSight {
    /// What it was reckoned from.
    from: Option<From>,
    reckoning: Option<(Task, Rates)>,
    plan: Option<Plan>,
    alarm: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct From {
    measured: Measured,
    manner: Manner,
    window: Option<u64>,
    nonces: Option<u32>,
    complete: bool,
    labels: (u32, u64),
}

impl SetSight {
    fn look(&mut self, known: &Known<'_>, view: &View<'_>, shown: &mut SetStatus) -> Option<Word> {
        let Known { set, measured, window } = *known;
        let plot = &set.plot;
        let from = From {
            measured: measured.clone(),
            manner: view.manner.clone(),
            window,
            nonces: view.nonces,
            complete: plot.complete,
            labels: (plot.num_units, plot.labels_per_unit),
        };
        let is_new = self.from.as_ref() != Some(&from);
        if is_new {
            self.reckon(&from, view.params);
            self.from = Some(from);
        }
        let prospect = self.plan.as_ref().and_then(|plan| plan.prospect.as_ref());
        shown.outlook = prospect.map(|prospect| prospect.outlook);
        shown.settings = self.plan.as_ref().map(|plan| plan.why.clone());
        let alarm = || {
            let (task, rates) = self.reckoning.as_ref()?;
            let wish = Wish { nonces: view.nonces, window: as_f64(window), ..Wish::default() };
            alarm(task, rates, &wish, view.manner.pace.share(), prospect?)
        };
        let word = is_new.then(|| changed(&mut self.alarm, prospect.map(|it| it.outlook), alarm));
        shown.alarm.clone_from(&self.alarm);
        let whose = |text| format!("the next proof of {}: {text}", plot.node_id);
        word.flatten().map(|word| word.map(whose))
    }

    fn reckon(&mut self, from: &From, params: &Params) {
        let (units, labels_per_unit) = from.labels;
        let task = outlook::task(params, units, labels_per_unit).ok();
        self.reckoning = task.zip(from.manner.rates(&from.measured));
        let wish = Wish { nonces: from.nonces, window: as_f64(from.window), ..Wish::default() };
        let reckoning = self.reckoning.as_ref().map(|(task, rates)| (task, rates));
        self.plan = from.complete.then(|| Plan::of(&wish, None, reckoning));
    }
}

fn as_f64(window: Option<u64>) -> Option<f64> {
    window.map(|seconds| seconds as f64)
}

/// What to tell, as the state changes: nothing where it stays.
fn changed(
    told: &mut Option<String>,
    outlook: Option<Outlook>,
    alarm: impl FnOnce() -> Option<String>,
) -> Option<Word> {
    let in_time = outlook.and_then(|outlook| outlook.in_time);
    match (in_time, told.is_some()) {
        (Some(in_time), false) if in_time < LIKELY => {
            *told = alarm();
            told.clone().map(Word::Alarm)
        }
        (Some(in_time), true) if in_time >= LIKELY => {
            *told = None;
            Some(Word::Relief(format!("in time with a chance of {}", outlook::percent(in_time))))
        }
        _ => None,
    }
}

impl Word {
    fn map(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Alarm(text) => Self::Alarm(change(text)),
            Self::Relief(text) => Self::Relief(change(text)),
        }
    }
}

/// A proof.
#[derive(Debug)]
struct JobSight {
    /// As it will be gone about, until it says so itself.
    course: Course,
    begun: Begun,
    /// Of which stage and pass, and when, this was reckoned.
    at: Option<(Option<String>, u32, Time)>,
    outlook: Option<Outlook>,
    /// Seconds of those that come first.
    ahead: f64,
    /// Seconds of its k2pows.
    pow: f64,
    alarm: Option<String>,
}

impl JobSight {
    fn new(set: &SetSight, view: &View<'_>, standing: Option<&Standing>) -> Self {
        let known = set.plan.as_ref().map(|plan| plan.nonces);
        // A choice for the set is one for each of its proofs.
        let wish = Wish { nonces: view.nonces, ..Wish::default() };
        let plan = Plan::of(&wish, standing, None);
        let is_free = view.nonces.is_none() && standing.is_none_or(|it| !it.is_begun());
        let (nonces, why) = match (known, &set.plan) {
            (Some(nonces), Some(plan)) if is_free => (nonces, plan.why.clone()),
            _ => (plan.nonces, plan.why),
        };
        let begun = standing.map_or(Begun::default(), |standing| standing.begun(nonces));
        let course = Course { nonces, why, pass: begun.passes };
        Self { course, begun, at: None, outlook: None, ahead: 0.0, pow: 0.0, alarm: None }
    }

    /// Seconds that it takes itself, on average.
    fn own_seconds(&self) -> f64 {
        self.outlook.map_or(0.0, |outlook| (outlook.expected_seconds - self.ahead).max(0.0))
    }

    fn look(
        &mut self,
        job: &mut JobStatus,
        (now, ahead): (Time, f64),
        course: Option<&Course>,
        set: &SetSight,
        manner: &Manner,
    ) -> Option<Word> {
        if let Some(course) = course
            && self.course != *course
        {
            if (self.course.nonces, self.course.pass) != (course.nonces, course.pass) {
                self.begun = Begun { passes: course.pass, ..Begun::default() };
            }
            self.course = course.clone();
        }
        self.get_on(job);
        let at = (job.stage.clone(), self.course.pass, now);
        let is_due = self.at.as_ref().is_none_or(|(stage, pass, then)| {
            *stage != at.0 || *pass != at.1 || now.abs_diff(*then) >= EVERY
        });
        let reckoning = set.reckoning.as_ref().filter(|_| is_due);
        let word = reckoning.and_then(|(task, rates)| {
            self.at = Some(at);
            let window = job.deadline_at.map(|deadline| deadline as f64 - now as f64 - ahead);
            let wish = Wish { nonces: Some(self.course.nonces), window, begun: self.begun };
            let prospect = prospect(task, rates, &wish).ok()?;
            self.take(&prospect, ahead);
            let alarm = || alarm(task, rates, &wish, manner.pace.share(), &prospect);
            changed(&mut self.alarm, self.outlook, alarm)
        });
        job.outlook = self.outlook;
        job.settings = Some(self.course.why.clone());
        job.alarm.clone_from(&self.alarm);
        word.map(|word| word.map(|text| format!("the proof of {}: {text}", job.node_id)))
    }

    fn take(&mut self, Prospect { outlook, forecast }: &Prospect, ahead: f64) {
        self.ahead = ahead;
        self.pow = forecast.pow_seconds();
        self.outlook = Some(Outlook {
            expected_seconds: outlook.expected_seconds + ahead,
            most_seconds: outlook.most_seconds + ahead,
            ..*outlook
        });
    }

    /// How far it is by what it tells. What was known stays while it tells nothing.
    fn get_on(&mut self, job: &JobStatus) {
        let groups = self.course.nonces / Nonce::PER_GROUP;
        match job.stage.as_deref() {
            Some("k2pow") if job.total > 0 => {
                let done = u32::try_from(job.done).unwrap_or(u32::MAX).min(groups);
                self.begun.groups = self.begun.groups.max(done);
            }
            Some("scan") => {
                self.begun.groups = groups;
                if job.total > 0 {
                    self.begun.read = job.done as f64 / job.total as f64;
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
