//! Labels of a winner, made again: what is on disk may be wrong, and a wrong label is no proof.

use super::{Job, ProveError};
use post::label::{Scratch, label_in};
use post::search::{GroupCipher, GroupKeys, Threshold, Winner};
use post::{LABEL_BYTES, LabelIndex};

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
        let mut good = false;
        cipher.good_lanes(&label, threshold, |lane| good |= lane == winner.nonce.lane());
        if !good {
            wrong.push((index, label));
        }
    }
    Ok(wrong)
}
