//! The search: which labels are good for which nonce, and which nonce wins.
//!
//! A label is encrypted under the AES-128 key of each nonce group; byte `lane` of the result
//! belongs to nonce `16·group + lane`. Below the top byte of the threshold the label is good,
//! above it is not, and when they are equal a second cipher, the nonce's own, decides with 56
//! more bits. On average K1 labels of the whole data are good for a nonce; one that finds K2
//! of them makes a proof.
//!
//! The search is deterministic: whatever the number of threads, disks or devices, and in whatever
//! order their hits come, [`Tally`] names one winner.

use crate::units::{Challenge, LabelIndex, Nonce, NonceGroup};
use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use alloc::vec::Vec;
use thiserror::Error;

/// The 64-bit bound `2⁶⁴·K1 / labels`, as the cipher outputs are compared with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// The top byte: compared with the nonce's byte of the group's cipher.
    pub top: u8,
    /// The 56 bits below: compared with the nonce's own cipher when the top bytes are equal.
    pub low: u64,
}

/// The data set is so small that every label would be good.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{labels} labels are too few for K1 = {k1}: there must be more labels than K1")]
pub struct TooFewLabels {
    /// Labels there are.
    pub labels: u64,
    /// Labels expected to be good.
    pub k1: u32,
}

impl Threshold {
    /// The bound at which `k1` of `labels` are expected to be good.
    ///
    /// # Errors
    /// [`TooFewLabels`] unless `labels > k1`.
    pub fn new(k1: u32, labels: u64) -> Result<Self, TooFewLabels> {
        let error = TooFewLabels { labels, k1 };
        if labels <= u64::from(k1) {
            return Err(error);
        }
        let bound = (u128::from(k1) << 64).checked_div(u128::from(labels)).ok_or(error)?;
        let bound = u64::try_from(bound).map_err(|_| error)?;
        let [top, ..] = bound.to_be_bytes();
        Ok(Self { top, low: bound & LOW_MASK })
    }
}

/// The low 56 bits of a cipher block's first eight bytes, little-endian.
pub const LOW_MASK: u64 = (1 << 56) - 1;

/// The AES-128 keys of one nonce group. Raw bytes: each backend expands them as it likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupKeys {
    /// Which nonces.
    pub group: NonceGroup,
    /// The k2pow that bought them.
    pub pow: u64,
    /// The key whose cipher block has a byte for each nonce.
    pub key: [u8; 16],
    /// Each nonce's own key, by lane.
    pub lane_keys: [[u8; 16]; 16],
}

impl GroupKeys {
    /// The keys of a group: `BLAKE3(challenge ‖ group as u32 LE ‖ pow as u64 LE)[..16]`, and for
    /// each nonce the same with the nonce (u32 LE) appended.
    #[must_use]
    pub fn new(challenge: &Challenge, group: NonceGroup, pow: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&challenge.0);
        hasher.update(&u32::from(group.0).to_le_bytes());
        hasher.update(&pow.to_le_bytes());
        let mut lane_keys = [[0; 16]; 16];
        for (lane, key) in lane_keys.iter_mut().enumerate() {
            let nonce = group.nonce(lane);
            *key = first_half(hasher.clone().update(&nonce.0.to_le_bytes()));
        }
        Self { group, pow, key: first_half(&hasher), lane_keys }
    }
}

fn first_half(hasher: &blake3::Hasher) -> [u8; 16] {
    let mut half = [0; 16];
    hasher.finalize_xof().fill(&mut half);
    half
}

/// A label that is good for a nonce. Ordered by label, then nonce: the order of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// The label.
    pub index: LabelIndex,
    /// The nonce it is good for.
    pub nonce: Nonce,
}

/// A device that scans labels for hits. Bound to its keys and threshold when it is made.
pub trait Scanner {
    /// The hits in `labels` (16 bytes each; trailing bytes that make no label are ignored), of
    /// which the first has index `first`; in ascending order.
    ///
    /// # Errors
    /// The device could not do the work.
    fn scan(&mut self, first: LabelIndex, labels: &[u8]) -> Result<Vec<Hit>, ScanFault>;

    /// Which kernel runs, for people and benchmarks.
    fn kernel(&self) -> &str;
}

/// Why a scanner gave no answer.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct ScanFault(pub alloc::string::String);

/// The ciphers of a group, expanded: the plain definition of "good".
#[derive(Clone)]
pub struct GroupCipher {
    group: NonceGroup,
    cipher: Aes128,
    lanes: [Aes128; 16],
}

impl core::fmt::Debug for GroupCipher {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("GroupCipher").field("group", &self.group).finish_non_exhaustive()
    }
}

impl GroupCipher {
    /// Expands a group's keys.
    #[must_use]
    pub fn new(keys: &GroupKeys) -> Self {
        Self {
            group: keys.group,
            cipher: Aes128::new(&keys.key.into()),
            lanes: keys.lane_keys.map(|key| Aes128::new(&key.into())),
        }
    }

