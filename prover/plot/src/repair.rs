//! Wrong labels give way to right ones, and are kept.
//!
//! What is replaced is saved first, in the directory's `trash/N/`, until it is brought back
//! ([`undo`]) or purged. Then the manifest says what each block will be, and only then are the
//! labels written: whatever interrupts that, the block differs from its slot, so that the next
//! check sees it. A file's length never changes.
//!
//! `trash/N/entry.json` says what the entry is. Each `replaced_K` beside it holds records,
//! little-endian: a head of 32 bytes (`kind u32 ‖ reserved u32 ‖ label file u64 ‖ place u64 ‖
//! bytes u64`) and those bytes. Kind 1 is labels, kind 3 labels that could not be read and so have
//! no bytes to come back, both from label `place` of the file on; kind 2 is the slot of block
//! `place`. The last 32 bytes are the BLAKE3 of all before them.

use crate::block::Block;
use crate::directory::{Directory, label_file, open_to_read};
use crate::disk::{Access, Disk};
use crate::error::PlotError;
use crate::files;
use crate::layout::LABEL;
use crate::manifest::{BLOCK_LABELS, Manifest, Slot};
use crate::metadata::BadMetadata;
use crate::record::Record;
use crate::set::DataSet;
use crate::trash::{self, folder, next_number};
use post::LABEL_BYTES;
use serde_json::json;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

const VERSION: u32 = 1;
/// Most bytes in a file of replaced labels that is read: a few blocks more than any has.
const SAVED_BYTES_MAX: u64 = 1 << 28;
const HEAD_BYTES: usize = 32;
const HASH_BYTES: usize = 32;

const LABELS: u32 = 1;
const SLOT: u32 = 2;
const LOST: u32 = 3;

/// Right labels for one block of a label file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The file.
    pub file: u64,
    /// All labels of the block that are there.
    pub block: Range<u64>,
    /// Labels to be replaced: the number of the first, and the right bytes, 16 a label. Ascending
    /// and apart; none where only the manifest is wrong.
    pub labels: Vec<(u64, Vec<u8>)>,
    /// Whether every label of the block was made again, those that stay among them.
    pub verified: bool,
}

/// Labels that could not be replaced.
#[derive(Debug)]
pub struct Refused {
    /// Which.
    pub labels: Range<u64>,
    /// Why not.
    pub why: PlotError,
}

/// A repair under way: one entry in the trash of each directory that it changes.
#[derive(Debug)]
pub struct Repair<'a> {
    set: &'a DataSet,
    when_unix: u64,
    number: u64,
    /// How many files each directory's entry has.
    saved: BTreeMap<PathBuf, u64>,
}

impl<'a> Repair<'a> {
    /// A repair that began at `when_unix`. Nothing is written yet.
    ///
    /// # Errors
    /// The system's.
    pub fn begin(set: &'a DataSet, when_unix: u64) -> Result<Self, PlotError> {
        let mut number = 1;
        for path in set.paths() {
            number = number.max(next_number(&*set.disk, path)?);
        }
        Ok(Self { set, when_unix, number, saved: BTreeMap::new() })
    }

    /// Where the replaced labels are, so far.
    pub fn entries(&self) -> impl Iterator<Item = PathBuf> {
        self.saved.keys().map(|path| folder(path, self.number))
    }

    /// Replaces labels of one file, all patches at once; they are durable and read back when it
    /// returns. What the disk refuses to take is returned, and the rest is done.
    ///
    /// # Errors
    /// [`PlotError::NotAdopted`] before [`DataSet::adopt`]; the system's. Labels may then be
    /// replaced or not; the manifest says which are right.
    pub fn replace(&mut self, file: u64, patches: &[Patch]) -> Result<Vec<Refused>, PlotError> {
        let home = self.set.home(file)?;
        let record = self.set.record(file)?;
        let blocks = self.set.blocks(file)?;
        let mut saved = Vec::new();
        let mut slots = Vec::new();
        for patch in patches {
            let block = blocks.read(patch.block.clone());
            save_block(&mut saved, &record, patch, &block)?;
            slots.extend(new_slot(home.maker, &record, patch, block)?);
        }
        self.save(home, saved)?;
        if let (Some(_), Some(manifest)) = (&record.fault, &record.manifest) {
            manifest.mend_header(&*self.set.disk)?;
        }
        if !slots.is_empty() {
            self.set.vouch(file, &slots)?;
        }
        self.write(&record, patches)
    }

