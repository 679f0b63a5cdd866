//! libFuzzer on `postmesh_fuzz::link_to_prover`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    postmesh_fuzz::link_to_prover(bytes);
});
