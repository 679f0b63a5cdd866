//! Labels by AVX-512: four of them a vector, two vectors a set, three sets, so that 24 are in
//! flight.
//!
//! Cores with AVX-512 run two such instructions at a time; two chains fill both. With two sets,
//! rows come too late; a fourth gains nothing.
#![allow(
    unsafe_code,
    reason = "intrinsics, in functions that are only used where the CPU has them"
)]

use super::lockstep::{Mixer, Vector, romix};
use super::scratch::Row;
use super::{Kernel, Stop};
use core::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_cvtsi128_si32, _mm_prefetch, _mm512_add_epi32,
    _mm512_extracti32x4_epi32, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_shuffle_epi32,
    _mm512_shuffle_i32x4, _mm512_storeu_si512, _mm512_xor_si512,
};
use post::label::LabelFault;

/// Labels a vector.
const LABELS: usize = 4;
pub(super) static KERNEL: Kernel =
    Kernel { name: "avx512", runs_here: detected, wide: mixer::<2, 3>(), narrow: mixer::<1, 2>() };

/// With so many vectors a set, and sets.
const fn mixer<const GROUPS: usize, const SETS: usize>() -> Mixer {
    Mixer { width: SETS * GROUPS * LABELS, romix: checked::<GROUPS, SETS> }
}

fn detected() -> bool {
    std::is_x86_feature_detected!("avx512f")
}

fn checked<const GROUPS: usize, const SETS: usize>(
    scratch: &mut [Row],
    blocks: &mut [Row],
    stop: Stop<'_>,
) -> Result<(), LabelFault> {
    if !detected() {
        return Err(LabelFault::Device("the CPU has no AVX-512".to_owned()));
    }
    // SAFETY: the feature was detected just above.
    unsafe { unchecked::<GROUPS, SETS>(scratch, blocks, stop) }
}

#[target_feature(enable = "avx512f")]
fn unchecked<const GROUPS: usize, const SETS: usize>(
    scratch: &mut [Row],
    blocks: &mut [Row],
    stop: Stop<'_>,
) -> Result<(), LabelFault> {
    romix::<Zmm, LABELS, GROUPS, SETS>(scratch, blocks, stop)
}

/// A 128-bit lane for each label. Used by [`unchecked`] only: to have one is to have AVX-512.
#[derive(Clone, Copy)]
struct Zmm(__m512i);

impl Vector<LABELS> for Zmm {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        // SAFETY: AVX-512, as above; nothing else is asked for.
        Self(unsafe { _mm512_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: as for `add`.
        Self(unsafe { _mm512_xor_si512(self.0, other.0) })
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self) -> Self {
        // SAFETY: as for `add`.
        Self(unsafe { _mm512_rol_epi32::<BITS>(self.0) })
    }

    #[inline(always)]
    fn turn_by_1(self) -> Self {
        // SAFETY: as for `add`.
        Self(unsafe { _mm512_shuffle_epi32::<0b00_11_10_01>(self.0) })
    }

    #[inline(always)]
    fn turn_by_2(self) -> Self {
        // SAFETY: as for `add`.
        Self(unsafe { _mm512_shuffle_epi32::<0b01_00_11_10>(self.0) })
    }

    #[inline(always)]
    fn turn_by_3(self) -> Self {
        // SAFETY: as for `add`.
        Self(unsafe { _mm512_shuffle_epi32::<0b10_01_00_11>(self.0) })
    }

    #[inline(always)]
    fn firsts(self) -> [u32; LABELS] {
        // SAFETY: as for `add`.
        unsafe { firsts(self.0) }
    }

    #[inline(always)]
    fn load(labels: [&[u32; 16]; LABELS]) -> [Self; 4] {
        // SAFETY: as for `add`.
        let halves = labels.map(|half| unsafe { load(half) });
        // SAFETY: as for `add`.
        unsafe { transpose(halves) }.map(Self)
    }

    #[inline(always)]
    fn store(matrix: [Self; 4], half: usize, labels: &mut [Row; LABELS]) {
        // SAFETY: as for `add`.
        let halves = unsafe { transpose(matrix.map(|row| row.0)) };
        for (label, words) in labels.iter_mut().zip(halves) {
            // SAFETY: as for `add`.
            unsafe { store(words, &mut label.0[half]) };
        }
    }

    #[inline(always)]
    fn prefetch(line: &[u32; 16]) {
        // SAFETY: a hint, about memory that is there.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn firsts(vector: __m512i) -> [u32; LABELS] {
    [
        _mm512_extracti32x4_epi32::<0>(vector),
        _mm512_extracti32x4_epi32::<1>(vector),
        _mm512_extracti32x4_epi32::<2>(vector),
        _mm512_extracti32x4_epi32::<3>(vector),
    ]
    .map(|lane| _mm_cvtsi128_si32(lane).cast_unsigned())
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(half: &[u32; 16]) -> __m512i {
    // SAFETY: 16 words are the 64 bytes that are read.
    unsafe { _mm512_loadu_si512(half.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(words: __m512i, half: &mut [u32; 16]) {
    // SAFETY: 16 words are the 64 bytes that are written.
    unsafe { _mm512_storeu_si512(half.as_mut_ptr().cast(), words) }
}

/// Lane `i` of vector `j` and lane `j` of vector `i` change places.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    const FIRST_HALVES: i32 = 0b01_00_01_00;
    const SECOND_HALVES: i32 = 0b11_10_11_10;
    const EVEN: i32 = 0b10_00_10_00;
    const ODD: i32 = 0b11_01_11_01;
    let ab = _mm512_shuffle_i32x4::<FIRST_HALVES>(a, b);
    let cd = _mm512_shuffle_i32x4::<FIRST_HALVES>(c, d);
    let ab_2 = _mm512_shuffle_i32x4::<SECOND_HALVES>(a, b);
    let cd_2 = _mm512_shuffle_i32x4::<SECOND_HALVES>(c, d);
    [
        _mm512_shuffle_i32x4::<EVEN>(ab, cd),
        _mm512_shuffle_i32x4::<ODD>(ab, cd),
        _mm512_shuffle_i32x4::<EVEN>(ab_2, cd_2),
        _mm512_shuffle_i32x4::<ODD>(ab_2, cd_2),
    ]
}
