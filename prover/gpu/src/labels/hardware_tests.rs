//! Labels of real devices (lavapipe, where there is no other) against the definition.

use super::super::machine::Machine;
use super::super::memory::Memory;
use super::super::{Cut, Labels, Settings};
use super::*;
use crate::devices::Kind;
use crate::testing;
use core::time::Duration;
use post::{Candidate, LABEL_BYTES, LabelIndex, LabelRange};

const COMMITMENT: Commitment = Commitment([0x3c; 32]);
const TARGET: Duration = Duration::from_millis(50);

/// The workgroups that are in use.
fn workgroups() -> [u32; 2] {
    [Kind::Software, Kind::Discrete].map(|kind| Cut::of(kind).workgroup)
}

fn n(n: u32) -> ScryptN {
    ScryptN::new(n).unwrap()
}

fn machine(engine: Hardware, n: ScryptN, target: Duration, labels: u32) -> Machine<Hardware> {
    Machine::new(engine, n, target, Memory::settled(), labels)
}

fn hardware(prepared: &Prepared, n: ScryptN, gap: Gap, mixing: Mixing) -> Hardware {
    Hardware::new(prepared, &COMMITMENT, n, gap, mixing).unwrap()
}

/// What `fill` must give, from the definition.
fn expected(range: LabelRange, n: ScryptN) -> (Vec<u8>, Option<Candidate>) {
    let labels: Vec<_> = range
        .map(LabelIndex)
        .map(|index| Candidate { index, label: post::label(&COMMITMENT, index, n) })
        .collect();
    let bytes = labels.iter().flat_map(|it| it.label.stored()).collect();
    (bytes, labels.into_iter().min_by_key(|it| (it.label, it.index)))
}

fn filled(machine: &mut Machine<Hardware>, range: LabelRange) -> (Vec<u8>, Option<Candidate>) {
    let mut out = vec![0xee; LABEL_BYTES * (range.end - range.start) as usize];
    let best = machine.fill(range, &mut out, &|| false).unwrap();
    (out, best)
}

#[test]
fn labels_are_those_of_the_definition() {
    // More than a workgroup at first; then where the index takes its high word, and its last.
    let ranges = |n| match n {
        8192 => vec![0..1, (1 << 32) - 1..(1 << 32) + 2, u64::MAX - 1..u64::MAX],
        _ => vec![0..70, (1 << 32) - 9..(1 << 32) + 9, u64::MAX - 9..u64::MAX],
    };
    let answers = [2, 512, 8192].map(|size| {
        let answer = |range: LabelRange| (range.clone(), expected(range, n(size)));
        (n(size), ranges(size).into_iter().map(answer).collect::<Vec<_>>())
    });
    for device in testing::all() {
        for workgroup in workgroups() {
            let opened = device.open().unwrap();
            let prepared = Prepared::new(opened, device.limits(), workgroup).unwrap();
            for (gap, mixing) in ways() {
                for (n, answers) in &answers {
                    let engine = hardware(&prepared, *n, gap, mixing);
                    let mut machine = machine(engine, *n, TARGET, 64);
                    for (range, answer) in answers {
                        let found = filled(&mut machine, range.clone());
                        let way = format!("{n}, {gap:?}, {mixing:?}, {workgroup}");
                        assert!(found == *answer, "{}: {way}", device.name);
                    }
                }
            }
        }
    }
}

/// Every gap with every way of mixing.
fn ways() -> impl Iterator<Item = (Gap, Mixing)> {
    Gap::ALL.into_iter().flat_map(|gap| Mixing::ALL.map(|mixing| (gap, mixing)))
}

