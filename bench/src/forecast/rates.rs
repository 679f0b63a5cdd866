//! The rates that a forecast needs: from the command line, from a file, or measured here.

use crate::args::{Common, DiskArgs, ForecastArgs, Output, PowArgs, ProveArgs};
use crate::outcome::{Failure, Result};
use crate::recorded::{number, read, text};
use crate::{disk, pow, prove};
use prover::planner::{Rates, ScanRate};
use serde_json::Value;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;

const GIB: f64 = (1_u64 << 30) as f64;

/// Nonces that are measured: between them lines are straight, since each group costs the same.
const NONCES: [u32; 3] = [16, 64, 288];

/// Rates of one number of threads, as far as they are known.
#[derive(Clone, Debug, Default)]
struct Known {
    scan: Vec<ScanRate>,
    /// Hashes a second, and the seconds until RandomX is ready.
    pow: Option<(f64, f64)>,
}

/// A way to work for each number of threads.
pub(super) fn gather(args: &ForecastArgs) -> Result<Vec<Rates>> {
    let recorded = args.from.as_deref().map(read).transpose()?.unwrap_or_default();
    let mut known = known(&recorded);
    if let Some(threads) = args.threads {
        known.retain(|count, _| *count == threads.get());
    }
    let disk = match disk(args, &recorded)? {
        Some(rate) => rate * GIB,
        None => return Err(Failure::usage("how fast is the disk? give --dir, --disk or --from")),
    };
    let of_all = args.threads.unwrap_or_else(|| Common::new(None, args.seconds).threads());
    if !args.scan.is_empty() {
        let scan = args.scan.iter();
        let scan = scan.map(|(nonces, rate)| ScanRate { nonces: *nonces, bytes: rate * GIB });
        let pow = known.get(&of_all.get()).and_then(|known| known.pow);
        known = BTreeMap::from([(of_all.get(), Known { scan: scan.collect(), pow })]);
    }
    known.retain(|_, known| !known.scan.is_empty());
    if known.is_empty() {
        for threads in counts(args, of_all) {
            known.insert(threads.get(), Known { scan: scan(args, threads)?, pow: None });
        }
    }
    if let Some(rate) = args.pow {
        known.values_mut().for_each(|known| known.pow = Some((rate, 0.0)));
    }
    hash(args, &mut known)?;
    let ways = known.into_iter().map(|(threads, Known { scan, pow })| {
        let (hashes, setup) = pow.unwrap_or_default();
        Rates { threads, scan, disk, hashes, setup }
    });
    Ok(ways.collect())
}

/// One thread, half of them and all, or what was asked for.
fn counts(args: &ForecastArgs, all: NonZeroUsize) -> Vec<NonZeroUsize> {
    if args.threads.is_some() {
        return vec![all];
    }
    let half = NonZeroUsize::new(all.get() / 2).unwrap_or(NonZeroUsize::MIN);
    let mut counts = vec![NonZeroUsize::MIN, half, all];
    counts.dedup();
    counts
}

/// The disk's rate in GiB a second; `None` if nobody knows.
fn disk(args: &ForecastArgs, recorded: &[Value]) -> Result<Option<f64>> {
    let in_file = || of_bench(recorded, "disk").find_map(|result| number(result, "rate"));
    match &args.dir {
        Some(dir) => {
            let (dir, output) = (dir.clone(), Output::default());
            let asked = DiskArgs { dir, seconds: args.seconds, size: SIZE, output };
            Ok(disk::run(&asked)?.rate)
        }
        None => Ok(args.disk.or_else(in_file)),
    }
}

/// Bytes that are written to measure a disk: a bench of the disk alone should take more.
const SIZE: u64 = 256 << 20;

fn of_bench<'a>(results: &'a [Value], name: &'a str) -> impl Iterator<Item = &'a Value> {
    results.iter().filter(move |result| text(result, "bench").as_deref() == Some(name))
}

