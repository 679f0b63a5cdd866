//! What nodes ask for, and what they are told.

use super::{AGAIN_AFTER, Action, Answered, Job, Jobs, PeerId, Set, Task, Time};
use crate::service::schedule::Number;
use crate::service::status::JobState;
use plot::{Outcome, Request};
use post::Statement;
use std::collections::BTreeMap;
use wire::{JobId, PlotInfo, ProveFailure, Stage, ToNode, Version, WORK_MAX, WorkInfo, WorkState};

impl Jobs {
    pub(super) fn joined(&mut self, peer: PeerId, version: Version) {
        self.peers.insert(peer, version);
        if version >= Version::V2 {
            let pending = self.jobs.values().filter_map(|job| job.task.statement());
            let pending = pending.map(|statement| (statement, WorkState::Pending));
            let proved =
                self.answered.iter().filter_map(|answered| match answered.request.outcome {
                    Outcome::Proved(_) => Some((&answered.request.statement, WorkState::Proved)),
                    _ => None,
                });
            let work = pending.chain(proved).take(WORK_MAX);
            let info = |(statement, state): (&Statement, _)| WorkInfo {
                statement: statement.clone(),
                state,
            };
            let work = work.map(info).collect();
            self.act(Action::Say(peer, ToNode::Attach { session: self.session, work }));
        }
        self.say_info(peer);
    }

    pub(super) fn say_info(&mut self, peer: PeerId) {
        let plots = self.sets.iter().map(|set| set.plot.clone()).collect();
        self.act(Action::Say(peer, ToNode::Info(plots)));
    }

    pub(super) fn asked(
        &mut self,
        from: PeerId,
        job: JobId,
        statement: Statement,
        deadline_at: Option<Time>,
    ) {
        let same = |it: &Answered| it.request.statement == statement;
        if let Some(at) = self.answered.iter().position(same) {
            self.answer(at, from, job);
            return;
        }
        let holds = |set: &Set| set.plot.complete && matches(&set.plot, &statement);
        let Some(set) = self.sets.iter().position(holds) else {
            let why = ProveFailure::NoSuchData;
            return self.act(Action::Say(from, ToNode::Failed { job, why }));
        };
        let there = self.jobs.iter().find(|(_, it)| it.task.statement() == Some(&statement));
        let (number, is_noted) = match there {
            Some((number, there)) => {
                (*number, there.deadline_at == deadline_at && there.given_up.is_none())
            }
            None => (self.add(Task::Prove(set, statement), self.now, deadline_at), false),
        };
        if !is_noted {
            self.note_pending(number, deadline_at);
        }
        let ahead = self.ahead_of(number);
        if let Some(there) = self.jobs.get_mut(&number) {
            there.askers.insert(from, job);
            (there.given_up, there.not_before) = (None, 0);
        }
        let now = self.jobs.get(&number).filter(|job| job.is_at_work());
        let (stage, done, total) = now.map_or((Stage::Waiting, 0, ahead), |job| {
            (job.stage, job.progress.done, job.progress.total)
        });
        self.tell_progress(from, job, stage, done, total);
    }

