//! `trash/N/`: what a command took out of a data directory, until it is brought back or purged.
//!
//! It lies in the data directory, so on the same filesystem: files go there and come back by
//! rename. `entry.json` says what it takes to undo, and is durable before the first file moves.
//! N counts up; a command over several directories takes the same N in each. Only a purge that
//! names the entry deletes anything.

use crate::belongings::kind_of;
use crate::disk::{Disk, System};
use crate::error::PlotError;
use crate::files;
use crate::metadata::{BadMetadata, Metadata};
use post::{AtxId, FullLabel, LabelIndex, NodeId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::path::{Path, PathBuf};

pub(crate) const FOLDER: &str = "trash";
pub(crate) const FILE_NAME: &str = "entry.json";
const VERSION: u32 = 1;
/// Most bytes read of an entry: twice what one with [`crate::Layout::FILES_MAX`] files has.
const ENTRY_BYTES_MAX: u64 = 1 << 28;

/// What one command put into the trash of one directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    version: u32,
    /// The data directory.
    #[serde(skip)]
    pub directory: PathBuf,
    /// Its number there.
    #[serde(skip)]
    pub number: u64,
    /// When, in Unix seconds.
    #[serde(default, rename = "when_unix")]
    pub when: u64,
    /// What was done.
    #[serde(flatten)]
    pub what: What,
    /// How far it has come.
    #[serde(default)]
    pub stage: Stage,
    /// Whose data it was; not every command says so.
    #[serde(default)]
    pub(crate) whose: Option<(NodeId, AtxId)>,
    /// The names of what goes to the trash, with its bytes.
    #[serde(default)]
    pub(crate) files: Vec<(String, u64)>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum What {
    /// Space was given back.
    Shrink {
        /// The size before.
        before: Size,
        /// The size since.
        after: Size,
        /// The file that the new end cuts through, and the bytes of it that stay.
        #[serde(default)]
        head: Option<(u64, u64)>,
    },
    /// The data went to another disk.
    Move {
        /// Where it is now.
        to: PathBuf,
    },
    /// Wrong labels were made again; these are the old ones.
    Repair,
    /// Something that this version does not know.
    #[serde(other)]
    Other,
}

/// How far a command has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Some of it is done: the same command goes on, `undo` takes it back.
    Begun,
    /// All of it is done.
    #[default]
    Done,
    /// Some of its files may be deleted.
    Purging,
}

/// How much data there is, and its VRF nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Units.
    pub units: u32,
    /// The index of the VRF nonce.
    pub nonce: Option<LabelIndex>,
    /// Its label, in hexadecimal.
    #[serde(default, serialize_with = "to_hex", deserialize_with = "from_hex")]
    pub nonce_value: Option<FullLabel>,
    /// How far past the data the search for a VRF nonce went.
    pub last_position: Option<u64>,
}

impl Size {
    /// The size that metadata states.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let (units, nonce) = (metadata.num_units, metadata.nonce);
        let (nonce_value, last_position) = (metadata.nonce_value, metadata.last_position);
        Self { units, nonce, nonce_value, last_position }
    }

    /// States this size in metadata.
    pub(crate) fn put(&self, metadata: &mut Metadata) {
        metadata.num_units = self.units;
        (metadata.nonce, metadata.nonce_value) = (self.nonce, self.nonce_value);
        metadata.last_position = self.last_position;
    }
}

impl What {
    /// The command that did it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Shrink { .. } => "shrink",
            Self::Move { .. } => "move",
            Self::Repair => "repair",
            Self::Other => "something newer",
        }
    }
}

impl Entry {
    /// The entries of a directory, oldest first.
    ///
    /// # Errors
    /// [`PlotError::Damaged`] or the system's.
    pub fn all(directory: &Path) -> Result<Vec<Self>, PlotError> {
        Self::all_on(&System, directory)
    }

    /// As [`Entry::all`], on any disk.
    ///
    /// # Errors
    /// Those of [`Entry::all`].
    pub fn all_on(disk: &dyn Disk, directory: &Path) -> Result<Vec<Self>, PlotError> {
        let mut entries = Vec::new();
        for number in numbers(disk, directory)? {
            let path = folder(directory, number).join(FILE_NAME);
            // A folder without it is what an interrupted command left empty.
            if let Some(bytes) = files::read_at_most(disk, &path, ENTRY_BYTES_MAX)? {
                let entry = Self::decode(&bytes).map_err(|why| PlotError::Damaged { path, why })?;
                entries.push(Self { directory: directory.to_path_buf(), number, ..entry });
            }
        }
        Ok(entries)
    }

