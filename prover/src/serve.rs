//! `serve`: finds the node, talks to it, and proves what it asks for, until told to stop.
//!
//! The shell around [`Session`]: it carries events in and actions out, and runs the proof on a
//! thread of its own.

use crate::args::{ProofArgs, ServeArgs, WorkArgs};
use crate::background;
use crate::control::{Control, notify};
use crate::devices;
use crate::nodes::RemoteNode;
use crate::outcome::{ExitCode, Failure, Result};
use crate::place;
use crate::prove::{Hands, Job, ProveError, Surroundings, prove};
use crate::randomx::Pows;
use crate::service::status::{SetStatus, Status};
use crate::session::{Action, Event, Session};
use crate::settings::{self, Network};
use crate::stop::{Stop, signalled};
use link::{Connection, Incoming, LinkError, Outgoing, dial};
use plot::{DataSet, Lock};
use post::{NetworkId, Params, Proof, Statement};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{mpsc, watch};
use wire::{JobId, PLOTS_MAX, PlotInfo, ProveFailure, Refusal, Stage, TEXT_BYTES_MAX};

/// The first wait for a node that is not there; each further one is twice as long, up to the last.
const REDIAL_FIRST: Duration = Duration::from_millis(200);
const REDIAL_LAST: Duration = Duration::from_secs(5);
/// How often progress is reported.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// What the prover brings to every conversation.
struct Prover {
    network: Network,
    /// The directories of each data set.
    sets: Vec<Vec<PathBuf>>,
    node: Node,
    nonces: u32,
    work: WorkArgs,
    pows: Pows,
    hands: Hands,
}

/// Where the node is.
enum Node {
    /// On this host, by its socket.
    Local(PathBuf),
    Remote(RemoteNode),
}

impl Node {
    async fn dial(&self) -> std::result::Result<Connection, LinkError> {
        match self {
            Self::Local(socket) => dial(socket).await,
            Self::Remote(node) => node.dial().await,
        }
    }
}

