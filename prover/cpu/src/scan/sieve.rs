//! Finding the few matches among many comparisons, without branches.
//!
//! In data of real size the top byte of the threshold is 0, and one block in 16 has a lane that
//! equals it. That is random, so that a branch on it would be mispredicted every other time. So
//! comparisons are kept as bits, the words of bits that are not zero are packed together, and
//! the matches taken from them in bulk. What a match needs then is done for several at a time.

use super::TILE;

/// Labels that are compared together: a bit of each byte is one's.
pub(super) const WIDTH: usize = 8;

/// Words of comparisons that a tile makes. Eight labels make two: bit `i` of byte `p` tells
/// whether label `i` matched at place `p`.
const WORDS: usize = TILE / WIDTH * 2;

/// A label of a tile and a place in its block: `word · 64 + bit`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Match(u32);

impl Match {
    /// The first match of a word that is not 0.
    #[inline(always)]
    fn first(number: usize, word: u64) -> Self {
        Self((number as u32).wrapping_mul(u64::BITS).wrapping_add(word.trailing_zeros()))
    }

    pub(super) fn label(self) -> usize {
        (self.0 / 128 * 8 + self.0 % 8) as usize
    }

    pub(super) fn place(self) -> usize {
        (self.0 / 8 % 16) as usize
    }
}

/// Comparisons of a tile, in which matches are few.
///
/// Most words are 0. Those that are not are listed as they come; then one match is taken from
/// each, and again from the words that still have one.
pub(super) struct Sieve {
    words: [u64; WORDS],
    /// The numbers of the words that are not 0, and how many they are.
    filled: [u16; WORDS],
    len: usize,
    matches: [Match; 2 * WORDS + WIDTH],
}

impl Sieve {
    pub(super) fn new() -> Self {
        let matches = [Match::default(); 2 * WORDS + WIDTH];
        Self { words: [0; WORDS], filled: [0; WORDS], len: 0, matches }
    }

    /// Puts in the comparisons of eight labels. A pair may be put once only, until drained.
    #[inline(always)]
    pub(super) fn put(&mut self, pair: usize, words: [u64; 2]) {
        self.words.as_chunks_mut().0[pair] = words;
        for (word, number) in words.into_iter().zip(2 * pair..) {
            // Written always, kept only if the word is not zero: cheaper than a branch.
            self.filled[self.len % WORDS] = number as u16;
            self.len = self.len.wrapping_add(usize::from(word != 0));
        }
    }

    /// Calls `take` with all matches, hundreds at a time and in no order. The sieve is empty then.
    ///
    /// `take` gets whole eights, and how many matches they are: the rest only fills up.
    #[inline(always)]
    pub(super) fn drain(&mut self, mut take: impl FnMut(&[[Match; WIDTH]], usize)) {
        let mut count = 0;
        while self.len > 0 {
            let mut left = 0;
            for i in 0..self.len {
                let number = usize::from(self.filled[i]) % WORDS;
                let word = self.words[number];
                self.matches[count % (2 * WORDS)] = Match::first(number, word);
                count += 1;
                let rest = word & word.wrapping_sub(1);
                self.words[number] = rest;
                self.filled[left % WORDS] = number as u16;
                left += usize::from(rest != 0);
            }
            self.len = left;
            if count > WORDS || left == 0 {
                self.matches[count..][..WIDTH].fill(Match::default());
                take(&self.matches.as_chunks().0[..count.div_ceil(WIDTH)], count);
                count = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Few matches and many, twice in the same sieve.
        #[test]
        fn what_is_put_in_comes_out(
            pairs in prop::collection::vec(any::<[u64; 2]>(), 0..=WORDS / 2),
            times in 0_u32..6,
        ) {
            let mut sieve = Sieve::new();
            for shift in 0..2 {
                let thin = |word: u64| {
                    (0..times).fold(word, |word, by| word & word.rotate_left(by + shift))
                };
                let mut expected = Vec::new();
                for (pair, words) in pairs.iter().enumerate() {
                    let words = words.map(thin);
                    sieve.put(pair, words);
                    let bytes = words.map(u64::to_le_bytes);
                    for (place, byte) in bytes.as_flattened().iter().enumerate() {
                        let labels = (0..8).filter(|label| byte >> label & 1 == 1);
                        expected.extend(labels.map(|label| (8 * pair + label, place)));
                    }
                }
                let mut found = Vec::new();
                sieve.drain(|eights, count| {
                    let matches = &eights.as_flattened()[..count];
                    found.extend(matches.iter().map(|it| (it.label(), it.place())));
                });
                found.sort_unstable();
                expected.sort_unstable();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
