//! scrypt's mixing of many labels at once, over vectors of any width.
//!
//! A vector holds the same four words of `L` labels; a row of a `ChaCha` matrix. `G` vectors make
//! a set, whose labels take each step together: one chain of steps would leave the CPU
//! waiting for its own results. `S` sets take turns, because a label knows which row it needs only
//! when it needs it: while the others are mixed, that row is on its way from memory.
//!
//! A core can wait for a dozen cache lines at a time, and asking for one more stops it. So the
//! lines that a set needs are asked for one by one, between the rounds of the next set. Rows to
//! be written are asked for in the same way, as their old contents must come first.
//!
//! Everything here must be inlined into a function that has the vectors' CPU feature.

use super::Stop;
use super::scratch::{Row, Scratch};
use core::mem;
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
    /// Asks memory for half a row, a cache line, that will soon be needed.
    fn prefetch(line: &[u32; 16]);
}

/// Half a block of each label of a set: the rows of a `ChaCha` matrix.
type Matrix<V, const G: usize> = [[V; G]; 4];

/// A row of the scratch for each label of a set.
type Rows<const L: usize, const G: usize> = [[Row; L]; G];

/// The same, from anywhere in the scratch.
type Picked<'a, const L: usize, const G: usize> = [[&'a Row; L]; G];

/// Labels that take each step together: the two halves of their blocks.
struct Set<V, const G: usize>([Matrix<V, G>; 2]);

impl<V, const G: usize> Set<V, G> {
    #[inline(always)]
    fn new<const L: usize>(blocks: &Rows<L, G>) -> Self
    where
        V: Vector<L>,
    {
        let matrix = |half: usize| {
            let groups: [[V; 4]; G] =
                core::array::from_fn(|g| V::load(blocks[g].each_ref().map(|row| &row.0[half])));
            core::array::from_fn(|row| groups.map(|group| group[row]))
        };
        Self([matrix(0), matrix(1)])
    }

    #[inline(always)]
    fn write<const L: usize>(&self, rows: &mut Rows<L, G>)
    where
        V: Vector<L>,
    {
        for g in 0..G {
            for half in 0..2 {
                V::store(self.0[half].map(|row| row[g]), half, &mut rows[g]);
            }
        }
    }

    /// The rows that the labels want next, of the set's N.
    #[inline(always)]
    fn wanted<'a, const L: usize>(&self, scratch: &'a [Rows<L, G>]) -> Picked<'a, L, G>
    where
        V: Vector<L>,
    {
        // N is a power of two, so that this is the remainder modulo N.
        let mask = scratch.len() - 1;
        let mut wanted = picked(&scratch[0]);
        for g in 0..G {
            let words = self.0[1][0][g].firsts();
            for l in 0..L {
                wanted[g][l] = &scratch[words[l] as usize & mask][g][l];
            }
        }
        wanted
    }

    /// Adds rows to the blocks.
    #[inline(always)]
    fn read<const L: usize>(&mut self, rows: &Picked<'_, L, G>)
    where
        V: Vector<L>,
    {
        for g in 0..G {
            for half in 0..2 {
                let loaded = V::load(rows[g].map(|row| &row.0[half]));
                for (row, loaded) in self.0[half].iter_mut().zip(loaded) {
                    row[g] = row[g].xor(loaded);
                }
            }
        }
    }

    /// scrypt's `BlockMix`. After each round, memory is asked for a line of the rows `ahead`.
    #[inline(always)]
    fn mix<const L: usize>(&mut self, ahead: &Picked<'_, L, G>)
    where
        V: Vector<L>,
    {
        const { assert!(2 * G * L <= ROUNDS, "lines would not be asked for") };
        let after = |round: usize| {
            if round < 2 * G * L {
                V::prefetch(&ahead.as_flattened()[round / 2].0[round % 2]);
            }
        };
        // Out of memory first, so that what fits into registers stays there.
        let [mut first, mut second] = self.0;
        each_row(&mut first, &second, V::xor);
        chacha8(&mut first, after);
        each_row(&mut second, &first, V::xor);
        chacha8(&mut second, |round| after(ROUNDS / 2 + round));
        self.0 = [first, second];
    }
}

#[inline(always)]
fn picked<const L: usize, const G: usize>(rows: &Rows<L, G>) -> Picked<'_, L, G> {
    let mut picked = [[&rows[0][0]; L]; G];
    for (picked, row) in picked.as_flattened_mut().iter_mut().zip(rows.as_flattened()) {
        *picked = row;
    }
    picked
}

/// Rounds of a `BlockMix`.
const ROUNDS: usize = 16;

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

