//! libFuzzer on `postmesh_fuzz::proof_record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    postmesh_fuzz::proof_record(bytes);
});
