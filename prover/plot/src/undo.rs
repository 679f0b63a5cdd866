//! Undoing: what a command put into the trash comes back to where it was.
//!
//! Everything is checked before anything is changed. Files come back first, then what the metadata
//! said; the entry goes last. Interrupted anywhere, it is done again from the start, and what is
//! back already stays.

use crate::belongings::{Kind, kind_of, number_of};
use crate::copy::part_of;
use crate::directory::label_file;
use crate::disk::{Disk, System};
use crate::error::PlotError;
use crate::metadata::Metadata;
use crate::trash::{Entry, Stage, What};
use crate::{files, manifest, repair};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An entry that can be brought back, in each of its directories.
#[derive(Debug)]
pub struct Undo {
    disk: Arc<dyn Disk>,
    entries: Vec<Entry>,
}

impl Undo {
    /// The entry with this number, or the newest one, in the directories that were named.
    ///
    /// # Errors
    /// [`PlotError::NoEntry`]; [`PlotError::Grown`], [`PlotError::InTheWay`] or
    /// [`PlotError::Disagree`] where something made since stands in its way;
    /// [`PlotError::NotUndone`], [`PlotError::Damaged`], the system's.
    pub fn find<P: AsRef<Path>>(paths: &[P], number: Option<u64>) -> Result<Self, PlotError> {
        Self::find_on(Arc::new(System), paths, number)
    }

    /// As [`Undo::find`], on any disk.
    ///
    /// # Errors
    /// Those of [`Undo::find`].
    pub fn find_on<P: AsRef<Path>>(
        disk: Arc<dyn Disk>,
        paths: &[P],
        number: Option<u64>,
    ) -> Result<Self, PlotError> {
        let mut entries = Vec::new();
        for path in paths {
            entries.extend(Entry::all_on(&*disk, path.as_ref())?);
        }
        let asked = |entry: &&Entry| number.is_none_or(|number| entry.number == number);
        let newest = entries.iter().filter(asked).max_by_key(|entry| (entry.when, entry.number));
        let newest = newest.cloned().ok_or_else(|| {
            let paths = paths.iter().map(|path| path.as_ref().to_path_buf()).collect();
            PlotError::NoEntry { number, paths }
        })?;
        entries.retain(|entry| entry.is_with(&newest));
        let undo = Self { disk, entries };
        undo.check(&newest.what, paths)?;
        Ok(undo)
    }

    /// The entries, one for each directory.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Brings everything back. Files that are neither in the trash nor in their directory cannot
    /// be: they are returned.
    ///
    /// # Errors
    /// The system's; undoing again goes on.
    pub fn run(self) -> Result<Vec<PathBuf>, PlotError> {
        let disk = &*self.disk;
        let (mut lost, mut entries) = (Vec::new(), self.entries);
        for entry in &mut entries {
            if entry.what == What::Repair {
                repair::undo(disk, &entry.directory, &entry.folder())?;
                continue;
            }
            entry.set_stage(disk, Stage::Begun)?;
            for (name, _) in &entry.files {
                let (kept, home) = entry.places_of(name);
                let nowhere = files::length(disk, &kept)?.is_none();
                if nowhere && files::length(disk, &home)?.is_none() {
                    lost.push(home);
                }
            }
            let is_metadata = |name: &str| kind_of(Path::new(name)) == Some(Kind::Metadata);
            restore(disk, entry, |name| !is_metadata(name))?;
            restore(disk, entry, is_metadata)?;
        }
        // Every file of every directory is back: now the set may be as large as it was.
        for entry in &entries {
            if let What::Shrink { before, head, .. } = &entry.what {
                if let Some(mut metadata) = Metadata::load(disk, &entry.directory)? {
                    before.put(&mut metadata);
                    metadata.save(disk, &entry.directory)?;
                }
                for path in head.iter().flat_map(|(file, _)| heads(&entry.directory, *file)) {
                    files::remove(disk, &part_of(&path))?;
                }
            }
        }
        for entry in entries {
            match entry.what {
                // Its files are records of labels, which are back.
                What::Repair => entry.purge_on(disk)?,
                _ => entry.close(disk)?,
            }
        }
        Ok(lost)
    }

