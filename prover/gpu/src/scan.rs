//! The proving scan by one GPU: [`Scan`] is a [`Scanner`] whose batches are split when they find
//! more than there is room for.

mod keys;
#[cfg(test)]
mod tests;

use crate::devices::Device;
use crate::fault::Fault;
use crate::open::Opened;
use core::ops::Range;
use core::time::Duration;
use post::search::{GroupCipher, GroupKeys, Hit, LOW_MASK, ScanFault, Scanner, Threshold};
use post::{LABEL_BYTES, LabelIndex};
use shaders::{Keys, Search, scan, sift};
use std::collections::VecDeque;
use std::time::Instant;
use wgpu::BufferUsages;

/// Batches in flight: one is searched while the next one is copied to the device.
const IN_FLIGHT: usize = 2;

/// Invocations of a workgroup, and labels or candidates of an invocation.
const WORKGROUP: u32 = 64;
const EACH: u32 = 8;

/// Labels of the first batch, and of the largest: 16 MiB.
const LABELS_FIRST: u32 = 1 << 14;
const LABELS_MOST: u32 = 1 << 20;

/// Hits that a batch has room for: as many as eight labels can have with all 256 groups.
const HITS: u32 = 1 << 15;

/// Bytes of a finding: two words.
const FINDING: u64 = 8;

/// The scan on a GPU, bound to its keys and threshold.
#[derive(Debug)]
pub struct Scan {
    opened: Opened,
    scan: wgpu::ComputePipeline,
    sift: wgpu::ComputePipeline,
    groups: Vec<GroupKeys>,
    threshold: Threshold,
    /// Candidates that a slot has room for.
    room: u32,
    slots: Vec<Slot>,
    target: Duration,
    /// Labels of the next batch.
    labels: u32,
    free_since: Instant,
}

/// What a batch in flight needs.
#[derive(Debug)]
struct Slot {
    search: wgpu::Buffer,
    labels: wgpu::Buffer,
    found: wgpu::Buffer,
    hits: wgpu::Buffer,
    readback: wgpu::Buffer,
    /// One for each dispatch that the groups need.
    scans: Vec<wgpu::BindGroup>,
    sift: wgpu::BindGroup,
}

/// A batch that the device has not finished.
#[derive(Debug)]
struct Flying {
    batch: Range<u32>,
    slot: usize,
    candidates: u32,
    submission: wgpu::SubmissionIndex,
    since: Instant,
}

/// What a batch found; `None` if there was not enough room for it.
type Findings = Option<Vec<[u32; 2]>>;

impl Scan {
    /// A scan on `device` for all nonces of `keys`, in dispatches of about `target`. Compiles
    /// shaders, and compares a small scan with the CPU's.
    ///
    /// # Errors
    /// [`Fault`]: the device cannot be opened, has too little memory, or finds wrong hits.
    pub fn new(
        device: &Device,
        keys: Vec<GroupKeys>,
        threshold: Threshold,
        target: Duration,
    ) -> Result<Self, Fault> {
        let opened = device.open()?;
        let constants = scan::Constants { workgroup: WORKGROUP }.named();
        let scan = opened.pipeline(&scan::SHADER, &constants)?;
        let constants = sift::Constants { workgroup: WORKGROUP }.named();
        let sift = opened.pipeline(&sift::SHADER, &constants)?;
        let nonces = 16 * keys.len() as u64;
        // Twice what random labels give, and never less than eight labels can.
        let room = candidates_of(LABELS_MOST, nonces);
        let mut scan = Self {
            opened,
            scan,
            sift,
            groups: keys,
            threshold,
            room,
            slots: Vec::new(),
            target,
            labels: LABELS_FIRST,
            free_since: Instant::now(),
        };
        let slots = scan.opened.allocate(|| scan.slots())?;
        let bytes = u64::from(room) * FINDING;
        scan.slots = slots.ok_or(Fault::OutOfMemory { labels: LABELS_MOST, bytes })?;
        scan.check_known()?;
        Ok(scan)
    }

    /// As [`Scanner::scan`], with faults that a program can tell apart.
    ///
    /// # Errors
    /// [`Fault`]; after any of them the device must be opened again.
    pub fn try_scan(&mut self, first: LabelIndex, labels: &[u8]) -> Result<Vec<Hit>, Fault> {
        let mut hits = Vec::new();
        // Batches are counted in words of 32 bits; nobody holds this much memory in one piece.
        let part = (LABELS_MOST as usize) * LABEL_BYTES * 1024;
        for (labels, offset) in labels.chunks(part).zip((0..).step_by(part / LABEL_BYTES)) {
            let start = LabelIndex(first.0.wrapping_add(offset));
            self.scan_part(start, labels.as_chunks().0, &mut hits)?;
        }
        hits.sort_unstable();
        Ok(hits)
    }

