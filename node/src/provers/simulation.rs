//! Provers that come, go, fail and come back at random, over virtual time. Whatever they do, the
//! rules of who is asked hold, no request is lost, and one prover that stays proves them all.

use super::*;
use post::{AtxId, Nonce, presets};
use proptest::prelude::*;
use std::collections::BTreeSet;
use wire::Version;

const START: u64 = 1_000_000;
const EVERY: u64 = 40;
const IDENTITIES: u8 = 3;
/// The prover that stays in the end; it takes no part before.
const GOOD: usize = 4;

/// What a prover, by its number, or somebody else does next.
#[derive(Clone, Debug)]
enum Op {
    Join(usize),
    /// The connection breaks and both sides notice.
    Break(usize),
    /// The connection breaks, the node does not notice, and the prover connects again.
    JoinAgain(usize),
    /// The prover dies; what it worked on may be on its disk.
    Die(usize, bool),
    /// The prover finishes some work, connected or not.
    Work(usize, usize),
    Fail(usize, usize, bool),
    /// It says that it has stopped what was cancelled.
    Obey(usize),
    Judge(bool),
    Wait(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let prover = || 0..GOOD;
    let op = prop_oneof![
        4 => prover().prop_map(Op::Join),
        2 => prover().prop_map(Op::Break),
        1 => prover().prop_map(Op::JoinAgain),
        2 => (prover(), any::<bool>()).prop_map(|(prover, keeps)| Op::Die(prover, keeps)),
        3 => (prover(), 0..4_usize).prop_map(|(prover, which)| Op::Work(prover, which)),
        2 => (prover(), 0..4_usize, prop::bool::weighted(0.1))
            .prop_map(|(prover, which, for_good)| Op::Fail(prover, which, for_good)),
        1 => prover().prop_map(Op::Obey),
        3 => prop::bool::weighted(0.8).prop_map(Op::Judge),
        4 => (0..40_u64).prop_map(Op::Wait),
    ];
    prop::collection::vec(op, 1..120)
}

/// A prover as it should be.
struct Fake {
    version: Version,
    session: SessionId,
    data: BTreeSet<NodeId>,
    /// What it has taken on; of version 1 that ends with the connection.
    work: BTreeMap<Key, WorkInfo>,
    line: Option<Line>,
}

/// Its connection.
#[derive(Default)]
struct Line {
    id: u64,
    /// What it listed when it attached.
    listed: BTreeSet<Key>,
    asked: BTreeMap<JobId, Statement>,
    cancelled: BTreeSet<JobId>,
    /// Delivered, not receipted.
    delivered: BTreeSet<JobId>,
    failed: BTreeMap<NodeId, u64>,
}

struct World {
    provers: Provers,
    second: u64,
    fakes: Vec<Fake>,
    /// Connections that the node has, though their provers have left them.
    half_open: BTreeMap<u64, SessionId>,
    connections: u64,
    sessions: u8,
    wanted: BTreeMap<NodeId, ProofRequest>,
    /// Sessions that went away with a job, and when.
    kept: BTreeMap<(Key, SessionId), u64>,
    judging: VecDeque<Key>,
    without_proof: BTreeSet<Key>,
    recorded: BTreeSet<Key>,
    jobs: BTreeSet<JobId>,
    challenges: u32,
}

fn identities() -> impl Iterator<Item = NodeId> {
    (0..IDENTITIES).map(|number| NodeId([number; 32]))
}

fn plot_of(node_id: NodeId) -> PlotInfo {
    PlotInfo {
        node_id,
        commitment_atx_id: AtxId([2; 32]),
        num_units: 4,
        labels_per_unit: 4096,
        vrf_nonce: None,
        complete: true,
    }
}

impl World {
    fn new(window: u64) -> Self {
        let [.., standalone] = presets();
        let terms = Terms {
            network: standalone.id,
            params: standalone.params,
            identities: identities().collect(),
            every: EVERY,
            window,
        };
        // Two of version 2 with all data, one with some, one of version 1; and the one that stays.
        let fake = |number: usize| Fake {
            version: if number == 2 { Version::V1 } else { Version::V2 },
            session: SessionId([u8::try_from(number).unwrap(); 16]),
            data: identities().skip(if number == 3 { 2 } else { 0 }).collect(),
            work: BTreeMap::new(),
            line: None,
        };
        let mut world = Self {
            provers: Provers::new(terms),
            second: 0,
            fakes: (0..=GOOD).map(fake).collect(),
            half_open: BTreeMap::new(),
            connections: 0,
            sessions: 100,
            wanted: BTreeMap::new(),
            kept: BTreeMap::new(),
            judging: VecDeque::new(),
            without_proof: BTreeSet::new(),
            recorded: BTreeSet::new(),
            jobs: BTreeSet::new(),
            challenges: 0,
        };
        world.handle(Event::Tick);
        world
    }

