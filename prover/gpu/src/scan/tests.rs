//! Scans of real devices (lavapipe, where there is no other) against the definition.

use super::*;
use crate::testing;
use post::{Challenge, NonceGroup};

const FIRST: LabelIndex = LabelIndex((1 << 32) - 3);
const TARGET: Duration = Duration::from_millis(50);

fn keys(groups: impl IntoIterator<Item = u8>) -> Vec<GroupKeys> {
    let keys = |group| GroupKeys::new(&Challenge([group; 32]), NonceGroup(group), group.into());
    groups.into_iter().map(keys).collect()
}

/// Scans that are tried, each with a threshold of its own.
fn check(scan: &mut Scan, threshold: Threshold, labels: &[u8]) {
    scan.threshold = threshold;
    let mut expected = Vec::new();
    for cipher in scan.groups.iter().map(GroupCipher::new) {
        for (label, index) in labels.as_chunks::<16>().0.iter().zip(FIRST.0..) {
            cipher.hits(LabelIndex(index), label, threshold, &mut expected);
        }
    }
    expected.sort_unstable();
    let found = scan.scan(FIRST, labels).unwrap();
    let (found_count, count) = (found.len(), expected.len());
    assert!(found == expected, "{} bytes, {threshold:?}: {found_count}, {count}", labels.len());
}

fn random(labels: u128) -> Vec<u8> {
    (1000..1000 + labels).flat_map(known_label).collect()
}

#[test]
fn hits_are_those_of_the_definition() {
    for device in testing::all() {
        let any = Threshold { top: 0, low: 0 };
        let mut scan = Scan::new(&device, keys([0, 7, 255]), any, TARGET).unwrap();
        let labels = random(3000);
        for top in [0, 1, 127, 128, 254, 255] {
            for low in [0, 1, 1 << 32, 1 << 55, LOW_MASK] {
                check(&mut scan, Threshold { top, low }, &labels[..16 * 500]);
            }
        }
        let (half, low) = (Threshold { top: 0, low: 1 << 55 }, Threshold { top: 8, low: 1 << 40 });
        check(&mut scan, half, &labels);
        // Any length will do, and bytes that make no label are ignored.
        for length in (0..20).chain(500..530) {
            check(&mut scan, low, &labels[..16 * length + length % 16]);
        }
        // The same label all over: some byte is equal to the top one in every block.
        for top in 0..=255 {
            check(&mut scan, Threshold { top, low: 1 << 55 }, &[0; 16 * 100]);
        }
    }
}

/// More groups than a dispatch takes, and more hits than a batch has room for.
#[test]
fn what_does_not_fit_is_split() {
    for device in testing::all() {
        let any = Threshold { top: 0, low: 0 };
        let groups = keys(0..keys::GROUPS as u8 * 2 + 3);
        let mut scan = Scan::new(&device, groups, any, TARGET).unwrap();
        let labels = random(600);
        const { assert!(600 * 16 * 25 > HITS) };
        check(&mut scan, Threshold { top: 255, low: LOW_MASK }, &labels);
        check(&mut scan, Threshold { top: 200, low: 1 }, &labels);
        // All labels alike are all candidates or none.
        let top = {
            let mut block = [0; 16].into();
            let cipher: aes::Aes128 = aes::cipher::KeyInit::new(&scan.groups[0].key.into());
            aes::cipher::BlockCipherEncrypt::encrypt_block(&cipher, &mut block);
            block[0]
        };
        scan.room = 4096;
        check(&mut scan, Threshold { top, low: 1 << 55 }, &[0; 16 * 5000]);
        check(&mut scan, Threshold { top, low: LOW_MASK }, &[0; 16 * 5000]);
        // And what was split once is whole again afterwards.
        check(&mut scan, Threshold { top: 0, low: 1 << 55 }, &labels);
    }
}

#[test]
fn hits_at_the_last_indices() {
    for device in testing::all() {
        let all = Threshold { top: 255, low: 0 };
        let mut scan = Scan::new(&device, keys([0]), all, TARGET).unwrap();
        let hits = scan.scan(LabelIndex(u64::MAX - 9), &[0; 9 * 16]).unwrap();
        assert_eq!(hits.last().unwrap().index, LabelIndex(u64::MAX - 1));
        let fault = scan.scan(LabelIndex(u64::MAX - 9), &[0; 10 * 16]).unwrap_err();
        assert!(fault.to_string().contains("10 labels from"), "{fault}");
    }
}

#[test]
fn without_keys_there_is_nothing_to_find() {
    for device in testing::all() {
        let all = Threshold { top: 255, low: 0 };
        let mut scan = Scan::new(&device, Vec::new(), all, TARGET).unwrap();
        assert_eq!(scan.scan(FIRST, &[0; 160]).unwrap(), []);
    }
}
