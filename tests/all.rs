//! What no single crate can promise: one test binary, a module a subject.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod architecture;
mod control;
mod devices;
mod faults;
mod fuzz;
mod hosts;
mod keep;
mod keys;
mod outlook;
mod processes;
mod restarts;
mod service;
mod shares;
mod tidy;
mod vectors;
mod world;
