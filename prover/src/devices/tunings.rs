//! What was found to be best for each device, driver, N and length of dispatch: a file in the
//! user's cache, which may be lost at any time.

use core::time::Duration;
use gpu::Tuning;
use post::ScryptN;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const FILE: &str = "tuning.json";
const VERSION: u32 = 1;

/// Most bytes of the file that are read.
const BYTES_MAX: u64 = 1 << 20;

/// One writer of this process at a time; between processes the last one wins, at the cost of a
/// measurement.
static WRITING: Mutex<()> = Mutex::new(());

/// What a tuning is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) device: String,
    pub(crate) driver: String,
    /// scrypt's N.
    pub(crate) n: u32,
    /// Milliseconds that a dispatch should take.
    pub(crate) target_ms: u64,
}

impl Key {
    pub(crate) fn new(device: &str, driver: &str, n: ScryptN, target: Duration) -> Self {
        let (device, driver) = (device.to_owned(), driver.to_owned());
        let target_ms = u64::try_from(target.as_millis()).unwrap_or(u64::MAX);
        Self { device, driver, n: n.get(), target_ms }
    }

    /// Whether it is the same but for the driver.
    fn replaces(&self, other: &Self) -> bool {
        (&self.device, self.n, self.target_ms) == (&other.device, other.n, other.target_ms)
    }
}

/// A tuning that is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    #[serde(rename = "for")]
    pub(crate) key: Key,
    pub(crate) tuning: Tuning,
    /// As measured at work.
    pub(crate) labels_per_second: Option<f64>,
}

#[derive(Serialize, Deserialize)]
struct Contents {
    version: u32,
    tunings: Vec<Entry>,
}

/// The file of all that are known.
#[derive(Clone, Debug)]
pub(crate) struct Tunings {
    path: PathBuf,
}

impl Tunings {
    /// The user's; `None` where the user has no home. `$POSTMESH_CACHE`, else `postmesh` in the
    /// user's directory for what may be lost.
    pub(crate) fn of_user() -> Option<Self> {
        let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Some(Self { path: directory(from)?.join(FILE) })
    }

    /// What is known for a key.
    pub(crate) fn find(&self, key: &Key) -> Option<Entry> {
        self.all().into_iter().find(|entry| entry.key == *key)
    }

    /// All that are known; none where the file is damaged, which is told.
    pub(crate) fn all(&self) -> Vec<Entry> {
        match self.read() {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                let path = self.path.display();
                tracing::warn!("{path} is not used, and replaced when there is more: {error}");
                Vec::new()
            }
        }
    }

    fn read(&self) -> io::Result<Vec<Entry>> {
        let mut bytes = Vec::new();
        File::open(&self.path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
        let contents: Contents = serde_json::from_slice(&bytes)?;
        match contents.version {
            VERSION => Ok(contents.tunings),
            other => Err(io::Error::other(format!("its version {other} is not known"))),
        }
    }

    /// Writes a tuning down, in place of what was known for this device, N and length of dispatch.
    ///
    /// # Errors
    /// The file's; what was in it is whole then.
    pub(crate) fn keep(&self, entry: &Entry) -> io::Result<()> {
        let _alone = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tunings = self.all();
        tunings.retain(|known| !entry.key.replaces(&known.key));
        tunings.push(entry.clone());
        let text = serde_json::to_vec_pretty(&Contents { version: VERSION, tunings })?;
        let directory = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        let temporary = self.path.with_extension(format!("{}.tmp", std::process::id()));
        let mut file = File::create(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        // Windows syncs no directories.
        if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
    }
}

/// Where things lie that may be lost, by the variables of the environment.
fn directory(from: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name| from(name).map(PathBuf::from);
    if let Some(own) = path("POSTMESH_CACHE") {
        return Some(own);
    }
    let caches = path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache")));
    Some(caches.or_else(|| path("LOCALAPPDATA"))?.join("postmesh"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gpu::{Gap, Mixing};

    fn entry(driver: &str, n: u32, labels: u32) -> Entry {
        let n = ScryptN::new(n).unwrap();
        let key = Key::new("gpu:10de-2204-0000:01:00.0", driver, n, Duration::from_millis(50));
        let tuning = Tuning { gap: Gap::Two, mixing: Mixing::Cooperative, labels };
        Entry { key, tuning, labels_per_second: Some(1234.5) }
    }

    #[test]
    fn what_was_kept_is_found() {
        let root = tempfile::tempdir().unwrap();
        let tunings = Tunings { path: root.path().join("new/tuning.json") };
        let (one, two) = (entry("550.1", 8192, 4096), entry("550.1", 512, 65_536));
        assert_eq!(tunings.find(&one.key), None);
        tunings.keep(&one).unwrap();
        tunings.keep(&two).unwrap();
        assert_eq!(tunings.find(&one.key), Some(one.clone()));
        let better = Entry { labels_per_second: None, ..entry("550.1", 8192, 8192) };
        tunings.keep(&better).unwrap();
        assert_eq!(tunings.all(), [two.clone(), better.clone()]);
        // With another driver, all may be different.
        let updated = entry("560.9", 8192, 2048);
        assert_eq!(tunings.find(&updated.key), None);
        tunings.keep(&updated).unwrap();
        assert_eq!(tunings.all(), [two, updated]);
        let files = fs::read_dir(root.path().join("new")).unwrap().count();
        assert_eq!(files, 1, "nothing but the file is left");
    }

    #[test]
    fn a_damaged_file_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let tunings = Tunings { path: root.path().join("tuning.json") };
        let entry = entry("550.1", 8192, 4096);
        for damaged in ["", "{", "{\"version\": 2, \"tunings\": []}", "\u{0}\u{0}\u{0}", "[]"] {
            fs::write(&tunings.path, damaged).unwrap();
            assert_eq!(tunings.all(), []);
            tunings.keep(&entry).unwrap();
            assert_eq!(tunings.all(), std::slice::from_ref(&entry));
        }
    }

    #[test]
    fn the_file_lies_where_the_system_keeps_such_things() {
        let home = |known: &[(&str, &str)]| {
            let known: Vec<_> = known.iter().map(|(n, v)| (*n, OsString::from(v))).collect();
            directory(|name| Some(known.iter().find(|(known, _)| *known == name)?.1.clone()))
        };
        let own = ("POSTMESH_CACHE", "/own");
        let (xdg, user) = (("XDG_CACHE_HOME", "/xdg"), ("HOME", "/home/me"));
        assert_eq!(home(&[own, xdg, user]), Some("/own".into()));
        assert_eq!(home(&[xdg, user]), Some("/xdg/postmesh".into()));
        assert_eq!(home(&[user]), Some("/home/me/.cache/postmesh".into()));
        assert_eq!(home(&[("LOCALAPPDATA", "C:/me")]), Some("C:/me/postmesh".into()));
        assert_eq!(home(&[]), None);
    }
}
