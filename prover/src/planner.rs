//! The planner: how likely a proof arrives in time, with how many nonces a pass and which rates,
//! and how long labels take to make. Arithmetic only: no clocks, no IO, nothing is measured here.
//!
//! A proof is searched in passes. Each pays for its groups of 16 nonces by k2pows, one after the
//! other, and then reads the data from front to back. A nonce's good labels among all are a
//! binomial number with mean K1; it needs K2 of them, and the pass ends where the first nonce has
//! them. So
//!
//! - a pass of `m` nonces finds nothing with the chance `(1 − P)^m`, where one nonce's is `P`;
//! - it ends within the fraction `f` of the data with `1 − (1 − P(f))^m`;
//! - the k2pows of `g` groups take as long as `g` waits of exponential length: a gamma variable,
//!   whose distribution is the tail of a Poisson one. (Hashes are counted as if they had no length,
//!   which is wrong only for networks so easy that a k2pow takes a few.)
//!
//! The sums over passes and over `f` are done, not sampled: [`Forecast`] is exact but for the steps
//! that the data is cut into, and for rates that change while it runs.

mod chance;
mod choice;
mod scan;

pub use choice::{Choice, choose};
pub use scan::ScanRate;

use chance::binomial_at_least;
pub(crate) use chance::poisson_at_least;
use post::Nonce;
use post::k2pow::Difficulty;
use post::search::pass;
use thiserror::Error;

/// Bytes of a label on disk.
const LABEL_BYTES: f64 = post::LABEL_BYTES as f64;

/// Steps that the data is cut into where a pass may end.
const STEPS: u32 = 256;

/// What is as good as impossible.
const NEVER: f64 = 1e-12;

/// What is to be proven.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Task {
    /// Labels of the data, all of them.
    pub labels: u64,
    /// Labels that are expected to be good for a nonce.
    pub k1: u32,
    /// Good labels that a proof names.
    pub k2: u32,
    /// Hashes that the k2pow of a group takes on average: [`expected_hashes`].
    pub hashes: f64,
}

/// How fast one way of doing it is, as it was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    /// Threads that scan and hash.
    pub threads: usize,
    /// Scan rates by nonces, of all threads together, from memory.
    pub scan: Vec<ScanRate>,
    /// Bytes a second that the disks give.
    pub disk: f64,
    /// RandomX hashes a second, of all threads together.
    pub hashes: f64,
    /// Seconds that RandomX takes to be ready.
    pub setup: f64,
}

/// A number that nothing can be computed with.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[error("{what} is {found}: {wanted}")]
pub struct BadNumber {
    /// What it is.
    pub what: &'static str,
    /// The number.
    pub found: f64,
    /// What it must be.
    pub wanted: &'static str,
}

/// Hashes that a k2pow of this difficulty takes on average: `2²⁵⁶ / difficulty`; infinite for 0.
#[must_use]
pub fn expected_hashes(difficulty: &Difficulty) -> f64 {
    let value = difficulty.0.iter().fold(0.0, |value, byte| value * 256.0 + f64::from(*byte));
    2_f64.powi(256) / value
}

/// Seconds until so many labels are made by devices with these rates, all at once; `None` if none
/// of them makes any.
#[must_use]
pub fn seconds_to_make(labels: u64, labels_a_second: &[f64]) -> Option<f64> {
    let rate: f64 = labels_a_second.iter().sum();
    (rate > 0.0).then(|| labels as f64 / rate)
}

/// The course that a proof takes, as far as chance allows to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    nonces: u32,
    threads: usize,
    setup: f64,
    /// Seconds of a k2pow, on average.
    pow: f64,
    /// Seconds of a whole pass over the data, and those that processors alone would take for it.
    scan: f64,
    scan_alone: f64,
    /// The chance that one nonce has its K2 labels by the end of each step.
    by_step: Vec<f64>,
}

