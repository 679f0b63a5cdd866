//! The node's side of its conversations with provers, without IO: events in, actions out.
//!
//! Provers come and go. Of each identity one proof is wanted at a time; it is asked of a prover
//! that holds suitable data, and asked again, there or elsewhere, when that prover fails or goes.
//! Who can work apart from us (version 2) is waited for a while first, and is asked at once for
//! what it says it works on already. What a prover delivers is handed to the judge; nothing is
//! believed.
//!
//! [`Terms`] says what suits, [`peers`] who is here, and [`requests`] what is wanted and who works
//! on it. Challenges are drawn, and written down, outside.

mod events;
mod peers;
mod receipts;
mod requests;
mod terms;

use chain::ProofRequest;
use peers::{Peer, Peers, Prover};
use post::{Challenge, NetworkId, NodeId, Proof, Statement};
use receipts::Receipts;
use requests::{Delivered, FailedJob, Job, Key, Requests};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use wire::{
    JobId, PlotInfo, ProveFailure, Refusal, SessionId, SpokenVersions, Stage, ToNode, ToProver,
    WorkInfo, WorkState,
};

pub(crate) use events::{Action, ConnectionId, Event, GivenUp, Notice, Now, Time};
pub(crate) use receipts::RECEIPTS_MAX;
pub(crate) use terms::Terms;

/// How long a prover that failed is not asked again for the same identity.
const REST: Duration = Duration::from_secs(5);
/// How long a session that went away with a job is waited for, before others are asked.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// Within how many seconds a proof that was made already is to be delivered.
const RECEIPT_WITHIN: u64 = 60;

/// All conversations.
#[derive(Debug)]
pub(crate) struct Provers {
    terms: Terms,
    /// The time of the last event.
    now: Now,
    peers: Peers,
    requests: Requests,
    receipts: Receipts,
    /// From which Unix second on a challenge is due; without an entry it is.
    due: BTreeMap<NodeId, u64>,
    jobs: u64,
    actions: VecDeque<Action>,
}

impl Provers {
    pub(crate) fn new(terms: Terms) -> Self {
        Self {
            terms,
            now: Now { time: Time::ZERO, unix: 0 },
            peers: Peers::default(),
            requests: Requests::default(),
            receipts: Receipts::default(),
            due: BTreeMap::new(),
            jobs: 0,
            actions: VecDeque::new(),
        }
    }

    /// Whether proofs of this identity's space are asked for.
    pub(crate) fn serve(&self, node_id: NodeId) -> bool {
        self.terms.identities.contains(&node_id)
    }

    /// Recalls, before anything happens, what was wanted when the node last ended.
    pub(crate) fn recall(&mut self, request: ProofRequest) {
        self.want(request);
    }

    /// Recalls, before anything happens, a verdict that is written down; the oldest one first.
    pub(crate) fn recall_verdict(&mut self, node_id: NodeId, challenge: Challenge, valid: bool) {
        self.receipts.add((node_id, challenge), valid);
    }

    /// Recalls, before anything happens, when a challenge of an identity was last drawn.
    pub(crate) fn recall_pace(&mut self, node_id: NodeId, asked_at: u64) {
        self.due.insert(node_id, asked_at.saturating_add(self.terms.every));
    }

    /// Takes in what happened.
    pub(crate) fn handle(&mut self, now: Now, event: Event) {
        self.now = now;
        self.dismiss_silent();
        self.requests.forget_kept(now.time);
        // Before what was said, so that a late proof is late; and after, for what is late by now.
        self.give_up_late();
        match event {
            Event::Connected(id, name) => self.connected(id, name),
            Event::Said(id, message) => self.said(id, message),
            Event::NotUnderstood(id, number) => self.not_understood(id, number),
            Event::Gone(id, why) => self.gone(id, why),
            Event::Wanted(request) => self.want(request),
            Event::Recorded { node_id, challenge, valid } => {
                self.recorded((node_id, challenge), valid);
            }
            Event::NotJudged { node_id, challenge } => {
                for (id, _) in self.requests.not_judged((node_id, challenge)) {
                    self.rest(id, node_id);
                }
            }
            Event::Tick => {}
        }
        self.give_up_late();
        self.hand_out();
        self.draw_due();
    }