    /// Saves what is about to be replaced. Durable when it returns.
    fn save(&mut self, home: &Directory, mut bytes: Vec<u8>) -> Result<(), PlotError> {
        let (disk, folder) = (&*self.set.disk, folder(&home.path, self.number));
        let files = self.saved.entry(home.path.clone()).or_default();
        if *files == 0 {
            disk.create_directory(&folder).map_err(PlotError::io("create", &folder))?;
            files::sync_parent(disk, &folder)?;
            files::sync_parent(disk, &home.path.join(trash::FOLDER))?;
            let entry = json!({
                "version": VERSION, "what": "repair", "when_unix": self.when_unix, "files": [],
            });
            files::replace(disk, &folder.join(trash::FILE_NAME), format!("{entry}\n").as_bytes())?;
        }
        let hash = blake3::hash(&bytes);
        bytes.extend(hash.as_bytes());
        files::replace(disk, &folder.join(name_of(*files)), &bytes)?;
        *files += 1;
        Ok(())
    }

    /// Writes the labels, makes them durable and reads them back from the disk.
    fn write(&self, record: &Record, patches: &[Patch]) -> Result<Vec<Refused>, PlotError> {
        let (disk, path) = (&*self.set.disk, &record.state.path);
        let first = record.state.labels.start;
        let file = disk.open(path, Access::Write).map_err(PlotError::io("open", path))?;
        let mut refused = Vec::new();
        let parts = || patches.iter().flat_map(|patch| &patch.labels);
        let range = |start: u64, bytes: &[u8]| start..start + (bytes.len() / LABEL_BYTES) as u64;
        let mut written = Vec::new();
        for (start, bytes) in parts() {
            match file.write_all_at(bytes, (start - first) * LABEL) {
                Ok(()) => written.push((*start, bytes)),
                Err(error) => {
                    let why = PlotError::io("write", path)(error);
                    refused.push(Refused { labels: range(*start, bytes), why });
                }
            }
        }
        file.sync().map_err(PlotError::io("sync", path))?;
        file.forget();
        drop(file);
        let file = open_to_read(disk, path)?;
        for (start, bytes) in written {
            let mut there = vec![0; bytes.len()];
            let read = file.read_exact_at(&mut there, (start - first) * LABEL);
            let why = match read {
                Ok(()) if there == *bytes => continue,
                Ok(()) => PlotError::NotKept { path: path.clone(), first: start },
                Err(error) => PlotError::io("read back", path)(error),
            };
            refused.push(Refused { labels: range(start, bytes), why });
        }
        Ok(refused)
    }
}

/// Adds what a patch replaces to the bytes to be saved: its labels, as far as they can be read, and
/// the slot of its block.
fn save_block(
    saved: &mut Vec<u8>,
    record: &Record,
    patch: &Patch,
    block: &Block,
) -> Result<(), PlotError> {
    let first = record.state.labels.start;
    let mut put = |kind: u32, place: u64, count: u64, bytes: &[u8]| {
        saved.extend(kind.to_le_bytes());
        saved.extend([0; 4]);
        for number in [patch.file, place, count] {
            saved.extend(number.to_le_bytes());
        }
        saved.extend(bytes);
    };
    for (start, right) in &patch.labels {
        let end = start + (right.len() / LABEL_BYTES) as u64;
        for run in block.runs().chain(block.gaps.iter().cloned()) {
            let part = run.start.max(*start)..run.end.min(end);
            if part.is_empty() {
                continue;
            }
            let (place, bytes) = (part.start - first, (part.end - part.start) * LABEL);
            match block.readable(&part) {
                Some(old) => put(LABELS, place, bytes, old),
                None => put(LOST, place, bytes, &[]),
            }
        }
    }
    if let Some(manifest) = &record.manifest {
        let raw = manifest.raw_slot(record.disk(), block.number)?;
        put(SLOT, block.number, raw.len() as u64, &raw);
    }
    Ok(())
}

/// The slot of a block as it will be, where all of the block is known.
fn new_slot(
    maker: u16,
    record: &Record,
    patch: &Patch,
    mut block: Block,
) -> Result<Option<(u64, Slot)>, PlotError> {
    for (start, right) in &patch.labels {
        block.overwrite(*start, right);
    }
    if !block.gaps.is_empty() {
        return Ok(None);
    }
    let old = match &record.manifest {
        Some(manifest) => manifest.slot(record.disk(), block.number)?,
        None => None,
    };
    let adopted = !patch.verified && old.map_or(record.is_adopted(block.number), |old| old.adopted);
    // A slot that speaks of fewer labels than there are goes on to.
    let labels = old.map_or(u64::MAX, |old| u64::from(old.labels) * LABEL);
    let spoken_for = usize::try_from(labels).unwrap_or(usize::MAX).min(block.bytes.len());
    let slot = Slot::of(block.bytes.get(..spoken_for).unwrap_or_default(), maker);
    Ok(slot.map(|slot| (block.number, Slot { adopted, ..slot })))
}

