//! A network: its name, its parameters, and the id that is their hash.

use crate::canonical;
use alloc::string::String;
use post::{AtxId, NetworkId, Params, presets};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The context of the hash that makes a network's id.
const CONTEXT: &str = "postmesh v1 network";

/// A network, as its file describes it: two nodes that agree on this can agree on everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The hash of all else; checked wherever a file is read.
    id: NetworkId,
    /// What people call it.
    name: String,
    /// What it demands of PoST.
    post: Params,
}

/// A file that describes no network.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadNetwork {
    /// The id is not the hash of the rest.
    #[error(
        "the id in the file is {found}, but its parameters make {computed}: one of them was \
         changed, and these would be two different networks"
    )]
    Id {
        /// What the file says.
        found: NetworkId,
        /// What it should say.
        computed: NetworkId,
    },
}

impl Network {
    /// A network with these parameters.
    #[must_use]
    pub fn new(name: String, post: Params) -> Self {
        Self { id: id(&name, &post), name, post }
    }

    /// One of those that postmesh ships.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        let preset = presets().into_iter().find(|preset| preset.name == name)?;
        Some(Self::new(name.into(), preset.params))
    }

    /// This network, if its id is the hash of its parameters.
    ///
    /// # Errors
    /// [`BadNetwork::Id`].
    pub fn checked(self) -> Result<Self, BadNetwork> {
        let computed = id(&self.name, &self.post);
        let found = self.id;
        if found == computed { Ok(self) } else { Err(BadNetwork::Id { found, computed }) }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> NetworkId {
        self.id
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its PoST parameters.
    #[must_use]
    pub fn post(&self) -> &Params {
        &self.post
    }

    /// The ATX that stands before all others, to which first data is committed: its id is the
    /// network's.
    #[must_use]
    pub fn golden_atx(&self) -> AtxId {
        AtxId(self.id.0)
    }
}

/// `BLAKE3-derive-key("postmesh v1 network", canonical encoding of name and parameters)`.
fn id(name: &str, post: &Params) -> NetworkId {
    // Strings and numbers always encode.
    let bytes = canonical::encode(&(name, post)).unwrap_or_default();
    NetworkId(blake3::derive_key(CONTEXT, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    /// What the prover takes as given is what the node computes.
    #[test]
    fn the_presets_ids_are_their_hashes() {
        for preset in presets() {
            let network = Network::preset(preset.name).unwrap();
            assert_eq!(network.id().to_string(), preset.id.to_string(), "{}", preset.name);
            assert_eq!(network.post(), &preset.params);
        }
        assert_eq!(Network::preset("nowhere"), None);
    }

    #[test]
    fn every_parameter_is_in_the_id() {
        let base = presets()[2].params.clone();
        let variants = [
            Params { labels_per_unit: 1025, ..base.clone() },
            Params { units_min: 2, ..base.clone() },
            Params { units_max: 5, ..base.clone() },
            Params { scrypt_n: post::ScryptN::new(4096).unwrap(), ..base.clone() },
            Params { k1: 25, ..base.clone() },
            Params { k2: 36, ..base.clone() },
            Params { pow_difficulty: post::k2pow::Difficulty([1; 32]), ..base.clone() },
        ];
        let id = |params| Network::new("x".into(), params).id();
        let mut ids: alloc::vec::Vec<_> =
            variants.into_iter().chain([base.clone()]).map(id).collect();
        ids.push(Network::new("y".into(), base).id());
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 9);
    }

    #[test]
    fn a_file_round_trips_and_a_changed_one_is_refused() {
        let network = Network::preset("standalone").unwrap();
        let text = toml::to_string(&network).unwrap();
        let again: Network = toml::from_str(&text).unwrap();
        assert_eq!(again.checked(), Ok(network));
        let changed: Network = toml::from_str(&text.replace("k2 = 37", "k2 = 36")).unwrap();
        assert!(matches!(changed.checked(), Err(BadNetwork::Id { .. })));
        assert!(toml::from_str::<Network>(&text.replace("name", "nom")).is_err());
    }
}
