//! The GPUs of this machine: each once, by a name, and why one is not used.

mod list;

use crate::fault::Fault;
use crate::labels::Limits;
use crate::open::Opened;
use list::{Found, list};

pub use list::{Backend, DeviceName, Kind, Skip};

/// A GPU that the system knows.
#[derive(Clone, Debug)]
pub struct Device {
    /// What it is called here.
    pub name: DeviceName,
    /// What its maker calls it.
    pub model: String,
    /// What it is reached by; the best of `backend` and `also`.
    pub backend: Backend,
    /// What else it could be reached by.
    pub also: Vec<Backend>,
    /// What kind of device it is.
    pub kind: Kind,
    /// The driver and its version. A tuning belongs to a device and its driver.
    pub driver: String,
    /// Bytes of the largest buffer that a shader can be given.
    pub binding_bytes: u64,
    /// Why it is not used unless it is asked for by name.
    pub skip: Option<Skip>,
    adapter: wgpu::Adapter,
}

/// All GPUs, the most promising first. Empty where there is none, or no driver for it.
#[must_use]
pub fn devices() -> Vec<Device> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    // Head-room for other programs, where the system tells how much memory there is.
    descriptor.memory_budget_thresholds.for_resource_creation = Some(MEMORY_PERCENT);
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let found = adapters.iter().map(found).collect();
    let listed = list(found).into_iter().filter_map(|listed| {
        let adapter = adapters.get(listed.number)?.clone();
        let found = listed.found;
        Some(Device {
            name: listed.name,
            model: found.model,
            backend: found.backend,
            also: listed.also,
            kind: found.kind,
            driver: found.driver,
            binding_bytes: found.binding_bytes,
            skip: listed.skip,
            adapter,
        })
    });
    listed.collect()
}

/// So much of a device's memory as the system reports may be taken, in percent.
const MEMORY_PERCENT: u8 = 85;

impl Device {
    /// Opens the device for one kind of work.
    pub(crate) fn open(&self) -> Result<Opened, Fault> {
        Opened::new(&self.adapter)
    }

    pub(crate) fn limits(&self) -> Limits {
        let workgroups = self.adapter.limits().max_compute_workgroups_per_dimension;
        Limits { binding: self.binding_bytes, workgroups }
    }
}

/// What an adapter says of itself.
fn found(adapter: &wgpu::Adapter) -> Found {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    let compute = wgpu::DownlevelFlags::COMPUTE_SHADERS;
    Found {
        model: info.name,
        vendor: info.vendor,
        device: info.device,
        bus: info.device_pci_bus_id,
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => Kind::Discrete,
            wgpu::DeviceType::IntegratedGpu => Kind::Integrated,
            wgpu::DeviceType::VirtualGpu => Kind::Virtual,
            wgpu::DeviceType::Cpu => Kind::Software,
            wgpu::DeviceType::Other => Kind::Unknown,
        },
        backend: match info.backend {
            wgpu::Backend::Metal => Backend::Metal,
            wgpu::Backend::Dx12 => Backend::Dx12,
            _ => Backend::Vulkan,
        },
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        computes: adapter.get_downlevel_capabilities().flags.contains(compute),
        invocations: limits.max_compute_invocations_per_workgroup,
        binding_bytes: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
    }
}
