//! The worker process: whatever touches a GPU happens there, and never in the process that works
//! for people.
//!
//! A blocked driver call cannot be cancelled, and a driver that crashes takes its process along.
//! So each GPU is driven by another process of the same program, which is started when it is
//! needed and killed when it is silent for too long. Both talk over its stdin and stdout:
//!
//! ```text
//! RemoteLabels ─┐                        ┌─ gpu::Labels
//!               ├─ process ══ pipes ══ serve
//! RemoteScan  ──┘                        └─ gpu::Scan
//! ```
//!
//! A worker keeps nothing that would be missed: after any fault the next question starts a fresh
//! one. What it says is believed no more than a stranger. Knows nothing of files, of other devices,
//! nor who shares the work.

mod fault;
mod frame;
mod labels;
mod message;
mod process;
mod scan;
mod serve;
#[cfg(test)]
mod tests;

pub(crate) use fault::WorkerFault;
pub(crate) use labels::{LabelsJob, RemoteLabels};
pub(crate) use message::About;
pub(crate) use process::{Launcher, Patience};
pub(crate) use scan::{RemoteScan, ScanJob};
pub(crate) use serve::run;

use message::{Reply, Request};
use process::Process;

/// The GPUs of this machine, the most promising first; empty where there is none, or no driver for
/// it. A worker looks, for drivers crash when they are loaded too.
///
/// # Errors
/// [`WorkerFault`]: whether there are GPUs is not known.
pub(crate) fn list(launcher: &Launcher, patience: Patience) -> Result<Vec<About>, WorkerFault> {
    let mut process = Process::start(launcher)?;
    match process.ask(&Request::List, &[], patience.opening, &|| false)? {
        Reply::Listed(devices) => Ok(devices),
        _ => Err(WorkerFault::Nonsense("an answer to another question")),
    }
}
