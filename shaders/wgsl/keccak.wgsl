// HMAC-PBKDF2 over Keccak-512 with one iteration, as `post::label` defines it. A 64-bit lane is a
// vec2: the low word, then the high one.
//
// The password (commitment, index, zeros: 72 bytes) fills one block of Keccak-512, so HMAC's two
// keys are two blocks, and a sponge that has absorbed one is where every hash starts.
//
//import job

const INNER: u32 = 0x36363636u;
const OUTER: u32 = 0x5c5c5c5cu;

// The first byte of padding (Keccak's, from before SHA-3), and the last one of the block.
const PAD: u32 = 0x01u;
const PAD_END: u32 = 0x80000000u;

const ROUND_CONSTANTS = array<vec2<u32>, 24>(
    vec2(0x00000001u, 0x00000000u), vec2(0x00008082u, 0x00000000u),
    vec2(0x0000808au, 0x80000000u), vec2(0x80008000u, 0x80000000u),
    vec2(0x0000808bu, 0x00000000u), vec2(0x80000001u, 0x00000000u),
    vec2(0x80008081u, 0x80000000u), vec2(0x00008009u, 0x80000000u),
    vec2(0x0000008au, 0x00000000u), vec2(0x00000088u, 0x00000000u),
    vec2(0x80008009u, 0x00000000u), vec2(0x8000000au, 0x00000000u),
    vec2(0x8000808bu, 0x00000000u), vec2(0x0000008bu, 0x80000000u),
    vec2(0x00008089u, 0x80000000u), vec2(0x00008003u, 0x80000000u),
    vec2(0x00008002u, 0x80000000u), vec2(0x00000080u, 0x80000000u),
    vec2(0x0000800au, 0x00000000u), vec2(0x8000000au, 0x80000000u),
    vec2(0x80008081u, 0x80000000u), vec2(0x00008080u, 0x80000000u),
    vec2(0x80000001u, 0x00000000u), vec2(0x80008008u, 0x80000000u),
);

alias Sponge = array<vec2<u32>, 25>;

// The sponge after the key of the hash inside (INNER) or outside (OUTER), for label `number` of
// the job.
fn keyed(number: u32, key: u32) -> Sponge {
    let low = job.first.x + number;
    let carry = select(0u, 1u, low < number);
    var sponge: Sponge;
    sponge[0] = vec2(key) ^ job.commitment[0].xy;
    sponge[1] = vec2(key) ^ job.commitment[0].zw;
    sponge[2] = vec2(key) ^ job.commitment[1].xy;
    sponge[3] = vec2(key) ^ job.commitment[1].zw;
    sponge[4] = vec2(key) ^ vec2(low, job.first.y + carry);
    sponge[5] = vec2(key);
    sponge[6] = vec2(key);
    sponge[7] = vec2(key);
    sponge[8] = vec2(key);
    permute(&sponge);
    return sponge;
}

// HMAC's outer hash: of the 64 bytes of the inner one. Lanes 0 to 7 are the result.
fn outer(number: u32, inner: Sponge) -> Sponge {
    var sponge = keyed(number, OUTER);
    sponge[0] ^= inner[0];
    sponge[1] ^= inner[1];
    sponge[2] ^= inner[2];
    sponge[3] ^= inner[3];
    sponge[4] ^= inner[4];
    sponge[5] ^= inner[5];
    sponge[6] ^= inner[6];
    sponge[7] ^= inner[7];
    sponge[8] ^= vec2(PAD, PAD_END);
    permute(&sponge);
    return sponge;
}

// Keccak-f[1600].
fn permute(sponge: ptr<function, Sponge>) {
    for (var number = 0u; number < 24u; number++) {
        round(sponge, ROUND_CONSTANTS[number]);
    }
}