/// What a file says of scans and hashes by the processor, by threads. The last of each counts.
fn known(results: &[Value]) -> BTreeMap<usize, Known> {
    let mut known: BTreeMap<usize, Known> = BTreeMap::new();
    let threads = |result: &Value| number(result, "threads").map(|threads| threads as usize);
    for result in of_bench(results, "prove") {
        let by_cpu = text(result, "device").is_none_or(|device| device == "cpu");
        let rate = number(result, "rate").filter(|_| by_cpu);
        let nonces = number(result, "nonces").map(|nonces| nonces as u32);
        if let (Some(threads), Some(rate), Some(nonces)) = (threads(result), rate, nonces) {
            let scan = &mut known.entry(threads).or_default().scan;
            scan.retain(|earlier| earlier.nonces != nonces);
            scan.push(ScanRate { nonces, bytes: rate * GIB });
        }
    }
    for result in of_bench(results, "pow") {
        let setup = number(result, "prepare_seconds").unwrap_or(0.0);
        if let (Some(threads), Some(rate)) = (threads(result), number(result, "rate")) {
            known.entry(threads).or_default().pow = Some((rate, setup));
        }
    }
    known
}

fn scan(args: &ForecastArgs, threads: NonZeroUsize) -> Result<Vec<ScanRate>> {
    let mut rates = Vec::new();
    for nonces in NONCES {
        let measured = prove::run(&ProveArgs {
            common: Common::new(Some(threads), args.seconds),
            nonces,
            kernel: None,
            data: None,
            devices: crate::args::DeviceArgs::default(),
        })?;
        let rate = measured.first().and_then(|measured| measured.rate).unwrap_or(0.0);
        rates.push(ScanRate { nonces, bytes: rate * GIB });
    }
    Ok(rates)
}

/// Sees to it that every way has a hash rate: the machine's whole one is measured where none is
/// known, and shared out evenly by threads.
fn hash(args: &ForecastArgs, known: &mut BTreeMap<usize, Known>) -> Result {
    if known.values().all(|known| known.pow.is_some()) {
        return Ok(());
    }
    let found = known.iter().rev().find_map(|(threads, known)| Some((*threads, known.pow?)));
    let (of, (rate, setup)) = match found {
        Some(found) => found,
        None => {
            let most = known.keys().next_back().copied().and_then(NonZeroUsize::new);
            let common = Common::new(most, args.seconds);
            let threads = common.threads().get();
            let measured = pow::run(&PowArgs { common, mode: args.mode })?;
            let setup = measured.details.get("prepare_seconds").and_then(Value::as_f64);
            (threads, (measured.rate.unwrap_or(0.0), setup.unwrap_or(0.0)))
        }
    };
    for (threads, known) in known.iter_mut().filter(|(_, known)| known.pow.is_none()) {
        let share = *threads as f64 / of as f64;
        // The dataset is filled by all threads too.
        known.pow = Some((rate * share, setup / share));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rates_are_found_in_a_file() {
        let results = [
            json!({"bench": "prove", "threads": 2, "nonces": 64, "rate": 1.0}),
            json!({"bench": "prove", "threads": 2, "nonces": 64, "rate": 1.5, "device": "cpu"}),
            json!({"bench": "prove", "threads": 2, "nonces": 16, "rate": 9.0, "device": "gpu:x"}),
            json!({"bench": "prove", "threads": 1, "nonces": 64, "rate": 0.8}),
            json!({"bench": "pow", "threads": 2, "rate": 80.0, "prepare_seconds": 1.0}),
        ];
        let known = known(&results);
        let rate = |bytes: f64| vec![ScanRate { nonces: 64, bytes: bytes * GIB }];
        assert_eq!((&known[&2].scan, &known[&1].scan), (&rate(1.5), &rate(0.8)));
        assert_eq!((known[&2].pow, known[&1].pow), (Some((80.0, 1.0)), None));
    }
}
