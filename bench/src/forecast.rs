//! `forecast`: how likely a proof is there in time, with the nonces and threads that are best. The
//! reckoning is the prover's planner; here its rates are got, and its answer is put into words.

mod rates;

use crate::args::ForecastArgs;
use crate::chart::{self, Bar, short};
use crate::file;
use crate::outcome::{Failure, Result};
use crate::progress;
use crate::report::{Origin, print, show};
use crate::stats::rounded;
use bytesize::ByteSize;
use post::presets;
use prover::human_time;
use prover::planner::{Choice, Forecast, Rates, Task, choose, expected_hashes};
use serde::Serialize;
use std::num::NonZeroUsize;

/// Nonces that are shown beside the best.
const SHOWN: [u32; 6] = [16, 64, 128, 192, 288, 512];

/// The forecast as it is written down.
#[derive(Debug, Serialize)]
struct Report {
    bench: &'static str,
    network: String,
    size_bytes: u64,
    units: u32,
    window_seconds: f64,
    /// What is best.
    nonces: u32,
    threads: usize,
    /// How likely a proof is there in time, one pass finds one, and there is none at all.
    in_time: f64,
    one_pass: f64,
    never: f64,
    /// Passes on average, and seconds until the proof: on average, and those that half of all
    /// proofs, and 99 of 100, do not exceed.
    passes: f64,
    seconds: f64,
    seconds_p50: Option<f64>,
    seconds_p99: Option<f64>,
    /// Of a pass: reading all of the data, and its k2pows on average.
    scan_seconds: f64,
    pow_seconds: f64,
    setup_seconds: f64,
    /// What a pass waits for.
    bound_by: &'static str,
    core_hours: f64,
    rates: RatesUsed,
    others: Vec<Other>,
    #[serde(flatten)]
    origin: Origin,
}

/// The rates of the best way.
#[derive(Debug, Serialize)]
struct RatesUsed {
    /// Nonces and GiB a second.
    scan: Vec<(u32, f64)>,
    disk_gib_s: f64,
    hashes_per_second: f64,
    hashes_per_group: f64,
}

/// What would be with other nonces.
#[derive(Clone, Debug, Serialize)]
struct Other {
    nonces: u32,
    in_time: f64,
    one_pass: f64,
    seconds: f64,
}

pub(crate) fn run(args: &ForecastArgs) -> Result {
    let (task, units) = task(args)?;
    let ways = rates::gather(args)?;
    let window = args.window.as_secs_f64();
    let wrong = |error: prover::planner::BadNumber| Failure::usage(error.to_string());
    let choice = choose(&task, &ways, args.nonces, Some(window)).map_err(wrong)?;
    let Some(Choice { rates, forecast }) = choice else {
        return Err(Failure::usage("no rates: give --scan and --pow, or measure"));
    };
    let Some(way) = ways.get(rates) else {
        return Err(Failure::usage("no rates"));
    };
    let others = others(&task, way, forecast.nonces(), window).map_err(wrong)?;
    let report = report(args, units, &task, way, &forecast, others);
    if let Some(path) = &args.output.svg {
        file::create(path, &picture(&report)?)?;
    }
    if args.output.json { show(&report, true) } else { print(&words(&report)) }
}

/// What is to be proven: whole units of the size that was named.
fn task(args: &ForecastArgs) -> Result<(Task, u32)> {
    let all = presets();
    let Some(preset) = all.iter().find(|preset| preset.name == args.network) else {
        let names = all.map(|preset| preset.name).join(", ");
        return Err(Failure::usage(format!("no network {}; there are {names}", args.network)));
    };
    let params = &preset.params;
    let unit_bytes = params.labels_per_unit * post::LABEL_BYTES as u64;
    let units = u32::try_from(args.size / unit_bytes).unwrap_or(u32::MAX);
    if units < params.units_min || units > params.units_max {
        return Err(Failure::usage(format!(
            "--size {}: {} takes {} to {} units of {unit_bytes} bytes",
            args.size, args.network, params.units_min, params.units_max
        )));
    }
    let (labels, difficulty) = (
        post::Params::num_labels(params.labels_per_unit, units),
        params.pow_difficulty.scaled(units),
    );
    let labels = labels.ok_or_else(|| Failure::usage("--size: that are too many labels"))?;
    let hashes = expected_hashes(&difficulty?);
    Ok((Task { labels, k1: params.k1, k2: params.k2, hashes }, units))
}

fn others(
    task: &Task,
    way: &Rates,
    best: u32,
    window: f64,
) -> std::result::Result<Vec<Other>, prover::planner::BadNumber> {
    let mut all: Vec<u32> = SHOWN.into_iter().chain([best]).collect();
    all.sort_unstable();
    all.dedup();
    let of = |nonces| {
        let forecast = Forecast::new(task, way, nonces)?;
        let (in_time, one_pass) = (rounded(forecast.within(window)), rounded(forecast.one_pass()));
        Ok(Other { nonces, in_time, one_pass, seconds: rounded(forecast.seconds()) })
    };
    all.into_iter().map(of).collect()
}

