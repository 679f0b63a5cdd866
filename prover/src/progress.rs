//! How far a long task is: share, rates and time left, on stderr.
//!
//! On a terminal it is one line that is written over; in a log a plain line now and then; for
//! scripts a JSON object a line. Tasks of under two seconds say nothing.

use crate::crew::Share;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Silence at the start, so that short tasks stay short on paper too.
const QUIET: Duration = Duration::from_secs(2);
const TERMINAL_EVERY: Duration = Duration::from_millis(250);
const JSON_EVERY: Duration = Duration::from_secs(1);
const LOG_EVERY: Duration = Duration::from_secs(30);

/// Rates are told over these times: what it does now, of late, and on the whole.
const WINDOWS: [(Duration, &str); 3] = [
    (Duration::from_secs(10), "10 s"),
    (Duration::from_secs(60), "1 min"),
    (Duration::from_secs(15 * 60), "15 min"),
];
/// The window whose rate foretells the end.
const FORETELLING: usize = 1;
/// How often a sample is kept.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// To whom progress is told.
#[derive(Clone)]
pub(crate) enum Report {
    /// To people, or scripts, on stderr.
    Shown { json: bool },
    /// To somebody who is told what is done and what there is, as often as it changes.
    Told(Arc<Told>),
}

/// Is told what is done, what there is, and who did how much of it, where that is known.
pub(crate) type Told = dyn Fn(u64, u64, &[Share]) + Send + Sync;

impl From<bool> for Report {
    fn from(json: bool) -> Self {
        Self::Shown { json }
    }
}

/// Where the words go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Terminal,
    Log,
    Json,
}

/// The progress of one task.
pub(crate) struct Progress {
    told: Option<Arc<Told>>,
    course: Course,
    form: Form,
    start: Instant,
    next: Instant,
}

impl Progress {
    /// A task of `total` units, of which `before` were done by an earlier run.
    pub(crate) fn new(
        what: impl Into<String>,
        unit: &'static str,
        before: u64,
        total: u64,
        report: impl Into<Report>,
    ) -> Self {
        let (json, told) = match report.into() {
            Report::Shown { json } => (json, None),
            Report::Told(told) => (false, Some(told)),
        };
        let form = match (json, std::io::stderr().is_terminal()) {
            (true, _) => Form::Json,
            (false, true) => Form::Terminal,
            (false, false) => Form::Log,
        };
        let start = Instant::now();
        let course = Course::new(what.into(), unit, before, total);
        Self { told, course, form, start, next: start + QUIET }
    }

    /// Takes note of which device did how much of it by now.
    pub(crate) fn by(&mut self, shares: Vec<Share>) {
        self.course.shares = shares;
    }

    /// Says how far it is, if it is time to.
    pub(crate) fn at(&mut self, done: u64) {
        if let Some(told) = &self.told {
            return told(done, self.course.total, &self.course.shares);
        }
        let now = Instant::now();
        self.course.note(now - self.start, done);
        if now < self.next {
            return;
        }
        self.next = now
            + match self.form {
                Form::Terminal => TERMINAL_EVERY,
                Form::Log => LOG_EVERY,
                Form::Json => JSON_EVERY,
            };
        let unix = unix_now();
        let mut stderr = std::io::stderr();
        let written = match self.form {
            Form::Terminal => write!(stderr, "\r\x1b[K{}", self.course.sentence(unix)),
            Form::Log => writeln!(stderr, "{}", self.course.sentence(unix)),
            Form::Json => writeln!(stderr, "{}", self.course.object(unix)),
        };
        // Nobody may be reading; the work goes on.
        drop(written.and_then(|()| stderr.flush()));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.told.is_none()
            && self.form == Form::Terminal
            && Instant::now() >= self.start + QUIET
        {
            eprint!("\r\x1b[K");
        }
    }
}

/// What was done when, without a clock of its own.
#[derive(Debug)]
struct Course {
    what: String,
    unit: &'static str,
    total: u64,
    /// Time since the start and units done, oldest first; the first one is never forgotten while
    /// it is within the longest window.
    samples: VecDeque<(Duration, u64)>,
    now: (Duration, u64),
    /// Who did how much, where that is told.
    shares: Vec<Share>,
}

