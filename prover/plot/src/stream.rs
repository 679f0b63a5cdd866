//! Reads labels for a scan: every physical disk from front to back, all disks at once.
//!
//! Each disk has a few threads that take its pieces in order, so that the disk always has the next
//! request and its heads go one way. They read past the page cache into memory that starts on a
//! page, which comes back when a piece is dropped: what is in flight is bounded, and a slow
//! consumer makes them wait. Nothing is mapped into memory, since a disk error would kill the
//! process. What cannot be read is left out of its piece ([`Piece::gaps`]) and stops nothing.

use crate::buffer::Buffer;
use crate::disk::{Access, Disk, DiskFile};
use crate::error::PlotError;
use crate::layout::LABEL;
use crate::piece::{Extent, PATIENCE, PIECE_BYTES, Piece, read_piece};
use crate::ranges::Ranges;
use crossbeam_channel::{Receiver, Sender, bounded, select_biased, unbounded};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Reads in flight on a disk.
const IN_FLIGHT: usize = 4;

/// So many pieces in a row of which nothing could be read, and the disk is taken to be gone or
/// dying: its pieces are still tried, each by one read, until one succeeds.
const LOST_IN_A_ROW: u32 = 16;

/// A set of which this many can lie in the memory that is free is read through the page cache: it
/// may be there already, and will be in the next pass.
const CACHED_SHARE: u64 = 4;

/// Pieces of labels as they come from their disks. Any number of threads may take them.
#[derive(Debug)]
pub struct Stream {
    pieces: Receiver<Piece>,
    closed: Receiver<()>,
    /// Never sent on: that it is dropped tells the readers and takers to end.
    close: Mutex<Option<Sender<()>>>,
}

impl Stream {
    /// Begins to read all labels of `extents` that are there, save pieces of which all labels are
    /// in `done`, for so many takers.
    ///
    /// # Errors
    /// [`PlotError::Io`] when the system gives no thread.
    pub fn open(
        disk: &Arc<dyn Disk>,
        extents: &[Arc<Extent>],
        done: &Ranges,
        takers: usize,
    ) -> Result<Self, PlotError> {
        let bytes =
            extents.iter().map(|extent| (extent.present.end - extent.present.start) * LABEL);
        let cached = bytes.sum::<u64>() <= free_memory() / CACHED_SHARE;
        let access = if cached { Access::Read } else { Access::Stream };
        let mut lanes: BTreeMap<Option<u64>, Vec<Arc<Extent>>> = BTreeMap::new();
        for extent in extents {
            // What cannot be looked at will not be read either, and shares a lane.
            let physical = disk.physical(&extent.path).ok();
            lanes.entry(physical).or_default().push(Arc::clone(extent));
        }
        let buffers = 2 * IN_FLIGHT + takers.div_ceil(lanes.len().max(1));
        let (filled, pieces) = unbounded();
        let (close, closed) = bounded(0);
        let stream = Self { pieces, closed, close: Mutex::new(Some(close)) };
        for extents in lanes.into_values() {
            let (home, free) = unbounded();
            for _ in 0..buffers {
                // Both ends are here: it is taken.
                let _ = home.send(Buffer::new(PIECE_BYTES));
            }
            let disk = Arc::clone(disk);
            let position = Position::new(extents, done.clone());
            let position = Mutex::new(position);
            let lane = Arc::new(Lane { disk, access, position, home, free });
            for _ in 0..IN_FLIGHT {
                let lane = Arc::clone(&lane);
                let (filled, closed) = (filled.clone(), stream.closed.clone());
                let reader = thread::Builder::new().name("reader".to_owned());
                reader
                    .spawn(move || lane.read(&filled, &closed))
                    .map_err(PlotError::io("start a thread to read", Path::new("labels")))?;
            }
        }
        Ok(stream)
    }

    /// The next piece, in the order of each disk; waits for it. `None` at the end, or when the
    /// stream was closed.
    #[must_use]
    pub fn next(&self) -> Option<Piece> {
        select_biased! {
            recv(self.closed) -> _ => None,
            recv(self.pieces) -> piece => piece.ok(),
        }
    }

