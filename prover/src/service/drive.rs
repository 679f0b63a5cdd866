//! The loop of the service: one thing happens, then all that follows from it is done.

use super::dial::{Node, Place};
use super::foresight::{Course, Foresight, View, Word};
use super::holding::Holding;
use super::jobs::{Action, Event, Jobs, PeerId, Task, Time};
use super::schedule::Number;
use super::status::{Command, JobState, NodeStatus, Rest, SetStatus, Status};
use super::work::{Tools, Worker};
use crate::args::{ControlArgs, ServeArgs};
use crate::battery;
use crate::config;
use crate::control::{Control, notify};
use crate::keeper::Keeper;
use crate::outcome::{ExitCode, Failure, Result};
use crate::progress::unix_now;
use crate::stop::{Stop, signalled};
use core::pin::pin;
use plot::{Notice, disk_name};
use std::collections::BTreeMap;
use std::sync::mpsc::{Sender as Turns, channel as turns};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;
use tokio::task::JoinSet;
use wire::ToNode;

/// What may wait for the service: nodes and jobs that tell more wait until it has caught up.
const HAPPENINGS: usize = 256;
/// How often it is looked whether others made the labels that are missing.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked whether the machine runs on its battery, where that matters.
const POWER_EVERY: Duration = Duration::from_secs(30);
/// How often it is reckoned anew whether proofs will be there in time.
const FORESEE_EVERY: Duration = Duration::from_secs(15);
/// How long jobs may take to come to rest at the end.
const GRACE: Duration = Duration::from_millis(800);

/// What happens to a service.
pub(super) enum Happening {
    /// To its work.
    Job(Event),
    /// A node has welcomed us; what is to be said goes there.
    Joined { number: usize, peer: PeerId, to_say: Sender<ToNode> },
    /// A node is not there.
    Absent(usize, String),
    /// A proof is gone about like this.
    Course(Number, Course),
    /// The lease on a data set has something to tell.
    Lease(usize, Notice),
}

/// A job's thread.
struct Running {
    turns: Turns<()>,
    stop: Stop,
    thread: JoinHandle<()>,
}

/// A service.
pub(super) struct Service {
    tools: Arc<Tools>,
    holdings: Vec<Holding>,
    jobs: Jobs,
    peers: BTreeMap<PeerId, (usize, Sender<ToNode>)>,
    running: BTreeMap<Number, Running>,
    happenings: Receiver<Happening>,
    happen: Sender<Happening>,
    /// What a person asked for.
    asked: Rest,
    on_battery: bool,
    /// What the service manager was told.
    doing: String,
    foresight: Foresight,
    /// The leases on the data sets, kept while the service lives.
    keepers: Vec<Option<Keeper>>,
    status: Status,
    shown: watch::Sender<Arc<Status>>,
}

impl Service {
    pub(super) fn new(tools: Tools, mut jobs: Jobs, holdings: Vec<Holding>) -> Self {
        let (happen, happenings) = channel(HAPPENINGS);
        jobs.handle(unix_now(), Event::Sets(Vec::new()));
        for (set, holding) in holdings.iter().enumerate() {
            holding.requests().into_iter().for_each(|request| jobs.remember(set, request));
        }
        let status = Status {
            software: crate::SOFTWARE.to_owned(),
            pid: std::process::id(),
            started_at: unix_now(),
            ..Status::default()
        };
        let (shown, _) = watch::channel(Arc::new(status.clone()));
        Self {
            tools: Arc::new(tools),
            holdings,
            jobs,
            peers: BTreeMap::new(),
            running: BTreeMap::new(),
            happenings,
            happen,
            asked: Rest::None,
            on_battery: false,
            doing: String::new(),
            foresight: Foresight::default(),
            keepers: Vec::new(),
            status,
            shown,
        }
    }

