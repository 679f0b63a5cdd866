//! Shrinking, undoing and purging on a disk that loses power at every operation.

use super::*;
use crate::arrange::{Arrangement, Place};
use crate::metadata::Metadata;
use crate::simulated::Simulated;
use crate::undo::Undo;
use post::{AtxId, FullLabel, LabelIndex, NodeId, ScryptN};
use std::collections::BTreeMap;
use std::sync::Arc;

const PATHS: [&str; 2] = ["/a/data", "/b/data"];
/// 30 labels in files of four: 0 to 4 in `/a`, 5 to 7 in `/b`. Of 15, the third file is cut.
const UNITS: u32 = 6;
const FEWER: u32 = 3;
const SEEDS: u64 = 6;

fn labels(range: std::ops::Range<u64>) -> Vec<u8> {
    range.flat_map(|label| [label as u8; 16]).collect()
}

fn candidate(index: u64, first: u8) -> Candidate {
    let mut label = [7; 32];
    label[0] = first;
    Candidate { index: LabelIndex(index), label: FullLabel(label) }
}

/// A whole data set over two disks, with its VRF nonce among the labels that are cut off.
fn furnish() -> Simulated {
    let disk = Simulated::default();
    let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), 5, UNITS, 64);
    let places = [(PATHS[0], Some(5 * 64)), (PATHS[1], None)]
        .map(|(path, limit)| Place { path: path.into(), limit });
    let shared = Arc::new(disk.clone());
    let arranged = Arrangement::new_on(shared, None, &places, metadata).unwrap();
    let mut set = arranged.carry_out(None, ScryptN::new(2).unwrap()).unwrap();
    fill(&mut set);
    set.update(|metadata| metadata.set_vrf_nonce(candidate(20, 1))).unwrap();
    disk
}

fn fill(set: &mut DataSet) {
    for file in set.survey().unwrap() {
        let absent = file.absent();
        if !absent.is_empty() {
            set.append(absent.start, &labels(absent)).unwrap();
        }
    }
}

fn found(disk: &Simulated) -> DataSet {
    DataSet::found_on(Arc::new(disk.clone()), &PATHS).unwrap().unwrap()
}

fn shrink(disk: &Simulated) -> Result<DataSet, PlotError> {
    let set = DataSet::found_on(Arc::new(disk.clone()), &PATHS)?.unwrap();
    let shrink = Shrink::new(set, FEWER)?;
    let smallest = shrink.cuts_nonce().then_some(candidate(7, 2));
    shrink.run(1_000, smallest, &mut |_| true)
}

fn undo(disk: &Simulated) -> Result<Vec<PathBuf>, PlotError> {
    Undo::find_on(Arc::new(disk.clone()), &PATHS, None)?.run()
}

fn purge(disk: &Simulated) -> Result<(), PlotError> {
    for path in PATHS {
        for entry in Entry::all_on(disk, Path::new(path))? {
            entry.purge_on(disk)?;
        }
    }
    Ok(())
}

/// Every file with its content.
fn snapshot(disk: &Simulated) -> BTreeMap<PathBuf, Vec<u8>> {
    disk.paths().into_iter().map(|path| (path.clone(), disk.content(&path).unwrap())).collect()
}

/// What is there, leftovers of interrupted writes aside.
fn settled(disk: &Simulated) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = snapshot(disk);
    all.retain(|path, _| path.extension().is_none_or(|ending| ending != "tmp"));
    all
}

/// Whatever happened, every label of the old set is in its directory or in the trash.
fn assert_nothing_lost(disk: &Simulated, context: &str) {
    let all = snapshot(disk);
    for number in 0..8 {
        let name = format!("postdata_{number}.bin");
        let whole = labels(number * 4..(number * 4 + 4).min(30));
        let mut copies = all.iter().filter(|(path, _)| path.file_name() == Some(name.as_ref()));
        assert!(copies.any(|(_, content)| *content == whole), "{context}: file {number} is lost");
    }
}