/// `ChaCha` with 8 rounds, input added back at the end. `after` each round it is told so.
///
/// Rows are turned such that columns become diagonals and back. `b`, which a round finishes
/// last, stays where it is, so that nothing waits for the turning of the others.
#[inline(always)]
fn chacha8<V: Vector<L>, const L: usize, const G: usize>(
    matrix: &mut Matrix<V, G>,
    after: impl Fn(usize),
) {
    let start = *matrix;
    for double in 0..4 {
        round(matrix, V::turn_by_3, V::turn_by_1, V::turn_by_2);
        after(2 * double);
        round(matrix, V::turn_by_1, V::turn_by_3, V::turn_by_2);
        after(2 * double + 1);
    }
    each_row(matrix, &start, V::add);
}

/// A quarter round of all four columns, and the turning of rows a, c and d for the next. Step by
/// step over all groups, whose chains are independent.
#[inline(always)]
fn round<V: Vector<L>, const L: usize, const G: usize>(
    [a, b, c, d]: &mut Matrix<V, G>,
    turn_a: impl Fn(V) -> V,
    turn_c: impl Fn(V) -> V,
    turn_d: impl Fn(V) -> V,
) {
    each(a, b, V::add);
    each(d, a, V::xor);
    *d = d.map(V::rotate::<16>);
    each(c, d, V::add);
    each(b, c, V::xor);
    *b = b.map(V::rotate::<12>);
    each(a, b, V::add);
    each(d, a, V::xor);
    *a = a.map(turn_a);
    *d = d.map(V::rotate::<8>);
    each(c, d, V::add);
    *d = d.map(turn_d);
    each(b, c, V::xor);
    *c = c.map(turn_c);
    *b = b.map(V::rotate::<7>);
}

/// Mixes `blocks`, which are `S·G·L`, in `scratch`, which has N rows for each of them: the rows of
/// a set lie together, and in these the rows of a step.
#[inline(always)]
pub(super) fn romix<V: Vector<L>, const L: usize, const G: usize, const S: usize>(
    scratch: &mut [Row],
    blocks: &mut [Row],
    stop: Stop<'_>,
) -> Result<(), LabelFault> {
    let blocks = blocks.as_chunks_mut().0.as_chunks_mut().0;
    let scratch = scratch.as_chunks_mut().0.as_chunks_mut().0;
    let n = scratch.len() / S;
    let mut sets: [_; S] = core::array::from_fn(|s| Set::<V, G>::new::<L>(&blocks[s]));
    for step in 0..n {
        if step % STEPS_PER_ASKING == 0 {
            ask(stop)?;
        }
        for (set, rows) in sets.iter_mut().zip(scratch.chunks_exact_mut(n)) {
            set.write(&mut rows[step]);
            set.mix(&picked(&rows[(step + 1) % n]));
        }
    }
    let scratch: [_; S] = core::array::from_fn(|s| &scratch[s * n..][..n]);
    let mut wanted = [picked(&scratch[0][0]); S];
    for s in 0..S {
        wanted[s] = sets[s].wanted(scratch[s]);
    }
    for step in 0..n {
        if step % STEPS_PER_ASKING == 0 {
            ask(stop)?;
        }
        for s in 0..S {
            sets[s].read(&wanted[s]);
            sets[s].mix(&wanted[(s + S - 1) % S]);
            wanted[s] = sets[s].wanted(scratch[s]);
        }
    }
    for (set, blocks) in sets.iter().zip(blocks) {
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

/// A way to mix some labels at once.
#[derive(Debug)]
pub(super) struct Mixer {
    /// Labels in flight in one thread.
    pub(super) width: usize,
    pub(super) romix: Romix,
}

impl Mixer {
    /// Bytes of the scratch.
    pub(super) fn scratch_bytes(&self, n: ScryptN) -> usize {
        mem::size_of::<Row>().saturating_mul(self.width).saturating_mul(n.get() as usize)
    }
}

/// A mixer at work, in one thread.
#[derive(Debug)]
pub(super) struct Lockstep {
    mixer: &'static Mixer,
    scratch: Scratch,
    blocks: Vec<Row>,
}

impl Lockstep {
    /// With its scratch allocated.
    ///
    /// # Errors
    /// [`LabelFault::Device`] if memory is short.
    pub(super) fn new(n: ScryptN, mixer: &'static Mixer) -> Result<Self, LabelFault> {
        let scratch = Scratch::new((n.get() as usize).saturating_mul(mixer.width))?;
        Ok(Self { mixer, scratch, blocks: vec![Row([[0; 16]; 2]); mixer.width] })
    }

    /// Makes the labels from `first` on, at most the mixer's `width` of them.
    ///
    /// # Errors
    /// [`LabelFault::Stopped`] as soon as `stop` says so.
    pub(super) fn make(
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
        (self.mixer.romix)(&mut self.scratch, &mut self.blocks, stop)?;
        for ((label, block), password) in labels.iter_mut().zip(&self.blocks).zip(&passwords) {
            let mut words: Block = [0; 32];
            words.copy_from_slice(block.0.as_flattened());
            *label = contract(password, &words);
        }
        Ok(())
    }
}
