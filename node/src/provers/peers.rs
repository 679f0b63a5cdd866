//! Who is connected: strangers until they say hello, and provers.
//!
//! What a prover says of itself, and what it was asked on its connection; not what is wanted.

use super::{ConnectionId, Time};
use post::{NodeId, Statement};
use std::collections::BTreeMap;
use std::time::Duration;
use wire::{JobId, PlotInfo, SessionId, ToProver, Version, WORK_MAX};

/// Most provers at a time.
pub(super) const PROVERS_MAX: usize = 64;
/// Most connections besides, of those who have not said hello yet. One more is closed unheard.
pub(super) const STRANGERS_MAX: usize = 16;
/// How long a connection may take to say hello, and then who it is.
pub(super) const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Most messages on a connection that one side does not know.
const ODDITIES_MAX: u32 = 16;

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Peers {
    by_connection: BTreeMap<ConnectionId, Peer>,
}

#[derive(Debug)]
pub(super) enum Peer {
    /// Connected, silent so far.
    Stranger { since: Time, name: Option<String> },
    /// Welcome.
    Prover(Prover),
}

#[derive(Debug)]
pub(super) struct Prover {
    pub(super) software: String,
    version: Version,
    since: Time,
    /// Of version 1 there is none.
    session: Option<SessionId>,
    /// The data that it can be asked for.
    plots: BTreeMap<NodeId, PlotInfo>,
    /// What it was asked and has not answered yet.
    asked: BTreeMap<JobId, Statement>,
    /// Identities for which it is not asked before a time.
    rests: BTreeMap<NodeId, Time>,
    oddities: u32,
}

impl Peers {
    /// Whether one more may connect.
    pub(super) fn have_room(&self) -> bool {
        self.by_connection.len() < PROVERS_MAX + STRANGERS_MAX
    }

    /// Whether one more may be welcome.
    pub(super) fn are_full(&self) -> bool {
        self.provers().count() >= PROVERS_MAX
    }

    pub(super) fn insert(&mut self, id: ConnectionId, peer: Peer) {
        self.by_connection.insert(id, peer);
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Peer> {
        self.by_connection.remove(&id)
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Peer> {
        self.by_connection.get_mut(&id)
    }

    pub(super) fn prover(&self, id: ConnectionId) -> Option<&Prover> {
        match self.by_connection.get(&id) {
            Some(Peer::Prover(prover)) => Some(prover),
            Some(Peer::Stranger { .. }) | None => None,
        }
    }

    pub(super) fn prover_mut(&mut self, id: ConnectionId) -> Option<&mut Prover> {
        match self.by_connection.get_mut(&id) {
            Some(Peer::Prover(prover)) => Some(prover),
            Some(Peer::Stranger { .. }) | None => None,
        }
    }

    /// The connection of a session.
    pub(super) fn of_session(&self, session: SessionId) -> Option<ConnectionId> {
        self.provers().find(|(_, prover)| prover.session == Some(session)).map(|(id, _)| id)
    }

    /// The prover to ask for a proof of an identity's space, and its data: of those that can be
    /// asked now the one with the least to do, and then the one that has been here longest.
    pub(super) fn to_ask(&self, node_id: NodeId, now: Time) -> Option<(ConnectionId, &PlotInfo)> {
        let able = self.provers().filter(|(_, prover)| prover.can_take(node_id, now));
        let (id, prover) = able.min_by_key(|(id, prover)| (prover.asked.len(), *id))?;
        Some((id, prover.plots.get(&node_id)?))
    }

    /// Those who should have said something by now.
    pub(super) fn silent(&self, now: Time) -> Vec<ConnectionId> {
        let silent = self.by_connection.iter().filter(|(_, peer)| {
            peer.silent_since().is_some_and(|since| since + HELLO_WITHIN <= now)
        });
        silent.map(|(id, _)| *id).collect()
    }

    /// When somebody will have been silent for too long, or rested enough.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Time> {
        let silent = self.by_connection.values().filter_map(Peer::silent_since);
        let rests = self.provers().flat_map(|(_, prover)| prover.rests.values().copied());
        silent.map(|since| since + HELLO_WITHIN).chain(rests)
    }

    fn provers(&self) -> impl Iterator<Item = (ConnectionId, &Prover)> {
        self.by_connection.iter().filter_map(|(id, peer)| match peer {
            Peer::Prover(prover) => Some((*id, prover)),
            Peer::Stranger { .. } => None,
        })
    }
}

impl Peer {
    /// Since when it owes a message that says who it is.
    fn silent_since(&self) -> Option<Time> {
        match self {
            Self::Stranger { since, .. } => Some(*since),
            Self::Prover(prover) => (!prover.is_open()).then_some(prover.since),
        }
    }

