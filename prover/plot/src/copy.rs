//! Copies of large files: carried on where they were interrupted, and compared with what the disk
//! gives back, not with what memory remembers.

use crate::directory::open_to_read;
use crate::disk::{Access, Disk, DiskFile};
use crate::error::PlotError;
use crate::files;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes read, written and synced at a time: so few that a slow disk takes a second at most, so
/// many that it does not notice. Few in tests, where a disk is in memory.
const STEP_BYTES: usize = if cfg!(test) { 1 << 12 } else { 32 << 20 };

/// Is told the bytes just worked through; answers whether to go on.
pub type Watch<'a> = dyn FnMut(u64) -> bool + 'a;

/// The name of a copy that is not finished.
pub(crate) fn part_of(path: &Path) -> PathBuf {
    path.with_added_extension("part")
}

/// Copies the first `bytes` bytes of a file to [`part_of`] another, and compares what the disk
/// then gives back. What an earlier run copied is compared with the source and kept as far as it
/// agrees. Durable when it returns; works through each byte twice.
///
/// # Errors
/// [`PlotError::Stopped`]; [`PlotError::Unlike`] where it reads back differently;
/// [`PlotError::Missing`] or the system's.
pub(crate) fn copy(
    disk: &dyn Disk,
    (from, to): (&Path, &Path),
    bytes: u64,
    watch: &mut Watch<'_>,
) -> Result<(), PlotError> {
    let (source, part) = (open_to_read(disk, from)?, part_of(to));
    let copied = files::length(disk, &part)?.unwrap_or(0);
    // What is too long was not a copy of this file.
    let copied = if copied > bytes { 0 } else { copied };
    let access = if copied == 0 { Access::Replace } else { Access::Write };
    drop(disk.open(&part, access).map_err(PlotError::io("open", &part))?);
    let target = disk.open(&part, Access::Write).map_err(PlotError::io("open", &part))?;
    let (mut hasher, mut there) = (blake3::Hasher::new(), Vec::new());
    in_steps(&*source, from, bytes, watch, &mut |offset, step| {
        hasher.update(step);
        let end = offset.saturating_add(step.len() as u64);
        if end <= copied {
            there.resize(step.len(), 0);
            target.read_exact_at(&mut there, offset).map_err(PlotError::io("read", &part))?;
            if there == step {
                return Ok(());
            }
        }
        target.write_all_at(step, offset).map_err(PlotError::io("write", &part))?;
        target.sync().map_err(PlotError::io("sync", &part))
    })?;
    target.sync().map_err(PlotError::io("sync", &part))?;
    target.forget();
    let mut back = blake3::Hasher::new();
    in_steps(&*target, &part, bytes, watch, &mut |_, step| {
        back.update(step);
        Ok(())
    })?;
    if back.finalize() != hasher.finalize() {
        return Err(PlotError::Unlike { path: part, original: from.to_path_buf() });
    }
    files::sync_parent(disk, &part)
}

/// Is handed where a step begins, and its bytes.
type Step<'a> = dyn FnMut(u64, &[u8]) -> Result<(), PlotError> + 'a;

/// Reads the first `bytes` bytes of a file, step by step.
fn in_steps(
    file: &dyn DiskFile,
    path: &Path,
    bytes: u64,
    watch: &mut Watch<'_>,
    each: &mut Step<'_>,
) -> Result<(), PlotError> {
    let (mut offset, mut step) = (0, Vec::new());
    while offset < bytes {
        let left = usize::try_from(bytes - offset).unwrap_or(usize::MAX);
        step.resize(left.min(STEP_BYTES), 0);
        file.read_exact_at(&mut step, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                let found = file.length().unwrap_or(0);
                PlotError::Changed { path: path.to_path_buf(), found, expected: bytes }
            }
            _ => PlotError::io("read", path)(error),
        })?;
        each(offset, &step)?;
        offset += step.len() as u64;
        if !watch(step.len() as u64) {
            return Err(PlotError::Stopped);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::Simulated;

    const FROM: &str = "/a/f";
    const TO: &str = "/b/f";

    /// Two steps and a half.
    fn source(disk: &Simulated) -> Vec<u8> {
        let bytes: Vec<u8> = (0..STEP_BYTES * 5 / 2).map(|at| (at / 7 % 251) as u8).collect();
        put(disk, FROM, &bytes, 0);
        bytes
    }

    fn put(disk: &Simulated, path: &str, bytes: &[u8], offset: u64) {
        disk.open(Path::new(path), Access::Write).unwrap().write_all_at(bytes, offset).unwrap();
    }

    fn copied(disk: &Simulated, bytes: usize, watch: &mut Watch<'_>) -> Result<(), PlotError> {
        copy(disk, (Path::new(FROM), Path::new(TO)), bytes as u64, watch)
    }

    fn part(disk: &Simulated) -> Vec<u8> {
        disk.content(&part_of(Path::new(TO))).unwrap_or_default()
    }

    #[test]
    fn it_stops_between_steps_and_goes_on_from_there() {
        let disk = Simulated::default();
        let bytes = source(&disk);
        let stopped = copied(&disk, bytes.len(), &mut |_| false);
        assert!(matches!(stopped, Err(PlotError::Stopped)));
        assert_eq!(part(&disk), bytes[..STEP_BYTES]);
        let mut worked = 0;
        let mut watch = |bytes| {
            worked += bytes;
            true
        };
        copied(&disk, bytes.len(), &mut watch).unwrap();
        assert_eq!(worked, 2 * bytes.len() as u64);
        assert_eq!(part(&disk), bytes);
    }

    #[test]
    fn leftovers_that_differ_are_written_over() {
        let disk = Simulated::default();
        let bytes = source(&disk);
        put(&disk, "/b/f.part", &vec![9; STEP_BYTES + 5], 0);
        copied(&disk, bytes.len(), &mut |_| true).unwrap();
        assert_eq!(part(&disk), bytes);
        // One that is longer than the copy is not even looked at.
        copied(&disk, 100, &mut |_| true).unwrap();
        assert_eq!(part(&disk), bytes[..100]);
    }

    #[test]
    fn what_reads_back_differently_is_no_copy() {
        let disk = Simulated::default();
        let bytes = source(&disk);
        let mut steps = 0;
        // The disk turns a bit of the first step while the second is copied.
        let unlike = copied(&disk, bytes.len(), &mut |_| {
            steps += 1;
            if steps == 2 {
                put(&disk, "/b/f.part", &[!bytes[77]], 77);
            }
            true
        });
        assert!(matches!(unlike, Err(PlotError::Unlike { .. })), "{unlike:?}");
        assert_eq!(disk.content(Path::new(FROM)).unwrap(), bytes);
    }

    #[test]
    fn a_source_that_shrank_meanwhile_is_named() {
        let disk = Simulated::default();
        let bytes = source(&disk);
        let short = copied(&disk, bytes.len() + 1, &mut |_| true);
        assert!(matches!(short, Err(PlotError::Changed { .. })), "{short:?}");
    }
}
