//! Labels and scans on the CPU: what `post` defines, by threads and SIMD.
//!
//! [`Labels`] makes labels, [`Scan`] looks for the good ones. Each has one plain kernel, made of
//! `post`'s own functions, and faster ones for the CPUs that can; a fast kernel is used only
//! after it has given the answers of the plain one. Knows nothing of files, sockets or time.

mod labels;
mod scan;
mod team;

pub use labels::{Labels, label_kernels};
pub use scan::{Scan, scan_kernels};
