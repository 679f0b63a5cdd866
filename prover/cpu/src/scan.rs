//! The proving scan by all threads: [`Scan`] cuts labels into tiles, and a kernel scans each.

#[cfg(target_arch = "x86_64")]
mod aesni;
mod portable;
mod sieve;
#[cfg(test)]
mod tests;

use crate::team;
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use post::search::{GroupCipher, GroupKeys, Hit, LOW_MASK, ScanFault, Scanner, Threshold};
use post::{Challenge, LabelIndex, NonceGroup};
use std::sync::LazyLock;
use std::time::Instant;

/// Labels of a tile. Its 16 KiB stay in the L1 cache while all nonce groups pass over them.
const TILE: usize = 1024;

/// The scan on the CPU, bound to its keys and threshold.
#[derive(Debug)]
pub struct Scan {
    kernel: &'static Kernel,
    scanner: Box<dyn TileScan>,
    threads: NonZeroUsize,
}

impl Scan {
    /// A scan for all nonces of `keys` by `threads` threads with the best kernel this CPU runs.
    #[must_use]
    pub fn new(keys: Vec<GroupKeys>, threshold: Threshold, threads: NonZeroUsize) -> Self {
        let best = KERNELS.first().copied().unwrap_or(&portable::KERNEL);
        Self::by(best, &keys, threshold, threads)
    }

    /// As [`Scan::new`] with the kernel of this name: for tests and benchmarks. `None` unless it
    /// is one of [`scan_kernels`].
    #[must_use]
    pub fn with_kernel(
        name: &str,
        keys: &[GroupKeys],
        threshold: Threshold,
        threads: NonZeroUsize,
    ) -> Option<Self> {
        let kernel = KERNELS.iter().find(|kernel| kernel.name == name)?;
        Some(Self::by(kernel, keys, threshold, threads))
    }

    fn by(
        kernel: &'static Kernel,
        keys: &[GroupKeys],
        threshold: Threshold,
        threads: NonZeroUsize,
    ) -> Self {
        let (kernel, scanner) = match (kernel.scanner)(keys, threshold) {
            Some(scanner) => (kernel, scanner),
            None => (&portable::KERNEL, portable::scanner(keys, threshold)),
        };
        Self { kernel, scanner, threads }
    }
}

impl Scanner for Scan {
    fn scan(&mut self, first: LabelIndex, labels: &[u8]) -> Result<Vec<Hit>, ScanFault> {
        let labels = labels.as_chunks::<16>().0;
        if first.0.checked_add(labels.len() as u64).is_none() {
            let text = format!("{} labels from {first} on have no index", labels.len());
            return Err(ScanFault(text));
        }
        let next = AtomicUsize::new(0);
        let tiles = labels.len().div_ceil(TILE);
        let mut members = vec![Vec::new(); self.threads.get().min(tiles).max(1)];
        let scanner = self.scanner.as_ref();
        team::each(&mut members, |hits| {
            loop {
                let start = next.fetch_add(1, Ordering::Relaxed).saturating_mul(TILE);
                let Some(rest) = labels.get(start..).filter(|rest| !rest.is_empty()) else {
                    return;
                };
                let tile = rest.get(..TILE).unwrap_or(rest);
                let first = LabelIndex(first.0.saturating_add(start as u64));
                scanner.scan(first, tile, hits);
            }
        });
        let mut hits = members.concat();
        hits.sort_unstable();
        Ok(hits)
    }

    fn kernel(&self) -> &str {
        self.kernel.name
    }
}

/// The names of the scan kernels that this CPU runs and that gave the right answers; the fastest
/// first.
#[must_use]
pub fn scan_kernels() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&str>> =
        LazyLock::new(|| KERNELS.iter().map(|kernel| kernel.name).collect());
    &NAMES
}

/// A way to scan.
#[derive(Debug)]
struct Kernel {
    name: &'static str,
    /// `None` if this CPU lacks the instructions.
    scanner: NewScanner,
}

/// Expands keys for a kernel.
type NewScanner = fn(&[GroupKeys], Threshold) -> Option<Box<dyn TileScan>>;

/// A kernel with its keys expanded; all threads share it.
trait TileScan: Send + Sync + core::fmt::Debug {
    /// Appends the hits in `labels`, in any order; at most [`TILE`] labels, the first of which
    /// has index `first`.
    fn scan(&self, first: LabelIndex, labels: &[[u8; 16]], hits: &mut Vec<Hit>);
}

/// All that are built for this kind of CPU.
static ALL: &[&Kernel] = &[
    #[cfg(target_arch = "x86_64")]
    &aesni::KERNEL,
    &portable::KERNEL,
];

/// Those of [`ALL`] that this CPU runs, and runs right; the fastest first. Measured, for the
/// portable one is as good as what the `aes` crate finds in the CPU.
static KERNELS: LazyLock<Vec<&Kernel>> = LazyLock::new(|| {
    let mut kernels: Vec<_> =
        ALL.iter().copied().filter(|kernel| is_right(kernel)).map(|it| (trial(it), it)).collect();
    kernels.sort_by_key(|(time, _)| *time);
    kernels.into_iter().map(|(_, kernel)| kernel).collect()
});

/// How long a kernel takes for a tile and 64 nonces at a real threshold: the best of some trials,
/// a fraction of a millisecond each.
fn trial(kernel: &Kernel) -> Duration {
    let labels: Vec<_> = (0..TILE as u128).map(known_label).collect();
    let threshold = Threshold { top: 0, low: 1 << 30 };
    let Some(scanner) = (kernel.scanner)(&[0, 1, 2, 3].map(known_keys), threshold) else {
        return Duration::MAX;
    };
    let time = |_| {
        let start = Instant::now();
        scanner.scan(LabelIndex(0), &labels, &mut Vec::new());
        start.elapsed()
    };
    (0..10).map(time).min().unwrap_or(Duration::MAX)
}

/// Whether a kernel finds the hits that `post` defines, as far as one tile tells.
fn is_right(kernel: &Kernel) -> bool {
    let keys = [3, 200].map(known_keys);
    let labels: Vec<_> = (0..TILE as u128 - 5).map(known_label).collect();
    let first = LabelIndex(u64::from(u32::MAX));
    // With these, the top byte alone decides, the low bits alone, or both.
    [(0, 1 << 55), (9, 1 << 55), (1, 0), (255, LOW_MASK)]
        .map(|(top, low)| Threshold { top, low })
        .into_iter()
        .all(|threshold| {
            let Some(scanner) = (kernel.scanner)(&keys, threshold) else {
                return false;
            };
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            scanner.scan(first, &labels, &mut found);
            for cipher in keys.iter().map(GroupCipher::new) {
                for (label, index) in labels.iter().zip(first.0..) {
                    cipher.hits(LabelIndex(index), label, threshold, &mut expected);
                }
            }
            found.sort_unstable();
            expected.sort_unstable();
            found == expected
        })
}

/// Keys that look random, of a group.
fn known_keys(group: u8) -> GroupKeys {
    GroupKeys::new(&Challenge([group; 32]), NonceGroup(group), u64::from(group))
}

/// A label that looks random enough to a cipher.
fn known_label(number: u128) -> [u8; 16] {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_le_bytes()
}
