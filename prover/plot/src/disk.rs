//! What the plot asks of a filesystem, and the filesystem of the system.
//!
//! The trait is small so that a simulated disk ([`crate::simulated`], in tests) can stand in its
//! place and fail in every way that a real one does: at any operation, and by losing whatever was
//! not synced.

use crate::physical;
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A filesystem.
pub trait Disk: Debug + Send + Sync {
    /// Opens a file.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::NotFound`] when it is to be read and is not there.
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>>;

    /// The length of a file; `None` where there is none.
    ///
    /// # Errors
    /// The system's.
    fn length(&self, path: &Path) -> io::Result<Option<u64>>;

    /// Gives a file another name, in place of the file that had it.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file away for good.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Names of the files in a directory, in no order; none where there is no directory.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;

    /// The directories in a directory, in no order; none where there is no directory.
    ///
    /// # Errors
    /// The system's.
    fn directories(&self, path: &Path) -> io::Result<Vec<PathBuf>>;

    /// The room on the filesystem of a directory, which need not be there yet.
    ///
    /// # Errors
    /// The system's.
    fn room(&self, path: &Path) -> io::Result<Room>;

    /// Bytes of the filesystem that a file takes, which may be more than its length or less; 0
    /// where there is no such file.
    ///
    /// # Errors
    /// The system's.
    fn allocated(&self, path: &Path) -> io::Result<u64>;

    /// Takes room for a file of `bytes` bytes, which is made if it is not there, without changing
    /// its length or its content. Does nothing where the system has no such thing.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::StorageFull`] where there is no room.
    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()>;

    /// Makes a directory, and those above it. Durable when it returns.
    ///
    /// # Errors
    /// The system's.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Takes an empty directory away. Where something is in it, or it is not there, nothing
    /// happens.
    ///
    /// # Errors
    /// The system's.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// A number that paths on the same physical disk share, and no others.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::NotFound`] where there is nothing at the path.
    fn physical(&self, path: &Path) -> io::Result<u64>;
}

/// The room on a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Which filesystem: directories with the same number share their room.
    pub filesystem: u64,
    /// Bytes that may still be written.
    pub available: u64,
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read what is there.
    Read,
    /// To read much of it once, past the system's cache where it can be done. Places in the file,
    /// in memory and lengths are then multiples of 4 KiB.
    Stream,
    /// To write into it; it is made if it is not there, and kept if it is.
    Write,
    /// To write it anew: what is there is forgotten. For temporary files only.
    Replace,
}

/// An open file.
pub trait DiskFile: Debug + Send + Sync {
    /// Reads some bytes from `offset` on; how many. 0 is the end of the file, or no room.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills the buffer from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] beyond the end, or the system's.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all the bytes from `offset` on; the file grows as far as it must.
    ///
    /// # Errors
    /// The system's; some of the bytes may then be written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Bytes in the file.
    ///
    /// # Errors
    /// The system's.
    fn length(&self) -> io::Result<u64>;

    /// Makes what was written durable.
    ///
    /// # Errors
    /// The system's; what was written since the last sync may then be lost.
    fn sync(&self) -> io::Result<()>;

    /// Drops what memory keeps of the file, so that the next read asks the disk. Does nothing
    /// where the system has no such thing.
    fn forget(&self);
}

/// The filesystem of the system.
#[derive(Clone, Copy, Debug)]
pub struct System;

