//! `postmesh.json`: what the reference's metadata does not say.

use crate::disk::Disk;
use crate::error::PlotError;
use crate::files;
use crate::metadata::BadMetadata;
use post::ScryptN;
use serde_json::{Value, json};
use std::path::Path;

const FILE_NAME: &str = "postmesh.json";
/// Version 1: scrypt's N.
const VERSION: u64 = 1;

/// Our own facts about a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sidecar {
    /// The N that the labels were made with.
    pub scrypt_n: ScryptN,
}

impl Sidecar {
    /// The bytes of a sidecar file, understood.
    ///
    /// # Errors
    /// [`BadMetadata`] says what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadMetadata> {
        let value: Value =
            serde_json::from_slice(bytes).map_err(|error| BadMetadata::Json(error.to_string()))?;
        let number = |field| {
            let expected = "a whole number";
            value.get(field).and_then(Value::as_u64).ok_or(BadMetadata::Field { field, expected })
        };
        let found = number("version")?;
        if found != VERSION {
            return Err(BadMetadata::Version { found });
        }
        let n = u32::try_from(number("scrypt_n")?).ok().and_then(|n| ScryptN::new(n).ok());
        let expected = "a power of two that scrypt can use";
        let scrypt_n = n.ok_or(BadMetadata::Field { field: "scrypt_n", expected })?;
        Ok(Self { scrypt_n })
    }

    fn encode(self) -> Vec<u8> {
        format!("{:#}\n", json!({ "version": VERSION, "scrypt_n": self.scrypt_n.get() })).into()
    }

    pub(crate) fn load(disk: &dyn Disk, directory: &Path) -> Result<Option<Self>, PlotError> {
        let path = directory.join(FILE_NAME);
        let Some(bytes) = files::read_small(disk, &path)? else {
            return Ok(None);
        };
        Self::decode(&bytes).map(Some).map_err(|why| PlotError::Damaged { path, why })
    }

    pub(crate) fn save(self, disk: &dyn Disk, directory: &Path) -> Result<(), PlotError> {
        files::replace(disk, &directory.join(FILE_NAME), &self.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_refusals() {
        let sidecar = Sidecar { scrypt_n: ScryptN::new(8192).unwrap() };
        assert_eq!(Sidecar::decode(&sidecar.encode()), Ok(sidecar));
        let newer = br#"{"version": 2, "scrypt_n": 8192}"#;
        assert_eq!(Sidecar::decode(newer), Err(BadMetadata::Version { found: 2 }));
        for bytes in [&b"{}"[..], b"7", b"", br#"{"version": 1, "scrypt_n": 8191}"#] {
            assert!(Sidecar::decode(bytes).is_err());
        }
    }
}
