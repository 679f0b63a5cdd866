//! What can go wrong between a node and a prover.

use crate::key::LinkId;
use crate::remote;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use thiserror::Error;
use wire::{BadFrame, PairRefusal};

/// Why node and prover cannot talk.
#[derive(Debug, Error)]
pub enum LinkError {
    /// The system refused.
    #[error("cannot {action} {}: {why}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        why: io::Error,
    },
    /// No node listens.
    #[error("no node listens on {}: start postmesh-node", path.display())]
    NoNode {
        /// The socket.
        path: PathBuf,
    },
    /// Another node listens already.
    #[error("another program listens on {}: stop it, or choose another path", path.display())]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket lies in its place. It is left alone.
    #[error("{} is not a socket: move it away, or choose another path", path.display())]
    NotASocket {
        /// What lies there.
        path: PathBuf,
    },
    /// Others could enter the socket's directory.
    #[error(
        "{} is not safe for a socket: it must belong to this user and be closed to others \
         (chmod 700)",
        path.display()
    )]
    OpenDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The peer runs as another user.
    #[error("the other side runs as another user (uid {uid}), and is not talked to")]
    Stranger {
        /// Whose process.
        uid: u32,
    },
    /// The peer's user cannot be told.
    #[error("the system does not tell whose process the peer is: {0}")]
    NoCredentials(io::Error),
    /// A file that should hold a key holds something else. It is left alone.
    #[error("{} holds no link key (32 bytes): move it away, and pair again", path.display())]
    BadKeyFile {
        /// The file.
        path: PathBuf,
    },
    /// A file of who is known cannot be understood. It is left alone.
    #[error("{} is damaged ({why}): move it away, and pair again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// TLS could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// The address is not one.
    #[error("{address} is no address of a node: say HOST:PORT ({why})")]
    BadAddress {
        /// What was given.
        address: String,
        /// The system's reason.
        why: io::Error,
    },
    /// Nobody answers there.
    #[error("no node answers at {address}: is it running with --listen, and is the port open?")]
    NoAnswer {
        /// Where.
        address: String,
    },
    /// Somebody else answers there.
    #[error(
        "who answers at {address} is not the node that was paired: its key is another. Where the \
         node was set up anew, pair again; else somebody stands in between"
    )]
    WrongNode {
        /// Where.
        address: String,
    },
    /// The node does not know this prover.
    #[error("the node does not know this prover (any more): pair again")]
    NotPaired,
    /// A stranger knocked.
    #[error("{address} with the unknown key {id} was turned away")]
    Unknown {
        /// From where.
        address: SocketAddr,
        /// Its key.
        id: LinkId,
    },
    /// An invitation was presented, and not taken.
    #[error("{address} with the key {id} was not paired: {why}")]
    PairingFailed {
        /// From where.
        address: SocketAddr,
        /// Its key.
        id: LinkId,
        /// Why.
        why: PairRefusal,
    },
    /// The node did not pair.
    #[error("the node refused: {0}")]
    Refused(#[from] PairRefusal),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// The peer went away in the middle of a message.
    #[error("the other side went away in the middle of a message")]
    CutOff,
    /// The peer does not speak the protocol.
    #[error("the other side does not speak this protocol: {0}")]
    BadFrame(#[from] BadFrame),
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        if remote::is_turned_away(&error) { Self::NotPaired } else { Self::Broken(error) }
    }
}

impl LinkError {
    /// Whether it may be better in a moment: the other side went away or is overrun, a name is not
    /// found, or somebody stands in between.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        let passing = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionReset)
        };
        match self {
            Self::Io { why, .. } => passing(why),
            Self::NoCredentials(_)
            | Self::NoNode { .. }
            | Self::NoAnswer { .. }
            | Self::BadAddress { .. }
            | Self::WrongNode { .. }
            | Self::CutOff
            | Self::Broken(_) => true,
            _ => false,
        }
    }

    /// For `map_err`: the action and path around a system error.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |why| Self::Io { action, path, why }
    }
}
