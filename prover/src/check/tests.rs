//! Checks of data that is damaged in every way, on a disk in memory.

use super::*;
use cpu::Labels;
use plot::Metadata;
use plot::disk::{Access, Disk};
use plot::simulated::Simulated;
use post::{AtxId, NodeId, ScryptN};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

pub(crate) const ROOT: &str = "/data";
/// A block and a bit in a file of the large set.
pub(crate) const FILE_LABELS: u64 = plot::BLOCK_LABELS + 300;
pub(crate) const LARGE: u64 = 2 * FILE_LABELS;
pub(crate) const SMALL: u64 = 600;

pub(crate) fn n() -> ScryptN {
    ScryptN::new(2).unwrap()
}

pub(crate) fn labeler(set: &DataSet, n: ScryptN) -> Labels {
    Labels::new(set.metadata().commitment(), n, NonZeroUsize::MIN)
}

/// A set of two files with all its labels.
fn made(total: u64) -> Simulated {
    let disk = Simulated::default();
    let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), total, 1, total / 2 * 16);
    let arc = Arc::new(disk.clone());
    let mut set = DataSet::create_on(arc, Path::new(ROOT), metadata, n()).unwrap();
    set.set_maker("tests").unwrap();
    for file in 0..2 {
        let labels = set.layout().labels_of(file);
        let mut bytes = vec![0; (count(&labels) * 16) as usize];
        labeler(&set, n()).fill(labels.clone(), &mut bytes, &|| false).unwrap();
        set.append(labels.start, &bytes).unwrap();
    }
    disk
}

/// A set of [`LARGE`] labels.
pub(crate) fn large() -> Simulated {
    static DISK: LazyLock<Simulated> = LazyLock::new(|| made(LARGE));
    DISK.reboot(0)
}

/// A set of 80 labels.
pub(crate) fn tiny() -> Simulated {
    static DISK: LazyLock<Simulated> = LazyLock::new(|| made(80));
    DISK.reboot(0)
}

/// A set of [`SMALL`] labels.
pub(crate) fn small() -> Simulated {
    static DISK: LazyLock<Simulated> = LazyLock::new(|| made(SMALL));
    DISK.reboot(0)
}

pub(crate) fn open(disk: &Simulated) -> DataSet {
    DataSet::open_on(Arc::new(disk.clone()), &[ROOT]).unwrap()
}

pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}

pub(crate) fn write(disk: &Simulated, path: &Path, offset: u64, bytes: &[u8]) {
    let file = disk.open(path, Access::Write).unwrap();
    file.write_all_at(bytes, offset).unwrap();
    file.sync().unwrap();
}

pub(crate) fn flip(disk: &Simulated, path: &Path, offset: u64) {
    let byte = disk.content(path).unwrap()[offset as usize];
    write(disk, path, offset, &[byte ^ 1 << (offset % 8)]);
}

pub(crate) fn check(set: &DataSet, percent: f64, record: bool) -> Findings {
    checked_with(set, n(), percent, record)
}

fn checked_with(set: &DataSet, n: ScryptN, percent: f64, record: bool) -> Findings {
    let mut labels = labeler(set, n);
    let labeler = &mut labels;
    Check { set, labeler, n, percent, seed: 5, record, stop: &|| false, report: false.into() }
        .run()
        .unwrap()
}

/// What is bad, in short.
fn bad(findings: &Findings) -> Vec<(u64, u64, Why)> {
    findings.bad.iter().map(|range| (range.first, range.last, range.why)).collect()
}

#[test]
fn good_data_is_hashed_and_sampled() {
    for (disk, total) in [(small(), SMALL), (large(), LARGE)] {
        let findings = check(&open(&disk), 0.1, false);
        assert_eq!(bad(&findings), []);
        assert_eq!((findings.present, findings.hashed), (total, total));
        assert_eq!((findings.made, findings.stopped), (findings.right, false));
        assert!((total.min(1024)..1200).contains(&findings.made), "{}", findings.made);
    }
    let all = check(&open(&small()), 100.0, false);
    assert_eq!((all.made, all.ppm()), (SMALL, 1_000_000));
}

