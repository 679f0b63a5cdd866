//! Crews of devices that do what a test says, on real threads.

use super::*;
use cpu::Labels;
use post::{LABEL_BYTES, LabelIndex};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

/// What a device does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Says that it cannot.
    Fail,
    /// Says that it was stopped.
    Stop,
    /// Works until it is told to stop.
    Hang,
    /// Makes this label wrong, if it is in its range.
    Lie(u64),
    /// Makes all labels right, and names another one as the smallest.
    Mislead,
    Panic,
}

type Plan = Box<dyn FnMut(u64) -> Option<Fault> + Send>;

/// Makes labels by the definition, but for the faults of a plan that knows how many ranges came
/// before.
pub(crate) struct Fake {
    commitment: Commitment,
    batch: u64,
    fills: u64,
    plan: Plan,
}

pub(crate) fn n() -> ScryptN {
    ScryptN::new(2).unwrap()
}

impl Labeler for Fake {
    fn fill(
        &mut self,
        range: LabelRange,
        out: &mut [u8],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Candidate>, LabelFault> {
        let fault = (self.plan)(self.fills);
        self.fills += 1;
        match fault {
            Some(Fault::Fail) => return Err(LabelFault::Device("it smokes".to_owned())),
            Some(Fault::Stop) => return Err(LabelFault::Stopped),
            Some(Fault::Hang) => {
                while !stop() {
                    std::thread::yield_now();
                }
                return Err(LabelFault::Stopped);
            }
            Some(Fault::Panic) => panic!("as planned"),
            Some(Fault::Lie(_) | Fault::Mislead) | None => {}
        }
        let mut smallest = None;
        for (index, bytes) in range.zip(out.chunks_exact_mut(LABEL_BYTES)) {
            let label = post::label(&self.commitment, LabelIndex(index), n());
            bytes.copy_from_slice(&label.stored());
            if fault == Some(Fault::Lie(index)) {
                bytes[0] ^= 1;
            }
            let index = LabelIndex(index);
            smallest = Candidate::better(smallest, Some(Candidate { index, label }));
        }
        if let Some(smallest) = smallest.as_mut().filter(|_| fault == Some(Fault::Mislead)) {
            smallest.label.0[31] ^= 1;
        }
        Ok(smallest)
    }

    fn kernel(&self) -> &str {
        "plain"
    }

    fn batch(&self) -> u64 {
        self.batch
    }
}

pub(crate) fn member(
    name: &str,
    commitment: Commitment,
    batch: u64,
    plan: impl FnMut(u64) -> Option<Fault> + Send + 'static,
) -> Member {
    let labeler = Box::new(Fake { commitment, batch, fills: 0, plan: Box::new(plan) });
    Member { name: name.to_owned(), labeler }
}

/// Draws sevens, below the bound.
pub(crate) fn sevens() -> Draw {
    let mut draws = 0_u64;
    Box::new(move |bound| {
        draws += 7;
        draws % bound
    })
}

/// As the plan says, but nobody comes back from the first range before all have one.
pub(crate) fn together(
    all: &Arc<Barrier>,
    mut plan: impl FnMut(u64) -> Option<Fault> + Send + 'static,
) -> impl FnMut(u64) -> Option<Fault> + Send + 'static {
    let all = Arc::clone(all);
    move |fill| {
        if fill == 0 {
            all.wait();
        }
        plan(fill)
    }
}

const COMMITMENT: Commitment = Commitment([3; 32]);

/// A member of each plan, with batches of 1, 7 and so on.
fn crew(plans: Vec<Plan>) -> Crew {
    let all = Arc::new(Barrier::new(plans.len()));
    let member = |(number, plan): (u64, Plan)| {
        member(&format!("fake:{number}"), COMMITMENT, 1 + 6 * number, together(&all, plan))
    };
    let members = (0..).zip(plans).map(member).collect();
    Crew::new(COMMITMENT, n(), members, sevens())
}

