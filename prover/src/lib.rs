//! LIFE of the prover: the process that initializes data and proves it.
//!
//! `main.rs` is a single call of [`run`], so that tests can run the same program. From what was
//! typed ([`args`]) follows what it means ([`settings`]), and from that one of the commands. What
//! needs no process lives in the prover's parts: `post` (the law), `cpu` and `pow` (hands),
//! `plot` (memory), `wire` and `link` (speech).

mod args;
mod background;
mod battery;
mod check;
mod commands;
mod config;
mod control;
mod crew;
mod devices;
mod init;
mod keeper;
mod machine;
mod make;
mod memory;
mod merge;
mod nodes;
mod outcome;
mod outlook;
mod pace;
mod place;
pub mod planner;
mod progress;
mod proof_file;
mod prove;
mod randomx;
mod repair;
mod service;
mod session;
mod settings;
mod stop;
mod vrf;
mod worker;

pub use outcome::ExitCode;
use outcome::Failure;
pub use progress::{date, human_time};
pub use proof_file::{BadProofFile, ProofFile};

use args::{Command, ConfigCommand};
use std::ffi::OsString;

/// Name and version of the program.
const SOFTWARE: &str = concat!("postmesh-prover ", env!("CARGO_PKG_VERSION"));

/// Runs the prover as a process would, with the program's name as the first argument, and returns
/// the exit code. Answers go to stdout, everything else to stderr.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let typed: Vec<OsString> = arguments.into_iter().collect();
    let args = match config::parse(&typed) {
        Ok(args) => args,
        Err(code) => return code,
    };
    outcome::logs(args.json());
    let result = match args.command {
        Command::Init(args) => commands::init(&args),
        Command::Plan(args) => commands::plan(&args),
        Command::Shrink(args) => commands::shrink(&args),
        Command::Undo(args) => commands::undo(&args),
        Command::Purge(args) => commands::purge(&args),
        Command::Wipe(args) => commands::wipe(&args),
        Command::Move(args) => commands::move_(&args),
        Command::Prove(args) => commands::prove(&args),
        Command::Rehearse(args) => commands::rehearse(&args),
        Command::Verify(args) => commands::verify(&args),
        Command::Check(args) => commands::check(&args),
        Command::Repair(args) => commands::repair(&args),
        Command::Nonce(args) => commands::nonce(&args),
        Command::Merge(args) => commands::merge(&args),
        Command::Info(args) => commands::info(&args),
        Command::Serve(args) => service::serve(&args),
        Command::Status(args) => control::show::status(&args),
        Command::Top(args) => control::top::top(&args),
        Command::Pause(args) => control::show::pause(&args),
        Command::Resume(args) => control::show::resume(&args),
        Command::Config(args) => match args.command {
            ConfigCommand::Show(args) => config::show(&args),
            ConfigCommand::Reload(at) => control::show::reload(&at),
        },
        Command::Pair(args) => nodes::pair(&args),
        Command::Devices(args) => commands::devices(&args),
        Command::Worker => return worker::run(),
        Command::Completions { shell } => args::completions(shell),
    };
    outcome::report(result)
}
