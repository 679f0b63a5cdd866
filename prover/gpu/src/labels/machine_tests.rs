//! The machine with an engine that computes on the CPU, keeps a clock of its own, and fails when
//! it is told to.

use super::super::layout::{Gap, Layout, Limits};
use super::*;
use crate::fault::Fault;
use core::cell::RefCell;
use post::{Commitment, ScryptN};
use std::rc::Rc;

use super::super::engine::Done;

const COMMITMENT: Commitment = Commitment([9; 32]);
const N: u32 = 16;

/// Where a simulated device breaks: at the so-manieth call of the kind, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    Resize(usize),
    Submit(usize),
    Wait(usize),
}

/// What a simulated device is like, and what became of it.
#[derive(Debug, Default)]
struct Device {
    /// Seconds of a step, whatever the number of labels up to `wide`.
    step: f64,
    wide: u32,
    /// Labels there is memory for.
    memory: u32,
    breaks: Option<Break>,
    /// Has no memory at this attempt, counted from 0, whatever is asked for.
    refuses: Option<usize>,
    /// Makes this label wrong.
    lies: Option<u64>,
    /// Whether only the time of steps matters.
    trial: bool,
    submits: usize,
    waits: usize,
    most_flying: usize,
    resized: Vec<u32>,
    took: Vec<Duration>,
}

struct Simulated {
    device: Rc<RefCell<Device>>,
    layout: Layout,
    room: u32,
    /// Steps that were done of the batch, which must come in order.
    batch: Option<(u64, u32, Steps)>,
    flying: VecDeque<Work>,
}

impl Simulated {
    fn new(device: &Rc<RefCell<Device>>) -> Self {
        let limits = Limits { binding: 16 << 20, workgroups: 65535 };
        let n = ScryptN::new(N).unwrap();
        let layout = Layout::new(limits, n, Gap::Two, 8).unwrap();
        let device = Rc::clone(device);
        Self { device, layout, room: 0, batch: None, flying: VecDeque::new() }
    }

    /// The steps of a batch come in order and to its end; only a trial picks some.
    fn check_order(&mut self, work: &Work) {
        let left = match self.batch.take() {
            None => {
                assert!(work.starts && work.filled == 0);
                Steps { fill: N, mix: N }
            }
            Some((first, labels, left)) => {
                assert!(!work.starts && (first, labels) == (work.first.0, work.labels));
                assert_eq!(work.filled, N - left.fill);
                left
            }
        };
        assert!(work.steps.mix == 0 || work.steps.fill == left.fill, "mixing follows filling");
        let left = Steps { fill: left.fill - work.steps.fill, mix: left.mix - work.steps.mix };
        assert_eq!(work.ends, left == Steps::default());
        self.batch = (!work.ends).then_some((work.first.0, work.labels, left));
    }

    fn breaks(&self, at: Break) -> Result<(), Fault> {
        let lost = self.device.borrow().breaks == Some(at);
        if lost { Err(Fault::Lost("simulated".to_owned())) } else { Ok(()) }
    }
}

impl Engine for Simulated {
    fn resize(&mut self, labels: u32) -> Result<u32, Fault> {
        assert!(self.flying.is_empty(), "room changes while work is in flight");
        self.room = 0;
        let attempt = self.device.borrow().resized.len();
        self.breaks(Break::Resize(attempt))?;
        let mut device = self.device.borrow_mut();
        device.resized.push(labels);
        let room: u32 = self.layout.banks(labels).iter().sum();
        if room > device.memory || device.refuses == Some(attempt) {
            return Err(Fault::OutOfMemory { labels, bytes: self.layout.bytes(labels) });
        }
        self.room = room;
        Ok(room)
    }

    fn submit(&mut self, work: &Work) -> Result<(), Fault> {
        self.breaks(Break::Submit(self.device.borrow().submits))?;
        assert!(work.labels <= self.room && work.labels > 0);
        if !self.device.borrow().trial {
            self.check_order(work);
        }
        self.flying.push_back(work.clone());
        let mut device = self.device.borrow_mut();
        device.submits += 1;
        device.most_flying = device.most_flying.max(self.flying.len());
        Ok(())
    }

    fn wait(&mut self) -> Result<Done, Fault> {
        self.breaks(Break::Wait(self.device.borrow().waits))?;
        let work = self.flying.pop_front().unwrap();
        let mut device = self.device.borrow_mut();
        device.waits += 1;
        let steps = f64::from(work.steps.fill + work.steps.mix);
        let turns = f64::from(work.labels.div_ceil(device.wide));
        let took = Duration::from_secs_f64(steps * turns * device.step);
        device.took.push(took);
        let mut labels = Vec::new();
        if work.ends {
            labels.extend((work.first.0..).take(work.labels as usize).map(|index| {
                let lie = u8::from(device.lies == Some(index));
                let mut label = label(index);
                label.0[15] ^= lie;
                label
            }));
        }
        Ok(Done { took, labels })
    }
}

