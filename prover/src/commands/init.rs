//! `init`: makes what is missing of a data set.

use super::space::Request;
use crate::args::InitArgs;
use crate::background;
use crate::init::Init;
use crate::make::{MakeError, refuse_foreign};
use crate::outcome::{ExitCode, Failure, Result, answer};
use crate::pace::Paced;
use crate::settings;
use crate::stop::Stop;
use cpu::Labels;
use plot::disk::{Disk, System};
use plot::{DataSet, Lock, PlotError};
use post::label::LabelFault;
use post::{Labeler, ScryptN};
use serde_json::json;
use std::time::Instant;

/// Makes the labels of an identity, or goes on where an earlier run stopped.
pub(crate) fn init(args: &InitArgs) -> Result {
    let stop = Stop::on_signals()?;
    background::enter(&args.work);
    // Nothing is made, not even a directory, for a request that makes no sense.
    let request = Request::new(&args.space)?;
    request.arrange()?;
    for place in &request.places {
        System.create_directory(&place.path).map_err(|error| {
            Failure::CouldNot(anyhow::anyhow!("cannot create {}: {error}", place.path.display()))
        })?;
    }
    let _locks = Lock::exclusive_all(request.places.iter().map(|place| place.path.as_path()))?;
    // Now that nobody else can change it.
    let request = Request::new(&args.space)?;
    let (mut set, n) = arranged(request)?;
    let start = Instant::now();
    let mut labels = Labels::new(set.metadata().commitment(), n, settings::threads(&args.work));
    let mut labels = Paced::new(&mut labels, settings::pace(&args.work));
    let kernel = labels.kernel().to_owned();
    let (mut draw, stop) = (draw_below, || stop.is_set());
    let mut init = Init {
        set: &mut set,
        n,
        labeler: &mut labels,
        stop: &stop,
        draw: &mut draw,
        json: args.json,
    };
    let summary = match init.run() {
        Err(MakeError::Label(LabelFault::Stopped)) => {
            eprintln!("stopped; what was made is on disk: run the same command again to go on");
            return Ok(ExitCode::CouldNot);
        }
        Err(error @ (MakeError::Plot(_) | MakeError::Label(_))) => {
            eprintln!(
                "what was made so far is on disk; once this is mended, run it again to go on:"
            );
            return Err(error.into());
        }
        other => other?,
    };
    let seconds = start.elapsed().as_secs_f64();
    let share = set.is_share().then(|| set.files().to_string());
    if args.json {
        let answer = json!({
            "labels_made": summary.made, "labels_found": summary.found, "seconds": seconds,
            "labels_per_second": summary.made as f64 / seconds, "kernel": kernel,
            "vrf_nonce": share.is_none().then_some(summary.vrf_nonce.0),
            "vrf_candidate": summary.vrf_nonce.0, "share": share, "scrypt_n": n.get(),
        });
        answer!("{answer}")?;
    } else {
        let name = if share.is_some() { "smallest label" } else { "VRF nonce" };
        answer!(
            "{} labels made in {seconds:.1} s ({kernel} kernel), {} were there; {name} {}",
            summary.made,
            summary.found,
            summary.vrf_nonce
        )?;
        if let Some(files) = share {
            answer!("label files {files} are a share: `merge` joins it with the others")?;
        }
    }
    Ok(ExitCode::Done)
}

/// The data set with every file in its place, and room for what is missing.
fn arranged(request: Request) -> Result<(DataSet, ScryptN)> {
    if let Some(set) = &request.found {
        refuse_foreign(set, request.n, &mut draw_below).map_err(|error| match error {
            MakeError::Plot(error) => Failure::from(error),
            foreign => Failure::usage(foreign.to_string()),
        })?;
    }
    let arrangement = request.arrange()?;
    let set = arrangement.carry_out(request.found, request.n)?;
    set.whole_or_share()?;
    match set.reserve() {
        // What is reserved stays so: it is ours, and the next run counts it.
        Err(PlotError::Io { action, path, why }) => {
            let path = path.display();
            let text = format!("cannot {action} {path}: {why}; no label was made");
            Err(Failure::CouldNot(anyhow::anyhow!(text)))
        }
        other => Ok(other.map(|()| (set, request.n))?),
    }
}

/// A number below `bound` that nobody can foresee; 0 where the system has no randomness.
pub(crate) fn draw_below(bound: u64) -> u64 {
    getrandom::u64().unwrap_or(0) % bound.max(1)
}
