//! The planner against known figures, against a simulation, and against common sense.

use super::*;
use proptest::prelude::*;

const GIB: f64 = (1_u64 << 30) as f64;

fn mainnet(units: u64) -> Task {
    Task { labels: units << 32, k1: 26, k2: 37, hashes: 4687.0 * units as f64 }
}

fn rates(disk: f64, hashes: f64) -> Rates {
    let scan = [(16, 5.2), (64, 1.8), (128, 0.9), (288, 0.43)];
    let scan = scan.map(|(nonces, gib)| ScanRate { nonces, bytes: gib * GIB }).to_vec();
    Rates { threads: 2, scan, disk: disk * GIB, hashes, setup: 30.0 }
}

/// By mpmath: `1 - (1 - gammainc(37, 0, 26, regularized=True))**nonces`; design/performance.md has
/// the same in percent.
#[test]
fn a_pass_finds_a_proof_as_often_as_it_is_known_to() {
    for (nonces, expected) in [
        (16, 0.326_264_502_8),
        (64, 0.793_957_069_2),
        (128, 0.957_546_310_7),
        (288, 0.999_181_893_7),
    ] {
        let forecast = Forecast::new(&mainnet(4), &rates(1.0, 500.0), nonces).unwrap();
        let found = forecast.one_pass();
        assert!((found - expected).abs() < 1e-7, "{nonces}: {found}");
        let passes = forecast.passes();
        assert!((passes * found - 1.0).abs() < 1e-6, "{nonces}: {passes}");
    }
}

#[test]
fn hashes_follow_from_the_difficulty() {
    let mut easy = Difficulty([0; 32]);
    easy.0[0] = 0x20;
    assert_eq!(expected_hashes(&easy), 8.0);
    assert!(expected_hashes(&Difficulty([0; 32])).is_infinite());
    // Mainnet: 0x000dfb23b0979b4b…, that is one hash in 4,687.5.
    let [mainnet, ..] = post::presets();
    let hashes = expected_hashes(&mainnet.params.pow_difficulty);
    assert!((hashes - 4687.5).abs() < 0.05, "{hashes}");
}

#[test]
fn the_time_to_make_labels_is_that_of_all_devices_together() {
    assert_eq!(seconds_to_make(1000, &[100.0, 150.0]), Some(4.0));
    assert_eq!(seconds_to_make(1000, &[]), None);
    assert_eq!(seconds_to_make(1000, &[0.0]), None);
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    let (task, good) = (mainnet(4), rates(1.0, 500.0));
    let refused = |task: &Task, rates: &Rates, nonces| Forecast::new(task, rates, nonces).is_err();
    assert!(!refused(&task, &good, 128));
    for nonces in [0, 8, 17, 4112] {
        assert!(refused(&task, &good, nonces), "{nonces}");
    }
    for (disk, hashes) in [(0.0, 1.0), (1.0, 0.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
        assert!(refused(&task, &rates(disk, hashes), 128), "{disk} {hashes}");
    }
    assert!(refused(&Task { labels: 26, ..task }, &good, 128));
    assert!(refused(&Task { hashes: f64::INFINITY, ..task }, &good, 128));
    assert!(refused(&task, &Rates { setup: -1.0, ..good }, 128));
    assert_eq!(choose(&task, &[], None, None), Ok(None));
}

/// Uniform numbers in 0..1 from a seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A wait of exponential length with mean 1.
    fn wait(&mut self) -> f64 {
        -(1.0 - self.roll()).ln()
    }
}

/// A proof as it goes: hash after hash, good label after good label. Its seconds.
fn simulated(task: &Task, rates: &Rates, nonces: u32, dice: &mut Dice) -> f64 {
    let forecast = Forecast::new(task, rates, nonces).unwrap();
    let mut clock = rates.setup;
    for number in 0.. {
        let Some(range) = pass(number, nonces) else { return f64::INFINITY };
        for _ in 0..range.len() / 16 {
            // The number of the first hash that is below the bound.
            let tries = (dice.wait() / -(-1.0 / task.hashes).ln_1p()).ceil();
            clock += tries / rates.hashes;
        }
        let end = |_| (0..task.k2).map(|_| dice.wait()).sum::<f64>() / f64::from(task.k1);
        let first = range.map(end).fold(f64::INFINITY, f64::min);
        if first <= 1.0 {
            return clock + first * forecast.scan_seconds();
        }
        clock += forecast.scan_seconds();
    }
    f64::INFINITY
}

