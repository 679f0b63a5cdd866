//! The scan by AES-NI, eight blocks in flight: as many as hide the latency of a round and leave
//! registers for the rest.
//!
//! What limits the speed is one instruction a round. For "equals the top byte" the last round is
//! not needed: the lane equals it exactly if, before that round, one byte of the state is what
//! the round's inverse makes of it, and that is known beforehand. The round also moves bytes
//! (`ShiftRows`): the byte at place `p` becomes lane `13·p mod 16`.
#![allow(
    unsafe_code,
    reason = "loads, and calls of functions that are only used where the CPU can run them"
)]

use super::sieve::{Match, Sieve, WIDTH};
use super::{Kernel, TileScan};
use core::arch::x86_64::{
    __m128i, _mm_aesdeclast_si128, _mm_aesenc_si128, _mm_aesenclast_si128,
    _mm_aeskeygenassist_si128, _mm_and_si128, _mm_andnot_si128, _mm_cmpeq_epi8, _mm_cvtsi128_si64,
    _mm_loadu_si128, _mm_max_epu8, _mm_or_si128, _mm_set1_epi8, _mm_setzero_si128,
    _mm_shuffle_epi32, _mm_slli_si128, _mm_unpackhi_epi64, _mm_xor_si128,
};
use post::LabelIndex;
use post::NonceGroup;
use post::search::{GroupKeys, Hit, LOW_MASK, Threshold};

pub(super) static KERNEL: Kernel = Kernel {
    name: "aesni",
    scanner: |keys, threshold| {
        if !detected() {
            return None;
        }
        // SAFETY: the features were detected just above.
        Some(Box::new(unsafe { AesNi::new(keys, threshold) }))
    },
};

/// Whether this CPU has what every `target_feature` below asks for.
fn detected() -> bool {
    std::is_x86_feature_detected!("aes") && std::is_x86_feature_detected!("avx")
}

/// The keys, expanded. Made only where [`detected`] says yes: to have one is to have AES-NI.
#[derive(Debug)]
struct AesNi {
    groups: Vec<Group>,
    threshold: Threshold,
}

impl TileScan for AesNi {
    fn scan(&self, first: LabelIndex, labels: &[[u8; 16]], hits: &mut Vec<Hit>) {
        // SAFETY: `self` was made where the features were detected.
        unsafe { self.scan_tile(first, labels, hits) };
    }
}

impl AesNi {
    #[target_feature(enable = "aes,avx")]
    fn new(keys: &[GroupKeys], threshold: Threshold) -> Self {
        let groups = keys.iter().map(|keys| Group::new(keys, threshold.top));
        Self { groups: groups.collect(), threshold }
    }

    /// All groups over one tile, which stays in the L1 cache meanwhile.
    #[target_feature(enable = "aes,avx")]
    fn scan_tile(&self, first: LabelIndex, labels: &[[u8; 16]], hits: &mut Vec<Hit>) {
        let Threshold { top, low } = self.threshold;
        let mut sieve = Sieve::new();
        for group in &self.groups {
            let mut hit = |label: usize, lane: usize| {
                hits.push(Hit {
                    index: LabelIndex(first.0.saturating_add(label as u64)),
                    nonce: group.group.nonce(lane),
                });
            };
            if top > 0 {
                group.compare_below(labels, top, &mut sieve);
                sieve.drain(|matches| {
                    matches.iter().for_each(|it| hit(it.label(), it.place()));
                });
            }
            group.compare_equal(labels, &mut sieve);
            sieve.drain(|matches| group.decide_all(labels, matches, low, &mut hit));
        }
    }
}

/// A group's keys, expanded.
#[derive(Debug)]
struct Group {
    group: NonceGroup,
    cipher: Cipher,
    /// The state before the last round if all lanes equal the top byte of the threshold.
    before_top: __m128i,
    /// The ciphers of the nonces, by the place that speaks for their lane in `before_top`.
    lanes: [Cipher; 16],
}

impl Group {
    #[target_feature(enable = "aes,avx")]
    fn new(keys: &GroupKeys, top: u8) -> Self {
        let cipher = Cipher::new(&keys.key);
        let substituted = _mm_xor_si128(cipher.last, splat(top));
        Self {
            group: keys.group,
            before_top: _mm_aesdeclast_si128(substituted, _mm_setzero_si128()),
            cipher,
            lanes: core::array::from_fn(|place| Cipher::new(&keys.lane_keys[lane(place)])),
        }
    }

    /// Which labels have a lane equal to the top byte of the threshold. The places are those
    /// before the last round.
    #[target_feature(enable = "aes,avx")]
    fn compare_equal(&self, labels: &[[u8; 16]], sieve: &mut Sieve) {
        compare(labels, sieve, |labels| {
            let states = self.cipher.most_rounds(labels);
            states.map(|state| _mm_cmpeq_epi8(state, self.before_top))
        });
    }

    /// Which labels have a lane below `top`. The places are the lanes.
    #[target_feature(enable = "aes,avx")]
    fn compare_below(&self, labels: &[[u8; 16]], top: u8, sieve: &mut Sieve) {
        let (top, ones) = (splat(top), splat(0xff));
        compare(labels, sieve, |labels| {
            let states = self.cipher.most_rounds(labels);
            states.map(|state| {
                let lanes = _mm_aesenclast_si128(state, self.cipher.last);
                let not_below = _mm_cmpeq_epi8(_mm_max_epu8(lanes, top), lanes);
                _mm_andnot_si128(not_below, ones)
            })
        });
    }