/// Flips of one bit, in labels that are not in the sample.
#[test]
fn every_flip_in_the_data_is_named() {
    let disk = large();
    let flipped: Vec<u64> = (0..40).map(|number| number * 2971 + number % 16).collect();
    for at in &flipped {
        let (file, label) = (at * 16 / (FILE_LABELS * 16), at % FILE_LABELS);
        flip(&disk, &path(&format!("postdata_{file}.bin")), label * 16 + at % 16);
    }
    let expected: Vec<_> = flipped.iter().map(|at| (*at, *at, Why::Differs)).collect();
    let findings = check(&open(&disk), 0.001, false);
    assert_eq!(bad(&findings), expected);
}

#[test]
fn torn_zeroed_and_unreadable_parts_are_named_exactly() {
    let disk = large();
    // Zeros over two files' ends, two sectors of the second, a page that cannot be read.
    let end = FILE_LABELS;
    write(&disk, &path("postdata_0.bin"), (end - 100) * 16, &[0; 1600]);
    write(&disk, &path("postdata_1.bin"), 0, &[0; 1024]);
    write(&disk, &path("postdata_1.bin"), 512 * 10, &[0; 512]);
    disk.fail_reads(&path("postdata_0.bin"), 5 * 4096 + 7..5 * 4096 + 8);
    let expected = [
        (5 * 256, 6 * 256 - 1, Why::Unreadable),
        (end - 100, end - 1, Why::Differs),
        (end, end + 63, Why::Differs),
        (end + 320, end + 351, Why::Differs),
    ];
    let findings = check(&open(&disk), 0.1, false);
    assert_eq!(bad(&findings), expected);
}

#[test]
fn a_flip_anywhere_in_a_manifest_is_blamed_on_it() {
    let whole = large();
    let manifest = path("postmesh_0.manifest");
    // Of the header and the slots of a whole block and the last: one byte of each field.
    for at in [0, 9, 13, 20, 50, 60, 64, 68, 70, 75, 90, 125, 128, 140, 190] {
        let disk = whole.reboot(0);
        flip(&disk, &manifest, at);
        if (8..12).contains(&at) {
            let set = open(&disk);
            let mut labels = labeler(&set, n());
            let mut check = Check {
                set: &set,
                labeler: &mut labels,
                n: n(),
                percent: 0.1,
                seed: 1,
                record: false,
                stop: &|| false,
                report: false.into(),
            };
            assert!(check.run().is_err(), "a newer version's manifest");
            continue;
        }
        let expected = match at {
            ..64 => (0, FILE_LABELS - 1, Why::Manifest),
            64..128 => (0, plot::BLOCK_LABELS - 1, Why::Manifest),
            // Of the last block nothing else says that it was safe.
            _ => (plot::BLOCK_LABELS, FILE_LABELS - 1, Why::Unconfirmed),
        };
        assert_eq!(bad(&check(&open(&disk), 0.1, false)), [expected], "byte {at}");
    }
}

#[test]
fn a_slot_of_other_labels_is_the_manifest_s_fault() {
    let disk = large();
    let set = open(&disk);
    let slot = set.slot(1, 0).unwrap().unwrap();
    set.vouch(0, &[(0, slot)]).unwrap();
    assert_eq!(bad(&check(&set, 0.1, false)), [(0, plot::BLOCK_LABELS - 1, Why::Manifest)]);
}

#[test]
fn files_that_are_missing_short_or_too_long_are_all_listed() {
    let disk = small();
    disk.remove(&path("postdata_0.bin")).unwrap();
    write(&disk, &path("postdata_1.bin"), 300 * 16, b"more");
    let expected = [(0, 299, Why::Missing), (300, 599, Why::Excess)];
    assert_eq!(bad(&check(&open(&disk), 0.1, false)), expected);
}

