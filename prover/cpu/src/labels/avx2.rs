//! Labels by AVX2: two of them a vector, three vectors a set, three sets, so that 18 are in
//! flight.
//!
//! Three chains of steps cover the latency of one; the 16 registers have no room for a fourth.
#![allow(
    unsafe_code,
    reason = "intrinsics, in functions that are only used where the CPU has them"
)]

use super::lockstep::{Mixer, Vector, romix};
use super::scratch::Row;
use super::{Kernel, Stop};
use core::arch::x86_64::{
    __m128i, __m256i, _MM_HINT_T0, _mm_cvtsi32_si128, _mm_cvtsi128_si32, _mm_loadu_si128,
    _mm_prefetch, _mm_storeu_si128, _mm256_add_epi32, _mm256_extracti128_si256, _mm256_or_si256,
    _mm256_set_m128i, _mm256_setr_epi8, _mm256_shuffle_epi8, _mm256_shuffle_epi32,
    _mm256_sll_epi32, _mm256_srl_epi32, _mm256_xor_si256,
};
use post::label::LabelFault;

/// Labels a vector.
const LABELS: usize = 2;
pub(super) static KERNEL: Kernel =
    Kernel { name: "avx2", runs_here: detected, wide: mixer::<3, 3>(), narrow: mixer::<2, 2>() };

/// With so many vectors a set, and sets.
const fn mixer<const GROUPS: usize, const SETS: usize>() -> Mixer {
    Mixer { width: SETS * GROUPS * LABELS, romix: checked::<GROUPS, SETS> }
}

fn detected() -> bool {
    std::is_x86_feature_detected!("avx2")
}

fn checked<const GROUPS: usize, const SETS: usize>(
    scratch: &mut [Row],
    blocks: &mut [Row],
    stop: Stop<'_>,
) -> Result<(), LabelFault> {
    if !detected() {
        return Err(LabelFault::Device("the CPU has no AVX2".to_owned()));
    }
    // SAFETY: the feature was detected just above.
    unsafe { unchecked::<GROUPS, SETS>(scratch, blocks, stop) }
}

#[target_feature(enable = "avx2")]
fn unchecked<const GROUPS: usize, const SETS: usize>(
    scratch: &mut [Row],
    blocks: &mut [Row],
    stop: Stop<'_>,
) -> Result<(), LabelFault> {
    romix::<Ymm, LABELS, GROUPS, SETS>(scratch, blocks, stop)
}

/// A 128-bit lane for each label. Used by [`unchecked`] only: to have one is to have AVX2.
#[derive(Clone, Copy)]
struct Ymm(__m256i);

impl Vector<LABELS> for Ymm {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: AVX2, as above; nothing else is asked for.
        Self(unsafe { _mm256_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: as for `add`.
        Self(unsafe { _mm256_xor_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self) -> Self {
        // SAFETY: as for `add`.
        Self(unsafe { rotate::<BITS>(self.0) })
    }

    #[inline(always)]
    fn turn_by_1(self) -> Self {
        // SAFETY: as for `add`.
        Self(unsafe { _mm256_shuffle_epi32::<0b00_11_10_01>(self.0) })
    }

    #[inline(always)]
    fn turn_by_2(self) -> Self {
        // SAFETY: as for `add`.
        Self(unsafe { _mm256_shuffle_epi32::<0b01_00_11_10>(self.0) })
    }

    #[inline(always)]
    fn turn_by_3(self) -> Self {
        // SAFETY: as for `add`.
        Self(unsafe { _mm256_shuffle_epi32::<0b10_01_00_11>(self.0) })
    }

    #[inline(always)]
    fn firsts(self) -> [u32; LABELS] {
        // SAFETY: as for `add`.
        unsafe { firsts(self.0) }
    }

    #[inline(always)]
    fn load([first, second]: [&[u32; 16]; LABELS]) -> [Self; 4] {
        // SAFETY: as for `add`.
        unsafe { load(first, second) }.map(Self)
    }

    #[inline(always)]
    fn store(matrix: [Self; 4], half: usize, [first, second]: &mut [Row; LABELS]) {
        // SAFETY: as for `add`.
        unsafe { store(matrix.map(|row| row.0), &mut first.0[half], &mut second.0[half]) };
    }

    #[inline(always)]
    fn prefetch(line: &[u32; 16]) {
        // SAFETY: a hint, about memory that is there.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
}

/// AVX2 has no rotation. By whole bytes a shuffle does it, otherwise two shifts and an or.
#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const BITS: i32>(vector: __m256i) -> __m256i {
    match BITS {
        16 => {
            let by_2 = _mm256_setr_epi8(
                2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13, //
                2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13,
            );
            _mm256_shuffle_epi8(vector, by_2)
        }
        8 => {
            let by_1 = _mm256_setr_epi8(
                3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14, //
                3, 0, 1, 2, 7, 4, 5, 6, 11, 8, 9, 10, 15, 12, 13, 14,
            );
            _mm256_shuffle_epi8(vector, by_1)
        }
        _ => {
            let left = _mm256_sll_epi32(vector, _mm_cvtsi32_si128(BITS));
            let right = _mm256_srl_epi32(vector, _mm_cvtsi32_si128(32 - BITS));
            _mm256_or_si256(left, right)
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn firsts(vector: __m256i) -> [u32; LABELS] {
    [_mm256_extracti128_si256::<0>(vector), _mm256_extracti128_si256::<1>(vector)]
        .map(|lane| _mm_cvtsi128_si32(lane).cast_unsigned())
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(first: &[u32; 16], second: &[u32; 16]) -> [__m256i; 4] {
    let quarter = |words: &[u32; 4]| -> __m128i {
        // SAFETY: four words are the 16 bytes that are read.
        unsafe { _mm_loadu_si128(words.as_ptr().cast()) }
    };
    let (first, second) = (first.as_chunks().0, second.as_chunks().0);
    core::array::from_fn(|row| _mm256_set_m128i(quarter(&second[row]), quarter(&first[row])))
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(matrix: [__m256i; 4], first: &mut [u32; 16], second: &mut [u32; 16]) {
    let quarter = |lane: __m128i, words: &mut [u32; 4]| {
        // SAFETY: four words are the 16 bytes that are written.
        unsafe { _mm_storeu_si128(words.as_mut_ptr().cast(), lane) };
    };
    let (first, second) = (first.as_chunks_mut().0, second.as_chunks_mut().0);
    for (row, (first, second)) in matrix.into_iter().zip(first.iter_mut().zip(second)) {
        quarter(_mm256_extracti128_si256::<0>(row), first);
        quarter(_mm256_extracti128_si256::<1>(row), second);
    }
}
