//! Initialization: labels that are missing are made, checked and appended, until none is missing.
//!
//! The state is on disk and nowhere else: the manifest of each file says what is done, and the
//! metadata holds the best VRF nonce among it. So it may be interrupted anywhere and run again.

use crate::make::{Batches, MakeError, Maker, name_of, refuse_foreign};
use crate::progress::Progress;
use crate::vrf;
use plot::{DataSet, FileState, PlotError};
use post::label::{Candidate, Labeler};
use post::{LabelIndex, LabelRange, ScryptN};
use std::time::Instant;

/// What an initialization did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Labels made and written now.
    pub(crate) made: u64,
    /// Labels that were there before.
    pub(crate) found: u64,
    /// The VRF nonce; of a share, its smallest label.
    pub(crate) vrf_nonce: LabelIndex,
}

/// An initialization in progress.
pub(crate) struct Init<'a> {
    pub(crate) set: &'a mut DataSet,
    pub(crate) n: ScryptN,
    pub(crate) labeler: &'a mut dyn Labeler,
    pub(crate) stop: &'a (dyn Fn() -> bool + Sync),
    /// Draws below a bound: which labels are made again to check the fast kernel.
    pub(crate) draw: &'a mut dyn FnMut(u64) -> u64,
    /// Whether progress is for scripts.
    pub(crate) json: bool,
}

impl Init<'_> {
    /// Makes every missing label, then the VRF nonce if none of them was one. Of a share, its own
    /// labels only.
    pub(crate) fn run(&mut self) -> Result<Summary, MakeError> {
        let files = self.set.survey()?;
        for file in &files {
            refuse_oversized(file)?;
        }
        let count = |range: LabelRange| range.end - range.start;
        let found = files.iter().map(|file| count(file.present())).sum();
        let total = files.iter().map(|file| count(file.labels.clone())).sum();
        if found > 0 {
            refuse_foreign(self.set, self.n, self.draw)?;
        }
        self.set.adopt(self.n)?;
        self.set.set_maker(&name_of(self.labeler))?;
        let mut best = self.known_candidate(found)?;
        let mut progress = Progress::new("initializing", "labels", found, total, self.json);
        let mut done = found;
        for file in files {
            self.fill(file.absent(), &mut best, &mut |labels| {
                done += labels;
                progress.at(done);
            })?;
        }
        drop(progress);
        let Self { set, n, labeler, stop, draw, .. } = self;
        let commitment = set.metadata().commitment();
        let mut maker = Maker { commitment, n: *n, labeler: &mut **labeler, stop, draw };
        let vrf_nonce = vrf::settle(set, &mut maker, best)?.index;
        Ok(Summary { made: total - found, found, vrf_nonce })
    }

    /// The best candidate among the labels that are there: what an earlier run wrote down, made
    /// again, so that a value which is missing or wrong cannot mislead us; where nothing is
    /// written down (another program made the labels), the smallest one on disk.
    fn known_candidate(&self, found: u64) -> Result<Option<Candidate>, MakeError> {
        match self.set.metadata().nonce {
            Some(index) => {
                let label = post::label(&self.set.metadata().commitment(), index, self.n);
                Ok(Some(Candidate { index, label }))
            }
            None if found == 0 => Ok(None),
            None => {
                let what = "searching the VRF nonce";
                let mut progress = Progress::new(what, "labels", 0, found, self.json);
                let mut read = 0;
                vrf::search_on_disk(self.set, self.n, self.stop, &mut |labels| {
                    read += labels;
                    progress.at(read);
                })
            }
        }
    }

    /// Makes the labels of a range that lies in one file, batch by batch.
    fn fill(
        &mut self,
        range: LabelRange,
        best: &mut Option<Candidate>,
        written: &mut dyn FnMut(u64),
    ) -> Result<(), MakeError> {
        let mut batches = Batches::new(range);
        let mut labels = Vec::new();
        while let Some(batch) = batches.next() {
            let start = Instant::now();
            let candidate = self.make(batch.clone(), &mut labels)?;
            let better = Candidate::better(*best, candidate);
            if better != *best {
                *best = better;
                self.note(better)?;
            }
            self.set.append(batch.start, &labels)?;
            batches.took(start.elapsed());
            written(batch.end - batch.start);
        }
        Ok(())
    }

    fn make(
        &mut self,
        batch: LabelRange,
        labels: &mut Vec<u8>,
    ) -> Result<Option<Candidate>, MakeError> {
        let Self { set, n, labeler, stop, draw, .. } = self;
        let commitment = set.metadata().commitment();
        let mut maker = Maker { commitment, n: *n, labeler: &mut **labeler, stop, draw };
        maker.make(batch, labels)
    }

    /// Writes the best candidate down. Before its labels are: a candidate whose labels are not on
    /// disk yet is found again, one that was forgotten would not be.
    fn note(&mut self, candidate: Option<Candidate>) -> Result<(), MakeError> {
        let Some(candidate) = candidate else {
            return Ok(());
        };
        Ok(self.set.update(|metadata| metadata.set_vrf_nonce(candidate))?)
    }
}

