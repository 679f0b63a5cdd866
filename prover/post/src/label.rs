//! The definition of a label: plain, obvious, and slow.
//!
//! `label(i) = scrypt(commitment ‖ i as u64 LE ‖ 32 zero bytes, salt = "", N, r = 1, p = 1)`,
//! 32 bytes long, of which the first 16 are stored. The scrypt is scrypt-jane's: Keccak-512 (the
//! padding from before SHA-3) in HMAC-PBKDF2, and `ChaCha20/8` as the mixer.
//!
//! An implementation that is in a hurry keeps [`expand`] and [`contract`], which cost under one
//! part in a hundred, and replaces the mixing between them.

use crate::ScryptN;
use crate::units::{Commitment, LabelIndex, LabelRange};
use alloc::vec;
use alloc::vec::Vec;
use sha3::{Digest, Keccak512};
use thiserror::Error;

/// Bytes of a label that are stored.
pub const LABEL_BYTES: usize = 16;

/// scrypt's working block for r = 1: two `ChaCha` blocks of 16 little-endian words.
pub type Block = [u32; 32];

/// All 32 bytes of a label. Their order as a big-endian number decides the VRF nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FullLabel(pub [u8; 32]);

impl FullLabel {
    /// The 16 bytes that go to disk.
    #[must_use]
    pub fn stored(&self) -> [u8; LABEL_BYTES] {
        let [stored, _] = self.halves();
        stored
    }

    fn halves(&self) -> [[u8; LABEL_BYTES]; 2] {
        let mut halves = [[0; LABEL_BYTES]; 2];
        for (half, bytes) in halves.iter_mut().zip(self.0.chunks_exact(LABEL_BYTES)) {
            half.copy_from_slice(bytes);
        }
        halves
    }
}

/// A label that could become the VRF nonce: the smaller, the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where the label is.
    pub index: LabelIndex,
    /// All of it.
    pub label: FullLabel,
}

impl Candidate {
    /// The better of two: the smaller label, the lower index if the labels are equal.
    #[must_use]
    pub fn better(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(if (b.label, b.index) < (a.label, a.index) { b } else { a }),
            (a, b) => a.or(b),
        }
    }
}

/// Why a labeler gave no labels.
#[derive(Debug, Error)]
pub enum LabelFault {
    /// The caller asked it to stop.
    #[error("stopped on request")]
    Stopped,
    /// The device could not do the work.
    #[error("{0}")]
    Device(alloc::string::String),
}

/// A device that makes labels fast. It is bound to one commitment and one N when it is made.
pub trait Labeler {
    /// Writes the stored bytes of `range`'s labels to `out` (16 bytes each, in order) and returns
    /// the smallest label met.
    ///
    /// `stop` is asked at least once a second; when it answers yes, the call returns
    /// [`LabelFault::Stopped`] and what is in `out` means nothing.
    ///
    /// # Errors
    /// [`LabelFault`]; `out` then means nothing.
    fn fill(
        &mut self,
        range: LabelRange,
        out: &mut [u8],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Candidate>, LabelFault>;

    /// Which kernel runs, for people and benchmarks: `portable`, `avx2`…
    fn kernel(&self) -> &str;

    /// How many labels the device makes at a time: ranges of whole multiples leave none of it idle.
    /// May change while it learns.
    fn batch(&self) -> u64 {
        1
    }
}

/// What every [`Labeler::fill`] is owed: room for the labels of `range`, and no more.
///
/// # Errors
/// [`LabelFault::Device`].
pub fn check_room(range: &LabelRange, out: &[u8]) -> Result<(), LabelFault> {
    let (labels, room) = (range.end.saturating_sub(range.start), out.len());
    if labels.checked_mul(LABEL_BYTES as u64) == Some(room as u64) {
        return Ok(());
    }
    Err(LabelFault::Device(alloc::format!(
        "{labels} labels of {LABEL_BYTES} bytes do not fit {room} bytes exactly"
    )))
}

/// Label `index` of `commitment`. Allocates scrypt's scratch of 128·N bytes.
#[must_use]
pub fn label(commitment: &Commitment, index: LabelIndex, n: ScryptN) -> FullLabel {
    label_in(&mut Scratch::new(n), commitment, index)
}

/// As [`label`], in scratch memory that was allocated before; N is the scratch's.
#[must_use]
pub fn label_in(scratch: &mut Scratch, commitment: &Commitment, index: LabelIndex) -> FullLabel {
    let password = password(commitment, index);
    let mut block = expand(&password);
    scratch.mix(&mut block);
    contract(&password, &block)
}

/// scrypt's scratch: N blocks of 128 bytes.
#[derive(Debug)]
pub struct Scratch(Vec<Block>);

impl Scratch {
    /// Scratch for labels with this N.
    #[must_use]
    pub fn new(n: ScryptN) -> Self {
        Self(vec![[0; 32]; n.get() as usize])
    }

