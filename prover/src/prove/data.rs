//! What there is to prove with: plain facts about the data, and what is missing of it.

use super::{Faults, Job, ProveError};
use crate::planner::poisson_at_least;
use plot::{DataSet, Disk, Extent, Ranges};
use post::{LABEL_BYTES, LabelIndex, Params};
use std::path::Path;
use std::sync::Arc;

/// The labels that are there.
pub(super) struct Data {
    pub(super) disk: Arc<dyn Disk>,
    /// Label files, in label order.
    pub(super) extents: Vec<Arc<Extent>>,
    /// Labels that are not there.
    pub(super) missing: Ranges,
    pub(super) num_labels: u64,
    /// Where it is, for people.
    pub(super) place: String,
}

impl Data {
    /// Looks at a directory. What is missing is told; only where nothing is there it is refused.
    pub(super) fn survey(
        directory: &DataSet,
        num_labels: u64,
        faults: &mut Faults,
    ) -> Result<Self, ProveError> {
        let extents = directory.extents();
        for fault in extents.iter().filter_map(|extent| extent.fault.as_ref()) {
            faults.say(&fault.to_string());
        }
        let (disk, place) = (Arc::clone(directory.disk()), directory.name());
        let mut missing = Ranges::default();
        let mut next = 0;
        for extent in &extents {
            missing.insert(next..extent.present.start);
            next = extent.present.end;
        }
        missing.insert(next..num_labels);
        if missing.contains(&(0..num_labels)) {
            let fault = extents.iter().find_map(|extent| extent.fault.as_ref());
            return Err(ProveError::NoLabels(fault.map_or(place, ToString::to_string)));
        }
        Ok(Self { disk, extents, missing, num_labels, place })
    }

    /// Says what to expect where labels are missing.
    pub(super) fn foretell(&self, job: &Job) {
        if self.missing.is_empty() {
            return;
        }
        let there = self.num_labels - self.missing.count();
        let share = there as f64 / self.num_labels as f64;
        let (now, whole) =
            (chance(&job.params, job.nonces, share), chance(&job.params, job.nonces, 1.0));
        tracing::warn!(
            "{there} of {} labels ({:.3} %) are there. A proof from these is as valid as any; the \
             chance of one in a pass is {:.1} % instead of {:.1} %. `init` makes what is missing",
            self.num_labels,
            share * 100.0,
            now * 100.0,
            whole * 100.0,
        );
    }

    /// Those of `done` that need not be read again: whole pieces.
    pub(super) fn whole_pieces(&self, done: &Ranges) -> Ranges {
        let pieces = self.extents.iter().flat_map(|extent| extent.pieces());
        pieces.filter(|piece| done.contains(piece)).collect()
    }

    /// The file of a label.
    pub(super) fn path_of(&self, index: LabelIndex) -> &Path {
        self.extent_of(index).map_or(Path::new(""), |extent| &extent.path)
    }

    /// A label as it is on disk now; `None` where it cannot be read.
    pub(super) fn label(&self, index: LabelIndex) -> Option<[u8; LABEL_BYTES]> {
        self.extent_of(index)?.label(&*self.disk, index.0).ok()
    }

    fn extent_of(&self, index: LabelIndex) -> Option<&Extent> {
        let number = self.extents.partition_point(|extent| extent.labels.end <= index.0);
        self.extents.get(number).map(|extent| &**extent)
    }
}

/// The chance that one of so many nonces has K2 good labels, where a share of them is there: their
/// number is Poisson's.
fn chance(params: &Params, nonces: u32, share: f64) -> f64 {
    let one = poisson_at_least(f64::from(params.k1) * share, params.k2.into());
    1.0 - (1.0 - one).powf(f64::from(nonces))
}

#[cfg(test)]
mod tests {
    use super::*;
    use post::presets;

    #[test]
    fn the_chance_of_a_proof_falls_with_the_share() {
        let [mainnet, ..] = presets();
        let chance = |nonces, share| (chance(&mainnet.params, nonces, share) * 1000.0).round();
        // The chances that docs/performance.md gives for 16, 64, 128 and 288 nonces.
        assert_eq!(
            [16, 64, 128, 288].map(|nonces| chance(nonces, 1.0)),
            [326.0, 794.0, 958.0, 999.0]
        );
        assert!(chance(288, 0.9) < chance(288, 0.99) && chance(288, 0.5) < 10.0);
    }
}
