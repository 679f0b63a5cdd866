//! What the arguments mean: the network, and how it differs from mainnet.

use crate::args::RunArgs;
use crate::outcome::{ExitCode, Result, WrongUsage, answer};
use anyhow::Context;
use chain::Network;
use post::presets;

/// Twelve hours, which is what the reference's network leaves for a proof.
const WINDOW: u64 = 12 * 3600;

/// A preset by its name, or a network file by its path.
pub(crate) fn network(name: &str) -> Result<Network> {
    if let Some(preset) = Network::preset(name) {
        return Ok(preset);
    }
    let names = presets().map(|preset| preset.name).join(", ");
    let text = std::fs::read_to_string(name).map_err(|error| {
        WrongUsage(format!("{name} is neither a network ({names}) nor a file I can read: {error}"))
    })?;
    let network: Network = toml::from_str(&text)
        .map_err(|error| WrongUsage(format!("{name} is not a network file: {error}")))?;
    Ok(network.checked().map_err(|bad| WrongUsage(format!("{name}: {bad}")))?)
}

/// Seconds from a challenge to its deadline.
pub(crate) fn window(args: &RunArgs) -> u64 {
    args.window.unwrap_or(args.every.max(WINDOW))
}

/// Prints a network file.
pub(crate) fn show(name: &str) -> Result {
    let text = toml::to_string(&network(name)?).context("the network has no file form")?;
    answer!("{}", text.trim_end())?;
    Ok(ExitCode::Done)
}

/// In what a network asks less (or else) than mainnet, a line each; nothing for mainnet itself.
pub(crate) fn reductions(network: &Network) -> Vec<String> {
    let [mainnet, ..] = presets();
    let (ours, theirs) = (network.post(), &mainnet.params);
    let mut lines = Vec::new();
    let mut differ = |what: &str, ours: String, theirs: String| {
        if ours != theirs {
            lines.push(format!("{what}: {ours} here, {theirs} on mainnet"));
        }
    };
    let unit = |labels: u64| format!("{labels} labels ({} KiB)", labels / 64);
    differ("a unit", unit(ours.labels_per_unit), unit(theirs.labels_per_unit));
    differ("units", format!("from {}", ours.units_min), format!("from {}", theirs.units_min));
    differ("scrypt N", ours.scrypt_n.to_string(), theirs.scrypt_n.to_string());
    differ("K1", ours.k1.to_string(), theirs.k1.to_string());
    differ("K2", ours.k2.to_string(), theirs.k2.to_string());
    let hashes = |params: &post::Params| {
        let bound = params.pow_difficulty.0.iter().fold(0.0, |v, b| v * 256.0 + f64::from(*b));
        format!("about {:.0} hashes for each 16 nonces and unit", 2_f64.powi(256) / bound)
    };
    differ("k2pow", hashes(ours), hashes(theirs));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mainnet_is_not_reduced_and_standalone_says_how_it_is() {
        assert_eq!(reductions(&network("mainnet").unwrap()), Vec::<String>::new());
        let lines = reductions(&network("standalone").unwrap());
        let [unit, units, k2pow] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(
            unit,
            "a unit: 1024 labels (16 KiB) here, 4294967296 labels (67108864 KiB) on mainnet"
        );
        assert_eq!(units, "units: from 1 here, from 4 on mainnet");
        assert!(k2pow.starts_with("k2pow: about 8 hashes"), "{k2pow}");
    }

    #[test]
    fn a_network_file_with_another_id_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("n.toml");
        let text = toml::to_string(&network("standalone").unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(network(path).unwrap(), network("standalone").unwrap());
        std::fs::write(path, text.replace("k1 = 26", "k1 = 25")).unwrap();
        assert!(network(path).unwrap_err().is::<WrongUsage>());
        assert!(network("nowhere").unwrap_err().is::<WrongUsage>());
    }
}