    /// The bytes of an entry's file, understood; directory and number are for the caller to say.
    ///
    /// # Errors
    /// [`BadMetadata`] says what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadMetadata> {
        let json = |error: serde_json::Error| BadMetadata::Json(error.to_string());
        let entry: Self = serde_json::from_slice(bytes).map_err(json)?;
        if entry.version > VERSION {
            return Err(BadMetadata::Version { found: entry.version.into() });
        }
        // Names of ours and nothing else: no path leads out of the directory.
        let ours = |name: &str| {
            let path = Path::new(name);
            kind_of(path).is_some() && path.file_name() == Some(path.as_os_str())
        };
        if entry.files.iter().all(|(name, _)| ours(name)) {
            return Ok(entry);
        }
        Err(BadMetadata::Field { field: "files", expected: "names of data files" })
    }

    /// Writes down what is about to go to the trash. Durable when it returns.
    pub(crate) fn begin(
        disk: &dyn Disk,
        (directory, number): (&Path, u64),
        when: u64,
        what: What,
        (metadata, files): (&Metadata, Vec<(String, u64)>),
    ) -> Result<Self, PlotError> {
        let whose = Some((metadata.node_id, metadata.commitment_atx_id));
        let (version, stage, directory) = (VERSION, Stage::Begun, directory.to_path_buf());
        let entry = Self { version, directory, number, when, what, stage, whose, files };
        let folder = entry.folder();
        disk.create_directory(&folder).map_err(PlotError::io("create", &folder))?;
        entry.save(disk)?;
        Ok(entry)
    }

    fn save(&self, disk: &dyn Disk) -> Result<(), PlotError> {
        // Strings, numbers and lists always serialise.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        files::replace(disk, &self.folder().join(FILE_NAME), &bytes)
    }

    /// Writes down how far it has come.
    pub(crate) fn set_stage(&mut self, disk: &dyn Disk, stage: Stage) -> Result<(), PlotError> {
        if self.stage != stage {
            self.stage = stage;
            self.save(disk)?;
        }
        Ok(())
    }

    /// Where its files lie.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        folder(&self.directory, self.number)
    }

    /// Where a file of it lies in the trash, and where it came from.
    pub(crate) fn places_of(&self, name: &str) -> (PathBuf, PathBuf) {
        (self.folder().join(name), self.directory.join(name))
    }

    /// Whether both are of one command over several directories.
    pub(crate) fn is_with(&self, other: &Self) -> bool {
        (self.number, self.when, &self.what) == (other.number, other.when, &other.what)
    }

    /// The entry of the same command in another directory, among that one's entries.
    ///
    /// # Errors
    /// [`PlotError::Unfinished`] where another command took the number.
    pub(crate) fn beside(&self, others: Vec<Self>) -> Result<Option<Self>, PlotError> {
        match others.into_iter().find(|other| other.number == self.number) {
            Some(other) if !other.is_with(self) => Err(self.unfinished()),
            other => Ok(other),
        }
    }

    /// Puts files that are in the directory into the trash; those that are not are there already.
    /// Durable when it returns.
    pub(crate) fn take(
        &self,
        disk: &dyn Disk,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<(), PlotError> {
        for name in names {
            let (kept, home) = self.places_of(name.as_ref());
            if files::length(disk, &kept)?.is_none() && files::length(disk, &home)?.is_some() {
                disk.rename(&home, &kept).map_err(PlotError::io("rename", &home))?;
            }
        }
        self.sync(disk)
    }

    /// Makes what was renamed between the directory and the trash durable.
    pub(crate) fn sync(&self, disk: &dyn Disk) -> Result<(), PlotError> {
        for path in [&self.folder(), &self.directory] {
            disk.sync_directory(path).map_err(PlotError::io("sync", path))?;
        }
        Ok(())
    }

    /// What a purge deletes: every file of it, with its bytes.
    ///
    /// # Errors
    /// The system's.
    pub fn contents(&self) -> Result<Vec<(PathBuf, u64)>, PlotError> {
        self.contents_on(&System)
    }

    /// As [`Entry::contents`], on any disk.
    ///
    /// # Errors
    /// The system's.
    pub fn contents_on(&self, disk: &dyn Disk) -> Result<Vec<(PathBuf, u64)>, PlotError> {
        contents(disk, &self.folder())
    }

    /// Deletes it for good.
    ///
    /// # Errors
    /// [`PlotError::Unfinished`] where a file of it is nowhere else and the command that put it
    /// there was interrupted; the system's: the next purge goes on.
    pub fn purge(self) -> Result<(), PlotError> {
        self.purge_on(&System)
    }

    /// As [`Entry::purge`], on any disk.
    ///
    /// # Errors
    /// Those of [`Entry::purge`].
    pub fn purge_on(mut self, disk: &dyn Disk) -> Result<(), PlotError> {
        if self.stage == Stage::Begun {
            self.refuse_only_copies(disk)?;
        }
        // Those of other versions are kept as they were written, save for this.
        let path = self.folder().join(FILE_NAME);
        let bytes = files::read_at_most(disk, &path, ENTRY_BYTES_MAX)?.unwrap_or_default();
        if let Ok(Value::Object(mut raw)) = serde_json::from_slice(&bytes) {
            raw.insert("stage".to_owned(), "purging".into());
            files::replace(disk, &path, &serde_json::to_vec(&raw).unwrap_or_default())?;
        }
        self.stage = Stage::Purging;
        for (path, _) in self.contents_on(disk)? {
            if path.file_name() != Some(FILE_NAME.as_ref()) {
                disk.remove(&path).map_err(PlotError::io("remove", &path))?;
            }
        }
        self.close(disk)
    }

    /// Takes the entry away, whose files are gone. What else lies in its folder stays.
    pub(crate) fn close(self, disk: &dyn Disk) -> Result<(), PlotError> {
        let folder = self.folder();
        disk.sync_directory(&folder).map_err(PlotError::io("sync", &folder))?;
        files::remove(disk, &folder.join(FILE_NAME))?;
        for path in [&folder, &self.directory.join(FOLDER)] {
            disk.remove_directory(path).map_err(PlotError::io("remove", path))?;
        }
        Ok(())
    }

    fn refuse_only_copies(&self, disk: &dyn Disk) -> Result<(), PlotError> {
        for (name, bytes) in &self.files {
            let (kept, home) = self.places_of(name);
            let there = files::length(disk, &home)?.is_some_and(|found| found >= *bytes);
            if !there && files::length(disk, &kept)?.is_some() {
                return Err(self.unfinished());
            }
        }
        Ok(())
    }

    pub(crate) fn not_undone(&self, why: &'static str) -> PlotError {
        let (what, path) = (self.what.name(), self.directory.clone());
        PlotError::NotUndone { what, number: self.number, path, why }
    }

    pub(crate) fn unfinished(&self) -> PlotError {
        let (what, path) = (self.what.name(), self.directory.clone());
        PlotError::Unfinished { what, number: self.number, path }
    }
}

