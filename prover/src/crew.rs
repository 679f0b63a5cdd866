//! The crew: all devices that make labels, at work on one queue of ranges.
//!
//! Each member has a thread of its own ([`floor`]) and pulls ranges at its own pace ([`queue`]).
//! The calling thread gets what they made in the order of the labels, looks at some of each
//! ([`look`]) and is the only one that hands on, so that a disk is written by one while the
//! devices go on.
//!
//! A device that makes a wrong label is left out for good, and what it made and is not handed on
//! is made by the others. One that fails a few times in a row is left out too. The crew knows
//! nothing of files, nor what its devices are.

mod floor;
mod look;
mod queue;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use look::Draw;

use crate::args::WorkArgs;
use crate::devices::Chosen;
use crate::make::{MakeError, draw_below};
use crate::pace::Paced;
use crate::settings;
use floor::Floor;
use look::{Inspector, Look};
use post::label::{Candidate, LabelFault};
use post::{Commitment, LabelRange, Labeler, ScryptN};
use queue::{Hand, Queue};
use std::ops::ControlFlow;

/// A device and what people call it: `cpu`, `gpu:10de-2684`.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) labeler: Box<dyn Labeler + Send>,
}

/// What a device contributed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Share {
    pub(crate) name: String,
    /// Labels that were used.
    pub(crate) labels: u64,
    /// Labels a second of late; 0 before the first.
    pub(crate) rate: f64,
}

impl Share {
    fn of(name: &str, hand: &Hand) -> Self {
        Self { name: name.to_owned(), labels: hand.labels(), rate: hand.rate() }
    }
}

/// Labels whose turn it is, looked at.
pub(crate) struct Made<'a> {
    pub(crate) range: LabelRange,
    /// 16 bytes each.
    pub(crate) labels: &'a [u8],
    /// The smallest of them.
    pub(crate) smallest: Option<Candidate>,
    /// What each device contributed by now.
    pub(crate) shares: Vec<Share>,
}

/// What takes labels, in order. It may say that it has enough.
pub(crate) type Sink<'a> = dyn FnMut(Made<'_>) -> Result<ControlFlow<()>, MakeError> + 'a;

/// Devices that make labels together, bound to one commitment and one N.
pub(crate) struct Crew {
    members: Vec<Member>,
    hands: Vec<Hand>,
    inspector: Inspector,
    /// See [`Labeler::kernel`].
    kernel: String,
}

/// The devices that were chosen.
pub(crate) fn of(devices: &[Chosen], work: &WorkArgs, commitment: Commitment, n: ScryptN) -> Crew {
    let pace = settings::pace(work);
    let member = |device: &Chosen| Member {
        name: device.name().to_owned(),
        labeler: Box::new(Paced::new(device.labels(commitment, n, work), pace)),
    };
    let members = devices.iter().map(member).collect();
    Crew::new(commitment, n, members, Box::new(draw_below))
}

impl Crew {
    /// A crew of these devices, all bound to `commitment` and `n`. `draw` decides which labels are
    /// looked at.
    pub(crate) fn new(
        commitment: Commitment,
        n: ScryptN,
        members: Vec<Member>,
        draw: Draw,
    ) -> Self {
        let hands = vec![Hand::default(); members.len()];
        let inspector = Inspector::new(commitment, n, draw);
        let mut crew = Self { members, hands, inspector, kernel: String::new() };
        crew.note_kernel();
        crew
    }

    pub(crate) fn commitment(&self) -> Commitment {
        self.inspector.commitment
    }

    pub(crate) fn n(&self) -> ScryptN {
        self.inspector.n
    }

    /// Draws a number below `bound`.
    pub(crate) fn draw(&mut self, bound: u64) -> u64 {
        (self.inspector.draw)(bound)
    }

    /// What these devices and this version are called in the list of makers.
    pub(crate) fn maker(&self) -> String {
        format!("{}, postmesh {}", titles(&self.members), env!("CARGO_PKG_VERSION"))
    }

