//! Manifests whole, flipped anywhere, and cut short.

use super::*;
use crate::Metadata;
use crate::layout::LABEL;
use post::{AtxId, NodeId, ScryptN};
use std::fs;

const TAIL: u64 = 10;
const LABELS: u64 = 3 * BLOCK_LABELS + TAIL;

fn set() -> (tempfile::TempDir, DataSet) {
    let root = tempfile::tempdir().unwrap();
    let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), LABELS, 1, LABELS * LABEL);
    let n = ScryptN::new(2).unwrap();
    let mut set = DataSet::create(&root.path().join("data"), metadata, n).unwrap();
    let bytes = vec![7; (LABELS * LABEL) as usize];
    set.append(0, &bytes).unwrap();
    (root, set)
}

#[test]
fn a_whole_manifest_says_all() {
    let (_root, set) = set();
    let mut record = set.record(0).unwrap();
    assert_eq!(record.state, set.file(0).unwrap());
    record.state.complete().unwrap();
    assert!(record.fault.is_none() && !record.is_adopted(0));
    for block in 0..4 {
        assert_eq!(record.slot(block).unwrap(), set.slot(0, block).unwrap());
        assert!(record.slot(block).unwrap().is_some());
    }
    assert_eq!(record.slot(4).unwrap(), None);
}

/// A flip of any bit of the manifest hides the block that it is about, and nothing else.
#[test]
fn a_flip_anywhere_costs_one_slot_or_the_header() {
    let (_root, set) = set();
    let path = set.file(0).unwrap().path.with_file_name("postmesh_0.manifest");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, flipped).unwrap();
        let record = match set.record(0) {
            // The version's own bytes: what newer versions wrote is not touched.
            Err(PlotError::Damaged { .. }) => {
                assert!((8..12).contains(&at), "byte {at}");
                continue;
            }
            record => record,
        };
        let mut record = record.unwrap();
        let block = (at as u64 / 64).checked_sub(1);
        assert_eq!(record.fault.is_some(), block.is_none(), "byte {at}");
        for other in 0..4 {
            let there = record.slot(other).unwrap().is_some();
            assert_eq!(there, block != Some(other), "byte {at}, block {other}");
            assert_eq!(record.is_torn(other).unwrap(), block == Some(other));
        }
        let known = if block == Some(3) { LABELS - TAIL } else { LABELS };
        assert_eq!(record.state.present(), 0..known, "byte {at}");
        assert!(!record.is_adopted(0));
    }
}

#[test]
fn data_without_a_manifest_is_adopted_and_so_is_what_a_lost_header_leaves_without_slots() {
    let (_root, set) = set();
    let path = set.file(0).unwrap().path.with_file_name("postmesh_0.manifest");
    let mut bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let record = set.record(0).unwrap();
    assert!(record.is_adopted(3) && !record.is_adopted(4));
    assert!(!set.record(0).unwrap().is_torn(0).unwrap());
    assert_eq!(record.state.present(), 0..LABELS);
    bytes[..64].fill(0);
    bytes[64..128].fill(0);
    fs::write(&path, &bytes).unwrap();
    let record = set.record(0).unwrap();
    assert!(record.fault.is_some() && record.is_adopted(0) && !record.is_adopted(1));
    fs::write(&path, b"").unwrap();
    let record = set.record(0).unwrap();
    assert!(record.fault.is_some() && record.is_adopted(3));
    assert_eq!(record.state.present(), 0..LABELS);
}