fn report(
    args: &ForecastArgs,
    units: u32,
    task: &Task,
    way: &Rates,
    forecast: &Forecast,
    others: Vec<Other>,
) -> Report {
    let gib = |bytes: f64| rounded(bytes / f64::from(1 << 30));
    let window = args.window.as_secs_f64();
    Report {
        bench: "forecast",
        network: args.network.clone(),
        size_bytes: task.labels * post::LABEL_BYTES as u64,
        units,
        window_seconds: window,
        nonces: forecast.nonces(),
        threads: way.threads,
        in_time: rounded(forecast.within(window)),
        one_pass: rounded(forecast.one_pass()),
        never: rounded(forecast.never()),
        passes: rounded(forecast.passes()),
        seconds: rounded(forecast.seconds()),
        seconds_p50: forecast.seconds_for(0.5).map(rounded),
        seconds_p99: forecast.seconds_for(0.99).map(rounded),
        scan_seconds: rounded(forecast.scan_seconds()),
        pow_seconds: rounded(forecast.pow_seconds()),
        setup_seconds: rounded(way.setup),
        bound_by: if forecast.is_bound_by_disk() { "disk" } else { "processor" },
        core_hours: rounded(forecast.core_seconds() / 3600.0),
        rates: RatesUsed {
            scan: way.scan.iter().map(|rate| (rate.nonces, gib(rate.bytes))).collect(),
            disk_gib_s: gib(way.disk),
            hashes_per_second: rounded(way.hashes),
            hashes_per_group: rounded(task.hashes),
        },
        others,
        origin: Origin::here(),
    }
}

/// The answer first, then why.
fn words(report: &Report) -> String {
    let percent = |chance: f64| {
        // Nothing that depends on chance is certain.
        if chance > 0.9999 {
            "more than 99.99 %".to_owned()
        } else {
            format!("{:.2} %", chance * 100.0)
        }
    };
    let size = ByteSize::b(report.size_bytes);
    let time = |seconds: Option<f64>| seconds.map_or_else(|| "never".to_owned(), human_time);
    let mut lines = vec![
        format!(
            "A proof of {size} ({} units of {}) is there within {} with a chance of {}.",
            report.units,
            report.network,
            human_time(report.window_seconds),
            percent(report.in_time),
        ),
        format!("Best: --nonces {} --threads {}", report.nonces, report.threads),
        String::new(),
        format!(
            "One pass finds a proof with a chance of {}; {:.2} passes on average.",
            percent(report.one_pass),
            report.passes,
        ),
        format!(
            "Time until the proof: {} on average, half of them within {}, 99 of 100 within {}.",
            human_time(report.seconds),
            time(report.seconds_p50),
            time(report.seconds_p99),
        ),
        format!(
            "A pass: {} of k2pow (on average) and {} of reading, which waits for the {}.",
            human_time(report.pow_seconds),
            human_time(report.scan_seconds),
            report.bound_by,
        ),
        format!("Work: {} core hours on average.", short(report.core_hours)),
        String::new(),
        "nonces  in time     one pass    on average".to_owned(),
    ];
    for other in &report.others {
        let Other { nonces, in_time, one_pass, seconds } = other;
        let mark = if *nonces == report.nonces { " <" } else { "" };
        let (in_time, one_pass) = (in_time * 100.0, one_pass * 100.0);
        let time = human_time(*seconds);
        lines.push(format!("{nonces:6}  {in_time:7.3} %   {one_pass:7.3} %   {time}{mark}"));
    }
    lines.push(String::new());
    lines.push(format!(
        "Rates: disk {} GiB/s; {} hashes/s; scan {}.",
        short(report.rates.disk_gib_s),
        short(report.rates.hashes_per_second),
        report
            .rates
            .scan
            .iter()
            .map(|(nonces, rate)| format!("{} GiB/s with {nonces} nonces", short(*rate)))
            .collect::<Vec<_>>()
            .join(", "),
    ));
    lines.join("\n")
}

fn picture(report: &Report) -> Result<String> {
    let window = human_time(report.window_seconds);
    let bar = |other: &Other| Bar {
        group: format!("Chance of a proof within {window}, by nonces a pass"),
        name: format!("{} nonces", other.nonces),
        value: other.in_time * 100.0,
        unit: "%".to_owned(),
        spread: None,
        limit: Some(100.0),
        note: format!("{} on average", human_time(other.seconds)),
    };
    let bars: Vec<_> = report.others.iter().map(bar).collect();
    let size = ByteSize::b(report.size_bytes);
    let threads = NonZeroUsize::new(report.threads).unwrap_or(NonZeroUsize::MIN);
    let title = format!("A proof of {size}, {}", progress::threads(threads));
    let origin = chart::origin(&[serde_json::to_value(report)?]);
    Ok(chart::draw(&title, &origin, "certain", &bars))
}
