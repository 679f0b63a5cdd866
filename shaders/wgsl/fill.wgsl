// Second pass, in slices: scrypt's scratch is filled with the blocks on the way.
//
//import scratch

@compute @workgroup_size(WORKGROUP)
fn fill(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= job.labels {
        return;
    }
    var block = load_state(id.x);
    for (var step = slice.start; step < slice.start + slice.count; step++) {
        if step % GAP == 0u {
            let at = place(id.x, step / GAP);
            scratch[at] = block.first.a;
            scratch[at + 1u] = block.first.b;
            scratch[at + 2u] = block.first.c;
            scratch[at + 3u] = block.first.d;
            scratch[at + 4u] = block.second.a;
            scratch[at + 5u] = block.second.b;
            scratch[at + 6u] = block.second.c;
            scratch[at + 7u] = block.second.d;
        }
        block = mix_block(block);
    }
    store_state(id.x, block);
}
