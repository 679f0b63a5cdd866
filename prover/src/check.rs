//! A check: every label on disk is read and compared with what was written down of it, a share of
//! them is made again, and everything that is bad is found.
//!
//! First comes one pass at the speed of the disks. A block that differs from its slot, or of which
//! a label in the sample is wrong, is suspect; once the pass is through, all labels of suspect
//! blocks are made again, so that the bad ones are named exactly.

mod bad;
mod sample;
mod walk;

pub(crate) use bad::{BadRange, Why};

use crate::make::MakeError;
use crate::progress::{Progress, Report};
use bad::{absent, merged};
use plot::{Block, DataSet, PlotError, Slot};
use post::label::{LabelFault, Scratch, label_in};
use post::{LABEL_BYTES, LabelIndex, LabelRange, Labeler, ScryptN};
use sample::Sample;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use walk::{Looked, Verdict, Walk};

/// Of the labels of a piece that differ so many are made by the definition.
const BELIEVED_AFTER: usize = 4;
/// Labels made at a time.
const PIECE_LABELS: u64 = 4096;
/// Hashes that are written down at a time: those of 1 GiB.
const SLOTS_AT_ONCE: usize = 1024;

/// A check that is about to begin.
pub(crate) struct Check<'a> {
    pub(crate) set: &'a DataSet,
    pub(crate) labeler: &'a mut dyn Labeler,
    /// The N of the labels.
    pub(crate) n: ScryptN,
    /// How much is made again.
    pub(crate) percent: f64,
    /// Decides which labels are.
    pub(crate) seed: u64,
    /// Whether hashes of blocks that have none may be written down.
    pub(crate) record: bool,
    pub(crate) stop: &'a (dyn Fn() -> bool + Sync),
    pub(crate) report: Report,
}

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Everything that is bad, ascending.
    pub(crate) bad: Vec<BadRange>,
    /// Labels that are on disk.
    pub(crate) present: u64,
    /// Labels that are as the manifest says.
    pub(crate) hashed: u64,
    /// Labels whose hash was written down now.
    pub(crate) recorded: u64,
    /// Labels made again.
    pub(crate) made: u64,
    /// Those of them that were right.
    pub(crate) right: u64,
    /// Whether it was stopped before the end.
    pub(crate) stopped: bool,
}

impl Findings {
    /// How many of a million labels were made again, one at least.
    pub(crate) fn ppm(&self) -> u32 {
        let ppm = u128::from(self.made) * 1_000_000 / u128::from(self.present.max(1));
        u32::try_from(ppm.clamp(1, 1_000_000)).unwrap_or(1_000_000)
    }

    /// Labels made again that were wrong on disk.
    fn wrong(&self) -> u64 {
        self.made - self.right
    }

    /// Whether nothing that was made again was right.
    pub(crate) fn all_wrong(&self) -> bool {
        self.made > 0 && self.right == 0
    }
}

/// Why a block's labels are all made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// A label of the sample is wrong.
    Sample,
    /// Its hash is another.
    Hash,
    /// Its slot is damaged.
    Slot,
}

