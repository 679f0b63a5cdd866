//! Sets of labels: what was read, what was scanned, what is bad.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// A set of numbers as disjoint ranges that do not touch. In a file: a list of pairs, first number
/// and one past the last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds all numbers of a range.
    pub fn insert(&mut self, range: Range<u64>) {
        let Range { mut start, mut end } = range;
        if start >= end {
            return;
        }
        // From the last one that overlaps or touches to the first.
        while let Some((&other_start, &other_end)) = self.0.range(..=end).next_back() {
            if other_end < start {
                break;
            }
            self.0.remove(&other_start);
            start = start.min(other_start);
            end = end.max(other_end);
        }
        self.0.insert(start, end);
    }

    /// Whether every number of a range is in it.
    #[must_use]
    pub fn contains(&self, range: &Range<u64>) -> bool {
        range.is_empty() || self.first_absent(range.start) >= range.end
    }

    /// The first number from `start` on that is not in it.
    #[must_use]
    pub fn first_absent(&self, start: u64) -> u64 {
        let before = self.0.range(..=start).next_back();
        before.map_or(start, |(_, end)| start.max(*end))
    }

    /// How many numbers are in it.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.0.iter().map(|(start, end)| *start..*end)
    }
}

impl From<Vec<(u64, u64)>> for Ranges {
    fn from(pairs: Vec<(u64, u64)>) -> Self {
        pairs.into_iter().map(|(start, end)| start..end).collect()
    }
}

impl From<Ranges> for Vec<(u64, u64)> {
    fn from(ranges: Ranges) -> Self {
        ranges.0.into_iter().collect()
    }
}

impl FromIterator<Range<u64>> for Ranges {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        let mut all = Self::default();
        for range in ranges {
            all.insert(range);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set_of_numbers(
            pairs in proptest::collection::vec((0_u64..40, 0_u64..40), 0..12),
            (start, end) in (0_u64..42, 0_u64..42),
        ) {
            let ranges: Ranges = pairs.iter().map(|(start, end)| *start..*end).collect();
            let set: BTreeSet<u64> = pairs.iter().flat_map(|(start, end)| *start..*end).collect();
            prop_assert_eq!(ranges.count(), set.len() as u64);
            prop_assert_eq!(ranges.is_empty(), set.is_empty());
            prop_assert!(ranges.iter().flatten().eq(set.iter().copied()));
            prop_assert_eq!(ranges.contains(&(start..end)), (start..end).all(|n| set.contains(&n)));
            prop_assert_eq!(Some(ranges.first_absent(start)), (start..).find(|n| !set.contains(n)));
            let ends: Vec<_> = ranges.iter().map(|range| range.end).collect();
            prop_assert!(ranges.iter().skip(1).zip(ends).all(|(next, end)| next.start > end));
        }
    }
}
