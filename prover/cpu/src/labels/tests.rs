//! Every kernel that this CPU runs, against the definition.

use super::*;
use core::sync::atomic::{AtomicUsize, Ordering};

const COMMITMENT: Commitment = Commitment([0xc3; 32]);

fn n(n: u32) -> ScryptN {
    ScryptN::new(n).unwrap()
}

fn threads(threads: usize) -> NonZeroUsize {
    NonZeroUsize::new(threads).unwrap()
}

/// What `fill` must give, from the definition.
fn expected(range: LabelRange, n: ScryptN) -> (Vec<u8>, Option<Candidate>) {
    let labels: Vec<_> = range
        .map(|index| Candidate {
            index: LabelIndex(index),
            label: post::label(&COMMITMENT, LabelIndex(index), n),
        })
        .collect();
    let bytes = labels.iter().flat_map(|it| it.label.stored()).collect();
    let best = labels.into_iter().min_by_key(|it| (it.label, it.index));
    (bytes, best)
}

/// Fills `range` by every kernel and compares.
fn check(range: LabelRange, n: ScryptN, count: usize) {
    let (bytes, best) = expected(range.clone(), n);
    for kernel in label_kernels() {
        let mut labels = Labels::with_kernel(kernel, COMMITMENT, n, threads(count)).unwrap();
        // Twice: scratch that was used before must not show.
        for _ in 0..2 {
            let mut out = vec![0xee; bytes.len()];
            let found = labels.fill(range.clone(), &mut out, &|| false).unwrap();
            assert_eq!(out, bytes, "{kernel}, N = {n}, {range:?}, {count} threads");
            assert_eq!(found, best, "{kernel}, N = {n}, {range:?}, {count} threads");
        }
    }
}

#[test]
fn kernels_agree_with_the_definition() {
    for small in [2, 4, 16, 512] {
        for count in 1..=4 {
            check(0..53, n(small), count);
        }
    }
}

#[test]
fn any_length_will_do() {
    for length in 0..70 {
        check(1000..1000 + length, n(4), 3);
    }
}

#[test]
fn indices_are_64_bits_wide() {
    for middle in [1 << 32, (1 << 58) - 1, u64::MAX - 20] {
        check(middle - 19..middle + 20, n(16), 2);
    }
    check(u64::MAX - 1..u64::MAX, n(16), 1);
}

#[test]
fn kernels_agree_at_the_size_of_mainnet() {
    check(1_000_000..1_000_033, n(8192), 2);
}

#[test]
fn the_best_kernel_is_chosen_and_the_portable_one_comes_last() {
    let kernels = label_kernels();
    assert_eq!(kernels.last(), Some(&"portable"));
    let labels = Labels::new(COMMITMENT, n(2), threads(1));
    assert_eq!(kernels.first(), Some(&labels.kernel()));
    assert!(Labels::with_kernel("abacus", COMMITMENT, n(2), threads(1)).is_none());
}

#[test]
fn every_kernel_that_fits_this_cpu_is_right() {
    for kernel in ALL {
        assert!(!(kernel.runs_here)() || is_right(kernel), "{}", kernel.name);
    }
}

#[test]
fn scratch_never_takes_more_than_a_gibibyte_a_thread() {
    for kernel in ALL {
        assert_eq!(kernel.mixer(n(8192)).width, kernel.wide.width, "{}", kernel.name);
        for n in (1..=20).map(|power| n(1 << power)) {
            let bytes = kernel.mixer(n).scratch_bytes(n);
            assert!(bytes <= 1 << 30, "{}, N = {n}: {bytes} bytes", kernel.name);
        }
    }
}

#[test]
fn the_room_must_fit_the_range() {
    let mut labels = Labels::new(COMMITMENT, n(2), threads(2));
    for (range, room) in [(0..2, 31), (0..2, 33), (0..0, 1), (0..u64::MAX, 16)] {
        let fault = labels.fill(range, &mut vec![0; room], &|| false).unwrap_err();
        let text = fault.to_string();
        assert!(text.contains(&format!("{room} bytes exactly")), "{text}");
    }
}

#[test]
fn stops_when_asked() {
    for kernel in label_kernels() {
        let mut labels = Labels::with_kernel(kernel, COMMITMENT, n(512), threads(2)).unwrap();
        let asked = AtomicUsize::new(0);
        let stop = || asked.fetch_add(1, Ordering::Relaxed) >= 5;
        let fault = labels.fill(0..1_000_000, &mut vec![0; 16_000_000], &stop);
        assert!(matches!(fault, Err(LabelFault::Stopped)));
        assert!(asked.into_inner() < 100);
        // And works again afterwards.
        let found = labels.fill(7..9, &mut [0; 32], &|| false).unwrap();
        assert_eq!(found, expected(7..9, n(512)).1);
    }
}
