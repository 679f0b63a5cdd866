//! What a network demands of PoST: checked once, at birth, and valid ever after.

use crate::k2pow::Difficulty;
use crate::units::NetworkId;
use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// scrypt's N: how many blocks of 128 bytes a label is mixed over. A power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScryptN(u32);

impl ScryptN {
    /// The largest N: 2²⁰, which takes 128 MiB of scratch for each label in flight.
    pub const MAX: u32 = 1 << 20;

    /// N, if it is a power of two in 2..=2²⁰.
    ///
    /// # Errors
    /// [`BadParams::ScryptN`] otherwise.
    pub fn new(n: u32) -> Result<Self, BadParams> {
        let fits = n.is_power_of_two() && (2..=Self::MAX).contains(&n);
        if fits { Ok(Self(n)) } else { Err(BadParams::ScryptN { found: n }) }
    }

    /// The number itself.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for ScryptN {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The PoST parameters of a network: the `post` table of its file.
///
/// Source of the values of mainnet: Spacemesh's mainnet (K3 is always K2 here).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawParams", into = "RawParams")]
pub struct Params {
    /// Labels in a unit of space, 16 bytes each.
    pub labels_per_unit: u64,
    /// Fewest units an identity may prove.
    pub units_min: u32,
    /// Most units an identity may prove.
    pub units_max: u32,
    /// scrypt's N.
    pub scrypt_n: ScryptN,
    /// Labels that are expected to be good for a nonce, among all of an identity's.
    pub k1: u32,
    /// Good labels that a proof must name.
    pub k2: u32,
    /// Bound of the k2pow for one unit.
    pub pow_difficulty: Difficulty,
}

/// Parameters that no network can have.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadParams {
    /// See [`ScryptN::new`].
    #[error("scrypt N is {found}, but must be a power of two from 2 to {}", ScryptN::MAX)]
    ScryptN {
        /// The value refused.
        found: u32,
    },
    /// A count outside its bounds.
    #[error("{name} is {found}, but must be from {min} to {max}")]
    OutOfBounds {
        /// The parameter's name in a network file.
        name: &'static str,
        /// The value refused.
        found: u64,
        /// Smallest allowed.
        min: u64,
        /// Largest allowed.
        max: u64,
    },
    /// The bound for the k2pow is not 32 bytes of hexadecimal.
    #[error("pow_difficulty: {0}")]
    PowDifficulty(crate::BadHex),
}

impl Params {
    /// Most labels an identity may have: 2⁵⁸, of which the files fill 4 EiB.
    pub const LABELS_MAX: u64 = 1 << 58;
    /// Most good labels that a proof may be asked to name.
    pub const K2_MAX: u32 = 1024;

    /// These parameters, if every one of them is within its bounds.
    ///
    /// # Errors
    /// [`BadParams`] names the first parameter that is out of bounds.
    pub fn checked(self) -> Result<Self, BadParams> {
        let within = |name, found: u64, min: u64, max: u64| {
            if (min..=max).contains(&found) {
                Ok(())
            } else {
                Err(BadParams::OutOfBounds { name, found, min, max })
            }
        };
        let (units_min, units_max) = (u64::from(self.units_min), u64::from(self.units_max));
        within("labels_per_unit", self.labels_per_unit, 1, Self::LABELS_MAX)?;
        within("units_min", units_min, 1, units_max)?;
        within("units_max", units_max, units_min, u64::from(u32::MAX))?;
        within("k1", u64::from(self.k1), 1, u64::from(u32::MAX))?;
        within("k2", u64::from(self.k2), 1, u64::from(Self::K2_MAX))?;
        Ok(self)
    }

    /// Labels of an identity with `num_units`; `None` where there would be none, or more than
    /// [`Params::LABELS_MAX`].
    #[must_use]
    pub fn num_labels(labels_per_unit: u64, num_units: u32) -> Option<u64> {
        let labels = labels_per_unit.checked_mul(u64::from(num_units))?;
        (1..=Self::LABELS_MAX).contains(&labels).then_some(labels)
    }
}

/// A network that postmesh ships.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name, as `--network` takes it.
    pub name: &'static str,
    /// Its id. What it is a hash of is the node's business, which checks it.
    pub id: NetworkId,
    /// Its PoST parameters.
    pub params: Params,
}

/// Spacemesh mainnet's bound of the k2pow for one unit, first eight bytes; the rest is zero.
const MAINNET_POW: u64 = 0x000d_fb23_b097_9b4b;

