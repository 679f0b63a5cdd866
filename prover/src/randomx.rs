//! RandomX for this process: made when first needed, in the mode that repays itself and that there
//! is memory for, and kept until it is released.
//!
//! One process of a user fills a dataset at a time: two provers on one host would take 2 GiB twice.
//! Whoever does holds a lock in the user's runtime directory for as long as the dataset lives; the
//! others hash in light mode meanwhile.

use crate::args::RandomXArg;
use crate::memory::Available;
use crate::pace::Pace;
use crate::planner::expected_hashes;
use plot::Hashing;
use post::k2pow::Difficulty;
use pow::{Mode, PowFault, Puzzle, RandomX, SolveError, Watch};
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Light hashes that filling the dataset costs: 34 million items, of which a hash uses 16,384.
const FAST_COSTS_HASHES: f64 = 2080.0;
/// How much faster a hash is once the dataset is filled, at least.
const FAST_GAIN: f64 = 4.0;
/// What fast mode takes: the dataset, and the cache while it is filled.
const FAST_BYTES: u64 = (2080 + 256) << 20;
/// What fast mode leaves to others.
const HEADROOM_BYTES: u64 = 1 << 30;

/// The file that is locked while a dataset is there.
const LOCK_FILE: &str = "randomx-fast.lock";

/// The process's RandomX.
#[derive(Debug)]
pub(crate) struct Pows {
    choice: RandomXArg,
    threads: usize,
    pace: Pace,
    /// Where the lock lies; `None` where it is of no use.
    lock: Option<PathBuf>,
    state: Mutex<State>,
}

/// What was made, and what was said of it.
#[derive(Debug, Default)]
struct State {
    randomx: Option<Arc<RandomX>>,
    /// Held while there is a dataset.
    lock: Option<File>,
    /// Whether it was told that another process has the dataset.
    told: bool,
    meter: Meter,
}

/// How RandomX runs, over all that was hashed since it was made.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    hashes: u64,
    /// Time that threads were at it, all of them together; rests do not count.
    worked: Duration,
    /// Time until it was ready, without rests.
    setup: Duration,
}

/// A search in which each thread worked for less tells nothing: what a thread has in hand when it
/// ends is counted, and its time is not.
const METERED: Duration = Duration::from_secs(3);

impl Pows {
    pub(crate) fn new(choice: RandomXArg, threads: usize, pace: Pace) -> Self {
        // Where there is no such directory, each process is on its own.
        let lock = link::meeting_place().ok().map(|directory| directory.join(LOCK_FILE));
        Self { choice, threads, pace, lock, state: Mutex::default() }
    }

