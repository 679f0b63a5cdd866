//! Shares on a disk that loses power: what is there, what is lacking, and what is refused.

use super::*;
use crate::arrange::{Arrangement, Place};
use crate::metadata::Metadata;
use crate::simulated::Simulated;
use post::{AtxId, Candidate, FullLabel, LabelIndex, NodeId};

/// Units of eight labels, files of four.
fn metadata(units: u32) -> Metadata {
    Metadata::new(NodeId([1; 32]), AtxId([2; 32]), 8, units, 64)
}

fn n() -> ScryptN {
    ScryptN::new(2).unwrap()
}

/// Finds, arranges and carries out, as a run of `init` does.
fn arranged(
    disk: &Simulated,
    paths: &[&str],
    wanted: Metadata,
    files: Option<FileNumbers>,
) -> Result<DataSet, PlotError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let found = DataSet::found_on(disk.clone(), paths)?;
    // Two files each.
    let place = |path: &&str| Place { path: path.into(), limit: Some(128) };
    let places: Vec<Place> = paths.iter().map(place).collect();
    let known = found.as_ref();
    let arranged = match files {
        Some(files) => Arrangement::of_share_on(disk, known, &places, wanted, files)?,
        None => Arrangement::new_on(disk, known, &places, wanted)?,
    };
    let set = arranged.carry_out(found, n())?;
    set.whole_or_share()?;
    Ok(set)
}

/// A share with all of its labels.
fn share(disk: &Simulated, paths: &[&str], files: impl Into<FileNumbers>) -> DataSet {
    let mut set = arranged(disk, paths, metadata(3), Some(files.into())).unwrap();
    fill(&mut set).unwrap();
    set
}

fn fill(set: &mut DataSet) -> Result<(), PlotError> {
    for file in set.survey()? {
        for label in file.absent() {
            set.append(label, &[u8::try_from(label).unwrap(); 16])?;
        }
    }
    Ok(())
}

fn merge(disk: &Simulated, paths: &[&str]) -> Result<Merge, PlotError> {
    Merge::new_on(Arc::new(disk.clone()), paths)
}

fn contents(disk: &Simulated) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    disk.paths().into_iter().map(|path| (path.clone(), disk.content(&path))).collect()
}

#[test]
fn a_share_says_that_it_is_one() {
    let disk = Simulated::default();
    let set = share(&disk, &["/a", "/b"], 2..5);
    assert!(set.is_share());
    assert_eq!(set.files(), FileNumbers::from(2..5));
    assert_eq!(set.survey().unwrap().len(), 3);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let part = DataSet::open_on(shared.clone(), &["/b", "/a"]).unwrap_err().to_string();
    assert!(part.contains("label files 2 to 4 of 0 to 5") && part.contains("merge"), "{part}");
    // Half of a share is neither a share nor a whole.
    let half = DataSet::open_on(shared, &["/a"]).unwrap_err();
    assert!(matches!(&half, PlotError::Unplaced { seen, .. } if seen == &[Path::new("/b")]));
    // A share does not take other files, and does not grow.
    for files in [2..4, 0..6] {
        let refused = arranged(&disk, &["/a", "/b"], metadata(3), Some(files.into()));
        assert!(matches!(refused, Err(PlotError::OtherShare { .. })));
    }
    assert_eq!(arranged(&disk, &["/b", "/a"], metadata(3), None).unwrap().files(), set.files());
}

/// The power is cut at any operation of making a share in two directories: the same run carries on
/// to the same share, and so does one that is told nothing once there is metadata.
#[test]
fn a_share_is_carried_on_from_any_power_cut() {
    let make = |disk: &Simulated, files| -> Result<(), PlotError> {
        fill(&mut arranged(disk, &["/a", "/b"], metadata(3), files)?)
    };
    let asked = || Some(FileNumbers::from(1..5));
    let whole = Simulated::default();
    make(&whole, asked()).unwrap();
    for cut in 0..whole.operations() {
        let disk = Simulated::default();
        disk.cut_after(cut);
        make(&disk, asked()).unwrap_err();
        for seed in 0..4 {
            let left = disk.reboot(cut << 8 | seed);
            let shared: Arc<dyn Disk> = Arc::new(left.clone());
            let is_there = DataSet::found_on(shared.clone(), &["/a", "/b"]).unwrap().is_some();
            let told = if is_there && seed % 2 == 0 { None } else { asked() };
            make(&left, told).unwrap();
            let set = DataSet::found_on(shared, &["/a", "/b"]).unwrap().unwrap();
            assert!(set.is_share() && set.files() == FileNumbers::from(1..5), "{cut}, {seed}");
            set.survey().unwrap().iter().for_each(|file| file.complete().unwrap());
        }
    }
}

