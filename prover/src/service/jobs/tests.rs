//! All of it without IO, and a model in virtual time: threads, disks, a node that comes and goes.

use super::*;
use post::{AtxId, Challenge, NodeId, Nonce};
use proptest::prelude::*;
use wire::{WorkInfo, WorkState};

const NETWORK: NetworkId = NetworkId([9; 32]);
const SESSION: SessionId = SessionId([5; 16]);
const NODE: PeerId = PeerId(1);

fn set(owner: u8, disks: &[u64]) -> Set {
    let plot = PlotInfo {
        node_id: NodeId([owner; 32]),
        commitment_atx_id: AtxId([2; 32]),
        num_units: 4,
        labels_per_unit: 1024,
        vrf_nonce: None,
        complete: true,
    };
    Set { plot, disks: disks.iter().copied().collect(), absent: 0, scrub_at: None }
}

fn statement(owner: u8, challenge: u8) -> Statement {
    Statement {
        node_id: NodeId([owner; 32]),
        commitment_atx_id: AtxId([2; 32]),
        challenge: Challenge([challenge; 32]),
        num_units: 4,
        labels_per_unit: 1024,
    }
}

fn proof() -> Proof {
    Proof { nonce: Nonce(1), indices: vec![7], pow: 3 }
}

fn request(owner: u8, challenge: u8, deadline_at: Option<Time>, outcome: Outcome) -> Request {
    let statement = statement(owner, challenge);
    Request { statement, network: NETWORK, asked_at: 1, deadline_at, outcome }
}

/// What follows from an event at second 1.
fn after(jobs: &mut Jobs, event: Event) -> Vec<Action> {
    at(jobs, 1, event)
}

fn at(jobs: &mut Jobs, now: Time, event: Event) -> Vec<Action> {
    jobs.handle(now, event);
    std::iter::from_fn(|| jobs.poll()).collect()
}

fn holding(sets: &[Set]) -> Jobs {
    let mut jobs = Jobs::new(SESSION, NETWORK, true);
    after(&mut jobs, Event::Sets(sets.to_vec()));
    jobs
}

fn joined(jobs: &mut Jobs, peer: PeerId, version: Version) -> Vec<Action> {
    after(jobs, Event::Joined(peer, version))
}

fn ask(from: PeerId, job: u64, statement: Statement, deadline_at: Option<Time>) -> Event {
    Event::Asked { from, job: JobId(job), statement, deadline_at }
}

fn said(actions: Vec<Action>) -> Vec<(PeerId, ToNode)> {
    let said = |action| match action {
        Action::Say(peer, message) => Some((peer, message)),
        _ => None,
    };
    actions.into_iter().filter_map(said).collect()
}

fn ended(number: Number, result: Result<Proof, ProveFailure>) -> Event {
    Event::Ended(number, End::Proof(result))
}

/// The number of the job that is started among these.
fn started(actions: &[Action]) -> Option<Number> {
    actions.iter().find_map(|action| match action {
        Action::Start(number, _) => Some(*number),
        _ => None,
    })
}

