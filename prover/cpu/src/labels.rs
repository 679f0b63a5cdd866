//! Labels by all threads: [`Labels`] cuts a range into tiles, and a kernel makes each tile.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod lockstep;
mod portable;
mod scratch;
#[cfg(test)]
mod tests;

use crate::team;
use core::num::NonZeroUsize;
use lockstep::{Lockstep, Mixer};
use post::label::LabelFault;
use post::{
    Candidate, Commitment, FullLabel, LABEL_BYTES, LabelIndex, LabelRange, Labeler, ScryptN,
};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Labels on the CPU, bound to one commitment and N.
#[derive(Debug)]
pub struct Labels {
    commitment: Commitment,
    n: ScryptN,
    kernel: &'static Kernel,
    mixer: &'static Mixer,
    /// One a thread, with scratch that is kept from call to call.
    makers: Vec<Option<Lockstep>>,
}

impl Labels {
    /// Labels of `commitment` by `threads` threads with the best kernel this CPU runs.
    ///
    /// Cheap: scratch is allocated by the first call that needs it. It is 128·N bytes for each
    /// label in flight, of which the widest kernel has 24 a thread: 24 MiB a thread at N = 8192.
    /// Where that came to more than 1 GiB a thread, fewer are in flight.
    #[must_use]
    pub fn new(commitment: Commitment, n: ScryptN, threads: NonZeroUsize) -> Self {
        let best = KERNELS.first().copied().unwrap_or(&portable::KERNEL);
        Self::by(best, commitment, n, threads)
    }

    /// As [`Labels::new`] with the kernel of this name: for tests and benchmarks. `None` unless
    /// it is one of [`label_kernels`].
    #[must_use]
    pub fn with_kernel(
        name: &str,
        commitment: Commitment,
        n: ScryptN,
        threads: NonZeroUsize,
    ) -> Option<Self> {
        let kernel = KERNELS.iter().find(|kernel| kernel.name == name)?;
        Some(Self::by(kernel, commitment, n, threads))
    }

    fn by(
        kernel: &'static Kernel,
        commitment: Commitment,
        n: ScryptN,
        threads: NonZeroUsize,
    ) -> Self {
        let makers = (0..threads.get()).map(|_| None).collect();
        Self { commitment, n, kernel, mixer: kernel.mixer(n), makers }
    }
}

impl Labeler for Labels {
    fn fill(
        &mut self,
        range: LabelRange,
        out: &mut [u8],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Candidate>, LabelFault> {
        let labels = range.end.saturating_sub(range.start);
        post::label::check_room(&range, out)?;
        let (n, mixer, commitment) = (self.n, self.mixer, &self.commitment);
        let tiles = range.step_by(mixer.width);
        let chunks = out.chunks_mut(LABEL_BYTES.saturating_mul(mixer.width));
        let queue = Mutex::new(tiles.zip(chunks));
        let busy = self.makers.len().min(labels.div_ceil(mixer.width as u64) as usize);
        let bests = team::each(&mut self.makers[..busy], |maker| {
            let mut best = None;
            loop {
                let next = lock(&queue).next();
                let Some((first, out)) = next else {
                    return Ok(best);
                };
                let tile = Tile { commitment, first };
                match tile.fill(mixer, n, maker, out, stop) {
                    Ok(candidate) => best = Candidate::better(best, candidate),
                    Err(fault) => {
                        lock(&queue).by_ref().for_each(drop);
                        return Err(fault);
                    }
                }
            }
        });
        bests
            .into_iter()
            .try_fold(None, |best, other| other.map(|other| Candidate::better(best, other)))
    }

    fn kernel(&self) -> &str {
        self.kernel.name
    }
}

/// The names of the label kernels that this CPU runs and that gave the right answers; the best
/// first.
#[must_use]
pub fn label_kernels() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&str>> =
        LazyLock::new(|| KERNELS.iter().map(|kernel| kernel.name).collect());
    &NAMES
}

/// What the caller is asked again and again: whether to stop.
type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// A way to make labels.
#[derive(Debug)]
struct Kernel {
    name: &'static str,
    /// Whether this CPU has the instructions.
    runs_here: fn() -> bool,
    /// The fastest way to mix.
    wide: Mixer,
    /// The way for an N at which that would take too much memory.
    narrow: Mixer,
}

impl Kernel {
    /// What fits into [`SCRATCH_BYTES`] a thread; at any N one of the two does.
    fn mixer(&'static self, n: ScryptN) -> &'static Mixer {
        let fits = self.wide.scratch_bytes(n) <= SCRATCH_BYTES;
        if fits { &self.wide } else { &self.narrow }
    }
}

/// The most scratch that a thread may take: 1 GiB.
const SCRATCH_BYTES: usize = 1 << 30;

/// Best first.
static ALL: &[&Kernel] = &[
    #[cfg(target_arch = "x86_64")]
    &avx512::KERNEL,
    #[cfg(target_arch = "x86_64")]
    &avx2::KERNEL,
    &portable::KERNEL,
];

/// Those of [`ALL`] that this CPU runs, and runs right.
static KERNELS: LazyLock<Vec<&Kernel>> = LazyLock::new(|| {
    let fit = |kernel: &&'static Kernel| (kernel.runs_here)() && is_right(kernel);
    ALL.iter().copied().filter(fit).collect()
});

/// Whether a kernel makes the labels that `post` defines, as far as a tile of each kind tells.
fn is_right(kernel: &'static Kernel) -> bool {
    let Ok(n) = ScryptN::new(16) else {
        return false;
    };
    let (commitment, first) = (Commitment([0x5a; 32]), LabelIndex(u64::from(u32::MAX)));
    [&kernel.wide, &kernel.narrow].into_iter().all(|mixer| {
        let mut labels = vec![FullLabel([0; 32]); mixer.width];
        let made = Lockstep::new(n, mixer)
            .and_then(|mut maker| maker.make(&commitment, first, &mut labels, &|| false));
        let indices = (first.0..).map(LabelIndex);
        made.is_ok()
            && labels
                .iter()
                .zip(indices)
                .all(|(label, index)| *label == post::label(&commitment, index, n))
    })
}

/// Labels that one thread makes at a time.
struct Tile<'a> {
    commitment: &'a Commitment,
    first: u64,
}

impl Tile<'_> {
    /// Makes the labels of `out` and finds the smallest; `maker` is made if there is none.
    fn fill(
        &self,
        mixer: &'static Mixer,
        n: ScryptN,
        maker: &mut Option<Lockstep>,
        out: &mut [u8],
        stop: Stop<'_>,
    ) -> Result<Option<Candidate>, LabelFault> {
        if stop() {
            return Err(LabelFault::Stopped);
        }
        let maker = match maker {
            Some(maker) => maker,
            None => maker.insert(Lockstep::new(n, mixer)?),
        };
        let chunks = out.as_chunks_mut::<LABEL_BYTES>().0;
        let mut labels = vec![FullLabel([0; 32]); chunks.len()];
        maker.make(self.commitment, LabelIndex(self.first), &mut labels, stop)?;
        let mut best = None;
        for ((label, bytes), index) in labels.into_iter().zip(chunks).zip(self.first..) {
            *bytes = label.stored();
            let index = LabelIndex(index);
            best = Candidate::better(best, Some(Candidate { index, label }));
        }
        Ok(best)
    }
}

/// The queue, whatever became of other threads: it holds no half-done state.
fn lock<T>(queue: &Mutex<T>) -> MutexGuard<'_, T> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
