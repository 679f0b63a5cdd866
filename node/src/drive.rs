//! `run`: the shell around [`Provers`]. It listens, carries events in and actions out, has proofs
//! judged on a thread of their own, and records the verdicts.

use crate::args::RunArgs;
use crate::history;
use crate::home;
use crate::judge::Judge;
use crate::outcome::{ExitCode, Result, answer};
use crate::pairing;
use crate::provers::{Action, ConnectionId, Event, Notice, Provers, Terms};
use crate::settings;
use chain::{ProofRecord, Verdict};
use link::{Connection, LinkError, LinkId, Listener, Paired, RemoteListener, RosterFile};
use post::{Challenge, Proof, Statement};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use store::Store;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use wire::{Stage, ToNode, ToProver};

/// Events on their way to the node: a prover that talks faster than we listen waits.
const EVENTS: usize = 256;
/// Messages on their way to one prover: one that does not listen for so long is left.
const MESSAGES: usize = 64;
/// How long a prover may take to read a message.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// How long an accept that failed (descriptors, say) is waited out.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// How often it is looked whether a prover on another host was removed.
const ROSTER_EVERY: Duration = Duration::from_secs(2);

/// A prover at the door: of this host, or a known one of another.
struct Arrived {
    connection: Connection,
    paired: Option<Paired>,
}

/// Everything that can happen to the node.
enum Happening {
    Provers(Event),
    Judged(Box<ProofRecord>),
    /// The judge lacked memory.
    NotJudged(String),
}

