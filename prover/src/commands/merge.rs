//! `merge`: joins the shares of a data set that several machines made.

use crate::args::{MergeArgs, ProofArgs};
use crate::crew;
use crate::devices;
use crate::make::MakeError;
use crate::merge::Joining;
use crate::outcome::{ExitCode, Failure, Result, answer};
use crate::stop::Stop;
use crate::{background, place, settings};
use plot::{DataSet, FileNumbers, Lack, Lock, Merge, PlotError};
use post::label::LabelFault;
use post::{Candidate, ScryptN};
use serde_json::json;
use std::path::Path;

/// Joins shares.
pub(crate) fn merge(args: &MergeArgs) -> Result {
    let network = settings::network(&args.network, &ProofArgs::default())?;
    let stop = Stop::on_signals()?;
    background::enter(&args.work);
    let places = settings::places(&args.data.data_dir)?;
    let paths = place::paths(&places);
    let _locks = Lock::exclusive_all(paths.iter().copied())?;
    let merge = Merge::new(&paths).map_err(apart)?;
    let n = super::scrypt_n(merge.set(), &network)?;
    let lacking = merge.lacking()?;
    if !lacking.is_empty() {
        return print_lacking(args, merge.set(), &lacking, n);
    }
    if let Some(nonce) = merge.set().metadata().vrf_nonce().filter(|_| merge.is_done()) {
        return print(args, merge.set(), nonce, true);
    }
    let set = merge.set().clone();
    let mut crew =
        crew::of(&devices::chosen(&args.work)?, &args.work, set.metadata().commitment(), n);
    let stop = || stop.is_set();
    match (Joining { merge, crew: &mut crew, stop: &stop, json: args.json }).run() {
        Ok((set, nonce)) => print(args, &set, nonce, false),
        Err(MakeError::Label(LabelFault::Stopped)) => {
            eprintln!("stopped; nothing is lost: run the same command again to go on");
            Ok(ExitCode::CouldNot)
        }
        Err(foreign @ MakeError::Foreign { index, .. }) => {
            let path = set.label_file(set.layout().place_of(index.0).0)?;
            Err(Failure::usage(format!("{}: {foreign}", path.display())))
        }
        Err(other) => Err(other.into()),
    }
}

/// Directories that do not belong together are wrong usage.
fn apart(error: PlotError) -> Failure {
    match error {
        PlotError::NoData { .. } | PlotError::Disagree { .. } | PlotError::Twice { .. } => {
            Failure::usage(error.to_string())
        }
        other => other.into(),
    }
}

fn print(args: &MergeArgs, set: &DataSet, nonce: Candidate, already: bool) -> Result {
    let stored = nonce.index.0 < set.layout().num_labels();
    if args.json {
        let directories =
            set.shares().map(|(path, files)| json!({ "path": path, "files": files.to_string() }));
        let answer = json!({
            "merged": true, "already": already, "vrf_nonce": nonce.index.0, "stored": stored,
            "label": post::to_hex(&nonce.label.0), "files": set.layout().files(),
            "directories": directories.collect::<Vec<_>>(),
        });
        answer!("{answer}")?;
        return Ok(ExitCode::Done);
    }
    for (path, files) in set.shares() {
        answer!("{} (files {files})", path.display())?;
    }
    let state = if already { "were merged before" } else { "are one data set now" };
    let place = if stored { "on disk" } else { "past the data" };
    answer!("these {state}; VRF nonce {} ({place})", nonce.index)?;
    Ok(ExitCode::Done)
}

/// What is lacking, and the commands that make it.
fn print_lacking(args: &MergeArgs, set: &DataSet, lacking: &[Lack], n: ScryptN) -> Result {
    if args.json {
        let lack = |lack: &Lack| {
            json!({
                "files": lack.files.to_string(), "why": lack.why.to_string(),
                "command": command(set, lack, n),
            })
        };
        let lacking: Vec<_> = lacking.iter().map(lack).collect();
        answer!("{}", json!({ "merged": false, "lacking": lacking }))?;
        return Ok(ExitCode::No);
    }
    let mut commands: Vec<String> = Vec::new();
    for lack in lacking {
        match lack.directories.is_empty() {
            true => answer!("label files {} are in none of these directories", lack.files)?,
            false => answer!("label file {}: {}", lack.files, lack.why)?,
        }
        let command = command(set, lack, n);
        if !commands.contains(&command) {
            commands.push(command);
        }
    }
    answer!(
        "nothing was changed. These make what is missing, on whichever machine has the share:"
    )?;
    for command in commands {
        answer!("  {command}")?;
    }
    Ok(ExitCode::No)
}

/// The command that makes what is lacking.
fn command(set: &DataSet, lack: &Lack, n: ScryptN) -> String {
    let mut words = vec!["postmesh-prover init".to_owned()];
    words.extend(lack.directories.iter().map(|path| format!("--data-dir {}", quoted(path))));
    let metadata = set.metadata();
    let Some(first) = lack.directories.first() else {
        words.extend([
            format!("--files {} --data-dir DIR", typed(&lack.files)),
            format!("--node-id {}", metadata.node_id),
            format!("--commitment-atx {}", metadata.commitment_atx_id),
            format!("--units {}", metadata.num_units),
            format!("--labels-per-unit {}", metadata.labels_per_unit),
            format!("--max-file-size {} --scrypt-n {n}", metadata.max_file_size),
        ]);
        return words.join(" ");
    };
    // What another program made says nothing of which files it is to hold.
    let mut own = set.shares().zip(set.sidecars()).filter(|((path, _), _)| path == first);
    if let Some(((_, claim), (_, None))) = own.next() {
        words.push(format!("--files {} --scrypt-n {n}", typed(claim)));
    }
    words.join(" ")
}

/// File numbers as `--files` takes them.
fn typed(files: &FileNumbers) -> String {
    let run = |(first, last): (u64, u64)| {
        if first == last { first.to_string() } else { format!("{first}..{last}") }
    };
    files.runs().map(run).collect::<Vec<_>>().join(",")
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+,@:".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_typed() {
        assert_eq!(typed(&[0, 1, 2, 5].into_iter().collect()), "0..2,5");
        assert_eq!(quoted(Path::new("/mnt/share-0")), "/mnt/share-0");
        assert_eq!(quoted(Path::new("/mnt/a share's")), r"'/mnt/a share'\''s'");
    }
}
