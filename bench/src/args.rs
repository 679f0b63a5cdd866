//! What was typed.

mod values;

use crate::device::DeviceArg;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use post::ScryptN;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;
use values::{bytes, nonces, positive, scan_rate, scrypt_n, seconds, span};

/// The end of the help page.
const AFTER_HELP: &str = "\
Examples:
  postmesh-bench all --dir /mnt/space --out results
  postmesh-bench init --threads 1
  postmesh-bench init --device gpu --json
  postmesh-bench prove --threads 1 --nonces 64 --svg scan.svg
  postmesh-bench pow --mode fast
  postmesh-bench disk --dir /mnt/space
  postmesh-bench forecast --size 4TiB --window 12h --dir /mnt/space
  postmesh-bench compare before.json after.json

Exit codes: 0 measured · 2 wrong usage · 3 could not (disk, device, memory, another program)";

/// Measures what this machine does, beside what it could do.
#[derive(Debug, Parser)]
#[command(name = "postmesh-bench", version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Every GPU: its limits, and what its memory and its arithmetic do
    Devices(DevicesArgs),
    /// Labels a second, in memory
    Init(InitArgs),
    /// GiB of labels scanned a second, read from the page cache
    Prove(ProveArgs),
    /// RandomX hashes a second
    Pow(PowArgs),
    /// Sequential speed of a disk
    Disk(DiskArgs),
    /// All of these, shortly
    All(AllArgs),
    /// How likely a proof is there in time, and with how many nonces and threads
    Forecast(ForecastArgs),
    /// How much a program is delayed by another that runs at the same time
    Beside(BesideArgs),
    /// What changed between two results; or one of these and another program, in turns
    Compare(CompareArgs),
}

impl Command {
    /// How its results are to be shown, if they are of those that can be drawn.
    pub(crate) fn output(&self) -> Option<&Output> {
        match self {
            Self::Devices(args) => Some(&args.output),
            Self::Init(args) => Some(&args.common.output),
            Self::Prove(args) => Some(&args.common.output),
            Self::Pow(args) => Some(&args.common.output),
            Self::Disk(args) => Some(&args.output),
            Self::Forecast(args) => Some(&args.output),
            Self::All(_) | Self::Beside(_) | Self::Compare(_) => None,
        }
    }
}

/// What all measurements of the CPU take.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Common {
    /// CPU threads [default: all]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// How long to measure
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) seconds: Duration,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// How a result is shown.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct Output {
    /// Print one JSON object on one line for each result
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw the results to a new file besides
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

impl Common {
    /// Threads and time; for what runs several measurements.
    pub(crate) fn new(threads: Option<NonZeroUsize>, seconds: Duration) -> Self {
        Self { threads, seconds, output: Output::default() }
    }

    pub(crate) fn threads(&self) -> NonZeroUsize {
        let all = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.threads.unwrap_or_else(all)
    }
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  postmesh-bench init --threads 1 --seconds 10 --json
  postmesh-bench init --kernel portable
  postmesh-bench init --device cpu --device gpu:software --scrypt-n 512

Nothing is written to disk.")]
pub(crate) struct InitArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Which kernel [default: the best here]
    #[arg(long, value_name = "NAME")]
    pub(crate) kernel: Option<String>,
    /// scrypt's N, a power of two
    #[arg(long, value_name = "N", default_value = "8192", value_parser = scrypt_n)]
    pub(crate) scrypt_n: ScryptN,
    #[command(flatten)]
    pub(crate) devices: DeviceArgs,
}

/// Which devices work.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct DeviceArgs {
    /// cpu, gpu (each that is usable), or a GPU by its name; repeated, each is measured alone
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Vec<DeviceArg>,
    /// How long a dispatch on a GPU should take
    #[arg(long, value_name = "MS", default_value = "50", value_parser = positive)]
    pub(crate) target_ms: f64,
    /// The most memory for labels on a GPU [default: what there is; 1GiB for software]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) gpu_memory: Option<u64>,
}

