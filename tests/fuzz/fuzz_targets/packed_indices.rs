//! libFuzzer on `postmesh_fuzz::packed_indices`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    postmesh_fuzz::packed_indices(bytes);
});