#[test]
fn a_simulation_agrees() {
    const RUNS: u32 = 4000;
    // Scan and k2pow weigh about the same, so that both decide.
    for (nonces, hashes, seed) in [(16, 150.0, 1), (64, 300.0, 2), (1504, 5000.0, 3)] {
        let (task, rates) = (mainnet(4), rates(0.5, hashes));
        let forecast = Forecast::new(&task, &rates, nonces).unwrap();
        let mut dice = Dice(seed);
        let runs = if nonces > 1000 { RUNS / 10 } else { RUNS };
        let times: Vec<f64> =
            (0..runs).map(|_| simulated(&task, &rates, nonces, &mut dice)).collect();
        let mean = times.iter().sum::<f64>() / f64::from(runs);
        let spread = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / f64::from(runs);
        let error = (spread / f64::from(runs)).sqrt();
        let expected = forecast.seconds();
        assert!((mean - expected).abs() < 4.0 * error, "{nonces}: {mean} ± {error}, {expected}");
        for chance in [0.05, 0.25, 0.5, 0.75, 0.95] {
            let seconds = forecast.seconds_for(chance).unwrap();
            let there = times.iter().filter(|time| **time <= seconds).count() as f64;
            let share = there / f64::from(runs);
            let error = (chance * (1.0 - chance) / f64::from(runs)).sqrt();
            assert!((share - chance).abs() < 4.0 * error, "{nonces}, {chance}: {share} ± {error}");
        }
    }
}

/// As [`simulated`], from where a proof has come to: runs that would have ended before that do not
/// count.
fn simulated_after(task: &Task, rates: &Rates, nonces: u32, begun: Begun, dice: &mut Dice) -> f64 {
    let scan = Forecast::new(task, rates, nonces).unwrap().scan_seconds();
    let (mut clock, mut begun) = (rates.setup, begun);
    while let Some(range) = pass(begun.passes, nonces) {
        for _ in begun.groups..range.len() as u32 / 16 {
            clock += dice.wait() * task.hashes / rates.hashes;
        }
        let first = loop {
            let end = |_| (0..task.k2).map(|_| dice.wait()).sum::<f64>() / f64::from(task.k1);
            let first = range.clone().map(end).fold(f64::INFINITY, f64::min);
            if first > begun.read {
                break first;
            }
        };
        clock += (first.min(1.0) - begun.read) * scan;
        if first <= 1.0 {
            return clock;
        }
        begun = Begun { passes: begun.passes + 1, groups: 0, read: 0.0 };
    }
    f64::INFINITY
}

#[test]
fn a_simulation_agrees_on_what_is_left_too() {
    const RUNS: u32 = 3000;
    let at = |passes, groups, read| Begun { passes, groups, read };
    for (nonces, begun, seed) in [
        (64, at(0, 2, 0.0), 1),
        (64, at(0, 4, 0.75), 2),
        (64, at(3, 1, 0.0), 3),
        (16, at(1, 1, 0.875), 4),
        (16, at(0, 1, 1.0), 5),
    ] {
        let (task, rates) = (mainnet(4), rates(0.5, 300.0));
        let forecast = Forecast::new(&task, &rates, nonces).unwrap().after(begun);
        let mut dice = Dice(seed);
        let one = |_| simulated_after(&task, &rates, nonces, begun, &mut dice);
        let times: Vec<f64> = (0..RUNS).map(one).collect();
        let mean = times.iter().sum::<f64>() / f64::from(RUNS);
        let spread = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / f64::from(RUNS);
        let error = (spread / f64::from(RUNS)).sqrt();
        let expected = forecast.seconds();
        assert!((mean - expected).abs() < 4.0 * error, "{begun:?}: {mean} ± {error}, {expected}");
        for chance in [0.1, 0.5, 0.9] {
            let seconds = forecast.seconds_for(chance).unwrap();
            let share = times.iter().filter(|time| **time <= seconds).count() as f64;
            let (share, error) =
                (share / f64::from(RUNS), (chance * (1.0 - chance) / f64::from(RUNS)).sqrt());
            assert!((share - chance).abs() < 4.0 * error, "{begun:?}, {chance}: {share} ± {error}");
        }
    }
}

