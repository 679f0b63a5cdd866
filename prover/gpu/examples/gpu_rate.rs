//! How fast a device makes labels at N = 8192, by gap, way of mixing and length of a dispatch, and
//! how fast it scans.
//!
//! `cargo run --release -p gpu --example gpu_rate [device] [labels|scan] [labels] [rounds] [way]`
//! With no device it is `gpu:software`, with no way (such as `wgsl, gap 1`) all take turns. The
//! median of the rounds is told, per
//! second and per second of CPU time: for a software device the latter is the one to compare.
#![expect(clippy::expect_used, reason = "a measurement may stop at the first surprise")]

use gpu::{Device, Gap, Labels, Mixing, Scan, Settings, Tuning, devices};
use post::search::{GroupKeys, Scanner, Threshold};
use post::{Challenge, Commitment, LabelIndex, Labeler, NonceGroup, ScryptN};
use std::time::{Duration, Instant};

/// Labels of mainnet's smallest identity: four units.
const LABELS: u64 = 4 << 32;

/// The usual length of a dispatch.
const TARGET: Duration = Duration::from_millis(50);

fn main() {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "gpu:software".to_owned());
    let what = args.next();
    let in_flight = args.next().and_then(|labels| labels.parse().ok()).unwrap_or(256);
    let rounds = args.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    let way = args.next();
    let devices = devices();
    let device = devices.iter().find(|device| device.name.to_string() == name);
    let device = device.expect("a device of that name");
    println!("{} ({}, {})", device.name, device.model, device.driver);
    if what.as_deref() != Some("scan") {
        labels(device, in_flight, rounds, way.as_deref());
    }
    if what.as_deref() != Some("labels") {
        scans(device, rounds);
    }
}

fn labels(device: &Device, in_flight: u32, rounds: usize, way: Option<&str>) {
    let n = ScryptN::new(8192).expect("a power of two");
    let mut ways = Vec::new();
    for mixing in Mixing::ALL {
        for gap in Gap::ALL {
            for target in [TARGET, Duration::from_secs(100)] {
                let tuning = Some(Tuning { gap, mixing, labels: in_flight });
                let settings = Settings { target, tuning, memory: None };
                let made = Labels::new(device, Commitment([1; 32]), n, settings);
                let made = made.expect("a device that works");
                if way.is_none_or(|way| way == made.kernel()) {
                    ways.push((made, target, Vec::new(), 0));
                }
            }
        }
    }
    let mut out = vec![0; 16 * in_flight as usize];
    // The first round warms up.
    for round in 0..=rounds {
        for (labels, _, rates, warm) in &mut ways {
            let timer = Timer::start();
            labels.fill(0..in_flight.into(), &mut out, &|| false).expect("labels");
            if round > 0 {
                rates.push(timer.rates(in_flight.into()));
            } else {
                *warm = labels.dispatch_times().count();
            }
        }
    }
    for (labels, target, rates, warm) in ways {
        let (kernel, target, (wall, cpu)) = (labels.kernel(), target.as_millis(), medians(rates));
        let mut times: Vec<_> =
            labels.dispatch_times().skip(warm).map(|it| it.as_millis()).collect();
        times.sort_unstable();
        let [half, late] = [50, 99].map(|percent| times[(times.len() - 1) * percent / 100]);
        println!(
            "{kernel:25} {target:6} ms  {wall:7.1} labels/s  {cpu:7.1} per CPU-second; {} \
             dispatches, median {half} ms, 99 % within {late} ms",
            times.len()
        );
    }
}

fn scans(device: &Device, rounds: usize) {
    let threshold = Threshold::new(26, LABELS).expect("more labels than K1");
    let noise = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let words = (0..(32_u64 << 20) / 8).map(noise).map(|word| word.wrapping_mul(word | 1));
    let labels: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    for groups in [1, 4, 18] {
        let keys = (0..groups).map(|group| GroupKeys::new(&CHALLENGE, NonceGroup(group), 1));
        let scan = Scan::new(device, keys.collect(), threshold, TARGET);
        let mut scan = scan.expect("a device that works");
        let labels = &labels[..labels.len() / usize::from(groups) / 16 * 16];
        let mut rates = Vec::new();
        for round in 0..=rounds {
            let timer = Timer::start();
            scan.scan(LabelIndex(0), labels).expect("hits");
            if round > 0 {
                rates.push(timer.rates(labels.len() as f64 / f64::from(1 << 30)));
            }
        }
        let (nonces, (wall, cpu)) = (16 * u32::from(groups), medians(rates));
        println!("scan for {nonces:3} nonces: {wall:.3} GiB/s, {cpu:.3} GiB per CPU-second");
    }
}

const CHALLENGE: Challenge = Challenge([7; 32]);

/// Wall and CPU time of some work.
struct Timer {
    start: Instant,
    cpu: f64,
}

impl Timer {
    fn start() -> Self {
        Self { start: Instant::now(), cpu: cpu_seconds() }
    }

    /// How much was done a second, and a second of CPU time.
    fn rates(&self, done: f64) -> (f64, f64) {
        (done / self.start.elapsed().as_secs_f64(), done / (cpu_seconds() - self.cpu))
    }
}

fn medians(rates: Vec<(f64, f64)>) -> (f64, f64) {
    let (wall, cpu) = rates.into_iter().unzip();
    (median(wall), median(cpu))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// CPU time of all threads of this process, from `/proc`.
fn cpu_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let nanoseconds = tasks.filter_map(|task| {
        // A thread may end meanwhile; a driver's do not.
        let stat = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() * 1e-9
}
