//! The scan on any CPU: by the `aes` crate, which knows the AES instructions of many.
//!
//! A tile is encrypted in bulk; comparing sixteen bytes at a time is left to the compiler.

use super::sieve::{Sieve, WIDTH};
use super::{Kernel, TILE, TileScan};
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};
use post::search::{GroupKeys, Hit, LOW_MASK, Threshold};
use post::{LabelIndex, NonceGroup};

pub(super) static KERNEL: Kernel =
    Kernel { name: "portable", scanner: |keys, threshold| Some(scanner(keys, threshold)) };

pub(super) fn scanner(keys: &[GroupKeys], threshold: Threshold) -> Box<dyn TileScan> {
    Box::new(Portable { groups: keys.iter().map(Group::new).collect(), threshold })
}

/// The keys, expanded.
struct Portable {
    groups: Vec<Group>,
    threshold: Threshold,
}

impl core::fmt::Debug for Portable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Portable").field("threshold", &self.threshold).finish_non_exhaustive()
    }
}

/// A group's keys, expanded.
struct Group {
    group: NonceGroup,
    cipher: Aes128,
    lanes: [Aes128; 16],
}

impl Group {
    fn new(keys: &GroupKeys) -> Self {
        Self {
            group: keys.group,
            cipher: Aes128::new(&keys.key.into()),
            lanes: keys.lane_keys.map(|key| Aes128::new(&key.into())),
        }
    }

    /// The 56 bits by which nonce `lane` decides when the top bytes are equal.
    fn low_bits(&self, label: &[u8; 16], lane: usize) -> u64 {
        let mut block = (*label).into();
        self.lanes[lane].encrypt_block(&mut block);
        let [low, _] = words(block.0);
        low & LOW_MASK
    }
}

impl TileScan for Portable {
    fn scan(&self, first: LabelIndex, labels: &[[u8; 16]], hits: &mut Vec<Hit>) {
        let Threshold { top, low } = self.threshold;
        let mut sieve = Sieve::new();
        let mut blocks = [Block::default(); TILE];
        let blocks = &mut blocks[..labels.len()];
        for group in &self.groups {
            let mut hit = |label: usize, lane: usize| {
                hits.push(Hit {
                    index: LabelIndex(first.0.saturating_add(label as u64)),
                    nonce: group.group.nonce(lane),
                });
            };
            blocks.copy_from_slice(Array::cast_slice_from_core(labels));
            group.cipher.encrypt_blocks(blocks);
            if top > 0 {
                compare(blocks, &mut sieve, |byte| byte < top);
                sieve.drain(|eights, count| {
                    let matches = &eights.as_flattened()[..count];
                    matches.iter().for_each(|it| hit(it.label(), it.place()));
                });
            }
            compare(blocks, &mut sieve, |byte| byte == top);
            sieve.drain(|eights, count| {
                for it in &eights.as_flattened()[..count] {
                    if group.low_bits(&labels[it.label()], it.place()) < low {
                        hit(it.label(), it.place());
                    }
                }
            });
        }
    }
}

/// Fills the sieve with the bytes that match.
#[inline(always)]
fn compare(blocks: &[Block], sieve: &mut Sieve, matches: impl Fn(u8) -> bool) {
    for (pair, eight) in blocks.chunks(WIDTH).enumerate() {
        sieve.put(pair, bits(eight, &matches));
    }
}

/// The bits of eight blocks. Not inlined, for among other things the compiler does not see that
/// sixteen bytes can be compared at a time.
#[inline(never)]
fn bits(eight: &[Block], matches: impl Fn(u8) -> bool) -> [u64; 2] {
    let mut bits = [0; 16];
    for (label, block) in eight.iter().enumerate() {
        for (bits, byte) in bits.iter_mut().zip(&block.0) {
            *bits |= u8::from(matches(*byte)) << label;
        }
    }
    words(bits)
}

fn words(bytes: [u8; 16]) -> [u64; 2] {
    let both = u128::from_le_bytes(bytes);
    [both as u64, (both >> 64) as u64]
}
