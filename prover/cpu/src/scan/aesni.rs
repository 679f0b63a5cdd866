//! The scan by AES-NI: eight blocks in flight, candidates sieved without branches.
//!
//! In data of real size the top byte of the threshold is 0, and one label in 16 has a lane that
//! equals it. Whether a lane does so is random, so that a branch on it is mispredicted every
//! other time; instead the comparisons are kept as bits, words of bits that are not zero are
//! packed together by a conditional increment, and the candidates taken from them, which need
//! the cipher of their own nonce, are run eight at a time as well.
//!
//! AES is limited by one instruction a round. The last round is left out where only equality
//! counts: `last(x, key) = top` exactly if `x` is what the inverse of the last round makes of
//! `top ⊕ key`, which is known before. ShiftRows belongs to that round, so that lanes are then
//! found in other places: lane 13·p mod 16 at place p.
#![allow(
    unsafe_code,
    reason = "intrinsics that load, and calls of functions that need CPU features"
)]

use super::{Kernel, TILE, TileScan};
use core::arch::x86_64::{
    __m128i, _mm_aesdeclast_si128, _mm_aesenc_si128, _mm_aesenclast_si128,
    _mm_aeskeygenassist_si128, _mm_and_si128, _mm_cmpeq_epi8, _mm_cvtsi128_si64, _mm_loadu_si128,
    _mm_min_epu8, _mm_or_si128, _mm_set1_epi8, _mm_setzero_si128, _mm_shuffle_epi32,
    _mm_slli_si128, _mm_unpackhi_epi64, _mm_xor_si128,
};
use post::LabelIndex;
use post::search::{GroupKeys, Hit, LOW_MASK, Threshold};
use post::{Nonce, NonceGroup};

pub(super) static KERNEL: Kernel = Kernel {
    name: "aesni",
    runs_here: detected,
    scanner: |keys, threshold| {
        assert!(detected(), "the scan by AES-NI needs a CPU that has it");
        // SAFETY: the features were detected just above.
        Box::new(unsafe { AesNi::new(keys, threshold) })
    },
};

/// Whether this CPU has what every `target_feature` below asks for.
fn detected() -> bool {
    std::is_x86_feature_detected!("aes") && std::is_x86_feature_detected!("avx")
}

/// Blocks in flight: enough to hide the latency of an AES round, few enough for 16 registers.
const WIDTH: usize = 8;

/// Words of 64 comparisons in a tile: eight labels make two.
const WORDS: usize = TILE / WIDTH * 2;

/// The eleven round keys of AES-128.
type RoundKeys = [__m128i; 11];

/// Keys expanded. Only made where [`detected`] says yes: to have one is to have the features.
#[derive(Debug)]
struct AesNi {
    groups: Vec<Group>,
    threshold: Threshold,
}

/// The keys of a group.
#[derive(Debug)]
struct Group {
    group: NonceGroup,
    keys: RoundKeys,
    /// What equals the state before the last round, in the places of lanes that equal 0.
    before_zero: __m128i,
    /// The keys of the group's nonces, by place.
    lane_keys: [RoundKeys; 16],
}

impl TileScan for AesNi {
    fn scan(&self, first: LabelIndex, labels: &[[u8; 16]], hits: &mut Vec<Hit>) {
        // SAFETY: `self` was made where the features were detected.
        unsafe { self.scan_tile(first, labels, hits) }
    }
}
