//! `undo`, `purge` and `wipe`: the only commands that empty the trash or delete anything. What they
//! would delete they name first, and they wait for a yes.

use crate::args::{PurgeArgs, UndoArgs, WipeArgs};
use crate::outcome::{ExitCode, Failure, Result, answer};
use crate::place;
use crate::progress::date;
use crate::settings;
use bytesize::ByteSize;
use plot::{Entry, Lock, PlotError, Stage, Undo, What, Wipe};
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Brings an entry of the trash back.
pub(crate) fn undo(args: &UndoArgs) -> Result {
    let places = settings::places(&args.data.data_dir)?;
    let paths = place::paths(&places);
    let _locks = Lock::exclusive_all(paths.iter().copied())?;
    let undo = Undo::find(&paths, args.entry).map_err(refused)?;
    let entries = undo.entries().to_vec();
    let lost = undo.run().map_err(refused)?;
    if args.json {
        let entries: Vec<Value> = entries.iter().map(described).collect();
        answer!("{}", json!({ "undone": entries, "lost": lost }))?;
    } else {
        for entry in &entries {
            answer!("{} is undone in {}", name_of(entry), entry.directory.display())?;
            if let What::Move { to } = &entry.what {
                answer!("the copy in {} is still there: `wipe` deletes it", to.display())?;
            }
        }
        for path in &lost {
            answer!("{} was in the trash no more: `init` makes it again", path.display())?;
        }
    }
    Ok(if lost.is_empty() { ExitCode::Done } else { ExitCode::No })
}

/// Deletes entries of the trash.
pub(crate) fn purge(args: &PurgeArgs) -> Result {
    let places = settings::places(&args.data.data_dir)?;
    let paths = place::paths(&places);
    let _locks = Lock::exclusive_all(paths.iter().copied())?;
    let mut entries = Vec::new();
    for path in &paths {
        let asked = |entry: &Entry| args.entry.is_none_or(|number| entry.number == number);
        entries.extend(Entry::all(path)?.into_iter().filter(asked));
    }
    if entries.is_empty() && args.entry.is_some() {
        let paths = paths.iter().map(|path| path.to_path_buf()).collect();
        return Err(refused(PlotError::NoEntry { number: args.entry, paths }));
    }
    let mut files = Vec::new();
    for entry in &entries {
        if !args.json {
            answer!("{} of {}:", name_of(entry), date(entry.when))?;
        }
        let contents = entry.contents()?;
        list(&contents, args.json)?;
        files.extend(contents);
    }
    delete(&files, (args.yes, args.json), || {
        entries.into_iter().try_for_each(|entry| entry.purge().map_err(refused))
    })
}

/// Deletes data directories.
pub(crate) fn wipe(args: &WipeArgs) -> Result {
    let places = settings::places(&args.data.data_dir)?;
    let paths = place::paths(&places);
    let _locks = Lock::exclusive_all(paths.iter().copied())?;
    let wipes: Vec<Wipe> =
        paths.iter().map(|path| Wipe::new(path)).collect::<std::result::Result<_, _>>()?;
    let files: Vec<_> = wipes.iter().flat_map(Wipe::files).cloned().collect();
    list(&files, args.json)?;
    for path in wipes.iter().flat_map(Wipe::left) {
        if !args.json {
            answer!("stays: {}", path.display())?;
        }
    }
    delete(&files, (args.yes, args.json), || {
        wipes.into_iter().try_for_each(|wipe| wipe.run().map_err(Failure::from))
    })
}

/// Deletes files that were listed, if that is confirmed.
fn delete(
    files: &[(PathBuf, u64)],
    (yes, json): (bool, bool),
    delete: impl FnOnce() -> Result<()>,
) -> Result {
    let bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
    let deleted = files.is_empty() || confirmed(yes)?;
    if deleted {
        delete()?;
    }
    if json {
        let listed: Vec<Value> =
            files.iter().map(|(path, bytes)| json!({ "path": path, "bytes": bytes })).collect();
        answer!("{}", json!({ "deleted": deleted, "bytes": bytes, "files": listed }))?;
    } else {
        match (files.len(), ByteSize::b(bytes), deleted) {
            (0, ..) => answer!("there is nothing to delete")?,
            (count, bytes, true) => answer!("deleted: {count} files, {bytes}")?,
            (count, bytes, false) => {
                answer!("{count} files, {bytes}: nothing was deleted; --yes deletes them")?;
            }
        }
    }
    Ok(if deleted { ExitCode::Done } else { ExitCode::No })
}

/// Whether `--yes` was given, or is typed now.
fn confirmed(yes: bool) -> Result<bool> {
    if yes || !io::stdin().is_terminal() {
        return Ok(yes);
    }
    eprint!("Type yes to delete this for good: ");
    io::stderr().flush()?;
    let mut typed = String::new();
    io::stdin().read_line(&mut typed)?;
    Ok(typed.trim() == "yes")
}

fn list(files: &[(PathBuf, u64)], json: bool) -> Result<()> {
    for (path, bytes) in files.iter().filter(|_| !json) {
        answer!("  {:>10}  {}", ByteSize::b(*bytes).to_string(), path.display())?;
    }
    Ok(())
}

fn name_of(entry: &Entry) -> String {
    format!("entry {} ({})", entry.number, entry.what.name())
}

/// An entry for scripts, without its files.
fn described(entry: &Entry) -> Value {
    json!({
        "entry": entry.number, "directory": entry.directory, "what": entry.what.name(),
        "when_unix": entry.when, "interrupted": entry.stage == Stage::Begun,
    })
}

/// The trash of directories, for scripts.
pub(crate) fn trash_json<'a>(paths: impl Iterator<Item = &'a Path>) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    for path in paths {
        for entry in Entry::all(path)? {
            let mut value = described(&entry);
            let bytes: u64 = entry.contents()?.iter().map(|(_, bytes)| bytes).sum();
            value["bytes"] = bytes.into();
            all.push(value);
        }
    }
    Ok(all)
}

/// The trash of a directory, for people: a line an entry.
pub(crate) fn trash_lines(path: &Path) -> Result<Vec<String>> {
    let line = |entry: Entry| {
        let bytes: u64 = entry.contents()?.iter().map(|(_, bytes)| bytes).sum();
        let (name, bytes, date) = (name_of(&entry), ByteSize::b(bytes), date(entry.when));
        let stage = match entry.stage {
            Stage::Begun => ", interrupted: run it again, or `undo`",
            Stage::Done => "",
            Stage::Purging => ", being purged: run `purge` again",
        };
        Ok(format!("{name} of {date} UTC, {bytes} in {}{stage}", entry.folder().display()))
    };
    Entry::all(path)?.into_iter().map(line).collect()
}

/// What is on disk speaks against the request: that is for whoever asked to settle.
pub(crate) fn refused(error: PlotError) -> Failure {
    match error {
        PlotError::NotLess { .. }
        | PlotError::Unfinished { .. }
        | PlotError::Grown { .. }
        | PlotError::InTheWay { .. }
        | PlotError::NoEntry { .. }
        | PlotError::NotUndone { .. }
        | PlotError::NoTarget { .. } => Failure::usage(error.to_string()),
        other => other.into(),
    }
}