    /// Serves these nodes until it is told to stop, or none of them wants us.
    pub(super) async fn live(mut self, places: Vec<Place>, args: &ServeArgs) -> Result {
        let (commands, mut asked) = channel(1);
        let mut controls = JoinSet::new();
        if let Some(control) = open(&args.control).await? {
            controls.spawn(control.serve(self.shown.subscribe(), commands));
        }
        let mut nodes = JoinSet::new();
        for (number, place) in places.into_iter().enumerate() {
            self.status.nodes.push(NodeStatus {
                place: place.name(),
                connected: false,
                since_at: unix_now(),
                why: None,
            });
            let (network, service) = (self.tools.network.id, self.happen.clone());
            nodes.spawn(Node { number, place, network, service }.keep_in_touch());
        }
        self.keep_leases();
        self.take_in(Happening::Job(self.sets()));
        notify::ready();
        let mut stopped = pin!(signalled());
        let mut power = tokio::time::interval(POWER_EVERY);
        let ended = loop {
            let happening = tokio::select! {
                Some(happening) = self.happenings.recv() => happening,
                Some(command) = asked.recv() => {
                    self.asked(command, args);
                    Happening::Job(Event::Tick)
                }
                () = sleep_until(self.jobs.deadline()) => Happening::Job(Event::Tick),
                () = tokio::time::sleep(LOOK_EVERY), if self.is_lacking() => {
                    self.look_again();
                    Happening::Job(Event::Tick)
                }
                _ = power.tick(), if self.jobs.has_own_work() => {
                    self.on_battery = battery::is_in_use();
                    Happening::Job(Event::Rest(self.rest()))
                }
                // Time runs, though nothing happens.
                () = tokio::time::sleep(FORESEE_EVERY), if self.jobs.has_proofs() => {
                    Happening::Job(Event::Tick)
                }
                Some(left) = nodes.join_next() => match self.left(left, nodes.is_empty()) {
                    Some(failure) => break Err(failure),
                    None => continue,
                },
                signal = &mut stopped => {
                    break signal.map(|()| ExitCode::Done).map_err(Failure::from);
                }
            };
            self.take_in(happening);
        };
        notify::stopping();
        self.keepers.iter().flatten().for_each(Keeper::leave);
        self.come_to_rest().await;
        // Its socket is gone before we are.
        controls.shutdown().await;
        ended
    }

    /// A node that does not want us; a failure if it was the last.
    fn left(
        &self,
        left: std::result::Result<Failure, tokio::task::JoinError>,
        was_last: bool,
    ) -> Option<Failure> {
        let failure = left.unwrap_or_else(Failure::from);
        if was_last {
            return Some(failure);
        }
        match failure {
            Failure::Usage(why) => tracing::error!("{why}"),
            Failure::CouldNot(why) => tracing::error!("{why:#}"),
        }
        None
    }

    fn take_in(&mut self, happening: Happening) {
        match happening {
            Happening::Job(event) => self.handle(event),
            Happening::Joined { number, peer, to_say } => {
                self.peers.insert(peer, (number, to_say));
                self.note_node(number, true, None);
                // What was made meanwhile by others is told too.
                self.look_again();
            }
            Happening::Absent(number, why) => self.note_node(number, false, Some(why)),
            Happening::Course(number, course) => self.foresight.begins(number, course),
            Happening::Lease(set, notice) => {
                if let Some(holding) = self.holdings.get_mut(set) {
                    holding.noticed(unix_now(), &notice);
                }
            }
        }
        while let Some(action) = self.jobs.poll() {
            self.act(action);
        }
        self.show();
    }

    fn handle(&mut self, event: Event) {
        if let Event::Parted(peer) = &event
            && let Some((number, _)) = self.peers.remove(peer)
        {
            self.note_node(number, false, Some("it is gone".to_owned()));
        }
        if let Event::Ended(number, _) = &event {
            self.running.remove(number);
            self.jobs.handle(unix_now(), event);
            return self.look_again();
        }
        self.jobs.handle(unix_now(), event);
    }

    fn asked(&mut self, command: Command, args: &ServeArgs) {
        self.asked = match command {
            Command::Pause { proofs: false } => Rest::Asked,
            Command::Pause { proofs: true } => Rest::AskedProofsToo,
            Command::Resume => Rest::None,
            Command::Reload => return self.reload(args),
        };
        let rest = Event::Rest(self.rest());
        self.jobs.handle(unix_now(), rest);
    }