fn label(index: u64) -> FullLabel {
    post::label(&COMMITMENT, LabelIndex(index), ScryptN::new(N).unwrap())
}

fn device(memory: u32) -> Rc<RefCell<Device>> {
    let device = Device { step: 1e-3, wide: 64, memory, ..Device::default() };
    Rc::new(RefCell::new(device))
}

fn machine(device: &Rc<RefCell<Device>>, memory: Memory, labels: u32) -> Machine<Simulated> {
    let n = ScryptN::new(N).unwrap();
    Machine::new(Simulated::new(device), n, Duration::from_millis(10), memory, labels)
}

/// Fills a range and compares all of it.
fn check(machine: &mut Machine<Simulated>, range: LabelRange) {
    let labels: Vec<_> = range.clone().map(label).collect();
    let mut out = vec![0xee; labels.len() * LABEL_BYTES];
    let best = machine.fill(range.clone(), &mut out, &|| false).unwrap();
    let bytes: Vec<_> = labels.iter().flat_map(FullLabel::stored).collect();
    assert!(out == bytes, "{range:?}");
    let indices = range.map(LabelIndex);
    let expected = labels.into_iter().zip(indices).map(|(label, index)| Candidate { index, label });
    assert_eq!(best, expected.min_by_key(|it| (it.label, it.index)));
}

#[test]
fn any_range_is_filled() {
    let device = device(u32::MAX);
    let mut machine = machine(&device, Memory::settled(), 32);
    for length in (0..70).chain([320, 333]) {
        check(&mut machine, 1000..1000 + length);
    }
    check(&mut machine, u64::MAX - 40..u64::MAX);
    assert_eq!(device.borrow().most_flying, IN_FLIGHT);
}

#[test]
fn dispatches_keep_to_their_time() {
    let device = device(u32::MAX);
    let mut machine = machine(&device, Memory::settled(), 64);
    check(&mut machine, 0..64 * 20);
    let took = &device.borrow().took;
    // Two of each kind are in flight before anything is known.
    let longest = took[2 * IN_FLIGHT..].iter().max().unwrap();
    assert!(*longest <= Duration::from_millis(15), "{took:?}");
    let late = &took[took.len() / 2..];
    let mean = late.iter().sum::<Duration>() / late.len() as u32;
    assert!(mean >= Duration::from_millis(7), "{late:?}");
}

#[test]
fn memory_is_taken_while_the_rate_rises() {
    let device = device(u32::MAX);
    (device.borrow_mut().wide, device.borrow_mut().step) = (512, 5e-3);
    let mut machine = machine(&device, Memory::new(1 << 20), 64);
    check(&mut machine, 0..20_000);
    assert!(machine.is_settled());
    assert_eq!(machine.labels(), 512, "{:?}", device.borrow().resized);
    // And back, once more memory was seen to be no help.
    assert_eq!(device.borrow().resized, [64, 128, 256, 512, 1024, 512]);
}

#[test]
fn memory_that_is_refused_is_done_without() {
    for memory in [8, 24, 64, 100, 300] {
        let device = device(memory);
        (device.borrow_mut().wide, device.borrow_mut().step) = (1 << 20, 5e-3);
        let mut machine = machine(&device, Memory::new(1 << 20), 64);
        check(&mut machine, 0..6_000);
        assert!(machine.is_settled(), "{memory}: {:?}", device.borrow().resized);
        assert!(machine.labels() <= memory && machine.labels() > memory / 3);
    }
}

/// Memory that another program takes for a while: whichever attempt fails, work goes on with less.
#[test]
fn memory_may_be_refused_at_any_attempt() {
    let grows = || {
        let device = device(u32::MAX);
        (device.borrow_mut().wide, device.borrow_mut().step) = (256, 5e-3);
        device
    };
    let whole = grows();
    check(&mut machine(&whole, Memory::new(1 << 20), 64), 0..8_000);
    let attempts = whole.borrow().resized.len();
    assert!(attempts > 4);
    for attempt in 0..attempts {
        let device = grows();
        device.borrow_mut().refuses = Some(attempt);
        let mut machine = machine(&device, Memory::new(1 << 20), 64);
        check(&mut machine, 0..8_000);
        assert!(machine.is_settled(), "{attempt}: {:?}", device.borrow().resized);
        assert!((32..=512).contains(&machine.labels()), "{attempt}: {}", machine.labels());
    }
}

