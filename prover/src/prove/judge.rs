//! Labels made again: what is on disk may be wrong, and a wrong label is no proof.

use super::data::Data;
use super::{Job, ProveError};
use post::label::{Scratch, label_in};
use post::search::{GroupCipher, GroupKeys, Threshold, Winner};
use post::{LABEL_BYTES, LabelIndex};

/// Labels that are made again to tell whether any of the data is right.
pub(super) const PROBES: u64 = 32;

/// The labels that a winner names and that are not good for it: what they are in truth.
pub(super) fn not_good(
    winner: &Winner,
    keys: &GroupKeys,
    threshold: Threshold,
    job: &Job,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<(LabelIndex, [u8; LABEL_BYTES])>, ProveError> {
    let commitment = job.statement.commitment();
    let cipher = GroupCipher::new(keys);
    let mut scratch = Scratch::new(job.params.scrypt_n);
    let mut wrong = Vec::new();
    for index in winner.indices.iter().copied() {
        if stop() {
            return Err(ProveError::Stopped);
        }
        let label = label_in(&mut scratch, &commitment, index).stored();
        if !cipher.is_good(&label, winner.nonce.lane(), threshold) {
            wrong.push((index, label));
        }
    }
    Ok(wrong)
}

/// Whether some of the data is right, as far as labels tell that are spread over all of it.
pub(super) fn is_partly_right(
    data: &Data,
    job: &Job,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<bool, ProveError> {
    let commitment = job.statement.commitment();
    let mut scratch = Scratch::new(job.params.scrypt_n);
    for probe in 0..PROBES {
        if stop() {
            return Err(ProveError::Stopped);
        }
        let middle =
            u128::from(data.num_labels) * u128::from(2 * probe + 1) / u128::from(2 * PROBES);
        let index = LabelIndex(u64::try_from(middle).unwrap_or(0));
        let stored = data.label(index);
        if stored.is_some() && stored == Some(label_in(&mut scratch, &commitment, index).stored()) {
            return Ok(true);
        }
    }
    Ok(false)
}
