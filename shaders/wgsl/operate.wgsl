// How fast arithmetic is: additions, exclusive ors and rotations in equal parts, as in ChaCha, in
// sixteen chains that do not wait for one another, without memory.

/// Invocations of a workgroup.
override WORKGROUP: u32 = 64u;

/// How much is done.
struct Turns {
    /// Turns of the loop: 192 operations on words each.
    turns: u32,
}

/// How much this dispatch does.
@group(0) @binding(0) var<uniform> work: Turns;

/// What comes out: four words for each invocation.
@group(0) @binding(1) var<storage, read_write> results: array<vec4<u32>>;

// Four chains of two words each way.
struct Chains {
    a: vec4<u32>,
    b: vec4<u32>,
}

@compute @workgroup_size(WORKGROUP)
fn operate(@builtin(global_invocation_id) id: vec3<u32>) {
    let seed = vec4(id.x, id.x + 1u, id.x + 2u, id.x + 3u);
    var w = Chains(seed, seed ^ vec4(0x61707865u));
    var x = Chains(seed + vec4(5u), seed ^ vec4(0x3320646eu));
    var y = Chains(seed + vec4(7u), seed ^ vec4(0x79622d32u));
    var z = Chains(seed + vec4(9u), seed ^ vec4(0x6b206574u));
    for (var turn = 0u; turn < work.turns; turn++) {
        w = quarter(w);
        x = quarter(x);
        y = quarter(y);
        z = quarter(z);
    }
    results[id.x] = w.a ^ x.a ^ y.a ^ z.a ^ w.b ^ x.b ^ y.b ^ z.b;
}

// Four times an addition, an exclusive or and a rotation, by the distances that ChaCha has.
fn quarter(x: Chains) -> Chains {
    var y = x;
    y = step(y, 16u);
    y = step(y, 12u);
    y = step(y, 8u);
    return step(y, 7u);
}

fn step(x: Chains, by: u32) -> Chains {
    let a = x.a + x.b;
    let b = x.b ^ a;
    return Chains(a, (b << vec4(by)) | (b >> vec4(32u - by)));
}
