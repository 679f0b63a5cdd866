// AES-128 of eight blocks at a time, bitsliced.
//
// Component r of a block is row r of the state, byte c of it is column c: so MixColumns permutes
// components, which costs nothing, and ShiftRows rotates them. In memory a block lies column by
// column; `turn` goes from one to the other. Of eight blocks, plane b holds all bits b: bit 8c + i
// of component r belongs to block i.
//
// The constant 0x63 of the S-box is left out here. It passes ShiftRows and MixColumns unchanged, so
// the host XORs it into every byte of each round key but the first.

alias Planes = array<vec4<u32>, 8>;

// Columns to rows, or rows to columns: a 4 x 4 matrix of bytes is transposed.
fn turn(block: vec4<u32>) -> vec4<u32> {
    let bytes = ((block.xz >> vec2(8u)) ^ block.yw) & vec2(0x00ff00ffu);
    let even = block.xz ^ (bytes << vec2(8u));
    let odd = block.yw ^ bytes;
    let low = vec2(even.x, odd.x);
    let high = vec2(even.y, odd.y);
    let pairs = ((low >> vec2(16u)) ^ high) & vec2(0x0000ffffu);
    return vec4(low ^ (pairs << vec2(16u)), high ^ pairs);
}

// Eight blocks to planes, and back: an 8 x 8 matrix of bits is transposed in each byte.
fn transpose(x: Planes) -> Planes {
    let a = swap_pairs(x, 1u, 0x55555555u);
    let b = swap_pairs(Planes(a[0], a[2], a[1], a[3], a[4], a[6], a[5], a[7]), 2u, 0x33333333u);
    let c = Planes(b[0], b[4], b[2], b[6], b[1], b[5], b[3], b[7]);
    let d = swap_pairs(c, 4u, 0x0f0f0f0fu);
    return Planes(d[0], d[2], d[4], d[6], d[1], d[3], d[5], d[7]);
}

// Swaps the high bits of the first with the low bits of the second of each pair.
fn swap_pairs(x: Planes, by: u32, mask: u32) -> Planes {
    let t0 = ((x[0] >> vec4(by)) ^ x[1]) & vec4(mask);
    let t1 = ((x[2] >> vec4(by)) ^ x[3]) & vec4(mask);
    let t2 = ((x[4] >> vec4(by)) ^ x[5]) & vec4(mask);
    let t3 = ((x[6] >> vec4(by)) ^ x[7]) & vec4(mask);
    return Planes(
        x[0] ^ (t0 << vec4(by)), x[1] ^ t0, x[2] ^ (t1 << vec4(by)), x[3] ^ t1,
        x[4] ^ (t2 << vec4(by)), x[5] ^ t2, x[6] ^ (t3 << vec4(by)), x[7] ^ t3,
    );
}

fn xor_planes(x: Planes, y: Planes) -> Planes {
    return Planes(
        x[0] ^ y[0], x[1] ^ y[1], x[2] ^ y[2], x[3] ^ y[3],
        x[4] ^ y[4], x[5] ^ y[5], x[6] ^ y[6], x[7] ^ y[7],
    );
}

// What the last round does before its key.
fn last_round(x: Planes) -> Planes {
    let s = sub_bytes(x);
    return Planes(
        shift_rows(s[0]), shift_rows(s[1]), shift_rows(s[2]), shift_rows(s[3]),
        shift_rows(s[4]), shift_rows(s[5]), shift_rows(s[6]), shift_rows(s[7]),
    );
}

// What any other round does before its key: last_round and MixColumns.
fn round(x: Planes) -> Planes {
    let a = last_round(x);
    // With b = a + (the row below), a column becomes 2·b + (the row below) + (b two rows below).
    let b0 = a[0] ^ a[0].yzwx;
    let b1 = a[1] ^ a[1].yzwx;
    let b2 = a[2] ^ a[2].yzwx;
    let b3 = a[3] ^ a[3].yzwx;
    let b4 = a[4] ^ a[4].yzwx;
    let b5 = a[5] ^ a[5].yzwx;
    let b6 = a[6] ^ a[6].yzwx;
    let b7 = a[7] ^ a[7].yzwx;
    return Planes(
        b7 ^ a[0].yzwx ^ b0.zwxy,
        b0 ^ b7 ^ a[1].yzwx ^ b1.zwxy,
        b1 ^ a[2].yzwx ^ b2.zwxy,
        b2 ^ b7 ^ a[3].yzwx ^ b3.zwxy,
        b3 ^ b7 ^ a[4].yzwx ^ b4.zwxy,
        b4 ^ a[5].yzwx ^ b5.zwxy,
        b5 ^ a[6].yzwx ^ b6.zwxy,
        b6 ^ a[7].yzwx ^ b7.zwxy,
    );
}

