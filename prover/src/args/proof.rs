//! What was typed for proofs: making them, trying how long one takes, verifying them.

use super::{DataArgs, NetworkArgs, WorkArgs};
use clap::{Args as ClapArgs, ValueEnum};
use post::k2pow::Difficulty;
use post::{Challenge, Nonce};
use std::path::PathBuf;
use std::str::FromStr;

/// What decides whether a proof is valid.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct ProofArgs {
    /// Labels that are expected to be good for a nonce
    #[arg(long, value_name = "N")]
    pub(crate) k1: Option<u32>,
    /// Good labels that a proof names
    #[arg(long, value_name = "N")]
    pub(crate) k2: Option<u32>,
    /// Bound of the k2pow for one unit, 32 bytes
    #[arg(long, value_name = "HEX")]
    pub(crate) pow_difficulty: Option<Difficulty>,
}

/// How a proof is searched for: what `prove`, `rehearse` and `serve` have in common.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct ProvingArgs {
    /// Nonces tried in one pass over the data, a multiple of 16; auto: as many as a proof that is
    /// under way was begun with, else what is best by what was measured here, else 128
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    pub(crate) nonces: NoncesArg,
    /// Memory for RandomX
    #[arg(long, value_enum, default_value_t = RandomXArg::Auto)]
    pub(crate) randomx: RandomXArg,
}

/// Memory for RandomX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RandomXArg {
    /// Fast where it repays itself, light otherwise
    Auto,
    /// 256 MiB
    Light,
    /// 2.3 GiB, several times faster once it is filled
    Fast,
}

/// Nonces for a pass: whole groups, and no more than there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoncesArg {
    /// What is best.
    Auto,
    /// So many.
    Of(u32),
}

impl NoncesArg {
    /// How many were asked for; `None` where it is left to us.
    pub(crate) fn asked(self) -> Option<u32> {
        match self {
            Self::Auto => None,
            Self::Of(nonces) => Some(nonces),
        }
    }
}

impl FromStr for NoncesArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (step, end) = (Nonce::PER_GROUP, Nonce::END);
        let fits = |nonces: &u32| nonces.is_multiple_of(step) && (step..=end).contains(nonces);
        match text.parse().ok().filter(fits) {
            _ if text == "auto" => Ok(Self::Auto),
            Some(nonces) => Ok(Self::Of(nonces)),
            None => Err(format!("must be auto, or a multiple of {step} up to {end}")),
        }
    }
}

/// A span of time, in seconds: `43200`, `90min`, `12h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanArg(pub(crate) u64);

impl FromStr for SpanArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let units = [("min", 60), ("h", 3_600), ("d", 86_400), ("s", 1)];
        let unit =
            units.iter().find_map(|(name, seconds)| Some((text.strip_suffix(name)?, *seconds)));
        let (number, seconds) = unit.unwrap_or((text, 1));
        let number = number.trim_end().parse::<u64>().ok().filter(|number| *number > 0);
        let span = number.and_then(|number| number.checked_mul(seconds));
        span.map(Self).ok_or_else(|| format!("{text} is no time, such as 43200, 90min or 12h"))
    }
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover prove --network devnet --data-dir /mnt/space --challenge 400e… \
     --json > proof.json\n\n",
    "Exit codes: 0 done · 1 this data has no proof for this challenge · 2 wrong usage · \
     3 could not (disk, device, memory, lock)"
))]
pub(crate) struct ProveArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// What the proof answers, 32 bytes
    #[arg(long, value_name = "HEX")]
    pub(crate) challenge: Challenge,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) proof: ProofArgs,
    #[command(flatten)]
    pub(crate) proving: ProvingArgs,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// Print the proof on one line, and logs as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover rehearse --network mainnet --data-dir /mnt/space --window 12h\n\n",
    "It proves a random challenge from end to end, and keeps no proof. What it measures is written \
     beside the data, where `prove` and `serve` find it. An interruption costs all of its \
     work.\n\n",
    "Exit codes: 0 the proof is soon enough, or no window is known · 1 it is not, or this data has \
     no proof · 2 wrong usage · 3 could not (disk, device, memory, lock)"
))]
pub(crate) struct RehearseArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) proof: ProofArgs,
    #[command(flatten)]
    pub(crate) proving: ProvingArgs,
    /// How long a proof may take, such as 12h, 90min or 43200 (seconds) [default: as long as the
    /// node gave the last one]
    #[arg(long, value_name = "TIME")]
    pub(crate) window: Option<SpanArg>,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// Print the verdict as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover verify --network devnet --proof proof.json\n\n",
    "Exit codes: 0 the proof is valid · 1 it is not · 2 wrong usage · 3 could not"
))]
pub(crate) struct VerifyArgs {
    /// The proof: a JSON file as `prove` prints it, or - for stdin
    #[arg(long, value_name = "FILE|-")]
    pub(crate) proof: PathBuf,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) params: ProofArgs,
    /// Verify only so many of the labels, chosen by --seed [default: all]
    #[arg(long, value_name = "N", requires = "seed")]
    pub(crate) k3: Option<u32>,
    /// What chooses the labels
    #[arg(long, value_name = "HEX", requires = "k3")]
    pub(crate) seed: Option<String>,
    /// Print the verdict as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_whole_groups() {
        assert_eq!("288".parse(), Ok(NoncesArg::Of(288)));
        assert_eq!("auto".parse(), Ok(NoncesArg::Auto));
        for asked in ["0", "15", "17", "4112", "-16", "Auto", ""] {
            assert!(asked.parse::<NoncesArg>().is_err(), "{asked}");
        }
    }

    #[test]
    fn spans_are_told_in_the_unit_that_people_think_in() {
        let of = |text: &str| text.parse().map(|SpanArg(seconds)| seconds);
        for (text, seconds) in
            [("43200", 43_200), ("90min", 5_400), ("12 h", 43_200), ("2d", 172_800)]
        {
            assert_eq!(of(text), Ok(seconds));
        }
        assert_eq!(of("7s"), Ok(7));
        for bad in ["", "0", "h", "1w", "-5", "1.5h", "99999999999999999d"] {
            assert!(of(bad).unwrap_err().contains("is no time"), "{bad}");
        }
    }
}
