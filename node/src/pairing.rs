//! `prover invite|list|rename|remove`: who may connect from other hosts.
//!
//! The commands change files in the node's directory, and a node that runs sees it: they need no
//! node, and disturb none.

use crate::args::{HomeArgs, InviteArgs, ListArgs, RemoveArgs, RenameArgs};
use crate::drive::unix_seconds;
use crate::home;
use crate::identities;
use crate::outcome::{ExitCode, Result, WrongUsage, answer};
use anyhow::anyhow;
use link::{Code, LinkKey, RosterError, RosterFile};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;
use std::path::Path;
use zeroize::Zeroizing;

const KEY_FILE: &str = "link.key";
const ROSTER: &str = "provers.json";
/// The port that is proposed. Nobody else is registered on it.
const PORT: u16 = 7417;

/// The key by which provers know a node.
pub(crate) fn key(home: &Path) -> Result<LinkKey> {
    Ok(LinkKey::at(&home.join(KEY_FILE))?)
}

/// The provers that a node knows.
pub(crate) fn roster(home: &Path) -> RosterFile {
    RosterFile::at(&home.join(ROSTER))
}

/// `prover invite`
pub(crate) fn invite(args: &InviteArgs) -> Result {
    let home = home::home(&args.home)?;
    // Of a mistyped home nothing is made.
    identities::all(&home)?;
    let mut secret = Zeroizing::new([0; 16]);
    getrandom::fill(secret.as_mut())
        .map_err(|error| anyhow!("the system has no randomness: {error}"))?;
    let key = key(&home)?;
    let code = Code::new(key.id(), *secret);
    roster(&home).change(|roster| roster.invite(&code, unix_seconds()))??;
    let address = args.address.clone().unwrap_or_else(|| format!("NODE:{PORT}"));
    if args.json {
        let answer = json!({ "code": code.to_string(), "node": key.id(), "seconds": 600 });
        answer!("{answer}")?;
        return Ok(ExitCode::Done);
    }
    answer!("{code}")?;
    eprintln!("On the machine with the disks, within ten minutes:");
    eprintln!("  postmesh-prover pair {address} {code}");
    if let Ok(picture) = QrCode::new(format!("postmesh-prover pair {address} {code}")) {
        eprintln!("{}", picture.render::<Dense1x2>().build());
    }
    eprintln!("The node must be running with --listen, for example --listen 0.0.0.0:{PORT}.");
    Ok(ExitCode::Done)
}

/// `prover list`
pub(crate) fn list(args: &ListArgs) -> Result {
    let roster = roster(&home::home(&args.home)?).read()?;
    for prover in roster.provers() {
        let (name, id, since) = (&prover.name, prover.id, prover.since_unix);
        if args.json {
            answer!("{}", json!({ "name": name, "key": id, "paired_unix": since }))?;
        } else {
            answer!("{name}  paired {} ago  key {id}", age(unix_seconds().saturating_sub(since)))?;
        }
    }
    if !args.json && roster.provers().next().is_none() {
        eprintln!("no prover on another host is known: `postmesh-node prover invite` pairs one");
    }
    Ok(ExitCode::Done)
}

/// `prover rename`
pub(crate) fn rename(args: &RenameArgs) -> Result {
    change(&args.home, |roster| roster.rename(&args.name, &args.new))?;
    answer!("{} is called {} from now on", args.name, args.new)?;
    Ok(ExitCode::Done)
}

/// `prover remove`
pub(crate) fn remove(args: &RemoveArgs) -> Result {
    let removed = change(&args.home, |roster| roster.remove(&args.name))?;
    answer!("{} is forgotten (key {})", removed.name, removed.id)?;
    Ok(ExitCode::Done)
}

fn change<T>(
    home: &HomeArgs,
    change: impl FnOnce(&mut link::Roster) -> std::result::Result<T, RosterError>,
) -> Result<T> {
    let changed = roster(&home::home(home)?).change(change)?;
    changed.map_err(|error| WrongUsage(error.to_string()).into())
}

/// Seconds in the largest unit that fits.
fn age(seconds: u64) -> String {
    let units = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
    let fitting = units.into_iter().find(|(length, _)| seconds >= 2 * length);
    let (length, unit) = fitting.unwrap_or((1, "seconds"));
    format!("{} {unit}", seconds / length)
}
