//! Round keys of AES-128 as the shaders want them.

use shaders::Keys;

/// Round keys of a key.
const ROUNDS: usize = 11;

/// 32-bit words of a group's planes: eight planes of four words for each round key.
const PLANE_WORDS: usize = ROUNDS * 8 * 4;

/// Groups of a dispatch.
pub(super) const GROUPS: usize = PLANES / PLANE_WORDS;

/// Words of all planes of a dispatch; the shader says how many.
const PLANES: usize = planes(|keys| &keys.planes);

const fn planes<const N: usize>(_: fn(&Keys) -> &[u32; N]) -> usize {
    N
}

/// The S-box's constant, which the shaders leave to the keys.
const AFFINE: u8 = 0x63;

/// The round keys of a key, for the shaders: row after row, all but the first XORed with the
/// S-box's constant.
pub(super) fn round_keys(key: &[u8; 16]) -> [[u8; 16]; ROUNDS] {
    let mut keys = expand(key);
    for key in keys.iter_mut().skip(1) {
        *key = key.map(|byte| byte ^ AFFINE);
    }
    keys.map(|key| core::array::from_fn(|place| key[4 * (place % 4) + place / 4]))
}

/// The planes of at most [`GROUPS`] groups, of which `first` is the number of the first.
pub(super) fn planes_of(group_keys: &[[u8; 16]], first: u32) -> Keys {
    let mut planes = [0; PLANES];
    let rounds = group_keys.iter().flat_map(round_keys);
    for (words, key) in planes.as_chunks_mut::<32>().0.iter_mut().zip(rounds) {
        for (number, word) in words.iter_mut().enumerate() {
            let (bit, row) = (number / 4, number % 4);
            let ones = [0, 1, 2, 3].map(|column| (key[4 * row + column] >> bit & 1) * 0xff);
            *word = u32::from_le_bytes(ones);
        }
    }
    Keys { planes, first, count: group_keys.len().min(GROUPS) as u32 }
}

/// The key expansion of FIPS 197, section 5.2, for 128 bits.
fn expand(key: &[u8; 16]) -> [[u8; 16]; ROUNDS] {
    let mut keys = [*key; ROUNDS];
    let mut constant = 1;
    for round in 1..ROUNDS {
        let before = keys[round - 1];
        let [.., a, b, c, d] = before;
        let mut word = [b, c, d, a].map(|byte| S_BOX[usize::from(byte)]);
        word[0] ^= constant;
        constant = double(constant);
        for (column, key) in keys[round].as_chunks_mut::<4>().0.iter_mut().enumerate() {
            for (row, byte) in key.iter_mut().enumerate() {
                word[row] ^= before[4 * column + row];
                *byte = word[row];
            }
        }
    }
    keys
}

/// Twice a byte in the field of AES.
const fn double(byte: u8) -> u8 {
    (byte << 1) ^ ((byte >> 7) * 0x1b)
}

/// The S-box: walks through the field by a generator and by its inverse at once.
const S_BOX: [u8; 256] = {
    let mut table = [AFFINE; 256];
    let (mut value, mut inverse) = (1_u8, 1_u8);
    loop {
        // Times 3, and by 3: 0xf6 is its inverse.
        value ^= double(value);
        inverse ^= inverse << 1;
        inverse ^= inverse << 2;
        inverse ^= inverse << 4;
        inverse ^= (inverse >> 7) * 0x09;
        let turned = inverse
            ^ inverse.rotate_left(1)
            ^ inverse.rotate_left(2)
            ^ inverse.rotate_left(3)
            ^ inverse.rotate_left(4);
        table[value as usize] = turned ^ AFFINE;
        if value == 1 {
            break table;
        }
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 197, appendix A.1.
    #[test]
    fn the_standard_s_example() {
        let key = 0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c_u128.to_be_bytes();
        let keys = expand(&key);
        assert_eq!(keys[0], key);
        assert_eq!(keys[1], 0xa0fa_fe17_8854_2cb1_23a3_3939_2a6c_7605_u128.to_be_bytes());
        assert_eq!(keys[10], 0xd014_f9a8_c9ee_2589_e13f_0cc8_b663_0ca6_u128.to_be_bytes());
    }

    #[test]
    fn the_s_box_is_a_permutation_with_known_entries() {
        assert_eq!([0x00, 0x01, 0x53, 0xff].map(|at| S_BOX[at]), [0x63, 0x7c, 0xed, 0x16]);
        let mut sorted = S_BOX;
        sorted.sort_unstable();
        assert!(sorted.iter().enumerate().all(|(place, byte)| place == usize::from(*byte)));
    }

    #[test]
    fn planes_hold_the_bits_of_the_key() {
        let keys = planes_of(&[[0; 16], 1_u128.to_le_bytes()], 7);
        assert_eq!((keys.first, keys.count), (7, 2));
        // The first round key: bit 0 of byte 0 is set in the second group only.
        assert_eq!(keys.planes[..32], [0; 32]);
        assert_eq!(keys.planes[PLANE_WORDS], 0xff);
        assert_eq!(keys.planes[PLANE_WORDS + 1..PLANE_WORDS + 32], [0; 31]);
        // What lies beyond the last group is zero.
        assert!(keys.planes[2 * PLANE_WORDS..].iter().all(|word| *word == 0));
    }
}
