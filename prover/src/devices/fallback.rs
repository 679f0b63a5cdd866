//! A scan that goes on by the CPU when its GPU fails: a proof must come, by whatever.

use crate::worker::RemoteScan;
use cpu::Scan;
use post::LabelIndex;
use post::search::{Hit, ScanFault, Scanner};

/// A GPU, and one thread of the CPU that takes its place.
pub(super) struct Fallback {
    /// `None` once it has failed.
    gpu: Option<RemoteScan>,
    cpu: Scan,
}

impl Fallback {
    pub(super) fn new(gpu: RemoteScan, cpu: Scan) -> Self {
        Self { gpu: Some(gpu), cpu }
    }
}

impl Scanner for Fallback {
    fn scan(&mut self, first: LabelIndex, labels: &[u8]) -> Result<Vec<Hit>, ScanFault> {
        if let Some(gpu) = &mut self.gpu {
            match gpu.scan(first, labels) {
                Err(fault) => {
                    tracing::warn!("{fault}; a thread of the CPU scans in its place");
                    self.gpu = None;
                }
                found => return found,
            }
        }
        self.cpu.scan(first, labels)
    }

    fn kernel(&self) -> &str {
        self.gpu.as_ref().map_or_else(|| self.cpu.kernel(), |gpu| gpu.kernel())
    }
}
