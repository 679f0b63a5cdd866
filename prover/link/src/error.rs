//! What can go wrong between two processes of one host.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use wire::BadFrame;

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
    #[error("another program listens on {}: stop it, or choose another --socket", path.display())]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket lies in its place. It is left alone.
    #[error("{} is not a socket: move it away, or choose another --socket", path.display())]
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
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    /// The peer went away in the middle of a message.
    #[error("the other side went away in the middle of a message")]
    CutOff,
    /// The peer does not speak the protocol.
    #[error("the other side does not speak this protocol: {0}")]
    BadFrame(#[from] BadFrame),
}

impl LinkError {
    /// Whether it may be better in a moment: the other side went away, or is overrun.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        let passing = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionReset)
        };
        match self {
            Self::Io { why, .. } => passing(why),
            Self::NoCredentials(_) | Self::NoNode { .. } | Self::CutOff | Self::Broken(_) => true,
            _ => false,
        }
    }

    /// For `map_err`: the action and path around a system error.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |why| Self::Io { action, path, why }
    }
}