    fn check<P: AsRef<Path>>(&self, what: &What, paths: &[P]) -> Result<(), PlotError> {
        for entry in &self.entries {
            if entry.stage == Stage::Purging {
                return Err(entry.not_undone("it is being purged: `purge` goes on with that"));
            }
        }
        match what {
            What::Shrink { .. } => {
                for path in paths {
                    self.check_units(what, path.as_ref())?;
                }
                self.entries.iter().try_for_each(|entry| self.check_files(entry))
            }
            What::Move { .. } => self.entries.iter().try_for_each(|entry| self.check_files(entry)),
            // What was saved is checked as it is read.
            What::Repair => Ok(()),
            What::Other => self.refuse("a newer version made it: update postmesh"),
        }
    }

    fn refuse(&self, why: &'static str) -> Result<(), PlotError> {
        self.entries.first().map_or(Ok(()), |entry| Err(entry.not_undone(why)))
    }

    /// A directory must have the size that the entry left it with, or be back at the old one.
    fn check_units(&self, what: &What, path: &Path) -> Result<(), PlotError> {
        let What::Shrink { before, after, .. } = what else { return Ok(()) };
        let no_data = || PlotError::NoData { path: path.to_path_buf() };
        let metadata = Metadata::load(&*self.disk, path)?.ok_or_else(no_data)?;
        let (now, path) = (metadata.num_units, path.to_path_buf());
        let own = self.entries.iter().find(|entry| entry.directory == path);
        let whose = (metadata.node_id, metadata.commitment_atx_id);
        if let Some((own, theirs)) = own.and_then(|own| Some((own, own.whose?)))
            && theirs != whose
        {
            let spelled = |(identity, atx)| format!("{identity} with ATX {atx}");
            let (what, says) = ("identity", (spelled(whose), spelled(theirs)));
            return Err(PlotError::Disagree { what, first: path, other: own.folder(), says });
        }
        let fits = now == before.units || (now == after.units && own.is_some());
        if fits {
            return Ok(());
        }
        let number = self.entries.first().map_or(0, |entry| entry.number);
        let (before, after) = (before.units, after.units);
        Err(PlotError::Grown { number, path, now, before, after })
    }

    /// No file may have come into the place of one that comes back; the head of a file that was
    /// cut is no such file, since the whole of it comes back.
    fn check_files(&self, entry: &Entry) -> Result<(), PlotError> {
        let disk = &*self.disk;
        let head = match &entry.what {
            What::Shrink { head, .. } => *head,
            _ => None,
        };
        for (name, _) in &entry.files {
            let (kept, home) = entry.places_of(name);
            let (in_trash, found) = (files::length(disk, &kept)?, files::length(disk, &home)?);
            let (Some(_), Some(found)) = (in_trash, found) else { continue };
            let cut = head.filter(|(file, _)| number_of(&home) == Some(*file));
            let is_head = cut.is_some_and(|(_, bytes)| match kind_of(&home) {
                Some(Kind::Labels) => found == bytes,
                kind => kind == Some(Kind::Manifest),
            });
            if !is_head {
                return Err(PlotError::InTheWay { number: entry.number, path: home, kept });
            }
        }
        Ok(())
    }
}

/// Brings the files that are in the trash and whose names are wanted back. Durable when it returns.
fn restore(disk: &dyn Disk, entry: &Entry, wanted: impl Fn(&str) -> bool) -> Result<(), PlotError> {
    for (name, _) in entry.files.iter().filter(|(name, _)| wanted(name)) {
        let (kept, home) = entry.places_of(name);
        if files::length(disk, &kept)?.is_some() {
            disk.rename(&kept, &home).map_err(PlotError::io("rename", &kept))?;
        }
    }
    entry.sync(disk)
}

/// The files that a cut label file has a head of.
pub(crate) fn heads(directory: &Path, file: u64) -> [PathBuf; 2] {
    [label_file(directory, file), manifest::path_of(directory, file)]
}