#[test]
fn data_without_hashes_gets_them_and_keeps_what_is_bad_in_sight() {
    let disk = large();
    disk.remove(&path("postmesh_0.manifest")).unwrap();
    disk.remove(&path("postmesh_1.manifest")).unwrap();
    let set = open(&disk);
    assert_eq!(set.provenance().unwrap().unhashed, LARGE);
    assert_eq!(check(&set, 0.1, false).recorded, 0);
    assert_eq!(disk.content(&path("postmesh_0.manifest")), None);
    // Wrong labels, more in a row than the sample leaves out: their block is not vouched for.
    write(&disk, &path("postdata_1.bin"), 0, &[1; 5000 * 16]);
    let wrong = (FILE_LABELS, FILE_LABELS + 4999, Why::Differs);
    let findings = check(&set, 0.1, true);
    assert_eq!(bad(&findings), [wrong]);
    assert_eq!(findings.recorded, LARGE - plot::BLOCK_LABELS);
    let provenance = set.provenance().unwrap();
    assert_eq!((provenance.hashed, provenance.unhashed), (findings.recorded, plot::BLOCK_LABELS));
    // What changes from now on is seen without making it again.
    flip(&disk, &path("postdata_0.bin"), 77 * 16);
    let findings = check(&set, 0.001, true);
    assert!(bad(&findings).contains(&(77, 77, Why::Differs)));
}

#[test]
fn where_nothing_is_right_it_says_so_and_does_not_make_everything_again() {
    let disk = large();
    let other = ScryptN::new(4).unwrap();
    disk.remove(&path("postmesh_0.manifest")).unwrap();
    disk.remove(&path("postmesh_1.manifest")).unwrap();
    let findings = checked_with(&open(&disk), other, 0.1, false);
    assert!(findings.all_wrong() && findings.made < 1200);
    assert_eq!(findings.bad.iter().map(|range| count(&range.labels())).sum::<u64>(), findings.made);
}

#[test]
fn the_reference_s_data_is_all_right_with_its_n_and_none_of_it_with_another() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/reference-data-dir");
    let root = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), root.path().join(entry.file_name())).unwrap();
    }
    let mut set = DataSet::open(&[root.path()]).unwrap();
    let n = ScryptN::new(8192).unwrap();
    assert!(checked_with(&set, ScryptN::new(4096).unwrap(), 0.1, false).all_wrong());
    set.adopt(n).unwrap();
    let findings = checked_with(&set, n, 0.1, true);
    assert_eq!((bad(&findings), findings.made, findings.recorded), (vec![], 768, 768));
    let findings = checked_with(&set, n, 0.1, true);
    assert_eq!((findings.hashed, findings.recorded), (768, 0));
}

#[test]
fn it_stops_when_asked() {
    let disk = large();
    let set = open(&disk);
    let mut labels = labeler(&set, n());
    let (labeler, stop) = (&mut labels, || true);
    let mut check = Check {
        set: &set,
        labeler,
        n: n(),
        percent: 100.0,
        seed: 5,
        record: true,
        stop: &stop,
        report: false.into(),
    };
    let findings = check.run().unwrap();
    assert!(findings.stopped && findings.made == 0);
}

/// A device that makes one label wrong.
struct Erring(Labels, u64);

impl Labeler for Erring {
    fn fill(
        &mut self,
        range: LabelRange,
        out: &mut [u8],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<post::Candidate>, LabelFault> {
        let best = self.0.fill(range.clone(), out, stop)?;
        if range.contains(&self.1) {
            out[(self.1 - range.start) as usize * LABEL_BYTES] ^= 1;
        }
        Ok(best)
    }

    fn kernel(&self) -> &str {
        "erring"
    }
}

#[test]
fn a_device_that_errs_makes_no_label_on_disk_wrong() {
    let disk = large();
    let set = open(&disk);
    for wrong in [0, 5_000, set.layout().num_labels() - 1] {
        let mut erring = Erring(labeler(&set, n()), wrong);
        let mut check = Check {
            set: &set,
            labeler: &mut erring,
            n: n(),
            percent: 100.0,
            seed: 5,
            record: false,
            stop: &|| false,
            report: false.into(),
        };
        let found = check.run().unwrap_err().to_string();
        let expected = format!("label {wrong} is right on disk, and erring makes another");
        assert!(found.starts_with(&expected), "{found}");
    }
}
