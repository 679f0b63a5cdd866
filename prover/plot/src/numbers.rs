//! Numbers of label files: which of a data set's files a directory holds.

use serde_json::{Value, json};
use std::fmt;
use std::ops::Range;

/// Most ranges in a list that is read: a thousand times what assigning makes.
const RANGES_MAX: usize = 1 << 16;

/// A set of file numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileNumbers {
    /// Sorted, apart from one another, none empty.
    ranges: Vec<Range<u64>>,
}

impl FileNumbers {
    /// Whether `number` is among them.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        let after = self.ranges.partition_point(|range| range.start <= number);
        let before = after.checked_sub(1).and_then(|last| self.ranges.get(last));
        before.is_some_and(|range| range.contains(&number))
    }

    /// Adds a number.
    pub fn insert(&mut self, number: u64) {
        if self.contains(number) {
            return;
        }
        let at = self.ranges.partition_point(|range| range.start <= number);
        self.ranges.insert(at, number..number.saturating_add(1));
        self.ranges.dedup_by(|next, range| {
            let joined = range.end == next.start;
            if joined {
                range.end = next.end;
            }
            joined
        });
    }

    /// All of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.ranges.iter().cloned().flatten()
    }

    /// Their runs, ascending: the first and the last of each.
    pub fn runs(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.ranges.iter().map(|range| (range.start, range.end - 1))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// `[[first, last], …]`.
    pub(crate) fn to_json(&self) -> Value {
        self.runs().map(|(first, last)| json!([first, last])).collect()
    }

    /// What [`FileNumbers::to_json`] gave; `None` for anything else.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        let pairs = value.as_array().filter(|pairs| pairs.len() <= RANGES_MAX)?;
        let mut ranges: Vec<Range<u64>> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let [first, last] = pair.as_array()?.as_slice() else { return None };
            let (first, end) = (first.as_u64()?, last.as_u64()?.checked_add(1)?);
            let apart = ranges.last().is_none_or(|before| before.end < first);
            if first >= end || !apart {
                return None;
            }
            ranges.push(first..end);
        }
        Some(Self { ranges })
    }
}

impl From<Range<u64>> for FileNumbers {
    fn from(range: Range<u64>) -> Self {
        Self { ranges: if range.is_empty() { Vec::new() } else { vec![range] } }
    }
}

impl FromIterator<u64> for FileNumbers {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut all = Self::default();
        numbers.into_iter().for_each(|number| all.insert(number));
        all
    }
}

/// `0 to 15, 20`.
impl fmt::Display for FileNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.ranges.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { ", " })?;
            match range.end - range.start {
                1 => write!(f, "{}", range.start)?,
                _ => write!(f, "{} to {}", range.start, range.end - 1)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn they_read_well() {
        let numbers: FileNumbers = [3, 1, 2, 7, 0].into_iter().collect();
        assert_eq!(numbers.to_string(), "0 to 3, 7");
        assert_eq!(numbers.to_json(), json!([[0, 3], [7, 7]]));
        assert_eq!(FileNumbers::from(5..5), FileNumbers::default());
    }

    #[test]
    fn lists_that_say_a_thing_in_two_ways_are_refused() {
        for bad in ["[[3,2]]", "[[0,1],[2,3]]", "[[4,5],[0,1]]", "[[0]]", "[0]", "7", "[[0,-1]]"] {
            let value: Value = serde_json::from_str(bad).unwrap();
            assert_eq!(FileNumbers::from_json(&value), None, "{bad}");
        }
        let most = json!([[0, u64::MAX]]);
        assert_eq!(FileNumbers::from_json(&most), None);
    }

    proptest! {
        #[test]
        fn they_are_a_set(numbers in prop::collection::vec(0_u64..40, 0..60)) {
            let ours: FileNumbers = numbers.iter().copied().collect();
            let theirs: BTreeSet<u64> = numbers.into_iter().collect();
            prop_assert!(ours.iter().eq(theirs.iter().copied()));
            for number in 0..41 {
                prop_assert_eq!(ours.contains(number), theirs.contains(&number));
            }
            prop_assert_eq!(FileNumbers::from_json(&ours.to_json()), Some(ours));
        }
    }
}
