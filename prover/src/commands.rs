//! The commands that do one thing and end: arguments in, answer on stdout, exit code.

mod check;
mod init;
mod prove;

pub(crate) use check::check;
pub(crate) use init::init;
pub(crate) use prove::{prove, verify};

use crate::Failure;
use crate::args::InfoArgs;
use crate::outcome::{ExitCode, Result, answer};
use crate::settings::Network;
use plot::DataDir;
use post::{ScryptN, vrf};
use pow::Engine;
use serde_json::json;

/// The N that the data was made with: what is written beside it, else what the network says.
pub(crate) fn scrypt_n(directory: &DataDir, network: &Network) -> Result<ScryptN> {
    let asked = network.params.scrypt_n;
    match directory.sidecar() {
        Some(sidecar) if network.n_is_explicit && sidecar.scrypt_n != asked => {
            let (path, made) = (directory.path().display(), sidecar.scrypt_n);
            Err(Failure::usage(format!(
                "the data in {path} was made with N = {made}, but --scrypt-n says {asked}: leave \
                 the flag away, or name the right directory"
            )))
        }
        Some(sidecar) => Ok(sidecar.scrypt_n),
        None => Ok(asked),
    }
}

/// Says what a directory holds.
pub(crate) fn info(args: &InfoArgs) -> Result {
    let directory = DataDir::open(&args.data_dir)?;
    let metadata = directory.metadata();
    let files = directory.survey()?;
    let present: u64 = files.iter().map(|file| file.present().end - file.present().start).sum();
    let complete = files.iter().all(|file| file.complete().is_ok());
    let num_labels = directory.layout().num_labels();
    let faults: Vec<String> =
        files.iter().filter_map(|file| file.complete().err()).map(|e| e.to_string()).collect();
    let n = directory.sidecar().map(|sidecar| sidecar.scrypt_n.get());
    let value_suits = metadata.nonce_value.map(|label| vrf::suits(&label, num_labels));
    let kernels = (cpu::label_kernels(), cpu::scan_kernels());
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
            "label_kernels": kernels.0,
            "scan_kernels": kernels.1,
            "randomx": Engine::here().to_string(),
        });
        answer!("{answer}")?;
        return Ok(ExitCode::Done);
    }
    answer!("data directory   {}", directory.path().display())?;
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
    answer!("kernels here     labels: {}; scan: {}", kernels.0.join(", "), kernels.1.join(", "))?;
    answer!("RandomX here     {}", Engine::here())?;
    for fault in &faults {
        answer!("fault            {fault}")?;
    }
    Ok(ExitCode::Done)
}
