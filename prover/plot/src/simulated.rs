//! A disk in memory that loses power: for tests, behind the feature `simulation`.
//!
//! It keeps apart what programs see and what would be there after a power cut. A file's content
//! becomes durable when the file is synced, a name when its directory is. [`Simulated::cut_after`]
//! lets so many operations pass and fails every one after; [`Simulated::reboot`] then brings back
//! the durable state together with whatever subset of the rest the seed chooses: each write kept,
//! dropped, torn at a sector or felt by the file's length alone, each name kept or dropped, in any
//! combination. A system that keeps more order than this loses less.
//!
//! Parts of a file can be made unreadable ([`Simulated::fail_reads`]) until they are written again,
//! as a drive gives another sector for a bad one, or so that they cannot be written either
//! ([`Simulated::fail_writes`]). Reads give fewer bytes than asked for now and then, as a system
//! may. The first folder of a path is its physical disk.

use crate::disk::{Access, Disk, DiskFile, Room};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// The room of each filesystem.
const ROOM_BYTES: u64 = 1 << 30;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct Simulated(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    files: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    pending_names: Vec<NameChange>,
    operations: u64,
    /// The number of the first operation that fails.
    cut_at: Option<u64>,
    /// Whether every file lies on a disk of its own.
    is_scattered: bool,
    /// Bytes of files that cannot be read.
    unreadable: Vec<(PathBuf, Range<u64>)>,
    /// Bytes of files that cannot be written.
    unwritable: Vec<(PathBuf, Range<u64>)>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Write>,
}

#[derive(Clone, Debug)]
struct Write {
    offset: usize,
    bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf, usize),
    Remove(PathBuf),
}

impl NameChange {
    /// Whether it is a change of the names in a directory.
    fn is_inside(&self, directory: &Path) -> bool {
        let inside = |name: &Path| name.parent() == Some(directory);
        match self {
            Self::Create(name, _) | Self::Remove(name) => inside(name),
            Self::Rename(from, to, _) => inside(from) || inside(to),
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Create(path, file) => names.insert(path.clone(), *file),
            Self::Rename(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file)
            }
            Self::Remove(path) => names.remove(path),
        };
    }
}

impl Simulated {
    /// Lets `operations` more operations pass; the power is then cut.
    pub fn cut_after(&self, operations: u64) {
        let mut state = self.state();
        state.cut_at = Some(state.operations.saturating_add(operations));
    }

    /// Puts every file on a physical disk of its own.
    pub fn scatter(&self) {
        self.state().is_scattered = true;
    }

    /// Makes bytes of a file unreadable: every read that touches them fails, until a write has
    /// covered them.
    pub fn fail_reads(&self, path: &Path, bytes: Range<u64>) {
        self.state().unreadable.push((path.to_path_buf(), bytes));
    }

    /// Makes every write fail that touches these bytes of a file.
    pub fn fail_writes(&self, path: &Path, bytes: Range<u64>) {
        self.state().unwritable.push((path.to_path_buf(), bytes));
    }

    /// Operations so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The disk after a power cut: what was synced, and of the rest what `seed` chooses.
    #[must_use]
    pub fn reboot(&self, seed: u64) -> Self {
        let state = self.state();
        let mut draw = Draw(seed);
        let mut names = state.durable_names.clone();
        for change in &state.pending_names {
            if draw.below(2) == 0 {
                continue;
            }
            change.apply(&mut names);
        }
        let files = state.files.iter().map(|content| content.survivor(&mut draw)).collect();
        let durable_names = names.clone();
        let (unreadable, unwritable) = (state.unreadable.clone(), state.unwritable.clone());
        let (is_scattered, pending_names) = (state.is_scattered, Vec::new());
        Self(Arc::new(Mutex::new(State {
            files,
            names,
            durable_names,
            pending_names,
            operations: 0,
            cut_at: None,
            is_scattered,
            unreadable,
            unwritable,
        })))
    }

    /// The content of a file, as programs see it.
    #[must_use]
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let file = *state.names.get(path)?;
        state.files.get(file).map(|content| content.now.clone())
    }

    /// Every file's name, sorted.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation; fails it if the power is gone.
    fn operate(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        if state.cut_at.is_some_and(|cut| state.operations >= cut) {
            return Err(io::Error::other("the power is cut"));
        }
        state.operations = state.operations.saturating_add(1);
        Ok(state)
    }
}

impl Content {
    /// What is left of a file.
    fn survivor(&self, draw: &mut Draw) -> Self {
        let mut left = self.durable.clone();
        for write in &self.pending {
            match draw.below(4) {
                0 => {}
                1 => {
                    // Torn: some of its sectors are there, in no order.
                    for (number, sector) in write.bytes.chunks(SECTOR_BYTES).enumerate() {
                        if draw.below(2) == 0 {
                            put(&mut left, write.offset + number * SECTOR_BYTES, sector);
                        }
                    }
                }
                // The new length is there and the bytes are not: zeros.
                2 => left.resize(left.len().max(write.offset + write.bytes.len()), 0),
                _ => put(&mut left, write.offset, &write.bytes),
            }
        }
        Self { now: left.clone(), durable: left, pending: Vec::new() }
    }
}

