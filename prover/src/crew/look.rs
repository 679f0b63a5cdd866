//! Labels that a device made, looked at: some are made again by the definition.

use post::label::{Candidate, Scratch, label_in};
use post::{Commitment, LABEL_BYTES, LabelIndex, LabelRange, ScryptN};

/// Labels of a range that are made again, at least.
const LOOKS_MIN: u64 = 3;
/// One label in so many is made again.
const LOOK_EVERY: u64 = 1 << 15;

/// Draws a number below a bound that no device can foresee.
pub(crate) type Draw = Box<dyn FnMut(u64) -> u64>;

/// The smallest label of a range, or the index of one that is wrong.
pub(super) type Seen = Result<Option<Candidate>, LabelIndex>;

/// A way to look at a range, at its labels, and at what the device says is the smallest.
pub(super) type Look = fn(&mut Inspector, &LabelRange, &[u8], Option<Candidate>) -> Seen;

/// Looks at what devices made.
pub(super) struct Inspector {
    pub(super) commitment: Commitment,
    pub(super) n: ScryptN,
    pub(super) draw: Draw,
    scratch: Option<Scratch>,
    /// Labels made in small pieces that were not looked at for.
    unseen: u64,
}

impl Inspector {
    pub(super) fn new(commitment: Commitment, n: ScryptN, draw: Draw) -> Self {
        Self { commitment, n, draw, scratch: None, unseen: LOOKS_MIN * LOOK_EVERY }
    }

    /// Looks at labels that will be kept: at places that are drawn, and at the smallest, which is
    /// returned; `claimed` is what the device said it was.
    ///
    /// # Errors
    /// The index of a label that is not what it should be.
    pub(super) fn before_keeping(
        &mut self,
        range: &LabelRange,
        labels: &[u8],
        claimed: Option<Candidate>,
    ) -> Seen {
        let looks = (count(range) / LOOK_EVERY).max(LOOKS_MIN).min(count(range));
        self.at_random(range, labels, looks)?;
        // Labels compare as big-endian numbers, so their stored halves tell the smallest.
        let stored = labels.as_chunks::<LABEL_BYTES>().0;
        let smallest =
            range.clone().zip(stored).min_by_key(|(_, label)| u128::from_be_bytes(**label));
        let Some((index, stored)) = smallest else { return Ok(None) };
        let index = LabelIndex(index);
        let label = self.make(index);
        let smallest = Some(Candidate { index, label });
        let same = label.stored() == *stored && claimed == smallest;
        if same { Ok(smallest) } else { Err(index) }
    }

    /// Looks at labels that are only compared with others: at one in [`LOOK_EVERY`], and at some
    /// of the first ones. They may come in small pieces. Believes what is `claimed`.
    ///
    /// # Errors
    /// The index of a label that is not what it should be.
    pub(super) fn before_comparing(
        &mut self,
        range: &LabelRange,
        labels: &[u8],
        claimed: Option<Candidate>,
    ) -> Seen {
        self.unseen = self.unseen.saturating_add(count(range));
        let looks = (self.unseen / LOOK_EVERY).min(count(range));
        self.unseen -= looks * LOOK_EVERY;
        self.at_random(range, labels, looks)?;
        Ok(claimed)
    }

    fn at_random(
        &mut self,
        range: &LabelRange,
        labels: &[u8],
        looks: u64,
    ) -> Result<(), LabelIndex> {
        for _ in 0..looks {
            let at = (self.draw)(count(range));
            let index = LabelIndex(range.start + at);
            let stored = usize::try_from(at).ok().and_then(|at| labels.as_chunks().0.get(at));
            if stored != Some(&self.make(index).stored()) {
                return Err(index);
            }
        }
        Ok(())
    }

    fn make(&mut self, index: LabelIndex) -> post::FullLabel {
        let scratch = self.scratch.get_or_insert_with(|| Scratch::new(self.n));
        label_in(scratch, &self.commitment, index)
    }
}

fn count(range: &LabelRange) -> u64 {
    range.end.saturating_sub(range.start)
}
