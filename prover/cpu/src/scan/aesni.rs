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
use core::arch::asm;
use core::arch::x86_64::{
    __m128i, _mm_aesdeclast_si128, _mm_aesenc_si128, _mm_aesenclast_si128,
    _mm_aeskeygenassist_si128, _mm_and_si128, _mm_andnot_si128, _mm_castsi128_pd, _mm_cmpeq_epi8,
    _mm_cmpgt_epi64, _mm_loadu_si128, _mm_max_epu8, _mm_movemask_epi8, _mm_movemask_pd,
    _mm_or_si128, _mm_set1_epi8, _mm_set1_epi64x, _mm_setzero_si128, _mm_shuffle_epi32,
    _mm_slli_si128, _mm_storeu_si128, _mm_unpacklo_epi64, _mm_xor_si128,
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
                sieve.drain(|eights, count| {
                    let matches = &eights.as_flattened()[..count];
                    matches.iter().for_each(|it| hit(it.label(), it.place()));
                });
            }
            group.compare_equal(labels, &mut sieve);
            sieve.drain(|eights, count| {
                group.decide_all(labels, eights, count, low, &mut hit);
            });
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
        let cipher = opaque(&self.cipher);
        compare(labels, sieve, |labels| {
            let states = cipher.most_rounds(labels);
            states.map(|state| _mm_cmpeq_epi8(state, self.before_top))
        });
    }

    /// Which labels have a lane below `top`. The places are the lanes.
    #[target_feature(enable = "aes,avx")]
    fn compare_below(&self, labels: &[[u8; 16]], top: u8, sieve: &mut Sieve) {
        let (top, ones, cipher) = (splat(top), splat(0xff), opaque(&self.cipher));
        compare(labels, sieve, |labels| {
            let states = cipher.most_rounds(labels);
            states.map(|state| {
                let lanes = _mm_aesenclast_si128(state, cipher.last);
                let not_below = _mm_cmpeq_epi8(_mm_max_epu8(lanes, top), lanes);
                _mm_andnot_si128(not_below, ones)
            })
        });
    }

    /// Calls `hit` for those of the first `count` candidates on which the nonce's own cipher
    /// agrees.
    #[inline]
    #[target_feature(enable = "aes,avx")]
    fn decide_all(
        &self,
        labels: &[[u8; 16]],
        candidates: &[[Match; WIDTH]],
        count: usize,
        low: u64,
        hit: &mut impl FnMut(usize, usize),
    ) {
        let counts = (0..=count).rev().step_by(WIDTH);
        for (eight, left) in candidates.iter().zip(counts) {
            let real = (1_u32 << left.min(WIDTH)) - 1;
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
        for (state, cipher) in states.iter_mut().zip(ciphers) {
            *state = _mm_aesenclast_si128(*state, cipher.last);
        }
        // Two at a time, as numbers of 56 bits, which signed comparison compares well.
        let (low, mask) = (low.cast_signed(), LOW_MASK.cast_signed());
        let mut below = [_mm_setzero_si128(); WIDTH / 2];
        for (below, [one, other]) in below.iter_mut().zip(states.as_chunks().0) {
            let values = _mm_and_si128(_mm_unpacklo_epi64(*one, *other), _mm_set1_epi64x(mask));
            *below = _mm_cmpgt_epi64(_mm_set1_epi64x(low), values);
        }
        let any = below.into_iter().fold(_mm_setzero_si128(), |any, it| _mm_or_si128(any, it));
        if _mm_movemask_epi8(any) == 0 {
            return 0;
        }
        below.into_iter().zip(0..).fold(0, |agree, (below, pair)| {
            let two = _mm_movemask_pd(_mm_castsi128_pd(below)).cast_unsigned();
            agree | two << (2 * pair)
        })
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
        // By way of memory: moves between registers would take turns with the rounds. And what
        // is behind `opaque` is loaded anew for the next eight: keys that stay in registers
        // would leave too few for the states.
        let mut words = [0; 2];
        store(bits, &mut words);
        *opaque(&words)
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
        for key in &self.middle {
            states = states.map(|state| _mm_aesenc_si128(state, *key));
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
fn store(bits: __m128i, words: &mut [u64; 2]) {
    // SAFETY: two words are the 16 bytes that are written.
    unsafe { _mm_storeu_si128(words.as_mut_ptr().cast(), bits) }
}

/// The same, of which the compiler knows nothing, not even that it stays what it is when
/// `opaque` is called again. No instructions.
#[inline(always)]
fn opaque<T>(it: &T) -> &T {
    let mut pointer: *const T = it;
    // SAFETY: nothing is done.
    unsafe { asm!("/* {0} */", inout(reg) pointer, options(nostack, preserves_flags)) };
    // SAFETY: the reference that it was.
    unsafe { &*pointer }
}

#[inline]
#[target_feature(enable = "aes,avx")]
fn splat(byte: u8) -> __m128i {
    _mm_set1_epi8(byte.cast_signed())
}
