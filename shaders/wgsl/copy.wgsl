// How fast memory is: words are copied from one buffer to another, and nothing else is done.

/// Invocations of a workgroup.
override WORKGROUP: u32 = 64u;

/// What is read.
@group(0) @binding(0) var<storage, read> source: array<vec4<u32>>;

/// What is written, as large as what is read.
@group(0) @binding(1) var<storage, read_write> copied: array<vec4<u32>>;

// Words of four that an invocation copies. Neighbours copy neighbouring ones.
const EACH: u32 = 16u;

@compute @workgroup_size(WORKGROUP)
fn copy(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) me: u32,
) {
    let first = group.x * WORKGROUP * EACH + me;
    for (var turn = 0u; turn < EACH; turn++) {
        let at = first + turn * WORKGROUP;
        copied[at] = source[at];
    }
}