impl Check<'_> {
    /// Looks at some labels only, and makes all of them again.
    ///
    /// # Errors
    /// Those of [`Check::run`].
    pub(crate) fn ranges(&mut self, ranges: &[LabelRange]) -> Result<Findings, MakeError> {
        let mut findings = Findings::default();
        for file in self.set.files().iter() {
            let present = self.set.record(file)?.state.present();
            findings.present += count(&present);
            for range in ranges {
                let part = range.start.max(present.start)..range.end.min(present.end);
                for part in self.set.by_block(part) {
                    let block = self.set.blocks(file)?.read(part.clone());
                    self.unreadable(&block, &mut findings)?;
                    let whole = std::slice::from_ref(&part);
                    match self.compare(&block, whole, &mut findings, &mut |_| {}) {
                        Err(LabelFault::Stopped) => {
                            findings.stopped = true;
                            return Ok(findings);
                        }
                        other => other?,
                    }
                }
            }
        }
        findings.bad = merged(std::mem::take(&mut findings.bad));
        Ok(findings)
    }

    /// Looks at everything.
    ///
    /// # Errors
    /// The system's, where no thread can be had or hashes cannot be written; the device's.
    pub(crate) fn run(&mut self) -> Result<Findings, MakeError> {
        let mut findings = Findings::default();
        let mut beheaded = BTreeSet::new();
        for file in self.set.files().iter() {
            self.survey(file, &mut findings, &mut beheaded)?;
        }
        let suspects = self.pass(&mut findings, &beheaded)?;
        let suspects: Vec<_> = suspects
            .into_iter()
            // Where nothing is right, every label would be made again to say so once more.
            .filter(|(_, cause)| *cause != Cause::Sample || findings.right > 0)
            .collect();
        if !findings.stopped {
            self.name_labels(&suspects, &mut findings)?;
        }
        findings.bad = merged(std::mem::take(&mut findings.bad));
        Ok(findings)
    }

    /// What can be said of a file without reading it.
    fn survey(
        &self,
        file: u64,
        findings: &mut Findings,
        beheaded: &mut BTreeSet<u64>,
    ) -> Result<(), PlotError> {
        let record = match self.set.record(file) {
            Ok(record) => record,
            Err(PlotError::Io { action, path, why }) => {
                tracing::warn!("{}", PlotError::Io { action, path: path.clone(), why });
                let labels = self.set.layout().labels_of(file);
                findings.bad.push(BadRange::new(labels, &path, Why::Unreadable));
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        if let Some(fault) = &record.fault {
            tracing::warn!("{fault}");
            let whole = record.state.labels.clone();
            findings.bad.push(BadRange::new(whole, &record.state.path, Why::Manifest));
            beheaded.insert(file);
        }
        findings.bad.extend(absent(&record.state));
        findings.present += count(&record.state.present());
        Ok(())
    }

    /// Reads everything once; returns the suspect blocks.
    fn pass(
        &mut self,
        findings: &mut Findings,
        beheaded: &BTreeSet<u64>,
    ) -> Result<Vec<(LabelRange, Cause)>, MakeError> {
        let sample = Sample::new(findings.present, self.percent, self.seed);
        let mut progress =
            Progress::new("checking", "labels", 0, findings.present, self.report.clone());
        let walk = Walk::begin(self.set).map_err(|why| PlotError::Io {
            action: "start a thread to read",
            path: "labels".into(),
            why,
        })?;
        let (mut suspects, mut slots, mut done) = (Vec::new(), BTreeMap::new(), 0);
        while let Some(looked) = walk.next(&|| (self.stop)()) {
            let labels = looked.block.labels.clone();
            let runs = sample.within(&looked.present, &labels);
            let before = findings.wrong();
            let made = self.compare(&looked.block, &runs, findings, &mut |made| {
                progress.at(done + made.saturating_sub(labels.start));
            });
            match made {
                Err(LabelFault::Stopped) => break,
                other => other?,
            }
            let wrong = findings.wrong() > before;
            self.unreadable(&looked.block, findings)?;
            match looked.verdict {
                Verdict::Differs => suspects.push((labels.clone(), Cause::Hash)),
                Verdict::NoSlot => suspects.push((labels.clone(), Cause::Slot)),
                _ if wrong => suspects.push((labels.clone(), Cause::Sample)),
                Verdict::Same => findings.hashed += count(&labels),
                Verdict::Unknown if self.record && !beheaded.contains(&looked.block.file) => {
                    self.note(&looked, &mut slots, findings)?;
                }
                Verdict::Unknown | Verdict::Partial => {}
            }
            done += count(&labels);
            progress.at(done);
        }
        for (file, slots) in slots {
            self.set.vouch(file, &slots)?;
        }
        findings.stopped = (self.stop)();
        Ok(suspects)
    }

    /// Writes the hash of a block down, now and then.
    fn note(
        &self,
        looked: &Looked,
        slots: &mut BTreeMap<u64, Vec<(u64, Slot)>>,
        findings: &mut Findings,
    ) -> Result<(), PlotError> {
        let Block { file, number, labels, bytes, .. } = &looked.block;
        let waiting = slots.entry(*file).or_default();
        waiting.extend(Slot::adopted(bytes).map(|slot| (*number, slot)));
        findings.recorded += count(labels);
        if waiting.len() >= SLOTS_AT_ONCE {
            self.set.vouch(*file, waiting)?;
            waiting.clear();
        }
        Ok(())
    }

    fn unreadable(&self, block: &Block, findings: &mut Findings) -> Result<(), PlotError> {
        if block.gaps.is_empty() {
            return Ok(());
        }
        if let Some(fault) = &block.fault {
            tracing::warn!("{fault}");
        }
        let path = self.set.label_file(block.file)?;
        let gaps = block.gaps.iter();
        findings.bad.extend(gaps.map(|gap| BadRange::new(gap.clone(), &path, Why::Unreadable)));
        Ok(())
    }

    /// Makes labels of a block again, as far as they could be read, and names those that differ.
    fn compare(
        &mut self,
        block: &Block,
        wanted: &[LabelRange],
        findings: &mut Findings,
        made_to: &mut dyn FnMut(u64),
    ) -> Result<(), LabelFault> {
        let (mut made, known) = (Vec::new(), findings.bad.len());
        let path = self.set.label_file(block.file).unwrap_or_default();
        let both = |a: &LabelRange, b: &LabelRange| a.start.max(b.start)..a.end.min(b.end);
        let readable: Vec<LabelRange> = block.runs().collect();
        let parts = readable.iter().flat_map(|run| wanted.iter().map(|part| both(run, part)));
        for piece in parts.flat_map(pieces) {
            made.resize(usize::try_from(count(&piece)).unwrap_or(0) * LABEL_BYTES, 0);
            self.labeler.fill(piece.clone(), &mut made, self.stop)?;
            let stored = block.readable(&piece).unwrap_or_default();
            let pairs = stored.chunks_exact(LABEL_BYTES).zip(made.chunks_exact(LABEL_BYTES));
            findings.made += count(&piece);
            let mut differing = Vec::new();
            for (index, (stored, made)) in piece.clone().zip(pairs) {
                if stored == made {
                    findings.right += 1;
                } else {
                    differing.push((index, stored));
                }
            }
            self.believe(&differing)?;
            for (index, _) in differing {
                add_wrong(&mut findings.bad, known, index, &path);
            }
            made_to(piece.end);
        }
        Ok(())
    }

    /// Before labels on disk are called wrong, some of them are made by the definition: it may be
    /// the device that errs, and what is called wrong will be replaced.
    fn believe(&self, differing: &[(u64, &[u8])]) -> Result<(), LabelFault> {
        let commitment = self.set.metadata().commitment();
        let step = differing.len().div_ceil(BELIEVED_AFTER).max(1);
        let spread = differing.iter().step_by(step).chain(differing.last());
        let mut scratch = None;
        for (index, stored) in spread {
            let scratch = scratch.get_or_insert_with(|| Scratch::new(self.n));
            if label_in(scratch, &commitment, LabelIndex(*index)).stored() == *stored {
                let kernel = self.labeler.kernel();
                return Err(LabelFault::Device(format!(
                    "label {index} is right on disk, and {kernel} makes another: the device errs. \
                     Choose another with --device"
                )));
            }
        }
        Ok(())
    }

    /// Makes all labels of suspect blocks again.
    fn name_labels(
        &mut self,
        suspects: &[(LabelRange, Cause)],
        findings: &mut Findings,
    ) -> Result<(), MakeError> {
        let total = suspects.iter().map(|(labels, _)| count(labels)).sum();
        let what = "making suspect blocks again";
        let mut progress = Progress::new(what, "labels", 0, total, self.report.clone());
        let mut done = 0;
        for (labels, cause) in suspects {
            let (file, _) = self.set.layout().place_of(labels.start);
            let block = self.set.blocks(file)?.read(labels.clone());
            let before = findings.wrong();
            let whole = std::slice::from_ref(labels);
            let made = self.compare(&block, whole, findings, &mut |made| {
                progress.at(done + made.saturating_sub(labels.start));
            });
            match made {
                Err(LabelFault::Stopped) => {
                    findings.stopped = true;
                    return Ok(());
                }
                other => other?,
            }
            let right = findings.wrong() == before && block.gaps.is_empty();
            if right && *cause != Cause::Sample {
                self.blame_manifest(&block, findings)?;
            }
            done += count(labels);
        }
        Ok(())
    }
}

impl Check<'_> {
    /// Every label of a suspect block is right: so its slot is wrong, or the disk gave other bytes
    /// at first.
    fn blame_manifest(&self, block: &Block, findings: &mut Findings) -> Result<(), PlotError> {
        let path = self.set.label_file(block.file)?;
        let slot = self.set.record(block.file)?.slot(block.number)?;
        if slot.is_some_and(|slot| slot.agrees(&block.bytes) == Some(true)) {
            let (path, first) = (path.display(), block.labels.start);
            tracing::warn!(
                "{path}: what was read of labels {first} and after was wrong at first and right \
                 then: the disk, its cable or the memory is failing"
            );
        } else {
            findings.bad.push(BadRange::new(block.labels.clone(), &path, Why::Manifest));
        }
        Ok(())
    }
}

fn count(labels: &LabelRange) -> u64 {
    labels.end.saturating_sub(labels.start)
}

/// Adds a wrong label, to the range before it if that ends there and is none of the `known` ones.
fn add_wrong(bad: &mut Vec<BadRange>, known: usize, index: u64, path: &Path) {
    match bad.get_mut(known..).and_then(<[BadRange]>::last_mut) {
        Some(last) if last.last.checked_add(1) == Some(index) => last.last = index,
        _ => bad.push(BadRange::new(index..index.saturating_add(1), path, Why::Differs)),
    }
}

/// Cuts labels into pieces that are made at a time.
pub(crate) fn pieces(labels: LabelRange) -> impl Iterator<Item = LabelRange> {
    let starts = labels.clone().step_by(PIECE_LABELS as usize);
    starts.map(move |start| start..labels.end.min(start.saturating_add(PIECE_LABELS)))
}

#[cfg(test)]
pub(crate) mod tests;
