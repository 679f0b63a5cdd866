//! Moving a directory's share to another directory, on another disk or on the same.
//!
//! The target notes what is coming before anything comes, so that a move which was interrupted is
//! told from data of its own. Metadata goes last: the target becomes data only when it is whole.
//! On another filesystem files are copied and compared, and then those of the source go to its
//! trash; on the same one they are renamed. A name that a label file has in the target is a
//! promise that all of it is there and was read back.

use crate::arrange::overhead;
use crate::belongings::{Belonging, Kind, MOVE_FILE_NAME, belongings};
use crate::copy::{Watch, copy, part_of};
use crate::disk::{Disk, System};
use crate::error::PlotError;
use crate::metadata::{self, BadMetadata, Metadata};
use crate::sidecar::Sidecar;
use crate::trash::{Entry, Stage, What, next_number};
use crate::{files, lock};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const VERSION: u32 = 1;
/// Most bytes read of a note: that of [`crate::Layout::FILES_MAX`] files has fewer.
const NOTE_BYTES_MAX: u64 = 1 << 27;

/// A directory that is about to be moved, or half moved.
#[derive(Debug)]
pub struct Move {
    disk: Arc<dyn Disk>,
    from: PathBuf,
    to: PathBuf,
    note: Note,
    /// Whether the note is in the target already.
    begun: bool,
    /// Whether the target is data already.
    arrived: bool,
    /// Label files that are not in the target yet.
    left: Vec<(String, u64)>,
}

/// What the target notes of what is coming.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    version: u32,
    from: PathBuf,
    /// Whether files come by rename; else they are copied.
    renames: bool,
    /// Label files, with their bytes.
    files: Vec<(String, u64)>,
}

/// How data was moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The entry in the source's trash where the files are now that were copied; `None` where they
    /// were renamed and take no room.
    pub entry: Option<u64>,
    /// Files of others, which stayed.
    pub stayed: Vec<PathBuf>,
}

impl Move {
    /// Looks at what there is to move, or left to move. Changes nothing. Paths must be absolute.
    ///
    /// # Errors
    /// [`PlotError::NoData`]; [`PlotError::NoTarget`] where the target holds anything else;
    /// [`PlotError::Full`]; [`PlotError::Changed`] where the source changed since a move was
    /// interrupted; [`PlotError::Unfinished`] where another command was; the system's.
    pub fn new(from: &Path, to: &Path) -> Result<Self, PlotError> {
        Self::new_on(Arc::new(System), from, to)
    }

    /// As [`Move::new`], on any disk.
    ///
    /// # Errors
    /// Those of [`Move::new`].
    pub fn new_on(disk: Arc<dyn Disk>, from: &Path, to: &Path) -> Result<Self, PlotError> {
        let refuse = |why| {
            let (from, to) = (from.to_path_buf(), to.to_path_buf());
            Err(PlotError::NoTarget { from, to, why })
        };
        if to.starts_with(from) {
            return refuse("it is the same directory, or lies inside");
        }
        let note = Note::load(&*disk, to)?;
        let begun = note.is_some();
        let note = match note {
            Some(note) if note.from == from => note,
            Some(_) => return refuse("something else is being moved there"),
            None if !is_empty(&*disk, to)? => return refuse("it is not empty"),
            None => Note::of(&*disk, from)?,
        };
        let arrived = Metadata::load(&*disk, to)?.is_some();
        let (from, to) = (from.to_path_buf(), to.to_path_buf());
        let mut planned = Self { disk, from, to, note, begun, arrived, left: vec![] };
        planned.check_source()?;
        if !arrived {
            planned.left = planned.absent()?;
            planned.check_room()?;
        }
        Ok(planned)
    }

    /// Bytes of labels that are not in the target yet.
    #[must_use]
    pub fn bytes_left(&self) -> u64 {
        self.left.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Whether an earlier run began it.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.begun
    }

