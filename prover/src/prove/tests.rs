//! Proofs over small data of random shape: valid, and the same however the work is cut, in what
//! order it comes and how often it is interrupted. And proofs over data that is not all there.

use super::diary::key;
use super::*;
use crate::args::RandomXArg;
use cpu::{Labels, Scan, scan_kernels};
use plot::simulated::Simulated;
use plot::{Access, Disk, Journal, Metadata, Ranges, Scanned, System};
use post::k2pow::Difficulty;
use post::proof::unpack;
use post::search::{GroupCipher, Hit, Tally, Winner};
use post::{AtxId, Challenge, Commitment, LABEL_BYTES, LabelIndex, Labeler, NodeId, ScryptN};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

pub(super) static POWS: LazyLock<Pows> =
    LazyLock::new(|| Pows::new(RandomXArg::Light, 2, Pace::FULL));

const NODE_ID: NodeId = NodeId([1; 32]);
const ATX: AtxId = AtxId([2; 32]);

/// The CPU alone, at full pace, and nobody looks on.
pub(super) fn calm() -> Surroundings<'static> {
    static CPU: Hands = Hands::CPU;
    Surroundings {
        pows: &POWS,
        hands: &CPU,
        pace: Pace::FULL,
        stop: &|| false,
        progress: &|_, _, _| (),
        turn: &|_| true,
    }
}

pub(super) fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

fn job(labels_per_unit: u64, num_units: u32, k1: u32, k2: u32, nonces: u32) -> Job {
    let scrypt_n = ScryptN::new(2).unwrap();
    let pow_difficulty = Difficulty([0xff; 32]);
    let (units_min, units_max) = (1, u32::MAX);
    Job {
        statement: Statement {
            node_id: NODE_ID,
            commitment_atx_id: ATX,
            challenge: Challenge([k1 as u8; 32]),
            num_units,
            labels_per_unit,
        },
        params: Params { labels_per_unit, units_min, units_max, scrypt_n, k1, k2, pow_difficulty },
        nonces,
        threads: threads(1),
    }
}

/// Twelve thousand labels: enough for a dozen pieces in files of a thousand.
pub(super) fn large_job() -> Job {
    job(6_000, 2, 26, 26, 32)
}

pub(super) fn labels_of(job: &Job) -> Vec<u8> {
    let count = job.statement.num_labels().unwrap();
    let mut bytes = vec![0; usize::try_from(count).unwrap() * LABEL_BYTES];
    let commitment = Commitment::new(&NODE_ID, &ATX);
    let mut labels = Labels::new(commitment, job.params.scrypt_n, threads(1));
    labels.fill(0..count, &mut bytes, &|| false).unwrap();
    bytes
}

/// A directory with these labels. It exists on the system's disk too, where its locks are.
fn filled_on(
    disk: Arc<dyn Disk>,
    root: &Path,
    job: &Job,
    labels_per_file: u64,
    labels: &[u8],
) -> DataSet {
    std::fs::create_dir_all(root).unwrap();
    let Statement { labels_per_unit, num_units, .. } = job.statement;
    let bytes = labels_per_file * LABEL_BYTES as u64;
    let metadata = Metadata::new(NODE_ID, ATX, labels_per_unit, num_units, bytes);
    let mut directory = DataSet::create_on(disk, root, metadata, job.params.scrypt_n).unwrap();
    for file in directory.survey().unwrap() {
        let range =
            file.labels.start as usize * LABEL_BYTES..file.labels.end as usize * LABEL_BYTES;
        directory.append(file.labels.start, &labels[range]).unwrap();
    }
    directory
}

pub(super) fn filled(root: &Path, job: &Job, labels_per_file: u64) -> DataSet {
    filled_on(Arc::new(System), root, job, labels_per_file, &labels_of(job))
}

fn proven(job: &Job, directory: &DataSet) -> Result<Proof, ProveError> {
    let around = calm();
    prove(job, directory, &around)
}

fn keys_of_first_pass(job: &Job) -> Vec<GroupKeys> {
    let around = calm();
    let root = tempfile::tempdir().unwrap();
    let directory = filled(&root.path().join("data"), job, 1 << 14);
    pows::buy(job, 0..job.nonces, &mut Diary::open(job, &directory), &around).unwrap()
}

