//! The plain kernel: the definition itself, label after label, on any CPU.

use super::{Kernel, TileScan};
use post::LabelIndex;
use post::search::{GroupCipher, GroupKeys, Hit, Threshold};

pub(super) static KERNEL: Kernel = Kernel {
    name: "portable",
    scanner: |keys, threshold| Some(scanner(keys, threshold)),
};

pub(super) fn scanner(keys: &[GroupKeys], threshold: Threshold) -> Box<dyn TileScan> {
    Box::new(Portable {
        groups: keys.iter().map(GroupCipher::new).collect(),
        threshold,
    })
}

#[derive(Debug)]
struct Portable {
    groups: Vec<GroupCipher>,
    threshold: Threshold,
}

impl TileScan for Portable {
    fn scan(&self, first: LabelIndex, labels: &[[u8; 16]], hits: &mut Vec<Hit>) {
        for group in &self.groups {
            for (label, index) in labels.iter().zip(first.0..) {
                group.hits(LabelIndex(index), label, self.threshold, hits);
            }
        }
    }
}