    fn scan_part(
        &mut self,
        first: LabelIndex,
        labels: &[[u8; LABEL_BYTES]],
        hits: &mut Vec<Hit>,
    ) -> Result<(), Fault> {
        if self.groups.is_empty() {
            return Ok(());
        }
        let mut next = 0;
        let mut again: Vec<Range<u32>> = Vec::new();
        let mut flying = VecDeque::new();
        let mut free: Vec<usize> = (0..IN_FLIGHT).collect();
        loop {
            while let Some(slot) = free.pop() {
                let batch = again.pop().unwrap_or_else(|| {
                    let rest = (labels.len() as u32).saturating_sub(next);
                    let batch = next..next + rest.min(self.labels);
                    next = batch.end;
                    batch
                });
                if batch.is_empty() {
                    free.push(slot);
                    break;
                }
                flying.push_back(self.submit(slot, batch, labels)?);
            }
            let Some(batch) = flying.pop_front() else {
                return Ok(());
            };
            free.push(batch.slot);
            match self.land(&batch)? {
                Some(found) => hits.extend(found.into_iter().map(|[label, slot]| {
                    let (group, lane) = (slot as usize / 16, slot as usize % 16);
                    let index = first.0 + u64::from(batch.batch.start + label);
                    Hit { index: LabelIndex(index), nonce: self.groups[group].group.nonce(lane) }
                })),
                None => {
                    let Range { start, end } = batch.batch;
                    let middle = start + (end - start).div_ceil(2).next_multiple_of(EACH);
                    again.extend([start..middle.min(end), middle.min(end)..end]);
                    again.retain(|batch| !batch.is_empty());
                }
            }
        }
    }

