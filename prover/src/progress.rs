//! How far a long task is: share, rate and time left, on stderr.
//!
//! On a terminal it is one line that is written over; elsewhere a plain line now and then. Tasks
//! of under two seconds say nothing.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Silence at the start, so that short tasks stay short on paper too.
const QUIET: Duration = Duration::from_secs(2);
const TERMINAL_EVERY: Duration = Duration::from_millis(250);
const LOG_EVERY: Duration = Duration::from_secs(30);

/// The progress of one task.
#[derive(Debug)]
pub(crate) struct Progress {
    what: String,
    unit: &'static str,
    total: u64,
    /// What was done before this run: not part of its rate.
    before: u64,
    start: Instant,
    next: Instant,
    terminal: bool,
}

impl Progress {
    /// A task of `total` units, of which `before` were done by an earlier run.
    pub(crate) fn new(
        what: impl Into<String>,
        unit: &'static str,
        before: u64,
        total: u64,
    ) -> Self {
        let (start, terminal) = (Instant::now(), std::io::stderr().is_terminal());
        Self { what: what.into(), unit, total, before, start, next: start + QUIET, terminal }
    }

    /// Says how far it is, if it is time to.
    pub(crate) fn at(&mut self, done: u64) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + if self.terminal { TERMINAL_EVERY } else { LOG_EVERY };
        let line = line(&self.what, self.unit, done, self.before, self.total, now - self.start);
        let mut stderr = std::io::stderr();
        let written = if self.terminal {
            write!(stderr, "\r\x1b[K{line}").and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{line}")
        };
        // Nobody may be reading; the work goes on.
        drop(written);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal && Instant::now() >= self.start + QUIET {
            eprint!("\r\x1b[K");
        }
    }
}

fn line(what: &str, unit: &str, done: u64, before: u64, total: u64, elapsed: Duration) -> String {
    let percent = done as f64 / total.max(1) as f64 * 100.0;
    let rate = done.saturating_sub(before) as f64 / elapsed.as_secs_f64().max(1e-3);
    let left = total.saturating_sub(done) as f64 / rate;
    let left = if left.is_finite() { human_time(left) } else { "?".to_owned() };
    format!(
        "{what}: {percent:.1} % ({done} of {total} {unit}), {} {unit}/s, {left} left",
        human(rate)
    )
}

/// Three digits that matter, and a thousands prefix.
pub(crate) fn human(value: f64) -> String {
    let scaled = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let scaled = scaled.into_iter().find(|(size, _)| value >= *size);
    let (value, prefix) = scaled.map_or((value, ""), |(size, prefix)| (value / size, prefix));
    let decimals = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.decimals$} {prefix}").trim_end().to_owned()
}

/// A duration in its two largest units.
pub(crate) fn human_time(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, _) => format!("{minutes} min {rest} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_share_rate_and_time_left() {
        let line = line("initializing", "labels", 3000, 1000, 11_000, Duration::from_secs(2));
        let expected = "initializing: 27.3 % (3000 of 11000 labels), 1.00 k labels/s, 8 s left";
        assert_eq!(line, expected);
    }

    #[test]
    fn nothing_done_promises_nothing() {
        assert!(line("x", "labels", 0, 0, 10, Duration::ZERO).ends_with("? left"));
    }

    #[test]
    fn times_read_well() {
        for (seconds, text) in
            [(5.4, "5 s"), (65.0, "1 min 5 s"), (7260.0, "2 h 1 min"), (180_000.0, "2 d 2 h")]
        {
            assert_eq!(human_time(seconds), text);
        }
    }
}
