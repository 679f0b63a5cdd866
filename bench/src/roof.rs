//! The roof of a GPU over several slices: what its memory and its arithmetic did in each.

use crate::stats::Summary;
use gpu::{Cost, Device, Fault, Gap, Roofline};
use post::ScryptN;
use std::time::Duration;

/// Measurements of one device.
#[derive(Debug)]
pub(crate) struct Roof {
    probe: Roofline,
    /// Bytes a second, and operations a second, of each slice.
    copy: Vec<f64>,
    operations: Vec<f64>,
}

impl Roof {
    pub(crate) fn new(device: &Device) -> Result<Self, Fault> {
        Ok(Self { probe: Roofline::new(device)?, copy: Vec::new(), operations: Vec::new() })
    }

    /// Measures both for a slice of this length together.
    pub(crate) fn measure(&mut self, slice: Duration) -> Result<(), Fault> {
        self.copy.push(self.probe.copy(slice / 2)?);
        self.operations.push(self.probe.operate(slice / 2)?);
        Ok(())
    }

    /// Bytes a second copied and operations a second; `None` before anything was measured.
    pub(crate) fn summaries(&self) -> Option<[Summary; 2]> {
        Some([Summary::of(&self.copy)?, Summary::of(&self.operations)?])
    }

    /// Labels a second at most by what was measured last: by memory, and by arithmetic.
    pub(crate) fn labels(&self, n: ScryptN, gap: Gap) -> [f64; 2] {
        let last = |rates: &[f64]| rates.last().copied().unwrap_or(f64::INFINITY);
        Cost::of(n, gap).limits(last(&self.copy), last(&self.operations))
    }

    /// Bytes of the buffer that is copied.
    pub(crate) fn copy_bytes(&self) -> u64 {
        self.probe.copy_bytes()
    }
}

/// GiB a second from bytes a second.
pub(crate) fn gibibytes(bytes: f64) -> f64 {
    bytes / f64::from(1 << 30)
}
