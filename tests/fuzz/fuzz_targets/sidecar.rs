//! libFuzzer on `postmesh_fuzz::sidecar`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    postmesh_fuzz::sidecar(bytes);
});
