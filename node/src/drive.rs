//! `run`: the shell around [`Provers`]. It listens, carries events in and actions out, draws
//! challenges, has proofs judged on a thread of their own, and records the verdicts.

mod links;
mod tell;

use crate::args::RunArgs;
use crate::history;
use crate::home;
use crate::identities;
use crate::judge::Judge;
use crate::outcome::{ExitCode, Result, answer};
use crate::pairing;
use crate::passphrase::Passphrases;
use crate::provers::{Action, Event, Now, Provers, RECEIPTS_MAX, Terms};
use crate::settings;
use chain::{ProofRecord, ProofRequest, Verdict};
use link::{Listener, RemoteListener, RosterFile};
use links::{Arrived, Links};
use post::{Challenge, NodeId, Proof, Statement};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use store::Store;
use tell::Teller;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Events on their way to the node: a prover that talks faster than we listen waits.
const EVENTS: usize = 256;
/// How often it is looked whether a prover on another host was removed.
const ROSTER_EVERY: Duration = Duration::from_secs(2);

/// Everything that can happen to the node.
enum Happening {
    Provers(Event),
    Judged(Box<ProofRecord>),
    /// The judge lacked memory.
    NotJudged(ProofRequest, String),
}

impl From<Event> for Happening {
    fn from(event: Event) -> Self {
        Self::Provers(event)
    }
}

/// Runs the node until it is told to stop, or with `--once` until one proof of each identity is
/// judged.
pub(crate) fn run(args: &RunArgs) -> Result {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let code = runtime.block_on(async {
        let mut node = Node::start(args).await?;
        let code = tokio::select! {
            stopped = stop_asked_for() => { stopped?; Ok(ExitCode::Done) }
            ended = node.live() => ended,
        };
        node.links.end().await;
        code
    });
    runtime.shutdown_background();
    code
}

struct Node {
    provers: Provers,
    store: Store,
    judge: Arc<Judge>,
    events: Sender<Happening>,
    happenings: Receiver<Happening>,
    accepted: Receiver<Arrived>,
    roster: RosterFile,
    links: Links<Happening>,
    teller: Teller,
    start: Instant,
    window: u64,
    json: bool,
    once: Option<Once>,
}

/// With `--once`: what there is to wait for, and how it went so far.
struct Once {
    left: BTreeSet<NodeId>,
    code: ExitCode,
}

impl Node {
    async fn start(args: &RunArgs) -> Result<Self> {
        let network = settings::network(&args.network)?;
        let home = home::home(&args.home)?;
        let named = identities::opened(&home, &mut Passphrases::new(&args.passphrase))?;
        let identities: BTreeSet<_> = named.iter().map(|(_, node_id)| *node_id).collect();
        let socket = args.socket.clone().unwrap_or_else(link::default_socket);
        let store = Store::open(&home::database(&home))?;
        let listener = Listener::bind(&socket).await?;
        tracing::info!("network {} ({})", network.name(), network.id());
        for line in settings::reductions(&network) {
            tracing::info!("reduced: {line}");
        }
        for (name, node_id) in named {
            tracing::info!("identity {name}: {node_id}");
        }
        tracing::info!("waiting for provers on {}", listener.path().display());
        let params = network.post().clone();
        let (every, window) = (args.every, settings::window(args));
        let terms = Terms {
            network: network.id(),
            params: params.clone(),
            identities: identities.clone(),
            every,
            window,
        };
        let (events, happenings) = channel(EVENTS);
        let (connections, accepted) = channel(1);
        if let Some(address) = args.listen {
            let (key, roster) = (pairing::key(&home)?, pairing::roster(&home));
            let listener = RemoteListener::bind(address, &key, roster)?;
            let address = listener.address()?;
            tracing::info!("waiting for provers on other hosts on {address} (key {})", key.id());
            tokio::spawn(links::accept_remote(listener, connections.clone()));
        }
        tokio::spawn(links::accept(listener, connections));
        let mut node = Self {
            roster: pairing::roster(&home),
            provers: Provers::new(terms),
            store,
            judge: Arc::new(Judge::new(params)),
            links: Links::new(events.clone()),
            events,
            happenings,
            accepted,
            teller: Teller::default(),
            start: Instant::now(),
            window,
            json: args.json,
            once: args.once.then_some(Once { left: identities, code: ExitCode::Done }),
        };
        node.remember()?;
        Ok(node)
    }

    /// Goes on where the node was when it last ended, however it did.
    fn remember(&mut self) -> Result<()> {
        for (_, record) in self.store.latest_proofs(RECEIPTS_MAX)?.into_iter().rev() {
            let Statement { node_id, challenge, .. } = record.statement;
            self.provers.recall_verdict(node_id, challenge, record.verdict == Verdict::Valid);
            if self.once.is_none() {
                self.provers.recall_pace(node_id, record.asked_at);
            }
        }
        for request in self.store.wanted()? {
            if self.provers.serve(request.node_id) {
                self.teller.goes_on(&request);
                self.provers.recall(request);
            }
        }
        Ok(())
    }

