//! What a label costs a GPU on paper: bytes of scratch that move, and operations on words.
//!
//! The count of scrypt's definition and of the lookup gap, not of what a compiler makes of it:
//! what moves words about, addresses them, or hashes them at the ends (Keccak, under one part in a
//! hundred) is left out.

use crate::labels::{Gap, ROW_BYTES};
use post::ScryptN;

/// The cost of a label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Bytes of scratch written: one row of 128 bytes for each stored one.
    pub written: f64,
    /// Bytes of scratch read: a row for each of the N steps of the second half.
    pub read: f64,
    /// How often a block is mixed; with a gap, a mean.
    pub mixings: f64,
    /// Operations on 32-bit words: additions, exclusive ors, and rotations as one each.
    pub operations: f64,
}

/// Operations of `ChaCha20/8`: 4 double rounds of 8 quarter rounds of 12, and 16 additions.
const CHACHA: f64 = 4.0 * 8.0 * 12.0 + 16.0;

/// Operations of a block mix: two ChaCha20/8, each after 16 exclusive ors.
const MIXING: f64 = 2.0 * (CHACHA + 16.0);

/// Exclusive ors of a row with the block.
const STIR: f64 = 32.0;

impl Cost {
    /// The cost of a label with this N where one of `gap` rows is stored.
    ///
    /// A wanted row is equally likely to be any, so that on average `(gap − 1) / 2` mixings lead to
    /// it from the stored one.
    #[must_use]
    pub fn of(n: ScryptN, gap: Gap) -> Self {
        let n = f64::from(n.get());
        let gap = f64::from(gap.get()).min(n);
        let mixings = 2.0 * n + n * (gap - 1.0) / 2.0;
        let row = ROW_BYTES as f64;
        Self {
            written: n / gap * row,
            read: n * row,
            mixings,
            operations: mixings * MIXING + n * STIR,
        }
    }

    /// Bytes that move, one way or the other.
    #[must_use]
    pub fn bytes(&self) -> f64 {
        self.written + self.read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(n: u32, gap: Gap) -> Cost {
        Cost::of(ScryptN::new(n).unwrap(), gap)
    }

    #[test]
    fn mainnet_s_labels_cost_what_the_shaders_page_says() {
        let mib = f64::from(1 << 20);
        for (gap, bytes, mixings, operations) in [
            (Gap::One, 2.0, 16_384.0, 13.9e6),
            (Gap::Two, 1.5, 20_480.0, 17.3e6),
            (Gap::Four, 1.25, 28_672.0, 24.1e6),
        ] {
            let cost = cost(8192, gap);
            assert_eq!((cost.bytes(), cost.mixings), (bytes * mib, mixings));
            assert!((cost.operations / operations - 1.0).abs() < 0.005, "{cost:?}");
        }
    }

    /// A walk over every row there is.
    #[test]
    fn missing_mixings_are_a_mean_over_all_rows() {
        for n in [2, 4, 8, 64] {
            for gap in Gap::ALL {
                let missing: u32 = (0..n).map(|row| row % gap.get()).sum();
                assert_eq!(cost(n, gap).mixings, f64::from(2 * n + missing), "{n} {gap:?}");
            }
        }
    }
}
