// Third pass, in slices, as `mix` but for memory that wants neighbours to read neighbouring bytes:
// eight invocations fetch each row of 128 bytes together, by way of workgroup memory.
//
//import scratch

// Invocations that fetch a row, 16 bytes each.
const TEAM: u32 = 8u;

// Where each invocation's row begins.
var<workgroup> places: array<u32, WORKGROUP>;
// Each invocation's row. Its words are permuted, so that neighbours hit different banks.
var<workgroup> rows: array<vec4<u32>, WORKGROUP * TEAM>;

@compute @workgroup_size(WORKGROUP)
fn mix_cooperative(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_index) me: u32,
) {
    // Barriers are for all: an invocation without a label goes along with the last one's.
    let label = min(id.x, job.labels - 1u);
    var block = load_state(label);
    for (var done = 0u; done < slice.count; done++) {
        let wanted = block.second.a.x % N;
        var row = fetch(me, place(label, wanted / GAP));
        for (var missing = wanted % GAP; missing > 0u; missing--) {
            row = mix_block(row);
        }
        block = mix_block(xor_block(row, block));
    }
    if id.x == label {
        store_state(label, block);
    }
}

// The row at `at`; every invocation of the workgroup must call this at once.
fn fetch(me: u32, at: u32) -> Block {
    places[me] = at;
    workgroupBarrier();
    let team = me - me % TEAM;
    let word = me % TEAM;
    for (var mate = 0u; mate < TEAM; mate++) {
        rows[(team + mate) * TEAM + (word ^ mate)] = scratch[places[team + mate] + word];
    }
    workgroupBarrier();
    let mine = me * TEAM;
    return Block(
        Half(
            rows[mine + word], rows[mine + (word ^ 1u)],
            rows[mine + (word ^ 2u)], rows[mine + (word ^ 3u)],
        ),
        Half(
            rows[mine + (word ^ 4u)], rows[mine + (word ^ 5u)],
            rows[mine + (word ^ 6u)], rows[mine + (word ^ 7u)],
        ),
    );
}
