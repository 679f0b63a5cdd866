//! RandomX's C interface (`randomx.h` of version 1), and owners that free what they hold.
//!
//! The gate in the wall: pointers are made, used and freed in this file only, and everything it
//! gives out is safe to call.

#![allow(unsafe_code, reason = "the one FFI module of the project; each block says why it holds")]

use crate::machine::PowFault;
use core::ffi::{c_int, c_ulong, c_void};
use core::marker::PhantomData;
use core::ptr::NonNull;
// The crate is linked for its C++ archive only.
use randomx_rs as _;

/// `randomx_flags`.
pub(crate) type Flags = c_int;
pub(crate) const LARGE_PAGES: Flags = 1;
pub(crate) const FULL_MEM: Flags = 4;
pub(crate) const JIT: Flags = 8;
pub(crate) const SECURE: Flags = 16;

#[repr(C)]
struct RawCache {
    _opaque: [u8; 0],
}
#[repr(C)]
struct RawDataset {
    _opaque: [u8; 0],
}
#[repr(C)]
struct RawVm {
    _opaque: [u8; 0],
}

unsafe extern "C" {
    fn randomx_get_flags() -> Flags;
    fn randomx_alloc_cache(flags: Flags) -> *mut RawCache;
    fn randomx_init_cache(cache: *mut RawCache, key: *const c_void, key_size: usize);
    fn randomx_release_cache(cache: *mut RawCache);
    fn randomx_alloc_dataset(flags: Flags) -> *mut RawDataset;
    fn randomx_dataset_item_count() -> c_ulong;
    fn randomx_init_dataset(
        dataset: *mut RawDataset,
        cache: *mut RawCache,
        start_item: c_ulong,
        item_count: c_ulong,
    );
    fn randomx_release_dataset(dataset: *mut RawDataset);
    fn randomx_create_vm(
        flags: Flags,
        cache: *mut RawCache,
        dataset: *mut RawDataset,
    ) -> *mut RawVm;
    fn randomx_destroy_vm(machine: *mut RawVm);
    fn randomx_calculate_hash(
        machine: *mut RawVm,
        input: *const c_void,
        input_size: usize,
        output: *mut c_void,
    );
    fn randomx_calculate_hash_first(machine: *mut RawVm, input: *const c_void, input_size: usize);
    fn randomx_calculate_hash_next(
        machine: *mut RawVm,
        next_input: *const c_void,
        next_input_size: usize,
        output: *mut c_void,
    );
    fn randomx_calculate_hash_last(machine: *mut RawVm, output: *mut c_void);
}

/// The flags RandomX recommends for this CPU, without large pages and full memory.
pub(crate) fn recommended_flags() -> Flags {
    // SAFETY: takes nothing and only asks the CPU.
    unsafe { randomx_get_flags() }
}

/// The 256 MiB cache, filled from a key.
#[derive(Debug)]
pub(crate) struct Cache(NonNull<RawCache>);

// SAFETY: the cache is written in `Cache::new` only, before anyone else has it; afterwards
// RandomX reads it and never writes.
unsafe impl Send for Cache {}
// SAFETY: as above: shared use is reading only.
unsafe impl Sync for Cache {}

impl Cache {
    /// `None` where the memory (or the large pages that `flags` ask for) cannot be had.
    pub(crate) fn new(flags: Flags, key: &[u8]) -> Option<Self> {
        // SAFETY: any combination of flags is answered, with null when it cannot be served.
        let cache = Self(NonNull::new(unsafe { randomx_alloc_cache(flags) })?);
        // SAFETY: the cache was just allocated and is not shared; the key outlives the call.
        unsafe { randomx_init_cache(cache.0.as_ptr(), key.as_ptr().cast(), key.len()) };
        Some(cache)
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // SAFETY: allocated by `randomx_alloc_cache`, freed once, and machines borrow it.
        unsafe { randomx_release_cache(self.0.as_ptr()) };
    }
}

/// Items that a thread computes between two looks at whether to stop: some tens of milliseconds.
const SLICE_ITEMS: c_ulong = 4096;

/// The 2 GiB dataset of fast mode.
#[derive(Debug)]
pub(crate) struct Dataset(NonNull<RawDataset>);

// SAFETY: written in `Dataset::new` only, each item by one thread; afterwards only read.
unsafe impl Send for Dataset {}
// SAFETY: as above: shared use is reading only.
unsafe impl Sync for Dataset {}

