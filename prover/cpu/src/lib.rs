//! Labels and scans on the CPU.