#[test]
fn a_proof_is_written_down_before_it_is_begun_and_before_it_is_told() {
    let mut jobs = holding(&[set(1, &[7])]);
    let info = ToNode::Info(vec![set(1, &[7]).plot]);
    let attach = ToNode::Attach { session: SESSION, work: vec![] };
    let greeted = joined(&mut jobs, NODE, Version::V2);
    assert_eq!(said(greeted), [(NODE, attach), (NODE, info)]);

    let job = JobId(4);
    let (stage, done, total) = (Stage::Waiting, 0, 0);
    let actions = after(&mut jobs, ask(NODE, 4, statement(1, 3), Some(99)));
    let waiting = ToNode::Progress { job, stage, done, total };
    assert_eq!(
        actions,
        [
            Action::Note(0, request(1, 3, Some(99), Outcome::Pending)),
            Action::Say(NODE, waiting),
            Action::Start(1, Task::Prove(0, statement(1, 3))),
        ]
    );
    // It has its first turn with the start, and asks for the others.
    assert_eq!(after(&mut jobs, Event::Wants(1, Stage::Pow)), [Action::Grant(1)]);
    assert_eq!(after(&mut jobs, Event::Wants(1, Stage::Scan)), [Action::Grant(1)]);
    let (stage, done, total) = (Stage::Scan, 1, 2);
    let told = after(&mut jobs, Event::Progress { number: 1, stage, done, total });
    assert_eq!(said(told), [(NODE, ToNode::Progress { job, stage, done, total })]);

    let proved = Outcome::Proved(proof());
    assert_eq!(
        after(&mut jobs, ended(1, Ok(proof()))),
        [
            Action::Note(0, request(1, 3, Some(99), proved)),
            Action::Say(NODE, ToNode::Proved { job, proof: proof() }),
            Action::Idle,
        ]
    );
    let delivered = Outcome::Delivered(proof());
    let noted = Action::Note(0, request(1, 3, Some(99), delivered));
    assert_eq!(after(&mut jobs, Event::Recorded(NODE, job)), [noted]);
    assert_eq!(after(&mut jobs, Event::Recorded(NODE, job)), []);
}

#[test]
fn work_goes_on_while_the_node_is_away_and_is_delivered_later() {
    let mut jobs = holding(&[set(1, &[7])]);
    joined(&mut jobs, NODE, Version::V2);
    after(&mut jobs, ask(NODE, 4, statement(1, 3), Some(99)));
    assert_eq!(after(&mut jobs, Event::Parted(NODE)), []);
    let actions = after(&mut jobs, ended(1, Ok(proof())));
    assert!(matches!(actions[..], [Action::Note(..), Action::Idle]), "{actions:?}");
    // Another process of the node, with other numbers.
    let again = PeerId(2);
    let greeted = said(joined(&mut jobs, again, Version::V2));
    let work = vec![WorkInfo { statement: statement(1, 3), state: WorkState::Proved }];
    assert_eq!(greeted[0].1, ToNode::Attach { session: SESSION, work });
    let job = JobId(77);
    let answer = said(after(&mut jobs, ask(again, 77, statement(1, 3), Some(99))));
    assert_eq!(answer, [(again, ToNode::Proved { job, proof: proof() })]);
    assert_eq!(jobs.status()[0].state, JobState::Undelivered);
    after(&mut jobs, Event::Recorded(again, job));
    assert_eq!(jobs.status()[0].state, JobState::Done);
}

#[test]
fn what_was_written_down_is_gone_on_with() {
    let mut jobs = Jobs::new(SESSION, NETWORK, true);
    jobs.remember(0, request(1, 3, Some(99), Outcome::Pending));
    jobs.remember(0, request(1, 4, Some(99), Outcome::Proved(proof())));
    let foreign = Request { network: NetworkId([8; 32]), ..request(1, 5, None, Outcome::Pending) };
    jobs.remember(0, foreign);
    let actions = after(&mut jobs, Event::Sets(vec![set(1, &[7])]));
    assert_eq!(actions, [Action::Start(1, Task::Prove(0, statement(1, 3)))]);
    let greeted = said(joined(&mut jobs, NODE, Version::V2));
    let ToNode::Attach { work, .. } = &greeted[0].1 else { panic!("{greeted:?}") };
    let states: Vec<_> =
        work.iter().map(|work| (work.statement.challenge.0[0], work.state)).collect();
    assert_eq!(states, [(3, WorkState::Pending), (4, WorkState::Proved)]);
}

#[test]
fn the_same_request_is_the_same_work_whoever_asks() {
    let mut jobs = holding(&[set(1, &[7])]);
    let other = PeerId(2);
    joined(&mut jobs, NODE, Version::V2);
    joined(&mut jobs, other, Version::V2);
    let first = after(&mut jobs, ask(NODE, 4, statement(1, 3), Some(99)));
    assert_eq!(started(&first), Some(1));
    let second = after(&mut jobs, ask(other, 8, statement(1, 3), Some(99)));
    assert!(matches!(second[..], [Action::Say(..)]), "nothing new to do: {second:?}");
    // One of them does not want it any more; the other does.
    let cancelled = said(after(&mut jobs, Event::Cancelled(NODE, JobId(4))));
    let why = ProveFailure::Cancelled;
    assert_eq!(cancelled, [(NODE, ToNode::Failed { job: JobId(4), why })]);
    let told = said(after(&mut jobs, ended(1, Ok(proof()))));
    assert_eq!(told, [(other, ToNode::Proved { job: JobId(8), proof: proof() })]);
}