/// The first name of a path, which stands for a filesystem.
fn root_of(path: &Path) -> Option<OsString> {
    path.components().nth(1).map(|name| name.as_os_str().to_owned())
}

/// Writes into bytes that grow as far as they must.
fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

/// `SplitMix64`: a stream of numbers from a seed.
#[derive(Debug)]
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

impl Disk for Simulated {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.operate()?;
        let file = match (state.names.get(path).copied(), access) {
            (None, Access::Read | Access::Stream) => return Err(io::ErrorKind::NotFound.into()),
            (Some(file), Access::Read | Access::Stream | Access::Write) => file,
            // A file written anew is another file under the same name, as far as a cut can tell.
            (_, Access::Write | Access::Replace) => {
                let file = state.files.len();
                state.files.push(Content::default());
                state.names.insert(path.to_path_buf(), file);
                state.pending_names.push(NameChange::Create(path.to_path_buf(), file));
                file
            }
        };
        Ok(Box::new(OpenFile { disk: self.clone(), file }))
    }

    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        let state = self.operate()?;
        let file = state.names.get(path).and_then(|file| state.files.get(*file));
        Ok(file.map(|content| content.now.len() as u64))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        if root_of(from) != root_of(to) {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        let file = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_path_buf(), file);
        let change = NameChange::Rename(from.to_path_buf(), to.to_path_buf(), file);
        state.pending_names.push(change);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        state.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        state.pending_names.push(NameChange::Remove(path.to_path_buf()));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.operate()?;
        Ok(state.names.keys().filter(|name| name.parent() == Some(path)).cloned().collect())
    }

    /// Directories are there as long as something is in them.
    fn directories(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.operate()?;
        let below = state
            .names
            .keys()
            .filter_map(|name| name.ancestors().skip(1).find(|above| above.parent() == Some(path)));
        let directories: BTreeSet<PathBuf> = below.map(Path::to_path_buf).collect();
        Ok(directories.into_iter().collect())
    }

    /// Each directory of the root is a filesystem of [`ROOM_BYTES`].
    fn room(&self, path: &Path) -> io::Result<Room> {
        let state = self.operate()?;
        let root_of_path = root_of(path);
        let files = state.names.iter().filter(|(name, _)| root_of(name) == root_of_path);
        let used = files.filter_map(|(_, file)| state.files.get(*file));
        let used: usize = used.map(|content| content.now.len()).sum();
        let name = root_of_path.unwrap_or_default();
        let filesystem = name
            .as_encoded_bytes()
            .iter()
            .fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
        Ok(Room { filesystem, available: ROOM_BYTES.saturating_sub(used as u64) })
    }

    fn allocated(&self, path: &Path) -> io::Result<u64> {
        Ok(self.length(path)?.unwrap_or(0))
    }

    fn reserve(&self, path: &Path, _: u64) -> io::Result<()> {
        self.open(path, Access::Write).map(drop)
    }

    fn create_directory(&self, _: &Path) -> io::Result<()> {
        self.operate().map(drop)
    }

    fn remove_directory(&self, _: &Path) -> io::Result<()> {
        self.operate().map(drop)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        // A name that moved between two directories moved in both: filesystems keep a journal.
        let State { durable_names, pending_names, .. } = &mut *state;
        pending_names.retain(|change| {
            let synced = change.is_inside(path);
            if synced {
                change.apply(durable_names);
            }
            !synced
        });
        Ok(())
    }

    fn physical(&self, path: &Path) -> io::Result<u64> {
        let first = path.iter().find(|part| *part != "/").unwrap_or_default();
        let whole = self.operate()?.is_scattered;
        let place = if whole { path.as_os_str() } else { first };
        let bytes = place.as_encoded_bytes().iter();
        Ok(bytes.fold(0, |number, byte| number.wrapping_mul(257).wrapping_add(u64::from(*byte))))
    }
}

#[derive(Debug)]
struct OpenFile {
    disk: Simulated,
    file: usize,
}

impl State {
    /// Fails what touches one of the bad ranges.
    fn refuse(
        &self,
        bad: &[(PathBuf, Range<u64>)],
        file: usize,
        offset: u64,
        length: usize,
    ) -> io::Result<()> {
        let end = offset.saturating_add(length as u64);
        let touched = bad.iter().any(|(path, bytes)| {
            self.names.get(path) == Some(&file) && bytes.start < end && offset < bytes.end
        });
        if touched { Err(io::Error::other("bad sector")) } else { Ok(()) }
    }
}

