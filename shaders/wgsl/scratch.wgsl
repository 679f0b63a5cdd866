// scrypt's scratch: for each label N / GAP rows of 128 bytes, contiguous; the rows between are
// computed again when they are wanted.
//
//import job
//import chacha

/// scrypt's N: how many rows there would be without a gap. A power of two.
override N: u32 = 8192u;
/// Of how many rows one is stored: 1, 2 or 4.
override GAP: u32 = 1u;

/// A slice of the work: so much of it as one dispatch does.
struct Slice {
    /// The step it begins with.
    start: u32,
    /// How many steps.
    count: u32,
}

/// The slice that this dispatch does.
@group(0) @binding(2) var<uniform> slice: Slice;

/// Rows of eight words of four: label after label, in each the rows one after the other.
@group(0) @binding(3) var<storage, read_write> scratch: array<vec4<u32>>;

// Where label `label` keeps row `row` of its stored ones. Labels start a row later than their
// neighbour and wrap around: filled in lockstep, they would all write to addresses that are equal
// in the low bits, and so to one channel of the memory.
fn place(label: u32, row: u32) -> u32 {
    let rows = max(N / GAP, 1u);
    return (label * rows + ((row + label) & (rows - 1u))) * 8u;
}

fn load_state(label: u32) -> Block {
    let at = label * 8u;
    return Block(
        Half(state[at], state[at + 1u], state[at + 2u], state[at + 3u]),
        Half(state[at + 4u], state[at + 5u], state[at + 6u], state[at + 7u]),
    );
}

fn store_state(label: u32, block: Block) {
    let at = label * 8u;
    state[at] = block.first.a;
    state[at + 1u] = block.first.b;
    state[at + 2u] = block.first.c;
    state[at + 3u] = block.first.d;
    state[at + 4u] = block.second.a;
    state[at + 5u] = block.second.b;
    state[at + 6u] = block.second.c;
    state[at + 7u] = block.second.d;
}
