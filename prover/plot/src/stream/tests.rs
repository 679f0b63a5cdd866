//! Streams over simulated disks: all that can be read comes once, whatever else happens.

use super::*;
use crate::layout::LABEL;
use crate::manifest::BLOCK_LABELS;
use crate::metadata::Metadata;
use crate::set::DataSet;
use crate::simulated::Simulated;
use post::{AtxId, NodeId, ScryptN};
use proptest::prelude::*;

/// Labels that say which they are.
fn labels(range: Range<u64>) -> Vec<u8> {
    range.flat_map(|index| u128::from(index).to_le_bytes()).collect()
}

fn ranges(pairs: &[(u64, u64)]) -> Ranges {
    Ranges::from(pairs.to_vec())
}

/// Files of so many labels each, on the disks named.
fn extents(disk: &Simulated, files: &[(&str, u64)]) -> Vec<Arc<Extent>> {
    let mut next = 0;
    let file = |(number, (folder, count)): (usize, &(&str, u64))| {
        let path = Path::new(folder).join(format!("postdata_{number}.bin"));
        let range = next..next + count;
        next = range.end;
        let file = disk.open(&path, Access::Write).unwrap();
        file.write_all_at(&labels(range.clone()), 0).unwrap();
        let (present, fault, manifest) = (range.clone(), None, None);
        Arc::new(Extent { path, labels: range, present, fault, manifest })
    };
    files.iter().enumerate().map(file).collect()
}

fn stream(disk: &Simulated, extents: &[Arc<Extent>], done: &Ranges) -> Stream {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Stream::open(&disk, extents, done, 2).unwrap()
}

/// Takes all pieces: what was read, what was not; every label once.
fn take_all(stream: &Stream) -> (Ranges, Ranges) {
    let (mut read, mut lost, mut count) = (Ranges::default(), Ranges::default(), 0);
    while let Some(piece) = stream.next() {
        for (first, bytes) in piece.runs() {
            let range = first..first + bytes.len() as u64 / LABEL;
            assert_eq!(bytes, labels(range.clone()));
            read.insert(range);
        }
        piece.gaps().into_iter().for_each(|gap| lost.insert(gap));
        assert_eq!(piece.fault().is_some(), !piece.gaps().is_empty());
        count += piece.labels().end - piece.labels().start;
    }
    assert_eq!(read.count() + lost.count(), count, "every label comes once");
    (read, lost)
}

const HALF: u64 = BLOCK_LABELS / 2;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_label_comes_once_from_any_disks(
        files in proptest::collection::vec((0_usize..3, 1..3 * BLOCK_LABELS), 1..6),
        done in proptest::collection::vec((0..8 * BLOCK_LABELS, 0..3 * BLOCK_LABELS), 0..4),
    ) {
        let disk = Simulated::default();
        let files: Vec<_> =
            files.iter().map(|(folder, count)| (["/a", "/b", "/c"][*folder], *count)).collect();
        let extents = extents(&disk, &files);
        let all = 0..files.iter().map(|(_, count)| count).sum();
        let done: Ranges = done.into_iter().map(|(start, count)| start..start + count).collect();
        let (read, lost) = take_all(&stream(&disk, &extents, &done));
        prop_assert!(lost.is_empty());
        let both: Ranges = read.iter().chain(done.iter()).collect();
        prop_assert!(both.contains(&all), "{:?} of {:?}", both, all);
        if done.is_empty() {
            prop_assert_eq!(read, ranges(&[(all.start, all.end)]));
        }
    }
}

#[test]
fn what_cannot_be_read_costs_its_own_labels_only() {
    let disk = Simulated::default();
    let files = [("/a", 3 * BLOCK_LABELS), ("/a", HALF), ("/b", HALF), ("/b", BLOCK_LABELS)];
    let extents = extents(&disk, &files);
    // A sector of the first file, the whole second one, and the third is not there.
    disk.fail_reads(&extents[0].path, (BLOCK_LABELS + 300) * LABEL..(BLOCK_LABELS + 301) * LABEL);
    disk.fail_reads(&extents[1].path, 0..u64::MAX);
    let away = Path::new("/b/away");
    disk.rename(&extents[2].path, away).unwrap();
    let (read, lost) = take_all(&stream(&disk, &extents, &Ranges::default()));
    let page = BLOCK_LABELS + 256;
    let gone = 3 * BLOCK_LABELS..4 * BLOCK_LABELS;
    assert_eq!(lost, ranges(&[(page, page + 256), (gone.start, gone.end)]));
    assert_eq!(read, ranges(&[(0, page), (page + 256, gone.start), (gone.end, 5 * BLOCK_LABELS)]));
}