impl Default for DeviceArgs {
    fn default() -> Self {
        Self { device: Vec::new(), target_ms: 50.0, gpu_memory: None }
    }
}

impl DeviceArgs {
    /// How long a dispatch should take.
    pub(crate) fn target(&self) -> Duration {
        Duration::from_secs_f64(self.target_ms.min(60_000.0) / 1000.0)
    }
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  postmesh-bench prove --threads 1 --nonces 64 --seconds 10 --json
  postmesh-bench prove --nonces 288 --data /mnt/space/postdata_0.bin

Without --data it makes a file of 256 MiB of noise in the temporary directory (TMPDIR), which is
gone afterwards. With --data the file is only read; what of it the page cache lacks comes from
the disk, and is measured with it.")]
pub(crate) struct ProveArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Nonces tried in one pass, a multiple of 16
    #[arg(long, value_name = "N", default_value = "64", value_parser = nonces)]
    pub(crate) nonces: u32,
    /// Which kernel [default: the best here]
    #[arg(long, value_name = "NAME")]
    pub(crate) kernel: Option<String>,
    /// Scan this file, which is only read
    #[arg(long, value_name = "FILE")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) devices: DeviceArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  postmesh-bench pow --mode light --threads 1
  postmesh-bench pow --mode fast --seconds 30 --json

Fast mode takes 2.3 GiB of memory and a minute or more to prepare, which is told apart.")]
pub(crate) struct PowArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Memory for RandomX
    #[arg(long, value_enum, default_value_t = ModeArg::Light)]
    pub(crate) mode: ModeArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    /// 256 MiB
    Light,
    /// 2.3 GiB, several times faster once it is filled
    Fast,
}

impl ModeArg {
    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Fast => "fast",
        }
    }
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example:
  postmesh-bench disk --dir /mnt/space --seconds 10 --size 4GiB

