// First pass: the block that mixing starts from, 128 bytes of PBKDF2 with an empty salt
// (`post::label::expand`).
//
//import keccak

@compute @workgroup_size(WORKGROUP)
fn seed(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= job.labels {
        return;
    }
    for (var half = 0u; half < 2u; half++) {
        var inner = keyed(id.x, INNER);
        // What follows the key: the number of the half from 1, four bytes, the highest first.
        inner[0] ^= vec2((half + 1u) << 24u, PAD);
        inner[8] ^= vec2(0u, PAD_END);
        permute(&inner);
        let hash = outer(id.x, inner);
        let at = id.x * 8u + half * 4u;
        state[at] = vec4(hash[0], hash[1]);
        state[at + 1u] = vec4(hash[2], hash[3]);
        state[at + 2u] = vec4(hash[4], hash[5]);
        state[at + 3u] = vec4(hash[6], hash[7]);
    }
}
