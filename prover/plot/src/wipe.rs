//! Wiping: everything of ours and the reference's in a directory, its trash included, and nothing
//! else. Lock files, which are empty, stay: another process may be about to look at them.

use crate::belongings::belongings;
use crate::disk::{Disk, System};
use crate::error::PlotError;
use crate::trash;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of a directory that are about to be deleted.
#[derive(Debug)]
pub struct Wipe {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    files: Vec<(PathBuf, u64)>,
    left: Vec<PathBuf>,
}

impl Wipe {
    /// Looks at what there is to delete. Changes nothing.
    ///
    /// # Errors
    /// The system's.
    pub fn new(directory: &Path) -> Result<Self, PlotError> {
        Self::new_on(Arc::new(System), directory)
    }

    /// As [`Wipe::new`], on any disk.
    ///
    /// # Errors
    /// The system's.
    pub fn new_on(disk: Arc<dyn Disk>, directory: &Path) -> Result<Self, PlotError> {
        let own = belongings(&*disk, directory)?.into_iter();
        let mut files: Vec<(PathBuf, u64)> = own.map(|file| (file.path, file.bytes)).collect();
        files.extend(trash::everything(&*disk, directory)?);
        let mut left = disk.list(directory).map_err(PlotError::io("list", directory))?;
        left.retain(|path| !files.iter().any(|(own, _)| own == path));
        left.sort();
        Ok(Self { disk, directory: directory.to_path_buf(), files, left })
    }

    /// What will be deleted, with its bytes; the metadata first, after which it is data no more.
    #[must_use]
    pub fn files(&self) -> &[(PathBuf, u64)] {
        &self.files
    }

    /// Files of others, which stay.
    #[must_use]
    pub fn left(&self) -> &[PathBuf] {
        &self.left
    }

    /// Deletes it all, for good.
    ///
    /// # Errors
    /// The system's; wiping again goes on.
    pub fn run(self) -> Result<(), PlotError> {
        let Self { disk, directory, files, .. } = self;
        let sync = || disk.sync_directory(&directory).map_err(PlotError::io("sync", &directory));
        for (at, (path, _)) in files.iter().enumerate() {
            disk.remove(path).map_err(PlotError::io("remove", path))?;
            if at == 0 {
                sync()?;
            }
        }
        sync()?;
        trash::remove_folders(&*disk, &directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::Simulated;
    use crate::{DataSet, Metadata};
    use post::{AtxId, NodeId, ScryptN};

    #[test]
    fn what_is_ours_goes_and_the_rest_stays_after_any_power_cut() {
        let path = Path::new("/data");
        let furnished = Simulated::default();
        let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), 5, 2, 64);
        let disk = Arc::new(furnished.clone());
        let n = ScryptN::new(2).unwrap();
        let mut set = DataSet::create_on(disk.clone(), path, metadata, n).unwrap();
        set.append(0, &[3; 64]).unwrap();
        set.append(4, &[4; 64]).unwrap();
        set.append(8, &[5; 32]).unwrap();
        crate::Shrink::new(set, 1).unwrap().run(7, None, &mut |_| true).unwrap();
        for name in ["identity.key", "postdata_1.bin.old", "postmesh.lock", "postdata_x.bin"] {
            crate::files::replace(&furnished, &path.join(name), b"mine").unwrap();
        }
        let whole = furnished.reboot(0);
        let wipe = Wipe::new_on(Arc::new(whole.clone()), path).unwrap();
        assert_eq!(wipe.files()[0].0, path.join("postdata_metadata.json"));
        assert_eq!(wipe.left().len(), 4);
        wipe.run().unwrap();
        let left = whole.paths();
        assert_eq!(left.len(), 4);
        for cut in 0..whole.operations() {
            let disk = furnished.reboot(0);
            disk.cut_after(cut);
            let wiped = Wipe::new_on(Arc::new(disk.clone()), path).and_then(Wipe::run);
            assert!(wiped.is_err(), "operation {cut}");
            for seed in 0..4 {
                let disk = disk.reboot(cut << 8 | seed);
                Wipe::new_on(Arc::new(disk.clone()), path).and_then(Wipe::run).unwrap();
                assert_eq!(disk.paths(), left, "cut {cut}, seed {seed}");
            }
        }
    }
}
