//! Asking a running service: the other end of the control socket.
//!
//! What it answers is bounded and checked as if a stranger had sent it.

use super::place;
use super::routes::STATUS_EVENT;
use crate::service::status::{Command, Status};
use axum::body::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use link::LinkError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::task::JoinHandle;

/// The longest answer that is taken, and the longest event.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a service could not be asked.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// Nobody listens.
    #[error("no prover listens on {}", .0.display())]
    Gone(PathBuf),
    /// The socket could not be reached.
    #[error("cannot reach the prover: {0}")]
    Link(LinkError),
    /// The connection broke, or what came was no HTTP.
    #[error("the prover on {} does not answer as it should: {why}", path.display())]
    Http {
        /// Its socket.
        path: PathBuf,
        /// What went wrong.
        why: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It refused.
    #[error("the prover on {} refused ({code}): {text}", path.display())]
    Refused {
        /// Its socket.
        path: PathBuf,
        /// HTTP's code.
        code: StatusCode,
        /// What it said, for people.
        text: String,
    },
    /// No answer.
    #[error("the prover on {} does not answer", .0.display())]
    Silent(PathBuf),
}

type Result<T> = std::result::Result<T, ClientError>;

/// A prover, by its control socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Client {
    path: PathBuf,
}

impl Client {
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_path_buf() }
    }

    /// The provers of this user on this host that are there now.
    pub(crate) async fn found() -> Vec<Self> {
        let mut live = Vec::new();
        for path in place::found() {
            if link::dial_local(&path).await.is_ok() {
                live.push(Self { path });
            }
        }
        live
    }

    /// Its socket.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its status now.
    pub(crate) async fn status(&self) -> Result<Status> {
        let body = self.in_time(async {
            let (response, _connection) = self.ask(Method::GET, "/status").await?;
            self.whole(response).await
        });
        serde_json::from_slice(&body.await?).map_err(|why| self.fault(why))
    }

    /// Tells it something; what comes of it is in its status.
    pub(crate) async fn tell(&self, command: Command) -> Result<()> {
        let route = match command {
            Command::Pause { proofs: false } => "/pause",
            Command::Pause { proofs: true } => "/pause?proofs=true",
            Command::Resume => "/resume",
            Command::Reload => "/reload",
        };
        let told = self.in_time(async {
            let (response, _connection) = self.ask(Method::POST, route).await?;
            self.whole(response).await
        });
        told.await.map(drop)
    }

    /// Its status from now on.
    pub(crate) async fn events(&self) -> Result<Events> {
        let (response, connection) = self.in_time(self.ask(Method::GET, "/events")).await?;
        let client = self.clone();
        Ok(Events { client, body: response.into_body(), read: Vec::new(), _connection: connection })
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let silent = |_| ClientError::Silent(self.path.clone());
        tokio::time::timeout(PATIENCE, work).await.map_err(silent)?
    }

    /// Sends a request on a connection of its own, which ends with what is returned.
    async fn ask(&self, method: Method, route: &str) -> Result<(Response<Incoming>, Connection)> {
        let stream = link::dial_local(&self.path).await.map_err(|error| match error {
            LinkError::NoNode { path } => ClientError::Gone(path),
            other => ClientError::Link(other),
        })?;
        let io = TokioIo::new(Box::pin(stream));
        let (mut sender, connection) = http1::handshake(io).await.map_err(|why| self.fault(why))?;
        let connection = Connection(tokio::spawn(async move { drop(connection.await) }));
        let request = Request::builder().method(method).uri(route).header("host", "localhost");
        let request = request.body(Empty::<Bytes>::new()).map_err(|why| self.fault(why))?;
        let response = sender.send_request(request).await.map_err(|why| self.fault(why))?;
        if response.status().is_success() {
            return Ok((response, connection));
        }
        let code = response.status();
        let text = String::from_utf8_lossy(&self.whole(response).await?).trim().to_owned();
        Err(ClientError::Refused { path: self.path.clone(), code, text })
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Bytes> {
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        Ok(body.map_err(|why| self.fault(why))?.to_bytes())
    }

    fn fault(&self, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
        ClientError::Http { path: self.path.clone(), why: why.into() }
    }
}

/// Drives a connection, for as long as it lives.
#[derive(Debug)]
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Server-sent events, as they come.
#[derive(Debug)]
pub(crate) struct Events {
    client: Client,
    body: Incoming,
    read: Vec<u8>,
    _connection: Connection,
}

impl Events {
    /// The next status; `None` when the service has gone.
    pub(crate) async fn next(&mut self) -> Result<Option<Arc<Status>>> {
        loop {
            while let Some(event) = take_event(&mut self.read) {
                if let Some(data) = data_of(&event) {
                    let status = serde_json::from_str(&data);
                    return status
                        .map(|status| Some(Arc::new(status)))
                        .map_err(|why| self.client.fault(why));
                }
            }
            match self.body.frame().await {
                None | Some(Err(_)) => return Ok(None),
                Some(Ok(frame)) => {
                    let bytes = frame.into_data().unwrap_or_default();
                    if self.read.len() + bytes.len() > ANSWER_BYTES_MAX {
                        return Err(self.client.fault("an event is too long"));
                    }
                    self.read.extend_from_slice(&bytes);
                }
            }
        }
    }
}

/// The first whole event of what was read, which it leaves.
fn take_event(read: &mut Vec<u8>) -> Option<String> {
    let end = read.windows(2).position(|two| two == b"\n\n")? + 2;
    let event: Vec<u8> = read.drain(..end).collect();
    Some(String::from_utf8_lossy(&event).into_owned())
}

/// The data of an event, if it is a status; comments and other events are passed over.
fn data_of(event: &str) -> Option<String> {
    let field = |name: &'static str| {
        event.lines().filter_map(move |line| Some(line.strip_prefix(name)?.trim_start()))
    };
    let data: Vec<&str> = field("data:").collect();
    let is_status = field("event:").eq([STATUS_EVENT]);
    (is_status && !data.is_empty()).then(|| data.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_whole_and_in_order() {
        let mut read = b": still here\n\nevent: status\ndata: {\ndata: }\n\nevent: sta".to_vec();
        assert_eq!(data_of(&take_event(&mut read).unwrap()), None);
        assert_eq!(data_of(&take_event(&mut read).unwrap()).as_deref(), Some("{\n}"));
        assert_eq!(take_event(&mut read), None);
        read.extend(b"tus\ndata: 1\n\nevent: other\ndata: 2\n\n");
        assert_eq!(data_of(&take_event(&mut read).unwrap()).as_deref(), Some("1"));
        assert_eq!(data_of(&take_event(&mut read).unwrap()), None);
    }
}