    /// Moves it all. `now` is in Unix seconds; `siblings` are directories of the same data set
    /// whose notes of where the rest lies are brought up to date; `watch` is told of each byte
    /// that is copied, and again when it is compared.
    ///
    /// # Errors
    /// [`PlotError::Stopped`], [`PlotError::Unlike`], the system's. The same move goes on.
    pub fn run(
        mut self,
        now: u64,
        siblings: &[PathBuf],
        watch: &mut Watch<'_>,
    ) -> Result<Moved, PlotError> {
        if !self.begun {
            self.begin()?;
        }
        if !self.arrived {
            if self.note.renames {
                self.rename_all()?
            } else {
                self.copy_all(watch)?
            }
            self.arrive()?;
        }
        let entry = if self.note.renames { None } else { self.retire(now)? };
        let disk = &*self.disk;
        for path in siblings {
            if let Some(mut sidecar) = Sidecar::load(disk, path)? {
                let moved = sidecar.siblings.iter_mut().filter(|sibling| **sibling == self.from);
                moved.for_each(|sibling| sibling.clone_from(&self.to));
                sidecar.save(disk, path)?;
            }
        }
        for note in belongings(disk, &self.from)?.iter().filter(|file| file.kind == Kind::Note) {
            files::remove(disk, &note.path)?;
        }
        files::remove(disk, &self.from.join(MOVE_FILE_NAME))?;
        files::remove(disk, &self.to.join(MOVE_FILE_NAME))?;
        let mut stayed = disk.list(&self.from).map_err(PlotError::io("list", &self.from))?;
        stayed.retain(|path| !lock::is_lock(path));
        stayed.sort();
        Ok(Moved { entry, stayed })
    }

