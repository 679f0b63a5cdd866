//! RandomX as this machine can run it: light or fast, with what the CPU and the system allow.

use crate::ffi::{self, Cache, Dataset, Flags, Memory, Vm};
use crate::pages::{self, Code};
use crate::watch::Watch;
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

/// The pages that RandomX's memory lies in: hashing jumps all over it, and the larger they are,
/// the less of each jump is spent on finding the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// Large pages that the system had set aside (`vm.nr_hugepages` on Linux).
    Large,
    /// Small pages that the system was asked to join to large ones as they are filled.
    Joined,
    /// The system's usual ones.
    Small,
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Large => "large pages",
            Self::Joined => "huge pages asked for",
            Self::Small => "small pages",
        })
    }
}

/// How RandomX's programs are run here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Engine(Flags);

impl Engine {
    /// The fastest that this CPU can and this system allows.
    #[must_use]
    pub fn here() -> Self {
        let flags = ffi::recommended_flags();
        Self(match pages::code() {
            Code::Free => flags,
            Code::Strict => flags | ffi::SECURE,
            Code::Forbidden => flags & !(ffi::JIT | ffi::SECURE),
        })
    }

    fn has(self, flag: Flags) -> bool {
        self.0 & flag != 0
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.has(ffi::JIT), self.has(ffi::SECURE)) {
            (true, false) => "compiled",
            (true, true) => "compiled under write-xor-execute",
            (false, _) => "interpreted",
        })?;
        f.write_str(if self.has(ffi::HARD_AES) { ", AES instructions" } else { ", plain AES" })
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Engine({self})")
    }
}

/// RandomX under the one key that k2pow uses, ready to hash on any number of threads.
#[derive(Debug)]
pub struct RandomX {
    memory: Memory,
    mode: Mode,
    engine: Engine,
    pages: Pages,
}

impl RandomX {
    /// Prepares the memory: a second for light mode; a minute or more of all `threads` for fast.
    ///
    /// It takes the largest pages that the system gives.
    ///
    /// # Errors
    /// [`PowFault`]: memory is short.
    pub fn new(mode: Mode, threads: usize) -> Result<Self, PowFault> {
        Self::watched(mode, threads, Watch::NONE)
    }

    /// As [`RandomX::new`], heeding a watch.
    ///
    /// # Errors
    /// [`PowFault::Stopped`], or memory is short.
    pub fn watched(mode: Mode, threads: usize, watch: Watch<'_>) -> Result<Self, PowFault> {
        let engine = Engine::here();
        let large = if pages::offers_large() { ffi::LARGE_PAGES } else { 0 };
        let (cache, pages) = Cache::new(engine.0 | large, CACHE_KEY).ok_or(PowFault::Cache)?;
        let (memory, pages) = match mode {
            Mode::Light => (Memory::Light(cache), pages),
            Mode::Fast => {
                let (dataset, pages) = Dataset::new(engine.0 | large, &cache, threads, watch)?;
                (Memory::Fast(dataset), pages)
            }
        };
        Ok(Self { memory, mode, engine, pages })
    }

    /// Which mode it runs in.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// A machine of one's own: 2 MiB, for one thread at a time.
    pub(crate) fn machine(&self) -> Result<Vm<'_>, PowFault> {
        let small = match self.mode {
            Mode::Light => self.engine.0,
            Mode::Fast => self.engine.0 | ffi::FULL_MEM,
        };
        // Its own memory is a large page too, if there is one left.
        let large = (self.pages == Pages::Large).then_some(small | ffi::LARGE_PAGES);
        let large = large.and_then(|flags| Vm::new(flags, &self.memory));
        large.or_else(|| Vm::new(small, &self.memory)).ok_or(PowFault::Machine)
    }
}

impl fmt::Display for RandomX {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Light => "light",
            Mode::Fast => "fast",
        };
        let Self { engine, pages, .. } = self;
        write!(f, "RandomX, {mode} mode, {engine}, {pages}")
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
        let watch = Watch { stop: &|| true, ..Watch::NONE };
        let stopped = RandomX::watched(Mode::Fast, 2, watch);
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
