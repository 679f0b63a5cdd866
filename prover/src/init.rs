//! Initialization: labels that are missing are made, checked and appended, until none is missing.
//!
//! The state is on disk and nowhere else: the manifest of each file says what is done, and the
//! metadata holds the best VRF nonce among it. So it may be interrupted anywhere and run again.

use crate::progress::Progress;
use plot::{DataSet, FileState, PlotError};
use post::label::{Candidate, LabelFault, Labeler, Scratch, label_in};
use post::{Commitment, LABEL_BYTES, LabelIndex, LabelRange, ScryptN, vrf};
use std::time::{Duration, Instant};
use thiserror::Error;

/// How long a batch should take: what an interruption costs at most, and how often a disk is made
/// to sync.
const BATCH: Duration = Duration::from_secs(2);
/// Labels in the first batch, before the speed is known.
const BATCH_FIRST: u64 = 64;
/// Labels in the largest batch: 64 MiB.
const BATCH_MAX: u64 = 1 << 22;

/// Why an initialization ended early. What it had made is on disk.
#[derive(Debug, Error)]
pub(crate) enum InitError {
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
    Wrong { kernel: &'static str, index: LabelIndex },
}

/// What an initialization did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Labels made and written now.
    pub(crate) made: u64,
    /// Labels that were there before.
    pub(crate) found: u64,
    /// The VRF nonce.
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
    /// Makes every missing label, then the VRF nonce if none of them was one.
    pub(crate) fn run(&mut self) -> Result<Summary, InitError> {
        let files = self.set.survey()?;
        for file in &files {
            refuse_oversized(file)?;
        }
        let count = |range: LabelRange| range.end - range.start;
        let found = files.iter().map(|file| count(file.present())).sum();
        let total = self.set.layout().num_labels();
        if found > 0 {
            refuse_foreign(self.set, self.n, self.draw)?;
        }
        self.set.adopt(self.n)?;
        let version = env!("CARGO_PKG_VERSION");
        self.set.set_maker(&format!("cpu {}, postmesh {version}", self.labeler.kernel()))?;
        let mut best = self.known_candidate();
        let mut progress = Progress::new("initializing", "labels", found, total, self.json);
        let mut done = found;
        for file in files {
            self.fill(file.absent(), &mut best, &mut |labels| {
                done += labels;
                progress.at(done);
            })?;
        }
        drop(progress);
        let vrf_nonce = self.vrf_nonce(best, total)?;
        Ok(Summary { made: total - found, found, vrf_nonce })
    }

    fn commitment(&self) -> Commitment {
        commitment(self.set)
    }

    /// The best candidate that an earlier run wrote down; made again, so that a value which is
    /// missing or wrong cannot mislead us.
    fn known_candidate(&self) -> Option<Candidate> {
        let index = self.set.metadata().nonce?;
        let label = post::label(&self.commitment(), index, self.n);
        Some(Candidate { index, label })
    }

