//! Labels and scans on the CPU: what `post` defines, by threads and SIMD.
//!
//! [`Labels`] makes labels, [`Scan`] looks for the good ones. Each has a portable kernel and
//! faster ones for the CPUs that can; which is best is decided once a process. A kernel that does
//! not answer a small question as `post` itself does is not used. Knows nothing of files and
//! sockets.

mod labels;
mod scan;
mod team;

pub use labels::{Labels, label_kernels};
pub use scan::{Scan, scan_kernels};
