//! Whether the machine runs on its battery, as Linux tells it under `/sys/class/power_supply`
//! (`Documentation/ABI/testing/sysfs-class-power` in the kernel's source).
//!
//! A laptop may have several batteries and several chargers. Batteries of other things (a mouse, a
//! headset: their `scope` is `Device`) say nothing about the machine, and a desktop behind an
//! uninterruptible supply counts as plugged in: whoever owns one wants it to work on.

use std::fs;
use std::path::Path;

/// Whether the machine runs on its battery now; `None` where the system does not tell.
pub(crate) fn in_use() -> Option<bool> {
    under(Path::new("/"))
}

/// As [`in_use`], with `/sys` in `root`.
fn under(root: &Path) -> Option<bool> {
    let entries = fs::read_dir(root.join("sys/class/power_supply")).ok()?;
    let supplies: Vec<Supply> =
        entries.filter_map(|entry| Supply::read(&entry.ok()?.path())).collect();
    let plugged = supplies.iter().any(|supply| matches!(supply, Supply::Mains { online: true }));
    Some(!plugged && supplies.contains(&Supply::Battery { discharging: true }))
}

/// What feeds the machine, or could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Supply {
    Mains { online: bool },
    Battery { discharging: bool },
}

impl Supply {
    /// What a folder is about; `None` for what does not feed the machine.
    fn read(folder: &Path) -> Option<Self> {
        let read = |name| fs::read_to_string(folder.join(name)).ok();
        let is = |name, wanted| read(name).is_some_and(|text| text.trim() == wanted);
        if is("scope", "Device") {
            return None;
        }
        match read("type")?.trim() {
            "Battery" if is("present", "0") => None,
            "Battery" => Some(Self::Battery { discharging: is("status", "Discharging") }),
            // 2 is a charger whose voltage cannot be changed: plugged in as well.
            "Mains" | "USB" | "Wireless" => {
                Some(Self::Mains { online: is("online", "1") || is("online", "2") })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Files<'a> = &'a [(&'a str, &'a str)];

    /// Supplies by name, each with its files.
    fn system(supplies: &[(&str, Files<'_>)]) -> Option<bool> {
        let root = tempfile::tempdir().unwrap();
        for (name, files) in supplies {
            let folder = root.path().join("sys/class/power_supply").join(name);
            fs::create_dir_all(&folder).unwrap();
            for (name, text) in *files {
                fs::write(folder.join(name), format!("{text}\n")).unwrap();
            }
        }
        under(root.path())
    }

    const PLUGGED: Files<'_> = &[("type", "Mains"), ("online", "1")];
    const UNPLUGGED: Files<'_> = &[("type", "Mains"), ("online", "0")];
    const EMPTYING: Files<'_> = &[("type", "Battery"), ("status", "Discharging")];
    const IDLE: Files<'_> = &[("type", "Battery"), ("status", "Not charging")];
    const FULL: Files<'_> = &[("type", "Battery"), ("status", "Full"), ("scope", "System")];

    #[test]
    fn laptops_with_one_battery_or_several() {
        assert_eq!(system(&[("AC", PLUGGED), ("BAT0", FULL)]), Some(false));
        assert_eq!(system(&[("AC", UNPLUGGED), ("BAT0", EMPTYING)]), Some(true));
        assert_eq!(system(&[("AC", UNPLUGGED), ("BAT0", IDLE), ("BAT1", EMPTYING)]), Some(true));
        // A weak charger: the battery helps out, and the cable is in.
        assert_eq!(system(&[("AC", PLUGGED), ("BAT0", EMPTYING)]), Some(false));
        // Some tell nothing of chargers.
        assert_eq!(system(&[("BAT0", EMPTYING)]), Some(true));
        assert_eq!(system(&[("BAT0", IDLE)]), Some(false));
        let empty: Files<'_> = &[("type", "Battery"), ("present", "0"), ("status", "Discharging")];
        assert_eq!(system(&[("BAT1", empty)]), Some(false));
    }

    #[test]
    fn chargers_may_be_sockets_of_another_kind() {
        let socket: Files<'_> = &[("type", "USB"), ("online", "1"), ("scope", "System")];
        let free: Files<'_> = &[("type", "USB"), ("online", "0")];
        let fixed: Files<'_> = &[("type", "USB"), ("online", "2")];
        assert_eq!(system(&[("C1", free), ("C2", socket), ("BAT0", EMPTYING)]), Some(false));
        assert_eq!(system(&[("C1", fixed), ("BAT0", EMPTYING)]), Some(false));
        assert_eq!(system(&[("C1", free), ("BAT0", EMPTYING)]), Some(true));
    }

    #[test]
    fn what_does_not_feed_the_machine_does_not_count() {
        let mouse: Files<'_> =
            &[("type", "Battery"), ("scope", "Device"), ("status", "Discharging")];
        let ups: Files<'_> = &[("type", "UPS"), ("status", "Discharging")];
        assert_eq!(system(&[("hidpp_battery_0", mouse)]), Some(false));
        assert_eq!(system(&[("ups", ups), ("hidpp_battery_0", mouse)]), Some(false));
        assert_eq!(system(&[("hidpp_battery_0", mouse), ("BAT0", EMPTYING)]), Some(true));
        assert_eq!(system(&[("odd", &[])]), Some(false));
        assert_eq!(system(&[]), None);
    }
}
