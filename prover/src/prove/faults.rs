//! What is wrong with the data, told to people: the first few faults one by one, all in a sum.

use plot::Ranges;
use post::LabelIndex;
use std::ops::Range;
use std::path::Path;

/// Faults that are told one by one: a dying disk has thousands.
const LINES_MAX: u32 = 16;

/// Faults of the data that a proof came upon.
#[derive(Debug, Default)]
pub(super) struct Faults {
    lines: u32,
    unreadable: Ranges,
    differing: Ranges,
    wrong: Ranges,
    /// What was told of these when they were last summed up.
    told: (u64, u64, u64),
}

impl Faults {
    /// Says something, unless too much was said.
    pub(super) fn say(&mut self, what: &str) {
        self.lines = self.lines.saturating_add(1);
        if self.lines <= LINES_MAX {
            tracing::warn!("{what}");
        }
        if self.lines == LINES_MAX {
            tracing::warn!("more faults are only counted from here on");
        }
    }

    /// Labels that cannot be read.
    pub(super) fn unreadable(&mut self, labels: Range<u64>, path: &Path, why: &str) {
        if !self.unreadable.contains(&labels) {
            let (range, path) = (spelled(&labels), path.display());
            self.say(&format!("{range} in {path} cannot be read ({why}): they are passed over"));
        }
        self.unreadable.insert(labels);
    }

    /// Labels that are not those that the manifest was made of.
    pub(super) fn differing(&mut self, labels: Range<u64>, path: &Path) {
        if !self.differing.contains(&labels) {
            let (range, path) = (spelled(&labels), path.display());
            self.say(&format!(
                "among {range} in {path} some are not those that were written (BLAKE3 says so)"
            ));
        }
        self.differing.insert(labels);
    }

    /// A label that is wrong on disk.
    pub(super) fn wrong(&mut self, index: LabelIndex, path: &Path) {
        let path = path.display();
        self.say(&format!("label {index} in {path} is wrong: it is left out of the proof"));
        self.wrong.insert(index.0..index.0.saturating_add(1));
    }

    /// A label that is right on disk and was scanned as if it were another.
    pub(super) fn misread(&mut self, index: LabelIndex, path: &Path) {
        let path = path.display();
        self.say(&format!(
            "label {index} in {path} is right, but was not when it was scanned: memory, cable or \
             CPU of this machine err"
        ));
    }

    /// Says how much is wrong in all, and what to do; nothing if there is nothing new.
    pub(super) fn summarize(&mut self) {
        let sum = (self.unreadable.count(), self.differing.count(), self.wrong.count());
        if sum == self.told {
            return;
        }
        self.told = sum;
        let (unreadable, differing, wrong) = sum;
        tracing::warn!(
            "{unreadable} labels could not be read, {wrong} were found wrong, and {differing} lie \
             in blocks that changed since they were written: `check` lists them all, `repair` \
             makes them again"
        );
    }
}

fn spelled(labels: &Range<u64>) -> String {
    format!("labels {} to {}", labels.start, labels.end.saturating_sub(1).max(labels.start))
}
