//! A key that only a passphrase opens, as the text of a file.
//!
//! Two lines: a header in JSON, and the sealed seed in hexadecimal. Argon2id (RFC 9106) makes a key
//! of the passphrase and the header's salt; under it XChaCha20-Poly1305 seals the 32-byte seed,
//! with the header's bytes, just as they stand in their line, as associated data. So nothing in the
//! header can be changed, and it says what it takes to open the key before anyone tries.
//!
//! Randomness is handed in.

use crate::Identity;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::{AeadInOut, Key, KeyInit, XChaCha20Poly1305, XNonce};
use post::{NodeId, from_hex, to_hex};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

/// The version of the format.
const VERSION: u32 = 1;
const KDF: &str = "argon2id";
const CIPHER: &str = "xchacha20poly1305";
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;
/// The seed and Poly1305's tag.
const SEALED_BYTES: usize = 32 + 16;

/// RFC 9106, section 4, the second recommendation: 64 MiB.
const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
/// More is not tried: a file that somebody handed us must not take the machine. 1 GiB, which takes
/// seconds.
const COST_MAX: Cost = Cost { memory_kib: 1024 * 1024, passes: 16, lanes: 16 };

/// A sealed identity key.
#[derive(Clone, Debug)]
pub struct SealedKey {
    header: Header,
    /// The header as it stands in the file.
    line: String,
    sealed: [u8; SEALED_BYTES],
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    /// What this is, for who finds the file.
    what: String,
    version: u32,
    /// Whose key it is; its public half.
    node_id: NodeId,
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    /// Hexadecimal.
    salt: String,
    cipher: String,
    /// Hexadecimal.
    nonce: String,
}

/// What it costs to make the key of a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The one part of a header that every version has.
#[derive(Deserialize)]
struct AnyHeader {
    version: u32,
}

/// Text that is no sealed key, or none that can be opened here.
#[derive(Debug, Error)]
pub enum BadSealedKey {
    /// The header is no such JSON.
    #[error("the header of the encrypted key cannot be read: {0}")]
    Header(#[from] serde_json::Error),
    /// Made by a newer version.
    #[error(
        "the key is encrypted in format {found}, this version knows {VERSION}: update postmesh"
    )]
    Version {
        /// The format found.
        found: u32,
    },
    /// A key derivation or cipher that version 1 has not, or a salt or nonce of another length.
    #[error("the header of the encrypted key names what this format has not: {0}")]
    Unknown(String),
    /// Opening it would take too much.
    #[error(
        "the header of the encrypted key asks for {memory_kib} KiB, {passes} passes and {lanes} \
         lanes: more than this version tries, or nothing"
    )]
    Cost {
        /// Memory asked for.
        memory_kib: u32,
        /// Passes over it.
        passes: u32,
        /// Lanes in it.
        lanes: u32,
    },
    /// The second line is not 48 bytes in hexadecimal, or there are more.
    #[error("the encrypted key is cut off, or something follows it")]
    Sealed,
}

/// Why a key was not sealed.
#[derive(Debug, Error)]
pub enum NotSealed {
    /// There is not enough memory.
    #[error("encrypting a key takes {} MiB of memory, which are not there", COST.memory_kib / 1024)]
    Memory,
    /// The cipher or JSON refused, which neither does.
    #[error("the key could not be encrypted")]
    Impossible,
}

/// Why a key was not opened.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NotOpened {
    /// Nobody can tell which.
    #[error("the passphrase is wrong, or the key file was changed")]
    Passphrase,
    /// There is not enough memory.
    #[error("decrypting the key takes {memory_kib} KiB of memory, which are not there")]
    Memory {
        /// What it takes.
        memory_kib: u32,
    },
}