    /// Gives the memory back, if nobody is hashing: up to 2 GiB. Whether there is none now. What
    /// hashes next makes it anew.
    pub(crate) fn release(&self) -> bool {
        // Whoever holds this is making it just now, which takes minutes.
        let Ok(mut state) = self.state.try_lock() else { return false };
        // Clones are made under the lock only: the last one cannot be joined by another.
        let idle = state.randomx.as_ref().is_none_or(|randomx| Arc::strong_count(randomx) == 1);
        if idle {
            *state = State::default();
        }
        idle
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// RandomX for solving `groups` puzzles of this (scaled) difficulty.
    pub(crate) fn to_solve(
        &self,
        difficulty: &Difficulty,
        groups: u32,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Arc<RandomX>, PowFault> {
        let hashes = expected_hashes(difficulty) * f64::from(groups);
        self.get(|| choose(self.choice, hashes, Available::now()), stop)
    }

    /// RandomX in whichever mode there is, light if there is none.
    pub(crate) fn to_verify(&self) -> Result<Arc<RandomX>, PowFault> {
        self.get(|| (Mode::Light, Reason::ToVerify), &|| false)
    }

    /// The smallest pow that solves a puzzle, from `first` on, by all threads at this process's
    /// pace; `tried` is told below which pow all were tried.
    pub(crate) fn solve(
        &self,
        randomx: &RandomX,
        (puzzle, first): (&Puzzle, u64),
        stop: &(dyn Fn() -> bool + Sync),
        tried: &(dyn Fn(u64) + Sync),
    ) -> Result<u64, SolveError> {
        let (hashes, nanos) = (AtomicU64::new(0), AtomicU64::new(0));
        // Asked before each hash.
        let counting = || {
            let stop = stop();
            hashes.fetch_add(u64::from(!stop), Ordering::Relaxed);
            stop
        };
        let rest = |worked: Duration| {
            let worked_nanos = u64::try_from(worked.as_nanos()).unwrap_or(u64::MAX);
            nanos.fetch_add(worked_nanos, Ordering::Relaxed);
            self.pace.after(worked, stop);
        };
        let watch = Watch { stop: &counting, rest: &rest };
        let solved = pow::solve(randomx, (puzzle, first), self.threads, watch, tried);
        let worked = Duration::from_nanos(nanos.into_inner());
        if worked >= METERED * u32::try_from(self.threads).unwrap_or(u32::MAX) {
            let meter = &mut self.state().meter;
            meter.hashes += hashes.into_inner();
            meter.worked += worked;
        }
        solved
    }

    /// How RandomX runs here, once enough was hashed; and whether it has its dataset.
    pub(crate) fn measured(&self, at: u64) -> Option<(bool, Hashing)> {
        let state = self.state();
        let fast = state.randomx.as_ref()?.mode() == Mode::Fast;
        let Meter { hashes, worked, setup } = state.meter;
        let each = hashes as f64 / worked.as_secs_f64();
        let hashes = each * self.threads as f64;
        hashes.is_finite().then_some((fast, Hashing { hashes, setup: setup.as_secs_f64(), at }))
    }

    /// One that is there already is used, unless a fast one is wanted and it is light.
    fn get(
        &self,
        choose: impl FnOnce() -> (Mode, Reason),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Arc<RandomX>, PowFault> {
        let mut state = self.state();
        let there = state.randomx.clone();
        if let Some(randomx) = there.as_ref().filter(|randomx| randomx.mode() == Mode::Fast) {
            return Ok(Arc::clone(randomx));
        }
        let (mut wanted, mut reason) = choose();
        let turn = if wanted == Mode::Fast { self.turn() } else { Turn::Ours(None) };
        if matches!(turn, Turn::Others) {
            (wanted, reason) = elsewhere(self.choice);
            if there.is_some() && !state.told {
                tracing::info!("light mode: {reason}");
            }
            state.told = true;
        }
        if let Some(randomx) = there.filter(|_| wanted == Mode::Light) {
            return Ok(randomx);
        }
        let rest = |worked| self.pace.after(worked, stop);
        let watch = Watch { stop, rest: &rest };
        let start = Instant::now();
        let randomx = match RandomX::watched(wanted, self.threads, watch) {
            // A machine without the memory still proves, only slower.
            Err(PowFault::Dataset) if self.choice == RandomXArg::Auto => {
                tracing::warn!("{}: using light mode", PowFault::Dataset);
                RandomX::new(Mode::Light, self.threads)?
            }
            other => other?,
        };
        match reason {
            Reason::ToVerify => tracing::debug!("{randomx}: {reason}"),
            _ => tracing::info!("{randomx}: {reason}"),
        }
        let setup = start.elapsed().mul_f64(self.pace.share());
        state.meter = Meter { setup, ..Meter::default() };
        state.lock = turn.lock().filter(|_| randomx.mode() == Mode::Fast);
        let randomx = Arc::new(randomx);
        state.randomx = Some(Arc::clone(&randomx));
        Ok(randomx)
    }

    /// Whether it is our turn to fill a dataset.
    fn turn(&self) -> Turn {
        let Some(path) = &self.lock else { return Turn::Ours(None) };
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let locked = opened.map(|file| (file.try_lock(), file));
        match locked {
            Ok((Ok(()), file)) => Turn::Ours(Some(file)),
            Ok((Err(TryLockError::WouldBlock), _)) => Turn::Others,
            Ok((Err(TryLockError::Error(why)), _)) | Err(why) => {
                tracing::debug!("no lock at {}: {why}", path.display());
                Turn::Ours(None)
            }
        }
    }
}

/// Whose turn it is to have a dataset.
enum Turn {
    /// Ours, for as long as this file is open, if there is one.
    Ours(Option<File>),
    /// Another process's.
    Others,
}

impl Turn {
    fn lock(self) -> Option<File> {
        match self {
            Self::Ours(file) => file,
            Self::Others => None,
        }
    }
}

/// The mode where another process of this host has a dataset.
fn elsewhere(choice: RandomXArg) -> (Mode, Reason) {
    match choice {
        RandomXArg::Fast => (Mode::Fast, Reason::Besides),
        RandomXArg::Auto | RandomXArg::Light => (Mode::Light, Reason::Elsewhere),
    }
}

/// Why a mode was chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reason {
    Asked,
    ToVerify,
    /// Hashes to do.
    Repays(f64),
    DoesNotRepay(f64),
    /// Bytes there are.
    NoMemory(u64),
    /// Another process of this host has the dataset.
    Elsewhere,
    /// The same, and fast mode was asked for.
    Besides,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => write!(f, "as asked for"),
            Self::ToVerify => write!(f, "enough to verify"),
            Self::Repays(hashes) => {
                write!(f, "its dataset repays itself over about {hashes:.0} hashes")
            }
            Self::DoesNotRepay(hashes) => {
                write!(f, "a dataset would not repay itself over about {hashes:.0} hashes")
            }
            Self::NoMemory(bytes) => {
                let gib = |bytes| bytes as f64 / f64::from(1 << 30);
                let (there, needed) = (gib(*bytes), gib(FAST_BYTES + HEADROOM_BYTES));
                write!(
                    f,
                    "{there:.1} GiB of memory are available, and fast mode wants {needed:.1} GiB \
                     (--randomx fast insists)"
                )
            }
            Self::Elsewhere => write!(
                f,
                "another process of this user has the dataset, and one of 2 GiB is enough for a \
                 host (--randomx fast insists)"
            ),
            Self::Besides => {
                write!(f, "as asked for, though another process of this user has a dataset too")
            }
        }
    }
}

