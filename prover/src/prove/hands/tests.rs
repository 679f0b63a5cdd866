//! Whatever scans, and however it errs, the proof is the same.

use super::super::tests::{by_definition, calm, filled, labels_of, large_job, threads};
use super::super::{Surroundings, prove};
use super::*;
use plot::Ranges;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How a device behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Right,
    /// Answers with what is no hit, from its second piece on.
    Invents,
    /// Finds nothing.
    Overlooks,
    Disorders,
    /// Breaks at its second piece.
    Breaks,
    /// Scans everything many times over.
    Dawdles,
    /// Cannot be opened.
    Absent,
}

const ALL: [Manner; 7] = [
    Manner::Right,
    Manner::Invents,
    Manner::Overlooks,
    Manner::Disorders,
    Manner::Breaks,
    Manner::Dawdles,
    Manner::Absent,
];

struct Model {
    manner: Manner,
    scan: Scan,
    pieces: Arc<AtomicUsize>,
}

impl Scanner for Model {
    fn scan(&mut self, first: LabelIndex, labels: &[u8]) -> Result<Vec<Hit>, ScanFault> {
        if self.manner == Manner::Absent {
            return Err(ScanFault("there is none".into()));
        }
        let is_first = self.pieces.fetch_add(1, Ordering::Relaxed) == 0;
        let mut hits = self.scan.scan(first, labels)?;
        match self.manner {
            Manner::Invents if !is_first => {
                hits.insert(0, Hit { index: first, nonce: post::Nonce(0) })
            }
            Manner::Breaks if !is_first => return Err(ScanFault("it broke".into())),
            Manner::Overlooks => hits.clear(),
            Manner::Disorders => hits.reverse(),
            Manner::Dawdles => {
                for _ in 0..64 {
                    hits = self.scan.scan(first, labels)?;
                }
            }
            _ => {}
        }
        Ok(hits)
    }

    fn kernel(&self) -> &str {
        "model"
    }
}

/// A device, and how many pieces it was given.
fn device(manner: Manner) -> (Device, Arc<AtomicUsize>) {
    let pieces = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&pieces);
    let open = move |keys: &[GroupKeys], threshold| {
        let scan = Scan::new(keys.to_vec(), threshold, NonZeroUsize::MIN);
        Box::new(Model { manner, scan, pieces: Arc::clone(&pieces) }) as Worker
    };
    (Device { name: format!("{manner:?}"), open: Box::new(open) }, counted)
}

#[test]
fn the_proof_is_the_same_whatever_scans() {
    let job = large_job();
    let expected = by_definition(&job, &labels_of(&job), &Ranges::default());
    let root = tempfile::tempdir().unwrap();
    // One that overlooks labels costs these, until it is found out.
    for manner in ALL.into_iter().filter(|manner| *manner != Manner::Overlooks) {
        for cpu in [false, true] {
            let directory = filled(&root.path().join(format!("{manner:?} {cpu}")), &job, 1_000);
            let (device, pieces) = device(manner);
            let hands = Hands { cpu, devices: vec![device], ..Hands::default() };
            let around = Surroundings { hands: &hands, ..calm() };
            let proof = prove(&job, &directory, &around).unwrap();
            assert_eq!(Some(proof), expected, "{manner:?}");
            // Alone it was given all pieces until it erred.
            let pieces = pieces.load(Ordering::Relaxed);
            match manner {
                Manner::Absent => assert_eq!(pieces, 0),
                Manner::Right | Manner::Dawdles => assert!(cpu || pieces > 2),
                Manner::Invents | Manner::Breaks => assert!(pieces <= 2),
                Manner::Overlooks | Manner::Disorders => {}
            }
        }
    }
}

/// Adversarial thresholds, so that there are hits to err about.
#[test]
fn a_device_that_errs_is_found_out() {
    let labels: Vec<u8> = (0..4096_u64 * 2).flat_map(|word| (word * word).to_le_bytes()).collect();
    let keys =
        [3, 1].map(|group| GroupKeys::new(&post::Challenge([7; 32]), post::NonceGroup(group), 5));
    let threshold = Threshold::new(2000, 4096).unwrap();
    let expected = Scan::new(keys.to_vec(), threshold, threads(1)).scan(LabelIndex(9), &labels);
    let expected = expected.unwrap();
    assert!(expected.len() > 1000);
    for manner in ALL {
        let (device, pieces) = device(manner);
        let scanner = (device.open)(&keys, threshold);
        let plain = Scan::new(keys.to_vec(), threshold, threads(1));
        let mut guarded = Guarded::new("it", scanner, plain, &keys, threshold);
        for _ in 0..3 {
            assert_eq!(guarded.scan(LabelIndex(9), &labels).unwrap(), expected, "{manner:?}");
        }
        let given = match manner {
            Manner::Right | Manner::Dawdles => 3,
            Manner::Invents | Manner::Breaks => 2,
            Manner::Absent => 0,
            _ => 1,
        };
        assert_eq!(pieces.load(Ordering::Relaxed), given, "{manner:?}");
    }
}

#[test]
fn only_devices_that_help_are_asked() {
    let job = large_job();
    let root = tempfile::tempdir().unwrap();
    let directory = filled(root.path(), &job, 1_000);
    let data = Data::survey(&directory, 12_000, &mut super::super::Faults::default()).unwrap();
    let keys = [GroupKeys::new(&job.statement.challenge, post::NonceGroup(0), 0)];
    let threshold = Threshold::new(26, 12_000).unwrap();
    let asked = |measure| {
        let devices = [Manner::Dawdles, Manner::Absent].map(device);
        let [(slow, pieces), (absent, _)] = devices;
        let hands = Hands { cpu: true, devices: vec![slow, absent], measure, ..Hands::default() };
        let workers = hands.hire(threads(3), &data, &keys, threshold);
        (workers.len(), pieces.load(Ordering::Relaxed))
    };
    assert_eq!(asked(None), (5, 0));
    // Tried, and left alone.
    let (workers, tried) = asked(Some(0.0));
    assert!(workers == 3 && tried > 0);
    // So little data is scanned before a device is awake.
    assert_eq!(asked(Some(Hands::WORTH)), (3, 0));
}

/// A device that does nothing, and so is faster than any CPU.
struct Idle;

impl Scanner for Idle {
    fn scan(&mut self, _: LabelIndex, _: &[u8]) -> Result<Vec<Hit>, ScanFault> {
        Ok(vec![])
    }

    fn kernel(&self) -> &str {
        "idle"
    }
}

#[test]
fn a_faster_device_is_asked() {
    let job = large_job();
    let root = tempfile::tempdir().unwrap();
    let directory = filled(root.path(), &job, 1_000);
    let data = Data::survey(&directory, 12_000, &mut super::super::Faults::default()).unwrap();
    let keys: Vec<_> = (0..18)
        .map(|group| GroupKeys::new(&job.statement.challenge, post::NonceGroup(group), 0))
        .collect();
    let open = |_: &[GroupKeys], _| Box::new(Idle) as Worker;
    let devices = vec![Device { name: "idle".into(), open: Box::new(open) }];
    let hands = Hands { cpu: true, devices, measure: Some(0.0), ..Hands::default() };
    // No label of these is good, so that nothing can be overlooked.
    let threshold = Threshold::new(1, u64::MAX).unwrap();
    assert_eq!(hands.hire(threads(3), &data, &keys, threshold).len(), 4);
}
