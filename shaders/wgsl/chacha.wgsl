// scrypt's BlockMix for r = 1 over ChaCha20/8: what one step of mixing does to a block.

// 16 words in rows of four, as ChaCha's matrix has them.
struct Half {
    a: vec4<u32>,
    b: vec4<u32>,
    c: vec4<u32>,
    d: vec4<u32>,
}

struct Block {
    first: Half,
    second: Half,
}

// Each half is XORed with the other and hashed.
fn mix_block(block: Block) -> Block {
    let first = chacha(xor_half(block.first, block.second));
    return Block(first, chacha(xor_half(block.second, first)));
}

fn xor_block(x: Block, y: Block) -> Block {
    return Block(xor_half(x.first, y.first), xor_half(x.second, y.second));
}

fn xor_half(x: Half, y: Half) -> Half {
    return Half(x.a ^ y.a, x.b ^ y.b, x.c ^ y.c, x.d ^ y.d);
}

// The ChaCha core with 8 rounds, input added back at the end. No loop: every driver unrolls this.
fn chacha(input: Half) -> Half {
    let x = double_round(double_round(double_round(double_round(input))));
    return Half(x.a + input.a, x.b + input.b, x.c + input.c, x.d + input.d);
}

// A round over the columns; then the rows are turned, so that a round over columns is one over
// diagonals, and turned back.
fn double_round(x: Half) -> Half {
    let y = round(x);
    let z = round(Half(y.a, y.b.yzwx, y.c.zwxy, y.d.wxyz));
    return Half(z.a, z.b.wxyz, z.c.zwxy, z.d.yzwx);
}

// Four quarter rounds at a time.
fn round(x: Half) -> Half {
    var y = x;
    y.a += y.b;
    y.d = rotl(y.d ^ y.a, 16u);
    y.c += y.d;
    y.b = rotl(y.b ^ y.c, 12u);
    y.a += y.b;
    y.d = rotl(y.d ^ y.a, 8u);
    y.c += y.d;
    y.b = rotl(y.b ^ y.c, 7u);
    return y;
}

fn rotl(words: vec4<u32>, by: u32) -> vec4<u32> {
    return (words << vec4(by)) | (words >> vec4(32u - by));
}