impl Course {
    fn new(what: String, unit: &'static str, before: u64, total: u64) -> Self {
        let start = (Duration::ZERO, before);
        Self { what, unit, total, samples: VecDeque::from([start]), now: start, shares: vec![] }
    }

    fn note(&mut self, time: Duration, done: u64) {
        self.now = (time, done);
        let last = self.samples.back().map_or(Duration::ZERO, |(time, _)| *time);
        if time >= last + SAMPLE_EVERY {
            self.samples.push_back(self.now);
        }
        let [.., (longest, _)] = WINDOWS;
        // The last sample before the window is kept: the rate is measured from it.
        while self.samples.get(1).is_some_and(|(second, _)| *second + longest <= time) {
            self.samples.pop_front();
        }
    }

    /// Units a second over the last `window`, or since the start where that is shorter.
    fn rate(&self, window: Duration) -> f64 {
        let (time, done) = self.now;
        let from = time.saturating_sub(window);
        let before = self.samples.iter().rev().find(|(sampled, _)| *sampled <= from);
        let (then, had) = before.or(self.samples.front()).copied().unwrap_or_default();
        done.saturating_sub(had) as f64 / (time - then).as_secs_f64().max(1e-3)
    }

    /// Seconds to the end, if it goes on like this; `None` where nothing moves.
    fn seconds_left(&self) -> Option<f64> {
        let (_, done) = self.now;
        let (window, _) = WINDOWS[FORETELLING];
        let left = self.total.saturating_sub(done) as f64 / self.rate(window);
        left.is_finite().then_some(left)
    }

    fn sentence(&self, unix_now: u64) -> String {
        let (_, done) = self.now;
        let Self { what, unit, total, .. } = self;
        let percent = done as f64 / (*total).max(1) as f64 * 100.0;
        let rates = WINDOWS.map(|(window, name)| format!("{} in {name}", human(self.rate(window))));
        let end = self.seconds_left().map_or("no end in sight".to_owned(), |left| {
            let date = date(unix_now.saturating_add(left as u64));
            format!("{} left, done {date} UTC", human_time(left))
        });
        let rates = rates.join(", ");
        let shares = parts(&self.shares).map_or(String::new(), |shares| format!("; {shares}"));
        format!(
            "{what}: {percent:.1} % ({done} of {total} {unit}); {unit}/s: {rates}{shares}; {end}"
        )
    }

    fn object(&self, unix_now: u64) -> Value {
        let (_, done) = self.now;
        let [now, late, whole] = WINDOWS.map(|(window, _)| self.rate(window));
        let left = self.seconds_left();
        let mut object = json!({
            "progress": self.what, "unit": self.unit, "done": done, "total": self.total,
            "rate_10s": now, "rate_60s": late, "rate_15min": whole, "seconds_left": left,
            "done_at_unix": left.map(|left| unix_now.saturating_add(left as u64)),
        });
        if !self.shares.is_empty() {
            object["devices"] = devices(&self.shares);
        }
        object
    }
}

/// Which of several devices did what part, and how fast it is: `cpu 3.1 % at 4.00 k/s, …`.
pub(crate) fn parts(shares: &[Share]) -> Option<String> {
    let all: u64 = shares.iter().map(|share| share.labels).sum();
    let part = |share: &Share| {
        let percent = share.labels as f64 / all.max(1) as f64 * 100.0;
        format!("{} {percent:.1} % at {}/s", share.name, human(share.rate))
    };
    (shares.len() > 1).then(|| shares.iter().map(part).collect::<Vec<_>>().join(", "))
}

/// The same for scripts.
pub(crate) fn devices(shares: &[Share]) -> Value {
    let device = |share: &Share| {
        let Share { name, labels, rate } = share;
        json!({ "name": name, "labels": labels, "rate": rate })
    };
    shares.iter().map(device).collect()
}

