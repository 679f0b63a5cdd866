//! Whether a display hangs on a card and shows something: who looks at it would see it stutter.

use std::path::Path;

/// Whether a display of the card of this name is in use; `None` where the system does not tell.
pub(super) fn is_in_use(name: &str) -> Option<bool> {
    if cfg!(target_os = "linux") {
        Some(is_in_use_in(Path::new("/sys/class/drm"), address_of(name)))
    } else {
        None
    }
}

/// The PCI address in a device's name: `0000:01:00.0` of `gpu:10de-2204-0000:01:00.0`.
fn address_of(name: &str) -> Option<&str> {
    let (_, address) = name.strip_prefix("gpu:")?.split_once('-')?.1.split_once('-')?;
    address.contains(':').then_some(address)
}

/// As [`is_in_use`], by what Linux's direct rendering manager lists in `root`: cards (`card0`),
/// whose `device` is a link to their PCI address, and their connectors (`card0-HDMI-A-1`), with a
/// `status` and whether they are `enabled`. A card without a known address may be any of them.
fn is_in_use_in(root: &Path, address: Option<&str>) -> bool {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).any(|connector| {
        let Some((card, _)) = connector.split_once('-') else {
            return false;
        };
        let says = |file: &str, word: &str| {
            let text = std::fs::read_to_string(root.join(&connector).join(file));
            text.is_ok_and(|text| text.trim() == word)
        };
        let is_this = |address: &str| {
            let device = std::fs::canonicalize(root.join(card).join("device"));
            device.is_ok_and(|device| device.ends_with(address))
        };
        address.is_none_or(is_this) && says("status", "connected") && says("enabled", "enabled")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn addresses_stand_in_names() {
        assert_eq!(address_of("gpu:10de-2204-0000:01:00.0"), Some("0000:01:00.0"));
        for name in ["gpu:8086-4680#0", "gpu:software", "gpu:apple-m2-pro#0", "cpu", ""] {
            assert_eq!(address_of(name), None, "{name}");
        }
    }

    /// Two cards as Linux lists them; one of them has a display, and another that is off.
    #[cfg(unix)]
    #[test]
    fn the_card_with_the_display_is_in_use() {
        let root = tempfile::tempdir().unwrap();
        let (drm, pci) = (root.path().join("drm"), root.path().join("pci"));
        for (card, address) in [("card0", "0000:01:00.0"), ("card1", "0000:41:00.0")] {
            fs::create_dir_all(pci.join(address)).unwrap();
            fs::create_dir_all(drm.join(card)).unwrap();
            std::os::unix::fs::symlink(pci.join(address), drm.join(card).join("device")).unwrap();
        }
        let connector = |name: &str, status: &str, enabled: &str| {
            fs::create_dir_all(drm.join(name)).unwrap();
            fs::write(drm.join(name).join("status"), status).unwrap();
            fs::write(drm.join(name).join("enabled"), enabled).unwrap();
        };
        let [first, second] = ["0000:01:00.0", "0000:41:00.0"].map(Some);
        assert!(!is_in_use_in(&drm, None));
        connector("card0-HDMI-A-1", "connected\n", "enabled\n");
        connector("card1-DP-1", "disconnected\n", "enabled\n");
        connector("card1-DP-2", "connected\n", "disabled\n");
        assert!(is_in_use_in(&drm, first) && !is_in_use_in(&drm, second));
        // It could be the one that is in use.
        assert!(is_in_use_in(&drm, None));
        assert!(!is_in_use_in(&root.path().join("nowhere"), None));
    }
}