/// A trial ends with a rate, or with the fault; it never hangs.
#[test]
fn a_trial_tells_what_went_wrong() {
    let device = || {
        let device = device(u32::MAX);
        device.borrow_mut().trial = true;
        device
    };
    let whole = device();
    let rate = machine(&whole, Memory::settled(), 16).trial().unwrap();
    // 16 labels in a turn of 32 steps.
    let expected = 16.0 / (2.0 * f64::from(N) * whole.borrow().step);
    assert!((rate / expected - 1.0).abs() < 0.01, "{rate}, {expected}");
    let (submits, waits) = (whole.borrow().submits, whole.borrow().waits);
    let breaks = (0..submits).map(Break::Submit).chain((0..waits).map(Break::Wait));
    for at in breaks.chain([Break::Resize(0)]) {
        let device = device();
        device.borrow_mut().breaks = Some(at);
        let fault = machine(&device, Memory::settled(), 16).trial();
        assert_eq!(fault, Err(Fault::Lost("simulated".to_owned())), "{at:?}");
    }
}

#[test]
fn without_any_memory_there_are_no_labels() {
    let device = device(7);
    let mut machine = machine(&device, Memory::new(1 << 20), 64);
    let fault = machine.fill(0..100, &mut [0; 1600], &|| false);
    assert!(matches!(fault, Err(Fault::OutOfMemory { .. })), "{fault:?}");
}

/// Wherever the device is lost, the caller hears of it, and nothing hangs or panics.
#[test]
fn a_loss_is_told_in_every_phase() {
    let whole = device(u32::MAX);
    check(&mut machine(&whole, Memory::settled(), 16), 0..40);
    let (submits, waits) = (whole.borrow().submits, whole.borrow().waits);
    let resizes = whole.borrow().resized.len();
    assert!(submits > 6 && resizes > 0);
    let breaks = (0..submits).map(Break::Submit).chain((0..waits).map(Break::Wait));
    for at in breaks.chain((0..resizes).map(Break::Resize)) {
        let device = device(u32::MAX);
        device.borrow_mut().breaks = Some(at);
        let mut machine = machine(&device, Memory::settled(), 16);
        let fault = machine.fill(0..40, &mut [0; 640], &|| false);
        assert_eq!(fault, Err(Fault::Lost("simulated".to_owned())), "{at:?}");
        // And nobody takes what was in flight for an answer to something else.
        device.borrow_mut().breaks = None;
        assert_eq!(machine.fill(0..40, &mut [0; 640], &|| false), fault);
    }
}

#[test]
fn stops_when_asked_and_goes_on_later() {
    let device = device(u32::MAX);
    let mut machine = machine(&device, Memory::settled(), 16);
    for turn in 0..20 {
        let asked = core::sync::atomic::AtomicUsize::new(0);
        let stop = || asked.fetch_add(1, core::sync::atomic::Ordering::Relaxed) >= turn;
        let fault = machine.fill(0..1000, &mut [0; 16_000], &stop);
        assert_eq!(fault, Err(Fault::Stopped));
        assert_eq!(asked.into_inner(), turn + 1);
        machine.engine.batch = None;
        check(&mut machine, 7..30);
    }
}

#[test]
fn the_room_must_fit_the_range() {
    let device = device(u32::MAX);
    let mut machine = machine(&device, Memory::settled(), 16);
    for (range, room) in [(0..2, 31), (0..2, 33), (0..0, 1), (0..u64::MAX, 16)] {
        let fault = machine.fill(range, &mut vec![0; room], &|| false);
        assert!(matches!(fault, Err(Fault::WrongRoom { .. })), "{fault:?}");
    }
}

#[test]
fn a_device_that_lies_is_found_out() {
    let device = device(u32::MAX);
    assert_eq!(machine(&device, Memory::settled(), 16).check_known(&COMMITMENT), Ok(()));
    for index in KNOWN {
        device.borrow_mut().lies = Some(index);
        let fault = machine(&device, Memory::settled(), 16).check_known(&COMMITMENT);
        assert_eq!(fault, Err(Fault::WrongLabel { index: LabelIndex(index) }));
    }
}

/// Labels that come back are counted: a device that returns fewer is no use.
#[test]
fn labels_that_are_missing_are_missed() {
    let mut run = Run {
        next: 0,
        end: 4,
        batch: None,
        flying: VecDeque::new(),
        index: 0,
        out: &mut [[0; LABEL_BYTES]; 4],
        best: None,
    };
    assert_eq!(run.take(&[label(0), label(1)], 2), Ok(()));
    assert!(matches!(run.take(&[label(2)], 2), Err(Fault::Refused(_))));
}