fn plan(plan: impl FnMut(u64) -> Option<Fault> + Send + 'static) -> Plan {
    Box::new(plan)
}

fn well() -> Plan {
    plan(|_| None)
}

fn always(fault: Fault) -> Plan {
    plan(move |_| Some(fault))
}

/// What the sink got.
#[derive(Debug, Default, PartialEq)]
struct Got {
    ranges: Vec<LabelRange>,
    labels: Vec<u8>,
    smallest: Option<Candidate>,
}

const RANGES: [LabelRange; 3] = [5..100, 150..900, 900..1000];

fn run(crew: &mut Crew) -> (Result<(), MakeError>, Got) {
    let mut got = Got::default();
    let result = crew.run(&RANGES, &|| false, &mut |made| {
        assert_eq!(made.labels.len() as u64, (made.range.end - made.range.start) * 16);
        got.ranges.push(made.range);
        got.labels.extend_from_slice(made.labels);
        got.smallest = Candidate::better(got.smallest, made.smallest);
        Ok(ControlFlow::Continue(()))
    });
    (result, got)
}

/// Everything is as the definition says, in order.
fn assert_right(got: &Got) {
    let labels = || RANGES.iter().cloned().flatten();
    assert!(got.ranges.iter().cloned().flatten().eq(labels()));
    let label = |index: u64| post::label(&COMMITMENT, LabelIndex(index), n());
    assert!(got.labels.as_chunks::<16>().0.iter().copied().eq(labels().map(|i| label(i).stored())));
    let smallest = labels().min_by_key(|index| label(*index)).unwrap();
    let smallest = Candidate { index: LabelIndex(smallest), label: label(smallest) };
    assert_eq!(got.smallest, Some(smallest));
}

#[test]
fn labels_of_a_crew_come_in_order_and_each_has_one_maker() {
    let mut crew = crew(vec![well(), well(), well()]);
    assert_eq!(crew.maker(), format!("{}, postmesh {}", crew.kernel(), env!("CARGO_PKG_VERSION")));
    assert_eq!(crew.kernel(), "fake:0 plain + fake:1 plain + fake:2 plain");
    let (result, got) = run(&mut crew);
    result.unwrap();
    assert_right(&got);
    let shares = crew.shares();
    assert_eq!(shares.iter().map(|share| share.labels).sum::<u64>(), 945);
}

#[test]
fn one_that_works_is_enough() {
    use Fault::{Fail, Hang, Lie, Mislead};
    let now_and_then = plan(|fill| (fill % 3 < 2).then_some(Fail));
    let once = plan(|fill| (fill == 0).then_some(Mislead));
    for (faulty, liar) in [
        (always(Fail), false),
        (now_and_then, false),
        (always(Hang), false),
        (always(Mislead), true),
        (once, true),
    ] {
        let mut crew = crew(vec![faulty, well()]);
        let (result, got) = run(&mut crew);
        result.unwrap();
        assert_right(&got);
        // What it made may have been taken over before anybody looked.
        assert!(crew.distrusted().all(|name| liar && name == "fake:0"));
    }
    // A wrong label that is drawn.
    let lies = plan(|_| Some(Lie(5 + 7)));
    let mut crew = crew(vec![lies]);
    let (result, got) = run(&mut crew);
    let wrong = LabelIndex(12);
    assert!(matches!(result, Err(MakeError::Wrong { index, .. }) if index == wrong), "{result:?}");
    assert_eq!(got, Got::default());
}

#[test]
fn with_nobody_left_the_last_fault_is_told() {
    let mut failing = crew(vec![always(Fault::Fail), always(Fault::Fail)]);
    for _ in 0..2 {
        let (result, got) = run(&mut failing);
        assert!(matches!(result, Err(MakeError::Label(LabelFault::Device(_)))), "{result:?}");
        assert_eq!(got, Got::default());
    }
    let mut lying = crew(vec![always(Fault::Mislead), always(Fault::Mislead)]);
    let (result, got) = run(&mut lying);
    assert!(matches!(&result, Err(MakeError::Wrong { kernel, .. }) if kernel == "plain"));
    assert_eq!((got, lying.distrusted().count()), (Got::default(), 2));
}