impl DiskFile for OpenFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.operate()?;
        state.refuse(&state.unreadable, self.file, offset, buffer.len())?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let content = state.files.get(self.file).and_then(|content| content.now.get(start..));
        let content = content.unwrap_or_default();
        // One read in three stops half-way.
        let most = if state.operations.is_multiple_of(3) {
            buffer.len().div_ceil(2)
        } else {
            buffer.len()
        };
        let count = content.len().min(most);
        let (filled, _) = buffer.split_at_mut(count);
        filled.copy_from_slice(content.split_at(count).0);
        Ok(count)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.disk.operate()?;
        state.refuse(&state.unreadable, self.file, offset, buffer.len())?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let content = state.files.get(self.file).map(|content| content.now.as_slice());
        let part = content.and_then(|bytes| bytes.get(start..start.saturating_add(buffer.len())));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.operate()?;
        state.refuse(&state.unwritable, self.file, offset, bytes.len())?;
        let end = offset.saturating_add(bytes.len() as u64);
        let State { names, unreadable, .. } = &mut *state;
        unreadable.retain(|(path, bad)| {
            names.get(path) != Some(&self.file) || bad.start < offset || end < bad.end
        });
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let content = state.files.get_mut(self.file).ok_or(io::ErrorKind::NotFound)?;
        put(&mut content.now, offset, bytes);
        content.pending.push(Write { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        let state = self.disk.operate()?;
        Ok(state.files.get(self.file).map_or(0, |content| content.now.len() as u64))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.operate()?;
        if let Some(content) = state.files.get_mut(self.file) {
            content.durable = content.now.clone();
            content.pending.clear();
        }
        Ok(())
    }

    fn forget(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_synced_survives_every_cut_and_the_rest_some() {
        let disk = Simulated::default();
        let (root, path) = (Path::new("/d"), Path::new("/d/f"));
        let file = disk.open(path, Access::Write).unwrap();
        file.write_all_at(b"durable", 0).unwrap();
        file.sync().unwrap();
        let nameless = (0..64).filter(|seed| disk.reboot(*seed).content(path).is_none());
        assert!((1..64).contains(&nameless.count()), "its name was not synced");
        disk.sync_directory(root).unwrap();
        file.write_all_at(b"perhaps", 7).unwrap();
        let contents: Vec<_> =
            (0..64).map(|seed| disk.reboot(seed).content(path).unwrap()).collect();
        assert!(contents.iter().all(|content| content.starts_with(b"durable")));
        for possible in [&b"durable"[..], b"durableperhaps", b"durable\0\0\0\0\0\0\0"] {
            assert!(contents.iter().any(|content| content == possible), "{possible:?}");
        }
    }

    #[test]
    fn a_rename_is_there_or_not_until_the_directory_is_synced() {
        let disk = Simulated::default();
        let (root, old, new) = (Path::new("/d"), Path::new("/d/old"), Path::new("/d/new"));
        let file = disk.open(old, Access::Write).unwrap();
        file.sync().unwrap();
        disk.sync_directory(root).unwrap();
        disk.rename(old, new).unwrap();
        let after = |seed| disk.reboot(seed).paths();
        assert!((0..64).any(|seed| after(seed) == [old]));
        assert!((0..64).any(|seed| after(seed) == [new]));
        disk.sync_directory(root).unwrap();
        assert!((0..64).all(|seed| after(seed) == [new]));
    }

    #[test]
    fn bad_bytes_cannot_be_read_until_they_are_written_again() {
        let disk = Simulated::default();
        let path = Path::new("/d/f");
        let file = disk.open(path, Access::Write).unwrap();
        file.write_all_at(&[7; 100], 0).unwrap();
        disk.fail_reads(path, 40..42);
        disk.fail_writes(path, 90..91);
        let mut buffer = [0; 10];
        for (offset, readable) in [(30, true), (31, false), (41, false), (42, true)] {
            assert_eq!(file.read_exact_at(&mut buffer, offset).is_ok(), readable, "{offset}");
        }
        file.write_all_at(&[8], 40).unwrap();
        assert!(file.read_exact_at(&mut buffer, 40).is_err());
        file.write_all_at(&[8, 9], 40).unwrap();
        file.read_exact_at(&mut buffer, 40).unwrap();
        assert_eq!(buffer, [8, 9, 7, 7, 7, 7, 7, 7, 7, 7]);
        assert!(file.write_all_at(&[1; 10], 81).is_err());
        file.write_all_at(&[1; 10], 80).unwrap();
        // Never nothing before the end, and nothing after it.
        let mut offset = 42;
        while offset < 100 {
            let count = file.read_at(&mut [0; 10], offset).unwrap() as u64;
            assert!(count > 0);
            offset += count;
        }
        assert_eq!((offset, file.read_at(&mut buffer, 100).unwrap()), (100, 0));
        assert_eq!(disk.physical(path).unwrap(), disk.physical(Path::new("/d/g")).unwrap());
        assert_ne!(disk.physical(path).unwrap(), disk.physical(Path::new("/e/f")).unwrap());
    }

    #[test]
    fn after_the_cut_nothing_works() {
        let disk = Simulated::default();
        disk.cut_after(1);
        assert!(disk.length(Path::new("/x")).is_ok());
        assert!(disk.length(Path::new("/x")).is_err());
        assert!(disk.open(Path::new("/x"), Access::Write).is_err());
    }
}
