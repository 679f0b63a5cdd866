//! What can go wrong with data on disk: what happened, where, and what to do.

use crate::metadata::BadMetadata;
use crate::numbers::FileNumbers;
use bytesize::ByteSize;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a data directory could not be used as asked. Nothing was changed by the failed step.
#[derive(Debug, Error)]
pub enum PlotError {
    /// The system refused.
    #[error("cannot {action} {}: {why}", path.display())]
    Io {
        /// What was tried: `read`, `write`…
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        why: io::Error,
    },
    /// There is no data in this directory.
    #[error(
        "{} holds no PoST data (no {}): initialize it, or name another directory",
        path.display(),
        crate::metadata::FILE_NAME
    )]
    NoData {
        /// The directory.
        path: PathBuf,
    },
    /// There already is data in this directory.
    #[error("{} already holds PoST data", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// A file that should hold JSON of ours or the reference's does not.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: BadMetadata,
    },
    /// A label file is not there.
    #[error(
        "{} is missing: `init` makes it again, `check` shows what else is wrong",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A label file is shorter than it must be.
    #[error(
        "{} has {found} bytes instead of {expected}: `init` fills what is missing",
        path.display()
    )]
    Short {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// The length of a complete one.
        expected: u64,
    },
    /// A label file is as long as it should be, but its last labels may be what a power cut left.
    #[error(
        "labels {first} and after in {} were not yet safe when the power went: `init` makes \
         them again",
        path.display()
    )]
    Unconfirmed {
        /// The file.
        path: PathBuf,
        /// The first label that is not known to be there.
        first: u64,
    },
    /// Nothing may be appended to data of another program before its N is known and written down.
    #[error("the data in {} was not adopted yet: scrypt's N is not recorded", path.display())]
    NotAdopted {
        /// The directory.
        path: PathBuf,
    },
    /// A label file is longer than it can be.
    #[error(
        "{} has {found} bytes, more than the {expected} it can hold: a `shrink` or its `undo` was \
         interrupted (run it again), or it belongs to other data; nothing was changed",
        path.display()
    )]
    Oversized {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// The length of a complete one.
        expected: u64,
    },
    /// A file grew or shrank while we held the lock.
    #[error(
        "{} was changed by another program ({found} bytes, expected {expected})",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// The length we left it with.
        expected: u64,
    },
    /// Labels that were written and synced are not what is read.
    #[error(
        "{} does not keep what is written: label {first} and after were read back otherwise; the \
         disk is failing",
        path.display()
    )]
    NotKept {
        /// The file.
        path: PathBuf,
        /// The first label of what was written at once.
        first: u64,
    },
    /// Directories that were named as one data set say different things of it.
    #[error(
        "{} and {} are not of one data set: their {what} differs ({} and {})",
        first.display(),
        other.display(),
        says.0,
        says.1
    )]
    Disagree {
        /// What differs.
        what: &'static str,
        /// The first directory.
        first: PathBuf,
        /// The one that differs from it.
        other: PathBuf,
        /// What each of the two says.
        says: (String, String),
    },
    /// Two directories hold the same file.
    #[error(
        "label file {file} is in both {} and {}: name only the directory whose file is to count",
        first.display(),
        second.display()
    )]
    Twice {
        /// The file's number.
        file: u64,
        /// One directory.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// Some files are in none of the directories that were named.
    #[error(
        "label files {files} are in none of the directories named: name theirs too{}",
        last_seen(seen)
    )]
    Unplaced {
        /// Their numbers.
        files: FileNumbers,
        /// Where they were when they were last seen.
        seen: Vec<PathBuf>,
    },
    /// The directories hold a share of a data set, and something needs all of it.
    #[error(
        "{path} holds label files {share} of 0 to {}, a share of a data set; the others are \
         elsewhere: name the directories of every share, `merge` joins them",
        files.saturating_sub(1)
    )]
    Part {
        /// The directories.
        path: String,
        /// The numbers of their files.
        share: FileNumbers,
        /// Files of the whole set.
        files: u64,
    },
    /// Another share is asked for than a directory holds.
    #[error(
        "{path} is to hold label files {found}, but {asked} are asked for: ask for what is there, \
         or name another directory; nothing was changed"
    )]
    OtherShare {
        /// The directories.
        path: String,
        /// What is or was begun there.
        found: FileNumbers,
        /// What is asked for.
        asked: FileNumbers,
    },
    /// A change of size was interrupted.
    #[error(
        "changing the size between {few} and {many} units was interrupted: run the same `init \
         --grow` or `shrink` again, or take a shrink back with `undo`"
    )]
    Resizing {
        /// The smaller size, in units.
        few: u32,
        /// The larger size.
        many: u32,
    },
    /// The files do not fit.
    #[error(
        "there is no room for {} more of labels{}: make room, name another directory, or ask for \
         fewer units; nothing was changed",
        sized(*missing),
        rooms(places)
    )]
    NoRoom {
        /// Bytes that fit nowhere.
        missing: u64,
        /// Each directory, and the bytes that it could still take.
        places: Vec<(PathBuf, u64)>,
    },
    /// A disk has no room for what must be written before anything can be given back.
    #[error(
        "{} needs {} more for this, and its disk has {}: make room there first; nothing was \
         changed",
        path.display(), sized(*needed), sized(*available)
    )]
    Full {
        /// The directory.
        path: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// Somebody asked to stop.
    #[error("stopped; what was done so far is kept")]
    Stopped,
    /// A copy is not what was copied.
    #[error(
        "{} does not read back as {}, which it was copied from: the disk, its cable or the \
         memory is faulty; the original was not touched",
        path.display(), original.display()
    )]
    Unlike {
        /// The copy.
        path: PathBuf,
        /// What it was copied from.
        original: PathBuf,
    },
    /// Shrinking is for less.
    #[error(
        "{path} holds {units} units, which is not more than {asked}: there is nothing to shrink"
    )]
    NotLess {
        /// The directories.
        path: String,
        /// Units there.
        units: u32,
        /// Units asked for.
        asked: u32,
    },
    /// The trash has no such entry.
    #[error("{} in the trash of {}: there is nothing to undo", entry(*number), listed(paths))]
    NoEntry {
        /// Which one; the newest where that is not said.
        number: Option<u64>,
        /// The directories.
        paths: Vec<PathBuf>,
    },
    /// What an entry of the trash describes came to another size since.
    #[error(
        "{} holds {now} units now, but entry {number} of the trash is of shrinking from {before} \
         to {after}: undo what came after it first, or `purge` it; nothing was changed",
        path.display()
    )]
    Grown {
        /// The entry.
        number: u64,
        /// The directory.
        path: PathBuf,
        /// Units now.
        now: u32,
        /// Units before the entry was made.
        before: u32,
        /// Units after.
        after: u32,
    },
    /// A file that should come back, or go to the trash, is in both places.
    #[error(
        "{} is in the way: {} is also in entry {number} of the trash; move the one that you do \
         not want elsewhere; nothing was changed",
        path.display(), kept.display()
    )]
    InTheWay {
        /// The entry.
        number: u64,
        /// The file in the data directory.
        path: PathBuf,
        /// The one in the trash.
        kept: PathBuf,
    },
    /// An entry of the trash cannot be brought back.
    #[error(
        "entry {number} in the trash of {}, made by `{what}`, cannot be brought back: {why}",
        path.display()
    )]
    NotUndone {
        /// The command that made it.
        what: &'static str,
        /// The entry.
        number: u64,
        /// The directory.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// A command was interrupted, and must be finished or taken back first.
    #[error(
        "`{what}` in {} was interrupted (entry {number} of the trash): run it again as it was, \
         or take it back with `undo`; nothing was changed",
        path.display()
    )]
    Unfinished {
        /// The command.
        what: &'static str,
        /// The entry.
        number: u64,
        /// The directory.
        path: PathBuf,
    },
    /// Data cannot be moved to a directory that holds something.
    #[error(
        "{} cannot be moved to {}: {why}; nothing was changed",
        from.display(), to.display()
    )]
    NoTarget {
        /// What was to be moved.
        from: PathBuf,
        /// Where to.
        to: PathBuf,
        /// What speaks against it.
        why: &'static str,
    },
    /// Another process uses the directory.
    #[error(
        "{} is in use by another postmesh process: stop that one first",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
    },
}

impl PlotError {
    /// For `map_err`: the action and path around a system error.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |why| Self::Io { action, path, why }
    }
}

/// Bytes for people: `1.5 TiB`.
fn sized(bytes: u64) -> ByteSize {
    ByteSize::b(bytes)
}

fn entry(number: Option<u64>) -> String {
    number.map_or("there is no entry".to_owned(), |number| format!("there is no entry {number}"))
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(", ")
}

fn last_seen(paths: &[PathBuf]) -> String {
    if paths.is_empty() { String::new() } else { format!(" (last seen in {})", listed(paths)) }
}

fn rooms(places: &[(PathBuf, u64)]) -> String {
    let room = |(path, bytes): &(PathBuf, u64)| format!("{} in {}", sized(*bytes), path.display());
    let rooms: Vec<String> = places.iter().map(room).collect();
    if rooms.is_empty() { String::new() } else { format!(" (room: {})", rooms.join(", ")) }
}
