//! THE LAW: what a label is, what a proof is, and what makes a proof valid.
//!
//! Everything here is a pure function of its arguments: no files, sockets, threads, clocks or
//! logs, and no `unsafe`. The prover's fast paths (`cpu`, `gpu`) are measured against these
//! definitions, and the node judges foreign proofs with them.
//!
//! The pieces, in the order matter flows:
//!
//! 1. [`label`]: label `i` of an identity, by scrypt over its [`Commitment`];
//! 2. [`vrf`]: the rare label whose index becomes the identity's VRF nonce;
//! 3. [`k2pow`]: the small proof of work that buys a group of 16 nonces;
//! 4. [`search`]: which labels are good for which nonce, and which nonce wins;
//! 5. [`proof`]: the bytes of a proof and the statement it proves;
//! 6. [`verify`]: the judge.
//!
//! Bit-compatible with Spacemesh's post-rs; stricter in what it accepts ([`verify`] says where).
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

mod bytes;
pub mod k2pow;
pub mod label;
pub mod params;
pub mod proof;
pub mod search;
mod units;
pub mod verify;
pub mod vrf;

pub use bytes::{BadHex, from_hex, to_hex};
pub use label::{Candidate, FullLabel, LABEL_BYTES, Labeler, label};
pub use params::{BadParams, Params, Preset, ScryptN, presets};
pub use proof::{Proof, Statement};
pub use units::{
    AtxId, Challenge, Commitment, LabelIndex, LabelRange, NetworkId, NodeId, Nonce, NonceGroup,
};
