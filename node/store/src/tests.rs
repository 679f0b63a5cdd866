//! The store against a real RocksDB in a temporary directory.

use super::*;
use chain::Verdict;
use post::{AtxId, Challenge, NodeId, Nonce, Proof, Statement};
use std::fs;

fn record(challenge: u8) -> ProofRecord {
    ProofRecord {
        asked_at: 1,
        judged_at: 2,
        software: "postmesh-prover".into(),
        statement: Statement {
            node_id: NodeId([1; 32]),
            commitment_atx_id: AtxId([2; 32]),
            challenge: Challenge([challenge; 32]),
            num_units: 4,
            labels_per_unit: 1024,
        },
        proof: Proof { nonce: Nonce(17), indices: vec![1, 2, 3], pow: 9 },
        verdict: Verdict::Invalid("no".into()),
    }
}

#[test]
fn proofs_are_remembered_in_order_over_restarts() {
    let root = tempfile::tempdir().unwrap();
    for challenge in 0..3 {
        let store = Store::open(root.path()).unwrap();
        assert_eq!(store.add_proof(&record(challenge)).unwrap(), u64::from(challenge));
    }
    let store = Store::open(root.path()).unwrap();
    let latest = store.latest_proofs(2).unwrap();
    assert_eq!(latest, [(2, record(2)), (1, record(1))]);
}

#[test]
fn it_can_be_read_while_a_node_runs_and_written_by_one_only() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    store.add_proof(&record(7)).unwrap();
    let reader = Store::open_to_read(root.path()).unwrap();
    assert_eq!(reader.latest_proofs(9).unwrap(), [(0, record(7))]);
    assert!(matches!(Store::open(root.path()), Err(StoreError::Database { .. })));
}

#[test]
fn another_format_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    store.put(META, FORMAT_KEY, &9_u64.to_be_bytes()).unwrap();
    drop(store);
    assert!(matches!(Store::open(root.path()), Err(StoreError::Format { found: 9, .. })));
    assert!(matches!(Store::open_to_read(root.path()), Err(StoreError::Format { found: 9, .. })));
}

#[test]
fn a_damaged_record_is_named() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    store.add_proof(&record(1)).unwrap();
    store.put(PROOFS, &5_u64.to_be_bytes(), b"junk").unwrap();
    let found = store.latest_proofs(9);
    assert!(matches!(found, Err(StoreError::Damaged { key, .. }) if key == "5"));
}

fn request(identity: u8, challenge: u8) -> ProofRequest {
    let (node_id, challenge) = (NodeId([identity; 32]), Challenge([challenge; 32]));
    ProofRequest { node_id, challenge, asked_at: 1, deadline: 9 }
}

#[test]
fn what_is_wanted_outlives_a_restart_and_ends_with_its_proof() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    store.want(&request(2, 9)).unwrap();
    store.want(&request(1, 6)).unwrap();
    store.want(&request(1, 7)).unwrap();
    drop(store);
    let store = Store::open(root.path()).unwrap();
    assert_eq!(store.wanted().unwrap(), [request(1, 7), request(2, 9)]);
    // The proof of another challenge answers nothing.
    store.add_proof(&record(6)).unwrap();
    assert_eq!(store.wanted().unwrap().len(), 2);
    store.add_proof(&record(7)).unwrap();
    assert_eq!(store.wanted().unwrap(), [request(2, 9)]);
    store.want_no_longer(NodeId([2; 32])).unwrap();
    drop(store);
    assert_eq!(Store::open(root.path()).unwrap().wanted().unwrap(), []);
}

#[test]
fn a_database_of_format_one_is_read_as_it_is_and_becomes_format_two_when_a_node_opens_it() {
    let root = tempfile::tempdir().unwrap();
    let mut options = options();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    let db = DB::open_cf(&options, root.path(), [META, PROOFS]).unwrap();
    db.put_cf(db.cf_handle(META).unwrap(), FORMAT_KEY, 1_u64.to_be_bytes()).unwrap();
    let bytes = encode(&record(5)).unwrap();
    db.put_cf(db.cf_handle(PROOFS).unwrap(), 0_u64.to_be_bytes(), bytes).unwrap();
    drop(db);
    let read = || Store::open_to_read(root.path()).unwrap();
    assert_eq!(read().latest_proofs(9).unwrap(), [(0, record(5))]);
    assert_eq!(read().format().unwrap(), Some(1));
    let store = Store::open(root.path()).unwrap();
    store.want(&request(1, 8)).unwrap();
    assert_eq!(store.format().unwrap(), Some(2));
    assert_eq!(store.add_proof(&record(8)).unwrap(), 1);
    drop(store);
    assert_eq!(read().latest_proofs(9).unwrap(), [(1, record(8)), (0, record(5))]);
}

#[test]
fn a_damaged_request_is_named_by_its_identity() {
    let root = tempfile::tempdir().unwrap();
    let store = Store::open(root.path()).unwrap();
    // Whole, but in the place of another.
    let bytes = encode(&request(1, 1)).unwrap();
    store.put(WANTED, &[7; 32], &bytes).unwrap();
    let found = store.wanted();
    assert!(matches!(found, Err(StoreError::Damaged { key, .. }) if key == "07".repeat(32)));
}

#[test]
fn a_database_that_was_never_finished_is_none_and_is_finished() {
    let root = tempfile::tempdir().unwrap();
    let mut options = Options::default();
    options.create_if_missing(true);
    drop(DB::open(&options, root.path()).unwrap());
    let read = || Store::open_to_read(root.path());
    assert!(matches!(read(), Err(StoreError::None { .. })));
    options.create_missing_column_families(true);
    drop(DB::open_cf(&options, root.path(), [META, PROOFS]).unwrap());
    assert!(matches!(read(), Err(StoreError::None { .. })));
    Store::open(root.path()).unwrap().add_proof(&record(1)).unwrap();
    assert_eq!(read().unwrap().latest_proofs(9).unwrap(), [(0, record(1))]);
}

#[test]
fn no_database_is_an_error_when_only_reading() {
    let root = tempfile::tempdir().unwrap();
    let none = Store::open_to_read(&root.path().join("none"));
    assert!(matches!(none, Err(StoreError::None { .. })));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}
