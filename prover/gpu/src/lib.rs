//! Labels and scans on GPUs, by wgpu: Vulkan, Metal or DirectX 12 from one set of shaders.
//!
//! [`devices()`] lists what the machine has, [`Labels`] makes labels on it, [`Scan`]
//! looks for good ones; [`Cost`] and [`Roofline`] say how fast labels could be made at most. A
//! device that does not answer a small question as `post` itself does is not used. The only crate
//! that names `wgpu`.
//!
//! Knows nothing of files and sockets, nor of other devices: who shares the work, kills a driver
//! that hangs, or doubts a label later, stands above.

mod cost;
#[cfg(test)]
mod count;
mod devices;
mod fault;
mod labels;
mod open;
mod roofline;
mod scan;
#[cfg(test)]
mod testing;

pub use cost::Cost;
pub use devices::{Backend, Device, DeviceName, Kind, Skip, devices};
pub use fault::Fault;
pub use labels::{Gap, Labels, Mixing, Settings, Tuning};
pub use roofline::Roofline;
pub use scan::Scan;
