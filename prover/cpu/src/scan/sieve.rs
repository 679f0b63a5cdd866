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

/// A label of a tile and a place in its block: `label · 16 + place`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Match(u32);

impl Match {
    /// The match of bit `bit` of word `word`.
    fn new(word: usize, bit: u32) -> Self {
        let bit = bit as usize;
        let (label, place) = (word / 2 * WIDTH + bit % 8, word % 2 * 8 + bit / 8);
        Self((label * 16 + place) as u32)
    }

    pub(super) fn label(self) -> usize {
        (self.0 / 16) as usize
    }

    pub(super) fn place(self) -> usize {
        (self.0 % 16) as usize
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
    matches: [Match; 2 * WORDS],
}

impl Sieve {
    pub(super) fn new() -> Self {
        Self { words: [0; WORDS], filled: [0; WORDS], len: 0, matches: [Match(0); 2 * WORDS] }
    }

    /// Puts in the comparisons of eight labels. A pair may be put once only, until drained.
    #[inline(always)]
    pub(super) fn put(&mut self, pair: usize, words: [u64; 2]) {
        self.words.as_chunks_mut().0[pair] = words;
        for (word, number) in words.into_iter().zip(2 * pair..) {
            // Written always, kept only if the word is not zero: cheaper than a branch.
            self.filled[self.len] = number as u16;
            self.len += usize::from(word != 0);
        }
    }

    /// Calls `take` with all matches, hundreds at a time and in no order. The sieve is empty then.
    #[inline(always)]
    pub(super) fn drain(&mut self, mut take: impl FnMut(&[Match])) {
        let mut count = 0;
        while self.len > 0 {
            let mut left = 0;
            for i in 0..self.len {
                let number = self.filled[i];
                let word = &mut self.words[usize::from(number)];
                self.matches[count] = Match::new(usize::from(number), word.trailing_zeros());
                count += 1;
                *word &= word.wrapping_sub(1);
                self.filled[left] = number;
                left += usize::from(*word != 0);
            }
            self.len = left;
            if count > WORDS || left == 0 {
                take(&self.matches[..count]);
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
                sieve.drain(|matches| {
                    found.extend(matches.iter().map(|it| (it.label(), it.place())));
                });
                found.sort_unstable();
                expected.sort_unstable();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