    /// Writes down in the target what is coming. The note itself comes by rename if it can: then
    /// so can everything else.
    fn begin(&mut self) -> Result<(), PlotError> {
        let (disk, name) = (&*self.disk, MOVE_FILE_NAME);
        disk.create_directory(&self.to).map_err(PlotError::io("create", &self.to))?;
        let (here, there) = (self.from.join(name), self.to.join(name));
        self.note.renames = true;
        files::replace(disk, &here, &self.note.encode())?;
        match disk.rename(&here, &there) {
            Ok(()) => self.sync_both(),
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                self.note.renames = false;
                files::remove(disk, &here)?;
                files::replace(disk, &there, &self.note.encode())
            }
            Err(error) => Err(PlotError::io("rename", &here)(error)),
        }
    }

    /// On the same filesystem. Metadata leaves the source first, so that nobody fills the gaps
    /// there, and waits in the target under a name that counts for nothing.
    fn rename_all(&self) -> Result<(), PlotError> {
        let disk = &*self.disk;
        let metadata = self.from.join(metadata::FILE_NAME);
        let waiting = part_of(&self.to.join(metadata::FILE_NAME));
        if files::length(disk, &waiting)?.is_none() {
            disk.rename(&metadata, &waiting).map_err(PlotError::io("rename", &metadata))?;
            self.sync_both()?;
        }
        for file in self.source()? {
            let target = self.target(&file.path);
            disk.rename(&file.path, &target).map_err(PlotError::io("rename", &file.path))?;
        }
        self.sync_both()
    }

    /// To another filesystem. What is small is copied last and each time anew.
    fn copy_all(&self, watch: &mut Watch<'_>) -> Result<(), PlotError> {
        let disk = &*self.disk;
        for (name, bytes) in &self.left {
            let target = self.to.join(name);
            copy(disk, (&self.from.join(name), &target), *bytes, watch)?;
            files::rename(disk, &part_of(&target), &target)?;
        }
        for file in self.source()?.iter().filter(|file| file.kind != Kind::Labels) {
            let target = self.target(&file.path);
            copy(disk, (&file.path, &target), file.bytes, &mut |_| true)?;
            files::rename(disk, &part_of(&target), &target)?;
        }
        let metadata = self.from.join(metadata::FILE_NAME);
        let bytes = files::length(disk, &metadata)?.unwrap_or(0);
        copy(disk, (&metadata, &self.target(&metadata)), bytes, &mut |_| true)
    }

    /// Makes the target data, now that all of it is there.
    fn arrive(&self) -> Result<(), PlotError> {
        let disk = &*self.disk;
        for (name, expected) in &self.note.files {
            let path = self.to.join(name);
            let found = files::length(disk, &path)?.unwrap_or(0);
            if found != *expected {
                return Err(PlotError::Changed { path, found, expected: *expected });
            }
        }
        let metadata = self.to.join(metadata::FILE_NAME);
        files::rename(disk, &part_of(&metadata), &metadata)
    }

    /// Puts what was copied into the source's trash, metadata first; the number of the entry.
    fn retire(&self, now: u64) -> Result<Option<u64>, PlotError> {
        let (disk, from) = (&*self.disk, self.from.as_path());
        let what = What::Move { to: self.to.clone() };
        let mut entries = Entry::all_on(disk, from)?.into_iter();
        let begun = entries.find(|entry| entry.stage == Stage::Begun && entry.what == what);
        let mut entry = match (begun, Metadata::load(disk, from)?) {
            (Some(entry), _) => entry,
            (None, Some(metadata)) => {
                let own = belongings(disk, from)?.into_iter().filter(|file| is_moved(file.kind));
                let files = own.map(|file| (name_of(&file.path), file.bytes)).collect();
                let place = (from, next_number(disk, from)?);
                Entry::begin(disk, place, now, what, (&metadata, files))?
            }
            // It was done before.
            (None, None) => return Ok(entries_of(disk, from, &what)?.pop()),
        };
        entry.take(disk, [metadata::FILE_NAME])?;
        entry.take(disk, entry.files.iter().map(|(name, _)| name))?;
        entry.set_stage(disk, Stage::Done)?;
        Ok(Some(entry.number))
    }

    /// What is in the source and goes with its metadata.
    fn source(&self) -> Result<Vec<Belonging>, PlotError> {
        let mut own = belongings(&*self.disk, &self.from)?;
        own.retain(|file| is_moved(file.kind) && file.kind != Kind::Metadata);
        Ok(own)
    }

    fn target(&self, path: &Path) -> PathBuf {
        self.to.join(name_of(path))
    }

    fn sync_both(&self) -> Result<(), PlotError> {
        for path in [&self.to, &self.from] {
            self.disk.sync_directory(path).map_err(PlotError::io("sync", path))?;
        }
        Ok(())
    }

    /// Label files that are not in the target, each of which must be in the source.
    fn absent(&self) -> Result<Vec<(String, u64)>, PlotError> {
        let disk = &*self.disk;
        let mut absent = Vec::new();
        for (name, expected) in &self.note.files {
            let (source, target) = (self.from.join(name), self.to.join(name));
            if files::length(disk, &target)? == Some(*expected) {
                continue;
            }
            let found = files::length(disk, &source)?.unwrap_or(0);
            if found != *expected {
                return Err(PlotError::Changed { path: source, found, expected: *expected });
            }
            absent.push((name.clone(), *expected));
        }
        Ok(absent)
    }

    /// What is in the source must be what was noted when the move began, or part of it.
    fn check_source(&self) -> Result<(), PlotError> {
        let disk = &*self.disk;
        let has_metadata = Metadata::load(disk, &self.from)?.is_some();
        let waiting = part_of(&self.to.join(metadata::FILE_NAME));
        let on_the_way = self.note.renames && files::length(disk, &waiting)?.is_some();
        if !has_metadata && !self.arrived && !on_the_way {
            return Err(PlotError::NoData { path: self.from.clone() });
        }
        if has_metadata && self.begun && self.note.renames && (self.arrived || on_the_way) {
            let (from, to) = (self.from.clone(), self.to.clone());
            let why = "other data was begun there since the move was interrupted";
            return Err(PlotError::NoTarget { from, to, why });
        }
        let ours = What::Move { to: self.to.clone() };
        for entry in Entry::all_on(disk, &self.from)? {
            if entry.stage == Stage::Begun && entry.what != ours {
                return Err(entry.unfinished());
            }
        }
        for Belonging { path, bytes: found, .. } in belongings(disk, &self.from)?
            .into_iter()
            .filter(|file| self.begun && file.kind == Kind::Labels)
        {
            let name = name_of(&path);
            let noted = self.note.files.iter().find(|(noted, _)| *noted == name);
            let expected = noted.map_or(0, |(_, bytes)| *bytes);
            if found != expected {
                return Err(PlotError::Changed { path, found, expected });
            }
        }
        Ok(())
    }

    /// Copies need room; where a file was copied in part, that much less.
    fn check_room(&self) -> Result<(), PlotError> {
        let (disk, path) = (&*self.disk, &self.to);
        let look = |path: &Path| disk.room(path).map_err(PlotError::io("look at", path));
        let (here, there) = (look(&self.from)?, look(path)?);
        if here.filesystem == there.filesystem {
            return Ok(());
        }
        let mut needed = 0_u64;
        for (name, bytes) in &self.left {
            let copied = files::length(disk, &part_of(&path.join(name)))?.unwrap_or(0);
            needed = needed.saturating_add(bytes.saturating_sub(copied) + overhead(*bytes));
        }
        if there.available < needed {
            let (path, available) = (path.clone(), there.available);
            return Err(PlotError::Full { path, needed, available });
        }
        Ok(())
    }
}

