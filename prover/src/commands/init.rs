//! `init`: makes what is missing of a data set.

use super::space::Request;
use crate::args::InitArgs;
use crate::crew::{self, Crew};
use crate::devices;
use crate::init::{Init, Summary};
use crate::keeper::Keeper;
use crate::make::{MakeError, draw_below, refuse_foreign};
use crate::outcome::{ExitCode, Failure, Result, answer};
use crate::stop::Stop;
use crate::{background, progress};
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
    let devices = devices::chosen(&args.work)?;
    for place in &request.places {
        System.create_directory(&place.path).map_err(|error| {
            Failure::CouldNot(anyhow::anyhow!("cannot create {}: {error}", place.path.display()))
        })?;
    }
    let _locks = Lock::exclusive_all(request.places.iter().map(|place| place.path.as_path()))?;
    // Now that nobody else can change it.
    let request = Request::new(&args.space)?;
    let (mut set, n) = arranged(request)?;
    let _keeper = Keeper::of_command(&set);
    let start = Instant::now();
    let mut crew = crew::of(&devices, &args.work, set.metadata().commitment(), n);
    let stop = || stop.is_set();
    let made = Init { set: &mut set, crew: &mut crew, stop: &stop, report: args.json.into() }.run();
    super::warn_of_liars(&set, &crew);
    let summary = match made {
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
    print(&summary, &set, &crew, start.elapsed().as_secs_f64(), args.json)?;
    Ok(ExitCode::Done)
}

fn print(summary: &Summary, set: &DataSet, crew: &Crew, seconds: f64, json: bool) -> Result<()> {
    let (Summary { made, found, vrf_nonce, shares }, kernel) = (summary, crew.kernel());
    let files = set.is_share().then(|| set.files().to_string());
    if json {
        let answer = json!({
            "labels_made": made, "labels_found": found, "seconds": seconds,
            "labels_per_second": *made as f64 / seconds, "kernel": kernel,
            "devices": progress::devices(shares),
            "vrf_nonce": files.is_none().then_some(vrf_nonce.0),
            "vrf_candidate": vrf_nonce.0, "share": files, "scrypt_n": crew.n().get(),
        });
        answer!("{answer}")?;
        return Ok(());
    }
    let name = if files.is_some() { "smallest label" } else { "VRF nonce" };
    answer!(
        "{made} labels made in {seconds:.1} s ({kernel} kernel), {found} were there; {name} \
         {vrf_nonce}"
    )?;
    if let Some(parts) = progress::parts(shares) {
        answer!("by {parts}")?;
    }
    if let Some(files) = files {
        answer!("label files {files} are a share: `merge` joins it with the others")?;
    }
    Ok(())
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
