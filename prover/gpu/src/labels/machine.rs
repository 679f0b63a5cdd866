//! What is done next: ranges become batches, batches become submissions of the right length, two
//! of which are always in flight. Knows no GPU; the engine does what it is told.

use super::engine::{Engine, Work};
use super::memory::Memory;
use super::pace::{Pace, Steps};
use crate::fault::Fault;
use core::time::Duration;
use post::{Candidate, Commitment, FullLabel, LABEL_BYTES, LabelIndex, LabelRange, ScryptN};
use std::collections::VecDeque;

/// Submissions in flight: one that runs, and one that the device goes on with at once.
const IN_FLIGHT: usize = 2;

/// Labels that are compared with the CPU's before a device is used. They cross 2³².
const KNOWN: LabelRange = (1 << 32) - 2..(1 << 32) + 2;

/// A number of labels in flight is judged by so many seconds of work.
const JUDGED_BY: f64 = 0.5;

/// The loop that makes labels by an engine.
#[derive(Debug)]
pub(super) struct Machine<E> {
    engine: E,
    n: ScryptN,
    pace: Pace,
    memory: Memory,
    /// Labels that are to be in flight.
    labels: u32,
    /// Labels that there is room for.
    room: u32,
    rate: Rate,
    /// How long the last dispatches took that were about as many labels as there is room for.
    times: VecDeque<Duration>,
    /// What made the engine unusable.
    broken: Option<Fault>,
}

/// Dispatch times that are remembered.
const TIMES: usize = 4096;

/// Labels made with the present room, and the seconds that took.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    labels: f64,
    seconds: f64,
    /// The first batch in fresh memory tells nothing.
    warm: bool,
}

/// The batch that work is queued of.
#[derive(Clone, Copy, Debug)]
struct Batch {
    first: u64,
    labels: u32,
    left: Steps,
}

/// Work in flight, as far as it matters when it is done.
#[derive(Clone, Copy, Debug)]
struct Flight {
    labels: u32,
    steps: Steps,
    ends: bool,
}

/// A range on its way.
struct Run<'a> {
    /// The first label that no work was queued for.
    next: u64,
    end: u64,
    batch: Option<Batch>,
    flying: VecDeque<Flight>,
    /// The index of the next label that comes back, and the room for it.
    index: u64,
    out: &'a mut [[u8; LABEL_BYTES]],
    best: Option<Candidate>,
}

impl<E: Engine> Machine<E> {
    /// A machine that goes for `labels` in flight, and on from there if `memory` is not settled.
    pub(super) fn new(
        engine: E,
        n: ScryptN,
        target: Duration,
        memory: Memory,
        labels: u32,
    ) -> Self {
        Self {
            engine,
            n,
            pace: Pace::new(target),
            memory,
            labels,
            room: 0,
            rate: Rate::default(),
            times: VecDeque::new(),
            broken: None,
        }
    }

    #[cfg(test)]
    pub(super) fn engine(&self) -> &E {
        &self.engine
    }

    /// Labels that are to be in flight.
    pub(super) fn labels(&self) -> u32 {
        self.labels
    }

    /// How long dispatches took, the oldest first.
    pub(super) fn times(&self) -> impl Iterator<Item = Duration> {
        self.times.iter().copied()
    }

    /// Whether their number is settled.
    pub(super) fn is_settled(&self) -> bool {
        self.memory.is_settled()
    }

