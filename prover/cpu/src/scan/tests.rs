//! Every kernel that this CPU runs, against the definition.

use super::*;
use post::search::GroupCipher;
use proptest::prelude::*;

const FIRST: LabelIndex = LabelIndex((1 << 32) - 3);

/// What a scan must give, from the definition.
fn expected(keys: &[GroupKeys], threshold: Threshold, labels: &[u8]) -> Vec<Hit> {
    let mut hits = Vec::new();
    for keys in keys {
        let cipher = GroupCipher::new(keys);
        for (label, index) in labels.as_chunks::<16>().0.iter().zip(FIRST.0..) {
            cipher.hits(LabelIndex(index), label, threshold, &mut hits);
        }
    }
    hits.sort_unstable();
    hits
}

/// Scans by every kernel with 1 to 4 threads and compares.
fn check(groups: &[u8], threshold: Threshold, labels: &[u8]) {
    let keys: Vec<_> = groups.iter().copied().map(known_keys).collect();
    let expected = expected(&keys, threshold, labels);
    for kernel in scan_kernels() {
        for threads in 1..=4 {
            let threads = NonZeroUsize::new(threads).unwrap();
            let mut scan = Scan::with_kernel(kernel, &keys, threshold, threads).unwrap();
            let found = scan.scan(FIRST, labels).unwrap();
            let size = labels.len();
            assert!(found == expected, "{kernel}, {threads} threads, {size} bytes, {threshold:?}");
        }
    }
}

fn random(labels: u128) -> Vec<u8> {
    (0..labels).flat_map(known_label).collect()
}

#[test]
fn kernels_agree_with_the_definition() {
    let labels = random(3 * TILE as u128 + 77);
    for top in [0, 1, 2, 127, 128, 254, 255] {
        for low in [0, 1, 1 << 40, 1 << 55, LOW_MASK] {
            check(&[0, 255], Threshold { top, low }, &labels);
        }
    }
}

#[test]
fn any_number_of_groups_will_do() {
    let threshold = Threshold { top: 0, low: LOW_MASK };
    let labels = random(1500);
    for groups in 0..20 {
        check(&(0..groups).collect::<Vec<_>>(), threshold, &labels);
    }
}

#[test]
fn any_length_will_do_and_trailing_bytes_are_ignored() {
    let threshold = Threshold { top: 8, low: 1 << 55 };
    let labels = random(2 * TILE as u128);
    for length in (0..40).chain(TILE - 10..TILE + 10).chain(2 * TILE - 9..2 * TILE) {
        check(&[7], threshold, &labels[..16 * length]);
        check(&[7], threshold, &labels[..16 * length + length % 16]);
    }
}

/// With the same label all over, some lane's byte is equal to the top in every block.
#[test]
fn one_label_all_over() {
    for top in 0..=255 {
        let low = 1 << 55;
        check(&[1, 2], Threshold { top, low }, &[0; 16 * 300]);
    }
}

#[test]
fn hits_at_the_last_indices() {
    let threshold = Threshold { top: 255, low: 0 };
    let threads = NonZeroUsize::MIN;
    for kernel in scan_kernels() {
        let keys = [known_keys(0)];
        let mut scan = Scan::with_kernel(kernel, &keys, threshold, threads).unwrap();
        let hits = scan.scan(LabelIndex(u64::MAX - 9), &[0; 9 * 16]).unwrap();
        assert_eq!(hits.last().unwrap().index, LabelIndex(u64::MAX - 1));
        let fault = scan.scan(LabelIndex(u64::MAX - 9), &[0; 10 * 16]).unwrap_err();
        assert!(fault.to_string().contains("10 labels from"), "{fault}");
    }
}

#[test]
fn the_fastest_kernel_is_chosen() {
    let kernels = scan_kernels();
    let threshold = Threshold { top: 0, low: 0 };
    assert!(kernels.contains(&"portable"));
    let scan = Scan::new(Vec::new(), threshold, NonZeroUsize::MIN);
    assert_eq!(kernels.first(), Some(&scan.kernel()));
    assert!(Scan::with_kernel("abacus", &[], threshold, NonZeroUsize::MIN).is_none());
}

#[test]
fn every_kernel_that_fits_this_cpu_is_right() {
    for kernel in ALL {
        let threshold = Threshold { top: 0, low: 0 };
        let runs_here = (kernel.scanner)(&[], threshold).is_some();
        assert_eq!(is_right(kernel), runs_here, "{}", kernel.name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn kernels_agree_on_anything(
        labels in prop::collection::vec(any::<u8>(), 0..5000),
        groups in prop::collection::vec(any::<u8>(), 0..4),
        top: u8,
        low in 0..=LOW_MASK,
    ) {
        // Keys come one a group; the same group twice would make equal hits.
        let mut groups = groups;
        groups.sort_unstable();
        groups.dedup();
        check(&groups, Threshold { top, low }, &labels);
    }
}
