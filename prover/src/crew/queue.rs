//! Who makes which labels: one queue of ranges for all devices of a crew.
//!
//! It is told what happened and when, and says what to do next; it has no clock, no threads and no
//! devices, so that its tests run in virtual time. Every label that is not written yet is in one
//! place: fresh, given back, in somebody's hands, made, or being written.

use post::LabelRange;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How long a range should take, in seconds: what an interruption costs at most, and how often a
/// disk is made to sync.
const RANGE: f64 = 2.0;
/// How short ranges become at the end of the work, where all should end together.
const RANGE_LAST: f64 = 0.05;
/// Labels in a member's first range, before its rate is known.
const FIRST: u64 = 64;
/// Labels in hands, made or being written, but not on disk: 64 MiB at most. Nobody outruns the
/// slowest range in hands by more.
const WINDOW: u64 = 1 << 22;
/// What a member whose rate is not known is thought to take for a range that it takes over.
const GUESS: f64 = 1.0;
/// So many failures in a row, and a member gets no more work.
const FAILURES_MAX: u32 = 3;

/// What is known of a member; it outlives a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Hand {
    /// Seconds a label takes; `None` before the first range came back.
    seconds: Option<f64>,
    /// Labels in the largest range that it made.
    largest: u64,
    /// Failures since it last succeeded.
    failures: u32,
    /// Whether it gets no more work.
    out: bool,
    /// Whether it made a wrong label.
    lied: bool,
    /// Labels of its that were used.
    labels: u64,
    /// Whether it has not come back from its last range, be that still wanted or not.
    busy: bool,
    /// How many labels it makes at a time.
    batch: u64,
}

impl Hand {
    /// Labels a second, 0 where that is not known.
    pub(super) fn rate(&self) -> f64 {
        self.seconds.map_or(0.0, f64::recip)
    }

    /// Labels of its that were used.
    pub(super) fn labels(&self) -> u64 {
        self.labels
    }

    pub(super) fn is_out(&self) -> bool {
        self.out
    }

    /// Whether it made a wrong label.
    pub(super) fn lied(&self) -> bool {
        self.lied
    }

    /// Seconds for so many labels.
    fn needs(&self, labels: u64) -> Option<f64> {
        self.seconds.map(|seconds| seconds * self.whole(labels))
    }

    /// Labels in whole batches: part of one takes as long as all of it, if not less.
    fn whole(&self, labels: u64) -> f64 {
        let batch = self.batch.max(1);
        labels.max(1).div_ceil(batch) as f64 * batch as f64
    }

    /// Learns from how long a range took: the mean with what was known, as one hiccup is not the
    /// rate. A part of a batch shows only between which two values it is.
    fn took(&mut self, labels: u64, time: f64) {
        let time = time.max(1e-9);
        let (least, most) = (time / self.whole(labels), time / labels.max(1) as f64);
        let shown = |known: f64| f64::midpoint(known, known.clamp(least, most));
        self.seconds = Some(self.seconds.map_or(least, shown));
        self.largest = self.largest.max(labels);
    }

    /// Learns from a range that it did not finish in this time.
    fn took_longer(&mut self, labels: u64, time: f64) {
        let seconds = time / self.whole(labels);
        self.seconds = Some(self.seconds.map_or(seconds, |known| known.max(seconds)));
    }
}

/// A range in somebody's hands. Several have the same range where one takes it over from another.
#[derive(Clone, Debug)]
struct Job {
    range: LabelRange,
    by: usize,
    since: Duration,
}

/// Labels that were made.
#[derive(Debug)]
pub(super) struct Made<T> {
    pub(super) range: LabelRange,
    /// Which member made them.
    pub(super) by: usize,
    /// What it made.
    pub(super) value: T,
}

/// What a member does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Make(LabelRange),
    /// Asks again when something happened, or a moment later.
    Wait,
    /// There is nothing left for it in this run.
    Leave,
}

