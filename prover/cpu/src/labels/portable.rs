//! The plain kernel: the definition itself, label after label, on any CPU.

use super::{Kernel, Maker, Stop};
use post::label::{LabelFault, Scratch, label_in};
use post::{Commitment, FullLabel, LabelIndex};

pub(super) static KERNEL: Kernel = Kernel {
    name: "portable",
    width: 1,
    runs_here: || true,
    maker: |n| Ok(Box::new(Portable(Scratch::new(n)))),
};

#[derive(Debug)]
struct Portable(Scratch);

impl Maker for Portable {
    fn make(
        &mut self,
        commitment: &Commitment,
        first: LabelIndex,
        labels: &mut [FullLabel],
        _: Stop<'_>,
    ) -> Result<(), LabelFault> {
        for (label, index) in labels.iter_mut().zip(first.0..) {
            *label = label_in(&mut self.0, commitment, LabelIndex(index));
        }
        Ok(())
    }
}
