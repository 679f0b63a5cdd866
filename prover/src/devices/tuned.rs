//! Labels by a GPU, with what is learned of it written down.

use super::tunings::{Entry, Key, Tunings};
use crate::worker::RemoteLabels;
use post::label::{Candidate, LabelFault};
use post::{LabelRange, Labeler};
use std::time::Instant;

/// Seconds of work that a rate is first told after; it is told again each time that they double.
const SECONDS_FIRST: f64 = 1.0;

/// A GPU that begins with what was found to be best, and leaves what it found.
pub(super) struct Tuned {
    remote: RemoteLabels,
    tunings: Option<Tunings>,
    key: Key,
    /// What is written down.
    entry: Option<Entry>,
    /// Labels made since the tuning was settled, and the seconds that took.
    labels: f64,
    seconds: f64,
    seconds_next: f64,
}

impl Tuned {
    pub(super) fn new(
        remote: RemoteLabels,
        tunings: Option<Tunings>,
        key: Key,
        entry: Option<Entry>,
    ) -> Self {
        let (labels, seconds, seconds_next) = (0.0, 0.0, SECONDS_FIRST);
        Self { remote, tunings, key, entry, labels, seconds, seconds_next }
    }

    /// Learns from a call that took so long. `was_settled`: the whole of it by the best tuning, on
    /// a device that was open.
    fn learn(&mut self, labels: u64, seconds: f64, was_settled: bool) {
        let (Some(tunings), Some(state)) = (&self.tunings, self.remote.state()) else {
            return;
        };
        if !state.settled {
            return;
        }
        if was_settled {
            self.labels += labels as f64;
            self.seconds += seconds;
        }
        let is_new = self.entry.as_ref().is_none_or(|entry| entry.tuning != state.tuning);
        let is_measured = self.seconds >= self.seconds_next;
        if is_measured {
            self.seconds_next = 2.0 * self.seconds;
        }
        if is_new || is_measured {
            let (key, tuning) = (self.key.clone(), state.tuning);
            let rate = is_measured.then(|| self.labels / self.seconds);
            tracing::debug!("{}: {rate:?} labels/s by {state:?}", self.key.device);
            let entry = Entry { key, tuning, labels_per_second: rate };
            if let Err(why) = tunings.keep(&entry) {
                tracing::warn!("what was learned of a device is not kept: {why}");
                self.tunings = None;
            }
            self.entry = Some(entry);
        }
    }
}

impl Labeler for Tuned {
    fn fill(
        &mut self,
        range: LabelRange,
        out: &mut [u8],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Candidate>, LabelFault> {
        let was_settled = self.remote.is_open() && self.remote.state().is_some_and(|it| it.settled);
        let (start, labels) = (Instant::now(), range.end.saturating_sub(range.start));
        let best = self.remote.fill(range, out, stop)?;
        self.learn(labels, start.elapsed().as_secs_f64(), was_settled);
        Ok(best)
    }

    fn kernel(&self) -> &str {
        self.remote.kernel()
    }

    fn batch(&self) -> u64 {
        self.remote.batch()
    }
}
