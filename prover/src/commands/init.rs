//! `init`: makes what is missing of a data set.

use crate::args::{InitArgs, ProofArgs};
use crate::background;
use crate::init::{Init, InitError};
use crate::outcome::{ExitCode, Failure, Result, answer};
use crate::pace::Paced;
use crate::settings::{self, Network};
use crate::stop::Stop;
use cpu::Labels;
use plot::{DataDir, Lock, Metadata, PlotError, Sidecar};
use post::label::LabelFault;
use post::{Commitment, Labeler, ScryptN};
use serde_json::json;
use std::fs;
use std::time::Instant;

/// The reference's default: 4 GiB a file.
const FILE_BYTES: u64 = 4 << 30;

/// Makes the labels of an identity, or goes on where an earlier run stopped.
pub(crate) fn init(args: &InitArgs) -> Result {
    let network = settings::network(&args.network, &ProofArgs::default())?;
    refuse_units(args, &network)?;
    let stop = Stop::on_signals()?;
    background::enter(&args.work);
    let path = &args.data_dir;
    if !path.exists() {
        plot::Layout::new(&wanted(args, &network))
            .map_err(|why| Failure::usage(why.to_string()))?;
        fs::create_dir_all(path)?;
    }
    let _lock = Lock::exclusive(path)?;
    let (mut directory, n) = match DataDir::open(path) {
        Err(PlotError::NoData { .. }) => create(args, &network)?,
        other => adopt(other?, args, &network)?,
    };
    let start = Instant::now();
    let metadata = directory.metadata();
    let commitment = Commitment::new(&metadata.node_id, &metadata.commitment_atx_id);
    let mut labels = Labels::new(commitment, n, settings::threads(&args.work));
    let mut labels = Paced::new(&mut labels, settings::pace(&args.work));
    let kernel = labels.kernel();
    let (mut draw, stop) = (draw_below, || stop.is_set());
    let mut init = Init {
        directory: &mut directory,
        n,
        labeler: &mut labels,
        stop: &stop,
        draw: &mut draw,
        json: args.json,
    };
    let summary = match init.run() {
        Err(InitError::Label(LabelFault::Stopped)) => {
            eprintln!("stopped; what was made is on disk: run the same command again to go on");
            return Ok(ExitCode::CouldNot);
        }
        Err(foreign @ InitError::Foreign { .. }) => {
            return Err(Failure::usage(foreign.to_string()));
        }
        Err(error @ (InitError::Plot(_) | InitError::Label(_))) => {
            eprintln!(
                "what was made so far is on disk; once this is mended, run it again to go on:"
            );
            return Err(error.into());
        }
        other => other?,
    };
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        let answer = json!({
            "labels_made": summary.made, "labels_found": summary.found, "seconds": seconds,
            "labels_per_second": summary.made as f64 / seconds, "kernel": kernel,
            "vrf_nonce": summary.vrf_nonce.0, "scrypt_n": n.get(),
        });
        answer!("{answer}")?;
    } else {
        answer!(
            "{} labels made in {seconds:.1} s ({kernel} kernel), {} were there; VRF nonce {}",
            summary.made,
            summary.found,
            summary.vrf_nonce
        )?;
    }
    Ok(ExitCode::Done)
}

fn refuse_units(args: &InitArgs, network: &Network) -> Result<()> {
    let (min, max) = (network.params.units_min, network.params.units_max);
    if (min..=max).contains(&args.units) {
        return Ok(());
    }
    let units = args.units;
    Err(Failure::usage(format!("--units {units}: this network allows {min} to {max}")))
}

/// The metadata that the request asks for.
fn wanted(args: &InitArgs, network: &Network) -> Metadata {
    Metadata::new(
        args.node_id,
        args.commitment_atx,
        args.labels_per_unit.unwrap_or(network.params.labels_per_unit),
        args.units,
        args.max_file_size.unwrap_or(FILE_BYTES),
    )
}

fn create(args: &InitArgs, network: &Network) -> Result<(DataDir, ScryptN)> {
    let n = network.params.scrypt_n;
    let wanted = wanted(args, network);
    plot::Layout::new(&wanted).map_err(|why| Failure::usage(why.to_string()))?;
    Ok((DataDir::create(&args.data_dir, wanted, Sidecar { scrypt_n: n })?, n))
}

/// Data that is there must be the data that is asked for; both sides are named where it is not.
fn adopt(directory: DataDir, args: &InitArgs, network: &Network) -> Result<(DataDir, ScryptN)> {
    let n = super::scrypt_n(&directory, network)?;
    let (found, mut wanted) = (directory.metadata(), wanted(args, network));
    if args.max_file_size.is_none() {
        wanted.max_file_size = found.max_file_size;
    }
    let differs = [
        ("identity", found.node_id.to_string(), wanted.node_id.to_string()),
        (
            "commitment ATX",
            found.commitment_atx_id.to_string(),
            wanted.commitment_atx_id.to_string(),
        ),
        ("units", found.num_units.to_string(), wanted.num_units.to_string()),
        ("labels per unit", found.labels_per_unit.to_string(), wanted.labels_per_unit.to_string()),
        ("file size", found.max_file_size.to_string(), wanted.max_file_size.to_string()),
    ];
    let differs: Vec<String> = differs
        .into_iter()
        .filter(|(_, found, wanted)| found != wanted)
        .map(|(what, found, wanted)| format!("\n  {what}: {found} on disk, {wanted} asked for"))
        .collect();
    if differs.is_empty() {
        return Ok((directory, n));
    }
    Err(Failure::usage(format!(
        "{} holds other data than asked for; nothing was changed:{}\nAsk for what is on disk, or \
         choose another directory.",
        directory.path().display(),
        differs.concat()
    )))
}

/// A number below `bound` that nobody can foresee; 0 where the system has no randomness.
pub(crate) fn draw_below(bound: u64) -> u64 {
    getrandom::u64().unwrap_or(0) % bound.max(1)
}
