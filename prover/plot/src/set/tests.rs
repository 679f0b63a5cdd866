//! Data directories on the system's disk, and on one that loses power.

use super::*;
use crate::simulated::Simulated;
use post::{AtxId, NodeId, ScryptN};
use std::fs;

fn n() -> ScryptN {
    ScryptN::new(2).unwrap()
}

fn path(set: &DataSet) -> PathBuf {
    set.paths().next().unwrap().to_path_buf()
}

/// Two units of five labels in files of four: 4 + 4 + 2.
fn new_directory() -> (tempfile::TempDir, DataSet) {
    let root = tempfile::tempdir().unwrap();
    let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), 5, 2, 64);
    let directory = DataSet::create(&root.path().join("data"), metadata, n()).unwrap();
    (root, directory)
}

fn labels(range: std::ops::Range<u8>) -> Vec<u8> {
    range.flat_map(|label| [label; 16]).collect()
}

fn fill(directory: &mut DataSet) {
    for range in [0..4, 4..8, 8..10] {
        directory.append(u64::from(range.start), &labels(range)).unwrap();
    }
}

#[test]
fn labels_are_read_back_across_files() {
    let (_root, mut directory) = new_directory();
    fill(&mut directory);
    let opened = DataSet::open(&[path(&directory)]).unwrap();
    assert_eq!(opened.scrypt_n(), Some(n()));
    let mut buffer = [0; 7 * 16];
    let mut reader = opened.reader();
    assert_eq!(reader.read(2, &mut buffer).unwrap(), 7 * 16);
    assert_eq!(buffer[..], labels(2..9));
    assert_eq!(reader.read(8, &mut buffer).unwrap(), 2 * 16);
    assert_eq!(buffer[..32], labels(8..10));
    assert_eq!(reader.read(10, &mut buffer).unwrap(), 0);
    for file in opened.survey().unwrap() {
        file.complete().unwrap();
    }
}

#[test]
fn data_is_never_made_over_data() {
    let (_root, directory) = new_directory();
    let again = DataSet::create(&path(&directory), directory.metadata().clone(), n());
    assert!(matches!(again, Err(PlotError::Exists { .. })));
    // Not even when only the labels are left.
    let mut directory = directory;
    fill(&mut directory);
    fs::remove_file(path(&directory).join(crate::metadata::FILE_NAME)).unwrap();
    let again = DataSet::create(&path(&directory), directory.metadata().clone(), n());
    assert!(matches!(again, Err(PlotError::Exists { .. })));
    assert!(matches!(DataSet::open(&[path(&directory)]), Err(PlotError::NoData { .. })));
}

#[test]
fn a_torn_label_is_completed_in_place() {
    let (_root, mut directory) = new_directory();
    directory.append(0, &labels(0..2)).unwrap();
    let path = directory.file(0).unwrap().path;
    let torn = [labels(0..2), vec![2; 9]].concat();
    fs::write(&path, torn).unwrap();
    assert_eq!(directory.file(0).unwrap().present(), 0..2);
    directory.append(2, &labels(2..4)).unwrap();
    assert_eq!(fs::read(&path).unwrap(), labels(0..4));
}

#[test]
fn appends_that_do_not_fit_the_file_are_refused() {
    let (_root, mut directory) = new_directory();
    directory.append(0, &labels(0..2)).unwrap();
    for first in [0, 1, 3] {
        let refused = directory.append(first, &labels(0..1));
        assert!(matches!(refused, Err(PlotError::Changed { .. })), "{first}");
    }
    let refused = directory.append(2, &labels(2..5));
    assert!(matches!(refused, Err(PlotError::Oversized { .. })));
    let path = directory.file(0).unwrap().path;
    assert_eq!(fs::read(path).unwrap(), labels(0..2));
}

#[test]
fn missing_short_and_oversized_files_are_told_apart() {
    let (_root, mut directory) = new_directory();
    fill(&mut directory);
    let files = directory.survey().unwrap();
    fs::remove_file(&files[0].path).unwrap();
    fs::write(&files[1].path, [0; 40]).unwrap();
    fs::write(&files[2].path, [0; 48]).unwrap();
    let files = directory.survey().unwrap();
    assert!(matches!(files[0].complete(), Err(PlotError::Missing { .. })));
    let short = files[1].complete();
    assert!(matches!(short, Err(PlotError::Short { found: 40, expected: 64, .. })));
    assert_eq!(files[1].absent(), 6..8);
    let long = files[2].complete();
    assert!(matches!(long, Err(PlotError::Oversized { found: 48, expected: 32, .. })));
    let mut reader = directory.reader();
    let mut buffer = [0; 32];
    assert!(matches!(reader.read(0, &mut buffer), Err(PlotError::Missing { .. })));
    assert!(matches!(reader.read(6, &mut buffer), Err(PlotError::Short { found: 40, .. })));
}

#[test]
fn metadata_changes_are_kept() {
    let (_root, mut directory) = new_directory();
    directory.update(|metadata| metadata.last_position = Some(7)).unwrap();
    let again = DataSet::open(&[path(&directory)]).unwrap();
    assert_eq!(again.metadata().last_position, Some(7));
}

/// Appends all labels in small steps; how many were safe when the power went, if it did.
fn append_all(disk: &Simulated) -> u64 {
    let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), 5, 2, 64);
    let path = Path::new("/data");
    let created = DataSet::create_on(Arc::new(disk.clone()), path, metadata, n());
    let Ok(mut directory) = created else { return 0 };
    let steps = [0..1, 1..3, 3..4, 4..8, 8..9, 9..10];
    let safe = steps
        .into_iter()
        .take_while(|step| directory.append(u64::from(step.start), &labels(step.clone())).is_ok());
    safe.last().map_or(0, |step| u64::from(step.end))
}

#[test]
fn what_an_append_promised_is_there_after_any_power_cut() {
    let whole = Simulated::default();
    assert_eq!(append_all(&whole), 10);
    for cut in 0..whole.operations() {
        let disk = Simulated::default();
        disk.cut_after(cut);
        let safe = append_all(&disk);
        for seed in 0..16 {
            let left = Arc::new(disk.reboot(cut << 8 | seed));
            let Ok(directory) = DataSet::open_on(left, &["/data"]) else {
                assert_eq!(safe, 0, "cut {cut}, seed {seed}");
                continue;
            };
            let present = |file: FileState| file.present().end - file.present().start;
            let known: u64 = directory.survey().unwrap().into_iter().map(present).sum();
            assert!(known >= safe, "cut {cut}, seed {seed}: {known} of {safe} labels");
            let mut stored = vec![0; usize::try_from(safe).unwrap() * 16];
            directory.reader().read(0, &mut stored).unwrap();
            assert_eq!(stored, labels(0..u8::try_from(safe).unwrap()));
        }
    }
}
