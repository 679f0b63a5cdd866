//! The node's directory: where its keys lie, and beside them the database.
//!
//! ```text
//! identity.key          the first identity, called "default"
//! identities/NAME.key   further ones
//! db/                   the node's memory
//! link.key              the key by which provers on other hosts know the node, and
//! provers.json          those that it knows
//! ```

use crate::args::HomeArgs;
use crate::keys;
use crate::outcome::{Result, WrongUsage};
use anyhow::Context;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// What the first identity is called, whose file needs no name.
pub(crate) const DEFAULT: &str = "default";
const KEY_FILE: &str = "identity.key";
const MORE_KEYS: &str = "identities";
const EXTENSION: &str = "key";
const DATABASE: &str = "db";

/// The node's directory: what was asked for, else `postmesh` in the user's data directory.
pub(crate) fn home(args: &HomeArgs) -> Result<PathBuf> {
    if let Some(home) = &args.home {
        return Ok(home.clone());
    }
    let from = |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let data = from("XDG_DATA_HOME")
        .or_else(|| Some(from("HOME")?.join(".local/share")))
        .or_else(|| from("LOCALAPPDATA"));
    let data =
        data.ok_or_else(|| WrongUsage("there is no home directory: use --home DIR".into()))?;
    Ok(data.join("postmesh"))
}

/// Where the database of a node lies.
pub(crate) fn database(home: &Path) -> PathBuf {
    home.join(DATABASE)
}

/// Where the key of an identity lies, or would lie.
///
/// # Errors
/// The name cannot be one.
pub(crate) fn key(home: &Path, name: &str) -> Result<PathBuf> {
    if name == DEFAULT {
        return Ok(home.join(KEY_FILE));
    }
    if !is_name(name) {
        return Err(WrongUsage(format!(
            "{name:?} cannot be the name of an identity: 1 to 64 letters, digits and - . _, and \
             no dot in front"
        ))
        .into());
    }
    Ok(home.join(MORE_KEYS).join(format!("{name}.{EXTENSION}")))
}

/// A prover's name can be an identity's, unless its file would be hidden.
fn is_name(name: &str) -> bool {
    wire::is_name(name) && !name.starts_with('.')
}

/// The identities that are there: the default one first, the others by name.
///
/// # Errors
/// A directory cannot be read.
pub(crate) fn names(home: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    if home.join(KEY_FILE).try_exists().with_context(|| cannot_read(home))? {
        names.push(DEFAULT.to_owned());
    }
    let more = home.join(MORE_KEYS);
    let entries = match fs::read_dir(&more) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
        other => other.with_context(|| cannot_read(&more))?,
    };
    let mut others = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| cannot_read(&more))?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if path.extension().is_some_and(|extension| extension == EXTENSION)
            && let Some(name) = stem.filter(|name| is_name(name) && *name != DEFAULT)
        {
            others.push(name.to_owned());
        }
    }
    others.sort();
    names.extend(others);
    Ok(names)
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

/// The right to change keys, which one process has at a time; until it is dropped.
#[derive(Debug)]
pub(crate) struct KeyLock {
    _held: Option<File>,
}

/// Makes the directories that keys lie in, and takes the right to change keys.
///
/// # Errors
/// They cannot be made, or another process has the right.
pub(crate) fn lock(home: &Path) -> Result<KeyLock> {
    make(&home.join(MORE_KEYS))?;
    // The lock of a directory is on Unix that of any file. Elsewhere there is none.
    if !cfg!(unix) {
        return Ok(KeyLock { _held: None });
    }
    let directory = File::open(home).with_context(|| cannot_read(home))?;
    match directory.try_lock() {
        Ok(()) => Ok(KeyLock { _held: Some(directory) }),
        Err(fs::TryLockError::WouldBlock) => {
            Err(anyhow::anyhow!("another process is changing the keys in {}", home.display()))
        }
        Err(fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", home.display()))
        }
    }
}

/// Makes a directory and those that it lies in; their names are on the disk when this returns, so
/// that no key is lost with one of them.
fn make(directory: &Path) -> Result<()> {
    let missing = |directory: &&Path| !directory.exists();
    let missing: Vec<_> = directory.ancestors().take_while(missing).collect();
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    missing.into_iter().try_for_each(keys::sync_directory_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_files_in_one_directory_and_nothing_else() {
        let home = Path::new("h");
        assert_eq!(key(home, DEFAULT).unwrap(), Path::new("h/identity.key"));
        assert_eq!(key(home, "a-1.b_").unwrap(), Path::new("h/identities/a-1.b_.key"));
        for bad in ["", ".", "..", ".a", "a/b", "../a", "a b", &"a".repeat(65)] {
            assert!(key(home, bad).unwrap_err().is::<WrongUsage>(), "{bad}");
        }
    }

    #[test]
    fn identities_are_found_and_what_else_lies_there_is_none() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path();
        assert_eq!(names(home).unwrap(), Vec::<String>::new());
        fs::create_dir(home.join("identities")).unwrap();
        for file in ["b.key", "a.key", "c.key.tmp", ".d.key", "default.key", "notes.txt"] {
            fs::write(home.join("identities").join(file), "").unwrap();
        }
        fs::write(home.join("identity.key"), "").unwrap();
        assert_eq!(names(home).unwrap(), ["default", "a", "b"]);
    }

    #[cfg(unix)]
    #[test]
    fn one_process_changes_keys_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let held = lock(root.path()).unwrap();
        assert!(lock(root.path()).is_err());
        drop(held);
        lock(root.path()).unwrap();
    }
}
