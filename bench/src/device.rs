//! Which devices work: what was typed, and what this machine has.

use crate::outcome::{Failure, Result};
use gpu::{Device, Skip};
use std::fmt;
use std::str::FromStr;

/// A device as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeviceArg {
    /// The processor.
    Cpu,
    /// Every GPU that is usable.
    Gpu,
    /// A GPU by its name, whether or not it would be used by itself.
    Named(String),
}

impl FromStr for DeviceArg {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu),
            name if name.starts_with("gpu:") => Ok(Self::Named(name.to_owned())),
            _ => Err("give cpu, gpu, or gpu:NAME as `devices` lists it".to_owned()),
        }
    }
}

/// A device that will be measured.
#[derive(Clone, Debug)]
pub(crate) enum Worker {
    /// The processor.
    Cpu,
    /// A GPU.
    Gpu(Box<Device>),
}

impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu(device) => device.name.fmt(f),
        }
    }
}

/// The devices that were asked for, in that order; the processor where none was.
pub(crate) fn workers(asked: &[DeviceArg]) -> Result<Vec<Worker>> {
    if asked.iter().all(|device| *device == DeviceArg::Cpu) {
        return Ok(vec![Worker::Cpu]);
    }
    // Only now: listing GPUs loads drivers.
    let present = gpu::devices();
    let mut workers = Vec::new();
    for device in asked {
        match device {
            DeviceArg::Cpu => workers.push(Worker::Cpu),
            DeviceArg::Gpu => workers.extend(usable(&present)?),
            DeviceArg::Named(name) => workers.push(named(&present, name)?),
        }
    }
    Ok(workers)
}

fn usable(present: &[Device]) -> Result<Vec<Worker>> {
    let usable = present.iter().filter(|device| device.skip.is_none());
    let usable: Vec<_> = usable.map(|device| Worker::Gpu(Box::new(device.clone()))).collect();
    if usable.is_empty() {
        let names = names(present);
        return Err(Failure::usage(format!("no GPU here is used unless it is named; {names}")));
    }
    Ok(usable)
}

fn named(present: &[Device], name: &str) -> Result<Worker> {
    let found = present.iter().find(|device| device.name.to_string() == name);
    let Some(device) = found else {
        return Err(Failure::usage(format!("no device {name}; {}", names(present))));
    };
    if let Some(skip @ Skip::Lacks(_)) = &device.skip {
        return Err(Failure::usage(format!("{name} cannot be used: {skip}")));
    }
    Ok(Worker::Gpu(Box::new(device.clone())))
}

fn names(present: &[Device]) -> String {
    let names: Vec<_> = present.iter().map(|device| device.name.to_string()).collect();
    if names.is_empty() {
        return "no GPU is present".to_owned();
    }
    format!("present: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names() {
        assert_eq!("cpu".parse(), Ok(DeviceArg::Cpu));
        assert_eq!("gpu".parse(), Ok(DeviceArg::Gpu));
        assert_eq!("gpu:software".parse(), Ok(DeviceArg::Named("gpu:software".to_owned())));
        for text in ["", "CPU", "software", "gpus"] {
            assert!(text.parse::<DeviceArg>().is_err(), "{text}");
        }
    }

    #[test]
    fn without_a_word_the_processor_works() {
        for asked in [&[][..], &[DeviceArg::Cpu, DeviceArg::Cpu]] {
            assert!(matches!(workers(asked).unwrap()[..], [Worker::Cpu]));
        }
    }
}
