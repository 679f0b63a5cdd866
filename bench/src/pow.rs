//! `pow`: RandomX hashes a second, as the prover searches for a k2pow.

use crate::args::{ModeArg, PowArgs};
use crate::noise::Noise;
use crate::outcome::Result;
use crate::progress;
use crate::report::Measured;
use crate::stats::rounded;
use crate::turns::Turns;
use ::pow::{Mode, Puzzle, RandomX, SolveError, Watch, solve};
use core::num::NonZeroUsize;
use core::sync::atomic::{AtomicU64, Ordering};
use post::k2pow::Difficulty;
use post::{Challenge, NodeId, NonceGroup};
use std::time::{Duration, Instant};

/// Long beside a light hash, so that threads which wait for the last one wait for little.
const SLICE: Duration = Duration::from_millis(2500);

pub(crate) fn run(args: &PowArgs) -> Result<Measured> {
    let threads = args.common.threads();
    let turns = Turns { length: args.common.seconds, slice: SLICE, limit_share: 1.0 };
    let (mode, preparing) = match args.mode {
        ModeArg::Light => (Mode::Light, "filling RandomX's cache"),
        ModeArg::Fast => (Mode::Fast, "filling RandomX's dataset of 2 GiB"),
    };
    let start = Instant::now();
    let randomx = progress::during(preparing, None, || RandomX::new(mode, threads.get()))?;
    let prepared = start.elapsed().as_secs_f64();
    let what = format!("hashing, {}", progress::threads(threads));
    let alone = NonZeroUsize::MIN;
    let rates = progress::during(&what, Some(turns.expected()), || {
        turns.measure(
            |slice| hash_rate(&randomx, threads, slice),
            |slice| Ok(hash_rate(&randomx, alone, slice)? * threads.get() as f64),
        )
    })?;
    Ok(Measured::new("pow", "hashes/s", threads.get(), randomx.to_string(), rates)
        .limited_by(
            "one thread alone, times the threads: what perfect scaling would give (with one \
             thread the same is measured twice)",
        )
        .with("mode", args.mode.name())
        .with("prepare_seconds", rounded(prepared)))
}

/// Searches for a pow that there is not, until time is up.
fn hash_rate(randomx: &RandomX, threads: NonZeroUsize, length: Duration) -> Result<f64> {
    let mut challenge = Challenge([0; 32]);
    Noise::fresh().fill(&mut challenge.0);
    let puzzle = Puzzle {
        group: NonceGroup(0),
        challenge,
        node_id: NodeId([1; 32]),
        difficulty: Difficulty([0; 32]),
    };
    let (start, asked) = (Instant::now(), AtomicU64::new(0));
    // Every thread asks before each hash, and stops when it has been told to: it has done as many
    // hashes as it was told to go on.
    let stop = || {
        let stop = start.elapsed() >= length;
        asked.fetch_add(u64::from(!stop), Ordering::Relaxed);
        stop
    };
    match solve(randomx, (&puzzle, 0), threads.get(), Watch { stop: &stop, ..Watch::NONE }, &|_| ())
    {
        Ok(_) | Err(SolveError::Stopped) => (),
        Err(fault) => return Err(fault.into()),
    }
    Ok(asked.into_inner() as f64 / start.elapsed().as_secs_f64())
}