    /// Makes the labels of a range that lies in one file, batch by batch.
    fn fill(
        &mut self,
        range: LabelRange,
        best: &mut Option<Candidate>,
        written: &mut dyn FnMut(u64),
    ) -> Result<(), InitError> {
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

    /// One batch: made by the device, checked at one place that it could not foresee.
    fn make(
        &mut self,
        batch: LabelRange,
        labels: &mut Vec<u8>,
    ) -> Result<Option<Candidate>, InitError> {
        let count = usize::try_from(batch.end - batch.start).unwrap_or(usize::MAX);
        labels.resize(count.saturating_mul(LABEL_BYTES), 0);
        let candidate = self.labeler.fill(batch.clone(), labels, self.stop)?;
        let at = (self.draw)(batch.end - batch.start);
        let index = LabelIndex(batch.start + at);
        let expected = post::label(&self.commitment(), index, self.n).stored();
        let made = labels.chunks_exact(LABEL_BYTES).nth(usize::try_from(at).unwrap_or(usize::MAX));
        if made != Some(&expected[..]) {
            return Err(InitError::Wrong { kernel: self.labeler.kernel(), index });
        }
        Ok(candidate)
    }

    /// Writes the best candidate down. Before its labels are: a candidate whose labels are not on
    /// disk yet is found again, one that was forgotten would not be.
    fn note(&mut self, candidate: Option<Candidate>) -> Result<(), InitError> {
        let Some(candidate) = candidate else {
            return Ok(());
        };
        Ok(self.set.update(|metadata| metadata.set_vrf_nonce(candidate))?)
    }

    /// The VRF nonce: the smallest label, if it is small enough; else the first one past the data
    /// that is.
    fn vrf_nonce(&mut self, best: Option<Candidate>, total: u64) -> Result<LabelIndex, InitError> {
        let good = |candidate: &Candidate| vrf::suits(&candidate.label, total);
        if let Some(candidate) = best.filter(good) {
            if self.set.metadata().vrf_nonce() != Some(candidate) {
                self.note(Some(candidate))?;
            }
            return Ok(candidate.index);
        }
        tracing::info!("no label is small enough for a VRF nonce: searching past the data");
        let from = self.set.metadata().last_position.map_or(total, |last| last.max(total));
        let mut batches = Batches::new(from..u64::MAX);
        let mut labels = Vec::new();
        while let Some(batch) = batches.next() {
            let start = Instant::now();
            if let Some(candidate) = self.make(batch.clone(), &mut labels)?.filter(good) {
                self.note(Some(candidate))?;
                return Ok(candidate.index);
            }
            self.set.update(|metadata| metadata.last_position = Some(batch.end))?;
            batches.took(start.elapsed());
        }
        // 2⁶⁴ labels were made: not in the life of this universe.
        Ok(LabelIndex(u64::MAX))
    }
}

fn commitment(set: &DataSet) -> Commitment {
    let metadata = set.metadata();
    Commitment::new(&metadata.node_id, &metadata.commitment_atx_id)
}

/// Labels on disk must be what this identity and N give, before any is added: the ends of each file
/// that has some, and one between.
pub(crate) fn refuse_foreign(
    set: &DataSet,
    n: ScryptN,
    draw: &mut dyn FnMut(u64) -> u64,
) -> Result<(), InitError> {
    let commitment = commitment(set);
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
                return Err(InitError::Foreign { index, n });
            }
        }
    }
    Ok(())
}

fn refuse_oversized(file: &FileState) -> Result<(), PlotError> {
    match file.complete() {
        Err(oversized @ PlotError::Oversized { .. }) => Err(oversized),
        _ => Ok(()),
    }
}

/// Cuts a range into batches that take about [`BATCH`] each.
struct Batches {
    range: LabelRange,
    size: u64,
    last: u64,
}

impl Batches {
    fn new(range: LabelRange) -> Self {
        Self { range, size: BATCH_FIRST, last: 0 }
    }

    fn next(&mut self) -> Option<LabelRange> {
        let start = self.range.start;
        let end = start.saturating_add(self.size).min(self.range.end);
        self.range.start = end;
        self.last = end - start;
        (start < end).then_some(start..end)
    }

    /// Learns from how long the last batch took; at most a doubling at a time.
    fn took(&mut self, time: Duration) {
        let fitting = self.last as f64 * BATCH.as_secs_f64() / time.as_secs_f64().max(1e-6);
        self.size = (fitting as u64).clamp(1, self.size.saturating_mul(2)).min(BATCH_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plot::Metadata;
    use plot::simulated::Simulated;
    use post::{AtxId, NodeId};
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

        fn kernel(&self) -> &'static str {
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
    ) -> Result<Summary, InitError> {
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
            assert!(matches!(stopped, Err(InitError::Label(LabelFault::Stopped))));
            let mut directory = DataSet::open(&[root.path()]).unwrap();
            let summary = init(&mut directory, None, 99).unwrap();
            assert!(summary.found > 0 && summary.made > 0);
            assert_eq!((contents(&directory), summary.vrf_nonce), expected);
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
        assert!(matches!(refused, Err(InitError::Foreign { index: LabelIndex(0), .. })));
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
        assert!(matches!(refused, Err(InitError::Plot(PlotError::Oversized { .. }))));
        assert_eq!(directory.file(0).unwrap().found, None);
    }

    #[test]
    fn a_wrong_label_that_is_looked_at_is_not_written() {
        let root = tempfile::tempdir().unwrap();
        let mut directory = new_directory(root.path());
        // The first draw is 7 of a batch of 64.
        let refused = init(&mut directory, Some(7), 99);
        assert!(matches!(refused, Err(InitError::Wrong { index: LabelIndex(7), .. })));
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
            let cut_short = simulated(&disk).map_err(InitError::from);
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
