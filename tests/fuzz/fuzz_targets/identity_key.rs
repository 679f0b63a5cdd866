//! libFuzzer on `postmesh_fuzz::identity_key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    postmesh_fuzz::identity_key(bytes);
});