/// The smallest binding that there is, and lavapipe's: one bank, or several, the last not full.
#[test]
fn labels_are_the_same_whatever_they_are_cut_into() {
    let n = n(512);
    let (sliced, whole) = (Duration::from_millis(1), Duration::from_secs(1000));
    for (binding, labels, banks, workgroup, target) in [
        (16 << 20, 500, 2, 32, sliced),
        (16 << 20, 500, 2, 64, whole),
        (128 << 20, 500, 1, 128, sliced),
        (128 << 20, 2100, 2, 8, whole),
        (128 << 20, 2100, 2, 64, sliced),
    ] {
        let answer = expected(5..5 + labels, n);
        for device in testing::all() {
            let limits = Limits { binding, ..device.limits() };
            let prepared = Prepared::new(device.open().unwrap(), limits, workgroup).unwrap();
            let engine = hardware(&prepared, n, Gap::One, Mixing::Plain);
            let mut machine = machine(engine, n, target, labels as u32);
            let found = filled(&mut machine, 5..5 + labels);
            assert!(found == answer, "{}: {binding}, {workgroup}, {target:?}", device.name);
            assert_eq!(machine.engine().banks.len(), banks);
            // Again, with what is left in the buffers, and a bank that has less to do.
            let part = filled(&mut machine, 105..305).0;
            assert!(part == answer.0[LABEL_BYTES * 100..LABEL_BYTES * 300]);
        }
    }
}

/// As `make test-gpu` runs it: some hundred labels of mainnet's size in each way, in several banks
/// of 16 and of 128 MiB.
#[test]
#[ignore = "slow: make test-gpu"]
fn labels_of_mainnet_s_size() {
    let (n, labels) = (n(8192), 300);
    let answer = expected(7..7 + labels, n);
    for device in testing::all() {
        for (binding, workgroup) in [(16 << 20, 8), (16 << 20, 64), (128 << 20, 64)] {
            let limits = Limits { binding, ..device.limits() };
            let prepared = Prepared::new(device.open().unwrap(), limits, workgroup).unwrap();
            for (gap, mixing) in ways() {
                let engine = hardware(&prepared, n, gap, mixing);
                let mut machine = machine(engine, n, TARGET, labels as u32);
                let way = format!("{binding}, {gap:?}, {mixing:?}, {workgroup}");
                assert!(filled(&mut machine, 7..7 + labels) == answer, "{}: {way}", device.name);
                let fit = (binding * u64::from(gap.get())) >> 20;
                assert_eq!(machine.engine().banks.len() as u64, labels.div_ceil(fit).max(1));
            }
        }
    }
}

#[test]
fn a_device_tunes_itself_and_keeps_to_it() {
    for device in testing::all() {
        let settings = Settings {
            target: Duration::from_millis(5),
            memory: Some(4 << 20),
            ..Settings::default()
        };
        let mut labels = Labels::new(&device, COMMITMENT, n(16), settings).unwrap();
        let mut out = vec![0; LABEL_BYTES * 5_000];
        let best = labels.try_fill(0..5_000, &mut out, &|| false).unwrap().unwrap();
        assert_eq!(best.label, post::label(&COMMITMENT, best.index, n(16)));
        let (tuning, _) = labels.tuning();
        let again = Settings { tuning: Some(tuning), ..settings };
        let mut labels = Labels::new(&device, COMMITMENT, n(16), again).unwrap();
        let mut other = out.clone();
        assert_eq!(labels.try_fill(0..5_000, &mut other, &|| false), Ok(Some(best)));
        assert!(out == other);
        assert_eq!(labels.tuning(), (tuning, true));
    }
}

#[test]
fn a_label_that_fits_no_buffer_is_refused() {
    for device in testing::all() {
        let limits = Limits { binding: 16 << 20, ..device.limits() };
        let prepared = Prepared::new(device.open().unwrap(), limits, 64).unwrap();
        let made = Hardware::new(&prepared, &COMMITMENT, n(1 << 20), Gap::Four, Mixing::Plain);
        let fault = made.unwrap_err();
        assert!(matches!(fault, Fault::TooLarge { n: 1_048_576, .. }), "{fault}");
    }
}