/// The proof of the first pass by the definition: every label that is not lost in order, every
/// nonce, no threads.
pub(super) fn by_definition(job: &Job, labels: &[u8], lost: &Ranges) -> Option<Proof> {
    let num_labels = job.statement.num_labels().unwrap();
    let threshold = Threshold::new(job.params.k1, num_labels).unwrap();
    let keys = keys_of_first_pass(job);
    let ciphers: Vec<_> = keys.iter().map(GroupCipher::new).collect();
    let mut tally = Tally::new(Nonce(0), job.nonces, job.params.k2);
    for (index, label) in (0..).zip(labels.as_chunks().0) {
        if !lost.contains(&(index..index + 1)) {
            let mut hits = Vec::new();
            for cipher in &ciphers {
                cipher.hits(LabelIndex(index), label, threshold, &mut hits);
            }
            tally.add(&hits);
        }
    }
    let winner: Winner = tally.winner(LabelIndex(num_labels))?;
    let pow = keys[usize::from(winner.nonce.group()?.0)].pow;
    Some(Proof::new(&winner, num_labels, pow))
}

fn indices(job: &Job, proof: &Proof) -> Vec<LabelIndex> {
    let num_labels = job.statement.num_labels().unwrap();
    unpack(&proof.indices, job.params.k2 as usize, num_labels).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn proofs_are_valid_and_do_not_depend_on_threads_files_or_disks(
        labels_per_unit in 60_u64..500,
        num_units in 1_u32..4,
        files in 1_u64..9,
        k1 in 8_u32..30,
        groups in 1_u32..5,
    ) {
        let job = job(labels_per_unit, num_units, k1, k1 - 2, groups * 16);
        let labels = labels_of(&job);
        let num_labels = job.statement.num_labels().unwrap();
        let root = tempfile::tempdir().unwrap();
        let one_file = filled(&root.path().join("one"), &job, num_labels);
        // It was verified before it was given out.
        let proof = proven(&job, &one_file).unwrap();
        for count in [1, 2, 3] {
            let disk = Simulated::default();
            disk.scatter();
            let path = root.path().join(format!("several for {count}"));
            let per_file = num_labels.div_ceil(files);
            let several = filled_on(Arc::new(disk), &path, &job, per_file, &labels);
            let job = Job { threads: threads(count), ..job.clone() };
            prop_assert_eq!(&proven(&job, &several).unwrap(), &proof);
        }
        if proof.nonce.0 < job.nonces {
            prop_assert_eq!(by_definition(&job, &labels, &Ranges::default()), Some(proof));
        }
    }
}

#[test]
fn every_kernel_gives_the_same_proof() {
    let job = large_job();
    let root = tempfile::tempdir().unwrap();
    let around = calm();
    let expected = by_definition(&job, &labels_of(&job), &Ranges::default());
    for kernel in scan_kernels() {
        let directory = filled(&root.path().join(kernel), &job, 1_000);
        let proof = prove_by(&job, &directory, &around, &|_, keys, threshold| {
            let scan = || Scan::with_kernel(kernel, keys, threshold, NonZeroUsize::MIN).unwrap();
            vec![Box::new(scan()), Box::new(scan())]
        });
        assert_eq!(Some(proof.unwrap()), expected, "{kernel}");
    }
}

#[test]
fn data_without_a_proof_has_none_after_the_last_nonce() {
    // K2 far above K1: no nonce ever gathers so many. All passes but two are behind us.
    let job = job(40, 1, 1, 39, 16);
    let root = tempfile::tempdir().unwrap();
    let directory = filled(&root.path().join("data"), &job, 40);
    let mut journal = Journal::new(key(&job));
    let all = Ranges::from(vec![(0, 40)]);
    journal.set_scanned(Scanned::new(Nonce(Nonce::END - 32), 16, all, &[]));
    directory.save_journal(&journal).unwrap();
    let passes = AtomicU64::new(0);
    let progress = |stage, done: u64, _| {
        if stage == Stage::Pow && done == 0 {
            passes.fetch_add(1, Ordering::Relaxed);
        }
    };
    let around = Surroundings { progress: &progress, ..calm() };
    assert!(matches!(prove(&job, &directory, &around), Err(ProveError::NoProof)));
    assert_eq!(passes.into_inner(), 2);
}

