//! `postmesh.json`: what the reference's metadata does not say.

use crate::disk::Disk;
use crate::error::PlotError;
use crate::files;
use crate::metadata::BadMetadata;
use crate::numbers::FileNumbers;
use post::ScryptN;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

pub(crate) const FILE_NAME: &str = "postmesh.json";
/// Version 1: scrypt's N. Version 2: files, share, siblings, makers, checked.
const VERSION: u64 = 2;
/// Most makers that are remembered: devices and versions that made labels of a directory.
const MAKERS_MAX: usize = 1 << 10;

/// Our own facts about a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecar {
    /// The N that the labels were made with.
    pub scrypt_n: ScryptN,
    /// Which files of the data set are here; `None` where the directory holds all of it.
    pub files: Option<FileNumbers>,
    /// Which files this directory and its siblings were to hold together, where others are made
    /// elsewhere; `None` where it was all of them.
    pub share: Option<FileNumbers>,
    /// Where the other files were when they were last seen.
    pub siblings: Vec<PathBuf>,
    /// What made labels: device and version, as the manifests' slots count them, from 1 on.
    pub makers: Vec<String>,
    /// How many of a million labels the last check that passed made again; `None` before one.
    pub checked_ppm: Option<u32>,
}

impl Sidecar {
    /// The facts about a directory that holds all files of a new data set.
    #[must_use]
    pub fn new(scrypt_n: ScryptN) -> Self {
        let (siblings, makers) = (vec![], vec![]);
        Self { scrypt_n, files: None, share: None, siblings, makers, checked_ppm: None }
    }

    /// The bytes of a sidecar file, understood.
    ///
    /// # Errors
    /// [`BadMetadata`] says what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadMetadata> {
        let value: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| BadMetadata::Json(error.to_string()))?;
        let number = |field| {
            let expected = "a whole number";
            value.get(field).and_then(Value::as_u64).ok_or(BadMetadata::Field { field, expected })
        };
        let found = number("version")?;
        if !(1..=VERSION).contains(&found) {
            return Err(BadMetadata::Version { found });
        }
        let n = u32::try_from(number("scrypt_n")?).ok().and_then(|n| ScryptN::new(n).ok());
        let expected = "a power of two that scrypt can use";
        let scrypt_n = n.ok_or(BadMetadata::Field { field: "scrypt_n", expected })?;
        let files = optional(&value, "files", "ranges of file numbers", FileNumbers::from_json)?;
        let share = optional(&value, "share", "ranges of file numbers", FileNumbers::from_json)?;
        let siblings = optional(&value, "siblings", "a list of paths", texts)?.unwrap_or_default();
        let makers = optional(&value, "makers", "a list of texts", texts)?.unwrap_or_default();
        let ppm = |value: &Value| value.as_u64().and_then(|ppm| u32::try_from(ppm).ok());
        let checked_ppm = optional(&value, "checked_ppm", "a whole number", ppm)?;
        let siblings = siblings.into_iter().map(PathBuf::from).collect();
        Ok(Self { scrypt_n, files, share, siblings, makers, checked_ppm })
    }

    /// The bytes of a sidecar file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut value = json!({ "version": VERSION, "scrypt_n": self.scrypt_n.get() });
        if let Some(files) = &self.files {
            value["files"] = files.to_json();
        }
        if let Some(share) = &self.share {
            value["share"] = share.to_json();
        }
        if !self.siblings.is_empty() {
            value["siblings"] = self.siblings.iter().map(|path| path.to_string_lossy()).collect();
        }
        if !self.makers.is_empty() {
            value["makers"] = json!(self.makers);
        }
        if let Some(ppm) = self.checked_ppm {
            value["checked_ppm"] = ppm.into();
        }
        format!("{value:#}\n").into()
    }

    /// The number by which slots call this maker, which is added if it is new; 0 where there are
    /// too many to tell apart.
    pub(crate) fn maker(&mut self, name: &str) -> u16 {
        let known = self.makers.iter().position(|maker| maker == name);
        let at = known.unwrap_or(self.makers.len());
        if at >= MAKERS_MAX {
            return 0;
        }
        if known.is_none() {
            self.makers.push(name.to_owned());
        }
        u16::try_from(at + 1).unwrap_or(0)
    }

    pub(crate) fn load(disk: &dyn Disk, directory: &Path) -> Result<Option<Self>, PlotError> {
        let path = directory.join(FILE_NAME);
        let Some(bytes) = files::read_small(disk, &path)? else {
            return Ok(None);
        };
        Self::decode(&bytes).map(Some).map_err(|why| PlotError::Damaged { path, why })
    }

    pub(crate) fn save(&self, disk: &dyn Disk, directory: &Path) -> Result<(), PlotError> {
        files::replace(disk, &directory.join(FILE_NAME), &self.encode())
    }
}

fn optional<T>(
    value: &Map<String, Value>,
    field: &'static str,
    expected: &'static str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<Option<T>, BadMetadata> {
    let Some(value) = value.get(field) else { return Ok(None) };
    read(value).map(Some).ok_or(BadMetadata::Field { field, expected })
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let list = value.as_array().filter(|list| list.len() <= MAKERS_MAX)?;
    list.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        let plain = Sidecar::new(ScryptN::new(8192).unwrap());
        let full = Sidecar {
            files: Some([0, 1, 5].into_iter().collect()),
            share: Some([0, 1, 2, 5].into_iter().collect()),
            siblings: vec!["/mnt/b".into()],
            makers: vec!["cpu avx2, postmesh 0.1.0".into()],
            checked_ppm: Some(1_000),
            ..plain.clone()
        };
        for sidecar in [plain.clone(), full] {
            assert_eq!(Sidecar::decode(&sidecar.encode()), Ok(sidecar));
        }
        let older = br#"{"version": 1, "scrypt_n": 8192}"#;
        assert_eq!(Sidecar::decode(older), Ok(plain));
        let newer = br#"{"version": 3, "scrypt_n": 8192}"#;
        assert_eq!(Sidecar::decode(newer), Err(BadMetadata::Version { found: 3 }));
        for bytes in [
            &b"{}"[..],
            b"7",
            b"",
            br#"{"version": 1, "scrypt_n": 8191}"#,
            br#"{"version": 2, "scrypt_n": 8192, "files": [[2, 1]]}"#,
            br#"{"version": 2, "scrypt_n": 8192, "makers": "one"}"#,
        ] {
            assert!(Sidecar::decode(bytes).is_err());
        }
    }

    #[test]
    fn makers_are_numbered_from_one_on() {
        let mut sidecar = Sidecar::new(ScryptN::new(2).unwrap());
        assert_eq!((sidecar.maker("a"), sidecar.maker("b"), sidecar.maker("a")), (1, 2, 1));
        sidecar.makers.resize(MAKERS_MAX, String::new());
        assert_eq!((sidecar.maker("b"), sidecar.maker("c")), (2, 0));
    }
}