fn assert_shrunk(disk: &Simulated, context: &str) {
    let set = DataSet::open_on(Arc::new(disk.clone()), &PATHS).unwrap();
    assert_eq!(set.metadata().num_units, FEWER, "{context}");
    assert_eq!(set.metadata().vrf_nonce(), Some(candidate(7, 2)), "{context}");
    for file in set.survey().unwrap() {
        file.complete().unwrap();
        assert!(file.confirmed.is_some(), "{context}");
    }
    let mut stored = vec![0; 15 * 16];
    set.reader().read(0, &mut stored).unwrap();
    assert_eq!(stored, labels(0..15), "{context}");
    let block = labels(12..15);
    assert_eq!(set.slot(3, 0).unwrap().unwrap().agrees(&block), Some(true), "{context}");
    let [first, second] = PATHS.map(|path| Entry::all_on(disk, Path::new(path)).unwrap());
    assert_eq!((first.len(), second.len()), (1, 1), "{context}");
    assert!(first[0].is_with(&second[0]), "{context}");
    assert_eq!((first[0].stage, second[0].stage), (Stage::Done, Stage::Done), "{context}");
    assert!(snapshot(disk).keys().all(|path| path.extension() != Some("part".as_ref())));
}

/// Runs `step` with the power cut at each of its operations, and shows what each cut can leave.
fn at_every_cut(
    before: &Simulated,
    step: impl Fn(&Simulated) -> Result<(), PlotError>,
    after: impl Fn(&Simulated, u64, &str),
) {
    let whole = before.reboot(0);
    step(&whole).unwrap();
    for cut in 0..whole.operations() {
        for seed in 0..SEEDS {
            let disk = before.reboot(0);
            disk.cut_after(cut);
            assert!(step(&disk).is_err(), "operation {cut}");
            after(&disk.reboot(cut << 8 | seed), seed, &format!("cut {cut}, seed {seed}"));
        }
    }
}

#[test]
fn a_shrink_that_loses_power_anywhere_is_finished_or_undone() {
    let furnished = furnish();
    let original = settled(&furnished);
    at_every_cut(
        &furnished,
        |disk| shrink(disk).map(drop),
        |left, seed, context| {
            assert_nothing_lost(left, context);
            if seed % 2 == 0 {
                match shrink(left) {
                    // The power went after the last thing that matters.
                    Err(PlotError::NotLess { .. }) => {}
                    other => drop(other.unwrap()),
                }
                assert_shrunk(left, context);
                assert_nothing_lost(left, context);
            } else {
                match undo(left) {
                    // Before the first thing that matters.
                    Err(PlotError::NoEntry { .. }) => {}
                    other => assert_eq!(other.unwrap(), [""; 0].map(PathBuf::from), "{context}"),
                }
                assert_eq!(settled(left), original, "{context}");
            }
        },
    );
}

#[test]
fn an_undo_that_loses_power_anywhere_is_finished_or_taken_back() {
    let furnished = furnish();
    let original = settled(&furnished);
    let shrunk = furnished.reboot(0);
    shrink(&shrunk).unwrap();
    assert_shrunk(&shrunk, "undisturbed");
    at_every_cut(
        &shrunk,
        |disk| undo(disk).map(drop),
        |left, seed, context| {
            assert_nothing_lost(left, context);
            let finished = match undo(left) {
                Err(PlotError::NoEntry { .. }) => Ok(()),
                other => other.map(drop),
            };
            finished.unwrap();
            assert_eq!(settled(left), original, "{context}");
            if seed == 0 {
                shrink(left).unwrap();
                assert_shrunk(left, context);
            }
        },
    );
}

#[test]
fn a_half_undone_shrink_is_finished_as_a_shrink_too() {
    let shrunk = furnish();
    shrink(&shrunk).unwrap();
    at_every_cut(
        &shrunk,
        |disk| undo(disk).map(drop),
        |left, _, context| {
            match shrink(left) {
                // Nothing was undone yet.
                Err(PlotError::NotLess { .. }) => {}
                other => drop(other.unwrap()),
            }
            assert_shrunk(left, context);
            assert_nothing_lost(left, context);
        },
    );
}

#[test]
fn a_purge_that_loses_power_anywhere_is_finished_and_takes_only_the_trash() {
    let shrunk = furnish();
    shrink(&shrunk).unwrap();
    let mut staying = settled(&shrunk);
    staying.retain(|path, _| path.components().all(|part| part.as_os_str() != "trash"));
    at_every_cut(&shrunk, purge, |left, _, context| {
        purge(left).unwrap();
        assert_eq!(settled(left), staying, "{context}");
    });
}

#[test]
fn a_half_purged_entry_is_not_undone() {
    let shrunk = furnish();
    shrink(&shrunk).unwrap();
    let mut halves = 0;
    for cut in 0..30 {
        let disk = shrunk.reboot(cut);
        disk.cut_after(cut);
        drop(purge(&disk));
        let left = disk.reboot(cut);
        let begun = |path| Entry::all_on(&left, Path::new(path)).unwrap();
        if PATHS.into_iter().flat_map(begun).any(|entry| entry.stage == Stage::Purging) {
            assert!(matches!(undo(&left), Err(PlotError::NotUndone { .. })));
            halves += 1;
        }
    }
    assert!(halves > 5);
}

