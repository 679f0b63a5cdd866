//! A result: one JSON object on one line, or a table for people, and a chart where one is wanted.

use crate::args::Output;
use crate::chart;
use crate::file;
use crate::machine::Machine;
use crate::outcome::Result;
use crate::stats::{Summary, rounded};
use crate::turns::Rates;
use serde::Serialize;
use serde_json::{Map, Value};
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a measurement of ours came to. Every key is always there; what does not apply is null.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    /// Which: `device`, `init`, `prove`, `pow` or `disk`.
    pub(crate) bench: &'static str,
    /// The median of the slices; null for a device that cannot be measured.
    pub(crate) rate: Option<f64>,
    /// Of the rate and of the limit.
    pub(crate) unit: &'static str,
    pub(crate) threads: usize,
    /// Which of several ways did the work.
    pub(crate) kernel: String,
    /// How long the work was measured, without preparations and without the limit.
    pub(crate) seconds: f64,
    /// What this machine could do at most with as many threads, measured in turns with the work.
    pub(crate) limit: Option<f64>,
    /// What the limit is, in words.
    pub(crate) limit_what: Option<String>,
    /// `rate / limit`.
    pub(crate) ratio_to_limit: Option<f64>,
    /// What only this kind of measurement has.
    #[serde(flatten)]
    pub(crate) details: Map<String, Value>,
    #[serde(flatten)]
    pub(crate) origin: Origin,
}

/// Where a result comes from.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Origin {
    /// When it was there: UTC, by the clock of the machine.
    pub(crate) date: String,
    /// Of this program.
    pub(crate) version: String,
    pub(crate) machine: Machine,
}

impl Origin {
    /// Here and now.
    pub(crate) fn here() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let date = prover::date(now.map_or(0, |time| time.as_secs()));
        // Whoever builds may say of what.
        let commit = option_env!("POSTMESH_COMMIT").map(|commit| format!(" ({commit})"));
        let version = format!("{}{}", env!("CARGO_PKG_VERSION"), commit.unwrap_or_default());
        Self { date, version, machine: Machine::here() }
    }
}

impl Measured {
    /// A result with a limit.
    pub(crate) fn new(
        bench: &'static str,
        unit: &'static str,
        threads: usize,
        kernel: impl Into<String>,
        rates: Rates,
    ) -> Self {
        let Rates { work, limit, seconds } = rates;
        let length = Duration::from_secs_f64(seconds);
        let measured = Self::without_limit(bench, unit, threads, kernel, Some(work), length);
        Self {
            limit: Some(rounded(limit.median)),
            ratio_to_limit: Some(rounded(work.median / limit.median)),
            ..measured
        }
    }

    /// A result that nothing limits, or nothing that we know.
    pub(crate) fn without_limit(
        bench: &'static str,
        unit: &'static str,
        threads: usize,
        kernel: impl Into<String>,
        rate: Option<Summary>,
        length: Duration,
    ) -> Self {
        let measured = Self {
            bench,
            rate: None,
            unit,
            threads,
            kernel: kernel.into(),
            seconds: rounded(length.as_secs_f64()),
            limit: None,
            limit_what: None,
            ratio_to_limit: None,
            details: Map::new(),
            origin: Origin::here(),
        };
        rate.into_iter().fold(measured, Self::rated)
    }

    /// Gives it its rate, and the spread of that.
    pub(crate) fn rated(mut self, rate: Summary) -> Self {
        let rate = rate.rounded();
        self.rate = Some(rate.median);
        self.with("rate_min", rate.min).with("rate_max", rate.max)
    }

    /// Adds a detail.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// Says what the limit is.
    pub(crate) fn limited_by(mut self, what: impl Into<String>) -> Self {
        self.limit_what = Some(what.into());
        self
    }
}

/// Shows results as they are wanted: each on a line or in a table, and all in one chart.
pub(crate) fn put(results: &[Measured], output: &Output) -> Result {
    if let Some(path) = &output.svg {
        // Before anything is printed: whoever reads the answer may rely on the file.
        let values =
            results.iter().map(serde_json::to_value).collect::<serde_json::Result<Vec<_>>>()?;
        file::create(path, &chart::of_results(&values))?;
    }
    for (number, result) in results.iter().enumerate() {
        if number > 0 && !output.json {
            print("")?;
        }
        show(result, output.json)?;
    }
    Ok(())
}

/// Prints one result.
pub(crate) fn show(result: &impl Serialize, json: bool) -> Result {
    print(&if json { line(result)? } else { table(result)? })
}

