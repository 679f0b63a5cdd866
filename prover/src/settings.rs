//! What the arguments mean.

use crate::args::{NetworkArgs, ProofArgs, WorkArgs};
use crate::outcome::{Failure, Result};
use crate::pace::Pace;
use crate::place::{self, PlaceArg};
use post::{NetworkId, Params, Preset, ScryptN, presets};
use serde::Deserialize;
use std::num::NonZeroUsize;
use std::path::Path;

/// Percent of the time that work in the background takes, unless told.
const BACKGROUND_DUTY: u8 = 50;

/// The network whose data is made and proven.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Its id; without `--network`, mainnet's.
    pub(crate) id: NetworkId,
    /// Its parameters, with the flags' in place.
    pub(crate) params: Params,
    /// Whether scrypt's N was given by a flag, and so must be what the data was made with.
    pub(crate) n_is_explicit: bool,
}

/// The part of a network file that a prover reads; the rest is the node's.
#[derive(Deserialize)]
struct NetworkFile {
    id: NetworkId,
    post: Params,
}

/// The network that the flags describe.
pub(crate) fn network(args: &NetworkArgs, proof: &ProofArgs) -> Result<Network> {
    let (id, mut params) = match &args.network {
        None => {
            let [Preset { id, params, .. }, ..] = presets();
            (id, Params { units_min: 1, units_max: u32::MAX, ..params })
        }
        Some(name) => named(name)?,
    };
    let usage = |error: post::BadParams| Failure::usage(error.to_string());
    if let Some(n) = args.scrypt_n {
        params.scrypt_n = ScryptN::new(n).map_err(usage)?;
    }
    params.k1 = proof.k1.unwrap_or(params.k1);
    params.k2 = proof.k2.unwrap_or(params.k2);
    params.pow_difficulty = proof.pow_difficulty.unwrap_or(params.pow_difficulty);
    let params = params.checked().map_err(usage)?;
    Ok(Network { id, params, n_is_explicit: args.scrypt_n.is_some() })
}

/// A preset by its name, or a network file by its path.
fn named(name: &str) -> Result<(NetworkId, Params)> {
    if let Some(preset) = presets().into_iter().find(|preset| preset.name == name) {
        return Ok((preset.id, preset.params));
    }
    let names = presets().map(|preset| preset.name).join(", ");
    let text = std::fs::read_to_string(Path::new(name)).map_err(|error| {
        Failure::usage(format!(
            "{name} is neither a network ({names}) nor a file I can read: {error}"
        ))
    })?;
    let file: NetworkFile = toml::from_str(&text)
        .map_err(|error| Failure::usage(format!("{name} is not a network file: {error}")))?;
    Ok((file.id, file.post))
}

/// The directories that were named.
pub(crate) fn places(args: &[PlaceArg]) -> Result<Vec<plot::Place>> {
    place::places(args).map_err(Failure::usage)
}

/// How many threads to use: what was asked for, or every processor there is.
pub(crate) fn threads(work: &WorkArgs) -> NonZeroUsize {
    let all = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    work.threads.unwrap_or_else(all)
}

/// What share of the time to work.
pub(crate) fn pace(work: &WorkArgs) -> Pace {
    Pace::new(work.duty.unwrap_or(if work.background { BACKGROUND_DUTY } else { 100 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(network: Option<&str>) -> NetworkArgs {
        NetworkArgs { network: network.map(str::to_owned), scrypt_n: None }
    }

    #[test]
    fn flags_override_the_network() {
        let proof = ProofArgs { k1: Some(12), ..ProofArgs::default() };
        let network = network(&args(Some("standalone")), &proof).unwrap();
        assert_eq!((network.params.k1, network.params.k2), (12, 37));
        assert_eq!(network.params.labels_per_unit, 1024);
    }

    #[test]
    fn without_a_network_units_are_free() {
        let network = network(&args(None), &ProofArgs::default()).unwrap();
        assert_eq!((network.params.units_min, network.params.units_max), (1, u32::MAX));
        assert_eq!(network.params.labels_per_unit, 1 << 32);
    }

    #[test]
    fn a_network_file_needs_an_id_and_a_post_table() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("home.toml");
        let post = toml::to_string(&presets()[2].params).unwrap();
        let text = format!("id = \"{}\"\nname = \"home\"\n[post]\n{post}", "ab".repeat(32));
        std::fs::write(&path, &text).unwrap();
        let path = path.to_str().unwrap();
        let network_of = |path| network(&args(Some(path)), &ProofArgs::default());
        let network = network_of(path).unwrap();
        assert_eq!(network.id, NetworkId([0xab; 32]));
        assert_eq!(network.params, presets()[2].params);
        std::fs::write(path, text.replace("8192", "8191")).unwrap();
        assert!(
            matches!(network_of(path), Err(Failure::Usage(why)) if why.contains("power of two"))
        );
        assert!(
            matches!(network_of("nowhere"), Err(Failure::Usage(why)) if why.contains("mainnet"))
        );
    }
}