#[test]
fn work_that_nobody_wants_is_stopped_and_struck_out() {
    let mut jobs = holding(&[set(1, &[7])]);
    joined(&mut jobs, NODE, Version::V2);
    after(&mut jobs, ask(NODE, 4, statement(1, 3), Some(99)));
    let actions = after(&mut jobs, Event::Cancelled(NODE, JobId(4)));
    assert!(actions.contains(&Action::Strike(0, statement(1, 3))));
    assert!(actions.contains(&Action::Stop(1)));
    // Its thread still has the data: what comes meanwhile waits.
    let next = after(&mut jobs, ask(NODE, 5, statement(1, 6), Some(99)));
    assert_eq!(started(&next), None);
    let next = after(&mut jobs, ended(1, Err(ProveFailure::Cancelled)));
    assert_eq!(started(&next), Some(2));
}

#[test]
fn what_is_wanted_again_while_it_stops_goes_on() {
    let mut jobs = holding(&[set(1, &[7])]);
    joined(&mut jobs, NODE, Version::V2);
    after(&mut jobs, ask(NODE, 4, statement(1, 3), Some(99)));
    after(&mut jobs, Event::Cancelled(NODE, JobId(4)));
    let again = after(&mut jobs, ask(NODE, 5, statement(1, 3), Some(99)));
    assert!(again.contains(&Action::Note(0, request(1, 3, Some(99), Outcome::Pending))));
    let next = after(&mut jobs, ended(1, Err(ProveFailure::Cancelled)));
    assert_eq!(started(&next), Some(1));
}

#[test]
fn the_time_of_a_proof_ends_where_no_node_asks_for_it() {
    let mut jobs = holding(&[set(1, &[7])]);
    joined(&mut jobs, NODE, Version::V2);
    after(&mut jobs, ask(NODE, 4, statement(1, 3), Some(99)));
    assert_eq!(at(&mut jobs, 99, Event::Tick), [], "the node waits: it is the node's to say");
    at(&mut jobs, 50, Event::Parted(NODE));
    assert_eq!(jobs.deadline(), Some(99));
    let actions = at(&mut jobs, 99, Event::Tick);
    assert_eq!(actions, [Action::Strike(0, statement(1, 3)), Action::Stop(1)]);
}

#[test]
fn a_node_of_version_one_is_told_what_it_understands() {
    let mut jobs = holding(&[set(1, &[7])]);
    let info = ToNode::Info(vec![set(1, &[7]).plot]);
    assert_eq!(said(joined(&mut jobs, NODE, Version::V1)), [(NODE, info)]);
    let asked = after(&mut jobs, ask(NODE, 4, statement(1, 3), None));
    assert!(matches!(asked[..], [Action::Note(..), Action::Start(..)]), "{asked:?}");
    // It gives no receipts.
    let actions = after(&mut jobs, ended(1, Ok(proof())));
    let delivered = Action::Note(0, request(1, 3, None, Outcome::Delivered(proof())));
    assert!(actions.contains(&delivered), "{actions:?}");
}

#[test]
fn data_that_is_not_held_or_not_complete_is_not_proven() {
    let mut incomplete = set(1, &[7]);
    incomplete.plot.complete = false;
    for (sets, statement) in [
        (vec![], statement(1, 3)),
        (vec![incomplete], statement(1, 3)),
        (vec![set(1, &[7])], { Statement { num_units: 5, ..statement(1, 3) } }),
    ] {
        let mut jobs = holding(&sets);
        joined(&mut jobs, NODE, Version::V2);
        let answer = said(after(&mut jobs, ask(NODE, 4, statement, None)));
        let (job, why) = (JobId(4), ProveFailure::NoSuchData);
        assert_eq!(answer, [(NODE, ToNode::Failed { job, why })]);
    }
}