impl Dataset {
    /// Computes every item from the cache on `threads` threads, unless `stop` says otherwise.
    ///
    /// # Errors
    /// [`PowFault::Dataset`] where memory is short, [`PowFault::Stopped`].
    pub(crate) fn new(
        flags: Flags,
        cache: &Cache,
        threads: usize,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Self, PowFault> {
        // SAFETY: any combination of flags is answered, with null when it cannot be served.
        let raw = NonNull::new(unsafe { randomx_alloc_dataset(flags) });
        let dataset = Self(raw.ok_or(PowFault::Dataset)?);
        // SAFETY: takes nothing.
        let items = unsafe { randomx_dataset_item_count() };
        let share = items.div_ceil(threads.max(1) as c_ulong);
        std::thread::scope(|scope| {
            let mut start = 0;
            while start < items {
                let count = share.min(items - start);
                let (dataset, first) = (&dataset, start);
                scope.spawn(move || {
                    let mut slices = (first..first + count).step_by(SLICE_ITEMS as usize);
                    while let Some(slice) = slices.next().filter(|_| !stop()) {
                        let left = first + count - slice;
                        dataset.fill(cache, slice, left.min(SLICE_ITEMS));
                    }
                });
                start += count;
            }
        });
        // A dataset that was stopped lacks items: nobody may hash with it.
        if stop() { Err(PowFault::Stopped) } else { Ok(dataset) }
    }

    /// Computes the items `first .. first + count`, which lie within the dataset and are this
    /// thread's alone.
    fn fill(&self, cache: &Cache, first: c_ulong, count: c_ulong) {
        // SAFETY: both objects live through the call; the threads of `new` are given disjoint
        // ranges within the item count, so no two of them write the same item.
        unsafe { randomx_init_dataset(self.0.as_ptr(), cache.0.as_ptr(), first, count) };
    }
}

impl Drop for Dataset {
    fn drop(&mut self) {
        // SAFETY: allocated by `randomx_alloc_dataset`, freed once, and machines borrow it.
        unsafe { randomx_release_dataset(self.0.as_ptr()) };
    }
}

/// What a machine reads while it hashes.
#[derive(Debug)]
pub(crate) enum Memory {
    Light(Cache),
    Fast(Dataset),
}

/// A virtual machine: 2 MiB of scratchpad and a program.
#[derive(Debug)]
pub(crate) struct Vm<'memory> {
    raw: NonNull<RawVm>,
    memory: PhantomData<&'memory Memory>,
}

// SAFETY: a machine has no tie to the thread that made it; what it shares (cache, dataset) is only
// read. It is not Sync: hashing writes its scratchpad.
unsafe impl Send for Vm<'_> {}

impl<'memory> Vm<'memory> {
    /// `None` where memory is short or the flags cannot be served (no JIT allowed, say).
    pub(crate) fn new(flags: Flags, memory: &'memory Memory) -> Option<Self> {
        let (cache, dataset) = match memory {
            Memory::Light(cache) => (cache.0.as_ptr(), core::ptr::null_mut()),
            Memory::Fast(dataset) => (core::ptr::null_mut(), dataset.0.as_ptr()),
        };
        // SAFETY: the pointer that the flags call for is set and outlives the machine by
        // 'memory; `FULL_MEM` is in the flags just when there is a dataset (`machine.rs`).
        let raw = unsafe { randomx_create_vm(flags, cache, dataset) };
        Some(Self { raw: NonNull::new(raw)?, memory: PhantomData })
    }

    /// The hash of one input.
    pub(crate) fn hash(&mut self, input: &[u8]) -> [u8; 32] {
        let mut output = [0; 32];
        let (data, out) = (input.as_ptr().cast(), output.as_mut_ptr().cast());
        // SAFETY: `input` is read for its length, `output` has the 32 bytes that are written,
        // and `&mut self` keeps other threads off the scratchpad.
        unsafe { randomx_calculate_hash(self.raw.as_ptr(), data, input.len(), out) };
        output
    }

    /// Begins a chain of hashes whose loading and finishing overlap.
    pub(crate) fn begin(&mut self, input: &[u8]) {
        let data = input.as_ptr().cast();
        // SAFETY: `input` is read for its length; `&mut self` as above.
        unsafe { randomx_calculate_hash_first(self.raw.as_ptr(), data, input.len()) };
    }

    /// The hash of the input before, while `next` is begun. [`Vm::begin`] must have come first;
    /// without it the hash is of an empty scratchpad, and means nothing.
    pub(crate) fn next(&mut self, next: &[u8]) -> [u8; 32] {
        let mut output = [0; 32];
        let (data, out) = (next.as_ptr().cast(), output.as_mut_ptr().cast());
        // SAFETY: `next` is read for its length, `output` has the 32 bytes that are written.
        unsafe { randomx_calculate_hash_next(self.raw.as_ptr(), data, next.len(), out) };
        output
    }

    /// The hash of the last input of a chain.
    pub(crate) fn last(&mut self) -> [u8; 32] {
        let mut output = [0; 32];
        // SAFETY: `output` has the 32 bytes that are written.
        unsafe { randomx_calculate_hash_last(self.raw.as_ptr(), output.as_mut_ptr().cast()) };
        output
    }
}

impl Drop for Vm<'_> {
    fn drop(&mut self) {
        // SAFETY: made by `randomx_create_vm`, destroyed once.
        unsafe { randomx_destroy_vm(self.raw.as_ptr()) };
    }
}
