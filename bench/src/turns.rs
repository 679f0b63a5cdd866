//! Work and limit measured in turns, in slices: whatever slows the machine slows both.

use crate::outcome::{Failure, Result};
use crate::stats::Summary;
use std::thread;
use std::time::{Duration, Instant};

/// How a measurement is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turns {
    /// Time for the work, all slices together.
    pub(crate) length: Duration,
    /// The longest slice of it.
    pub(crate) slice: Duration,
    /// How long a slice of the limit is beside one of the work.
    pub(crate) limit_share: f64,
}

/// What came out: rates of the slices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) work: Summary,
    pub(crate) limit: Summary,
    /// Seconds that the work took.
    pub(crate) seconds: f64,
}

impl Turns {
    /// Measures; both closures get a slice's length and return the rate that they saw.
    pub(crate) fn measure(
        &self,
        mut work: impl FnMut(Duration) -> Result<f64>,
        mut limit: impl FnMut(Duration) -> Result<f64>,
    ) -> Result<Rates> {
        let count = self.count();
        let slice = self.length / count;
        let (mut rates, mut limits, mut seconds) = (Vec::new(), Vec::new(), 0.0);
        for _ in 0..count {
            limits.push(limit(slice.mul_f64(self.limit_share))?);
            let start = Instant::now();
            rates.push(work(slice)?);
            seconds += start.elapsed().as_secs_f64();
        }
        let of = |values: &[f64]| Summary::of(values).ok_or(Failure::usage("nothing to measure"));
        Ok(Rates { work: of(&rates)?, limit: of(&limits)?, seconds })
    }

    /// How long all of it will take.
    pub(crate) fn expected(&self) -> Duration {
        self.length.mul_f64(1.0 + self.limit_share)
    }

    /// Slices: two at the least.
    fn count(&self) -> u32 {
        let count = self.length.as_secs_f64() / self.slice.as_secs_f64();
        (count.ceil() as u32).max(2)
    }
}

/// Does `step` until `length` is over, at least once; what it returns, summed, a second.
pub(crate) fn rate<E>(
    length: Duration,
    mut step: impl FnMut() -> core::result::Result<f64, E>,
) -> core::result::Result<f64, E> {
    let start = Instant::now();
    let mut done = 0.0;
    loop {
        done += step()?;
        let elapsed = start.elapsed();
        if elapsed >= length {
            return Ok(done / elapsed.as_secs_f64());
        }
    }
}

/// Runs `work` with every member, each on a thread of its own, and sums the rates.
pub(crate) fn on_threads<M: Send>(
    members: &mut [M],
    work: impl Fn(&mut M) -> Result<f64> + Sync,
) -> Result<f64> {
    let work = &work;
    thread::scope(|scope| {
        let threads: std::io::Result<Vec<_>> = members
            .iter_mut()
            .map(|member| thread::Builder::new().spawn_scoped(scope, move || work(member)))
            .collect();
        let rates = threads?
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        rates.sum()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_limit_take_turns() {
        let second = Duration::from_secs(1);
        let turns = Turns { length: second * 3, slice: second, limit_share: 0.25 };
        let calls = core::cell::RefCell::new(Vec::new());
        let rates = turns.measure(
            |slice| {
                calls.borrow_mut().push(slice);
                Ok(f64::from(calls.borrow().len() as u32))
            },
            |slice| {
                calls.borrow_mut().push(slice);
                Ok(7.0)
            },
        );
        let (work, limit) = (second, second / 4);
        assert_eq!(*calls.borrow(), [limit, work, limit, work, limit, work]);
        let rates = rates.unwrap();
        assert_eq!((rates.work.min, rates.work.median, rates.work.max), (2.0, 4.0, 6.0));
        assert_eq!(rates.limit.median, 7.0);
        assert_eq!(turns.expected(), second * 15 / 4);
    }

    #[test]
    fn a_short_measurement_has_two_slices() {
        let length = Duration::from_millis(10);
        let turns = Turns { length, slice: Duration::from_secs(1), limit_share: 1.0 };
        assert_eq!(turns.count(), 2);
    }

    #[test]
    fn rates_of_threads_add_up() {
        let mut members = [1.0, 2.0, 3.0];
        assert_eq!(on_threads(&mut members, |member| Ok(*member)).unwrap(), 6.0);
        let failing = on_threads(&mut members, |_| Err(Failure::usage("no")));
        assert!(matches!(failing, Err(Failure::Usage(_))));
    }
}
