//! `info`: what a data set holds, and what this machine brings to it.

use super::{open, trash};
use crate::args::InfoArgs;
use crate::outcome::{ExitCode, Result, answer};
use plot::{DataSet, FileState, PlotError, Provenance};
use post::vrf;
use pow::Engine;
use serde_json::{Value, json};

/// Says what a data set holds.
pub(crate) fn info(args: &InfoArgs) -> Result {
    let set = open(&args.data)?;
    let known = Known { files: set.survey()?, provenance: set.provenance()?, set: &set };
    if args.json {
        answer!("{}", known.to_json()?)?;
    } else {
        known.print()?;
    }
    Ok(ExitCode::Done)
}

/// What is known of a data set.
struct Known<'a> {
    set: &'a DataSet,
    files: Vec<FileState>,
    provenance: Provenance,
}

impl Known<'_> {
    fn present(&self) -> u64 {
        self.files.iter().map(|file| file.present().end - file.present().start).sum()
    }

    fn faults(&self) -> Vec<String> {
        let faults = self.files.iter().filter_map(|file| file.complete().err());
        faults.map(|fault| fault.to_string()).collect()
    }

    fn to_json(&self) -> Result<Value> {
        let Self { set, files, provenance } = self;
        let (metadata, num_labels) = (set.metadata(), set.layout().num_labels());
        let faults = self.faults();
        Ok(json!({
            "node_id": metadata.node_id,
            "commitment_atx_id": metadata.commitment_atx_id,
            "num_units": metadata.num_units,
            "labels_per_unit": metadata.labels_per_unit,
            "max_file_size": metadata.max_file_size,
            "num_labels": num_labels,
            "labels_present": self.present(),
            "complete": faults.is_empty(),
            "vrf_nonce": metadata.nonce.map(|index| index.0),
            "vrf_nonce_suits": metadata.nonce_value.map(|label| vrf::suits(&label, num_labels)),
            "scrypt_n": set.scrypt_n().map(post::ScryptN::get),
            "files": files.len(),
            "share": set.is_share().then(|| set.files().to_string()),
            "faults": faults,
            "labels_made_here": provenance.made,
            "labels_hashed_not_verified": provenance.hashed,
            "labels_not_hashed": provenance.unhashed,
            "checked_percent": provenance.checked_ppm.map(|ppm| f64::from(ppm) / 10_000.0),
            "makers": provenance.makers.iter().map(|(directory, maker, files)| json!({
                "directory": directory, "maker": maker, "files": files.to_string(),
            })).collect::<Vec<_>>(),
            "trash": trash::trash_json(set.paths())?,
            "label_kernels": cpu::label_kernels(),
            "scan_kernels": cpu::scan_kernels(),
            "randomx": Engine::here().to_string(),
        }))
    }

    fn print(&self) -> Result<()> {
        let Self { set, files, provenance } = self;
        let metadata = set.metadata();
        for (path, files) in set.shares() {
            answer!("data directory   {} (files {files})", path.display())?;
        }
        answer!("identity         {}", metadata.node_id)?;
        answer!("commitment ATX   {}", metadata.commitment_atx_id)?;
        let (units, per_unit) = (metadata.num_units, metadata.labels_per_unit);
        answer!("size             {units} units of {per_unit} labels")?;
        let present = self.present();
        let held: u64 = files.iter().map(|file| file.labels.end - file.labels.start).sum();
        answer!("labels           {present} of {held} present, in {} files", files.len())?;
        if let Err(part @ PlotError::Part { .. }) = set.whole() {
            answer!("share            {part}")?;
        }
        let unknown = || "not recorded (data of the reference)".to_owned();
        let n = set.scrypt_n().map_or_else(unknown, |n| n.to_string());
        answer!("scrypt N         {n}")?;
        let nonce = metadata.nonce.map_or("not known".to_owned(), |index| index.to_string());
        let name = if set.is_share() { "smallest label  " } else { "VRF nonce       " };
        answer!("{name} {nonce}")?;
        print_provenance(provenance)?;
        let (labels, scan) = (cpu::label_kernels().join(", "), cpu::scan_kernels().join(", "));
        answer!("kernels here     labels: {labels}; scan: {scan}")?;
        answer!("RandomX here     {}", Engine::here())?;
        for path in set.paths() {
            for line in trash::trash_lines(path)? {
                answer!("trash            {line}")?;
            }
        }
        for fault in self.faults() {
            answer!("fault            {fault}")?;
        }
        Ok(())
    }
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
