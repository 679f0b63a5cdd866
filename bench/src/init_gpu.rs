//! `init` on a GPU: labels by the `gpu` crate in this process, beside the roof of that GPU.
//!
//! The prover drives a GPU by a process of its own, since drivers hang and crash; a benchmark that
//! does so is killed by whoever started it.

use crate::args::InitArgs;
use crate::init::{Line, SLICE, commitment};
use crate::outcome::{Failure, Result};
use crate::progress;
use crate::report::Measured;
use crate::roof::{Roof, gibibytes};
use crate::stats::{percentile, rounded};
use crate::turns::{Turns, rate};
use gpu::{Cost, Device, Fault, Gap, Kind, Labels, Settings};
use post::{LABEL_BYTES, Labeler, ScryptN};
use serde_json::json;
use std::time::{Duration, Instant};

/// Memory for labels on what is the processor itself: the machine is not the bench's alone.
const SOFTWARE_MEMORY: u64 = 1 << 30;

pub(crate) fn run(device: &Device, args: &InitArgs) -> Result<Measured> {
    if args.kernel.is_some() {
        return Err(Failure::usage("--kernel is for the processor: a GPU's is found by trial"));
    }
    let (n, length) = (args.scrypt_n, args.common.seconds);
    let target = args.devices.target();
    let software = (device.kind == Kind::Software).then_some(SOFTWARE_MEMORY);
    let settings = Settings { target, memory: args.devices.gpu_memory.or(software), tuning: None };
    let what = format!("finding out how {} works best", device.name);
    let (mut labels, mut roof) = progress::during(&what, None, || {
        let mut labels = Labels::new(device, commitment(), n, settings)?;
        settle(&mut labels, length * 2)?;
        Ok::<_, Fault>((labels, Roof::new(device)?))
    })?;
    let (mut memory, mut arithmetic) = (Vec::new(), Vec::new());
    let (turns, mut earlier) = (Turns { length, slice: SLICE, limit_share: 0.25 }, 0);
    let what = format!("making labels on {}", device.name);
    let rates = progress::during(&what, Some(turns.expected()), || {
        let unit = labels.batch();
        let mut line = Line::prepare(&mut labels, unit, unit, length)?;
        let gap = labels.tuning().0.gap;
        earlier = labels.dispatch_times().count();
        turns.measure(
            |slice| rate(slice, || line.fill(&mut labels)),
            |slice| {
                roof.measure(slice)?;
                let [by_memory, by_arithmetic] = roof.labels(n, gap);
                memory.push(by_memory);
                arithmetic.push(by_arithmetic);
                Ok(by_memory.min(by_arithmetic))
            },
        )
    })?;
    let median = |rates: &[f64]| percentile(rates, 0.5).map_or(0.0, rounded);
    let (memory, arithmetic) = (median(&memory), median(&arithmetic));
    let measured = Measured::new("init", "labels/s", 1, labels.kernel(), rates)
        .with("device", device.name.to_string())
        .with("model", device.model.as_str())
        .with("driver", device.driver.as_str())
        .with("scrypt_n", n.get())
        .with("limit_memory", memory)
        .with("limit_arithmetic", arithmetic);
    let measured = with_roof(measured, &roof, n);
    Ok(with_tuning(measured, &labels, earlier, target, n))
}

/// Makes labels until it is settled how many are best in flight, or time is up.
fn settle(labels: &mut Labels, length: Duration) -> std::result::Result<(), Fault> {
    let (start, mut next) = (Instant::now(), 0);
    while !labels.tuning().1 && start.elapsed() < length {
        let count = labels.batch();
        let mut out = vec![0; count as usize * LABEL_BYTES];
        labels.try_fill(next..next + count, &mut out, &|| false)?;
        next += count;
    }
    Ok(())
}

/// What the limits come from, and what another gap would allow.
fn with_roof(measured: Measured, roof: &Roof, n: ScryptN) -> Measured {
    let Some([copy, operations]) = roof.summaries() else { return measured };
    let limit = |gap| {
        let [memory, arithmetic] = Cost::of(n, gap).limits(copy.median, operations.median);
        memory.min(arithmetic)
    };
    let best = Gap::ALL.map(limit).into_iter().fold(0.0, f64::max);
    measured
        .limited_by(format!(
            "the smaller of memory and arithmetic at this gap: memory is copied with {:.1} GiB/s \
             (read and written, {} MiB at a time), shaders do {:.1} G operations/s (add, xor, \
             rotate), measured in turns with the labels",
            gibibytes(copy.median),
            roof.copy_bytes() >> 20,
            operations.median / 1e9,
        ))
        .with("limit_of_best_gap", rounded(best))
        .with("copy_gib_s", rounded(gibibytes(copy.median)))
        .with("operations_per_second", rounded(operations.median))
}

/// How it worked: tuning, cost, and the times of its dispatches.
fn with_tuning(
    measured: Measured,
    labels: &Labels,
    earlier: usize,
    target: Duration,
    n: ScryptN,
) -> Measured {
    let (tuning, settled) = labels.tuning();
    let cost = Cost::of(n, tuning.gap);
    let times: Vec<f64> = labels.dispatch_times().map(|time| time.as_secs_f64() * 1e3).collect();
    // Of a few thousand that are kept, the old ones make way for the new.
    let times = times.get(earlier..).filter(|new| !new.is_empty()).unwrap_or(&times);
    let at = |share| percentile(times, share).map(rounded);
    measured
        .with(
            "tuning",
            json!({
                "gap": tuning.gap.get(),
                "mixing": format!("{:?}", tuning.mixing).to_lowercase(),
                "labels": tuning.labels,
                "settled": settled,
            }),
        )
        .with("bytes_per_label", cost.bytes())
        .with("operations_per_label", cost.operations)
        .with("dispatch_target_ms", rounded(target.as_secs_f64() * 1e3))
        .with("dispatch_p50_ms", at(0.5))
        .with("dispatch_p99_ms", at(0.99))
        .with("dispatches", times.len())
}
