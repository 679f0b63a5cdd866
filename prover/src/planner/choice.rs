//! Which nonces and which way of working are best.

use super::{BadNumber, Forecast, Rates, Task, nonce_by_step};
use post::Nonce;

/// A difference in probability that nobody would notice.
const AS_LIKELY: f64 = 1e-3;
/// A share of the time that nobody would notice.
const AS_SOON: f64 = 0.02;

/// What is best.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Which of the rates that were given: its place.
    pub rates: usize,
    /// What is to be expected then; it knows how many nonces.
    pub forecast: Forecast,
}

/// The nonces and the rates with which a proof is most likely there within `window` seconds; among
/// those that are as likely, what takes least time on average; among those as soon, what costs
/// least work. Without a window, the least time. `fixed` leaves the nonces as they are. `None`
/// where no rates are given.
///
/// # Errors
/// [`BadNumber`], as [`Forecast::new`] says.
pub fn choose(
    task: &Task,
    rates: &[Rates],
    fixed: Option<u32>,
    window: Option<f64>,
) -> Result<Option<Choice>, BadNumber> {
    let by_step = nonce_by_step(task)?;
    let all = (1..=Nonce::END / Nonce::PER_GROUP).map(|groups| groups * Nonce::PER_GROUP);
    let nonces: Vec<u32> = fixed.map_or_else(|| all.collect(), |nonces| vec![nonces]);
    let mut found = Vec::new();
    for (place, way) in rates.iter().enumerate() {
        for nonces in &nonces {
            let forecast = Forecast::with_steps(task, way, *nonces, by_step.clone())?;
            let likely = window.map_or(1.0, |window| forecast.within(window));
            let (seconds, work) = (forecast.seconds(), forecast.core_seconds());
            let choice = Choice { rates: place, forecast };
            found.push(Candidate { choice, likely, seconds, work });
        }
    }
    let likely = found.iter().map(|it| it.likely).fold(0.0, f64::max);
    found.retain(|it| it.likely >= likely - AS_LIKELY);
    let soon = found.iter().map(|it| it.seconds).fold(f64::INFINITY, f64::min);
    found.retain(|it| it.seconds <= soon * (1.0 + AS_SOON));
    let best = found.into_iter().min_by(|a, b| a.work.total_cmp(&b.work));
    Ok(best.map(|best| best.choice))
}

struct Candidate {
    choice: Choice,
    likely: f64,
    seconds: f64,
    work: f64,
}
