//! Stopping on request: Ctrl-C or a polite kill sets a flag that the work asks for; the second
//! time it ends the process.

use crate::outcome::ExitCode;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A flag that says whether the user wants us to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A flag that Ctrl-C and SIGTERM set. The second one ends the process at once: the state on
    /// disk survives that, as it survives a power cut.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let stop = Self::default();
        let flag = stop.clone();
        thread::Builder::new().name("signals".into()).spawn(move || {
            let heard = runtime.block_on(async {
                let mut signals = Signals::new()?;
                signals.next().await?;
                flag.set();
                tracing::info!("stopping; Ctrl-C again ends at once");
                signals.next().await
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
