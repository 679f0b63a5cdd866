// What a batch of labels is about: whose labels, and which.

/// Invocations of a workgroup.
override WORKGROUP: u32 = 64u;

/// What a batch of labels is about.
struct Job {
    /// The commitment as eight little-endian words.
    commitment: array<vec4<u32>, 2>,
    /// The index of the first label; 64 bits, the low word first.
    first: vec2<u32>,
    /// How many labels, each made by one invocation; those beyond have nothing to do.
    labels: u32,
}

/// What this batch is about.
@group(0) @binding(0) var<uniform> job: Job;

/// Each label's working block between two dispatches: eight words of four, label after label.
@group(0) @binding(1) var<storage, read_write> state: array<vec4<u32>>;
