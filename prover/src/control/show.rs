//! `status`, `pause` and `resume`: a question to each prover, and its answer for people or scripts.

use super::words;
use super::{Client, ClientError};
use crate::args::{AtArgs, PauseArgs, ResumeArgs, StatusArgs};
use crate::outcome::{ExitCode, Failure, Result, answer};
use crate::service::status::{Command, SetStatus, Status};
use serde_json::{Value, json};

/// `status`
pub(crate) fn status(args: &StatusArgs) -> Result {
    run(async {
        let (mut shown, mut failed) = (Vec::new(), None);
        for prover in chosen(&args.at).await? {
            match prover.status().await {
                Ok(status) if args.json => shown.push(object(&prover, &status)?),
                Ok(status) => answer!("{}", text(&prover, &status))?,
                Err(error) => note(&mut failed, error),
            }
        }
        if args.json {
            answer!("{}", Value::Array(shown))?;
        }
        failed.map_or(Ok(ExitCode::Done), |error| Err(error.into()))
    })
}

/// `pause`
pub(crate) fn pause(args: &PauseArgs) -> Result {
    let what = if args.proofs { "everything, proofs too" } else { "everything but proofs" };
    tell(&args.at, Command::Pause { proofs: args.proofs }, &format!("to let {what} rest"))
}

/// `resume`
pub(crate) fn resume(args: &ResumeArgs) -> Result {
    tell(&args.at, Command::Resume, "to go on")
}

/// `config reload`
pub(crate) fn reload(at: &AtArgs) -> Result {
    tell(at, Command::Reload, "to read its configuration again")
}

fn tell(at: &AtArgs, command: Command, what: &str) -> Result {
    run(async {
        let mut failed = None;
        for prover in chosen(at).await? {
            match prover.tell(command).await {
                Ok(()) => answer!("asked the prover on {} {what}", prover.path().display())?,
                Err(error) => note(&mut failed, error),
            }
        }
        failed.map_or(Ok(ExitCode::Done), |error| Err(error.into()))
    })
}

/// The prover that was named, else all that run.
pub(super) async fn chosen(at: &AtArgs) -> Result<Vec<Client>> {
    if let Some(path) = &at.control {
        return Ok(vec![Client::at(path)]);
    }
    let found = Client::found().await;
    if found.is_empty() {
        return Err(Failure::CouldNot(anyhow::anyhow!(
            "no prover of this user runs here: start one with `postmesh-prover serve --data-dir \
             DIR`. One that runs as another user, or with a --control of its own, is asked with \
             that user's rights and the same --control"
        )));
    }
    Ok(found)
}

/// One that fails keeps nobody from asking the others; the last failure decides the exit code.
fn note(failed: &mut Option<ClientError>, error: ClientError) {
    if let Some(earlier) = failed.replace(error) {
        eprintln!("error: {earlier}");
    }
}

fn run(work: impl Future<Output = Result>) -> Result {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn object(prover: &Client, status: &Status) -> Result<Value> {
    let control = prover.path().display().to_string();
    Ok(json!({ "control": control, "status": serde_json::to_value(status)? }))
}

/// A prover's status, for people.
fn text(prover: &Client, status: &Status) -> String {
    let mut lines = vec![words::title(status), format!("  control {}", prover.path().display())];
    lines.extend(words::rest(status.rest).map(|rest| format!("  REST: {rest}")));
    let now = status.now_at;
    section(&mut lines, "nodes", "none", status.nodes.iter().map(|node| words::node(node, now)));
    let sets = status.sets.iter().flat_map(|set| {
        let SetStatus { settings, alarm, other_host, .. } = set;
        let besides = words::remarks(settings.as_ref(), alarm.as_ref(), other_host.as_ref());
        [words::set(set)].into_iter().chain(besides)
    });
    section(&mut lines, "data", "none", sets);
    section(&mut lines, "devices", "none", status.devices.iter().map(words::device));
    let jobs = status.jobs.iter().flat_map(|job| {
        let parts = [Some(words::job(job)), words::pace(job), words::margin(job, now)];
        let line = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
        let besides = words::remarks(job.settings.as_ref(), job.alarm.as_ref(), None);
        [line].into_iter().chain(besides)
    });
    section(&mut lines, "jobs", "none: waiting to be asked for a proof", jobs);
    lines.join("\n")
}

fn section(
    lines: &mut Vec<String>,
    name: &str,
    nothing: &str,
    items: impl Iterator<Item = String>,
) {
    let before = lines.len();
    lines.extend(items.map(|item| format!("    {item}")));
    let heading =
        if lines.len() == before { format!("  {name}: {nothing}") } else { format!("  {name}") };
    lines.insert(before, heading);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::tests::busy;
    use std::path::Path;

    #[test]
    fn people_are_told_what_matters() {
        let said = text(&Client::at(Path::new("/run/p.sock")), &busy());
        for part in [
            "postmesh-prover 0.1.0, process 7, for 1 h 0 min",
            "control /run/p.sock",
            "/run/node.sock  connected for 10 min 0 s",
            "attic:7417  not there for 1 min 40 s: no answer",
            "4 units, 256.0 GiB, complete on sda, sdb; a proof takes 2 h 0 min",
            "#3 proof of 01010101 for 09090909: scan; 50.0 %",
            "left; deadline in 12 h 0 min, 10 h 0 min to spare, 99.8 % in time",
            "gpu:0  a card, not used: it made wrong labels",
            "\n      288 nonces a pass, as asked for\n",
            "ANOTHER HOST, cellar, USES IT TOO",
        ] {
            assert!(said.contains(part), "{part}\n{said}");
        }
        assert!(!said.contains("REST"), "{said}");
        let idle = text(&Client::at(Path::new("p")), &Status::default());
        assert!(idle.contains("jobs: none"), "{idle}");
    }
}
