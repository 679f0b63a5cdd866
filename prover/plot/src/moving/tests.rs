//! Moves on a disk that loses power at every operation, to another filesystem and on the same.

use super::*;
use crate::DataSet;
use crate::simulated::Simulated;
use crate::undo::Undo;
use post::{AtxId, NodeId, ScryptN};
use std::collections::BTreeMap;

const FROM: &str = "/a/data";
/// Another filesystem, and the same.
const TARGETS: [&str; 2] = ["/b/data", "/a/other"];
const SEEDS: u64 = 6;

type Files = BTreeMap<String, Vec<u8>>;

/// Two units of five labels in files of four, with a key beside them.
fn furnish() -> Simulated {
    let disk = Simulated::default();
    let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), 5, 2, 64);
    let n = ScryptN::new(2).unwrap();
    let shared = Arc::new(disk.clone());
    let mut set = DataSet::create_on(shared, Path::new(FROM), metadata, n).unwrap();
    for (first, labels) in [(0, vec![1; 64]), (4, vec![2; 64]), (8, vec![3; 32])] {
        set.append(first, &labels).unwrap();
    }
    files::replace(&disk, &Path::new(FROM).join("identity.key"), b"secret").unwrap();
    // What was measured here is of no use elsewhere.
    files::replace(&disk, &Path::new(FROM).join("postmesh_rates.json"), b"{}").unwrap();
    disk
}

fn moved(disk: &Simulated, to: &str) -> Result<Moved, PlotError> {
    let planned = Move::new_on(Arc::new(disk.clone()), Path::new(FROM), Path::new(to))?;
    planned.run(1_000, &[], &mut |_| true)
}

/// What is data in a directory, by name.
fn data(disk: &Simulated, directory: &Path) -> Files {
    let own = belongings(disk, directory).unwrap().into_iter().filter(|own| is_moved(own.kind));
    own.map(|own| (name_of(&own.path), disk.content(&own.path).unwrap())).collect()
}

/// Every label file is whole somewhere, whatever happened.
fn assert_nothing_lost(disk: &Simulated, original: &Files, context: &str) {
    let paths = disk.paths();
    for (name, content) in original.iter().filter(|(name, _)| name.starts_with("postdata_")) {
        let named = |path: &&PathBuf| {
            path.file_name().is_some_and(|found| found.to_string_lossy().starts_with(name.as_str()))
        };
        let mut copies = paths.iter().filter(named);
        let whole = copies.any(|path| disk.content(path).as_ref() == Some(content));
        assert!(whole, "{context}: {name} is lost");
    }
    assert_eq!(disk.content(&Path::new(FROM).join("identity.key")).unwrap(), b"secret");
}

fn assert_moved(disk: &Simulated, to: &str, original: &Files, context: &str) {
    assert_eq!(data(disk, Path::new(to)), *original, "{context}");
    assert_eq!(data(disk, Path::new(FROM)), Files::new(), "{context}");
    let set = DataSet::open_on(Arc::new(disk.clone()), &[to]).unwrap();
    set.survey().unwrap().iter().for_each(|file| file.complete().unwrap());
    let left = disk
        .paths()
        .into_iter()
        .filter(|path| path.ends_with(MOVE_FILE_NAME) || path.extension() == Some("part".as_ref()));
    assert_eq!(left.count(), 0, "{context}");
    assert!(!disk.paths().iter().any(|path| path.ends_with("postmesh_rates.json")), "{context}");
    let entries = Entry::all_on(disk, Path::new(FROM)).unwrap();
    if to == TARGETS[0] {
        assert_eq!((entries.len(), entries[0].stage), (1, Stage::Done), "{context}");
        assert_eq!(data(disk, &entries[0].folder()), *original, "{context}");
    } else {
        assert_eq!(entries, [], "{context}");
    }
}

#[test]
fn a_move_that_loses_power_anywhere_is_finished_by_the_same_move() {
    let furnished = furnish();
    let original = data(&furnished, Path::new(FROM));
    assert_eq!(original.len(), 8);
    for to in TARGETS {
        let whole = furnished.reboot(0);
        assert_eq!(moved(&whole, to).unwrap().stayed, [Path::new(FROM).join("identity.key")]);
        let operations = whole.operations();
        assert_moved(&whole, to, &original, to);
        for cut in 0..operations {
            for seed in 0..SEEDS {
                let context = format!("{to}, cut {cut}, seed {seed}");
                let disk = furnished.reboot(0);
                disk.cut_after(cut);
                assert!(moved(&disk, to).is_err(), "{context}");
                let left = disk.reboot(cut << 8 | seed);
                assert_nothing_lost(&left, &original, &context);
                // Never are both data, save while the source goes to its trash.
                let holds = |path| Metadata::load(&left, Path::new(path)).unwrap().is_some();
                let noted = Note::load(&left, Path::new(to)).unwrap().is_some();
                assert!(!holds(to) || !holds(FROM) || noted, "{context}");
                match moved(&left, to) {
                    // It was done but for the last sync.
                    Err(PlotError::NoTarget { why: "it is not empty", .. }) => {}
                    other => drop(other.unwrap()),
                }
                assert_moved(&left, to, &original, &context);
            }
        }
    }
}

