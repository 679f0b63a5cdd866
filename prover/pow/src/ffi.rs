//! RandomX's C interface (`randomx.h` of version 1), and owners that free what they hold.
//!
//! The gate in the wall: RandomX's pointers are made, used and freed in this file only, and
//! everything it gives out is safe to call.

#![allow(unsafe_code, reason = "calls into C++; each block says why it holds")]

use crate::machine::{Pages, PowFault};
use crate::pages;
use crate::watch::{Shift, Watch};
use core::ffi::{c_int, c_ulong, c_void};
use core::marker::PhantomData;
use core::ptr::NonNull;
// The crate is linked for its C++ archive only.
use randomx_rs as _;

/// `randomx_flags`.
pub(crate) type Flags = c_int;
pub(crate) const LARGE_PAGES: Flags = 1;
pub(crate) const HARD_AES: Flags = 2;
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
    fn randomx_get_dataset_memory(dataset: *mut RawDataset) -> *mut c_void;
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

/// Allocates in large pages where `flags` ask for them and they are to be had, else in small ones
/// that the system is asked to join.
fn in_best_pages<T>(
    flags: Flags,
    allocate: impl Fn(Flags) -> Option<T>,
    join: impl Fn(&T) -> bool,
) -> Option<(T, Pages)> {
    if flags & LARGE_PAGES != 0
        && let Some(large) = allocate(flags)
    {
        return Some((large, Pages::Large));
    }
    let small = allocate(flags & !LARGE_PAGES)?;
    let pages = if join(&small) { Pages::Joined } else { Pages::Small };
    Some((small, pages))
}

/// Bytes of the cache: `RANDOMX_ARGON_MEMORY`, which is in KiB.
const CACHE_BYTES: usize = 262_144 << 10;

/// The 256 MiB cache, filled from a key.
#[derive(Debug)]
pub(crate) struct Cache(NonNull<RawCache>);

// SAFETY: the cache is written in `Cache::new` only, before anyone else has it; afterwards
// RandomX reads it and never writes.
unsafe impl Send for Cache {}
// SAFETY: as above: shared use is reading only.
unsafe impl Sync for Cache {}

impl Cache {
    /// The cache of a key, and the pages it lies in: the best of those that `flags` allow. `None`
    /// where memory is short.
    pub(crate) fn new(flags: Flags, key: &[u8]) -> Option<(Self, Pages)> {
        let allocate = |flags| {
            // SAFETY: any combination of flags is answered, with null when it cannot be served.
            NonNull::new(unsafe { randomx_alloc_cache(flags) }).map(Self)
        };
        let (cache, pages) = in_best_pages(flags, allocate, Self::join_pages)?;
        // SAFETY: the cache was just allocated and is not shared; the key outlives the call.
        unsafe { randomx_init_cache(cache.0.as_ptr(), key.as_ptr().cast(), key.len()) };
        Some((cache, pages))
    }

    /// The address of its memory. It is the cache's first member, which RandomX's own assembly
    /// builds on (`dataset.hpp` asserts it).
    fn memory(&self) -> *mut c_void {
        // SAFETY: the cache lives and begins with a pointer, which is not followed here.
        unsafe { self.0.cast().read() }
    }

    /// Whether the system will join the pages, while nothing is in them yet.
    fn join_pages(&self) -> bool {
        // SAFETY: a cache's memory is so long, and lives as long as it.
        unsafe { pages::join(self.memory(), CACHE_BYTES) }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // SAFETY: allocated by `randomx_alloc_cache`, freed once, and machines borrow it.
        unsafe { randomx_release_cache(self.0.as_ptr()) };
    }
}

/// Items that a thread computes between two looks at the watch: some tens of milliseconds.
const SLICE_ITEMS: c_ulong = 4096;
/// Bytes of an item.
const ITEM_BYTES: usize = 64;

/// The 2 GiB dataset of fast mode.
#[derive(Debug)]
pub(crate) struct Dataset(NonNull<RawDataset>);

// SAFETY: written in `Dataset::fill` only, each item by one thread; afterwards only read.
unsafe impl Send for Dataset {}
// SAFETY: as above: shared use is reading only.
unsafe impl Sync for Dataset {}

impl Dataset {
    /// Every item, computed from the cache on `threads` threads, in the best pages to be had of
    /// those that `flags` allow.
    ///
    /// # Errors
    /// [`PowFault::Dataset`] where memory is short, [`PowFault::Stopped`].
    pub(crate) fn new(
        flags: Flags,
        cache: &Cache,
        threads: usize,
        watch: Watch<'_>,
    ) -> Result<(Self, Pages), PowFault> {
        let allocate = |flags| {
            // SAFETY: any combination of flags is answered, with null when it cannot be served.
            NonNull::new(unsafe { randomx_alloc_dataset(flags) }).map(Self)
        };
        let (dataset, pages) =
            in_best_pages(flags, allocate, Self::join_pages).ok_or(PowFault::Dataset)?;
        dataset.fill(cache, threads, watch)?;
        Ok((dataset, pages))
    }

    fn items() -> c_ulong {
        // SAFETY: takes nothing.
        unsafe { randomx_dataset_item_count() }
    }

    /// Whether the system will join the pages, while nothing is in them yet.
    fn join_pages(&self) -> bool {
        // SAFETY: the dataset lives.
        let memory = unsafe { randomx_get_dataset_memory(self.0.as_ptr()) };
        // SAFETY: a dataset's memory is as long as all of its items, and lives as long as it.
        unsafe { pages::join(memory, Self::items() as usize * ITEM_BYTES) }
    }

    /// Computes every item, unless told to stop: then some are lacking, and nobody may hash.
    fn fill(&self, cache: &Cache, threads: usize, watch: Watch<'_>) -> Result<(), PowFault> {
        let items = Self::items();
        let share = items.div_ceil(threads.max(1) as c_ulong);
        std::thread::scope(|scope| {
            let mut start = 0;
            while start < items {
                let (first, end) = (start, items.min(start + share));
                scope.spawn(move || {
                    let mut shift = Shift::new(watch);
                    let mut slices = (first..end).step_by(SLICE_ITEMS as usize);
                    while let Some(slice) = slices.next().filter(|_| shift.goes_on()) {
                        self.compute(cache, slice, SLICE_ITEMS.min(end - slice));
                    }
                });
                start = end;
            }
        });
        if (watch.stop)() { Err(PowFault::Stopped) } else { Ok(()) }
    }

    /// Computes the items `first .. first + count`, which lie within the dataset and are this
    /// thread's alone.
    fn compute(&self, cache: &Cache, first: c_ulong, count: c_ulong) {
        // SAFETY: both objects live through the call; the threads of `fill` are given disjoint
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
    /// `None` where memory is short, or large pages are.
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Else the advice about its pages goes astray, and light mode is slower than need be.
    #[test]
    fn the_memory_of_the_cache_is_where_it_is_looked_for() {
        let (cache, _) = Cache::new(recommended_flags(), b"key").unwrap();
        // Its ends may lie in other mappings than what is between: they are no whole large pages.
        let (start, end) = (cache.memory() as usize, cache.memory() as usize + CACHE_BYTES);
        let (start, end) = (start + pages::LARGE_BYTES, end - pages::LARGE_BYTES);
        let hex = |text: &str| usize::from_str_radix(text, 16).unwrap();
        let holds = |line: &str| {
            let (first, last) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
            hex(first) <= start && end <= hex(last)
        };
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert!(maps.lines().any(holds), "{start:x}\n{maps}");
    }
}
