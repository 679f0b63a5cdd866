//! `repair`: bad labels made again, in the place of the wrong ones, which are kept.

use super::check::{hint, list, percent};
use crate::args::{ProofArgs, RangeArg, RepairArgs};
use crate::check::{BadRange, Check, Findings, Why};
use crate::crew::Crew;
use crate::make::{MakeError, draw_below};
use crate::outcome::{ExitCode, Failure, Result, answer};
use crate::progress::unix_now;
use crate::repair::{Mended, Mending, RepairError};
use crate::stop::Stop;
use crate::{background, crew, devices, settings};
use plot::DataSet;
use post::label::LabelFault;
use post::{LABEL_BYTES, LabelRange, ScryptN};
use serde_json::json;

/// Repairs the data.
pub(crate) fn repair(args: &RepairArgs) -> Result {
    let percent = percent(args.fraction)?;
    let network = settings::network(&args.network, &ProofArgs::default())?;
    let stop = Stop::on_signals()?;
    background::enter(&args.work);
    let (_locks, mut set) = super::open_exclusive(&args.data)?;
    let n = super::scrypt_n(&set, &network)?;
    let mut crew =
        crew::of(&devices::chosen(&args.work)?, &args.work, set.metadata().commitment(), n);
    let stop = || stop.is_set();
    let findings = find(args, &set, &mut crew, percent, &stop)?;
    if findings.stopped {
        eprintln!("stopped before anything was changed");
        return Ok(ExitCode::CouldNot);
    }
    let wrong = |bad: &&BadRange| matches!(bad.why, Why::Differs | Why::Unreadable | Why::Manifest);
    if !findings.bad.iter().any(|bad| wrong(&bad)) {
        return print(args, &findings, None, n);
    }
    let (bad, json) = (&findings.bad, args.json);
    let mut mending = Mending { set: &set, crew: &mut crew, stop: &stop, bad, json };
    mending.refuse_foreign().map_err(refused)?;
    if args.dry_run {
        return print(args, &findings, None, n);
    }
    set.adopt(n)?;
    set.set_maker(&crew.maker())?;
    let mut mending = Mending { set: &set, crew: &mut crew, stop: &stop, bad, json };
    let mended = mending.run(unix_now());
    super::warn_of_liars(&set, &crew);
    match mended {
        Err(RepairError::Make(MakeError::Label(LabelFault::Stopped))) => {
            eprintln!("stopped; what was replaced is kept: run the same command again to go on");
            Ok(ExitCode::CouldNot)
        }
        mended => print(args, &findings, Some(&mended?), n),
    }
}

/// What is bad: of the ranges that were named, or of everything.
fn find(
    args: &RepairArgs,
    set: &DataSet,
    crew: &mut Crew,
    percent: f64,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Findings> {
    let total = set.layout().num_labels();
    let mut ranges: Vec<_> = args.ranges.iter().map(|RangeArg(range)| range.clone()).collect();
    ranges.sort_by_key(|range| range.start);
    if let Some(beyond) = ranges.iter().find(|range| range.end > total) {
        let last = beyond.end - 1;
        return Err(Failure::usage(format!(
            "--ranges: label {last} of {total} is beyond the data"
        )));
    }
    let elsewhere = |range: &LabelRange| {
        let (first, _) = set.layout().place_of(range.start);
        let (last, _) = set.layout().place_of(range.end - 1);
        (first..=last).find(|file| !set.files().contains(*file))
    };
    if let Some(file) = ranges.iter().find_map(elsewhere) {
        return Err(Failure::usage(format!(
            "--ranges: label file {file} is not in this share, which holds files {}",
            set.files()
        )));
    }
    // None is looked at twice.
    let mut next = 0;
    for range in &mut ranges {
        range.start = range.start.max(next);
        next = next.max(range.end);
    }
    ranges.retain(|range| !range.is_empty());
    let seed = draw_below(u64::MAX);
    let mut check = Check {
        set,
        n: crew.n(),
        labeler: crew,
        percent,
        seed,
        record: false,
        stop,
        report: args.json.into(),
    };
    let findings = if ranges.is_empty() { check.run() } else { check.ranges(&ranges) };
    Ok(findings?)
}

/// Other data than was asked for is wrong usage.
fn refused(error: RepairError) -> Failure {
    match error {
        RepairError::Outside { .. } | RepairError::AllBad { .. } => {
            Failure::usage(error.to_string())
        }
        error => error.into(),
    }
}

fn print(args: &RepairArgs, findings: &Findings, mended: Option<&Mended>, n: ScryptN) -> Result {
    let ours = |why| matches!(why, Why::Differs | Why::Unreadable | Why::Manifest);
    let left: Vec<&BadRange> = findings.bad.iter().filter(|bad| !ours(bad.why)).collect();
    let refused = mended.map_or(0, |mended| mended.refused.len());
    let undone = mended.is_none() && left.len() < findings.bad.len();
    let code =
        if left.is_empty() && refused == 0 && !undone { ExitCode::Done } else { ExitCode::No };
    if args.json {
        let refused: Vec<_> = mended.map_or(&[][..], |mended| &mended.refused).iter().collect();
        let refused: Vec<_> = refused
            .iter()
            .map(|part| {
                let (first, last) = (part.labels.start, part.labels.end.saturating_sub(1));
                json!({ "first": first, "last": last, "why": part.why.to_string() })
            })
            .collect();
        let answer = json!({
            "bad": findings.bad, "dry_run": args.dry_run, "scrypt_n": n.get(),
            "labels_replaced": mended.map_or(0, |mended| mended.labels),
            "kept": mended.map(|mended| &mended.kept), "refused": refused,
        });
        answer!("{answer}")?;
        return Ok(code);
    }
    list(&findings.bad)?;
    let bytes = |labels: u64| labels.saturating_mul(LABEL_BYTES as u64);
    match mended {
        None if findings.bad.is_empty() => answer!("nothing is bad: nothing was changed")?,
        None if undone => {
            let wrong =
                findings.bad.iter().filter(|bad| matches!(bad.why, Why::Differs | Why::Unreadable));
            let labels: u64 = wrong.map(|bad| bad.last - bad.first + 1).sum();
            answer!(
                "{labels} labels would be made again, and {} bytes kept in trash/ of their \
                 directories; nothing was changed",
                bytes(labels)
            )?;
        }
        None => {}
        Some(Mended { labels, kept, refused }) => {
            for part in refused {
                let (first, last) = (part.labels.start, part.labels.end.saturating_sub(1));
                answer!("labels {first} to {last} are not repaired: {}", part.why)?;
            }
            answer!("{labels} labels made again with N = {n} and put in place")?;
            for path in kept {
                answer!("what was there before is kept in {}", path.display())?;
            }
        }
    }
    if !left.is_empty() {
        let left: Vec<BadRange> = left.into_iter().cloned().collect();
        if let Some(hint) = hint(&left) {
            answer!("{hint}")?;
        }
    }
    Ok(code)
}
