//! What is asked for, and what is answered.

use super::metrics;
use crate::service::status::{Command, Status};
use axum::extract::{Query, Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// The name of the event that carries a status.
pub(super) const STATUS_EVENT: &str = "status";
/// Snapshots come no faster than this, however often the status changes.
const EVENT_EVERY: Duration = Duration::from_millis(500);

type Watched = watch::Receiver<Arc<Status>>;

/// What processes of this user may ask and say.
pub(super) fn local(status: Watched, commands: mpsc::Sender<Command>) -> Router {
    let commanding = Router::new()
        .route("/pause", post(pause))
        .route("/resume", post(resume))
        .route("/reload", post(reload))
        .with_state(commands);
    reading(status).merge(commanding)
}

/// What may be asked by TCP. Nothing can be said there, so that no web page can say it.
///
/// A page could still read the answers if its own name led to this machine (DNS rebinding): at a
/// loopback address only names that lead nowhere else are answered to.
pub(super) fn web(status: Watched, loopback: bool) -> Router {
    let routes = reading(status);
    if loopback { routes.layer(from_fn(called_by_own_name)) } else { routes }
}

fn reading(status: Watched) -> Router {
    Router::new()
        .route("/status", get(async |status: State<Watched>| shown(&*now(&status))))
        .route("/jobs", get(async |status: State<Watched>| shown(&now(&status).jobs)))
        .route("/devices", get(async |status: State<Watched>| shown(&now(&status).devices)))
        .route("/metrics", get(metrics))
        .route("/events", get(events))
        .fallback(async || (StatusCode::NOT_FOUND, "not here: docs/service.md says what is\n"))
        .with_state(status)
}

fn now(status: &Watched) -> Arc<Status> {
    Arc::clone(&status.borrow())
}

fn shown<T: Serialize>(part: &T) -> Response {
    Json(part).into_response()
}

async fn metrics(State(status): State<Watched>) -> Response {
    match metrics::text(now(&status)) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn events(State(status): State<Watched>) -> impl IntoResponse {
    Sse::new(snapshots(status)).keep_alive(KeepAlive::default())
}

/// The status as it is, and again whenever it has changed. What happens between two snapshots is
/// passed over, so that a slow reader costs no memory.
fn snapshots(status: Watched) -> impl Stream<Item = Result<Event, axum::Error>> {
    stream::unfold((status, true), async |(mut status, first)| {
        if !first {
            tokio::time::sleep(EVENT_EVERY).await;
            status.changed().await.ok()?;
        }
        let snapshot = Arc::clone(&status.borrow_and_update());
        let event = Event::default().event(STATUS_EVENT).json_data(&*snapshot);
        Some((event, (status, false)))
    })
}

#[derive(Deserialize)]
struct PauseQuery {
    #[serde(default)]
    proofs: bool,
}

async fn pause(
    State(commands): State<mpsc::Sender<Command>>,
    Query(PauseQuery { proofs }): Query<PauseQuery>,
) -> Response {
    tell(&commands, Command::Pause { proofs })
}

async fn resume(State(commands): State<mpsc::Sender<Command>>) -> Response {
    tell(&commands, Command::Resume)
}

async fn reload(State(commands): State<mpsc::Sender<Command>>) -> Response {
    tell(&commands, Command::Reload)
}

/// Hands a command to the service, which shows in its status what came of it.
fn tell(commands: &mpsc::Sender<Command>, command: Command) -> Response {
    match commands.try_send(command) {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(mpsc::error::TrySendError::Full(_)) => {
            (StatusCode::SERVICE_UNAVAILABLE, "the service is busy: ask again\n").into_response()
        }
        Err(mpsc::error::TrySendError::Closed(_)) => {
            (StatusCode::SERVICE_UNAVAILABLE, "the service is stopping\n").into_response()
        }
    }
}

/// Lets only requests through whose `Host` is `localhost` or a loopback address.
async fn called_by_own_name(request: Request, next: Next) -> Response {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if named.is_some_and(is_own_name) {
        next.run(request).await
    } else {
        let why = "this host is called 127.0.0.1, [::1] or localhost here\n";
        (StatusCode::FORBIDDEN, why).into_response()
    }
}

fn is_own_name(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_lead_here_are_ours() {
        for ours in ["127.0.0.1", "127.0.0.1:7418", "localhost:7418", "LOCALHOST", "[::1]:7418"] {
            assert!(is_own_name(ours), "{ours}");
        }
        for other in ["", "evil.example", "localhost.evil.example:7418", "127.0.0.1.evil.example"] {
            assert!(!is_own_name(other), "{other}");
        }
        for other in ["192.168.1.2:7418", "evil@", "::1"] {
            assert!(!is_own_name(other), "{other}");
        }
    }
}
