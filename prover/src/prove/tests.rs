//! Proofs over small data of random shape: valid, and the same however the work is cut.

use super::*;
use crate::args::RandomXArg;
use cpu::Labels;
use plot::Metadata;
use post::k2pow::Difficulty;
use post::search::GroupCipher;
use post::{AtxId, Challenge, Commitment, Labeler, NodeId, ScryptN};
use proptest::prelude::*;
use std::fs;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

static POWS: LazyLock<Pows> = LazyLock::new(|| Pows::new(RandomXArg::Light, 2, Pace::FULL));

const NODE_ID: NodeId = NodeId([1; 32]);
const ATX: AtxId = AtxId([2; 32]);

fn threads(count: usize) -> NonZeroUsize {
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

fn filled(root: &std::path::Path, job: &Job, labels_per_file: u64) -> DataSet {
    let Statement { labels_per_unit, num_units, .. } = job.statement;
    let bytes = labels_per_file * LABEL_BYTES as u64;
    let metadata = Metadata::new(NODE_ID, ATX, labels_per_unit, num_units, bytes);
    let mut directory = DataSet::create(root, metadata, job.params.scrypt_n).unwrap();
    let commitment = Commitment::new(&NODE_ID, &ATX);
    let mut labels = Labels::new(commitment, job.params.scrypt_n, threads(1));
    for file in directory.survey().unwrap() {
        let count = usize::try_from(file.labels.end - file.labels.start).unwrap();
        let mut bytes = vec![0; count * LABEL_BYTES];
        labels.fill(file.labels.clone(), &mut bytes, &|| false).unwrap();
        directory.append(file.labels.start, &bytes).unwrap();
    }
    directory
}

fn proven(job: &Job, directory: &DataSet) -> Result<Proof, ProveError> {
    let around =
        Surroundings { pows: &POWS, pace: Pace::FULL, stop: &|| false, progress: &|_, _, _| () };
    prove(job, directory, &around)
}

/// The winner by the definition: every label in order, every nonce of a pass, no threads.
fn by_definition(job: &Job, directory: &DataSet, keys: &[GroupKeys]) -> Option<Winner> {
    let num_labels = job.statement.num_labels().unwrap();
    let threshold = Threshold::new(job.params.k1, num_labels).unwrap();
    let ciphers: Vec<_> = keys.iter().map(GroupCipher::new).collect();
    let mut tally = Tally::new(Nonce(0), job.nonces, job.params.k2);
    let mut reader = directory.reader();
    (0..num_labels).find_map(|index| {
        let mut label = [0; LABEL_BYTES];
        reader.read(index, &mut label).unwrap();
        let mut hits = Vec::new();
        for cipher in &ciphers {
            cipher.hits(LabelIndex(index), &label, threshold, &mut hits);
        }
        tally.add(&hits)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn proofs_are_valid_and_do_not_depend_on_threads_or_files(
        labels_per_unit in 60_u64..500,
        num_units in 1_u32..4,
        files in 1_u64..4,
        k1 in 8_u32..30,
        groups in 1_u32..5,
    ) {
        let job = job(labels_per_unit, num_units, k1, k1 - 2, groups * 16);
        let num_labels = job.statement.num_labels().unwrap();
        let root = tempfile::tempdir().unwrap();
        let one_file = filled(&root.path().join("one"), &job, num_labels);
        let several = filled(&root.path().join("several"), &job, num_labels.div_ceil(files));
        // It was verified before it was given out.
        let proof = proven(&job, &one_file).unwrap();
        for count in [2, 3] {
            let job = Job { threads: threads(count), ..job.clone() };
            prop_assert_eq!(&proven(&job, &several).unwrap(), &proof);
        }
        if proof.nonce.0 < job.nonces {
            // Every pow is 0 at the easiest difficulty, or the next: take them from a solver.
            let keys = keys_of_first_pass(&job);
            let winner = by_definition(&job, &one_file, &keys).unwrap();
            let group = winner.nonce.group().unwrap();
            let pow = keys[usize::from(group.0)].pow;
            prop_assert_eq!(Proof::new(&winner, num_labels, pow), proof);
        }
    }
}

fn keys_of_first_pass(job: &Job) -> Vec<GroupKeys> {
    let around =
        Surroundings { pows: &POWS, pace: Pace::FULL, stop: &|| false, progress: &|_, _, _| () };
    let root = tempfile::tempdir().unwrap();
    let directory = filled(&root.path().join("data"), job, 1 << 14);
    buy(job, 0..job.nonces, &mut Diary::open(job, &directory), &around).unwrap()
}

#[test]
fn data_without_a_proof_has_none_after_the_last_nonce() {
    // K2 far above K1: no nonce ever gathers so many. All passes but two are behind us.
    let job = job(40, 1, 1, 39, 16);
    let root = tempfile::tempdir().unwrap();
    let directory = filled(&root.path().join("data"), &job, 40);
    let mut journal = Journal::new(Diary::open(&job, &directory).key);
    journal.set_scanned(Scanned::new(Nonce(Nonce::END - 32), 16, 40, &[]));
    directory.save_journal(&journal).unwrap();
    let passes = AtomicU32::new(0);
    let progress = |stage, done: u64, _| {
        if stage == Stage::Scan && done == 0 {
            passes.fetch_add(1, Ordering::Relaxed);
        }
    };
    let around =
        Surroundings { pows: &POWS, pace: Pace::FULL, stop: &|| false, progress: &progress };
    assert!(matches!(prove(&job, &directory, &around), Err(ProveError::NoProof)));
    assert_eq!(passes.into_inner(), 1);
}

#[test]
fn it_stops_on_request_and_refuses_incomplete_data() {
    let job = job(100, 1, 10, 10, 16);
    let root = tempfile::tempdir().unwrap();
    let directory = filled(&root.path().join("data"), &job, 40);
    let around =
        Surroundings { pows: &POWS, pace: Pace::FULL, stop: &|| true, progress: &|_, _, _| () };
    assert!(matches!(prove(&job, &directory, &around), Err(ProveError::Stopped)));
    fs::remove_file(directory.file(1).unwrap().path).unwrap();
    let missing = proven(&job, &directory);
    assert!(matches!(missing, Err(ProveError::Plot(PlotError::Missing { .. }))));
}

/// A stop at the `count`-th question, and what was scanned until then.
fn stopped_after(job: &Job, directory: &DataSet, count: u32) -> Result<Proof, ProveError> {
    let asked = AtomicU32::new(0);
    let stop = || asked.fetch_add(1, Ordering::Relaxed) >= count;
    prove(
        job,
        directory,
        &Surroundings { pows: &POWS, pace: Pace::FULL, stop: &stop, progress: &|_, _, _| () },
    )
}

#[test]
fn an_interrupted_proof_goes_on_and_comes_out_the_same() {
    // Three chunks: stops in the k2pows, and between chunks.
    let job = job(6_000, 2, 26, 26, 32);
    let root = tempfile::tempdir().unwrap();
    let directory = filled(&root.path().join("data"), &job, 5_000);
    let expected = proven(&job, &filled(&root.path().join("other"), &job, 12_000)).unwrap();
    let mut count = 0;
    let proof = loop {
        match stopped_after(&job, &directory, count) {
            Err(ProveError::Stopped) => count += 1,
            other => break other.unwrap(),
        }
    };
    assert!(count > 2, "it was interrupted {count} times");
    assert_eq!(proof, expected);
}

#[test]
fn what_is_in_the_journal_is_not_done_again() {
    let job = job(6_000, 2, 26, 26, 32);
    let root = tempfile::tempdir().unwrap();
    let directory = filled(&root.path().join("data"), &job, 12_000);
    let key = Diary::open(&job, &directory).key;
    let mut journal = Journal::new(key.clone());
    for keys in keys_of_first_pass(&job) {
        journal.set_pow(keys.group, keys.pow);
    }
    // As if all labels had been scanned and nothing found: the proof must come from a later pass.
    journal.set_scanned(Scanned::new(Nonce(0), 32, 12_000, &[]));
    directory.save_journal(&journal).unwrap();
    let first_scanned = AtomicU32::new(u32::MAX);
    let progress = |stage, done: u64, _| {
        if stage == Stage::Scan {
            first_scanned.fetch_min(u32::try_from(done).unwrap(), Ordering::Relaxed);
        }
    };
    let around =
        Surroundings { pows: &POWS, pace: Pace::FULL, stop: &|| false, progress: &progress };
    let proof = prove(&job, &directory, &around).unwrap();
    assert!(proof.nonce.0 >= 32, "{proof:?}");
    // Another challenge has a journal of its own.
    let mut other = job.clone();
    other.statement.challenge = Challenge([9; 32]);
    assert_eq!(directory.journal(Diary::open(&other, &directory).key).scanned(), None);
}

#[test]
fn a_journal_that_misleads_costs_time_and_no_proof() {
    let job = job(6_000, 2, 26, 26, 32);
    let root = tempfile::tempdir().unwrap();
    let directory = filled(&root.path().join("data"), &job, 12_000);
    let expected = proven(&job, &directory).unwrap();
    let key = Diary::open(&job, &directory).key;
    let mut journal = Journal::new(key);
    let lies: Vec<_> = (0..25)
        .map(|index| post::search::Hit { index: LabelIndex(index), nonce: Nonce(3) })
        .collect();
    journal.set_scanned(Scanned::new(Nonce(0), 32, 30, &lies));
    directory.save_journal(&journal).unwrap();
    assert_eq!(proven(&job, &directory).unwrap(), expected);
}
