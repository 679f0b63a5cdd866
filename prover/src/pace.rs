//! Pace: how much of its time the work may take, so that the machine stays pleasant for people.
//!
//! Work is done in slices, and after each the thread that did it rests in proportion. What is cut
//! and where is the work's own affair; here is only how long to rest, and a rest that ends when
//! the user wants to stop.

use post::label::{Candidate, LabelFault};
use post::{LABEL_BYTES, LabelRange, Labeler};
use std::thread;
use std::time::{Duration, Instant};

/// How long a resting thread sleeps before it looks again whether to stop.
const NAP: Duration = Duration::from_millis(50);

/// The share of time for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    percent: u8,
}

impl Pace {
    /// No rest.
    pub(crate) const FULL: Self = Self { percent: 100 };

    /// Work for `percent` of the time, from 1 to 100.
    pub(crate) fn new(percent: u8) -> Self {
        Self { percent: percent.clamp(1, 100) }
    }

    /// Percent of the time that are for work.
    pub(crate) fn percent(self) -> u8 {
        self.percent
    }

    /// The share of the time that is for work, from 0.01 to 1.
    pub(crate) fn share(self) -> f64 {
        f64::from(self.percent) / 100.0
    }

    /// The rest that a slice of work has earned.
    fn earned(self, worked: Duration) -> Duration {
        worked * u32::from(100 - self.percent) / u32::from(self.percent)
    }

    /// Rests after a slice of work, for as long as it earned; wakes when `stop` says so.
    pub(crate) fn after(self, worked: Duration, stop: &dyn Fn() -> bool) {
        rest(self.earned(worked), stop, thread::sleep);
    }
}

fn rest(mut left: Duration, stop: &dyn Fn() -> bool, mut sleep: impl FnMut(Duration)) {
    while !left.is_zero() && !stop() {
        let nap = left.min(NAP);
        sleep(nap);
        left -= nap;
    }
}

/// How long a slice of labels should take: short for people, long beside the wait of the threads
/// for the last one.
const SLICE: Duration = Duration::from_millis(150);
/// Labels in the first slice, before the speed is known.
const SLICE_FIRST: u64 = 64;

/// A labeler that rests.
pub(crate) struct Paced {
    labeler: Box<dyn Labeler + Send>,
    pace: Pace,
    /// Labels in the next slice.
    slice: u64,
}

impl Paced {
    pub(crate) fn new(labeler: Box<dyn Labeler + Send>, pace: Pace) -> Self {
        Self { labeler, pace, slice: SLICE_FIRST }
    }

    /// Learns from how long a slice took; at most a doubling at a time.
    fn took(&mut self, labels: u64, time: Duration) {
        let fitting = labels as f64 * SLICE.as_secs_f64() / time.as_secs_f64().max(1e-6);
        self.slice = (fitting as u64).clamp(1, self.slice.saturating_mul(2));
    }
}

impl Labeler for Paced {
    fn fill(
        &mut self,
        range: LabelRange,
        out: &mut [u8],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Candidate>, LabelFault> {
        if self.pace == Pace::FULL {
            return self.labeler.fill(range, out, stop);
        }
        let (mut first, mut out, mut best) = (range.start, out, None);
        while first < range.end {
            // Whole batches: half of one takes a device as long.
            let slice = self.slice.max(1).next_multiple_of(self.batch().clamp(1, 1 << 32));
            let end = first.saturating_add(slice).min(range.end);
            let labels = end - first;
            let bytes = usize::try_from(labels).unwrap_or(usize::MAX).saturating_mul(LABEL_BYTES);
            let (slice, rest) = out.split_at_mut(bytes.min(out.len()));
            let start = Instant::now();
            best = Candidate::better(best, self.labeler.fill(first..end, slice, stop)?);
            let worked = start.elapsed();
            self.took(labels, worked);
            self.pace.after(worked, stop);
            (first, out) = (end, rest);
        }
        Ok(best)
    }

    fn kernel(&self) -> &str {
        self.labeler.kernel()
    }

    fn batch(&self) -> u64 {
        self.labeler.batch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cpu::Labels;
    use post::{Commitment, ScryptN};
    use std::cell::Cell;
    use std::num::NonZeroUsize;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn work_takes_its_share_of_the_time() {
        for percent in [1, 10, 50, 75, 99, 100] {
            let rest = Pace::new(percent).earned(SECOND);
            let share = 1.0 / (SECOND + rest).as_secs_f64();
            assert!((share * 100.0 - f64::from(percent)).abs() < 1e-6, "{percent}: {share}");
        }
        assert_eq!(Pace::new(100).earned(SECOND), Duration::ZERO);
        assert_eq!(Pace::new(0), Pace::new(1));
    }

    #[test]
    fn a_rest_is_as_long_as_earned_and_ends_on_request() {
        let slept = Cell::new(Duration::ZERO);
        let sleep = |nap| slept.set(slept.get() + nap);
        rest(SECOND + NAP / 3, &|| false, sleep);
        assert_eq!(slept.replace(Duration::ZERO), SECOND + NAP / 3);
        // The request comes while it sleeps: it is heeded within a tenth of a second.
        let asked = SECOND / 3;
        rest(3600 * SECOND, &|| slept.get() >= asked, sleep);
        assert!(slept.get() >= asked && slept.get() <= asked + SECOND / 10);
    }

    #[test]
    fn slices_become_as_long_as_they_should() {
        let n = ScryptN::new(2).unwrap();
        let labels = Labels::new(Commitment([1; 32]), n, NonZeroUsize::MIN);
        let mut paced = Paced::new(Box::new(labels), Pace::new(50));
        // A thousand labels a second.
        for _ in 0..10 {
            paced.took(paced.slice, Duration::from_millis(paced.slice));
        }
        assert_eq!(paced.slice, 150);
        // Much slower of a sudden, and a clock that stands still.
        paced.took(paced.slice, 1000 * SECOND);
        assert_eq!(paced.slice, 1);
        paced.took(1, Duration::ZERO);
        assert_eq!(paced.slice, 2);
    }

    #[test]
    fn rests_change_no_label() {
        let n = ScryptN::new(2).unwrap();
        let mut labels = Labels::new(Commitment([1; 32]), n, NonZeroUsize::MIN);
        let (mut whole, mut sliced) = (vec![0; 1000 * LABEL_BYTES], vec![0; 1000 * LABEL_BYTES]);
        let expected = labels.fill(7..1007, &mut whole, &|| false).unwrap();
        let mut paced = Paced::new(Box::new(labels), Pace::new(99));
        assert_eq!(paced.fill(7..1007, &mut sliced, &|| false).unwrap(), expected);
        assert_eq!(whole, sliced);
        let short = paced.fill(7..1007, &mut sliced[1..], &|| false);
        assert!(matches!(short, Err(LabelFault::Device(_))));
        let stopped = paced.fill(7..1007, &mut sliced, &|| true);
        assert!(matches!(stopped, Err(LabelFault::Stopped)));
    }
}