    /// Takes up what can change while it runs: how the next jobs work, and whether labels are made.
    fn reload(&mut self, args: &ServeArgs) {
        let read = config::again(args).and_then(|args| {
            let tools = Tools::of(&args, &self.holdings, &self.tools.roll)?;
            Ok((tools, !args.no_fill))
        });
        match read {
            Ok((tools, fills)) => {
                self.tools = Arc::new(tools);
                self.jobs.fill(fills);
                tracing::info!(
                    "the configuration was read again, for jobs that begin from now on; nodes, \
                     sockets, data directories and the network need a restart"
                );
            }
            Err(Failure::Usage(why)) => tracing::warn!("the configuration stays as it is: {why}"),
            Err(Failure::CouldNot(why)) => {
                tracing::warn!("the configuration stays as it is: {why:#}");
            }
        }
    }

    /// Whether work is to rest: what people ask for, and else the battery.
    fn rest(&self) -> Rest {
        match self.asked {
            Rest::None if self.on_battery => Rest::Battery,
            asked => asked,
        }
    }

    fn is_lacking(&self) -> bool {
        self.holdings.iter().any(|holding| !holding.set.plot.complete)
    }

    fn look_again(&mut self) {
        self.holdings.iter_mut().for_each(Holding::refresh);
        self.jobs.handle(unix_now(), self.sets());
    }

    fn sets(&self) -> Event {
        Event::Sets(self.holdings.iter().map(|holding| holding.set.clone()).collect())
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Say(peer, message) => self.say(peer, message),
            Action::Start(number, task) => self.start(number, task),
            Action::Grant(number) => {
                if let Some(running) = self.running.get(&number) {
                    // One that has ended says so itself.
                    let _ = running.turns.send(());
                }
            }
            Action::Stop(number) => {
                if let Some(running) = self.running.get_mut(&number) {
                    running.stop.set();
                    // Who waits for a turn hears that none will come.
                    running.turns = turns().0;
                }
            }
            Action::Note(set, request) => {
                if let Some(holding) = self.holdings.get_mut(set) {
                    holding.note(request);
                }
            }
            Action::Strike(set, statement) => {
                let network = self.tools.network.id;
                if let Some(holding) = self.holdings.get_mut(set) {
                    holding.strike(&statement, network);
                }
            }
            Action::Scrubbed(set) => {
                if let Some(holding) = self.holdings.get_mut(set) {
                    holding.scrubbed(unix_now());
                }
            }
            // RandomX and its dataset are made again when they are needed.
            Action::Idle => self.tools.pows.release(),
        }
    }

    fn say(&mut self, peer: PeerId, message: ToNode) {
        let Some((_, to_say)) = self.peers.get(&peer) else { return };
        if to_say.try_send(message).is_err() {
            // Its conversation ends, and it may come again.
            self.peers.remove(&peer);
        }
    }

    fn start(&mut self, number: Number, task: Task) {
        let (turns, mine) = turns();
        let stop = Stop::default();
        match &task {
            Task::Prove(set, statement) => {
                tracing::info!(
                    "proving {} units for challenge {}",
                    statement.num_units,
                    statement.challenge
                );
                // A rehearsal may have measured since.
                self.holdings.get_mut(*set).into_iter().for_each(Holding::look_at_rates);
            }
            Task::Init(_) => tracing::info!("making the labels that are missing"),
            Task::Scrub(_) => tracing::info!("looking at all labels, since there is time"),
        }
        let worker = Worker {
            tools: Arc::clone(&self.tools),
            number,
            service: self.happen.clone(),
            stop: stop.clone(),
            deadline_at: self.jobs.proof(number).and_then(|(_, _, deadline)| deadline),
            turns: Mutex::new(mine),
        };
        let thread = thread::Builder::new().name("job".to_owned());
        match thread.spawn(move || worker.run(task)) {
            Ok(thread) => drop(self.running.insert(number, Running { turns, stop, thread })),
            Err(why) => {
                let why = format!("the system gives no thread: {why}");
                let ended = Event::Ended(number, super::jobs::End::Failed(why));
                self.jobs.handle(unix_now(), ended);
            }
        }
    }

    /// Asks all jobs to stop, and waits a moment for them to write down how far they are.
    async fn come_to_rest(&mut self) {
        let threads = core::mem::take(&mut self.running);
        for running in threads.values() {
            running.stop.set();
        }
        let until = Instant::now() + GRACE;
        let threads: Vec<_> = threads.into_values().map(|running| running.thread).collect();
        while threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < until {
            // A job that tells something must not wait for us.
            let _ = tokio::time::timeout(Duration::from_millis(10), self.happenings.recv()).await;
        }
    }

    // --- what people see

    fn note_node(&mut self, number: usize, connected: bool, why: Option<String>) {
        if let Some(node) = self.status.nodes.get_mut(number) {
            if node.connected != connected {
                node.since_at = unix_now();
            }
            (node.connected, node.why) = (connected, why);
        }
    }

    /// What is to be expected of proofs; who looks at the log is told when that gets worse.
    fn foresee(&mut self) {
        let Self { holdings, jobs, tools, status, foresight, .. } = self;
        let params = &tools.network.params;
        let view = View {
            manner: &tools.manner(),
            params,
            nonces: tools.nonces,
            sets: holdings.iter().map(Holding::known).collect(),
            proof: &|number| jobs.proof(number).map(|(set, statement, _)| (set, statement.clone())),
            standing: &|set, statement| holdings.get(set)?.standing(statement, params),
        };
        for word in foresight.fill(status, &view) {
            match word {
                Word::Alarm(text) => tracing::warn!("{text}"),
                Word::Relief(text) => tracing::info!("{text}"),
            }
        }
    }

    fn keep_leases(&mut self) {
        let keeper = |(set, holding): (usize, &Holding)| {
            let service = self.happen.clone();
            // Nobody listens when the service ends.
            holding.keeper(move |notice| drop(service.blocking_send(Happening::Lease(set, notice))))
        };
        self.keepers = self.holdings.iter().enumerate().map(keeper).collect();
    }

    fn show(&mut self) {
        self.status.now_at = unix_now();
        self.status.rest = self.jobs.rest();
        self.status.jobs = self.jobs.status();
        let now = self.status.now_at;
        self.status.sets = self.holdings.iter().map(|holding| shown(holding, now)).collect();
        self.status.devices = self.tools.roll.status();
        self.foresee();
        for (set, keeper) in self.keepers.iter().enumerate() {
            let works = self.jobs.works_on(set);
            keeper.iter().for_each(|keeper| keeper.working(works));
        }
        self.shown.send_replace(Arc::new(self.status.clone()));
        let nodes = self.status.nodes.iter().filter(|node| node.connected).count();
        let at_work = self.status.jobs.iter().filter(|job| job.state == JobState::Working).count();
        let doing = format!("{nodes} nodes, {} data sets, {at_work} jobs", self.holdings.len());
        if doing != self.doing {
            notify::doing(&doing);
            self.doing = doing;
        }
    }
}