    /// What is to be done next, in order.
    pub(crate) fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When a [`Event::Tick`] is due at the latest: a time after the last event.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let Now { time, unix } = self.now;
        let due = self.terms.identities.iter().filter(|id| !self.requests.has(**id));
        let due = due.filter_map(|id| self.due.get(id).copied());
        let by_calendar = due.chain(self.requests.deadline());
        let by_calendar = by_calendar
            .map(|second| time.saturating_add(Duration::from_secs(second.saturating_sub(unix))));
        let times = self.peers.deadlines().chain(self.requests.kept_until()).chain(by_calendar);
        times.filter(|deadline| *deadline > time).min()
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    fn say(&mut self, id: ConnectionId, message: ToProver) {
        self.act(Action::Say(id, message));
    }

    fn tell(&mut self, notice: Notice) {
        self.act(Action::Tell(notice));
    }

    fn connected(&mut self, id: ConnectionId, name: Option<String>) {
        if self.peers.have_room() {
            self.peers.insert(id, Peer::Stranger { since: self.now.time, name });
        } else {
            self.act(Action::Close(id));
        }
    }

    fn said(&mut self, id: ConnectionId, message: ToNode) {
        match (self.peers.get_mut(id), message) {
            (Some(Peer::Stranger { name, .. }), ToNode::Hello { versions, network, software }) => {
                let software = match name.take() {
                    Some(name) => format!("{name} ({software})"),
                    None => software,
                };
                self.greet(id, versions, network, software);
            }
            (Some(Peer::Prover(prover)), ToNode::Attach { session, work }) if !prover.is_open() => {
                self.attach(id, session, work);
            }
            (Some(Peer::Prover(prover)), message) if prover.is_open() => match message {
                ToNode::Info(plots) => self.hold(id, plots),
                ToNode::Progress { job, stage, done, total } => {
                    self.progress(id, job, stage, (done, total));
                }
                ToNode::Proved { job, proof } => self.proved(id, job, proof),
                ToNode::Failed { job, why } => self.failed(id, job, why),
                ToNode::NotUnderstood(_) if prover.bears_with_it() => {}
                _ => self.breach(id),
            },
            // Refused, or told to go: what it still says is of no interest.
            (None, _) => {}
            (Some(_), _) => self.breach(id),
        }
    }

    fn greet(
        &mut self,
        id: ConnectionId,
        versions: SpokenVersions,
        network: NetworkId,
        software: String,
    ) {
        let ours = self.terms.network;
        match SpokenVersions::OURS.common(versions) {
            None => self.refuse(id, software, Refusal::Version(SpokenVersions::OURS)),
            Some(_) if network != ours => self.refuse(id, software, Refusal::Network(ours)),
            Some(_) if self.peers.are_full() => self.refuse(id, software, Refusal::Full),
            Some(version) => {
                self.say(id, ToProver::Welcome(version));
                self.tell(Notice::Joined { software: software.clone() });
                let prover = Prover::new(software, version, self.now.time);
                self.peers.insert(id, Peer::Prover(prover));
            }
        }
    }

    fn refuse(&mut self, id: ConnectionId, who: String, why: Refusal) {
        self.peers.remove(id);
        self.say(id, ToProver::Refused(why));
        self.act(Action::Close(id));
        self.tell(Notice::Refused { who, why });
    }

    /// Closes on somebody who does not keep to the protocol. Nobody waits for it.
    fn breach(&mut self, id: ConnectionId) {
        self.act(Action::Close(id));
        self.leave(id, None, Some("it does not keep to the protocol".to_owned()));
    }

    fn not_understood(&mut self, id: ConnectionId, number: u32) {
        let patient = match self.peers.get_mut(id) {
            Some(Peer::Prover(prover)) => prover.is_open() && prover.bears_with_it(),
            Some(Peer::Stranger { .. }) => false,
            None => return,
        };
        if patient {
            self.say(id, ToProver::NotUnderstood(number));
        } else {
            self.breach(id);
        }
    }