    /// What each device contributed since the crew was put together.
    pub(crate) fn shares(&self) -> Vec<Share> {
        let all = self.members.iter().zip(&self.hands);
        all.map(|(member, hand)| Share::of(&member.name, hand)).collect()
    }

    /// The devices that get no more work, and why.
    pub(crate) fn left_out(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let why = |hand: &Hand| match (hand.lied(), hand.is_out()) {
            (true, _) => Some("it made a wrong label"),
            (false, true) => Some("it failed several times in a row"),
            (false, false) => None,
        };
        let all = self.members.iter().zip(&self.hands);
        all.filter_map(move |(member, hand)| Some((member.name.as_str(), why(hand)?)))
    }

    /// The devices that made wrong labels.
    pub(crate) fn distrusted(&self) -> impl Iterator<Item = &str> {
        let all = self.members.iter().zip(&self.hands);
        all.filter(|(_, hand)| hand.lied()).map(|(member, _)| member.name.as_str())
    }

    /// Makes `ranges`, which ascend, and hands them to `sink` in order, in pieces of any size that
    /// may reach from one range into the next where these touch.
    ///
    /// # Errors
    /// [`LabelFault::Stopped`] when `stop` says so; the sink's; that of the last device when none
    /// is left. What the sink got before is right.
    pub(crate) fn run(
        &mut self,
        ranges: &[LabelRange],
        stop: &(dyn Fn() -> bool + Sync),
        sink: &mut Sink<'_>,
    ) -> Result<(), MakeError> {
        self.work(ranges, stop, sink, Inspector::before_keeping)
    }

    fn work(
        &mut self,
        ranges: &[LabelRange],
        stop: &(dyn Fn() -> bool + Sync),
        sink: &mut Sink<'_>,
        look: Look,
    ) -> Result<(), MakeError> {
        let hands = std::mem::take(&mut self.hands);
        let floor = Floor::new(Queue::new(ranges, hands), &self.members, stop);
        let Self { members, inspector, .. } = self;
        let result = floor.run(members, sink, &mut |range, labels, claimed| {
            look(inspector, range, labels, claimed)
        });
        self.hands = floor.into_hands();
        self.note_kernel();
        result
    }

    /// A GPU says which kernel it runs once it was opened.
    fn note_kernel(&mut self) {
        self.kernel = match self.members.as_slice() {
            [alone] => alone.labeler.kernel().to_owned(),
            all => titles(all),
        };
    }
}

/// One range into the caller's buffer, for what asks a single device: [`Crew::run`] is for labels
/// that are kept.
impl Labeler for Crew {
    fn fill(
        &mut self,
        range: LabelRange,
        out: &mut [u8],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Candidate>, LabelFault> {
        post::label::check_room(&range, out)?;
        let (mut smallest, mut rest) = (None, out);
        let mut sink = |made: Made<'_>| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(made.labels.len());
            part.copy_from_slice(made.labels);
            rest = after;
            smallest = Candidate::better(smallest, made.smallest);
            Ok(ControlFlow::Continue(()))
        };
        match self.work(&[range], stop, &mut sink, Inspector::before_comparing) {
            Ok(()) => Ok(smallest),
            Err(MakeError::Label(fault)) => Err(fault),
            Err(other) => Err(LabelFault::Device(other.to_string())),
        }
    }

    fn kernel(&self) -> &str {
        &self.kernel
    }
}

/// `cpu avx2 + gpu:10de-2684 wgsl, gap 2`: every device and its kernel.
fn titles(members: &[Member]) -> String {
    let title = |member: &Member| format!("{} {}", member.name, member.labeler.kernel());
    members.iter().map(title).collect::<Vec<_>>().join(" + ")
}

/// Whether `device` is among those that [`Crew::maker`] named so.
pub(crate) fn took_part(device: &str, maker: &str) -> bool {
    let titles = maker.rsplit_once(", postmesh ").map_or(maker, |(titles, _)| titles);
    let of = |title: &str| title.strip_prefix(device).is_some_and(|rest| rest.starts_with(' '));
    titles.split(" + ").any(of)
}
