//! Open connections: who carries what is said, and who comes in.

use crate::provers::{ConnectionId, Event};
use link::{Connection, Incoming, LinkError, LinkId, Listener, Outgoing, Paired, RemoteListener};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use wire::{BadFrame, ToNode, ToProver};

/// Messages on their way to one prover: one that does not listen for so long is left.
const MESSAGES: usize = 64;
/// How long a prover may take to read a message.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// How long it is waited for last words, when the node ends.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(2);
/// How long an accept that failed (descriptors, say) is waited out.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// A prover at the door: of this host, or a known one of another.
pub(super) struct Arrived {
    connection: Connection,
    paired: Option<Paired>,
}

/// All open connections.
pub(super) struct Links<H> {
    open: BTreeMap<ConnectionId, Link>,
    latest: u64,
    /// Where what provers say goes to.
    happenings: Sender<H>,
}

/// An open connection: where its messages go, and the tasks that read and write it.
struct Link {
    messages: Sender<ToProver>,
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
    /// The key of a prover on another host.
    key: Option<LinkId>,
}

impl<H: From<Event> + Send + 'static> Links<H> {
    pub(super) fn new(happenings: Sender<H>) -> Self {
        Self { open: BTreeMap::new(), latest: 0, happenings }
    }

    /// Begins to read and write a connection.
    pub(super) fn open(&mut self, arrived: Arrived) -> Event {
        self.latest += 1;
        let id = ConnectionId(self.latest);
        let Arrived { connection, paired } = arrived;
        let (incoming, outgoing) = connection.split();
        let (messages, to_say) = channel(MESSAGES);
        let reader = tokio::spawn(read(id, incoming, self.happenings.clone()));
        let writer = tokio::spawn(write(outgoing, to_say));
        let (name, key) = paired.map(|paired| (paired.name, paired.id)).unzip();
        self.open.insert(id, Link { messages, reader, writer, key });
        Event::Connected(id, name)
    }

    /// Says something; whether the prover listens.
    pub(super) fn say(&self, id: ConnectionId, message: ToProver) -> bool {
        self.open.get(&id).is_none_or(|link| link.messages.try_send(message).is_ok())
    }

    /// Hears nothing more; the writer says what is still to be said, and then closes.
    pub(super) fn close(&mut self, id: ConnectionId) {
        if let Some(link) = self.open.remove(&id) {
            link.reader.abort();
        }
    }

    /// Connections to other hosts, and whose they are.
    pub(super) fn remote(&self) -> impl Iterator<Item = (ConnectionId, LinkId)> {
        self.open.iter().filter_map(|(id, link)| Some((*id, link.key?)))
    }

    /// Closes all, and waits a little for what is still to be said.
    pub(super) async fn end(self) {
        let writers = self.open.into_values().map(|link| {
            link.reader.abort();
            link.writer
        });
        let writers: Vec<_> = writers.collect();
        let all_said = async {
            for writer in writers {
                let _ = writer.await;
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS_WITHIN, all_said).await;
    }
}

/// Reports what comes in, and the end of it.
async fn read<H: From<Event>>(id: ConnectionId, mut incoming: Incoming, happenings: Sender<H>) {
    let why = loop {
        let event = match incoming.next::<ToNode>().await {
            Ok(Some(message)) => Event::Said(id, message),
            Err(LinkError::BadFrame(BadFrame::Unknown { number })) => {
                Event::NotUnderstood(id, number)
            }
            Ok(None) => break None,
            Err(error) => break Some(error.to_string()),
        };
        if happenings.send(event.into()).await.is_err() {
            return;
        }
    };
    let _ = happenings.send(Event::Gone(id, why).into()).await;
}

/// Says what there is to say, until nobody has anything to say or nobody listens.
async fn write(mut outgoing: Outgoing, mut to_say: Receiver<ToProver>) {
    while let Some(message) = to_say.recv().await {
        // That it is gone is the reader's to tell; one that does not read is left.
        let sent = tokio::time::timeout(SEND_WITHIN, outgoing.send(&message)).await;
        if !matches!(sent, Ok(Ok(()))) {
            break;
        }
    }
}

/// Accepts connections for as long as anyone wants them.
pub(super) async fn accept(listener: Listener, connections: Sender<Arrived>) {
    loop {
        match listener.accept().await {
            Ok(connection) => {
                if connections.send(Arrived { connection, paired: None }).await.is_err() {
                    return;
                }
            }
            Err(stranger @ LinkError::Stranger { .. }) => tracing::warn!("{stranger}"),
            Err(error) => {
                tracing::warn!("{error}");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

/// Accepts provers on other hosts for as long as anyone wants them.
pub(super) async fn accept_remote(mut listener: RemoteListener, connections: Sender<Arrived>) {
    loop {
        match listener.accept().await {
            Ok((paired, connection)) => {
                let arrived = Arrived { connection, paired: Some(paired) };
                if connections.send(arrived).await.is_err() {
                    return;
                }
            }
            // Anybody can knock, and fill a log.
            Err(unknown @ LinkError::Unknown { .. }) => tracing::debug!("{unknown}"),
            Err(error) => tracing::warn!("{error}"),
        }
    }
}
