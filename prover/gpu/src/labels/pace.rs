//! How much work goes into a dispatch, so that it takes the time it should: learned, not known.
//!
//! A dispatch should take the target, and one in a hundred at most half as long again. So it is
//! sized by what a step usually costs, and by what the dearest of the last ones cost: a device that
//! is slow now and then, since others use it too, gets less at a time.

use core::time::Duration;
use std::collections::VecDeque;

/// The most that a guess shrinks by one measurement, lest a lucky one freeze the desktop.
const GROWTH: f64 = 8.0;

/// Steps of the first dispatches: few enough for any device.
const FIRST: f64 = 16.0;

/// Measurements that are remembered: enough that what happens to one dispatch in twenty is seldom
/// forgotten.
const REMEMBERED: usize = 96;

/// How long the dearest of those may take, in targets: below one and a half.
const LATE: f64 = 1.3;

/// So many times what is usual, and no more, is prepared for: what takes longer still is no matter
/// of size, and smaller dispatches would not help.
const PREPARED: f64 = 3.0;

/// Steps of filling and of mixing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) fill: u32,
    pub(crate) mix: u32,
}

/// How long dispatches should take, and what is known of the steps in them.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    target: f64,
    fill: Cost,
    mix: Cost,
}

/// What a step costs, in seconds.
#[derive(Clone, Debug)]
struct Cost {
    /// What was measured, the newest last.
    measured: VecDeque<f64>,
    /// What is assumed as long as that is empty; above zero, whatever clocks say.
    assumed: f64,
    /// The first measurement is for the compiler, and for fresh memory.
    compiled: bool,
}

impl Pace {
    /// A pace for dispatches of this length.
    pub(super) fn new(target: Duration) -> Self {
        let target = target.as_secs_f64().max(1e-4);
        let cost = Cost { measured: VecDeque::new(), assumed: target / FIRST, compiled: false };
        Self { target, fill: cost.clone(), mix: cost }
    }

    /// How much of `left` goes into the next dispatch: at least one step. Steps of both kinds only
    /// if all that is left fits, so that it shows what each kind costs.
    pub(super) fn next(&self, left: Steps) -> Steps {
        let share = f64::from(left.fill) / self.fill.fit(self.target)
            + f64::from(left.mix) / self.mix.fit(self.target);
        if share <= 1.0 {
            left
        } else if left.fill > 0 {
            Steps { fill: even(left.fill, self.fill.fit(self.target)), mix: 0 }
        } else {
            Steps { fill: 0, mix: even(left.mix, self.mix.fit(self.target)) }
        }
    }

    /// Learns from a dispatch.
    pub(super) fn learn(&mut self, steps: Steps, took: Duration) {
        let (took, fill, mix) = (took.as_secs_f64(), f64::from(steps.fill), f64::from(steps.mix));
        match (steps.fill, steps.mix) {
            (0, 0) => {}
            (_, 0) => self.fill.learn(took / fill),
            (0, _) => self.mix.learn(took / mix),
            _ => {
                // Which of the two was cheaper cannot be told, and need not: all of it fitted.
                let expected = fill * self.fill.usual() + mix * self.mix.usual();
                let factor = (took / expected).max(1.0);
                self.fill.learn(self.fill.usual() * factor);
                self.mix.learn(self.mix.usual() * factor);
            }
        }
    }

    /// Expects each step to cost `factor` times as much, for that much more work is in it.
    pub(super) fn scale(&mut self, factor: f64) {
        self.fill.scale(factor);
        self.mix.scale(factor);
    }

    /// The seconds that a whole batch of N steps of each kind takes.
    pub(super) fn batch(&self, n: u32) -> f64 {
        f64::from(n) * (self.fill.usual() + self.mix.usual())
    }
}

impl Cost {
    /// The middle one of the last three, so that one that is out of the way is not followed, but
    /// two are.
    fn usual(&self) -> f64 {
        let mut last = self.measured.iter().rev().copied();
        match (last.next(), last.next(), last.next()) {
            (Some(a), Some(b), Some(c)) => a.max(b).min(a.min(b).max(c)),
            (Some(a), Some(b), None) => a.max(b),
            (Some(a), ..) => a,
            (None, ..) => self.assumed,
        }
    }

    /// How many steps a dispatch has room for; a fraction where it is too short for one.
    fn fit(&self, target: f64) -> f64 {
        let usual = self.usual();
        let dearest = self.measured.iter().copied().fold(usual, f64::max);
        (target / usual).min(LATE * target / dearest.min(PREPARED * usual))
    }

