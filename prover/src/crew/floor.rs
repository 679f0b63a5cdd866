//! Where a crew works: a thread for each member, and the caller's, which collects what they make.

use super::look::Seen;
use super::queue::{self, Hand, Next, Queue};
use super::{Made, Member, Share, Sink};
use crate::make::MakeError;
use post::label::{Candidate, LabelFault};
use post::{LABEL_BYTES, LabelIndex, LabelRange};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long somebody who waits for others sleeps before it looks for itself: whether the user wants
/// to stop, whether another is late.
const NAP: Duration = Duration::from_millis(100);

/// Labels of 16 bytes, and what the device says is the smallest.
type Filled = (Vec<u8>, Option<Candidate>);

/// Labels whose turn it is, and what each device contributed by now.
type Ready = (queue::Made<Filled>, Vec<Share>);

/// Looks at a range: gives its smallest label, or one that is wrong.
type Look<'a> = dyn FnMut(&LabelRange, &[u8], Option<Candidate>) -> Seen + 'a;

/// One run of a crew.
pub(super) struct Floor<'a> {
    state: Mutex<State>,
    /// Told whenever the state changed.
    changed: Condvar,
    /// One a member.
    desks: Vec<Desk>,
    start: Instant,
    stop: &'a (dyn Fn() -> bool + Sync),
}

struct State {
    queue: Queue<Filled>,
    /// Why the run cannot go on.
    end: Option<MakeError>,
    /// Whether nothing is begun any more.
    closed: bool,
}

struct Desk {
    name: String,
    kernel: String,
    /// Tells the member that what it makes is of no use any more.
    leave: AtomicBool,
}

impl<'a> Floor<'a> {
    pub(super) fn new(
        queue: Queue<Filled>,
        members: &[Member],
        stop: &'a (dyn Fn() -> bool + Sync),
    ) -> Self {
        let desk = |Member { name, labeler }: &Member| Desk {
            name: name.clone(),
            kernel: labeler.kernel().to_owned(),
            leave: AtomicBool::new(false),
        };
        let desks = members.iter().map(desk).collect();
        let state = Mutex::new(State { queue, end: None, closed: false });
        Self { state, changed: Condvar::new(), desks, start: Instant::now(), stop }
    }

