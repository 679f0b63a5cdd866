// Second pass of the proving scan: eight candidates an invocation, each encrypted under the key of
// its own nonce. Those whose low 56 bits are below the threshold's are hits.
//
//import aes
//import search

/// The keys of each nonce, by slot: 11 round keys, all but the first XORed with 0x63 in every
/// byte; turned, row after row.
@group(0) @binding(5) var<storage, read> nonce_keys: array<vec4<u32>>;

@compute @workgroup_size(WORKGROUP)
fn sift(@builtin(global_invocation_id) id: vec3<u32>) {
    let total = min(atomicLoad(&found.candidates), search.candidates);
    let first = id.x * 8u;
    if first >= total {
        return;
    }
    // Beyond the last candidate, the last one again: it is not looked at.
    let last = total - 1u;
    let c0 = candidates[first];
    let c1 = candidates[min(first + 1u, last)];
    let c2 = candidates[min(first + 2u, last)];
    let c3 = candidates[min(first + 3u, last)];
    let c4 = candidates[min(first + 4u, last)];
    let c5 = candidates[min(first + 5u, last)];
    let c6 = candidates[min(first + 6u, last)];
    let c7 = candidates[min(first + 7u, last)];
    let at = array(
        c0.y * 11u, c1.y * 11u, c2.y * 11u, c3.y * 11u,
        c4.y * 11u, c5.y * 11u, c6.y * 11u, c7.y * 11u,
    );
    let blocks = Planes(
        turn(labels[c0.x]), turn(labels[c1.x]), turn(labels[c2.x]), turn(labels[c3.x]),
        turn(labels[c4.x]), turn(labels[c5.x]), turn(labels[c6.x]), turn(labels[c7.x]),
    );
    var x = xor_planes(transpose(blocks), keys_of(at, 0u));
    for (var number = 1u; number < 10u; number++) {
        x = xor_planes(round(x), keys_of(at, number));
    }
    let ciphers = transpose(xor_planes(last_round(x), keys_of(at, 10u)));
    let count = total - first;
    judge(c0, turn(ciphers[0]), true);
    judge(c1, turn(ciphers[1]), count > 1u);
    judge(c2, turn(ciphers[2]), count > 2u);
    judge(c3, turn(ciphers[3]), count > 3u);
    judge(c4, turn(ciphers[4]), count > 4u);
    judge(c5, turn(ciphers[5]), count > 5u);
    judge(c6, turn(ciphers[6]), count > 6u);
    judge(c7, turn(ciphers[7]), count > 7u);
}

// Keeps a candidate whose low bits are below the threshold's.
fn judge(candidate: vec2<u32>, cipher: vec4<u32>, counts: bool) {
    let high = cipher.y & 0x00ffffffu;
    let below = high < search.low.y || (high == search.low.y && cipher.x < search.low.x);
    if counts && below {
        let place = atomicAdd(&found.hits, 1u);
        if place < search.hits {
            hits[place] = candidate;
        }
    }
}

// One round key of each of eight nonces, as planes.
fn keys_of(at: array<u32, 8>, number: u32) -> Planes {
    return transpose(Planes(
        nonce_keys[at[0] + number], nonce_keys[at[1] + number],
        nonce_keys[at[2] + number], nonce_keys[at[3] + number],
        nonce_keys[at[4] + number], nonce_keys[at[5] + number],
        nonce_keys[at[6] + number], nonce_keys[at[7] + number],
    ));
}