    /// The loop: one thing happens, then all that follows from it is done.
    async fn live(&mut self) -> Result {
        let mut looking = tokio::time::interval(ROSTER_EVERY);
        let mut happening = Happening::Provers(Event::Tick);
        loop {
            if let Some(code) = self.take_in(happening)? {
                return Ok(code);
            }
            let deadline = self.provers.deadline().map(|time| self.start + time);
            happening = tokio::select! {
                Some(arrived) = self.accepted.recv() => self.links.open(arrived).into(),
                _ = looking.tick(), if self.links.remote().next().is_some() => {
                    self.leave_removed();
                    Event::Tick.into()
                }
                Some(happening) = self.happenings.recv() => happening,
                () = sleep_until(deadline) => Event::Tick.into(),
            };
        }
    }

    fn take_in(&mut self, happening: Happening) -> Result<Option<ExitCode>> {
        match happening {
            Happening::Provers(event) => {
                if let Event::Gone(id, _) = &event {
                    self.links.close(*id);
                }
                self.handle(event);
            }
            Happening::Judged(record) => self.record(&record)?,
            Happening::NotJudged(request, why) => {
                tracing::error!("the proof could not be judged: {why}");
                let ProofRequest { node_id, challenge, .. } = request;
                self.handle(Event::NotJudged { node_id, challenge });
            }
        }
        while let Some(action) = self.provers.poll() {
            self.act(action)?;
        }
        Ok(self.once.as_ref().filter(|once| once.left.is_empty()).map(|once| once.code))
    }

    fn handle(&mut self, event: Event) {
        let now = Now { time: self.start.elapsed(), unix: unix_seconds() };
        self.provers.handle(now, event);
    }

    fn act(&mut self, action: Action) -> Result<()> {
        match action {
            Action::Say(id, message) => {
                if !self.links.say(id, message) {
                    self.links.close(id);
                    self.handle(Event::Gone(id, Some("it does not listen".to_owned())));
                }
            }
            Action::Close(id) => self.links.close(id),
            Action::Draw(node_id) => self.want(node_id)?,
            Action::Judge { software, request, statement, proof } => {
                self.judge(software, request, statement, proof);
            }
            Action::GiveUp(request, why) => {
                self.store.want_no_longer(request.node_id)?;
                self.teller.given_up(&request, why);
                self.is_over(request.node_id, ExitCode::No);
            }
            Action::Tell(notice) => self.teller.tell(notice),
        }
        Ok(())
    }

    /// Asks for a proof of a challenge that nobody could foresee.
    fn want(&mut self, node_id: NodeId) -> Result<()> {
        if self.once.as_ref().is_some_and(|once| !once.left.contains(&node_id)) {
            return Ok(());
        }
        let mut challenge = [0; 32];
        getrandom::fill(&mut challenge)
            .map_err(|error| anyhow::anyhow!("the system has no randomness: {error}"))?;
        let (challenge, asked_at) = (Challenge(challenge), unix_seconds());
        let deadline = asked_at.saturating_add(self.window);
        let request = ProofRequest { node_id, challenge, asked_at, deadline };
        // Before it is asked for: whatever happens from now on, it is asked for again.
        self.store.want(&request)?;
        self.handle(Event::Wanted(request));
        Ok(())
    }

    /// Closes on provers that are not known any more.
    fn leave_removed(&mut self) {
        // A file that cannot be read just now says nothing of anybody.
        let Ok(roster) = self.roster.read() else { return };
        let removed = self.links.remote().filter(|(_, key)| roster.prover(*key).is_none());
        let removed: Vec<_> = removed.map(|(id, _)| id).collect();
        for id in removed {
            self.links.close(id);
            self.handle(Event::Gone(id, Some("it was removed".to_owned())));
        }
    }

    fn judge(&self, software: String, request: ProofRequest, statement: Statement, proof: Proof) {
        let (judge, events) = (Arc::clone(&self.judge), self.events.clone());
        tokio::task::spawn_blocking(move || {
            let happening = match judge.judge(&proof, &statement) {
                Ok(verdict) => {
                    let (asked_at, judged_at) = (request.asked_at, unix_seconds());
                    let record =
                        ProofRecord { asked_at, judged_at, software, statement, proof, verdict };
                    Happening::Judged(Box::new(record))
                }
                Err(fault) => Happening::NotJudged(request, fault.to_string()),
            };
            let _ = events.blocking_send(happening);
        });
    }

    /// Remembers a verdict, then says it.
    fn record(&mut self, record: &ProofRecord) -> Result<()> {
        let number = self.store.add_proof(record)?;
        if self.json {
            answer!("{}", history::as_json(number, record))?;
        } else {
            answer!("{}", history::sentence(number, record))?;
        }
        let Statement { node_id, challenge, .. } = record.statement;
        let valid = record.verdict == Verdict::Valid;
        self.handle(Event::Recorded { node_id, challenge, valid });
        self.is_over(node_id, if valid { ExitCode::Done } else { ExitCode::No });
        Ok(())
    }

    /// Notes, for `--once`, how it went with an identity.
    fn is_over(&mut self, node_id: NodeId, code: ExitCode) {
        if let Some(once) = &mut self.once
            && once.left.remove(&node_id)
            && code != ExitCode::Done
        {
            once.code = code;
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Seconds since 1970, by the clock of this machine.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Returns when the process is asked to stop.
#[cfg(unix)]
async fn stop_asked_for() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

/// Returns when the process is asked to stop.
#[cfg(not(unix))]
async fn stop_asked_for() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