#[test]
fn a_failure_is_told_and_tried_again() {
    let mut jobs = holding(&[set(1, &[7])]);
    joined(&mut jobs, NODE, Version::V2);
    after(&mut jobs, ask(NODE, 4, statement(1, 3), Some(999)));
    let fault = ProveFailure::Fault("the disk is gone".into());
    let told = said(after(&mut jobs, ended(1, Err(fault.clone()))));
    assert_eq!(told, [(NODE, ToNode::Failed { job: JobId(4), why: fault.clone() })]);
    assert_eq!(jobs.status()[0].why, Some(fault.to_string()));
    // Nobody asks: a minute later it is tried again; sooner where a node asks.
    assert_eq!(jobs.deadline(), Some(1 + AGAIN_AFTER));
    assert_eq!(started(&at(&mut jobs, AGAIN_AFTER, Event::Tick)), None);
    assert_eq!(started(&at(&mut jobs, 1 + AGAIN_AFTER, Event::Tick)), Some(1));
    at(&mut jobs, 70, ended(1, Err(fault)));
    assert_eq!(started(&at(&mut jobs, 71, ask(NODE, 5, statement(1, 3), Some(999)))), Some(1));
    let why = ProveFailure::NoProof;
    let told = said(at(&mut jobs, 80, ended(1, Err(why.clone()))));
    assert_eq!(told, [(NODE, ToNode::Failed { job: JobId(5), why: why.clone() })]);
    // That there is none is known from now on.
    let told = said(at(&mut jobs, 81, ask(NODE, 6, statement(1, 3), Some(999))));
    assert_eq!(told, [(NODE, ToNode::Failed { job: JobId(6), why })]);
}

#[test]
fn an_earlier_deadline_takes_the_disk() {
    let mut jobs = holding(&[set(1, &[7]), set(2, &[7])]);
    joined(&mut jobs, NODE, Version::V2);
    after(&mut jobs, ask(NODE, 4, statement(1, 3), Some(500)));
    after(&mut jobs, Event::Wants(1, Stage::Scan));
    // The other's k2pow overlaps with the scan.
    let second = after(&mut jobs, ask(NODE, 5, statement(2, 3), Some(99)));
    assert_eq!(started(&second), Some(2));
    let stopped = after(&mut jobs, Event::Wants(2, Stage::Scan));
    assert_eq!(stopped, [Action::Stop(1)]);
    let cancelled = Err(ProveFailure::Cancelled);
    let granted = after(&mut jobs, ended(1, cancelled));
    assert_eq!(granted, [Action::Grant(2), Action::Start(1, Task::Prove(0, statement(1, 3)))]);
}

#[test]
fn labels_are_made_where_no_proof_is_wanted_and_rest_on_request() {
    let mut lacking = set(2, &[8]);
    (lacking.absent, lacking.plot.complete) = (10, false);
    let mut jobs = Jobs::new(SESSION, NETWORK, true);
    let sets = vec![set(1, &[7]), lacking.clone()];
    let actions = after(&mut jobs, Event::Sets(sets.clone()));
    assert_eq!(actions, [Action::Start(1, Task::Init(1))]);
    joined(&mut jobs, NODE, Version::V2);
    let asked = after(&mut jobs, ask(NODE, 4, statement(1, 3), Some(99)));
    assert!(asked.contains(&Action::Stop(1)) && started(&asked).is_none(), "{asked:?}");
    let actions = after(&mut jobs, Event::Ended(1, End::Stopped));
    assert_eq!(started(&actions), Some(2), "the proof first");
    let actions = after(&mut jobs, ended(2, Ok(proof())));
    assert_eq!(started(&actions), Some(1), "then the labels again");
    assert_eq!(after(&mut jobs, Event::Rest(Rest::Asked)), [Action::Stop(1)]);
    after(&mut jobs, Event::Ended(1, End::Stopped));
    assert_eq!(jobs.status()[0].state, JobState::Resting);
    assert_eq!(started(&after(&mut jobs, Event::Rest(Rest::None))), Some(1));
    // Made.
    let sets = vec![set(1, &[7]), set(2, &[8])];
    after(&mut jobs, Event::Ended(1, End::Done));
    let told = said(after(&mut jobs, Event::Sets(sets)));
    assert!(matches!(told[..], [(NODE, ToNode::Info(_))]), "{told:?}");
    // And where they are not to be made, they are not.
    let mut jobs = Jobs::new(SESSION, NETWORK, false);
    assert_eq!(after(&mut jobs, Event::Sets(vec![lacking])), []);
}

