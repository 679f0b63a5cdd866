//! How much work goes into a dispatch, so that it takes the time it should: learned, not known.

use core::time::Duration;

/// The most a guess grows by one measurement, lest a lucky one freeze the desktop.
const GROWTH: f64 = 8.0;

/// Steps of the first dispatch: few enough for any device.
const FIRST: f64 = 16.0;

/// Steps of filling and of mixing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) fill: u32,
    pub(crate) mix: u32,
}

/// What a step costs, in seconds, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    target: f64,
    fill: f64,
    mix: f64,
    /// Whether the costs were measured, or are the careful ones of the start.
    learned: bool,
}

impl Pace {
    /// A pace for dispatches of this length.
    pub(super) fn new(target: Duration) -> Self {
        let target = target.as_secs_f64().max(1e-4);
        Self { target, fill: target / FIRST, mix: target / FIRST, learned: false }
    }

    /// How much of `left` goes into the next dispatch: at least one step. Steps of both kinds only
    /// if all that is left fits, so that it shows what each kind costs.
    pub(super) fn next(&self, left: Steps) -> Steps {
        let whole = f64::from(left.fill) * self.fill + f64::from(left.mix) * self.mix;
        if whole <= self.target {
            left
        } else if left.fill > 0 {
            Steps { fill: self.fit(self.fill, left.fill), mix: 0 }
        } else {
            Steps { fill: 0, mix: self.fit(self.mix, left.mix) }
        }
    }

    /// How many of `left` steps fit into a dispatch, at least one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
    fn fit(&self, cost: f64, left: u32) -> u32 {
        (self.target / cost).floor().clamp(1.0, f64::from(left)) as u32
    }

    /// Learns from a dispatch: its steps are as much dearer or cheaper as it took longer or
    /// shorter than was expected.
    pub(super) fn learn(&mut self, steps: Steps, took: Duration) {
        let expected = f64::from(steps.fill) * self.fill + f64::from(steps.mix) * self.mix;
        if expected <= 0.0 {
            return;
        }
        self.learned = true;
        let factor = (took.as_secs_f64() / expected).max(1.0 / GROWTH);
        match (steps.fill, steps.mix) {
            (_, 0) => self.fill *= factor,
            (0, _) => self.mix *= factor,
            // Which of the two was cheaper cannot be told, and need not: all of it fitted.
            _ => self.scale(factor.max(1.0)),
        }
    }

    /// Expects each step to cost `factor` times as much, for that much more work is in it.
    pub(super) fn scale(&mut self, factor: f64) {
        if self.learned {
            self.fill *= factor;
            self.mix *= factor;
        }
    }

    /// The seconds that a whole batch of N steps of each kind takes.
    pub(super) fn batch(&self, n: u32) -> f64 {
        f64::from(n) * (self.fill + self.mix)
    }
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
            // All but what is left at the end of each kind.
            let full = times.iter().filter(|time| **time > 0.045).count();
            assert!(full + 2 >= times.len(), "{times:?}");
        }
    }

    #[test]
    fn a_slow_device_gets_a_step_at_a_time() {
        let mut pace = Pace::new(Duration::from_millis(10));
        let times = run(&mut pace, 0.1, 0.1);
        // The first dispatch of each kind is 16 steps long, for nothing is known yet.
        assert_eq!(times.len() as u32 + 2 * 15, LEFT.fill + LEFT.mix);
    }

    #[test]
    fn a_small_batch_is_one_dispatch() {
        let mut pace = Pace::new(Duration::from_millis(50));
        run(&mut pace, 1e-6, 1e-6);
        let left = Steps { fill: 512, mix: 512 };
        assert_eq!(pace.next(left), left);
        // And no longer is, once it turns out to be long.
        pace.learn(left, Duration::from_millis(100));
        assert_eq!(pace.next(left).mix, 0);
    }

    #[test]
    fn one_measurement_does_not_turn_its_head() {
        let mut pace = Pace::new(Duration::from_millis(50));
        pace.learn(Steps { fill: 16, mix: 0 }, Duration::ZERO);
        assert!(pace.next(LEFT).fill <= 8 * 16);
    }
}
