//! What was typed.

mod control;
mod devices;
mod keep;
mod proof;

pub(crate) use control::{
    AtArgs, ConfigArgs, ConfigCommand, ConfigShowArgs, ControlArgs, PauseArgs, ResumeArgs,
    StatusArgs, TopArgs,
};
pub(crate) use devices::{DeviceArg, DevicesArgs};
pub(crate) use keep::{MergeArgs, MoveArgs, PurgeArgs, ShrinkArgs, UndoArgs, WipeArgs};
#[cfg(test)]
pub(crate) use proof::NoncesArg;
pub(crate) use proof::{ProofArgs, ProveArgs, ProvingArgs, RandomXArg, RehearseArgs, VerifyArgs};

use crate::outcome::{self, ExitCode, answer};
use crate::place::{PlaceArg, size_from};
use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use link::Code;
use post::{AtxId, NodeId};
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

/// Exit codes, for the end of every help page.
const EXIT_CODES: &str = "\
Exit codes: 0 done · 1 the answer is no (invalid proof, bad labels, no proof) · 2 wrong usage · \
3 could not (disk, device, memory, lock)";

/// Fills disk space with labels once, and proves every epoch that it is still there.
#[derive(Debug, Parser)]
#[command(name = "postmesh-prover", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the labels of an identity, or go on where it stopped
    Init(InitArgs),
    /// Say what `init` would keep and make, where, and how long it would take; changes nothing
    Plan(PlanArgs),
    /// Keep fewer units; the rest goes to the trash and can be brought back
    Shrink(ShrinkArgs),
    /// Bring back what a command put into the trash
    Undo(UndoArgs),
    /// Delete what is in the trash, for good
    Purge(PurgeArgs),
    /// Delete all data in a directory, for good
    Wipe(WipeArgs),
    /// Take a directory's data to another disk
    Move(MoveArgs),
    /// Prove data against a challenge; prints the proof as JSON
    Prove(ProveArgs),
    /// Make a proof that nobody asked for, and say how long it took and whether that is soon enough
    Rehearse(RehearseArgs),
    /// Verify a proof
    Verify(VerifyArgs),
    /// Read every label, make some again, and list every range that is bad
    Check(CheckArgs),
    /// Make bad labels again, in the place of the wrong ones, which are kept
    Repair(RepairArgs),
    /// Search the VRF nonce among labels that are on disk, and write it down
    Nonce(NonceArgs),
    /// Join the shares of a data set that several machines made
    Merge(MergeArgs),
    /// Say what a data directory holds
    Info(InfoArgs),
    /// Answer a node's requests for proofs
    Serve(ServeArgs),
    /// Show what running provers do
    Status(StatusArgs),
    /// Show it live, in the terminal
    Top(TopArgs),
    /// Let running provers rest
    Pause(PauseArgs),
    /// Let them go on
    Resume(ResumeArgs),
    /// Show the configuration of `serve`, or have it read again
    Config(ConfigArgs),
    /// Pair with a node on another host, by the code that it printed
    Pair(PairArgs),
    /// List what can compute here, and why something is not used
    Devices(DevicesArgs),
    /// Drive a GPU for the process that started this one
    #[command(hide = true)]
    Worker,
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

impl Args {
    /// Whether the answer is wanted for machines.
    pub(crate) fn json(&self) -> bool {
        match &self.command {
            Command::Init(args) => args.json,
            Command::Plan(args) => args.json,
            Command::Shrink(args) => args.json,
            Command::Undo(args) => args.json,
            Command::Purge(args) => args.json,
            Command::Wipe(args) => args.json,
            Command::Move(args) => args.json,
            Command::Prove(args) => args.json,
            Command::Rehearse(args) => args.json,
            Command::Verify(args) => args.json,
            Command::Check(args) => args.json,
            Command::Repair(args) => args.json,
            Command::Nonce(args) => args.json,
            Command::Merge(args) => args.json,
            Command::Info(args) => args.json,
            Command::Serve(args) => args.json,
            Command::Pair(args) => args.json,
            Command::Devices(args) => args.json,
            Command::Status(args) => args.json,
            Command::Config(args) => args.json(),
            Command::Top(_)
            | Command::Pause(_)
            | Command::Resume(_)
            | Command::Worker
            | Command::Completions { .. } => false,
        }
    }
}

