//! Ranges of labels that are not as they should be.

use plot::{FileState, PlotError};
use post::LabelRange;
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// A run of labels that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct BadRange {
    /// The first label.
    pub(crate) first: u64,
    /// The last one.
    pub(crate) last: u64,
    /// Where it is.
    pub(crate) file: String,
    pub(crate) why: Why,
}

/// What is wrong with labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Why {
    /// There, and wrong.
    Differs,
    /// Not there.
    Missing,
    /// There, and cannot be read.
    Unreadable,
    /// Bytes after the last label.
    Excess,
    /// There by the file's length alone: a power cut came before they were safe.
    Unconfirmed,
    /// What the manifest says of them is wrong.
    Manifest,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Differs => "differ",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::Excess => "bytes after the last label",
            Self::Unconfirmed => "unconfirmed: not yet safe when the power went",
            Self::Manifest => "the manifest is damaged there",
        })
    }
}

impl BadRange {
    pub(crate) fn new(labels: LabelRange, file: &Path, why: Why) -> Self {
        let last = labels.end.saturating_sub(1).max(labels.start);
        Self { first: labels.start, last, file: file.display().to_string(), why }
    }

    pub(crate) fn labels(&self) -> LabelRange {
        self.first..self.last.saturating_add(1)
    }
}

/// What is missing of a file, or too much.
pub(crate) fn absent(file: &FileState) -> Option<BadRange> {
    let (labels, why) = match file.complete() {
        Ok(()) => return None,
        Err(PlotError::Oversized { .. }) => (file.labels.clone(), Why::Excess),
        Err(PlotError::Unconfirmed { .. }) => (file.absent(), Why::Unconfirmed),
        Err(_) => (file.absent(), Why::Missing),
    };
    Some(BadRange::new(labels, &file.path, why))
}

/// Neighbours of one kind in one file, joined.
pub(crate) fn merged(mut bad: Vec<BadRange>) -> Vec<BadRange> {
    bad.sort_by_key(|range| (range.first, range.why as u8));
    let mut merged: Vec<BadRange> = Vec::new();
    for range in bad {
        let same = |last: &&mut BadRange| last.why == range.why && last.file == range.file;
        match merged.last_mut().filter(same) {
            Some(last) if last.last.saturating_add(1) >= range.first => {
                last.last = last.last.max(range.last);
            }
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_joined() {
        let range = |first, last, why| BadRange { first, last, file: "f".into(), why };
        let bad = vec![
            range(7, 7, Why::Differs),
            range(5, 5, Why::Differs),
            range(5, 6, Why::Differs),
            range(8, 9, Why::Missing),
        ];
        assert_eq!(merged(bad), [range(5, 7, Why::Differs), range(8, 9, Why::Missing)]);
    }
}
