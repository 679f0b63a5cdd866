//! The control socket: where a running service is looked at and told to rest.
//!
//! HTTP on a local socket that only processes of this user reach and, if asked for, on a TCP
//! address where nothing can be told. The service hands in a [`Status`] that changes and takes
//! [`Command`]s out; what either means is not known here. `docs/service.md` is the page for people.

mod client;
mod metrics;
mod place;
mod routes;
mod words;

pub(crate) mod notify;
pub(crate) mod show;
pub(crate) mod top;

pub(crate) use client::{Client, ClientError};

use crate::args::ControlArgs;
use crate::outcome::{Failure, Result};
use crate::service::status::{Command, Status};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use link::LocalListener;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;

/// After a connection could not be taken: the system is short of something.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// What somebody reads who comes when all places are taken.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// What one client may take.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Connections at a time, at each door.
    connections: usize,
    /// Bytes of a request's head, and of what is kept of an answer that is not read.
    head_bytes: usize,
    /// How long a head may take to come; also how long a connection may be silent.
    head: Duration,
    /// How long a client may not read what it asked for.
    write: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        let patience = Duration::from_secs(10);
        Self { connections: 64, head_bytes: 16 * 1024, head: patience, write: patience }
    }
}

/// The sockets, bound. The local one's file goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Control {
    local: LocalListener,
    web: Option<TcpListener>,
    bounds: Bounds,
}

impl Control {
    /// Binds the local socket, and the TCP address that `--http` names.
    pub(crate) async fn bind(args: &ControlArgs) -> Result<Self> {
        let web = match args.http {
            Some(address) => Some(bind_web(address, args.http_public).await?),
            None => None,
        };
        let local = place::bind(args.at.control.as_deref()).await?;
        Ok(Self { local, web, bounds: Bounds::default() })
    }

    /// The local socket.
    pub(crate) fn socket(&self) -> &Path {
        self.local.path()
    }

    /// The TCP address, with the port that the system chose where 0 was asked for.
    pub(crate) fn web(&self) -> Option<SocketAddr> {
        self.web.as_ref().and_then(|web| web.local_addr().ok())
    }

    /// Serves until it is dropped, and all connections with it.
    pub(crate) async fn serve(
        self,
        status: watch::Receiver<Arc<Status>>,
        commands: mpsc::Sender<Command>,
    ) {
        let local = Door::Local(self.local);
        let routes = routes::local(status.clone(), commands);
        let local = local.serve(routes, self.bounds);
        match self.web {
            None => local.await,
            Some(web) => {
                let loopback = web.local_addr().is_ok_and(|address| address.ip().is_loopback());
                let web = Door::Web(web).serve(routes::web(status, loopback), self.bounds);
                tokio::join!(local, web);
            }
        }
    }
}

async fn bind_web(address: SocketAddr, public: bool) -> Result<TcpListener> {
    if !address.ip().is_loopback() && !public {
        return Err(Failure::usage(format!(
            "--http {address}: whoever reaches this address could read the status. Say \
             127.0.0.1:{}, or --http-public if that is what you want",
            address.port()
        )));
    }
    TcpListener::bind(address).await.map_err(|error| {
        Failure::CouldNot(anyhow::Error::new(error).context(format!("cannot listen on {address}")))
    })
}

/// A place where connections come in.
enum Door {
    Local(LocalListener),
    Web(TcpListener),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Door {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Local(door) => match door.accept().await {
                Ok(stream) => Ok(Box::new(stream)),
                Err(error) => Err(io::Error::other(error)),
            },
            Self::Web(door) => Ok(Box::new(door.accept().await?.0)),
        }
    }

    /// Each connection is a task; all of them end with this one.
    async fn serve(self, routes: Router, bounds: Bounds) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok(stream) if connections.len() < bounds.connections => {
                    connections.spawn(converse(stream, routes.clone(), bounds));
                }
                // A fresh connection has room for these few bytes.
                Ok(mut stream) => {
                    let _ = tokio::time::timeout(ACCEPT_AGAIN, stream.write_all(FULL)).await;
                }
                Err(error) => {
                    tracing::debug!("control: {error}");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }
}

/// One connection, to its end. What is wrong with it is the client's affair.
async fn converse(stream: Box<dyn Stream>, routes: Router, bounds: Bounds) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(bounds.write));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_buf_size(bounds.head_bytes)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(routes))
        .await;
    if let Err(error) = served {
        tracing::debug!("control: {error}");
    }
}

/// The rows of the first table below a heading of docs/service.md.
#[cfg(test)]
pub(crate) fn documented(heading: &str) -> Vec<&'static str> {
    let page = include_str!("../../docs/service.md");
    let lines = page.lines().skip_while(|line| *line != heading);
    let table = lines.skip_while(|line| !line.starts_with('|'));
    table.take_while(|line| line.starts_with('|')).skip(2).collect()
}

#[cfg(test)]
mod tests;
