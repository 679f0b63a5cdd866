//! The status as metrics, in the text that Prometheus reads (OpenMetrics).
//!
//! [`METRICS`] is all there is: each metric says what it counts, in base units; rates are left to
//! who reads them. `docs/service.md` shows the same table, and a test compares the two.

use crate::service::status::{
    DeviceStatus, JobState, JobStatus, Kind, NodeStatus, Outlook, Rest, SetStatus, Status,
};
use core::fmt;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::sync::Arc;

pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bytes of a label.
const LABEL_BYTES: u64 = 16;

/// One metric: its name and type, what tells its values apart, what it is, and its values.
struct Metric {
    name: &'static str,
    kind: MetricType,
    labels: &'static [&'static str],
    help: &'static str,
    values: fn(&Status) -> Vec<Value>,
}

/// The values of a metric's labels, in their order, and the number.
struct Value {
    labels: Vec<String>,
    number: f64,
}

fn value(labels: &[&dyn fmt::Display], number: f64) -> Value {
    Value { labels: labels.iter().map(ToString::to_string).collect(), number }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    values: fn(&Status) -> Vec<Value>,
) -> Metric {
    Metric { name, kind: MetricType::Gauge, labels, help, values }
}

const NODE: &[&str] = &["node"];
const SET: &[&str] = &["node_id", "directory"];
const JOB: &[&str] = &["job", "kind", "node_id"];

/// All metrics, without the prefix `postmesh_prover_`.
const METRICS: &[Metric] = &[
    gauge("info", &["software"], "Always 1; the label says what runs", |status| {
        vec![value(&[&status.software], 1.0)]
    }),
    gauge("start_time_seconds", &[], "When the service began, in seconds since 1970", |status| {
        vec![value(&[], status.started_at as f64)]
    }),
    gauge("resting", &[], "1 while everything but proofs rests, or everything", |status| {
        vec![value(&[], f64::from(status.rest != Rest::None))]
    }),
    gauge("proofs_resting", &[], "1 while proofs rest too, as a person asked", |status| {
        vec![value(&[], f64::from(status.rest == Rest::AskedProofsToo))]
    }),
    gauge("node_connected", NODE, "1 while the node is there and has welcomed us", |status| {
        nodes(status, |node| f64::from(node.connected))
    }),
    gauge(
        "node_since_time_seconds",
        NODE,
        "Since when the node is there or is not, in seconds since 1970",
        |status| nodes(status, |node| node.since_at as f64),
    ),
    gauge("set_bytes", SET, "Size of the data set once it is complete", |status| {
        sets(status, |set| {
            let labels = u64::from(set.num_units).saturating_mul(set.labels_per_unit);
            Some(labels as f64 * LABEL_BYTES as f64)
        })
    }),
    gauge("set_present_bytes", SET, "Bytes of the data set that are on disk", |status| {
        sets(status, |set| Some(set.labels_present as f64 * LABEL_BYTES as f64))
    }),
    gauge("set_complete", SET, "1 if a proof can be made of the data set", |status| {
        sets(status, |set| Some(f64::from(set.complete)))
    }),
    gauge(
        "set_in_time_ratio",
        SET,
        "How likely the next proof of the data set is there in time, from 0 to 1",
        |status| sets(status, |set| set.outlook.and_then(|outlook| outlook.in_time)),
    ),
    gauge(
        "set_proof_expected_seconds",
        SET,
        "How long the next proof of the data set takes on average",
        |status| sets(status, |set| Some(set.outlook?.expected_seconds)),
    ),
    gauge(
        "set_proof_most_seconds",
        SET,
        "How long 99 of 100 proofs of the data set take at most",
        |status| sets(status, |set| Some(set.outlook?.most_seconds)),
    ),
    gauge("jobs", &["kind", "state"], "Jobs that are worked on, wait, or ended lately", |status| {
        counts(&status.jobs)
    }),
    gauge("job_done_ratio", JOB, "How much of the job's stage is done, from 0 to 1", |status| {
        jobs(status, |job| (job.total > 0).then(|| job.done as f64 / job.total as f64))
    }),
    gauge(
        "job_deadline_time_seconds",
        JOB,
        "When the job's proof is of no use any more, in seconds since 1970",
        |status| jobs(status, |job| Some(job.deadline_at? as f64)),
    ),
    gauge("job_in_time_ratio", JOB, "How likely the job is done in time, from 0 to 1", |status| {
        jobs(status, |job| in_time(job.outlook))
    }),
    Metric {
        name: "device_labels",
        kind: MetricType::Counter,
        labels: &["device"],
        help: "Labels that the device made in this run of the service",
        values: |status| devices(status, |device| device.labels_made as f64),
    },
    gauge("device_usable", &["device"], "0 once the device is not used any more", |status| {
        devices(status, |device| f64::from(device.why_not.is_none()))
    }),
];

