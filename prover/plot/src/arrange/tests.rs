//! Sets over several directories: where files go, and what interruptions leave.

use super::*;
use crate::simulated::Simulated;
use post::{AtxId, NodeId};

fn metadata(units: u32) -> Metadata {
    // Units of eight labels, files of four.
    Metadata::new(NodeId([1; 32]), AtxId([2; 32]), 8, units, 64)
}

fn n() -> ScryptN {
    ScryptN::new(2).unwrap()
}

fn place(path: &str, limit: Option<u64>) -> Place {
    Place { path: path.into(), limit }
}

fn labels(range: std::ops::Range<u8>) -> Vec<u8> {
    range.flat_map(|label| [label; 16]).collect()
}

/// Finds, arranges and carries out, as a run of `init` does.
fn arranged(disk: &Simulated, places: &[Place], units: u32) -> Result<DataSet, PlotError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let paths: Vec<&Path> = places.iter().map(|place| place.path.as_path()).collect();
    let found = DataSet::found_on(disk.clone(), &paths)?;
    let mut wanted = found.as_ref().map_or_else(|| metadata(units), |set| set.metadata().clone());
    wanted.num_units = units;
    Arrangement::new_on(disk, found.as_ref(), places, wanted)?.carry_out(found, n())
}

fn fill(set: &mut DataSet) -> Result<(), PlotError> {
    for file in set.survey()? {
        for label in file.absent() {
            let number = u8::try_from(label).unwrap();
            set.append(label, &labels(number..number + 1))?;
        }
    }
    Ok(())
}

fn files(set: &DataSet) -> Vec<String> {
    set.shares().map(|(_, files)| files.to_string()).collect()
}

fn assert_filled(set: &DataSet) {
    let count = set.layout().num_labels();
    let mut stored = vec![0; usize::try_from(count).unwrap() * 16];
    assert_eq!(set.reader().read(0, &mut stored).unwrap(), stored.len());
    assert_eq!(stored, labels(0..u8::try_from(count).unwrap()));
}

#[test]
fn limits_are_kept_and_the_rest_goes_on() {
    let disk = Simulated::default();
    let places = [place("/a", Some(100)), place("/b", None)];
    let mut set = arranged(&disk, &places, 3).unwrap();
    assert_eq!(files(&set), ["0", "1 to 5"]);
    fill(&mut set).unwrap();
    let shared = Arc::new(disk.clone());
    let again = DataSet::open_on(shared.clone(), &["/b", "/a"]).unwrap();
    assert_eq!(files(&again), ["1 to 5", "0"]);
    assert_filled(&again);
    let part = DataSet::open_on(shared, &["/a"]).unwrap_err();
    let text = part.to_string();
    assert!(text.contains("1 to 5") && text.contains("last seen in /b"), "{text}");
}

#[test]
fn too_little_room_is_said_before_anything_is_written() {
    let disk = Simulated::default();
    let places = [place("/a", Some(100)), place("/b", Some(64))];
    let refused = arranged(&disk, &places, 3).unwrap_err();
    assert!(matches!(refused, PlotError::NoRoom { missing: 256, .. }), "{refused}");
    assert_eq!(disk.paths(), Vec::<PathBuf>::new());
}

#[test]
fn a_set_grows_and_what_it_has_stays() {
    let disk = Simulated::default();
    let mut set = arranged(&disk, &[place("/a", None)], 1).unwrap();
    fill(&mut set).unwrap();
    assert!(set.sidecars().all(|(_, sidecar)| sidecar.unwrap().files.is_none()));
    let mut set = arranged(&disk, &[place("/a", Some(64 * 3)), place("/b", None)], 3).unwrap();
    assert_eq!(files(&set), ["0 to 2", "3 to 5"]);
    assert_eq!(set.metadata().num_units, 3);
    fill(&mut set).unwrap();
    assert_filled(&set);
}

#[test]
fn a_file_without_labels_may_go_elsewhere() {
    let disk = Simulated::default();
    let mut set = arranged(&disk, &[place("/a", None)], 2).unwrap();
    set.append(0, &labels(0..2)).unwrap();
    let mut set = arranged(&disk, &[place("/a", Some(64)), place("/b", None)], 2).unwrap();
    assert_eq!(files(&set), ["0", "1 to 3"]);
    fill(&mut set).unwrap();
    assert_filled(&set);
}

#[test]
fn files_of_a_directory_that_is_not_named_are_not_made_again() {
    let disk = Simulated::default();
    let places = [place("/a", Some(64)), place("/b", None)];
    arranged(&disk, &places, 1).unwrap();
    let refused = arranged(&disk, &places[..1], 1).unwrap_err();
    assert!(matches!(refused, PlotError::Unplaced { .. }), "{refused}");
    let refused = arranged(&disk, &places[..1], 2).unwrap_err();
    assert!(matches!(refused, PlotError::Unplaced { .. }), "{refused}");
}

#[test]
fn directories_that_are_not_of_one_set_are_told_apart() {
    let disk = Simulated::default();
    arranged(&disk, &[place("/a", None)], 1).unwrap();
    let other = Metadata::new(NodeId([9; 32]), AtxId([2; 32]), 8, 1, 64);
    DataSet::create_on(Arc::new(disk.clone()), Path::new("/b"), other, n()).unwrap();
    let refused = DataSet::open_on(Arc::new(disk), &["/a", "/b"]).unwrap_err();
    assert!(refused.to_string().contains("identity"), "{refused}");
}

#[test]
fn copies_of_a_file_are_not_guessed_between() {
    let disk = Simulated::default();
    for path in ["/a", "/b"] {
        let mut set = arranged(&disk, &[place(path, None)], 1).unwrap();
        fill(&mut set).unwrap();
    }
    let refused = DataSet::open_on(Arc::new(disk), &["/a", "/b"]).unwrap_err();
    assert!(matches!(refused, PlotError::Twice { file: 0, .. }), "{refused}");
}

/// A power cut at any operation of creating, filling, growing and filling again: the same runs
/// carry on to the same data.
#[test]
fn any_power_cut_is_carried_on_from() {
    let runs = |disk: &Simulated| -> Result<(), PlotError> {
        let places = [place("/a", Some(64)), place("/b", Some(64 * 2)), place("/c", None)];
        // As a user would: the size that is there is filled first, then it grows.
        let found = DataSet::found_on(Arc::new(disk.clone()), &["/a", "/b", "/c"])?;
        if found.is_none_or(|set| set.whole().is_ok() && set.metadata().num_units == 1) {
            fill(&mut arranged(disk, &places[..2], 1)?)?;
        }
        fill(&mut arranged(disk, &places, 2)?)
    };
    let whole = Simulated::default();
    runs(&whole).unwrap();
    for cut in 0..whole.operations() {
        let disk = Simulated::default();
        disk.cut_after(cut);
        runs(&disk).unwrap_err();
        for seed in 0..4 {
            let left = disk.reboot(cut << 8 | seed);
            let resumed = runs(&left);
            assert!(resumed.is_ok(), "cut {cut}, seed {seed}: {}", resumed.unwrap_err());
            let set = DataSet::open_on(Arc::new(left), &["/a", "/b", "/c"]).unwrap();
            assert_filled(&set);
        }
    }
}
