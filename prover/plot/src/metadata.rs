//! `postdata_metadata.json`, as Spacemesh's `post` and post-rs write and read it.
//!
//! Fields we do not know are kept as they are, and in their place.

use crate::disk::Disk;
use crate::error::PlotError;
use crate::files;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use post::{AtxId, Candidate, Commitment, FullLabel, LabelIndex, NodeId};
use serde_json::{Map, Value};
use std::path::Path;
use thiserror::Error;

/// The file's name in a data directory.
pub(crate) const FILE_NAME: &str = "postdata_metadata.json";

/// What is wrong with a metadata file.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadMetadata {
    /// Not JSON, or not an object.
    #[error("it is not a JSON object ({0})")]
    Json(String),
    /// A field is missing or of the wrong kind.
    #[error("field {field} is not {expected}")]
    Field {
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The size of a file holds no whole number of labels.
    #[error("MaxFileSize is {bytes}, but must be a multiple of 16 above 0")]
    FileSize {
        /// The size stated.
        bytes: u64,
    },
    /// Units times labels is nothing, or more than there can be.
    #[error("{num_units} units of {labels_per_unit} labels are none, or more than there can be")]
    Labels {
        /// Units stated.
        num_units: u32,
        /// Labels per unit stated.
        labels_per_unit: u64,
    },
    /// So many files that something is wrong.
    #[error("the data would fill {files} files, but {} is the limit", crate::Layout::FILES_MAX)]
    Files {
        /// Files needed.
        files: u64,
    },
    /// Made by a version of ours that this one does not know.
    #[error("it has format version {found}, which this version does not know: update postmesh")]
    Version {
        /// The version stated.
        found: u64,
    },
}

/// Whose data, how much, and its VRF nonce.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// Whose space.
    pub node_id: NodeId,
    /// The ATX that the labels are tied to.
    pub commitment_atx_id: AtxId,
    /// Labels in a unit.
    pub labels_per_unit: u64,
    /// Units.
    pub num_units: u32,
    /// Bytes of a complete label file, the last one excepted.
    pub max_file_size: u64,
    /// The index of the VRF nonce's label, when it is known (in the middle of an initialization:
    /// of the best so far).
    pub nonce: Option<LabelIndex>,
    /// All 32 bytes of that label. The reference writes them; old versions did not.
    pub nonce_value: Option<FullLabel>,
    /// How far past the data the search for a VRF nonce went.
    pub last_position: Option<u64>,
    /// The object as it was read, with the fields of others.
    raw: Map<String, Value>,
}

impl Metadata {
    /// Metadata of data that is about to be made.
    #[must_use]
    pub fn new(
        node_id: NodeId,
        commitment_atx_id: AtxId,
        labels_per_unit: u64,
        num_units: u32,
        max_file_size: u64,
    ) -> Self {
        Self {
            node_id,
            commitment_atx_id,
            labels_per_unit,
            num_units,
            max_file_size,
            nonce: None,
            nonce_value: None,
            last_position: None,
            raw: Map::new(),
        }
    }

