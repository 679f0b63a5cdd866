//! Which label lies in which file: arithmetic only.

use crate::metadata::{BadMetadata, Metadata};
use core::ops::Range;
use post::{LABEL_BYTES, Params};

/// Bytes of a stored label.
pub(crate) const LABEL: u64 = LABEL_BYTES as u64;

/// How labels are spread over files: each holds the same number, the last one what remains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    num_labels: u64,
    labels_per_file: u64,
}

impl Layout {
    /// Most files: at the reference's 4 GiB a file, 4 PiB of data.
    pub const FILES_MAX: u64 = 1 << 20;

    /// The layout that metadata describes.
    ///
    /// # Errors
    /// [`BadMetadata`] where sizes are zero, do not hold whole labels, or are beyond any disk.
    pub fn new(metadata: &Metadata) -> Result<Self, BadMetadata> {
        let (units, per_unit) = (metadata.num_units, metadata.labels_per_unit);
        let num_labels = Params::num_labels(per_unit, units)
            .ok_or(BadMetadata::Labels { num_units: units, labels_per_unit: per_unit })?;
        let bytes = metadata.max_file_size;
        if bytes == 0 || !bytes.is_multiple_of(LABEL) {
            return Err(BadMetadata::FileSize { bytes });
        }
        let layout = Self { num_labels, labels_per_file: bytes / LABEL };
        let files = layout.files();
        if files > Self::FILES_MAX { Err(BadMetadata::Files { files }) } else { Ok(layout) }
    }

    /// All labels.
    #[must_use]
    pub fn num_labels(&self) -> u64 {
        self.num_labels
    }

    /// All files.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.num_labels.div_ceil(self.labels_per_file)
    }

    /// The labels that file number `file` holds when it is complete; empty beyond the last file.
    #[must_use]
    pub fn labels_of(&self, file: u64) -> Range<u64> {
        let bound = |number: u64| number.saturating_mul(self.labels_per_file).min(self.num_labels);
        bound(file)..bound(file.saturating_add(1))
    }

    /// Bytes of a complete file.
    #[must_use]
    pub fn bytes_of(&self, file: u64) -> u64 {
        let labels = self.labels_of(file);
        (labels.end - labels.start) * LABEL
    }

    /// Which file a label is in, and at which byte.
    #[must_use]
    pub fn place_of(&self, label: u64) -> (u64, u64) {
        (label / self.labels_per_file, label % self.labels_per_file * LABEL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use post::{AtxId, NodeId};
    use proptest::prelude::*;

    fn metadata(labels_per_unit: u64, num_units: u32, max_file_size: u64) -> Metadata {
        Metadata::new(NodeId([1; 32]), AtxId([2; 32]), labels_per_unit, num_units, max_file_size)
    }

    #[test]
    fn the_reference_s_own_cases() {
        let layout = Layout::new(&metadata(100, 77, 1024)).unwrap();
        assert_eq!(layout.files(), 121);
        assert_eq!(layout.labels_of(120), 7680..7700);
        assert_eq!(layout.labels_of(121), 7700..7700);
        assert_eq!(Layout::new(&metadata(1, 1, 16)).unwrap().files(), 1);
    }

    #[test]
    fn impossible_layouts_are_refused() {
        for bytes in [0, 8, 24] {
            let layout = Layout::new(&metadata(100, 1, bytes));
            assert_eq!(layout, Err(BadMetadata::FileSize { bytes }));
        }
        assert!(matches!(Layout::new(&metadata(0, 1, 16)), Err(BadMetadata::Labels { .. })));
        assert!(matches!(Layout::new(&metadata(u64::MAX, 2, 16)), Err(BadMetadata::Labels { .. })));
        assert!(matches!(Layout::new(&metadata(1 << 40, 1, 16)), Err(BadMetadata::Files { .. })));
    }

    proptest! {
        #[test]
        fn files_tile_the_labels(
            per_unit in 1_u64..10_000, units in 1_u32..50, size in 1_u64..999,
        ) {
            let layout = Layout::new(&metadata(per_unit, units, size * LABEL)).unwrap();
            let mut next = 0;
            for file in 0..layout.files() {
                let labels = layout.labels_of(file);
                prop_assert_eq!(labels.start, next);
                prop_assert!(!labels.is_empty());
                prop_assert_eq!(layout.place_of(labels.start), (file, 0));
                prop_assert_eq!(layout.place_of(labels.end - 1).0, file);
                next = labels.end;
            }
            prop_assert_eq!(next, layout.num_labels());
        }
    }
}