/// The number of a new entry: above all that are or were there, as far as is known.
pub(crate) fn next_number(disk: &dyn Disk, directory: &Path) -> Result<u64, PlotError> {
    Ok(numbers(disk, directory)?.last().map_or(1, |last| last.saturating_add(1)))
}

/// Every file in the trash of a directory, with its bytes, entry by entry.
pub(crate) fn everything(
    disk: &dyn Disk,
    directory: &Path,
) -> Result<Vec<(PathBuf, u64)>, PlotError> {
    let mut all = Vec::new();
    for number in numbers(disk, directory)? {
        all.extend(contents(disk, &folder(directory, number))?);
    }
    Ok(all)
}

/// Takes the empty folders of the trash away.
pub(crate) fn remove_folders(disk: &dyn Disk, directory: &Path) -> Result<(), PlotError> {
    let folders = numbers(disk, directory)?.into_iter().map(|number| folder(directory, number));
    for path in folders.chain([directory.join(FOLDER)]) {
        disk.remove_directory(&path).map_err(PlotError::io("remove", &path))?;
    }
    Ok(())
}

fn contents(disk: &dyn Disk, folder: &Path) -> Result<Vec<(PathBuf, u64)>, PlotError> {
    let mut paths = disk.list(folder).map_err(PlotError::io("list", folder))?;
    paths.sort();
    let with_bytes = |path: PathBuf| {
        let bytes = files::length(disk, &path)?.unwrap_or(0);
        Ok((path, bytes))
    };
    paths.into_iter().map(with_bytes).collect()
}

pub(crate) fn folder(directory: &Path, number: u64) -> PathBuf {
    directory.join(FOLDER).join(number.to_string())
}

/// The numbers in the trash of a directory, ascending.
fn numbers(disk: &dyn Disk, directory: &Path) -> Result<Vec<u64>, PlotError> {
    let trash = directory.join(FOLDER);
    let folders = disk.directories(&trash).map_err(PlotError::io("list", &trash))?;
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse().ok();
    let mut numbers: Vec<u64> = folders.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[expect(clippy::ref_option, reason = "serde hands fields over like this")]
fn to_hex<S: Serializer>(label: &Option<FullLabel>, serializer: S) -> Result<S::Ok, S::Error> {
    label.map(|label| post::to_hex(&label.0)).serialize(serializer)
}

fn from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<FullLabel>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let bytes = post::from_hex(&text).ok().and_then(|bytes| bytes.try_into().ok());
    let label = bytes.ok_or_else(|| serde::de::Error::custom("32 bytes in hexadecimal"))?;
    Ok(Some(FullLabel(label)))
}

#[cfg(test)]
mod tests;
