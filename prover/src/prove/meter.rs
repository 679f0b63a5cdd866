//! How fast a pass goes, whatever interrupts it: the median over stretches of time in which
//! anything was done. Pauses and a minute of other load do not count; load that lasts does, and
//! rests (`--duty`) do.

use std::time::Duration;

/// A stretch.
const STRETCH: Duration = Duration::from_secs(5);
/// Fewer tell nothing.
const LEAST: usize = 3;

/// The speed of a pass.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    /// When the stretch began, and the labels that were done then.
    from: Option<(Duration, u64)>,
    rates: Vec<f64>,
}

impl Meter {
    /// So many labels are done, by a time since any beginning.
    pub(super) fn note(&mut self, now: Duration, labels: u64) {
        let (start, before) = *self.from.get_or_insert((now, labels));
        let took = now.saturating_sub(start);
        if took >= STRETCH {
            let done = labels.saturating_sub(before);
            if done > 0 {
                self.rates.push(done as f64 / took.as_secs_f64());
            }
            self.from = Some((now, labels));
        }
    }

    /// Labels a second; `None` where it was too short to tell.
    pub(super) fn rate(mut self) -> Option<f64> {
        self.rates.sort_by(f64::total_cmp);
        self.rates.get(self.rates.len() / 2).copied().filter(|_| self.rates.len() >= LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second after the other, with so many labels in each.
    fn rate(labels: &[u64]) -> Option<f64> {
        let mut meter = Meter::default();
        let (mut now, mut done) = (Duration::from_secs(7), 1000);
        meter.note(now, done);
        for each in labels {
            now += Duration::from_secs(1);
            done += each;
            meter.note(now, done);
        }
        meter.rate()
    }

    #[test]
    fn pauses_and_short_load_do_not_count() {
        assert_eq!(rate(&[10; 14]), None);
        assert_eq!(rate(&[10; 15]), Some(10.0));
        let paused = [&[10; 10][..], &[0; 600], &[10; 10]].concat();
        assert_eq!(rate(&paused), Some(10.0));
        let disturbed = [&[10; 30][..], &[1; 10], &[10; 30]].concat();
        assert_eq!(rate(&disturbed), Some(10.0));
        let slower = [&[10; 30][..], &[4; 90]].concat();
        assert_eq!(rate(&slower), Some(4.0));
    }
}
