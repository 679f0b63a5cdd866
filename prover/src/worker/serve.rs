//! The worker's side: questions in on stdin, answers out on stdout, until the one who asks is gone.

use super::frame;
use super::message::{About, HIT_BYTES, Keys, Reply, Request, State};
use crate::outcome::ExitCode;
use core::convert::Infallible;
use core::time::Duration;
use gpu::{Device, Fault, Labels, Scan, Settings};
use post::search::{GroupKeys, Scanner, Threshold};
use post::{LABEL_BYTES, LabelIndex, Labeler, NonceGroup, ScryptN};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// How often a sign of life is given.
const SIGN_EVERY: Duration = Duration::from_secs(1);

/// Characters of a driver's complaint that are passed on.
const TEXT_MAX: usize = 2000;

/// The hidden subcommand `worker`. Ends with the process that started it.
pub(crate) fn run() -> ExitCode {
    let Err(why) = own_stdout().and_then(|output| serve(io::stdin(), output));
    eprintln!("the worker has nobody to work for: {why}");
    ExitCode::CouldNot
}

/// Our end of the pipe. What drivers print to stdout goes to stderr from now on.
#[cfg(unix)]
fn own_stdout() -> io::Result<File> {
    let own = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned()?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok(File::from(own))
}

/// Our end of the pipe.
#[cfg(windows)]
fn own_stdout() -> io::Result<File> {
    let own = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned()?;
    Ok(File::from(own))
}

/// Ends this process at once, since an orderly exit asks drivers that may hang.
fn end() -> ! {
    #[cfg(unix)]
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::exit(ExitCode::Done as i32)
}

/// A question, and the bytes that follow it.
type Asked = (Request, Vec<u8>);

/// Answers until nobody asks any more, and then ends the process, whatever it is doing.
pub(super) fn serve(
    input: impl Read + Send + 'static,
    output: impl Write + Send,
) -> io::Result<Infallible> {
    let (sender, asked) = sync_channel(1);
    thread::Builder::new().name("questions".to_owned()).spawn(move || {
        let why = listen(BufReader::new(input), &sender);
        tracing::debug!("nobody asks any more: {why}");
        end()
    })?;
    let output = Mutex::new(Output { pipe: output, last: Instant::now() });
    let mut server = Server { output, devices: None, labels: None, scan: None };
    loop {
        let Ok((request, raw)) = asked.recv() else { end() };
        let (reply, raw) = server.answer(&request, &raw).unwrap_or_else(|no| (no, Vec::new()));
        locked(&server.output).say(&reply, &raw)?;
    }
}

/// Passes questions on until there are no more; why there are none.
fn listen(mut input: impl Read, asked: &SyncSender<Asked>) -> io::Error {
    loop {
        let request = match frame::read(|out: &mut [u8]| input.read_exact(out)) {
            Ok(request) => request,
            Err(why) => return why,
        };
        let bytes = if let Request::Search { bytes, .. } = &request { *bytes } else { 0 };
        let mut raw = Vec::new();
        match input.by_ref().take(bytes).read_to_end(&mut raw) {
            Ok(read) if read as u64 == bytes => {}
            Ok(_) => return io::ErrorKind::UnexpectedEof.into(),
            Err(why) => return why,
        }
        if asked.send((request, raw)).is_err() {
            return io::ErrorKind::BrokenPipe.into();
        }
    }
}

/// The pipe to the one who asks.
struct Output<W> {
    pipe: W,
    /// When it was last written to.
    last: Instant,
}

impl<W: Write> Output<W> {
    fn say(&mut self, reply: &Reply, raw: &[u8]) -> io::Result<()> {
        self.pipe.write_all(&frame::encode(reply)?)?;
        self.pipe.write_all(raw)?;
        self.last = Instant::now();
        self.pipe.flush()
    }

    fn give_sign(&mut self) {
        if self.last.elapsed() >= SIGN_EVERY && self.say(&Reply::Alive, &[]).is_err() {
            end();
        }
    }
}

/// What a worker has.
struct Server<W> {
    output: Mutex<Output<W>>,
    /// `None` before anybody asked for them.
    devices: Option<Vec<Device>>,
    labels: Option<Labels>,
    scan: Option<Scan>,
}

/// An answer, and the bytes that follow it; or one that says no.
type Answer = Result<(Reply, Vec<u8>), Reply>;