    /// Writes down that a proof is wanted, until when.
    fn note_pending(&mut self, number: Number, deadline_at: Option<Time>) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        job.deadline_at = deadline_at;
        let Task::Prove(set, statement) = job.task.clone() else { return };
        let request = Request {
            statement,
            network: self.network,
            asked_at: job.asked_at,
            deadline_at,
            outcome: Outcome::Pending,
        };
        self.act(Action::Note(set, request));
    }

    /// Says what came of a request.
    fn answer(&mut self, at: usize, peer: PeerId, job: JobId) {
        let knows_receipts = self.peers.get(&peer).is_some_and(|version| *version >= Version::V2);
        let Some(answered) = self.answered.get_mut(at) else { return };
        let message = match &answered.request.outcome {
            Outcome::Proved(proof) | Outcome::Delivered(proof) => {
                answered.told.insert(peer, job);
                ToNode::Proved { job, proof: proof.clone() }
            }
            Outcome::Unprovable | Outcome::Pending => {
                ToNode::Failed { job, why: ProveFailure::NoProof }
            }
        };
        self.act(Action::Say(peer, message));
        if !knows_receipts {
            self.deliver(at);
        }
    }

    pub(super) fn cancelled(&mut self, peer: PeerId, job: JobId) {
        let asked = |it: &Job| it.askers.get(&peer) == Some(&job);
        let Some((number, there)) = self.jobs.iter_mut().find(|(_, it)| asked(it)) else { return };
        let number = *number;
        there.askers.remove(&peer);
        let is_wanted = !there.askers.is_empty();
        self.act(Action::Say(peer, ToNode::Failed { job, why: ProveFailure::Cancelled }));
        if !is_wanted {
            self.give_up(number, "the node does not want it any more");
        }
    }

    pub(super) fn recorded(&mut self, peer: PeerId, job: JobId) {
        let told = |it: &Answered| it.told.get(&peer) == Some(&job);
        if let Some(at) = self.answered.iter().position(told) {
            self.deliver(at);
        }
    }

    /// A node has the proof.
    fn deliver(&mut self, at: usize) {
        let Some(Answered { request, set, .. }) = self.answered.get_mut(at) else { return };
        if let Outcome::Proved(proof) = &request.outcome {
            request.outcome = Outcome::Delivered(proof.clone());
            let note = Action::Note(*set, request.clone());
            self.act(note);
        }
    }

    pub(super) fn parted(&mut self, peer: PeerId) {
        self.peers.remove(&peer);
        for job in self.jobs.values_mut() {
            job.askers.remove(&peer);
        }
        for answered in &mut self.answered {
            answered.told.remove(&peer);
        }
    }

    pub(super) fn tell_progress(
        &mut self,
        peer: PeerId,
        job: JobId,
        stage: Stage,
        done: u64,
        total: u64,
    ) {
        let is_new = stage == Stage::Waiting;
        let knows = |version: &Version| !is_new || *version >= Version::V2;
        if self.peers.get(&peer).is_some_and(knows) {
            self.act(Action::Say(peer, ToNode::Progress { job, stage, done, total }));
        }
    }

    /// Writes down what came of a request, and then tells those who asked.
    pub(super) fn close(&mut self, number: Number, outcome: Outcome) {
        let Some(job) = self.jobs.get(&number) else { return };
        let Task::Prove(set, statement) = job.task.clone() else { return };
        let (asked_at, deadline_at, askers) = (job.asked_at, job.deadline_at, job.askers.clone());
        let state = match outcome {
            Outcome::Unprovable => JobState::Failed,
            _ => JobState::Done,
        };
        let request = Request { statement, network: self.network, asked_at, deadline_at, outcome };
        self.act(Action::Note(set, request.clone()));
        self.answered.push(Answered { request, set, told: BTreeMap::new() });
        let closed = |it: &&Answered| it.request.is_closed();
        if self.answered.len() > plot::REQUESTS_MAX
            && let Some(oldest) = self.answered.iter().position(|it| closed(&it))
        {
            self.answered.remove(oldest);
        }
        let at = self.answered.len() - 1;
        askers.into_iter().for_each(|(peer, id)| self.answer(at, peer, id));
        let why = (state == JobState::Failed).then(|| ProveFailure::NoProof.to_string());
        self.show_ended(number, state, why);
    }

    /// A proof that failed is the node's to ask for again; where no node waits, ours to try again.
    pub(super) fn failed(&mut self, number: Number, why: &ProveFailure) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        let askers = core::mem::take(&mut job.askers);
        job.not_before = self.now.saturating_add(AGAIN_AFTER);
        job.why = Some(why.to_string());
        for (peer, job) in askers {
            self.act(Action::Say(peer, ToNode::Failed { job, why: why.clone() }));
        }
    }
}

/// Whether a data set is the one that a statement speaks of.
fn matches(plot: &PlotInfo, statement: &Statement) -> bool {
    plot.node_id == statement.node_id
        && plot.commitment_atx_id == statement.commitment_atx_id
        && plot.num_units == statement.num_units
        && plot.labels_per_unit == statement.labels_per_unit
}
