//! Whole small files: read with a bound, replaced atomically. And positioned reads and writes,
//! which each system spells in its own way.

use crate::error::PlotError;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// Most bytes read of a JSON file: a thousand times what any has.
const SMALL_FILE_BYTES_MAX: u64 = 1 << 20;

/// The content of a small file; `None` where there is none.
///
/// What lies beyond [`SMALL_FILE_BYTES_MAX`] is not read: such a file will not parse.
pub(crate) fn read_small(path: &Path) -> Result<Option<Vec<u8>>, PlotError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(PlotError::io("open", path))?,
    };
    let mut bytes = Vec::new();
    file.take(SMALL_FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(PlotError::io("read", path))?;
    Ok(Some(bytes))
}

/// Replaces a file by new content so that, whatever happens in between, either the old or the new
/// content is there: temporary file, fsync, rename, fsync of the directory.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), PlotError> {
    let temporary = path.with_added_extension("tmp");
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(PlotError::io("write", path))?;
    sync_parent(path)
}

/// Makes the names in the directory of `path` durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), PlotError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    sync_directory(parent).map_err(PlotError::io("sync", parent))
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Windows has no handle to sync for a directory; its journal orders renames.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Reads at `offset` until `buffer` is full, wherever other users of the file read.
#[cfg(unix)]
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

/// Writes all of `bytes` at `offset`.
#[cfg(unix)]
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
pub(crate) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                buffer = buffer.split_at_mut(count).1;
                offset += count as u64;
            }
        }
    }
    Ok(())
}

#[cfg(windows)]
pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => {
                bytes = bytes.split_at(count).1;
                offset += count as u64;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("small.json");
        assert_eq!(read_small(&path).unwrap(), None);
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(read_small(&path).unwrap().unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_content() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("small.json");
        replace(&path, b"old").unwrap();
        // A directory in the way of the temporary file: the write fails for every user.
        fs::create_dir(directory.path().join("small.json.tmp")).unwrap();
        assert!(replace(&path, b"new").is_err());
        assert_eq!(read_small(&path).unwrap().unwrap(), b"old");
    }
}