#[test]
fn what_is_lacking_is_named_file_by_file() {
    let disk = Simulated::default();
    share(&disk, &["/a"], 0..2);
    let mut half = arranged(&disk, &["/b"], metadata(3), Some((3..5).into())).unwrap();
    half.append(12, &[12; 16]).unwrap();
    let before = contents(&disk);
    let lacking = merge(&disk, &["/a", "/b"]).unwrap().lacking().unwrap();
    let files: Vec<String> = lacking.iter().map(|lack| lack.files.to_string()).collect();
    assert_eq!(files, ["2, 5", "3", "4"]);
    assert_eq!(lacking[0].directories, [] as [&Path; 0]);
    assert_eq!(lacking[1].directories, [Path::new("/b")]);
    assert!(matches!(lacking[1].why, PlotError::Short { found: 16, expected: 64, .. }));
    assert!(matches!(lacking[2].why, PlotError::Missing { .. }));
    assert_eq!(contents(&disk), before);
}

#[test]
fn shares_that_do_not_belong_together_are_told_apart() {
    let refusal = |other: Metadata, files: std::ops::Range<u64>, scrypt_n: u32| {
        let disk = Simulated::default();
        share(&disk, &["/a"], 0..2);
        let place = [Place { path: "/b".into(), limit: None }];
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let arranged = Arrangement::of_share_on(shared, None, &place, other, files.into()).unwrap();
        arranged.carry_out(None, ScryptN::new(scrypt_n).unwrap()).unwrap();
        let before = contents(&disk);
        let refused = merge(&disk, &["/a", "/b"]).map(drop);
        assert_eq!(contents(&disk), before);
        refused
    };
    let base = || metadata(3);
    let (mut whose, mut atx, mut units) = (base(), base(), base());
    whose.node_id = NodeId([9; 32]);
    atx.commitment_atx_id = AtxId([9; 32]);
    units.num_units = 2;
    let (mut unit, mut size) = (base(), base());
    unit.labels_per_unit = 9;
    size.max_file_size = 32;
    for (other, scrypt_n, what, says) in [
        (whose, 2, "identity", (&"01".repeat(32)[..], &"09".repeat(32)[..])),
        (atx, 2, "ATX", (&"02".repeat(32), &"09".repeat(32))),
        (units, 2, "number of units", ("3", "2")),
        (unit, 2, "labels per unit", ("8", "9")),
        (size, 2, "file size", ("64", "32")),
        (base(), 4, "scrypt's N", ("2", "4")),
    ] {
        let text = refusal(other, 2..3, scrypt_n).unwrap_err().to_string();
        let values = format!("({} and {})", says.0, says.1);
        for part in ["/a and /b", what, &values] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert!(matches!(refusal(base(), 1..3, 2), Err(PlotError::Twice { file: 1, .. })));
    refusal(base(), 2..3, 2).unwrap();
}

/// Directories of the reference have no sidecar: the files that are there decide.
#[test]
fn shares_of_the_reference_are_joined() {
    let disk = Simulated::default();
    let whole = |path: &str, files: std::ops::Range<u64>| {
        metadata(3).save(&disk, Path::new(path)).unwrap();
        for number in files {
            let path = Path::new(path).join(format!("postdata_{number}.bin"));
            crate::files::replace(&disk, &path, &[7; 64]).unwrap();
        }
    };
    whole("/a", 4..6);
    whole("/b", 0..4);
    let mut merge = merge(&disk, &["/a", "/b"]).unwrap();
    assert_eq!(merge.lacking().unwrap().len(), 0);
    assert!(!merge.is_done());
    let nonce = Candidate { index: LabelIndex(3), label: FullLabel([7; 32]) };
    merge.set_mut().update(|metadata| metadata.set_vrf_nonce(nonce)).unwrap();
    let set = merge.run(n()).unwrap();
    let files: Vec<String> = set.shares().map(|(_, files)| files.to_string()).collect();
    assert_eq!(files, ["4 to 5", "0 to 3"]);
    assert_eq!(set.scrypt_n(), Some(n()));
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let half = DataSet::open_on(shared, &["/a"]).unwrap_err();
    assert!(matches!(&half, PlotError::Unplaced { seen, .. } if seen == &[Path::new("/b")]));
    // Its part of a set, begun there, is gone on with as a share; files that are there are of it.
    let disk = Simulated::default();
    metadata(3).save(&disk, Path::new("/a")).unwrap();
    let path = Path::new("/a/postdata_2.bin");
    crate::files::replace(&disk, path, &[7; 64]).unwrap();
    let refused = arranged(&disk, &["/a"], metadata(3), Some((0..2).into()));
    assert!(matches!(refused, Err(PlotError::OtherShare { .. })));
}
