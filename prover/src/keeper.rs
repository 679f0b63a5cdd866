//! Keeps the lease beside data alive ([`plot::Lease`]), on a thread of its own: a disk that sleeps
//! or a folder whose server is away holds up nobody else.

use crate::machine;
use crate::progress::unix_now;
use plot::{DataSet, Notice};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// How often it is looked whether to say again that the data is held.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How long the end waits for a disk.
const PATIENCE: Duration = Duration::from_millis(200);

/// Who holds the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// A service, for as long as it runs.
    Service,
    /// A command, which works all the time and may do so beside a service of this host.
    Command,
}

/// What the thread is told.
enum Word {
    Working(bool),
    Leave,
}

/// A lease that is kept; it ends with this value.
#[derive(Debug)]
pub(crate) struct Keeper {
    say: Sender<Word>,
    /// What was said last of work.
    works: AtomicBool,
    left: Receiver<()>,
}

impl Keeper {
    /// Takes the lease, and tells what is found, now and later. Where the system gives no thread,
    /// nobody is warned.
    pub(crate) fn start(
        set: DataSet,
        holds: Holds,
        tell: impl Fn(Notice) + Send + 'static,
    ) -> Self {
        let (say, words) = channel();
        let (leaving, left) = channel();
        let keep = move || {
            keep(&set, holds, &words, &tell);
            // Nobody waits any more where it took long.
            let _ = leaving.send(());
        };
        if let Err(why) = thread::Builder::new().name("lease".to_owned()).spawn(keep) {
            tracing::debug!("no lease is kept: {why}");
        }
        Self { say, works: AtomicBool::new(holds == Holds::Command), left }
    }

    /// For a command: what is found is logged.
    pub(crate) fn of_command(set: &DataSet) -> Self {
        Self::start(set.clone(), Holds::Command, |notice| match notice {
            Notice::Other { .. } => tracing::warn!("{notice}"),
            Notice::Earlier { .. } => tracing::info!("{notice}"),
            // Data that nobody can write is proven too.
            Notice::Unwritten { .. } => tracing::debug!("{notice}"),
        })
    }

    /// Whether the data is worked on: then it is said more often that it is held.
    pub(crate) fn working(&self, working: bool) {
        if self.works.swap(working, Ordering::Relaxed) != working {
            // It has ended where there is no thread.
            let _ = self.say.send(Word::Working(working));
        }
    }

    /// Begins to give the lease back.
    pub(crate) fn leave(&self) {
        // It has ended where there is no thread.
        let _ = self.say.send(Word::Leave);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.leave();
        // A disk that takes longer keeps the note, which grows stale by itself.
        let _ = self.left.recv_timeout(PATIENCE);
    }
}

fn keep(set: &DataSet, holds: Holds, words: &Receiver<Word>, tell: &dyn Fn(Notice)) {
    let (mut lease, notices) = set.lease(machine::holder(), unix_now());
    notices.into_iter().for_each(tell);
    let mut working = holds == Holds::Command;
    loop {
        match words.recv_timeout(LOOK_EVERY) {
            Ok(Word::Working(now)) => working = now,
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Word::Leave) | Err(RecvTimeoutError::Disconnected) => break,
        }
        lease.beat(unix_now(), working).into_iter().for_each(tell);
    }
    match holds {
        Holds::Service => lease.leave(unix_now()),
        Holds::Command => lease.hand_back(unix_now()),
    }
}