/// Seconds since 1970, by the clock of this machine.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Three digits that matter, and a thousands prefix.
pub(crate) fn human(value: f64) -> String {
    let scaled = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    let scaled = scaled.into_iter().find(|(size, _)| value >= *size);
    let (value, prefix) = scaled.map_or((value, ""), |(size, prefix)| (value / size, prefix));
    let decimals = match value {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {prefix}").trim_end().to_owned()
}

/// A duration in its two largest units.
#[must_use]
pub fn human_time(seconds: f64) -> String {
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

/// The date and time of Unix seconds, in UTC: the civil calendar counted in eras of 400 years
/// that begin on the first of March, so that the leap day ends a year.
#[must_use]
pub fn date(unix: u64) -> String {
    let (days, seconds) = (unix / 86_400 + 719_468, unix % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year + u64::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };
    format!("{year}-{month:02}-{day:02} {:02}:{:02}", seconds / 3_600, seconds / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_sentence_tells_share_rates_and_the_end() {
        let mut course = Course::new("initializing".into(), "labels", 1000, 11_000);
        course.note(seconds(2), 3000);
        let expected = "initializing: 27.3 % (3000 of 11000 labels); labels/s: 1.00 k in 10 s, \
                        1.00 k in 1 min, 1.00 k in 15 min; 8 s left, done 2026-11-22 17:20 UTC";
        assert_eq!(course.sentence(1_795_368_000), expected);
    }

    #[test]
    fn each_of_several_devices_has_its_share() {
        let share = |name: &str, labels, rate| Share { name: name.to_owned(), labels, rate };
        let mut course = Course::new("x".into(), "labels", 0, 2000);
        course.note(seconds(1), 1000);
        course.shares = vec![share("cpu", 1000, 1000.0)];
        assert!(!course.sentence(0).contains("cpu"), "nobody else did it");
        let expected = json!([{ "name": "cpu", "labels": 1000, "rate": 1000.0 }]);
        assert_eq!(course.object(0)["devices"], expected);
        course.shares = vec![share("cpu", 250, 300.0), share("gpu:1", 750, 4000.0)];
        let sentence = course.sentence(0);
        let part = "; cpu 25.0 % at 300/s, gpu:1 75.0 % at 4.00 k/s; ";
        assert!(sentence.contains(part), "{sentence}");
    }

    #[test]
    fn each_window_has_its_own_rate() {
        let mut course = Course::new("x".into(), "labels", 0, 1 << 40);
        // A thousand a second for an hour, then ten times as many for half a minute.
        let mut done = 0;
        for second in 1..=3630 {
            done += if second <= 3600 { 1000 } else { 10_000 };
            course.note(seconds(second), done);
        }
        let [now, late, whole] = WINDOWS.map(|(window, _)| course.rate(window));
        assert_eq!((now, late), (10_000.0, 5_500.0));
        assert_eq!(whole, (870.0 * 1000.0 + 30.0 * 10_000.0) / 900.0);
        assert!(course.samples.len() < 1000, "what is past every window is forgotten");
    }

    #[test]
    fn where_nothing_moves_no_end_is_promised() {
        let mut course = Course::new("x".into(), "labels", 5, 10);
        course.note(seconds(100), 5);
        assert_eq!(course.seconds_left(), None);
        assert!(course.sentence(0).ends_with("no end in sight"));
        assert_eq!(course.object(0)["seconds_left"], Value::Null);
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (unix, text) in [
            (0, "1970-01-01 00:00"),
            (951_782_400, "2000-02-29 00:00"),
            (1_078_012_799, "2004-02-28 23:59"),
            (4_107_542_400, "2100-03-01 00:00"),
            (1_795_368_000, "2026-11-22 17:20"),
        ] {
            assert_eq!(date(unix), text);
        }
    }

    #[test]
    fn times_read_well() {
        let cases =
            [(5.4, "5 s"), (65.0, "1 min 5 s"), (7260.0, "2 h 1 min"), (180_000.0, "2 d 2 h")];
        for (seconds, text) in cases {
            assert_eq!(human_time(seconds), text);
        }
    }
}