    /// The bytes of a metadata file, understood.
    ///
    /// # Errors
    /// [`BadMetadata`] names the first field that is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadMetadata> {
        let raw: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|error| BadMetadata::Json(error.to_string()))?;
        Ok(Self {
            node_id: NodeId(base64_32(&raw, "NodeId")?),
            commitment_atx_id: AtxId(base64_32(&raw, "CommitmentAtxId")?),
            labels_per_unit: number(&raw, "LabelsPerUnit")?,
            num_units: u32::try_from(number(&raw, "NumUnits")?)
                .map_err(|_| BadMetadata::Field { field: "NumUnits", expected: "below 2^32" })?,
            max_file_size: number(&raw, "MaxFileSize")?,
            nonce: optional(&raw, "Nonce", number)?.map(LabelIndex),
            nonce_value: optional(&raw, "NonceValue", hex_32)?.map(FullLabel),
            last_position: optional(&raw, "LastPosition", number)?,
            raw,
        })
    }

    /// The bytes of a metadata file: the fields of others as they were read, ours as they are.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut raw = self.raw.clone();
        let mut put = |name: &str, value: Value| raw.insert(name.to_owned(), value);
        put("NodeId", BASE64.encode(self.node_id.0).into());
        put("CommitmentAtxId", BASE64.encode(self.commitment_atx_id.0).into());
        put("LabelsPerUnit", self.labels_per_unit.into());
        put("NumUnits", self.num_units.into());
        put("MaxFileSize", self.max_file_size.into());
        put("Nonce", self.nonce.map(|index| index.0).into());
        put("LastPosition", self.last_position.into());
        if let Some(value) = self.nonce_value {
            // After the nonce, whenever it becomes known: the same facts are the same bytes.
            let after = raw.keys().take_while(|name| *name != "Nonce").count() + 1;
            let known = raw.keys().position(|name| name == "NonceValue");
            let value = post::to_hex(&value.0).into();
            raw.shift_insert(known.unwrap_or(after.min(raw.len())), "NonceValue".into(), value);
        }
        // Maps of strings and numbers always serialise.
        let mut bytes = serde_json::to_vec_pretty(&raw).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// What the labels are made from.
    #[must_use]
    pub fn commitment(&self) -> Commitment {
        Commitment::new(&self.node_id, &self.commitment_atx_id)
    }

    /// The VRF nonce and its label, where both are known.
    #[must_use]
    pub fn vrf_nonce(&self) -> Option<Candidate> {
        Some(Candidate { index: self.nonce?, label: self.nonce_value? })
    }

    /// Sets the VRF nonce.
    pub fn set_vrf_nonce(&mut self, candidate: Candidate) {
        self.nonce = Some(candidate.index);
        self.nonce_value = Some(candidate.label);
    }

    /// The facts of another directory of the same data set, with the fields of others as they are
    /// here.
    pub(crate) fn with_facts_of(&self, other: &Self) -> Self {
        Self { raw: self.raw.clone(), ..other.clone() }
    }

    /// Takes over what another directory of the same data set knows better of the VRF nonce: a
    /// smaller label, and how far the search past the data went.
    pub(crate) fn take_better_nonce(&mut self, other: &Self) {
        let ours = self.vrf_nonce().map(|candidate| candidate.label);
        let theirs = other.vrf_nonce().map(|candidate| candidate.label);
        let better = match (ours, theirs) {
            (Some(ours), Some(theirs)) => theirs < ours,
            (None, Some(_)) => true,
            (_, None) => self.nonce.is_none(),
        };
        if better {
            (self.nonce, self.nonce_value) = (other.nonce, other.nonce_value);
        }
        self.last_position = self.last_position.max(other.last_position);
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

type Object = Map<String, Value>;

fn number(raw: &Object, field: &'static str) -> Result<u64, BadMetadata> {
    let expected = "a whole number";
    raw.get(field).and_then(Value::as_u64).ok_or(BadMetadata::Field { field, expected })
}

fn base64_32(raw: &Object, field: &'static str) -> Result<[u8; 32], BadMetadata> {
    let bytes = raw.get(field).and_then(Value::as_str).and_then(|text| BASE64.decode(text).ok());
    let expected = "32 bytes in base64";
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(BadMetadata::Field { field, expected })
}

fn hex_32(raw: &Object, field: &'static str) -> Result<[u8; 32], BadMetadata> {
    let bytes = raw.get(field).and_then(Value::as_str).and_then(|text| post::from_hex(text).ok());
    let expected = "32 bytes in hexadecimal";
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(BadMetadata::Field { field, expected })
}

/// A field that may be absent or null.
fn optional<T>(
    raw: &Object,
    field: &'static str,
    read: fn(&Object, &'static str) -> Result<T, BadMetadata>,
) -> Result<Option<T>, BadMetadata> {
    match raw.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => read(raw, field).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REFERENCE: &str = r#"{
  "NodeId": "E9NfjXsVq9LZWdoRax1Jt0VBNmkiGh1CvtCzDm+PwBo=",
  "CommitmentAtxId": "cW8ITch1Ut8MMyptJmq773Kr3+gs/NvcQ8E6gd/ps9s=",
  "LabelsPerUnit": 256,
  "NumUnits": 3,
  "MaxFileSize": 4096,
  "Nonce": 448,
  "LastPosition": null
}
"#;

    #[test]
    fn what_the_reference_wrote_is_read_and_written_the_same() {
        let metadata = Metadata::decode(REFERENCE.as_bytes()).unwrap();
        assert_eq!(metadata.num_units, 3);
        assert_eq!(metadata.nonce, Some(LabelIndex(448)));
        assert_eq!(metadata.vrf_nonce(), None);
        assert_eq!(String::from_utf8(metadata.encode()).unwrap(), REFERENCE);
    }

    #[test]
    fn unknown_fields_stay_where_they_are() {
        let text = REFERENCE.replace("  \"NumUnits\"", "  \"Colour\": [\"blue\"],\n  \"NumUnits\"");
        let text = text.replace("[\"blue\"]", "[\n    \"blue\"\n  ]");
        let metadata = Metadata::decode(text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(metadata.encode()).unwrap(), text);
    }

    #[test]
    fn faults_name_the_field() {
        for (from, to, field) in [
            ("256", "-1", "LabelsPerUnit"),
            ("\"NumUnits\": 3", "\"NumUnits\": 4294967296", "NumUnits"),
            ("E9Nf", "!", "NodeId"),
            ("cW8I", "", "CommitmentAtxId"),
            ("448", "\"448\"", "Nonce"),
            ("\"MaxFileSize\"", "\"MinFileSize\"", "MaxFileSize"),
        ] {
            let error = Metadata::decode(REFERENCE.replace(from, to).as_bytes()).unwrap_err();
            assert!(matches!(error, BadMetadata::Field { field: f, .. } if f == field), "{error}");
        }
        assert!(matches!(Metadata::decode(b"[1]"), Err(BadMetadata::Json(_))));
        assert!(matches!(Metadata::decode(b""), Err(BadMetadata::Json(_))));
    }

    proptest! {
        #[test]
        fn metadata_round_trips(
            node: [u8; 32], atx: [u8; 32], per_unit: u64, units: u32, size: u64,
            nonce: Option<(u64, [u8; 32])>, last: Option<u64>,
        ) {
            let mut metadata = Metadata::new(NodeId(node), AtxId(atx), per_unit, units, size);
            if let Some((index, label)) = nonce {
                let label = FullLabel(label);
                metadata.set_vrf_nonce(Candidate { index: LabelIndex(index), label });
            }
            metadata.last_position = last;
            let again = Metadata::decode(&metadata.encode()).unwrap();
            prop_assert_eq!(again.encode(), metadata.encode());
            prop_assert_eq!(again.vrf_nonce(), metadata.vrf_nonce());
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = Metadata::decode(&bytes);
        }
    }
}
