//! Labels at mainnet's N, one thread, by every kernel that runs here.
//!
//! `cargo bench -p bench --profile release --bench labels`; a word after `--` chooses:
//! `-- kernel=avx2`.

use bench::noise::Noise;
use cpu::{Labels, label_kernels};
use criterion::{Criterion, SamplingMode, Throughput};
use post::{Commitment, LABEL_BYTES, Labeler, ScryptN};
use std::error::Error;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Divided by whatever number of labels a kernel makes at a time.
const LABELS: u64 = 144;

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let n = ScryptN::new(8192)?;
    let mut group = criterion.benchmark_group("labels");
    group.throughput(Throughput::Elements(LABELS)).sampling_mode(SamplingMode::Flat);
    for kernel in label_kernels() {
        let mut commitment = Commitment([0; 32]);
        Noise::fresh().fill(&mut commitment.0);
        let labels = Labels::with_kernel(kernel, commitment, n, NonZeroUsize::MIN);
        let mut labels = labels.ok_or("a kernel that is listed is not there")?;
        let mut out = vec![0; LABELS as usize * LABEL_BYTES];
        let mut first = 0;
        group.bench_function(format!("fill/kernel={kernel} n={n}"), |bencher| {
            bencher.iter(|| {
                first += LABELS;
                let made = labels.fill(first..first + LABELS, &mut out, &|| false);
                assert!(made.is_ok(), "{made:?}");
            });
        });
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}
