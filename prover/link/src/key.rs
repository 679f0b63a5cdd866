//! The keys by which node and provers on different hosts know each other.
//!
//! They sign nothing but handshakes, and have nothing to do with the identity that owns space: who
//! steals one can pretend to be a prover, or a node that asks for proofs, and no more.

use crate::error::LinkError;
use crate::files;
use core::fmt;
use core::str::FromStr;
use ed25519_dalek::SigningKey;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde::{Deserialize, Serialize};
use std::path::Path;
use zeroize::Zeroizing;

/// The public key of a node's or a prover's link: Ed25519, 32 bytes; 64 hexadecimal digits as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkId(pub [u8; 32]);

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a link key has 64 hexadecimal digits")]
pub struct BadLinkId;

impl FromStr for LinkId {
    type Err = BadLinkId;

    fn from_str(text: &str) -> Result<Self, BadLinkId> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut id = [0; 32];
        if pairs.len() != id.len() || !rest.is_empty() {
            return Err(BadLinkId);
        }
        for (byte, [high, low]) in id.iter_mut().zip(pairs) {
            let digit = |digit: &u8| char::from(*digit).to_digit(16).ok_or(BadLinkId);
            *byte = (digit(high)? * 16 + digit(low)?) as u8;
        }
        Ok(Self(id))
    }
}

impl TryFrom<String> for LinkId {
    type Error = BadLinkId;

    fn try_from(text: String) -> Result<Self, BadLinkId> {
        text.parse()
    }
}

impl From<LinkId> for String {
    fn from(id: LinkId) -> Self {
        id.to_string()
    }
}

/// What stands before the 32 bytes of the seed in PKCS#8 (RFC 8410, section 7).
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The key of a link.
pub struct LinkKey {
    seed: Zeroizing<[u8; 32]>,
    id: LinkId,
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LinkKey").field(&self.id).finish()
    }
}

impl LinkKey {
    /// The key of a seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        let id = LinkId(SigningKey::from_bytes(&seed).verifying_key().to_bytes());
        Self { seed, id }
    }

    /// The key in a file, which is made, readable by its user only, if it is not there.
    ///
    /// # Errors
    /// [`LinkError::Io`], [`LinkError::BadKeyFile`], or no randomness.
    pub fn at(path: &Path) -> Result<Self, LinkError> {
        if let Some(bytes) = files::read(path)? {
            let seed: Option<[u8; 32]> = bytes.as_slice().try_into().ok();
            let bad = || LinkError::BadKeyFile { path: path.to_path_buf() };
            return seed.map(Self::from_seed).ok_or_else(bad);
        }
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(|_| LinkError::NoRandomness)?;
        // Whoever else made it meanwhile wins.
        files::make(path, seed.as_ref())?;
        Self::at(path)
    }

    /// Its public part.
    #[must_use]
    pub fn id(&self) -> LinkId {
        self.id
    }

    /// As TLS wants it.
    pub(crate) fn pkcs8(&self) -> PrivatePkcs8KeyDer<'static> {
        let bytes = [&PKCS8[..], &self.seed[..]].concat();
        bytes.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_key_is_made_once_and_closed_to_others() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep/link.key");
        let key = LinkKey::at(&path).unwrap();
        assert_eq!(LinkKey::at(&path).unwrap().id(), key.id());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::write(&path, [1; 31]).unwrap();
        assert!(matches!(LinkKey::at(&path), Err(LinkError::BadKeyFile { .. })));
        assert_eq!(fs::read(&path).unwrap(), [1; 31]);
    }

    #[test]
    fn ids_are_hexadecimal() {
        // The first test vector of RFC 8032, section 7.1.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let LinkId(seed) = seed.parse().unwrap();
        let key = LinkKey::from_seed(seed);
        assert_eq!(key.id().to_string(), public);
        assert_eq!(public.parse(), Ok(key.id()));
        for bad in ["", "d75a", &public[1..], &format!("{public}00"), &public.replace('d', "g")] {
            assert_eq!(bad.parse::<LinkId>(), Err(BadLinkId), "{bad}");
        }
        assert!(!format!("{key:?}").contains("9d61"));
    }
}
