//! RandomX for this process: made when first needed, in the mode that repays itself and that there
//! is memory for, and kept until it is released. The dataset of 2 GiB is made by one process of
//! this user at a time.

use crate::args::RandomXArg;
use crate::memory::Available;
use crate::pace::Pace;
use crate::planner::expected_hashes;
use plot::Hashing;
use post::k2pow::Difficulty;
use post::{Challenge, NodeId, NonceGroup};
use pow::{Mode, PowFault, Puzzle, RandomX, SolveError, Watch};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
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

/// The process's RandomX.
#[derive(Debug)]
pub(crate) struct Pows {
    choice: RandomXArg,
    threads: usize,
    pace: Pace,
    /// Held by the process that has a dataset; beside the node's socket.
    lock_file: PathBuf,
    made: Mutex<Option<Made>>,
}

#[derive(Debug)]
struct Made {
    randomx: Arc<RandomX>,
    /// That no other process makes a dataset.
    _lock: Option<File>,
    meter: Meter,
}

/// How a RandomX runs, over all that was hashed with it.
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
        let lock_file = link::default_socket().with_file_name("randomx.lock");
        Self { choice, threads, pace, lock_file, made: Mutex::new(None) }
    }

    /// Gives its memory back, once nobody uses it; it is made again when it is needed.
    pub(crate) fn release(&self) {
        self.made().take();
    }

    fn made(&self) -> MutexGuard<'_, Option<Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (solved, done) = self.search(randomx, (puzzle, first), stop, tried);
        if done.worked >= METERED * u32::try_from(self.threads).unwrap_or(u32::MAX) {
            self.count(randomx, done);
        }
        solved
    }

    /// Hashes for so long, for [`measured`](Self::measured) to know how fast that goes.
    pub(crate) fn try_out(
        &self,
        randomx: &RandomX,
        length: Duration,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), SolveError> {
        let (challenge, node_id) = (Challenge([0; 32]), NodeId([0; 32]));
        // Nothing meets it.
        let difficulty = Difficulty([0; 32]);
        let puzzle = Puzzle { group: NonceGroup(0), challenge, node_id, difficulty };
        let start = Instant::now();
        let over = || stop() || start.elapsed() >= length;
        let (ended, done) = self.search(randomx, (&puzzle, 0), &over, &|_| ());
        match ended {
            Err(SolveError::Stopped) if !stop() => {
                self.count(randomx, done);
                Ok(())
            }
            other => other.map(|_| ()),
        }
    }

    fn count(&self, randomx: &RandomX, done: Meter) {
        let mut made = self.made();
        let made = made.as_mut().filter(|made| core::ptr::eq(&*made.randomx, randomx));
        if let Some(Made { meter, .. }) = made {
            meter.hashes += done.hashes;
            meter.worked += done.worked;
        }
    }

    /// A search, and what was done for it.
    fn search(
        &self,
        randomx: &RandomX,
        (puzzle, first): (&Puzzle, u64),
        stop: &(dyn Fn() -> bool + Sync),
        tried: &(dyn Fn(u64) + Sync),
    ) -> (Result<u64, SolveError>, Meter) {
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
        (solved, Meter { hashes: hashes.into_inner(), worked, setup: Duration::ZERO })
    }

    /// How RandomX runs here, once enough was hashed; and whether it has its dataset.
    pub(crate) fn measured(&self, at: u64) -> Option<(bool, Hashing)> {
        let made = self.made();
        let Made { randomx, meter: Meter { hashes, worked, setup }, .. } = made.as_ref()?;
        let each = *hashes as f64 / worked.as_secs_f64();
        let (hashes, setup) = (each * self.threads as f64, setup.as_secs_f64());
        let fast = randomx.mode() == Mode::Fast;
        hashes.is_finite().then_some((fast, Hashing { hashes, setup, at }))
    }

    /// One that is there already is used, unless a fast one is wanted and it is light.
    fn get(
        &self,
        choose: impl FnOnce() -> (Mode, Reason),
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Arc<RandomX>, PowFault> {
        let mut made = self.made();
        let there = made.as_ref().map(|Made { randomx, .. }| (randomx.mode(), Arc::clone(randomx)));
        if let Some((Mode::Fast, randomx)) = there {
            return Ok(randomx);
        }
        let (mut wanted, mut reason) = choose();
        let mut lock = None;
        if wanted == Mode::Fast {
            lock = lock_of(&self.lock_file);
            // Who insists gets it all the same.
            if lock.is_none() && self.choice == RandomXArg::Auto {
                (wanted, reason) = (Mode::Light, Reason::Elsewhere);
            }
        }
        if let Some((Mode::Light, randomx)) = there.filter(|_| wanted == Mode::Light) {
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
        let meter = Meter { setup, ..Meter::default() };
        let randomx = Arc::new(randomx);
        let lock = lock.filter(|_| randomx.mode() == Mode::Fast);
        *made = Some(Made { randomx: Arc::clone(&randomx), _lock: lock, meter });
        Ok(randomx)
    }
}

/// The lock of whoever has a dataset; `None` while another process holds it, or where there is no
/// place for one: light mode harms nobody.
fn lock_of(path: &Path) -> Option<File> {
    if let Some(directory) = path.parent() {
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        // It is there, or the lock cannot be opened.
        let _ = builder.create(directory);
    }
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    file.ok().filter(|file| file.try_lock().is_ok())
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
    /// Another process has a dataset.
    Elsewhere,
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
            Self::Elsewhere => {
                write!(
                    f,
                    "another prover here has the dataset of fast mode (--randomx fast insists)"
                )
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

    #[test]
    fn one_process_has_the_dataset_and_memory_is_given_back() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run/randomx.lock");
        let first = lock_of(&path);
        assert!(first.is_some() && lock_of(&path).is_none());
        drop(first);
        assert!(lock_of(&path).is_some());
        let pows = Pows::new(RandomXArg::Light, 1, Pace::FULL);
        let used = pows.to_verify().unwrap();
        assert_eq!(Arc::strong_count(&used), 2);
        pows.release();
        assert_eq!(Arc::strong_count(&used), 1, "whoever uses it is the last to have it");
    }

    #[test]
    fn what_is_tried_out_is_known_until_it_is_given_back() {
        let pows = Pows::new(RandomXArg::Light, 1, Pace::FULL);
        assert_eq!(pows.measured(7), None);
        let randomx = pows.to_verify().unwrap();
        assert_eq!(pows.measured(7), None, "nothing was hashed");
        let length = Duration::from_millis(100);
        let stopped = pows.try_out(&randomx, length, &|| true);
        assert!(stopped == Err(SolveError::Stopped) && pows.measured(7).is_none());
        pows.try_out(&randomx, length, &|| false).unwrap();
        let (fast, hashing) = pows.measured(7).unwrap();
        assert!(!fast && hashing.at == 7 && hashing.hashes > 0.0 && hashing.setup > 0.0);
        pows.release();
        assert_eq!(pows.measured(7), None);
    }
}
