//! The bytes of a proof, and the statement that it proves.

use crate::params::Params;
use crate::search::Winner;
use crate::units::{AtxId, Challenge, Commitment, LabelIndex, NodeId, Nonce};
use alloc::vec;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a proof claims: this identity holds this much data, and held it after the challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Whose space.
    pub node_id: NodeId,
    /// The ATX the data is tied to.
    pub commitment_atx_id: AtxId,
    /// What the proof answers.
    pub challenge: Challenge,
    /// Units of space.
    pub num_units: u32,
    /// Labels in each unit.
    pub labels_per_unit: u64,
}

impl Statement {
    /// All labels; `None` where the product is 0 or beyond [`Params::LABELS_MAX`].
    #[must_use]
    pub fn num_labels(&self) -> Option<u64> {
        Params::num_labels(self.labels_per_unit, self.num_units)
    }

    /// What the labels are made from.
    #[must_use]
    pub fn commitment(&self) -> Commitment {
        Commitment::new(&self.node_id, &self.commitment_atx_id)
    }
}

/// A proof of space-time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The nonce that won.
    pub nonce: Nonce,
    /// The indices of K2 good labels, packed ([`pack`]).
    pub indices: Vec<u8>,
    /// The k2pow of the nonce's group.
    pub pow: u64,
}

impl Proof {
    /// The proof of a nonce that won among `num_labels`.
    #[must_use]
    pub fn new(winner: &Winner, num_labels: u64, pow: u64) -> Self {
        Self { nonce: winner.nonce, indices: pack(&winner.indices, num_labels), pow }
    }
}

/// Bits that an index takes in a proof over `num_labels`: `⌊log₂ num_labels⌋ + 1`, 0 for none.
///
/// (One more than needed when the count is a power of two: so the reference does.)
#[must_use]
pub fn index_bits(num_labels: u64) -> u32 {
    u64::BITS.saturating_sub(num_labels.leading_zeros())
}

/// Bytes that `count` packed indices take.
#[must_use]
pub fn packed_len(count: usize, num_labels: u64) -> usize {
    count.saturating_mul(index_bits(num_labels) as usize).div_ceil(8)
}

/// Packs indices one after the other, each from its lowest bit on, into bytes that fill from
/// their lowest bit on; the last byte is padded with zeros.
#[must_use]
pub fn pack(indices: &[LabelIndex], num_labels: u64) -> Vec<u8> {
    let width = index_bits(num_labels);
    let mut bytes = vec![0; packed_len(indices.len(), num_labels)];
    let bits = indices.iter().flat_map(|index| (0..width).map(move |bit| index.0 >> bit & 1 == 1));
    for (position, set) in bits.enumerate() {
        if let (true, Some(byte)) = (set, bytes.get_mut(position / 8)) {
            *byte |= 1 << (position % 8);
        }
    }
    bytes
}

/// The indices of a packed list: the reverse of [`pack`]. `None` unless the bytes are just as
/// many as `count` indices take and the padding is zero.
#[must_use]
pub fn unpack(bytes: &[u8], count: usize, num_labels: u64) -> Option<Vec<LabelIndex>> {
    let width = index_bits(num_labels) as usize;
    if bytes.len() != packed_len(count, num_labels) {
        return None;
    }
    let mut bits = bytes.iter().flat_map(|byte| (0..8).map(move |bit| u64::from(byte >> bit & 1)));
    let mut indices = Vec::with_capacity(count);
    for _ in 0..count {
        let index = bits.by_ref().take(width).enumerate();
        indices.push(LabelIndex(index.fold(0, |value, (place, bit)| value | bit << place)));
    }
    bits.all(|bit| bit == 0).then_some(indices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn widths_are_the_reference_s() {
        for (labels, bits) in [(0, 0), (1, 1), (255, 8), (256, 9), (1 << 19, 20), (u64::MAX, 64)] {
            assert_eq!(index_bits(labels), bits, "{labels}");
        }
    }

    #[test]
    fn bits_fill_from_the_lowest_up() {
        let indices = [0, 5, 0, 7].map(LabelIndex);
        assert_eq!(pack(&indices, 7), [0b0010_1000, 0b0000_1110]);
    }

    proptest! {
        #[test]
        fn packing_round_trips(
            num_labels in 1_u64.., picks in prop::collection::vec(0_u64.., 0..80),
        ) {
            let indices: Vec<_> = picks.iter().map(|pick| LabelIndex(pick % num_labels)).collect();
            let bytes = pack(&indices, num_labels);
            prop_assert_eq!(bytes.len(), packed_len(indices.len(), num_labels));
            prop_assert_eq!(unpack(&bytes, indices.len(), num_labels), Some(indices));
        }

        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>, count in 0_usize..100, num_labels: u64) {
            if let Some(indices) = unpack(&bytes, count, num_labels) {
                prop_assert_eq!(pack(&indices, num_labels), bytes);
            }
        }
    }

    #[test]
    fn padding_must_be_zero() {
        let bytes = pack(&[5, 6, 7].map(LabelIndex), 7);
        assert!(unpack(&bytes, 3, 7).is_some());
        let mut padded = bytes.clone();
        *padded.last_mut().unwrap() |= 0x80;
        assert_eq!(unpack(&padded, 3, 7), None);
        assert_eq!(unpack(&bytes, 2, 7), None);
    }
}