impl From<Fault> for Reply {
    fn from(fault: Fault) -> Self {
        Self::Fault(match fault {
            Fault::Lost(text) => Fault::Lost(text.chars().take(TEXT_MAX).collect()),
            Fault::Refused(text) => Fault::Refused(text.chars().take(TEXT_MAX).collect()),
            fault => fault,
        })
    }
}

impl<W: Write + Send> Server<W> {
    fn answer(&mut self, request: &Request, raw: &[u8]) -> Answer {
        match request {
            Request::List => {
                let devices = self.devices().iter().map(About::from).collect();
                Ok((Reply::Listed(devices), Vec::new()))
            }
            Request::Labels { device, commitment, n, target, tuning } => {
                let n = ScryptN::new(*n).map_err(refused)?;
                let settings = Settings { target: *target, memory: None, tuning: *tuning };
                // The memory of an earlier one is needed.
                self.labels = None;
                let labels = Labels::new(self.device(device)?, *commitment, n, settings)?;
                let (kernel, state) = (labels.kernel().to_owned(), Some(state_of(&labels)));
                self.labels = Some(labels);
                Ok((Reply::Ready { kernel, state }, Vec::new()))
            }
            Request::Fill { first, labels } => self.fill(*first, *labels),
            Request::Scan { device, groups, top, low, target } => {
                let keys = groups.iter().map(keys_of).collect();
                let threshold = Threshold { top: *top, low: *low };
                self.scan = None;
                let scan = Scan::new(self.device(device)?, keys, threshold, *target)?;
                let kernel = scan.kernel().to_owned();
                self.scan = Some(scan);
                Ok((Reply::Ready { kernel, state: None }, Vec::new()))
            }
            Request::Search { first, .. } => {
                let scan = self.scan.as_mut().ok_or_else(|| refused("no scan was opened"))?;
                let hits = scan.try_scan(LabelIndex(*first), raw)?;
                let mut raw = Vec::with_capacity(hits.len().saturating_mul(HIT_BYTES));
                for hit in &hits {
                    raw.extend_from_slice(&hit.index.0.to_le_bytes());
                    raw.extend_from_slice(&hit.nonce.0.to_le_bytes());
                }
                Ok((Reply::Hits { hits: hits.len() as u64 }, raw))
            }
        }
    }

    fn fill(&mut self, first: u64, labels: u64) -> Answer {
        let (output, maker) = (&self.output, &mut self.labels);
        let maker = maker.as_mut().ok_or_else(|| refused("no device was opened for labels"))?;
        let end = first.checked_add(labels).ok_or_else(|| refused("labels without an index"))?;
        let bytes = usize::try_from(labels).ok().and_then(|labels| labels.checked_mul(LABEL_BYTES));
        let bytes = bytes.ok_or_else(|| refused("more labels than fit into memory"))?;
        let mut out = Vec::new();
        out.try_reserve_exact(bytes).map_err(refused)?;
        out.resize(bytes, 0);
        let sign = || {
            locked(output).give_sign();
            false
        };
        maker.try_fill(first..end, &mut out, &sign)?;
        Ok((Reply::Filled { bytes: bytes as u64, state: state_of(maker) }, out))
    }

    fn devices(&mut self) -> &[Device] {
        self.devices.get_or_insert_with(gpu::devices)
    }

    fn device(&mut self, name: &str) -> Result<&Device, Reply> {
        let mut devices = self.devices().iter();
        devices.find(|device| device.name.to_string() == name).ok_or(Reply::NoDevice)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refused(why: impl ToString) -> Reply {
    Fault::Refused(why.to_string()).into()
}

fn state_of(labels: &Labels) -> State {
    let (tuning, settled) = labels.tuning();
    let mut times: Vec<_> = labels.dispatch_times().collect();
    times.sort_unstable();
    let percentile = |percent: usize| {
        let at = times.len().saturating_mul(percent) / 100;
        times.get(at).map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
    };
    State { tuning, settled, dispatch: percentile(50).zip(percentile(99)) }
}

fn keys_of(keys: &Keys) -> GroupKeys {
    let Keys { group, key, lanes } = keys;
    // What the keys cost is nothing to a scan.
    GroupKeys { group: NonceGroup(*group), pow: 0, key: *key, lane_keys: *lanes }
}
