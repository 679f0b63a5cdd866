//! Whole small files: read with a bound, replaced atomically.

use crate::disk::{Access, Disk};
use crate::error::PlotError;
use std::path::Path;

/// Most bytes read of a JSON file: a thousand times what any has.
const SMALL_FILE_BYTES_MAX: u64 = 1 << 20;

/// The content of a small file; `None` where there is none.
///
/// What lies beyond [`SMALL_FILE_BYTES_MAX`] is not read: such a file will not parse.
pub(crate) fn read_small(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, PlotError> {
    read_at_most(disk, path, SMALL_FILE_BYTES_MAX)
}

/// The first `most` bytes of a file; `None` where there is none.
pub(crate) fn read_at_most(
    disk: &dyn Disk,
    path: &Path,
    most: u64,
) -> Result<Option<Vec<u8>>, PlotError> {
    let Some(length) = length(disk, path)? else {
        return Ok(None);
    };
    let length = usize::try_from(length.min(most)).unwrap_or(0);
    let mut bytes = vec![0; length];
    let file = disk.open(path, Access::Read).map_err(PlotError::io("open", path))?;
    file.read_exact_at(&mut bytes, 0).map_err(PlotError::io("read", path))?;
    Ok(Some(bytes))
}

/// Replaces a file by new content so that, whatever happens in between, either the old or the new
/// content is there: temporary file, sync, rename, sync of the directory.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), PlotError> {
    let temporary = path.with_added_extension("tmp");
    let write = || {
        let file = disk.open(&temporary, Access::Replace)?;
        file.write_all_at(bytes, 0)?;
        file.sync()?;
        disk.rename(&temporary, path)
    };
    write().map_err(PlotError::io("write", path))?;
    sync_parent(disk, path)
}

/// The length of a file; `None` where there is none.
pub(crate) fn length(disk: &dyn Disk, path: &Path) -> Result<Option<u64>, PlotError> {
    disk.length(path).map_err(PlotError::io("look at", path))
}

/// Gives a file another name, in place of the file that had it; durable when it returns.
pub(crate) fn rename(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), PlotError> {
    disk.rename(from, to).map_err(PlotError::io("rename", from))?;
    sync_parent(disk, from)?;
    if from.parent() == to.parent() { Ok(()) } else { sync_parent(disk, to) }
}

/// Takes a file of ours away, if it is there; durable when it returns.
pub(crate) fn remove(disk: &dyn Disk, path: &Path) -> Result<(), PlotError> {
    if length(disk, path)?.is_some() {
        disk.remove(path).map_err(PlotError::io("remove", path))?;
        sync_parent(disk, path)?;
    }
    Ok(())
}

/// Makes the names in the directory of `path` durable.
pub(crate) fn sync_parent(disk: &dyn Disk, path: &Path) -> Result<(), PlotError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    disk.sync_directory(parent).map_err(PlotError::io("sync", parent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::System;
    use std::fs;

    #[test]
    fn a_file_is_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("small.json");
        assert_eq!(read_small(&System, &path).unwrap(), None);
        replace(&System, &path, b"first").unwrap();
        replace(&System, &path, b"two").unwrap();
        assert_eq!(read_small(&System, &path).unwrap().unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_content() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("small.json");
        replace(&System, &path, b"old").unwrap();
        // A directory in the way of the temporary file: the write fails for every user.
        fs::create_dir(directory.path().join("small.json.tmp")).unwrap();
        assert!(replace(&System, &path, b"new").is_err());
        assert_eq!(read_small(&System, &path).unwrap().unwrap(), b"old");
    }
}
