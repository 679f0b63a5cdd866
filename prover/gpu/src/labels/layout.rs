//! How labels in flight are laid out in buffers: arithmetic only.

use post::ScryptN;
use serde::{Deserialize, Serialize};

/// Bytes of a row of scratch, and of a label's working block.
pub(crate) const ROW_BYTES: u64 = 128;

/// Of how many rows of scrypt's scratch one is stored; the others are computed again. A wider gap
/// takes less memory a label and more arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gap {
    /// All rows are stored.
    One,
    /// Every second row.
    Two,
    /// Every fourth row.
    Four,
}

impl Gap {
    /// All there are, the narrowest first.
    pub const ALL: [Self; 3] = [Self::One, Self::Two, Self::Four];

    /// The number.
    #[must_use]
    pub fn get(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

/// What a device allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of the largest storage binding.
    pub(crate) binding: u64,
    /// Workgroups of a dispatch.
    pub(crate) workgroups: u32,
}

/// How many labels share a bank, that is a buffer of scratch with what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Bytes of scratch for a label.
    pub(super) label_bytes: u64,
    /// Labels of the largest bank: whole workgroups, if even one fits.
    pub(super) bank: u32,
    /// Invocations of a workgroup.
    pub(super) workgroup: u32,
}

impl Layout {
    /// The layout of labels with this N and gap; `None` if a label does not fit a binding.
    pub(super) fn new(limits: Limits, n: ScryptN, gap: Gap, workgroup: u32) -> Option<Self> {
        let label_bytes = u64::from((n.get() / gap.get()).max(1)) * ROW_BYTES;
        // Shaders count rows of four words, so that 32 bits reach far beyond the largest binding.
        let binding = limits.binding.min(u64::from(u32::MAX));
        let dispatch = u64::from(limits.workgroups) * u64::from(workgroup);
        let fit = u32::try_from((binding / label_bytes).min(dispatch)).ok()?;
        let bank = if fit < workgroup { fit } else { fit - fit % workgroup };
        (bank > 0).then_some(Self { label_bytes, bank, workgroup })
    }

    /// Bank sizes for `labels` in flight, or a few more: as few banks as will do, about equal.
    pub(super) fn banks(&self, labels: u32) -> Vec<u32> {
        let count = labels.div_ceil(self.bank).max(1);
        let size = labels.div_ceil(count).max(1).next_multiple_of(self.workgroup).min(self.bank);
        vec![size; count as usize]
    }

    /// Bytes of scratch for `labels` in flight.
    pub(super) fn bytes(&self, labels: u32) -> u64 {
        self.label_bytes.saturating_mul(labels.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const BINDINGS: [u64; 4] = [16 * MIB, 128 * MIB, 2048 * MIB - 1, 4096 * MIB - 4];

    fn layout(binding: u64, n: u32, gap: Gap) -> Option<Layout> {
        let limits = Limits { binding, workgroups: 65535 };
        Layout::new(limits, ScryptN::new(n).unwrap(), gap, 64)
    }

    #[test]
    fn banks_of_mainnet() {
        let banks = |gap| BINDINGS.map(|binding| layout(binding, 8192, gap).unwrap().bank);
        // A label takes 1 MiB, a half or a quarter; 15 labels are less than a workgroup.
        assert_eq!(banks(Gap::One), [16, 128, 1984, 4032]);
        assert_eq!(banks(Gap::Two), [32, 256, 4032, 8128]);
        assert_eq!(banks(Gap::Four), [64, 512, 8128, 16320]);
    }

    #[test]
    fn every_bank_fits_its_bindings() {
        for binding in BINDINGS {
            for n in (1..=20).map(|log| 1 << log) {
                for gap in Gap::ALL {
                    let Some(layout) = layout(binding, n, gap) else {
                        assert!(u64::from(n / gap.get()) * ROW_BYTES > binding);
                        continue;
                    };
                    assert!(layout.bytes(layout.bank) <= binding);
                    assert!(u64::from(layout.bank) * ROW_BYTES <= binding);
                    assert!(layout.bank.div_ceil(64) <= 65535);
                    // The last word of four that a shader counts to.
                    assert!(layout.bytes(layout.bank) / 16 <= 1 << 28);
                }
            }
        }
    }

    #[test]
    fn banks_hold_what_is_asked_for_and_little_more() {
        for binding in BINDINGS {
            for n in [2, 512, 8192, 1 << 20] {
                let Some(layout) = layout(binding, n, Gap::Four) else { continue };
                for labels in [1, 63, 64, 65, 1000, 12345, 65536] {
                    let banks = layout.banks(labels);
                    let total: u32 = banks.iter().sum();
                    let slack = 64 * banks.len() as u32;
                    assert!((labels..labels + slack).contains(&total), "{labels}: {banks:?}");
                    assert!(banks.iter().all(|bank| *bank <= layout.bank));
                }
            }
        }
    }

    #[test]
    fn a_label_larger_than_a_binding_has_no_layout() {
        assert!(layout(16 * MIB, 1 << 20, Gap::Four).is_none());
        assert_eq!(layout(128 * MIB, 1 << 20, Gap::One).unwrap().bank, 1);
    }

    #[test]
    fn a_gap_wider_than_n_stores_one_row() {
        assert_eq!(layout(16 * MIB, 2, Gap::Four).unwrap().label_bytes, ROW_BYTES);
    }
}
