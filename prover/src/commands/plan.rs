//! `plan`: what `init` would keep and make, where, and how long it would take.

use super::space::Request;
use crate::args::PlanArgs;
use crate::crew;
use crate::devices;
use crate::outcome::{ExitCode, Result, answer};
use crate::planner;
use crate::progress::{human, human_time};
use bytesize::ByteSize;
use plot::Share;
use post::LABEL_BYTES;
use serde_json::json;
use std::ops::ControlFlow;
use std::slice::from_ref;
use std::time::{Duration, Instant};

/// How long the speed is measured, and until what was begun by then is made.
const TRIAL: Duration = Duration::from_secs(2);

/// Says what `init` would do with the same flags.
pub(crate) fn plan(args: &PlanArgs) -> Result {
    let request = Request::new(&args.space)?;
    let arrangement = request.arrange()?;
    let (shares, files) = (arrangement.shares(), request.files_of_set());
    let missing: u64 = shares.iter().map(|share| share.missing).sum();
    let rates = if missing > 0 { rates(&request, args)? } else { vec![] };
    let rate = (missing > 0).then(|| rates.iter().sum::<f64>());
    let seconds = planner::seconds_to_make(missing, &rates).unwrap_or(0.0);
    if args.json {
        let directory = |share: &Share| {
            json!({
                "path": share.path, "files": share.files.to_string(),
                "labels_present": share.present, "labels_missing": share.missing,
                "bytes_needed": share.cost, "bytes_available": share.available,
            })
        };
        let answer = json!({
            "num_units": request.metadata.num_units, "files": files,
            "units_on_disk": request.found.map_or(0, |set| set.metadata().num_units),
            "labels_missing": missing, "scrypt_n": request.n.get(),
            "labels_per_second": rate, "seconds": seconds,
            "directories": shares.iter().map(directory).collect::<Vec<_>>(),
        });
        answer!("{answer}")?;
        return Ok(ExitCode::Done);
    }
    let found = request.found.map_or(0, |set| set.metadata().num_units);
    answer!("units            {} ({found} on disk now)", request.metadata.num_units)?;
    answer!("label files      {files}, 0 to {}", files.saturating_sub(1))?;
    for share in shares {
        let bytes = |labels: u64| ByteSize::b(labels.saturating_mul(LABEL_BYTES as u64));
        answer!("{}", share.path.display())?;
        answer!("  files          {}", share.files)?;
        answer!("  labels         {} kept, {} made", bytes(share.present), bytes(share.missing))?;
        let (needed, free) = (ByteSize::b(share.cost), ByteSize::b(share.available));
        answer!("  space          {needed} needed, {free} free")?;
    }
    match rate {
        None => answer!("Every label is there: init has nothing to make.")?,
        Some(rate) => answer!(
            "init makes {missing} labels with N = {}: {} at {} labels/s, measured for {} s here",
            request.n,
            human_time(seconds),
            human(rate),
            TRIAL.as_secs()
        )?,
    }
    Ok(ExitCode::Done)
}

/// Labels a second of each device, as busy as this machine is.
fn rates(request: &Request, args: &PlanArgs) -> Result<Vec<f64>> {
    let mut crew = crew::of(
        &devices::chosen(&args.work)?,
        &args.work,
        request.metadata.commitment(),
        request.n,
    );
    let start = Instant::now();
    crew.run(from_ref(&(0..u64::MAX)), &|| false, &mut |_| {
        let enough = start.elapsed() >= TRIAL;
        Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(crew.shares().iter().map(|share| share.rate).collect())
}