#[test]
fn it_stops_on_request_and_refuses_what_has_no_labels() {
    let job = job(100, 1, 10, 10, 16);
    let root = tempfile::tempdir().unwrap();
    let directory = filled(&root.path().join("data"), &job, 40);
    let around = Surroundings { stop: &|| true, ..calm() };
    assert!(matches!(prove(&job, &directory, &around), Err(ProveError::Stopped)));
    for file in directory.survey().unwrap() {
        std::fs::rename(&file.path, root.path().join(file.path.file_name().unwrap())).unwrap();
    }
    let none = proven(&job, &directory);
    assert!(matches!(none, Err(ProveError::NoLabels(why)) if why.contains("is missing")));
}

/// A worker that scans one piece.
struct Tired(Option<Scan>);

impl Scanner for Tired {
    fn scan(&mut self, first: LabelIndex, labels: &[u8]) -> Result<Vec<Hit>, ScanFault> {
        let mut scan = self.0.take().ok_or_else(|| ScanFault("tired".into()))?;
        scan.scan(first, labels)
    }

    fn kernel(&self) -> &str {
        "tired"
    }
}

/// A proof that is interrupted as soon as a piece was counted, and gone on with, as often as it
/// takes; how often.
fn interrupted(job: &Job, directory: &DataSet) -> (Proof, u32) {
    for runs in 0.. {
        let (first, last) = (AtomicU64::new(u64::MAX), AtomicU64::new(0));
        let progress = |stage, done, _| {
            if stage == Stage::Scan {
                first.fetch_min(done, Ordering::Relaxed);
                last.fetch_max(done, Ordering::Relaxed);
            }
        };
        let stop = || last.load(Ordering::Relaxed) > first.load(Ordering::Relaxed);
        let around = Surroundings { stop: &stop, progress: &progress, ..calm() };
        let proof = prove_by(job, directory, &around, &|_, keys, threshold| {
            let scan = || Scan::new(keys.to_vec(), threshold, NonZeroUsize::MIN);
            (0..job.threads.get()).map(|_| Box::new(Tired(Some(scan()))) as Worker).collect()
        });
        match proof {
            Err(ProveError::Stopped) => {}
            other => return (other.unwrap(), runs),
        }
    }
    unreachable!()
}

#[test]
fn an_interrupted_proof_goes_on_and_comes_out_the_same() {
    let job = large_job();
    let labels = labels_of(&job);
    let expected = by_definition(&job, &labels, &Ranges::default()).unwrap();
    let root = tempfile::tempdir().unwrap();
    for count in [1_usize, 3] {
        let disk = Simulated::default();
        disk.scatter();
        let path = root.path().join(count.to_string());
        let directory = filled_on(Arc::new(disk), &path, &job, 500, &labels);
        let job = Job { threads: threads(count), ..job.clone() };
        let (proof, runs) = interrupted(&job, &directory);
        assert_eq!(proof, expected);
        // A run does one piece for each worker.
        let last = indices(&job, &proof).iter().max().unwrap().0;
        let pieces = u32::try_from(last / 500).unwrap();
        assert!(runs >= pieces / count as u32, "{runs} interruptions for {pieces} pieces");
    }
}

#[test]
fn a_power_cut_costs_time_and_no_proof() {
    let job = large_job();
    let labels = labels_of(&job);
    let root = tempfile::tempdir().unwrap();
    let new = || {
        let disk = Simulated::default();
        let directory = filled_on(Arc::new(disk.clone()), root.path(), &job, 1_000, &labels);
        (disk, directory)
    };
    let (disk, directory) = new();
    let before = disk.operations();
    let expected = proven(&job, &directory).unwrap();
    let operations = disk.operations() - before;
    for cut in (0..operations).step_by(usize::try_from(operations / 24).unwrap().max(1)) {
        let (disk, directory) = new();
        disk.cut_after(cut);
        // Who is without power asks no more.
        let stop = || disk.length(Path::new("/")).is_err();
        let around = Surroundings { stop: &stop, ..calm() };
        let ended = prove(&job, &directory, &around);
        assert!(matches!(ended, Err(ProveError::Stopped | ProveError::NoLabels(_))), "{ended:?}");
        let left = Arc::new(disk.reboot(cut));
        let directory = DataSet::open_on(left, &[root.path()]).unwrap();
        assert_eq!(proven(&job, &directory).unwrap(), expected, "cut {cut}");
    }
}