    /// What people call it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Prover(prover) => prover.software.clone(),
            Self::Stranger { name: Some(name), .. } => name.clone(),
            Self::Stranger { name: None, .. } => "a stranger".to_owned(),
        }
    }
}

impl Prover {
    pub(super) fn new(software: String, version: Version, since: Time) -> Self {
        Self {
            software,
            version,
            since,
            session: None,
            plots: BTreeMap::new(),
            asked: BTreeMap::new(),
            rests: BTreeMap::new(),
            oddities: 0,
        }
    }

    /// Whether sessions, deadlines and receipts are spoken of with it.
    pub(super) fn has_sessions(&self) -> bool {
        self.version >= Version::V2
    }

    /// Whether it has said all that it must before anything else.
    pub(super) fn is_open(&self) -> bool {
        self.session.is_some() || !self.has_sessions()
    }

    pub(super) fn session(&self) -> Option<SessionId> {
        self.session
    }

    pub(super) fn attach(&mut self, session: SessionId) {
        self.session = Some(session);
    }

    /// Replaces the data that it can be asked for.
    pub(super) fn hold(&mut self, plots: BTreeMap<NodeId, PlotInfo>) {
        self.plots = plots;
    }

    /// Whether it can be asked for a proof of an identity's space now. Of version 1 it proves one
    /// thing at a time; else it has a queue.
    fn can_take(&self, node_id: NodeId, now: Time) -> bool {
        let most = if self.has_sessions() { WORK_MAX } else { 1 };
        self.is_open()
            && self.asked.len() < most
            && self.plots.contains_key(&node_id)
            && self.rests.get(&node_id).is_none_or(|until| *until <= now)
    }

    /// Whether it was asked for this and has not answered.
    pub(super) fn was_asked(&self, statement: &Statement) -> bool {
        self.asked.values().any(|asked| asked == statement)
    }

    /// Notes that it is asked; what is to be said to it.
    pub(super) fn ask(&mut self, job: JobId, statement: Statement, seconds: u64) -> ToProver {
        self.asked.insert(job, statement.clone());
        if self.has_sessions() {
            ToProver::ProveWithin { job, statement, seconds }
        } else {
            ToProver::Prove { job, statement }
        }
    }

    /// What a job was asked for.
    pub(super) fn asked(&self, job: JobId) -> Option<&Statement> {
        self.asked.get(&job)
    }

    /// Notes that a job is answered; what it was asked for.
    pub(super) fn answered(&mut self, job: JobId) -> Option<Statement> {
        self.asked.remove(&job)
    }

    /// It is not asked for an identity's space before this time.
    pub(super) fn rest(&mut self, node_id: NodeId, now: Time, until: Time) {
        self.rests.retain(|_, until| *until > now);
        self.rests.insert(node_id, until);
    }

    /// Notes that one side does not know a message of the other; whether that may still happen.
    pub(super) fn bears_with_it(&mut self) -> bool {
        self.oddities = self.oddities.saturating_add(1);
        self.has_sessions() && self.oddities <= ODDITIES_MAX
    }
}
