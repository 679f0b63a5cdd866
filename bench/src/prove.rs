//! `prove`: GiB of labels scanned a second, at the difficulty of a real identity.
//!
//! Each thread reads what it scans, chunk after chunk, with positioned reads into a buffer of
//! its own: reading counts, and costs no other core. Every pass has other keys, and the data is
//! larger than what a branch predictor can learn.

use crate::args::ProveArgs;
use crate::buffer::Buffer;
use crate::device::{Worker, workers};
use crate::limits::AesLimit;
use crate::noise::Noise;
use crate::outcome::{Failure, Result, because};
use crate::positioned;
use crate::progress;
use crate::report::Measured;
use crate::stats::Summary;
use crate::turns::{Turns, on_threads, rate};
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicU64, Ordering};
use cpu::{Scan, scan_kernels};
use gpu::Device;
use post::search::{GroupKeys, Scanner, Threshold};
use post::{Challenge, LabelIndex, Nonce, presets};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Bytes of the file that we make: beyond what branch predictors and second-level caches hold.
const DATA_BYTES: u64 = 256 << 20;

/// Bytes that a GPU gets at a time: several of its largest batches, and what it begins with.
const GPU_CHUNK_BYTES: usize = 64 << 20;
const GPU_FIRST_BYTES: usize = 1 << 18;

/// Slices of a GPU's measurement.
const GPU_SLICES: u32 = 4;

const SLICE: Duration = Duration::from_secs(1);

/// Measures each device alone.
pub(crate) fn run(args: &ProveArgs) -> Result<Vec<Measured>> {
    let groups = args.nonces / Nonce::PER_GROUP;
    // An unknown kernel or device is wrong usage, and no reason to make a file first.
    let plan = Plan { kernel: kernel(args)?, groups, seed: Noise::fresh().number() };
    let workers = workers(&args.devices.device)?;
    let data = match &args.data {
        Some(path) => Data::open(path)?,
        None => progress::during("making a file of noise", None, Data::make)?,
    };
    let measured = workers.iter().map(|worker| {
        let measured = match worker {
            Worker::Cpu => by_cpu(args, &plan, &data)?,
            Worker::Gpu(device) => by_gpu(args, &plan, &data, device)?,
        };
        let source = args.data.as_ref().map(|path| path.display().to_string());
        Ok(measured
            .with("device", worker.to_string())
            .with("nonces", args.nonces)
            .with("data", source.unwrap_or_else(|| "noise in the page cache".to_owned()))
            .with("data_bytes", data.bytes))
    });
    measured.collect()
}

fn by_cpu(args: &ProveArgs, plan: &Plan, data: &Data) -> Result<Measured> {
    let (threads, length) = (args.common.threads(), args.common.seconds);
    let turns = Turns { length, slice: SLICE, limit_share: 0.25 };
    let mut readers: Vec<_> =
        (0..threads.get()).map(|_| Reader::new(data, plan)).collect::<Result<_>>()?;
    let mut limit = AesLimit::new(threads);
    let next = AtomicU64::new(0);
    let what = format!("scanning for {} nonces, {}", args.nonces, progress::threads(threads));
    let rates = progress::during(&what, Some(turns.expected()), || {
        turns.measure(
            |slice| on_threads(&mut readers, |reader| rate(slice, || reader.scan_next(&next))),
            |slice| limit.scan(plan.groups, slice),
        )
    })?;
    Ok(Measured::new("prove", "GiB/s", threads.get(), plan.kernel, rates).limited_by(
        "AES alone: rounds a second of the `aes` crate on tiles in the L1 cache, and the 9.625 \
         rounds that a label takes for each 16 nonces",
    ))
}

