//! Which labels are made again: a share of them, spread over everything, none to be foreseen.

use post::LabelRange;

/// Most labels made in a row: enough for every thread.
const RUN_LABELS: u64 = 256;
/// Runs that a sample is at least spread over.
const RUNS_MIN: u64 = 64;
/// Labels of the smallest sample: of a set with 1 % of its labels wrong, one in 30,000 shows none.
const LABELS_MIN: u64 = 1024;

/// Each file is cut into stretches, and of each stretch a run is made again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    seed: u64,
    run: u64,
    stretch: u64,
}

impl Sample {
    /// So many percent of `present` labels, at least [`LABELS_MIN`] of them; `seed` decides which.
    pub(crate) fn new(present: u64, percent: f64, seed: u64) -> Self {
        let share = (present as f64 * percent / 100.0).ceil();
        let wanted = (share as u64).max(LABELS_MIN).min(present).max(1);
        let run = (wanted / RUNS_MIN).clamp(1, RUN_LABELS);
        let stretch = u128::from(run) * u128::from(present.max(1)) / u128::from(wanted);
        let stretch = u64::try_from(stretch).unwrap_or(u64::MAX).max(run);
        Self { seed, run, stretch }
    }

    /// The sample among `part` of a file whose labels that are there are `present`; neighbours are
    /// joined.
    pub(crate) fn within(&self, present: &LabelRange, part: &LabelRange) -> Vec<LabelRange> {
        let mut runs: Vec<LabelRange> = Vec::new();
        let mut number = part.start.saturating_sub(present.start) / self.stretch;
        loop {
            let start = present.start.saturating_add(number.saturating_mul(self.stretch));
            let end = start.saturating_add(self.stretch).min(present.end);
            if start >= part.end || start >= end {
                return runs;
            }
            let run = self.run.min(end - start);
            let first = start + self.draw(start, end - start - run + 1);
            let both = first.max(part.start)..(first + run).min(part.end);
            match runs.last_mut() {
                _ if both.is_empty() => {}
                Some(last) if last.end == both.start => last.end = both.end,
                _ => runs.push(both),
            }
            number += 1;
        }
    }

    /// A number below `bound` for the stretch that begins at `start`, by `SplitMix64`.
    fn draw(&self, start: u64, bound: u64) -> u64 {
        let mut mixed = self.seed.wrapping_add(start.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn count(runs: &[LabelRange]) -> u64 {
        runs.iter().map(|run| run.end - run.start).sum()
    }

    #[test]
    fn all_means_every_label_once() {
        let sample = Sample::new(1700, 100.0, 7);
        assert_eq!(sample.within(&(0..1000), &(0..1000)), std::slice::from_ref(&(0..1000)));
        assert_eq!(
            sample.within(&(1000..1700), &(1100..1200)),
            std::slice::from_ref(&(1100..1200))
        );
    }

    #[test]
    fn a_fraction_is_spread_over_everything() {
        let all = 0..100_000;
        let runs = Sample::new(all.end, 5.0, 1).within(&all, &all);
        assert!((4900..=5200).contains(&count(&runs)), "{runs:?}");
        for stretch in 0..20 {
            let part = stretch * 5000..(stretch + 1) * 5000;
            assert!(runs.iter().any(|run| part.contains(&run.start)), "{part:?}");
        }
        assert_ne!(runs, Sample::new(all.end, 5.0, 2).within(&all, &all));
    }

    #[test]
    fn a_small_fraction_still_looks_at_a_thousand_labels_or_all() {
        let sampled = |present: u64, percent| {
            count(&Sample::new(present, percent, 3).within(&(0..present), &(0..present)))
        };
        assert_eq!(sampled(10, 0.001), 10);
        assert_eq!(sampled(1024, 0.1), 1024);
        assert!((1024..1200).contains(&sampled(100_000, 0.1)));
        assert!((1024..1200).contains(&sampled(1_000_000, 0.1)));
        let large = 1 << 26;
        let wanted = large / 1000;
        assert!((wanted..wanted + wanted / 50).contains(&sampled(large, 0.1)));
    }

    proptest! {
        /// However a file is cut, the same labels are made again.
        #[test]
        fn cuts_do_not_matter(
            start in 0_u64..1000, length in 0_u64..5000, cut in 0_u64..5000,
            percent in 0.01_f64..100.0, seed: u64,
        ) {
            let present = start..start + length;
            let cut = (start + cut).min(present.end);
            let sample = Sample::new(10_000, percent, seed);
            let whole: Vec<u64> = sample.within(&present, &present).into_iter().flatten().collect();
            let parts = [start..cut, cut..present.end];
            let parts = parts.iter().flat_map(|part| sample.within(&present, part));
            prop_assert_eq!(whole, parts.flatten().collect::<Vec<_>>());
        }
    }
}
