//! A repair: bad labels are made again and put in the place of the wrong ones, which are kept.
//!
//! Before anything is written, labels around the bad ranges and all over the rest are made again:
//! where they are not right either, the data was made with another N or by another identity, and
//! what looks bad may be good.

use crate::check::{BadRange, Why, pieces};
use crate::crew::Crew;
use crate::make::MakeError;
use crate::progress::Progress;
use plot::repair::{Patch, Refused, Repair};
use plot::{DataSet, PlotError};
use post::label::{Scratch, label_in};
use post::{LABEL_BYTES, LabelIndex, LabelRange, ScryptN};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Labels all over the data that must be right.
const SPREAD: u64 = 64;
/// Most labels beside bad ranges that are looked at.
const BESIDE_MAX: usize = 1024;
/// Bytes that are replaced at a time, at most.
const BATCH_BYTES: u64 = 16 << 20;
/// How long labels are made before they are written: what an interruption costs at most.
const BATCH: Duration = Duration::from_secs(10);

/// Why a repair was not made, or not to its end. What it had replaced is kept.
#[derive(Debug, Error)]
pub(crate) enum RepairError {
    #[error(transparent)]
    Make(#[from] MakeError),
    #[error(transparent)]
    Plot(#[from] PlotError),
    #[error(
        "label {index} is outside the ranges to be repaired, and is not what N = {n} and this \
         identity give either: the data was made with another N or by another identity, or more \
         of it is bad (`repair --fraction 100` looks at all of it); nothing was changed"
    )]
    Outside { index: LabelIndex, n: ScryptN },
    #[error(
        "not one label that could be looked at is what N = {n} and this identity give: the data \
         was made with another N or by another identity; nothing was changed"
    )]
    AllBad { n: ScryptN },
}

/// What a repair did.
#[derive(Debug)]
pub(crate) struct Mended {
    /// Labels that were replaced.
    pub(crate) labels: u64,
    /// Where the old ones are.
    pub(crate) kept: Vec<PathBuf>,
    /// What the disks would not take.
    pub(crate) refused: Vec<Refused>,
}

/// A repair that is about to begin.
pub(crate) struct Mending<'a> {
    pub(crate) set: &'a DataSet,
    pub(crate) crew: &'a mut Crew,
    pub(crate) stop: &'a (dyn Fn() -> bool + Sync),
    /// What is bad. What is missing is left to `init`.
    pub(crate) bad: &'a [BadRange],
    /// Whether progress is for scripts.
    pub(crate) json: bool,
}

