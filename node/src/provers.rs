//! The node's side of its conversations with provers, without IO: events in, actions out.
//!
//! Provers come and go. There is at most one challenge in the air; it is given to a prover that
//! holds suitable data of our identity, taken back when that prover goes or fails, and given out
//! again. What the prover delivers is handed to the judge; nothing is believed.

use post::{Challenge, NetworkId, NodeId, Params, Proof, Statement};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use wire::{JobId, PlotInfo, ProveFailure, Refusal, SpokenVersions, Stage, ToNode, ToProver};

/// Most provers at a time.
const PROVERS_MAX: usize = 64;
/// Most connections besides, of those who have not said hello yet. One more is closed unheard.
const STRANGERS_MAX: usize = 16;
/// How long a connection may take to say hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// How long a prover that failed is left alone.
const REST: Duration = Duration::from_secs(5);

/// The time since the node started.
pub(crate) type Time = Duration;

/// The number of a connection, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// Somebody connected; with a name if it is on another host, and known.
    Connected(ConnectionId, Option<String>),
    /// It said something.
    Said(ConnectionId, ToNode),
    /// It is gone, for this reason if it was not its own will.
    Gone(ConnectionId, Option<String>),
    /// A proof is wanted for this challenge; one that is in the air already stays.
    Wanted(Challenge),
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Say this to a prover.
    Say(ConnectionId, ToProver),
    /// Close a connection, when all is said.
    Close(ConnectionId),
    /// Judge this proof; the challenge is answered.
    Judge { software: String, statement: Statement, proof: Proof },
    /// This challenge has no proof.
    Unproven(Challenge),
    /// Tell people.
    Tell(Notice),
}

/// What people should know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A prover of this software connected.
    Joined { software: String },
    /// A prover or stranger left.
    Left { who: String, why: Option<String> },
    /// A connection was refused.
    Refused { who: String, why: Refusal },
    /// A data set that we will not ask for, and why.
    Unsuitable { plot: PlotInfo, why: String },
    /// A proof was asked for.
    Asked { software: String, statement: Statement },
    /// It gets on.
    Progress { stage: Stage, done: u64, total: u64 },
    /// A prover failed; another, or the same one later, will be asked.
    Failed { software: String, why: ProveFailure },
    /// The prover that was proving is gone; it will be asked again when it is back.
    Lost { software: String },
}

#[derive(Debug)]
enum Peer {
    /// Connected, silent so far.
    Stranger { since: Time, name: Option<String> },
    /// Welcome.
    Prover(Prover),
}

#[derive(Debug)]
struct Prover {
    software: String,
    plots: Vec<PlotInfo>,
    /// Not asked before this time.
    rests_until: Time,
}

#[derive(Debug)]
struct Job {
    id: JobId,
    at: ConnectionId,
    statement: Statement,
}

/// Whose space, and under which rules.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) network: NetworkId,
    pub(crate) node_id: NodeId,
    pub(crate) params: Params,
}

/// All conversations.
#[derive(Debug)]
pub(crate) struct Provers {
    terms: Terms,
    /// The time of the last event.
    now: Time,
    peers: BTreeMap<ConnectionId, Peer>,
    wanted: Option<Challenge>,
    job: Option<Job>,
    jobs: u64,
    actions: VecDeque<Action>,
}

impl Provers {
    pub(crate) fn new(terms: Terms) -> Self {
        let (peers, actions) = (BTreeMap::new(), VecDeque::new());
        Self { terms, now: Time::ZERO, peers, wanted: None, job: None, jobs: 0, actions }
    }

    /// Takes in what happened.
    pub(crate) fn handle(&mut self, now: Time, event: Event) {
        self.now = now;
        match event {
            Event::Connected(id, name) => self.connected(now, id, name),
            Event::Said(id, message) => self.said(now, id, message),
            Event::Gone(id, why) => self.gone(id, why),
            Event::Wanted(challenge) => {
                self.wanted.get_or_insert(challenge);
            }
            Event::Tick => self.dismiss_silent(now),
        }
        self.assign(now);
    }

