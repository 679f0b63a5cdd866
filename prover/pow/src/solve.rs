//! Solving: the smallest pow of a nonce group, whatever the number of threads.

use crate::ffi::Vm;
use crate::machine::{PowFault, RandomX};
use crate::watch::{Shift, Watch};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use post::k2pow::{self, Difficulty, Input, POW_END};
use post::{Challenge, NodeId, NonceGroup};
use thiserror::Error;

/// The search for one pow.
#[derive(Clone, Copy, Debug)]
pub struct Puzzle {
    /// The group of nonces it buys.
    pub group: NonceGroup,
    /// What the proof will answer.
    pub challenge: Challenge,
    /// Whose proof.
    pub node_id: NodeId,
    /// The bound, already scaled by the units.
    pub difficulty: Difficulty,
}

/// Why there is no pow.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SolveError {
    /// The caller asked to stop.
    #[error("stopped on request")]
    Stopped,
    /// All 2⁵⁶ were tried: the difficulty is out of reach.
    #[error("no k2pow meets this difficulty")]
    Exhausted,
    /// RandomX cannot run.
    #[error(transparent)]
    Fault(#[from] PowFault),
}

/// Pows that a thread takes at a time: enough that threads seldom meet, few enough that the
/// overrun past the solution stays small.
const STRIDE: u64 = 8;

/// The smallest pow that solves the puzzle.
///
/// `progress` is told the hashes done so far, now and then; `watch` is heeded before each hash.
///
/// # Errors
/// [`SolveError`].
pub fn solve(
    randomx: &RandomX,
    puzzle: &Puzzle,
    threads: usize,
    watch: Watch<'_>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<u64, SolveError> {
    let threads = threads.max(1);
    let machines: Result<Vec<Vm<'_>>, _> = (0..threads).map(|_| randomx.machine()).collect();
    let search = Search {
        puzzle,
        next: AtomicU64::new(0),
        best: AtomicU64::new(POW_END),
        hashes: AtomicU64::new(0),
        stopped: AtomicBool::new(false),
        watch,
        progress,
    };
    std::thread::scope(|scope| {
        for machine in machines? {
            scope.spawn(|| search.run(machine));
        }
        Ok::<(), SolveError>(())
    })?;
    let best = search.best.into_inner();
    if search.stopped.into_inner() {
        Err(SolveError::Stopped)
    } else if best == POW_END {
        Err(SolveError::Exhausted)
    } else {
        Ok(best)
    }
}

struct Search<'a> {
    puzzle: &'a Puzzle,
    /// The first pow that no thread has taken.
    next: AtomicU64,
    /// The smallest solution so far: nobody needs to look at or beyond it.
    best: AtomicU64,
    hashes: AtomicU64,
    stopped: AtomicBool,
    watch: Watch<'a>,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl Search<'_> {
    /// One thread's share: strides of pows, until a smaller solution is known than any left.
    fn run(&self, mut machine: Vm<'_>) {
        let mut pows = core::iter::from_fn(|| {
            let start = self.next.fetch_add(STRIDE, Ordering::Relaxed);
            (start < POW_END).then(|| start..start + STRIDE)
        })
        .flatten();
        let Some(mut current) = pows.next() else {
            return;
        };
        let mut shift = Shift::new(self.watch);
        machine.begin(&self.input(current));
        for next in pows {
            if current >= self.best.load(Ordering::Relaxed) {
                return;
            }
            if !shift.goes_on() {
                self.stopped.store(true, Ordering::Relaxed);
            }
            if self.stopped.load(Ordering::Relaxed) {
                return;
            }
            let hash = machine.next(&self.input(next));
            self.judge(current, &hash);
            current = next;
        }
        let hash = machine.last();
        self.judge(current, &hash);
    }

    fn judge(&self, pow: u64, hash: &[u8; 32]) {
        let done = self.hashes.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(16) {
            (self.progress)(done);
        }
        if self.puzzle.difficulty.met_by(hash) {
            self.best.fetch_min(pow, Ordering::Relaxed);
        }
    }

    fn input(&self, pow: u64) -> Input {
        k2pow::input(pow, self.puzzle.group, &self.puzzle.challenge, &self.puzzle.node_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mode;
    use post::k2pow::PowHash;

    fn puzzle(top: u8) -> Puzzle {
        let mut difficulty = Difficulty([0xff; 32]);
        difficulty.0[0] = top;
        Puzzle {
            group: NonceGroup(3),
            challenge: Challenge([5; 32]),
            node_id: NodeId([6; 32]),
            difficulty,
        }
    }

    #[test]
    fn the_smallest_solution_is_found_by_any_number_of_threads() {
        let randomx = RandomX::new(Mode::Light, 2).unwrap();
        let puzzle = puzzle(0x1f);
        let hash = |pow| {
            let input = k2pow::input(pow, puzzle.group, &puzzle.challenge, &puzzle.node_id);
            randomx.hash(&input).unwrap()
        };
        let smallest = (0..).find(|pow| puzzle.difficulty.met_by(&hash(*pow))).unwrap();
        for threads in [1, 2, 5] {
            assert_eq!(solve(&randomx, &puzzle, threads, Watch::NONE, &|_| ()), Ok(smallest));
        }
        // A bound that is never met, and a caller that changes its mind.
        let asked = AtomicU64::new(0);
        let stop = || asked.fetch_add(1, Ordering::Relaxed) > 4;
        let never = Puzzle { difficulty: Difficulty([0; 32]), ..puzzle };
        let watch = Watch { stop: &stop, ..Watch::NONE };
        assert_eq!(solve(&randomx, &never, 2, watch, &|_| ()), Err(SolveError::Stopped));
    }
}
