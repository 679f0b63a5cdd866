//! What the machine could do: memory, arithmetic and AES, without the work around them.
//!
//! None of these runs a kernel of ours: a slow kernel must not look good beside itself.

use crate::buffer::Buffer;
use crate::machine::is_wide_amd;
use crate::noise::Noise;
use crate::outcome::Result;
use crate::turns::{on_threads, rate};
use aes::Aes128;
use aes::cipher::{Block, BlockCipherEncrypt, KeyInit};
use core::convert::Infallible;
use core::hint::black_box;
use core::num::NonZeroUsize;
use post::ScryptN;
use std::time::Duration;

/// Bytes of a row of scrypt's scratch.
const ROW_BYTES: usize = 128;

/// Labels whose scratch one thread holds: about what a fast kernel has in flight.
const LABELS_IN_FLIGHT: usize = 16;

/// The limits of label making: whichever is smaller.
#[derive(Debug)]
pub(crate) struct LabelLimits {
    n: ScryptN,
    /// One a thread.
    scratches: Vec<Buffer>,
}

impl LabelLimits {
    pub(crate) fn new(n: ScryptN, threads: NonZeroUsize) -> Result<Self> {
        let bytes = ROW_BYTES * LABELS_IN_FLIGHT * n.get() as usize;
        let scratches = (0..threads.get()).map(|_| Buffer::new(bytes));
        Ok(Self { n, scratches: scratches.collect::<Result<_>>()? })
    }

    /// Labels a second if there were only memory: all rows are written in order and then as many
    /// read at random, which is what scrypt does, without any mixing between them.
    pub(crate) fn memory(&mut self, length: Duration) -> Result<f64> {
        on_threads(&mut self.scratches, |scratch| {
            let mut seed = Noise::fresh().number();
            Ok(steady(length, || {
                seed = write_and_read(scratch, seed);
                LABELS_IN_FLIGHT as f64
            }))
        })
    }

    /// Labels a second if there were only arithmetic: operations that a label takes, and those
    /// that the vector units can do in a cycle, at the clock that this machine has right now.
    pub(crate) fn arithmetic(&mut self, length: Duration) -> Result<f64> {
        let per_label = operations(self.n) / operations_a_cycle();
        on_threads(&mut self.scratches, |_| Ok(cycles_a_second(length) / per_label))
    }
}

/// As [`rate`], for what cannot fail.
fn steady(length: Duration, mut step: impl FnMut() -> f64) -> f64 {
    let rate = rate(length, || Ok::<_, Infallible>(step()));
    rate.unwrap_or_else(|never| match never {})
}

/// A row: two cache lines.
type Row = [u8; ROW_BYTES];

/// Writes all rows in order, then reads as many at random; returns what to go on with.
///
/// Of a row that is read, one word of each cache line is touched: the lines come whole, and what
/// else would be done with them is not memory's work.
fn write_and_read(scratch: &mut [u8], seed: u64) -> u64 {
    let rows: &mut [Row] = scratch.as_chunks_mut().0;
    let mut row = [seed as u8; ROW_BYTES];
    for slot in rows.iter_mut() {
        row[0] = row[0].wrapping_add(1);
        *slot = row;
    }
    // A power of two, since N and the labels in flight are.
    let mask = rows.len() as u64 - 1;
    let (mut sum, mut state) = (0, seed);
    for _ in 0..rows.len() {
        // Knuth's MMIX generator: its upper half is random enough, and next to nothing to make.
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let row = &rows[((state >> 32) & mask) as usize];
        sum ^= row[0] ^ row[ROW_BYTES / 2];
    }
    black_box(sum);
    state
}

/// 32-bit operations of a label: additions, exclusive ors and rotations.
///
/// `ChaCha20/8` is 4 double rounds of 8 quarter rounds, each of 4 additions, 4 exclusive ors and
/// 4 rotations, and 16 additions at the end. A block mix is two of these, with 16 exclusive ors
/// before each. A label is 2 · N block mixes, of which N begin with 32 exclusive ors more. What
/// moves words about, addresses them or hashes them at the ends is left out.
fn operations(n: ScryptN) -> f64 {
    let quarter_round = 8.0 + 4.0 * instructions_a_rotation();
    let chacha = 4.0 * 8.0 * quarter_round + 16.0;
    let block_mix = 2.0 * (chacha + 16.0);
    f64::from(n.get()) * (2.0 * block_mix + 32.0)
}

