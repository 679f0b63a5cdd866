//! A result: one JSON object on one line, or a table for people.

use crate::machine::Machine;
use crate::outcome::Result;
use crate::stats::{Summary, rounded};
use crate::turns::Rates;
use serde::Serialize;
use serde_json::{Map, Value};
use std::io::Write;

/// What a measurement of ours came to. Every key is always there; what does not apply is null.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    /// Which: `init`, `prove`, `pow` or `disk`.
    pub(crate) bench: &'static str,
    /// The median of the slices.
    pub(crate) rate: f64,
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
    pub(crate) machine: Machine,
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
        let mut details = Map::new();
        details.insert("rate_min".into(), rounded(work.min).into());
        details.insert("rate_max".into(), rounded(work.max).into());
        Self {
            bench,
            rate: rounded(work.median),
            unit,
            threads,
            kernel: kernel.into(),
            seconds: rounded(seconds),
            limit: Some(rounded(limit.median)),
            limit_what: None,
            ratio_to_limit: Some(rounded(work.median / limit.median)),
            details,
            machine: Machine::here(),
        }
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

    pub(crate) fn print(&self, json: bool) -> Result {
        print(&if json { line(self)? } else { table(self)? })
    }
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
    pub(crate) machine: Machine,
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

impl Compared {
    pub(crate) fn print(&self, json: bool) -> Result {
        print(&if json { line(self)? } else { table(self)? })
    }
}

fn print(text: &str) -> Result {
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
                        rate_min rate_max scrypt_n machine";
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
