//! Shrinking: space is given back, and nothing is lost until a purge says so.
//!
//! What lies past the new end goes to the trash of its directory. A file that the new end cuts
//! through goes there whole, after its head was copied. The order is such that any interruption
//! leaves either the old set, or one that says it is between two sizes, and that the same request
//! finishes: entries of the trash, the head's copy (which takes long), metadata, renames.
//!
//! The VRF nonce: the bound for it grows as labels become fewer, so one that was good stays good,
//! and the smallest of all labels that stay is the smallest still. Only one whose label goes to the
//! trash is replaced, by the smallest that stays, if that is good. Where none is (once in 3,000
//! data sets), the old one remains: a verifier makes its label anew, wherever it lies.

use crate::arrange::overhead;
use crate::belongings::{Kind, belongings, number_of};
use crate::copy::{Watch, copy, part_of};
use crate::directory::{Directory, label_file, open_to_read};
use crate::disk::Disk;
use crate::error::PlotError;
use crate::files;
use crate::layout::{LABEL, Layout};
use crate::manifest::BLOCK_LABELS;
use crate::set::DataSet;
use crate::trash::{Entry, Size, Stage, What, next_number};
use crate::undo::heads;
use post::{Candidate, vrf};
use std::path::{Path, PathBuf};

/// A data set that is about to hold fewer units.
#[derive(Debug)]
pub struct Shrink {
    set: DataSet,
    /// The same, seen as it will be.
    staying: DataSet,
    before: Layout,
    what: What,
    /// What an interrupted run began.
    begun: Option<Entry>,
    /// In the order of directories.
    shares: Vec<Given>,
}

/// What a directory gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The directory.
    pub path: PathBuf,
    /// Files that go to its trash, manifests among them.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    names: Vec<(String, u64)>,
    begun: Option<Entry>,
}

impl Shrink {
    /// Looks at what there is to do, or left to do of a run that was interrupted. Changes nothing.
    ///
    /// # Errors
    /// [`PlotError::NotLess`]; [`PlotError::Unfinished`], [`PlotError::Grown`] or
    /// [`PlotError::InTheWay`] where an interrupted command must be finished or taken back first;
    /// [`PlotError::Unplaced`], [`PlotError::Resizing`]; [`PlotError::Full`] where there is no
    /// room for the head of a file that the new end cuts through; the system's.
    pub fn new(set: DataSet, units: u32) -> Result<Self, PlotError> {
        let begun = begun(&set, units)?;
        let (what, before) = match &begun {
            Some(Entry { what: what @ What::Shrink { before, .. }, .. }) => {
                (what.clone(), set.seen_as(before.units)?.layout())
            }
            _ => (wanted(&set, units)?, set.layout()),
        };
        let staying = set.seen_as(units)?;
        let mut shrink = Self { staying, before, what, begun, shares: vec![], set };
        shrink.shares = shrink
            .set
            .directories
            .iter()
            .map(|own| shrink.share(own))
            .collect::<Result<Vec<_>, PlotError>>()?;
        shrink.check_room()?;
        Ok(shrink)
    }

    /// What each directory gives back.
    #[must_use]
    pub fn shares(&self) -> &[Given] {
        &self.shares
    }

    /// Bytes that are copied, and compared again, before anything is given back.
    #[must_use]
    pub fn copied(&self) -> u64 {
        self.head().map_or(0, |(_, bytes)| bytes)
    }

    /// The set as it will be; its labels can be read now.
    #[must_use]
    pub fn staying(&self) -> &DataSet {
        &self.staying
    }

    /// Whether the label of the VRF nonce goes to the trash, so that another must be searched
    /// among [`Shrink::staying`].
    #[must_use]
    pub fn cuts_nonce(&self) -> bool {
        let cut = self.staying.layout().num_labels()..self.before.num_labels();
        let nonce = self.set.metadata().nonce;
        self.begun.is_none() && nonce.is_some_and(|nonce| cut.contains(&nonce.0))
    }

