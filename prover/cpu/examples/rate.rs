//! How fast this machine makes labels and scans them, by kernel and number of threads.
//!
//! `cargo run --release -p cpu --example rate [labels|scan] [rounds]`. Kernels take turns, and
//! the median and the best of the rounds are told, since machines are seldom quiet.
#![expect(clippy::expect_used, reason = "a measurement may stop at the first surprise")]

use core::num::NonZeroUsize;
use cpu::{Labels, Scan, label_kernels, scan_kernels};
use post::search::{GroupKeys, Scanner, Threshold};
use post::{Challenge, Commitment, LabelIndex, Labeler, NonceGroup, ScryptN};
use std::time::Instant;

/// Labels of mainnet's smallest identity: four units.
const LABELS: u64 = 4 << 32;

fn main() {
    let mut args = std::env::args().skip(1);
    let what = args.next();
    let rounds = args.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut threads = vec![1, cores];
    threads.dedup();
    for threads in threads.into_iter().filter_map(NonZeroUsize::new) {
        if what.as_deref() != Some("scan") {
            labels(threads, rounds);
        }
        if what.as_deref() != Some("labels") {
            scans(threads, rounds);
        }
    }
}

fn labels(threads: NonZeroUsize, rounds: u32) {
    let n = ScryptN::new(8192).expect("a power of two");
    let mut devices: Vec<_> = label_kernels()
        .iter()
        .filter_map(|kernel| Labels::with_kernel(kernel, Commitment([1; 32]), n, threads))
        .collect();
    let mut rates = vec![Vec::new(); devices.len()];
    for _ in 0..rounds {
        for (labels, rates) in devices.iter_mut().zip(&mut rates) {
            let count = if labels.kernel() == "portable" { 96 } else { 1008 } * threads.get();
            let mut out = vec![0; 16 * count];
            let start = Instant::now();
            labels.fill(0..count as u64, &mut out, &|| false).expect("labels");
            rates.push(count as f64 / start.elapsed().as_secs_f64());
        }
    }
    for (labels, rates) in devices.iter().zip(rates) {
        let (kernel, (median, best)) = (labels.kernel(), median_and_best(rates));
        println!("{threads} threads  {kernel:8}  labels: {median:5.0} a second, at best {best:.0}");
    }
}

fn scans(threads: NonZeroUsize, rounds: u32) {
    let threshold = Threshold::new(26, LABELS).expect("more labels than K1");
    let labels = noise(256 << 20);
    for groups in [1, 4, 18] {
        let keys: Vec<_> = (0..groups)
            .map(|group| GroupKeys::new(&Challenge([7; 32]), NonceGroup(group), 1))
            .collect();
        let mut devices: Vec<_> = scan_kernels()
            .iter()
            .filter_map(|kernel| Scan::with_kernel(kernel, &keys, threshold, threads))
            .collect();
        let mut rates = vec![Vec::new(); devices.len()];
        // Fresh data each time, in calls of 4 MiB: a repeated buffer trains the branch predictor.
        let parts = labels.chunks(labels.len() / (rounds as usize).clamp(1, 16));
        for part in parts {
            for (scan, rates) in devices.iter_mut().zip(&mut rates) {
                let size = part.len() / usize::from(groups) / 4;
                let size = if scan.kernel() == "portable" { size / 8 } else { size };
                let part = &part[..size];
                let start = Instant::now();
                for call in part.chunks(4 << 20) {
                    scan.scan(LabelIndex(0), call).expect("a scan");
                }
                rates.push(part.len() as f64 / start.elapsed().as_secs_f64() / f64::from(1 << 30));
            }
        }
        for (scan, rates) in devices.iter().zip(rates) {
            let nonces = 16 * u32::from(groups);
            let (kernel, (median, best)) = (scan.kernel(), median_and_best(rates));
            println!(
                "{threads} threads  {kernel:8}  scan for {nonces:3} nonces: {median:.3} GiB/s, at \
                 best {best:.3}"
            );
        }
    }
}

fn median_and_best(mut rates: Vec<f64>) -> (f64, f64) {
    rates.sort_by(f64::total_cmp);
    (rates[rates.len() / 2], rates[rates.len() - 1])
}

/// Bytes that look random (`SplitMix64`).
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0_u64;
    (0..bytes / 8)
        .flat_map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)).to_le_bytes()
        })
        .collect()
}
