//! Which pages of memory the system gives: large ones, and such that compiled code may live in.
//!
//! RandomX asks for both and believes what it is told: where the system refuses executable pages
//! its compiled code ends the process, and large pages that a container may not touch do so too.
//! So each is tried here first, on a page of our own.

#![allow(unsafe_code, reason = "mapping memory is a foreign call; each block says why it holds")]

/// What a page that was written may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Executable while it stays writable.
    Free,
    /// Executable once it is no longer writable.
    Strict,
    /// Never executable.
    Forbidden,
}

/// A large page, and the least that the system joins small ones to.
pub(crate) const LARGE_BYTES: usize = 2 << 20;

#[cfg(target_os = "linux")]
mod linux {
    use super::{Code, LARGE_BYTES};
    use core::ffi::c_void;
    use core::ptr::null_mut;
    use rustix::io::{Errno, Result};
    use rustix::mm::{
        Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap,
    };

    /// Pages of our own, without anything in them.
    struct Trial {
        start: *mut c_void,
        bytes: usize,
    }

    impl Trial {
        fn new(bytes: usize, flags: MapFlags) -> Result<Self> {
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            let flags = flags | MapFlags::PRIVATE;
            // SAFETY: no address is asked for, so nothing that is mapped is touched.
            let start = unsafe { mmap_anonymous(null_mut(), bytes, protection, flags) }?;
            Ok(Self { start, bytes })
        }

        fn protect(&self, flags: MprotectFlags) -> Result<()> {
            // SAFETY: the pages are ours, and nobody reads, writes or runs them.
            unsafe { mprotect(self.start, self.bytes, flags) }
        }

        fn touch(&self) -> Result<()> {
            // SAFETY: the pages are ours; they are only given memory.
            unsafe { madvise(self.start, self.bytes, Advice::LinuxPopulateWrite) }
        }
    }

    impl Drop for Trial {
        fn drop(&mut self) {
            // SAFETY: mapped by `new`, unmapped once, and no reference into it exists.
            let _ = unsafe { munmap(self.start, self.bytes) };
        }
    }

    pub(crate) fn code() -> Code {
        let (read, write, run) = (MprotectFlags::READ, MprotectFlags::WRITE, MprotectFlags::EXEC);
        let Ok(trial) = Trial::new(LARGE_BYTES, MapFlags::empty()) else {
            return Code::Forbidden;
        };
        if trial.protect(read | write | run).is_ok() {
            Code::Free
        } else if trial.protect(read | run).is_ok() {
            Code::Strict
        } else {
            Code::Forbidden
        }
    }

    pub(crate) fn offers_large() -> bool {
        let touched = Trial::new(LARGE_BYTES, MapFlags::HUGETLB).and_then(|trial| trial.touch());
        // Before 5.14 Linux cannot tell.
        matches!(touched, Ok(()) | Err(Errno::INVAL))
    }

    /// Asks for huge pages. A refusal costs speed, and nothing else.
    ///
    /// # Safety
    /// `start .. start + bytes` is mapped, and stays so through the call.
    pub(crate) unsafe fn join(start: *mut c_void, bytes: usize) -> bool {
        let skipped = start.align_offset(LARGE_BYTES);
        let whole = bytes.saturating_sub(skipped) / LARGE_BYTES * LARGE_BYTES;
        let start = start.wrapping_byte_add(skipped);
        // SAFETY: within the caller's range; this advice does not change what is in it.
        whole > 0 && unsafe { madvise(start, whole, Advice::LinuxHugepage) }.is_ok()
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::{code, join, offers_large};

/// Elsewhere RandomX itself knows which systems are strict.
#[cfg(not(target_os = "linux"))]
pub(crate) fn code() -> Code {
    Code::Free
}

/// Elsewhere asking is how one learns.
#[cfg(not(target_os = "linux"))]
pub(crate) fn offers_large() -> bool {
    true
}

/// Elsewhere there is nobody to ask.
///
/// # Safety
/// None is needed.
#[cfg(not(target_os = "linux"))]
pub(crate) unsafe fn join(_: *mut core::ffi::c_void, _: usize) -> bool {
    false
}