    /// Whether no piece is waiting: the disks are slower than the takers.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Ends the stream at once. A read that the system has not answered is not waited for.
    pub fn close(&self) {
        self.close.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A physical disk.
#[derive(Debug)]
struct Lane {
    disk: Arc<dyn Disk>,
    access: Access,
    position: Mutex<Position>,
    home: Sender<Buffer>,
    free: Receiver<Buffer>,
}

/// Where the readers of a disk are.
#[derive(Debug)]
struct Position {
    /// What is left, the next one last.
    extents: Vec<Arc<Extent>>,
    /// The next label of that.
    next: u64,
    /// Its file, once it is open.
    file: Option<Arc<dyn DiskFile>>,
    done: Ranges,
    lost_in_a_row: u32,
}

impl Position {
    fn new(mut extents: Vec<Arc<Extent>>, done: Ranges) -> Self {
        extents.reverse();
        let next = extents.last().map_or(0, |extent| extent.present.start);
        Self { extents, next, file: None, done, lost_in_a_row: 0 }
    }

    /// The next piece that is not done.
    fn advance(&mut self) -> Option<(Arc<Extent>, Range<u64>)> {
        loop {
            let extent = Arc::clone(self.extents.last()?);
            while self.next < extent.present.end {
                let labels = extent.piece_at(self.next);
                self.next = labels.end;
                if !self.done.contains(&labels) {
                    return Some((extent, labels));
                }
            }
            self.leave();
        }
    }

    /// Goes on to the next file.
    fn leave(&mut self) {
        self.extents.pop();
        self.file = None;
        self.next = self.extents.last().map_or(0, |extent| extent.present.start);
    }
}

/// A piece that is to be read.
struct Order {
    extent: Arc<Extent>,
    labels: Range<u64>,
    file: Result<Arc<dyn DiskFile>, io::Error>,
    patience: u32,
}

impl Lane {
    /// One of the readers: takes orders until there are none, or nobody wants them.
    fn read(&self, filled: &Sender<Piece>, closed: &Receiver<()>) {
        loop {
            let buffer = select_biased! {
                recv(closed) -> _ => return,
                recv(self.free) -> buffer => buffer,
            };
            let (Ok(buffer), Some(order)) = (buffer, self.order()) else { return };
            if filled.send(self.fill(buffer, order)).is_err() {
                return;
            }
        }
    }

    fn position(&self) -> MutexGuard<'_, Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be read next. A file that cannot be opened is one piece without labels.
    fn order(&self) -> Option<Order> {
        let mut position = self.position();
        let (extent, labels) = position.advance()?;
        let lost = position.lost_in_a_row >= LOST_IN_A_ROW;
        let patience = if lost { 0 } else { PATIENCE };
        if let Some(file) = &position.file {
            let file = Ok(Arc::clone(file));
            return Some(Order { extent, labels, file, patience });
        }
        match self.disk.open(&extent.path, self.access) {
            Ok(file) => {
                let file: Arc<dyn DiskFile> = Arc::from(file);
                position.file = Some(Arc::clone(&file));
                Some(Order { extent, labels, file: Ok(file), patience })
            }
            Err(fault) => {
                position.leave();
                let labels = labels.start..extent.present.end;
                Some(Order { extent, labels, file: Err(fault), patience })
            }
        }
    }

    fn fill(&self, mut buffer: Buffer, order: Order) -> Piece {
        let Order { extent, labels, file, patience } = order;
        let offset = (labels.start - extent.labels.start) * LABEL;
        let (read, fault) = match file {
            Ok(file) => {
                let length = usize::try_from((labels.end - labels.start) * LABEL);
                let length = length.unwrap_or(usize::MAX).min(PIECE_BYTES);
                read_piece(&*file, offset, length, buffer.as_mut_slice(), patience)
            }
            Err(fault) => (Vec::new(), Some(fault)),
        };
        {
            let mut position = self.position();
            let lost = position.lost_in_a_row.saturating_add(1);
            position.lost_in_a_row = if read.is_empty() { lost } else { 0 };
        }
        let (disk, home) = (Arc::clone(&self.disk), self.home.clone());
        Piece { disk, extent, labels, buffer: Some(buffer), read, fault, home }
    }
}

/// Bytes of memory that programs could have; 0 where the system does not tell.
fn free_memory() -> u64 {
    let Ok(text) = std::fs::read_to_string("/proc/meminfo") else { return 0 };
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

#[cfg(test)]
mod tests;