impl Note {
    /// What is to be moved from a directory.
    fn of(disk: &dyn Disk, from: &Path) -> Result<Self, PlotError> {
        let labels = belongings(disk, from)?.into_iter().filter(|file| file.kind == Kind::Labels);
        let files = labels.map(|file| (name_of(&file.path), file.bytes)).collect();
        Ok(Self { version: VERSION, from: from.to_path_buf(), renames: false, files })
    }

    fn load(disk: &dyn Disk, to: &Path) -> Result<Option<Self>, PlotError> {
        let path = to.join(MOVE_FILE_NAME);
        let Some(bytes) = files::read_at_most(disk, &path, NOTE_BYTES_MAX)? else {
            return Ok(None);
        };
        Self::decode(&bytes).map(Some).map_err(|why| PlotError::Damaged { path, why })
    }

    fn decode(bytes: &[u8]) -> Result<Self, BadMetadata> {
        let json = |error: serde_json::Error| BadMetadata::Json(error.to_string());
        let note: Self = serde_json::from_slice(bytes).map_err(json)?;
        if note.version > VERSION {
            return Err(BadMetadata::Version { found: note.version.into() });
        }
        let is_label_file = |name: &str| {
            let path = Path::new(name);
            let plain = path.file_name() == Some(path.as_os_str());
            plain && crate::belongings::kind_of(path) == Some(Kind::Labels)
        };
        if note.files.iter().all(|(name, _)| is_label_file(name)) {
            return Ok(note);
        }
        Err(BadMetadata::Field { field: "files", expected: "names of label files" })
    }

    fn encode(&self) -> Vec<u8> {
        // Strings, numbers and lists always serialise.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// Whether nothing lies in a directory but what an attempt to move something there leaves.
fn is_empty(disk: &dyn Disk, path: &Path) -> Result<bool, PlotError> {
    let note = Path::new(MOVE_FILE_NAME).with_added_extension("tmp");
    let names = disk.list(path).map_err(PlotError::io("list", path))?;
    let nothing = |name: &PathBuf| lock::is_lock(name) || name.file_name() == note.file_name();
    Ok(names.iter().all(nothing) && Entry::all_on(disk, path)?.is_empty())
}

/// Whether a file of this kind goes with the data.
fn is_moved(kind: Kind) -> bool {
    match kind {
        Kind::Metadata | Kind::Sidecar | Kind::Journal | Kind::Agenda => true,
        Kind::Manifest | Kind::Labels => true,
        Kind::Move | Kind::Temporary | Kind::Note => false,
    }
}

/// The numbers of entries that a move to the same target made, ascending.
fn entries_of(disk: &dyn Disk, from: &Path, what: &What) -> Result<Vec<u64>, PlotError> {
    let entries = Entry::all_on(disk, from)?.into_iter().filter(|entry| entry.what == *what);
    Ok(entries.map(|entry| entry.number).collect())
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
