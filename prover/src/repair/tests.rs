//! Repairs, refusals, and a power cut at every operation.

use super::*;
use crate::check::tests::{
    FILE_LABELS, LARGE, SMALL, check, flip, labeler, large, n, open, path, small, tiny, write,
};
use crate::crew::Member;
use plot::Metadata;
use plot::disk::Disk;
use plot::simulated::Simulated;
use post::{AtxId, NodeId};
use std::path::Path;

/// Finds what is bad and repairs it, as the command does.
fn repair(set: &mut DataSet, n: ScryptN, percent: f64) -> Result<Mended, RepairError> {
    let mut labels = labeler(set, n);
    let stop = || false;
    let bad = {
        let labeler = &mut labels;
        let mut check = crate::check::Check {
            set,
            labeler,
            n,
            percent,
            seed: 9,
            record: false,
            stop: &stop,
            report: false.into(),
        };
        check.run()?.bad
    };
    set.set_maker("repairer")?;
    let mut crew = crew(set, n);
    let mut mending = Mending { set, crew: &mut crew, stop: &stop, bad: &bad, json: false };
    mending.refuse_foreign()?;
    mending.run(17)
}

/// One CPU thread.
fn crew(set: &DataSet, n: ScryptN) -> Crew {
    let (name, labeler) = ("cpu".to_owned(), Box::new(labeler(set, n)));
    let mut draws = 0_u64;
    let draw = move |bound: u64| {
        draws += 7;
        draws % bound
    };
    Crew::new(set.metadata().commitment(), n, vec![Member { name, labeler }], Box::new(draw))
}

fn data(disk: &Simulated) -> [Option<Vec<u8>>; 2] {
    ["postdata_0.bin", "postdata_1.bin"].map(|name| disk.content(&path(name)))
}

/// Undoes every repair, the newest first.
fn undo_all(disk: &Simulated) {
    for number in (1..9).rev() {
        let entry = path("trash").join(number.to_string());
        plot::repair::undo(disk, Path::new(crate::check::tests::ROOT), &entry).unwrap();
    }
}

#[test]
fn wrong_zeroed_and_unreadable_labels_are_right_again_and_the_old_ones_kept() {
    let disk = large();
    let whole = data(&disk);
    for label in [0, 1, 5, 70, 65_535, 65_536, FILE_LABELS - 1] {
        flip(&disk, &path("postdata_0.bin"), label * 16 + 3);
    }
    write(&disk, &path("postdata_0.bin"), 40 * 4096, &[0; 4096]);
    let before = data(&disk);
    disk.fail_reads(&path("postdata_1.bin"), 8192..8193);
    let mut set = open(&disk);
    let mended = repair(&mut set, n(), 0.1).unwrap();
    assert_eq!((mended.labels, mended.refused.len()), (7 + 256 + 256, 0));
    assert_eq!(mended.kept, [path("trash/1")]);
    assert!(data(&disk) == whole);
    assert_eq!(check(&set, 0.1, false).bad, []);
    assert_eq!(repair(&mut set, n(), 0.1).map(|mended| mended.labels).ok(), Some(0));
    let makers = set.provenance().unwrap().makers;
    assert!(makers.iter().any(|(_, name, _)| name == "repairer"), "{makers:?}");
    undo_all(&disk);
    assert!(data(&disk) == before);
}

#[test]
fn damaged_manifests_are_mended_without_touching_a_label() {
    let whole = large();
    for at in [0, 13, 50, 64, 70, 100, 127] {
        let disk = whole.reboot(0);
        flip(&disk, &path("postmesh_0.manifest"), at);
        let mut set = open(&disk);
        assert_eq!(repair(&mut set, n(), 0.1).unwrap().labels, 0, "byte {at}");
        assert!(data(&disk) == data(&whole));
        assert_eq!(check(&set, 0.1, false).bad, [], "byte {at}");
        let provenance = set.provenance().unwrap();
        assert_eq!((provenance.made, provenance.unhashed), (LARGE, 0), "byte {at}");
    }
}

