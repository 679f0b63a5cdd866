//! The VRF nonce: the index of a label so small that an identity of this size has about one.
//!
//! Finding it costs as much as initializing the space, which is what stops anyone from grinding
//! VRF keys. It is not limited to the stored labels: where none of them is small enough (once in
//! 3,000 data sets), the search goes on past them.

use crate::label::FullLabel;

/// The bound below which a label, read as a big-endian number, makes a VRF nonce for an identity
/// of `num_labels`: `8 · ⌊2²⁵⁶ / num_labels⌋`. `None` where every label will do (8 labels or
/// fewer).
///
/// Source: `PowDifficulty` in Spacemesh's `post`.
#[must_use]
pub fn threshold(num_labels: u64) -> Option<[u8; 32]> {
    if num_labels <= 8 {
        return None;
    }
    // Long division of 2²⁵⁶ by num_labels, base 256: remainders stay below num_labels, so 128
    // bits hold every step.
    let divisor = u128::from(num_labels);
    let mut quotient = [0_u8; 32];
    let mut remainder = 1_u128;
    for digit in &mut quotient {
        let dividend = remainder << 8;
        *digit = u8::try_from(dividend.checked_div(divisor)?).ok()?;
        remainder = dividend.checked_rem(divisor)?;
    }
    // Times 8: shift left by three bits, from the right.
    let mut carry = 0;
    for digit in quotient.iter_mut().rev() {
        let wide = (u16::from(*digit) << 3) | carry;
        *digit = u8::try_from(wide & 0xff).ok()?;
        carry = wide >> 8;
    }
    Some(quotient)
}

/// Whether a label makes a VRF nonce for an identity of `num_labels`.
#[must_use]
pub fn suits(label: &FullLabel, num_labels: u64) -> bool {
    threshold(num_labels).is_none_or(|threshold| label.0 < threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_divide_exactly() {
        for (log2, byte, value) in [(4, 0, 0x80), (56, 6, 0x08), (63, 7, 0x10)] {
            let mut expected = [0; 32];
            expected[byte] = value;
            assert_eq!(threshold(1 << log2), Some(expected), "8 * 2^256 / 2^{log2}");
        }
    }

    #[test]
    fn a_division_that_leaves_a_remainder() {
        // 2^256 / 10 = 0x1999…9 (64 digits, the last rounded down), times 8 = 0xcccc…c8.
        let mut expected = [0xcc; 32];
        expected[31] = 0xc8;
        assert_eq!(threshold(10), Some(expected));
    }

    #[test]
    fn tiny_identities_take_any_label() {
        assert!(suits(&FullLabel([0xff; 32]), 8));
        assert!(!suits(&FullLabel([0xff; 32]), 9));
        assert!(suits(&FullLabel([0; 32]), u64::MAX));
    }
}
