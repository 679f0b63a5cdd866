//! `check`: reads every label, makes some again, and lists every range that is bad.

use crate::args::{CheckArgs, DataArgs, ProofArgs};
use crate::background;
use crate::check::{BadRange, Check, Findings, Why};
use crate::crew;
use crate::devices;
use crate::make::{draw_below, refuse_foreign};
use crate::outcome::{ExitCode, Failure, Result, answer};
use crate::settings::{self, Network};
use crate::stop::Stop;
use crate::{check, place};
use plot::{DataSet, Lock, PlotError};
use post::ScryptN;
use serde_json::json;
use std::path::Path;

/// Checks the data, and writes down what that shows.
pub(crate) fn check(args: &CheckArgs) -> Result {
    let percent = percent(args.fraction)?;
    let network = settings::network(&args.network, &ProofArgs::default())?;
    let stop = Stop::on_signals()?;
    background::enter(&args.work);
    let Opened { locks, set, n, record } = Opened::new(&args.data, &network)?;
    let mut crew =
        crew::of(&devices::chosen(&args.work)?, &args.work, set.metadata().commitment(), n);
    let mut check = Check {
        set: &set,
        labeler: &mut crew,
        n,
        percent,
        seed: draw_below(u64::MAX),
        record,
        stop: &|| stop.is_set(),
        report: args.json.into(),
    };
    let findings = check.run()?;
    let written = if findings.stopped { Ok(()) } else { note(locks, set, &findings) };
    if let Err(why) = &written {
        tracing::warn!("what the check showed is not written down: {why}");
    }
    print(args.json, &findings, n)?;
    Ok(match (findings.stopped, findings.bad.is_empty()) {
        (true, _) => ExitCode::CouldNot,
        (false, true) => ExitCode::Done,
        (false, false) => ExitCode::No,
    })
}

/// A share in percent that makes sense.
pub(crate) fn percent(fraction: f64) -> Result<f64> {
    if fraction > 0.0 && fraction <= 100.0 {
        return Ok(fraction);
    }
    Err(Failure::usage(format!("--fraction {fraction}: must be above 0, up to 100")))
}

/// Data that is about to be checked.
struct Opened {
    locks: Vec<Lock>,
    set: DataSet,
    n: ScryptN,
    /// Whether hashes may be written down.
    record: bool,
}

impl Opened {
    /// Data that has blocks without a hash is locked for writing if it can be, so that they are
    /// written down; other data is locked for reading, and others may read it meanwhile.
    fn new(args: &DataArgs, network: &Network) -> Result<Self> {
        let (locks, set) = super::open_shared(args)?;
        let n = super::scrypt_n(&set, network)?;
        if set.provenance()?.unhashed == 0 && set.scrypt_n().is_some() {
            return Ok(Self { locks, set, n, record: false });
        }
        drop(locks);
        match Self::to_record(args, n) {
            Ok((locks, set)) => Ok(Self { locks, set, n, record: true }),
            Err(why) => {
                tracing::warn!("blocks that have no hash yet get none now: {why}");
                let (locks, set) = super::open_shared(args)?;
                Ok(Self { locks, set, n, record: false })
            }
        }
    }

    /// N is written down only where labels show that it is right.
    fn to_record(args: &DataArgs, n: ScryptN) -> std::result::Result<(Vec<Lock>, DataSet), String> {
        let text = |error: PlotError| error.to_string();
        let places = place::places(&args.data_dir)?;
        let paths = place::paths(&places);
        let locks = Lock::exclusive_all(paths.iter().copied()).map_err(text)?;
        let mut set = DataSet::open_share(&paths).map_err(text)?;
        refuse_foreign(&set, n, &mut draw_below).map_err(|error| error.to_string())?;
        set.adopt(n).map_err(text)?;
        Ok((locks, set))
    }
}

/// Writes down whether the data passed, and how much of it was made again.
fn note(locks: Vec<Lock>, set: DataSet, findings: &Findings) -> std::result::Result<(), PlotError> {
    let passed = findings.bad.is_empty();
    let before = set.sidecars().any(|(_, own)| own.is_some_and(|own| own.checked_ppm.is_some()));
    if !passed && !before {
        return Ok(());
    }
    let paths: Vec<_> = set.paths().map(Path::to_path_buf).collect();
    drop((locks, set));
    let _locks = Lock::exclusive_all(paths.iter().map(AsRef::as_ref))?;
    let mut set = DataSet::open_share(&paths)?;
    set.set_checked(passed.then(|| findings.ppm()))
}

fn print(json: bool, findings: &Findings, n: ScryptN) -> Result<()> {
    let Findings { made, hashed, recorded, present, stopped, .. } = findings;
    if json {
        let answer = json!({
            "labels_present": present, "labels_checked": made, "labels_hashed": hashed,
            "labels_recorded": recorded, "scrypt_n": n.get(), "stopped": stopped,
            "bad": findings.bad,
        });
        answer!("{answer}")?;
        return Ok(());
    }
    list(&findings.bad)?;
    answer!("{hashed} of {present} labels are as the manifest says")?;
    if *recorded > 0 {
        answer!("{recorded} labels of another program were hashed: they are vouched for from now")?;
    }
    let verdict = match (stopped, findings.bad.len()) {
        (true, 0) => "nothing bad so far, but it was stopped before the end".to_owned(),
        (true, bad) => format!("{bad} bad ranges so far, stopped before the end"),
        (false, 0) => "all are right".to_owned(),
        (false, bad) => format!("{bad} bad ranges"),
    };
    answer!("{made} labels made again with N = {n}: {verdict}")?;
    if findings.all_wrong() {
        answer!("Every label differs: was the data made with another N, or by another identity?")?;
    } else if let Some(hint) = hint(&findings.bad) {
        answer!("{hint}")?;
    }
    Ok(())
}

/// Every bad range, a line each.
pub(crate) fn list(bad: &[BadRange]) -> Result<()> {
    for check::BadRange { first, last, file, why } in bad {
        answer!("labels {first} to {last} in {file}: {why}")?;
    }
    Ok(())
}

/// What to do about bad ranges.
pub(crate) fn hint(bad: &[BadRange]) -> Option<&'static str> {
    let any = |whys: &[Why]| bad.iter().any(|range| whys.contains(&range.why));
    let repair = any(&[Why::Differs, Why::Unreadable, Why::Manifest]);
    let init = any(&[Why::Missing, Why::Unconfirmed]);
    match (repair, init) {
        (true, true) => Some("`repair` mends what differs, `init` makes what is missing."),
        (true, false) => Some("`repair` with the same flags mends this."),
        (false, true) => Some("`init` makes what is missing."),
        (false, false) => None,
    }
}
