//! `check`: makes labels again and lists every range that differs on disk, or is not there.

use super::init::draw_below;
use crate::args::{CheckArgs, ProofArgs};
use crate::background;
use crate::outcome::{ExitCode, Failure, Result, answer};
use crate::pace::Paced;
use crate::progress::Progress;
use crate::settings;
use crate::stop::Stop;
use cpu::Labels;
use plot::{DataSet, FileState, PlotError, Reader};
use post::label::LabelFault;
use post::{Commitment, LABEL_BYTES, LabelRange, Labeler};
use serde::Serialize;
use serde_json::json;

/// Labels made at a time: enough for every thread, few enough to stop within a second.
const RUN_LABELS: u64 = 256;
/// Runs that a part of the data is at least spread over.
const RUNS_MIN: u64 = 64;

/// A run of labels that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct BadRange {
    /// The first label.
    first: u64,
    /// The last one.
    last: u64,
    /// Where it is.
    file: String,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Why {
    /// There, and wrong.
    Differs,
    /// Not there.
    Missing,
    /// There, and cannot be read.
    Unreadable,
    /// Bytes after the last label.
    Excess,
}

/// Checks a fraction of the data, or all of it.
pub(crate) fn check(args: &CheckArgs) -> Result {
    if !(args.fraction > 0.0 && args.fraction <= 100.0) {
        let fraction = args.fraction;
        return Err(Failure::usage(format!("--fraction {fraction}: must be above 0, up to 100")));
    }
    let network = settings::network(&args.network, &ProofArgs::default())?;
    let stop = Stop::on_signals()?;
    background::enter(&args.work);
    let (_locks, directory) = super::open_shared(&args.data)?;
    let n = super::scrypt_n(&directory, &network)?;
    let metadata = directory.metadata();
    let commitment = Commitment::new(&metadata.node_id, &metadata.commitment_atx_id);
    let mut labels = Labels::new(commitment, n, settings::threads(&args.work));
    let mut labels = Paced::new(&mut labels, settings::pace(&args.work));
    let files = directory.survey()?;
    let runs = runs(&files, args.fraction, &mut draw_below);
    let total = runs.iter().map(|run| run.end - run.start).sum();
    let mut bad: Vec<BadRange> = files.iter().flat_map(absent).collect();
    let mut progress = Progress::new("checking", "labels", 0, total, args.json);
    let mut reader = directory.reader();
    let mut checked = 0;
    for run in runs {
        let found =
            differences(&directory, &mut reader, &mut labels, run.clone(), &|| stop.is_set());
        match found {
            Err(Failed::Stopped) => {
                eprintln!("stopped after {checked} of {total} labels");
                return Ok(ExitCode::CouldNot);
            }
            Err(Failed::Could(failure)) => return Err(failure),
            Ok(found) => bad.extend(found),
        }
        checked += run.end - run.start;
        progress.at(checked);
    }
    drop(progress);
    let bad = merged(bad);
    print(args, checked, &bad, n.get())?;
    Ok(if bad.is_empty() { ExitCode::Done } else { ExitCode::No })
}

/// What is missing of a file, or too much.
fn absent(file: &FileState) -> Option<BadRange> {
    let (labels, why) = match file.complete() {
        Ok(()) => return None,
        Err(PlotError::Oversized { .. }) => (file.labels.clone(), Why::Excess),
        Err(_) => (file.absent(), Why::Missing),
    };
    Some(bad_range(labels, &file.path.display().to_string(), why))
}

fn bad_range(labels: LabelRange, file: &str, why: Why) -> BadRange {
    let last = labels.end.saturating_sub(1).max(labels.start);
    BadRange { first: labels.start, last, file: file.to_owned(), why }
}

/// The runs to make again. The data is cut into equal stretches, and a run is drawn from each:
/// every stretch is looked at, and no run can be foreseen.
fn runs(files: &[FileState], percent: f64, draw: &mut dyn FnMut(u64) -> u64) -> Vec<LabelRange> {
    let present: u64 = files.iter().map(|file| file.present().end - file.present().start).sum();
    let wanted = (present as f64 * percent / 100.0).ceil().max(1.0);
    let run = ((wanted / RUNS_MIN as f64).ceil() as u64).clamp(1, RUN_LABELS);
    let stretch = if percent >= 100.0 { run } else { (run as f64 * 100.0 / percent) as u64 };
    let mut runs = Vec::new();
    for file in files {
        let present = file.present();
        let mut start = present.start;
        while start < present.end {
            let end = start.saturating_add(stretch.max(run)).min(present.end);
            let run = run.min(end - start);
            let first = start + draw(end - start - run + 1);
            runs.push(first..first + run);
            start = end;
        }
    }
    runs
}

