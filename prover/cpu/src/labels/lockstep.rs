//! scrypt's mixing of many labels at once, over vectors of any width.
//!
//! A vector holds the same four words of `L` labels; a row of a `ChaCha` matrix. `G` vectors make
//! a set, whose labels take each step together: one chain of steps would leave the CPU
//! waiting for its own results. Two sets take turns: while one is mixed, the random rows that
//! the other needs next are on their way from memory.
//!
//! Everything here must be inlined into a function that has the vectors' CPU feature.

use super::scratch::{Row, Scratch};
use super::{Maker, Stop};
use post::label::{Block, LabelFault, contract, expand, password};
use post::{Commitment, FullLabel, LabelIndex, ScryptN};

/// Four words of each of `L` labels.
pub(super) trait Vector<const L: usize>: Copy {
    /// Sums of words, modulo 2³².
    fn add(self, other: Self) -> Self;
    /// Exclusive or.
    fn xor(self, other: Self) -> Self;
    /// All words rotated to the left by `BITS` bits.
    fn rotate<const BITS: i32>(self) -> Self;
    /// The words of each label moved: word 1 comes first, then 2, 3 and 0.
    fn turn_by_1(self) -> Self;
    /// As `turn_by_1`, twice.
    fn turn_by_2(self) -> Self;
    /// As `turn_by_1`, three times.
    fn turn_by_3(self) -> Self;
    /// The first word of each label.
    fn firsts(self) -> [u32; L];
    /// Half a block of each label, as the rows of a `ChaCha` matrix.
    fn load(labels: [&[u32; 16]; L]) -> [Self; 4];
    /// The reverse of `load`: writes the halves with number `half`.
    fn store(matrix: [Self; 4], half: usize, labels: &mut [Row; L]);
    /// Asks memory for a row that will soon be loaded.
    fn prefetch(row: &Row);
}

/// Half a block of each label of a set: the rows of a `ChaCha` matrix.
type Matrix<V, const G: usize> = [[V; G]; 4];

/// Labels that take each step together.
struct Set<V, const L: usize, const G: usize> {
    halves: [Matrix<V, G>; 2],
    /// The rows that the labels want next, as indices into the scratch.
    wanted: [[usize; L]; G],
    /// Vectors of labels that come before this set's in a row of the scratch.
    first: usize,
}

impl<V: Vector<L>, const L: usize, const G: usize> Set<V, L, G> {
    #[inline(always)]
    fn new(blocks: &[Row], first: usize) -> Self {
        let labels = &blocks.as_chunks::<L>().0[first..][..G];
        let matrix = |half: usize| {
            let groups: [[V; 4]; G] =
                core::array::from_fn(|g| V::load(labels[g].each_ref().map(|row| &row.0[half])));
            core::array::from_fn(|row| groups.map(|group| group[row]))
        };
        Self { halves: [matrix(0), matrix(1)], wanted: [[0; L]; G], first }
    }

    /// Writes the blocks to `rows`, which hold one for each label in flight.
    #[inline(always)]
    fn write(&self, rows: &mut [Row]) {
        let labels = &mut rows.as_chunks_mut::<L>().0[self.first..][..G];
        for g in 0..G {
            for half in 0..2 {
                V::store(self.halves[half].map(|row| row[g]), half, &mut labels[g]);
            }
        }
    }

    /// Finds out which rows the labels want next, and has memory send them.
    #[inline(always)]
    fn want(&mut self, scratch: &[Row], width: usize) {
        // N is a power of two, so that this is the remainder modulo N.
        let mask = scratch.len() / width - 1;
        for g in 0..G {
            let words = self.halves[1][0][g].firsts();
            for (l, word) in words.into_iter().enumerate() {
                let wanted = (word as usize & mask) * width + (self.first + g) * L + l;
                self.wanted[g][l] = wanted;
                V::prefetch(&scratch[wanted]);
            }
        }
    }

    /// Adds the wanted rows to the blocks.
    #[inline(always)]
    fn read(&mut self, scratch: &[Row]) {
        for g in 0..G {
            let rows = self.wanted[g].map(|wanted| &scratch[wanted]);
            for half in 0..2 {
                let loaded = V::load(rows.map(|row| &row.0[half]));
                for (row, loaded) in self.halves[half].iter_mut().zip(loaded) {
                    row[g] = row[g].xor(loaded);
                }
            }
        }
    }

    /// scrypt's `BlockMix`.
    #[inline(always)]
    fn mix(&mut self) {
        let [first, second] = &mut self.halves;
        each_row(first, second, V::xor);
        chacha8(first);
        each_row(second, first, V::xor);
        chacha8(second);
    }
}

/// Applies `step` to the vectors of `to` and `from` that stand in the same place.
#[inline(always)]
fn each<V: Copy, const G: usize>(to: &mut [V; G], from: &[V; G], step: impl Fn(V, V) -> V) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = step(*to, *from);
    }
}

