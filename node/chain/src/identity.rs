//! An identity: the key that owns space and weight.
//!
//! Its file is the reference's `identity.key`, so that either program reads the other's: 128
//! hexadecimal digits, the 32-byte seed and then the public key. 64 digits, the seed alone, are
//! read as well.

use alloc::string::String;
use ed25519_dalek::SigningKey;
use post::{BadHex, NodeId, from_hex, to_hex};
use thiserror::Error;
use zeroize::Zeroizing;

/// An Ed25519 key pair.
#[derive(Clone, Debug)]
pub struct Identity(SigningKey);

/// Text that is no key.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BadKey {
    /// Not hexadecimal.
    #[error("the key is not hexadecimal: {0}")]
    Hex(#[from] BadHex),
    /// Another length.
    #[error("the key has {bytes} bytes; 64 (seed and public key) or 32 (seed) make one")]
    Length {
        /// Bytes found.
        bytes: usize,
    },
    /// The public half is not that of the seed.
    #[error("the two halves of the key do not belong together")]
    Halves,
}

impl Identity {
    /// The identity that a seed of good randomness makes.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The identity in the text of a key file; white space around it is ignored.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn from_text(text: &str) -> Result<Self, BadKey> {
        let bytes = from_hex(text.trim())?;
        if let Ok(pair) = <[u8; 64]>::try_from(bytes.as_slice()) {
            return SigningKey::from_keypair_bytes(&pair).map(Self).map_err(|_| BadKey::Halves);
        }
        let bytes_found = bytes.len();
        let seed = bytes.try_into().map_err(|_| BadKey::Length { bytes: bytes_found })?;
        Ok(Self::from_seed(&seed))
    }

    /// The text of a key file: whoever reads it owns the identity.
    #[must_use]
    pub fn to_text(&self) -> String {
        to_hex(&self.0.to_keypair_bytes())
    }

    /// The secret that makes the key pair.
    pub(crate) fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key, by which everyone knows the identity.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        NodeId(self.0.verifying_key().to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    #[test]
    fn key_files_of_both_lengths_are_read() {
        let pair = alloc::format!("{SEED}{PUBLIC}\n");
        for text in [SEED, &pair] {
            let identity = Identity::from_text(text).unwrap();
            assert_eq!(alloc::format!("{}", identity.node_id()), PUBLIC);
            assert_eq!(identity.to_text(), pair.trim());
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let swapped = alloc::format!("{SEED}{SEED}");
        assert_eq!(Identity::from_text(&swapped).err(), Some(BadKey::Halves));
        assert_eq!(Identity::from_text("ab").err(), Some(BadKey::Length { bytes: 1 }));
        assert!(matches!(Identity::from_text("xy").err(), Some(BadKey::Hex(_))));
    }
}
