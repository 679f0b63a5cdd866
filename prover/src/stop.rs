//! Stopping on request: Ctrl-C or a polite kill sets a flag that the work asks for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// A flag that says whether the user wants us to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A flag that Ctrl-C and SIGTERM set.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let stop = Self::default();
        let flag = stop.clone();
        thread::Builder::new().name("signals".into()).spawn(move || {
            if runtime.block_on(signalled()).is_ok() {
                flag.set();
            }
        })?;
        Ok(stop)
    }

    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Returns when the process is asked to stop.
#[cfg(unix)]
pub(crate) async fn signalled() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

/// Returns when the process is asked to stop.
#[cfg(not(unix))]
pub(crate) async fn signalled() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