/// Where PoST parameters come from; single flags override them.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct NetworkArgs {
    /// mainnet, devnet, standalone, or a network file; without it: mainnet's parameters, with no
    /// limit on units
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) network: Option<String>,
    /// scrypt's N, a power of two
    #[arg(long, value_name = "N")]
    pub(crate) scrypt_n: Option<u32>,
}

/// What does the work.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct WorkArgs {
    /// What computes: auto (every usable GPU, and the CPU), cpu, gpu (every usable GPU), or a name
    /// that `devices` lists; given several times for several
    #[arg(long, value_name = "auto|cpu|gpu|NAME", default_value = "auto")]
    pub(crate) device: Vec<DeviceArg>,
    /// Keep GPUs responsive: dispatches of 10 ms instead of 50; set by itself for a card whose
    /// display is in use
    #[arg(long)]
    pub(crate) polite: bool,
    /// CPU threads [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Let everything else on this machine go first: lowest priority for processor and disk, and
    /// work for half of the time
    #[arg(long)]
    pub(crate) background: bool,
    /// Percent of the time to work; it rests for the others [default: 100, with --background 50]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) duty: Option<u8>,
}

/// Where data lies.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct DataArgs {
    /// Where the labels are; given several times for data spread over directories and disks
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) data_dir: Vec<PlaceArg>,
}

/// What data is wanted: what `init` and `plan` have in common.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct SpaceArgs {
    /// Where the labels go; several directories share them, in the order given, each up to its
    /// size (500GiB, 2TB) or to the room there is
    #[arg(long, value_name = "DIR|path=DIR,size=SIZE", required = true)]
    pub(crate) data_dir: Vec<PlaceArg>,
    /// Whose space: the identity's public key [default: that of the data on disk]
    #[arg(long, value_name = "HEX")]
    pub(crate) node_id: Option<NodeId>,
    /// The ATX that the labels are tied to [default: that of the data on disk]
    #[arg(long, value_name = "HEX")]
    pub(crate) commitment_atx: Option<AtxId>,
    /// Units of space [default: as many as are on disk, or as the sizes hold]
    #[arg(long, value_name = "U")]
    pub(crate) units: Option<u32>,
    /// Let data that is on disk grow to more units
    #[arg(long)]
    pub(crate) grow: bool,
    /// Only these label files, the last one among them, or a single one: a share of the data; other
    /// machines make the others, `merge` joins them [default: those on disk, else all]
    #[arg(long, value_name = "FROM..TO", value_delimiter = ',')]
    pub(crate) files: Vec<RangeArg>,
    /// Labels in a unit, 16 bytes each [default: the network's, or those on disk]
    #[arg(long, value_name = "L")]
    pub(crate) labels_per_unit: Option<u64>,
    /// Bytes of a label file, a multiple of 16 [default: 4GiB, or what is on disk]
    #[arg(long, value_name = "SIZE", value_parser = size_from)]
    pub(crate) max_file_size: Option<u64>,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover init --network devnet --data-dir /mnt/space --node-id 8411… \
     --commitment-atx 66ec… --units 4\n\nRun it again to go on after an interruption: \
     --data-dir is then enough.\n\n",
    "Exit codes: 0 done · 2 wrong usage, or the data on disk is other data · \
     3 could not (disk, device, lock)"
))]
pub(crate) struct InitArgs {
    #[command(flatten)]
    pub(crate) space: SpaceArgs,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover plan --data-dir /mnt/space --data-dir path=/mnt/more,size=2TB \
     --units 48 --grow\n\n",
    "Exit codes: 0 `init` can do it · 2 wrong usage, or the data on disk is other data · \
     3 it does not fit, or the disk cannot be read"
))]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) space: SpaceArgs,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// Print the plan as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover check --data-dir /mnt/space --fraction 0.5\n\n",
    "Every label is read and compared with the hashes in the manifests; where there are none yet \
     (data of another program), they are written down. It may be stopped and run again at any \
     time.\n\n",
    "Exit codes: 0 all labels checked are right · 1 some are wrong or missing · 2 wrong usage · \
     3 could not, or was stopped"
))]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// How much to make again besides, in percent, spread over all of the data; at least 1024
    /// labels, or all if there are fewer
    #[arg(long, value_name = "PERCENT", default_value_t = 0.1)]
    pub(crate) fraction: f64,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// Print the findings as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover repair --data-dir /mnt/space --dry-run\n\n",
    "It finds what is bad as `check` does and makes only that again. The bytes that it replaces \
     stay in trash/ of the data directory until they are purged. It refuses where labels outside \
     the bad ranges are not right either.\n\n",
    "Exit codes: 0 nothing is bad any more · 1 something is · 2 wrong usage, or the data is other \
     data · 3 could not, or was stopped: run it again to go on"
))]
pub(crate) struct RepairArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    /// How much to make again to find what is bad, in percent, as for `check`
    #[arg(long, value_name = "PERCENT", default_value_t = 0.1)]
    pub(crate) fraction: f64,
    /// Look at these labels only, all of them
    #[arg(long, value_name = "FIRST..LAST", value_delimiter = ',', conflicts_with = "fraction")]
    pub(crate) ranges: Vec<RangeArg>,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Labels or label files by their numbers: `FIRST..LAST`, both among them, or a single number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeArg(pub(crate) Range<u64>);