impl SealedKey {
    /// Seals a key. Salt and nonce must be of good randomness, and used once.
    ///
    /// # Errors
    /// [`NotSealed`].
    pub fn seal(
        identity: &Identity,
        passphrase: &str,
        salt: [u8; SALT_BYTES],
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Self, NotSealed> {
        Self::seal_at(COST, identity, passphrase, salt, nonce)
    }

    fn seal_at(
        cost: Cost,
        identity: &Identity,
        passphrase: &str,
        salt: [u8; SALT_BYTES],
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Self, NotSealed> {
        let header = Header {
            what: "an identity key of postmesh, encrypted".to_string(),
            version: VERSION,
            node_id: identity.node_id(),
            kdf: KDF.to_string(),
            memory_kib: cost.memory_kib,
            passes: cost.passes,
            lanes: cost.lanes,
            salt: to_hex(&salt),
            cipher: CIPHER.to_string(),
            nonce: to_hex(&nonce),
        };
        let line = serde_json::to_string(&header).map_err(|_| NotSealed::Impossible)?;
        let cipher = cost.cipher(passphrase, &salt).ok_or(NotSealed::Memory)?;
        let mut text = Zeroizing::new(Vec::with_capacity(SEALED_BYTES));
        text.extend_from_slice(identity.seed().as_slice());
        cipher
            .encrypt_in_place(&XNonce::from(nonce), line.as_bytes(), &mut *text)
            .map_err(|_| NotSealed::Impossible)?;
        let sealed = text.as_slice().try_into().map_err(|_| NotSealed::Impossible)?;
        Ok(Self { header, line, sealed })
    }

    /// Whether a key file's text is, or should be, a sealed key.
    #[must_use]
    pub fn is_meant_by(text: &str) -> bool {
        text.trim_start().starts_with('{')
    }

    /// The sealed key in the text of a key file; white space around its lines is ignored. What the
    /// header asks for is within bounds.
    ///
    /// # Errors
    /// [`BadSealedKey`].
    pub fn from_text(text: &str) -> Result<Self, BadSealedKey> {
        let mut lines = text.trim().lines().map(str::trim);
        let line = lines.next().unwrap_or_default();
        let AnyHeader { version } = serde_json::from_str(line)?;
        if version != VERSION {
            return Err(BadSealedKey::Version { found: version });
        }
        let header: Header = serde_json::from_str(line)?;
        header.check()?;
        let sealed =
            from_hex(lines.next().unwrap_or_default()).map_err(|_| BadSealedKey::Sealed)?;
        let sealed = sealed.try_into().map_err(|_| BadSealedKey::Sealed)?;
        if lines.next().is_some() {
            return Err(BadSealedKey::Sealed);
        }
        Ok(Self { header, line: line.to_string(), sealed })
    }

    /// The text of a key file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = self.line.clone();
        text.push('\n');
        text.push_str(&to_hex(&self.sealed));
        text
    }

    /// Whose key it says it is. That it is the public half of what is sealed is known when it has
    /// been opened.
    #[must_use]
    pub fn node_id(&self) -> NodeId {
        self.header.node_id
    }

    /// Opens it, which takes the memory and time that its header says.
    ///
    /// # Errors
    /// [`NotOpened`].
    pub fn open(&self, passphrase: &str) -> Result<Identity, NotOpened> {
        let cost = self.header.cost();
        let (Some(salt), Some(nonce)) =
            (bytes::<SALT_BYTES>(&self.header.salt), bytes::<NONCE_BYTES>(&self.header.nonce))
        else {
            return Err(NotOpened::Passphrase);
        };
        let cipher = cost.cipher(passphrase, &salt);
        let cipher = cipher.ok_or(NotOpened::Memory { memory_kib: cost.memory_kib })?;
        let mut text = Zeroizing::new(self.sealed.to_vec());
        cipher
            .decrypt_in_place(&XNonce::from(nonce), self.line.as_bytes(), &mut *text)
            .map_err(|_| NotOpened::Passphrase)?;
        let seed = <&[u8; 32]>::try_from(text.as_slice()).map_err(|_| NotOpened::Passphrase)?;
        let identity = Identity::from_seed(seed);
        if identity.node_id() == self.node_id() { Ok(identity) } else { Err(NotOpened::Passphrase) }
    }
}

impl Header {
    fn cost(&self) -> Cost {
        let Self { memory_kib, passes, lanes, .. } = *self;
        Cost { memory_kib, passes, lanes }
    }

    fn check(&self) -> Result<(), BadSealedKey> {
        let unknown = [(&self.kdf, KDF), (&self.cipher, CIPHER)];
        if let Some((found, _)) = unknown.into_iter().find(|(found, known)| found != known) {
            return Err(BadSealedKey::Unknown(found.clone()));
        }
        if bytes::<SALT_BYTES>(&self.salt).is_none() {
            return Err(BadSealedKey::Unknown(self.salt.clone()));
        }
        if bytes::<NONCE_BYTES>(&self.nonce).is_none() {
            return Err(BadSealedKey::Unknown(self.nonce.clone()));
        }
        let Cost { memory_kib, passes, lanes } = self.cost();
        let most = COST_MAX;
        let bounded = memory_kib <= most.memory_kib && passes <= most.passes && lanes <= most.lanes;
        if bounded && self.cost().params().is_some() {
            Ok(())
        } else {
            Err(BadSealedKey::Cost { memory_kib, passes, lanes })
        }
    }
}

impl Cost {
    fn params(self) -> Option<Params> {
        Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).ok()
    }

    /// The cipher under the key of a passphrase, if there is the memory to make it.
    fn cipher(self, passphrase: &str, salt: &[u8]) -> Option<XChaCha20Poly1305> {
        let params = self.params()?;
        let mut memory = Zeroizing::new(Vec::new());
        memory.try_reserve_exact(params.block_count()).ok()?;
        memory.resize(params.block_count(), Block::new());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut key = Zeroizing::new([0; 32]);
        argon2
            .hash_password_into_with_memory(
                passphrase.as_bytes(),
                salt,
                key.as_mut_slice(),
                &mut memory,
            )
            .ok()?;
        Some(XChaCha20Poly1305::new(&Key::from(*key)))
    }
}

