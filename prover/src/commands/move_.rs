//! `move`: takes a data directory to another disk.

use super::trash::refused;
use crate::args::MoveArgs;
use crate::outcome::{ExitCode, Failure, Result, answer};
use crate::progress::{Progress, unix_now};
use crate::stop::Stop;
use plot::disk::{Disk, System};
use plot::{Lock, Move, PlotError};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Moves one directory.
pub(crate) fn move_(args: &MoveArgs) -> Result {
    let stop = Stop::on_signals()?;
    let from = existing(&args.data_dir)?;
    let siblings = args.sibling.iter().map(|path| existing(path)).collect::<Result<Vec<_>>>()?;
    // Nothing is made, not even a directory, for a move that cannot be.
    let to = std::path::absolute(&args.to)?;
    Move::new(&from, &to.canonicalize().unwrap_or_else(|_| to.clone())).map_err(refused)?;
    System.create_directory(&to).map_err(|error| {
        Failure::CouldNot(anyhow::anyhow!("cannot create {}: {error}", to.display()))
    })?;
    let to = existing(&to)?;
    let directories = [&from, &to].into_iter().chain(&siblings).map(PathBuf::as_path);
    let _locks = Lock::exclusive_all(directories)?;
    // Now that nobody else can change it.
    let planned = Move::new(&from, &to).map_err(refused)?;
    let bytes = planned.bytes_left();
    if planned.is_begun() {
        eprintln!("going on with a move that was interrupted");
    }
    let what = "moving (each byte is copied, then compared)";
    let mut progress = Progress::new(what, "bytes", 0, bytes.saturating_mul(2), args.json);
    let mut done = 0;
    let moved = planned.run(unix_now(), &siblings, &mut |bytes| {
        done += bytes;
        progress.at(done);
        !stop.is_set()
    });
    drop(progress);
    let moved = match moved {
        Err(PlotError::Stopped) => {
            eprintln!(
                "stopped; nothing left {}: run the same command again to go on",
                from.display()
            );
            return Ok(ExitCode::CouldNot);
        }
        other => other.map_err(refused)?,
    };
    if args.json {
        let answer = json!({
            "from": from, "to": to, "bytes": bytes, "entry": moved.entry, "stayed": moved.stayed,
        });
        answer!("{answer}")?;
        return Ok(ExitCode::Done);
    }
    answer!("{} is in {} now", from.display(), to.display())?;
    match moved.entry {
        None => answer!("same filesystem: files were renamed")?,
        Some(number) => answer!(
            "the old files are in the trash of {} (entry {number}): `purge` there frees the space",
            from.display()
        )?,
    }
    for path in &moved.stayed {
        answer!("not ours, stayed: {}", path.display())?;
    }
    Ok(ExitCode::Done)
}

/// The one path of a directory that is there.
fn existing(path: &Path) -> Result<PathBuf> {
    let error = |error| Failure::usage(format!("{}: {error}", path.display()));
    path.canonicalize().map_err(error)
}