    pub(super) fn into_hands(self) -> Vec<Hand> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).queue.into_hands()
    }

    /// Lets the members work until all is made and handed to `sink`.
    ///
    /// # Errors
    /// Those of [`super::Crew::run`].
    pub(super) fn run(
        &self,
        members: &mut [Member],
        sink: &mut Sink<'_>,
        look: &mut Look<'_>,
    ) -> Result<(), MakeError> {
        if self.lock().queue.is_deserted() {
            return Err(LabelFault::Device("no device is left to make labels".to_owned()).into());
        }
        thread::scope(|scope| {
            // However this ends, the members go home.
            let _closing = Closing(self);
            for (who, member) in members.iter_mut().enumerate() {
                let thread = thread::Builder::new().name(member.name.clone());
                if let Err(error) = thread.spawn_scoped(scope, move || self.employ(who, member)) {
                    self.leave_out(who, &format!("no thread can be started: {error}"));
                }
            }
            self.collect(sink, look)
        })
    }

    fn collect(&self, sink: &mut Sink<'_>, look: &mut Look<'_>) -> Result<(), MakeError> {
        while let Some((made, shares)) = self.next_made()? {
            let queue::Made { range, by, value: (labels, claimed) } = made;
            match look(&range, &labels, claimed) {
                Err(index) => self.distrust(by, range, index),
                Ok(smallest) => {
                    if sink(Made { range, labels: &labels, smallest, shares })?.is_break() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// The labels whose turn it is, as soon as they are there; `None` when all are written.
    fn next_made(&self) -> Result<Option<Ready>, MakeError> {
        let mut state = self.lock();
        loop {
            let made = state.queue.pop();
            // What was written before made room.
            self.changed.notify_all();
            if let Some(made) = made {
                let all = self.desks.iter().zip(state.queue.hands());
                let shares = all.map(|(desk, hand)| Share::of(&desk.name, hand)).collect();
                return Ok(Some((made, shares)));
            }
            if state.queue.is_over() {
                return Ok(None);
            }
            if let Some(end) = state.end.take() {
                return Err(end);
            }
            if (self.stop)() {
                return Err(LabelFault::Stopped.into());
            }
            state = self.wait(state);
        }
    }

    /// What a member's thread does.
    fn employ(&self, who: usize, member: &mut Member) {
        let _alarm = Alarm { floor: self, who };
        let Some(desk) = self.desks.get(who) else { return };
        while let Some(range) = self.next_range(who, member.labeler.batch()) {
            let count = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            let mut labels = vec![0; count.saturating_mul(LABEL_BYTES)];
            let stop = || desk.leave.load(Ordering::Relaxed) || (self.stop)();
            let filled = member.labeler.fill(range, &mut labels, &stop);
            self.report(who, filled.map(|smallest| (labels, smallest)));
        }
    }

    fn next_range(&self, who: usize, batch: u64) -> Option<LabelRange> {
        let mut state = self.lock();
        while !state.closed {
            match state.queue.next(who, batch, self.start.elapsed()) {
                Next::Make(range) => {
                    self.tell(&state);
                    return Some(range);
                }
                Next::Leave => return None,
                Next::Wait => state = self.wait(state),
            }
        }
        None
    }

    /// What became of a member's range.
    fn report(&self, who: usize, filled: Result<Filled, LabelFault>) {
        let mut state = self.lock();
        match filled {
            Ok(filled) => state.queue.done(who, self.start.elapsed(), filled),
            Err(LabelFault::Stopped) if state.queue.wants(who) => {
                state.end.get_or_insert(LabelFault::Stopped.into());
                state.closed = true;
            }
            // It was told to leave: another made the range.
            Err(LabelFault::Stopped) => {}
            Err(LabelFault::Device(why)) => {
                if state.queue.failed(who) {
                    self.miss(&mut state, who, &why);
                }
            }
        }
        self.tell(&state);
    }

    fn leave_out(&self, who: usize, why: &str) {
        let mut state = self.lock();
        state.queue.leave_out(who);
        self.miss(&mut state, who, why);
        self.tell(&state);
    }

    /// Goes on without a member, if there is another.
    fn miss(&self, state: &mut State, who: usize, why: &str) {
        if state.queue.is_deserted() {
            state.end = Some(LabelFault::Device(why.to_owned()).into());
        } else if let Some(Desk { name, .. }) = self.desks.get(who) {
            tracing::warn!("{name} is left out, the others go on: {why}");
        }
    }

    /// What a member made is wrong: it makes no more.
    fn distrust(&self, who: usize, range: LabelRange, index: LabelIndex) {
        let Some(Desk { name, kernel, .. }) = self.desks.get(who) else { return };
        let mut state = self.lock();
        state.queue.distrust(who, range);
        if state.queue.is_deserted() {
            state.end = Some(MakeError::Wrong { kernel: kernel.clone(), index });
        } else {
            tracing::warn!(
                "{name} made a wrong label at {index} ({kernel} kernel): it is left out, and the \
                 others make what it made and was not written"
            );
        }
        self.tell(&state);
    }

    /// Tells everybody that the state changed, and members whose work is of no use to leave it.
    fn tell(&self, state: &State) {
        for (who, desk) in self.desks.iter().enumerate() {
            desk.leave.store(state.closed || !state.queue.wants(who), Ordering::Relaxed);
        }
        self.changed.notify_all();
    }

    fn wait<'b>(&self, state: MutexGuard<'b, State>) -> MutexGuard<'b, State> {
        let waited = self.changed.wait_timeout(state, NAP);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the run when it is dropped.
struct Closing<'a>(&'a Floor<'a>);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        self.0.tell(&state);
    }
}

/// Does not let the others wait for a member whose thread panics.
struct Alarm<'a> {
    floor: &'a Floor<'a>,
    who: usize,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.floor.leave_out(self.who, "its thread panicked");
        }
    }
}
