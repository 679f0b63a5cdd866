//! What a device could do at most: how fast its memory is copied, and how fast shaders compute
//! without any. Neither runs a kernel of ours, so that a slow kernel does not look good beside it.
//!
//! Memory is copied by a shader or by the driver's own command, whichever turns out to be faster:
//! some drivers copy by a slow engine beside the processors, and on a CPU that plays GPU a shader
//! moves a fraction of what memory can.

use crate::cost::Cost;
use crate::devices::Device;
use crate::fault::Fault;
use crate::open::Opened;
use core::time::Duration;
use shaders::{Turns, copy, operate};
use std::time::Instant;
use wgpu::BufferUsages;

/// Invocations of a workgroup.
const WORKGROUP: u32 = 64;

/// Bytes of the buffer that is copied: beyond the caches of all cards we know of.
const COPY_BYTES: u64 = 256 << 20;
/// Less would be a measurement of caches.
const COPY_BYTES_LEAST: u64 = 16 << 20;
/// Bytes that a workgroup copies: 16 words of four an invocation.
const COPY_STEP: u64 = 16 * 16 * WORKGROUP as u64;

/// Workgroups that compute: 16 for each of a few hundred processors.
const OPERATING: u32 = 4096;
/// Operations of a turn of an invocation.
const OPERATIONS: u64 = 192;

/// A submission shorter than this is made longer, so that its start costs next to nothing; none is
/// longer than a few of these, lest the desktop freeze.
const LONG_ENOUGH: Duration = Duration::from_millis(20);

/// The probe of one device, with memory of its own.
#[derive(Debug)]
pub struct Roofline {
    opened: Opened,
    copying: Copying,
    /// Whether the driver's command copies, and not the shader.
    by_command: bool,
    /// Copies in a submission.
    copies: u32,
    operating: Kernel,
    work: wgpu::Buffer,
    turns: u32,
}

/// A buffer, another for its copy, and the shader that copies.
#[derive(Debug)]
struct Copying {
    source: wgpu::Buffer,
    copied: wgpu::Buffer,
    bytes: u64,
    shader: Kernel,
}

#[derive(Debug)]
struct Kernel {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    workgroups: u32,
}

impl Roofline {
    /// Opens the device and runs each kernel once, so that nothing is compiled later.
    ///
    /// # Errors
    /// [`Fault`]: the device cannot be opened, or has not even memory for this.
    pub fn new(device: &Device) -> Result<Self, Fault> {
        let opened = device.open()?;
        let limit = device.limits().binding.min(COPY_BYTES);
        let copying = copying(&opened, limit)?;
        let constants = operate::Constants { workgroup: WORKGROUP }.named();
        let pipeline = opened.pipeline(&operate::SHADER, &constants)?;
        let usage = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
        let work = opened.buffer("work", Turns::BYTES, usage);
        let bytes = u64::from(OPERATING * WORKGROUP) * 16;
        let results = opened.buffer("results", bytes, BufferUsages::STORAGE);
        let bound = operate::Bindings { work: &work, results: &results }.numbered();
        let group = opened.bind(&pipeline, bound);
        let operating = Kernel { pipeline, group, workgroups: OPERATING };
        let (by_command, copies, turns) = (false, 1, 8);
        let mut probe = Self { opened, copying, by_command, copies, operating, work, turns };
        probe.operate(Duration::ZERO)?;
        // The first time, shaders are compiled and memory is fresh.
        let [_, by_shader] = [probe.run_copies()?, probe.run_copies()?];
        probe.by_command = true;
        let [_, by_command] = [probe.run_copies()?, probe.run_copies()?];
        probe.by_command = by_command < by_shader;
        Ok(probe)
    }

    /// Bytes of the buffer that is copied.
    #[must_use]
    pub fn copy_bytes(&self) -> u64 {
        self.copying.bytes
    }

    /// Bytes a second that are read and written, both counted, when one buffer is copied to another
    /// for so long.
    ///
    /// # Errors
    /// [`Fault`]; the device must be opened again then.
    pub fn copy(&mut self, length: Duration) -> Result<f64, Fault> {
        let (start, mut done, mut seconds) = (Instant::now(), 0.0, 0.0);
        loop {
            let took = self.run_copies()?;
            done += 2.0 * self.copying.bytes as f64 * f64::from(self.copies);
            seconds += took.as_secs_f64();
            if took < LONG_ENOUGH {
                self.copies = self.copies.saturating_mul(2).min(1 << 12);
            }
            if start.elapsed() >= length {
                return Ok(done / seconds);
            }
        }
    }

