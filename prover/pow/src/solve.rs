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

/// The smallest pow that solves the puzzle, of those from `first` on.
///
/// `tried` is told now and then below which pow all were tried in vain; a later search may begin
/// there.
/// `watch` is heeded before each hash.
///
/// # Errors
/// [`SolveError`].
pub fn solve(
    randomx: &RandomX,
    (puzzle, first): (&Puzzle, u64),
    threads: usize,
    watch: Watch<'_>,
    tried: &(dyn Fn(u64) + Sync),
) -> Result<u64, SolveError> {
    let threads = threads.max(1);
    let machines: Result<Vec<Vm<'_>>, _> = (0..threads).map(|_| randomx.machine()).collect();
    let search = Search {
        puzzle,
        next: AtomicU64::new(first),
        best: AtomicU64::new(POW_END),
        current: (0..threads).map(|_| AtomicU64::new(first)).collect(),
        stopped: AtomicBool::new(false),
        watch,
        tried,
    };
    std::thread::scope(|scope| {
        for (machine, current) in machines?.into_iter().zip(&search.current) {
            let search = &search;
            scope.spawn(move || search.run(machine, current));
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
    /// What each thread is trying: it has tried everything that it took before.
    current: Vec<AtomicU64>,
    stopped: AtomicBool,
    watch: Watch<'a>,
    tried: &'a (dyn Fn(u64) + Sync),
}

impl Search<'_> {
    /// One thread's share: strides of pows, until a smaller solution is known than any left.
    fn run(&self, mut machine: Vm<'_>, trying: &AtomicU64) {
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
            trying.store(current, Ordering::Release);
            if current.is_multiple_of(STRIDE) {
                (self.tried)(self.tried_below());
            }
        }
        let hash = machine.last();
        self.judge(current, &hash);
    }

    fn judge(&self, pow: u64, hash: &[u8; 32]) {
        if self.puzzle.difficulty.met_by(hash) {
            self.best.fetch_min(pow, Ordering::Relaxed);
        }
    }

    /// The smallest pow that some thread is trying, or the solution if one was found before it: a
    /// search that begins there finds it again.
    fn tried_below(&self) -> u64 {
        // A thread tells its solution before it tries the next pow: hence this order.
        let current = self.current.iter().map(|pow| pow.load(Ordering::Acquire)).min();
        current.unwrap_or(0).min(self.best.load(Ordering::Relaxed))
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
            assert_eq!(solve(&randomx, (&puzzle, 0), threads, Watch::NONE, &|_| ()), Ok(smallest));
        }
        // From where an earlier search was interrupted, and from past the smallest solution.
        let told = AtomicU64::new(0);
        let tried = |below| {
            told.fetch_max(below, Ordering::Relaxed);
        };
        assert_eq!(solve(&randomx, (&puzzle, 0), 2, Watch::NONE, &tried), Ok(smallest));
        let told = told.into_inner();
        assert!(told <= smallest, "{told}");
        assert_eq!(solve(&randomx, (&puzzle, told), 2, Watch::NONE, &|_| ()), Ok(smallest));
        let second = (smallest + 1..).find(|pow| puzzle.difficulty.met_by(&hash(*pow))).unwrap();
        let later = solve(&randomx, (&puzzle, smallest + 1), 2, Watch::NONE, &|_| ());
        assert_eq!(later, Ok(second));
        // Every pow solves this: nobody is told to begin past the first.
        let always = Puzzle { difficulty: Difficulty([0xff; 32]), ..puzzle };
        let told = AtomicU64::new(0);
        let tried = |below| {
            told.fetch_max(below, Ordering::Relaxed);
        };
        let last_of_a_stride = STRIDE - 1;
        let found = solve(&randomx, (&always, last_of_a_stride), 1, Watch::NONE, &tried);
        assert_eq!(found, Ok(last_of_a_stride));
        assert!(told.into_inner() <= last_of_a_stride);
        // A bound that is never met, and a caller that changes its mind.
        let asked = AtomicU64::new(0);
        let stop = || asked.fetch_add(1, Ordering::Relaxed) > 4;
        let never = Puzzle { difficulty: Difficulty([0; 32]), ..puzzle };
        let watch = Watch { stop: &stop, ..Watch::NONE };
        assert_eq!(solve(&randomx, (&never, 0), 2, watch, &|_| ()), Err(SolveError::Stopped));
    }
}
