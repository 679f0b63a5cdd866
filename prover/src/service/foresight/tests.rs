//! What is told of proofs as time runs, without any.

use super::*;
use crate::pace::Pace;
use plot::{Hashing, Rate, Scan};
use post::{AtxId, Challenge, NodeId, presets};
use std::num::NonZeroUsize;
use wire::PlotInfo;

const NOW: Time = 1_000_000;
const HOUR: u64 = 3600;

fn set(owner: u8, disk: u64) -> Set {
    let plot = PlotInfo {
        node_id: NodeId([owner; 32]),
        commitment_atx_id: AtxId([2; 32]),
        num_units: 4,
        labels_per_unit: 1 << 32,
        vrf_nonce: None,
        complete: true,
    };
    Set { plot, disks: [disk].into(), absent: 0, scrub_at: None }
}

fn shown(set: &Set) -> SetStatus {
    SetStatus {
        node_id: set.plot.node_id,
        commitment_atx_id: set.plot.commitment_atx_id,
        directories: vec![],
        disks: vec![],
        num_units: 4,
        labels_per_unit: 1 << 32,
        labels_present: 1 << 34,
        complete: set.plot.complete,
        outlook: None,
        settings: None,
        alarm: None,
        other_host: None,
    }
}

fn proof(id: u64, owner: u8, deadline_at: Option<Time>) -> JobStatus {
    JobStatus {
        id,
        kind: Kind::Prove,
        state: JobState::Waiting,
        node_id: NodeId([owner; 32]),
        challenge: Some(Challenge([3; 32])),
        stage: None,
        done: 0,
        total: 0,
        rate: None,
        eta_seconds: None,
        asked_at: NOW,
        deadline_at,
        outlook: None,
        settings: None,
        alarm: None,
        why: None,
    }
}

/// A disk of 100 MB/s, which takes 46 minutes for 4 units, and processors that keep up with it.
fn measured() -> Measured {
    let mut measured = Measured::new("a machine");
    measured.set_disk(Rate { rate: 1e8, at: 1 });
    let way = measured.way_mut(4, "cpu");
    way.set_hashing(true, Hashing { hashes: 2000.0, setup: 30.0, at: 1 });
    way.set_scan(Scan { nonces: 128, bytes: 1e9, at: 1 });
    measured
}

/// A service with two sets, each on a disk of its own or both on one.
struct World {
    foresight: Foresight,
    manner: Manner,
    params: Params,
    measured: Measured,
    window: Option<u64>,
    nonces: Option<u32>,
    sets: Vec<Set>,
    status: Status,
}

impl World {
    fn new(disks: [u64; 2]) -> Self {
        let [mainnet, ..] = presets();
        let threads = NonZeroUsize::new(4).unwrap();
        let sets = vec![set(1, disks[0]), set(2, disks[1])];
        let status =
            Status { now_at: NOW, sets: sets.iter().map(shown).collect(), ..Status::default() };
        Self {
            foresight: Foresight::default(),
            manner: Manner { threads, devices: "cpu".to_owned(), pace: Pace::FULL },
            params: mainnet.params,
            measured: measured(),
            window: None,
            nonces: Some(128),
            sets,
            status,
        }
    }

    fn fill(&mut self) -> Vec<Word> {
        let known = |set| Known { set, measured: &self.measured, window: self.window };
        let owners: BTreeMap<Number, usize> = self
            .status
            .jobs
            .iter()
            .map(|job| (job.id, usize::from(job.node_id.0[0] - 1)))
            .collect();
        let plot = |set: usize| {
            let plot = &self.sets[set].plot;
            let statement = Statement {
                node_id: plot.node_id,
                commitment_atx_id: plot.commitment_atx_id,
                challenge: Challenge([3; 32]),
                num_units: plot.num_units,
                labels_per_unit: plot.labels_per_unit,
            };
            (set, statement)
        };
        let view = View {
            manner: &self.manner,
            params: &self.params,
            nonces: self.nonces,
            sets: self.sets.iter().map(known).collect(),
            proof: &|number| owners.get(&number).map(|set| plot(*set)),
            standing: &|_, _| None,
        };
        self.foresight.fill(&mut self.status, &view)
    }

    fn outlook(&self, job: usize) -> Outlook {
        self.status.jobs[job].outlook.unwrap()
    }
}

#[test]
fn nothing_is_foreseen_before_anything_is_measured() {
    let mut world = World::new([1, 2]);
    world.measured = Measured::new("a machine");
    world.nonces = None;
    world.status.jobs = vec![proof(7, 1, Some(NOW + 1))];
    assert_eq!(world.fill(), []);
    assert_eq!((world.status.sets[0].outlook, world.status.jobs[0].outlook), (None, None));
    let settings = world.status.jobs[0].settings.clone().unwrap();
    assert!(settings.starts_with("128 nonces a pass, since nothing was measured"), "{settings}");
    // And as soon as something is, it is.
    world.measured = measured();
    world.nonces = Some(128);
    assert!(matches!(&world.fill()[..], [Word::Alarm(_)]));
    assert!(world.status.sets.iter().all(|set| set.outlook.is_some()));
}

