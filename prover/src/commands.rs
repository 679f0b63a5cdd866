//! The commands that do one thing and end: arguments in, answer on stdout, exit code.

mod check;
mod init;
mod move_;
mod nonce;
mod plan;
mod prove;
mod repair;
mod shrink;
mod space;
mod trash;

pub(crate) use check::check;
pub(crate) use init::init;
pub(crate) use move_::move_;
pub(crate) use nonce::nonce;
pub(crate) use plan::plan;
pub(crate) use prove::{prove, verify};
pub(crate) use repair::repair;
pub(crate) use shrink::shrink;
pub(crate) use trash::{purge, undo, wipe};

use crate::Failure;
use crate::args::{DataArgs, InfoArgs};
use crate::outcome::{ExitCode, Result, answer};
use crate::place;
use crate::settings::{self, Network};
use plot::{DataSet, Lock, Provenance};
use post::{ScryptN, vrf};
use pow::Engine;
use serde_json::json;

/// The N that the data was made with: what is written beside it, else what the network says.
pub(crate) fn scrypt_n(set: &DataSet, network: &Network) -> Result<ScryptN> {
    let asked = network.params.scrypt_n;
    match set.scrypt_n() {
        Some(made) if network.n_is_explicit && made != asked => {
            let name = set.name();
            Err(Failure::usage(format!(
                "the data in {name} was made with N = {made}, but --scrypt-n says {asked}: leave \
                 the flag away, or name the right directory"
            )))
        }
        Some(made) => Ok(made),
        None => Ok(asked),
    }
}

/// Opens the data that was named.
pub(crate) fn open(args: &DataArgs) -> Result<DataSet> {
    Ok(DataSet::open(&place::paths(&settings::places(&args.data_dir)?))?)
}

/// Opens the data that was named, for as long as the locks last: nobody writes there meanwhile.
pub(crate) fn open_shared(args: &DataArgs) -> Result<(Vec<Lock>, DataSet)> {
    let places = settings::places(&args.data_dir)?;
    let paths = place::paths(&places);
    let locks = Lock::shared_all(paths.iter().copied())?;
    Ok((locks, DataSet::open(&paths)?))
}

/// Says what a directory holds.
pub(crate) fn info(args: &InfoArgs) -> Result {
    let set = open(&args.data)?;
    let metadata = set.metadata();
    let files = set.survey()?;
    let present: u64 = files.iter().map(|file| file.present().end - file.present().start).sum();
    let complete = files.iter().all(|file| file.complete().is_ok());
    let num_labels = set.layout().num_labels();
    let faults: Vec<String> =
        files.iter().filter_map(|file| file.complete().err()).map(|e| e.to_string()).collect();
    let n = set.scrypt_n().map(post::ScryptN::get);
    let value_suits = metadata.nonce_value.map(|label| vrf::suits(&label, num_labels));
    let kernels = (cpu::label_kernels(), cpu::scan_kernels());
    let provenance = set.provenance()?;
    if args.json {
        let answer = json!({
            "node_id": metadata.node_id,
            "commitment_atx_id": metadata.commitment_atx_id,
            "num_units": metadata.num_units,
            "labels_per_unit": metadata.labels_per_unit,
            "max_file_size": metadata.max_file_size,
            "num_labels": num_labels,
            "labels_present": present,
            "complete": complete,
            "vrf_nonce": metadata.nonce.map(|index| index.0),
            "vrf_nonce_suits": value_suits,
            "scrypt_n": n,
            "files": files.len(),
            "faults": faults,
            "labels_made_here": provenance.made,
            "labels_hashed_not_verified": provenance.hashed,
            "labels_not_hashed": provenance.unhashed,
            "checked_percent": provenance.checked_ppm.map(|ppm| f64::from(ppm) / 10_000.0),
            "makers": provenance.makers.iter().map(|(directory, maker, files)| json!({
                "directory": directory, "maker": maker, "files": files.to_string(),
            })).collect::<Vec<_>>(),
            "trash": trash::trash_json(set.paths())?,
            "label_kernels": kernels.0,
            "scan_kernels": kernels.1,
            "randomx": Engine::here().to_string(),
        });
        answer!("{answer}")?;
        return Ok(ExitCode::Done);
    }
    for (path, files) in set.shares() {
        answer!("data directory   {} (files {files})", path.display())?;
    }
    answer!("identity         {}", metadata.node_id)?;
    answer!("commitment ATX   {}", metadata.commitment_atx_id)?;
    answer!(
        "size             {} units of {} labels",
        metadata.num_units,
        metadata.labels_per_unit
    )?;
    answer!("labels           {present} of {num_labels} present, in {} files", files.len())?;
    let n = n.map_or("not recorded (data of the reference)".to_owned(), |n| n.to_string());
    answer!("scrypt N         {n}")?;
    let nonce = metadata.nonce.map_or("not known".to_owned(), |index| index.to_string());
    answer!("VRF nonce        {nonce}")?;
    print_provenance(&provenance)?;
    answer!("kernels here     labels: {}; scan: {}", kernels.0.join(", "), kernels.1.join(", "))?;
    answer!("RandomX here     {}", Engine::here())?;
    for path in set.paths() {
        for line in trash::trash_lines(path)? {
            answer!("trash            {line}")?;
        }
    }
    for fault in &faults {
        answer!("fault            {fault}")?;
    }
    Ok(ExitCode::Done)
}

/// Where the labels come from, and what is known of them.
fn print_provenance(provenance: &Provenance) -> Result<()> {
    let Provenance { made, hashed, unhashed, makers, checked_ppm } = provenance;
    if *made > 0 {
        answer!("made here        {made} labels")?;
    }
    for (directory, maker, files) in makers {
        answer!("  by             {maker} (files {files} in {})", directory.display())?;
    }
    let state = if checked_ppm.is_some() { "hashed" } else { "hashed, not verified" };
    if *hashed > 0 {
        answer!("adopted          {hashed} labels, {state}")?;
    }
    if *unhashed > 0 {
        answer!("not hashed       {unhashed} labels: `check` hashes them")?;
    }
    match checked_ppm {
        Some(ppm) => answer!("checked          {} % made again", f64::from(*ppm) / 10_000.0)?,
        None => answer!("checked          never, or it did not pass")?,
    }
    Ok(())
}
