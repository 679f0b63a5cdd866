//! Labels replaced, brought back, and a power cut at every operation of either.

use super::*;
use crate::Metadata;
use crate::simulated::Simulated;
use post::{AtxId, NodeId, ScryptN};
use std::sync::Arc;

const LABELS: u64 = 600;
const FILE_LABELS: u64 = 300;
const ROOT: &str = "/data";

fn right(labels: Range<u64>) -> Vec<u8> {
    labels.flat_map(|label| u128::from(label + 1).to_le_bytes()).collect()
}

fn open(disk: &Simulated) -> DataSet {
    let mut set = DataSet::open_on(Arc::new(disk.clone()), &[ROOT]).unwrap();
    set.set_maker("repairer").unwrap();
    set
}

fn path(file: u64) -> PathBuf {
    label_file(Path::new(ROOT), file)
}

fn overwrite(disk: &Simulated, path: &Path, offset: u64, bytes: &[u8]) {
    let file = disk.open(path, Access::Write).unwrap();
    file.write_all_at(bytes, offset).unwrap();
    file.sync().unwrap();
}

/// Two files, of which the first has labels 3 to 5 and 200 wrong, the second label 300.
fn damaged_set() -> Simulated {
    let disk = Simulated::default();
    let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), LABELS, 1, FILE_LABELS * LABEL);
    let n = ScryptN::new(2).unwrap();
    let arc = Arc::new(disk.clone());
    let mut set = DataSet::create_on(arc, Path::new(ROOT), metadata, n).unwrap();
    for first in [0, FILE_LABELS] {
        set.append(first, &right(first..first + FILE_LABELS)).unwrap();
    }
    overwrite(&disk, &path(0), 3 * LABEL, &[9; 48]);
    overwrite(&disk, &path(0), 200 * LABEL, &[8; 16]);
    overwrite(&disk, &path(1), 0, &[7; 16]);
    disk
}

fn patches() -> [Patch; 2] {
    let patch = |file, block: Range<u64>, labels: &[Range<u64>]| {
        let labels = labels.iter().map(|range| (range.start, right(range.clone()))).collect();
        Patch { file, block, labels, verified: false }
    };
    [patch(0, 0..300, &[3..6, 200..201]), patch(1, 300..600, std::slice::from_ref(&(300..301)))]
}

fn repair(set: &DataSet) -> Result<Vec<Refused>, PlotError> {
    let mut repair = Repair::begin(set, 1_700_000_000)?;
    let mut refused = Vec::new();
    for patch in patches() {
        refused.extend(repair.replace(patch.file, &[patch])?);
    }
    Ok(refused)
}

fn assert_right(disk: &Simulated) {
    let set = open(disk);
    for file in 0..2 {
        let labels = set.layout().labels_of(file);
        let bytes = disk.content(&path(file)).unwrap();
        assert!(bytes == right(labels), "file {file}");
        assert_eq!(set.slot(file, 0).unwrap().unwrap().agrees(&bytes), Some(true));
        set.file(file).unwrap().complete().unwrap();
    }
}

/// Undoes all entries, the newest first.
fn undo_all(disk: &Simulated) -> Result<(), PlotError> {
    for number in (1..next_number(disk, Path::new(ROOT))?).rev() {
        undo(disk, Path::new(ROOT), &folder(Path::new(ROOT), number))?;
    }
    Ok(())
}

#[test]
fn labels_are_replaced_kept_and_brought_back() {
    let disk = damaged_set();
    let manifests = [0, 1].map(|file| PathBuf::from(format!("{ROOT}/postmesh_{file}.manifest")));
    let before = [path(0), path(1), manifests[0].clone(), manifests[1].clone()];
    let contents = || before.clone().map(|path| disk.content(&path).unwrap());
    let old = contents();
    let set = open(&disk);
    let mut repair = Repair::begin(&set, 17).unwrap();
    for patch in patches() {
        assert!(repair.replace(patch.file, &[patch]).unwrap().is_empty());
    }
    assert_eq!(repair.entries().collect::<Vec<_>>(), [Path::new("/data/trash/1")]);
    assert_right(&disk);
    let slot = set.slot(0, 0).unwrap().unwrap();
    assert_eq!((slot.maker, slot.adopted, slot.labels), (1, false, 300));
    let entry = disk.content(Path::new("/data/trash/1/entry.json")).unwrap();
    let entry: serde_json::Value = serde_json::from_slice(&entry).unwrap();
    assert_eq!((&entry["what"], &entry["when_unix"]), (&"repair".into(), &17.into()));
    for _ in 0..2 {
        let entry = Path::new("/data/trash/1");
        assert_eq!(undo(&disk, Path::new(ROOT), entry).unwrap(), 5);
        assert!(contents() == old);
    }
}

#[test]
fn a_power_cut_at_any_operation_loses_neither_old_labels_nor_new_ones() {
    let damaged = damaged_set();
    let old = [0, 1].map(|file| damaged.content(&path(file)).unwrap());
    let whole = damaged.reboot(0);
    let set = open(&whole);
    let before = whole.operations();
    assert!(repair(&set).unwrap().is_empty());
    let operations = whole.operations() - before;
    assert!(operations > 30);
    for cut in 0..operations {
        let disk = damaged.reboot(0);
        let set = open(&disk);
        disk.cut_after(cut);
        let done = repair(&set).is_ok_and(|refused| refused.is_empty());
        assert!(!done, "operation {cut}");
        for seed in 0..4 {
            let left = disk.reboot(cut << 8 | seed);
            let set = open(&left);
            // Whatever is not right yet is seen to be wrong.
            for file in 0..2 {
                let bytes = left.content(&path(file)).unwrap();
                let slot = set.slot(file, 0).unwrap();
                let agrees = slot.is_some_and(|slot| slot.agrees(&bytes) == Some(true));
                assert!(!agrees || bytes == right(set.layout().labels_of(file)), "{cut}, {seed}");
            }
            repair(&set).unwrap();
            assert_right(&left);
            undo_all(&left).unwrap();
            for (file, old) in (0..).zip(&old) {
                assert!(left.content(&path(file)).as_ref() == Some(old), "{cut}, {seed}");
            }
        }
    }
}