/// Serves a node.
pub(crate) fn serve(args: &ServeArgs) -> Result {
    let places = settings::places(&args.data.data_dir)?;
    let sets = plot::grouped(&place::paths(&places))?;
    if sets.len() > PLOTS_MAX {
        let found = sets.len();
        return Err(Failure::usage(format!("{found} data sets: {PLOTS_MAX} is the limit")));
    }
    let (threads, pace) = (settings::threads(&args.work).get(), settings::pace(&args.work));
    let prover = Arc::new(Prover {
        network: settings::network(&args.network, &ProofArgs::default())?,
        sets,
        node: match &args.node {
            Some(address) => Node::Remote(RemoteNode::known(address, &args.keys)?),
            None => Node::Local(args.socket.clone().unwrap_or_else(link::default_socket)),
        },
        nonces: settings::nonces(args.proving.nonces)?,
        work: args.work.clone(),
        pows: Pows::new(args.proving.randomx, threads, pace),
        hands: devices::hands(&args.work)?,
    });
    for plot in prover.plots()? {
        let PlotInfo { node_id, num_units, labels_per_unit, complete, .. } = plot;
        let state = if complete { "complete" } else { "not complete: run init" };
        tracing::info!(
            "holding {num_units} units of {labels_per_unit} labels of {node_id}, {state}"
        );
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let code = runtime.block_on(async {
        let control = Control::bind(&args.control).await?;
        tracing::info!("control socket: {}", control.socket().display());
        if let Some(address) = control.web() {
            tracing::info!("status and metrics: http://{address}");
        }
        let (_status, watched) = watch::channel(Arc::new(prover.status()?));
        let (commands, _) = mpsc::channel(1);
        notify::ready();
        notify::doing("serving");
        tokio::select! {
            () = control.serve(watched, commands) => Ok(ExitCode::Done),
            stopped = signalled() => stopped.map(|()| ExitCode::Done).map_err(Failure::from),
            ended = redial(prover) => ended,
        }
    });
    notify::stopping();
    // A proof in progress holds nothing that must be put in order.
    runtime.shutdown_background();
    code
}

/// Dials the node again and again; returns only when it refuses us for good.
async fn redial(prover: Arc<Prover>) -> Result {
    let mut wait = REDIAL_FIRST;
    loop {
        match prover.node.dial().await {
            Ok(connection) => {
                let (welcomed, ended) = converse(&prover, connection).await;
                if welcomed {
                    wait = REDIAL_FIRST;
                }
                match ended {
                    Ok(()) => tracing::info!("the node is gone; waiting for it"),
                    Err(Parting::Link(error @ LinkError::NotPaired)) => return Err(error.into()),
                    Err(Parting::Link(error)) => tracing::warn!("lost the node: {error}"),
                    Err(Parting::Breach(what)) => {
                        tracing::warn!(
                            "left the node, which does not keep to the protocol: {what}"
                        );
                    }
                    Err(Parting::Refused(Refusal::Full)) => tracing::warn!("{}", Refusal::Full),
                    Err(Parting::Refused(refusal)) => {
                        return Err(refused(refusal, prover.network.id));
                    }
                    Err(Parting::Failed(failure)) => return Err(failure),
                }
            }
            Err(LinkError::NoNode { path }) => {
                if wait == REDIAL_FIRST {
                    tracing::info!("waiting for a node on {}", path.display());
                }
            }
            Err(error) if error.is_passing() => tracing::warn!("{error}"),
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(REDIAL_LAST);
    }
}

fn refused(refusal: Refusal, ours: NetworkId) -> Failure {
    let why = match refusal {
        Refusal::Network(_) => {
            format!("{refusal}, this prover on {ours}: give both the same --network")
        }
        _ => refusal.to_string(),
    };
    Failure::CouldNot(anyhow::anyhow!("the node refused this prover: {why}"))
}

/// Why a conversation ended.
enum Parting {
    Link(LinkError),
    Breach(&'static str),
    Refused(Refusal),
    Failed(Failure),
}

/// One conversation, until the node closes it: whether we were welcome, and why it ended.
async fn converse(
    prover: &Arc<Prover>,
    connection: Connection,
) -> (bool, std::result::Result<(), Parting>) {
    let (mut incoming, mut outgoing) = connection.split();
    let plots = match prover.plots() {
        Ok(plots) => plots,
        Err(failure) => return (false, Err(Parting::Failed(failure))),
    };
    let mut session = Session::new(prover.network.id, plots);
    let (events, mut from_work) = unbounded_channel();
    let mut work = Work { prover, events, stop: Stop::default() };
    let mut welcomed = false;
    let result = loop {
        match act(&mut session, &mut work, &mut outgoing).await {
            Ok(()) => {}
            Err(parting) => break Err(parting),
        }
        match next(&mut incoming, &mut from_work).await {
            Ok(Some(event)) => {
                session.handle(event);
                welcomed |= session.is_open();
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(Parting::Link(error)),
        }
    };
    work.stop.set();
    (welcomed, result)
}

/// Whatever comes first: from the node, or from the work.
async fn next(
    incoming: &mut Incoming,
    from_work: &mut UnboundedReceiver<Event>,
) -> std::result::Result<Option<Event>, LinkError> {
    tokio::select! {
        said = incoming.next() => Ok(said?.map(Event::Said)),
        event = from_work.recv() => Ok(event),
    }
}

/// Does what the session wants done.
async fn act(
    session: &mut Session,
    work: &mut Work<'_>,
    outgoing: &mut Outgoing,
) -> std::result::Result<(), Parting> {
    while let Some(action) = session.poll() {
        match action {
            Action::Say(message) => outgoing.send(&message).await.map_err(Parting::Link)?,
            Action::Start { job, plot, statement } => work.start(job, plot, statement),
            Action::Stop(_) => work.stop.set(),
            Action::Leave(refusal) => return Err(Parting::Refused(refusal)),
            Action::Breach(what) => return Err(Parting::Breach(what)),
        }
    }
    Ok(())
}

/// The proof of a conversation, on its thread.
struct Work<'a> {
    prover: &'a Arc<Prover>,
    events: UnboundedSender<Event>,
    stop: Stop,
}

impl Work<'_> {
    fn start(&mut self, job: JobId, plot: usize, statement: Statement) {
        self.stop = Stop::default();
        let (prover, events, stop) =
            (Arc::clone(self.prover), self.events.clone(), self.stop.clone());
        tracing::info!(
            "proving {} units for challenge {}",
            statement.num_units,
            statement.challenge
        );
        tokio::task::spawn_blocking(move || {
            // The proof waits for others; the conversation does not.
            background::enter(&prover.work);
            let result = prover.prove(job, plot, statement, &stop, &events);
            match &result {
                Ok(proof) => tracing::info!("proof found: nonce {}", proof.nonce.0),
                Err(why) => tracing::warn!("no proof: {why}"),
            }
            // Nobody listens when the node has gone: the proof is asked for again.
            let _ = events.send(Event::Ended { job, result });
        });
    }
}

impl Prover {
    /// The data sets as they are on disk now.
    fn plots(&self) -> Result<Vec<PlotInfo>> {
        self.sets.iter().map(|paths| plot_info(&DataSet::open(paths)?)).collect()
    }

    /// What is known at the start.
    fn status(&self) -> Result<Status> {
        let now = crate::progress::unix_now();
        let sets = self.sets.iter().zip(self.plots()?);
        let set = |(directories, plot): (&Vec<PathBuf>, PlotInfo)| SetStatus {
            node_id: plot.node_id,
            commitment_atx_id: plot.commitment_atx_id,
            directories: directories.clone(),
            disks: vec![],
            num_units: plot.num_units,
            labels_per_unit: plot.labels_per_unit,
            labels_present: 0,
            complete: plot.complete,
            outlook: None,
        };
        Ok(Status {
            software: concat!("postmesh-prover ", env!("CARGO_PKG_VERSION")).to_owned(),
            pid: std::process::id(),
            started_at: now,
            now_at: now,
            sets: sets.map(set).collect(),
            ..Status::default()
        })
    }

    fn prove(
        &self,
        job: JobId,
        plot: usize,
        statement: Statement,
        stop: &Stop,
        events: &UnboundedSender<Event>,
    ) -> std::result::Result<Proof, ProveFailure> {
        let paths = self.sets.get(plot).ok_or(ProveFailure::NoSuchData)?;
        let last = Mutex::new((None, Instant::now()));
        let progress = |stage: Stage, done, total| {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.0 == Some(stage) && last.1.elapsed() < PROGRESS_EVERY {
                return;
            }
            *last = (Some(stage), Instant::now());
            let _ = events.send(Event::Progress { job, stage, done, total });
        };
        let stop = || stop.is_set();
        let pace = settings::pace(&self.work);
        let around = Surroundings {
            pows: &self.pows,
            hands: &self.hands,
            pace,
            stop: &stop,
            progress: &progress,
        };
        self.prove_in(paths, statement, &around).map_err(|failure| match failure {
            Failure::CouldNot(error) => match error.downcast_ref::<ProveError>() {
                Some(ProveError::Stopped) => ProveFailure::Cancelled,
                Some(ProveError::NoProof) => ProveFailure::NoProof,
                _ => ProveFailure::Fault(cut(&error.to_string())),
            },
            Failure::Usage(text) => ProveFailure::Fault(cut(&text)),
        })
    }

    fn prove_in(
        &self,
        paths: &[PathBuf],
        statement: Statement,
        around: &Surroundings<'_>,
    ) -> Result<Proof> {
        let _locks = Lock::shared_all(paths.iter().map(PathBuf::as_path))?;
        let set = DataSet::open(paths)?;
        let scrypt_n = crate::commands::scrypt_n(&set, &self.network)?;
        let params = Params { scrypt_n, ..self.network.params.clone() };
        let threads = settings::threads(&self.work);
        let job = Job { statement, params, nonces: self.nonces, threads };
        Ok(prove(&job, &set, around)?)
    }
}

fn plot_info(set: &DataSet) -> Result<PlotInfo> {
    let metadata = set.metadata();
    let complete = set.survey()?.iter().all(|file| file.complete().is_ok());
    Ok(PlotInfo {
        node_id: metadata.node_id,
        commitment_atx_id: metadata.commitment_atx_id,
        num_units: metadata.num_units,
        labels_per_unit: metadata.labels_per_unit,
        vrf_nonce: metadata.nonce.map(|index| index.0),
        complete,
    })
}

/// A text cut to what the link carries, at a character.
fn cut(text: &str) -> String {
    let fits = text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= TEXT_BYTES_MAX);
    fits.map(|(_, character)| character).collect()
}