/// The ranges of a run, and who has which.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// Ranges that nobody had yet, ascending.
    fresh: VecDeque<LabelRange>,
    /// Those that somebody had and did not make: the end by the first label, and who failed.
    back: BTreeMap<u64, (u64, Option<usize>)>,
    jobs: Vec<Job>,
    /// What was made, by its first label.
    made: BTreeMap<u64, Made<T>>,
    /// Labels that were taken out to be written.
    writing: u64,
    /// Labels that count to the window: all but the fresh ones.
    held: u64,
    hands: Vec<Hand>,
}

impl<T> Queue<T> {
    /// Work for these members. The ranges ascend; those that touch are joined.
    pub(super) fn new(ranges: &[LabelRange], mut hands: Vec<Hand>) -> Self {
        let mut fresh: VecDeque<LabelRange> = VecDeque::new();
        for range in ranges.iter().filter(|range| !range.is_empty()) {
            match fresh.back_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => fresh.push_back(range.clone()),
            }
        }
        for hand in &mut hands {
            hand.busy = false;
        }
        let (back, jobs, made) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Self { fresh, back, jobs, made, writing: 0, held: 0, hands }
    }

    pub(super) fn hands(&self) -> &[Hand] {
        &self.hands
    }

    pub(super) fn into_hands(self) -> Vec<Hand> {
        self.hands
    }

    /// Whether everything is made and written.
    pub(super) fn is_over(&self) -> bool {
        let left = self.fresh.is_empty() && self.back.is_empty() && self.jobs.is_empty();
        left && self.made.is_empty() && self.writing == 0
    }

    /// Whether no member is left to make anything.
    pub(super) fn is_deserted(&self) -> bool {
        self.hands.iter().all(Hand::is_out)
    }

    /// Whether what this member makes is still of use.
    pub(super) fn wants(&self, who: usize) -> bool {
        self.jobs.iter().any(|job| job.by == who)
    }

    /// What `who`, which makes `batch` labels at a time and has nothing to do, does next.
    pub(super) fn next(&mut self, who: usize, batch: u64, now: Duration) -> Next {
        let Some(hand) = self.hands.get_mut(who) else { return Next::Leave };
        hand.batch = batch.clamp(1, WINDOW / 2);
        hand.busy = false;
        if hand.out || self.is_over() {
            return Next::Leave;
        }
        let size = self.size(who, now);
        let range = self.take(who, size, now).or_else(|| self.take_over(who, now));
        let Some(range) = range else { return Next::Wait };
        self.jobs.push(Job { range: range.clone(), by: who, since: now });
        if let Some(hand) = self.hands.get_mut(who) {
            hand.busy = true;
        }
        Next::Make(range)
    }

    /// The range that `who` had is made. Nothing is kept of one that another made before.
    pub(super) fn done(&mut self, who: usize, now: Duration, value: T) {
        let Some(job) = self.put_down(who) else { return };
        let time = |since: Duration| now.saturating_sub(since).as_secs_f64();
        if let Some(hand) = self.hands.get_mut(who) {
            hand.took(count(&job.range), time(job.since));
            hand.failures = 0;
        }
        for late in self.jobs.extract_if(.., |other| other.range == job.range) {
            if let Some(hand) = self.hands.get_mut(late.by) {
                hand.took_longer(count(&late.range), time(late.since));
            }
        }
        let Job { range, by, .. } = job;
        self.made.insert(range.start, Made { range, by, value });
    }

    /// `who` could not make its range. Returns whether it was once too often.
    pub(super) fn failed(&mut self, who: usize) -> bool {
        let Some(job) = self.put_down(who) else { return false };
        self.give_back(job.range, Some(who));
        let Some(hand) = self.hands.get_mut(who) else { return false };
        hand.failures += 1;
        hand.out = hand.failures >= FAILURES_MAX;
        hand.out
    }

    /// `who` gets no more work, and its range goes to the others.
    pub(super) fn leave_out(&mut self, who: usize) {
        if let Some(hand) = self.hands.get_mut(who) {
            hand.out = true;
        }
        if let Some(job) = self.put_down(who) {
            self.give_back(job.range, None);
        }
    }

    /// The labels whose turn it is, if they are made. What was taken before is written by now.
    pub(super) fn pop(&mut self) -> Option<Made<T>> {
        self.held -= self.writing;
        self.writing = 0;
        let (first, _) = self.made.first_key_value()?;
        if self.first_unmade().is_some_and(|unmade| unmade < *first) {
            return None;
        }
        let (_, made) = self.made.pop_first()?;
        self.writing = count(&made.range);
        if let Some(hand) = self.hands.get_mut(made.by) {
            hand.labels += self.writing;
        }
        Some(made)
    }

    /// What was taken last is wrong: it and everything else of its maker that is not written is
    /// made by others.
    pub(super) fn distrust(&mut self, who: usize, range: LabelRange) {
        if let Some(hand) = self.hands.get_mut(who) {
            hand.labels -= self.writing;
            hand.lied = true;
        }
        self.writing = 0;
        self.leave_out(who);
        self.give_back(range, None);
        let theirs: Vec<LabelRange> = self
            .made
            .values()
            .filter(|made| made.by == who)
            .map(|made| made.range.clone())
            .collect();
        for range in theirs {
            self.made.remove(&range.start);
            self.give_back(range, None);
        }
    }

    fn put_down(&mut self, who: usize) -> Option<Job> {
        if let Some(hand) = self.hands.get_mut(who) {
            hand.busy = false;
        }
        let at = self.jobs.iter().position(|job| job.by == who)?;
        Some(self.jobs.swap_remove(at))
    }

    /// Unless another has the same range in hands.
    fn give_back(&mut self, range: LabelRange, failed: Option<usize>) {
        if !self.jobs.iter().any(|other| other.range == range) {
            self.back.insert(range.start, (range.end, failed));
        }
    }

    /// The first label that nobody made.
    fn first_unmade(&self) -> Option<u64> {
        let fresh = self.fresh.front().map(|range| range.start);
        let back = self.back.first_key_value().map(|(first, _)| *first);
        let jobs = self.jobs.iter().map(|job| job.range.start).min();
        fresh.into_iter().chain(back).chain(jobs).min()
    }

    /// Labels that are in nobody's hands and not made.
    fn left(&self) -> u64 {
        let back = self.back.iter().map(|(first, (end, _))| end - first);
        self.fresh.iter().map(count).chain(back).fold(0, u64::saturating_add)
    }
}

