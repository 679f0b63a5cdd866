//! A worker as the prover sees it: started, asked, and ended.
//!
//! Nothing here blocks for longer than the caller is patient. Three threads hold the ends of the
//! pipes, and wait for nobody: one writes what is asked, one reads what is answered, one hears the
//! noise that drivers make.

use super::fault::WorkerFault;
use super::frame;
use super::message::{Reply, Request};
use core::time::Duration;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Instant;

/// How long a wish to stop waits, at most, while the worker says nothing.
const TICK: Duration = Duration::from_millis(100);

/// How long it is waited for how a worker ended, and for what it said before. Seldom more than a
/// moment: a driver may keep a dead process from ending.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Bytes of a worker that are read at once, and how many such pieces wait to be looked at.
const PIECE_BYTES: usize = 64 * 1024;
const PIECES: usize = 4;

/// Bytes of a line of noise that are kept.
const LINE_BYTES: u64 = 400;

/// How long a worker may be silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// While it opens a device: shaders are compiled, and ways to mix are tried.
    pub(crate) opening: Duration,
    /// While it works: no dispatch takes longer than a fraction of a second.
    pub(crate) working: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { opening: Duration::from_secs(300), working: Duration::from_secs(60) }
    }
}

/// `CREATE_NEW_PROCESS_GROUP` of Windows.
#[cfg(windows)]
const NEW_GROUP: u32 = 0x200;

/// How a worker is started.
#[derive(Clone, Debug)]
pub(crate) struct Launcher {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Launcher {
    /// This program again.
    ///
    /// # Errors
    /// The system does not say where this program lies.
    pub(crate) fn own() -> io::Result<Self> {
        let program = std::env::current_exe()?;
        // An update may have replaced it; Linux still knows what runs.
        let running = PathBuf::from("/proc/self/exe");
        let program = if program.exists() || !running.exists() { program } else { running };
        Ok(Self { program, arguments: vec!["worker".into()] })
    }

    /// Something else that is taken for a worker.
    #[cfg(test)]
    pub(super) fn other(program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(Into::into).collect();
        Self { program: program.into(), arguments }
    }

    /// Ctrl-C is meant for the prover, which ends its workers itself: they stand in a group of
    /// their own.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        #[cfg(windows)]
        std::os::windows::process::CommandExt::creation_flags(&mut command, NEW_GROUP);
        command
    }
}

/// A running worker. Dropping it kills it.
pub(super) struct Process {
    /// `None` once it was killed.
    child: Option<Child>,
    questions: Sender<Vec<u8>>,
    pieces: Receiver<Vec<u8>>,
    /// The piece that is being looked at, and how much of it was.
    piece: Vec<u8>,
    taken: usize,
    /// The last line that it printed, once there can be no more.
    last_words: Receiver<String>,
}

/// What a reader waits for.
#[derive(Clone, Copy)]
struct Wait<'a> {
    patience: Duration,
    stop: &'a dyn Fn() -> bool,
}