#[test]
fn the_next_proof_is_held_against_the_last_window() {
    let mut world = World::new([1, 2]);
    assert_eq!(world.fill(), []);
    let outlook = world.status.sets[0].outlook.unwrap();
    assert_eq!((outlook.in_time, outlook.nonces), (None, 128));
    assert!(outlook.expected_seconds > 600.0 && outlook.most_seconds > outlook.expected_seconds);
    assert_eq!(world.status.sets[0].settings.as_deref(), Some("128 nonces a pass, as asked for"));
    world.window = Some(12 * HOUR);
    assert_eq!(world.fill(), []);
    assert!(world.status.sets[0].outlook.unwrap().in_time.unwrap() > LIKELY);
    // The node gives less: each set is told of, once.
    world.window = Some(600);
    let words = world.fill();
    let [Word::Alarm(first), Word::Alarm(_)] = &words[..] else { panic!("{words:?}") };
    assert!(first.starts_with("the next proof of 0101"), "{first}");
    assert!(world.status.sets[1].alarm.as_ref().unwrap().contains("10 min 0 s left"));
    assert_eq!(world.fill(), []);
    world.window = Some(12 * HOUR);
    let words = world.fill();
    assert!(matches!(&words[..], [Word::Relief(_), Word::Relief(_)]), "{words:?}");
    assert_eq!(world.status.sets[1].alarm, None);
    // What is not all there cannot be proven.
    world.sets[0].plot.complete = false;
    world.fill();
    assert_eq!((world.status.sets[0].outlook, &world.status.sets[0].settings), (None, &None));
}

#[test]
fn the_alarm_comes_while_there_is_time_and_once() {
    let mut world = World::new([1, 2]);
    world.status.jobs = vec![proof(7, 1, Some(NOW + 12 * HOUR))];
    assert_eq!(world.fill(), []);
    let most = world.outlook(0).most_seconds;
    // It rests, and time runs out.
    world.status.jobs[0].state = JobState::Resting;
    let mut told = Vec::new();
    for minutes in (0..12 * 60).step_by(5) {
        world.status.now_at = NOW + minutes * 60;
        for word in world.fill() {
            told.push((12 * HOUR - minutes * 60, word));
        }
    }
    let [(left, Word::Alarm(text))] = &told[..] else { panic!("{told:?}") };
    assert!(text.starts_with("the proof of 0101"), "{text}");
    // As long before the end as 99 of 100 take.
    assert!((*left as f64 - most).abs() < 600.0, "{left} {most}");
    assert_eq!(world.status.jobs[0].alarm.as_deref(), text.split_once(": ").map(|it| it.1));
    // It gets on better than was to be expected: nearly all is read.
    let job = &mut world.status.jobs[0];
    (job.state, job.stage, job.done, job.total) =
        (JobState::Working, Some("scan".to_owned()), 999, 1000);
    world.status.now_at = NOW + 11 * HOUR;
    world.foresight.begins(7, Course { nonces: 128, why: "so".to_owned(), pass: 0 });
    job.deadline_at = Some(NOW + 40 * HOUR);
    assert!(matches!(&world.fill()[..], [Word::Relief(_)]));
    assert_eq!(world.status.jobs[0].settings.as_deref(), Some("so"));
    assert_eq!(world.status.jobs[0].alarm, None);
}

#[test]
fn what_is_done_is_not_expected_again() {
    let mut world = World::new([1, 2]);
    world.status.jobs = vec![proof(7, 1, None)];
    world.fill();
    let all = world.outlook(0).expected_seconds;
    let mut at = |stage: &str, done, pass| {
        let job = &mut world.status.jobs[0];
        (job.state, job.stage) = (JobState::Working, Some(stage.to_owned()));
        (job.done, job.total) = (done, if stage == "scan" { 1000 } else { 8 });
        world.foresight.begins(7, Course { nonces: 128, why: String::new(), pass });
        world.status.now_at += EVERY;
        world.fill();
        world.outlook(0).expected_seconds
    };
    let (half, paid, read) = (at("k2pow", 4, 0), at("k2pow", 8, 0), at("scan", 500, 0));
    assert!(all > half && half > paid && paid > read, "{all} {half} {paid} {read}");
    // A pass that finds nothing was for nothing.
    let again = at("k2pow", 0, 1);
    assert!((again / all - 1.0).abs() < 0.05, "{again} {all}");
    // Between two looks nothing is reckoned.
    world.status.jobs[0].done = 7;
    world.fill();
    assert_eq!(world.outlook(0).expected_seconds, again);
}

#[test]
fn who_waits_for_others_is_later() {
    let expected = |disks| {
        let mut world = World::new(disks);
        world.status.jobs = vec![proof(7, 1, None), proof(8, 2, None), proof(9, 2, None)];
        world.status.jobs[2].kind = Kind::Scrub;
        world.fill();
        assert_eq!(world.status.jobs[2].outlook, None);
        [world.outlook(0).expected_seconds, world.outlook(1).expected_seconds]
    };
    let [first, second] = expected([1, 1]);
    assert!((second / first - 2.0).abs() < 1e-9, "{first} {second}");
    let [alone, beside] = expected([1, 2]);
    assert_eq!(alone, first);
    assert!(beside > first && beside < second, "{beside}");
}
