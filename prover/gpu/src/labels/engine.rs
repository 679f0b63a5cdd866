//! What makes labels step by step: a GPU, or in tests something that fails when told to.

use super::pace::Steps;
use crate::fault::Fault;
use core::time::Duration;
use post::{FullLabel, LabelIndex};

/// What one submission does. The steps of a batch come one after the other, the first with
/// `starts`, the last with `ends`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    /// The batch's first label.
    pub(crate) first: LabelIndex,
    /// How many labels are in it.
    pub(crate) labels: u32,
    /// Whether it seeds the labels first.
    pub(crate) starts: bool,
    /// Steps of filling that were done before.
    pub(crate) filled: u32,
    /// How many steps it does.
    pub(crate) steps: Steps,
    /// Whether it finishes the labels, which [`Engine::wait`] then returns.
    pub(crate) ends: bool,
}

/// A device that makes labels of one commitment and N, in batches.
pub(crate) trait Engine {
    /// Makes room for at least `labels` in flight, in place of the room that there was, and says
    /// for how many. Nothing may be in flight.
    ///
    /// [`Fault::OutOfMemory`] leaves the engine usable, but without any room.
    fn resize(&mut self, labels: u32) -> Result<u32, Fault>;

    /// Queues work behind the work queued before.
    fn submit(&mut self, work: &Work) -> Result<(), Fault>;

    /// Waits for the oldest work in flight.
    fn wait(&mut self) -> Result<Done, Fault>;
}

/// Work that is done.
#[derive(Debug)]
pub(crate) struct Done {
    /// How long the device had it, from when it was free for it.
    pub(crate) took: Duration,
    /// The labels, if the work ended a batch.
    pub(crate) labels: Vec<FullLabel>,
}