    /// What is to be done next, in order.
    pub(crate) fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When a [`Event::Tick`] is due at the latest: a time after the last event.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let idle = self.wanted.is_some() && self.job.is_none();
        let deadlines = self.peers.values().filter_map(|peer| match peer {
            Peer::Stranger { since, .. } => Some(*since + HELLO_WITHIN),
            Peer::Prover(prover) => idle.then_some(prover.rests_until),
        });
        let deadlines = deadlines.filter(|deadline| *deadline > self.now);
        deadlines.min()
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    fn tell(&mut self, notice: Notice) {
        self.act(Action::Tell(notice));
    }

    fn connected(&mut self, now: Time, id: ConnectionId, name: Option<String>) {
        if self.peers.len() < PROVERS_MAX + STRANGERS_MAX {
            self.peers.insert(id, Peer::Stranger { since: now, name });
        } else {
            self.act(Action::Close(id));
        }
    }

    fn refuse(&mut self, id: ConnectionId, who: String, why: Refusal) {
        self.peers.remove(&id);
        self.act(Action::Say(id, ToProver::Refused(why)));
        self.act(Action::Close(id));
        self.tell(Notice::Refused { who, why });
    }

    fn said(&mut self, now: Time, id: ConnectionId, message: ToNode) {
        match (self.peers.get_mut(&id), message) {
            (Some(Peer::Stranger { name, .. }), ToNode::Hello { versions, network, software }) => {
                let software = match name.take() {
                    Some(name) => format!("{name} ({software})"),
                    None => software,
                };
                self.greet(id, versions, network, software);
            }
            (Some(Peer::Prover(prover)), ToNode::Info(plots)) => {
                prover.plots = plots.clone();
                for plot in plots {
                    if let Err(why) = self.suitable(&plot) {
                        self.tell(Notice::Unsuitable { plot, why });
                    }
                }
            }
            (Some(Peer::Prover(_)), ToNode::Progress { job, stage, done, total }) => {
                if self.is_running(id, job) {
                    self.tell(Notice::Progress { stage, done, total });
                }
            }
            (Some(Peer::Prover(_)), ToNode::Proved { job, proof }) => self.proved(id, job, proof),
            (Some(Peer::Prover(_)), ToNode::Failed { job, why }) => self.failed(now, id, job, why),
            // Refused, or told to go: what it still says is of no interest.
            (None, _) => {}
            (Some(_), _) => {
                self.act(Action::Close(id));
                self.gone(id, Some("it does not keep to the protocol".to_owned()));
            }
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
            Some(_) if self.is_full() => self.refuse(id, software, Refusal::Full),
            Some(version) => {
                self.act(Action::Say(id, ToProver::Welcome(version)));
                self.tell(Notice::Joined { software: software.clone() });
                let prover = Prover { software, plots: Vec::new(), rests_until: Time::ZERO };
                self.peers.insert(id, Peer::Prover(prover));
            }
        }
    }

    fn is_full(&self) -> bool {
        let provers = self.peers.values().filter(|peer| matches!(peer, Peer::Prover(_)));
        provers.count() >= PROVERS_MAX
    }

    /// Whether we may ask for a proof of this data.
    fn suitable(&self, plot: &PlotInfo) -> Result<(), String> {
        let params = &self.terms.params;
        let PlotInfo { node_id, num_units, labels_per_unit, complete, .. } = plot;
        if *node_id != self.terms.node_id {
            return Err(format!(
                "it belongs to {node_id}, this node's identity is {}",
                self.terms.node_id
            ));
        }
        if !(params.units_min..=params.units_max).contains(num_units) {
            let (min, max) = (params.units_min, params.units_max);
            return Err(format!("it has {num_units} units, the network allows {min} to {max}"));
        }
        if *labels_per_unit < params.labels_per_unit {
            let least = params.labels_per_unit;
            return Err(format!(
                "its units have {labels_per_unit} labels, the network demands {least}"
            ));
        }
        if *complete { Ok(()) } else { Err("it is not complete: run init".to_owned()) }
    }

