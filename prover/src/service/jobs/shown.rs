//! What people see of the work.

use super::{ENDED, Job, Jobs, Progress, Task, Time};
use crate::service::schedule::Number;
use crate::service::status::{JobState, JobStatus, Kind};
use plot::{Outcome, Request};
use post::{NodeId, Statement};
use wire::Stage;

impl Jobs {
    /// All jobs, in the order of [`Status::jobs`](super::status::Status::jobs).
    pub(in crate::service) fn status(&self) -> Vec<JobStatus> {
        let mut jobs: Vec<_> = self.jobs.iter().collect();
        let rank = |number: &Number| self.claim(*number).map(|claim| claim.rank);
        jobs.sort_by_key(|(number, job)| (job.holds.is_none(), rank(number), **number));
        let jobs = jobs.into_iter().map(|(number, job)| self.shown(*number, job));
        let kept = self.answered.iter().filter_map(|it| match it.request.outcome {
            Outcome::Proved(_) => Some(undelivered(&it.request)),
            _ => None,
        });
        jobs.chain(kept).chain(self.ended.iter().cloned()).collect()
    }

    /// The data set of a proof, what it proves, and by when.
    pub(in crate::service) fn proof(
        &self,
        number: Number,
    ) -> Option<(usize, &Statement, Option<Time>)> {
        let job = self.jobs.get(&number)?;
        Some((job.task.set(), job.task.statement()?, job.deadline_at))
    }

    /// Whether proofs are to be made.
    pub(in crate::service) fn has_proofs(&self) -> bool {
        self.jobs.values().any(|job| job.task.kind() == Kind::Prove)
    }

    /// Whether a data set is worked on.
    pub(in crate::service) fn works_on(&self, set: usize) -> bool {
        self.jobs.values().any(|job| job.task.set() == set && job.is_at_work())
    }

    fn shown(&self, number: Number, job: &Job) -> JobStatus {
        let Progress { done, total, from } = job.progress;
        let is_at_work = job.is_at_work();
        let wants = self.claim(number).is_some_and(|claim| claim.wants.is_some());
        let state = match (is_at_work, wants) {
            (true, _) => JobState::Working,
            (false, true) => JobState::Waiting,
            (false, false) => JobState::Resting,
        };
        let rate = from.and_then(|(first, since)| {
            let seconds = self.now.saturating_sub(since);
            (seconds > 0 && done > first).then(|| (done - first) as f64 / seconds as f64)
        });
        let stage = match (&job.task, job.stage) {
            (Task::Init(_), _) => "labels",
            (Task::Scrub(_), _) => "check",
            (Task::Prove(..), Stage::Scan) => "scan",
            (Task::Prove(..), _) => "k2pow",
        };
        JobStatus {
            id: number,
            kind: job.task.kind(),
            state,
            node_id: self.owner(&job.task),
            challenge: job.task.statement().map(|statement| statement.challenge),
            stage: is_at_work.then(|| stage.to_owned()),
            done,
            total,
            rate,
            eta_seconds: rate.map(|rate| (total.saturating_sub(done)) as f64 / rate),
            asked_at: job.asked_at,
            deadline_at: job.deadline_at,
            outlook: None,
            settings: None,
            alarm: None,
            why: job.why.clone(),
        }
    }

    fn owner(&self, task: &Task) -> NodeId {
        match (task.statement(), self.sets.get(task.set())) {
            (Some(statement), _) => statement.node_id,
            (None, Some(set)) => set.plot.node_id,
            (None, None) => NodeId([0; 32]),
        }
    }

    /// Takes a job off the list of work, and shows it among those that have ended.
    pub(super) fn show_ended(&mut self, number: Number, state: JobState, why: Option<String>) {
        let Some(job) = self.jobs.get(&number) else { return };
        let shown = JobStatus { state, stage: None, why, ..self.shown(number, job) };
        self.jobs.remove(&number);
        self.ended.push_front(shown);
        self.ended.truncate(ENDED);
    }
}

/// A proof that no node has confirmed.
fn undelivered(request: &Request) -> JobStatus {
    JobStatus {
        id: 0,
        kind: Kind::Prove,
        state: JobState::Undelivered,
        node_id: request.statement.node_id,
        challenge: Some(request.statement.challenge),
        stage: None,
        done: 0,
        total: 0,
        rate: None,
        eta_seconds: None,
        asked_at: request.asked_at,
        deadline_at: request.deadline_at,
        outlook: None,
        settings: None,
        alarm: None,
        why: None,
    }
}
