//! Whole data sets: interrupted, damaged, cut off, and made by crews of all kinds.

use super::*;
use crate::crew::tests::{Fault, member, n, sevens, together};
use plot::Metadata;
use plot::simulated::Simulated;
use post::label::LabelFault;
use post::{AtxId, Commitment, NodeId};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Barrier};

fn commitment() -> Commitment {
    Commitment::new(&NodeId([1; 32]), &AtxId([2; 32]))
}

fn new_directory(root: &std::path::Path) -> DataSet {
    let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), 100, 3, 128 * 16);
    DataSet::create(root, metadata, n()).unwrap()
}

/// By one device: a wrong label at an index, and an end after so many ranges.
fn init(
    directory: &mut DataSet,
    wrong_at: Option<u64>,
    fills_max: u64,
) -> Result<Summary, MakeError> {
    let plan = move |fills| match wrong_at {
        _ if fills >= fills_max => Some(Fault::Stop),
        wrong_at => wrong_at.map(Fault::Lie),
    };
    let members = vec![member("cpu", commitment(), 1, plan)];
    init_by(directory, Crew::new(commitment(), n(), members, sevens()))
}

fn init_by(directory: &mut DataSet, mut crew: Crew) -> Result<Summary, MakeError> {
    Init { set: directory, crew: &mut crew, stop: &|| false, report: false.into() }.run()
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
    let label = |index: &u64| post::label(&commitment(), LabelIndex(*index), n());
    assert_eq!(Some(vrf_nonce.0), (0..300).min_by_key(label));
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_bytes() {
    let expected = undisturbed();
    for fills_max in 1..3 {
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
    for fills_max in [2, 99] {
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

/// Whoever made them: the bytes are the same, and so is the nonce.
#[test]
fn the_bytes_are_those_of_one_device_whatever_the_crew() {
    let expected = undisturbed();
    let faults: [fn(u64) -> Option<Fault>; 4] = [
        |_| None,
        |fills| (fills % 2 == 1).then_some(Fault::Fail),
        |fills| (fills > 0).then_some(Fault::Hang),
        |_| Some(Fault::Mislead),
    ];
    for fault in faults {
        let root = tempfile::tempdir().unwrap();
        let mut directory = new_directory(root.path());
        let all = Arc::new(Barrier::new(3));
        let members = vec![
            member("cpu", commitment(), 1, together(&all, |_| None)),
            member("gpu:a", commitment(), 10, together(&all, |_| None)),
            member("gpu:b", commitment(), 33, together(&all, fault)),
        ];
        let crew = Crew::new(commitment(), n(), members, sevens());
        let summary = init_by(&mut directory, crew).unwrap();
        assert_eq!((summary.made, summary.found), (300, 0));
        assert_eq!(summary.shares.iter().map(|share| share.labels).sum::<u64>(), 300);
        assert_eq!((contents(&directory), summary.vrf_nonce), expected);
        for file in directory.survey().unwrap() {
            file.complete().unwrap();
        }
        let makers = directory.provenance().unwrap().makers;
        let [(_, maker, _)] = makers.as_slice() else { panic!("{makers:?}") };
        assert!(crate::crew::took_part("gpu:b", maker), "{maker}");
    }
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
        Err(PlotError::NoData { .. }) => DataSet::create_on(disk, path, metadata, n()),
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