/// Who gets how much.
impl<T> Queue<T> {
    /// Labels in the next range of `who`: what it makes in the time of a range, at most twice its
    /// largest one so far, in whole batches.
    ///
    /// The time is such that no two ranges fill the window, and towards the end of the work half of
    /// what is left for everybody (guided self-scheduling, by rates).
    fn size(&self, who: usize, now: Duration) -> u64 {
        let Some(hand) = self.hands.get(who) else { return 0 };
        let whole = |labels: u64| labels.next_multiple_of(hand.batch).min(WINDOW / 2);
        let Some(seconds) = hand.seconds else { return whole(FIRST) };
        let rates: f64 = (0..self.hands.len()).map(|other| self.rate(other, now)).sum();
        let mut time = RANGE.min(WINDOW as f64 / 2.0 / rates);
        if !self.is_alone(who) {
            time = time.min((self.left() as f64 / rates / 2.0).max(RANGE_LAST));
        }
        let labels = ((time / seconds) as u64).min(hand.largest.saturating_mul(2));
        (labels / hand.batch * hand.batch).max(hand.batch)
    }

    /// A range for `who` of those that nobody has: what was given back first, but what it failed at
    /// itself last. None where the others would be through with everything before it.
    fn take(&mut self, who: usize, size: u64, now: Duration) -> Option<LabelRange> {
        if self.would_be_last(who, size, now) {
            return None;
        }
        let anyone = self.is_alone(who);
        self.take_back(|failed| anyone || failed != Some(who), size)
            .or_else(|| self.take_fresh(who, size))
            .or_else(|| self.take_back(|_| true, size))
    }

