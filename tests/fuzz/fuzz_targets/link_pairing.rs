//! libFuzzer on `postmesh_fuzz::link_pairing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    postmesh_fuzz::link_pairing(bytes);
});
