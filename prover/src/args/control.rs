//! What was typed about running provers: how they are reached, shown and told to rest.

use clap::{Args as ClapArgs, Subcommand};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Which prover is meant.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct AtArgs {
    /// The prover's control socket [default: prover.sock beside the node's, or prover-2.sock … if
    /// a prover has it already; to look and to tell: all that are there]
    #[arg(long, value_name = "PATH", env = "POSTMESH_CONTROL")]
    pub(crate) control: Option<PathBuf>,
}

/// How a prover lets itself be looked at.
#[derive(Clone, Debug, Default, ClapArgs)]
pub(crate) struct ControlArgs {
    #[command(flatten)]
    pub(crate) at: AtArgs,
    /// Show status and metrics by HTTP on this address too; nothing can be told there
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) http: Option<SocketAddr>,
    /// Let --http be an address that other machines reach: whoever does can read the status
    #[arg(long)]
    pub(crate) http_public: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover status --json\n\n",
    "Exit codes: 0 every prover answered · 2 wrong usage · 3 no prover runs, or one is silent"
))]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) at: AtArgs,
    /// Print a JSON list, an object for each prover
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover pause --proofs\n\n",
    "Proofs go on unless --proofs says otherwise: one that is late costs its reward.\n\n",
    "Exit codes: 0 every prover was asked · 2 wrong usage · 3 no prover runs, or one is silent"
))]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    pub(crate) at: AtArgs,
    /// Let proofs rest too
    #[arg(long)]
    pub(crate) proofs: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover resume\n\n",
    "Exit codes: 0 every prover was asked · 2 wrong usage · 3 no prover runs, or one is silent"
))]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    pub(crate) at: AtArgs,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover top\n\n",
    "Keys: p pause all but proofs · P pause proofs too · r resume · arrows choose the prover · \
     q or Ctrl-C quit. The provers go on when it ends.\n\n",
    "Exit codes: 0 quit · 2 wrong usage · 3 no prover runs, or this is no terminal"
))]
pub(crate) struct TopArgs {
    #[command(flatten)]
    pub(crate) at: AtArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

impl ConfigArgs {
    pub(crate) fn json(&self) -> bool {
        match &self.command {
            ConfigCommand::Show(args) => args.json,
            ConfigCommand::Reload(_) => false,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print what `serve` would do with the configuration file and environment as they are
    Show(ConfigShowArgs),
    /// Have running provers read their configuration again; what cannot change while they run, they
    /// say in their logs
    Reload(AtArgs),
}

#[derive(Debug, ClapArgs)]
#[command(after_help = concat!(
    "Example:\n  postmesh-prover config show --origin -- --nonces 288\n\n",
    "A flag is stronger than the environment, that than the file, that than a default. The file \
     is never written.\n\n",
    "Exit codes: 0 done · 2 wrong usage, or the file says something wrong"
))]
pub(crate) struct ConfigShowArgs {
    /// The file [default: as for `serve`]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Say where each value comes from
    #[arg(long)]
    pub(crate) origin: bool,
    /// Print it as JSON, with where each value comes from
    #[arg(long)]
    pub(crate) json: bool,
    /// Flags of `serve`
    #[arg(last = true, value_name = "FLAGS")]
    pub(crate) flags: Vec<OsString>,
}
