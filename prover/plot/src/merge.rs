//! Joining shares: directories that hold some files each of one data set, made by as many runs of
//! `init` or by the reference, become one set over several directories.
//!
//! Labels stay where they are. The VRF nonce is settled and written into every directory's metadata
//! first ([`DataSet::update`]), then each sidecar says which files its directory holds and where
//! the others are: the set is merged when the last one does. Each file is replaced atomically, and
//! until the end the directories are shares that the same merge joins.

use crate::claims::same;
use crate::disk::{Disk, System};
use crate::error::PlotError;
use crate::numbers::FileNumbers;
use crate::set::DataSet;
use crate::sidecar::Sidecar;
use post::ScryptN;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Shares that belong together.
#[derive(Debug)]
pub struct Merge {
    set: DataSet,
}

/// Files that a merge waits for.
#[derive(Debug)]
pub struct Lack {
    /// Their numbers.
    pub files: FileNumbers,
    /// The directories of the share that is to make them; none where no share is.
    pub directories: Vec<PathBuf>,
    /// What is wrong with them.
    pub why: PlotError,
}

impl Merge {
    /// Opens the directories, which must say the same of their data set, its size included. Changes
    /// nothing.
    ///
    /// # Errors
    /// [`PlotError::NoData`], [`PlotError::Disagree`], [`PlotError::Twice`],
    /// [`PlotError::Damaged`] or a system error.
    pub fn new<P: AsRef<Path>>(paths: &[P]) -> Result<Self, PlotError> {
        Self::new_on(Arc::new(System), paths)
    }

    /// As [`Merge::new`], on any disk.
    ///
    /// # Errors
    /// Those of [`Merge::new`].
    pub fn new_on<P: AsRef<Path>>(disk: Arc<dyn Disk>, paths: &[P]) -> Result<Self, PlotError> {
        let set = DataSet::there(disk, paths)?;
        if let Some((first, others)) = set.directories.split_first() {
            for other in others {
                let (ours, theirs) = (first.metadata.num_units, other.metadata.num_units);
                same("number of units", (first, &ours), (other, &theirs))?;
            }
        }
        Ok(Self { set })
    }

    /// The set that the directories make.
    #[must_use]
    pub fn set(&self) -> &DataSet {
        &self.set
    }

    /// The same, to settle its VRF nonce.
    pub fn set_mut(&mut self) -> &mut DataSet {
        &mut self.set
    }

    /// What must be made before the shares can be joined: files that are in no directory, and those
    /// that are not complete. Empty where nothing is lacking.
    ///
    /// # Errors
    /// The system's, when a file cannot be looked at.
    pub fn lacking(&self) -> Result<Vec<Lack>, PlotError> {
        let mut lacking = Vec::new();
        let files = self.set.unplaced();
        if !files.is_empty() {
            let why = PlotError::Unplaced { files: files.clone(), seen: vec![] };
            lacking.push(Lack { files, directories: vec![], why });
        }
        for number in self.set.files().iter() {
            let Err(why) = self.set.file(number)?.complete() else { continue };
            let files = FileNumbers::from(number..number.saturating_add(1));
            let directories = self.share_of(number);
            lacking.push(Lack { files, directories, why });
        }
        Ok(lacking)
    }

    /// The directories that the share of a file lies in.
    fn share_of(&self, number: u64) -> Vec<PathBuf> {
        let Some(home) = self.set.owner(number) else { return vec![] };
        let siblings = home.sidecar.as_ref().map_or(&[][..], |own| &own.siblings);
        let paths = core::iter::once(home.path.clone()).chain(siblings.iter().cloned());
        paths.collect()
    }

    /// Whether there is nothing to write down: each directory knows the others, and all know the
    /// same VRF nonce. Only where nothing is [`Merge::lacking`] does it mean that the set is there.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let mut directories = self.set.directories.iter();
        let nonce = self.set.metadata().vrf_nonce();
        nonce.is_some()
            && directories.all(|own| own.metadata.vrf_nonce() == nonce)
            && self.set.scrypt_n().is_some_and(|n| {
                self.sidecars(n).iter().zip(&self.set.directories).all(|(joined, own)| {
                    let own = own.sidecar.as_ref();
                    own.is_some_and(|own| sorted(own.clone()) == sorted(joined.clone()))
                })
            })
    }

    /// Joins the shares; the VRF nonce must be settled. Returns the set.
    ///
    /// # Errors
    /// The system's; the same merge then goes on.
    pub fn run(mut self, scrypt_n: ScryptN) -> Result<DataSet, PlotError> {
        let sidecars = self.sidecars(scrypt_n);
        for (directory, sidecar) in self.set.directories.iter_mut().zip(sidecars) {
            directory.set_sidecar(sidecar)?;
        }
        self.set.whole()?;
        Ok(self.set)
    }

    /// What the sidecars will be, in the order of directories.
    fn sidecars(&self, scrypt_n: ScryptN) -> Vec<Sidecar> {
        let directories = self.set.directories.iter().zip(&self.set.claims);
        let several = self.set.directories.len() > 1;
        let joined = directories.map(|(own, claim)| {
            let known = own.sidecar.clone().unwrap_or_else(|| Sidecar::new(scrypt_n));
            let siblings = self.set.paths().filter(|path| *path != own.path);
            let (siblings, files) =
                (siblings.map(Path::to_path_buf).collect(), several.then(|| claim.clone()));
            Sidecar { files, share: None, siblings, ..known }
        });
        joined.collect()
    }
}

/// In whatever order siblings were named, they are the same.
fn sorted(mut sidecar: Sidecar) -> Sidecar {
    sidecar.siblings.sort();
    sidecar
}

#[cfg(test)]
mod tests;
