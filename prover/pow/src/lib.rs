//! The k2pow: RandomX behind a safe face. Hands, not law: `post::k2pow` says what is hashed and
//! what solves it; this crate hashes, alone ([`RandomX`] is a [`PowHash`]) or with every core
//! ([`solve()`]).
//!
//! The only FFI of the project. The C++ and its build come from the `randomx-rs` crate; its Rust
//! wrapper is not used, because its objects cannot cross threads and it fills the 2 GiB dataset
//! on one. It knows no files and no sockets.

mod ffi;
mod machine;
mod pages;
mod solve;
mod watch;

pub use machine::{Engine, Mode, Pages, PowFault, RandomX};
pub use solve::{Puzzle, SolveError, solve};
pub use watch::Watch;