/// The mode for so many hashes; where the system does not tell what memory there is, it is tried.
fn choose(choice: RandomXArg, hashes: f64, available: Option<Available>) -> (Mode, Reason) {
    match choice {
        RandomXArg::Light => return (Mode::Light, Reason::Asked),
        RandomXArg::Fast => return (Mode::Fast, Reason::Asked),
        RandomXArg::Auto => {}
    }
    let saved = hashes * (1.0 - 1.0 / FAST_GAIN);
    if saved <= FAST_COSTS_HASHES {
        return (Mode::Light, Reason::DoesNotRepay(hashes));
    }
    match available {
        Some(Available { plain, large })
            if plain < FAST_BYTES + HEADROOM_BYTES && large < FAST_BYTES =>
        {
            (Mode::Light, Reason::NoMemory(plain))
        }
        _ => (Mode::Fast, Reason::Repays(hashes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn pows(choice: RandomXArg, folder: &Path) -> Pows {
        let lock = Some(folder.join(LOCK_FILE));
        Pows { lock, ..Pows::new(choice, 2, Pace::FULL) }
    }

    #[test]
    fn one_process_has_a_dataset_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let [ours, theirs] = [0, 1].map(|_| pows(RandomXArg::Auto, folder.path()));
        let Turn::Ours(Some(held)) = ours.turn() else { panic!("nobody has it") };
        assert!(matches!(theirs.turn(), Turn::Others));
        // Whoever wants one is given the other mode, and is told once.
        let randomx = theirs.get(|| (Mode::Fast, Reason::Repays(1e9)), &|| false).unwrap();
        assert_eq!(randomx.mode(), Mode::Light);
        assert!(theirs.state().told && theirs.state().lock.is_none());
        let again = theirs.get(|| (Mode::Fast, Reason::Repays(1e9)), &|| false).unwrap();
        assert!(Arc::ptr_eq(&again, &randomx));
        assert_eq!(elsewhere(RandomXArg::Fast), (Mode::Fast, Reason::Besides));
        assert_eq!(elsewhere(RandomXArg::Auto), (Mode::Light, Reason::Elsewhere));
        drop(held);
        assert!(matches!(theirs.turn(), Turn::Ours(Some(_))));
    }

    #[test]
    fn who_cannot_have_a_lock_goes_without() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = pows(RandomXArg::Auto, &folder.path().join("none"));
        assert!(matches!(nowhere.turn(), Turn::Ours(None)));
        let nowhere = Pows { lock: None, ..nowhere };
        assert!(matches!(nowhere.turn(), Turn::Ours(None)));
    }

    #[test]
    fn what_is_not_in_use_is_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let pows = pows(RandomXArg::Light, folder.path());
        assert!(pows.release());
        let randomx = pows.to_verify().unwrap();
        let Turn::Ours(lock) = pows.turn() else { panic!("nobody has it") };
        pows.state().lock = lock;
        assert!(!pows.release());
        assert!(matches!(pows.turn(), Turn::Others));
        let memory = Arc::downgrade(&randomx);
        drop(randomx);
        assert!(memory.upgrade().is_some() && pows.release() && memory.upgrade().is_none());
        assert!(matches!(pows.turn(), Turn::Ours(Some(_))));
        // And made again when it is needed.
        assert_eq!(pows.to_verify().unwrap().mode(), Mode::Light);
    }

    #[test]
    fn a_dataset_that_was_not_filled_leaves_the_turn_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let pows = pows(RandomXArg::Fast, folder.path());
        let stopped = pows.get(|| (Mode::Fast, Reason::Asked), &|| true);
        assert_eq!(stopped.err(), Some(PowFault::Stopped));
        assert!(matches!(pows.turn(), Turn::Ours(Some(_))));
    }

    fn mode(choice: RandomXArg, hashes: f64, available: Option<Available>) -> Mode {
        choose(choice, hashes, available).0
    }

    #[test]
    fn fast_mode_must_repay_its_dataset() {
        let mut easy = Difficulty([0; 32]);
        easy.0[0] = 0x20;
        assert!((expected_hashes(&easy) - 8.0).abs() < 1e-9);
        assert_eq!(mode(RandomXArg::Auto, 8.0 * 8.0, None), Mode::Light);
        assert_eq!(mode(RandomXArg::Auto, 1e4, None), Mode::Fast);
        assert_eq!(mode(RandomXArg::Light, 1e9, None), Mode::Light);
        assert_eq!(mode(RandomXArg::Fast, 1.0, None), Mode::Fast);
        assert!(expected_hashes(&Difficulty([0; 32])).is_infinite());
    }

    #[test]
    fn fast_mode_leaves_memory_to_others() {
        let enough = FAST_BYTES + HEADROOM_BYTES;
        let with = |plain, large| Some(Available { plain, large });
        assert_eq!(mode(RandomXArg::Auto, 1e4, with(enough, 0)), Mode::Fast);
        let (light, why) = choose(RandomXArg::Auto, 1e4, with(2 << 30, 1 << 30));
        assert_eq!((light, why), (Mode::Light, Reason::NoMemory(2 << 30)));
        assert!(why.to_string().starts_with("2.0 GiB of memory are available"), "{why}");
        // Large pages that were set aside are for nobody else.
        assert_eq!(mode(RandomXArg::Auto, 1e4, with(1 << 20, FAST_BYTES)), Mode::Fast);
        assert_eq!(mode(RandomXArg::Fast, 1e4, with(0, 0)), Mode::Fast);
    }
}
