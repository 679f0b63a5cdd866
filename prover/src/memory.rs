//! How much memory can be taken without driving others out: what Linux says of the machine, and
//! of the control groups that this process lives in.

use std::fs;
use std::path::{Path, PathBuf};

/// What there is to take, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Available {
    /// Ordinary memory, within every limit.
    pub(crate) plain: u64,
    /// Large pages set aside and not in use.
    pub(crate) large: u64,
}

impl Available {
    /// What is available now; `None` where the system does not tell.
    pub(crate) fn now() -> Option<Self> {
        Self::under(Path::new("/"))
    }

    /// As [`Available::now`], with `/proc` and `/sys` in `root`.
    fn under(root: &Path) -> Option<Self> {
        let meminfo = fs::read_to_string(root.join("proc/meminfo")).ok()?;
        let machine = field(&meminfo, "MemAvailable:")? << 10;
        let page = field(&meminfo, "Hugepagesize:").unwrap_or(0) << 10;
        let large = field(&meminfo, "HugePages_Free:").unwrap_or(0).saturating_mul(page);
        let groups = groups(root);
        let plain = groups.iter().filter_map(|group| group.left()).fold(machine, u64::min);
        Some(Self { plain, large })
    }
}

/// The number after a key, on a line of its own.
fn field(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A control group's folder, and what the files in it are called.
struct Group {
    folder: PathBuf,
    limit: &'static str,
    usage: &'static str,
    /// Pages of files that are counted as used, and given up when memory is wanted.
    given_up: &'static str,
}

impl Group {
    /// What its limit leaves; `None` where it has no limit.
    fn left(&self) -> Option<u64> {
        let read = |name| fs::read_to_string(self.folder.join(name)).ok();
        // Version 2 says `max` where there is no limit.
        let limit: u64 = read(self.limit)?.trim().parse().ok()?;
        let usage: u64 = read(self.usage)?.trim().parse().ok()?;
        let given_up = read("memory.stat").and_then(|stat| field(&stat, self.given_up));
        Some(limit.saturating_sub(usage.saturating_sub(given_up.unwrap_or(0))))
    }
}

/// The control groups of this process, each with all that it lies in.
fn groups(root: &Path) -> Vec<Group> {
    let list = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut groups = Vec::new();
    for line in list.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (mount, limit, usage, given_up) = if controllers.is_empty() {
            ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file ")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            let (limit, usage) = ("memory.limit_in_bytes", "memory.usage_in_bytes");
            ("sys/fs/cgroup/memory", limit, usage, "total_inactive_file ")
        } else {
            continue;
        };
        for path in Path::new(path).ancestors() {
            let folder = root.join(mount).join(path.strip_prefix("/").unwrap_or(path));
            groups.push(Group { folder, limit, usage, given_up });
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal: 24684096 kB\nMemFree: 100 kB\nMemAvailable: 4000000 kB\n\
                           HugePages_Free: 3\nHugepagesize: 2048 kB\n";

    fn system(files: &[(&str, &str)]) -> Option<Available> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Available::under(root.path())
    }

    #[test]
    fn without_groups_it_is_what_the_machine_has() {
        let available = system(&[("proc/meminfo", MEMINFO)]);
        assert_eq!(available, Some(Available { plain: 4_000_000 << 10, large: 6 << 20 }));
        assert_eq!(system(&[]), None);
        assert_eq!(system(&[("proc/meminfo", "MemFree: 1 kB\n")]), None);
    }

    #[test]
    fn the_tightest_group_counts() {
        let two = [
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "0::/user.slice/box\n"),
            ("sys/fs/cgroup/user.slice/memory.max", "1000000000\n"),
            ("sys/fs/cgroup/user.slice/memory.current", "900000000\n"),
            ("sys/fs/cgroup/user.slice/memory.stat", "anon 5\ninactive_file 300000000\n"),
            ("sys/fs/cgroup/user.slice/box/memory.max", "max\n"),
            ("sys/fs/cgroup/user.slice/box/memory.current", "800000000\n"),
        ];
        assert_eq!(system(&two).map(|available| available.plain), Some(400_000_000));
        let one = [
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "4:cpu,memory:/box\n2:cpuset:/\n0::/\n"),
            ("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "500\n"),
            ("sys/fs/cgroup/memory/box/memory.usage_in_bytes", "700\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "700\n"),
        ];
        assert_eq!(system(&one).map(|available| available.plain), Some(0));
    }
}
