//! Between hosts: QUIC, with keys that both sides know.
//!
//! A stranger that knocks learns the node's link key and the names of the protocols, and nothing
//! else: unless its key is known, or it presents an invitation, it is turned away unheard. What it
//! may cost is bounded: how many handshakes run at a time, how long each may take, and how much is
//! kept of what it sends.

mod ends;
mod hall;

use crate::code::Code;
use crate::connection::Connection;
use crate::error::LinkError;
use crate::key::{LinkId, LinkKey};
use crate::roster::{Paired, RosterFile, proof};
use crate::tls::{self, Expected};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use ends::{DONE, LAST_WORDS, over};
use hall::{HANDSHAKES, Hall};
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, ConnectionError, Endpoint, IdleTimeout, ReadError, ServerConfig, TransportConfig,
    VarInt, WriteError,
};
use rustls::pki_types::CertificateDer;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;
use wire::{PairAnswer, PairRefusal, PairRequest, is_name};

/// How long a handshake with all that belongs to it may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// From so many on, who knocks must show that it is where it says it is.
const VALIDATED_FROM: usize = 8;
/// A side that says nothing for so long, not even that it is there, is gone.
const IDLE: Duration = Duration::from_secs(30);
/// How often a side says that it is there.
const ALIVE: Duration = Duration::from_secs(8);
/// Bytes in flight in one direction.
const WINDOW: u32 = 256 * 1024;
/// Arrivals that nobody has looked at yet.
const ARRIVALS: usize = 16;

/// The name of a node in TLS, which wants one; keys say who it is.
const NAME: &str = "postmesh";
/// What ties a pairing to its connection.
const EXPORT: &[u8] = b"EXPORTER-postmesh-pairing";

/// The node does not know the prover, as QUIC's application error code.
const NOT_PAIRED: VarInt = VarInt::from_u32(1);

/// A prover that connected, or somebody who was turned away.
type Arrival = Result<(Paired, Connection), LinkError>;

/// A node's listener for provers on other hosts.
#[derive(Debug)]
pub struct RemoteListener {
    endpoint: Endpoint,
    arrivals: Receiver<Arrival>,
}

impl RemoteListener {
    /// Listens on `address`, with the node's key, for the provers of a roster, which is read anew
    /// for each that knocks. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`LinkError::Tls`], or the system's.
    pub fn bind(address: SocketAddr, key: &LinkKey, roster: RosterFile) -> Result<Self, LinkError> {
        let tls = tls::server(key).map_err(|why| LinkError::Tls(why.to_string()))?;
        let tls = QuicServerConfig::try_from(tls).map_err(|why| LinkError::Tls(why.to_string()))?;
        let mut config = ServerConfig::with_crypto(Arc::new(tls));
        config.transport_config(transport());
        config.max_incoming(HANDSHAKES * 2);
        config.incoming_buffer_size(u64::from(WINDOW)).incoming_buffer_size_total(1 << 20);
        let endpoint = Endpoint::server(config, address)
            .map_err(|why| LinkError::BadAddress { address: address.to_string(), why })?;
        let (arrived, arrivals) = channel(ARRIVALS);
        let porter = Porter { node: key.id(), roster, arrived };
        tokio::spawn(porter.receive(endpoint.clone()));
        Ok(Self { endpoint, arrivals })
    }

    /// The next prover; an error tells of somebody who was turned away.
    ///
    /// # Errors
    /// [`LinkError::Unknown`], [`LinkError::PairingFailed`], [`LinkError::Broken`]; the listener
    /// goes on.
    pub async fn accept(&mut self) -> Arrival {
        let closed = || io::Error::from(io::ErrorKind::NotConnected).into();
        self.arrivals.recv().await.unwrap_or_else(|| Err(closed()))
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> Result<SocketAddr, LinkError> {
        Ok(self.endpoint.local_addr()?)
    }
}

impl Drop for RemoteListener {
    fn drop(&mut self) {
        self.endpoint.close(DONE, &[]);
    }
}

/// Who stands at the door.
#[derive(Clone)]
struct Porter {
    node: LinkId,
    roster: RosterFile,
    arrived: Sender<Arrival>,
}

impl Porter {
    async fn receive(self, endpoint: Endpoint) {
        let hall = Hall::default();
        while let Some(incoming) = endpoint.accept().await {
            let shown = incoming.remote_address_validated();
            if hall.visitors() >= VALIDATED_FROM && !shown {
                let _ = incoming.retry();
                continue;
            }
            // Anybody can write anybody's address on a datagram: it counts once it is shown.
            let address = shown.then(|| incoming.remote_address().ip());
            let Some(visit) = hall.enter(address) else {
                incoming.refuse();
                continue;
            };
            let porter = self.clone();
            tokio::spawn(async move {
                if let Ok(Some(arrival)) = timeout(HANDSHAKE, porter.greet(incoming)).await {
                    match arrival {
                        Ok(prover) => drop(porter.arrived.send(Ok(prover)).await),
                        // Nobody waits for news of strangers.
                        Err(stranger) => drop(porter.arrived.try_send(Err(stranger))),
                    }
                }
                drop(visit);
            });
        }
    }

