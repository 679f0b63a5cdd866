//! How many labels are in flight: more and more while the rate still rises and memory is to be had.

/// The rate must rise by this much for more memory to be worth it.
const WORTH: f64 = 1.03;

/// The search for the number of labels in flight. Ask [`Memory::next`] after each batch.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// Labels in flight, and their rate, of the best number so far.
    best: Option<(u32, f64)>,
    /// No number from this on: it could not be allocated, or the caller does not want it.
    bound: u32,
    settled: bool,
}

impl Memory {
    /// A search among at most `most` labels.
    pub(super) fn new(most: u32) -> Self {
        Self { best: None, bound: most.saturating_add(1), settled: false }
    }

    /// No search: the number that is there stays.
    pub(super) fn settled() -> Self {
        Self { best: None, bound: u32::MAX, settled: true }
    }

    /// Whether the number will not change any more.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// With `labels` in flight the device made `rate` labels a second. Returns the number to go on
    /// with, if it is another.
    pub(super) fn measured(&mut self, labels: u32, rate: f64) -> Option<u32> {
        if self.settled {
            return None;
        }
        match self.best {
            Some((best, best_rate)) if rate < best_rate * WORTH => {
                self.settled = true;
                Some(best).filter(|best| *best != labels)
            }
            _ => {
                self.best = Some((labels, rate));
                self.try_more(labels.saturating_mul(2))
            }
        }
    }

    /// `labels` could not be allocated. Returns the number to try instead; `None` if there is none.
    pub(super) fn refused(&mut self, labels: u32) -> Option<u32> {
        self.bound = self.bound.min(labels);
        let Some((best, _)) = self.best.filter(|(best, _)| *best < labels) else {
            return Some(labels / 2).filter(|half| *half > 0);
        };
        // Half of the step, as long as that leaves an eighth of what could not be had.
        let halfway = best + (labels - best) / 2;
        let worth = best + best / 8;
        if !self.settled && (worth..=labels - labels / 8).contains(&halfway) {
            return Some(halfway);
        }
        self.settled = true;
        Some(best)
    }

    fn try_more(&mut self, labels: u32) -> Option<u32> {
        let best = self.best.map_or(0, |(best, _)| best);
        let more = labels.min(self.bound - 1);
        // Beside a bound, there may be less than a doubling left.
        if more < best + best / 8 {
            self.settled = true;
            return None;
        }
        Some(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches from `start` on a device with room for `room` labels, whose rate rises until
    /// `enough` are in flight. Returns where it ends and what it tried.
    fn search(start: u32, most: u32, room: u32, enough: u32) -> (Option<u32>, Vec<u32>) {
        let mut memory = Memory::new(most);
        let (mut labels, mut tried) = (start, Vec::new());
        loop {
            tried.push(labels);
            assert!(tried.len() < 50, "{tried:?}");
            if labels > room {
                match memory.refused(labels) {
                    Some(less) => labels = less,
                    None => return (None, tried),
                }
            } else {
                match memory.measured(labels, f64::from(labels.min(enough))) {
                    Some(other) => labels = other,
                    None if memory.is_settled() => return (Some(labels), tried),
                    None => {}
                }
            }
        }
    }

    #[test]
    fn grows_while_the_rate_rises() {
        assert_eq!(search(64, u32::MAX - 1, u32::MAX, 1024).0, Some(1024));
        assert_eq!(search(64, u32::MAX - 1, u32::MAX, 1).0, Some(64));
    }

    #[test]
    fn halves_the_step_when_memory_is_refused_and_leaves_some() {
        for room in [65, 100, 127, 1000, 1500, 5000, 1 << 20] {
            let (found, tried) = search(64, u32::MAX - 1, room, u32::MAX);
            let found = found.unwrap();
            assert!(found <= room && found > room / 2, "{room}: {tried:?}");
        }
    }

    #[test]
    fn a_start_that_is_too_large_is_halved() {
        assert_eq!(search(4096, 4096, 1000, u32::MAX).0.map(|found| found >= 512), Some(true));
        assert_eq!(search(64, 4096, 0, u32::MAX).0, None);
    }

    #[test]
    fn stays_within_what_the_caller_allows() {
        let (found, tried) = search(64, 1000, u32::MAX, u32::MAX);
        assert_eq!(found, Some(1000));
        assert!(tried.iter().all(|labels| *labels <= 1000));
    }

    #[test]
    fn what_is_settled_stays() {
        let mut memory = Memory::settled();
        assert_eq!(memory.measured(64, 1.0), None);
        assert!(memory.is_settled());
    }
}