impl Forecast {
    /// The forecast for passes of `nonces`, a multiple of 16 up to 4,096.
    ///
    /// # Errors
    /// [`BadNumber`]: a rate that is not above 0, nonces that make no groups, a task without labels
    /// or with K1 beyond them, or an impossible k2pow.
    pub fn new(task: &Task, rates: &Rates, nonces: u32) -> Result<Self, BadNumber> {
        let by_step = nonce_by_step(task)?;
        Self::with_steps(task, rates, nonces, by_step)
    }

    fn with_steps(
        task: &Task,
        rates: &Rates,
        nonces: u32,
        by_step: Vec<f64>,
    ) -> Result<Self, BadNumber> {
        let groups = nonces.is_multiple_of(Nonce::PER_GROUP) && (1..=Nonce::END).contains(&nonces);
        if !groups {
            let (what, wanted) = ("nonces a pass", "a multiple of 16 up to 4096 is needed");
            return Err(BadNumber { what, found: nonces.into(), wanted });
        }
        positive("the disk's rate", rates.disk)?;
        positive("the hash rate", rates.hashes)?;
        positive("hashes of a k2pow", task.hashes)?;
        if !(rates.setup.is_finite() && rates.setup >= 0.0) {
            let (what, wanted) = ("RandomX's set-up", "seconds from 0 up are needed");
            return Err(BadNumber { what, found: rates.setup, wanted });
        }
        let bytes = task.labels as f64 * LABEL_BYTES;
        let scan_alone = bytes * scan::seconds_a_byte(&rates.scan, nonces)?;
        Ok(Self {
            nonces,
            threads: rates.threads,
            setup: rates.setup,
            pow: task.hashes / rates.hashes,
            scan: scan_alone.max(bytes / rates.disk),
            scan_alone,
            by_step,
        })
    }

    /// Nonces a pass.
    #[must_use]
    pub fn nonces(&self) -> u32 {
        self.nonces
    }

    /// Seconds of a whole pass over the data.
    #[must_use]
    pub fn scan_seconds(&self) -> f64 {
        self.scan
    }

    /// Whether the disks are what a pass waits for, and not the processors.
    #[must_use]
    pub fn is_bound_by_disk(&self) -> bool {
        self.scan > self.scan_alone
    }

    /// Seconds of the k2pows of a whole pass, on average.
    #[must_use]
    pub fn pow_seconds(&self) -> f64 {
        self.pow * f64::from(self.nonces / Nonce::PER_GROUP)
    }

    /// How likely one pass finds a proof.
    #[must_use]
    pub fn one_pass(&self) -> f64 {
        -ln_none(self.whole(), self.nonces).exp_m1()
    }

    /// How likely there is no proof at all: all 4,096 nonces fail.
    #[must_use]
    pub fn never(&self) -> f64 {
        ln_none(self.whole(), Nonce::END).exp()
    }

    /// Passes that are begun, on average.
    #[must_use]
    pub fn passes(&self) -> f64 {
        self.turns().map(|turn| turn.reached).sum()
    }

