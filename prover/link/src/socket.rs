//! Listening and dialling.

use crate::connection::Connection;
use crate::error::LinkError;
use crate::place::{own_uid, private_directory};
use interprocess::local_socket::tokio::prelude::*;
use interprocess::local_socket::tokio::{Listener as Socket, Stream};
use interprocess::local_socket::{GenericFilePath, ListenerOptions, Name, ToFsName};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A node's socket, listening.
#[derive(Debug)]
pub struct Listener(LocalListener);

impl Listener {
    /// Listens on `path`, as [`LocalListener::bind`] does.
    ///
    /// # Errors
    /// Those of [`LocalListener::bind`].
    pub async fn bind(path: &Path) -> Result<Self, LinkError> {
        Ok(Self(LocalListener::bind(path).await?))
    }

    /// The next connection, of a process of the same user.
    ///
    /// # Errors
    /// Those of [`LocalListener::accept`]; the listener goes on.
    pub async fn accept(&self) -> Result<Connection, LinkError> {
        Ok(connection(self.0.accept().await?))
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Connects to the node that listens on `path`.
///
/// # Errors
/// [`LinkError::NoNode`] where none does, [`LinkError::Stranger`] where it is not this user's.
pub async fn dial(path: &Path) -> Result<Connection, LinkError> {
    Ok(connection(dial_local(path).await?))
}

fn connection(LocalStream(stream): LocalStream) -> Connection {
    Connection::new(LocalStream(Arc::clone(&stream)), LocalStream(stream))
}

/// A socket of this machine and user, listening, whatever is said on it. Its file is removed when
/// this is dropped.
#[derive(Debug)]
pub struct LocalListener {
    socket: Socket,
    path: PathBuf,
    /// Held while we listen. A node that died leaves its socket file behind, but not this lock:
    /// that is how a stale socket is told from a live one.
    _lock: File,
}

impl LocalListener {
    /// Listens on `path`, whose directory is made (0700) if it is not there.
    ///
    /// # Errors
    /// [`LinkError::Taken`] where somebody listens already, [`LinkError::NotASocket`],
    /// [`LinkError::OpenDirectory`], or the system's.
    pub async fn bind(path: &Path) -> Result<Self, LinkError> {
        let directory = private_directory(path)?;
        let lock = lock(path, &directory)?;
        clear_stale(path).await?;
        let options = ListenerOptions::new().name(name(path)?);
        let socket = options.create_tokio().map_err(LinkError::io("listen on", path))?;
        Ok(Self { socket, path: path.to_path_buf(), _lock: lock })
    }

    /// The next stream, from a process of the same user.
    ///
    /// # Errors
    /// [`LinkError::Stranger`] for one of another user, which is closed; the listener goes on.
    pub async fn accept(&self) -> Result<LocalStream, LinkError> {
        let accepted = self.socket.accept().await;
        checked(accepted.map_err(LinkError::io("accept on", &self.path))?)
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Connects to what listens on `path`, if it is this user's.
///
/// # Errors
/// [`LinkError::NoNode`] where nobody listens, [`LinkError::Stranger`] where it is not this user's.
pub async fn dial_local(path: &Path) -> Result<LocalStream, LinkError> {
    match Stream::connect(name(path)?).await {
        Ok(stream) => checked(stream),
        Err(error) if nobody_there(&error) => Err(LinkError::NoNode { path: path.to_path_buf() }),
        Err(error) => Err(LinkError::io("connect to", path)(error)),
    }
}

fn name(path: &Path) -> Result<Name<'static>, LinkError> {
    let name = path.to_path_buf().to_fs_name::<GenericFilePath>();
    name.map_err(LinkError::io("name", path))
}

fn nobody_there(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// The lock beside the socket.
fn lock(path: &Path, directory: &Path) -> Result<File, LinkError> {
    let lock = path.with_added_extension("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock);
    let file = file.map_err(LinkError::io("open", &lock))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(LinkError::Taken { path: path.to_path_buf() }),
        Err(fs::TryLockError::Error(source)) => Err(LinkError::io("lock", directory)(source)),
    }
}

/// Removes the socket of a node that is gone. We hold the lock, so no node of ours listens; a
/// socket that still answers is somebody else's, and what is no socket is nobody's to remove.
async fn clear_stale(path: &Path) -> Result<(), LinkError> {
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(LinkError::io("look at", path)(error)),
    };
    if !kind.is_socket() {
        return Err(LinkError::NotASocket { path: path.to_path_buf() });
    }
    match Stream::connect(name(path)?).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(LinkError::io("remove stale", path))
        }
        _ => Err(LinkError::Taken { path: path.to_path_buf() }),
    }
}

/// Lets only processes of this user through.
fn checked(stream: Stream) -> Result<LocalStream, LinkError> {
    let credentials = stream.peer_creds().map_err(LinkError::NoCredentials)?;
    match credentials.euid() {
        Some(uid) if uid == own_uid() => Ok(LocalStream(Arc::new(stream))),
        Some(uid) => Err(LinkError::Stranger { uid }),
        None => Err(LinkError::NoCredentials(io::ErrorKind::Unsupported.into())),
    }
}

/// Bytes to and from a process of the same user. A connection holds it twice, once for each
/// direction; it closes with the second one.
#[derive(Debug)]
pub struct LocalStream(Arc<Stream>);

impl AsyncRead for LocalStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for LocalStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.0).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self.0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{JobId, ToNode, ToProver, Version};

    fn socket(root: &tempfile::TempDir) -> PathBuf {
        root.path().join("run/node.sock")
    }

    #[tokio::test]
    async fn messages_cross_both_ways() {
        let root = tempfile::tempdir().unwrap();
        let listener = Listener::bind(&socket(&root)).await.unwrap();
        let (accepted, dialled) = tokio::join!(listener.accept(), dial(listener.path()));
        let (mut node_in, mut node_out) = accepted.unwrap().split();
        let (mut prover_in, mut prover_out) = dialled.unwrap().split();
        node_out.send(&ToProver::Welcome(Version::V1)).await.unwrap();
        assert_eq!(prover_in.next().await.unwrap(), Some(ToProver::Welcome(Version::V1)));
        let failed =
            ToNode::Failed { job: JobId(1), why: wire::ProveFailure::Fault("x".repeat(512)) };
        for _ in 0..1000 {
            prover_out.send(&failed).await.unwrap();
            assert_eq!(node_in.next::<ToNode>().await.unwrap().as_ref(), Some(&failed));
        }
        drop((prover_in, prover_out));
        assert_eq!(node_in.next::<ToNode>().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_live_socket_is_told_from_a_stale_one() {
        let root = tempfile::tempdir().unwrap();
        let path = socket(&root);
        let listener = Listener::bind(&path).await.unwrap();
        assert!(matches!(Listener::bind(&path).await, Err(LinkError::Taken { .. })));
        drop(listener);
        assert!(matches!(dial(&path).await, Err(LinkError::NoNode { .. })));
        // What a killed node leaves: the file of a socket that nobody listens on.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert!(matches!(dial(&path).await, Err(LinkError::NoNode { .. })));
        let _listener = Listener::bind(&path).await.unwrap();
    }

    #[tokio::test]
    async fn somebody_else_s_socket_or_file_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = socket(&root);
        private_directory(&path).unwrap();
        let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(matches!(Listener::bind(&path).await, Err(LinkError::Taken { .. })));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a letter").unwrap();
        assert!(matches!(Listener::bind(&path).await, Err(LinkError::NotASocket { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"a letter");
    }
}
