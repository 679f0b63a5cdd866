//! Which machine this is: to itself, for rates that belong to it, and to others, for the lease on
//! data.

use link::meeting_place;
use plot::Holder;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

/// What computes here, in words: rates that were measured belong to it.
pub(crate) fn name() -> String {
    format!("{} {}", std::env::consts::OS, processor())
}

/// The processor, as people know it.
pub(crate) fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("", |(_, model)| model.trim());
    format!("{} {model}", std::env::consts::ARCH).trim().to_owned()
}

/// This process, as others are told of it.
pub(crate) fn holder() -> Holder {
    Holder {
        host: crate::nodes::own_name(),
        host_id: boot_id().or_else(kept_id).unwrap_or_else(random),
        pid: std::process::id(),
        session: random(),
    }
}

/// The random number that Linux draws whenever it starts.
fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Elsewhere, one that the processes of this user share.
fn kept_id() -> Option<String> {
    kept_in(&meeting_place().ok()?.join("host-id"))
}

fn kept_in(path: &Path) -> Option<String> {
    if let Ok(mut file) = OpenOptions::new().create_new(true).write(true).open(path) {
        file.write_all(random().as_bytes()).ok()?;
    }
    fs::read_to_string(path).ok().filter(|id| id.len() == 32)
}

/// A number that nobody else has, in hexadecimal.
fn random() -> String {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => post::to_hex(&bytes),
        // No two processes of a host have the same at the same time, at least.
        Err(_) => format!("{:032x}", std::process::id()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_always_the_same_and_a_process_never() {
        let [one, two] = [holder(), holder()];
        assert_eq!((&one.host, &one.host_id, one.pid), (&two.host, &two.host_id, two.pid));
        assert_ne!(one.session, two.session);
        assert_eq!(name(), name());
    }

    #[test]
    fn where_the_system_has_no_number_one_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("host-id");
        let kept = kept_in(&path).unwrap();
        assert_eq!((kept.len(), kept_in(&path)), (32, Some(kept.clone())));
        assert_eq!(kept_in(&root.path().join("none/host-id")), None);
    }
}