fn shown(holding: &Holding, now: Time) -> SetStatus {
    let Holding { directories, set, present, .. } = holding;
    SetStatus {
        node_id: set.plot.node_id,
        commitment_atx_id: set.plot.commitment_atx_id,
        directories: directories.clone(),
        disks: set.disks.iter().copied().map(disk_name).collect(),
        num_units: set.plot.num_units,
        labels_per_unit: set.plot.labels_per_unit,
        labels_present: *present,
        complete: set.plot.complete,
        outlook: None,
        settings: None,
        alarm: None,
        other_host: holding.other_host(now).map(str::to_owned),
    }
}

/// The doors for people. A service without any still serves nodes, unless one was asked for.
async fn open(args: &ControlArgs) -> Result<Option<Control>> {
    let control = match Control::bind(args).await {
        Ok(control) => control,
        Err(failure) if args.http.is_some() || args.at.control.is_some() => return Err(failure),
        Err(Failure::Usage(why)) => return Err(Failure::Usage(why)),
        Err(Failure::CouldNot(why)) => {
            tracing::warn!("`status` and `top` will not find this prover: {why:#}");
            return Ok(None);
        }
    };
    tracing::info!("control socket: {}", control.socket().display());
    if let Some(address) = control.web() {
        tracing::info!("status and metrics: http://{address}");
    }
    Ok(Some(control))
}

/// Sleeps until a time in seconds since 1970; for ever where there is none.
async fn sleep_until(at: Option<u64>) {
    match at {
        Some(at) => {
            let seconds = at.saturating_sub(unix_now()).max(1);
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        None => core::future::pending().await,
    }
}
