//! `init`: labels a second, made in memory and forgotten.

use crate::args::InitArgs;
use crate::device::{Worker, workers};
use crate::init_gpu;
use crate::limits::LabelLimits;
use crate::noise::Noise;
use crate::outcome::{Failure, Result};
use crate::progress;
use crate::report::Measured;
use crate::stats::{Summary, rounded};
use crate::turns::{Turns, rate};
use cpu::{Labels, label_kernels};
use post::{Commitment, LABEL_BYTES, Labeler};
use std::time::{Duration, Instant};

/// Long enough that threads which finish a batch early wait for little.
pub(crate) const SLICE: Duration = Duration::from_secs(1);

/// Batches are multiples of this for each thread: whatever a kernel makes at a time divides it.
const BATCH_UNIT: u64 = 144;

/// Measures each device alone.
pub(crate) fn run(args: &InitArgs) -> Result<Vec<Measured>> {
    let measured = workers(&args.devices.device)?.into_iter().map(|worker| match worker {
        Worker::Cpu => by_cpu(args),
        Worker::Gpu(device) => init_gpu::run(&device, args),
    });
    measured.collect()
}

fn by_cpu(args: &InitArgs) -> Result<Measured> {
    let (threads, n) = (args.common.threads(), args.scrypt_n);
    let length = args.common.seconds;
    let turns = Turns { length, slice: SLICE, limit_share: 0.25 };
    let mut labels = labels(args)?;
    let mut limits = LabelLimits::new(n, threads)?;
    let unit = BATCH_UNIT * threads.get() as u64;
    let what = format!("making labels, {}", progress::threads(threads));
    let (mut memory, mut arithmetic) = (Vec::new(), Vec::new());
    let rates = progress::during(&what, Some(turns.expected()), || {
        let mut line = Line::prepare(&mut labels, unit / 4, unit, length)?;
        turns.measure(
            |slice| rate(slice, || line.fill(&mut labels)),
            |slice| {
                memory.push(limits.memory(slice.mul_f64(0.8))?);
                arithmetic.push(limits.arithmetic(slice.mul_f64(0.2))?);
                let last = |rates: &[f64]| rates.last().copied().unwrap_or(f64::INFINITY);
                Ok(last(&memory).min(last(&arithmetic)))
            },
        )
    })?;
    let median = |rates: &[f64]| Summary::of(rates).map_or(0.0, |rates| rates.median);
    let (memory, arithmetic) = (median(&memory), median(&arithmetic));
    let what = format!(
        "the smaller of memory ({memory:.0} labels/s, measured: {} bytes written in order and as \
         many read in random rows of 128 for each label) and arithmetic ({arithmetic:.0} \
         labels/s: operations counted, all vector units busy at the clock measured)",
        128 * u64::from(n.get()),
    );
    let measured = Measured::new("init", "labels/s", threads.get(), labels.kernel(), rates);
    Ok(measured
        .limited_by(what)
        .with("device", "cpu")
        .with("limit_memory", rounded(memory))
        .with("limit_arithmetic", rounded(arithmetic))
        .with("scrypt_n", n.get()))
}

/// Whose labels are made: nobody's.
pub(crate) fn commitment() -> Commitment {
    let mut commitment = Commitment([0; 32]);
    Noise::fresh().fill(&mut commitment.0);
    commitment
}

fn labels(args: &InitArgs) -> Result<Labels> {
    let (commitment, threads, n) = (commitment(), args.common.threads(), args.scrypt_n);
    let Some(name) = &args.kernel else {
        return Ok(Labels::new(commitment, n, threads));
    };
    let present = || Failure::no_kernel(name, label_kernels());
    Labels::with_kernel(name, commitment, n, threads).ok_or_else(present)
}

/// The sequence of labels, made batch after batch.
pub(crate) struct Line {
    next: u64,
    out: Vec<u8>,
}

impl Line {
    /// Makes labels, `first` and then more and more of them, until a batch is long enough for its
    /// time to be told; batches are whole multiples of `unit` then. All scratch is there then too.
    pub(crate) fn prepare(
        labels: &mut dyn Labeler,
        first: u64,
        unit: u64,
        length: Duration,
    ) -> Result<Self> {
        let wanted = (length / 4).min(SLICE / 2);
        let mut line = Self { next: 0, out: Vec::new() };
        let mut count = first.max(1);
        loop {
            line.resize(count);
            let start = Instant::now();
            line.fill(labels)?;
            let elapsed = start.elapsed();
            if elapsed >= wanted / 4 {
                let batches = count as f64 * wanted.as_secs_f64() / elapsed.as_secs_f64();
                let small = count.min(unit);
                line.resize((batches as u64 / unit * unit).max(small));
                return Ok(line);
            }
            count *= 2;
        }
    }

    fn resize(&mut self, labels: u64) {
        self.out.resize(labels as usize * LABEL_BYTES, 0);
    }

    /// Makes the next batch; labels made.
    pub(crate) fn fill(&mut self, labels: &mut dyn Labeler) -> Result<f64> {
        let count = (self.out.len() / LABEL_BYTES) as u64;
        let range = self.next..self.next + count;
        self.next = range.end;
        labels.fill(range, &mut self.out, &|| false)?;
        Ok(count as f64)
    }
}