    /// One who knocks, up to where it is a prover or turned away; `None` where there is nothing to
    /// tell.
    async fn greet(&self, incoming: quinn::Incoming) -> Option<Arrival> {
        let connection = incoming.await.ok()?;
        let (protocol, id) = (protocol(&connection)?, peer(&connection)?);
        let address = connection.remote_address();
        if protocol == tls::PAIRING {
            return match self.pair(&connection, id).await {
                Ok(PairAnswer::Paired) => None,
                Ok(PairAnswer::Refused(why)) => {
                    Some(Err(LinkError::PairingFailed { address, id, why }))
                }
                Err(error) => Some(Err(error)),
            };
        }
        let roster = match self.roster.read() {
            Ok(roster) => roster,
            Err(error) => return Some(Err(error)),
        };
        let Some(prover) = roster.prover(id) else {
            connection.close(NOT_PAIRED, &[]);
            return Some(Err(LinkError::Unknown { address, id }));
        };
        let streams = connection.accept_bi().await;
        let (send, receive) = streams.ok()?;
        Some(Ok((prover.clone(), over(connection, send, receive))))
    }

    /// Hears an invitation that somebody presents, and answers.
    async fn pair(
        &self,
        connection: &quinn::Connection,
        id: LinkId,
    ) -> Result<PairAnswer, LinkError> {
        let bound = bound(connection, id, self.node)?;
        let (send, receive) = connection.accept_bi().await.map_err(io::Error::from)?;
        let (mut incoming, mut outgoing) = over(connection.clone(), send, receive).split();
        let request: PairRequest = incoming.next().await?.ok_or(LinkError::CutOff)?;
        let now = unix_now();
        let redeemed = self.roster.change(|roster| roster.redeem(id, &request, &bound, now))?;
        let answer = redeemed.map_or_else(PairAnswer::Refused, |()| PairAnswer::Paired);
        outgoing.send(&answer).await?;
        drop(outgoing);
        // The other side closes when it has heard.
        let _ = timeout(LAST_WORDS, connection.closed()).await;
        Ok(answer)
    }
}

/// Connects to the node at `address` (`HOST:PORT`) with key `node`.
///
/// # Errors
/// [`LinkError::NoAnswer`], [`LinkError::WrongNode`], [`LinkError::BadAddress`]. That the node does
/// not know us ([`LinkError::NotPaired`]) may turn out only when it is spoken to.
pub async fn dial_remote(
    address: &str,
    node: LinkId,
    key: &LinkKey,
) -> Result<Connection, LinkError> {
    let expected = Box::new(move |id| id == node);
    let connection = connect(address, key, expected, tls::LINK).await?;
    let (send, receive) = connection.open_bi().await.map_err(|why| broken(why, address))?;
    Ok(over(connection, send, receive))
}

/// Presents the invitation `code` to the node at `address`, under the name `name`. Returns the
/// node's key, by which it is known from now on.
///
/// # Errors
/// [`LinkError::Refused`], [`LinkError::WrongNode`] where somebody else answers than who gave the
/// code out: the secret is then not told; those of [`dial_remote`].
pub async fn pair(
    address: &str,
    code: &Code,
    name: &str,
    key: &LinkKey,
) -> Result<LinkId, LinkError> {
    if !is_name(name) {
        return Err(PairRefusal::BadName.into());
    }
    let of_code = code.clone();
    let expected = Box::new(move |id| of_code.is_by(id));
    let connection = connect(address, key, expected, tls::PAIRING).await?;
    let node = peer(&connection).ok_or(LinkError::NotPaired)?;
    let bound = bound(&connection, key.id(), node)?;
    let proof = proof(&code.ticket(), &bound).into();
    let exchange = async {
        let streams = connection.open_bi().await;
        let (send, receive) = streams.map_err(|why| broken(why, address))?;
        let (mut incoming, mut outgoing) = over(connection.clone(), send, receive).split();
        outgoing.send(&PairRequest { name: name.to_owned(), proof }).await?;
        incoming.next::<PairAnswer>().await?.ok_or(LinkError::CutOff)
    };
    let no_answer = || LinkError::NoAnswer { address: address.to_owned() };
    let answer = timeout(HANDSHAKE, exchange).await.map_err(|_| no_answer())??;
    connection.close(DONE, &[]);
    match answer {
        PairAnswer::Paired => Ok(node),
        PairAnswer::Refused(why) => Err(why.into()),
    }
}

async fn connect(
    address: &str,
    key: &LinkKey,
    expected: Expected,
    alpn: &[u8],
) -> Result<quinn::Connection, LinkError> {
    let tls = tls::client(key, expected, alpn).map_err(|why| LinkError::Tls(why.to_string()))?;
    let tls = QuicClientConfig::try_from(tls).map_err(|why| LinkError::Tls(why.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(transport());
    let no_answer = || LinkError::NoAnswer { address: address.to_owned() };
    let bad = |why| LinkError::BadAddress { address: address.to_owned(), why };
    let found = tokio::net::lookup_host(address).await.map_err(bad)?;
    let mut last = no_answer();
    // A name may stand for several addresses, of which one is reached.
    for target in found {
        let own = match target {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let endpoint = Endpoint::client(own).map_err(bad)?;
        let connecting = endpoint.connect_with(config.clone(), target, NAME);
        let connecting = connecting.map_err(|why| bad(io::Error::other(why)))?;
        match timeout(HANDSHAKE, connecting).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(why)) => last = broken(why, address),
            Err(_) => last = no_answer(),
        }
    }
    Err(last)
}

/// What a lost connection means to the one who dialled.
fn broken(why: ConnectionError, address: &str) -> LinkError {
    let address = address.to_owned();
    match why {
        ConnectionError::ApplicationClosed(closed) if closed.error_code == NOT_PAIRED => {
            LinkError::NotPaired
        }
        // TLS alerts are QUIC errors from 0x100 on (RFC 9001, section 4.8).
        ConnectionError::TransportError(error) if u64::from(error.code) >> 8 == 1 => {
            LinkError::WrongNode { address }
        }
        ConnectionError::TimedOut => LinkError::NoAnswer { address },
        other => LinkError::Broken(other.into()),
    }
}

/// Whether a connection broke because the node does not know us.
pub(crate) fn is_turned_away(error: &io::Error) -> bool {
    let inner = error.get_ref();
    let lost = inner.and_then(|inner| {
        let read = inner.downcast_ref::<ReadError>().and_then(|error| match error {
            ReadError::ConnectionLost(lost) => Some(lost),
            _ => None,
        });
        let written = inner.downcast_ref::<WriteError>().and_then(|error| match error {
            WriteError::ConnectionLost(lost) => Some(lost),
            _ => None,
        });
        read.or(written).or(inner.downcast_ref::<ConnectionError>())
    });
    matches!(lost, Some(ConnectionError::ApplicationClosed(closed))
        if closed.error_code == NOT_PAIRED)
}

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(1_u32.into())
        .max_concurrent_uni_streams(0_u32.into())
        .stream_receive_window(WINDOW.into())
        .receive_window(WINDOW.into())
        .send_window(WINDOW.into())
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(Some(ALIVE))
        .max_idle_timeout(IdleTimeout::try_from(IDLE).ok());
    Arc::new(transport)
}

/// What the two sides speak.
fn protocol(connection: &quinn::Connection) -> Option<Vec<u8>> {
    let data = connection.handshake_data()?.downcast::<HandshakeData>().ok()?;
    data.protocol
}

/// The other side's key.
fn peer(connection: &quinn::Connection) -> Option<LinkId> {
    let shown = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    let [spki] = shown.as_slice() else { return None };
    tls::id_of(spki)
}

/// What only this connection between these two has: a proof that is made for it is good for no
/// other.
fn bound(
    connection: &quinn::Connection,
    prover: LinkId,
    node: LinkId,
) -> Result<[u8; 32], LinkError> {
    let mut bound = [0; 32];
    let context = [prover.0, node.0].concat();
    let exported = connection.export_keying_material(&mut bound, EXPORT, &context);
    exported.map_err(|_| LinkError::Tls("nothing binds to this connection".to_owned()))?;
    Ok(bound)
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests;
