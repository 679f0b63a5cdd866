//! A device that was opened: pipelines, buffers and waiting, with every failure as a [`Fault`].

use crate::fault::Fault;
use core::time::Duration;
use shaders::{Kind, Shader};
use std::sync::{Arc, Mutex, PoisonError};

/// No dispatch takes this long; a driver that is silent for longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A device, its queue, and what went wrong with it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    /// The first thing that the driver complained of. Drivers complain from any thread.
    trouble: Arc<Mutex<Option<Fault>>>,
}

impl Opened {
    pub(crate) fn new(adapter: &wgpu::Adapter) -> Result<Self, Fault> {
        let descriptor = wgpu::DeviceDescriptor {
            required_limits: adapter.limits(),
            // Buffers are few and large; nothing is gained by pools.
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| Fault::Refused(format!("it cannot be opened: {error}")))?;
        let trouble = Arc::new(Mutex::new(None));
        let note = Arc::clone(&trouble);
        device.on_uncaptured_error(Arc::new(move |error| {
            put(&note, Fault::Refused(error.to_string()));
        }));
        let note = Arc::clone(&trouble);
        device.set_device_lost_callback(move |_, text| put(&note, Fault::Lost(text)));
        Ok(Self { device, queue, trouble })
    }

    /// The first failure so far, if there was one: nothing after it can be relied on.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.clone().map_or(Ok(()), Err)
    }

    /// A pipeline of a shader, specialised by constants. A driver that refuses it may still take
    /// others.
    pub(crate) fn pipeline(
        &self,
        shader: &Shader,
        constants: &[(&str, f64)],
    ) -> Result<wgpu::ComputePipeline, Fault> {
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        let scopes = [Validation, Internal, OutOfMemory];
        let scopes = scopes.map(|filter| self.device.push_error_scope(filter));
        let pipeline = self.compile(shader, constants);
        // The innermost one first, and every one of them.
        let errors = scopes.into_iter().rev().map(|scope| pollster::block_on(scope.pop()));
        let errors: Vec<_> = errors.collect();
        match errors.into_iter().flatten().next() {
            Some(error) => Err(Fault::Refused(format!("shader {}: {error}", shader.name))),
            None => self.check().map(|()| pipeline),
        }
    }

    fn compile(&self, shader: &Shader, constants: &[(&str, f64)]) -> wgpu::ComputePipeline {
        let entries: Vec<_> = shader
            .bindings
            .iter()
            .map(|binding| wgpu::BindGroupLayoutEntry {
                binding: binding.number,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: match binding.kind {
                        Kind::Uniform { .. } => wgpu::BufferBindingType::Uniform,
                        Kind::Storage { read_only } => {
                            wgpu::BufferBindingType::Storage { read_only }
                        }
                    },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let group = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(shader.name),
            entries: &entries,
        });
        let layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(shader.name),
            bind_group_layouts: &[Some(&group)],
            immediate_size: 0,
        });
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(shader.name),
            source: wgpu::ShaderSource::Wgsl(shader.source.into()),
        });
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(shader.name),
            layout: Some(&layout),
            module: &module,
            entry_point: Some(shader.name),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants,
                // What is read from workgroup memory was written before.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        })
    }

    /// Buffers bound to a pipeline.
    pub(crate) fn bind<const N: usize>(
        &self,
        pipeline: &wgpu::ComputePipeline,
        buffers: [(u32, &wgpu::Buffer); N],
    ) -> wgpu::BindGroup {
        let entries = buffers.map(|(binding, buffer)| wgpu::BindGroupEntry {
            binding,
            resource: buffer.as_entire_binding(),
        });
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    }

    /// What `make` allocates; `None` if there is not enough memory for it.
    pub(crate) fn allocate<T>(&self, make: impl FnOnce() -> T) -> Result<Option<T>, Fault> {
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let made = make();
        let refused = pollster::block_on(scope.pop()).is_some();
        self.check()?;
        Ok((!refused).then_some(made))
    }

    pub(crate) fn buffer(&self, name: &str, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let descriptor =
            wgpu::BufferDescriptor { label: Some(name), size, usage, mapped_at_creation: false };
        self.device.create_buffer(&descriptor)
    }

    /// Blocks until a submission is done. No busy waiting: the driver wakes this thread.
    pub(crate) fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<(), Fault> {
        let wait =
            wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(PATIENCE) };
        let polled = self.device.poll(wait);
        self.check()?;
        match polled {
            Ok(_) => Ok(()),
            Err(wgpu::PollError::Timeout) => {
                // What it was doing may still come back, and would be taken for something else.
                put(&self.trouble, Fault::Hung { seconds: PATIENCE.as_secs() });
                self.check()
            }
            Err(error) => Err(Fault::Refused(error.to_string())),
        }
    }
}

/// Keeps the first fault; the loss of the device outweighs what was said before.
fn put(place: &Mutex<Option<Fault>>, fault: Fault) {
    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
    if place.is_none() || matches!(fault, Fault::Lost(_)) {
        *place = Some(fault);
    }
}

#[cfg(test)]
mod tests {
    use crate::fault::Fault;
    use crate::testing;
    use shaders::{Shader, seed};

    #[test]
    fn a_shader_that_is_refused_does_not_spoil_the_device() {
        for device in testing::all() {
            let opened = device.open().unwrap();
            let constants = seed::Constants { workgroup: 64 }.named();
            let broken = Shader { source: "@compute fn seed() { nonsense }", ..seed::SHADER };
            let fault = opened.pipeline(&broken, &constants).unwrap_err();
            assert!(matches!(&fault, Fault::Refused(text) if text.contains("seed")), "{fault}");
            let too_wide = seed::Constants { workgroup: 1 << 20 }.named();
            let fault = opened.pipeline(&seed::SHADER, &too_wide).unwrap_err();
            assert!(matches!(fault, Fault::Refused(_)), "{fault}");
            assert_eq!(opened.check(), Ok(()));
            opened.pipeline(&seed::SHADER, &constants).unwrap();
        }
    }
}
