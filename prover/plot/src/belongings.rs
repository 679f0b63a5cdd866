//! Which files of a directory are data, ours or the reference's. All others are left alone: a key,
//! a letter, a lock.

use crate::disk::Disk;
use crate::error::PlotError;
use crate::{agenda, files, lease, measured, metadata, sidecar};
use std::path::{Path, PathBuf};

/// What a file is, in the order in which a directory is taken apart: once its metadata is gone, it
/// is data no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Whose labels, how many.
    Metadata,
    /// Where data is being moved from.
    Move,
    /// Left behind by a write that was interrupted.
    Temporary,
    /// Scrypt's N, and which files are here.
    Sidecar,
    /// Of a proof that is being made.
    Journal,
    /// Which proofs were asked for.
    Agenda,
    /// What was measured here, and who uses the data: of no use elsewhere.
    Note,
    /// What is known of a label file.
    Manifest,
    /// Labels.
    Labels,
}

/// A file of a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Belonging {
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

/// Where a directory notes what is being moved there.
pub(crate) const MOVE_FILE_NAME: &str = "postmesh_move.json";

/// The files of a directory that are data, in the order in which it is taken apart.
pub(crate) fn belongings(disk: &dyn Disk, directory: &Path) -> Result<Vec<Belonging>, PlotError> {
    let mut found = Vec::new();
    for path in disk.list(directory).map_err(PlotError::io("list", directory))? {
        let Some(kind) = kind_of(&path) else { continue };
        let bytes = files::length(disk, &path)?.unwrap_or(0);
        found.push(Belonging { kind, path, bytes });
    }
    found.sort_by(|a, b| (a.kind, &a.path).cmp(&(b.kind, &b.path)));
    Ok(found)
}

/// What a file is, by its name; `None` where it is none of ours.
pub(crate) fn kind_of(path: &Path) -> Option<Kind> {
    let name = path.file_name()?.to_str()?;
    for ending in [".tmp", ".part"] {
        if let Some(whole) = name.strip_suffix(ending) {
            return kind_of(Path::new(whole)).map(|_| Kind::Temporary);
        }
    }
    match name {
        metadata::FILE_NAME => Some(Kind::Metadata),
        sidecar::FILE_NAME => Some(Kind::Sidecar),
        agenda::FILE_NAME => Some(Kind::Agenda),
        MOVE_FILE_NAME => Some(Kind::Move),
        measured::FILE_NAME | lease::FILE_NAME => Some(Kind::Note),
        _ if number_in(name, "postmesh_proof_", ".journal").is_some() => Some(Kind::Journal),
        _ if number_in(name, "postdata_", ".bin").is_some() => Some(Kind::Labels),
        _ if number_in(name, "postmesh_", ".manifest").is_some() => Some(Kind::Manifest),
        _ => None,
    }
}

/// The number of a label file or of a manifest, by its name.
pub(crate) fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    number_in(name, "postdata_", ".bin").or_else(|| number_in(name, "postmesh_", ".manifest"))
}

fn number_in(name: &str, before: &str, after: &str) -> Option<u64> {
    let digits = name.strip_prefix(before)?.strip_suffix(after)?;
    let number: u64 = digits.parse().ok()?;
    // No `+7` and no `007`.
    (number.to_string() == digits).then_some(number)
}
