//! Label files read a block at a time, which is what a slot of the manifest covers, whatever of
//! them can be read.

use crate::directory::open_to_read;
use crate::disk::DiskFile;
use crate::error::PlotError;
use crate::layout::LABEL;
use crate::manifest::{BLOCK_LABELS, end_of_block};
use crate::set::DataSet;
use core::ops::Range;
use std::path::PathBuf;

/// What a block is read in when it cannot be read at once: the sectors of a disk are no larger.
pub(crate) const PAGE_LABELS: u64 = 4096 / LABEL;

/// Some labels of a block, as they are on disk.
#[derive(Debug)]
pub struct Block {
    /// The label file that they are in.
    pub file: u64,
    /// Which block of the file.
    pub number: u64,
    /// The labels, those that could not be read among them.
    pub labels: Range<u64>,
    /// Their bytes, 16 a label; zeros where they could not be read.
    pub bytes: Vec<u8>,
    /// Labels that could not be read, ascending.
    pub gaps: Vec<Range<u64>>,
    /// Why they could not.
    pub fault: Option<PlotError>,
}

impl Block {
    /// The bytes of some of its labels; none where they are not all in it or not all readable.
    #[must_use]
    pub fn readable(&self, labels: &Range<u64>) -> Option<&[u8]> {
        let apart = |gap: &Range<u64>| gap.end <= labels.start || labels.end <= gap.start;
        let at = self.place_of(labels).filter(|_| self.gaps.iter().all(apart))?;
        self.bytes.get(at)
    }

    /// Where labels lie in the bytes.
    fn place_of(&self, labels: &Range<u64>) -> Option<Range<usize>> {
        let at = |label: u64| {
            let labels = label.checked_sub(self.labels.start)?;
            usize::try_from(labels.checked_mul(LABEL)?).ok()
        };
        Some(at(labels.start)?..at(labels.end)?)
    }

    /// Puts other labels into memory, from label `first` on; they count as readable.
    pub(crate) fn overwrite(&mut self, first: u64, labels: &[u8]) {
        let end = first.saturating_add(labels.len() as u64 / LABEL);
        if let Some(part) = self.place_of(&(first..end)).and_then(|at| self.bytes.get_mut(at)) {
            part.copy_from_slice(labels);
            let around =
                |gap: &Range<u64>| [gap.start..gap.end.min(first), gap.start.max(end)..gap.end];
            let gaps = self.gaps.iter().flat_map(around);
            self.gaps = gaps.filter(|gap| !gap.is_empty()).collect();
        }
    }

    /// The labels that could be read, in runs.
    pub fn runs(&self) -> impl Iterator<Item = Range<u64>> {
        let starts = core::iter::once(self.labels.start).chain(self.gaps.iter().map(|gap| gap.end));
        let ends = self.gaps.iter().map(|gap| gap.start).chain([self.labels.end]);
        starts.zip(ends).map(|(start, end)| start..end).filter(|run| !run.is_empty())
    }
}

/// Reads the blocks of one label file.
#[derive(Debug)]
pub struct Blocks {
    file: u64,
    first: u64,
    path: PathBuf,
    open: Box<dyn DiskFile>,
}

impl DataSet {
    /// A reader of the blocks of label file `file`.
    ///
    /// # Errors
    /// [`PlotError::Missing`] or the system's.
    pub fn blocks(&self, file: u64) -> Result<Blocks, PlotError> {
        let path = self.home(file)?.label_file(file);
        let open = open_to_read(&*self.disk, &path)?;
        Ok(Blocks { file, first: self.layout().labels_of(file).start, path, open })
    }

    /// Cuts labels of one file where its blocks end.
    pub fn by_block(&self, labels: Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
        let (file, _) = self.layout().place_of(labels.start);
        let first = self.layout().labels_of(file).start;
        let mut next = labels.start;
        core::iter::from_fn(move || {
            let part = next..end_of_block(first, next).min(labels.end);
            next = part.end;
            (!part.is_empty()).then_some(part)
        })
    }
}

impl Blocks {
    /// Reads labels of one block. What cannot be read at once is read page by page, so that a bad
    /// sector costs its page.
    #[must_use]
    pub fn read(&self, labels: Range<u64>) -> Block {
        let in_file = labels.start.saturating_sub(self.first);
        let length = usize::try_from((labels.end - labels.start) * LABEL).unwrap_or(0);
        let number = in_file / BLOCK_LABELS;
        let (bytes, gaps) = (vec![0; length], Vec::new());
        let mut block = Block { file: self.file, number, labels, bytes, gaps, fault: None };
        if self.open.read_exact_at(&mut block.bytes, in_file * LABEL).is_err() {
            self.read_pages(&mut block, in_file);
        }
        block
    }

    fn read_pages(&self, block: &mut Block, in_file: u64) {
        let (mut label, end) = (in_file, in_file + (block.labels.end - block.labels.start));
        let mut rest = block.bytes.as_mut_slice();
        while label < end {
            let next = ((label / PAGE_LABELS + 1) * PAGE_LABELS).min(end);
            let length = usize::try_from((next - label) * LABEL).unwrap_or(0);
            let (page, after) = rest.split_at_mut(length.min(rest.len()));
            rest = after;
            if let Err(error) = self.open.read_exact_at(page, label * LABEL) {
                page.fill(0);
                block.fault.get_or_insert_with(|| PlotError::io("read", &self.path)(error));
                let gap = self.first + label..self.first + next;
                match block.gaps.last_mut() {
                    Some(last) if last.end == gap.start => last.end = gap.end,
                    _ => block.gaps.push(gap),
                }
            }
            label = next;
        }
    }
}

#[cfg(test)]
mod tests;
