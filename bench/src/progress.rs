//! What a long measurement is at, on stderr. Whatever takes less than two seconds says nothing.

use std::io::{IsTerminal, Write};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

const QUIET: Duration = Duration::from_secs(2);
const TERMINAL_EVERY: Duration = Duration::from_millis(500);
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Does the work, and meanwhile tells people what it is and how long it has taken.
///
/// A thread of its own tells, mostly asleep, so that the work is not interrupted.
pub(crate) fn during<T>(what: &str, expected: Option<Duration>, work: impl FnOnce() -> T) -> T {
    let (working, waiting) = channel::<()>();
    thread::scope(move |scope| {
        let teller = thread::Builder::new();
        // Without a teller the work goes on in silence.
        let _ = teller.spawn_scoped(scope, move || tell(what, expected, &waiting));
        let result = work();
        drop(working);
        result
    })
}

/// So many threads, in words.
pub(crate) fn threads(count: NonZeroUsize) -> String {
    if count == NonZeroUsize::MIN { "1 thread".to_owned() } else { format!("{count} threads") }
}

fn tell(what: &str, expected: Option<Duration>, waiting: &Receiver<()>) {
    let (start, terminal) = (Instant::now(), std::io::stderr().is_terminal());
    let mut wait = QUIET;
    let mut told = false;
    while waiting.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        let line = line(what, start.elapsed(), expected);
        let mut stderr = std::io::stderr();
        // Nobody may be reading; the work goes on.
        let _ = if terminal {
            write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{line}")
        };
        told = true;
        wait = if terminal { TERMINAL_EVERY } else { LOG_EVERY };
    }
    if told && terminal {
        eprint!("\r\x1b[K");
    }
}

fn line(what: &str, elapsed: Duration, expected: Option<Duration>) -> String {
    let elapsed = elapsed.as_secs_f64();
    match expected.map(|expected| expected.as_secs_f64()) {
        Some(expected) => format!("{what}: {elapsed:.0} of about {expected:.0} s"),
        None => format!("{what}: {elapsed:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_of_the_work_comes_back() {
        assert_eq!(during("adding", None, || 1 + 1), 2);
    }

    #[test]
    fn the_line_tells_the_time() {
        let second = Duration::from_secs(1);
        assert_eq!(line("x", second * 3, Some(second * 10)), "x: 3 of about 10 s");
        assert_eq!(line("x", second * 3, None), "x: 3 s");
    }
}