#[test]
fn a_set_that_grew_since_is_left_alone() {
    let disk = furnish();
    shrink(&disk).unwrap();
    let set = found(&disk);
    let mut metadata = set.metadata().clone();
    metadata.num_units = FEWER + 1;
    let places = PATHS.map(|path| Place { path: path.into(), limit: None });
    let arranged = Arrangement::new_on(Arc::new(disk.clone()), Some(&set), &places, metadata);
    let mut set = arranged.unwrap().carry_out(Some(set), ScryptN::new(2).unwrap()).unwrap();
    let grown = snapshot(&disk);
    assert!(matches!(undo(&disk), Err(PlotError::Grown { now: 4, before: 6, after: 3, .. })));
    assert_eq!(snapshot(&disk), grown);
    fill(&mut set);
    set.whole().unwrap();
    // Back at the old size by making the labels again: both sides are named, none is chosen.
    let mut metadata = set.metadata().clone();
    metadata.num_units = UNITS;
    let arranged = Arrangement::new_on(Arc::new(disk.clone()), Some(&set), &places, metadata);
    let mut set = arranged.unwrap().carry_out(Some(set), ScryptN::new(2).unwrap()).unwrap();
    fill(&mut set);
    let grown = snapshot(&disk);
    assert!(matches!(undo(&disk), Err(PlotError::InTheWay { .. })));
    assert_eq!(snapshot(&disk), grown);
    // The next shrink has an entry of its own, and both can be undone in turn.
    let again = Shrink::new(set, FEWER).unwrap().run(2_000, None, &mut |_| true).unwrap();
    assert_eq!(again.metadata().num_units, FEWER);
    let entries = Entry::all_on(&disk, Path::new(PATHS[0])).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [1, 2]);
    undo(&disk).unwrap();
    assert_eq!(found(&disk).metadata().num_units, UNITS);
}

#[test]
fn an_interrupted_shrink_is_not_mixed_with_another() {
    let disk = furnish();
    disk.cut_after(60);
    assert!(shrink(&disk).is_err());
    let left = disk.reboot(1);
    let other = Shrink::new(found(&left), FEWER - 1);
    assert!(matches!(other, Err(PlotError::Unfinished { what: "shrink", number: 1, .. })));
    // What is in the trash of an unfinished shrink may be the only copy.
    let entries = Entry::all_on(&left, Path::new(PATHS[0])).unwrap();
    assert_eq!(entries[0].stage, Stage::Begun);
}

#[test]
fn requests_that_are_none_are_refused() {
    for units in [UNITS, UNITS + 1] {
        let refused = Shrink::new(found(&furnish()), units);
        assert!(matches!(refused, Err(PlotError::NotLess { units: UNITS, .. })));
    }
    assert!(matches!(Shrink::new(found(&furnish()), 0), Err(PlotError::Damaged { .. })));
}

#[test]
fn the_nonce_stays_unless_its_label_goes() {
    for (index, cut) in [(14, false), (15, true), (29, true), (30, false), (99, false)] {
        let disk = furnish();
        let mut set = found(&disk);
        set.update(|metadata| metadata.set_vrf_nonce(candidate(index, 1))).unwrap();
        let shrink = Shrink::new(set, FEWER).unwrap();
        assert_eq!(shrink.cuts_nonce(), cut, "{index}");
        // The best that stays is too large for 15 labels: the old one remains.
        let large = cut.then_some(candidate(3, 0xff));
        let set = shrink.run(1, large, &mut |_| true).unwrap();
        assert_eq!(set.metadata().vrf_nonce(), Some(candidate(index, 1)));
    }
}

#[test]
fn a_stopped_copy_changes_nothing_that_counts() {
    let disk = furnish();
    let shrink = Shrink::new(found(&disk), FEWER).unwrap();
    assert_eq!(shrink.copied(), 48);
    assert_eq!(shrink.shares()[0].files, 4, "files 3 and 4 with their manifests");
    assert!(matches!(shrink.run(1, None, &mut |_| false), Err(PlotError::Stopped)));
    let set = DataSet::open_on(Arc::new(disk), &PATHS).unwrap();
    assert_eq!(set.metadata().num_units, UNITS);
    set.survey().unwrap().iter().for_each(|file| file.complete().unwrap());
}
