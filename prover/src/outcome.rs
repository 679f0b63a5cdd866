//! How the process ends: exit codes, and errors in words that help.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use tracing_subscriber::EnvFilter;

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// It is done, or the answer is yes.
    Done = 0,
    /// The answer is no: an invalid proof, bad labels, no proof to be had.
    No = 1,
    /// It was asked wrongly.
    Usage = 2,
    /// It could not: disk, device, memory, lock, network.
    CouldNot = 3,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command did not get to an answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request makes no sense, or contradicts what is on disk.
    Usage(String),
    /// The request was fine.
    CouldNot(anyhow::Error),
}

impl Failure {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::CouldNot(error.into())
    }
}

pub(crate) type Result<T = ExitCode> = std::result::Result<T, Failure>;

/// Prints a failure and chooses the code.
pub(crate) fn report(result: Result) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(Failure::Usage(text)) => {
            eprintln!("error: {text}");
            ExitCode::Usage
        }
        Err(Failure::CouldNot(error)) => {
            let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
            eprintln!("error: {}", causes.join(": "));
            ExitCode::CouldNot
        }
    }
}

/// Prints an answer, a line of stdout.
///
/// That nobody reads it (any more) is no fault; that it cannot be written is.
macro_rules! answer {
    ($($part:tt)*) => {
        $crate::outcome::print_line(format_args!($($part)*))
    };
}
pub(crate) use answer;

/// See [`answer`].
pub(crate) fn print_line(line: fmt::Arguments<'_>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Help and version are answers; everything else that clap says is about wrong usage.
pub(crate) fn of_clap(error: &clap::Error) -> ExitCode {
    let printed = error.print().is_ok();
    if error.use_stderr() || !printed { ExitCode::Usage } else { ExitCode::Done }
}

/// Sends logs to stderr: sentences, or JSON lines with `--json`. `POSTMESH_LOG` filters them.
pub(crate) fn logs(json: bool) {
    let filter = EnvFilter::try_from_env("POSTMESH_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    let builder = builder.with_writer(std::io::stderr);
    // A second call in one process (tests) keeps the first one's choice.
    let _ = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
}
