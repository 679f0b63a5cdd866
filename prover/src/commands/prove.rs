//! `prove` and `verify`: a proof as one JSON object, out and in.

use crate::args::{ProveArgs, RandomXArg, VerifyArgs};
use crate::background;
use crate::devices;
use crate::keeper::Keeper;
use crate::outcome::{ExitCode, Failure, Result, answer};
use crate::outlook::{Manner, NONCES};
use crate::pace::Pace;
use crate::progress::Progress;
use crate::proof_file::ProofFile;
use crate::prove::{Job, ProveError, Surroundings};
use crate::randomx::Pows;
use crate::settings;
use crate::stop::Stop;
use post::verify::{Failure as Verdict, Indices};
use post::{Params, Statement};
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use wire::Stage;

/// Most bytes of a proof file: the largest proof takes a quarter of it.
const PROOF_BYTES_MAX: u64 = 1 << 16;

/// Proves a data directory.
pub(crate) fn prove(args: &ProveArgs) -> Result {
    let network = settings::network(&args.network, &args.proof)?;
    let stop = Stop::on_signals()?;
    background::enter(&args.work);
    let (_locks, directory) = super::open_shared(&args.data)?;
    directory.whole()?;
    let _keeper = Keeper::of_command(&directory);
    let scrypt_n = super::scrypt_n(&directory, &network)?;
    let threads = settings::threads(&args.work);
    let metadata = directory.metadata();
    let statement = Statement {
        node_id: metadata.node_id,
        commitment_atx_id: metadata.commitment_atx_id,
        challenge: args.challenge,
        num_units: metadata.num_units,
        labels_per_unit: metadata.labels_per_unit,
    };
    let params = Params { scrypt_n, ..network.params };
    let mut job = Job { statement, params, nonces: NONCES, threads };
    let hands = devices::hands(&args.work)?;
    let pace = settings::pace(&args.work);
    let manner = Manner::of(threads, &hands, pace);
    let (plan, _) = job.plan(&directory, &manner, args.proving.nonces.asked(), None);
    tracing::info!("{}", plan.why);
    let pows = Pows::new(args.proving.randomx, threads.get(), pace);
    let line = Mutex::new(None);
    let progress = |stage, done, total| show(&line, args.json, stage, done, total);
    let stop = || stop.is_set();
    let (turn, hands) = (|_| true, &hands);
    let around =
        Surroundings { pows: &pows, hands, pace, stop: &stop, progress: &progress, turn: &turn };
    let proof = crate::prove::prove(&job, &directory, &around);
    drop(line);
    let proof = match proof {
        Err(none @ ProveError::NoProof) => {
            eprintln!("{none}");
            return Ok(ExitCode::No);
        }
        Err(ProveError::Stopped) => {
            eprintln!("stopped; run the same command again to go on");
            return Ok(ExitCode::CouldNot);
        }
        other => other?,
    };
    let file = ProofFile::new(&proof, &job.statement);
    let text = if args.json {
        serde_json::to_string(&file)?
    } else {
        serde_json::to_string_pretty(&file)?
    };
    answer!("{text}")?;
    Ok(ExitCode::Done)
}

/// One progress line for each stage.
pub(super) fn show(
    line: &Mutex<Option<(Stage, Progress)>>,
    json: bool,
    stage: Stage,
    done: u64,
    total: u64,
) {
    let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
    let unit = match stage {
        Stage::Pow => "groups",
        Stage::Scan => "labels",
        Stage::Waiting => "jobs before it",
    };
    let (_, progress) = match line.take() {
        Some(shown) if shown.0 == stage => line.insert(shown),
        _ => line.insert((stage, Progress::new(stage.to_string(), unit, done, total, json))),
    };
    progress.at(done);
}

/// Verifies a proof.
pub(crate) fn verify(args: &VerifyArgs) -> Result {
    let network = settings::network(&args.network, &args.params)?;
    let seed = args.seed.as_deref().map(post::from_hex).transpose();
    let seed = seed.map_err(|bad| Failure::usage(format!("--seed: {bad}")))?.unwrap_or_default();
    let which = args.k3.map_or(Indices::All, |k3| Indices::Subset { k3, seed: &seed });
    let text = read(&args.proof)?;
    let (proof, statement) = match ProofFile::decode(&text) {
        Ok(decoded) => decoded,
        Err(bad) => return verdict(args.json, Some(bad.to_string())),
    };
    let pows = Pows::new(RandomXArg::Light, 1, Pace::FULL);
    let randomx = pows.to_verify()?;
    match post::verify::verify(&proof, &statement, &network.params, which, &*randomx) {
        Ok(()) => verdict(args.json, None),
        Err(Verdict::Invalid(invalid)) => verdict(args.json, Some(invalid.to_string())),
        Err(Verdict::Unable(fault)) => Err(fault.into()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let name = path.display();
    let read = if path == Path::new("-") {
        std::io::stdin().take(PROOF_BYTES_MAX).read_to_end(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(PROOF_BYTES_MAX).read_to_end(&mut text))
    };
    read.map_err(|error| anyhow::anyhow!("cannot read the proof {name}: {error}"))
        .map_err(Failure::CouldNot)?;
    Ok(text)
}

fn verdict(as_json: bool, fault: Option<String>) -> Result {
    let valid = fault.is_none();
    match (as_json, fault) {
        (true, fault) => answer!("{}", json!({ "valid": valid, "reason": fault }))?,
        (false, None) => answer!("the proof is valid")?,
        (false, Some(fault)) => answer!("the proof is not valid: {fault}")?,
    }
    Ok(if valid { ExitCode::Done } else { ExitCode::No })
}