    fn is_running(&self, id: ConnectionId, job: JobId) -> bool {
        self.job.as_ref().is_some_and(|running| running.id == job && running.at == id)
    }

    /// The running job, if it is this one; it runs no longer.
    fn end(&mut self, id: ConnectionId, job: JobId) -> Option<Job> {
        if self.is_running(id, job) { self.job.take() } else { None }
    }

    fn software(&self, id: ConnectionId) -> String {
        match self.peers.get(&id) {
            Some(Peer::Prover(prover)) => prover.software.clone(),
            Some(Peer::Stranger { name: Some(name), .. }) => name.clone(),
            Some(Peer::Stranger { .. }) | None => "a stranger".to_owned(),
        }
    }

    fn proved(&mut self, id: ConnectionId, job: JobId, proof: Proof) {
        let Some(Job { statement, .. }) = self.end(id, job) else {
            return;
        };
        self.wanted = None;
        let software = self.software(id);
        self.act(Action::Judge { software, statement, proof });
    }

    fn failed(&mut self, now: Time, id: ConnectionId, job: JobId, why: ProveFailure) {
        if self.end(id, job).is_none() {
            return;
        }
        if let Some(Peer::Prover(prover)) = self.peers.get_mut(&id) {
            prover.rests_until = now + REST;
        }
        let gives_up = why == ProveFailure::NoProof;
        let software = self.software(id);
        self.tell(Notice::Failed { software, why });
        if gives_up && let Some(challenge) = self.wanted.take() {
            self.act(Action::Unproven(challenge));
        }
    }

    fn gone(&mut self, id: ConnectionId, why: Option<String>) {
        let software = self.software(id);
        if self.peers.remove(&id).is_none() {
            return;
        }
        if self.job.take_if(|job| job.at == id).is_some() {
            self.tell(Notice::Lost { software });
        } else {
            self.tell(Notice::Left { who: software, why });
        }
    }

    /// Closes on those who connected and never said hello.
    fn dismiss_silent(&mut self, now: Time) {
        let silent = |peer: &Peer| match peer {
            Peer::Stranger { since, .. } => *since + HELLO_WITHIN <= now,
            Peer::Prover(_) => false,
        };
        let ids: Vec<_> =
            self.peers.iter().filter(|(_, peer)| silent(peer)).map(|(id, _)| *id).collect();
        for id in ids {
            self.act(Action::Close(id));
            self.gone(id, Some("it said nothing".to_owned()));
        }
    }

    /// Gives the challenge in the air to a prover that holds suitable data and is not at rest.
    fn assign(&mut self, now: Time) {
        let (Some(challenge), None) = (self.wanted, &self.job) else {
            return;
        };
        let rested = self.peers.iter().filter_map(|(id, peer)| match peer {
            Peer::Prover(prover) if prover.rests_until <= now => Some((*id, prover)),
            Peer::Prover(_) | Peer::Stranger { .. } => None,
        });
        let chosen = rested.into_iter().find_map(|(id, prover)| {
            let plot = prover.plots.iter().find(|plot| self.suitable(plot).is_ok())?;
            Some((id, prover.software.clone(), statement(plot, challenge)))
        });
        let Some((at, software, statement)) = chosen else {
            return;
        };
        let id = JobId(self.jobs);
        self.jobs += 1;
        self.act(Action::Say(at, ToProver::Prove { job: id, statement: statement.clone() }));
        self.tell(Notice::Asked { software, statement: statement.clone() });
        self.job = Some(Job { id, at, statement });
    }
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
mod tests;
