//! libFuzzer on `postmesh_fuzz::proof_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    postmesh_fuzz::proof_file(bytes);
});
