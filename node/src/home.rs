//! The node's directory: the identity key, a file of its own, and beside it the database.
//!
//! The key is never made silently, never overwritten, and complete from the moment that its name
//! is there.

use crate::args::{HomeArgs, KeyFileArgs};
use crate::outcome::{ExitCode, Result, WrongUsage, answer};
use anyhow::{Context, anyhow};
use chain::Identity;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const KEY_FILE: &str = "identity.key";
const DATABASE: &str = "db";
/// Most bytes read of a key file.
const KEY_BYTES_MAX: u64 = 4096;
/// What everyone who gets a key is told.
const BACK_UP: &str = "\
Keep a copy of this key somewhere safe (identity export FILE): whoever has it owns the identity, \
and without it the space you fill is worth nothing. Never run the same key on two machines.";

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

/// The identity of a node.
pub(crate) fn identity(home: &Path) -> Result<Identity> {
    let path = home.join(KEY_FILE);
    match read_key(&path) {
        Err(error) if is_not_found(&error) => Err(anyhow!(
            "there is no identity in {}: make one with `postmesh-node identity create`, or bring \
             yours with `identity import FILE`",
            home.display()
        )),
        other => other,
    }
}

/// `identity create`
pub(crate) fn create(args: &HomeArgs) -> Result {
    let home = home(args)?;
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut())
        .map_err(|error| anyhow!("the system has no randomness: {error}"))?;
    add(&home, &Identity::from_seed(&seed))
}

/// `identity show`
pub(crate) fn show(args: &HomeArgs) -> Result {
    answer!("{}", identity(&home(args)?)?.node_id())?;
    Ok(ExitCode::Done)
}

/// `identity export`
pub(crate) fn export(args: &KeyFileArgs) -> Result {
    let identity = identity(&home(&args.home)?)?;
    write_key(&args.file, &identity)?;
    eprintln!(
        "copied the key of {} to {}; keep it secret",
        identity.node_id(),
        args.file.display()
    );
    Ok(ExitCode::Done)
}

/// `identity import`
pub(crate) fn import(args: &KeyFileArgs) -> Result {
    let identity = read_key(&args.file)?;
    add(&home(&args.home)?, &identity)
}

/// Puts an identity where there is none yet.
fn add(home: &Path, identity: &Identity) -> Result {
    fs::create_dir_all(home).with_context(|| format!("cannot create {}", home.display()))?;
    let path = home.join(KEY_FILE);
    write_key(&path, identity)?;
    answer!("{}", identity.node_id())?;
    eprintln!("The key of this identity is in {}. {BACK_UP}", path.display());
    Ok(ExitCode::Done)
}

fn read_key(path: &Path) -> Result<Identity> {
    let read = || {
        let mut text = Zeroizing::new(String::new());
        File::open(path)?.take(KEY_BYTES_MAX).read_to_string(&mut text)?;
        Ok::<_, io::Error>(text)
    };
    let text = read().with_context(|| format!("cannot read the key {}", path.display()))?;
    warn_if_open(path);
    Identity::from_text(&text).with_context(|| format!("{} holds no identity key", path.display()))
}

fn is_not_found(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(unix)]
fn warn_if_open(path: &Path) {
    use std::os::unix::fs::MetadataExt;
    let open = fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o077 != 0);
    if open {
        tracing::warn!("{} can be read by other users: chmod 600 it", path.display());
    }
}

#[cfg(not(unix))]
fn warn_if_open(_: &Path) {}

/// Writes a key to a file that must not exist. It gets its name when it is complete and durable:
/// a crash leaves no key or a whole one.
fn write_key(path: &Path, identity: &Identity) -> Result<()> {
    let text = Zeroizing::new(format!("{}\n", identity.to_text()));
    let temporary = path.with_added_extension(format!("{}.tmp", std::process::id()));
    let write = || {
        new_private(&temporary)?.write_all(text.as_bytes())?;
        File::open(&temporary)?.sync_all()?;
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
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_directory(parent.unwrap_or(Path::new(".")))
}

/// A new file that only its owner may read.
fn new_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
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

    fn args(root: &tempfile::TempDir, home: &str) -> HomeArgs {
        HomeArgs { home: Some(root.path().join(home)) }
    }

    #[test]
    fn a_key_is_made_once_exported_and_imported() {
        let root = tempfile::tempdir().unwrap();
        let (first, second) = (args(&root, "a/b"), args(&root, "c"));
        create(&first).unwrap();
        let key = root.path().join("a/b").join(KEY_FILE);
        let bytes = fs::read(&key).unwrap();
        assert!(create(&first).unwrap_err().is::<WrongUsage>());
        assert_eq!(fs::read(&key).unwrap(), bytes);
        let file = root.path().join("backup");
        export(&KeyFileArgs { file: file.clone(), home: first.clone() }).unwrap();
        import(&KeyFileArgs { file: file.clone(), home: second.clone() }).unwrap();
        let node_id = |args| identity(&home(args).unwrap()).unwrap().node_id();
        assert_eq!(node_id(&first), node_id(&second));
        let again = import(&KeyFileArgs { file, home: first });
        assert!(again.unwrap_err().is::<WrongUsage>());
        // No temporary file is left.
        assert_eq!(fs::read_dir(root.path().join("a/b")).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_a_key() {
        use std::os::unix::fs::MetadataExt;
        let root = tempfile::tempdir().unwrap();
        create(&args(&root, "a")).unwrap();
        let mode = fs::metadata(root.path().join("a").join(KEY_FILE)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_missing_or_broken_key_is_named() {
        let root = tempfile::tempdir().unwrap();
        let home = root.path();
        assert!(identity(home).unwrap_err().to_string().contains("identity create"));
        fs::write(home.join(KEY_FILE), "not a key").unwrap();
        assert!(format!("{:#}", identity(home).unwrap_err()).contains("identity.key"));
    }
}
