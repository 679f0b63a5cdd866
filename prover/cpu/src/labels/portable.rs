//! Labels on any CPU: a vector is four words of one label, and the compiler's to make fast.
//!
//! The compiler keeps the words in general registers, of which there are enough for one label a
//! set and no more. That is still thrice as fast as the definition, which is written to be read.

use super::Kernel;
use super::lockstep::{Mixer, Vector, romix};
use super::scratch::Row;

/// Sets, of one label each.
const SETS: usize = 2;

const MIXER: Mixer = Mixer { width: SETS, romix: romix::<Words, 1, 1, SETS> };

pub(super) static KERNEL: Kernel =
    Kernel { name: "portable", runs_here: || true, wide: MIXER, narrow: MIXER };

/// Four words of a label.
#[derive(Clone, Copy)]
struct Words([u32; 4]);

impl Words {
    #[inline(always)]
    fn with(self, other: Self, step: impl Fn(u32, u32) -> u32) -> Self {
        Self(core::array::from_fn(|i| step(self.0[i], other.0[i])))
    }
}

impl Vector<1> for Words {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.with(other, u32::wrapping_add)
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        self.with(other, |a, b| a ^ b)
    }

    #[inline(always)]
    fn rotate<const BITS: i32>(self) -> Self {
        Self(self.0.map(|word| word.rotate_left(BITS.unsigned_abs())))
    }

    #[inline(always)]
    fn turn_by_1(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([b, c, d, a])
    }

    #[inline(always)]
    fn turn_by_2(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([c, d, a, b])
    }

    #[inline(always)]
    fn turn_by_3(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([d, a, b, c])
    }

    #[inline(always)]
    fn firsts(self) -> [u32; 1] {
        [self.0[0]]
    }

    #[inline(always)]
    fn load([half]: [&[u32; 16]; 1]) -> [Self; 4] {
        core::array::from_fn(|row| Self(half.as_chunks().0[row]))
    }

    #[inline(always)]
    fn store(matrix: [Self; 4], half: usize, [label]: &mut [Row; 1]) {
        label.0[half].as_chunks_mut().0.copy_from_slice(&matrix.map(|row| row.0));
    }

    #[inline(always)]
    fn prefetch(_: &[u32; 16]) {}
}