    /// Gives the space back. `now` is in Unix seconds; `smallest` is the best VRF nonce among the
    /// labels that stay, where [`Shrink::cuts_nonce`] asked for it; `watch` is told of each byte of
    /// [`Shrink::copied`] twice.
    ///
    /// # Errors
    /// [`PlotError::Stopped`], [`PlotError::Unlike`], the system's. The same request goes on.
    pub fn run(
        self,
        now: u64,
        smallest: Option<Candidate>,
        watch: &mut Watch<'_>,
    ) -> Result<DataSet, PlotError> {
        let Self { staying, what, begun, shares, .. } = &self;
        let disk = &*self.set.disk;
        let what = with_nonce(what, smallest, staying.layout().num_labels());
        let (number, when) = match begun {
            Some(begun) => (begun.number, begun.when),
            None => (self.next_number()?, now),
        };
        let mut entries = Vec::new();
        for (directory, share) in self.set.directories.iter().zip(shares) {
            let about = (&directory.metadata, share.names.clone());
            entries.push(match &share.begun {
                Some(entry) => entry.clone(),
                None => Entry::begin(disk, (&share.path, number), when, what.clone(), about)?,
            });
        }
        let owner = self.head().and_then(|(file, _)| {
            let name = name_of(&label_file(Path::new(""), file));
            entries.iter().find(|entry| entry.files.iter().any(|(own, _)| *own == name)).cloned()
        });
        if let Some((owner, head)) = owner.as_ref().zip(self.head()) {
            self.prepare_head(owner, head, watch)?;
        }
        for directory in &self.set.directories {
            let mut metadata = directory.metadata.clone();
            if let What::Shrink { after, .. } = &what {
                after.put(&mut metadata);
            }
            directory.clone().set_metadata(metadata)?;
        }
        for entry in &entries {
            entry.take(disk, entry.files.iter().map(|(name, _)| name))?;
        }
        if let Some((owner, (file, _))) = owner.as_ref().zip(self.head()) {
            for path in heads(&owner.directory, file) {
                if files::length(disk, &part_of(&path))?.is_some() {
                    files::rename(disk, &part_of(&path), &path)?;
                }
            }
        }
        for entry in &mut entries {
            entry.set_stage(disk, Stage::Done)?;
        }
        let paths: Vec<&Path> = self.set.paths().collect();
        DataSet::open_on(self.set.disk.clone(), &paths)
    }

    /// The file that the new end cuts through, and its bytes that stay.
    fn head(&self) -> Option<(u64, u64)> {
        match self.what {
            What::Shrink { head, .. } => head,
            _ => None,
        }
    }

    /// A number that is new in every directory.
    fn next_number(&self) -> Result<u64, PlotError> {
        let numbers = self.set.paths().map(|path| next_number(&*self.set.disk, path));
        numbers.into_iter().try_fold(1, |most, number| Ok(most.max(number?)))
    }

    /// What a directory gives back; what an interrupted run wrote down of it.
    fn share(&self, own: &Directory) -> Result<Given, PlotError> {
        let disk = &*self.set.disk;
        let begun = match &self.begun {
            Some(begun) => begun.beside(Entry::all_on(disk, &own.path)?)?,
            None => None,
        };
        let names = match &begun {
            Some(entry) => {
                self.check_begun(own, entry)?;
                entry.files.clone()
            }
            None => self.past_the_end(own)?,
        };
        let bytes = names.iter().map(|(_, bytes)| bytes).sum();
        Ok(Given { path: own.path.clone(), files: names.len() as u64, bytes, names, begun })
    }

    /// The files of a directory that go to its trash, with their bytes.
    fn past_the_end(&self, own: &Directory) -> Result<Vec<(String, u64)>, PlotError> {
        let claim = own.sidecar.as_ref().and_then(|sidecar| sidecar.files.as_ref());
        let past = self.staying.layout().files()..self.before.files();
        let cut = self.head().map(|(file, _)| file);
        let goes = |path: &Path| {
            let number = number_of(path);
            number.is_some_and(|number| {
                let ours = claim.is_none_or(|claim| claim.contains(number));
                ours && (past.contains(&number) || cut == Some(number))
            })
        };
        let found = belongings(&*self.set.disk, &own.path)?.into_iter();
        let files = found.filter(|file| matches!(file.kind, Kind::Labels | Kind::Manifest));
        let files = files.filter(|file| goes(&file.path));
        Ok(files.map(|file| (name_of(&file.path), file.bytes)).collect())
    }

    /// What an interrupted run left must be as it left it.
    fn check_begun(&self, own: &Directory, entry: &Entry) -> Result<(), PlotError> {
        let What::Shrink { before, after, .. } = &self.what else { return Ok(()) };
        let (now, number, path) = (own.metadata.num_units, entry.number, own.path.clone());
        if now != before.units && now != after.units {
            let (before, after) = (before.units, after.units);
            return Err(PlotError::Grown { number, path, now, before, after });
        }
        for (name, _) in &entry.files {
            let (kept, path) = entry.places_of(name);
            let length = |path: &Path| files::length(&*self.set.disk, path);
            if length(&kept)?.is_some() && length(&path)?.is_some() {
                let cut = self.head().is_some_and(|(file, _)| number_of(&path) == Some(file));
                if !cut || length(&part_of(&path))?.is_some() {
                    return Err(PlotError::InTheWay { number, path, kept });
                }
            }
        }
        Ok(())
    }

