//! The service: what a prover does on its own behalf and for nodes, for weeks, on a machine that
//! people also use.

pub(crate) mod status;
