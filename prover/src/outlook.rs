//! "Will I make it?": from what was measured on this machine to what is to be expected of a proof,
//! how many nonces a pass are best for it, and what would help where it is not likely enough.
//!
//! The reckoning is the planner's; here is what goes into it and what people are told. No IO and no
//! clock: what was measured is handed in ([`plot::Measured`]), how far a proof is as well.

mod alarm;
mod standing;

pub(crate) use crate::service::status::Outlook;
pub(crate) use alarm::{alarm, percent};
pub(crate) use standing::Standing;

use crate::pace::Pace;
use crate::planner::{
    BadNumber, Begun, Choice, Forecast, Rates, ScanRate, Task, choose, expected_hashes,
};
use crate::progress::human_time;
use crate::prove::Hands;
use plot::{Measured, Pass, Request, Way};
use post::Params;
use std::num::NonZeroUsize;

/// Nonces a pass where nothing was measured.
pub(crate) const NONCES: u32 = 128;
/// How likely a proof should be there in time.
pub(crate) const LIKELY: f64 = 0.99;
/// How far real passes may be from what was measured apart before the difference is taken for a
/// mishap.
const SHARE: core::ops::RangeInclusive<f64> = 0.1..=2.0;

/// How this process works: rates belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    pub(crate) threads: NonZeroUsize,
    /// What scans, in words.
    pub(crate) devices: String,
    pub(crate) pace: Pace,
}

impl Manner {
    /// These threads and hands, at this pace.
    pub(crate) fn of(threads: NonZeroUsize, hands: &Hands, pace: Pace) -> Self {
        Self { threads, devices: hands.name(), pace }
    }

    /// What the planner needs, from what was measured; `None` until a rehearsal or a long proof
    /// was made this way.
    pub(crate) fn rates(&self, measured: &Measured) -> Option<Rates> {
        let way = measured.way(self.threads.get(), &self.devices)?;
        let work = self.pace.share();
        let hashing = way.hashing()?;
        let (scan, disk) = reading(way, measured.disk().map(|disk| disk.rate), self.pace)?;
        let (hashes, setup) = (hashing.hashes * work, hashing.setup / work);
        Some(Rates { threads: self.threads.get(), scan, disk, hashes, setup })
    }
}

/// How fast labels are scanned and how fast they come.
///
/// Where both were measured apart, a pass should take as long as the slower one; what real passes
/// did of that counts for both. Where only passes are known, the disk counts as no faster than
/// they.
fn reading(way: &Way, disk: Option<f64>, pace: Pace) -> Option<(Vec<ScanRate>, f64)> {
    let passes = way.passes().iter().filter(|pass| pass.percent == pace.percent());
    let passes: Vec<&Pass> = passes.collect();
    let apart = disk.filter(|_| !way.scans().is_empty());
    let Some(disk) = apart else {
        let most = passes.iter().map(|pass| pass.bytes).fold(0.0, f64::max);
        let mut scan = Vec::new();
        for Pass { nonces, .. } in &passes {
            let alike = passes.iter().filter(|pass| pass.nonces == *nonces);
            let bytes = median(alike.map(|pass| pass.bytes).collect())?;
            scan.push(ScanRate { nonces: *nonces, bytes });
        }
        scan.dedup();
        return (!scan.is_empty()).then_some((scan, most));
    };
    let of = |scan: &plot::Scan| ScanRate { nonces: scan.nonces, bytes: scan.bytes * pace.share() };
    let mut scan: Vec<ScanRate> = way.scans().iter().map(of).collect();
    let foretold = |nonces| Some(disk.min(ScanRate::of(&scan, nonces).ok()?));
    let shares = passes.iter().filter_map(|pass| Some(pass.bytes / foretold(pass.nonces)?));
    let share = median(shares.filter(|share| SHARE.contains(share)).collect()).unwrap_or(1.0);
    scan.iter_mut().for_each(|rate| rate.bytes *= share);
    Some((scan, disk * share))
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    let lower = values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

/// Seconds that the node gave the last proof that was asked for.
pub(crate) fn window(requests: &[Request]) -> Option<u64> {
    let dated = requests.iter().filter_map(|it| Some((it.asked_at, it.deadline_at?)));
    let (asked, deadline) = dated.max()?;
    deadline.checked_sub(asked).filter(|window| *window > 0)
}

/// What is to be proven: so many units of so many labels.
///
/// # Errors
/// [`BadNumber`] where there are no units, or too many labels.
pub(crate) fn task(params: &Params, units: u32, labels_per_unit: u64) -> Result<Task, BadNumber> {
    let bad = |wanted| BadNumber { what: "the number of units", found: units.into(), wanted };
    let difficulty = params.pow_difficulty.scaled(units).map_err(|_| bad("there must be some"))?;
    let labels = Params::num_labels(labels_per_unit, units);
    let labels = labels.ok_or(bad("these are more labels than there can be"))?;
    let hashes = expected_hashes(&difficulty);
    Ok(Task { labels, k1: params.k1, k2: params.k2, hashes })
}

/// What is asked of a proof.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Wish {
    /// Nonces a pass; `None`: the best.
    pub(crate) nonces: Option<u32>,
    /// Seconds until it is of no use any more.
    pub(crate) window: Option<f64>,
    /// How far it is.
    pub(crate) begun: Begun,
}