// Lanes stand in variables, not behind an index that the driver must follow: they stay in
// registers.
fn round(sponge: ptr<function, Sponge>, constant: vec2<u32>) {
    let s = *sponge;
    // Theta: each lane takes the parity of two columns.
    let c0 = s[0] ^ s[5] ^ s[10] ^ s[15] ^ s[20];
    let c1 = s[1] ^ s[6] ^ s[11] ^ s[16] ^ s[21];
    let c2 = s[2] ^ s[7] ^ s[12] ^ s[17] ^ s[22];
    let c3 = s[3] ^ s[8] ^ s[13] ^ s[18] ^ s[23];
    let c4 = s[4] ^ s[9] ^ s[14] ^ s[19] ^ s[24];
    let d0 = c4 ^ rotl(c1, 1u);
    let d1 = c0 ^ rotl(c2, 1u);
    let d2 = c1 ^ rotl(c3, 1u);
    let d3 = c2 ^ rotl(c4, 1u);
    let d4 = c3 ^ rotl(c0, 1u);
    // Rho and pi: lanes are rotated and change places. A rotation by 32 and more swaps the words.
    let b0 = s[0] ^ d0;
    let b1 = rotl((s[6] ^ d1).yx, 12u);
    let b2 = rotl((s[12] ^ d2).yx, 11u);
    let b3 = rotl(s[18] ^ d3, 21u);
    let b4 = rotl(s[24] ^ d4, 14u);
    let b5 = rotl(s[3] ^ d3, 28u);
    let b6 = rotl(s[9] ^ d4, 20u);
    let b7 = rotl(s[10] ^ d0, 3u);
    let b8 = rotl((s[16] ^ d1).yx, 13u);
    let b9 = rotl((s[22] ^ d2).yx, 29u);
    let b10 = rotl(s[1] ^ d1, 1u);
    let b11 = rotl(s[7] ^ d2, 6u);
    let b12 = rotl(s[13] ^ d3, 25u);
    let b13 = rotl(s[19] ^ d4, 8u);
    let b14 = rotl(s[20] ^ d0, 18u);
    let b15 = rotl(s[4] ^ d4, 27u);
    let b16 = rotl((s[5] ^ d0).yx, 4u);
    let b17 = rotl(s[11] ^ d1, 10u);
    let b18 = rotl(s[17] ^ d2, 15u);
    let b19 = rotl((s[23] ^ d3).yx, 24u);
    let b20 = rotl((s[2] ^ d2).yx, 30u);
    let b21 = rotl((s[8] ^ d3).yx, 23u);
    let b22 = rotl((s[14] ^ d4).yx, 7u);
    let b23 = rotl((s[15] ^ d0).yx, 9u);
    let b24 = rotl(s[21] ^ d1, 2u);
    // Chi, and iota: rows are mixed, and the first lane takes the round's constant.
    *sponge = Sponge(
        b0 ^ (~b1 & b2) ^ constant, b1 ^ (~b2 & b3), b2 ^ (~b3 & b4), b3 ^ (~b4 & b0),
        b4 ^ (~b0 & b1),
        b5 ^ (~b6 & b7), b6 ^ (~b7 & b8), b7 ^ (~b8 & b9), b8 ^ (~b9 & b5), b9 ^ (~b5 & b6),
        b10 ^ (~b11 & b12), b11 ^ (~b12 & b13), b12 ^ (~b13 & b14), b13 ^ (~b14 & b10),
        b14 ^ (~b10 & b11),
        b15 ^ (~b16 & b17), b16 ^ (~b17 & b18), b17 ^ (~b18 & b19), b18 ^ (~b19 & b15),
        b19 ^ (~b15 & b16),
        b20 ^ (~b21 & b22), b21 ^ (~b22 & b23), b22 ^ (~b23 & b24), b23 ^ (~b24 & b20),
        b24 ^ (~b20 & b21),
    );
}

// A 64-bit rotation by 1 to 31.
fn rotl(lane: vec2<u32>, by: u32) -> vec2<u32> {
    return (lane << vec2(by)) | (lane.yx >> vec2(32u - by));
}
