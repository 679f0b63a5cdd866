//! LIFE of the node: the process that asks provers for proofs, judges them and remembers.
//!
//! `main.rs` is a single call of [`run`], so that tests can run the same program. What needs no
//! process lives in the node's parts: `chain` (nouns), `store` (memory), and of the prover's
//! parts those that it publishes: `post` (the law), `pow`, `wire` and `link`.

mod args;
mod drive;
mod history;
mod home;
mod identities;
mod judge;
mod keys;
mod outcome;
mod pairing;
mod passphrase;
mod provers;
mod settings;

pub use outcome::ExitCode;

use args::{Args, Command, IdentityCommand, NetworkCommand, ProverCommand};
use clap::Parser;
use std::ffi::OsString;

/// Runs the node as a process would, with the program's name as the first argument, and returns
/// the exit code. Answers go to stdout, everything else to stderr.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => return outcome::of_clap(&error),
    };
    outcome::logs(args.json());
    let result = match args.command {
        Command::Run(args) => drive::run(&args),
        Command::History(args) => history::print(&args),
        Command::Identity { command } => match command {
            IdentityCommand::Create(args) => identities::create(&args),
            IdentityCommand::Show(args) => identities::show(&args.name, &args.home),
            IdentityCommand::List(args) => identities::list(&args),
            IdentityCommand::Export(args) => identities::export(&args),
            IdentityCommand::Import(args) => identities::import(&args),
            IdentityCommand::Encrypt(args) => identities::encrypt(&args),
            IdentityCommand::Decrypt(args) => identities::decrypt(&args),
        },
        Command::Prover { command } => match command {
            ProverCommand::Invite(args) => pairing::invite(&args),
            ProverCommand::List(args) => pairing::list(&args),
            ProverCommand::Rename(args) => pairing::rename(&args),
            ProverCommand::Remove(args) => pairing::remove(&args),
        },
        Command::Network { command: NetworkCommand::Show { network } } => settings::show(&network),
        Command::Completions { shell } => args::completions(shell),
    };
    outcome::report(result)
}
