//! Devices of every speed, in virtual time.

use super::*;
use proptest::prelude::*;
use std::ops::Range;
use std::slice::from_ref;

/// How often a member that waits asks again.
const TICK: f64 = 0.1;

/// A device: what it does is decided by the number of ranges that it had before.
#[derive(Clone, Debug)]
struct Device {
    rate: f64,
    batch: u64,
    /// From this time on it makes a tenth.
    tired_at: f64,
    /// From this time on it never comes back.
    hangs_at: f64,
    /// Of so many ranges the last one fails; 0 means none.
    fails_every: u64,
    /// From this range on every one fails.
    dies_at: u64,
    /// Whether all it makes is wrong.
    lies: bool,
}

fn device(rate: f64) -> Device {
    let (never, batch) = (f64::INFINITY, 1);
    let (tired_at, hangs_at, dies_at) = (never, never, u64::MAX);
    Device { rate, batch, tired_at, hangs_at, fails_every: 0, dies_at, lies: false }
}

/// What a device is about to come back with, and when.
struct Errand {
    range: LabelRange,
    since: f64,
    until: f64,
    number: u64,
}

/// What came of a run.
struct Course {
    seconds: f64,
    /// Labels in the order in which they were written.
    written: Vec<LabelRange>,
    /// Seconds that each device did what was of use.
    useful: Vec<f64>,
    deserted: bool,
}

struct World<'a> {
    devices: &'a [Device],
    queue: Queue<f64>,
    errands: Vec<Option<Errand>>,
    had: Vec<u64>,
    now: f64,
    course: Course,
}

impl<'a> World<'a> {
    fn run(devices: &'a [Device], ranges: &[LabelRange]) -> Course {
        let queue = Queue::new(ranges, vec![Hand::default(); devices.len()]);
        let useful = vec![0.0; devices.len()];
        let course = Course { seconds: 0.0, written: vec![], useful, deserted: false };
        let errands = devices.iter().map(|_| None).collect();
        let had = vec![0; devices.len()];
        let mut world = World { devices, queue, errands, had, now: 0.0, course };
        while world.step() {}
        world.course.seconds = world.now;
        world.course
    }

    fn time(&self) -> Duration {
        Duration::from_secs_f64(self.now)
    }

    /// Writes what can be, gives work to whoever has none, and goes on to what happens next.
    fn step(&mut self) -> bool {
        while let Some(made) = self.queue.pop() {
            assert!(self.queue.held <= WINDOW);
            if self.devices[made.by].lies {
                self.queue.distrust(made.by, made.range);
            } else {
                self.course.useful[made.by] += made.value;
                self.course.written.push(made.range);
            }
        }
        self.course.deserted = self.queue.is_deserted();
        if self.queue.is_over() || self.course.deserted {
            return false;
        }
        let mut waiting = false;
        for who in 0..self.devices.len() {
            // Who is told that its range was made comes back at once.
            if self.errands[who].is_some() && !self.queue.wants(who) {
                self.errands[who] = None;
            }
            if self.errands[who].is_none() {
                waiting |= !self.send(who);
            }
        }
        let next = self.errands.iter().flatten().map(|errand| errand.until);
        let next = next.fold(f64::INFINITY, f64::min);
        self.now = if waiting { next.min(self.now + TICK) } else { next };
        assert!(self.now < 1e5, "the run does not end");
        for who in 0..self.devices.len() {
            if let Some(errand) = self.errands[who].take_if(|errand| errand.until <= self.now) {
                self.come_back(who, &errand);
            }
        }
        true
    }

