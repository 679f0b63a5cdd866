//! Stopping on request: Ctrl-C or a polite kill sets a flag that the work asks for.
//! Work that does not heed it within a second is ended.

use crate::outcome::ExitCode;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use tokio::runtime::Builder;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long the work may take to come to rest: with what the system adds it stays under a second.
const GRACE: Duration = Duration::from_millis(900);

/// A flag that says whether the user wants us to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A flag that Ctrl-C and SIGTERM set.
    ///
    /// Whoever does not come to rest within [`GRACE`] (the machine is overloaded, a disk hangs) is
    /// ended, and the second request ends the process at once. What is on disk survives that, as
    /// it survives a power cut.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let stop = Self::default();
        let flag = stop.clone();
        thread::Builder::new().name("signals".into()).spawn(move || {
            let heard: io::Result<()> = runtime.block_on(async {
                let mut signals = Signals::new()?;
                signals.next().await?;
                flag.set();
                let again = tokio::time::timeout(GRACE, signals.next()).await;
                tracing::warn!(
                    "ended in the middle of work; what is on disk is whole: run the same command \
                     again to go on"
                );
                again.unwrap_or(Ok(()))
            });
            if heard.is_ok() {
                std::process::exit(ExitCode::CouldNot as i32);
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
pub(crate) async fn signalled() -> io::Result<()> {
    Signals::new()?.next().await
}

/// Requests to stop, from now on.
#[cfg(unix)]
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> io::Result<()> {
        tokio::select! {
            _ = self.interrupt.recv() => Ok(()),
            _ = self.terminate.recv() => Ok(()),
        }
    }
}

/// Requests to stop.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}
