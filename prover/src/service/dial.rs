//! A node: dialed again and again, and talked to while it is there.

use super::drive::Happening;
use super::jobs::{Event, PeerId};
use crate::nodes::RemoteNode;
use crate::outcome::Failure;
use crate::progress::unix_now;
use crate::session::{Action, Asked, Session};
use link::{Connection, LinkError, Outgoing, dial};
use post::NetworkId;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use wire::{BadFrame, Refusal, ToNode};

/// The first wait for a node that is not there; each further one is twice as long, up to the last.
const REDIAL_FIRST: Duration = Duration::from_millis(200);
const REDIAL_LAST: Duration = Duration::from_secs(5);
/// Messages on their way to a node: one that does not listen for so long is left.
const MESSAGES: usize = 256;
/// How long a node may take to read a message.
const SEND_WITHIN: Duration = Duration::from_secs(30);

/// Where a node is.
pub(super) enum Place {
    /// On this host, by its socket.
    Local(PathBuf),
    Remote(RemoteNode),
}

impl Place {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Local(socket) => socket.display().to_string(),
            Self::Remote(node) => node.address.clone(),
        }
    }

    async fn dial(&self) -> Result<Connection, LinkError> {
        match self {
            Self::Local(socket) => dial(socket).await,
            Self::Remote(node) => node.dial().await,
        }
    }
}

/// Why a conversation ended.
enum Parting {
    Link(LinkError),
    Breach(&'static str),
    Refused(Refusal),
    /// The service has ended, or given it up.
    Left,
}

/// A node, and the service that talks to it.
pub(super) struct Node {
    /// Its place among the nodes of the service.
    pub(super) number: usize,
    pub(super) place: Place,
    pub(super) network: NetworkId,
    pub(super) service: Sender<Happening>,
}

impl Node {
    /// Dials the node again and again; returns only when it refuses us for good.
    pub(super) async fn keep_in_touch(self) -> Failure {
        let mut wait = REDIAL_FIRST;
        loop {
            let why = match self.place.dial().await {
                Ok(connection) => {
                    let (welcomed, ended) = self.converse(connection).await;
                    if welcomed {
                        wait = REDIAL_FIRST;
                    }
                    match self.parted(ended) {
                        Ok(why) => why,
                        Err(failure) => return failure,
                    }
                }
                Err(LinkError::NoNode { path }) => {
                    if wait == REDIAL_FIRST {
                        tracing::info!("waiting for a node on {}", path.display());
                    }
                    "it does not run".to_owned()
                }
                Err(error) if error.is_passing() => {
                    tracing::warn!("{error}");
                    error.to_string()
                }
                Err(error) => return error.into(),
            };
            if wait == REDIAL_FIRST {
                self.tell(Happening::Absent(self.number, why)).await;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(REDIAL_LAST);
        }
    }

    /// What the end of a conversation means; a failure where it makes no sense to try again.
    fn parted(&self, ended: Result<(), Parting>) -> Result<String, Failure> {
        let why = match ended {
            Ok(()) => {
                tracing::info!("the node is gone; waiting for it");
                return Ok("it is gone".to_owned());
            }
            Err(Parting::Link(error @ LinkError::NotPaired)) => return Err(error.into()),
            Err(Parting::Link(error)) => format!("lost the node: {error}"),
            Err(Parting::Breach(what)) => {
                format!("left the node, which does not keep to the protocol: {what}")
            }
            Err(Parting::Refused(Refusal::Full)) => Refusal::Full.to_string(),
            Err(Parting::Refused(refusal)) => return Err(refused(refusal, self.network)),
            Err(Parting::Left) => "left the node, which does not listen".to_owned(),
        };
        tracing::warn!("{why}");
        Ok(why)
    }

    async fn tell(&self, happening: Happening) {
        // Nobody listens when the service ends.
        let _ = self.service.send(happening).await;
    }

    /// One conversation, until the node closes it: whether we were welcome, and why it ended.
    async fn converse(&self, connection: Connection) -> (bool, Result<(), Parting>) {
        static PEERS: AtomicU64 = AtomicU64::new(1);
        let peer = PeerId(PEERS.fetch_add(1, Ordering::Relaxed));
        let (to_say, messages) = channel(MESSAGES);
        let mut talk = Talk { node: self, peer, to_say: Some(to_say), messages };
        let ended = talk.go_on(connection).await;
        let welcomed = talk.to_say.is_none();
        if welcomed {
            self.tell(Happening::Job(Event::Parted(peer))).await;
        }
        (welcomed, ended)
    }
}

fn refused(refusal: Refusal, ours: NetworkId) -> Failure {
    let why = match refusal {
        Refusal::Network(_) => {
            format!("{refusal}, this prover on {ours}: give both the same --network")
        }
        _ => refusal.to_string(),
    };
    Failure::CouldNot(anyhow::anyhow!("the node refused this prover: {why}"))
}

/// A conversation.
struct Talk<'a> {
    node: &'a Node,
    peer: PeerId,
    /// Where the service puts what is to be said; given to it at the welcome.
    to_say: Option<Sender<ToNode>>,
    messages: Receiver<ToNode>,
}

impl Talk<'_> {
    async fn go_on(&mut self, connection: Connection) -> Result<(), Parting> {
        let (mut incoming, mut outgoing) = connection.split();
        let mut session = Session::new(self.node.network);
        loop {
            while let Some(action) = session.poll() {
                self.act(action, &mut outgoing).await?;
            }
            tokio::select! {
                said = incoming.next() => match said {
                    Ok(Some(message)) => session.said(message),
                    Ok(None) => return Ok(()),
                    Err(LinkError::BadFrame(BadFrame::Unknown { number })) => {
                        session.said_unknown(number);
                    }
                    Err(error) => return Err(Parting::Link(error)),
                },
                message = self.messages.recv() => match message {
                    Some(message) => say(&mut outgoing, &message).await?,
                    None => return Err(Parting::Left),
                },
            }
        }
    }

    async fn act(&mut self, action: Action, outgoing: &mut Outgoing) -> Result<(), Parting> {
        let peer = self.peer;
        let event = match action {
            Action::Say(message) => return say(outgoing, &message).await,
            Action::Leave(refusal) => return Err(Parting::Refused(refusal)),
            Action::Breach(what) => return Err(Parting::Breach(what)),
            Action::Joined(version) => {
                let Some(to_say) = self.to_say.take() else { return Ok(()) };
                let number = self.node.number;
                self.node.tell(Happening::Joined { number, peer, to_say }).await;
                Event::Joined(peer, version)
            }
            Action::Asked(Asked::Info) => Event::InfoWanted(peer),
            Action::Asked(Asked::Proof { job, statement, seconds }) => {
                let deadline_at = seconds.map(|seconds| unix_now().saturating_add(seconds));
                Event::Asked { from: peer, job, statement, deadline_at }
            }
            Action::Asked(Asked::Cancel(job)) => Event::Cancelled(peer, job),
            Action::Asked(Asked::Recorded { job, valid }) => {
                if !valid {
                    tracing::error!("the node says that our proof is not valid: run `check`");
                }
                Event::Recorded(peer, job)
            }
        };
        self.node.tell(Happening::Job(event)).await;
        Ok(())
    }
}

async fn say(outgoing: &mut Outgoing, message: &ToNode) -> Result<(), Parting> {
    match tokio::time::timeout(SEND_WITHIN, outgoing.send(message)).await {
        Ok(sent) => sent.map_err(Parting::Link),
        Err(_) => Err(Parting::Left),
    }
}
