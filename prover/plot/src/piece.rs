//! What a scan reads: the labels that are there, file by file, and a mebibyte of them at a time.

use crate::buffer::{ALIGNMENT, Buffer};
use crate::disk::{Access, Disk, DiskFile};
use crate::error::PlotError;
use crate::layout::LABEL;
use crate::manifest::{BLOCK_LABELS, Manifest, end_of_block};
use crossbeam_channel::Sender;
use post::LABEL_BYTES;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes of a piece: a block of the manifest, so that one hash says whether it is what was written.
pub(crate) const PIECE_BYTES: usize = BLOCK_LABELS as usize * LABEL_BYTES;

/// Reads that may fail within a piece before what is left of it is not divided any more. Eight
/// find one bad sector; some disks take half a minute for each.
pub(crate) const PATIENCE: u32 = 64;

/// A label file as far as it can be read.
#[derive(Debug)]
pub struct Extent {
    /// The file. The first of its labels is at its first byte.
    pub path: PathBuf,
    /// The labels that belong in it.
    pub labels: Range<u64>,
    /// Those that are there: the first ones.
    pub present: Range<u64>,
    /// Why they are not all, or not known to be.
    pub fault: Option<PlotError>,
    pub(crate) manifest: Option<Manifest>,
}

impl Extent {
    /// The label with this number, as it is on disk.
    ///
    /// # Errors
    /// The system's, and [`io::ErrorKind::UnexpectedEof`] for a label that is not there.
    pub fn label(&self, disk: &dyn Disk, index: u64) -> io::Result<[u8; LABEL_BYTES]> {
        let in_file = index.checked_sub(self.labels.start).ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut label = [0; LABEL_BYTES];
        disk.open(&self.path, Access::Read)?.read_exact_at(&mut label, in_file * LABEL)?;
        Ok(label)
    }

    /// The pieces that it is read in.
    pub fn pieces(&self) -> impl Iterator<Item = Range<u64>> {
        let mut next = self.present.start;
        core::iter::from_fn(move || {
            let piece = self.piece_at(next);
            next = piece.end;
            (!piece.is_empty()).then_some(piece)
        })
    }

    /// The piece that begins with label `first`: to the end of its block, or of what is there.
    pub(crate) fn piece_at(&self, first: u64) -> Range<u64> {
        first..end_of_block(self.labels.start, first).min(self.present.end)
    }
}

/// Some labels of a file, in memory. Its memory is used again when it is dropped.
#[derive(Debug)]
pub struct Piece {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) extent: Arc<Extent>,
    pub(crate) labels: Range<u64>,
    /// `None` only where nothing was read, or while the piece is dropped.
    pub(crate) buffer: Option<Buffer>,
    /// The bytes of the buffer that were read, ascending; each a multiple of a label.
    pub(crate) read: Vec<Range<usize>>,
    pub(crate) fault: Option<io::Error>,
    /// Where the buffer goes.
    pub(crate) home: Sender<Buffer>,
}

impl Piece {
    /// The labels that it is about, those that could not be read among them.
    #[must_use]
    pub fn labels(&self) -> Range<u64> {
        self.labels.clone()
    }

    /// The file that they lie in.
    #[must_use]
    pub fn extent(&self) -> &Extent {
        &self.extent
    }

    /// The labels that were read: the number of the first, and the bytes.
    pub fn runs(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let bytes = self.buffer.as_ref().map(Buffer::as_slice).unwrap_or_default();
        let run = move |range: &Range<usize>| Some((range.start, bytes.get(range.clone())?));
        let runs = self.read.iter().filter_map(run);
        runs.map(|(start, bytes)| (self.labels.start + start as u64 / LABEL, bytes))
    }

    /// The labels that could not be read.
    #[must_use]
    pub fn gaps(&self) -> Vec<Range<u64>> {
        let label = |at: usize| self.labels.start + at as u64 / LABEL;
        let starts = core::iter::once(self.labels.start)
            .chain(self.read.iter().map(|range| label(range.end)));
        let ends = self.read.iter().map(|range| label(range.start));
        let gaps = starts.zip(ends.chain([self.labels.end])).map(|(start, end)| start..end);
        gaps.filter(|gap| !gap.is_empty()).collect()
    }

    /// Why some could not be read.
    #[must_use]
    pub fn fault(&self) -> Option<&io::Error> {
        self.fault.as_ref()
    }

    /// Whether the manifest vouches for these labels and says that they were others.
    #[must_use]
    pub fn differs_from_manifest(&self) -> bool {
        let (Some(manifest), [whole]) = (&self.extent.manifest, &self.read[..]) else {
            return false;
        };
        let in_file = self.labels.start - self.extent.labels.start;
        let (block, count) = (in_file / BLOCK_LABELS, self.labels.end - self.labels.start);
        if !in_file.is_multiple_of(BLOCK_LABELS) || whole.len() as u64 != count * LABEL {
            return false;
        }
        // A manifest that cannot be read says nothing.
        let Ok(Some(slot)) = manifest.slot(&*self.disk, block) else { return false };
        u64::from(slot.labels) == count
            && self.runs().any(|(_, bytes)| slot.agrees(bytes) == Some(false))
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            // Nobody reads any more: the memory goes.
            let _ = self.home.send(buffer);
        }
    }
}

