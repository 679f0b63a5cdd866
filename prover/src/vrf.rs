//! The VRF nonce of a data set: its smallest label, if that is small enough; else the first one
//! past the data that is.

use crate::crew::Crew;
use crate::make::MakeError;
use plot::DataSet;
use post::label::{Candidate, LabelFault, Scratch, label_in};
use post::{Commitment, LABEL_BYTES, LabelIndex, LabelRange, ScryptN, vrf};
use std::ops::ControlFlow;
use std::slice::from_ref;

/// So many labels may look smaller than they are (a block of zeros does) before it is said that
/// the data is damaged. Each costs making it.
const WRONG_MAX: u32 = 1024;

/// The smallest label on disk, found by reading all of them and made again in full, whether it is
/// small enough or not; `None` where there are no labels. `progress` is told how many labels more
/// were read.
///
/// What cannot be read is left out, with a warning: any label that is small enough will do.
///
/// # Errors
/// [`MakeError::Foreign`] where the smallest labels are not those of this N and identity, or many
/// are damaged; [`LabelFault::Stopped`]; the disk's.
pub(crate) fn search_on_disk(
    set: &DataSet,
    n: ScryptN,
    stop: &dyn Fn() -> bool,
    progress: &mut dyn FnMut(u64),
) -> Result<Option<Candidate>, MakeError> {
    let (commitment, scratch) = (set.metadata().commitment(), Scratch::new(n));
    let mut smallest = Smallest { commitment, scratch, best: None, right: 0, wrong: 0, last: 0 };
    for (number, file) in set.files().iter().zip(set.survey()?) {
        if file.present().is_empty() {
            continue;
        }
        let blocks = set.blocks(number)?;
        for labels in set.by_block(file.present()) {
            if stop() {
                return Err(LabelFault::Stopped.into());
            }
            let block = blocks.read(labels.clone());
            if let Some(fault) = &block.fault {
                tracing::warn!("{fault}: some labels are left out of the search");
            }
            for run in block.runs() {
                smallest.look_at(run.clone(), block.readable(&run).unwrap_or_default());
            }
            if smallest.is_foreign() {
                return Err(MakeError::Foreign { index: LabelIndex(smallest.last), n });
            }
            progress(labels.end - labels.start);
        }
    }
    match smallest {
        Smallest { right: 0, wrong: 1.., last, .. } => {
            Err(MakeError::Foreign { index: LabelIndex(last), n })
        }
        found => Ok(found.best),
    }
}

/// The smallest label of those that were looked at.
struct Smallest {
    commitment: Commitment,
    scratch: Scratch,
    best: Option<Candidate>,
    /// Labels made again that were as they are on disk, and those that were not.
    right: u32,
    wrong: u32,
    /// The last of the wrong ones.
    last: u64,
}

impl Smallest {
    fn look_at(&mut self, labels: LabelRange, bytes: &[u8]) {
        let stored = bytes.as_chunks::<LABEL_BYTES>().0;
        let mut bound = self.bound();
        for (index, stored) in labels.zip(stored) {
            // Labels compare as big-endian numbers; those that are equal so far are made in full.
            if u128::from_be_bytes(*stored) <= bound && !self.is_foreign() {
                self.make(index, *stored);
                bound = self.bound();
            }
        }
    }

    fn bound(&self) -> u128 {
        self.best.map_or(u128::MAX, |best| u128::from_be_bytes(best.label.stored()))
    }

    fn make(&mut self, index: u64, stored: [u8; LABEL_BYTES]) {
        let label = label_in(&mut self.scratch, &self.commitment, LabelIndex(index));
        if label.stored() == stored {
            self.right += 1;
        } else {
            self.wrong += 1;
            self.last = index;
        }
        // What the label is counts, not what the disk made of it.
        let made = Candidate { index: LabelIndex(index), label };
        self.best = Candidate::better(self.best, Some(made));
    }

    fn is_foreign(&self) -> bool {
        self.wrong >= WRONG_MAX
    }
}

/// Writes the VRF nonce of a data set down and returns it: `best`, the smallest of its labels, if
/// that is small enough, else the first one past the data that is. Of a share it is the smallest,
/// small enough or not: only all shares together tell.
///
/// # Errors
/// Those of [`Crew::run`], and the disk's; how far the search went is then written down.
pub(crate) fn settle(
    set: &mut DataSet,
    crew: &mut Crew,
    stop: &(dyn Fn() -> bool + Sync),
    best: Option<Candidate>,
) -> Result<Candidate, MakeError> {
    let total = set.layout().num_labels();
    let is_share = set.is_share();
    let good = |candidate: &Candidate| is_share || vrf::suits(&candidate.label, total);
    if let Some(candidate) = best.filter(good) {
        set.update(|metadata| metadata.set_vrf_nonce(candidate))?;
        return Ok(candidate);
    }
    if is_share {
        return Err(MakeError::NoNonce);
    }
    tracing::info!("no label is small enough for a VRF nonce: searching past the data");
    let from = set.metadata().last_position.map_or(total, |last| last.max(total));
    let mut found = None;
    crew.run(from_ref(&(from..u64::MAX)), stop, &mut |made| {
        found = made.smallest.filter(good);
        match found {
            Some(candidate) => set.update(|metadata| metadata.set_vrf_nonce(candidate))?,
            None => set.update(|metadata| metadata.last_position = Some(made.range.end))?,
        }
        Ok(if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    found.ok_or(MakeError::NoNonce)
}

#[cfg(test)]
mod tests;
