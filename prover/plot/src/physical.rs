//! Which physical disk a file lies on: two readers on one disk would make its heads jump.

use std::io;
use std::path::Path;

/// A number that files on the same physical disk share, and no others.
///
/// A partition counts as its disk. What lies over several disks or over none (device mapper, RAID,
/// btrfs, overlay, a network, memory) counts as a disk of its own.
#[cfg(target_os = "linux")]
pub(crate) fn disk_of(path: &Path) -> io::Result<u64> {
    use std::os::linux::fs::MetadataExt;
    let device = std::fs::metadata(path)?.st_dev();
    Ok(whole_disk(Path::new("/sys/dev/block"), device).unwrap_or(device))
}

/// What the system calls a physical disk (`sda`, `nvme0n1`), or its number where it has no name.
#[cfg(target_os = "linux")]
#[must_use]
pub fn disk_name(disk: u64) -> String {
    use rustix::fs::{major, minor};
    let number = format!("{}:{}", major(disk), minor(disk));
    let folder = Path::new("/sys/dev/block").join(&number).canonicalize();
    let name = folder.ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    name.unwrap_or(number)
}

/// The number of a physical disk.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn disk_name(disk: u64) -> String {
    disk.to_string()
}

/// Elsewhere a filesystem counts as a disk of its own.
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) fn disk_of(path: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::metadata(path)?.dev())
}

/// Without device numbers everything counts as one disk.
#[cfg(not(unix))]
pub(crate) fn disk_of(path: &Path) -> io::Result<u64> {
    std::fs::metadata(path).map(|_| 0)
}

/// The disk of which a block device is a partition, as `blocks` (`/sys/dev/block`) tells; `None`
/// for what is no partition. `MAJ:MIN` there is a link to the device's folder, which lies in that
/// of its disk.
#[cfg(target_os = "linux")]
fn whole_disk(blocks: &Path, device: u64) -> Option<u64> {
    use rustix::fs::{major, makedev, minor};
    let folder = blocks.join(format!("{}:{}", major(device), minor(device)));
    let folder = folder.canonicalize().ok()?;
    if !folder.join("partition").exists() {
        return None;
    }
    let numbers = std::fs::read_to_string(folder.parent()?.join("dev")).ok()?;
    let (major, minor) = numbers.trim().split_once(':')?;
    Some(makedev(major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::fs::makedev;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_partition_counts_as_its_disk_and_others_as_themselves() {
        let root = tempfile::tempdir().unwrap();
        let blocks = root.path().join("dev/block");
        let disk = root.path().join("devices/pci/block/sda");
        let mapped = root.path().join("devices/virtual/block/dm-0");
        for folder in [&blocks, &disk.join("sda1"), &disk.join("sda2"), &mapped] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(disk.join("dev"), "8:0\n").unwrap();
        fs::write(mapped.join("dev"), "254:0\n").unwrap();
        for (number, name) in [(1, "sda1"), (2, "sda2")] {
            fs::write(disk.join(name).join("partition"), format!("{number}\n")).unwrap();
            symlink(disk.join(name), blocks.join(format!("8:{number}"))).unwrap();
        }
        symlink(&disk, blocks.join("8:0")).unwrap();
        symlink(&mapped, blocks.join("254:0")).unwrap();
        let whole = |major, minor| whole_disk(&blocks, makedev(major, minor));
        let sda = Some(makedev(8, 0));
        assert_eq!([whole(8, 1), whole(8, 2), whole(8, 0)], [sda, sda, None]);
        assert_eq!([whole(254, 0), whole(0, 40)], [None, None]);
    }

    #[test]
    fn files_of_one_folder_lie_on_one_disk() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        fs::write(&path, b"x").unwrap();
        assert_eq!(disk_of(&path).unwrap(), disk_of(root.path()).unwrap());
        assert!(disk_of(&root.path().join("none")).is_err());
    }
}