    fn gone(&mut self, id: ConnectionId, why: Option<String>) {
        let session = self.peers.prover(id).and_then(Prover::session);
        let until = self.now.time.saturating_add(KEPT_FOR);
        self.leave(id, session.map(|session| (session, until)), why);
    }

    /// Forgets a connection; what it worked on is kept for this session.
    fn leave(&mut self, id: ConnectionId, keep: Option<(SessionId, Time)>, why: Option<String>) {
        let Some(peer) = self.peers.remove(id) else {
            return;
        };
        let who = peer.name();
        if self.requests.detach(id, keep) {
            self.tell(Notice::Lost { software: who, works_on: keep.is_some() });
        } else {
            self.tell(Notice::Left { who, why });
        }
    }

    /// Closes on those who connected and never said who they are.
    fn dismiss_silent(&mut self) {
        for id in self.peers.silent(self.now.time) {
            self.act(Action::Close(id));
            self.leave(id, None, Some("it said nothing".to_owned()));
        }
    }

    /// A session is here, perhaps again. What it has taken on and we still want is asked again at
    /// once, which costs it nothing. So is what it has proven and we have recorded, for the
    /// answer: then it need not keep the proof.
    fn attach(&mut self, id: ConnectionId, session: SessionId, work: Vec<WorkInfo>) {
        if let Some(older) = self.peers.of_session(session) {
            // Its other end is dead, though our system has not noticed yet.
            self.act(Action::Close(older));
            self.gone(older, Some("it connected again".to_owned()));
        }
        self.requests.attach(session);
        if let Some(prover) = self.peers.prover_mut(id) {
            prover.attach(session);
        }
        for item in work {
            let twice = self.peers.prover(id).is_some_and(|it| it.was_asked(&item.statement));
            if let Some(seconds) = self.of_use_for(&item)
                && !twice
            {
                self.ask(id, item.statement, seconds, true);
            }
        }
    }

    /// For how many seconds a proof that a prover works on, or has made, is of use to us.
    fn of_use_for(&self, WorkInfo { statement, state }: &WorkInfo) -> Option<u64> {
        let key = key_of(statement);
        let seconds = match self.requests.get(key) {
            // Another's proof is being judged, after the deadline; for a receipt there is time.
            Some(request) if request.deadline <= self.now.unix => Some(RECEIPT_WITHIN),
            Some(request) => Some(request.deadline.saturating_sub(self.now.unix)),
            None if *state == WorkState::Proved => self.receipts.of(key).map(|_| RECEIPT_WITHIN),
            None => None,
        };
        seconds.filter(|_| self.terms.admit(statement))
    }

    fn hold(&mut self, id: ConnectionId, plots: Vec<PlotInfo>) {
        let mut suitable = BTreeMap::new();
        for plot in plots {
            match self.terms.suit(&plot) {
                Ok(()) => {
                    suitable.entry(plot.node_id).or_insert(plot);
                }
                Err(why) => self.tell(Notice::Unsuitable { plot, why }),
            }
        }
        if let Some(prover) = self.peers.prover_mut(id) {
            prover.hold(suitable);
        }
    }

    fn progress(&mut self, id: ConnectionId, job: JobId, stage: Stage, (done, total): (u64, u64)) {
        let Some(prover) = self.peers.prover(id) else { return };
        if let Some(statement) = prover.asked(job)
            && self.requests.get(key_of(statement)).is_some()
        {
            let (software, node_id) = (prover.software.clone(), statement.node_id);
            self.tell(Notice::Progress { software, node_id, stage, done, total });
        }
    }

    fn proved(&mut self, id: ConnectionId, job: JobId, proof: Proof) {
        let Some(prover) = self.peers.prover_mut(id) else { return };
        let Some(statement) = prover.answered(job) else { return };
        let software = prover.software.clone();
        let key = key_of(&statement);
        match self.requests.deliver(key, (id, job)) {
            Delivered::First { request, needless } => {
                self.cancel(needless);
                self.act(Action::Judge { software, request, statement, proof });
            }
            Delivered::Again => {}
            Delivered::NotWanted => {
                if let Some(valid) = self.receipts.of(key) {
                    self.give_receipt((id, job), valid);
                }
            }
        }
    }