#[test]
fn what_is_in_the_journal_is_not_done_again() {
    let job = large_job();
    let root = tempfile::tempdir().unwrap();
    let directory = filled(&root.path().join("data"), &job, 12_000);
    let mut journal = Journal::new(key(&job));
    for keys in keys_of_first_pass(&job) {
        journal.set_pow(keys.group, keys.pow);
    }
    // As if all labels had been scanned and nothing found: the proof must come from a later pass.
    journal.set_scanned(Scanned::new(Nonce(0), 32, Ranges::from(vec![(0, 12_000)]), &[]));
    directory.save_journal(&journal).unwrap();
    let proof = proven(&job, &directory).unwrap();
    assert!(proof.nonce.0 >= 32, "{proof:?}");
    // Another challenge has a journal of its own, and this one is kept beside it.
    let mut other = job.clone();
    other.statement.challenge = Challenge([9; 32]);
    assert_eq!(directory.journal(key(&other)).scanned(), None);
    proven(&other, &directory).unwrap();
    assert!(directory.journal(key(&job)).scanned().is_some());
}

#[test]
fn a_journal_that_misleads_costs_time_and_no_proof() {
    let job = large_job();
    let labels = labels_of(&job);
    let expected = by_definition(&job, &labels, &Ranges::default()).unwrap();
    let lies: Vec<_> = (0..30).map(|at| Hit { index: LabelIndex(at), nonce: Nonce(3) }).collect();
    // Where a piece was not scanned to its end it is scanned again, and no hit of it believed.
    // Where it was, false hits are found out; what is not there cannot be missed.
    for scanned in [30, 500] {
        let root = tempfile::tempdir().unwrap();
        let directory = filled(&root.path().join("data"), &job, 500);
        let mut journal = Journal::new(key(&job));
        let ranges = Ranges::from(vec![(0, scanned)]);
        let threshold = Threshold::new(26, 12_000).unwrap();
        let mut hits = lies.clone();
        for cipher in keys_of_first_pass(&job).iter().map(GroupCipher::new) {
            for (index, label) in (0..scanned).zip(labels.as_chunks().0) {
                cipher.hits(LabelIndex(index), label, threshold, &mut hits);
            }
        }
        journal.set_scanned(Scanned::new(Nonce(0), 32, ranges, &hits));
        directory.save_journal(&journal).unwrap();
        assert_eq!(proven(&job, &directory).unwrap(), expected, "{scanned} labels");
    }
}

#[test]
fn unreadable_and_missing_labels_cost_themselves_and_no_more() {
    let job = large_job();
    let labels = labels_of(&job);
    let whole = by_definition(&job, &labels, &Ranges::default()).unwrap();
    let named = indices(&job, &whole);
    let root = tempfile::tempdir().unwrap();
    let disk = Simulated::default();
    let directory = filled_on(Arc::new(disk.clone()), root.path(), &job, 1_000, &labels);
    let files = directory.survey().unwrap();
    // The sector of a label that the proof would name, and the file of another.
    let (unreadable, missing) = (named[1].0, named[named.len() - 1].0 / 1_000);
    let (file, at) = (&files[(unreadable / 1_000) as usize], unreadable % 1_000 * 16);
    assert_ne!(unreadable / 1_000, missing);
    disk.fail_reads(&file.path, at..at + 1);
    disk.rename(&files[missing as usize].path, &root.path().join("away")).unwrap();
    let page = file.labels.start + at / 4096 * 256;
    let lost = Ranges::from(vec![
        (page, (page + 256).min(file.labels.end)),
        (missing * 1_000, missing * 1_000 + 1_000),
    ]);
    let proof = proven(&job, &directory).unwrap();
    assert_ne!(proof, whole);
    let expected = by_definition(&job, &labels, &lost);
    // It may come from a later pass, which the definition above does not look at.
    assert!(Some(&proof) == expected.as_ref() || expected.is_none() && proof.nonce.0 >= 32);
    assert!(indices(&job, &proof).iter().all(|index| !lost.contains(&(index.0..index.0 + 1))));
}

