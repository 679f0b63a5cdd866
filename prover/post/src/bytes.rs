//! Hexadecimal text for byte strings, and newtypes over 32 bytes that wear it.

use alloc::string::String;
use alloc::vec::Vec;
use thiserror::Error;

/// Text that was to be hexadecimal and is not.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadHex {
    /// A byte takes two digits.
    #[error("{digits} hexadecimal digits make no whole number of bytes")]
    Odd {
        /// How many digits there were.
        digits: usize,
    },
    /// Only `0-9`, `a-f` and `A-F` are digits.
    #[error("character {at} is not a hexadecimal digit")]
    Digit {
        /// Position of the offender, from 0.
        at: usize,
    },
    /// A value of fixed size was given another.
    #[error("{found} hexadecimal digits, expected {expected}")]
    Length {
        /// Digits found.
        found: usize,
        /// Digits that make the value.
        expected: usize,
    },
}

/// The lower-case hexadecimal text of `bytes`, two digits a byte, first byte first.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The bytes of a hexadecimal text of any even length; case does not matter.
///
/// # Errors
/// [`BadHex`] names the first fault.
pub fn from_hex(text: &str) -> Result<Vec<u8>, BadHex> {
    let digits = text.len();
    if !digits.is_multiple_of(2) {
        return Err(BadHex::Odd { digits });
    }
    let mut bytes = Vec::with_capacity(digits / 2);
    let mut high = None;
    for (at, character) in text.chars().enumerate() {
        let nibble = character.to_digit(16).ok_or(BadHex::Digit { at })?;
        let nibble = u8::try_from(nibble).map_err(|_| BadHex::Digit { at })?;
        match high.take() {
            None => high = Some(nibble),
            Some(first) => bytes.push((first << 4) | nibble),
        }
    }
    Ok(bytes)
}

/// Declares a newtype over 32 bytes: hexadecimal for people (`Display`, `FromStr`, JSON, TOML),
/// 32 raw bytes in binary encodings.
macro_rules! bytes32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(&$crate::bytes::to_hex(&self.0))
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl core::str::FromStr for $name {
            type Err = $crate::BadHex;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let bytes = $crate::bytes::from_hex(text)?;
                let found = bytes.len().saturating_mul(2);
                let bytes = bytes.try_into();
                bytes.map(Self).map_err(|_| $crate::BadHex::Length { found, expected: 64 })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = alloc::string::String::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; 32]>::deserialize(deserializer).map(Self)
                }
            }
        }
    };
}
pub(crate) use bytes32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeId;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hex_round_trips(bytes: Vec<u8>) {
            prop_assert_eq!(from_hex(&to_hex(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn any_text_is_answered_without_panic(text: String) {
            let _ = from_hex(&text);
        }
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(from_hex("abc"), Err(BadHex::Odd { digits: 3 }));
        assert_eq!(from_hex("0g"), Err(BadHex::Digit { at: 1 }));
        assert_eq!("ab".parse::<NodeId>(), Err(BadHex::Length { found: 2, expected: 64 }));
        assert_eq!(from_hex("FFa0").unwrap(), [0xff, 0xa0]);
    }
}