#[test]
fn labels_are_looked_at_now_and_then() {
    let mut jobs = Jobs::new(SESSION, NETWORK, true);
    let due = Set { scrub_at: Some(50), ..set(1, &[7]) };
    assert_eq!(after(&mut jobs, Event::Sets(vec![due])), []);
    assert_eq!(jobs.deadline(), Some(50));
    let actions = at(&mut jobs, 50, Event::Tick);
    assert_eq!(actions, [Action::Start(1, Task::Scrub(0))]);
    let actions = at(&mut jobs, 60, Event::Ended(1, End::Done));
    assert!(actions.contains(&Action::Scrubbed(0)));
}

// --- the model: threads that need their time, in a world without clocks

/// A thread: what it is doing, and until when.
#[derive(Clone, Copy, Debug)]
struct Thread {
    stage: Stage,
    granted: bool,
    left: Time,
    scan: Time,
    stops: bool,
}

struct Model {
    jobs: Jobs,
    now: Time,
    threads: BTreeMap<Number, (usize, Thread)>,
    /// How long a k2pow and a scan take, by set.
    lengths: Vec<(Time, Time)>,
    disks: Vec<BTreeSet<u64>>,
    proved: BTreeMap<u64, Time>,
}

impl Model {
    fn new(disks: &[u64], lengths: &[(Time, Time)]) -> Self {
        let sets: Vec<_> = (0..).zip(disks).map(|(owner, disk)| set(owner, &[*disk])).collect();
        let disks = sets.iter().map(|set| set.disks.clone()).collect();
        let mut model = Self {
            jobs: Jobs::new(SESSION, NETWORK, true),
            now: 0,
            threads: BTreeMap::new(),
            lengths: lengths.to_vec(),
            disks,
            proved: BTreeMap::new(),
        };
        model.tell(Event::Sets(sets));
        model.tell(Event::Joined(NODE, Version::V2));
        model
    }

    fn tell(&mut self, event: Event) {
        self.jobs.handle(self.now, event);
        let mut wants = Vec::new();
        while let Some(action) = self.jobs.poll() {
            match action {
                Action::Start(number, task) => {
                    let (left, scan) = self.lengths[task.set()];
                    let thread =
                        Thread { stage: Stage::Pow, granted: false, left, scan, stops: false };
                    assert!(self.threads.insert(number, (task.set(), thread)).is_none());
                    wants.push((number, Stage::Pow));
                }
                Action::Grant(number) => self.threads.get_mut(&number).unwrap().1.granted = true,
                Action::Stop(number) => self.threads.get_mut(&number).unwrap().1.stops = true,
                Action::Say(_, ToNode::Proved { job, .. }) => {
                    assert!(self.proved.insert(job.0, self.now).is_none(), "told twice");
                }
                _ => {}
            }
        }
        for (number, stage) in wants {
            self.tell(Event::Wants(number, stage));
        }
        self.look();
    }

    /// Nobody reads where another reads, and one k2pow runs at a time.
    fn look(&self) {
        let at_work = |stage: Stage| {
            let threads = self.threads.values();
            threads.filter(move |(_, thread)| thread.granted && thread.stage == stage)
        };
        assert!(at_work(Stage::Pow).count() <= 1);
        let mut read = BTreeSet::new();
        for (set, _) in at_work(Stage::Scan) {
            for disk in &self.disks[*set] {
                assert!(read.insert(*disk), "two read disk {disk}");
            }
        }
    }