#[test]
fn an_undone_move_brings_the_source_back_after_any_power_cut() {
    let furnished = furnish();
    let original = data(&furnished, Path::new(FROM));
    let there = furnished.reboot(0);
    moved(&there, TARGETS[0]).unwrap();
    let undo =
        |disk: &Simulated| Undo::find_on(Arc::new(disk.clone()), &[FROM], None).and_then(Undo::run);
    let whole = there.reboot(0);
    undo(&whole).unwrap();
    for cut in 0..whole.operations() {
        for seed in 0..SEEDS {
            let disk = there.reboot(0);
            disk.cut_after(cut);
            assert!(undo(&disk).is_err(), "operation {cut}");
            let left = disk.reboot(cut << 8 | seed);
            match undo(&left) {
                Err(PlotError::NoEntry { .. }) => {}
                other => assert_eq!(other.unwrap(), [""; 0].map(PathBuf::from)),
            }
            assert_eq!(data(&left, Path::new(FROM)), original, "cut {cut}, seed {seed}");
            assert_eq!(data(&left, Path::new(TARGETS[0])), original, "cut {cut}, seed {seed}");
        }
    }
}

#[test]
fn a_target_that_holds_anything_is_refused_and_nothing_changes() {
    let furnished = furnish();
    let refused = |disk: &Simulated, to: &str| {
        let before = disk.paths();
        let error = moved(disk, to).unwrap_err();
        assert_eq!(disk.paths(), before);
        error
    };
    for to in [FROM, "/a/data/inside"] {
        assert!(matches!(refused(&furnished, to), PlotError::NoTarget { .. }), "{to}");
    }
    for name in ["postdata_0.bin", "letter.txt", "postdata_metadata.json"] {
        let disk = furnished.reboot(0);
        files::replace(&disk, &Path::new("/b/data").join(name), b"{}").unwrap();
        assert!(matches!(refused(&disk, "/b/data"), PlotError::NoTarget { .. }), "{name}");
    }
    // A lock is nothing.
    files::replace(&furnished, Path::new("/b/data/postmesh.lock"), b"").unwrap();
    moved(&furnished, "/b/data").unwrap();
    assert!(matches!(refused(&furnished, "/b/else"), PlotError::NoData { .. }));
}

#[test]
fn a_source_that_changed_meanwhile_is_not_taken_for_the_old_one() {
    let disk = furnish();
    let planned = Move::new_on(Arc::new(disk.clone()), Path::new(FROM), Path::new("/b/data"));
    let stopped = planned.unwrap().run(1, &[], &mut |_| false);
    assert!(matches!(stopped, Err(PlotError::Stopped)));
    let other = Move::new_on(Arc::new(disk.clone()), Path::new("/a/else"), Path::new("/b/data"));
    assert!(matches!(other, Err(PlotError::NoTarget { .. })));
    files::replace(&disk, &Path::new(FROM).join("postdata_1.bin"), &[9; 80]).unwrap();
    let changed = Move::new_on(Arc::new(disk), Path::new(FROM), Path::new("/b/data"));
    assert!(matches!(changed, Err(PlotError::Changed { found: 80, expected: 64, .. })));
}

#[test]
fn siblings_learn_where_it_went() {
    let disk = furnish();
    let path = Path::new("/c/data");
    let mut sidecar = Sidecar::new(ScryptN::new(2).unwrap());
    sidecar.siblings = vec!["/x".into(), FROM.into()];
    sidecar.save(&disk, path).unwrap();
    let planned = Move::new_on(Arc::new(disk.clone()), Path::new(FROM), Path::new("/b/data"));
    planned.unwrap().run(1, &[path.to_path_buf()], &mut |_| true).unwrap();
    let sidecar = Sidecar::load(&disk, path).unwrap().unwrap();
    assert_eq!(sidecar.siblings, [Path::new("/x"), Path::new("/b/data")]);
}
