//! `compare`: one of our measurements and another program, in turns.
//!
//! Ours runs as a process too, so that both pay for their start. A, B, A, B…: whatever slows the
//! machine for a while slows a pair, and the ratio of a pair is the least disturbed number there
//! is.

use crate::args::{Args, Command as Ours, CompareArgs};
use crate::extract::number_after;
use crate::outcome::{Failure, Result, because};
use crate::progress;
use crate::report::{Compared, Origin, Pair};
use crate::stats::{Summary, rounded};
use clap::Parser;
use serde_json::Value;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Lines of a failed program's output that are shown.
const LINES_SHOWN: usize = 5;

pub(crate) fn run(args: &CompareArgs, against: &str) -> Result<Compared> {
    check(&args.ours)?;
    let origin = Origin::here();
    let (mut pairs, mut unit) = (Vec::new(), None);
    for number in 1..=args.runs.get() {
        let what = |who| format!("run {number} of {}, {who}", args.runs);
        let ours = progress::during(&what("ours"), None, || run_ours(&args.ours))?;
        let theirs = progress::during(&what("theirs"), None, || run_theirs(against))?;
        pairs.push(pair(args, &ours, &theirs)?);
        unit = unit.or(ours.unit);
    }
    let summary = |of: fn(&Pair) -> f64| {
        let summary = Summary::of(&pairs.iter().map(of).collect::<Vec<_>>());
        summary.ok_or_else(|| Failure::usage("no runs"))
    };
    let ratio = summary(|pair| pair.ratio)?.rounded();
    let by_time = args.pattern.is_none() && args.work.is_none();
    Ok(Compared {
        bench: "compare",
        ours: args.ours.join(" "),
        against: against.to_owned(),
        unit: if by_time { "s".to_owned() } else { unit.unwrap_or_default() },
        our: summary(|pair| pair.our)?.rounded(),
        their: summary(|pair| pair.their)?.rounded(),
        ratio: ratio.median,
        ratio_min: ratio.min,
        ratio_max: ratio.max,
        pairs,
        origin,
    })
}

/// Finds wrong usage of ours before anything runs.
fn check(ours: &[String]) -> Result {
    let words = ["postmesh-bench".to_owned()];
    let parsed = Args::try_parse_from(words.iter().chain(ours));
    match parsed.map(|args| args.command) {
        Ok(Ours::Compare(_)) => Err(Failure::usage("compare cannot be compared")),
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::usage(format!("after --: {error}"))),
    }
}

/// What a run came to.
#[derive(Debug)]
struct Run {
    seconds: f64,
    stdout: String,
    stderr: String,
    /// Ours only.
    rate: Option<f64>,
    unit: Option<String>,
}

fn run_ours(ours: &[String]) -> Result<Run> {
    let program = std::env::current_exe().map_err(because("this program is not found"))?;
    let mut command = Command::new(program);
    command.args(ours);
    if !ours.iter().any(|word| word == "--json") {
        command.arg("--json");
    }
    let mut run = finished(command, "postmesh-bench")?;
    // Of several devices, the first.
    let value: Value = serde_json::from_str(run.stdout.lines().next().unwrap_or_default())?;
    run.rate = value.get("rate").and_then(Value::as_f64);
    run.unit = value.get("unit").and_then(Value::as_str).map(str::to_owned);
    Ok(run)
}

fn run_theirs(against: &str) -> Result<Run> {
    let (shell, flag) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut command = Command::new(shell);
    command.args([flag, against]);
    finished(command, against)
}

fn finished(mut command: Command, name: &str) -> Result<Run> {
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(because(format!("{name} does not start")))?;
    let seconds = start.elapsed().as_secs_f64();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    if !output.status.success() {
        let said = last_lines(&format!("{stdout}\n{stderr}"));
        return Err(Failure::CouldNot(anyhow::anyhow!("{name}: {}\n{said}", output.status)));
    }
    Ok(Run { seconds, stdout, stderr, rate: None, unit: None })
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let first = lines.len().saturating_sub(LINES_SHOWN);
    lines.get(first..).unwrap_or_default().join("\n")
}

/// The two numbers of a pair, and how many times as fast ours is.
fn pair(args: &CompareArgs, ours: &Run, theirs: &Run) -> Result<Pair> {
    let rate = || {
        let missing = || Failure::CouldNot(anyhow::anyhow!("our own result has no rate"));
        ours.rate.ok_or_else(missing)
    };
    let (our, their, ratio) = match (&args.pattern, args.work) {
        (Some(pattern), _) => {
            let (our, their) = (rate()?, printed(theirs, pattern)?);
            (our, their, our / their)
        }
        (None, Some(work)) => {
            let (our, their) = (rate()?, work / theirs.seconds);
            (our, their, our / their)
        }
        (None, None) => (ours.seconds, theirs.seconds, theirs.seconds / ours.seconds),
    };
    Ok(Pair {
        our: rounded(our),
        our_seconds: rounded(ours.seconds),
        their: rounded(their),
        their_seconds: rounded(theirs.seconds),
        ratio: rounded(ratio),
    })
}

/// The number after the pattern: in stdout, or else in stderr.
fn printed(theirs: &Run, pattern: &str) -> Result<f64> {
    let found = number_after(&theirs.stdout, pattern);
    let found = found.or_else(|| number_after(&theirs.stderr, pattern));
    match found {
        Some(value) if value > 0.0 => Ok(value),
        Some(value) => {
            Err(Failure::CouldNot(anyhow::anyhow!("the other's number is {value}, not above 0")))
        }
        None => {
            let said = last_lines(&format!("{}\n{}", theirs.stdout, theirs.stderr));
            let text = format!("no number follows {pattern:?} in the other's output:\n{said}");
            Err(Failure::CouldNot(anyhow::anyhow!(text)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &str) -> CompareArgs {
        let all = format!("postmesh-bench compare --against x {words} -- init");
        match Args::try_parse_from(all.split_whitespace()).unwrap().command {
            Ours::Compare(args) => args,
            _ => unreachable!("compare was asked for"),
        }
    }

    fn run(seconds: f64, stdout: &str) -> Run {
        let stderr = "speed: 5".to_owned();
        Run { seconds, stdout: stdout.to_owned(), stderr, rate: Some(20.0), unit: None }
    }

    #[test]
    fn the_other_s_number_is_printed_or_timed() {
        let (ours, theirs) = (run(2.0, ""), run(4.0, "rate 10"));
        for (words, our, their, ratio) in [
            ("--pattern rate", 20.0, 10.0, 2.0),
            ("--pattern speed", 20.0, 5.0, 4.0),
            ("--work 8", 20.0, 2.0, 10.0),
            ("", 2.0, 4.0, 2.0),
        ] {
            let pair = pair(&args(words), &ours, &theirs).unwrap();
            assert_eq!((pair.our, pair.their, pair.ratio), (our, their, ratio), "{words}");
        }
        let missing = pair(&args("--pattern absent"), &ours, &theirs);
        assert!(matches!(missing, Err(Failure::CouldNot(_))));
    }

    #[test]
    fn only_what_measures_is_compared() {
        let check = |words: &str| check(&words.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(check("init --threads 1").is_ok());
        for words in ["compare --against x -- init", "init --threads 0", "nothing"] {
            assert!(matches!(check(words), Err(Failure::Usage(_))), "{words}");
        }
    }

    #[test]
    fn the_end_of_a_long_output_is_shown() {
        assert_eq!(last_lines("1\n2\n\n3\n4\n5\n6\n"), "2\n3\n4\n5\n6");
        assert_eq!(last_lines(""), "");
    }
}
