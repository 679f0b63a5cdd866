//! Medians: what a few measurements on a noisy machine come to.

use serde::Serialize;

/// The middle and the ends of some values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// The summary of at least one value.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let upper = sorted.get(sorted.len() / 2)?;
        let lower = sorted.get((sorted.len() - 1) / 2)?;
        Some(Self { median: f64::midpoint(*lower, *upper), min, max })
    }

    /// Every value changed alike.
    pub(crate) fn map(self, change: impl Fn(f64) -> f64) -> Self {
        let Self { median, min, max } = self;
        Self { median: change(median), min: change(min), max: change(max) }
    }

    /// The values as a result shows them.
    pub(crate) fn rounded(self) -> Self {
        self.map(rounded)
    }
}

/// The smallest value that so large a share of all do not exceed.
pub(crate) fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied()
}

/// Six digits: more than any measurement here is worth.
pub(crate) fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(Summary::of(&[]), None);
        let of = |values: &[f64]| {
            Summary::of(values).map(|Summary { median, min, max }| [median, min, max])
        };
        assert_eq!(of(&[2.0]), Some([2.0, 2.0, 2.0]));
        assert_eq!(of(&[5.0, 1.0, 2.0]), Some([2.0, 1.0, 5.0]));
        assert_eq!(of(&[4.0, 1.0, 2.0, 9.0]), Some([3.0, 1.0, 9.0]));
    }

    #[test]
    fn percentiles_are_values_that_were_there() {
        let values: Vec<_> = (1..=200).rev().map(f64::from).collect();
        let at = |share| percentile(&values, share);
        assert_eq!([at(0.0), at(0.5), at(0.99), at(1.0)], [1.0, 100.0, 198.0, 200.0].map(Some));
        assert_eq!((percentile(&[7.0], 0.99), percentile(&[], 0.5)), (Some(7.0), None));
    }

    #[test]
    fn six_digits_are_kept() {
        assert_eq!(rounded(1_234_567.8), 1_234_570.0);
        assert_eq!(rounded(0.001_234_567_8), 0.001_234_57);
        assert_eq!(rounded(0.0), 0.0);
    }
}