enum Failed {
    Stopped,
    Could(Failure),
}

/// The labels of a run that differ on disk. A run that cannot be read is bad, and the next one is
/// looked at.
fn differences(
    directory: &DataSet,
    reader: &mut Reader<'_>,
    labels: &mut dyn Labeler,
    run: LabelRange,
    stop: &(dyn Fn() -> bool + Sync),
) -> std::result::Result<Vec<BadRange>, Failed> {
    let bytes =
        usize::try_from(run.end - run.start).unwrap_or(usize::MAX).saturating_mul(LABEL_BYTES);
    let (mut stored, mut made) = (vec![0; bytes], vec![0; bytes]);
    let (number, _) = directory.layout().place_of(run.start);
    let file = directory.file(number).map_err(|error| Failed::Could(error.into()))?;
    let file = file.path.display().to_string();
    if let Err(error) = reader.read(run.start, &mut stored) {
        tracing::warn!("{error}");
        return Ok(vec![bad_range(run, &file, Why::Unreadable)]);
    }
    labels.fill(run.clone(), &mut made, stop).map_err(|fault| match fault {
        LabelFault::Stopped => Failed::Stopped,
        fault => Failed::Could(fault.into()),
    })?;
    let pairs = stored.chunks_exact(LABEL_BYTES).zip(made.chunks_exact(LABEL_BYTES));
    let differing = run.zip(pairs).filter(|(_, (stored, made))| stored != made);
    Ok(differing.map(|(index, _)| bad_range(index..index + 1, &file, Why::Differs)).collect())
}

/// Neighbours of one kind in one file, joined.
fn merged(mut bad: Vec<BadRange>) -> Vec<BadRange> {
    bad.sort_by_key(|range| range.first);
    let mut merged: Vec<BadRange> = Vec::new();
    for range in bad {
        match merged.last_mut() {
            Some(last)
                if last.why == range.why
                    && last.file == range.file
                    && last.last.saturating_add(1) >= range.first =>
            {
                last.last = last.last.max(range.last);
            }
            _ => merged.push(range),
        }
    }
    merged
}

fn print(args: &CheckArgs, checked: u64, bad: &[BadRange], n: u32) -> Result<()> {
    if args.json {
        answer!("{}", json!({ "labels_checked": checked, "scrypt_n": n, "bad": bad }))?;
        return Ok(());
    }
    for BadRange { first, last, file, why } in bad {
        answer!("labels {first} to {last} in {file}: {why:?}")?;
    }
    let wrong: u64 =
        bad.iter().filter(|range| range.why == Why::Differs).map(|r| r.last - r.first + 1).sum();
    match bad.len() {
        0 => answer!("{checked} labels made again with N = {n}: all are right")?,
        ranges => answer!("{checked} labels made again with N = {n}: {ranges} bad ranges")?,
    }
    if wrong > 0 && wrong == checked {
        answer!("Every label differs: was the data made with another N, or by another identity?")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(labels: LabelRange, found: u64) -> FileState {
        FileState { path: "f".into(), labels, found: Some(found), confirmed: None }
    }

    #[test]
    fn all_means_every_label_once() {
        let files = [file(0..1000, 16_000), file(1000..1700, 11_200)];
        let runs = runs(&files, 100.0, &mut |_| 0);
        let all: Vec<u64> = runs.into_iter().flatten().collect();
        assert_eq!(all, (0..1700).collect::<Vec<_>>());
    }

    #[test]
    fn a_fraction_is_spread_over_everything() {
        let files = [file(0..100_000, 1_600_000)];
        let runs = runs(&files, 5.0, &mut |bound| bound / 2);
        let count: u64 = runs.iter().map(|run| run.end - run.start).sum();
        assert!((4900..=5200).contains(&count), "{count}");
        for stretch in 0..20 {
            let part = stretch * 5000..(stretch + 1) * 5000;
            assert!(runs.iter().any(|run| part.contains(&run.start)), "{part:?}");
        }
    }

    #[test]
    fn a_tiny_fraction_still_looks_at_something() {
        let files = [file(0..10, 160)];
        assert_eq!(runs(&files, 0.001, &mut |_| 3).len(), 1);
        assert_eq!(runs(&[file(0..10, 0)], 100.0, &mut |_| 0), []);
    }

    #[test]
    fn neighbours_are_joined() {
        let range = |first, last, why| BadRange { first, last, file: "f".into(), why };
        let bad = vec![
            range(7, 7, Why::Differs),
            range(5, 5, Why::Differs),
            range(6, 6, Why::Differs),
            range(8, 9, Why::Missing),
        ];
        assert_eq!(merged(bad), [range(5, 7, Why::Differs), range(8, 9, Why::Missing)]);
    }
}
