//! Which devices work: what was asked for with `--device`, held against what there is.
//!
//! The only place that joins workers, which know no files, with what is remembered of devices, and
//! with what the system says of displays.

mod display;
mod probe;
mod tuned;
mod tunings;

pub(crate) use probe::{Probe, probe};
pub(crate) use tunings::{Entry, Tunings};

use crate::args::{DeviceArg, WorkArgs};
use crate::machine;
use crate::outcome::{Failure, Result};
use crate::prove::{Device, Hands};
use crate::settings;
use crate::worker::{
    About, LabelsJob, Launcher, Patience, RemoteLabels, RemoteScan, ScanJob, WorkerFault,
};
use core::time::Duration;
use cpu::{Labels, Scan};
use gpu::{Kind, Skip};
use post::search::{GroupKeys, Scanner, Threshold};
use post::{Commitment, Labeler, ScryptN};
use std::num::NonZeroUsize;
use tuned::Tuned;

/// What the processor is called.
pub(crate) const CPU: &str = "cpu";

/// How long a dispatch takes where nobody looks at a display of the card, and where somebody does.
const DISPATCH: Duration = Duration::from_millis(50);
const DISPATCH_POLITE: Duration = Duration::from_millis(10);

/// A device that is to work.
#[derive(Debug)]
pub(crate) enum Chosen {
    /// All threads of the processor.
    Cpu,
    /// A GPU.
    Gpu(Gpu),
}

/// A GPU that is to work, and how.
#[derive(Debug)]
pub(crate) struct Gpu {
    about: About,
    launcher: Launcher,
    /// How long a dispatch should take.
    target: Duration,
}

/// The devices that are to work, at least one. GPUs are looked for only where one may be meant.
///
/// # Errors
/// A device that was asked for is not there, or cannot be used.
pub(crate) fn chosen(work: &WorkArgs) -> Result<Vec<Chosen>> {
    if work.device.iter().all(|asked| *asked == DeviceArg::Cpu) {
        return Ok(vec![Chosen::Cpu]);
    }
    let launcher = Launcher::own()?;
    let listed = crate::worker::list(&launcher, Patience::default());
    let picked = pick(&work.device, listed)?;
    let chosen = picked.into_iter().map(|picked| match picked {
        None => Chosen::Cpu,
        Some(about) => {
            let target = target(&about, work.polite);
            Chosen::Gpu(Gpu { about, launcher: launcher.clone(), target })
        }
    });
    Ok(chosen.collect())
}

/// Who scans for proofs: where nothing is said of devices, those that help.
///
/// # Errors
/// Those of [`chosen`].
pub(crate) fn hands(work: &WorkArgs) -> Result<Hands> {
    Ok(hands_of(chosen(work)?, work))
}

/// The same, of devices that were chosen for this work.
pub(crate) fn hands_of(chosen: Vec<Chosen>, work: &WorkArgs) -> Hands {
    let mut hands = Hands::default();
    for chosen in chosen {
        match chosen {
            Chosen::Cpu => hands.cpu = true,
            Chosen::Gpu(gpu) => hands.devices.push(Device {
                name: gpu.about.name.clone(),
                open: Box::new(move |keys, threshold| Box::new(gpu.scan(keys, threshold))),
            }),
        }
    }
    if work.device.iter().all(|asked| *asked == DeviceArg::Auto) {
        hands.measure = Some(Hands::WORTH);
    }
    hands
}

/// What is asked for, each device once; `None` is the CPU.
fn pick(
    asked: &[DeviceArg],
    listed: std::result::Result<Vec<About>, WorkerFault>,
) -> Result<Vec<Option<About>>> {
    let only_auto = !asked.iter().any(DeviceArg::demands_a_gpu);
    let listed = match listed {
        Err(fault) if only_auto => {
            tracing::warn!("the GPUs of this machine cannot be listed ({fault}): the CPU does all");
            return Ok(vec![None]);
        }
        Err(fault) => {
            let text = format!("the GPUs of this machine cannot be listed: {fault}");
            return Err(Failure::CouldNot(anyhow::anyhow!(text)));
        }
        Ok(listed) => listed,
    };
    let usable = || listed.iter().filter(|about| about.skip.is_none()).cloned().map(Some);
    let mut picked: Vec<Option<About>> = Vec::new();
    for asked in asked {
        match asked {
            DeviceArg::Cpu => picked.push(None),
            DeviceArg::Auto => picked.extend(usable().chain([None])),
            DeviceArg::Gpu if usable().next().is_none() => {
                let text = format!("{}: leave --device away to use the CPU", none_usable(&listed));
                return Err(Failure::CouldNot(anyhow::anyhow!(text)));
            }
            DeviceArg::Gpu => picked.extend(usable()),
            DeviceArg::Named(name) => picked.push(Some(named(name, &listed)?)),
        }
    }
    if only_auto && usable().next().is_none() {
        tracing::info!("{}: the CPU does all", none_usable(&listed));
    }
    let mut each_once: Vec<Option<About>> = Vec::new();
    for device in picked {
        if !each_once.contains(&device) {
            each_once.push(device);
        }
    }
    Ok(each_once)
}

