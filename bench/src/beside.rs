//! `beside`: how much a program is delayed by another that runs at the same time.
//!
//! Alone, beside, alone, beside…: whatever slows the machine for a while slows both of a pair. The
//! other program is started before each second run and killed after it, so it must bear that.

use crate::args::BesideArgs;
use crate::outcome::{Failure, Result, because};
use crate::progress;
use crate::report::{Beside, BesidePair, Origin};
use crate::stats::{Summary, rounded};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long the other program has to come to its work.
const WARM_UP: Duration = Duration::from_secs(3);

pub(crate) fn run(args: &BesideArgs) -> Result<Beside> {
    let origin = Origin::here();
    let mut pairs = Vec::new();
    for number in 1..=args.runs.get() {
        let what = |how| format!("run {number} of {}, {how}", args.runs);
        let alone = progress::during(&what("alone"), None, || timed(&args.program))?;
        let beside = progress::during(&what("beside the other"), None, || {
            let burden = Burden::start(&args.burden)?;
            std::thread::sleep(WARM_UP);
            let seconds = timed(&args.program)?;
            burden.end()?;
            Ok::<f64, Failure>(seconds)
        })?;
        let delay = beside / alone - 1.0;
        pairs.push(BesidePair {
            alone: rounded(alone),
            beside: rounded(beside),
            delay: rounded(delay),
        });
    }
    let summary = |of: fn(&BesidePair) -> f64| {
        let summary = Summary::of(&pairs.iter().map(of).collect::<Vec<_>>());
        summary.ok_or_else(|| Failure::usage("no runs"))
    };
    let delay = summary(|pair| pair.delay)?.rounded();
    Ok(Beside {
        bench: "beside",
        program: args.program.join(" "),
        burden: args.burden.clone(),
        unit: "s",
        alone: summary(|pair| pair.alone)?.rounded(),
        beside: summary(|pair| pair.beside)?.rounded(),
        delay: delay.median,
        delay_min: delay.min,
        delay_max: delay.max,
        pairs,
        origin,
    })
}

/// How many seconds the program takes.
fn timed(program: &[String]) -> Result<f64> {
    let [name, arguments @ ..] = program else {
        return Err(Failure::usage("no program after --"));
    };
    let start = Instant::now();
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    let output = command.output().map_err(because(format!("{name} does not start")))?;
    let seconds = start.elapsed().as_secs_f64();
    if output.status.success() {
        return Ok(seconds);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::CouldNot(anyhow::anyhow!("{name}: {}\n{said}", output.status)))
}

/// The other program, killed when it is dropped.
struct Burden {
    child: Child,
    command: String,
}

impl Burden {
    fn start(text: &str) -> Result<Self> {
        let (shell, flag, whole) = if cfg!(windows) {
            ("cmd", "/C", text.to_owned())
        } else {
            // The shell becomes the program, so that it is the program that is killed.
            ("sh", "-c", format!("exec {text}"))
        };
        let mut command = Command::new(shell);
        command.args([flag, &whole]).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(because(format!("{text} does not start")))?;
        Ok(Self { child, command: text.to_owned() })
    }

    /// Kills it; it must have had something to do until now.
    fn end(mut self) -> Result {
        let ended: Option<ExitStatus> = self.child.try_wait()?;
        ended.map_or(Ok(()), |status| {
            let text =
                format!("{} was not there to the end ({status}): give it more to do", self.command);
            Err(Failure::CouldNot(anyhow::anyhow!(text)))
        })
    }
}

impl Drop for Burden {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_burden_that_ends_early_or_a_program_that_fails_gives_no_figure() {
        assert!(Burden::start("sleep 60").unwrap().end().is_ok());
        let mut burden = Burden::start("true").unwrap();
        burden.child.wait().unwrap();
        assert!(matches!(burden.end(), Err(Failure::CouldNot(_))));
        assert!(timed(&["true".to_owned()]).unwrap() < 60.0);
        assert!(matches!(timed(&["false".to_owned()]), Err(Failure::CouldNot(_))));
        assert!(matches!(timed(&[]), Err(Failure::Usage(_))));
    }
}
