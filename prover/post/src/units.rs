//! The nouns: identities, challenges, label indices, nonces. Units that differ do not mix.

use crate::bytes::bytes32;
use core::fmt;
use core::ops::Range;
use serde::{Deserialize, Serialize};

bytes32! {
    /// The public key of a smesher (Ed25519): whose space it is.
    NodeId
}
bytes32! {
    /// The id of an activation transaction (ATX); the one named here ties the data to a chain.
    AtxId
}
bytes32! {
    /// What a proof answers: 32 bytes that nobody could know when the data was made.
    Challenge
}
bytes32! {
    /// The id of a network; peers and provers of another are strangers.
    NetworkId
}
bytes32! {
    /// What labels are made from: `BLAKE3(node id ‖ commitment ATX id)`.
    Commitment
}

impl Commitment {
    /// The commitment of an identity to an ATX.
    #[must_use]
    pub fn new(node_id: &NodeId, atx: &AtxId) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&node_id.0).update(&atx.0);
        Self(hasher.finalize().into())
    }
}

/// The position of a label in the sequence of an identity, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LabelIndex(pub u64);

impl fmt::Display for LabelIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A run of labels: first index, and one past the last.
pub type LabelRange = Range<u64>;

/// Nonces `16·g .. 16·g + 16` share one k2pow and one AES key: group `g` of 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NonceGroup(pub u8);

/// The number of a proof attempt. Each nonce sees its own set of good labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Nonce(pub u32);

impl Nonce {
    /// Nonces that share an AES key: one for each byte of the cipher block.
    pub const PER_GROUP: u32 = 16;
    /// One past the last nonce: the group number is a single byte of the k2pow input.
    pub const END: u32 = 256 * Self::PER_GROUP;

    /// The group this nonce belongs to; `None` from [`Nonce::END`] on.
    #[must_use]
    pub fn group(self) -> Option<NonceGroup> {
        u8::try_from(self.0 / Self::PER_GROUP).ok().map(NonceGroup)
    }

    /// Which byte of the cipher block speaks for this nonce, 0..16.
    #[must_use]
    pub fn lane(self) -> usize {
        (self.0 % Self::PER_GROUP) as usize
    }
}

impl NonceGroup {
    /// The nonce of this group that reads byte `lane` (taken modulo 16) of the cipher block.
    #[must_use]
    pub fn nonce(self, lane: usize) -> Nonce {
        let lane = (lane % 16) as u32;
        Nonce(u32::from(self.0).saturating_mul(Nonce::PER_GROUP).saturating_add(lane))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_and_groups_agree() {
        assert_eq!(Nonce(17).group(), Some(NonceGroup(1)));
        assert_eq!(Nonce(17).lane(), 1);
        assert_eq!(Nonce(Nonce::END - 1).group(), Some(NonceGroup(255)));
        assert_eq!(Nonce(Nonce::END).group(), None);
        assert_eq!(NonceGroup(255).nonce(15), Nonce(Nonce::END - 1));
    }
}