    /// Seconds until a proof is there or none is left to be had, on average.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.setup
            + self
                .turns()
                .map(|turn| {
                    let pows = f64::from(turn.nonces / Nonce::PER_GROUP) * self.pow;
                    turn.reached * (pows + self.scan * self.share_read(turn.nonces))
                })
                .sum::<f64>()
    }

    /// Seconds of work of a processor, on average, all threads together: what it costs in energy.
    #[must_use]
    pub fn core_seconds(&self) -> f64 {
        let idle = self.scan - self.scan_alone;
        let reading: f64 =
            self.turns().map(|turn| turn.reached * self.share_read(turn.nonces)).sum();
        (self.seconds() - idle * reading) * self.threads as f64
    }

    /// How likely a proof is there within so many seconds.
    #[must_use]
    pub fn within(&self, seconds: f64) -> f64 {
        let mut total = 0.0;
        for turn in self.turns() {
            let left = seconds - self.setup - f64::from(turn.number) * self.scan;
            if left <= 0.0 {
                break;
            }
            let mut before = 0.0;
            for (step, chance) in (0..).zip(&self.by_step) {
                let by_now = -ln_none(*chance, turn.nonces).exp_m1();
                let (here, middle) = (by_now - before, f64::from(2 * step + 1) / 2.0);
                before = by_now;
                let left = left - self.scan * middle / f64::from(STEPS);
                if here > NEVER && left > 0.0 {
                    let paid = poisson_at_least(left / self.pow, turn.groups.into());
                    total += turn.reached * here * paid;
                }
            }
        }
        total.min(1.0)
    }

    /// Seconds within which a proof is there with this chance; `None` if there is none that likely.
    #[must_use]
    pub fn seconds_for(&self, chance: f64) -> Option<f64> {
        if chance >= 1.0 - self.never() - NEVER {
            return None;
        }
        let mut high = self.seconds().max(f64::MIN_POSITIVE);
        while self.within(high) < chance {
            high *= 2.0;
        }
        let mut low = 0.0;
        while high - low > 1e-4 * high {
            let middle = f64::midpoint(low, high);
            if self.within(middle) < chance { low = middle } else { high = middle }
        }
        Some(high)
    }

    /// One nonce's chance in the whole data.
    fn whole(&self) -> f64 {
        self.by_step.last().copied().unwrap_or(0.0)
    }

    /// The share of the data that a pass of so many nonces reads, on average.
    fn share_read(&self, nonces: u32) -> f64 {
        let open: f64 = self.by_step.iter().map(|chance| ln_none(*chance, nonces).exp()).sum();
        // Whoever is still searching at the end of a step has read it; of those that find something
        // in it, half.
        let end = ln_none(self.whole(), nonces).exp();
        (open + (1.0 - end) / 2.0) / f64::from(STEPS)
    }

    /// The passes, until hardly anybody is still searching.
    fn turns(&self) -> impl Iterator<Item = Turn> {
        let (mut reached, mut groups) = (1.0, 0);
        let passes = (0..).map_while(|number| Some((number, pass(number, self.nonces)?)));
        passes.map_while(move |(number, range)| {
            let nonces = range.end - range.start;
            groups += nonces / Nonce::PER_GROUP;
            let turn = Turn { number, nonces, groups, reached };
            reached *= ln_none(self.whole(), nonces).exp();
            (turn.reached > NEVER).then_some(turn)
        })
    }
}

/// The logarithm of the chance that none of so many nonces succeeds, each of which does with this
/// chance.
fn ln_none(chance: f64, nonces: u32) -> f64 {
    f64::from(nonces) * (-chance).ln_1p()
}

/// A pass that may come.
#[derive(Clone, Copy, Debug)]
struct Turn {
    number: u32,
    nonces: u32,
    /// Groups that are paid for when its scan begins, those of earlier passes too.
    groups: u32,
    /// How likely it comes to this.
    reached: f64,
}

/// The chance that one nonce has K2 good labels by the end of each step.
fn nonce_by_step(task: &Task) -> Result<Vec<f64>, BadNumber> {
    let Task { labels, k1, k2, .. } = *task;
    if u64::from(k1) >= labels {
        let (what, wanted) = ("the number of labels", "more than K1 are needed");
        return Err(BadNumber { what, found: labels as f64, wanted });
    }
    let chance = f64::from(k1) / labels as f64;
    let by = |step: u32| {
        let seen = u128::from(labels) * u128::from(step) / u128::from(STEPS);
        binomial_at_least(u64::try_from(seen).unwrap_or(labels), chance, k2.into())
    };
    Ok((1..=STEPS).map(by).collect())
}

fn positive(what: &'static str, found: f64) -> Result<(), BadNumber> {
    let fits = found.is_finite() && found > 0.0;
    if fits { Ok(()) } else { Err(BadNumber { what, found, wanted: "it must be above 0" }) }
}

#[cfg(test)]
mod tests;