    /// scrypt's `ROMix`: N blocks are written in order, then N are read where the data says.
    #[expect(clippy::indexing_slicing, reason = "the index is masked to the scratch's size")]
    fn mix(&mut self, block: &mut Block) {
        for row in &mut self.0 {
            *row = *block;
            *block = mix_block(block);
        }
        let mask = self.0.len().saturating_sub(1);
        for _ in 0..self.0.len() {
            let row = &self.0[block[16] as usize & mask];
            for (word, other) in block.iter_mut().zip(row) {
                *word ^= other;
            }
            *block = mix_block(block);
        }
    }
}

/// What scrypt is fed: commitment, index, and 32 zero bytes. Just one Keccak-512 block long.
#[must_use]
pub fn password(commitment: &Commitment, index: LabelIndex) -> [u8; 72] {
    let mut password = [0; 72];
    let parts = commitment.0.iter().copied().chain(index.0.to_le_bytes());
    for (byte, value) in password.iter_mut().zip(parts) {
        *byte = value;
    }
    password
}

/// The block that mixing starts from: 128 bytes of PBKDF2 with an empty salt.
#[must_use]
pub fn expand(password: &[u8; 72]) -> Block {
    let halves = [pbkdf2(password, &[], 1), pbkdf2(password, &[], 2)];
    let mut block = [0; 32];
    for (word, bytes) in block.iter_mut().zip(halves.as_flattened().as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    block
}

/// The label that a mixed block yields: 32 bytes of PBKDF2 with the block as salt.
#[must_use]
pub fn contract(password: &[u8; 72], block: &Block) -> FullLabel {
    let mut salt = [0; 128];
    for (bytes, word) in salt.as_chunks_mut::<4>().0.iter_mut().zip(block) {
        *bytes = word.to_le_bytes();
    }
    let derived = pbkdf2(password, &salt, 1);
    let mut label = [0; 32];
    for (byte, value) in label.iter_mut().zip(derived) {
        *byte = value;
    }
    FullLabel(label)
}

/// One block of PBKDF2 with a single iteration: `HMAC(password, salt ‖ number as u32 BE)`.
///
/// The password fills a hash block exactly, so HMAC neither pads nor hashes it.
fn pbkdf2(password: &[u8; 72], salt: &[u8], number: u32) -> [u8; 64] {
    let inner = Keccak512::new()
        .chain_update(password.map(|byte| byte ^ 0x36))
        .chain_update(salt)
        .chain_update(number.to_be_bytes());
    let outer = Keccak512::new()
        .chain_update(password.map(|byte| byte ^ 0x5c))
        .chain_update(inner.finalize());
    outer.finalize().into()
}

/// scrypt's `BlockMix` for r = 1: each half is XORed with the other and hashed.
fn mix_block(block: &Block) -> Block {
    let [first, second] = split(block);
    let first = chacha8(&xor(&first, &second));
    let second = chacha8(&xor(&second, &first));
    let mut mixed = [0; 32];
    for (word, value) in mixed.iter_mut().zip(first.into_iter().chain(second)) {
        *word = value;
    }
    mixed
}

fn split(block: &Block) -> [[u32; 16]; 2] {
    let mut halves = [[0; 16]; 2];
    for (half, words) in halves.iter_mut().zip(block.chunks_exact(16)) {
        half.copy_from_slice(words);
    }
    halves
}

fn xor(a: &[u32; 16], b: &[u32; 16]) -> [u32; 16] {
    let mut out = *a;
    for (word, other) in out.iter_mut().zip(b) {
        *word ^= other;
    }
    out
}

/// The `ChaCha` core with 8 rounds, input added back at the end (Bernstein, 2008): four times a
/// round over the columns of the 4 × 4 matrix, and one over its diagonals.
fn chacha8(input: &[u32; 16]) -> [u32; 16] {
    // Words in variables, not behind indices: four times as fast.
    let [mut a0, mut a1, mut a2, mut a3, mut b0, mut b1, mut b2, mut b3, ..] = *input;
    let [.., mut c0, mut c1, mut c2, mut c3, mut d0, mut d1, mut d2, mut d3] = *input;
    for _ in 0..4 {
        quarter_round(&mut a0, &mut b0, &mut c0, &mut d0);
        quarter_round(&mut a1, &mut b1, &mut c1, &mut d1);
        quarter_round(&mut a2, &mut b2, &mut c2, &mut d2);
        quarter_round(&mut a3, &mut b3, &mut c3, &mut d3);
        quarter_round(&mut a0, &mut b1, &mut c2, &mut d3);
        quarter_round(&mut a1, &mut b2, &mut c3, &mut d0);
        quarter_round(&mut a2, &mut b3, &mut c0, &mut d1);
        quarter_round(&mut a3, &mut b0, &mut c1, &mut d2);
    }
    let mut state = [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3];
    for (word, start) in state.iter_mut().zip(input) {
        *word = word.wrapping_add(*start);
    }
    state
}

#[inline(always)]
fn quarter_round(a: &mut u32, b: &mut u32, c: &mut u32, d: &mut u32) {
    for (to_d, to_b) in [(16, 12), (8, 7)] {
        *a = a.wrapping_add(*b);
        *d = (*d ^ *a).rotate_left(to_d);
        *c = c.wrapping_add(*d);
        *b = (*b ^ *c).rotate_left(to_b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first label of the reference's own tests, N = 8192 (all the rest: `tests/vectors.rs`).
    #[test]
    fn the_first_reference_label() {
        let commitment = "72f83ca99604810287652e3402f62784f66ceecc3ca7fda28e680aa816cff153";
        let commitment = commitment.parse().unwrap();
        let label = label(&commitment, LabelIndex(0), ScryptN::new(8192).unwrap());
        let expected = "4d9e4cf13c3601f41f6693eb00175d33a175f747ac13a04ad6cdabe000441224";
        assert_eq!(crate::to_hex(&label.0), expected);
        assert_eq!(crate::to_hex(&label.stored()), expected[..32]);
    }

    #[test]
    fn scratch_may_be_used_again() {
        let commitment = Commitment([7; 32]);
        let n = ScryptN::new(16).unwrap();
        let mut scratch = Scratch::new(n);
        for index in [5, 3, 5] {
            let again = label_in(&mut scratch, &commitment, LabelIndex(index));
            assert_eq!(again, label(&commitment, LabelIndex(index), n));
        }
    }

    #[test]
    fn the_smaller_label_is_the_better_candidate() {
        let candidate = |index, byte| {
            Some(Candidate { index: LabelIndex(index), label: FullLabel([byte; 32]) })
        };
        assert_eq!(Candidate::better(candidate(0, 2), candidate(1, 1)), candidate(1, 1));
        assert_eq!(Candidate::better(candidate(4, 1), candidate(1, 1)), candidate(1, 1));
        assert_eq!(Candidate::better(None, candidate(1, 1)), candidate(1, 1));
        assert_eq!(Candidate::better(candidate(1, 1), None), candidate(1, 1));
    }
}