fn nodes(status: &Status, number: fn(&NodeStatus) -> f64) -> Vec<Value> {
    status.nodes.iter().map(|node| value(&[&node.place], number(node))).collect()
}

fn devices(status: &Status, number: fn(&DeviceStatus) -> f64) -> Vec<Value> {
    status.devices.iter().map(|device| value(&[&device.name], number(device))).collect()
}

/// Two sets may be of one identity, but never begin in one directory.
fn sets(status: &Status, number: fn(&SetStatus) -> Option<f64>) -> Vec<Value> {
    let of = |set: &SetStatus| {
        let directory = set.directories.first().map(|directory| directory.display());
        let directory = directory.map(|shown| shown.to_string()).unwrap_or_default();
        Some(value(&[&set.node_id, &directory], number(set)?))
    };
    status.sets.iter().filter_map(of).collect()
}

/// Jobs that have ended have no numbers of their own.
fn jobs(status: &Status, number: fn(&JobStatus) -> Option<f64>) -> Vec<Value> {
    let goes_on = |job: &&JobStatus| !matches!(job.state, JobState::Done | JobState::Failed);
    let of =
        |job: &JobStatus| Some(value(&[&job.id, &word(&job.kind), &job.node_id], number(job)?));
    status.jobs.iter().filter(goes_on).filter_map(of).collect()
}

/// Each kind in each state, those that there are none of too: a gap is no zero.
fn counts(jobs: &[JobStatus]) -> Vec<Value> {
    let states = [
        JobState::Waiting,
        JobState::Working,
        JobState::Resting,
        JobState::Undelivered,
        JobState::Done,
        JobState::Failed,
    ];
    let pairs = [Kind::Prove, Kind::Init, Kind::Scrub]
        .into_iter()
        .flat_map(|kind| states.map(|state| (kind, state)));
    let count = |(kind, state)| {
        let count = jobs.iter().filter(|job| (job.kind, job.state) == (kind, state)).count();
        value(&[&word(&kind), &word(&state)], count as f64)
    };
    pairs.map(count).collect()
}

fn in_time(outlook: Option<Outlook>) -> Option<f64> {
    outlook?.in_time
}

/// The name that a choice has in the status.
fn word(choice: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(choice);
    value.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What `/metrics` answers.
pub(super) fn text(status: Arc<Status>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("postmesh_prover");
    registry.register_collector(Box::new(Snapshot(status)));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

/// The status at one moment, measured by its metrics.
#[derive(Debug)]
struct Snapshot(Arc<Status>);

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for metric in METRICS {
            let values = (metric.values)(&self.0);
            if values.is_empty() {
                continue;
            }
            let mut encoder =
                encoder.encode_descriptor(metric.name, metric.help, None, metric.kind)?;
            for Value { labels, number } in values {
                let names = metric.labels.iter().map(|label| (*label).to_owned());
                let labels: Vec<(String, String)> = names.zip(labels).collect();
                if labels.is_empty() {
                    encode(metric.kind, number, &mut encoder)?;
                } else {
                    encode(metric.kind, number, &mut encoder.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }
}

fn encode(
    kind: MetricType,
    number: f64,
    encoder: &mut MetricEncoder<'_>,
) -> Result<(), fmt::Error> {
    match kind {
        MetricType::Counter => encoder.encode_counter::<NoLabelSet, f64, f64>(&number, None),
        _ => encoder.encode_gauge(&number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_metric() {
        let row = |metric: &Metric| {
            let (suffix, kind) = match metric.kind {
                MetricType::Counter => ("_total", "counter"),
                _ => ("", "gauge"),
            };
            let labels: Vec<String> =
                metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let (name, labels) = (metric.name, labels.join(", "));
            format!("| `postmesh_prover_{name}{suffix}` | {kind} | {labels} | {} |", metric.help)
        };
        let rows: Vec<String> = METRICS.iter().map(row).collect();
        let documented = crate::control::documented("## Metrics");
        assert!(rows == documented, "docs/service.md should have:\n{}", rows.join("\n"));
    }
}
