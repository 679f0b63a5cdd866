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

use crate::devices::{Device, Kind};
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

/// How work is cut for a kind of device, before anything is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    /// Invocations of a workgroup.
    workgroup: u32,
    /// Labels in flight that the search for the best number begins with.
    labels: u32,
}

impl Cut {
    /// Software runs a workgroup on one thread, some invocations at a time: a few labels for each
    /// thread keep it busy, and more would only drive each other out of its cache.
    fn of(kind: Kind) -> Self {
        if kind != Kind::Software {
            return Self { workgroup: 64, labels: 1024 };
        }
        let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
        let labels = u32::try_from(threads).unwrap_or(1).saturating_mul(8);
        Self { workgroup: 8, labels }
    }
}

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
        let cut = Cut::of(device.kind);
        let prepared = Prepared::new(device.open()?, device.limits(), cut.workgroup)?;
        let build = |gap, mixing| Hardware::new(&prepared, &commitment, n, gap, mixing);
        let most = |engine: &Hardware| engine.labels_within(settings.memory.unwrap_or(u64::MAX));
        let (tuning, memory, engine) = match settings.tuning {
            Some(tuning) => (tuning, Memory::settled(), build(tuning.gap, tuning.mixing)?),
            None => {
                let (gap, mixing) = fastest(|gap, mixing| {
                    let engine = build(gap, mixing)?;
                    // All with the same memory.
                    let labels = (cut.labels / 2).saturating_mul(gap.get()).min(most(&engine));
                    let memory = Memory::settled();
                    let mut machine = Machine::new(engine, n, settings.target, memory, labels);
                    machine.check_known(&commitment)?;
                    machine.trial()
                })?;
                let engine = build(gap, mixing)?;
                (Tuning { gap, mixing, labels: cut.labels }, Memory::new(most(&engine)), engine)
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

/// The gap and the way of mixing for which `trial` found the highest rate. A way that this driver
/// does not compile, has no memory for, or gets wrong is passed over; a device that is lost or
/// silent is of no use in any way.
fn fastest(
    mut trial: impl FnMut(Gap, Mixing) -> Result<f64, Fault>,
) -> Result<(Gap, Mixing), Fault> {
    let mut best: Option<(f64, Gap, Mixing)> = None;
    let mut passed = Fault::Refused("it cannot be tried".to_owned());
    for gap in Gap::ALL {
        for mixing in Mixing::ALL {
            match trial(gap, mixing) {
                Ok(rate) if best.is_none_or(|(most, ..)| rate > most) => {
                    best = Some((rate, gap, mixing));
                }
                Ok(_) => {}
                Err(fault @ (Fault::Lost(_) | Fault::Hung { .. })) => return Err(fault),
                Err(fault) => passed = fault,
            }
        }
    }
    best.map(|(_, gap, mixing)| (gap, mixing)).ok_or(passed)
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

#[cfg(test)]
mod tests {
    use super::*;
    use post::LabelIndex;

    /// What is found where `bad` ways end in `fault`; of the others, later ones are faster.
    fn found(bad: &[(Gap, Mixing)], fault: &Fault) -> (Result<(Gap, Mixing), Fault>, usize) {
        let mut tried = 0;
        let found = fastest(|gap, mixing| {
            tried += 1;
            if bad.contains(&(gap, mixing)) { Err(fault.clone()) } else { Ok(f64::from(tried)) }
        });
        (found, tried as usize)
    }

    #[test]
    fn the_fastest_way_is_taken() {
        let rates = [3.0, 1.0, 5.0, 4.0, 2.0, 0.5];
        let mut next = rates.into_iter();
        let found = fastest(|_, _| Ok(next.next().unwrap()));
        assert_eq!(found, Ok((Gap::Two, Mixing::Plain)));
    }

    #[test]
    fn a_way_that_fails_is_passed_over_and_the_device_is_not() {
        let faults = [
            Fault::Refused("it does not compile".to_owned()),
            Fault::WrongLabel { index: LabelIndex(1 << 32) },
            Fault::OutOfMemory { labels: 64, bytes: 64 << 20 },
            Fault::TooLarge { n: 8192, bytes: 1 << 20, limit: 1 << 19 },
        ];
        let ways: Vec<_> =
            Gap::ALL.into_iter().flat_map(|gap| Mixing::ALL.map(|mixing| (gap, mixing))).collect();
        for fault in &faults {
            // One after the other, and all but the first.
            for way in &ways {
                let best = if *way == ways[5] { ways[4] } else { ways[5] };
                assert_eq!(found(&[*way], fault), (Ok(best), 6));
            }
            assert_eq!(found(&ways[1..], fault), (Ok(ways[0]), 6));
            assert_eq!(found(&ways, fault), (Err(fault.clone()), 6));
        }
        for fault in [Fault::Lost("reset".to_owned()), Fault::Hung { seconds: 60 }] {
            assert_eq!(found(&ways[2..], &fault), (Err(fault), 3));
        }
    }
}
