//! `all`: every measurement, shortly, in one document and one picture.

use crate::args::{AllArgs, Common, DiskArgs, InitArgs, Output, PowArgs, ProveArgs};
use crate::chart;
use crate::device::{DeviceArg, Worker, workers};
use crate::outcome::{Result, because};
use crate::report::{Measured, Origin, print, show};
use crate::{devices, disk, file, init, pow, prove};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Nonces that are scanned for: from one group to enough that a pass finds nearly always.
const NONCES: [u32; 4] = [16, 64, 128, 288];

/// What is written down.
#[derive(Debug, Serialize)]
struct Document {
    bench: &'static str,
    #[serde(flatten)]
    origin: Origin,
    results: Vec<Measured>,
}

pub(crate) fn run(args: &AllArgs) -> Result {
    let origin = Origin::here();
    let written = args.out.as_deref().map(|folder| files(folder, &origin)).transpose()?;
    let document = Document { bench: "all", results: results(args)?, origin };
    if let Some([table, picture]) = written {
        let text = serde_json::to_string_pretty(&document)?;
        let values: serde_json::Result<Vec<_>> =
            document.results.iter().map(serde_json::to_value).collect();
        file::create(&table, &(text + "\n"))?;
        file::create(&picture, &chart::of_results(&values?))?;
        eprintln!("written: {} and {}", table.display(), picture.display());
    }
    if args.json {
        return show(&document, true);
    }
    for (number, result) in document.results.iter().enumerate() {
        if number > 0 {
            print("")?;
        }
        show(result, false)?;
    }
    Ok(())
}

/// The document and the picture, which are not there yet, in a directory that is.
fn files(folder: &Path, origin: &Origin) -> Result<[PathBuf; 2]> {
    let cannot = || because(format!("{} cannot be made", folder.display()));
    std::fs::create_dir_all(folder).map_err(cannot())?;
    let stamp: String = origin.date.chars().filter(|letter| *letter != ':').collect();
    let name = format!("postmesh-bench-{}", stamp.replace(' ', "-"));
    let paths = ["json", "svg"].map(|extension| folder.join(format!("{name}.{extension}")));
    paths.iter().try_for_each(|path| file::check_absent(path))?;
    Ok(paths)
}

fn results(args: &AllArgs) -> Result<Vec<Measured>> {
    let mut results = Vec::new();
    let present = gpu::devices();
    let mut asked = args.devices.clone();
    if asked.device.is_empty() {
        asked.device.push(DeviceArg::Cpu);
        if present.iter().any(|device| device.skip.is_none()) {
            asked.device.push(DeviceArg::Gpu);
        }
    }
    // Before anything is measured: a name may be wrong.
    let works = workers(&asked.device)?;
    for device in &present {
        results.push(devices::measure(device, args.seconds)?);
    }
    let common = || Common::new(args.threads, args.seconds);
    results.extend(init::run(&InitArgs {
        common: common(),
        kernel: None,
        scrypt_n: args.scrypt_n,
        devices: asked.clone(),
    })?);
    for nonces in NONCES {
        let first = nonces == NONCES[0];
        let mut devices = asked.clone();
        // A GPU's scan takes seconds to prepare.
        devices.device.retain(|device| first || *device == DeviceArg::Cpu);
        if first || works.iter().any(|worker| matches!(worker, Worker::Cpu)) {
            let (kernel, data) = (None, None);
            results.extend(prove::run(&ProveArgs {
                common: common(),
                nonces,
                kernel,
                data,
                devices,
            })?);
        }
    }
    results.push(pow::run(&PowArgs { common: common(), mode: args.mode })?);
    results.push(disk::run(&DiskArgs {
        dir: args.dir.clone().unwrap_or_else(std::env::temp_dir),
        seconds: args.seconds,
        size: args.size,
        output: Output::default(),
    })?);
    Ok(results)
}
