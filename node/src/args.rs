//! What was typed.

use crate::outcome::{ExitCode, Result, answer};
use clap::{Args as ClapArgs, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Exit codes, for the end of every help page.
const EXIT_CODES: &str = "\
Exit codes: 0 done · 1 the answer is no (the proof is not valid, there is none) · 2 wrong usage · \
3 could not (disk, socket, memory)";

/// Asks provers for proofs of space-time, judges them and remembers.
#[derive(Debug, Parser)]
#[command(name = "postmesh-node", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the node: wait for provers, ask for proofs, judge and record them
    Run(RunArgs),
    /// Show the proofs that were judged, newest first
    History(HistoryArgs),
    /// The key that owns your space: make it, show it, save it, bring it
    Identity {
        #[command(subcommand)]
        command: IdentityCommand,
    },
    /// Provers on other hosts: invite one, and see, rename or remove those that are known
    Prover {
        #[command(subcommand)]
        command: ProverCommand,
    },
    /// Networks and their parameters
    Network {
        #[command(subcommand)]
        command: NetworkCommand,
    },
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// Make a new identity
    Create(CreateArgs),
    /// Print the public key: the node id
    Show(ShowArgs),
    /// List the identities: names, node ids, and whether their keys are encrypted
    List(ListArgs),
    /// Copy the secret key to a file as it is, to keep it safe
    Export(KeyFileArgs),
    /// Take the secret key from a file (also Spacemesh's identity.key)
    Import(ImportArgs),
    /// Encrypt the key with a passphrase
    Encrypt(SecretArgs),
    /// Keep the key without a passphrase again
    Decrypt(SecretArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProverCommand {
    /// Print a code by which one prover is paired, within ten minutes
    Invite(InviteArgs),
    /// List the provers that may connect
    List(ListArgs),
    /// Call a prover by another name
    Rename(RenameArgs),
    /// Forget a prover: it is disconnected, and cannot connect any more
    Remove(RemoveArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum NetworkCommand {
    /// Print a network file
    Show {
        /// mainnet, devnet, standalone, or a network file
        network: String,
    },
}

impl Args {
    /// Whether the answer is wanted for machines.
    pub(crate) fn json(&self) -> bool {
        match &self.command {
            Command::Run(args) => args.json,
            Command::History(args) => args.json,
            Command::Prover { command: ProverCommand::Invite(args) } => args.json,
            Command::Prover { command: ProverCommand::List(args) } => args.json,
            Command::Identity { command: IdentityCommand::List(args) } => args.json,
            _ => false,
        }
    }
}

/// Where the node keeps its key and its memory.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct HomeArgs {
    /// The node's directory [default: postmesh in the user's data directory]
    #[arg(long, value_name = "DIR", env = "POSTMESH_HOME")]
    pub(crate) home: Option<PathBuf>,
}

/// Which identity.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct NameArgs {
    /// Which identity: what it is called here
    #[arg(long, value_name = "NAME", default_value = crate::home::DEFAULT)]
    pub(crate) name: String,
}

/// Where a passphrase comes from.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct PassphraseArgs {
    /// A file that holds the passphrase of encrypted keys [default: ask on the terminal]
    #[arg(long, value_name = "FILE", env = "POSTMESH_PASSPHRASE_FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CreateArgs {
    /// Encrypt its key with a passphrase
    #[arg(long)]
    pub(crate) encrypt: bool,
    #[command(flatten)]
    pub(crate) name: NameArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    #[command(flatten)]
    pub(crate) home: HomeArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) name: NameArgs,
    #[command(flatten)]
    pub(crate) home: HomeArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct KeyFileArgs {
    /// The key file
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) name: NameArgs,
    #[command(flatten)]
    pub(crate) home: HomeArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) key: KeyFileArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SecretArgs {
    #[command(flatten)]
    pub(crate) name: NameArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    #[command(flatten)]
    pub(crate) home: HomeArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-node run --listen 0.0.0.0:7417\n  postmesh-node prover invite\n\n",
    "The code names this node and holds a secret: whoever has it may pair one prover. It is burned \
     by its first use, by three wrong tries, and after ten minutes.\n\n",
    "Exit codes: 0 the code is printed · 2 wrong usage · 3 could not"
))]
pub(crate) struct InviteArgs {
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// How provers reach this node, for the command that is printed [default: NODE:7417]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) address: Option<String>,
    /// Print the code as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RenameArgs {
    /// What it is called now
    pub(crate) name: String,
    /// What it is to be called: 1 to 64 letters, digits and - . _
    pub(crate) new: String,
    #[command(flatten)]
    pub(crate) home: HomeArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RemoveArgs {
    /// What it is called
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) home: HomeArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-node identity create\n  postmesh-node run --network devnet\n\n",
    "Provers of this user find the node by themselves: postmesh-prover serve --data-dir DIR\n\n",
    "Exit codes: 0 stopped on request, or with --once: all proofs are valid · 1 with --once: one \
     is not, or was not there in time · 2 wrong usage · 3 could not"
))]
pub(crate) struct RunArgs {
    /// mainnet, devnet, standalone, or a network file
    #[arg(long, value_name = "NAME|FILE", default_value = "mainnet")]
    pub(crate) network: String,
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    /// Where to listen for provers [default: the well-known socket of this user]
    #[arg(long, value_name = "PATH", env = "POSTMESH_SOCKET")]
    pub(crate) socket: Option<PathBuf>,
    /// Listen for provers on other hosts too, by QUIC (UDP), for example on 0.0.0.0:7417; only
    /// those that were invited may speak [default: off]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Seconds from one challenge of an identity to the next, which waits until the last is
    /// answered or late
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    pub(crate) every: u64,
    /// Seconds that provers have for a proof [default: twelve hours, or --every where that is more]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) window: Option<u64>,
    /// Ask for one proof of each identity, judge them and end
    #[arg(long)]
    pub(crate) once: bool,
    /// Logs and verdicts as JSON lines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    pub(crate) home: HomeArgs,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) count: usize,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints a completion script.
pub(crate) fn completions(shell: Shell) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "postmesh-node", &mut script);
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
}