// Row r comes from r columns to the right.
fn shift_rows(plane: vec4<u32>) -> vec4<u32> {
    let by = vec3(8u, 16u, 24u);
    return vec4(plane.x, (plane.yzw >> by) | (plane.yzw << (vec3(32u) - by)));
}

// The S-box without its constant, as the circuit of Boyar and Peralta ("A small depth-16 circuit
// for the AES S-box", 2012; the smaller, deeper one of 2010), whose names are kept: x0 is the
// highest bit.
fn sub_bytes(x: Planes) -> Planes {
    // To the tower field.
    let y14 = x[4] ^ x[2];
    let y13 = x[7] ^ x[1];
    let y9 = x[7] ^ x[4];
    let y8 = x[7] ^ x[2];
    let t0 = x[6] ^ x[5];
    let y1 = t0 ^ x[0];
    let y4 = y1 ^ x[4];
    let y12 = y13 ^ y14;
    let y2 = y1 ^ x[7];
    let y5 = y1 ^ x[1];
    let y3 = y5 ^ y8;
    let t1 = x[3] ^ y12;
    let y15 = t1 ^ x[2];
    let y20 = t1 ^ x[6];
    let y6 = y15 ^ x[0];
    let y10 = y15 ^ t0;
    let y11 = y20 ^ y9;
    let y7 = x[0] ^ y11;
    let y17 = y10 ^ y11;
    let y19 = y10 ^ y8;
    let y16 = t0 ^ y11;
    let y21 = y13 ^ y16;
    let y18 = x[7] ^ y16;
    // The inverse.
    let t2 = y12 & y15;
    let t4 = (y3 & y6) ^ t2;
    let t6 = (y4 & x[0]) ^ t2;
    let t7 = y13 & y16;
    let t9 = (y5 & y1) ^ t7;
    let t11 = (y2 & y7) ^ t7;
    let t12 = y9 & y11;
    let t14 = (y14 & y17) ^ t12;
    let t16 = (y8 & y10) ^ t12;
    let t21 = t4 ^ t14 ^ y20;
    let t22 = t6 ^ t16 ^ y19;
    let t23 = t9 ^ t14 ^ y21;
    let t24 = t11 ^ t16 ^ y18;
    let t25 = t21 ^ t22;
    let t26 = t21 & t23;
    let t27 = t24 ^ t26;
    let t29 = (t25 & t27) ^ t22;
    let t33 = ((t22 ^ t26) & (t23 ^ t24)) ^ t24;
    let t36 = t24 & (t27 ^ t33);
    let t37 = t36 ^ t23 ^ t33;
    let t40 = t25 ^ (t29 & (t27 ^ t36));
    let t41 = t40 ^ t37;
    let t42 = t29 ^ t33;
    let t43 = t29 ^ t40;
    let t44 = t33 ^ t37;
    let t45 = t42 ^ t41;
    // And back, with the affine map.
    let z2 = t33 & x[0];
    let z3 = t43 & y16;
    let z4 = t40 & y1;
    let z5 = t29 & y7;
    let z7 = t45 & y17;
    let z10 = t37 & y3;
    let z12 = t43 & y13;
    let z16 = t45 & y14;
    let t46 = (t42 & y9) ^ z16;
    let t48 = z5 ^ (t40 & y5);
    let t53 = (t44 & y15) ^ z3;
    let t57 = z2 ^ z12 ^ t53;
    let t58 = z4 ^ t46;
    let t59 = z3 ^ (t42 & y11) ^ z7;
    let t62 = z7 ^ (t41 & y10) ^ t58;
    let t63 = (t44 & y12) ^ z10 ^ t58;
    let t64 = z4 ^ t59;
    let t65 = (t29 & y2) ^ t57 ^ t62;
    let t66 = (t37 & y6) ^ t63;
    let s3 = t53 ^ t66;
    return Planes(
        t48 ^ t46 ^ t57,
        z12 ^ t48 ^ t62,
        z10 ^ (t33 & y4) ^ t65,
        z2 ^ z5 ^ t66,
        s3,
        z16 ^ (t41 & y8) ^ t64 ^ t65,
        t64 ^ s3,
        t59 ^ t63,
    );
}
