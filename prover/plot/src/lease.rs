//! `postmesh_lease.json`: which host uses the data, said again and again while it does.
//!
//! A copied disk or a folder on a network can be used by two machines at once, where locks do not
//! reach. If both prove with one identity, the identity is lost. So whoever holds a data set for
//! long (a service) writes down its host and a counter, and looks each time before it writes
//! whether another host has written since. It warns, and never keeps anybody from work.
//!
//! **How often.** Every 30 s while the set is worked on: the disk runs anyway. Once an hour while
//! it rests: a write wakes a disk that sleeps, and 24 times a day does it no harm. Nothing is
//! synced. What a power cut loses or tears is a note of no use any more; a torn one counts as none.
//! A service that ends in order says so ([`Lease::leave`]), so that the next host is not warned.
//!
//! **Clocks.** Hosts are told apart by a random number that each has, and a counter, never by the
//! time alone: what overwrites our note is another host, whatever its clock says. Only at the
//! beginning the time decides whether a foreign note is fresh; if clocks differ by more, it is
//! told as an old one, and the next beat finds out.

use crate::disk::{Access, Disk};
use crate::files;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const FILE_NAME: &str = "postmesh_lease.json";
const VERSION: u32 = 1;
/// Seconds between beats: while the set is worked on, and while it rests.
const WORKING: u64 = 30;
const RESTING: u64 = 3600;
/// Seconds that a beat may be late: clocks differ, and disks take their time.
const MARGIN: u64 = 60;
/// Seconds until the same host is warned of again.
const AGAIN: u64 = 3600;

/// A process that holds data for long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The host, for people.
    pub host: String,
    /// A random number that no other host has: at best one that changes when the host is started
    /// anew.
    pub host_id: String,
    /// The process.
    pub pid: u32,
    /// A random number of this run of it.
    pub session: String,
}

/// The note as it lies beside the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    version: u32,
    #[serde(flatten)]
    holder: Holder,
    /// Goes up with every beat.
    counter: u64,
    /// When it was written, in seconds since 1970 by that host's clock.
    at: u64,
    /// Seconds after which that host writes again; `None` where it has left.
    every: Option<u64>,
}

impl Note {
    /// Whether whoever wrote it should still be there.
    fn is_fresh(&self, now: u64) -> bool {
        self.every.is_some_and(|every| now.abs_diff(self.at) <= every.saturating_add(MARGIN))
    }
}

/// What people should know about other hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Another host used the data, and seems to have ended.
    Earlier {
        /// Its name.
        host: String,
        /// When it said so last, by its clock.
        at: u64,
    },
    /// Another host uses the data, as it seems: a warning.
    Other {
        /// Its name.
        host: String,
        /// When it said so last, by its clock.
        at: u64,
    },
    /// The note cannot be written: a warning.
    Unwritten {
        /// Why not.
        why: String,
    },
}

impl Notice {
    /// Whether it is a warning.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        !matches!(self, Self::Earlier { .. })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earlier { host, .. } => write!(f, "this data was last used by the host {host}"),
            Self::Other { host, .. } => write!(
                f,
                "ANOTHER HOST, {host}, USES THIS DATA. If two machines prove with one identity, \
                 the identity is lost. Stop the prover on one of them. (If {host} is off, or was \
                 given this name by you, there is nothing to do.)"
            ),
            Self::Unwritten { why } => write!(
                f,
                "the lease beside the data cannot be written ({why}): another host that uses the \
                 same data will not be warned"
            ),
        }
    }
}

/// The lease on a data set, kept alive by [`Lease::beat`].
#[derive(Debug)]
pub struct Lease {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    watch: Watch,
}

impl Lease {
    /// Takes the lease on a directory, as it were: writes down who holds it now, and tells who did
    /// before. `now` is in seconds since 1970. It may wait for the disk.
    #[must_use]
    pub fn take(
        disk: Arc<dyn Disk>,
        directory: &Path,
        own: Holder,
        now: u64,
    ) -> (Self, Vec<Notice>) {
        let watch = Watch::new(own);
        let mut lease = Self { disk, path: directory.join(FILE_NAME), watch };
        let notices = lease.write(now, Some(RESTING));
        (lease, notices)
    }

    /// To be called every few seconds: says again that the data is held if it is time to, and
    /// whether another host says so too. `working` is whether the set is worked on just now.
    pub fn beat(&mut self, now: u64, working: bool) -> Vec<Notice> {
        let every = if working { WORKING } else { RESTING };
        if self.watch.is_due(now, every) { self.write(now, Some(every)) } else { vec![] }
    }