/// What a comparison came to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Compared {
    pub(crate) bench: &'static str,
    /// Our subcommand and its arguments.
    pub(crate) ours: String,
    /// The other's command.
    pub(crate) against: String,
    /// What is compared: our unit, or `s` for the time of a whole run.
    pub(crate) unit: String,
    pub(crate) our: Summary,
    pub(crate) their: Summary,
    /// How many times as fast ours is: the median of the pairs.
    pub(crate) ratio: f64,
    pub(crate) ratio_min: f64,
    pub(crate) ratio_max: f64,
    /// Every pair of runs, in order.
    pub(crate) pairs: Vec<Pair>,
    #[serde(flatten)]
    pub(crate) origin: Origin,
}

/// A run of each, one after the other.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Pair {
    pub(crate) our: f64,
    pub(crate) our_seconds: f64,
    pub(crate) their: f64,
    pub(crate) their_seconds: f64,
    pub(crate) ratio: f64,
}

/// What a program is delayed by another.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Beside {
    pub(crate) bench: &'static str,
    /// The program that was timed.
    pub(crate) program: String,
    /// The other's command.
    pub(crate) burden: String,
    pub(crate) unit: &'static str,
    pub(crate) alone: Summary,
    pub(crate) beside: Summary,
    /// How much longer it took, as a share of its time alone: the median of the pairs.
    pub(crate) delay: f64,
    pub(crate) delay_min: f64,
    pub(crate) delay_max: f64,
    /// Every pair of runs, in order.
    pub(crate) pairs: Vec<BesidePair>,
    #[serde(flatten)]
    pub(crate) origin: Origin,
}

/// A run alone and the next one, beside the other program; seconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct BesidePair {
    pub(crate) alone: f64,
    pub(crate) beside: f64,
    pub(crate) delay: f64,
}

/// Prints a line.
pub(crate) fn print(text: &str) -> Result {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

fn line(result: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string(result)?)
}

/// The keys of a result and their values, one a line; null is left out.
fn table(result: &impl Serialize) -> Result<String> {
    let value = serde_json::to_value(result)?;
    let mut rows = Vec::new();
    collect("", &value, &mut rows);
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines = rows.iter().map(|(name, value)| format!("{name:width$}  {value}"));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn collect(name: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    let joined = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Null => (),
        Value::Object(fields) => {
            for (key, value) in fields {
                let key = key.replace('_', " ");
                let name = if name.is_empty() { key } else { format!("{name} {key}") };
                collect(&name, value, rows);
            }
        }
        Value::Array(values) if values.iter().any(Value::is_object) => {
            for (number, value) in (1..).zip(values) {
                let mut parts = Vec::new();
                collect("", value, &mut parts);
                let parts = parts.into_iter().map(|(name, value)| format!("{name} {value}"));
                rows.push((format!("{name} {number}"), joined(parts.collect())));
            }
        }
        Value::Array(values) => {
            let values = values.iter().map(text).collect();
            rows.push((name.to_owned(), joined(values)));
        }
        other => rows.push((name.to_owned(), text(other))),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measured {
        let summary = |median| Summary { median, min: median / 2.0, max: median * 2.0 };
        let rates = Rates { work: summary(500.0), limit: summary(2000.0), seconds: 10.0 };
        Measured::new("init", "labels/s", 2, "plain", rates)
            .with("scrypt_n", 16)
            .limited_by("something")
    }

    #[test]
    fn the_json_has_its_keys_in_order() {
        let line = line(&measured()).unwrap();
        assert!(!line.contains('\n'));
        let value: Value = serde_json::from_str(&line).unwrap();
        let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = "bench rate unit threads kernel seconds limit limit_what ratio_to_limit \
                        rate_min rate_max scrypt_n date version machine";
        assert_eq!(keys.join(" "), expected);
        assert_eq!((&value["rate"], &value["ratio_to_limit"]), (&500.0.into(), &0.25.into()));
        for key in ["cpu", "cores", "features", "memory_gib", "load"] {
            assert!(value["machine"].get(key).is_some(), "{key}");
        }
    }

    #[test]
    fn what_does_not_apply_is_null_for_machines_and_absent_for_people() {
        let without =
            Measured { limit: None, limit_what: None, ratio_to_limit: None, ..measured() };
        assert!(line(&without).unwrap().contains("\"limit\":null,\"limit_what\":null"));
        assert!(!table(&without).unwrap().contains("limit"));
    }

    #[test]
    fn the_table_flattens_what_is_nested() {
        let value = serde_json::json!({
            "a_b": 1, "c": {"d": "x"}, "e": [1, 2], "f": [{"g": 3, "h": 4}], "i": null
        });
        let expected = "a b  1\nc d  x\ne    1, 2\nf 1  g 3, h 4";
        assert_eq!(table(&value).unwrap(), expected);
    }
}