/// Brings the labels back that a repair replaced, and what the manifest said of them; how many.
/// `directory` is the data directory, `entry` the entry's folder in its trash, which stays. Done
/// again it changes nothing. The caller holds the directory's lock.
///
/// # Errors
/// [`PlotError::Damaged`] where what was saved is not whole, [`PlotError::Short`] where a label
/// file is not as long any more, and nothing is then changed; the system's.
pub fn undo(disk: &dyn Disk, directory: &Path, entry: &Path) -> Result<u64, PlotError> {
    let mut saved = Vec::new();
    for number in 0.. {
        let path = entry.join(name_of(number));
        let Some(length) = disk.length(&path).map_err(PlotError::io("look at", &path))? else {
            break;
        };
        if length > SAVED_BYTES_MAX {
            return Err(damaged(&path));
        }
        let records = Saved::load(disk, &path, length)?;
        records.check(disk, directory, &path)?;
        saved.push((path, length));
    }
    let mut labels = 0;
    // The latest first, in case a block was replaced twice.
    for (path, length) in saved.into_iter().rev() {
        labels += Saved::load(disk, &path, length)?.put_back(disk, directory, &path)?;
    }
    Ok(labels)
}

fn damaged(path: &Path) -> PlotError {
    let why = BadMetadata::Field { field: "replaced labels", expected: "whole" };
    PlotError::Damaged { path: path.to_path_buf(), why }
}

/// The records of one file of replaced labels.
struct Saved(Vec<u8>);

/// One of them.
struct SavedPart<'a> {
    kind: u32,
    file: u64,
    place: u64,
    length: u64,
    bytes: &'a [u8],
}

impl Saved {
    fn load(disk: &dyn Disk, path: &Path, length: u64) -> Result<Self, PlotError> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        let file = disk.open(path, Access::Read).map_err(PlotError::io("open", path))?;
        file.read_exact_at(&mut bytes, 0).map_err(PlotError::io("read", path))?;
        let hash = bytes.split_off(bytes.len().saturating_sub(HASH_BYTES));
        if hash != blake3::hash(&bytes).as_bytes() {
            return Err(damaged(path));
        }
        Ok(Self(bytes))
    }

    fn parts(&self) -> impl Iterator<Item = Option<SavedPart<'_>>> {
        let mut rest = self.0.as_slice();
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let part = SavedPart::split(&mut rest);
            if part.is_none() {
                rest = &[];
            }
            Some(part)
        })
    }

    /// Everything in it must have its place.
    fn check(&self, disk: &dyn Disk, directory: &Path, path: &Path) -> Result<(), PlotError> {
        for part in self.parts() {
            let part = part.ok_or_else(|| damaged(path))?;
            if part.kind != LABELS {
                continue;
            }
            let home = label_file(directory, part.file);
            let found = disk.length(&home).map_err(PlotError::io("look at", &home))?.unwrap_or(0);
            let end = part.place.checked_mul(LABEL).and_then(|at| at.checked_add(part.length));
            let expected = end.ok_or_else(|| damaged(path))?;
            if found < expected {
                return Err(PlotError::Short { path: home, found, expected });
            }
        }
        Ok(())
    }

    fn put_back(&self, disk: &dyn Disk, directory: &Path, path: &Path) -> Result<u64, PlotError> {
        let mut labels = 0;
        for part in self.parts() {
            let part = part.ok_or_else(|| damaged(path))?;
            match part.kind {
                LABELS => {
                    let home = label_file(directory, part.file);
                    let put = || {
                        let file = disk.open(&home, Access::Write)?;
                        file.write_all_at(part.bytes, part.place * LABEL)?;
                        file.sync()
                    };
                    put().map_err(PlotError::io("write", &home))?;
                    labels += part.length / LABEL;
                }
                SLOT => {
                    let home = (directory, part.file);
                    Manifest::put_raw_slot(disk, home, part.place, part.bytes)?;
                }
                _ => {}
            }
        }
        Ok(labels)
    }
}

impl<'a> SavedPart<'a> {
    /// Takes a part off the front; `None` where the bytes are none.
    fn split(rest: &mut &'a [u8]) -> Option<Self> {
        let (head, after) = rest.split_at_checked(HEAD_BYTES)?;
        let (kind, numbers) = head.split_first_chunk::<4>()?;
        let kind = u32::from_le_bytes(*kind);
        let [file, place, length] = *numbers.get(4..)?.as_chunks::<8>().0 else { return None };
        let length = u64::from_le_bytes(length);
        let bytes = if kind == LOST { 0 } else { usize::try_from(length).ok()? };
        let (bytes, after) = after.split_at_checked(bytes)?;
        *rest = after;
        let (file, place) = (u64::from_le_bytes(file), u64::from_le_bytes(place));
        let known = matches!(kind, LABELS | SLOT | LOST) && place < u64::MAX / BLOCK_LABELS;
        known.then_some(Self { kind, file, place, length, bytes })
    }
}

fn name_of(number: u64) -> String {
    format!("replaced_{number}")
}

#[cfg(test)]
mod tests;