/// That there is no GPU to be used, and why not those there are.
pub(crate) fn none_usable(listed: &[About]) -> String {
    let reason = |about: &About| {
        let why = about.skip.as_ref().map_or_else(String::new, ToString::to_string);
        format!("{}: {why}", about.name)
    };
    match listed {
        [] => "there is no GPU, or no driver for it".to_owned(),
        listed => {
            let reasons: Vec<_> = listed.iter().map(reason).collect();
            format!("no GPU can be used ({})", reasons.join("; "))
        }
    }
}

/// The device of a name: one that is skipped too, unless it lacks something.
fn named(name: &str, listed: &[About]) -> Result<About> {
    let Some(about) = listed.iter().find(|about| about.name == name) else {
        let names = listed.iter().map(|about| about.name.as_str());
        let names: Vec<_> = [CPU].into_iter().chain(names).collect();
        let names = names.join(", ");
        return Err(Failure::usage(format!("there is no device {name}; there are: {names}")));
    };
    match &about.skip {
        Some(lacks @ Skip::Lacks(_)) => {
            Err(Failure::CouldNot(anyhow::anyhow!("{name} cannot be used: {lacks}")))
        }
        None | Some(Skip::Software) => Ok(about.clone()),
    }
}

/// How long a dispatch of this device should take.
pub(crate) fn target(about: &About, polite: bool) -> Duration {
    if polite || is_looked_at(about) { DISPATCH_POLITE } else { DISPATCH }
}

/// Whether somebody may look at a display of this card. Where the system does not tell, they may.
pub(crate) fn is_looked_at(about: &About) -> bool {
    about.kind != Kind::Software && display::is_in_use(&about.name).unwrap_or(true)
}

impl Chosen {
    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Cpu => CPU,
            Self::Gpu(gpu) => &gpu.about.name,
        }
    }

    /// What it is, for people.
    pub(crate) fn what(&self) -> String {
        match self {
            Self::Cpu => machine::processor(),
            Self::Gpu(gpu) => gpu.about.model.clone(),
        }
    }

    /// Labels by this device. Cheap: a GPU is opened by the first call that needs it.
    pub(crate) fn labels(
        &self,
        commitment: Commitment,
        n: ScryptN,
        work: &WorkArgs,
    ) -> Box<dyn Labeler + Send> {
        match self {
            Self::Cpu => Box::new(Labels::new(commitment, n, settings::threads(work))),
            Self::Gpu(gpu) => Box::new(gpu.labels(commitment, n)),
        }
    }

    /// A scan by this device: by one thread of the CPU, or by the whole of a GPU. Cheap: a GPU is
    /// opened by the first call.
    pub(crate) fn scan(&self, keys: &[GroupKeys], threshold: Threshold) -> Box<dyn Scanner + Send> {
        match self {
            Self::Cpu => Box::new(Scan::new(keys.to_vec(), threshold, NonZeroUsize::MIN)),
            Self::Gpu(gpu) => Box::new(gpu.scan(keys, threshold)),
        }
    }
}

impl Gpu {
    fn labels(&self, commitment: Commitment, n: ScryptN) -> Tuned {
        let About { name, driver, .. } = &self.about;
        let (device, target) = (name.clone(), self.target);
        let tunings = Tunings::of_user();
        let key = tunings::Key::new(name, driver, n, target);
        let entry = tunings.as_ref().and_then(|tunings| tunings.find(&key));
        let tuning = entry.as_ref().map(|entry| entry.tuning);
        let job = LabelsJob { device, commitment, n, target, tuning };
        let remote = RemoteLabels::new(self.launcher.clone(), Patience::default(), job);
        Tuned::new(remote, tunings, key, entry)
    }

    fn scan(&self, keys: &[GroupKeys], threshold: Threshold) -> RemoteScan {
        let (device, keys, target) = (self.about.name.clone(), keys.to_vec(), self.target);
        let job = ScanJob { device, keys, threshold, target };
        RemoteScan::new(self.launcher.clone(), Patience::default(), job)
    }
}

#[cfg(test)]
mod tests;