#[test]
fn a_power_cut_while_undoing_loses_nothing() {
    let damaged = damaged_set();
    let old = [0, 1].map(|file| damaged.content(&path(file)).unwrap());
    repair(&open(&damaged)).unwrap();
    for cut in 0.. {
        let disk = damaged.reboot(0);
        disk.cut_after(cut);
        let undone = undo_all(&disk).is_ok();
        for seed in 0..3 {
            let left = disk.reboot(cut << 8 | seed);
            undo_all(&left).unwrap();
            for (file, old) in (0..).zip(&old) {
                assert!(left.content(&path(file)).as_ref() == Some(old), "{cut}, {seed}");
            }
        }
        if undone {
            assert!(cut > 20);
            break;
        }
    }
}

#[test]
fn damaged_savings_and_shorter_files_are_refused_before_anything_is_written() {
    let disk = damaged_set();
    repair(&open(&disk)).unwrap();
    let entry = Path::new("/data/trash/1");
    let saved = entry.join("replaced_1");
    let whole = disk.content(&saved).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        overwrite(&disk, &saved, 0, &flipped);
        let refused = undo(&disk, Path::new(ROOT), entry);
        assert!(matches!(refused, Err(PlotError::Damaged { .. })), "byte {at}");
    }
    assert_right(&disk);
    overwrite(&disk, &saved, 0, &whole);
    disk.remove(&path(1)).unwrap();
    let refused = undo(&disk, Path::new(ROOT), entry);
    assert!(matches!(refused, Err(PlotError::Short { found: 0, .. })));
    assert!(disk.content(&path(0)).unwrap() == right(0..300));
}

#[test]
fn bad_sectors_are_written_again_and_those_that_refuse_are_named() {
    let disk = damaged_set();
    // Labels 0 to 255 cannot be read, those of the other file not be written.
    disk.fail_reads(&path(0), 100..200);
    disk.fail_writes(&path(1), 0..16);
    let set = open(&disk);
    let mut repair = Repair::begin(&set, 0).unwrap();
    let [mut first, second] = patches();
    first.labels = vec![(0, right(0..256))];
    assert!(repair.replace(0, std::slice::from_ref(&first)).unwrap().is_empty());
    let slot = set.slot(0, 0).unwrap().unwrap();
    let bytes = disk.content(&path(0)).unwrap();
    assert_eq!(slot.agrees(&bytes), Some(true));
    assert!(bytes == right(0..300));
    let refused = repair.replace(1, &[second]).unwrap();
    assert_eq!((refused.len(), refused[0].labels.clone()), (1, 300..301));
    assert!(refused[0].why.to_string().contains("cannot write"));
    assert!(undo(&disk, Path::new(ROOT), Path::new("/data/trash/1")).is_err());
}

#[test]
fn what_could_not_be_read_does_not_come_back() {
    let disk = damaged_set();
    disk.fail_reads(&path(0), 100..200);
    let set = open(&disk);
    let [mut patch, _] = patches();
    // The unreadable page and label 280.
    overwrite(&disk, &path(0), 280 * LABEL, &[6; 16]);
    patch.labels = vec![(0, right(0..256)), (280, right(280..281))];
    let mut repair = Repair::begin(&set, 0).unwrap();
    assert!(repair.replace(0, &[patch]).unwrap().is_empty());
    assert_eq!(undo(&disk, Path::new(ROOT), Path::new("/data/trash/1")).unwrap(), 1);
    let bytes = disk.content(&path(0)).unwrap();
    assert!(bytes[..280 * 16] == right(0..280));
    assert_eq!(bytes[280 * 16..281 * 16], [6; 16]);
}

#[test]
fn a_damaged_header_or_slot_is_mended_and_the_block_counts_as_verified() {
    for at in [3, 20, 60, 64, 70, 100, 127] {
        let disk = Simulated::default();
        let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), 300, 1, 300 * LABEL);
        let n = ScryptN::new(2).unwrap();
        let arc = Arc::new(disk.clone());
        let mut set = DataSet::create_on(arc, Path::new(ROOT), metadata, n).unwrap();
        set.append(0, &right(0..300)).unwrap();
        let manifest = Path::new("/data/postmesh_0.manifest");
        let whole = disk.content(manifest).unwrap();
        overwrite(&disk, manifest, at, &[!whole[at as usize]]);
        let set = open(&disk);
        let mut repair = Repair::begin(&set, 0).unwrap();
        let patch = Patch { file: 0, block: 0..300, labels: vec![], verified: true };
        assert!(repair.replace(0, &[patch]).unwrap().is_empty());
        set.file(0).unwrap().complete().unwrap();
        let slot = set.slot(0, 0).unwrap().unwrap();
        assert_eq!(slot.agrees(&right(0..300)), Some(true), "byte {at}");
        assert_eq!((slot.adopted, slot.maker), (false, 1));
    }
}
