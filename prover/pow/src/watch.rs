//! How a long computation heeds whoever waits for it.

use core::fmt;
use core::time::Duration;
use std::time::Instant;

/// What the caller of a long computation wants to be asked and told. Every thread of it does so,
/// many times a second.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Whether to give up.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Told how long the thread has worked without a pause; the time it takes is the thread's
    /// rest.
    pub rest: &'a (dyn Fn(Duration) + Sync),
}

impl Watch<'static> {
    /// Nobody stops it, and it never rests.
    pub const NONE: Self = Self { stop: &|| false, rest: &|_| () };
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// Work between two rests: long beside the precision of a sleep, short for people.
const STRETCH: Duration = Duration::from_millis(50);

/// A thread's time at work.
pub(crate) struct Shift<'a> {
    watch: Watch<'a>,
    since: Instant,
}

impl<'a> Shift<'a> {
    /// Begins now.
    pub(crate) fn new(watch: Watch<'a>) -> Self {
        Self { watch, since: Instant::now() }
    }

    /// Takes the rest that is due, if any; whether to go on after it.
    pub(crate) fn goes_on(&mut self) -> bool {
        let worked = self.since.elapsed();
        if worked >= STRETCH {
            (self.watch.rest)(worked);
            self.since = Instant::now();
        }
        !(self.watch.stop)()
    }
}
