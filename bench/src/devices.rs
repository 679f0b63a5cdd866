//! `devices`: every GPU with its limits, how fast its memory is copied, and how fast it computes.

use crate::args::DevicesArgs;
use crate::outcome::Result;
use crate::progress;
use crate::report::{Measured, put};
use crate::roof::{Roof, gibibytes};
use crate::stats::Summary;
use gpu::{Cost, Device, Fault, Gap, Skip};
use post::ScryptN;
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) fn run(args: &DevicesArgs) -> Result {
    let found = gpu::devices();
    if found.is_empty() {
        eprintln!("no GPU here, or no driver for one: labels are made by the processor");
    }
    let results = found.iter().map(|device| measure(device, args.seconds));
    put(&results.collect::<Result<Vec<_>>>()?, &args.output)
}

/// A device that cannot be measured has a rate of null, and says why.
pub(crate) fn measure(device: &Device, length: Duration) -> Result<Measured> {
    let what = format!("copying and computing on {}", device.name);
    let rates = progress::during(&what, Some(length), || rates(device, length));
    let (backend, also) = (format!("{:?}", device.backend), &device.also);
    let also: Vec<_> = also.iter().map(|backend| format!("{backend:?}")).collect();
    let start = Measured::without_limit("device", "GiB/s", 1, backend, None, length);
    let result = start
        .with("device", device.name.to_string())
        .with("model", device.model.as_str())
        .with("kind", format!("{:?}", device.kind))
        .with("driver", device.driver.as_str())
        .with("also", also)
        .with("name_is_stable", device.name.is_stable())
        .with("binding_bytes", device.binding_bytes)
        .with("skipped", device.skip.as_ref().map(ToString::to_string));
    Ok(match rates {
        Err(fault) => result.with("fault", fault.to_string()),
        Ok(None) => result,
        Ok(Some(roof)) => result
            .rated(roof.copy)
            .with("copy_bytes", roof.copy_bytes)
            .with("operations_per_second", roof.operations.median)
            .with("labels_at_most", labels_at_most(&roof)),
    })
}

/// What a device's memory and arithmetic do.
struct Found {
    /// GiB a second, read and written.
    copy: Summary,
    copy_bytes: u64,
    operations: Summary,
}

fn rates(device: &Device, length: Duration) -> std::result::Result<Option<Found>, Fault> {
    if matches!(device.skip, Some(Skip::Lacks(_))) {
        return Ok(None);
    }
    let mut roof = Roof::new(device)?;
    for _ in 0..SLICES {
        roof.measure(length / SLICES)?;
    }
    let Some([copy, operations]) = roof.summaries() else { return Ok(None) };
    let copy = copy.map(gibibytes);
    Ok(Some(Found { copy, copy_bytes: roof.copy_bytes(), operations: operations.rounded() }))
}

/// Slices of the measurement, for its spread.
const SLICES: u32 = 5;

/// Mainnet's labels a second at most, by memory and by arithmetic, for each lookup gap.
fn labels_at_most(found: &Found) -> Value {
    let Ok(n) = ScryptN::new(8192) else { return Value::Null };
    let bytes = found.copy.median * f64::from(1 << 30);
    let of = |gap: Gap| {
        let [memory, arithmetic] = Cost::of(n, gap).limits(bytes, found.operations.median);
        json!({
            "gap": gap.get(),
            "by_memory": memory.round(),
            "by_arithmetic": arithmetic.round(),
        })
    };
    Gap::ALL.map(of).into_iter().collect()
}
