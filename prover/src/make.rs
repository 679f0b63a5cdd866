//! Why labels are not made, and labels on disk compared with what they should be before any is
//! added to them.

use plot::{DataSet, PlotError};
use post::label::{LabelFault, Scratch, label_in};
use post::{LABEL_BYTES, LabelIndex, ScryptN};
use thiserror::Error;

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

/// A number below `bound` that nobody can foresee; 0 where the system has no randomness.
pub(crate) fn draw_below(bound: u64) -> u64 {
    getrandom::u64().unwrap_or(0) % bound.max(1)
}
