// Last pass: the 32 bytes of each label, PBKDF2 with the mixed block as salt
// (`post::label::contract`).
//
//import keccak

/// The labels, two words of four each.
@group(0) @binding(2) var<storage, read_write> labels: array<vec4<u32>>;

@compute @workgroup_size(WORKGROUP)
fn finish(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= job.labels {
        return;
    }
    let at = id.x * 8u;
    let salt = array<vec4<u32>, 8>(
        state[at], state[at + 1u], state[at + 2u], state[at + 3u],
        state[at + 4u], state[at + 5u], state[at + 6u], state[at + 7u],
    );
    // 128 bytes of salt and the number 1 are a block of 72 bytes and one of 60 with its padding.
    var inner = keyed(id.x, INNER);
    inner[0] ^= salt[0].xy;
    inner[1] ^= salt[0].zw;
    inner[2] ^= salt[1].xy;
    inner[3] ^= salt[1].zw;
    inner[4] ^= salt[2].xy;
    inner[5] ^= salt[2].zw;
    inner[6] ^= salt[3].xy;
    inner[7] ^= salt[3].zw;
    inner[8] ^= salt[4].xy;
    permute(&inner);
    inner[0] ^= salt[4].zw;
    inner[1] ^= salt[5].xy;
    inner[2] ^= salt[5].zw;
    inner[3] ^= salt[6].xy;
    inner[4] ^= salt[6].zw;
    inner[5] ^= salt[7].xy;
    inner[6] ^= salt[7].zw;
    inner[7] ^= vec2(1u << 24u, PAD);
    inner[8] ^= vec2(0u, PAD_END);
    permute(&inner);
    let label = outer(id.x, inner);
    labels[2u * id.x] = vec4(label[0], label[1]);
    labels[2u * id.x + 1u] = vec4(label[2], label[3]);
}
