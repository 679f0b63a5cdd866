//! `shrink`: gives space back, in a way that can be undone.

use super::trash::refused;
use crate::args::{ProofArgs, ShrinkArgs};
use crate::make::MakeError;
use crate::outcome::{ExitCode, Result, answer};
use crate::place;
use crate::progress::{Progress, unix_now};
use crate::settings;
use crate::stop::Stop;
use crate::vrf;
use bytesize::ByteSize;
use plot::{DataSet, Entry, Given, Lock, PlotError, Shrink};
use post::ScryptN;
use post::label::{Candidate, LabelFault};
use serde_json::json;

/// Lets data shrink to fewer units.
pub(crate) fn shrink(args: &ShrinkArgs) -> Result {
    let network = settings::network(&args.network, &ProofArgs::default())?;
    super::space::refuse_units(args.units, &network)?;
    let stop = Stop::on_signals()?;
    let places = settings::places(&args.data.data_dir)?;
    let paths = place::paths(&places);
    let _locks = Lock::exclusive_all(paths.iter().copied())?;
    let set = match DataSet::found(&paths)? {
        Some(set) => set,
        None => DataSet::open(&paths)?,
    };
    let n = super::scrypt_n(&set, &network)?;
    let shrink = Shrink::new(set, args.units).map_err(refused)?;
    let shares = shrink.shares().to_vec();
    let smallest = if shrink.cuts_nonce() {
        match smallest(shrink.staying(), n, &stop, args.json) {
            Err(MakeError::Label(LabelFault::Stopped)) => {
                eprintln!("stopped before anything was changed");
                return Ok(ExitCode::CouldNot);
            }
            other => other?,
        }
    } else {
        None
    };
    let what = "copying what stays of a cut file";
    let mut progress =
        Progress::new(what, "bytes", 0, shrink.copied().saturating_mul(2), args.json);
    let mut done = 0;
    let shrunk = shrink.run(unix_now(), smallest, &mut |bytes| {
        done += bytes;
        progress.at(done);
        !stop.is_set()
    });
    drop(progress);
    let set = match shrunk {
        Err(PlotError::Stopped) => {
            eprintln!("stopped; the labels are all there: run the same command again to go on");
            return Ok(ExitCode::CouldNot);
        }
        other => other.map_err(refused)?,
    };
    let entry = Entry::all(paths.first().copied().unwrap_or("".as_ref()))?.pop();
    let number = entry.map_or(0, |entry| entry.number);
    let bytes: u64 = shares.iter().map(|share| share.bytes).sum();
    if args.json {
        let directory = |share: &Given| {
            let Given { path, files, bytes, .. } = share;
            json!({ "path": path, "files": files, "bytes": bytes })
        };
        let answer = json!({
            "num_units": set.metadata().num_units, "entry": number, "bytes": bytes,
            "vrf_nonce": set.metadata().nonce.map(|index| index.0),
            "directories": shares.iter().map(directory).collect::<Vec<_>>(),
        });
        answer!("{answer}")?;
        return Ok(ExitCode::Done);
    }
    answer!("{} holds {} units now", set.name(), set.metadata().num_units)?;
    answer!(
        "{} went to the trash (entry {number}): `undo` brings it back, `purge` frees the space",
        ByteSize::b(bytes)
    )?;
    Ok(ExitCode::Done)
}

/// The smallest of the labels that stay.
fn smallest(
    set: &DataSet,
    n: ScryptN,
    stop: &Stop,
    json: bool,
) -> std::result::Result<Option<Candidate>, MakeError> {
    let total = set.layout().num_labels();
    let mut progress = Progress::new("searching the VRF nonce", "labels", 0, total, json);
    let mut read = 0;
    vrf::search_on_disk(set, n, &|| stop.is_set(), &mut |labels| {
        read += labels;
        progress.at(read);
    })
}