    /// Says that the data is held no more. Another host's note is left alone.
    pub fn leave(mut self, now: u64) {
        if self.is_ours() {
            self.write(now, None);
        }
    }

    /// The same for who held the data beside a process of this host that may still do so: its note
    /// is put back.
    pub fn hand_back(self, now: u64) {
        match &self.watch.beside {
            Some(note) if self.is_ours() => {
                // It will be written again anyway.
                let _ = self.replace(note);
            }
            _ => self.leave(now),
        }
    }

    fn is_ours(&self) -> bool {
        self.found().is_none_or(|note| note.holder == self.watch.own)
    }

    fn write(&mut self, now: u64, every: Option<u64>) -> Vec<Notice> {
        let found = self.found();
        let mut notices = Vec::from_iter(self.watch.judge(found.as_ref(), now));
        let note = self.watch.next(now, every);
        let written = self.replace(&note);
        notices.extend(self.watch.wrote(note, written.map_err(|why| why.to_string())));
        notices
    }

    /// The note that lies there; `None` where there is none that can be read.
    fn found(&self) -> Option<Note> {
        let bytes = files::read_small(&*self.disk, &self.path).ok().flatten()?;
        let note: Note = serde_json::from_slice(&bytes).ok()?;
        (note.version == VERSION).then_some(note)
    }

    /// Whole, but not durable: see above.
    fn replace(&self, note: &Note) -> io::Result<()> {
        // Texts and numbers always serialise.
        let bytes = serde_json::to_vec(note).unwrap_or_default();
        let temporary = self.path.with_added_extension("tmp");
        self.disk.open(&temporary, Access::Replace)?.write_all_at(&bytes, 0)?;
        self.disk.rename(&temporary, &self.path)
    }
}

/// What is known of the note, without IO.
#[derive(Debug)]
struct Watch {
    own: Holder,
    counter: u64,
    /// What lies there, as far as we know: what we wrote or, where we could not, what we found.
    last: Option<Note>,
    /// The note of another process of this host that held the data when we came.
    beside: Option<Note>,
    /// When the next beat is due, at a pace; the time of the last one.
    beaten: Option<u64>,
    /// Whom people were warned of last, and when.
    warned: Option<(String, u64)>,
    /// Whether it was told that nothing can be written.
    told_unwritten: bool,
}

impl Watch {
    fn new(own: Holder) -> Self {
        let (counter, last, beside, beaten, warned) = (0, None, None, None, None);
        Self { own, counter, last, beside, beaten, warned, told_unwritten: false }
    }

    /// Whether to write again: it is time, or the clock was set back.
    fn is_due(&self, now: u64, every: u64) -> bool {
        self.beaten.is_none_or(|at| now < at || now - at >= every)
    }

    /// What the note that lies there tells, before we write over it.
    fn judge(&mut self, found: Option<&Note>, now: u64) -> Option<Notice> {
        let first = self.beaten.is_none();
        let known = self.last.clone();
        self.last = found.cloned();
        if first {
            let own = |note: &&Note| note.holder.host_id == self.own.host_id;
            self.beside = found.filter(own).filter(|note| note.is_fresh(now)).cloned();
        }
        let note = found.filter(|note| note.holder.host_id != self.own.host_id)?;
        let (host, at) = (note.holder.host.clone(), note.at);
        if first {
            // The same name and another number: most likely we, before the machine was started
            // anew. If not, the next beat will find its note over ours.
            let namesake = host == self.own.host;
            if !note.is_fresh(now) || namesake {
                return (!namesake).then_some(Notice::Earlier { host, at });
            }
        } else if note.every.is_none() || known.as_ref() == Some(note) {
            // It has left, or nobody has written since.
            return None;
        }
        let id = note.holder.host_id.clone();
        if self.warned.as_ref().is_some_and(|(who, when)| {
            *who == id && now.checked_sub(*when).is_some_and(|since| since < AGAIN)
        }) {
            return None;
        }
        self.warned = Some((id, now));
        Some(Notice::Other { host, at })
    }

    /// The note to write.
    fn next(&mut self, now: u64, every: Option<u64>) -> Note {
        self.counter = self.counter.saturating_add(1);
        self.beaten = Some(now);
        let (holder, counter) = (self.own.clone(), self.counter);
        Note { version: VERSION, holder, counter, at: now, every }
    }

    /// Takes note of how the writing went.
    fn wrote(&mut self, note: Note, written: Result<(), String>) -> Option<Notice> {
        match written {
            Ok(()) => {
                self.last = Some(note);
                None
            }
            Err(why) => {
                let first = !self.told_unwritten;
                self.told_unwritten = true;
                first.then_some(Notice::Unwritten { why })
            }
        }
    }
}

#[cfg(test)]
mod tests;