    /// Makes the labels of `range`, as `post::Labeler::fill` says.
    pub(super) fn fill(
        &mut self,
        range: LabelRange,
        out: &mut [u8],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Candidate>, Fault> {
        let labels = range.end.saturating_sub(range.start);
        if labels.checked_mul(LABEL_BYTES as u64) != Some(out.len() as u64) {
            return Err(Fault::WrongRoom { labels, room: out.len() as u64 });
        }
        if let Some(fault) = &self.broken {
            return Err(fault.clone());
        }
        let mut run = Run {
            next: range.start,
            end: range.end,
            batch: None,
            flying: VecDeque::new(),
            index: range.start,
            out: out.as_chunks_mut().0,
            best: None,
        };
        let mut done = self.run(&mut run, stop);
        if matches!(done, Err(Fault::Stopped)) {
            // What is in flight cannot be called back.
            let waited = (0..run.flying.len()).try_for_each(|_| self.engine.wait().map(drop));
            done = waited.and(done);
        }
        match done {
            Ok(()) => Ok(run.best),
            Err(fault @ (Fault::Stopped | Fault::OutOfMemory { .. })) => Err(fault),
            Err(fault) => {
                self.broken = Some(fault.clone());
                Err(fault)
            }
        }
    }

    /// A known answer: some labels must be those that the CPU makes.
    pub(super) fn check_known(&mut self, commitment: &Commitment) -> Result<(), Fault> {
        let n = self.n;
        let mut out = [0; (KNOWN.end - KNOWN.start) as usize * LABEL_BYTES];
        self.fill(KNOWN, &mut out, &|| false)?;
        for (stored, index) in out.as_chunks::<LABEL_BYTES>().0.iter().zip(KNOWN) {
            let index = LabelIndex(index);
            if *stored != post::label(commitment, index, n).stored() {
                return Err(Fault::WrongLabel { index });
            }
        }
        Ok(())
    }

    fn run(&mut self, run: &mut Run<'_>, stop: &(dyn Fn() -> bool + Sync)) -> Result<(), Fault> {
        loop {
            if stop() {
                return Err(Fault::Stopped);
            }
            if run.batch.is_none() && run.flying.is_empty() {
                if run.next == run.end {
                    return Ok(());
                }
                self.make_room(run.end - run.next)?;
            }
            while run.flying.len() < IN_FLIGHT && self.submit(run)? {}
            self.land(run)?;
        }
    }

    /// Sees to it that there is room for as many labels as are to be in flight, or as are left.
    fn make_room(&mut self, left: u64) -> Result<(), Fault> {
        loop {
            let wanted = self.labels.min(u32::try_from(left).unwrap_or(u32::MAX));
            let before = self.room;
            if before == self.labels || (before >= wanted && before <= self.labels) {
                return Ok(());
            }
            self.room = 0;
            match self.engine.resize(wanted) {
                Ok(room) => {
                    self.room = room;
                    if wanted == self.labels {
                        // Engines round up.
                        self.labels = room;
                    }
                    self.rate = Rate::default();
                    if before > 0 {
                        self.pace.scale(f64::from(room) / f64::from(before));
                    }
                    return Ok(());
                }
                Err(fault @ Fault::OutOfMemory { .. }) => {
                    self.labels = self.memory.refused(wanted).ok_or(fault)?;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Queues the next work of `run`; says no if there is none, or it must wait for more room.
    fn submit(&mut self, run: &mut Run<'_>) -> Result<bool, Fault> {
        let starts = run.batch.is_none();
        if starts && (run.next == run.end || self.wants_other_room(run)) {
            return Ok(false);
        }
        let mut batch = run.batch.unwrap_or_else(|| {
            let labels = u32::try_from(run.end - run.next).unwrap_or(u32::MAX).min(self.room);
            let left = self.whole();
            Batch { first: run.next, labels, left }
        });
        let steps = self.pace.next(batch.left);
        let filled = self.n.get() - batch.left.fill;
        batch.left = Steps { fill: batch.left.fill - steps.fill, mix: batch.left.mix - steps.mix };
        let ends = batch.left == Steps::default();
        let (first, labels) = (LabelIndex(batch.first), batch.labels);
        self.engine.submit(&Work { first, labels, starts, filled, steps, ends })?;
        run.flying.push_back(Flight { labels, steps, ends });
        if starts {
            run.next += u64::from(labels);
        }
        run.batch = (!ends).then_some(batch);
        Ok(true)
    }

    /// Whether the next batch should not begin before the room has changed.
    fn wants_other_room(&self, run: &Run<'_>) -> bool {
        !run.flying.is_empty() && self.room != self.labels && run.end - run.next > self.room.into()
    }

    /// Waits for the oldest work, learns from it, and takes its labels.
    fn land(&mut self, run: &mut Run<'_>) -> Result<(), Fault> {
        let Some(flight) = run.flying.pop_front() else {
            return Ok(());
        };
        let done = self.engine.wait()?;
        // Fewer labels than there is room for take less time, which says nothing about all.
        if flight.labels == self.room {
            self.pace.learn(flight.steps, done.took);
            if self.times.len() == TIMES {
                self.times.pop_front();
            }
            self.times.push_back(done.took);
            self.rate.seconds += done.took.as_secs_f64();
            if flight.ends {
                self.rate.labels += f64::from(flight.labels);
                self.judge();
            }
        }
        if flight.ends {
            run.take(&done.labels, flight.labels)?;
        }
        Ok(())
    }

    /// All steps of a batch.
    fn whole(&self) -> Steps {
        Steps { fill: self.n.get(), mix: self.n.get() }
    }

    /// Decides whether other labels in flight should be tried.
    fn judge(&mut self) {
        if !self.rate.warm {
            self.rate = Rate { warm: true, ..Rate::default() };
        } else if self.rate.seconds >= JUDGED_BY && self.room == self.labels {
            let rate = self.rate.labels / self.rate.seconds;
            self.labels = self.memory.measured(self.labels, rate).unwrap_or(self.labels);
            self.rate = Rate { warm: true, ..Rate::default() };
        }
    }

    /// Labels a second, from a few slices of a batch that is not finished.
    pub(super) fn trial(mut self) -> Result<f64, Fault> {
        self.make_room(u64::MAX)?;
        let all = self.whole();
        for kind in [Steps { mix: 0, ..all }, Steps { fill: 0, ..all }] {
            // Enough for the pace to settle from its careful start.
            for turn in 0..TRIAL_SLICES {
                let (first, labels, filled) = (LabelIndex(0), self.room, 0);
                let (starts, ends) = (turn == 0 && kind.fill > 0, false);
                let steps = self.pace.next(kind);
                self.engine.submit(&Work { first, labels, starts, filled, steps, ends })?;
                let took = self.engine.wait()?.took;
                self.pace.learn(steps, took);
            }
        }
        Ok(f64::from(self.room) / self.pace.batch(self.n.get()))
    }
}

/// Slices of each kind in a trial.
const TRIAL_SLICES: u32 = 5;

impl Run<'_> {
    /// Takes the labels of a batch, which must be as many as were asked for.
    fn take(&mut self, labels: &[FullLabel], expected: u32) -> Result<(), Fault> {
        let out = core::mem::take(&mut self.out);
        let room = out.split_at_mut_checked(labels.len());
        let Some((now, later)) = room.filter(|_| labels.len() == expected as usize) else {
            let text = format!("{} labels came back of {expected}", labels.len());
            return Err(Fault::Refused(text));
        };
        self.out = later;
        for (place, label) in now.iter_mut().zip(labels) {
            *place = label.stored();
            let candidate = Candidate { index: LabelIndex(self.index), label: *label };
            self.best = Candidate::better(self.best, Some(candidate));
            self.index += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
