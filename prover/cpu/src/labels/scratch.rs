//! scrypt's memory for labels in lockstep: large, on huge pages where the system has them.
//!
//! Rows are read at random, so that with pages of 4 KiB nearly each read also misses the TLB.
#![allow(unsafe_code, reason = "memory with an alignment of its own, advised before it is touched")]

use core::alloc::Layout;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::slice;
use post::label::LabelFault;
use std::alloc::{alloc, dealloc};

/// A block at rest, in its two halves. It fills two cache lines, not parts of three.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(128))]
pub(super) struct Row(pub(super) [[u32; 16]; 2]);

/// Bytes of a huge page.
const HUGE: usize = 2 << 20;

/// Rows, zero at first.
#[derive(Debug)]
pub(super) struct Scratch {
    rows: NonNull<Row>,
    len: usize,
    layout: Layout,
}

// SAFETY: the rows belong to this value alone, as those of a `Box<[Row]>`.
unsafe impl Send for Scratch {}

impl Scratch {
    /// Memory for `len` rows, at least one.
    ///
    /// # Errors
    /// [`LabelFault::Device`] if the system has no such memory.
    pub(super) fn new(len: usize) -> Result<Self, LabelFault> {
        let refused = || LabelFault::Device(format!("no memory for {len} rows of scratch"));
        let layout = Layout::array::<Row>(len.max(1)).map_err(|_| refused())?;
        let layout = if layout.size() < HUGE {
            layout
        } else {
            layout.align_to(HUGE).map_err(|_| refused())?
        };
        // SAFETY: at least one row is asked for, so that the size is not zero.
        let bytes = unsafe { alloc(layout) };
        let rows = NonNull::new(bytes.cast::<Row>()).ok_or_else(refused)?;
        advise(bytes, layout);
        // SAFETY: `layout` is that of an array of `len` rows at the least.
        unsafe { bytes.write_bytes(0, layout.size()) };
        Ok(Self { rows, len, layout })
    }
}

/// Asks for huge pages. A refusal costs speed, and nothing else.
#[cfg(target_os = "linux")]
fn advise(bytes: *mut u8, layout: Layout) {
    if layout.align() >= HUGE {
        // SAFETY: the memory is ours, and this advice does not change what is in it.
        let _ = unsafe {
            rustix::mm::madvise(bytes.cast(), layout.size(), rustix::mm::Advice::LinuxHugepage)
        };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise(_: *mut u8, _: Layout) {}

impl Deref for Scratch {
    type Target = [Row];

    fn deref(&self) -> &[Row] {
        // SAFETY: `new` allocated `len` rows and wrote zeros to all of them.
        unsafe { slice::from_raw_parts(self.rows.as_ptr(), self.len) }
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [Row] {
        // SAFETY: as for `deref`; and the borrow of `self` is exclusive.
        unsafe { slice::from_raw_parts_mut(self.rows.as_ptr(), self.len) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: allocated by `new`, with this layout.
        unsafe { dealloc(self.rows.as_ptr().cast(), self.layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_zero_and_keep_what_is_written() {
        for len in [0, 1, 7, 16 * 1024 + 1] {
            let mut scratch = Scratch::new(len).unwrap();
            assert_eq!(scratch.len(), len);
            assert!(scratch.iter().all(|row| row.0 == [[0; 16]; 2]));
            for (row, number) in scratch.iter_mut().zip(0..) {
                row.0 = [[number; 16]; 2];
            }
            let sum: u64 = scratch.iter().map(|row| u64::from(row.0[1][15])).sum();
            assert_eq!(sum, (0..len as u64).sum());
        }
    }

    #[test]
    fn too_much_is_refused_with_a_reason() {
        for len in [usize::MAX, usize::MAX / 129, 1 << 50] {
            let fault = Scratch::new(len).unwrap_err().to_string();
            assert!(fault.contains("rows of scratch"), "{fault}");
        }
    }
}
