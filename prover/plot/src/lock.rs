//! One writer or many readers of a data directory, among the processes of this host.

use crate::error::PlotError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

const FILE_NAME: &str = "postmesh.lock";
/// Held by the process that writes the journal of a proof.
const JOURNAL_FILE_NAME: &str = "postmesh_proof.lock";

/// A held lock; released when dropped, or by the system when the process dies.
#[derive(Debug)]
#[must_use = "the lock lasts only as long as this value"]
pub struct Lock {
    /// `None` on a filesystem that nobody can write, which needs no lock.
    _file: Option<File>,
}

impl Lock {
    /// Locks a directory for writing: nobody else reads or writes meanwhile.
    ///
    /// # Errors
    /// [`PlotError::InUse`] or the system's.
    pub fn exclusive(directory: &Path) -> Result<Self, PlotError> {
        Self::exclusive_file(directory, FILE_NAME)
    }

    /// Locks several directories for writing.
    ///
    /// # Errors
    /// Those of [`Lock::exclusive`]; none is then locked.
    pub fn exclusive_all<'a>(
        directories: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Vec<Self>, PlotError> {
        directories.into_iter().map(Self::exclusive).collect()
    }

    /// Locks several directories for reading.
    ///
    /// # Errors
    /// Those of [`Lock::shared`]; none is then locked.
    pub fn shared_all<'a>(
        directories: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Vec<Self>, PlotError> {
        directories.into_iter().map(Self::shared).collect()
    }

    /// Locks the journal of a directory: readers may prove side by side, but one writes it.
    ///
    /// # Errors
    /// [`PlotError::InUse`] or the system's; the proof can then be made without a journal.
    pub fn journal(directory: &Path) -> Result<Self, PlotError> {
        Self::exclusive_file(directory, JOURNAL_FILE_NAME)
    }

    fn exclusive_file(directory: &Path, name: &str) -> Result<Self, PlotError> {
        let path = directory.join(name);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(PlotError::io("lock", &path))?;
        file.try_lock().map_err(|error| refused(error, directory))?;
        Ok(Self { _file: Some(file) })
    }

    /// Locks a directory for reading: others may read too. What cannot be written by anyone, or is
    /// not there, needs no lock.
    ///
    /// # Errors
    /// [`PlotError::InUse`] or the system's.
    pub fn shared(directory: &Path) -> Result<Self, PlotError> {
        let path = directory.join(FILE_NAME);
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = match opened.or_else(|_| File::open(&path)) {
            Ok(file) => file,
            Err(error) if unwritable(&error) => return Ok(Self { _file: None }),
            Err(error) => return Err(PlotError::io("lock", &path)(error)),
        };
        file.try_lock_shared().map_err(|error| refused(error, directory))?;
        Ok(Self { _file: Some(file) })
    }
}

/// Whether a file is a lock, by its name.
pub(crate) fn is_lock(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == FILE_NAME || name == JOURNAL_FILE_NAME)
}

/// Neither made nor opened: the lock file is not there and cannot be.
fn unwritable(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
    )
}

fn refused(error: TryLockError, directory: &Path) -> PlotError {
    match error {
        TryLockError::WouldBlock => PlotError::InUse { path: directory.to_path_buf() },
        TryLockError::Error(source) => PlotError::io("lock", directory)(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_or_many_readers() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let readers = [Lock::shared(path).unwrap(), Lock::shared(path).unwrap()];
        assert!(matches!(Lock::exclusive(path), Err(PlotError::InUse { .. })));
        drop(readers);
        let writer = Lock::exclusive(path).unwrap();
        assert!(matches!(Lock::shared(path), Err(PlotError::InUse { .. })));
        assert!(matches!(Lock::exclusive(path), Err(PlotError::InUse { .. })));
        drop(writer);
        let _reader = Lock::shared(path).unwrap();
    }
}
