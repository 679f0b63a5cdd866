//! What is known of a pass: which labels are behind it, and what was good among them. No IO.

use plot::{Ranges, Scanned};
use post::search::{Hit, Tally, Winner};
use post::{LabelIndex, Nonce};
use std::collections::BTreeSet;
use std::ops::Range;

/// The state of a pass. Pieces may come in any order: only what lies before the first label that
/// is still to come decides.
#[derive(Clone, Debug)]
pub(super) struct Count {
    nonces: Range<u32>,
    tally: Tally,
    /// Labels that were scanned.
    scanned: Ranges,
    /// Labels that nothing more is expected from: scanned, or not to be had.
    passed: Ranges,
    /// Labels that are wrong on disk: what was good about them is not counted.
    bad: BTreeSet<LabelIndex>,
}

impl Count {
    /// A pass over data of which the labels `missing` are not to be had.
    pub(super) fn new(nonces: Range<u32>, k2: u32, missing: &Ranges) -> Self {
        let tally = Tally::new(Nonce(nonces.start), nonces.end - nonces.start, k2);
        let (scanned, passed, bad) = (Ranges::default(), missing.clone(), BTreeSet::new());
        Self { nonces, tally, scanned, passed, bad }
    }

    /// Whether what was scanned was scanned in such a pass.
    pub(super) fn is_of(&self, scanned: &Scanned) -> bool {
        (scanned.first_nonce..scanned.first_nonce.saturating_add(scanned.nonces)) == self.nonces
    }

    /// Counts a piece: the labels that it is about, those of them that could not be read, and the
    /// hits among the others.
    pub(super) fn add(&mut self, labels: Range<u64>, gaps: &[Range<u64>], hits: &[Hit]) {
        // What has a gap is read again after a restart: the disk may have come to its senses.
        if gaps.is_empty() {
            self.scanned.insert(labels.clone());
        }
        self.passed.insert(labels);
        self.add_hits(hits);
    }

    /// Counts hits among labels that are or will be added.
    pub(super) fn add_hits(&mut self, hits: &[Hit]) {
        let bad = |hit: &&Hit| !self.bad.contains(&hit.index);
        let hits: Vec<Hit> = hits.iter().filter(bad).copied().collect();
        self.tally.add(&hits);
    }

    /// Takes back what was good about a label.
    pub(super) fn take_back(&mut self, index: LabelIndex) {
        self.tally.take_back(index);
    }

    /// Takes back what was good about a label, now and in future.
    pub(super) fn ban(&mut self, index: LabelIndex) {
        self.take_back(index);
        self.bad.insert(index);
    }

    /// The nonce that has won, as soon as that is certain.
    pub(super) fn winner(&self) -> Option<Winner> {
        self.tally.winner(LabelIndex(self.passed.first_absent(0)))
    }

    /// Labels behind us.
    pub(super) fn passed(&self) -> u64 {
        self.passed.count()
    }

    /// Labels that were scanned.
    pub(super) fn scanned(&self) -> &Ranges {
        &self.scanned
    }

    /// What a restart needs to go on.
    pub(super) fn to_scanned(&self) -> Scanned {
        let count = self.nonces.end - self.nonces.start;
        let first = Nonce(self.nonces.start);
        Scanned::new(first, count, self.scanned.clone(), &self.tally.hits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LABELS: u64 = 60;

    /// Hits that are as good as random: two labels in three are good for one of four nonces.
    fn hits_in(labels: Range<u64>) -> Vec<Hit> {
        let mixed = |index: u64| index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let hit = |index| Hit {
            index: LabelIndex(index),
            nonce: Nonce(u32::try_from(mixed(index) % 6).unwrap_or(0)),
        };
        labels.map(hit).filter(|hit| hit.nonce.0 < 4).collect()
    }

    fn count(missing: &Ranges) -> Count {
        Count::new(0..4, 5, missing)
    }

    /// Pieces of seven labels, in the order that the keys give.
    fn shuffled(keys: &[u32]) -> Vec<Range<u64>> {
        let mut pieces: Vec<_> = (0..LABELS).step_by(7).map(|at| at..LABELS.min(at + 7)).collect();
        pieces.sort_by_key(|piece| keys[usize::try_from(piece.start / 7).unwrap()]);
        pieces
    }

    proptest! {
        #[test]
        fn the_order_of_pieces_decides_nothing(
            keys in proptest::collection::vec(0_u32..99, 9),
            lost in proptest::collection::vec(0..LABELS, 0..5),
            bad in proptest::collection::vec(0..LABELS, 0..5),
            stop in 0_usize..9,
        ) {
            let missing: Ranges = lost.iter().map(|at| *at..at + 1).collect();
            let is_there = |hit: &Hit| {
                !lost.contains(&hit.index.0) && !bad.contains(&hit.index.0)
            };
            let mut whole = Tally::new(Nonce(0), 4, 5);
            whole.add(&hits_in(0..LABELS).into_iter().filter(is_there).collect::<Vec<_>>());
            let expected = whole.winner(LabelIndex(LABELS));
            let mut pass = count(&missing);
            for (number, piece) in shuffled(&keys).into_iter().enumerate() {
                if number == stop {
                    // Half of them are found wrong in the middle, and a restart follows.
                    bad.iter().skip(1).for_each(|at| pass.ban(LabelIndex(*at)));
                    let noted = pass.to_scanned();
                    let mut again = count(&missing);
                    prop_assert!(again.is_of(&noted));
                    bad.iter().for_each(|at| again.ban(LabelIndex(*at)));
                    noted.labels.iter().for_each(|labels| again.add(labels, &[], &[]));
                    again.add_hits(&noted.hits());
                    prop_assert_eq!(again.scanned(), pass.scanned());
                    pass = again;
                }
                let readable = |hit: &Hit| !lost.contains(&hit.index.0);
                let hits: Vec<_> = hits_in(piece.clone()).into_iter().filter(readable).collect();
                pass.add(piece, &[], &hits);
                // Whoever has won stays the winner, whatever comes after.
                if let Some(winner) = pass.winner().filter(|_| number >= stop) {
                    prop_assert_eq!(Some(winner), expected.clone());
                }
            }
            prop_assert_eq!(pass.passed(), LABELS);
            prop_assert_eq!(pass.winner(), expected);
        }
    }

    #[test]
    fn a_gap_is_passed_and_not_scanned() {
        let mut pass = count(&Ranges::default());
        pass.add(10..20, &[12..13, 15..17], &[]);
        assert_eq!((pass.passed(), pass.scanned().count()), (10, 0));
        assert!(!pass.is_of(&Scanned::new(Nonce(4), 4, Ranges::default(), &[])));
    }
}
