//! The alarm: that a proof is not likely enough to be there in time, and what would help. Each
//! remedy is reckoned through, so that nobody is sent to buy what does not help.

use super::{LIKELY, Prospect, Wish, prospect};
use crate::planner::{Rates, ScanRate, Task};
use crate::progress::human_time;

/// A remedy that gains less is not worth a word.
const WORTH: f64 = 0.005;

/// What to tell people, if a proof is not likely enough to be there in time. `rates` are those of
/// `prospect`; `work` is the share of the time that the process works.
pub(crate) fn alarm(
    task: &Task,
    rates: &Rates,
    wish: &Wish,
    work: f64,
    Prospect { outlook, .. }: &Prospect,
) -> Option<String> {
    let (window, in_time) = (wish.window?, outlook.in_time?);
    if in_time >= LIKELY {
        return None;
    }
    let most = outlook.most_seconds;
    let mut text = format!(
        "the proof will be there in time with a chance of {} only: there are {} left, and 99 of \
         100 such proofs take up to {}",
        percent(in_time),
        human_time(window.max(0.0)),
        human_time(most),
    );
    let with = |rates: &Rates, nonces| {
        let other = prospect(task, rates, &Wish { nonces, ..*wish }).ok()?;
        let chance = other.outlook.in_time.filter(|chance| *chance > in_time + WORTH)?;
        Some((percent(chance), other.outlook.nonces))
    };
    let mut helps = Vec::new();
    if let Some((chance, nonces)) = wish.nonces.and_then(|_| with(rates, None)) {
        helps.push(format!("{chance} with {nonces} nonces a pass (--nonces auto)"));
    }
    let of = |rates: &Rates| with(rates, wish.nonces).map(|(chance, _)| chance);
    if let Some(chance) = of(&computing(rates, 1.0 / work)).filter(|_| work < 1.0) {
        helps.push(format!("{chance} without rests (--duty 100, no --background)"));
    }
    if let Some(chance) = of(&computing(rates, 2.0)) {
        helps.push(format!("{chance} with twice the computing power (more threads, a GPU)"));
    }
    if let Some(chance) = of(&Rates { disk: rates.disk * 2.0, ..rates.clone() }) {
        helps.push(format!("{chance} with disks twice as fast"));
    }
    if !helps.is_empty() {
        text.push_str(". It would be ");
        text.push_str(&helps.join(", "));
    }
    text.push_str(&format!(". Next time begin {} earlier", human_time((most - window).max(0.0))));
    Some(text)
}

/// The same with processors and devices that are so many times as fast.
fn computing(rates: &Rates, times: f64) -> Rates {
    let faster = |rate: &ScanRate| ScanRate { bytes: rate.bytes * times, ..*rate };
    Rates {
        scan: rates.scan.iter().map(faster).collect(),
        hashes: rates.hashes * times,
        setup: rates.setup / times,
        ..rates.clone()
    }
}

/// A chance in words. Nothing that depends on chance is certain.
pub(crate) fn percent(chance: f64) -> String {
    match chance * 100.0 {
        all if all > 99.99 => "more than 99.99 %".to_owned(),
        none if none < 0.01 => "less than 0.01 %".to_owned(),
        part => format!("{part:.2} %"),
    }
}
