//! Key files: read, written where there was none, and replaced whole.
//!
//! A key is never made silently and never lost: a new one never takes the place of another, and
//! when a key is encrypted or decrypted its file has, at every moment, all of the old text or all
//! of the new.

use crate::outcome::{Result, WrongUsage};
use anyhow::Context;
use chain::{Identity, SealedKey};
use post::NodeId;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Most bytes read of a key file.
const BYTES_MAX: u64 = 4096;

/// What a key file holds.
#[derive(Debug)]
pub(crate) enum KeyFile {
    /// A key that whoever reads the file has.
    Plain(Identity),
    /// A key that a passphrase opens.
    Sealed(SealedKey),
}

impl KeyFile {
    /// Whose key it is.
    pub(crate) fn node_id(&self) -> NodeId {
        match self {
            Self::Plain(identity) => identity.node_id(),
            Self::Sealed(key) => key.node_id(),
        }
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Sealed(_))
    }

    fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(match self {
            Self::Plain(identity) => format!("{}\n", identity.to_text()),
            Self::Sealed(key) => format!("{}\n", key.to_text()),
        })
    }
}

/// Reads a key file.
pub(crate) fn read(path: &Path) -> Result<KeyFile> {
    let read = || {
        let mut text = Zeroizing::new(String::new());
        File::open(path)?.take(BYTES_MAX).read_to_string(&mut text)?;
        Ok::<_, io::Error>(text)
    };
    let text = read().with_context(|| format!("cannot read the key {}", path.display()))?;
    let none = || format!("{} holds no identity key", path.display());
    if SealedKey::is_meant_by(&text) {
        return Ok(KeyFile::Sealed(SealedKey::from_text(&text).with_context(none)?));
    }
    warn_if_open(path);
    Ok(KeyFile::Plain(Identity::from_text(&text).with_context(none)?))
}

#[cfg(unix)]
pub(crate) fn warn_if_open(path: &Path) {
    use std::os::unix::fs::MetadataExt;
    let open = fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o077 != 0);
    if open {
        tracing::warn!("{} can be read by other users: chmod 600 it", path.display());
    }
}

#[cfg(not(unix))]
pub(crate) fn warn_if_open(_: &Path) {}

/// Writes a key to a file that must not exist. It gets its name when it is complete and durable:
/// a crash leaves no key or a whole one.
pub(crate) fn write_new(path: &Path, key: &KeyFile) -> Result<()> {
    let temporary = path.with_added_extension(format!("{}.tmp", std::process::id()));
    let write = || {
        write_durably(&temporary, key)?;
        // A link, since it fails where the name is taken; a rename would replace a key.
        let linked = fs::hard_link(&temporary, path);
        fs::remove_file(&temporary)?;
        linked
    };
    match write() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(WrongUsage(format!(
            "{} exists already: a key is never overwritten. Move it away first, if you are sure",
            path.display()
        ))
        .into()),
        other => other.with_context(|| format!("cannot write the key {}", path.display())),
    }?;
    sync_directory_of(path)
}

/// Replaces a key file by another form of the same key. Only who holds the lock of its home may,
/// since the temporary file has one name: what a process that was killed left there is removed by
/// the next.
pub(crate) fn replace(path: &Path, key: &KeyFile) -> Result<()> {
    replace_until(path, key, |_| Ok(()))
}

/// The moments between which a replacement can be cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Begun,
    Written,
    Renamed,
}

fn replace_until(
    path: &Path,
    key: &KeyFile,
    mut reached: impl FnMut(Moment) -> io::Result<()>,
) -> Result<()> {
    let temporary = temporary(path);
    let mut replace = || {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        reached(Moment::Begun)?;
        write_durably(&temporary, key)?;
        reached(Moment::Written)?;
        fs::rename(&temporary, path)?;
        reached(Moment::Renamed)
    };
    replace()
        .with_context(|| format!("cannot replace the key {}: it is as it was", path.display()))?;
    sync_directory_of(path)
}

/// Where a replacement is written before it gets its name.
fn temporary(path: &Path) -> PathBuf {
    path.with_added_extension("tmp")
}

/// Writes a new file that only its owner may read; when this returns it is on the disk, though
/// its name may not be.
fn write_durably(path: &Path, key: &KeyFile) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(key.text().as_bytes())?;
    file.sync_all()
}

/// Makes sure that a name is on the disk.
pub(crate) fn sync_directory_of(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_directory(parent.unwrap_or(Path::new(".")))
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> Result<()> {
    let sync = File::open(path).and_then(|directory| directory.sync_all());
    sync.with_context(|| format!("cannot sync {}", path.display()))
}

/// Windows has no handle to sync for a directory; its journal orders names.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity::from_seed(&[7; 32])
    }

    fn forms() -> [KeyFile; 2] {
        let sealed = SealedKey::seal(&identity(), "x", [1; 16], [2; 24]).unwrap();
        [KeyFile::Plain(identity()), KeyFile::Sealed(sealed)]
    }

    #[test]
    fn a_replacement_that_is_cut_off_leaves_one_whole_key_and_the_next_one_succeeds() {
        let [plain, sealed] = forms();
        for (old, new) in [(&plain, &sealed), (&sealed, &plain)] {
            for cut in [Moment::Begun, Moment::Written, Moment::Renamed] {
                let root = tempfile::tempdir().unwrap();
                let path = root.path().join("identity.key");
                write_new(&path, old).unwrap();
                let killed = |moment| {
                    if moment == cut { Err(io::Error::other("killed")) } else { Ok(()) }
                };
                replace_until(&path, new, killed).unwrap_err();
                let expected = if cut == Moment::Renamed { new } else { old };
                assert_eq!(fs::read_to_string(&path).unwrap(), *expected.text(), "{cut:?}");
                assert_eq!(temporary(&path).exists(), cut == Moment::Written);
                replace(&path, new).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), *new.text());
                assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
            }
        }
    }

    #[test]
    fn half_a_replacement_of_an_earlier_process_is_no_obstacle() {
        let [plain, sealed] = forms();
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("identity.key");
        write_new(&path, &plain).unwrap();
        fs::write(temporary(&path), "{\"what\":").unwrap();
        replace(&path, &sealed).unwrap();
        let KeyFile::Sealed(read) = read(&path).unwrap() else { panic!("it is not encrypted") };
        assert_eq!(read.open("x").unwrap().to_text(), identity().to_text());
    }

    #[test]
    fn a_broken_key_is_named() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("some.key");
        for text in ["not a key", "{\"version\":1}", "{"] {
            fs::write(&path, text).unwrap();
            assert!(format!("{:#}", read(&path).unwrap_err()).contains("some.key"));
        }
    }
}
