//! Labels made by a device that is looked at while it works, and labels on disk compared with what
//! they should be.

use plot::{DataSet, PlotError};
use post::label::{Candidate, LabelFault, Labeler, Scratch, label_in};
use post::{Commitment, LABEL_BYTES, LabelIndex, LabelRange, ScryptN};
use std::time::Duration;
use thiserror::Error;

/// How long a batch should take: what an interruption costs at most, and how often a disk is made
/// to sync.
const BATCH: Duration = Duration::from_secs(2);
/// Labels in the first batch, before the speed is known.
const BATCH_FIRST: u64 = 64;
/// Labels in the largest batch: 64 MiB.
const BATCH_MAX: u64 = 1 << 22;

/// Why labels were not made, or not all. What was made before is on disk.
#[derive(Debug, Error)]
pub(crate) enum MakeError {
    #[error(transparent)]
    Plot(#[from] PlotError),
    #[error(transparent)]
    Label(#[from] LabelFault),
    #[error(
        "label {index} on disk is not what N = {n} and this identity give: it is other data, \
         was made with another N, or is damaged (`check` tells); nothing was written"
    )]
    Foreign { index: LabelIndex, n: ScryptN },
    #[error("the {kernel} kernel made a wrong label at {index}: its batch was not written")]
    Wrong { kernel: String, index: LabelIndex },
    #[error("not one of all labels there can be is small enough for a VRF nonce")]
    NoNonce,
}

/// Labels of a batch that are made again.
const LOOKED_AT: u64 = 3;

/// Makes labels, and makes some of each batch again by the definition.
pub(crate) struct Maker<'a> {
    pub(crate) commitment: Commitment,
    pub(crate) n: ScryptN,
    pub(crate) labeler: &'a mut dyn Labeler,
    pub(crate) stop: &'a (dyn Fn() -> bool + Sync),
    /// Draws below a bound: which labels are made again to check the fast kernel.
    pub(crate) draw: &'a mut dyn FnMut(u64) -> u64,
}

impl Maker<'_> {
    /// One batch: made by the device, checked at places that it could not foresee. Returns the
    /// smallest label.
    pub(crate) fn make(
        &mut self,
        batch: LabelRange,
        labels: &mut Vec<u8>,
    ) -> Result<Option<Candidate>, MakeError> {
        let count = usize::try_from(batch.end - batch.start).unwrap_or(usize::MAX);
        labels.resize(count.saturating_mul(LABEL_BYTES), 0);
        let candidate = self.labeler.fill(batch.clone(), labels, self.stop)?;
        for _ in 0..LOOKED_AT.min(batch.end - batch.start) {
            let at = (self.draw)(batch.end - batch.start);
            let index = LabelIndex(batch.start + at);
            let expected = post::label(&self.commitment, index, self.n).stored();
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            if labels.chunks_exact(LABEL_BYTES).nth(at) != Some(&expected[..]) {
                return Err(MakeError::Wrong { kernel: self.labeler.kernel().to_owned(), index });
            }
        }
        Ok(candidate)
    }
}

/// What a device and this version are called in the list of makers.
pub(crate) fn name_of(labeler: &dyn Labeler) -> String {
    format!("cpu {}, postmesh {}", labeler.kernel(), env!("CARGO_PKG_VERSION"))
}

/// Labels on disk must be what this identity and N give, before any is added: the ends of each file
/// that has some, and one between.
pub(crate) fn refuse_foreign(
    set: &DataSet,
    n: ScryptN,
    draw: &mut dyn FnMut(u64) -> u64,
) -> Result<(), MakeError> {
    let commitment = set.metadata().commitment();
    let mut scratch = Scratch::new(n);
    let mut reader = set.reader();
    for number in set.shares().flat_map(|(_, files)| files.iter()) {
        let present =
            if number < set.layout().files() { set.file(number)?.present() } else { 0..0 };
        if present.is_empty() {
            continue;
        }
        let between = present.start + draw(present.end - present.start);
        for index in [present.start, between, present.end - 1] {
            let mut stored = [0; LABEL_BYTES];
            reader.read(index, &mut stored)?;
            let index = LabelIndex(index);
            if label_in(&mut scratch, &commitment, index).stored() != stored {
                return Err(MakeError::Foreign { index, n });
            }
        }
    }
    Ok(())
}

/// Cuts a range into batches that take about [`BATCH`] each.
pub(crate) struct Batches {
    range: LabelRange,
    size: u64,
    last: u64,
}

impl Batches {
    pub(crate) fn new(range: LabelRange) -> Self {
        Self { range, size: BATCH_FIRST, last: 0 }
    }

    pub(crate) fn next(&mut self) -> Option<LabelRange> {
        let start = self.range.start;
        let end = start.saturating_add(self.size).min(self.range.end);
        self.range.start = end;
        self.last = end - start;
        (start < end).then_some(start..end)
    }

    /// Learns from how long the last batch took; at most a doubling at a time.
    pub(crate) fn took(&mut self, time: Duration) {
        let fitting = self.last as f64 * BATCH.as_secs_f64() / time.as_secs_f64().max(1e-6);
        self.size = (fitting as u64).clamp(1, self.size.saturating_mul(2)).min(BATCH_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_follow_the_speed() {
        let mut batches = Batches::new(0..1 << 40);
        assert_eq!(batches.next(), Some(0..64));
        batches.took(Duration::from_millis(10));
        assert_eq!(batches.next(), Some(64..192));
        batches.took(Duration::from_secs(8));
        assert_eq!(batches.next(), Some(192..224));
    }
}