impl Process {
    /// Starts a worker.
    pub(super) fn start(launcher: &Launcher) -> Result<Self, WorkerFault> {
        let mut command = launcher.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(WorkerFault::Start)?;
        let (questions, to_write) = channel::<Vec<u8>>();
        let (piece, pieces) = sync_channel(PIECES);
        let (last, last_words) = channel();
        let ends = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // From here on it is killed whatever happens.
        let worker =
            Self { child: Some(child), questions, pieces, piece: Vec::new(), taken: 0, last_words };
        if let (Some(mut stdin), Some(stdout), Some(stderr)) = ends {
            spawn(move || {
                // Who does not read will not answer, which is noticed there.
                while let Ok(bytes) = to_write.recv() {
                    if stdin.write_all(&bytes).and_then(|()| stdin.flush()).is_err() {
                        return;
                    }
                }
            })?;
            spawn(move || carry(stdout, &piece))?;
            spawn(move || hear(stderr, &last))?;
        }
        Ok(worker)
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> Option<u32> {
        Some(self.child.as_ref()?.id())
    }

    /// Asks, and waits for an answer. `raw` follows the question.
    ///
    /// # Errors
    /// [`WorkerFault`]: the worker is of no more use.
    pub(super) fn ask(
        &mut self,
        request: &Request,
        raw: &[u8],
        patience: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<Reply, WorkerFault> {
        let mut question = frame::encode(request)?;
        question.extend_from_slice(raw);
        // A worker that is gone is noticed by its silence.
        let _ = self.questions.send(question);
        let wait = Wait { patience, stop };
        loop {
            match frame::read(|out: &mut [u8]| self.take(out, wait))? {
                Reply::Alive => {}
                Reply::Fault(fault) => return Err(fault.into()),
                Reply::NoDevice => return Err(WorkerFault::NoDevice),
                reply => return Ok(reply),
            }
        }
    }

    /// Takes the raw bytes that follow an answer.
    pub(super) fn read(
        &mut self,
        out: &mut [u8],
        patience: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), WorkerFault> {
        self.take(out, Wait { patience, stop })
    }

    fn take(&mut self, mut out: &mut [u8], wait: Wait<'_>) -> Result<(), WorkerFault> {
        while !out.is_empty() {
            if self.taken == self.piece.len() {
                self.piece = self.next_piece(wait)?;
                self.taken = 0;
            }
            let here = self.piece.get(self.taken..).unwrap_or_default();
            let now = here.len().min(out.len());
            let (filled, rest) = out.split_at_mut(now);
            filled.copy_from_slice(&here[..now]);
            self.taken += now;
            out = rest;
        }
        Ok(())
    }

    fn next_piece(&mut self, wait: Wait<'_>) -> Result<Vec<u8>, WorkerFault> {
        let end = Instant::now() + wait.patience;
        loop {
            if (wait.stop)() {
                return Err(WorkerFault::Stopped);
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.pieces.recv_timeout(left.min(TICK)) {
                Ok(piece) => return Ok(piece),
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    return Err(WorkerFault::Silent { patience: wait.patience });
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// What became of a worker that closed its end.
    fn ended(&mut self) -> WorkerFault {
        let status = self.kill().and_then(|status| status.recv_timeout(LAST_WORDS).ok());
        let status = status.unwrap_or_else(|| "nobody knows how".to_owned());
        let said = self.last_words.recv_timeout(LAST_WORDS).ok();
        WorkerFault::Ended { status, said }
    }

    /// Ends the worker at once. Tells how it ended, which may take for ever: inside a driver, not
    /// even that can be forced.
    fn kill(&mut self) -> Option<Receiver<String>> {
        let mut child = self.child.take()?;
        let _ = child.kill();
        let (sender, status) = channel();
        // Without a thread it stays a zombie until we end; it is dead all the same.
        let _ = spawn(move || {
            let _ = sender.send(match child.wait() {
                Ok(status) => status.to_string(),
                Err(why) => why.to_string(),
            });
        });
        Some(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), WorkerFault> {
    let thread = thread::Builder::new().name("worker".to_owned()).spawn(work);
    thread.map(drop).map_err(WorkerFault::Start)
}

/// Carries what a worker says, in pieces, until it ends or nobody wants it.
fn carry(mut stdout: ChildStdout, pieces: &SyncSender<Vec<u8>>) {
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        match stdout.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => return,
            Ok(bytes) => piece.truncate(bytes),
        }
        if pieces.send(piece).is_err() {
            return;
        }
    }
}

/// Hears what drivers print, and tells the last of it at the end.
fn hear(stderr: ChildStderr, last_words: &Sender<String>) {
    let mut stderr = BufReader::new(stderr);
    let mut last = None;
    let mut line = Vec::new();
    while matches!(stderr.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim().replace(char::is_control, " ");
        line.clear();
        if !text.is_empty() {
            tracing::debug!("worker: {text}");
            last = Some(text);
        }
    }
    if let Some(last) = last {
        let _ = last_words.send(last);
    }
}
