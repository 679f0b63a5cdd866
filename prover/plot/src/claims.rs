//! Which directory holds which files of a data set, and whether they make a whole, a share, or
//! nothing that belongs together.
//!
//! Each directory's sidecar names its files (its claim). A *share* is what one run of `init` was
//! asked for of a set that several machines make: its sidecars name all files of the share as well,
//! so that it is told from a set of which a directory is missing.

use crate::directory::Directory;
use crate::disk::{Disk, System};
use crate::error::PlotError;
use crate::layout::Layout;
use crate::numbers::FileNumbers;
use crate::set::DataSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl DataSet {
    /// Whether every file has its directory, and all directories the same size.
    ///
    /// # Errors
    /// [`PlotError::Resizing`], [`PlotError::Unplaced`], or [`PlotError::Part`] for a share.
    pub fn whole(&self) -> Result<(), PlotError> {
        self.whole_or_share()?;
        let files = self.layout().files();
        if self.unplaced().is_empty() {
            return Ok(());
        }
        Err(PlotError::Part { path: self.name(), share: self.files(), files })
    }

    /// Whether every file of the set, or of the share of it that the directories were to hold, has
    /// its directory, and all directories the same size.
    ///
    /// # Errors
    /// [`PlotError::Resizing`] or [`PlotError::Unplaced`].
    pub fn whole_or_share(&self) -> Result<(), PlotError> {
        let units = |directory: &Directory| directory.metadata.num_units;
        let many = self.directories.iter().map(units).max().unwrap_or(0);
        let few = self.metadata().num_units;
        if few < many {
            return Err(PlotError::Resizing { few, many });
        }
        let (wanted, unplaced) = (self.wanted(), self.unplaced());
        let files: FileNumbers = unplaced.iter().filter(|file| wanted.contains(*file)).collect();
        if files.is_empty() {
            return Ok(());
        }
        let sidecars = self.sidecars().filter_map(|(_, sidecar)| sidecar);
        let mut seen: Vec<PathBuf> = sidecars.flat_map(|own| own.siblings.clone()).collect();
        seen.retain(|path| !self.paths().any(|own| own == path));
        seen.sort();
        seen.dedup();
        Err(PlotError::Unplaced { files, seen })
    }

    /// Whether the directories hold all that they were to hold, and other files lie elsewhere.
    #[must_use]
    pub fn is_share(&self) -> bool {
        matches!(self.whole(), Err(PlotError::Part { .. }))
    }

    /// The label files that have their directory: all of the set, save in a share.
    #[must_use]
    pub fn files(&self) -> FileNumbers {
        (0..self.layout().files()).filter(|number| self.owner(*number).is_some()).collect()
    }

    /// Files that are in none of the directories.
    pub(crate) fn unplaced(&self) -> FileNumbers {
        (0..self.layout().files()).filter(|number| self.owner(*number).is_none()).collect()
    }

    /// The files that the directories were to hold together: those of the shares that they are of,
    /// else all.
    pub(crate) fn wanted(&self) -> FileNumbers {
        let share = |own: &Directory| own.sidecar.as_ref().and_then(|own| own.share.clone());
        if self.directories.iter().all(|own| share(own).is_none()) {
            return FileNumbers::from(0..self.layout().files());
        }
        let wanted = self.directories.iter().zip(&self.claims);
        let wanted: Vec<_> =
            wanted.map(|(own, claim)| share(own).unwrap_or_else(|| claim.clone())).collect();
        let files = wanted.iter().flat_map(FileNumbers::iter);
        files.filter(|file| *file < self.layout().files()).collect()
    }
}

/// Which of many directories are of one data set: those whose sidecars share its files out. Every
/// other one is a data set of its own.
///
/// # Errors
/// [`PlotError::NoData`], [`PlotError::Damaged`] or a system error.
pub fn grouped<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<Vec<PathBuf>>, PlotError> {
    let disk: Arc<dyn Disk> = Arc::new(System);
    let mut groups: Vec<(Directory, Vec<PathBuf>)> = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let no_data = || PlotError::NoData { path: path.to_path_buf() };
        let directory = Directory::open(&disk, path)?.ok_or_else(no_data)?;
        let shared = |own: &Directory| own.sidecar.as_ref().is_some_and(|own| own.files.is_some());
        let same = groups.iter_mut().find(|(first, _)| {
            shared(first) && shared(&directory) && agree(first, &directory).is_ok()
        });
        match same {
            Some((_, group)) => group.push(path.to_path_buf()),
            None => groups.push((directory, vec![path.to_path_buf()])),
        }
    }
    Ok(groups.into_iter().map(|(_, group)| group).collect())
}

/// Directories of one set say the same of it, their size aside.
pub(crate) fn agree(first: &Directory, other: &Directory) -> Result<(), PlotError> {
    let (ours, theirs) = (&first.metadata, &other.metadata);
    let n = |directory: &Directory| directory.sidecar.as_ref().map(|own| own.scrypt_n.to_string());
    let n = n(first).zip(n(other)).unwrap_or_default();
    same("identity", (first, &ours.node_id), (other, &theirs.node_id))?;
    let atx = (&ours.commitment_atx_id, &theirs.commitment_atx_id);
    same("commitment ATX", (first, atx.0), (other, atx.1))?;
    same("labels per unit", (first, &ours.labels_per_unit), (other, &theirs.labels_per_unit))?;
    same("file size", (first, &ours.max_file_size), (other, &theirs.max_file_size))?;
    same("scrypt's N", (first, &n.0), (other, &n.1))
}

/// Refuses two directories of which one says another thing than the other.
pub(crate) fn same<T: PartialEq + ToString>(
    what: &'static str,
    (first, ours): (&Directory, &T),
    (other, theirs): (&Directory, &T),
) -> Result<(), PlotError> {
    if ours == theirs {
        return Ok(());
    }
    let says = (ours.to_string(), theirs.to_string());
    Err(PlotError::Disagree { what, first: first.path.clone(), other: other.path.clone(), says })
}

/// Which files each directory holds: those that its sidecar names; where it names none, those that
/// are there, and all of them where it is alone.
pub(crate) fn claims(
    directories: &[Directory],
    layout: Layout,
) -> Result<Vec<FileNumbers>, PlotError> {
    let mut claims: Vec<FileNumbers> = Vec::new();
    for directory in directories {
        let recorded = directory.sidecar.as_ref().and_then(|own| own.files.clone());
        let claim = match (recorded, directories.len()) {
            (Some(files), _) => files,
            (None, 1) => FileNumbers::from(0..layout.files()),
            (None, _) => directory.found()?.iter().filter(|file| *file < layout.files()).collect(),
        };
        for (theirs, other) in claims.iter().zip(directories) {
            if let Some(file) = claim.iter().find(|file| theirs.contains(*file)) {
                let (first, second) = (other.path.clone(), directory.path.clone());
                return Err(PlotError::Twice { file, first, second });
            }
        }
        claims.push(claim);
    }
    Ok(claims)
}
