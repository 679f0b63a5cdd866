//! libFuzzer on `postmesh_fuzz::identity_key`.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| _ = postmesh_fuzz::identity_key(bytes));