/// By a GPU, which gets its labels from this process's memory, as it does in a proof.
fn by_gpu(args: &ProveArgs, plan: &Plan, data: &Data, device: &Device) -> Result<Measured> {
    if args.kernel.is_some() {
        return Err(Failure::usage("--kernel is for the processor: a GPU has one"));
    }
    let (length, target) = (args.common.seconds, args.devices.target());
    let what = format!("preparing {}", device.name);
    let mut scan = progress::during(&what, None, || {
        gpu::Scan::new(device, plan.keys(0), threshold()?, target).map_err(Failure::from)
    })?;
    let mut buffer = Buffer::new(GPU_CHUNK_BYTES)?;
    // Few at first, for nobody knows how slow the device is; batches find their size meanwhile.
    let (mut offset, mut chunk) = (0, GPU_FIRST_BYTES);
    let mut step = |chunk: usize| {
        let bytes = (data.bytes - offset).min(chunk as u64) as usize;
        let part = &mut buffer[..bytes];
        data.read(part, offset)?;
        core::hint::black_box(scan.try_scan(LabelIndex(offset / 16), part)?);
        offset = (offset + bytes as u64) % data.bytes;
        Ok::<_, Failure>(bytes as f64 / f64::from(1 << 30))
    };
    let slice = length / GPU_SLICES;
    let what = format!("scanning for {} nonces on {}", args.nonces, device.name);
    let (rates, seconds) = progress::during(&what, Some(length), || {
        while chunk < GPU_CHUNK_BYTES {
            let start = Instant::now();
            step(chunk)?;
            if start.elapsed() * 4 > slice {
                break;
            }
            chunk *= 2;
        }
        let start = Instant::now();
        let rates = (0..GPU_SLICES).map(|_| rate(slice, || step(chunk)));
        Ok::<_, Failure>((rates.collect::<Result<Vec<_>>>()?, start.elapsed()))
    })?;
    let (kernel, rates) = (scan.kernel().to_owned(), Summary::of(&rates));
    Ok(Measured::without_limit("prove", "GiB/s", 1, kernel, rates, seconds)
        .with("model", device.model.as_str())
        .with("driver", device.driver.as_str()))
}

/// The kernel asked for, or the best.
fn kernel(args: &ProveArgs) -> Result<&'static str> {
    let present = scan_kernels();
    let found = match &args.kernel {
        Some(name) => present.iter().find(|kernel| *kernel == name),
        None => present.first(),
    };
    let name = args.kernel.as_deref().unwrap_or("at all");
    found.copied().ok_or_else(|| Failure::no_kernel(name, present))
}

/// What is scanned for.
struct Plan {
    kernel: &'static str,
    groups: u32,
    /// Decides the keys of all passes.
    seed: u64,
}

impl Plan {
    /// The scan of a pass, in one thread.
    fn scan(&self, pass: u64) -> Result<Scan> {
        Scan::with_kernel(self.kernel, &self.keys(pass), threshold()?, NonZeroUsize::MIN)
            .ok_or_else(|| Failure::no_kernel(self.kernel, scan_kernels()))
    }

    fn keys(&self, pass: u64) -> Vec<GroupKeys> {
        let mut challenge = Challenge([0; 32]);
        Noise::new(self.seed ^ pass).fill(&mut challenge.0);
        let groups = (0..self.groups).filter_map(|group| Nonce(group * Nonce::PER_GROUP).group());
        groups.map(|group| GroupKeys::new(&challenge, group, pass)).collect()
    }
}

/// The bound of mainnet's smallest identity: its top byte is 0, as it is for all larger ones.
fn threshold() -> Result<Threshold> {
    let [mainnet, ..] = presets();
    let labels = mainnet.params.labels_per_unit * u64::from(mainnet.params.units_min);
    Ok(Threshold::new(mainnet.params.k1, labels)?)
}

/// What is scanned.
struct Data {
    file: File,
    bytes: u64,
    chunks: u64,
}

impl Data {
    /// A user's file. It is opened for reading only.
    fn open(path: &Path) -> Result<Self> {
        let cannot = |what| because(format!("{} cannot be {what}", path.display()));
        let file = File::open(path).map_err(cannot("opened"))?;
        let metadata = file.metadata().map_err(cannot("read"))?;
        let bytes = metadata.len() / 16 * 16;
        if !metadata.is_file() || bytes == 0 {
            return Err(Failure::usage(format!("{} is no file of labels", path.display())));
        }
        Ok(Self::new(file, bytes))
    }

