//! libFuzzer on `postmesh_fuzz::trash_entry`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    postmesh_fuzz::trash_entry(bytes);
});