/// Reads the first `length` bytes from `offset` on into a buffer that has room for them in whole
/// pages: what could be read, in whole labels, and the first reason why the rest could not.
///
/// What fails is read again in halves, down to a page, as long as `patience` lasts.
pub(crate) fn read_piece(
    file: &dyn DiskFile,
    offset: u64,
    length: usize,
    buffer: &mut [u8],
    patience: u32,
) -> (Vec<Range<usize>>, Option<io::Error>) {
    let mut reading = Reading { file, offset, patience, read: Vec::new(), fault: None };
    reading.part(buffer, 0, length.next_multiple_of(ALIGNMENT));
    let Reading { read, mut fault, .. } = reading;
    let whole = |range: &Range<usize>| {
        let end = range.end.min(length);
        range.start..end - end % LABEL_BYTES
    };
    let read: Vec<_> = read.iter().map(whole).filter(|range| !range.is_empty()).collect();
    if read.last().is_none_or(|last| last.end < length - length % LABEL_BYTES) {
        fault.get_or_insert_with(|| io::ErrorKind::UnexpectedEof.into());
    }
    (read, fault)
}

struct Reading<'a> {
    file: &'a dyn DiskFile,
    offset: u64,
    patience: u32,
    read: Vec<Range<usize>>,
    fault: Option<io::Error>,
}

impl Reading<'_> {
    /// Reads a part of the piece; `start` and `end` are multiples of a page.
    fn part(&mut self, buffer: &mut [u8], start: usize, end: usize) {
        let Some(part) = buffer.get_mut(start..end) else { return };
        match fill(self.file, self.offset + start as u64, part) {
            Ok(0) => {}
            Ok(count) => self.note(start..start + count),
            Err(fault) => {
                self.fault.get_or_insert(fault);
                if end - start > ALIGNMENT && self.patience > 0 {
                    self.patience -= 1;
                    let middle = start + ((end - start) / 2).next_multiple_of(ALIGNMENT);
                    self.part(buffer, start, middle);
                    self.part(buffer, middle, end);
                }
            }
        }
    }

    fn note(&mut self, range: Range<usize>) {
        match self.read.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.read.push(range),
        }
    }
}

/// Fills a buffer until it is full or the file ends; how much of it. Every read begins on a page,
/// so a read that ended within one is made again from its start.
fn fill(file: &dyn DiskFile, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let (mut filled, mut tail) = (0, 0);
    loop {
        let rest = buffer.get_mut(filled..).unwrap_or_default();
        let count = match file.read_at(rest, offset + filled as u64) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count?,
        };
        let whole = count - count % ALIGNMENT;
        if count == rest.len() || (whole == 0 && count <= tail) {
            return Ok(filled + count.max(tail));
        }
        filled += whole;
        tail = count - whole;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::Simulated;
    use proptest::prelude::*;
    use std::path::Path;

    const PAGE: usize = ALIGNMENT;

    fn file_of(disk: &Simulated, bytes: &[u8]) -> Box<dyn DiskFile> {
        let file = disk.open(Path::new("/d/f"), Access::Write).unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file
    }

    #[test]
    fn one_bad_sector_costs_one_page() {
        let disk = Simulated::default();
        let content: Vec<u8> = (0..256 * PAGE).map(|at| (at / 16 % 256) as u8).collect();
        let file = file_of(&disk, &content);
        disk.fail_reads(Path::new("/d/f"), 700 * 512..701 * 512);
        let mut buffer = Buffer::new(PIECE_BYTES);
        let (read, fault) = read_piece(&*file, 0, content.len(), buffer.as_mut_slice(), PATIENCE);
        assert_eq!(read, [0..87 * PAGE, 88 * PAGE..256 * PAGE]);
        assert!(fault.is_some());
        for range in read {
            assert_eq!(buffer.as_slice()[range.clone()], content[range]);
        }
        // Without patience it costs the piece.
        let (read, fault) = read_piece(&*file, 0, content.len(), buffer.as_mut_slice(), 0);
        assert_eq!((read, fault.is_some()), (vec![], true));
    }

    proptest! {
        /// Whatever cannot be read and wherever the file ends: all else is read, in whole labels.
        #[test]
        fn everything_readable_is_read(
            length in 1_usize..20 * PAGE,
            wanted in 1_usize..16 * PAGE,
            offset in 0_usize..4,
            bad in proptest::collection::vec(0_usize..20 * PAGE, 0..4),
        ) {
            let disk = Simulated::default();
            let content: Vec<u8> = (0..length).map(|at| (at % 253) as u8).collect();
            let file = file_of(&disk, &content);
            for at in &bad {
                disk.fail_reads(Path::new("/d/f"), *at as u64..*at as u64 + 1);
            }
            let mut buffer = Buffer::new(16 * PAGE);
            let offset = offset * PAGE;
            let (read, fault) =
                read_piece(&*file, offset as u64, wanted, buffer.as_mut_slice(), PATIENCE);
            let there = length.saturating_sub(offset).min(wanted) / 16 * 16;
            let lost = |at: usize| bad.iter().any(|bad| bad / PAGE == (offset + at) / PAGE);
            for at in 0..wanted {
                let covered = read.iter().any(|range| range.contains(&at));
                prop_assert_eq!(covered, at < there && !lost(at), "byte {}", at);
                if covered {
                    prop_assert_eq!(buffer.as_slice()[at], content[offset + at]);
                }
            }
            let all = read.iter().map(ExactSizeIterator::len).sum::<usize>() == wanted / 16 * 16;
            prop_assert!(all || fault.is_some());
        }
    }
}
