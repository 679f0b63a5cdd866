//! Benchmarks: what this machine does, and how far that is from what it could do.
//!
//! `main.rs` is a single call of [`run`]. Each subcommand measures one kind of work and, in turns
//! with it, the limit that this machine sets to it (`turns`), so that a noisy neighbour slows
//! both. What the numbers stand for is told in `bench/README.md`; what a label or a proof is, the
//! crates know that are measured. Nothing is ever written to a file that this process did not
//! make: results and charts go to new files, and those that are only measured have no name and are
//! gone when it ends, however it ends.

mod all;
mod args;
mod beside;
mod buffer;
mod changes;
mod chart;
mod compare;
mod device;
mod devices;
mod disk;
mod extract;
mod file;
mod forecast;
mod init;
mod init_gpu;
mod limits;
mod machine;
pub mod noise;
mod outcome;
mod positioned;
mod pow;
mod progress;
mod prove;
mod recorded;
mod report;
mod roof;
mod stats;
mod turns;

pub use outcome::ExitCode;

use args::{Args, Command};
use clap::Parser;
use report::{put, show};
use std::ffi::OsString;

/// Runs the benchmarks as a process would, with the program's name as the first argument, and
/// returns the exit code. Results go to stdout, everything else to stderr.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => return outcome::of_clap(&error),
    };
    outcome::report(measure(&args.command))
}

fn measure(command: &Command) -> outcome::Result {
    if let Some(path) = command.output().and_then(|output| output.svg.as_deref()) {
        file::check_absent(path)?;
    }
    match command {
        Command::Devices(args) => devices::run(args),
        Command::Init(args) => init::run(args).and_then(|it| put(&it, &args.common.output)),
        Command::Prove(args) => prove::run(args).and_then(|it| put(&it, &args.common.output)),
        Command::Pow(args) => pow::run(args).and_then(|it| put(&[it], &args.common.output)),
        Command::Disk(args) => disk::run(args).and_then(|it| put(&[it], &args.output)),
        Command::All(args) => all::run(args),
        Command::Forecast(args) => forecast::run(args),
        Command::Beside(args) => beside::run(args).and_then(|it| show(&it, args.json)),
        Command::Compare(args) => match &args.against {
            Some(against) => compare::run(args, against).and_then(|it| show(&it, args.json)),
            None => changes::run(args),
        },
    }
}
