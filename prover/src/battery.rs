//! Whether the machine runs on its battery: then only what cannot wait is done.

#[cfg(any(target_os = "linux", test))]
use std::path::Path;

/// Whether it does; `false` where the system does not tell.
pub(crate) fn is_in_use() -> bool {
    #[cfg(target_os = "linux")]
    return drains(Path::new("/sys/class/power_supply"));
    #[cfg(not(target_os = "linux"))]
    false
}

/// Whether a battery of the machine (not of a mouse: those have the scope `Device`) gives power,
/// and nothing else does. A UPS that is on line shows as mains.
///
/// As Linux documents it in `Documentation/ABI/testing/sysfs-class-power`.
#[cfg(any(target_os = "linux", test))]
fn drains(supplies: &Path) -> bool {
    let Ok(supplies) = std::fs::read_dir(supplies) else { return false };
    let mut discharges = false;
    for supply in supplies.flatten() {
        let says = |name: &str| {
            let text = std::fs::read_to_string(supply.path().join(name));
            text.map(|text| text.trim().to_owned()).unwrap_or_default()
        };
        match says("type").as_str() {
            "Battery" => {
                discharges |= says("scope") != "Device" && says("status") == "Discharging";
            }
            // Mains, USB and wireless chargers, a UPS.
            _ if says("online") == "1" => return false,
            _ => {}
        }
    }
    discharges
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// What the system says of supplies: name, and files with their content.
    fn with(supplies: &[(&str, &[(&str, &str)])]) -> bool {
        let root = tempfile::tempdir().unwrap();
        for (name, files) in supplies {
            let folder = root.path().join(name);
            fs::create_dir(&folder).unwrap();
            for (file, text) in *files {
                fs::write(folder.join(file), format!("{text}\n")).unwrap();
            }
        }
        drains(root.path())
    }

    #[test]
    fn a_laptop_without_its_charger_runs_on_its_battery() {
        let battery = |status| ("BAT0", [("type", "Battery"), ("status", status)]);
        let charger = |online| ("AC", [("type", "Mains"), ("online", online)]);
        let (name, files) = battery("Discharging");
        assert!(with(&[(name, &files)]));
        for (online, status, expected) in
            [("0", "Discharging", true), ("1", "Discharging", false), ("1", "Charging", false)]
        {
            let ((one, battery), (other, charger)) = (battery(status), charger(online));
            assert_eq!(with(&[(one, &battery), (other, &charger)]), expected);
        }
    }

    #[test]
    fn a_desktop_does_not_whatever_its_mouse_does() {
        assert!(!with(&[]));
        let mouse = [("type", "Battery"), ("scope", "Device"), ("status", "Discharging")];
        assert!(!with(&[("hidpp_battery_0", &mouse)]));
        let ups = [("type", "UPS"), ("online", "1")];
        assert!(!with(&[("ups", &ups), ("hidpp_battery_0", &mouse)]));
        assert!(!drains(Path::new("/nowhere")));
    }
}
