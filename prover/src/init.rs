//! Initialization: labels that are missing are made, checked and appended, until none is missing.
//!
//! The state is on disk and nowhere else: the manifest of each file says what is done, and the
//! metadata holds the best VRF nonce among it. So it may be interrupted anywhere and run again.

use crate::crew::{Crew, Made, Share};
use crate::make::{MakeError, refuse_foreign};
use crate::progress::{Progress, Report};
use crate::vrf;
use plot::{DataSet, FileState, PlotError};
use post::label::Candidate;
use post::{LABEL_BYTES, LabelIndex, LabelRange};
use std::ops::ControlFlow;

/// What an initialization did.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    /// Labels made and written now.
    pub(crate) made: u64,
    /// Labels that were there before.
    pub(crate) found: u64,
    /// The VRF nonce; of a share, its smallest label.
    pub(crate) vrf_nonce: LabelIndex,
    /// Who made how many.
    pub(crate) shares: Vec<Share>,
}

/// An initialization in progress.
pub(crate) struct Init<'a> {
    pub(crate) set: &'a mut DataSet,
    pub(crate) crew: &'a mut Crew,
    pub(crate) stop: &'a (dyn Fn() -> bool + Sync),
    pub(crate) report: Report,
}

impl Init<'_> {
    /// Makes every missing label, then the VRF nonce if none of them was one. Of a share, its own
    /// labels only.
    pub(crate) fn run(&mut self) -> Result<Summary, MakeError> {
        let files = self.set.survey()?;
        for file in &files {
            refuse_oversized(file)?;
        }
        let found = files.iter().map(|file| count(&file.present())).sum();
        let total = files.iter().map(|file| count(&file.labels)).sum();
        if found > 0 {
            let n = self.crew.n();
            refuse_foreign(self.set, n, &mut |bound| self.crew.draw(bound))?;
        }
        self.set.adopt(self.crew.n())?;
        self.set.set_maker(&self.crew.maker())?;
        let best = self.known_candidate(found)?;
        let absent: Vec<LabelRange> = files.iter().map(FileState::absent).collect();
        let best = self.fill(
            &absent,
            best,
            Progress::new("initializing", "labels", found, total, self.report.clone()),
            found,
        )?;
        // Labels past the data are nobody's share.
        let shares = self.crew.shares();
        let vrf_nonce = vrf::settle(self.set, self.crew, self.stop, best)?.index;
        Ok(Summary { made: total - found, found, vrf_nonce, shares })
    }

    /// The best candidate among the labels that are there: what an earlier run wrote down, made
    /// again, so that a value which is missing or wrong cannot mislead us; where nothing is
    /// written down (another program made the labels), the smallest one on disk.
    fn known_candidate(&self, found: u64) -> Result<Option<Candidate>, MakeError> {
        match self.set.metadata().nonce {
            Some(index) => {
                let label = post::label(&self.set.metadata().commitment(), index, self.crew.n());
                Ok(Some(Candidate { index, label }))
            }
            None if found == 0 => Ok(None),
            None => {
                let what = "searching the VRF nonce";
                let mut progress = Progress::new(what, "labels", 0, found, self.report.clone());
                let mut read = 0;
                vrf::search_on_disk(self.set, self.crew.n(), self.stop, &mut |labels| {
                    read += labels;
                    progress.at(read);
                })
            }
        }
    }

    /// Makes the missing labels; returns the best candidate of these and `best`.
    fn fill(
        &mut self,
        absent: &[LabelRange],
        mut best: Option<Candidate>,
        mut progress: Progress,
        mut done: u64,
    ) -> Result<Option<Candidate>, MakeError> {
        let Self { set, crew, stop, .. } = self;
        crew.run(absent, *stop, &mut |made| {
            let better = Candidate::better(best, made.smallest);
            if better != best {
                best = better;
                note(set, better)?;
            }
            append(set, &made)?;
            done += count(&made.range);
            progress.by(made.shares);
            progress.at(done);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(best)
    }
}

/// Writes the best candidate down. Before its labels are: a candidate whose labels are not on
/// disk yet is found again, one that was forgotten would not be.
fn note(set: &mut DataSet, candidate: Option<Candidate>) -> Result<(), PlotError> {
    candidate.map_or(Ok(()), |candidate| set.update(|metadata| metadata.set_vrf_nonce(candidate)))
}

/// Appends labels to the files that they belong to.
fn append(set: &mut DataSet, made: &Made<'_>) -> Result<(), PlotError> {
    let (mut first, mut labels) = (made.range.start, made.labels);
    while first < made.range.end {
        let (file, _) = set.layout().place_of(first);
        let end = set.layout().labels_of(file).end.min(made.range.end);
        let bytes = usize::try_from(end - first).unwrap_or(usize::MAX).saturating_mul(LABEL_BYTES);
        let (part, rest) = labels.split_at(bytes.min(labels.len()));
        set.append(first, part)?;
        (first, labels) = (end, rest);
    }
    Ok(())
}

fn count(range: &LabelRange) -> u64 {
    range.end.saturating_sub(range.start)
}

fn refuse_oversized(file: &FileState) -> Result<(), PlotError> {
    match file.complete() {
        Err(oversized @ PlotError::Oversized { .. }) => Err(oversized),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
