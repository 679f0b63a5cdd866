//! The search on disk, beside what the definition says.

use super::*;
use plot::Metadata;
use plot::simulated::Simulated;
use post::{AtxId, NodeId};
use std::fs;
use std::path::Path;
use std::sync::Arc;

const LABELS: u64 = 300;

fn n() -> ScryptN {
    ScryptN::new(2).unwrap()
}

fn label(set: &DataSet, index: u64) -> Candidate {
    let index = LabelIndex(index);
    Candidate { index, label: post::label(&set.metadata().commitment(), index, n()) }
}

/// A set of three files, with its first `made` labels.
fn set(disk: &Simulated, made: u64) -> DataSet {
    let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), 100, 3, 128 * 16);
    let disk = Arc::new(disk.clone());
    let mut set = DataSet::create_on(disk, Path::new("/data"), metadata, n()).unwrap();
    for file in 0..set.layout().files() {
        let labels = set.layout().labels_of(file);
        let labels = labels.start.min(made)..labels.end.min(made);
        let bytes: Vec<u8> =
            labels.clone().flat_map(|index| label(&set, index).label.stored()).collect();
        if !labels.is_empty() {
            set.append(labels.start, &bytes).unwrap();
        }
    }
    set
}

fn write(disk: &Simulated, set: &DataSet, index: u64, bytes: &[u8]) {
    use plot::disk::{Access, Disk};
    let (file, offset) = set.layout().place_of(index);
    let path = set.file(file).unwrap().path;
    disk.open(&path, Access::Write).unwrap().write_all_at(bytes, offset).unwrap();
}

fn search(set: &DataSet) -> Result<Option<Candidate>, MakeError> {
    search_on_disk(set, n(), &|| false, &mut |_| {})
}

fn smallest(set: &DataSet, labels: impl Iterator<Item = u64>) -> Option<Candidate> {
    labels.fold(None, |best, index| Candidate::better(best, Some(label(set, index))))
}

#[test]
fn the_smallest_label_on_disk_is_found() {
    for made in [0, 1, 128, 200, LABELS] {
        let set = set(&Simulated::default(), made);
        let mut read = 0;
        let found = search_on_disk(&set, n(), &|| false, &mut |labels| read += labels).unwrap();
        assert_eq!(found, smallest(&set, 0..made), "{made}");
        assert_eq!(read, made);
    }
    let set = set(&Simulated::default(), LABELS);
    let stopped = search_on_disk(&set, n(), &|| true, &mut |_| {});
    assert!(matches!(stopped, Err(MakeError::Label(LabelFault::Stopped))));
}

#[test]
fn labels_that_are_wrong_or_unreadable_do_not_mislead_it() {
    let disk = Simulated::default();
    let set = set(&disk, LABELS);
    let best = search(&set).unwrap().unwrap();
    // One that looks smaller than any.
    let other = (best.index.0 + 1) % LABELS;
    write(&disk, &set, other, &[0; 16]);
    assert_eq!(search(&set).unwrap(), Some(best));
    // The best one, looking large: another is found, as it would be if it could not be read.
    write(&disk, &set, best.index.0, &[0xff; 16]);
    let rest = || (0..LABELS).filter(|index| *index != best.index.0 && *index != other);
    assert_eq!(search(&set).unwrap(), smallest(&set, rest().chain([other])));
    let (file, _) = set.layout().place_of(best.index.0);
    disk.fail_reads(&set.file(file).unwrap().path, 0..1);
    let file = set.layout().labels_of(file);
    let readable = (0..LABELS).filter(|index| !file.contains(index));
    assert_eq!(search(&set).unwrap(), smallest(&set, readable.chain([other])));
}

#[test]
fn another_n_and_damaged_data_are_named() {
    let disk = Simulated::default();
    let set = set(&disk, LABELS);
    let other = search_on_disk(&set, ScryptN::new(4).unwrap(), &|| false, &mut |_| {});
    assert!(matches!(other, Err(MakeError::Foreign { .. })), "{other:?}");
    write(&disk, &set, 0, &[0; 128 * 16]);
    write(&disk, &set, 128, &[0; 128 * 16]);
    write(&disk, &set, 256, &[0; 44 * 16]);
    assert!(matches!(search(&set), Err(MakeError::Foreign { .. })));
}

#[test]
fn the_reference_s_nonce_is_found_on_its_data() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/reference-data-dir");
    let root = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), root.path().join(entry.file_name())).unwrap();
    }
    let set = DataSet::open(&[root.path()]).unwrap();
    let found = search_on_disk(&set, ScryptN::new(8192).unwrap(), &|| false, &mut |_| {});
    let found = found.unwrap().unwrap();
    assert_eq!(Some(found.index), set.metadata().nonce);
    assert!(vrf::suits(&found.label, set.layout().num_labels()));
}
