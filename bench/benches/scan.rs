//! The proving scan from memory, one thread, by every kernel that runs here.
//!
//! `cargo bench -p bench --profile release --bench scan`; a word after `--` chooses:
//! `-- nonces=64`.

use bench::noise::Noise;
use core::hint::black_box;
use cpu::{Scan, scan_kernels};
use criterion::{Criterion, Throughput};
use post::search::{GroupKeys, Scanner, Threshold};
use post::{Challenge, LabelIndex, NonceGroup};
use std::error::Error;
use std::num::NonZeroUsize;
use std::time::Duration;

/// More than a branch predictor can learn.
const DATA_BYTES: usize = 256 << 20;

/// What a call gets: it fits the second-level cache, as a buffer that was just read does.
const CALL_BYTES: usize = 1 << 18;

/// Labels of mainnet's smallest identity.
const LABELS: u64 = 4 << 32;

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let mut data = vec![0; DATA_BYTES];
    Noise::fresh().fill(&mut data);
    let threshold = Threshold::new(26, LABELS)?;
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Bytes(CALL_BYTES as u64));
    for kernel in scan_kernels() {
        for groups in [1, 4, 8, 18] {
            let challenge = Challenge([groups; 32]);
            let keys: Vec<_> =
                (0..groups).map(|it| GroupKeys::new(&challenge, NonceGroup(it), 0)).collect();
            let scan = Scan::with_kernel(kernel, &keys, threshold, NonZeroUsize::MIN);
            let mut scan = scan.ok_or("a kernel that is listed is not there")?;
            let mut calls = data.chunks_exact(CALL_BYTES).cycle();
            let nonces = 16 * u32::from(groups);
            group.bench_function(format!("hits/kernel={kernel} nonces={nonces}"), |bencher| {
                bencher.iter(|| {
                    let part = calls.next().unwrap_or_default();
                    black_box(scan.scan(LabelIndex(0), part).is_ok())
                });
            });
        }
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}
