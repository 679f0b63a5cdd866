//! postmesh-prover: initializes and proves on local disks.