    /// Operations on 32-bit words a second: additions, exclusive ors and rotations in equal parts,
    /// each counted as one, for so long.
    ///
    /// # Errors
    /// [`Fault`]; the device must be opened again then.
    pub fn operate(&mut self, length: Duration) -> Result<f64, Fault> {
        let (start, mut done, mut seconds) = (Instant::now(), 0.0, 0.0);
        let each = OPERATIONS * u64::from(OPERATING) * u64::from(WORKGROUP);
        loop {
            let turns = Turns { turns: self.turns };
            self.opened.queue.write_buffer(&self.work, 0, &turns.to_bytes());
            let took = self.run(|encoder| self.operating.record(encoder, 1))?;
            done += each as f64 * f64::from(self.turns);
            seconds += took.as_secs_f64();
            if took < LONG_ENOUGH {
                self.turns = self.turns.saturating_mul(2).min(1 << 20);
            }
            if start.elapsed() >= length {
                return Ok(done / seconds);
            }
        }
    }

    /// How long the copies of a submission take.
    fn run_copies(&self) -> Result<Duration, Fault> {
        let Copying { source, copied, bytes, shader } = &self.copying;
        self.run(|encoder| {
            if self.by_command {
                for _ in 0..self.copies {
                    encoder.copy_buffer_to_buffer(source, 0, copied, 0, *bytes);
                }
            } else {
                shader.record(encoder, self.copies);
            }
        })
    }

    /// How long the device takes for what is recorded.
    fn run(&self, record: impl FnOnce(&mut wgpu::CommandEncoder)) -> Result<Duration, Fault> {
        let start = Instant::now();
        let mut encoder = self.opened.device.create_command_encoder(&Default::default());
        record(&mut encoder);
        let submission = self.opened.queue.submit([encoder.finish()]);
        self.opened.wait(submission)?;
        Ok(start.elapsed())
    }
}

impl Kernel {
    /// So many dispatches, one after the other.
    fn record(&self, encoder: &mut wgpu::CommandEncoder, times: u32) {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        for _ in 0..times {
            pass.dispatch_workgroups(self.workgroups, 1, 1);
        }
    }
}

impl Cost {
    /// Labels a second that a device could make at most which moves so many bytes a second, and
    /// does so many operations: limited by memory, and by arithmetic.
    #[must_use]
    pub fn limits(&self, bytes_a_second: f64, operations_a_second: f64) -> [f64; 2] {
        [bytes_a_second / self.bytes(), operations_a_second / self.operations]
    }
}

/// The largest buffer up to `limit` of which there is memory for two, and its copying.
fn copying(opened: &Opened, limit: u64) -> Result<Copying, Fault> {
    let constants = copy::Constants { workgroup: WORKGROUP }.named();
    let pipeline = opened.pipeline(&copy::SHADER, &constants)?;
    let mut bytes = limit / COPY_STEP * COPY_STEP;
    loop {
        let made = opened.allocate(|| {
            let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
            ["source", "copied"].map(|name| opened.buffer(name, bytes, usage))
        })?;
        if let Some([source, copied]) = made {
            let bound = copy::Bindings { source: &source, copied: &copied }.numbered();
            let group = opened.bind(&pipeline, bound);
            let shader = Kernel { pipeline, group, workgroups: (bytes / COPY_STEP) as u32 };
            return Ok(Copying { source, copied, bytes, shader });
        }
        if bytes / 2 < COPY_BYTES_LEAST {
            return Err(Fault::Refused(format!("no memory for two buffers of {bytes} bytes")));
        }
        bytes = bytes / 2 / COPY_STEP * COPY_STEP;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Gap;
    use crate::testing;
    use post::ScryptN;

    #[test]
    fn every_device_has_a_roof() {
        for device in testing::all() {
            let mut roof = Roofline::new(&device).unwrap();
            let length = Duration::from_millis(10);
            let rates = [roof.copy(length).unwrap(), roof.operate(length).unwrap()];
            // From a processor that is busy to the widest card.
            assert!((1e7..1e14).contains(&rates[0]), "{rates:?}");
            assert!((1e7..1e16).contains(&rates[1]), "{rates:?}");
            assert!(roof.copy_bytes() >= COPY_BYTES_LEAST);
        }
    }

    #[test]
    fn a_wider_gap_trades_memory_for_arithmetic() {
        let n = ScryptN::new(8192).unwrap();
        let [near, far] = [Gap::One, Gap::Four].map(|gap| Cost::of(n, gap).limits(1e12, 1e13));
        assert!(near[0] < far[0] && near[1] > far[1]);
        assert!((near[0] - 1e12 / f64::from(2 << 20)).abs() < 1.0);
    }
}