#[test]
fn a_k2pow_goes_on_where_it_was_interrupted() {
    let mut job = large_job();
    job.params.pow_difficulty.0[0] = 0x08;
    let labels = labels_of(&job);
    let root = tempfile::tempdir().unwrap();
    let new = || {
        let disk: Arc<dyn Disk> = Arc::new(Simulated::default());
        filled_on(disk, root.path(), &job, 1_000, &labels)
    };
    let undisturbed = proven(&job, &new()).unwrap();
    let set = new();
    let (group, mut before) = (post::NonceGroup(0), 0);
    while set.journal(key(&job)).pow(group).is_none() {
        let asked = AtomicU64::new(0);
        let stop = || asked.fetch_add(1, Ordering::Relaxed) >= 20;
        let progress = |_, _, _| ();
        let around = Surroundings { stop: &stop, progress: &progress, ..calm() };
        assert!(matches!(prove(&job, &set, &around), Err(ProveError::Stopped)));
        let journal = set.journal(key(&job));
        let now = journal.tried(group);
        assert!(now > before || journal.pow(group).is_some(), "{now} after {before}");
        before = now.max(before);
    }
    assert!(before > 0, "it was never interrupted");
    assert_eq!(proven(&job, &set).unwrap(), undisturbed);
}

#[test]
fn wrong_labels_are_dropped_and_remembered() {
    let job = large_job();
    let labels = labels_of(&job);
    let whole = by_definition(&job, &labels, &Ranges::default()).unwrap();
    let root = tempfile::tempdir().unwrap();
    let disk = Simulated::default();
    let directory = filled_on(Arc::new(disk.clone()), root.path(), &job, 1_000, &labels);
    // Labels that are good on disk, for the nonce that would win, and others in truth: each takes
    // the bytes of one that is good, and that one those of its neighbour.
    let named = indices(&job, &whole);
    let bytes = |index: u64| &labels[index as usize * 16..index as usize * 16 + 16];
    let mut wrong = BTreeSet::new();
    for index in &named[..5] {
        let stranger = (index.0 + 1) % 12_000;
        let path = &directory.survey().unwrap()[(stranger / 1_000) as usize].path;
        let file = disk.open(path, Access::Write).unwrap();
        file.write_all_at(bytes(index.0), stranger % 1_000 * 16).unwrap();
        wrong.insert(LabelIndex(stranger));
    }
    let proof = proven(&job, &directory).unwrap();
    assert!(indices(&job, &proof).iter().all(|index| !wrong.contains(index)));
    let bad: BTreeSet<_> = directory.journal(key(&job)).bad().into_iter().collect();
    assert!(!bad.is_empty() && bad.is_subset(&wrong), "{bad:?}");
    // The next proof for this challenge is the same.
    assert_eq!(proven(&job, &directory).unwrap(), proof);
}

#[test]
fn data_that_is_wrong_throughout_is_named_as_such() {
    let job = large_job();
    let stranger = Job {
        params: Params { scrypt_n: ScryptN::new(4).unwrap(), ..job.params.clone() },
        ..job.clone()
    };
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(Simulated::default());
    let directory = filled_on(disk, root.path(), &job, 1_000, &labels_of(&stranger));
    let refused = proven(&job, &directory);
    assert!(matches!(refused, Err(ProveError::AllWrong { n: 2, .. })), "{refused:?}");
}

#[test]
fn a_part_that_is_wrong_throughout_costs_itself() {
    let job = large_job();
    let mut labels = labels_of(&job);
    // Half a file of one label that is good for many nonces, so that those win first.
    let [keys, ..] = &keys_of_first_pass(&job)[..] else { panic!("no group") };
    let threshold = Threshold::new(26, 12_000).unwrap();
    let cipher = GroupCipher::new(keys);
    let good = labels.as_chunks::<16>().0.iter().find(|label| {
        let mut hits = Vec::new();
        cipher.hits(LabelIndex(0), label, threshold, &mut hits);
        !hits.is_empty()
    });
    let good = *good.unwrap();
    for label in &mut labels.as_chunks_mut::<16>().0[..500] {
        *label = good;
    }
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(Simulated::default());
    let directory = filled_on(disk, root.path(), &job, 1_000, &labels);
    let proof = proven(&job, &directory).unwrap();
    let truly = labels_of(&job);
    let differs = |index: &LabelIndex| {
        let at = index.0 as usize * 16;
        labels[at..at + 16] != truly[at..at + 16]
    };
    assert!(!indices(&job, &proof).iter().any(differs));
}