    fn handle(&mut self, event: Event) {
        let now = Now { time: Time::from_secs(self.second), unix: START + self.second };
        self.provers.handle(now, event);
        while let Some(action) = self.provers.poll() {
            self.act(action);
        }
        let deadline = self.provers.deadline();
        assert!(deadline.is_none_or(|deadline| deadline > now.time), "{deadline:?} at {now:?}");
        for node_id in identities() {
            assert_eq!(self.provers.requests.has(node_id), self.wanted.contains_key(&node_id));
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Say(id, message) => self.hear(id, message),
            Action::Close(ConnectionId(id)) => {
                if self.half_open.remove(&id).is_none() {
                    panic!("closed on a prover that keeps to the protocol");
                }
            }
            Action::Draw(node_id) => {
                self.challenges += 1;
                let asked_at = START + self.second;
                let mut challenge = [0; 32];
                challenge[..4].copy_from_slice(&self.challenges.to_le_bytes());
                let challenge = Challenge(challenge);
                let deadline = asked_at + self.provers.terms.window;
                let request = ProofRequest { node_id, challenge, asked_at, deadline };
                let older = self.wanted.insert(node_id, request.clone());
                assert_eq!(older, None, "a request is replaced");
                // As the node does: within the actions of one event.
                let now = self.provers.now;
                self.provers.handle(now, Event::Wanted(request));
            }
            Action::Judge { request, statement, .. } => {
                let key = key_of(&statement);
                assert_eq!(self.wanted.get(&request.node_id), Some(&request));
                assert!(!self.judging.contains(&key), "judged twice");
                self.kept.retain(|(kept, _), _| *kept != key);
                self.judging.push_back(key);
            }
            Action::GiveUp(request, why) => {
                let key = (request.node_id, request.challenge);
                let late = request.deadline <= START + self.second;
                match why {
                    GivenUp::Late => assert!(late),
                    GivenUp::NoProof => assert!(!late && self.without_proof.contains(&key)),
                }
                assert!(!self.judging.contains(&key));
                assert_eq!(self.wanted.remove(&request.node_id), Some(request));
            }
            Action::Tell(_) => {}
        }
    }

    fn line(&mut self, id: u64) -> Option<&mut Line> {
        self.fakes.iter_mut().filter_map(|fake| fake.line.as_mut()).find(|line| line.id == id)
    }