    /// Which nonces of this group the label is good for: calls `good` with each lane.
    pub fn good_lanes(&self, label: &[u8; 16], threshold: Threshold, mut good: impl FnMut(usize)) {
        let mut block = (*label).into();
        self.cipher.encrypt_block(&mut block);
        for (lane, byte) in block.iter().enumerate() {
            if *byte < threshold.top
                || (*byte == threshold.top && self.low_bits(label, lane) < threshold.low)
            {
                good(lane);
            }
        }
    }

    /// Whether the label is good for the nonce of this group in `lane`.
    #[must_use]
    pub fn is_good(&self, label: &[u8; 16], lane: usize, threshold: Threshold) -> bool {
        let mut is_good = false;
        self.good_lanes(label, threshold, |good| is_good |= good == lane);
        is_good
    }

    /// The 56 bits by which nonce `lane` decides when the top bytes are equal.
    fn low_bits(&self, label: &[u8; 16], lane: usize) -> u64 {
        let mut block = (*label).into();
        let [.., last] = &self.lanes;
        self.lanes.get(lane).unwrap_or(last).encrypt_block(&mut block);
        let bytes = block.iter().take(8).rev();
        bytes.fold(0, |value, byte| (value << 8) | u64::from(*byte)) & LOW_MASK
    }

    /// The hits of one label for this group, appended in the order of nonces.
    pub fn hits(
        &self,
        index: LabelIndex,
        label: &[u8; 16],
        threshold: Threshold,
        out: &mut Vec<Hit>,
    ) {
        self.good_lanes(label, threshold, |lane| {
            out.push(Hit { index, nonce: self.group.nonce(lane) });
        });
    }
}

/// The nonce that won, and its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Winner {
    /// The nonce.
    pub nonce: Nonce,
    /// Its first K2 good labels, ascending.
    pub indices: Vec<LabelIndex>,
}

/// The hits of a pass, in whatever order they come. The nonce whose K2-th good label comes first
/// in label order wins, the lowest nonce on a tie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    first: Nonce,
    k2: usize,
    /// For each nonce its good labels, ascending.
    hits: Vec<Vec<LabelIndex>>,
}

impl Tally {
    /// A tally for the `count` nonces from `first` on.
    #[must_use]
    pub fn new(first: Nonce, count: u32, k2: u32) -> Self {
        let hits = (0..count).map(|_| Vec::new()).collect();
        Self { first, k2: k2 as usize, hits }
    }

    /// Counts hits, each of them once. Hits of other nonces are ignored.
    pub fn add(&mut self, hits: &[Hit]) {
        for hit in hits {
            let slot = hit.nonce.0.checked_sub(self.first.0);
            let labels = slot.and_then(|slot| self.hits.get_mut(slot as usize));
            let Some(labels) = labels else { continue };
            // Nearly always at the end: a scan goes forward.
            if let Err(place) = labels.binary_search(&hit.index) {
                labels.insert(place, hit.index);
            }
        }
    }

    /// Takes back all hits of a label that turned out to be wrong.
    pub fn take_back(&mut self, index: LabelIndex) {
        for labels in &mut self.hits {
            if let Ok(place) = labels.binary_search(&index) {
                labels.remove(place);
            }
        }
    }

    /// The nonce that won, if all hits up to its K2-th good label are counted: `end` is one past
    /// the last label before which no hit is missing.
    #[must_use]
    pub fn winner(&self, end: LabelIndex) -> Option<Winner> {
        let last = self.k2.checked_sub(1)?;
        let nonces = (self.first.0..).map(Nonce).zip(&self.hits);
        let complete =
            nonces.filter_map(|(nonce, labels)| Some((*labels.get(last)?, nonce, labels)));
        let (_, nonce, labels) = complete
            .filter(|(index, ..)| *index < end)
            .min_by_key(|(index, nonce, _)| (*index, *nonce))?;
        Some(Winner { nonce, indices: labels.iter().take(self.k2).copied().collect() })
    }

    /// All hits so far, ascending: what a resumed scan needs to go on.
    #[must_use]
    pub fn hits(&self) -> Vec<Hit> {
        let nonces = (self.first.0..).map(Nonce).zip(&self.hits);
        let mut hits: Vec<Hit> = nonces
            .flat_map(|(nonce, labels)| {
                labels.iter().map(move |index| Hit { index: *index, nonce })
            })
            .collect();
        hits.sort_unstable();
        hits
    }
}

