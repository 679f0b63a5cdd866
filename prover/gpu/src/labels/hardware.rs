//! The engine that is a GPU: buffers, pipelines and submissions.

use super::engine::{Done, Engine, Work};
use super::layout::{Layout, Limits, ROW_BYTES};
use super::{Gap, Mixing};
use crate::fault::Fault;
use crate::open::Opened;
use post::{Commitment, FullLabel, ScryptN};
use shaders::{Job, Slice, fill, finish, mix, mix_cooperative, seed};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;
use wgpu::BufferUsages;

/// Bytes of a whole label.
const FULL_BYTES: u64 = 32;

/// An opened device with what does not depend on how labels are mixed: made once, for drivers
/// compile slowly.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    opened: Arc<Opened>,
    limits: Limits,
    workgroup: u32,
    seed: wgpu::ComputePipeline,
    finish: wgpu::ComputePipeline,
}

impl Prepared {
    pub(super) fn new(opened: Opened, limits: Limits, workgroup: u32) -> Result<Self, Fault> {
        let seed = opened.pipeline(&seed::SHADER, &seed::Constants { workgroup }.named())?;
        let finish = opened.pipeline(&finish::SHADER, &finish::Constants { workgroup }.named())?;
        Ok(Self { opened: Arc::new(opened), limits, workgroup, seed, finish })
    }
}

/// Labels on a GPU.
#[derive(Debug)]
pub(super) struct Hardware {
    opened: Arc<Opened>,
    commitment: [u32; 8],
    layout: Layout,
    pipelines: Pipelines,
    banks: Vec<Bank>,
    /// Batches begun so far; its parity says which of two buffers their labels are read from.
    batches: usize,
    flying: VecDeque<Flying>,
    /// When the device finished what it did last.
    free_since: Instant,
}

/// What is done to a batch, in this order.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Seed,
    Fill,
    Mix,
    Finish,
}

#[derive(Debug)]
struct Pipelines {
    seed: wgpu::ComputePipeline,
    fill: wgpu::ComputePipeline,
    mix: wgpu::ComputePipeline,
    finish: wgpu::ComputePipeline,
}

/// A buffer of scratch, with what belongs to it.
#[derive(Debug)]
struct Bank {
    labels: u32,
    job: wgpu::Buffer,
    fill_slice: wgpu::Buffer,
    mix_slice: wgpu::Buffer,
    out: wgpu::Buffer,
    /// The labels of a batch are read from one while the next batch is copied to the other.
    readback: [wgpu::Buffer; 2],
    seed: wgpu::BindGroup,
    fill: wgpu::BindGroup,
    mix: wgpu::BindGroup,
    finish: wgpu::BindGroup,
}

/// A submission that the device has not finished.
#[derive(Debug)]
struct Flying {
    submission: wgpu::SubmissionIndex,
    since: Instant,
    /// What it leaves to be read: the buffer of each bank, and the bytes in it.
    ready: Vec<(wgpu::Buffer, u64)>,
}

impl Pipelines {
    fn of(&self, phase: Phase) -> &wgpu::ComputePipeline {
        match phase {
            Phase::Seed => &self.seed,
            Phase::Fill => &self.fill,
            Phase::Mix => &self.mix,
            Phase::Finish => &self.finish,
        }
    }
}

impl Bank {
    fn group(&self, phase: Phase) -> &wgpu::BindGroup {
        match phase {
            Phase::Seed => &self.seed,
            Phase::Fill => &self.fill,
            Phase::Mix => &self.mix,
            Phase::Finish => &self.finish,
        }
    }
}