    /// A prover hears what the node says.
    fn hear(&mut self, ConnectionId(id): ConnectionId, message: ToProver) {
        match message {
            ToProver::Welcome(_) => {}
            ToProver::Prove { job, statement } => self.take_on(id, job, statement, Version::V1),
            ToProver::ProveWithin { job, statement, seconds } => {
                assert!(seconds > 0, "asked for what is late");
                self.take_on(id, job, statement, Version::V2);
            }
            ToProver::Cancel(job) => {
                if let Some(line) = self.line(id) {
                    assert!(line.asked.contains_key(&job));
                    line.cancelled.insert(job);
                }
            }
            ToProver::Recorded { job, .. } => {
                if let Some(line) = self.line(id) {
                    assert!(line.delivered.remove(&job), "a receipt for nothing");
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// A prover is asked: was that right?
    fn take_on(&mut self, id: u64, job: JobId, statement: Statement, version: Version) {
        assert!(self.jobs.insert(job), "a job number is used twice");
        let (key, second) = (key_of(&statement), self.second);
        let works = |line: &&Line| {
            let asked = line.asked.iter().filter(|(job, _)| !line.cancelled.contains(job));
            line.id != id && asked.into_iter().any(|(_, asked)| key_of(asked) == key)
        };
        let lines = self.fakes.iter().filter_map(|fake| fake.line.as_ref());
        let others = lines.filter(works).count();
        let kept = self.kept.iter().any(|((kept, session), since)| {
            let back = self.fakes.iter().any(|fake| {
                fake.session == *session && fake.line.as_ref().is_some_and(|line| line.id == id)
            });
            *kept == key && !back && since + KEPT_FOR.as_secs() > second
        });
        let wanted = self.is_wanted(key);
        let fake = self.fakes.iter_mut();
        let fake = fake.into_iter().find(|fake| fake.line.as_ref().is_some_and(|l| l.id == id));
        // It has left, and the node does not know yet.
        let Some(fake) = fake else { return };
        let line = fake.line.as_mut().unwrap();
        assert_eq!(fake.version, version);
        assert!(fake.data.contains(&statement.node_id), "asked for data that it has not");
        let listed = line.listed.contains(&key);
        assert!(wanted || (listed && self.recorded.contains(&key)), "asked for what nobody wants");
        assert!(listed || others == 0, "two are asked for one thing");
        assert!(listed || !kept, "another is asked before a session had time to come back");
        assert!(version > Version::V1 || line.asked.is_empty(), "version 1 has no queue");
        let failed = line.failed.get(&key.0).is_some_and(|at| at + REST.as_secs() > second);
        assert!(!failed, "asked again without a rest");
        line.asked.insert(job, statement.clone());
        let state = WorkState::Pending;
        fake.work.entry(key).or_insert(WorkInfo { statement, state });
    }

    fn is_wanted(&self, (node_id, challenge): Key) -> bool {
        self.wanted.get(&node_id).is_some_and(|request| request.challenge == challenge)
    }

    fn join(&mut self, number: usize) {
        let fake = &mut self.fakes[number];
        if fake.line.is_some() {
            return;
        }
        self.connections += 1;
        let id = self.connections;
        let versions = SpokenVersions { oldest: Version::V1, newest: fake.version };
        let network = self.provers.terms.network;
        let mut messages = vec![ToNode::Hello { versions, network, software: "p".into() }];
        let mut listed = BTreeSet::new();
        if fake.version > Version::V1 {
            listed.extend(fake.work.keys().copied());
            let work = fake.work.values().cloned().collect();
            messages.push(ToNode::Attach { session: fake.session, work });
        }
        messages.push(ToNode::Info(fake.data.iter().copied().map(plot_of).collect()));
        fake.line = Some(Line { id, listed, ..Line::default() });
        self.handle(Event::Connected(ConnectionId(id), None));
        for message in messages {
            if let ToNode::Attach { session, .. } = &message {
                let session = *session;
                self.handle(Event::Said(ConnectionId(id), message));
                self.kept.retain(|(_, kept), _| *kept != session);
            } else {
                self.handle(Event::Said(ConnectionId(id), message));
            }
        }
    }

    /// A prover loses its connection; whether the node notices.
    fn part(&mut self, number: usize, noticed: bool) {
        let second = self.second;
        let fake = &mut self.fakes[number];
        let Some(line) = fake.line.take() else { return };
        if fake.version == Version::V1 {
            fake.work.clear();
        } else {
            let left = line.asked.iter().filter(|(job, _)| !line.cancelled.contains(job));
            let keys = left.map(|(_, statement)| key_of(statement));
            let keys = keys.filter(|key| !self.judging.contains(key));
            self.kept.extend(keys.map(|key| ((key, fake.session), second)));
        }
        if noticed {
            self.handle(Event::Gone(ConnectionId(line.id), None));
        } else {
            self.half_open.insert(line.id, fake.session);
        }
    }

    /// The unanswered job with this number, counted round.
    fn job(&self, number: usize, which: usize) -> Option<(u64, JobId, Statement)> {
        let line = self.fakes[number].line.as_ref()?;
        let (job, statement) = line.asked.iter().nth(which % line.asked.len().max(1))?;
        Some((line.id, *job, statement.clone()))
    }

    fn work(&mut self, number: usize, which: usize) {
        let Some((id, job, statement)) = self.job(number, which) else {
            // Apart from the node it finishes what it has.
            let work = &mut self.fakes[number].work;
            if let Some(work) = work.values_mut().nth(which) {
                work.state = WorkState::Proved;
            }
            return;
        };
        let fake = &mut self.fakes[number];
        if let Some(work) = fake.work.get_mut(&key_of(&statement)) {
            work.state = WorkState::Proved;
        }
        let line = fake.line.as_mut().unwrap();
        line.asked.remove(&job);
        line.cancelled.remove(&job);
        line.delivered.insert(job);
        let proof = Proof { nonce: Nonce(1), indices: vec![1], pow: 1 };
        self.handle(Event::Said(ConnectionId(id), ToNode::Proved { job, proof }));
    }

    fn fail(&mut self, number: usize, which: usize, why: ProveFailure) {
        let Some((id, job, statement)) = self.job(number, which) else { return };
        let (key, second) = (key_of(&statement), self.second);
        let wanted = self.is_wanted(key) && !self.judging.contains(&key);
        let fake = &mut self.fakes[number];
        fake.work.remove(&key);
        let line = fake.line.as_mut().unwrap();
        line.asked.remove(&job);
        if !line.cancelled.remove(&job) && wanted {
            line.failed.insert(key.0, second);
        }
        if why == ProveFailure::NoProof {
            self.without_proof.insert(key);
        }
        self.handle(Event::Said(ConnectionId(id), ToNode::Failed { job, why }));
    }

    fn obey(&mut self, number: usize) {
        let Some(line) = &self.fakes[number].line else { return };
        for job in line.cancelled.clone() {
            let asked = self.fakes[number].line.as_ref().unwrap();
            let which = asked.asked.keys().position(|asked| *asked == job).unwrap();
            self.fail(number, which, ProveFailure::Cancelled);
        }
    }

    fn judge(&mut self, judged: bool) {
        let Some(key) = self.judging.pop_front() else { return };
        let (node_id, challenge) = key;
        if judged {
            self.wanted.remove(&node_id);
            self.recorded.insert(key);
            self.handle(Event::Recorded { node_id, challenge, valid: true });
        } else {
            self.handle(Event::NotJudged { node_id, challenge });
        }
    }

    /// Time passes; the node is told when it asked to be, and only then.
    fn wait(&mut self, seconds: u64) {
        let end = self.second + seconds;
        while let Some(deadline) = self.provers.deadline()
            && deadline.as_secs() <= end
        {
            self.second = deadline.as_secs();
            self.handle(Event::Tick);
        }
        self.second = end;
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Join(number) => self.join(number),
            Op::Break(number) => self.part(number, true),
            Op::JoinAgain(number) => {
                // Of version 1 nobody could tell.
                let noticed = self.fakes[number].version == Version::V1;
                self.part(number, noticed);
                self.join(number);
            }
            Op::Die(number, keeps) => {
                self.part(number, true);
                self.sessions += 1;
                self.fakes[number].session = SessionId([self.sessions; 16]);
                if !keeps {
                    self.fakes[number].work.clear();
                }
            }
            Op::Work(number, which) => self.work(number, which),
            Op::Fail(number, which, for_good) => {
                let fault = ProveFailure::Fault("disk".into());
                self.fail(number, which, if for_good { ProveFailure::NoProof } else { fault });
            }
            Op::Obey(number) => self.obey(number),
            Op::Judge(judged) => self.judge(judged),
            Op::Wait(seconds) => self.wait(seconds),
        }
    }
}

proptest! {
    #[test]
    fn no_request_is_lost_and_who_stays_proves_them_all(
        ops in ops(),
        window in prop_oneof![Just(90_u64), Just(1_000_000)],
    ) {
        let mut world = World::new(window);
        for op in ops {
            world.run(op);
        }
        for number in 0..GOOD {
            world.part(number, true);
        }
        // Half-open connections end some day.
        for (id, _) in std::mem::take(&mut world.half_open) {
            world.handle(Event::Gone(ConnectionId(id), None));
        }
        let wanted: Vec<_> =
            world.wanted.values().map(|wanted| (wanted.node_id, wanted.challenge)).collect();
        world.join(GOOD);
        // Sessions that went away are waited for, and the one that stays may have to rest.
        for _ in 0..30 {
            world.judge(true);
            world.work(GOOD, 0);
            world.wait(3);
        }
        for key in wanted {
            let late = window < 1000 && !world.is_wanted(key);
            prop_assert!(late || world.recorded.contains(&key), "{key:?} is lost");
        }
    }
}
