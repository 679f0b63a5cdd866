//! SPEECH between node and prover: the messages, their versions, and the frames they travel in.
//!
//! Bytes in, bytes out: no sockets, no clocks. The node listens and asks; provers dial in, answer
//! and report. `docs/link.md` is the specification for people.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::std_instead_of_core, clippy::std_instead_of_alloc, clippy::alloc_instead_of_core)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::float_arithmetic
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod frame;
mod message;
mod pairing;

pub use frame::{BadFrame, Decoder, FRAME_BYTES_MAX, encode};
pub use message::{
    Checked, JobId, PLOTS_MAX, PlotInfo, ProveFailure, Refusal, SessionId, SpokenVersions, Stage,
    TEXT_BYTES_MAX, ToNode, ToProver, Version, WORK_MAX, WorkInfo, WorkState,
};
pub use pairing::{NAME_BYTES_MAX, PairAnswer, PairRefusal, PairRequest, is_name};
