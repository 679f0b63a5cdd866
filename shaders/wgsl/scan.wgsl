// First pass of the proving scan: eight labels an invocation, encrypted under each group's key. A
// byte below the threshold's top byte is a hit, an equal one a candidate.
//
//import aes
//import search

// Groups of a dispatch: so many that their keys fit the smallest uniform buffer there is, 16 KiB.
const GROUPS: u32 = 11u;

/// The keys of the groups of one dispatch.
struct Keys {
    /// Of each group 11 round keys of 8 planes: a byte of ones where the key's bit is set. All
    /// but the first round key are XORed with 0x63 in every byte.
    planes: array<vec4<u32>, GROUPS * 88u>,
    /// The number of the first of these groups in the search.
    first: u32,
    /// How many groups there are.
    count: u32,
}

/// The groups of this dispatch.
@group(0) @binding(5) var<uniform> keys: Keys;

@compute @workgroup_size(WORKGROUP)
fn scan(@builtin(global_invocation_id) id: vec3<u32>) {
    let first = id.x * 8u;
    if first >= search.labels {
        return;
    }
    // Beyond the last label, the last one again: its findings are not counted.
    let last = search.labels - 1u;
    let count = min(search.labels - first, 8u);
    let wanted = vec4(0x01010101u * ((1u << count) - 1u));
    let planes = transpose(Planes(
        turn(labels[first]), turn(labels[min(first + 1u, last)]),
        turn(labels[min(first + 2u, last)]), turn(labels[min(first + 3u, last)]),
        turn(labels[min(first + 4u, last)]), turn(labels[min(first + 5u, last)]),
        turn(labels[min(first + 6u, last)]), turn(labels[min(first + 7u, last)]),
    ));
    for (var group = 0u; group < keys.count; group++) {
        let cipher = encrypt(planes, group * 88u);
        var order = compare(Order(vec4(0u), wanted), cipher[7], 7u);
        order = compare(order, cipher[6], 6u);
        order = compare(order, cipher[5], 5u);
        order = compare(order, cipher[4], 4u);
        order = compare(order, cipher[3], 3u);
        order = compare(order, cipher[2], 2u);
        order = compare(order, cipher[1], 1u);
        order = compare(order, cipher[0], 0u);
        let slot = (keys.first + group) * 16u;
        if any(order.less != vec4(0u)) {
            add_hits(order.less, first, slot);
        }
        if any(order.equal != vec4(0u)) {
            add_candidates(order.equal, first, slot);
        }
    }
}

// Which bytes are less than the threshold's as far as they were compared, and which are equal.
struct Order {
    less: vec4<u32>,
    equal: vec4<u32>,
}

// Goes on with the next lower bit.
fn compare(order: Order, plane: vec4<u32>, bit: u32) -> Order {
    let top = vec4(0u - ((search.top >> bit) & 1u));
    return Order(
        order.less | (order.equal & top & ~plane),
        order.equal & ~(top ^ plane),
    );
}

fn encrypt(planes: Planes, at: u32) -> Planes {
    var x = xor_planes(planes, key(at));
    for (var number = 1u; number < 10u; number++) {
        x = xor_planes(round(x), key(at + number * 8u));
    }
    return xor_planes(last_round(x), key(at + 80u));
}

fn key(at: u32) -> Planes {
    return Planes(
        keys.planes[at], keys.planes[at + 1u], keys.planes[at + 2u], keys.planes[at + 3u],
        keys.planes[at + 4u], keys.planes[at + 5u], keys.planes[at + 6u], keys.planes[at + 7u],
    );
}

fn add_hits(marks: vec4<u32>, first: u32, slot: u32) {
    let bits = countOneBits(marks);
    var place = atomicAdd(&found.hits, bits.x + bits.y + bits.z + bits.w);
    for (var row = 0u; row < 4u; row++) {
        for (var left = marks[row]; left != 0u; left &= left - 1u) {
            if place < search.hits {
                hits[place] = finding(first, slot + row, firstTrailingBit(left));
            }
            place++;
        }
    }
}

fn add_candidates(marks: vec4<u32>, first: u32, slot: u32) {
    let bits = countOneBits(marks);
    var place = atomicAdd(&found.candidates, bits.x + bits.y + bits.z + bits.w);
    for (var row = 0u; row < 4u; row++) {
        for (var left = marks[row]; left != 0u; left &= left - 1u) {
            if place < search.candidates {
                candidates[place] = finding(first, slot + row, firstTrailingBit(left));
            }
            place++;
        }
    }
}

// What bit `bit` of a row of planes stands for; `slot` is that of the row's first byte.
fn finding(first: u32, slot: u32, bit: u32) -> vec2<u32> {
    return vec2(first + bit % 8u, slot + bit / 8u * 4u);
}
