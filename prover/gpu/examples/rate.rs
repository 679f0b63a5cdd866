//! How fast a device makes labels at N = 8192, by gap, way of mixing and length of a dispatch.
//!
//! `cargo run --release -p gpu --example rate [device] [labels] [rounds]`; without a device,
//! `gpu:software`. Ways take turns, and the median of the rounds is told, per second and per
//! second of CPU time: for a software device the latter is the one to compare.
#![expect(clippy::expect_used, reason = "a measurement may stop at the first surprise")]

use gpu::{Gap, Labels, Mixing, Settings, Tuning, devices};
use post::{Commitment, Labeler, ScryptN};
use std::time::{Duration, Instant};

fn main() {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "gpu:software".to_owned());
    let labels: u32 = args.next().and_then(|labels| labels.parse().ok()).unwrap_or(256);
    let rounds: usize = args.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    let devices = devices();
    let device = devices
        .iter()
        .find(|device| device.name.to_string() == name)
        .expect("a device of that name");
    println!("{} ({}, {})", device.name, device.model, device.driver);
    let n = ScryptN::new(8192).expect("a power of two");
    let mut ways = Vec::new();
    for mixing in Mixing::ALL {
        for gap in Gap::ALL {
            for target in [Duration::from_millis(50), Duration::from_secs(100)] {
                let tuning = Some(Tuning { gap, mixing, labels });
                let settings = Settings { target, tuning, memory: None };
                let made = Labels::new(device, Commitment([1; 32]), n, settings);
                ways.push((made.expect("a device that works"), target, Vec::new()));
            }
        }
    }
    let mut out = vec![0; 16 * labels as usize];
    // The first round warms up.
    for round in 0..=rounds {
        for (labels, _, rates) in &mut ways {
            let count = out.len() as f64 / 16.0;
            let (start, cpu) = (Instant::now(), cpu_seconds());
            labels.fill(0..out.len() as u64 / 16, &mut out, &|| false).expect("labels");
            if round > 0 {
                let seconds = start.elapsed().as_secs_f64();
                rates.push((count / (cpu_seconds() - cpu), count / seconds));
            }
        }
    }
    for (labels, target, rates) in ways {
        let cpu = median(rates.iter().map(|(cpu, _)| *cpu).collect());
        let wall = median(rates.iter().map(|(_, wall)| *wall).collect());
        let (kernel, target) = (labels.kernel(), target.as_millis());
        println!("{kernel:25} {target:6} ms  {wall:7.1} labels/s  {cpu:7.1} per CPU-second");
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// CPU time of this process, from `/proc` (in ticks of 10 ms).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields = stat.rsplit(')').next().expect("fields after the name").split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / 100.0
}