It writes a file of its own, without a name, which is gone afterwards.")]
pub(crate) struct DiskArgs {
    /// A directory on the disk
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// How long to read
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// How much to write, and read again and again: bytes, or with KiB, MiB, GiB, TiB
    #[arg(long, value_name = "BYTES", default_value = "1GiB", value_parser = bytes)]
    pub(crate) size: u64,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DevicesArgs {
    /// How long to measure each
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    pub(crate) seconds: Duration,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example:
  postmesh-bench all --dir /mnt/space --out results

With --out it writes a JSON document and a chart, named by date and time; a file that is there is
never written over.")]
pub(crate) struct AllArgs {
    /// A directory on the disk [default: the temporary directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// CPU threads [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// How long each measurement takes
    #[arg(long, value_name = "S", default_value = "2", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// How much is written to the disk and read again
    #[arg(long, value_name = "BYTES", default_value = "1GiB", value_parser = bytes)]
    pub(crate) size: u64,
    /// Memory for RandomX
    #[arg(long, value_enum, default_value_t = ModeArg::Light)]
    pub(crate) mode: ModeArg,
    /// scrypt's N, a power of two
    #[arg(long, value_name = "N", default_value = "8192", value_parser = scrypt_n)]
    pub(crate) scrypt_n: ScryptN,
    #[command(flatten)]
    pub(crate) devices: DeviceArgs,
    /// Write the document and the chart into this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the document as JSON on one line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  postmesh-bench forecast --size 4TiB --window 12h --dir /mnt/space
  postmesh-bench forecast --size 4TiB --window 12h --from results/all.json
  postmesh-bench forecast --size 1TiB --window 6h --scan 0.9@128 --disk 0.2 --pow 500

Rates that are neither given nor in the file are measured here: the scan and the k2pow for a few
numbers of threads, the disk in --dir. Fast mode takes a minute to prepare.")]
pub(crate) struct ForecastArgs {
    /// Bytes of data: bytes, or with KiB, MiB, GiB, TiB
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) size: u64,
    /// How long there is for a proof: a number with s, min, h or d
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) window: Duration,
    /// Whose parameters: mainnet, devnet or standalone
    #[arg(long, value_name = "NAME", default_value = "mainnet")]
    pub(crate) network: String,
    /// Nonces tried in one pass [default: the best]
    #[arg(long, value_name = "N", value_parser = nonces)]
    pub(crate) nonces: Option<u32>,
    /// CPU threads [default: the best of one, half and all]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Measure the disk of this directory
    #[arg(long, value_name = "DIR", conflicts_with = "disk")]
    pub(crate) dir: Option<PathBuf>,
    /// The disk's rate in GiB/s
    #[arg(long, value_name = "RATE", value_parser = positive)]
    pub(crate) disk: Option<f64>,
    /// The scan's rate with so many nonces, repeatable: GiB/s@nonces, as in 0.9@128
    #[arg(long, value_name = "RATE@NONCES", value_parser = scan_rate)]
    pub(crate) scan: Vec<(u32, f64)>,
    /// RandomX hashes a second
    #[arg(long, value_name = "RATE", value_parser = positive)]
    pub(crate) pow: Option<f64>,
    /// Take what is not given from this file of results
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// Memory for RandomX where it is measured
    #[arg(long, value_enum, default_value_t = ModeArg::Fast)]
    pub(crate) mode: ModeArg,
    /// How long each rate is measured
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    pub(crate) seconds: Duration,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  postmesh-bench compare before.json after.json
  postmesh-bench compare --against './profiler proving --threads 1 --nonces 64' \\
      --pattern speed_gib_s -- prove --threads 1 --nonces 64
  postmesh-bench compare --against 'randomx-benchmark --mine --jit --threads 2' \\
      --pattern Performance: -- pow --mode fast --threads 2
  postmesh-bench compare --against './initializer initialize --labels 3000' --work 3000 \\
      -- init --threads 1

The command runs in a shell. Its number is what follows the pattern in what it prints, or --work
divided by its time; with neither, the times of the two programs are compared.")]
pub(crate) struct CompareArgs {
    /// Two files of results, the older one first
    #[arg(value_name = "FILE", num_args = 2, required_unless_present = "against")]
    pub(crate) files: Vec<PathBuf>,
    /// The other program, as a shell would take it
    #[arg(long, value_name = "COMMAND", conflicts_with = "files", requires = "ours")]
    pub(crate) against: Option<String>,
    /// How often each runs
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) runs: NonZeroU32,
    /// What stands before the number in the other's output: a JSON key, or any text
    #[arg(long, value_name = "TEXT")]
    pub(crate) pattern: Option<String>,
    /// How much the other does in a run, in our unit (labels, GiB, hashes)
    #[arg(long, value_name = "AMOUNT", conflicts_with = "pattern", value_parser = positive)]
    pub(crate) work: Option<f64>,
    /// Print one JSON object on one line
    #[arg(long)]
    pub(crate) json: bool,
    /// Ours: init, prove, pow or disk, and its arguments
    #[arg(last = true, requires = "against", value_name = "SUBCOMMAND ARGS")]
    pub(crate) ours: Vec<String>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Example:
  postmesh-bench beside --burden 'postmesh-prover init --background --data-dir /mnt/new …' \\
      -- postmesh-prover prove --data-dir /mnt/space --challenge …

The burden runs in a shell. It is started before each second run and killed after it, and must have
enough to do.")]
pub(crate) struct BesideArgs {
    /// The other program, as a shell would take it
    #[arg(long, value_name = "COMMAND")]
    pub(crate) burden: String,
    /// How often each runs
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) runs: NonZeroU32,
    /// Print one JSON object on one line
    #[arg(long)]
    pub(crate) json: bool,
    /// The program that is timed, and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM ARGS")]
    pub(crate) program: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }
}