    /// Queues a batch of labels.
    fn submit(
        &mut self,
        number: usize,
        batch: Range<u32>,
        labels: &[[u8; LABEL_BYTES]],
    ) -> Result<Flying, Fault> {
        let slot = &self.slots[number];
        let labels = &labels[batch.start as usize..batch.end as usize];
        let count = batch.end - batch.start;
        let candidates = candidates_of(count, 16 * self.groups.len() as u64).min(self.room);
        let Threshold { top, low } = self.threshold;
        let search = Search {
            low: [low as u32, (low >> 32) as u32],
            top: top.into(),
            labels: count,
            hits: HITS,
            candidates,
        };
        let queue = &self.opened.queue;
        queue.write_buffer(&slot.search, 0, &search.to_bytes());
        queue.write_buffer(&slot.labels, 0, labels.as_flattened());
        queue.write_buffer(&slot.found, 0, &[0; FINDING as usize]);
        let mut encoder = self.opened.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&self.scan);
        for group in &slot.scans {
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(count.div_ceil(EACH * WORKGROUP), 1, 1);
        }
        pass.set_pipeline(&self.sift);
        pass.set_bind_group(0, &slot.sift, &[]);
        pass.dispatch_workgroups(candidates.div_ceil(EACH * WORKGROUP), 1, 1);
        drop(pass);
        encoder.copy_buffer_to_buffer(&slot.found, 0, &slot.readback, 0, FINDING);
        let room = u64::from(HITS) * FINDING;
        encoder.copy_buffer_to_buffer(&slot.hits, 0, &slot.readback, FINDING, room);
        let submission = queue.submit([encoder.finish()]);
        slot.readback.map_async(wgpu::MapMode::Read, .., |_| {});
        self.opened.check()?;
        Ok(Flying { batch, slot: number, candidates, submission, since: Instant::now() })
    }

    /// Waits for a batch and reads what it found.
    fn land(&mut self, flying: &Flying) -> Result<Findings, Fault> {
        self.opened.wait(flying.submission.clone())?;
        let now = Instant::now();
        self.learn(flying, now.duration_since(flying.since.max(self.free_since)));
        self.free_since = now;
        let readback = &self.slots[flying.slot].readback;
        let view = readback
            .get_mapped_range(..)
            .map_err(|error| Fault::Refused(format!("hits cannot be read: {error}")))?;
        let words = view.as_chunks::<8>().0.iter().map(|pair| {
            let [a, b, c, d, e, f, g, h] = *pair;
            [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
        });
        let mut words = words.into_iter();
        let [hits, candidates] = words.next().unwrap_or([u32::MAX; 2]);
        let fits = hits <= HITS && candidates <= flying.candidates;
        let found = fits.then(|| words.take(hits as usize).collect());
        drop(view);
        readback.unmap();
        Ok(found)
    }

    /// Sizes the next batch by how long this one took.
    fn learn(&mut self, flying: &Flying, took: Duration) {
        let factor = self.target.as_secs_f64() / took.as_secs_f64().max(1e-6);
        let labels = f64::from(flying.batch.end - flying.batch.start) * factor.clamp(0.125, 2.0);
        // Fewer labels than the last ones say little about how many would do.
        let labels = if factor > 1.0 { labels.max(self.labels.into()) } else { labels };
        self.labels = (labels as u32).clamp(EACH * WORKGROUP, LABELS_MOST);
    }

    /// Makes the buffers of every batch in flight, and the keys they share.
    fn slots(&self) -> Vec<Slot> {
        let opened = &self.opened;
        let input = BufferUsages::COPY_DST;
        let uniform = |(number, groups): (usize, &[GroupKeys])| {
            let keys: Vec<_> = groups.iter().map(|group| group.key).collect();
            let planes = keys::planes_of(&keys, (number * keys::GROUPS) as u32);
            let buffer = opened.buffer("keys", Keys::BYTES, BufferUsages::UNIFORM | input);
            opened.queue.write_buffer(&buffer, 0, &planes.to_bytes());
            buffer
        };
        let uniforms: Vec<_> = self.groups.chunks(keys::GROUPS).enumerate().map(uniform).collect();
        let lanes = self.groups.iter().flat_map(|group| &group.lane_keys);
        let lanes: Vec<u8> = lanes.flat_map(keys::round_keys).flatten().collect();
        let size = lanes.len().max(LABEL_BYTES) as u64;
        let nonce_keys = opened.buffer("nonce keys", size, BufferUsages::STORAGE | input);
        opened.queue.write_buffer(&nonce_keys, 0, &lanes);
        (0..IN_FLIGHT).map(|_| self.slot(&uniforms, &nonce_keys)).collect()
    }

    fn slot(&self, uniforms: &[wgpu::Buffer], nonce_keys: &wgpu::Buffer) -> Slot {
        let buffer = |name, size, usage| self.opened.buffer(name, size, usage);
        let (storage, output) = (BufferUsages::STORAGE, BufferUsages::COPY_SRC);
        let (input, read) = (BufferUsages::COPY_DST, BufferUsages::MAP_READ);
        let search = &buffer("search", Search::BYTES, BufferUsages::UNIFORM | input);
        let bytes = u64::from(LABELS_MOST) * LABEL_BYTES as u64;
        let labels = &buffer("labels", bytes, storage | input);
        let found = &buffer("found", FINDING, storage | input | output);
        let candidates = &buffer("candidates", u64::from(self.room) * FINDING, storage);
        let bytes = u64::from(HITS) * FINDING;
        let hits = &buffer("hits", bytes, storage | output);
        let scans = uniforms.iter().map(|keys| {
            let bound = scan::Bindings { search, labels, found, candidates, hits, keys };
            self.opened.bind(&self.scan, bound.numbered())
        });
        let bound = sift::Bindings { search, labels, found, candidates, hits, nonce_keys };
        Slot {
            scans: scans.collect(),
            sift: self.opened.bind(&self.sift, bound.numbered()),
            search: search.clone(),
            labels: labels.clone(),
            found: found.clone(),
            hits: hits.clone(),
            readback: buffer("readback", FINDING + bytes, read | input),
        }
    }

    /// A known answer: with a threshold at which the top byte decides now and then, and the low
    /// bits too, hits must be those of the definition.
    fn check_known(&mut self) -> Result<(), Fault> {
        let real = core::mem::replace(&mut self.threshold, Threshold { top: 1, low: LOW_MASK / 2 });
        let (first, threshold) = (LabelIndex(u64::from(u32::MAX)), self.threshold);
        let labels: Vec<_> = (1..=KNOWN_LABELS).map(known_label).collect();
        let found = self.try_scan(first, labels.as_flattened())?;
        let mut expected = Vec::new();
        for cipher in self.groups.iter().map(GroupCipher::new) {
            for (label, index) in labels.iter().zip(first.0..) {
                cipher.hits(LabelIndex(index), label, threshold, &mut expected);
            }
        }
        expected.sort_unstable();
        self.threshold = real;
        if found == expected { Ok(()) } else { Err(Fault::WrongHits) }
    }
}

/// Labels of the known answer; not whole invocations.
const KNOWN_LABELS: u128 = 1021;

/// A label that looks random enough to a cipher.
fn known_label(number: u128) -> [u8; LABEL_BYTES] {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_le_bytes()
}

/// Room for the candidates of so many labels: twice as many as random labels have, and at least as
/// many as eight labels can.
fn candidates_of(labels: u32, nonces: u64) -> u32 {
    let usual = u64::from(labels) * nonces / 256;
    u32::try_from(2 * usual).unwrap_or(u32::MAX).max(HITS)
}

impl Scanner for Scan {
    fn scan(&mut self, first: LabelIndex, labels: &[u8]) -> Result<Vec<Hit>, ScanFault> {
        let count = (labels.len() / LABEL_BYTES) as u64;
        if first.0.checked_add(count).is_none() {
            return Err(ScanFault(format!("{count} labels from {first} on have no index")));
        }
        self.try_scan(first, labels).map_err(|fault| ScanFault(fault.to_string()))
    }

    fn kernel(&self) -> &str {
        "wgsl, bitsliced"
    }
}