impl Mending<'_> {
    /// Refuses where labels outside the bad ranges are wrong too, or none is right.
    pub(crate) fn refuse_foreign(&mut self) -> Result<(), RepairError> {
        let (n, commitment) = (self.crew.n(), self.crew.commitment());
        let good = self.good()?;
        let mut scratch = Scratch::new(n);
        let mut right = 0;
        for index in self.witnesses(&good) {
            let (file, _) = self.set.layout().place_of(index);
            let block = self.set.blocks(file)?.read(index..index + 1);
            let Some(stored) = block.readable(&(index..index + 1)) else { continue };
            let index = LabelIndex(index);
            if label_in(&mut scratch, &commitment, index).stored() != stored {
                return Err(RepairError::Outside { index, n });
            }
            right += 1;
        }
        if right == 0 { Err(RepairError::AllBad { n }) } else { Ok(()) }
    }

    /// Labels that are there and were not found to be bad.
    fn good(&self) -> Result<Vec<LabelRange>, PlotError> {
        let mut bad: Vec<LabelRange> = self.wrong().collect();
        bad.sort_by_key(|range| range.start);
        let mut bad = bad.into_iter().peekable();
        let mut good = Vec::new();
        for file in self.set.files().iter() {
            let present = self.set.record(file)?.state.present();
            let mut next = present.start;
            while let Some(range) = bad.peek().filter(|range| range.start < present.end) {
                good.push(next..range.start.max(next));
                next = next.max(range.end);
                if range.end > present.end {
                    // It goes on in the next file.
                    break;
                }
                bad.next();
            }
            good.push(next.min(present.end)..present.end);
        }
        good.retain(|range| !range.is_empty());
        Ok(good)
    }

    /// Ranges whose labels are wrong or cannot be read.
    fn wrong(&self) -> impl Iterator<Item = LabelRange> {
        let wrong = |why| matches!(why, Why::Differs | Why::Unreadable);
        self.bad.iter().filter(move |range| wrong(range.why)).map(BadRange::labels)
    }

    /// Labels that must be right: those beside bad ones, and some all over.
    fn witnesses(&mut self, good: &[LabelRange]) -> BTreeSet<u64> {
        let ends: Vec<u64> = good.iter().flat_map(|range| [range.start, range.end - 1]).collect();
        let step = ends.len().div_ceil(BESIDE_MAX).max(1);
        let mut witnesses: BTreeSet<u64> = ends.into_iter().step_by(step).collect();
        let total: u64 = good.iter().map(|range| range.end - range.start).sum();
        let (mut before, mut number) = (0, 0);
        for range in good {
            let length = range.end - range.start;
            // The stretches of the good labels, counted without the bad ones, that begin here.
            while number < SPREAD.min(total) {
                let bound = |number: u64| {
                    let at = u128::from(total) * u128::from(number) / u128::from(SPREAD.min(total));
                    u64::try_from(at).unwrap_or(u64::MAX)
                };
                let (start, end) = (bound(number), bound(number + 1));
                if start >= before + length {
                    break;
                }
                let at = (start - before + self.crew.draw(end - start)).min(length - 1);
                witnesses.insert(range.start + at);
                number += 1;
            }
            before += length;
        }
        witnesses
    }

    /// Makes the bad labels again and replaces them; `when_unix` is now.
    pub(crate) fn run(&mut self, when_unix: u64) -> Result<Mended, RepairError> {
        let blocks = self.blocks()?;
        let total = self.wrong().map(|range| range.end - range.start).sum();
        let mut progress = Progress::new("repairing", "labels", 0, total, self.json);
        let mut repair = Repair::begin(self.set, when_unix)?;
        let mut mended = Mended { labels: 0, kept: vec![], refused: vec![] };
        let mut batch = Batch { file: 0, patches: vec![], labels: 0, begun: Instant::now() };
        for ((file, _), (block, wrong, verified)) in blocks {
            if file != batch.file {
                batch.write(&mut repair, &mut mended)?;
                batch.file = file;
            }
            let mut labels = Vec::new();
            for piece in wrong.into_iter().flat_map(pieces) {
                let mut made = Vec::new();
                let result = self.crew.run(std::slice::from_ref(&piece), self.stop, &mut |part| {
                    made.extend_from_slice(part.labels);
                    Ok(ControlFlow::Continue(()))
                });
                if let Err(error) = result {
                    // What was made is not thrown away.
                    batch.write(&mut repair, &mut mended)?;
                    return Err(error.into());
                }
                batch.labels += piece.end - piece.start;
                labels.push((piece.start, made));
                progress.at(mended.labels + batch.labels);
            }
            batch.patches.push(Patch { file, block, labels, verified });
            let bytes = batch.labels * LABEL_BYTES as u64;
            if bytes >= BATCH_BYTES || batch.begun.elapsed() >= BATCH {
                batch.write(&mut repair, &mut mended)?;
            }
        }
        batch.write(&mut repair, &mut mended)?;
        for range in self.bad.iter().filter(|range| range.why == Why::Manifest) {
            // A header alone, where every block is well.
            let (file, _) = self.set.layout().place_of(range.first);
            if self.set.record(file)?.fault.is_some() {
                repair.replace(file, &[])?;
            }
        }
        mended.kept = repair.entries().collect();
        Ok(mended)
    }

    /// The blocks that something is wrong with: all labels of each, the wrong ones, and whether
    /// all of them were made again and only the slot is wrong.
    #[expect(clippy::type_complexity, reason = "used once")]
    fn blocks(
        &self,
    ) -> Result<BTreeMap<(u64, u64), (LabelRange, Vec<LabelRange>, bool)>, PlotError> {
        let mut blocks = BTreeMap::new();
        for range in self.bad {
            let (file, _) = self.set.layout().place_of(range.first);
            let record = match range.why {
                Why::Missing | Why::Excess | Why::Unconfirmed => continue,
                _ => self.set.record(file)?,
            };
            // A damaged header says nothing of any block.
            let header = range.why == Why::Manifest && record.fault.is_some();
            let present = record.state.present();
            let part = range.first.max(present.start)..range.labels().end.min(present.end);
            for part in self.set.by_block(part).filter(|_| !header) {
                let in_file = part.start - present.start;
                let first = present.start + in_file / plot::BLOCK_LABELS * plot::BLOCK_LABELS;
                let end = present.end.min(first + plot::BLOCK_LABELS);
                let new = || (first..end, Vec::new(), true);
                let (_, wrong, verified) = blocks.entry((file, first)).or_insert_with(new);
                if range.why == Why::Manifest {
                    continue;
                }
                *verified = false;
                wrong.push(part);
            }
        }
        Ok(blocks)
    }
}

/// Patches of one file that wait to be written.
struct Batch {
    file: u64,
    patches: Vec<Patch>,
    labels: u64,
    begun: Instant,
}

impl Batch {
    fn write(&mut self, repair: &mut Repair<'_>, mended: &mut Mended) -> Result<(), PlotError> {
        if !self.patches.is_empty() {
            let refused = repair.replace(self.file, &self.patches)?;
            let lost: u64 = refused.iter().map(|part| part.labels.end - part.labels.start).sum();
            mended.labels += self.labels - lost.min(self.labels);
            mended.refused.extend(refused);
        }
        *self = Self { file: self.file, patches: vec![], labels: 0, begun: Instant::now() };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
