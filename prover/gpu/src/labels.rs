//! Labels by one GPU: [`Labels`] is a [`Labeler`] whose batches run in slices.
//!
//! `machine` decides what is done next and knows no GPU; `hardware` does it. Between them stands
//! the trait `Engine`.

mod engine;
mod hardware;
mod layout;
mod machine;
mod memory;
mod pace;

use crate::devices::Device;
use crate::fault::Fault;
use core::time::Duration;
use hardware::{Hardware, Prepared};
use machine::Machine;
use memory::Memory;
use post::label::LabelFault;
use post::{Candidate, Commitment, LabelRange, Labeler, ScryptN};
use serde::{Deserialize, Serialize};

pub use layout::Gap;
pub(crate) use layout::{Limits, ROW_BYTES};

/// How a GPU reads rows of scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mixing {
    /// Each invocation its own.
    Plain,
    /// Eight invocations one together, which suits cards that read memory in wide lines.
    Cooperative,
}

impl Mixing {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Cooperative];
}

/// What was found to be best for a device, its driver and N. Worth keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuning {
    /// Which rows are stored.
    pub gap: Gap,
    /// How rows are read.
    pub mixing: Mixing,
    /// Labels in flight.
    pub labels: u32,
}

/// How a device is to be treated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How long a dispatch takes: shorter ones leave the desktop smoother.
    pub target: Duration,
    /// The most bytes of scratch; the device's own memory is the limit without.
    pub memory: Option<u64>,
    /// What was found before, instead of measuring.
    pub tuning: Option<Tuning>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { target: Duration::from_millis(50), memory: None, tuning: None }
    }
}

/// Invocations of a workgroup.
const WORKGROUP: u32 = 64;

/// Labels in flight that the search for the best number begins with.
const LABELS_FIRST: u32 = 1024;

/// Labels on a GPU, bound to one commitment and N.
#[derive(Debug)]
pub struct Labels {
    machine: Machine<Hardware>,
    tuning: Tuning,
}

impl Labels {
    /// Labels of `commitment` on `device`. Compiles shaders, and compares a few labels with the
    /// CPU's; without a tuning it measures which way of mixing is the fastest here: seconds.
    ///
    /// # Errors
    /// [`Fault`]: the device cannot be opened, has too little memory, or makes wrong labels.
    pub fn new(
        device: &Device,
        commitment: Commitment,
        n: ScryptN,
        settings: Settings,
    ) -> Result<Self, Fault> {
        let prepared = Prepared::new(device.open()?, device.limits(), WORKGROUP)?;
        let build = |gap, mixing| Hardware::new(&prepared, &commitment, n, gap, mixing);
        let most = |engine: &Hardware| engine.labels_within(settings.memory.unwrap_or(u64::MAX));
        let (tuning, memory, engine) = match settings.tuning {
            Some(tuning) => (tuning, Memory::settled(), build(tuning.gap, tuning.mixing)?),
            None => {
                let (gap, mixing) = fastest(n, settings.target, build)?;
                let engine = build(gap, mixing)?;
                let (memory, labels) = (Memory::new(most(&engine)), LABELS_FIRST);
                (Tuning { gap, mixing, labels }, memory, engine)
            }
        };
        let labels = tuning.labels.min(most(&engine)).max(1);
        let mut machine = Machine::new(engine, n, settings.target, memory, labels);
        machine.check_known(&commitment)?;
        Ok(Self { machine, tuning })
    }

    /// What is best here, as far as it was found out by now, and whether that is settled.
    #[must_use]
    pub fn tuning(&self) -> (Tuning, bool) {
        let labels = self.machine.labels();
        (Tuning { labels, ..self.tuning }, self.machine.is_settled())
    }

    /// How long the last dispatches took, the oldest first: some thousands of those that were about
    /// as many labels as can be in flight.
    pub fn dispatch_times(&self) -> impl Iterator<Item = Duration> {
        self.machine.times()
    }

    /// As [`Labeler::fill`], with faults that a program can tell apart. After any fault but
    /// [`Fault::Stopped`] and [`Fault::OutOfMemory`] the device must be opened again.
    ///
    /// # Errors
    /// [`Fault`]; `out` then means nothing.
    pub fn try_fill(
        &mut self,
        range: LabelRange,
        out: &mut [u8],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Candidate>, Fault> {
        self.machine.fill(range, out, stop)
    }
}

/// The gap and the way of mixing by which this device makes most labels, by a short trial of each
/// with the same memory.
fn fastest(
    n: ScryptN,
    target: Duration,
    build: impl Fn(Gap, Mixing) -> Result<Hardware, Fault>,
) -> Result<(Gap, Mixing), Fault> {
    let mut best: Option<(f64, Gap, Mixing)> = None;
    let mut fault = None;
    for gap in Gap::ALL {
        for mixing in Mixing::ALL {
            let trial = build(gap, mixing).and_then(|engine| {
                let labels = (LABELS_FIRST / 2).saturating_mul(gap.get());
                Machine::new(engine, n, target, Memory::settled(), labels).trial()
            });
            match trial {
                Ok(rate) if best.is_none_or(|(most, ..)| rate > most) => {
                    best = Some((rate, gap, mixing));
                }
                Ok(_) => {}
                Err(trouble @ (Fault::TooLarge { .. } | Fault::OutOfMemory { .. })) => {
                    fault = Some(trouble);
                }
                Err(trouble) => return Err(trouble),
            }
        }
    }
    match (best, fault) {
        (Some((_, gap, mixing)), _) => Ok((gap, mixing)),
        (None, fault) => Err(fault.unwrap_or(Fault::Refused("it cannot be tried".to_owned()))),
    }
}

impl Labeler for Labels {
    fn fill(
        &mut self,
        range: LabelRange,
        out: &mut [u8],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Candidate>, LabelFault> {
        Ok(self.try_fill(range, out, stop)?)
    }

    fn kernel(&self) -> &str {
        match (self.tuning.gap, self.tuning.mixing) {
            (Gap::One, Mixing::Plain) => "wgsl, gap 1",
            (Gap::Two, Mixing::Plain) => "wgsl, gap 2",
            (Gap::Four, Mixing::Plain) => "wgsl, gap 4",
            (Gap::One, Mixing::Cooperative) => "wgsl, gap 1, cooperative",
            (Gap::Two, Mixing::Cooperative) => "wgsl, gap 2, cooperative",
            (Gap::Four, Mixing::Cooperative) => "wgsl, gap 4, cooperative",
        }
    }

    fn batch(&self) -> u64 {
        self.machine.labels().into()
    }
}
