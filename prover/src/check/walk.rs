//! Every block of a data set, read and compared with its slot, as fast as the disks give them.
//!
//! Each directory has threads of its own, which take its blocks in order. What they have read
//! waits in a short queue, so that a slow taker makes them wait. They are not joined: one that
//! hangs in a dying disk keeps nobody.

use plot::{BLOCK_LABELS, Block, Blocks, DataSet, FileNumbers, PlotError, Record, Slot};
use post::{LABEL_BYTES, LabelRange};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Threads of a directory: one reads while the other hashes.
const THREADS: usize = 2;
/// Blocks that wait, 1 MiB each.
const WAITING: usize = 8;
/// How often a taker that waits looks up.
const PATIENCE: Duration = Duration::from_millis(50);

/// A block that was read.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) block: Block,
    /// The labels of its file that are there.
    pub(crate) present: LabelRange,
    pub(crate) verdict: Verdict,
}

/// What its slot says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is as it was when the slot was written.
    Same,
    /// It is not.
    Differs,
    /// Another program made it, and nobody hashed it yet.
    Unknown,
    /// The slot is damaged.
    NoSlot,
    /// Some of it is not there, or cannot be read.
    Partial,
}

/// The blocks as they come.
#[derive(Debug)]
pub(crate) struct Walk(Receiver<Looked>);

impl Walk {
    /// Begins to read all labels of the set that are there.
    pub(crate) fn begin(set: &DataSet) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let whole = Arc::new(set.clone());
        for (_, files) in set.shares() {
            let lane = Lane { set: Arc::clone(&whole), position: Mutex::new(Position::new(files)) };
            let lane = Arc::new(lane);
            for _ in 0..THREADS {
                let (lane, sender) = (Arc::clone(&lane), sender.clone());
                let thread = thread::Builder::new().name("reader".into());
                thread.spawn(move || lane.read(&sender))?;
            }
        }
        Ok(Self(receiver))
    }

    /// The next block; `None` at the end, or when `stop` says so.
    pub(crate) fn next(&self, stop: &dyn Fn() -> bool) -> Option<Looked> {
        while !stop() {
            match self.0.recv_timeout(PATIENCE) {
                Ok(looked) => return Some(looked),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        None
    }
}

/// A directory that is read.
struct Lane {
    set: Arc<DataSet>,
    position: Mutex<Position>,
}

/// Where its threads are.
struct Position {
    /// Files that were not begun, the next one last.
    files: Vec<u64>,
    /// The file that is being read, and its labels that were not.
    now: Option<(u64, Record, LabelRange)>,
}

/// A block that is to be read.
struct Order {
    file: u64,
    present: LabelRange,
    labels: LabelRange,
    slot: Option<Slot>,
    /// What it means that there is no slot.
    without: Verdict,
}

impl Position {
    fn new(files: &FileNumbers) -> Self {
        let mut files: Vec<u64> = files.iter().collect();
        files.reverse();
        Self { files, now: None }
    }

    fn next(&mut self, set: &DataSet) -> Option<Order> {
        loop {
            if let Some((file, record, left)) = &mut self.now {
                let (file, present) = (*file, record.state.present());
                if let Some(labels) = set.by_block(left.clone()).next() {
                    left.start = labels.end;
                    let in_file = labels.start - present.start;
                    return Some(order(file, record, labels, in_file / BLOCK_LABELS));
                }
            }
            let file = self.files.pop()?;
            // A file that cannot be looked at was reported before any was read.
            self.now = match set.record(file) {
                Ok(record) if file < set.layout().files() => {
                    let present = record.state.present();
                    Some((file, record, present))
                }
                _ => None,
            };
        }
    }
}

fn order(file: u64, record: &mut Record, labels: LabelRange, block: u64) -> Order {
    let present = record.state.present();
    let slot = record.slot(block);
    let without = match record.is_torn(block) {
        Ok(false) if record.is_adopted(block) => Verdict::Unknown,
        _ => Verdict::NoSlot,
    };
    Order { file, present, labels, slot: slot.ok().flatten(), without }
}

impl Lane {
    /// One of the threads.
    fn read(&self, out: &SyncSender<Looked>) {
        let mut open: Option<(u64, Blocks)> = None;
        while let Some(order) = self.next() {
            let blocks = match open.take().filter(|(file, _)| *file == order.file) {
                Some((_, blocks)) => Ok(blocks),
                None => self.set.blocks(order.file),
            };
            let block = match blocks {
                Ok(blocks) => {
                    let (_, blocks) = open.insert((order.file, blocks));
                    blocks.read(order.labels.clone())
                }
                Err(fault) => unread(&order, fault),
            };
            let verdict = verdict(&order, &block);
            if out.send(Looked { block, present: order.present, verdict }).is_err() {
                return;
            }
        }
    }

    fn next(&self) -> Option<Order> {
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        position.next(&self.set)
    }
}

/// The block of a file that could not be opened.
fn unread(order: &Order, fault: PlotError) -> Block {
    let length = usize::try_from(order.labels.end - order.labels.start).unwrap_or(0) * LABEL_BYTES;
    let number = (order.labels.start - order.present.start) / BLOCK_LABELS;
    let (labels, gaps) = (order.labels.clone(), vec![order.labels.clone()]);
    Block { file: order.file, number, labels, bytes: vec![0; length], gaps, fault: Some(fault) }
}

fn verdict(order: &Order, block: &Block) -> Verdict {
    if !block.gaps.is_empty() {
        return Verdict::Partial;
    }
    match order.slot.map(|slot| slot.agrees(&block.bytes)) {
        Some(Some(true)) => Verdict::Same,
        Some(Some(false)) => Verdict::Differs,
        Some(None) => Verdict::Partial,
        None => order.without,
    }
}