    fn failed(&mut self, id: ConnectionId, job: JobId, why: ProveFailure) {
        let Some(prover) = self.peers.prover_mut(id) else { return };
        let Some(statement) = prover.answered(job) else { return };
        let (software, node_id) = (prover.software.clone(), statement.node_id);
        let failed = self.requests.fail(key_of(&statement), (id, job));
        if failed == FailedJob::NotWanted {
            return;
        }
        self.rest(id, node_id);
        let gives_up = why == ProveFailure::NoProof;
        self.tell(Notice::Failed { software, node_id, why });
        if gives_up && let FailedJob::Last(request) = failed {
            self.give_up(request, GivenUp::NoProof);
        }
    }

    fn rest(&mut self, id: ConnectionId, node_id: NodeId) {
        let now = self.now.time;
        if let Some(prover) = self.peers.prover_mut(id) {
            prover.rest(node_id, now, now.saturating_add(REST));
        }
    }

    fn want(&mut self, request: ProofRequest) {
        let Terms { every, window, .. } = self.terms;
        let due = request.deadline.saturating_add(every).saturating_sub(window);
        self.due.insert(request.node_id, due);
        self.requests.add(request);
    }

    fn recorded(&mut self, key: Key, valid: bool) {
        self.receipts.add(key, valid);
        let ended = self.requests.end(key);
        for job in ended.delivered {
            self.give_receipt(job, valid);
        }
        self.cancel(ended.needless);
    }

    fn give_receipt(&mut self, (id, job): Job, valid: bool) {
        if self.peers.prover(id).is_some_and(Prover::has_sessions) {
            self.say(id, ToProver::Recorded { job, valid });
        }
    }

    fn give_up_late(&mut self) {
        for request in self.requests.late(self.now.unix) {
            self.give_up(request, GivenUp::Late);
        }
    }

    fn give_up(&mut self, request: ProofRequest, why: GivenUp) {
        let ended = self.requests.end((request.node_id, request.challenge));
        self.cancel(ended.needless);
        self.act(Action::GiveUp(request, why));
    }

    fn cancel(&mut self, jobs: Vec<Job>) {
        for (id, job) in jobs {
            self.say(id, ToProver::Cancel(job));
        }
    }

    /// Gives requests that nobody works on to provers that hold suitable data.
    fn hand_out(&mut self) {
        for request in self.requests.free() {
            let Some((id, plot)) = self.peers.to_ask(request.node_id, self.now.time) else {
                continue;
            };
            let statement = statement(plot, request.challenge);
            let seconds = request.deadline.saturating_sub(self.now.unix);
            self.ask(id, statement, seconds, false);
        }
    }

    fn ask(&mut self, id: ConnectionId, statement: Statement, seconds: u64, again: bool) {
        let Some(prover) = self.peers.prover_mut(id) else { return };
        let job = JobId(self.jobs);
        self.jobs += 1;
        let message = prover.ask(job, statement.clone(), seconds);
        let software = prover.software.clone();
        let key = key_of(&statement);
        self.requests.ask(key, (id, job));
        self.say(id, message);
        if self.requests.get(key).is_some() {
            self.tell(Notice::Asked { software, statement, again });
        }
    }

    /// Calls for the next challenge of each identity whose last one is over and long enough ago.
    fn draw_due(&mut self) {
        let unix = self.now.unix;
        let is_due = |id: &NodeId| self.due.get(id).is_none_or(|due| *due <= unix);
        let free = self.terms.identities.iter().filter(|id| !self.requests.has(**id));
        let due: Vec<_> = free.copied().filter(is_due).collect();
        for node_id in due {
            self.due.insert(node_id, unix.saturating_add(self.terms.every));
            self.act(Action::Draw(node_id));
        }
    }
}

fn key_of(statement: &Statement) -> Key {
    (statement.node_id, statement.challenge)
}

fn statement(plot: &PlotInfo, challenge: Challenge) -> Statement {
    Statement {
        node_id: plot.node_id,
        commitment_atx_id: plot.commitment_atx_id,
        challenge,
        num_units: plot.num_units,
        labels_per_unit: plot.labels_per_unit,
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
