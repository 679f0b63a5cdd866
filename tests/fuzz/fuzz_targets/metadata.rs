//! libFuzzer on `postmesh_fuzz::metadata`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    postmesh_fuzz::metadata(bytes);
});
