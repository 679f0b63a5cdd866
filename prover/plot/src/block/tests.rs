//! Blocks of files whole, short and with bad sectors.

use super::*;
use crate::Metadata;
use crate::simulated::Simulated;
use post::{AtxId, NodeId, ScryptN};
use std::path::Path;
use std::sync::Arc;

/// Files of a block and a half.
const FILE_LABELS: u64 = BLOCK_LABELS + BLOCK_LABELS / 2;

fn set(disk: &Simulated) -> DataSet {
    let per_unit = 2 * FILE_LABELS;
    let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), per_unit, 1, FILE_LABELS * LABEL);
    let n = ScryptN::new(2).unwrap();
    let mut set =
        DataSet::create_on(Arc::new(disk.clone()), Path::new("/data"), metadata, n).unwrap();
    for file in 0..2 {
        let labels = set.layout().labels_of(file);
        let bytes: Vec<u8> =
            labels.clone().flat_map(|label| u128::from(label).to_le_bytes()).collect();
        set.append(labels.start, &bytes).unwrap();
    }
    set
}

#[test]
fn files_are_cut_where_blocks_end() {
    let set = set(&Simulated::default());
    let second = set.layout().labels_of(1);
    let parts: Vec<_> = set.by_block(second.start + 5..second.end).collect();
    let middle = second.start + BLOCK_LABELS;
    assert_eq!(parts, [second.start + 5..middle, middle..second.end]);
    assert_eq!(set.by_block(3..3).count(), 0);
}

#[test]
fn a_bad_sector_costs_its_page() {
    let disk = Simulated::default();
    let set = set(&disk);
    let path = set.file(1).unwrap().path;
    let first = FILE_LABELS;
    let page = PAGE_LABELS;
    // The last byte of page 3, and all of page 4.
    disk.fail_reads(&path, 4 * 4096 - 1..5 * 4096);
    disk.fail_reads(&path, BLOCK_LABELS * LABEL..BLOCK_LABELS * LABEL + 1);
    let labels = set.by_block(set.layout().labels_of(1)).next().unwrap();
    let blocks = set.blocks(1).unwrap();
    let block = blocks.read(labels.clone());
    assert_eq!((block.file, block.number, &block.labels), (1, 0, &labels));
    let gap = first + 3 * page..first + 5 * page;
    assert_eq!(block.gaps, std::slice::from_ref(&gap));
    assert!(block.fault.is_some());
    let runs: Vec<_> = block.runs().collect();
    assert_eq!(runs, [first..first + 3 * page, first + 5 * page..labels.end]);
    for run in &runs {
        let bytes = block.readable(run).unwrap();
        let label = bytes.last_chunk::<16>().unwrap();
        assert_eq!(u128::from_le_bytes(*label), u128::from(run.end - 1));
    }
    assert_eq!(block.readable(&(first..first + 3 * page + 1)), None);
    assert_eq!(block.readable(&(labels.end..labels.end + 1)), None);
    // A run that begins within a page.
    let part = blocks.read(first + 5 * page + 1..first + 5 * page + 3);
    assert_eq!((part.gaps.len(), part.bytes.len()), (0, 32));
    let last = blocks.read(first + BLOCK_LABELS..2 * FILE_LABELS);
    let gap = labels.end..labels.end + page;
    assert_eq!((last.number, &last.gaps[..]), (1, std::slice::from_ref(&gap)));
}
