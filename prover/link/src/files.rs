//! Small files of secrets and of who is trusted: closed to others, replaced whole or not at all.

use crate::error::LinkError;
use core::marker::PhantomData;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Most bytes of such a file.
const BYTES_MAX: u64 = 1 << 20;

/// All of a file; `None` where there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, LinkError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LinkError::io("read", path)(error)),
    }
}

/// Makes a file; one that is there already stays as it is.
pub(crate) fn make(path: &Path, bytes: &[u8]) -> Result<(), LinkError> {
    let temporary = written(path, bytes)?;
    let linked = fs::hard_link(&temporary, path);
    let removed = fs::remove_file(&temporary);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(LinkError::io("make", path)(error))
        }
        _ => {
            removed.map_err(LinkError::io("remove", &temporary))?;
            sync_directory(path)
        }
    }
}

/// Replaces a file, or makes it.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), LinkError> {
    let temporary = written(path, bytes)?;
    fs::rename(&temporary, path).map_err(LinkError::io("replace", path))?;
    sync_directory(path)
}

/// A value in a file, as JSON; the file need not be there.
#[derive(Clone, Debug)]
pub(crate) struct Kept<T> {
    path: PathBuf,
    value: PhantomData<fn() -> T>,
}

impl<T: Clone + Default + DeserializeOwned + PartialEq + Serialize> Kept<T> {
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_path_buf(), value: PhantomData }
    }

    /// What it says now.
    pub(crate) fn read(&self) -> Result<T, LinkError> {
        let bytes = read(&self.path)?;
        let value = bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose();
        Ok(value.map_err(|why| self.damaged(&why))?.unwrap_or_default())
    }

    /// Changes it; what others change meanwhile is not lost.
    pub(crate) fn change<A>(&self, change: impl FnOnce(&mut T) -> A) -> Result<A, LinkError> {
        let _lock = lock(&self.path)?;
        let before = self.read()?;
        let mut value = before.clone();
        let answer = change(&mut value);
        if value != before {
            let bytes = serde_json::to_vec_pretty(&value).map_err(|why| self.damaged(&why))?;
            replace(&self.path, &bytes)?;
        }
        Ok(answer)
    }

    fn damaged(&self, why: &serde_json::Error) -> LinkError {
        LinkError::Damaged { path: self.path.clone(), why: why.to_string() }
    }
}

/// The exclusive right to change a file, for as long as the lock lives.
fn lock(path: &Path) -> Result<File, LinkError> {
    let path = path.with_added_extension("lock");
    directory_of(&path)?;
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(LinkError::io("open", &path))?;
    file.lock().map_err(LinkError::io("lock", &path))?;
    Ok(file)
}

/// A new file beside `path` with these bytes, on disk.
fn written(path: &Path, bytes: &[u8]) -> Result<PathBuf, LinkError> {
    directory_of(path)?;
    let temporary = path.with_added_extension(format!("new-{}", std::process::id()));
    let write = || {
        let mut options = OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(LinkError::io("write", &temporary))?;
    Ok(temporary)
}

fn directory_of(path: &Path) -> Result<(), LinkError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
            made.map_err(LinkError::io("create", parent))
        }
        _ => Ok(()),
    }
}

fn sync_directory(path: &Path) -> Result<(), LinkError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(LinkError::io("sync", directory))
}