    fn learn(&mut self, cost: f64) {
        if !self.compiled {
            self.compiled = true;
            return;
        }
        let least = self.usual() / GROWTH;
        if cost < least {
            // What was thought so far was far off, and this is not yet the whole truth.
            self.measured.clear();
            self.assumed = least;
            return;
        }
        if self.measured.len() == REMEMBERED {
            self.measured.pop_front();
        }
        self.measured.push_back(cost);
    }

    fn scale(&mut self, factor: f64) {
        if !self.measured.is_empty() {
            self.assumed = self.usual() * factor;
            self.measured.clear();
        }
    }
}

/// A share of `left` that is at least one and, beyond that, at most `fit`: all shares about equal,
/// for a small one at the end would cost as much to queue as a large one.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn even(left: u32, fit: f64) -> u32 {
    let most = fit.floor().clamp(1.0, f64::from(left)) as u32;
    left.div_ceil(left.div_ceil(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: Steps = Steps { fill: 8192, mix: 8192 };

    /// A device whose steps cost these seconds.
    fn run(pace: &mut Pace, fill: f64, mix: f64) -> Vec<f64> {
        let mut left = LEFT;
        let mut times = Vec::new();
        while left != Steps::default() {
            let steps = pace.next(left);
            assert!(steps != Steps::default());
            let took = f64::from(steps.fill) * fill + f64::from(steps.mix) * mix;
            pace.learn(steps, Duration::from_secs_f64(took));
            times.push(took);
            left.fill -= steps.fill;
            left.mix -= steps.mix;
        }
        times
    }

    #[test]
    fn dispatches_come_to_take_the_time_they_should() {
        // From a fast device to one a hundred times slower.
        for cost in [1e-6, 1e-5, 1e-4] {
            let mut pace = Pace::new(Duration::from_millis(50));
            let first = run(&mut pace, cost, 2.0 * cost);
            assert!(first.iter().all(|time| *time < 0.075), "not even at first: {first:?}");
            let times = run(&mut pace, cost, 2.0 * cost);
            assert!(times.iter().all(|time| *time < 0.055), "{times:?}");
            // No more dispatches than it takes.
            let fewest = [cost, 2.0 * cost].map(|cost| (8192.0 * cost / 0.05).ceil());
            assert!(times.len() as f64 <= fewest.iter().sum(), "{times:?}");
        }
    }

    #[test]
    fn a_slow_device_gets_a_step_at_a_time() {
        let mut pace = Pace::new(Duration::from_millis(10));
        let times = run(&mut pace, 0.1, 0.1);
        // The first two dispatches of each kind are 16 steps long, for nothing is known yet.
        assert_eq!(times.len() as u32 + 4 * 15, LEFT.fill + LEFT.mix);
    }

    #[test]
    fn a_small_batch_is_one_dispatch() {
        let mut pace = Pace::new(Duration::from_millis(50));
        run(&mut pace, 1e-6, 1e-6);
        let left = Steps { fill: 512, mix: 512 };
        assert_eq!(pace.next(left), left);
        // And no longer is, once it turns out to be long.
        for _ in 0..2 {
            pace.learn(left, Duration::from_millis(100));
        }
        assert_eq!(pace.next(left).mix, 0);
    }

    #[test]
    fn one_measurement_does_not_turn_its_head() {
        let mut pace = Pace::new(Duration::from_millis(50));
        for _ in 0..2 {
            pace.learn(Steps { fill: 16, mix: 0 }, Duration::ZERO);
        }
        assert!(pace.next(LEFT).fill <= 8 * 16);
    }

    #[test]
    fn the_compiler_s_time_teaches_nothing() {
        let mut pace = Pace::new(Duration::from_millis(50));
        pace.learn(Steps { fill: 16, mix: 0 }, Duration::from_secs(9));
        assert_eq!(pace.next(LEFT).fill, 16);
    }

    #[test]
    fn shares_are_even_and_fit() {
        for left in [1, 2, 15, 16, 17, 100, 8192] {
            for fit in [0.01, 1.0, 1.9, 16.0, 33.3, 1e9] {
                let (mut rest, mut shares) = (left, Vec::new());
                while rest > 0 {
                    shares.push(even(rest, fit));
                    rest -= shares[shares.len() - 1];
                }
                let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
                assert!(f64::from(*most) <= fit.max(1.0) && most - least <= 1, "{shares:?}");
            }
        }
    }

    /// A device in virtual time, used by two dispatches at once, so that what is learned comes a
    /// dispatch late. Its step costs change.
    struct Model {
        pace: Pace,
        /// The length of each dispatch, in targets.
        took: Vec<f64>,
        random: u64,
    }

    impl Model {
        /// Runs `dispatches` where a step costs what `cost` says of the number of a dispatch and
        /// of a random number in 0..1.
        fn run(dispatches: usize, target: f64, cost: impl Fn(usize, f64) -> f64) -> Self {
            let pace = Pace::new(Duration::from_secs_f64(target));
            let mut model = Self { pace, took: Vec::new(), random: 7 };
            let (mut left, mut flying) = (LEFT, VecDeque::new());
            while model.took.len() < dispatches {
                while flying.len() < 2 {
                    let steps = model.pace.next(left);
                    left = Steps { fill: left.fill - steps.fill, mix: left.mix - steps.mix };
                    if left == Steps::default() {
                        left = LEFT;
                    }
                    flying.push_back(steps);
                }
                let steps = flying.pop_front().unwrap();
                let step = cost(model.took.len(), model.chance());
                // Mixing is dearer than filling.
                let took = step * f64::from(steps.fill + 2 * steps.mix) + 1e-4;
                model.pace.learn(steps, Duration::from_secs_f64(took));
                model.took.push(took / target);
            }
            model
        }

        fn chance(&mut self) -> f64 {
            // Steele and Vigna's SplitMix64.
            self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.random;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }

        /// The mean and the 99th percentile after warm-up.
        fn mean_and_late(&self) -> (f64, f64) {
            let mut took = self.took[100..].to_vec();
            took.sort_by(f64::total_cmp);
            (took.iter().sum::<f64>() / took.len() as f64, took[took.len() * 99 / 100])
        }
    }

    /// Ten per cent up and down.
    fn noise(chance: f64) -> f64 {
        0.9 + 0.2 * chance.fract()
    }

    #[test]
    fn one_dispatch_in_a_hundred_may_be_late() {
        let compiling = |number, cost: f64| if number == 0 { 3.0 / 16.0 } else { cost };
        for (target, step) in [(0.05, 3e-5), (0.05, 3e-4), (0.01, 1e-5)] {
            let calm =
                Model::run(5000, target, |number, chance| compiling(number, step * noise(chance)));
            let (mean, late) = calm.mean_and_late();
            assert!(mean > 0.8 && late <= 1.2, "calm: {mean}, {late}");

            // Every tenth second or so, someone begins or ceases to use the device too.
            let shared = Model::run(5000, target, |number, chance| {
                let slow = if number / 250 % 2 == 1 { 2.0 } else { 1.0 };
                compiling(number, step * slow * noise(chance))
            });
            let (mean, late) = shared.mean_and_late();
            assert!(mean > 0.6 && late <= 1.5, "shared: {mean}, {late}");

            // And one dispatch in twenty is three times as long as it should be.
            let jumpy = Model::run(5000, target, |number, chance| {
                let slow = if number / 250 % 2 == 1 { 2.0 } else { 1.0 };
                let jump = if chance < 0.05 { 3.0 } else { 1.0 };
                compiling(number, step * slow * jump * noise(20.0 * chance))
            });
            let (mean, late) = jumpy.mean_and_late();
            assert!(mean > 0.4 && late <= 1.5, "jumpy: {mean}, {late}");
        }
    }

    /// What takes long whatever its size does not make dispatches smaller and smaller.
    #[test]
    fn a_delay_that_is_no_matter_of_size_does_no_harm() {
        let mut pace = Pace::new(Duration::from_millis(50));
        for number in 0..1000 {
            let steps = pace.next(LEFT);
            let delay = if number % 10 == 0 { 0.5 } else { 0.0 };
            pace.learn(steps, Duration::from_secs_f64(1e-5 * f64::from(steps.fill) + delay));
            assert!(number < 10 || steps.fill > 5000 * 4 / 10, "{number}: {steps:?}");
        }
    }

    #[test]
    fn more_work_in_a_step_is_reckoned_with_at_once() {
        let mut pace = Pace::new(Duration::from_millis(50));
        run(&mut pace, 1e-4, 1e-4);
        let before = pace.next(LEFT).fill;
        pace.scale(2.0);
        assert!(pace.next(LEFT).fill.abs_diff(before / 2) <= before / 20);
    }
}
