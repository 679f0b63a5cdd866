//! What node and prover say to each other: messages, versions, frames.
