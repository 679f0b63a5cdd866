//! Which devices the tests of this crate run on.

use crate::devices::{Device, Skip, devices};

/// Every device here, software too. None only where `GPU=none` says that there is none.
///
/// # Panics
/// If there is no device: install `mesa-vulkan-drivers`, or set `GPU=none`.
pub(crate) fn all() -> Vec<Device> {
    let mut found = devices();
    found.retain(|device| matches!(device.skip, None | Some(Skip::Software)));
    let none = std::env::var("GPU").is_ok_and(|gpu| gpu == "none");
    assert!(
        none || !found.is_empty(),
        "no GPU and no software for one: install mesa-vulkan-drivers, or set GPU=none"
    );
    if none { Vec::new() } else { found }
}