/// What is to be expected of a proof.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Prospect {
    /// For people and programs.
    pub(crate) outlook: Outlook,
    /// All that is known.
    pub(crate) forecast: Forecast,
}

/// What is to be expected.
///
/// # Errors
/// [`BadNumber`], as [`Forecast::new`] says.
pub(crate) fn prospect(task: &Task, rates: &Rates, wish: &Wish) -> Result<Prospect, BadNumber> {
    let chosen = choose(task, core::slice::from_ref(rates), wish.nonces, wish.window)?;
    let forecast = match chosen {
        Some(Choice { forecast, .. }) => forecast.after(wish.begun),
        None => Forecast::new(task, rates, wish.nonces.unwrap_or(NONCES))?.after(wish.begun),
    };
    let expected_seconds = forecast.seconds();
    // Where there may be none at all, 99 of 100 of those there are.
    let most_seconds = forecast.seconds_for(LIKELY * (1.0 - forecast.never()));
    let outlook = Outlook {
        in_time: wish.window.map(|window| forecast.within(window.max(0.0))),
        expected_seconds,
        most_seconds: most_seconds.unwrap_or(expected_seconds),
        nonces: forecast.nonces(),
    };
    Ok(Prospect { outlook, forecast })
}

/// How a proof is gone about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// Nonces a pass.
    pub(crate) nonces: u32,
    /// Why as many, in a sentence.
    pub(crate) why: String,
    /// What is to be expected; `None` where too little was measured.
    pub(crate) prospect: Option<Prospect>,
}

impl Plan {
    /// The plan for a proof of which this much was asked, and that stands so.
    ///
    /// A pass that was begun is kept: to change it would lose what was read.
    pub(crate) fn of(
        wish: &Wish,
        standing: Option<&Standing>,
        reckoning: Option<(&Task, &Rates)>,
    ) -> Self {
        let begun = |nonces| standing.map_or(wish.begun, |standing| standing.begun(nonces));
        let fixed = |nonces, because: &str| {
            let wish = Wish { nonces: Some(nonces), begun: begun(nonces), ..*wish };
            let prospect = reckoning.and_then(|(task, rates)| prospect(task, rates, &wish).ok());
            Self { nonces, why: format!("{nonces} nonces a pass, {because}"), prospect }
        };
        if let Some(nonces) = wish.nonces {
            return fixed(nonces, "as asked for");
        }
        if let Some(nonces) = standing.and_then(Standing::pass) {
            return fixed(nonces, "as this proof was begun");
        }
        let best = reckoning.and_then(|(task, rates)| prospect(task, rates, wish).ok());
        let nonces = best.as_ref().map_or(NONCES, |best| best.outlook.nonces);
        let paid = standing.map_or(0, Standing::paid);
        if paid > nonces {
            return fixed(paid, "since as many are paid for");
        }
        match best {
            Some(prospect) => {
                Self { nonces, why: measured(&prospect.outlook), prospect: Some(prospect) }
            }
            None => fixed(
                nonces,
                "since nothing was measured here yet (`postmesh-prover rehearse` finds the best)",
            ),
        }
    }
}

/// That nonces are the best by what was measured.
fn measured(outlook: &Outlook) -> String {
    let Outlook { nonces, expected_seconds, most_seconds, .. } = *outlook;
    format!(
        "{nonces} nonces a pass, the best by what was measured here: a proof takes {} on average, \
         99 of 100 at most {}",
        human_time(expected_seconds),
        human_time(most_seconds)
    )
}

#[cfg(test)]
mod tests;