    /// The head of a cut file needs room beside the whole of it.
    fn check_room(&self) -> Result<(), PlotError> {
        let Some((file, bytes)) = self.head() else { return Ok(()) };
        let name = name_of(&label_file(Path::new(""), file));
        let of_head = |share: &&Given| share.names.iter().any(|(own, _)| *own == name);
        let Some(share) = self.shares.iter().find(of_head) else { return Ok(()) };
        let (disk, path) = (&*self.set.disk, &share.path);
        let home = label_file(path, file);
        let part = files::length(disk, &part_of(&home))?.unwrap_or(0);
        let kept = share.begun.as_ref().map(|entry| entry.places_of(&name).0);
        if kept.map(|kept| files::length(disk, &kept)).transpose()?.flatten().is_some() {
            return Ok(());
        }
        let needed = bytes.saturating_sub(part) + overhead(bytes);
        let available = disk.room(path).map_err(PlotError::io("look at", path))?.available;
        if available < needed {
            return Err(PlotError::Full { path: path.clone(), needed, available });
        }
        Ok(())
    }

    /// Copies what stays of the file that the new end cuts through, and makes its manifest: each
    /// of the two unless the whole one is in the trash already.
    fn prepare_head(
        &self,
        owner: &Entry,
        (file, bytes): (u64, u64),
        watch: &mut Watch<'_>,
    ) -> Result<(), PlotError> {
        let disk = &*self.set.disk;
        let [home, manifest_path] = heads(&owner.directory, file);
        let (kept, _) = owner.places_of(&name_of(&home));
        let (kept_manifest, _) = owner.places_of(&name_of(&manifest_path));
        let is_kept = files::length(disk, &kept)?.is_some();
        if !is_kept {
            copy(disk, (&home, &home), bytes, watch)?;
        }
        let own = self.set.directories.iter().find(|own| own.path == owner.directory);
        let manifest = own.map(|own| own.manifest(file)).transpose()?.flatten();
        let is_manifest_kept = files::length(disk, &kept_manifest)?.is_some();
        let Some(manifest) = manifest.filter(|_| !is_manifest_kept) else { return Ok(()) };
        let whole = if is_kept { kept } else { home };
        let labels = bytes / LABEL;
        let block = block_at(disk, &whole, labels / BLOCK_LABELS)?;
        let head = manifest.of_head(disk, labels, &block)?;
        files::replace(disk, &part_of(&manifest_path), &head)
    }
}

/// The labels of a block, as far as they are there.
fn block_at(disk: &dyn Disk, path: &Path, block: u64) -> Result<Vec<u8>, PlotError> {
    let first = block * BLOCK_LABELS * LABEL;
    let length = files::length(disk, path)?.unwrap_or(0).saturating_sub(first);
    let mut bytes = vec![0; usize::try_from(length.min(BLOCK_LABELS * LABEL)).unwrap_or(0)];
    let file = open_to_read(disk, path)?;
    file.read_exact_at(&mut bytes, first).map_err(PlotError::io("read", path))?;
    Ok(bytes)
}

/// The entry of an interrupted run, which must have been of the same request.
fn begun(set: &DataSet, units: u32) -> Result<Option<Entry>, PlotError> {
    let mut begun = None;
    for path in set.paths() {
        let mut entries = Entry::all_on(&*set.disk, path)?;
        entries.retain(|entry| entry.stage == Stage::Begun);
        for entry in entries {
            match &entry.what {
                What::Shrink { after, .. } if after.units == units => {}
                _ => return Err(entry.unfinished()),
            }
            if begun.as_ref().is_some_and(|other: &Entry| !other.is_with(&entry)) {
                return Err(entry.unfinished());
            }
            begun.get_or_insert(entry);
        }
    }
    Ok(begun)
}

/// What is to be done to a whole set.
fn wanted(set: &DataSet, units: u32) -> Result<What, PlotError> {
    set.whole()?;
    let metadata = set.metadata();
    if units >= metadata.num_units {
        let (path, units, asked) = (set.name(), metadata.num_units, units);
        return Err(PlotError::NotLess { path, units, asked });
    }
    let staying = set.seen_as(units)?.layout();
    let last = staying.files().saturating_sub(1);
    let bytes = staying.bytes_of(last);
    let cut = set.file(last)?.found.is_some_and(|found| found > bytes);
    let before = Size::of(metadata);
    let after = Size { units, ..before };
    Ok(What::Shrink { before, after, head: cut.then_some((last, bytes)) })
}

/// With the VRF nonce that was found among the labels that stay, if it is good for so many.
fn with_nonce(what: &What, smallest: Option<Candidate>, num_labels: u64) -> What {
    let mut what = what.clone();
    let good = smallest.filter(|candidate| vrf::suits(&candidate.label, num_labels));
    if let (What::Shrink { after, .. }, Some(Candidate { index, label })) = (&mut what, good) {
        (after.nonce, after.nonce_value, after.last_position) = (Some(index), Some(label), None);
    }
    what
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