/// Instructions that a rotation takes, as the mean of those by 16, 12, 8 and 7 bits.
fn instructions_a_rotation() -> f64 {
    if has_avx512() {
        1.0 // a rotation of its own
    } else if cfg!(target_arch = "aarch64") {
        1.5 // one for 16 and 8 (a permutation of bytes), a shift and an insert for 12 and 7
    } else {
        2.0 // one for 16 and 8, two shifts and an or for 12 and 7
    }
}

/// 32-bit operations that the vector units of a core do in a cycle, at most.
///
/// With AVX2 or AVX-512: 1,024 bits (AMD since Zen: four pipes of 256; Intel: two of 512, and
/// three of 256 where AVX2 is all there is, which makes this limit a third too high there);
/// Zen 5: four of 512. Elsewhere 512: four pipes of 128.
fn operations_a_cycle() -> f64 {
    let bits = match (has_avx512(), has_avx2()) {
        (true, _) if is_wide_amd() => 2048.0,
        (true, _) | (_, true) => 1024.0,
        _ => 512.0,
    };
    bits / 32.0
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    std::is_x86_feature_detected!("avx512f")
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx512() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

/// The clock, as a chain of operations sees it that each take one cycle.
fn cycles_a_second(length: Duration) -> f64 {
    const STEPS: u32 = 20_000;
    let (add, flip) = (black_box(0x9e37_79b9_u64), black_box(0x85eb_ca6b_u64));
    let mut value = black_box(1_u64);
    steady(length, || {
        for _ in 0..STEPS {
            // These do not commute: the compiler finds no shorter way to the end.
            value = value.wrapping_add(add) ^ flip;
        }
        black_box(value);
        2.0 * f64::from(STEPS)
    })
}

/// Labels of a tile: its 16 KiB stay in the L1 cache, as in the scan.
const TILE: usize = 1024;

/// Rounds of AES that a label costs a group of nonces.
///
/// Nine for the group's cipher (the last can be avoided, since only "is this byte zero" is
/// asked) and, for each of the 16 bytes with a chance of 1/256, ten for the nonce's own.
const ROUNDS_A_LABEL: f64 = 9.0 + 16.0 / 256.0 * ROUNDS;

/// Rounds of AES-128.
const ROUNDS: f64 = 10.0;

/// The limit of the scan: tiles in the L1 cache, one for each thread.
#[derive(Debug)]
pub(crate) struct AesLimit {
    tiles: Vec<Vec<Block<Aes128>>>,
}

impl AesLimit {
    pub(crate) fn new(threads: NonZeroUsize) -> Self {
        let mut noise = Noise::fresh();
        let mut tile = || {
            let mut tile = vec![Block::<Aes128>::default(); TILE];
            tile.iter_mut().for_each(|block| noise.fill(block));
            tile
        };
        Self { tiles: (0..threads.get()).map(|_| tile()).collect() }
    }

    /// GiB a second if there were only AES, for so many groups of nonces.
    pub(crate) fn scan(&mut self, groups: u32, length: Duration) -> Result<f64> {
        let cipher = Aes128::new(&[7; 16].into());
        let encrypted = on_threads(&mut self.tiles, |tile| {
            Ok(steady(length, || {
                for _ in 0..64 {
                    cipher.encrypt_blocks(tile);
                }
                64.0 * (tile.len() * 16) as f64
            }))
        })?;
        let gib = encrypted / f64::from(1 << 30);
        Ok(gib * ROUNDS / (ROUNDS_A_LABEL * f64::from(groups)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_grow_with_n_and_stay_in_the_known_range() {
        let of = |n| operations(ScryptN::new(n).unwrap());
        assert_eq!(of(8192), 512.0 * of(16));
        // design/performance.md: 14 to 22 million for N = 8192.
        assert!((13.8e6..22e6).contains(&of(8192)), "{}", of(8192));
    }

    #[test]
    fn limits_are_positive_and_finite() {
        let length = Duration::from_millis(2);
        let threads = NonZeroUsize::MIN.saturating_add(1);
        let mut labels = LabelLimits::new(ScryptN::new(16).unwrap(), threads).unwrap();
        let rates = [
            labels.memory(length).unwrap(),
            labels.arithmetic(length).unwrap(),
            AesLimit::new(threads).scan(4, length).unwrap(),
        ];
        assert!(rates.iter().all(|rate| rate.is_finite() && *rate > 0.0), "{rates:?}");
    }

    #[test]
    fn the_clock_is_a_clock() {
        let hertz = cycles_a_second(Duration::from_millis(20));
        assert!((1e8..1e10).contains(&hertz), "{hertz}");
    }
}