    /// A second passes.
    fn second(&mut self) {
        self.now += 1;
        let numbers: Vec<_> = self.threads.keys().copied().collect();
        for number in numbers {
            let Some((set, thread)) = self.threads.get_mut(&number) else { continue };
            if thread.stops {
                // It writes down how far it is: what is left is less the next time.
                let rest = match thread.stage {
                    Stage::Pow => (thread.left, thread.scan),
                    _ => (0, thread.left),
                };
                self.lengths[*set] = rest;
                self.threads.remove(&number);
                self.tell(ended(number, Err(ProveFailure::Cancelled)));
            } else if thread.granted {
                thread.left = thread.left.saturating_sub(1);
                if thread.left == 0 {
                    self.reached(number);
                }
            }
        }
        self.tell(Event::Tick);
    }

    fn reached(&mut self, number: Number) {
        let Some((_, thread)) = self.threads.get_mut(&number) else { return };
        if thread.stage == Stage::Pow {
            *thread = Thread { stage: Stage::Scan, granted: false, left: thread.scan, ..*thread };
            self.tell(Event::Wants(number, Stage::Scan));
        } else {
            self.threads.remove(&number);
            self.tell(ended(number, Ok(proof())));
        }
    }
}

/// 16 identities on 4 disks, all asked at once: each disk has 4 scans of 100 seconds, and each
/// proof the time that its place in the queue of its disk needs, and that of the k2pows.
#[test]
fn sixteen_proofs_asked_for_at_once_are_in_time() {
    let disks: Vec<u64> = (0..16).map(|set| set % 4).collect();
    let mut model = Model::new(&disks, &[(5, 100); 16]);
    let deadline = |set: u64| 100 + 16 * 5 + 101 * (set / 4 + 1);
    // The last deadlines are asked for first.
    for set in (0..16).rev() {
        let asked = ask(NODE, set, statement(set as u8, 1), Some(deadline(set)));
        model.tell(asked);
    }
    while model.proved.len() < 16 && model.now < 10_000 {
        model.second();
    }
    for (set, at) in &model.proved {
        assert!(*at <= deadline(*set), "{set} at {at}, {}", deadline(*set));
    }
    // Reading never waits for k2pows but for the first: 4 scans a disk and a little.
    assert!(model.now <= 4 * 100 + 4 * 5 + 20, "{}", model.now);
}

proptest! {
    /// Whatever is asked, cancelled, paused, and however nodes come and go: never two readers on a
    /// disk, nothing told twice, and everything that is still wanted is proven.
    #[test]
    fn what_is_wanted_is_proven(
        disks in prop::collection::vec(0..3_u64, 1..5),
        steps in prop::collection::vec((0..7_u8, 0..5_u8, 0..4_u8, 1..200_u64), 1..40),
    ) {
        let mut model = Model::new(&disks, &vec![(3, 10); disks.len()]);
        let mut wanted = BTreeSet::new();
        let mut next = 0;
        let mut is_here = true;
        for (what, owner, challenge, time) in steps {
            let owner = owner % disks.len() as u8;
            match what {
                0..=2 if is_here => {
                    next += 1;
                    wanted.insert((owner, challenge));
                    model.tell(ask(NODE, next, statement(owner, challenge), Some(100_000 + time)));
                }
                3 => {
                    is_here = !is_here;
                    model.tell(if is_here {
                        Event::Joined(NODE, Version::V2)
                    } else {
                        Event::Parted(NODE)
                    });
                }
                4 => model.tell(Event::Rest(Rest::AskedProofsToo)),
                5 => model.tell(Event::Rest(Rest::None)),
                _ => (0..time % 30).for_each(|_| model.second()),
            }
        }
        model.tell(Event::Rest(Rest::None));
        model.tell(Event::Joined(NODE, Version::V2));
        (0..2000).for_each(|_| model.second());
        prop_assert!(model.threads.is_empty());
        for (owner, challenge) in wanted {
            next += 1;
            model.tell(ask(NODE, next, statement(owner, challenge), Some(100_000)));
            prop_assert!(model.proved.contains_key(&next), "it is there at once");
        }
    }
}