impl FromStr for RangeArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let number = |text: &str| text.parse().ok().filter(|number| *number < u64::MAX);
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self(first..last + 1)),
            _ => Err(format!("{text} is no range, such as 100..199")),
        }
    }
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover nonce --data-dir /mnt/space\n\n",
    "Exit codes: 0 it is found and written down · 2 wrong usage · 3 could not (disk, lock, labels \
     that are wrong), or was stopped"
))]
pub(crate) struct NonceArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Example:\n  postmesh-prover info --data-dir /mnt/space")]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover serve --network devnet --data-dir /mnt/space\n\n",
    "It finds the node of this user by itself, waits for it, and serves until Ctrl-C.\n\n",
    "Exit codes: 0 stopped on request · 2 wrong usage · 3 could not (disk, another network)"
))]
pub(crate) struct ServeArgs {
    /// A TOML file that says what flags do not [default: postmesh/prover.toml in the user's
    /// configuration, if it is there]
    #[arg(long, value_name = "FILE", env = "POSTMESH_PROVER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The node's socket [default: the well-known one of this user]
    #[arg(long, value_name = "PATH", env = "POSTMESH_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
    /// Serve a node on another host, which this prover was paired with; given several times for
    /// several, `local` for the one on this host [default: local]
    #[arg(long, value_name = "HOST:PORT|local")]
    pub(crate) node: Vec<String>,
    /// Leave labels that are missing as they are; without this they are made whenever no proof is
    /// wanted
    #[arg(long)]
    pub(crate) no_fill: bool,
    #[command(flatten)]
    pub(crate) keys: KeysArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) proving: ProvingArgs,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    #[command(flatten)]
    pub(crate) control: ControlArgs,
    /// Logs as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The whole command line, so that the configuration can be read again.
    #[arg(skip)]
    pub(crate) typed: Vec<OsString>,
}

/// Where a prover keeps what it knows of nodes on other hosts.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct KeysArgs {
    /// The directory of this prover's link key and of the nodes that it was paired with
    /// [default: postmesh/prover in the user's configuration]
    #[arg(long, value_name = "DIR", env = "POSTMESH_PROVER_HOME")]
    pub(crate) home: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover pair node.lan:7417 3QK5H-… --name attic\n\n",
    "The code is what `postmesh-node prover invite` prints. It names the node and holds a secret, \
     which is told to nobody else.\n\n",
    "Exit codes: 0 paired · 2 wrong usage, or a mistyped code · 3 could not (network, another node \
     answers, the node refused)"
))]
pub(crate) struct PairArgs {
    /// Where the node is
    #[arg(value_name = "HOST:PORT")]
    pub(crate) node: String,
    /// The code that the node printed
    pub(crate) code: Code,
    /// What the node is to call this prover [default: this machine's name]
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) keys: KeysArgs,
    /// Print what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints a completion script.
pub(crate) fn completions(shell: Shell) -> outcome::Result {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "postmesh-prover", &mut script);
    answer!("{}", String::from_utf8_lossy(&script).trim_end())?;
    Ok(ExitCode::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn ranges_name_their_last_label() {
        let range = |text: &str| text.parse::<RangeArg>().map(|range| range.0);
        assert_eq!(range("3..5"), Ok(3..6));
        assert_eq!(range("7"), Ok(7..8));
        for bad in ["", "5..3", "a..b", "3..", "..", "18446744073709551615", "-1"] {
            assert!(range(bad).unwrap_err().contains("is no range"), "{bad}");
        }
    }
}