/// The next pass of a search: `count` nonces from `first`, whole groups only, none past
/// [`Nonce::END`]; `None` when no nonce is left, and so no proof to be had.
#[must_use]
pub fn pass(number: u32, nonces_per_pass: u32) -> Option<core::ops::Range<u32>> {
    let first = number.checked_mul(nonces_per_pass)?;
    let end = first.checked_add(nonces_per_pass)?.min(Nonce::END);
    (first < end).then_some(first..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_threshold_is_split_after_its_top_byte() {
        assert_eq!(Threshold::new(1, 2), Ok(Threshold { top: 0x80, low: 0 }));
        assert_eq!(Threshold::new(26, 8192), Ok(Threshold { top: 0, low: 26 << 51 }));
        assert_eq!(Threshold::new(2, 2), Err(TooFewLabels { labels: 2, k1: 2 }));
        assert_eq!(Threshold::new(0, 0), Err(TooFewLabels { labels: 0, k1: 0 }));
    }

    fn hit(index: u64, nonce: u32) -> Hit {
        Hit { index: LabelIndex(index), nonce: Nonce(nonce) }
    }

    #[test]
    fn the_nonce_whose_last_good_label_comes_first_wins() {
        let mut tally = Tally::new(Nonce(16), 16, 2);
        tally.add(&[hit(5, 16), hit(5, 17), hit(9, 18), hit(7, 18)]);
        tally.add(&[hit(0, 17), hit(3, 16), hit(3, 16), hit(3, 40), hit(3, 15)]);
        let counted = [hit(0, 17), hit(3, 16), hit(5, 16), hit(5, 17), hit(7, 18), hit(9, 18)];
        assert_eq!(tally.hits(), counted);
        // As long as a hit before label 5 may still come, nobody has won.
        assert_eq!(tally.winner(LabelIndex(5)), None);
        let winner = |nonce, indices: [u64; 2]| {
            Some(Winner { nonce: Nonce(nonce), indices: indices.map(LabelIndex).to_vec() })
        };
        assert_eq!(tally.winner(LabelIndex(6)), winner(16, [3, 5]));
        tally.take_back(LabelIndex(3));
        assert_eq!(tally.winner(LabelIndex(6)), winner(17, [0, 5]));
        tally.take_back(LabelIndex(5));
        assert_eq!(tally.winner(LabelIndex(9)), None);
        assert_eq!(tally.winner(LabelIndex(10)), winner(18, [7, 9]));
    }

    #[test]
    fn a_winner_has_k2_labels_and_not_more() {
        let mut tally = Tally::new(Nonce(0), 16, 2);
        tally.add(&[hit(1, 0), hit(2, 0), hit(3, 0)]);
        let indices = [1, 2].map(LabelIndex).to_vec();
        assert_eq!(tally.winner(LabelIndex(9)), Some(Winner { nonce: Nonce(0), indices }));
    }

    #[test]
    fn passes_end_with_the_last_group() {
        assert_eq!(pass(0, 288), Some(0..288));
        assert_eq!(pass(14, 288), Some(4032..4096));
        assert_eq!(pass(15, 288), None);
        assert_eq!(pass(u32::MAX, 288), None);
    }

    /// The winner by the definition: hits one by one in their order.
    fn in_order(hits: &[Hit], k2: usize) -> Option<Winner> {
        let mut hits = hits.to_vec();
        hits.sort_unstable();
        hits.dedup();
        let mut gathered = alloc::collections::BTreeMap::<Nonce, Vec<LabelIndex>>::new();
        hits.iter().find_map(|hit| {
            let indices = gathered.entry(hit.nonce).or_default();
            indices.push(hit.index);
            let won = indices.len() == k2;
            won.then(|| Winner { nonce: hit.nonce, indices: indices.clone() })
        })
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_decides_nothing(
            hits in proptest::collection::vec((0_u64..40, 0_u32..16), 0..60), k2 in 1_u32..6,
        ) {
            let hits: Vec<_> = hits.into_iter().map(|(index, nonce)| hit(index, nonce)).collect();
            let mut tally = Tally::new(Nonce(0), 16, k2);
            for part in hits.chunks(7) {
                tally.add(part);
            }
            prop_assert_eq!(tally.winner(LabelIndex(40)), in_order(&hits, k2 as usize));
            for end in 0..40 {
                let until: Vec<_> = hits.iter().filter(|hit| hit.index.0 < end).copied().collect();
                prop_assert_eq!(tally.winner(LabelIndex(end)), in_order(&until, k2 as usize));
            }
        }

        /// As many good labels as K1 promises, whichever the nonce: the two-step comparison is a
        /// comparison with the whole threshold.
        #[test]
        fn about_k1_labels_are_good(challenge: [u8; 32], pow: u64, group: u8, k1 in 1_u32..200) {
            let labels = 2048_u64;
            let threshold = Threshold::new(k1, labels).unwrap();
            let keys = GroupKeys::new(&Challenge(challenge), NonceGroup(group), pow);
            let cipher = GroupCipher::new(&keys);
            let mut hits = Vec::new();
            for index in 0..labels {
                let hash = *blake3::hash(&index.to_le_bytes()).as_bytes();
                let label = hash[..16].try_into().unwrap();
                cipher.hits(LabelIndex(index), label, threshold, &mut hits);
            }
            // 16 nonces, mean 16·k1; ten standard deviations of slack never fail by chance.
            let mean = 16.0 * f64::from(k1);
            prop_assert!((hits.len() as f64 - mean).abs() < 10.0 * mean.sqrt(), "{}", hits.len());
            prop_assert!(hits.is_sorted());
        }
    }
}
