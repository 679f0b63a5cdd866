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

/// What is as good as impossible; and the logarithm of what is impossible.
const NEVER: f64 = 1e-12;
const LN_NEVER: f64 = -1e6;

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

/// How far a proof is: [`Forecast::after`] begins there.
///
/// That nothing is found yet is all that it says of the labels that were read. What each nonce has
/// among them would tell more; on average it comes to the same.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Begun {
    /// Passes that are behind it, and found nothing.
    pub passes: u32,
    /// Groups of the pass under way that are paid for. What was tried for one that is not does not
    /// make its k2pow any shorter.
    pub groups: u32,
    /// The share of the data that this pass has read, from 0 to 1.
    pub read: f64,
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
    /// Where it begins: so many passes, groups and steps are behind it.
    begun: Begun,
    steps: usize,
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
            begun: Begun::default(),
            steps: 0,
        })
    }

    /// What is left of a proof that has come so far. Times count from now.
    #[must_use]
    pub fn after(mut self, begun: Begun) -> Self {
        // The last step stays: who has read everything and found nothing goes on to the next pass.
        self.steps = (begun.read.clamp(0.0, 1.0) * f64::from(STEPS)) as usize;
        self.begun = begun;
        self
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
        let left = Nonce::END.saturating_sub(self.begun.passes.saturating_mul(self.nonces));
        let first = self.nonces.min(left);
        self.none_after(self.steps, first) * self.none_after(0, left - first)
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
                    let pows = f64::from(turn.to_pay) * self.pow;
                    turn.reached * (pows + self.scan * self.share_read(turn))
                })
                .sum::<f64>()
    }

    /// Seconds of work of a processor, on average, all threads together: what it costs in energy.
    #[must_use]
    pub fn core_seconds(&self) -> f64 {
        let idle = self.scan - self.scan_alone;
        let reading: f64 = self.turns().map(|turn| turn.reached * self.share_read(turn)).sum();
        (self.seconds() - idle * reading) * self.threads as f64
    }

    /// How likely a proof is there within so many seconds.
    #[must_use]
    pub fn within(&self, seconds: f64) -> f64 {
        let mut total = 0.0;
        // Steps that were read since now when a turn begins.
        let mut read = 0.0;
        for turn in self.turns() {
            let mut open = 1.0;
            for (step, still) in (0_u32..).zip(self.still_open(turn)) {
                let here = open - still;
                open = still;
                let steps = read + f64::from(2 * step + 1) / 2.0;
                let left = seconds - self.setup - self.scan * steps / f64::from(STEPS);
                if left <= 0.0 {
                    break;
                }
                if here > NEVER {
                    let paid = poisson_at_least(left / self.pow, turn.groups.into());
                    total += turn.reached * here * paid;
                }
            }
            read += f64::from(STEPS) - turn.skipped as f64;
            if seconds <= self.setup + self.scan * read / f64::from(STEPS) {
                break;
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

    /// The logarithm of the chance that none of so many nonces has its labels after some steps.
    fn ln_open(&self, steps: usize, nonces: u32) -> f64 {
        let chance = steps.checked_sub(1).and_then(|step| self.by_step.get(step));
        chance.map_or(0.0, |chance| ln_none(*chance, nonces))
    }

    /// How likely a pass that has nothing after some steps has nothing at its end.
    fn none_after(&self, steps: usize, nonces: u32) -> f64 {
        (self.ln_open(self.by_step.len(), nonces) - self.ln_open(steps, nonces)).exp()
    }

    /// How likely a pass that comes to this is still searching at the end of each step that is left
    /// of it.
    fn still_open(&self, turn: Turn) -> impl Iterator<Item = f64> {
        let known = self.ln_open(turn.skipped, turn.nonces);
        let steps = self.by_step.iter().skip(turn.skipped);
        steps.map(move |chance| (ln_none(*chance, turn.nonces) - known).exp())
    }

    /// The share of the data that a pass reads, on average, from now on.
    fn share_read(&self, turn: Turn) -> f64 {
        // Whoever is still searching at the end of a step has read it; of those that find something
        // in it, half.
        let (mut sum, mut last) = (0.0, 1.0);
        for open in self.still_open(turn) {
            sum += open;
            last = open;
        }
        (sum + (1.0 - last) / 2.0) / f64::from(STEPS)
    }

    /// The passes, until hardly anybody is still searching.
    fn turns(&self) -> impl Iterator<Item = Turn> {
        let Begun { passes: first, groups: paid, .. } = self.begun;
        let (mut reached, mut groups) = (1.0, 0);
        let passes = (first..).map_while(|number| Some((number, pass(number, self.nonces)?)));
        passes.map_while(move |(number, range)| {
            let nonces = range.end - range.start;
            let (paid, skipped) = if number == first { (paid, self.steps) } else { (0, 0) };
            let to_pay = (nonces / Nonce::PER_GROUP).saturating_sub(paid);
            groups += to_pay;
            let turn = Turn { nonces, to_pay, groups, skipped, reached };
            reached *= self.none_after(skipped, nonces);
            (turn.reached > NEVER).then_some(turn)
        })
    }
}

/// The logarithm of the chance that none of so many nonces succeeds, each of which does with this
/// chance.
fn ln_none(chance: f64, nonces: u32) -> f64 {
    // Of what is certain the logarithm has no end, and differences of it no meaning.
    f64::from(nonces) * (-chance).ln_1p().max(LN_NEVER)
}

/// A pass that may come.
#[derive(Clone, Copy, Debug)]
struct Turn {
    nonces: u32,
    /// Groups that are to be paid for it.
    to_pay: u32,
    /// Groups that are to be paid from now until its scan begins, those of passes before it too.
    groups: u32,
    /// Steps of it that were read before.
    skipped: usize,
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