/// Wrong N, wrong identity, and more that is bad than was found: nothing changes.
#[test]
fn other_data_is_refused_and_not_touched() {
    let disk = small();
    disk.remove(&path("postmesh_0.manifest")).unwrap();
    disk.remove(&path("postmesh_1.manifest")).unwrap();
    let before = disk.reboot(0);
    let unchanged = |disk: &Simulated| {
        assert!(data(disk) == data(&before));
        assert!(!disk.paths().iter().any(|name| name.starts_with(path("trash"))));
    };
    let refused = repair(&mut open(&disk), ScryptN::new(4).unwrap(), 100.0);
    assert!(matches!(refused, Err(RepairError::AllBad { .. })), "{refused:?}");
    unchanged(&disk);
    // Another identity in the metadata.
    let metadata = Metadata::new(NodeId([9; 32]), AtxId([2; 32]), SMALL, 1, SMALL / 2 * 16);
    let bytes = metadata.encode();
    let name = path("postdata_metadata.json");
    disk.remove(&name).unwrap();
    write(&disk, &name, 0, &bytes);
    let refused = repair(&mut open(&disk), n(), 100.0);
    assert!(matches!(refused, Err(RepairError::AllBad { .. })), "{refused:?}");
    unchanged(&disk);
}

#[test]
fn ranges_that_are_not_all_that_is_bad_are_refused() {
    let disk = small();
    write(&disk, &path("postdata_0.bin"), 100 * 16, &[0; 1600]);
    let before = data(&disk);
    let set = open(&disk);
    let mut crew = Crew::new(set.metadata().commitment(), n(), vec![], Box::new(|_| 0));
    let mut refuse = |range: LabelRange| {
        let bad = [BadRange::new(range, Path::new("f"), Why::Differs)];
        let (crew, stop) = (&mut crew, &|| false);
        Mending { set: &set, crew, stop, bad: &bad, json: false }.refuse_foreign()
    };
    for range in [100..150, 150..200, 101..200, 100..199, 0..1] {
        let refused = refuse(range.clone());
        assert!(matches!(refused, Err(RepairError::Outside { .. })), "{range:?}: {refused:?}");
    }
    refuse(100..200).unwrap();
    refuse(50..300).unwrap();
    assert!(matches!(refuse(0..SMALL), Err(RepairError::AllBad { .. })));
    assert!(data(&disk) == before);
}

#[test]
fn missing_labels_are_left_to_init() {
    let disk = small();
    disk.remove(&path("postdata_1.bin")).unwrap();
    flip(&disk, &path("postdata_0.bin"), 16);
    assert_eq!(repair(&mut open(&disk), n(), 0.1).unwrap().labels, 1);
    assert_eq!(disk.content(&path("postdata_1.bin")), None);
    let left = check(&open(&disk), 0.1, false).bad;
    assert_eq!((left.len(), left[0].why), (1, Why::Missing));
}

/// Whatever a power cut leaves at any operation, the next repair comes to the right bytes, and
/// undoing all of them to the bytes that were there before.
#[test]
fn a_power_cut_at_any_operation_of_a_repair_loses_nothing() {
    let whole = tiny();
    let damaged = whole.reboot(0);
    for label in [3, 4, 20] {
        flip(&damaged, &path("postdata_0.bin"), label * 16);
    }
    write(&damaged, &path("postdata_1.bin"), 480, &[0; 100]);
    let before = data(&damaged);
    for cut in 0.. {
        let disk = damaged.reboot(0);
        let mut set = open(&disk);
        disk.cut_after(cut);
        let done = repair(&mut set, n(), 0.1).is_ok_and(|mended| mended.refused.is_empty());
        for seed in 0..2 {
            let left = disk.reboot(cut << 8 | seed);
            let mut set = open(&left);
            repair(&mut set, n(), 0.1).unwrap();
            assert!(data(&left) == data(&whole), "cut {cut}, seed {seed}");
            assert_eq!(check(&set, 0.1, false).bad, [], "cut {cut}, seed {seed}");
            undo_all(&left);
            assert!(data(&left) == before, "cut {cut}, seed {seed}");
        }
        if done {
            assert!(cut > 50, "{cut}");
            break;
        }
    }
}
