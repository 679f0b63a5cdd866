//! What was typed.

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use post::{Nonce, ScryptN};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

/// The end of the help page.
const AFTER_HELP: &str = "\
Examples:
  postmesh-bench init --threads 1
  postmesh-bench prove --threads 1 --nonces 64 --json
  postmesh-bench pow --mode fast
  postmesh-bench disk --dir /mnt/space
  postmesh-bench compare --against './profiler proving …' --pattern speed_gib_s -- prove

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
    /// Labels a second, in memory
    Init(InitArgs),
    /// GiB of labels scanned a second, read from the page cache
    Prove(ProveArgs),
    /// RandomX hashes a second
    Pow(PowArgs),
    /// Sequential speed of a disk
    Disk(DiskArgs),
    /// One of these and another program, in turns
    Compare(CompareArgs),
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
    /// Print one JSON object on one line
    #[arg(long)]
    pub(crate) json: bool,
}

impl Common {
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
    /// Print one JSON object on one line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  postmesh-bench compare --against './profiler proving --threads 1 --nonces 64' \\
      --pattern speed_gib_s -- prove --threads 1 --nonces 64
  postmesh-bench compare --against 'randomx-benchmark --mine --jit --threads 2' \\
      --pattern Performance: -- pow --mode fast --threads 2
  postmesh-bench compare --against './initializer initialize --labels 3000' --work 3000 \\
      -- init --threads 1

The command runs in a shell. Its number is what follows the pattern in what it prints, or --work
divided by its time; with neither, the times of the two programs are compared.")]
pub(crate) struct CompareArgs {
    /// The other program, as a shell would take it
    #[arg(long, value_name = "COMMAND")]
    pub(crate) against: String,
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
    #[arg(last = true, required = true, value_name = "SUBCOMMAND ARGS")]
    pub(crate) ours: Vec<String>,
}

/// The longest measurement: a day.
const SECONDS_MAX: f64 = 86_400.0;

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = positive(text)?;
    if seconds > SECONDS_MAX {
        return Err(format!("at most {SECONDS_MAX} (a day)"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value.is_finite() && value > 0.0 { Ok(value) } else { Err("must be above 0".to_owned()) }
}

fn scrypt_n(text: &str) -> Result<ScryptN, String> {
    let n = text.parse().map_err(|_| "not a number".to_owned())?;
    ScryptN::new(n).map_err(|error| error.to_string())
}

fn nonces(text: &str) -> Result<u32, String> {
    let nonces: u32 = text.parse().map_err(|_| "not a number".to_owned())?;
    let fits = nonces.is_multiple_of(Nonce::PER_GROUP) && (1..=Nonce::END).contains(&nonces);
    let range = || format!("a multiple of {} up to {}", Nonce::PER_GROUP, Nonce::END);
    if fits { Ok(nonces) } else { Err(range()) }
}

/// A number of bytes, plain or with a binary suffix.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let suffix = text.get(digits.len()..).unwrap_or_default().trim();
    let shift = match suffix {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err("give bytes, or a number with KiB, MiB, GiB or TiB".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "not a number".to_owned())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or("out of range".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn sizes_have_binary_suffixes() {
        for (text, size) in [("1", 1), ("4096", 4096), ("3KiB", 3072), ("2 MiB", 2 << 20)] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for text in ["", "0", "-1", "1GB", "MiB", "1.5GiB", "99999999999TiB", "é"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_out_of_bounds_are_refused() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for text in ["0", "-1", "nan", "inf", "1e9", "x"] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert_eq!(nonces("288"), Ok(288));
        for text in ["0", "8", "17", "4112", "x"] {
            assert!(nonces(text).is_err(), "{text}");
        }
    }
}