#[test]
fn who_has_begun_is_never_worse_off_and_who_has_tried_everything_has_nothing() {
    let of = |groups, read| {
        let forecast = Forecast::new(&mainnet(4), &rates(0.5, 300.0), 64).unwrap();
        forecast.after(Begun { passes: 0, groups, read })
    };
    assert_eq!(of(0, 0.0), Forecast::new(&mainnet(4), &rates(0.5, 300.0), 64).unwrap());
    assert!(of(1, 0.0).seconds() < of(0, 0.0).seconds());
    assert!(of(4, 0.0).within(2e3) > of(1, 0.0).within(2e3));
    assert!(of(4, 0.5).seconds() < of(4, 0.0).seconds());
    let done = of(0, 0.0).after(Begun { passes: 64, groups: 0, read: 0.0 });
    assert_eq!((done.never(), done.within(1e12), done.seconds_for(0.5)), (1.0, 0.0, None));
}

#[test]
fn a_slow_disk_asks_for_many_nonces_and_slow_hashing_for_few() {
    let nonces = |disk, hashes| {
        let choice = choose(&mainnet(16), &[rates(disk, hashes)], None, None).unwrap().unwrap();
        choice.forecast.nonces()
    };
    // A pass from a slow disk takes as long for 288 nonces: it should be the only one.
    assert!(nonces(0.1, 1e6) >= 288, "{}", nonces(0.1, 1e6));
    // Where a k2pow takes an hour, each group is bought only when it is needed.
    assert_eq!(nonces(5.0, 20.0), 16);
}

#[test]
fn a_window_prefers_what_is_likely_to_be_in_time() {
    let (task, fast, slow) = (mainnet(16), rates(0.2, 1e5), rates(0.05, 1e5));
    let window = 1.1 * task.labels as f64 * LABEL_BYTES / (0.2 * GIB);
    let choice = choose(&task, &[slow, fast.clone()], None, Some(window)).unwrap().unwrap();
    assert_eq!(choice.rates, 1);
    let few = Forecast::new(&task, &fast, 64).unwrap();
    // There is time for a single pass.
    assert!(few.within(window) < 0.8 && choice.forecast.within(window) > 0.99);
    assert!(choice.forecast.is_bound_by_disk());
}

#[test]
fn less_work_decides_between_equals() {
    let lazy = Rates { threads: 1, ..rates(0.01, 1e6) };
    let eager = Rates { threads: 8, ..lazy.clone() };
    let choice = choose(&mainnet(4), &[eager, lazy], Some(128), None).unwrap().unwrap();
    assert_eq!((choice.rates, choice.forecast.nonces()), (1, 128));
}

#[test]
fn k2_may_be_out_of_reach_or_given_away() {
    let task = |k1, k2| Task { k1, k2, ..mainnet(4) };
    let forecast = |task| Forecast::new(&task, &rates(1.0, 500.0), 128).unwrap();
    let hopeless = forecast(task(26, 1024));
    assert_eq!((hopeless.seconds_for(0.5), hopeless.within(1e12)), (None, 0.0));
    assert!(hopeless.never() > 0.999_999 && (hopeless.passes() - 32.0).abs() < 1e-6);
    let given = forecast(task(2000, 1));
    assert!(given.one_pass() > 1.0 - 1e-12 && given.passes() < 1.0 + 1e-9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn more_of_anything_good_is_never_worse(
        groups in 1_u32..=256, more in 0_u32..64, disk in 0.05_f64..4.0, hashes in 10.0_f64..1e5,
        share in 0.1_f64..3.0, faster in 1.0_f64..3.0,
    ) {
        let task = mainnet(4);
        let of = |groups: u32, disk, hashes| {
            Forecast::new(&task, &rates(disk, hashes), 16 * groups.min(256)).unwrap()
        };
        let forecast = of(groups, disk, hashes);
        let window = forecast.seconds() * share;
        let chance = forecast.within(window);
        prop_assert!((0.0..=1.0).contains(&chance));
        prop_assert!(forecast.within(window * faster) >= chance - 1e-9);
        prop_assert!(of(groups, disk * faster, hashes).within(window) >= chance - 1e-9);
        prop_assert!(of(groups, disk, hashes * faster).within(window) >= chance - 1e-9);
        prop_assert!(of(groups, disk, hashes * faster).seconds() <= forecast.seconds() + 1e-9);
        prop_assert!(of(groups + more, disk, hashes).one_pass() >= forecast.one_pass());
        prop_assert!(of(groups + more, disk, hashes).passes() <= forecast.passes() + 1e-9);
        let half = forecast.seconds_for(0.5).unwrap();
        prop_assert!((forecast.within(half) - 0.5).abs() < 0.02, "{}", forecast.within(half));
        prop_assert!(forecast.core_seconds() <= 2.0 * forecast.seconds() + 1e-9);
    }
}