    fn take_back(&mut self, fits: impl Fn(Option<usize>) -> bool, size: u64) -> Option<LabelRange> {
        let (first, end, failed) = self
            .back
            .iter()
            .map(|(first, (end, failed))| (*first, *end, *failed))
            .find(|(_, _, failed)| fits(*failed))?;
        let middle = first.saturating_add(size).min(end);
        self.back.remove(&first);
        if middle < end {
            self.back.insert(middle, (end, failed));
        }
        Some(first..middle)
    }

    /// As far as the window allows; slivers are not worth it.
    fn take_fresh(&mut self, who: usize, size: u64) -> Option<LabelRange> {
        let batch = self.hands.get(who)?.batch;
        let front = self.fresh.front_mut()?;
        let (size, room) = (size.min(count(front)), WINDOW - self.held);
        let labels = if size <= room { size } else { room / batch * batch };
        if labels < size.div_ceil(4) {
            return None;
        }
        let range = front.start..front.start + labels;
        front.start = range.end;
        if front.is_empty() {
            self.fresh.pop_front();
        }
        self.held += labels;
        Some(range)
    }

    /// The first range that others have and `who` would be through with sooner; for one that has
    /// nothing else to do. As long as there is more to make, only what the writer waits for.
    fn take_over(&self, who: usize, now: Duration) -> Option<LabelRange> {
        let hand = self.hands.get(who)?;
        let only_first = !self.fresh.is_empty() || !self.back.is_empty();
        let waited_for = self.first_unmade().filter(|first| {
            let made = self.made.first_key_value().is_some_and(|(made, _)| made < first);
            !made && self.writing == 0
        });
        let ranges: BTreeSet<(u64, u64)> =
            self.jobs.iter().map(|job| (job.range.start, job.range.end)).collect();
        let sooner = |range: &LabelRange| {
            let theirs = self.jobs.iter().filter(|job| job.range == *range);
            let theirs = theirs.map(|job| self.rest(job, now)).fold(f64::INFINITY, f64::min);
            hand.needs(count(range)).unwrap_or(GUESS) < theirs
        };
        ranges
            .into_iter()
            .map(|(start, end)| start..end)
            .filter(|range| !only_first || waited_for == Some(range.start))
            .find(sooner)
    }

    /// Seconds that a job is thought to take still. One that is late will be as late again.
    fn rest(&self, job: &Job, now: Duration) -> f64 {
        let hand = self.hands.get(job.by);
        let all = hand.and_then(|hand| hand.needs(count(&job.range))).unwrap_or(0.0);
        (all - now.saturating_sub(job.since).as_secs_f64()).abs()
    }

    /// Whether one of the others would be through with all that is left before `who` is with so
    /// many labels of it. Of all members one at least is not told so.
    fn would_be_last(&self, who: usize, size: u64, now: Duration) -> bool {
        let left = self.left();
        let needs = |who: usize, labels| self.hands.get(who).and_then(|hand| hand.needs(labels));
        let Some(mine) = needs(who, size.min(left)) else { return false };
        let others = (0..self.hands.len()).filter(|other| *other != who);
        others.filter(|other| self.rate(*other, now) > 0.0).any(|other| {
            let first = self.jobs.iter().find(|job| job.by == other);
            let first = first.map_or(0.0, |job| self.rest(job, now));
            needs(other, left).is_some_and(|then| first + then < mine)
        })
    }

    /// Labels a second that a member can be counted on for: none where it is twice as late as it
    /// should be.
    fn rate(&self, who: usize, now: Duration) -> f64 {
        let Some(hand) = self.hands.get(who).filter(|hand| !hand.out) else { return 0.0 };
        let lost = match self.jobs.iter().find(|job| job.by == who) {
            None => hand.busy,
            Some(job) => {
                let all = hand.needs(count(&job.range)).unwrap_or(0.0);
                now.saturating_sub(job.since).as_secs_f64() > 2.0 * all + GUESS
            }
        };
        if lost { 0.0 } else { hand.rate() }
    }

    fn is_alone(&self, who: usize) -> bool {
        !(0..).zip(&self.hands).any(|(other, hand)| other != who && !hand.out)
    }
}

fn count(range: &LabelRange) -> u64 {
    range.end.saturating_sub(range.start)
}

#[cfg(test)]
mod tests;