impl Disk for System {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        let options = match access {
            Access::Read => options.read(true),
            Access::Stream => return direct::open(path),
            Access::Write => options.read(true).write(true).create(true).truncate(false),
            Access::Replace => options.write(true).create(true).truncate(true),
        };
        Ok(Box::new(options.open(path)?))
    }

    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let files = entries.filter(|entry| {
            entry.as_ref().map_or(true, |entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        });
        files.map(|entry| entry.map(|entry| entry.path())).collect()
    }

    fn directories(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let directories = entries.filter(|entry| {
            entry.as_ref().map_or(true, |entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        });
        directories.map(|entry| entry.map(|entry| entry.path())).collect()
    }

    #[cfg(unix)]
    fn room(&self, path: &Path) -> io::Result<Room> {
        let above = path.ancestors().find(|path| path.exists());
        let path = above.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let space = rustix::fs::statvfs(path)?;
        let available = space.f_bavail.saturating_mul(space.f_frsize);
        let filesystem = std::os::unix::fs::MetadataExt::dev(&fs::metadata(path)?);
        Ok(Room { filesystem, available })
    }

    /// Unknown: taken to be enough.
    #[cfg(not(unix))]
    fn room(&self, _: &Path) -> io::Result<Room> {
        Ok(Room { filesystem: 0, available: u64::MAX })
    }

    fn allocated(&self, path: &Path) -> io::Result<u64> {
        match fs::metadata(path) {
            #[cfg(unix)]
            Ok(metadata) => Ok(std::os::unix::fs::MetadataExt::blocks(&metadata) * 512),
            #[cfg(not(unix))]
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    #[cfg(target_os = "linux")]
    fn reserve(&self, path: &Path, bytes: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        match fallocate(&file, FallocateFlags::KEEP_SIZE, 0, bytes) {
            // Neither every filesystem nor every kernel can.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            other => Ok(other?),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn reserve(&self, _: &Path, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        if path.is_dir() {
            return Ok(());
        }
        if let Some(above) = above {
            self.create_directory(above)?;
        }
        match fs::create_dir(path) {
            Err(error) if !(error.kind() == io::ErrorKind::AlreadyExists && path.is_dir()) => {
                Err(error)
            }
            _ => self.sync_directory(above.unwrap_or(Path::new("."))),
        }
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        use io::ErrorKind::{DirectoryNotEmpty, NotFound};
        match fs::remove_dir(path) {
            Err(error) if matches!(error.kind(), DirectoryNotEmpty | NotFound) => Ok(()),
            other => other,
        }
    }

    #[cfg(unix)]
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    /// Windows has no handle to sync for a directory; its journal orders names.
    #[cfg(not(unix))]
    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn physical(&self, path: &Path) -> io::Result<u64> {
        physical::disk_of(path)
    }
}

impl DiskFile for File {
    #[cfg(unix)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, buffer, offset)
    }

    #[cfg(unix)]
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }

    #[cfg(unix)]
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, offset)
    }

    #[cfg(windows)]
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(self, buffer, offset)? {
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
    fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match std::os::windows::fs::FileExt::seek_write(self, bytes, offset)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => {
                    bytes = bytes.split_at(count).1;
                    offset += count as u64;
                }
            }
        }
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }

    #[cfg(target_os = "linux")]
    fn forget(&self) {
        // Advice: where it is not taken, the next read may be answered from memory.
        let _ = rustix::fs::fadvise(self, 0, None, rustix::fs::Advice::DontNeed);
    }

    #[cfg(not(target_os = "linux"))]
    fn forget(&self) {}
}

/// Reading past the page cache.
#[cfg(target_os = "linux")]
mod direct {
    use super::DiskFile;
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::unix::fs::OpenOptionsExt;
    use std::path::Path;

    /// Opens a file for direct IO, or as usual on a filesystem that has none.
    pub(super) fn open(path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let flags = OFlags::DIRECT.bits().cast_signed();
        match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Ok(file) => Ok(Box::new(Direct(file))),
            Err(error) if is_refusal(&error) => Ok(Box::new(File::open(path)?)),
            Err(error) => Err(error),
        }
    }

    /// The filesystem has no direct IO, or not for such a request.
    fn is_refusal(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::InvalidInput
    }

    /// A file to be read directly for as long as the filesystem takes it.
    #[derive(Debug)]
    pub(super) struct Direct(pub(super) File);

    impl DiskFile for Direct {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            match DiskFile::read_at(&self.0, buffer, offset) {
                Err(error) if is_refusal(&error) => {
                    fcntl_setfl(&self.0, fcntl_getfl(&self.0)?.difference(OFlags::DIRECT))?;
                    DiskFile::read_at(&self.0, buffer, offset)
                }
                read => read,
            }
        }

        fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
            while !buffer.is_empty() {
                match DiskFile::read_at(self, buffer, offset)? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    count => {
                        buffer = buffer.get_mut(count..).unwrap_or_default();
                        offset += count as u64;
                    }
                }
            }
            Ok(())
        }

        fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
            Err(io::ErrorKind::PermissionDenied.into())
        }

        fn length(&self) -> io::Result<u64> {
            self.0.length()
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }

        fn forget(&self) {
            self.0.forget();
        }
    }
}

/// Elsewhere files are streamed through the system's cache.
#[cfg(not(target_os = "linux"))]
mod direct {
    pub(super) fn open(path: &std::path::Path) -> std::io::Result<Box<dyn super::DiskFile>> {
        Ok(Box::new(std::fs::File::open(path)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::{ALIGNMENT, Buffer};

    /// The filesystem of the tests may have direct IO or not: either way the bytes come, those of
    /// a tail too, and those that nobody aligned.
    #[test]
    fn a_streamed_file_is_read_to_its_last_byte() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        let content: Vec<u8> = (0..3 * ALIGNMENT + 33).map(|at| (at % 251) as u8).collect();
        fs::write(&path, &content).unwrap();
        let file = System.open(&path, Access::Stream).unwrap();
        let mut buffer = Buffer::new(4 * ALIGNMENT);
        let count = file.read_at(buffer.as_mut_slice(), 0).unwrap();
        assert_eq!(buffer.as_slice()[..count], content);
        let tail = file.read_at(buffer.as_mut_slice(), 3 * ALIGNMENT as u64).unwrap();
        assert_eq!(buffer.as_slice()[..tail], content[3 * ALIGNMENT..]);
        assert_eq!(file.read_at(buffer.as_mut_slice(), 4 * ALIGNMENT as u64).unwrap(), 0);
        let mut unaligned = [0; 100];
        file.read_exact_at(&mut unaligned, 33).unwrap();
        assert_eq!(unaligned, content[33..133]);
        assert_eq!(file.length().unwrap(), content.len() as u64);
        let missing = System.open(&root.path().join("none"), Access::Stream);
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