    fn send(&mut self, who: usize) -> bool {
        let device = &self.devices[who];
        let Next::Make(range) = self.queue.next(who, device.batch, self.time()) else {
            return false;
        };
        let number = self.had[who];
        self.had[who] += 1;
        // A rate that varies by a tenth.
        let mixed = (number ^ (who as u64) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let varied = 0.95 + 0.1 * (mixed as f64 / f64::from(1 << 24));
        let whole = count(&range).next_multiple_of(device.batch) as f64;
        let tired = if self.now >= device.tired_at { 10.0 } else { 1.0 };
        let takes = whole / device.rate * varied * tired;
        let until = if self.now >= device.hangs_at { f64::INFINITY } else { self.now + takes };
        self.errands[who] = Some(Errand { range, since: self.now, until, number });
        true
    }

    fn come_back(&mut self, who: usize, errand: &Errand) {
        let device = &self.devices[who];
        let every = device.fails_every;
        let unlucky = every > 0 && errand.number % every == every - 1;
        if unlucky || errand.number >= device.dies_at {
            assert_eq!(self.queue.failed(who), self.queue.hands()[who].is_out());
        } else {
            assert!(self.queue.wants(who), "{:?} was made by another", errand.range);
            self.queue.done(who, self.time(), errand.until - errand.since);
        }
    }
}

/// Every label of `ranges` was written once, in order.
fn assert_whole(course: &Course, ranges: &[LabelRange]) {
    let mut written = course.written.iter();
    for range in ranges {
        let mut next = range.start;
        while next < range.end {
            let part = written.next().unwrap();
            assert_eq!(part.start, next);
            next = part.end;
        }
        assert_eq!(next, range.end);
    }
    assert!(written.next().is_none());
}

/// The labels that all devices make in this time, in files with a gap between.
fn ranges(devices: &[Device], seconds: f64, files: u64) -> Vec<LabelRange> {
    let total = devices.iter().map(|device| device.rate).sum::<f64>() * seconds;
    let each = (total / files as f64) as u64 + 1;
    (0..files).map(|file| file * (each + 7)..file * (each + 7) + each).collect()
}

fn any_device(batches: Range<f64>) -> impl Strategy<Value = Device> {
    // From 100 to 1,000,000 labels a second, and batches of up to a second.
    (2.0..6.0, batches).prop_map(|(magnitude, batch): (f64, f64)| {
        let rate = 10_f64.powf(magnitude);
        Device { batch: ((rate * batch) as u64).max(1), ..device(rate) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_device_idles_or_works_in_vain_whatever_their_speeds(
        devices in prop::collection::vec(any_device(0.0..1.0), 1..=6),
        seconds in 100.0..300.0,
        files in 1_u64..10,
    ) {
        let ranges = ranges(&devices, seconds, files);
        let course = World::run(&devices, &ranges);
        assert_whole(&course, &ranges);
        for (device, useful) in devices.iter().zip(&course.useful) {
            let lost = 1.0 - useful / course.seconds;
            prop_assert!(lost <= 0.05, "{device:?} lost {lost}");
        }
    }

    /// Whatever else goes wrong: one device that works to the end is enough.
    #[test]
    fn faults_of_others_cost_no_label(
        good in any_device(0.0..0.1),
        others in prop::collection::vec(
            (any_device(0.0..1.0), 0.0..30.0, 0_u64..30, 0..5_u8),
            1..=5,
        ),
        files in 1_u64..10,
    ) {
        let mut devices = vec![good];
        devices.extend(others.into_iter().map(|(plain, when, number, fault)| match fault {
            0 => Device { hangs_at: when, ..plain },
            1 => Device { dies_at: number, ..plain },
            2 => Device { lies: true, ..plain },
            3 => Device { fails_every: number, ..plain },
            _ => Device { tired_at: when, ..plain },
        }));
        let ranges = ranges(&devices[..1], 30.0, files);
        let course = World::run(&devices, &ranges);
        assert_whole(&course, &ranges);
        prop_assert!(course.useful[0] > 0.0 || course.seconds < 30.0);
    }
}

#[test]
fn a_range_that_never_comes_back_is_taken_over() {
    for hangs_at in [0.0, 0.001, 5.0, 29.0] {
        let devices = [device(1000.0), Device { hangs_at, ..device(1000.0) }];
        let ranges = ranges(&devices, 30.0, 3);
        let course = World::run(&devices, &ranges);
        assert_whole(&course, &ranges);
        assert!(course.seconds < 66.0, "{}: hangs at {hangs_at}", course.seconds);
    }
}

/// What it has in hands is taken over once; then it gets ranges that fit what it can.
#[test]
fn a_device_that_becomes_ten_times_slower_holds_nobody_up() {
    let fast = Device { batch: 1000, ..device(500_000.0) };
    let devices = [fast.clone(), Device { tired_at: 50.0, ..fast }];
    let ranges = ranges(&devices, 100.0, 1);
    let course = World::run(&devices, &ranges);
    assert_whole(&course, &ranges);
    // 50 s together, and then 1.1 times the rate of one.
    let ideal = 50.0 + 50.0 * 2.0 / 1.1;
    assert!(course.seconds < ideal * 1.05, "{} instead of {ideal}", course.seconds);
}

#[test]
fn with_nobody_left_it_ends() {
    let dies = |dies_at| Device { dies_at, ..device(1000.0) };
    let lies = Device { lies: true, ..device(300.0) };
    let devices = [dies(0), dies(5), lies, dies(30)];
    let ranges = ranges(&devices, 1000.0, 2);
    let course = World::run(&devices, &ranges);
    assert!(course.deserted && !course.written.is_empty());
}

#[test]
fn a_failure_now_and_then_is_forgiven_and_three_in_a_row_are_not() {
    let mut queue: Queue<()> = Queue::new(from_ref(&(0..1 << 20)), vec![Hand::default(); 2]);
    let now = Duration::ZERO;
    let begins = |queue: &mut Queue<()>| matches!(queue.next(0, 1, now), Next::Make(_));
    for _ in 0..3 {
        for _ in 0..2 {
            assert!(begins(&mut queue) && !queue.failed(0));
        }
        assert!(begins(&mut queue));
        queue.done(0, now, ());
    }
    for failure in 1..=3 {
        assert!(begins(&mut queue));
        assert_eq!(queue.failed(0), failure == 3);
    }
    assert_eq!(queue.next(0, 1, now), Next::Leave);
    // What it failed at goes to the other one, the first label first.
    assert_eq!(queue.next(1, 1, now), Next::Make(0..64));
}

#[test]
fn ranges_follow_the_rate() {
    let mut queue = Queue::new(from_ref(&(0..1 << 40)), vec![Hand::default()]);
    let mut now = Duration::ZERO;
    let mut had = Vec::new();
    for milliseconds in [10, 10, 8000, 20, 20] {
        let Next::Make(range) = queue.next(0, 1, now) else { panic!("there is more") };
        had.push(count(&range));
        now += Duration::from_millis(milliseconds);
        queue.done(0, now, ());
        assert!(queue.pop().is_some());
    }
    // Twice as many at most; a hiccup weighs half.
    assert_eq!(had, [64, 128, 256, 127, 252]);
}

#[test]
fn the_work_of_one_that_lied_is_made_again() {
    let mut queue = Queue::new(from_ref(&(0..320)), vec![Hand::default(); 2]);
    let now = Duration::ZERO;
    assert_eq!(queue.next(0, 1, now), Next::Make(0..64));
    assert_eq!(queue.next(1, 64, now), Next::Make(64..128));
    queue.done(0, now, "false");
    assert_eq!(queue.next(0, 1, now), Next::Make(128..256));
    queue.done(0, now, "false");
    assert_eq!(queue.next(0, 1, now), Next::Make(256..320));
    let first = queue.pop().unwrap();
    assert_eq!((first.range.clone(), first.by, first.value), (0..64, 0, "false"));
    queue.distrust(first.by, first.range);
    assert!(!queue.wants(0) && queue.wants(1) && queue.pop().is_none());
    queue.done(0, now, "false");
    assert_eq!(queue.next(0, 1, now), Next::Leave);
    let mut written = Vec::new();
    queue.done(1, now, "right");
    while let Next::Make(_) = queue.next(1, 64, now) {
        queue.done(1, now, "right");
        while let Some(made) = queue.pop() {
            assert_eq!((made.by, made.value), (1, "right"));
            written.push(made.range);
        }
    }
    assert_eq!(written.first().map(|range| range.start), Some(0));
    assert_eq!(written.iter().map(count).sum::<u64>(), 320);
    assert!(queue.is_over());
    assert_eq!([queue.hands()[0].labels(), queue.hands()[1].labels()], [0, 320]);
}