/// Runs the node until it is told to stop, or with `--once` until one proof is judged.
pub(crate) fn run(args: &RunArgs) -> Result {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let code = runtime.block_on(async {
        let mut node = Node::start(args).await?;
        tokio::select! {
            stopped = stop_asked_for() => { stopped?; Ok(ExitCode::Done) }
            ended = node.live() => ended,
        }
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
    links: BTreeMap<ConnectionId, Link>,
    start: Instant,
    every: Duration,
    once: bool,
    json: bool,
    asked_at: u64,
    told: Option<(Stage, Instant)>,
}

/// An open connection: where its messages go, and the task that reads it.
struct Link {
    messages: Sender<ToProver>,
    reader: JoinHandle<()>,
    /// The key of a prover on another host.
    key: Option<LinkId>,
}

impl Node {
    async fn start(args: &RunArgs) -> Result<Self> {
        let network = settings::network(&args.network)?;
        let home = home::home(&args.home)?;
        let identity = home::identity(&home)?;
        let socket = args.socket.clone().unwrap_or_else(link::default_socket);
        let store = Store::open(&home::database(&home))?;
        let listener = Listener::bind(&socket).await?;
        tracing::info!("network {} ({})", network.name(), network.id());
        for line in settings::reductions(&network) {
            tracing::info!("reduced: {line}");
        }
        tracing::info!("identity {}", identity.node_id());
        tracing::info!("waiting for provers on {}", listener.path().display());
        let params = network.post().clone();
        let terms =
            Terms { network: network.id(), node_id: identity.node_id(), params: params.clone() };
        let (events, happenings) = channel(EVENTS);
        let (connections, accepted) = channel(1);
        if let Some(address) = args.listen {
            let (key, roster) = (pairing::key(&home)?, pairing::roster(&home));
            let listener = RemoteListener::bind(address, &key, roster)?;
            let address = listener.address()?;
            tracing::info!("waiting for provers on other hosts on {address} (key {})", key.id());
            tokio::spawn(accept_remote(listener, connections.clone()));
        }
        tokio::spawn(accept(listener, connections));
        Ok(Self {
            roster: pairing::roster(&home),
            provers: Provers::new(terms),
            store,
            judge: Arc::new(Judge::new(params)),
            events,
            happenings,
            accepted,
            links: BTreeMap::new(),
            start: Instant::now(),
            every: Duration::from_secs(args.every),
            once: args.once,
            json: args.json,
            asked_at: 0,
            told: None,
        })
    }

    /// The loop: one thing happens, then all that follows from it is done.
    async fn live(&mut self) -> Result {
        let mut asking = tokio::time::interval(self.every);
        let mut looking = tokio::time::interval(ROSTER_EVERY);
        let mut next_id = 0;
        loop {
            let deadline = self.provers.deadline().map(|time| self.start + time);
            let happening = tokio::select! {
                Some(arrived) = self.accepted.recv() => {
                    next_id += 1;
                    self.open(ConnectionId(next_id), arrived)
                }
                _ = looking.tick(), if self.links.values().any(|link| link.key.is_some()) => {
                    self.leave_removed();
                    Happening::Provers(Event::Tick)
                }
                Some(happening) = self.happenings.recv() => happening,
                _ = asking.tick() => self.want()?,
                () = sleep_until(deadline) => Happening::Provers(Event::Tick),
            };
            if let Some(code) = self.take_in(happening)? {
                return Ok(code);
            }
        }
    }

    fn take_in(&mut self, happening: Happening) -> Result<Option<ExitCode>> {
        match happening {
            Happening::Provers(event) => {
                if let Event::Gone(id, _) = &event {
                    self.links.remove(id);
                }
                self.provers.handle(self.start.elapsed(), event);
            }
            Happening::Judged(record) => {
                let code = self.record(&record)?;
                if self.once {
                    return Ok(Some(code));
                }
            }
            Happening::NotJudged(why) => tracing::error!("the proof could not be judged: {why}"),
        }
        while let Some(action) = self.provers.poll() {
            if let Some(code) = self.act(action) {
                return Ok(Some(code));
            }
        }
        Ok(None)
    }

    fn act(&mut self, action: Action) -> Option<ExitCode> {
        match action {
            Action::Say(id, message) => self.say(id, message),
            Action::Close(id) => {
                // Its writer says what is still to be said, and then closes.
                if let Some(link) = self.links.remove(&id) {
                    link.reader.abort();
                }
            }
            Action::Judge { software, statement, proof } => self.judge(software, statement, proof),
            Action::Unproven(challenge) => {
                tracing::warn!("challenge {challenge} has no proof in this data");
                return self.once.then_some(ExitCode::No);
            }
            Action::Tell(notice) => self.tell(notice),
        }
        None
    }

    /// Asks for a proof of a challenge that nobody could foresee.
    fn want(&mut self) -> Result<Happening> {
        let mut challenge = [0; 32];
        getrandom::fill(&mut challenge)
            .map_err(|error| anyhow::anyhow!("the system has no randomness: {error}"))?;
        Ok(Happening::Provers(Event::Wanted(Challenge(challenge))))
    }

    fn open(&mut self, id: ConnectionId, arrived: Arrived) -> Happening {
        let Arrived { connection, paired } = arrived;
        let (mut incoming, mut outgoing) = connection.split();
        let (messages, mut to_say) = channel::<ToProver>(MESSAGES);
        let events = self.events.clone();
        let reader = tokio::spawn(async move {
            let why = loop {
                match incoming.next::<ToNode>().await {
                    Ok(Some(message)) => {
                        let said = Happening::Provers(Event::Said(id, message));
                        if events.send(said).await.is_err() {
                            return;
                        }
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error.to_string()),
                }
            };
            let _ = events.send(Happening::Provers(Event::Gone(id, why))).await;
        });
        tokio::spawn(async move {
            while let Some(message) = to_say.recv().await {
                // That it is gone is the reader's to tell; one that does not read is left.
                let sent = tokio::time::timeout(SEND_WITHIN, outgoing.send(&message)).await;
                if !matches!(sent, Ok(Ok(()))) {
                    break;
                }
            }
        });
        let (name, key) = paired.map(|paired| (paired.name, paired.id)).unzip();
        self.links.insert(id, Link { messages, reader, key });
        Happening::Provers(Event::Connected(id, name))
    }

    /// Closes on provers that are not known any more.
    fn leave_removed(&mut self) {
        // A file that cannot be read just now says nothing of anybody.
        let Ok(roster) = self.roster.read() else { return };
        let removed = |link: &Link| link.key.is_some_and(|key| roster.prover(key).is_none());
        let removed: Vec<_> =
            self.links.iter().filter(|(_, link)| removed(link)).map(|(id, _)| *id).collect();
        for id in removed {
            self.leave(id, "it was removed");
        }
    }

    /// Closes on a prover.
    fn leave(&mut self, id: ConnectionId, why: &str) {
        if let Some(link) = self.links.remove(&id) {
            link.reader.abort();
        }
        self.provers.handle(self.start.elapsed(), Event::Gone(id, Some(why.to_owned())));
    }

    fn say(&mut self, id: ConnectionId, message: ToProver) {
        let Some(link) = self.links.get(&id) else {
            return;
        };
        if link.messages.try_send(message).is_err() {
            self.leave(id, "it does not listen");
        }
    }

    fn judge(&self, software: String, statement: Statement, proof: Proof) {
        let (judge, events, asked_at) =
            (Arc::clone(&self.judge), self.events.clone(), self.asked_at);
        tokio::task::spawn_blocking(move || {
            let happening = match judge.judge(&proof, &statement) {
                Ok(verdict) => {
                    let judged_at = unix_seconds();
                    let record =
                        ProofRecord { asked_at, judged_at, software, statement, proof, verdict };
                    Happening::Judged(Box::new(record))
                }
                Err(fault) => Happening::NotJudged(fault.to_string()),
            };
            let _ = events.blocking_send(happening);
        });
    }

    /// Remembers a verdict, then says it.
    fn record(&self, record: &ProofRecord) -> Result<ExitCode> {
        let number = self.store.add_proof(record)?;
        if self.json {
            answer!("{}", history::as_json(number, record))?;
        } else {
            answer!("{}", history::sentence(number, record))?;
        }
        Ok(if record.verdict == Verdict::Valid { ExitCode::Done } else { ExitCode::No })
    }

    fn tell(&mut self, notice: Notice) {
        match notice {
            Notice::Joined { software } => tracing::info!("{software} connected"),
            Notice::Left { who, why: None } => tracing::info!("{who} left"),
            Notice::Left { who, why: Some(why) } => tracing::warn!("{who} left: {why}"),
            Notice::Refused { who, why } => tracing::warn!("refused {who}: {why}"),
            Notice::Unsuitable { plot, why } => {
                tracing::warn!("a data set of {} units is not used: {why}", plot.num_units);
            }
            Notice::Asked { software, statement } => {
                self.asked_at = unix_seconds();
                self.told = None;
                let units = statement.num_units;
                let challenge = history::short(&statement.challenge.to_string());
                tracing::info!("asked {software} to prove {units} units for challenge {challenge}");
            }
            Notice::Progress { stage, done, total } => self.tell_progress(stage, done, total),
            Notice::Failed { software, why } => tracing::warn!("{software} has no proof: {why}"),
            Notice::Lost { software } => {
                tracing::warn!("{software} went away while proving; asking again when it is back");
            }
        }
    }

    fn tell_progress(&mut self, stage: Stage, done: u64, total: u64) {
        let recent = |(told, at): (Stage, Instant)| told == stage && at.elapsed() < PROGRESS_EVERY;
        if !self.told.is_some_and(recent) {
            self.told = Some((stage, Instant::now()));
            tracing::info!("{stage}: {done} of {total}");
        }
    }
}

/// Accepts connections for as long as anyone wants them.
async fn accept(listener: Listener, connections: Sender<Arrived>) {
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
async fn accept_remote(mut listener: RemoteListener, connections: Sender<Arrived>) {
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