/// As [`each`], for all four rows.
#[inline(always)]
fn each_row<V: Copy, const G: usize>(
    to: &mut Matrix<V, G>,
    from: &Matrix<V, G>,
    step: impl Fn(V, V) -> V,
) {
    for (to, from) in to.iter_mut().zip(from) {
        each(to, from, &step);
    }
}

/// `ChaCha` with 8 rounds, input added back at the end.
#[inline(always)]
fn chacha8<V: Vector<L>, const L: usize, const G: usize>(matrix: &mut Matrix<V, G>) {
    let start = *matrix;
    for _ in 0..4 {
        round(matrix);
        let [_, b, c, d] = matrix;
        *b = b.map(V::turn_by_1);
        *c = c.map(V::turn_by_2);
        *d = d.map(V::turn_by_3);
        round(matrix);
        let [_, b, c, d] = matrix;
        *b = b.map(V::turn_by_3);
        *c = c.map(V::turn_by_2);
        *d = d.map(V::turn_by_1);
    }
    each_row(matrix, &start, V::add);
}

/// A quarter round of all four columns.
#[inline(always)]
fn round<V: Vector<L>, const L: usize, const G: usize>(matrix: &mut Matrix<V, G>) {
    half_round::<V, L, G, 16, 12>(matrix);
    half_round::<V, L, G, 8, 7>(matrix);
}

/// Half of it. Step by step over all groups, whose chains are independent.
#[inline(always)]
fn half_round<V: Vector<L>, const L: usize, const G: usize, const D: i32, const B: i32>(
    [a, b, c, d]: &mut Matrix<V, G>,
) {
    each(a, b, V::add);
    each(d, a, V::xor);
    *d = d.map(V::rotate::<D>);
    each(c, d, V::add);
    each(b, c, V::xor);
    *b = b.map(V::rotate::<B>);
}

/// Mixes `blocks`, which are `2·G·L`, in `scratch`, which has N rows for each of them.
#[inline(always)]
pub(super) fn romix<V: Vector<L>, const L: usize, const G: usize>(
    scratch: &mut [Row],
    blocks: &mut [Row],
    stop: Stop<'_>,
) -> Result<(), LabelFault> {
    let width = blocks.len();
    let mut sets = [0, G].map(|first| Set::<V, L, G>::new(blocks, first));
    for some in scratch.chunks_mut(STEPS_PER_ASKING * width) {
        ask(stop)?;
        for rows in some.chunks_exact_mut(width) {
            for set in &mut sets {
                set.write(rows);
                set.mix();
            }
        }
    }
    for set in &mut sets {
        set.want(scratch, width);
    }
    for step in 0..scratch.len() / width {
        if step % STEPS_PER_ASKING == 0 {
            ask(stop)?;
        }
        for set in &mut sets {
            set.read(scratch);
            set.mix();
            set.want(scratch, width);
        }
    }
    for set in &sets {
        set.write(blocks);
    }
    Ok(())
}

/// Steps that take a thread milliseconds, and after which `stop` is asked again.
const STEPS_PER_ASKING: usize = 1024;

fn ask(stop: Stop<'_>) -> Result<(), LabelFault> {
    if stop() { Err(LabelFault::Stopped) } else { Ok(()) }
}

/// [`romix`] with its parameters filled in: scratch, blocks, stop.
type Romix = fn(&mut [Row], &mut [Row], Stop<'_>) -> Result<(), LabelFault>;

/// A maker of `width` labels at a time.
#[derive(Debug)]
pub(super) struct Lockstep {
    scratch: Scratch,
    blocks: Vec<Row>,
    romix: Romix,
}

impl Lockstep {
    /// A maker whose scratch is allocated.
    ///
    /// # Errors
    /// [`LabelFault::Device`] if memory is short.
    pub(super) fn new(n: ScryptN, width: usize, romix: Romix) -> Result<Box<Self>, LabelFault> {
        let scratch = Scratch::new((n.get() as usize).saturating_mul(width))?;
        Ok(Box::new(Self { scratch, blocks: vec![Row([[0; 16]; 2]); width], romix }))
    }
}

impl Maker for Lockstep {
    fn make(
        &mut self,
        commitment: &Commitment,
        first: LabelIndex,
        labels: &mut [FullLabel],
        stop: Stop<'_>,
    ) -> Result<(), LabelFault> {
        // Places that no label needs are mixed as well, and what is in them is ignored.
        let passwords = (first.0..).map(|index| password(commitment, LabelIndex(index)));
        let passwords: Vec<_> = passwords.take(labels.len()).collect();
        for (block, password) in self.blocks.iter_mut().zip(&passwords) {
            let words: Block = expand(password);
            block.0.as_flattened_mut().copy_from_slice(&words);
        }
        (self.romix)(&mut self.scratch, &mut self.blocks, stop)?;
        for ((label, block), password) in labels.iter_mut().zip(&self.blocks).zip(&passwords) {
            let mut words: Block = [0; 32];
            words.copy_from_slice(block.0.as_flattened());
            *label = contract(password, &words);
        }
        Ok(())
    }
}
