//! The code that a person carries from the node to a prover: which node it is, and a secret that
//! only this node gave out.

use crate::key::LinkId;
use core::fmt;
use core::str::FromStr;
use thiserror::Error;
use zeroize::Zeroize;

/// Douglas Crockford's base 32: no I, L, O or U, so that nothing is misread.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Fingerprint, secret, check.
const BYTES: usize = 16 + 16 + 2;
/// Digits in a group.
const GROUP: usize = 5;

/// An invitation, as text: 55 digits of base 32 in groups of five, case and dashes do not matter.
///
/// The bytes are the first 16 of the node's link key's BLAKE3 hash, 16 of the secret, and 2 that
/// tell a mistyped code.
#[derive(Clone, PartialEq, Eq)]
pub struct Code {
    fingerprint: [u8; 16],
    secret: [u8; 16],
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// Why a text is no invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadCode {
    /// Too short, too long, or a character that no code has.
    #[error(
        "a pairing code has 55 letters and digits, such as `postmesh-node prover invite` prints"
    )]
    Shape,
    /// Something was mistyped.
    #[error("the pairing code is mistyped: compare it with what the node printed")]
    Mistyped,
}

impl Code {
    /// An invitation by the node with this key.
    #[must_use]
    pub fn new(node: LinkId, secret: [u8; 16]) -> Self {
        Self { fingerprint: fingerprint(node), secret }
    }

    /// Whether it was given out by the node with this key.
    #[must_use]
    pub fn is_by(&self, node: LinkId) -> bool {
        self.fingerprint == fingerprint(node)
    }

    /// What both sides know who know the secret: a key to prove that with.
    pub(crate) fn ticket(&self) -> [u8; 32] {
        blake3::derive_key("postmesh link 2026: the ticket of a pairing code", &self.secret)
    }

    fn bytes(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let [a, b] = check(&self.fingerprint, &self.secret);
        let all = self.fingerprint.iter().chain(&self.secret).chain([&a, &b]);
        bytes.iter_mut().zip(all).for_each(|(place, byte)| *place = *byte);
        bytes
    }
}

fn fingerprint(LinkId(key): LinkId) -> [u8; 16] {
    first(&blake3::derive_key("postmesh link 2026: the fingerprint of a node", &key))
}

fn check(fingerprint: &[u8; 16], secret: &[u8; 16]) -> [u8; 2] {
    let bytes = [*fingerprint, *secret].concat();
    first(&blake3::derive_key("postmesh link 2026: the check of a pairing code", &bytes))
}

fn first<const N: usize>(bytes: &[u8; 32]) -> [u8; N] {
    core::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0))
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes();
        for number in 0..(BYTES * 8).div_ceil(5) {
            if number > 0 && number % GROUP == 0 {
                f.write_str("-")?;
            }
            let bit = |at: usize| {
                let byte = bytes.get(at / 8).copied().unwrap_or(0);
                byte >> (7 - at % 8) & 1
            };
            let digit = (0..5).fold(0, |digit, at| digit << 1 | bit(number * 5 + at));
            let digit = DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0');
            write!(f, "{}", char::from(digit))?;
        }
        Ok(())
    }
}

impl FromStr for Code {
    type Err = BadCode;

    fn from_str(text: &str) -> Result<Self, BadCode> {
        let mut bytes = [0; BYTES];
        let mut at = 0;
        for character in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let character = match character.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let digit = DIGITS.iter().position(|digit| char::from(*digit) == character);
            let digit = digit.ok_or(BadCode::Shape)?;
            for shift in (0..5).rev() {
                let bit = (digit >> shift & 1) as u8;
                match bytes.get_mut(at / 8) {
                    Some(byte) => *byte |= bit << (7 - at % 8),
                    // The last digit has bits to spare, which are zero.
                    None if at >= BYTES * 8 + 4 || bit == 1 => return Err(BadCode::Shape),
                    None => {}
                }
                at += 1;
            }
        }
        if at < BYTES * 8 {
            return Err(BadCode::Shape);
        }
        let (fingerprint, rest) = bytes.split_at(16);
        let (secret, found) = rest.split_at(16);
        let part = |bytes: &[u8]| bytes.try_into().map_err(|_| BadCode::Shape);
        let code = Self { fingerprint: part(fingerprint)?, secret: part(secret)? };
        if check(&code.fingerprint, &code.secret) == *found {
            Ok(code)
        } else {
            Err(BadCode::Mistyped)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn codes_survive_being_read_out(key: [u8; 32], secret: [u8; 16]) {
            let code = Code::new(LinkId(key), secret);
            let text = code.to_string();
            prop_assert_eq!(text.len(), 55 + 10);
            prop_assert_eq!(text.parse(), Ok(code.clone()));
            let sloppy = text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
            prop_assert_eq!(sloppy.parse(), Ok(code));
        }

        #[test]
        fn a_mistyped_code_is_told(secret: [u8; 16], at in 0..55_usize, digit in 0..32_usize) {
            let text = Code::new(LinkId([1; 32]), secret).to_string().replace('-', "");
            let mut typed = text.clone().into_bytes();
            typed[at] = DIGITS[digit];
            let typed = String::from_utf8(typed).unwrap();
            prop_assert!(typed == text || typed.parse::<Code>().is_err());
        }

        #[test]
        fn any_text_is_a_code_or_not(text: String) {
            let _ = text.parse::<Code>();
        }
    }

    #[test]
    fn a_code_names_its_node() {
        let code = Code::new(LinkId([1; 32]), [2; 16]);
        assert!(code.is_by(LinkId([1; 32])) && !code.is_by(LinkId([3; 32])));
        assert!(!format!("{code:?}").contains('2'));
        for bad in ["", "0", &"0".repeat(54), &"0".repeat(56), "U"] {
            assert!(bad.parse::<Code>().is_err(), "{bad}");
        }
    }
}