    /// A file of our own, without a name: it ends with this process.
    fn make() -> Result<Self> {
        let folder = std::env::temp_dir();
        let cannot = || because(format!("no file of noise in {} (TMPDIR)", folder.display()));
        let file = tempfile::tempfile().map_err(cannot())?;
        let data = Self::new(file, DATA_BYTES);
        let mut noise = Noise::fresh();
        let mut chunk = vec![0; CHUNK_BYTES];
        for number in 0..data.chunks {
            noise.fill(&mut chunk);
            let offset = number * CHUNK_BYTES as u64;
            positioned::write_all(&data.file, &chunk, offset).map_err(cannot())?;
        }
        // What is written back now does not disturb the measurement.
        data.file.sync_data().map_err(cannot())?;
        Ok(data)
    }

    fn read(&self, part: &mut [u8], offset: u64) -> Result {
        positioned::read_exact(&self.file, part, offset)
            .map_err(because(format!("the data cannot be read at byte {offset}")))
    }

    fn new(file: File, bytes: u64) -> Self {
        Self { file, bytes, chunks: bytes.div_ceil(CHUNK_BYTES as u64) }
    }
}

/// A thread that reads and scans.
struct Reader<'a> {
    data: &'a Data,
    plan: &'a Plan,
    buffer: Buffer,
    pass: u64,
    scan: Scan,
}

impl<'a> Reader<'a> {
    fn new(data: &'a Data, plan: &'a Plan) -> Result<Self> {
        let buffer = Buffer::new(CHUNK_BYTES)?;
        Ok(Self { data, plan, buffer, pass: 0, scan: plan.scan(0)? })
    }

    /// Scans the first chunk that nobody has taken, of this pass or the next; GiB scanned.
    fn scan_next(&mut self, next: &AtomicU64) -> Result<f64> {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let (pass, chunk) = (number / self.data.chunks, number % self.data.chunks);
        if pass != self.pass {
            (self.pass, self.scan) = (pass, self.plan.scan(pass)?);
        }
        let offset = chunk * CHUNK_BYTES as u64;
        let bytes = (self.data.bytes - offset).min(CHUNK_BYTES as u64) as usize;
        let part = &mut self.buffer[..bytes];
        self.data.read(part, offset)?;
        let hits = self.scan.scan(LabelIndex(offset / 16), part)?;
        core::hint::black_box(hits);
        Ok(bytes as f64 / f64::from(1 << 30))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn passes_differ_and_the_threshold_is_a_real_one() {
        assert_eq!(threshold().unwrap().top, 0);
        let plan = Plan { kernel: "portable", groups: 256, seed: 1 };
        assert_eq!(plan.keys(3).len(), 256);
        assert_eq!(plan.keys(3), plan.keys(3));
        assert!(plan.keys(3).iter().zip(plan.keys(4)).all(|(a, b)| a.key != b.key));
    }

    #[test]
    fn a_file_is_read_to_its_last_label_and_again() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![1; CHUNK_BYTES + 32]).unwrap();
        let data = Data::new(file, CHUNK_BYTES as u64 + 32);
        let plan = Plan { kernel: "portable", groups: 1, seed: 1 };
        let mut reader = Reader::new(&data, &plan).unwrap();
        let next = AtomicU64::new(0);
        let mut bytes = || reader.scan_next(&next).unwrap() * f64::from(1 << 30);
        let chunk = CHUNK_BYTES as f64;
        assert_eq!([bytes(), bytes(), bytes()], [chunk, 32.0, chunk]);
        assert_eq!(reader.pass, 1);
    }

    #[test]
    fn what_is_no_file_of_labels_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let short = folder.path().join("short");
        std::fs::write(&short, [0; 15]).unwrap();
        for path in [folder.path(), &short] {
            assert!(matches!(Data::open(path), Err(Failure::Usage(_))), "{}", path.display());
        }
        let missing = Data::open(&folder.path().join("missing"));
        assert!(matches!(missing, Err(Failure::CouldNot(_))));
    }
}