#[test]
fn it_forgives_two_failures_in_a_row() {
    let mut crew = crew(vec![plan(|fill| (fill % 3 != 2).then_some(Fault::Fail))]);
    let (result, got) = run(&mut crew);
    result.unwrap();
    assert_right(&got);
}

#[test]
fn a_request_to_stop_ends_what_hangs() {
    let mut crew = crew(vec![always(Fault::Hang), always(Fault::Hang)]);
    let asked = AtomicU64::new(0);
    let stop = || asked.fetch_add(1, Ordering::Relaxed) > 1000;
    let result = crew.run(&RANGES, &stop, &mut |_| panic!("nothing is made"));
    assert!(matches!(result, Err(MakeError::Label(LabelFault::Stopped))));
}

#[test]
fn what_was_made_before_a_stop_is_handed_on() {
    let mut crew = crew(vec![plan(|fill| (fill == 2).then_some(Fault::Stop))]);
    let (result, got) = run(&mut crew);
    assert!(matches!(result, Err(MakeError::Label(LabelFault::Stopped))));
    assert_eq!(got.ranges, [5..69, 69..100]);
}

#[test]
fn the_sink_may_end_it() {
    let mut crew = crew(vec![always(Fault::Hang), well()]);
    crew.run(&RANGES, &|| false, &mut |_| Ok(ControlFlow::Break(()))).unwrap();
    let mut crew = self::crew(vec![plan(|fill| (fill > 0).then_some(Fault::Hang))]);
    let full = crew.run(&RANGES, &|| false, &mut |_| Err(MakeError::NoNonce));
    assert!(matches!(full, Err(MakeError::NoNonce)));
}

#[test]
#[should_panic(expected = "a scoped thread panicked")]
fn a_panic_is_passed_on_and_nobody_waits_for_it() {
    let (result, _) = run(&mut crew(vec![always(Fault::Panic), well()]));
    result.unwrap();
}

#[test]
fn a_crew_fills_a_range_as_one_device_does() {
    let mut labels = Labels::new(COMMITMENT, n(), NonZeroUsize::MIN);
    let (mut expected, mut out) = (vec![0; 1000 * LABEL_BYTES], vec![0; 1000 * LABEL_BYTES]);
    let smallest = labels.fill(7..1007, &mut expected, &|| false).unwrap();
    let mut crew = crew(vec![well(), well(), always(Fault::Fail)]);
    assert_eq!(crew.fill(7..1007, &mut out, &|| false).unwrap(), smallest);
    assert!(out == expected);
    let short = crew.fill(7..1007, &mut out[1..], &|| false);
    assert!(matches!(short, Err(LabelFault::Device(_))));
    assert!(matches!(crew.fill(7..1007, &mut out, &|| true), Err(LabelFault::Stopped)));
    let mut lying = self::crew(vec![plan(|_| Some(Fault::Lie(7 + 7)))]);
    let wrong = lying.fill(7..1007, &mut out, &|| false);
    assert!(matches!(&wrong, Err(LabelFault::Device(why)) if why.contains("wrong label at 14")));
}

#[test]
fn makers_are_known_by_the_names_of_their_devices() {
    let maker = "cpu avx2 + gpu:10de-2684 wgsl, gap 2, postmesh 0.1.0";
    for (device, took) in [("cpu", true), ("gpu:10de-2684", true), ("gpu:10de", false)] {
        assert_eq!(took_part(device, maker), took, "{device}");
    }
    assert!(took_part("cpu", "cpu avx512, postmesh 0.1.0") && !took_part("cpu", "not recorded"));
}
