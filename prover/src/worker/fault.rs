//! What can go wrong with a worker, in words that a user understands.

use super::frame::BadFrame;
use core::time::Duration;
use post::label::LabelFault;
use std::io;
use thiserror::Error;

/// Why a worker did not do what it was asked. It is gone then.
#[derive(Debug, Error)]
pub(crate) enum WorkerFault {
    /// The caller asked it to stop.
    #[error("stopped on request")]
    Stopped,
    #[error("a worker process could not be started: {0}")]
    Start(io::Error),
    #[error("it did not answer for {} s; its worker was stopped", .patience.as_secs_f64())]
    Silent {
        /// How long nothing was heard of it.
        patience: Duration,
    },
    /// The driver crashed, or the system killed the worker.
    #[error("its worker ended by itself ({status}{})", words(.said))]
    Ended { status: String, said: Option<String> },
    #[error("its worker said what makes no sense: {0}")]
    Nonsense(&'static str),
    #[error("its worker said what makes no sense: {0}")]
    Frame(#[from] BadFrame),
    #[error("labels beyond the last index there is")]
    NoIndex,
    #[error("there is no such device any more")]
    NoDevice,
    #[error(transparent)]
    Device(#[from] gpu::Fault),
}

/// The last words of a worker, as the end of a sentence.
fn words(said: &Option<String>) -> String {
    said.as_ref().map_or_else(String::new, |said| format!(", its last words: {said}"))
}

impl WorkerFault {
    /// As a fault of the device of this name.
    pub(super) fn of(self, device: &str) -> LabelFault {
        match self {
            Self::Stopped | Self::Device(gpu::Fault::Stopped) => LabelFault::Stopped,
            fault => LabelFault::Device(format!("{device}: {fault}")),
        }
    }
}
