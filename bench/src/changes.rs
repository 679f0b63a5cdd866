//! `compare BEFORE AFTER`: what changed between two files of results, and whether it is more than
//! noise.

use crate::args::CompareArgs;
use crate::chart::short;
use crate::outcome::{Failure, Result};
use crate::recorded::{key, number, read, text};
use crate::report::print;
use crate::stats::{Summary, rounded};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A comparison of two files.
#[derive(Debug, Serialize)]
struct Changes {
    bench: &'static str,
    /// Whether both say that they were taken on the same processor.
    same_machine: bool,
    changes: Vec<Change>,
    /// What only one of them measured.
    only_before: Vec<String>,
    only_after: Vec<String>,
}

/// What became of a measurement.
#[derive(Debug, Serialize)]
struct Change {
    what: String,
    unit: String,
    before: Summary,
    after: Summary,
    /// `after / before`, of medians.
    ratio: f64,
    verdict: Verdict,
}

/// What a change means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Faster,
    Slower,
    /// The ranges that were seen overlap.
    WithinNoise,
}

/// What a file says of a measurement.
#[derive(Debug)]
struct Side {
    unit: String,
    summary: Summary,
}

pub(crate) fn run(args: &CompareArgs) -> Result {
    let [before, after] = args.files.as_slice() else {
        return Err(Failure::usage("give two files of results, or --against"));
    };
    let changes = changes(&read(before)?, &read(after)?);
    if args.json {
        return print(&serde_json::to_string(&changes)?);
    }
    print(&table(&changes))
}

fn changes(before: &[Value], after: &[Value]) -> Changes {
    let same_machine = cpus(before) == cpus(after);
    let (before, after) = (sides(before), sides(after));
    let missing = |of: &BTreeMap<String, Side>, other: &BTreeMap<String, Side>| {
        of.keys().filter(|what| !other.contains_key(*what)).cloned().collect()
    };
    let (only_before, only_after) = (missing(&before, &after), missing(&after, &before));
    let both = after.into_iter().filter_map(|(what, after)| {
        let before = before.get(&what).filter(|before| before.unit == after.unit)?;
        Some(change(what, before, &after))
    });
    let changes = both.collect();
    Changes { bench: "changes", same_machine, changes, only_before, only_after }
}

fn change(what: String, before: &Side, after: &Side) -> Change {
    let (old, new) = (before.summary, after.summary);
    let verdict = if new.min > old.max {
        Verdict::Faster
    } else if new.max < old.min {
        Verdict::Slower
    } else {
        Verdict::WithinNoise
    };
    let ratio = rounded(new.median / old.median);
    Change { what, unit: after.unit.clone(), before: old, after: new, ratio, verdict }
}

/// What was measured, by its key; of what was measured several times, all of it.
fn sides(results: &[Value]) -> BTreeMap<String, Side> {
    let mut rates: BTreeMap<String, (String, Vec<[f64; 3]>)> = BTreeMap::new();
    for result in results {
        let rate = number(result, "rate").filter(|rate| *rate > 0.0);
        let (Some(rate), Some(unit)) = (rate, text(result, "unit")) else { continue };
        let end = |name| number(result, name).unwrap_or(rate);
        let range = [rate, end("rate_min"), end("rate_max")];
        rates.entry(key(result)).or_insert_with(|| (unit, Vec::new())).1.push(range);
    }
    let sides = rates.into_iter().filter_map(|(what, (unit, ranges))| {
        let medians: Vec<_> = ranges.iter().map(|[rate, ..]| *rate).collect();
        let median = Summary::of(&medians)?.median;
        let min = ranges.iter().map(|[_, min, _]| *min).fold(f64::INFINITY, f64::min);
        let max = ranges.iter().map(|[.., max]| *max).fold(0.0, f64::max);
        Some((what, Side { unit, summary: Summary { median, min, max } }))
    });
    sides.collect()
}

/// The processors that results name.
fn cpus(results: &[Value]) -> Vec<String> {
    let mut cpus: Vec<_> =
        results.iter().filter_map(|result| text(result.get("machine")?, "cpu")).collect();
    cpus.sort();
    cpus.dedup();
    cpus
}

fn table(changes: &Changes) -> String {
    let mut rows = vec![["", "before", "after", "after/before", ""].map(str::to_owned)];
    let range =
        |side: Summary| format!("{} ({}–{})", short(side.median), short(side.min), short(side.max));
    for change in &changes.changes {
        let verdict = match change.verdict {
            Verdict::Faster => "faster",
            Verdict::Slower => "slower",
            Verdict::WithinNoise => "within noise",
        };
        rows.push([
            change.what.clone(),
            range(change.before),
            format!("{} {}", range(change.after), change.unit),
            format!("{:.3}", change.ratio),
            verdict.to_owned(),
        ]);
    }
    let mut lines = Vec::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let widths = rows.iter().map(|row| row[column].chars().count());
            let width = widths.max().unwrap_or(0);
            line.push_str(&format!("{cell:width$}  "));
        }
        lines.push(line.trim_end().to_owned());
    }
    for (names, which) in [(&changes.only_before, "before"), (&changes.only_after, "after")] {
        if !names.is_empty() {
            lines.push(format!("only {which}: {}", names.join("; ")));
        }
    }
    if !changes.same_machine {
        lines.push("The two were taken on different processors.".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn result(bench: &str, rate: f64, spread: f64) -> Value {
        json!({"bench": bench, "rate": rate, "unit": "x/s", "threads": 1,
            "rate_min": rate - spread, "rate_max": rate + spread, "machine": {"cpu": "one"}})
    }

    #[test]
    fn overlapping_ranges_are_noise() {
        let before =
            [result("init", 100.0, 5.0), result("prove", 10.0, 1.0), result("pow", 7.0, 0.0)];
        let after =
            [result("init", 120.0, 5.0), result("prove", 9.0, 1.0), result("disk", 1.0, 0.0)];
        let found = changes(&before, &after);
        let verdicts: Vec<_> =
            found.changes.iter().map(|it| (it.what.as_str(), it.ratio, it.verdict)).collect();
        assert_eq!(
            verdicts,
            [
                ("init, 1 thread", 1.2, Verdict::Faster),
                ("prove, 1 thread", 0.9, Verdict::WithinNoise)
            ]
        );
        assert_eq!((found.only_before.len(), found.only_after.len()), (1, 1));
        assert!(found.same_machine);
        let slower = changes(&after, &before);
        assert_eq!(slower.changes[0].verdict, Verdict::Slower);
        let table = table(&found);
        assert!(table.contains("within noise") && table.contains("only after: disk"), "{table}");
    }

    #[test]
    fn repeated_measurements_are_taken_together() {
        let many: Vec<_> = [90.0, 100.0, 130.0].map(|rate| result("init", rate, 0.0)).into();
        let sides = sides(&many);
        let summary = sides["init, 1 thread"].summary;
        assert_eq!((summary.median, summary.min, summary.max), (100.0, 90.0, 130.0));
    }
}
