//! The k2pows that a pass costs: solved once, written down, and taken from the journal after.

use super::diary::Diary;
use super::{Job, ProveError, Surroundings};
use post::k2pow::{self, PowHash};
use post::search::GroupKeys;
use post::{Nonce, NonceGroup, Statement};
use pow::{Puzzle, RandomX, SolveError};
use std::ops::Range;
use std::sync::Mutex;
use wire::Stage;

/// Solves the k2pow of each group of a pass, save those that were solved before.
pub(super) fn buy(
    job: &Job,
    nonces: Range<u32>,
    diary: &mut Diary<'_>,
    around: &Surroundings<'_>,
) -> Result<Vec<GroupKeys>, ProveError> {
    let firsts = nonces.step_by(Nonce::PER_GROUP as usize);
    let groups: Vec<NonceGroup> = firsts.filter_map(|first| Nonce(first).group()).collect();
    let total = groups.len() as u64;
    let difficulty = job.params.pow_difficulty.scaled(job.statement.num_units)?;
    let missing = groups.iter().filter(|group| diary.journal.pow(**group).is_none()).count();
    let missing = u32::try_from(missing).unwrap_or(u32::MAX);
    let randomx = around.pows.to_solve(&difficulty, missing, around.stop);
    let randomx = randomx.map_err(SolveError::from)?;
    let Statement { challenge, node_id, .. } = job.statement;
    let mut keys = Vec::with_capacity(groups.len());
    for (done, group) in (0..).zip(groups) {
        (around.progress)(Stage::Pow, done, total);
        let puzzle = Puzzle { group, challenge, node_id, difficulty };
        let pow = match diary.journal.pow(group) {
            Some(pow) if solves(&puzzle, pow, &randomx)? => pow,
            _ => solve(&randomx, &puzzle, diary, around)?,
        };
        keys.push(GroupKeys::new(&challenge, group, pow));
    }
    (around.progress)(Stage::Pow, total, total);
    Ok(keys)
}

/// Solves one, from where an earlier run was interrupted; writes down how far it is now and then,
/// and the solution.
fn solve(
    randomx: &RandomX,
    puzzle: &Puzzle,
    diary: &mut Diary<'_>,
    around: &Surroundings<'_>,
) -> Result<u64, ProveError> {
    let first = diary.journal.tried(puzzle.group);
    let shared = Mutex::new(&mut *diary);
    let tried = |below| {
        // Whoever finds it taken goes on: another thread is writing.
        if let Ok(mut diary) = shared.try_lock() {
            diary.note_tried(puzzle.group, below);
        }
    };
    let solved = around.pows.solve(randomx, (puzzle, first), around.stop, &tried);
    if let Ok(pow) = solved {
        diary.journal.set_pow(puzzle.group, pow);
    }
    diary.save();
    Ok(solved?)
}

/// Whether a pow from the journal is one.
fn solves(puzzle: &Puzzle, pow: u64, randomx: &RandomX) -> Result<bool, ProveError> {
    let input = k2pow::input(pow, puzzle.group, &puzzle.challenge, &puzzle.node_id);
    let hash = randomx.hash(&input).map_err(SolveError::from)?;
    Ok(pow < k2pow::POW_END && puzzle.difficulty.met_by(&hash))
}
