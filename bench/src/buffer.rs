//! Memory that starts on a page: for direct IO, and for measuring memory itself.

use crate::outcome::{Result, because};
use core::ops::{Deref, DerefMut};
use memmap2::MmapMut;

/// Bytes of anonymous memory, zero at first. No file is behind them.
#[derive(Debug)]
pub(crate) struct Buffer(MmapMut);

impl Buffer {
    /// Memory of this length, on huge pages where the system has them.
    pub(crate) fn new(bytes: usize) -> Result<Self> {
        let map = MmapMut::map_anon(bytes.max(1));
        let mut map = map.map_err(because(format!("no memory for a buffer of {bytes} bytes")))?;
        // A refusal costs speed, and nothing else.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        map.fill(0); // the pages come with the first touch, and not while time is measured
        Ok(Self(map))
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
