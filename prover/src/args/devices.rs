//! What was typed about devices.

use super::WorkArgs;
use clap::Args as ClapArgs;
use std::str::FromStr;

/// A device, or several, as they are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeviceArg {
    /// Every usable GPU, and the CPU.
    Auto,
    /// The processor.
    Cpu,
    /// Every usable GPU.
    Gpu,
    /// The one of this name.
    Named(String),
}

impl DeviceArg {
    /// Whether the CPU alone will not do.
    pub(crate) fn demands_a_gpu(&self) -> bool {
        matches!(self, Self::Gpu | Self::Named(_))
    }
}

impl FromStr for DeviceArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu),
            name if name.starts_with("gpu:") => Ok(Self::Named(name.to_owned())),
            _ => Err("say auto, cpu, gpu, or a name that `postmesh-prover devices` lists".into()),
        }
    }
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover devices --probe --device gpu\n\n",
    "Exit codes: 0 listed, be there GPUs or none · 2 wrong usage · 3 the GPUs could not be listed, \
     or one not be measured: a driver hangs or crashes"
))]
pub(crate) struct DevicesArgs {
    /// Measure each device that --device means, for some seconds: labels, and the scan of a proof
    #[arg(long)]
    pub(crate) probe: bool,
    /// scrypt's N of the labels
    #[arg(long, value_name = "N", default_value_t = 8192, requires = "probe")]
    pub(crate) scrypt_n: u32,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// Print them as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_kinds_or_names() {
        let device = |text: &str| text.parse::<DeviceArg>();
        assert_eq!(device("auto"), Ok(DeviceArg::Auto));
        assert_eq!(device("gpu"), Ok(DeviceArg::Gpu));
        assert_eq!(device("gpu:software"), Ok(DeviceArg::Named("gpu:software".to_owned())));
        for bad in ["", "GPU", "cuda", "cpu0"] {
            assert!(device(bad).unwrap_err().contains("devices"), "{bad}");
        }
    }
}
