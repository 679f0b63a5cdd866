//! Where data lies: `--data-dir` as it was typed.

use bytesize::ByteSize;
use plot::Place;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// `DIR`, or `path=DIR,size=SIZE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlaceArg(Place);

impl FromStr for PlaceArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(rest) = text.strip_prefix("path=") else {
            return Ok(Self(Place { path: text.into(), limit: None }));
        };
        // From the right: a path may have anything in it.
        let Some((path, size)) = rest.rsplit_once(",size=") else {
            return Ok(Self(Place { path: rest.into(), limit: None }));
        };
        let limit = size_from(size)?;
        Ok(Self(Place { path: path.into(), limit: Some(limit) }))
    }
}

/// A size for people: `4096`, `500GiB` (binary), `2T` or `2TB` (decimal).
pub(crate) fn size_from(text: &str) -> Result<u64, String> {
    let size = text.parse::<ByteSize>().map_err(|_| {
        format!("{text} is not a size: say for example 500GiB (binary) or 2TB (decimal)")
    })?;
    Ok(size.as_u64())
}

/// The places that were named, which must be different directories.
pub(crate) fn places(args: &[PlaceArg]) -> Result<Vec<Place>, String> {
    let mut places: Vec<Place> = Vec::new();
    for PlaceArg(place) in args {
        let path = same_for_all(&place.path);
        if places.iter().any(|other| other.path == path) {
            return Err(format!("--data-dir {} is named twice", place.path.display()));
        }
        places.push(Place { path, limit: place.limit });
    }
    Ok(places)
}

/// The paths of places.
pub(crate) fn paths(places: &[Place]) -> Vec<&Path> {
    places.iter().map(|place| place.path.as_path()).collect()
}

/// The path that a directory has whatever it was called by; where it is not there yet, an absolute
/// one.
fn same_for_all(path: &Path) -> PathBuf {
    let absolute = || std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    path.canonicalize().unwrap_or_else(|_| absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (PathBuf, Option<u64>) {
        let PlaceArg(place) = text.parse().unwrap();
        (place.path, place.limit)
    }

    #[test]
    fn directories_and_sizes() {
        assert_eq!(parsed("/mnt/a,b"), ("/mnt/a,b".into(), None));
        assert_eq!(parsed("path=/mnt/a"), ("/mnt/a".into(), None));
        assert_eq!(parsed("path=/a,size=1,size=2T"), ("/a,size=1".into(), Some(2_000_000_000_000)));
        assert_eq!(parsed("path=/a,size=500GiB").1, Some(500 << 30));
        assert_eq!(parsed("path=/a,size=1.5TiB").1, Some(3 << 39));
        assert_eq!(parsed("path=/a,size=4096").1, Some(4096));
        for bad in ["path=/a,size=", "path=/a,size=much", "path=/a,size=-1"] {
            assert!(bad.parse::<PlaceArg>().unwrap_err().contains("is not a size"), "{bad}");
        }
    }

    #[test]
    fn a_directory_is_named_once() {
        let args = ["/tmp/x", "/tmp/../tmp/x"].map(|text| text.parse().unwrap());
        assert_eq!(places(&args[..1]).unwrap().len(), 1);
        let root = tempfile::tempdir().unwrap();
        let there = root.path().display().to_string();
        let twice = [there.clone(), format!("{there}/.")].map(|text| text.parse().unwrap());
        assert!(places(&twice).unwrap_err().contains("named twice"));
    }
}
