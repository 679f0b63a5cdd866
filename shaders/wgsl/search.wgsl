// What both passes of the proving scan share.
//
// A finding is a pair: the number of a label in this batch, and a slot, which is 16 times the
// number of a group in this search plus the lane of the nonce.

/// Invocations of a workgroup.
override WORKGROUP: u32 = 64u;

/// What is searched for, and how much room there is for it.
struct Search {
    /// The low 56 bits of the threshold, the low word first.
    low: vec2<u32>,
    /// The top byte of the threshold.
    top: u32,
    /// Labels of this batch.
    labels: u32,
    /// How many hits there is room for.
    hits: u32,
    /// How many candidates there is room for.
    candidates: u32,
}

/// How many were found, whether or not there was room for them.
struct Found {
    /// Labels that are good for a nonce.
    hits: atomic<u32>,
    /// Labels whose byte equals the threshold's, so that the low bits decide.
    candidates: atomic<u32>,
}

/// What is searched for.
@group(0) @binding(0) var<uniform> search: Search;

/// The labels, a block of AES each.
@group(0) @binding(1) var<storage, read> labels: array<vec4<u32>>;

/// Counters; zero at first.
@group(0) @binding(2) var<storage, read_write> found: Found;

/// Candidates, in any order.
@group(0) @binding(3) var<storage, read_write> candidates: array<vec2<u32>>;

/// Hits, in any order.
@group(0) @binding(4) var<storage, read_write> hits: array<vec2<u32>>;
