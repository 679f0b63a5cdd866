//! RandomX as this machine can run it: light or fast, with what the CPU and the system allow.

use crate::ffi::{self, Cache, Dataset, Flags, Memory, Vm};
use core::fmt;
use post::k2pow::{CACHE_KEY, Input, PowHash};
use thiserror::Error;

/// How much memory buys how much speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// 256 MiB; a hash takes tens of milliseconds. Enough to verify.
    Light,
    /// 2 GiB, filled once in as much time as about two thousand light hashes; then several times
    /// faster. Worth it to solve a real difficulty.
    Fast,
}

/// RandomX cannot run here.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PowFault {
    /// The 256 MiB cache could not be allocated.
    #[error("no memory for RandomX's cache: it needs 256 MiB")]
    Cache,
    /// The 2 GiB dataset could not be allocated.
    #[error("no memory for RandomX's dataset: fast mode needs 2.3 GiB, light mode only 256 MiB")]
    Dataset,
    /// The caller asked to stop while memory was being prepared.
    #[error("stopped on request")]
    Stopped,
    /// No virtual machine could be made, not even an interpreter.
    #[error("no RandomX machine could be made: out of memory")]
    Machine,
}

/// RandomX under the one key that k2pow uses, ready to hash on any number of threads.
#[derive(Debug)]
pub struct RandomX {
    memory: Memory,
    mode: Mode,
    flags: Flags,
}

impl RandomX {
    /// Prepares the memory: a second for light mode; a minute or more of all `threads` for fast.
    ///
    /// Large pages are used where the system offers them; where it forbids compiled code that is
    /// writable, stricter flags and in the end the interpreter are tried.
    ///
    /// # Errors
    /// [`PowFault`]: memory is short.
    pub fn new(mode: Mode, threads: usize) -> Result<Self, PowFault> {
        Self::stoppable(mode, threads, &|| false)
    }

    /// As [`RandomX::new`]; gives up within a second when `stop` says so.
    ///
    /// # Errors
    /// [`PowFault::Stopped`], or memory is short.
    pub fn stoppable(
        mode: Mode,
        threads: usize,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self, PowFault> {
        let base = ffi::recommended_flags();
        let candidates = [base, base | ffi::SECURE, base & !ffi::JIT];
        let mut fault = PowFault::Cache;
        for flags in candidates {
            for large in [ffi::LARGE_PAGES, 0] {
                match Self::with_flags(mode, flags | large, threads, stop) {
                    Ok(randomx) => return Ok(randomx),
                    Err(PowFault::Stopped) => return Err(PowFault::Stopped),
                    Err(why) => fault = why,
                }
            }
        }
        Err(fault)
    }

    fn with_flags(
        mode: Mode,
        flags: Flags,
        threads: usize,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self, PowFault> {
        let cache = Cache::new(flags, CACHE_KEY).ok_or(PowFault::Cache)?;
        let (memory, flags) = match mode {
            Mode::Light => (Memory::Light(cache), flags),
            Mode::Fast => {
                let flags = flags | ffi::FULL_MEM;
                let dataset = Dataset::new(flags, &cache, threads, stop)?;
                (Memory::Fast(dataset), flags)
            }
        };
        let randomx = Self { memory, mode, flags };
        randomx.machine()?; // the flags hold for machines too
        Ok(randomx)
    }

    /// Which mode it runs in.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// A machine of one's own: 2 MiB, for one thread at a time.
    pub(crate) fn machine(&self) -> Result<Vm<'_>, PowFault> {
        Vm::new(self.flags, &self.memory).ok_or(PowFault::Machine)
    }
}

impl fmt::Display for RandomX {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Light => "light",
            Mode::Fast => "fast",
        };
        let engine = if self.flags & ffi::JIT == 0 { "interpreter" } else { "compiled" };
        let pages = if self.flags & ffi::LARGE_PAGES == 0 { "" } else { ", large pages" };
        write!(f, "RandomX, {mode} mode, {engine}{pages}")
    }
}

impl PowHash for RandomX {
    type Fault = PowFault;

    fn hash(&self, input: &Input) -> Result<[u8; 32], PowFault> {
        // A machine costs a few allocations, a hash tens of milliseconds: none is kept.
        Ok(self.machine()?.hash(input))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filling_the_dataset_stops_on_request() {
        let stopped = RandomX::stoppable(Mode::Fast, 2, &|| true);
        assert_eq!(stopped.err(), Some(PowFault::Stopped));
    }

    /// Upstream's own golden hash for our key, and the three forms of the calls agree.
    #[test]
    fn hashes_are_those_of_version_one() {
        let randomx = RandomX::new(Mode::Light, 1).unwrap();
        let golden = "9f10ba5385a848171267cc50b12359b83cef37258550c310bc92497ef16a499f";
        let mut machine = randomx.machine().unwrap();
        let text = b"This is a test";
        assert_eq!(post::to_hex(&machine.hash(text)), golden);
        machine.begin(text);
        let first = machine.next(&[7; 48]);
        let second = machine.last();
        assert_eq!(post::to_hex(&first), golden);
        assert_eq!(second, randomx.hash(&[7; 48]).unwrap());
    }
}
