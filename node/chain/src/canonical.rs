//! The one encoding of a value: postcard, accepted only in the form that we would write.

use alloc::vec::Vec;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// Bytes that are not the encoding of such a value.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not the canonical encoding of such a value")]
pub struct Malformed;

/// The encoding of a value.
///
/// # Errors
/// [`Malformed`] where the type has no encoding (a sequence whose length is not known).
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Malformed> {
    postcard::to_allocvec(value).map_err(|_| Malformed)
}

/// The value that these bytes, all of them and in this form only, encode. The caller bounds their
/// number.
///
/// # Errors
/// [`Malformed`].
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).map_err(|_| Malformed)?;
    let canonical = rest.is_empty() && encode(&value)? == bytes;
    if canonical { Ok(value) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shortest_form_is_accepted() {
        assert_eq!(decode::<(u32, bool)>(&[1, 1]), Ok((1, true)));
        assert_eq!(decode::<(u32, bool)>(&[0x81, 0, 1]), Err(Malformed));
        assert_eq!(decode::<(u32, bool)>(&[1, 1, 0]), Err(Malformed));
        assert_eq!(decode::<(u32, bool)>(&[1]), Err(Malformed));
    }
}