/// The networks that postmesh ships.
#[must_use]
pub fn presets() -> [Preset; 3] {
    let preset = |name, id: &str, labels_per_unit, units_min, units_max, pow: u64| {
        let mut pow_difficulty = Difficulty([0; 32]);
        for (byte, value) in pow_difficulty.0.iter_mut().zip(pow.to_be_bytes()) {
            *byte = value;
        }
        let (scrypt_n, k1, k2) = (ScryptN(8192), 26, 37);
        let params =
            Params { labels_per_unit, units_min, units_max, scrypt_n, k1, k2, pow_difficulty };
        Preset { name, id: id.parse().unwrap_or(NetworkId([0; 32])), params }
    };
    [
        preset("mainnet", MAINNET_ID, 1 << 32, 4, u32::MAX, MAINNET_POW),
        // A 64th of mainnet's work.
        preset("devnet", DEVNET_ID, 1 << 20, 1, 64, MAINNET_POW << 6),
        preset("standalone", STANDALONE_ID, 1024, 1, 4, 0x20 << 56),
    ]
}

/// The ids, which `chain` computes from all of a network's parameters and holds against these.
const MAINNET_ID: &str = "16398349dbbbb9e1bb00d686d049c9367abf58b961c17ede1552dc2439f73526";
const DEVNET_ID: &str = "7092b1326ba46d1b682475584736c60e8cbf3319a5ea4f43ab2fb7b4f913b8a4";
const STANDALONE_ID: &str = "613a3934fa5f9b2f4e5f536cd3ab168cb6560e43249ebc6715e2953cb7acdda9";

/// Parameters as a file spells them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawParams {
    labels_per_unit: u64,
    units_min: u32,
    units_max: u32,
    scrypt_n: u32,
    k1: u32,
    k2: u32,
    pow_difficulty: String,
}

impl TryFrom<RawParams> for Params {
    type Error = BadParams;

    fn try_from(raw: RawParams) -> Result<Self, BadParams> {
        Self {
            labels_per_unit: raw.labels_per_unit,
            units_min: raw.units_min,
            units_max: raw.units_max,
            scrypt_n: ScryptN::new(raw.scrypt_n)?,
            k1: raw.k1,
            k2: raw.k2,
            pow_difficulty: raw.pow_difficulty.parse().map_err(BadParams::PowDifficulty)?,
        }
        .checked()
    }
}

impl From<Params> for RawParams {
    fn from(params: Params) -> Self {
        Self {
            labels_per_unit: params.labels_per_unit,
            units_min: params.units_min,
            units_max: params.units_max,
            scrypt_n: params.scrypt_n.get(),
            k1: params.k1,
            k2: params.k2,
            pow_difficulty: alloc::format!("{}", params.pow_difficulty),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n_is_a_power_of_two_within_bounds() {
        assert_eq!(ScryptN::new(8192).unwrap().get(), 8192);
        for found in [0, 1, 3, 8191, 1 << 21] {
            assert_eq!(ScryptN::new(found), Err(BadParams::ScryptN { found }));
        }
    }

    #[test]
    fn parameters_are_checked_as_they_are_read() {
        let good = r#"{"labels_per_unit": 1024, "units_min": 1, "units_max": 4, "scrypt_n": 8192,
            "k1": 26, "k2": 37, "pow_difficulty":
            "20ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"}"#;
        let params: Params = serde_json::from_str(good).unwrap();
        let again: Params = serde_json::from_str(&serde_json::to_string(&params).unwrap()).unwrap();
        assert_eq!(params, again);
        for (from, to, word) in [
            ("1024", "0", "labels_per_unit"),
            ("\"units_min\": 1", "\"units_min\": 5", "units_min"),
            ("8192", "8191", "power of two"),
            ("37", "0", "k2"),
            ("37", "1025", "k2"),
            ("20ff", "20f", "pow_difficulty"),
            ("\"k1\"", "\"k9\"", "k9"),
        ] {
            let error = serde_json::from_str::<Params>(&good.replace(from, to)).unwrap_err();
            assert!(std::format!("{error}").contains(word), "{error}");
        }
    }

    #[test]
    fn label_counts_are_bounded() {
        assert_eq!(Params::num_labels(1 << 32, 4), Some(1 << 34));
        assert_eq!(Params::num_labels(1 << 32, 0), None);
        assert_eq!(Params::num_labels(1 << 32, u32::MAX), None);
        assert_eq!(Params::num_labels(u64::MAX, 2), None);
    }
}
