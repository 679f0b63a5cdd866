//! NOUNS of the chain: networks, identities and their keys, and the records that a node keeps.
//!
//! Types, their one encoding and their hashes; nothing here judges, stores or sends. It will grow
//! into all that consensus speaks of; a proof and its verdict are the first.
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

mod canonical;
mod identity;
mod network;
mod record;
mod sealed;

pub use canonical::{Malformed, decode, encode};
pub use identity::{BadKey, Identity};
pub use network::{BadNetwork, Network};
pub use record::{ProofRecord, ProofRequest, Verdict};
pub use sealed::{BadSealedKey, NotOpened, NotSealed, SealedKey};