impl Hardware {
    pub(super) fn new(
        prepared: &Prepared,
        commitment: &Commitment,
        n: ScryptN,
        gap: Gap,
        mixing: Mixing,
    ) -> Result<Self, Fault> {
        let Prepared { opened, limits, workgroup, seed, finish } = prepared.clone();
        let layout = Layout::new(limits, n, gap, workgroup).ok_or(Fault::TooLarge {
            n: n.get(),
            bytes: u64::from(n.get() / gap.get()) * ROW_BYTES,
            limit: limits.binding,
        })?;
        let (n, gap) = (n.get(), gap.get());
        let fill =
            opened.pipeline(&fill::SHADER, &fill::Constants { workgroup, n, gap }.named())?;
        let mix = match mixing {
            Mixing::Plain => {
                opened.pipeline(&mix::SHADER, &mix::Constants { workgroup, n, gap }.named())?
            }
            Mixing::Cooperative => {
                let constants = mix_cooperative::Constants { workgroup, n, gap };
                opened.pipeline(&mix_cooperative::SHADER, &constants.named())?
            }
        };
        let pipelines = Pipelines { seed, fill, mix, finish };
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(commitment.0.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Ok(Self {
            opened,
            commitment: words,
            layout,
            pipelines,
            banks: Vec::new(),
            batches: 0,
            flying: VecDeque::new(),
            free_since: Instant::now(),
        })
    }

    /// How many labels have scratch within so many bytes.
    pub(super) fn labels_within(&self, bytes: u64) -> u32 {
        u32::try_from(bytes / self.layout.label_bytes).unwrap_or(u32::MAX)
    }

    fn bank(&self, labels: u32) -> Bank {
        let buffer = |name, size, usage| self.opened.buffer(name, size, usage);
        let uniform = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
        let (count, storage) = (u64::from(labels), BufferUsages::STORAGE);
        let job = buffer("job", Job::BYTES, uniform);
        let fill_slice = buffer("fill slice", Slice::BYTES, uniform);
        let mix_slice = buffer("mix slice", Slice::BYTES, uniform);
        let state = buffer("state", count * ROW_BYTES, storage);
        let scratch = buffer("scratch", self.layout.bytes(labels), storage);
        let out = buffer("labels", count * FULL_BYTES, storage | BufferUsages::COPY_SRC);
        let read = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
        let readback = [(), ()].map(|()| buffer("readback", count * FULL_BYTES, read));
        let (pipelines, bind) = (&self.pipelines, &self.opened);
        // Both shaders that mix have the same bindings.
        let (job, state, scratch) = (&job, &state, &scratch);
        let seeds = seed::Bindings { job, state }.numbered();
        let fills = fill::Bindings { job, state, slice: &fill_slice, scratch }.numbered();
        let mixes = mix::Bindings { job, state, slice: &mix_slice, scratch }.numbered();
        let ends = finish::Bindings { job, state, labels: &out }.numbered();
        Bank {
            labels,
            seed: bind.bind(&pipelines.seed, seeds),
            fill: bind.bind(&pipelines.fill, fills),
            mix: bind.bind(&pipelines.mix, mixes),
            finish: bind.bind(&pipelines.finish, ends),
            job: job.clone(),
            fill_slice,
            mix_slice,
            out,
            readback,
        }
    }

    /// The banks that `labels` are spread over, and how many each has.
    fn shares(&self, labels: u32) -> Vec<(&Bank, u32)> {
        let mut left = labels;
        let mut shares = Vec::new();
        for bank in &self.banks {
            let share = left.min(bank.labels);
            if share > 0 {
                shares.push((bank, share));
            }
            left -= share;
        }
        shares
    }

    fn write_uniforms(&self, work: &Work, shares: &[(&Bank, u32)]) {
        let queue = &self.opened.queue;
        let fill = Slice { start: work.filled, count: work.steps.fill }.to_bytes();
        let mix = Slice { start: 0, count: work.steps.mix }.to_bytes();
        let mut first = work.first.0;
        for (bank, labels) in shares {
            if work.starts {
                let words = [low(first), low(first >> 32)];
                let job = Job { commitment: self.commitment, first: words, labels: *labels };
                queue.write_buffer(&bank.job, 0, &job.to_bytes());
            }
            queue.write_buffer(&bank.fill_slice, 0, &fill);
            queue.write_buffer(&bank.mix_slice, 0, &mix);
            first = first.wrapping_add(u64::from(*labels));
        }
    }
}

impl Engine for Hardware {
    fn resize(&mut self, labels: u32) -> Result<u32, Fault> {
        // The old room makes way first, and is truly free once the device is idle.
        self.banks.clear();
        let idle = self.opened.queue.submit([]);
        self.opened.wait(idle)?;
        let sizes = self.layout.banks(labels);
        let mut banks = Vec::new();
        for size in sizes {
            match self.opened.allocate(|| self.bank(size))? {
                Some(bank) => banks.push(bank),
                None => {
                    return Err(Fault::OutOfMemory { labels, bytes: self.layout.bytes(labels) });
                }
            }
        }
        self.banks = banks;
        Ok(self.banks.iter().map(|bank| bank.labels).sum())
    }

    fn submit(&mut self, work: &Work) -> Result<(), Fault> {
        let shares = self.shares(work.labels);
        self.write_uniforms(work, &shares);
        let mut encoder = self.opened.device.create_command_encoder(&Default::default());
        let phases = [
            (work.starts, Phase::Seed),
            (work.steps.fill > 0, Phase::Fill),
            (work.steps.mix > 0, Phase::Mix),
            (work.ends, Phase::Finish),
        ];
        // Dispatches of one phase touch different buffers, so that the device may overlap them.
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for (_, phase) in phases.into_iter().filter(|(wanted, _)| *wanted) {
            pass.set_pipeline(self.pipelines.of(phase));
            for (bank, labels) in &shares {
                pass.set_bind_group(0, bank.group(phase), &[]);
                pass.dispatch_workgroups(labels.div_ceil(self.layout.workgroup), 1, 1);
            }
        }
        drop(pass);
        let mut ready = Vec::new();
        if work.ends {
            for (bank, labels) in &shares {
                let (to, bytes) =
                    (&bank.readback[self.batches % 2], u64::from(*labels) * FULL_BYTES);
                encoder.copy_buffer_to_buffer(&bank.out, 0, to, 0, bytes);
                ready.push((to.clone(), bytes));
            }
            self.batches += 1;
        }
        let submission = self.opened.queue.submit([encoder.finish()]);
        for (buffer, bytes) in &ready {
            // A failure shows when the bytes are asked for.
            buffer.map_async(wgpu::MapMode::Read, ..*bytes, |_| {});
        }
        self.opened.check()?;
        self.flying.push_back(Flying { submission, since: Instant::now(), ready });
        Ok(())
    }

    fn wait(&mut self) -> Result<Done, Fault> {
        let Some(Flying { submission, since, ready }) = self.flying.pop_front() else {
            return Err(Fault::Refused("there is nothing to wait for".to_owned()));
        };
        self.opened.wait(submission)?;
        let now = Instant::now();
        let took = now.duration_since(since.max(self.free_since));
        self.free_since = now;
        let mut labels = Vec::new();
        for (buffer, bytes) in ready {
            {
                let view = buffer
                    .get_mapped_range(..bytes)
                    .map_err(|error| Fault::Refused(format!("labels cannot be read: {error}")))?;
                labels.extend(view.as_chunks().0.iter().map(|bytes| FullLabel(*bytes)));
            }
            buffer.unmap();
        }
        Ok(Done { took, labels })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low(value: u64) -> u32 {
    value as u32
}

#[cfg(test)]
#[path = "hardware_tests.rs"]
mod tests;
