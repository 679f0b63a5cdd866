//! postmesh-node: queries provers, judges and records their proofs.