/// So many bytes in hexadecimal.
fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    from_hex(hex).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 2 };

    fn identity() -> Identity {
        Identity::from_seed(&[7; 32])
    }

    fn sealed() -> SealedKey {
        SealedKey::seal_at(CHEAP, &identity(), "correct horse", [1; 16], [2; 24]).unwrap()
    }

    #[test]
    fn the_right_passphrase_opens_it_and_no_other() {
        let text = sealed().to_text();
        assert!(SealedKey::is_meant_by(&text) && !SealedKey::is_meant_by(&identity().to_text()));
        let key = SealedKey::from_text(&format!("\n{text}\r\n")).unwrap();
        assert_eq!(key.node_id(), identity().node_id());
        assert_eq!(key.open("correct horse").unwrap().to_text(), identity().to_text());
        for wrong in ["", "correct horse ", "Correct horse"] {
            assert_eq!(key.open(wrong).unwrap_err(), NotOpened::Passphrase);
        }
        let (plain, secret) = (to_hex(identity().seed().as_slice()), identity().to_text());
        assert!(!text.contains(&plain) && !text.contains(&secret));
    }

    /// The format of files that outlive versions: what was sealed once must open for ever. The
    /// second line was made by argon2-cffi and PyNaCl too.
    #[test]
    fn the_text_of_a_sealed_key() {
        let text = sealed().to_text();
        let header = "{\"what\":\"an identity key of postmesh, encrypted\",\"version\":1,\
             \"node_id\":\"ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c\",\
             \"kdf\":\"argon2id\",\"memory_kib\":64,\"passes\":1,\"lanes\":2,\
             \"salt\":\"01010101010101010101010101010101\",\"cipher\":\"xchacha20poly1305\",\
             \"nonce\":\"020202020202020202020202020202020202020202020202\"}";
        let sealed = "50c830245edf810afb0d6b2e8fd14b01189d3e5c5c55433e\
             d51529e961fd324569f61d3d46968b96fdad20e555a244a0";
        assert_eq!(text, format!("{header}\n{sealed}"));
        assert_eq!(SealedKey::from_text(&text).unwrap().to_text(), text);
    }

    #[test]
    fn a_changed_bit_anywhere_opens_nothing() {
        let text = sealed().to_text();
        let changes = [
            ("ea4a6c", "eb4a6c"),
            ("\"passes\":1", "\"passes\":2"),
            ("\"lanes\":2", "\"lanes\":1"),
            ("\"memory_kib\":64", "\"memory_kib\":65"),
            ("0101\"", "0100\""),
            ("0202\"", "0203\""),
            ("{\"what", "{ \"what"),
            ("of postmesh", "of postmash"),
        ];
        for (old, new) in changes {
            let changed = text.replacen(old, new, 1);
            assert_ne!(changed, text, "{old}");
            let key = SealedKey::from_text(&changed).unwrap();
            assert_eq!(key.open("correct horse").unwrap_err(), NotOpened::Passphrase, "{old}");
        }
        for byte in 0..SEALED_BYTES {
            let mut key = sealed();
            key.sealed[byte] ^= 1;
            assert_eq!(key.open("correct horse").unwrap_err(), NotOpened::Passphrase);
        }
    }

    #[test]
    fn what_asks_for_too_much_or_is_unknown_is_refused_before_anything_is_made() {
        let text = sealed().to_text();
        let refused = |old: &str, new: &str| {
            let changed = text.replacen(old, new, 1);
            assert_ne!(changed, text, "{old}");
            SealedKey::from_text(&changed).unwrap_err()
        };
        for cost in ["4294967295", "1048577", "0", "7"] {
            let error = refused("\"memory_kib\":64", &format!("\"memory_kib\":{cost}"));
            assert!(matches!(error, BadSealedKey::Cost { .. }), "{error}");
        }
        for (old, new) in [("\"passes\":1", "\"passes\":17"), ("\"lanes\":2", "\"lanes\":17")] {
            assert!(matches!(refused(old, new), BadSealedKey::Cost { .. }));
        }
        let newer = refused("\"version\":1", "\"version\":2,\"more\":{}");
        assert!(matches!(newer, BadSealedKey::Version { found: 2 }));
        for (old, new) in [("argon2id", "scrypt"), ("xcha", "cha"), ("0101\"", "01\"")] {
            assert!(matches!(refused(old, new), BadSealedKey::Unknown(_)));
        }
        for (old, new) in
            [("\"kdf\"", "\"kdf2\""), ("\"version\":1,", ""), ("\"kdf\"", "\"a\":1,\"kdf\"")]
        {
            assert!(matches!(refused(old, new), BadSealedKey::Header(_)));
        }
        let cut = text.get(..text.len() - 2).unwrap();
        for bad in [cut, &format!("{text}\n00"), &format!("{text}00")] {
            assert!(matches!(SealedKey::from_text(bad), Err(BadSealedKey::Sealed)));
        }
    }

    #[test]
    fn what_is_made_for_use_is_within_bounds_and_costs_what_the_rfc_says() {
        let key = SealedKey::seal(&identity(), "x", [1; 16], [2; 24]).unwrap();
        let key = SealedKey::from_text(&key.to_text()).unwrap();
        assert_eq!(key.header.cost(), Cost { memory_kib: 65_536, passes: 3, lanes: 4 });
        assert_eq!(key.open("x").unwrap().node_id(), identity().node_id());
    }
}
