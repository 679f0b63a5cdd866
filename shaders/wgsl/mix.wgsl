// Third pass, in slices: N times a row that the block itself names is XORed in. Each invocation
// loads its own rows.
//
//import scratch

@compute @workgroup_size(WORKGROUP)
fn mix(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= job.labels {
        return;
    }
    var block = load_state(id.x);
    if GAP == 1u {
        for (var done = 0u; done < slice.count; done++) {
            let row = load_row(place(id.x, block.second.a.x % N));
            block = mix_block(xor_block(row, block));
        }
    } else {
        block = mix_missing(id.x, block);
    }
    store_state(id.x, block);
}

// Where rows are missing: they are computed from the stored one before.
fn mix_missing(label: u32, start: Block) -> Block {
    var block = start;
    var wanted = block.second.a.x % N;
    var row = load_row(place(label, wanted / GAP));
    // How far the stored row is from the wanted one.
    var missing = wanted % GAP;
    // Neighbours that miss different numbers of rows do not wait for each other: a turn of this
    // loop is one mixing, whatever it is for.
    for (var done = 0u; done < slice.count; ) {
        let stirs = missing == 0u;
        if stirs {
            row = xor_block(row, block);
        }
        row = mix_block(row);
        if stirs {
            block = row;
            done++;
            wanted = block.second.a.x % N;
            row = load_row(place(label, wanted / GAP));
            missing = wanted % GAP;
        } else {
            missing--;
        }
    }
    return block;
}

fn load_row(at: u32) -> Block {
    return Block(
        Half(scratch[at], scratch[at + 1u], scratch[at + 2u], scratch[at + 3u]),
        Half(scratch[at + 4u], scratch[at + 5u], scratch[at + 6u], scratch[at + 7u]),
    );
}
