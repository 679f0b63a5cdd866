//! RandomX for this process: made when first needed, in the mode that repays itself, and kept.

use crate::args::RandomXArg;
use post::k2pow::Difficulty;
use pow::{Mode, PowFault, RandomX};
use std::sync::Arc;
use std::sync::Mutex;

/// Light hashes that filling the dataset costs: 34 million items, of which a hash uses 16,384.
const FAST_COSTS_HASHES: f64 = 2080.0;
/// How much faster a hash is once the dataset is filled, at least.
const FAST_GAIN: f64 = 4.0;

/// The process's RandomX.
#[derive(Debug)]
pub(crate) struct Pows {
    choice: RandomXArg,
    threads: usize,
    made: Mutex<Option<Arc<RandomX>>>,
}

impl Pows {
    pub(crate) fn new(choice: RandomXArg, threads: usize) -> Self {
        Self { choice, threads, made: Mutex::new(None) }
    }

    /// RandomX for solving `groups` puzzles of this (scaled) difficulty.
    pub(crate) fn to_solve(
        &self,
        difficulty: &Difficulty,
        groups: u32,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Arc<RandomX>, PowFault> {
        self.get(mode(self.choice, expected_hashes(difficulty) * f64::from(groups)), stop)
    }

    /// RandomX in whichever mode there is, light if there is none.
    pub(crate) fn to_verify(&self) -> Result<Arc<RandomX>, PowFault> {
        self.get(Mode::Light, &|| false)
    }

    /// One that is there already is used, unless a fast one is wanted and it is light.
    fn get(
        &self,
        wanted: Mode,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Arc<RandomX>, PowFault> {
        let mut made = self.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(randomx) = made.as_ref()
            && (randomx.mode() == Mode::Fast || wanted == Mode::Light)
        {
            return Ok(Arc::clone(randomx));
        }
        let randomx = match RandomX::stoppable(wanted, self.threads, stop) {
            // A machine without the memory still proves, only slower.
            Err(PowFault::Dataset) if self.choice == RandomXArg::Auto => {
                tracing::warn!(
                    "not enough memory for RandomX's fast mode (2.3 GiB): using light mode"
                );
                RandomX::new(Mode::Light, self.threads)?
            }
            other => other?,
        };
        tracing::debug!("{randomx}");
        let randomx = Arc::new(randomx);
        *made = Some(Arc::clone(&randomx));
        Ok(randomx)
    }
}

/// Hashes that a solution takes on average: `2²⁵⁶ / difficulty`.
fn expected_hashes(difficulty: &Difficulty) -> f64 {
    let value = difficulty.0.iter().fold(0.0, |value, byte| value * 256.0 + f64::from(*byte));
    2_f64.powi(256) / value
}

fn mode(choice: RandomXArg, hashes: f64) -> Mode {
    let saved = hashes * (1.0 - 1.0 / FAST_GAIN);
    match choice {
        RandomXArg::Light => Mode::Light,
        RandomXArg::Fast => Mode::Fast,
        RandomXArg::Auto if saved > FAST_COSTS_HASHES => Mode::Fast,
        RandomXArg::Auto => Mode::Light,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_mode_must_repay_its_dataset() {
        let mut easy = Difficulty([0; 32]);
        easy.0[0] = 0x20;
        assert!((expected_hashes(&easy) - 8.0).abs() < 1e-9);
        assert_eq!(mode(RandomXArg::Auto, 8.0 * 8.0), Mode::Light);
        assert_eq!(mode(RandomXArg::Auto, 1e4), Mode::Fast);
        assert_eq!(mode(RandomXArg::Light, 1e9), Mode::Light);
        assert_eq!(mode(RandomXArg::Fast, 1.0), Mode::Fast);
        assert!(expected_hashes(&Difficulty([0; 32])).is_infinite());
    }
}
