//! What the plot asks of a filesystem, and the filesystem of the system.
//!
//! The trait is small so that a simulated disk ([`crate::simulated`], in tests) can stand in its
//! place and fail in every way that a real one does: at any operation, and by losing whatever was
//! not synced.

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
    /// To write into it; it is made if it is not there, and kept if it is.
    Write,
    /// To write it anew: what is there is forgotten. For temporary files only.
    Replace,
}

/// An open file.
pub trait DiskFile: Debug + Send {
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
}

impl DiskFile for File {
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
