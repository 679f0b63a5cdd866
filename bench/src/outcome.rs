//! How the process ends: the prover's exit codes, and errors in words that help.

use std::error::Error;

/// The documented exit codes; 1 is left to programs that can answer no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// It is measured.
    Done = 0,
    /// It was asked wrongly.
    Usage = 2,
    /// It could not: disk, device, memory, another program.
    CouldNot = 3,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

/// Why there is no result.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request makes no sense.
    Usage(String),
    /// The request was fine.
    CouldNot(anyhow::Error),
}

impl Failure {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    /// A kernel that is not here, and those that are.
    pub(crate) fn no_kernel(name: &str, present: &[&str]) -> Self {
        let present = present.join(", ");
        Self::Usage(format!("no kernel {name} runs on this machine; present: {present}"))
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::CouldNot(error.into())
    }
}

pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

/// Says what the system was asked when it refused.
pub(crate) fn because<E>(what: impl core::fmt::Display) -> impl FnOnce(E) -> Failure
where
    E: Error + Send + Sync + 'static,
{
    move |error| Failure::CouldNot(anyhow::Error::new(error).context(what.to_string()))
}

/// Prints a failure and chooses the code.
pub(crate) fn report(result: Result) -> ExitCode {
    match result {
        Ok(()) => ExitCode::Done,
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

/// Help and version are answers; everything else that clap says is about wrong usage.
pub(crate) fn of_clap(error: &clap::Error) -> ExitCode {
    let printed = error.print().is_ok();
    if error.use_stderr() || !printed { ExitCode::Usage } else { ExitCode::Done }
}