fn refuse_oversized(file: &FileState) -> Result<(), PlotError> {
    match file.complete() {
        Err(oversized @ PlotError::Oversized { .. }) => Err(oversized),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plot::Metadata;
    use plot::simulated::Simulated;
    use post::label::LabelFault;
    use post::{AtxId, Commitment, LABEL_BYTES, NodeId};
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    const N: u32 = 2;

    /// A labeler that gives the definition's labels, or a wrong one at an index.
    struct Plain {
        commitment: Commitment,
        wrong_at: Option<u64>,
        fills: u32,
        fills_max: u32,
    }

    impl Labeler for Plain {
        fn fill(
            &mut self,
            range: LabelRange,
            out: &mut [u8],
            _: &(dyn Fn() -> bool + Sync),
        ) -> Result<Option<Candidate>, LabelFault> {
            self.fills += 1;
            if self.fills > self.fills_max {
                return Err(LabelFault::Stopped);
            }
            let mut best = None;
            for (index, bytes) in range.zip(out.chunks_exact_mut(LABEL_BYTES)) {
                let index = LabelIndex(index);
                let label = post::label(&self.commitment, index, ScryptN::new(N).unwrap());
                bytes.copy_from_slice(&label.stored());
                if self.wrong_at == Some(index.0) {
                    bytes[0] ^= 1;
                }
                best = Candidate::better(best, Some(Candidate { index, label }));
            }
            Ok(best)
        }

        fn kernel(&self) -> &str {
            "plain"
        }
    }

    fn new_directory(root: &std::path::Path) -> DataSet {
        let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), 100, 3, 128 * 16);
        DataSet::create(root, metadata, ScryptN::new(N).unwrap()).unwrap()
    }

    fn init(
        directory: &mut DataSet,
        wrong_at: Option<u64>,
        fills_max: u32,
    ) -> Result<Summary, MakeError> {
        let commitment = Commitment::new(&NodeId([1; 32]), &AtxId([2; 32]));
        let mut labeler = Plain { commitment, wrong_at, fills: 0, fills_max };
        let mut draws = 0_u64;
        let mut draw = |bound: u64| {
            draws += 7;
            draws % bound
        };
        let n = ScryptN::new(N).unwrap();
        Init {
            set: directory,
            n,
            labeler: &mut labeler,
            stop: &|| false,
            draw: &mut draw,
            json: false,
        }
        .run()
    }

    fn contents(directory: &DataSet) -> Vec<Vec<u8>> {
        directory.survey().unwrap().iter().map(|file| fs::read(&file.path).unwrap()).collect()
    }

    fn undisturbed() -> (Vec<Vec<u8>>, LabelIndex) {
        let root = tempfile::tempdir().unwrap();
        let mut directory = new_directory(root.path());
        let summary = init(&mut directory, None, 99).unwrap();
        assert_eq!((summary.made, summary.found), (300, 0));
        (contents(&directory), summary.vrf_nonce)
    }

    #[test]
    fn the_vrf_nonce_is_the_smallest_label() {
        let (_, vrf_nonce) = undisturbed();
        let commitment = Commitment::new(&NodeId([1; 32]), &AtxId([2; 32]));
        let n = ScryptN::new(N).unwrap();
        let label = |index: &u64| post::label(&commitment, LabelIndex(*index), n);
        assert_eq!(Some(vrf_nonce.0), (0..300).min_by_key(label));
    }

    #[test]
    fn an_interrupted_run_goes_on_to_the_same_bytes() {
        let expected = undisturbed();
        for fills_max in 1..5 {
            let root = tempfile::tempdir().unwrap();
            let mut directory = new_directory(root.path());
            let stopped = init(&mut directory, None, fills_max);
            assert!(matches!(stopped, Err(MakeError::Label(LabelFault::Stopped))));
            let mut directory = DataSet::open(&[root.path()]).unwrap();
            let summary = init(&mut directory, None, 99).unwrap();
            assert!(summary.found > 0 && summary.made > 0);
            assert_eq!((contents(&directory), summary.vrf_nonce), expected);
        }
    }

    /// Labels that were made without writing a nonce down, as another program may leave them.
    #[test]
    fn a_nonce_that_nobody_wrote_down_is_found_on_disk() {
        let expected = undisturbed();
        for fills_max in [3, 99] {
            let root = tempfile::tempdir().unwrap();
            let mut directory = new_directory(root.path());
            let _ = init(&mut directory, None, fills_max);
            directory.update(|metadata| metadata.nonce = None).unwrap();
            directory.update(|metadata| metadata.nonce_value = None).unwrap();
            let mut directory = DataSet::open(&[root.path()]).unwrap();
            let summary = init(&mut directory, None, 99).unwrap();
            assert_eq!((contents(&directory), summary.vrf_nonce), expected);
            let written = directory.metadata().vrf_nonce().unwrap();
            assert_eq!(written.index, summary.vrf_nonce);
        }
    }

    #[test]
    fn a_missing_file_is_made_again() {
        let expected = undisturbed();
        let root = tempfile::tempdir().unwrap();
        let mut directory = new_directory(root.path());
        init(&mut directory, None, 99).unwrap();
        fs::remove_file(directory.file(0).unwrap().path).unwrap();
        let summary = init(&mut directory, None, 99).unwrap();
        assert_eq!((summary.made, summary.found), (128, 172));
        assert_eq!((contents(&directory), summary.vrf_nonce), expected);
    }

    #[test]
    fn foreign_labels_stop_it_before_anything_is_written() {
        let root = tempfile::tempdir().unwrap();
        let mut directory = new_directory(root.path());
        directory.append(0, &[9; 32]).unwrap();
        let refused = init(&mut directory, None, 99);
        assert!(matches!(refused, Err(MakeError::Foreign { index: LabelIndex(0), .. })));
        assert_eq!(fs::read(directory.file(0).unwrap().path).unwrap(), [9; 32]);
        assert_eq!(directory.metadata().nonce, None);
    }

    #[test]
    fn an_oversized_file_stops_it_before_anything_is_written() {
        let root = tempfile::tempdir().unwrap();
        let mut directory = new_directory(root.path());
        let path = directory.file(1).unwrap().path;
        fs::write(&path, [0; 129 * 16]).unwrap();
        let refused = init(&mut directory, None, 99);
        assert!(matches!(refused, Err(MakeError::Plot(PlotError::Oversized { .. }))));
        assert_eq!(directory.file(0).unwrap().found, None);
    }

    #[test]
    fn a_wrong_label_that_is_looked_at_is_not_written() {
        let root = tempfile::tempdir().unwrap();
        let mut directory = new_directory(root.path());
        // The first draw is 7 of a batch of 64.
        let refused = init(&mut directory, Some(7), 99);
        assert!(matches!(refused, Err(MakeError::Wrong { index: LabelIndex(7), .. })));
        assert_eq!(directory.file(0).unwrap().found, None);
    }

    /// Whatever a power cut leaves at any operation: what is known to be there is right, and the
    /// next run comes to the bytes of an undisturbed one.
    #[test]
    fn a_power_cut_at_any_operation_costs_only_what_was_not_safe() {
        let (expected, vrf_nonce) = undisturbed();
        let whole = Simulated::default();
        init(&mut simulated(&whole).unwrap(), None, 99).unwrap();
        for cut in 0..whole.operations() {
            let disk = Simulated::default();
            disk.cut_after(cut);
            let cut_short = simulated(&disk).map_err(MakeError::from);
            let cut_short = cut_short.and_then(|mut directory| init(&mut directory, None, 99));
            assert!(cut_short.is_err(), "operation {cut} of an undisturbed run");
            for seed in 0..4 {
                let left = disk.reboot(cut << 8 | seed);
                let mut directory = simulated(&left).unwrap();
                assert_known_labels_are_right(&directory, &expected);
                let summary = init(&mut directory, None, 99).unwrap();
                assert_eq!(summary.vrf_nonce, vrf_nonce, "cut {cut}, seed {seed}");
                for (file, bytes) in directory.survey().unwrap().iter().zip(&expected) {
                    assert_eq!(left.content(&file.path).as_ref(), Some(bytes), "cut {cut}, {seed}");
                    file.complete().unwrap();
                }
            }
        }
    }

    /// The data on a simulated disk: what is there, or a new directory.
    fn simulated(disk: &Simulated) -> Result<DataSet, PlotError> {
        let (disk, path) = (Arc::new(disk.clone()), Path::new("/data"));
        let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), 100, 3, 128 * 16);
        match DataSet::open_on(disk.clone(), &[path]) {
            Err(PlotError::NoData { .. }) => {
                DataSet::create_on(disk, path, metadata, ScryptN::new(N).unwrap())
            }
            other => other,
        }
    }

    fn assert_known_labels_are_right(directory: &DataSet, expected: &[Vec<u8>]) {
        let mut reader = directory.reader();
        for (file, bytes) in directory.survey().unwrap().iter().zip(expected) {
            for (index, label) in file.present().zip(bytes.chunks(LABEL_BYTES)) {
                let mut stored = [0; LABEL_BYTES];
                reader.read(index, &mut stored).unwrap();
                assert_eq!(stored, label, "label {index}");
            }
        }
    }
}
