//! A merge: shares of a data set, made apart, become one set with one VRF nonce.
//!
//! Before anything is written, labels of every file are made again, and so is the smallest label
//! that each share wrote down. The smallest of all is what one `init` of everything would have
//! found.

use crate::crew::Crew;
use crate::make::{MakeError, refuse_foreign};
use crate::progress::Progress;
use crate::vrf;
use plot::{DataSet, FileState, Merge};
use post::{Candidate, LabelIndex};

/// Shares of which nothing is lacking, about to be joined.
pub(crate) struct Joining<'a> {
    pub(crate) merge: Merge,
    pub(crate) crew: &'a mut Crew,
    pub(crate) stop: &'a (dyn Fn() -> bool + Sync),
    /// Whether progress is for scripts.
    pub(crate) json: bool,
}

impl Joining<'_> {
    /// Joins them; returns the set and its VRF nonce.
    ///
    /// # Errors
    /// [`MakeError::Foreign`], with nothing written; those of [`vrf::settle`], and the disk's: the
    /// same merge then goes on.
    pub(crate) fn run(mut self) -> Result<(DataSet, Candidate), MakeError> {
        let n = self.crew.n();
        refuse_foreign(self.merge.set(), n, &mut |bound| self.crew.draw(bound))?;
        let mut best = None;
        for part in self.merge.set().parts() {
            best = Candidate::better(best, self.smallest_of(&part)?);
        }
        let nonce = vrf::settle(self.merge.set_mut(), self.crew, self.stop, best)?;
        Ok((self.merge.run(n)?, nonce))
    }

    /// The smallest label that a directory knows of, made again. Where it knows none of the data,
    /// or another label than that index has, its own labels are searched.
    fn smallest_of(&self, part: &DataSet) -> Result<Option<Candidate>, MakeError> {
        let (commitment, n) = (self.crew.commitment(), self.crew.n());
        let total = part.layout().num_labels();
        if let Some(index) = part.metadata().nonce.filter(|index| index.0 < total) {
            let label = post::label(&commitment, index, n);
            if part.metadata().nonce_value.is_none_or(|value| value == label) {
                return Ok(Some(Candidate { index, label }));
            }
            let LabelIndex(index) = index;
            let name = part.name();
            tracing::warn!("{name} says another thing of label {index} than what it is");
        }
        let count = |file: &FileState| file.present().end - file.present().start;
        let present = part.survey()?.iter().map(count).sum();
        let what = format!("searching the smallest label in {}", part.name());
        let mut progress = Progress::new(what, "labels", 0, present, self.json);
        let mut read = 0;
        vrf::search_on_disk(part, n, self.stop, &mut |labels| {
            read += labels;
            progress.at(read);
        })
    }
}

#[cfg(test)]
mod tests;
