//! The k2pow: a small RandomX proof of work that buys one group of 16 nonces.
//!
//! Without it a prover with half the data would simply try twice as many nonces. The hash itself
//! is not computed here (the `pow` crate does); this is its input, its bound and its rule.

use crate::units::{Challenge, NodeId, NonceGroup};
use core::fmt;
use thiserror::Error;

/// The key of the RandomX cache: the same for every network and epoch.
pub const CACHE_KEY: &[u8] = b"spacemesh-randomx-cache-key";

/// One past the largest pow: RandomX hashes only 7 of its bytes, so a larger number would give
/// other AES keys for the same work.
pub const POW_END: u64 = 1 << 56;

/// What is hashed: `pow (7 bytes LE) ‖ nonce group ‖ challenge[..8] ‖ node id`.
pub type Input = [u8; 48];

/// A bound for RandomX hashes, 32 bytes big-endian: a hash strictly below it is a solution.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difficulty(pub [u8; 32]);

/// The hash behind k2pow. RandomX everywhere but in simulations that say so.
pub trait PowHash {
    /// Why a hash could not be computed (memory, CPU): never the fault of a proof.
    type Fault;

    /// The 32-byte hash of an input.
    ///
    /// # Errors
    /// The machine could not compute it.
    fn hash(&self, input: &Input) -> Result<[u8; 32], Self::Fault>;
}

/// No units, no difficulty.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a proof of 0 units proves nothing")]
pub struct NoUnits;

impl Difficulty {
    /// The bound for an identity of `num_units`: the network's, divided by the units (more space
    /// pays more work).
    ///
    /// # Errors
    /// [`NoUnits`] for 0.
    pub fn scaled(&self, num_units: u32) -> Result<Self, NoUnits> {
        let mut quotient = [0; 32];
        let mut remainder = 0_u64;
        for (digit, byte) in quotient.iter_mut().zip(self.0) {
            let dividend = (remainder << 8) | u64::from(byte);
            let value = dividend.checked_div(u64::from(num_units)).ok_or(NoUnits)?;
            *digit = u8::try_from(value).map_err(|_| NoUnits)?;
            remainder = dividend.checked_rem(u64::from(num_units)).ok_or(NoUnits)?;
        }
        Ok(Self(quotient))
    }

    /// Whether a hash is a solution.
    #[must_use]
    pub fn met_by(&self, hash: &[u8; 32]) -> bool {
        hash < &self.0
    }
}

impl fmt::Display for Difficulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::to_hex(&self.0))
    }
}

impl fmt::Debug for Difficulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Difficulty({self})")
    }
}

impl core::str::FromStr for Difficulty {
    type Err = crate::BadHex;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Challenge>().map(|bytes| Self(bytes.0))
    }
}

/// The bytes that are hashed for one try. The top byte of `pow` is not part of them.
#[must_use]
pub fn input(pow: u64, group: NonceGroup, challenge: &Challenge, node_id: &NodeId) -> Input {
    let mut input = [0; 48];
    let parts = pow.to_le_bytes().into_iter().take(7);
    let parts = parts.chain([group.0]).chain(challenge.0.into_iter().take(8)).chain(node_id.0);
    for (byte, value) in input.iter_mut().zip(parts) {
        *byte = value;
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_input_is_laid_out_as_the_reference_does() {
        let input =
            input(0xff07_0605_0403_0201, NonceGroup(9), &Challenge([8; 32]), &NodeId([4; 32]));
        assert_eq!(input[..8], [1, 2, 3, 4, 5, 6, 7, 9]);
        assert_eq!(input[8..16], [8; 8]);
        assert_eq!(input[16..], [4; 32]);
    }

    #[test]
    fn the_bound_is_divided_by_the_units() {
        let full = Difficulty([0xff; 32]);
        assert_eq!(full.scaled(1), Ok(full));
        let mut half = [0xff; 32];
        half[0] = 0x7f;
        assert_eq!(full.scaled(2), Ok(Difficulty(half)));
        assert_eq!(full.scaled(0), Err(NoUnits));
    }

    proptest! {
        #[test]
        fn scaling_agrees_with_wide_division(high: u64, low: u64, units in 1_u32..) {
            // A bound that fits 128 bits, where the compiler can divide for us.
            let value = (u128::from(high) << 64) | u128::from(low);
            let mut bytes = [0; 32];
            bytes[16..].copy_from_slice(&value.to_be_bytes());
            let scaled = Difficulty(bytes).scaled(units).unwrap().0;
            prop_assert_eq!(&scaled[..16], &[0; 16]);
            prop_assert_eq!(&scaled[16..], &(value / u128::from(units)).to_be_bytes());
        }

        #[test]
        fn a_hash_on_the_bound_is_no_solution(bound: [u8; 32]) {
            prop_assert!(!Difficulty(bound).met_by(&bound));
        }
    }
}