#[test]
fn a_file_that_shrank_costs_what_it_lost() {
    let disk = Simulated::default();
    let [extent] = &extents(&disk, &[("/a", HALF)])[..] else { panic!("one file") };
    let larger = BLOCK_LABELS + HALF;
    let (path, fault, manifest) = (extent.path.clone(), None, None);
    let larger = Extent { path, labels: 0..larger, present: 0..larger, fault, manifest };
    let (read, lost) = take_all(&stream(&disk, &[Arc::new(larger)], &Ranges::default()));
    assert_eq!(read, ranges(&[(0, HALF)]));
    assert_eq!(lost, ranges(&[(HALF, BLOCK_LABELS + HALF)]));
}

#[test]
fn a_dying_disk_is_tried_to_its_end() {
    let disk = Simulated::default();
    let count = 40 * BLOCK_LABELS;
    let extents = extents(&disk, &[("/a", count)]);
    let before = disk.operations();
    disk.fail_reads(&extents[0].path, 0..39 * BLOCK_LABELS * LABEL);
    let (read, lost) = take_all(&stream(&disk, &extents, &Ranges::default()));
    assert_eq!(read, ranges(&[(39 * BLOCK_LABELS, count)]));
    assert_eq!(lost.count(), 39 * BLOCK_LABELS);
    // Nobody waits for thousands of reads that fail.
    let most = u64::from(LOST_IN_A_ROW + IN_FLIGHT as u32) * u64::from(2 * PATIENCE + 1) + 64;
    assert!(disk.operations() - before < most, "{}", disk.operations() - before);
}

#[test]
fn memory_is_bounded_and_a_closed_stream_ends_for_everybody() {
    let disk = Simulated::default();
    let extents = extents(&disk, &[("/a", 30 * BLOCK_LABELS)]);
    let stream = stream(&disk, &extents, &Ranges::default());
    let (taken, told) = unbounded();
    thread::scope(|scope| {
        let taker = scope.spawn(|| {
            // Nothing is given back, so that the readers run out of memory and this has to wait.
            let pieces = std::iter::from_fn(|| stream.next()).inspect(|_| taken.send(()).unwrap());
            pieces.collect::<Vec<_>>().len()
        });
        let most = 2 * IN_FLIGHT + 2;
        (0..most).for_each(|_| told.recv().unwrap());
        stream.close();
        assert_eq!(taker.join().unwrap(), most);
    });
    assert!(stream.next().is_none());
}

#[test]
fn pieces_are_held_against_the_manifest() {
    let disk = Simulated::default();
    let root = Path::new("/data");
    let count = 2 * BLOCK_LABELS + 5;
    let bytes = count * LABEL;
    let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), count, 1, bytes);
    let n = ScryptN::new(2).unwrap();
    let disk_of_data: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut data = DataSet::create_on(disk_of_data, root, metadata, n).unwrap();
    data.append(0, &labels(0..count)).unwrap();
    let differing = |data: &DataSet| {
        let stream = Stream::open(data.disk(), &data.extents(), &Ranges::default(), 1).unwrap();
        let pieces = std::iter::from_fn(|| stream.next());
        pieces.filter(Piece::differs_from_manifest).map(|piece| piece.labels()).collect::<Ranges>()
    };
    assert!(differing(&data).is_empty());
    let file = disk.open(&data.extents()[0].path, Access::Write).unwrap();
    for label in [BLOCK_LABELS + 7, count - 1] {
        file.write_all_at(&[0xff], label * LABEL).unwrap();
    }
    assert_eq!(differing(&data), ranges(&[(BLOCK_LABELS, count)]));
    // A label is read as it is.
    let wrong = data.extents()[0].label(&disk, BLOCK_LABELS + 7).unwrap();
    assert_eq!(wrong[0], 0xff);
    assert!(data.extents()[0].label(&disk, count).is_err());
}

#[test]
fn a_damaged_manifest_and_a_missing_file_cost_no_other_file() {
    let disk = Simulated::default();
    let root = Path::new("/data");
    let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), 12, 1, 4 * LABEL);
    let n = ScryptN::new(2).unwrap();
    let mut data = DataSet::create_on(Arc::new(disk.clone()), root, metadata, n).unwrap();
    for first in [0, 4, 8] {
        data.append(first, &labels(first..first + 4)).unwrap();
    }
    let manifest = disk.open(&root.join("postmesh_0.manifest"), Access::Write).unwrap();
    manifest.write_all_at(&[0xff], 20).unwrap();
    disk.rename(&data.extents()[1].path, &root.join("away")).unwrap();
    let extents = data.extents();
    let faults: Vec<_> = extents.iter().map(|extent| extent.fault.as_ref()).collect();
    assert!(matches!(
        faults[..],
        [Some(PlotError::Damaged { .. }), Some(PlotError::Missing { .. }), None]
    ));
    let present: Vec<_> = extents.iter().map(|extent| extent.present.clone()).collect();
    assert_eq!(present, [0..4, 4..4, 8..12]);
    let (read, lost) = take_all(&stream(&disk, &extents, &Ranges::default()));
    assert_eq!((read.count(), lost.count()), (8, 0));
}