    /// Calls `hit` for the candidates on which the nonce's own cipher agrees.
    #[inline]
    #[target_feature(enable = "aes,avx")]
    fn decide_all(
        &self,
        labels: &[[u8; 16]],
        candidates: &[Match],
        low: u64,
        hit: &mut impl FnMut(usize, usize),
    ) {
        let (eights, rest) = candidates.as_chunks();
        let mut padded = [Match::default(); WIDTH];
        for (to, from) in padded.iter_mut().zip(rest) {
            *to = *from;
        }
        let all = eights.iter().chain([&padded]);
        let real = candidates.chunks(WIDTH).map(|some| (1_u32 << some.len()) - 1);
        for (eight, real) in all.zip(real) {
            let mut agree = self.decide(labels, eight, low) & real;
            while agree != 0 {
                let candidate = eight[agree.trailing_zeros() as usize];
                hit(candidate.label(), lane(candidate.place()));
                agree &= agree - 1;
            }
        }
    }

    /// For which of the candidates the nonce's own cipher agrees: bit `i` for the one at `i`.
    #[inline]
    #[target_feature(enable = "aes,avx")]
    fn decide(&self, labels: &[[u8; 16]], candidates: &[Match; WIDTH], low: u64) -> u32 {
        let ciphers = candidates.map(|it| &self.lanes[it.place()]);
        let mut states = candidates.map(|it| load(&labels[it.label()]));
        for (state, cipher) in states.iter_mut().zip(ciphers) {
            *state = _mm_xor_si128(*state, cipher.first);
        }
        for round in 0..9 {
            for (state, cipher) in states.iter_mut().zip(ciphers) {
                *state = _mm_aesenc_si128(*state, cipher.middle[round]);
            }
        }
        let mut agree = 0;
        for ((state, cipher), bit) in states.into_iter().zip(ciphers).zip(0..) {
            let block = _mm_aesenclast_si128(state, cipher.last);
            let value = _mm_cvtsi128_si64(block).cast_unsigned() & LOW_MASK;
            agree |= u32::from(value < low) << bit;
        }
        agree
    }
}

/// The lane that the byte at `place` becomes in the last round.
fn lane(place: usize) -> usize {
    place * 13 % 16
}

/// Fills the sieve with what `matches` finds in eight labels at a time: 0xff in each place that
/// matches, 0 elsewhere.
#[inline]
#[target_feature(enable = "aes,avx")]
fn compare(
    labels: &[[u8; 16]],
    sieve: &mut Sieve,
    matches: impl Fn(&[[u8; 16]; WIDTH]) -> [__m128i; WIDTH],
) {
    let gather = |labels: &[[u8; 16]; WIDTH]| {
        let mut bits = _mm_setzero_si128();
        for (places, label) in matches(labels).into_iter().zip(0..8) {
            bits = _mm_or_si128(bits, _mm_and_si128(places, splat(1 << label)));
        }
        [bits, _mm_unpackhi_epi64(bits, bits)].map(|half| _mm_cvtsi128_si64(half).cast_unsigned())
    };
    let (eights, rest) = labels.as_chunks();
    for (pair, labels) in eights.iter().enumerate() {
        sieve.put(pair, gather(labels));
    }
    if !rest.is_empty() {
        let mut padded = [[0; 16]; WIDTH];
        padded[..rest.len()].copy_from_slice(rest);
        let real = u64::from_ne_bytes([(1 << rest.len()) - 1; 8]);
        sieve.put(eights.len(), gather(&padded).map(|word| word & real));
    }
}

/// AES-128 with its keys expanded.
#[derive(Clone, Copy, Debug)]
struct Cipher {
    first: __m128i,
    middle: [__m128i; 9],
    last: __m128i,
}

impl Cipher {
    #[target_feature(enable = "aes,avx")]
    fn new(key: &[u8; 16]) -> Self {
        let first = load(key);
        let mut key = first;
        // The round constants: powers of 2 in AES's field.
        let middle = [
            next_key::<1>(&mut key),
            next_key::<2>(&mut key),
            next_key::<4>(&mut key),
            next_key::<8>(&mut key),
            next_key::<16>(&mut key),
            next_key::<32>(&mut key),
            next_key::<64>(&mut key),
            next_key::<128>(&mut key),
            next_key::<27>(&mut key),
        ];
        let last = next_key::<54>(&mut key);
        Self { first, middle, last }
    }

    /// All rounds but the last.
    #[inline]
    #[target_feature(enable = "aes,avx")]
    fn most_rounds(&self, labels: &[[u8; 16]; WIDTH]) -> [__m128i; WIDTH] {
        let mut states = labels.each_ref().map(|label| _mm_xor_si128(load(label), self.first));
        for key in self.middle {
            states = states.map(|state| _mm_aesenc_si128(state, key));
        }
        states
    }
}

/// One step of the key schedule: each word is XORed with those before it, and with the
/// substituted last word.
#[target_feature(enable = "aes,avx")]
fn next_key<const CONSTANT: i32>(key: &mut __m128i) -> __m128i {
    let substituted = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<CONSTANT>(*key));
    for _ in 0..3 {
        *key = _mm_xor_si128(*key, _mm_slli_si128::<4>(*key));
    }
    *key = _mm_xor_si128(*key, substituted);
    *key
}

#[inline]
#[target_feature(enable = "aes,avx")]
fn load(block: &[u8; 16]) -> __m128i {
    // SAFETY: a block is the 16 bytes that are read.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "aes,avx")]
fn splat(byte: u8) -> __m128i {
    _mm_set1_epi8(byte.cast_signed())
}
