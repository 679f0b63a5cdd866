//! A data set: the labels of one identity, in one directory or spread over several.
//!
//! Every directory has the metadata of the whole set; its sidecar says which of the files it
//! holds. Put together in one directory the files are a data set of the reference again.

use crate::agenda::Agenda;
use crate::arrange::{Arrangement, Place};
use crate::claims::{agree, claims};
use crate::directory::{Directory, FileState, layout_of, open_to_read};
use crate::disk::{Disk, DiskFile, System};
use crate::error::PlotError;
use crate::files;
use crate::journal::{Journal, JournalKey};
use crate::layout::{LABEL, Layout};
use crate::lease::{Holder, Lease, Notice};
use crate::manifest::Slot;
use crate::measured::Measured;
use crate::metadata::Metadata;
use crate::numbers::FileNumbers;
use crate::piece::Extent;
use crate::sidecar::Sidecar;
use post::ScryptN;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The labels of one identity.
#[derive(Clone, Debug)]
pub struct DataSet {
    pub(crate) disk: Arc<dyn Disk>,
    /// At least one.
    pub(crate) directories: Vec<Directory>,
    /// Which files each directory holds.
    pub(crate) claims: Vec<FileNumbers>,
    metadata: Metadata,
    layout: Layout,
}

impl DataSet {
    /// Opens the directories of a data set, of ours or of the reference.
    ///
    /// # Errors
    /// [`PlotError::NoData`] where one of them holds none; [`PlotError::Disagree`],
    /// [`PlotError::Twice`], [`PlotError::Unplaced`], [`PlotError::Part`] or
    /// [`PlotError::Resizing`] where they do not make one whole; [`PlotError::Damaged`] or a system
    /// error.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Self, PlotError> {
        Self::open_on(Arc::new(System), paths)
    }

    /// As [`DataSet::open`], on any disk.
    ///
    /// # Errors
    /// Those of [`DataSet::open`].
    pub fn open_on<P: AsRef<Path>>(disk: Arc<dyn Disk>, paths: &[P]) -> Result<Self, PlotError> {
        let set = Self::there(disk, paths)?;
        set.whole()?;
        Ok(set)
    }

    /// Opens the directories of a data set, whole or a share.
    ///
    /// # Errors
    /// Those of [`DataSet::open`], [`PlotError::Part`] excepted.
    pub fn open_share<P: AsRef<Path>>(paths: &[P]) -> Result<Self, PlotError> {
        let set = Self::there(Arc::new(System), paths)?;
        set.whole_or_share()?;
        Ok(set)
    }

    /// What the directories hold, of which each must hold something.
    pub(crate) fn there<P: AsRef<Path>>(
        disk: Arc<dyn Disk>,
        paths: &[P],
    ) -> Result<Self, PlotError> {
        for path in paths {
            if Metadata::load(&*disk, path.as_ref())?.is_none() {
                return Err(PlotError::NoData { path: path.as_ref().to_path_buf() });
            }
        }
        let no_path = || PlotError::NoData { path: PathBuf::new() };
        Self::found_on(disk, paths)?.ok_or_else(no_path)
    }

    /// Makes a directory for a new data set, with no labels in it yet.
    ///
    /// # Errors
    /// [`PlotError::Exists`] where there is metadata already, or labels without it;
    /// [`PlotError::NoRoom`]; the system's.
    pub fn create(path: &Path, metadata: Metadata, n: ScryptN) -> Result<Self, PlotError> {
        Self::create_on(Arc::new(System), path, metadata, n)
    }

    /// As [`DataSet::create`], on any disk.
    ///
    /// # Errors
    /// Those of [`DataSet::create`].
    pub fn create_on(
        disk: Arc<dyn Disk>,
        path: &Path,
        metadata: Metadata,
        n: ScryptN,
    ) -> Result<Self, PlotError> {
        if Metadata::load(&*disk, path)?.is_some() {
            return Err(PlotError::Exists { path: path.to_path_buf() });
        }
        let place = Place { path: path.to_path_buf(), limit: None };
        Arrangement::new_on(disk, None, &[place], metadata)?.carry_out(None, n)
    }

    /// What the directories hold, those aside that hold nothing; `None` where none does. Files may
    /// lie elsewhere, and a change of size may be half done.
    ///
    /// # Errors
    /// [`PlotError::Disagree`], [`PlotError::Twice`], [`PlotError::Damaged`] or a system error.
    pub fn found<P: AsRef<Path>>(paths: &[P]) -> Result<Option<Self>, PlotError> {
        Self::found_on(Arc::new(System), paths)
    }

    /// As [`DataSet::found`], on any disk.
    ///
    /// # Errors
    /// Those of [`DataSet::found`].
    pub fn found_on<P: AsRef<Path>>(
        disk: Arc<dyn Disk>,
        paths: &[P],
    ) -> Result<Option<Self>, PlotError> {
        let mut directories = Vec::new();
        for path in paths {
            directories.extend(Directory::open(&disk, path.as_ref())?);
        }
        Self::of(disk, directories)
    }

    /// The set that directories make.
    pub(crate) fn of(
        disk: Arc<dyn Disk>,
        directories: Vec<Directory>,
    ) -> Result<Option<Self>, PlotError> {
        let Some((first, others)) = directories.split_first() else { return Ok(None) };
        let mut metadata = first.metadata.clone();
        for other in others {
            agree(first, other)?;
            metadata.num_units = metadata.num_units.min(other.metadata.num_units);
            metadata.take_better_nonce(&other.metadata);
        }
        let layout = layout_of(&first.path, &metadata)?;
        let claims = claims(&directories, layout)?;
        Ok(Some(Self { disk, directories, claims, metadata, layout }))
    }

    pub(crate) fn owner(&self, number: u64) -> Option<&Directory> {
        let at = self.claims.iter().position(|claim| claim.contains(number))?;
        self.directories.get(at)
    }

    /// Where label file `number` is or will be.
    pub(crate) fn home(&self, number: u64) -> Result<&Directory, PlotError> {
        let files = || FileNumbers::from(number..number.saturating_add(1));
        self.owner(number).ok_or_else(|| PlotError::Unplaced { files: files(), seen: vec![] })
    }

    /// The same labels on disk, seen as if there were so many units.
    pub(crate) fn seen_as(&self, units: u32) -> Result<Self, PlotError> {
        let mut metadata = self.metadata.clone();
        metadata.num_units = units;
        let path = self.paths().next().unwrap_or(Path::new(""));
        let layout = layout_of(path, &metadata)?;
        Ok(Self { metadata, layout, ..self.clone() })
    }

    /// Each directory by itself, with the files that it holds.
    pub fn parts(&self) -> impl Iterator<Item = Self> {
        self.directories.iter().zip(&self.claims).map(|(own, claim)| Self {
            directories: vec![own.clone()],
            claims: vec![claim.clone()],
            metadata: own.metadata.clone(),
            ..self.clone()
        })
    }

    /// Its directories, the one that holds the journal first.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.directories.iter().map(|directory| directory.path.as_path())
    }

    /// The directory that holds the journals.
    #[must_use]
    pub fn home_of_journals(&self) -> &Path {
        self.paths().next().unwrap_or(Path::new("."))
    }

    /// Each directory, with the numbers of the label files that it holds or will hold.
    pub fn shares(&self) -> impl Iterator<Item = (&Path, &FileNumbers)> {
        self.paths().zip(&self.claims)
    }

    /// The physical disks that it lies on: numbers that [`disk_name`](crate::disk_name) names.
    ///
    /// # Errors
    /// The system's, when a directory cannot be looked at.
    pub fn disks(&self) -> Result<BTreeSet<u64>, PlotError> {
        let of = |path| self.disk.physical(path).map_err(PlotError::io("look at", path));
        self.paths().map(of).collect()
    }

    /// The directories, for people.
    #[must_use]
    pub fn name(&self) -> String {
        let paths: Vec<String> = self.paths().map(|path| path.display().to_string()).collect();
        paths.join(", ")
    }

    /// Whose data, and how much.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The N that the labels were made with, once it is known.
    #[must_use]
    pub fn scrypt_n(&self) -> Option<ScryptN> {
        let mut sidecars = self.directories.iter().filter_map(|own| own.sidecar.as_ref());
        sidecars.next().map(|sidecar| sidecar.scrypt_n)
    }

    /// Our own facts about each directory.
    pub fn sidecars(&self) -> impl Iterator<Item = (&Path, Option<&Sidecar>)> {
        self.directories.iter().map(|own| (own.path.as_path(), own.sidecar.as_ref()))
    }

    /// Which label is where.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Every label file that has its directory, in order: all of them, save in a share.
    ///
    /// # Errors
    /// The system's, when a file cannot be looked at.
    pub fn survey(&self) -> Result<Vec<FileState>, PlotError> {
        self.files().iter().map(|number| self.file(number)).collect()
    }

    /// The labels that are there, file by file: what a scan reads. A file that is not whole, or
    /// that cannot be looked at, says so and costs nothing but its own labels.
    #[must_use]
    pub fn extents(&self) -> Vec<Arc<Extent>> {
        (0..self.layout.files()).map(|number| Arc::new(self.extent(number))).collect()
    }

    fn extent(&self, number: u64) -> Extent {
        let home = self.home(number);
        let path = home.as_ref().map_or(PathBuf::new(), |home| home.label_file(number));
        let (state, fault) = match self.file(number) {
            Ok(state) => (state.clone(), state.complete().err()),
            Err(fault) => {
                // A manifest that cannot be used: the file's length must be believed.
                let found = self.disk.length(&path).ok().flatten();
                let labels = self.layout.labels_of(number);
                (FileState { path, labels, found, confirmed: None }, Some(fault))
            }
        };
        let manifest = home.ok().and_then(|home| home.manifest(number).ok().flatten());
        let (present, FileState { path, labels, .. }) = (state.present(), state);
        Extent { path, labels, present, fault, manifest }
    }

    /// What the labels lie on.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Where label file `number` is or will be.
    ///
    /// # Errors
    /// [`PlotError::Unplaced`] where no directory has it.
    pub fn label_file(&self, number: u64) -> Result<PathBuf, PlotError> {
        Ok(self.home(number)?.label_file(number))
    }

    /// One label file.
    ///
    /// # Errors
    /// The system's, when it cannot be looked at.
    pub fn file(&self, number: u64) -> Result<FileState, PlotError> {
        self.home(number)?.file(self.layout, number)
    }

    /// What is known of a block, which is 1 MiB of a label file, counted from the file's start;
    /// `None` where the manifest does not say.
    ///
    /// # Errors
    /// The system's.
    pub fn slot(&self, number: u64, block: u64) -> Result<Option<Slot>, PlotError> {
        let manifest = self.home(number)?.manifest(number)?;
        Ok(manifest.map(|manifest| manifest.slot(&*self.disk, block)).transpose()?.flatten())
    }

    /// Writes down what blocks of a label file hold: each slot vouches for all labels that are
    /// there of its block. Durable when it returns.
    ///
    /// # Errors
    /// [`PlotError::NotAdopted`] before [`DataSet::adopt`]; the system's.
    pub fn vouch(&self, number: u64, slots: &[(u64, Slot)]) -> Result<(), PlotError> {
        let home = self.home(number)?;
        let manifest = match home.manifest(number)? {
            Some(manifest) => manifest,
            None => {
                let present = home.file(self.layout, number)?.present();
                home.begin_manifest(number, present.end - present.start)?
            }
        };
        manifest.set(&*self.disk, slots)
    }

    /// A reader of the labels.
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        Reader { set: self, open: None }
    }

    /// Replaces the metadata in each directory that knows other facts, atomically in each. What
    /// places labels must stay as it is.
    ///
    /// # Errors
    /// The system's; the old metadata is then still there, in some of the directories at least.
    pub fn update(&mut self, change: impl FnOnce(&mut Metadata)) -> Result<(), PlotError> {
        let mut metadata = self.metadata.clone();
        change(&mut metadata);
        for directory in &mut self.directories {
            let own = directory.metadata.with_facts_of(&metadata);
            if own != directory.metadata {
                directory.set_metadata(own)?;
            }
        }
        self.metadata = metadata;
        Ok(())
    }

    /// Writes down which N adopted data was made with. Directories that know it keep theirs.
    ///
    /// # Errors
    /// The system's.
    pub fn adopt(&mut self, scrypt_n: ScryptN) -> Result<(), PlotError> {
        for directory in &mut self.directories {
            let sidecar = directory.sidecar.clone().unwrap_or_else(|| Sidecar::new(scrypt_n));
            directory.set_sidecar(sidecar)?;
        }
        Ok(())
    }

    /// Says what makes the labels that are appended from now on: device and version.
    ///
    /// # Errors
    /// The system's.
    pub fn set_maker(&mut self, name: &str) -> Result<(), PlotError> {
        self.directories.iter_mut().try_for_each(|directory| directory.set_maker(name))
    }

    /// Writes down how many of a million labels a check that passed made again, unless an earlier
    /// one made more; `None` takes back what is written, since a check failed.
    ///
    /// # Errors
    /// The system's.
    pub fn set_checked(&mut self, ppm: Option<u32>) -> Result<(), PlotError> {
        for directory in &mut self.directories {
            let Some(mut sidecar) = directory.sidecar.clone() else { continue };
            sidecar.checked_ppm = ppm.map(|ppm| ppm.max(sidecar.checked_ppm.unwrap_or(0)));
            directory.set_sidecar(sidecar)?;
        }
        Ok(())
    }

    /// Takes room for every file that is not complete, without changing its length.
    ///
    /// # Errors
    /// The system's.
    pub fn reserve(&self) -> Result<(), PlotError> {
        for number in self.files().iter() {
            let state = self.file(number)?;
            if state.found.unwrap_or(0) < state.expected() {
                let reserved = self.disk.reserve(&state.path, state.expected());
                reserved.map_err(PlotError::io("reserve room for", &state.path))?;
                if state.found.is_none() {
                    files::sync_parent(&*self.disk, &state.path)?;
                }
            }
        }
        Ok(())
    }

    /// Which proofs were asked for.
    ///
    /// # Errors
    /// The system's.
    pub fn agenda(&self) -> Result<Agenda, PlotError> {
        Agenda::load(&*self.disk, self.home_of_journals())
    }

    /// Writes down which proofs were asked for, in place of what was written.
    ///
    /// # Errors
    /// The system's; what was written is then still there.
    pub fn save_agenda(&self, agenda: &Agenda) -> Result<(), PlotError> {
        agenda.save(&*self.disk, self.home_of_journals())
    }

    /// The journal of a proof, as far as it was written down.
    #[must_use]
    pub fn journal(&self, key: JournalKey) -> Journal {
        match self.directories.first() {
            Some(first) => Journal::load(&*self.disk, &first.path, key),
            None => Journal::new(key),
        }
    }

    /// Writes the journal of a proof down, in place of any other.
    ///
    /// # Errors
    /// The system's; the old journal is then still there.
    pub fn save_journal(&self, journal: &Journal) -> Result<(), PlotError> {
        match self.directories.first() {
            Some(first) => journal.save(&*self.disk, &first.path),
            None => Ok(()),
        }
    }

    /// What this machine measured of the data and of itself, as far as it was written down.
    #[must_use]
    pub fn measured(&self, machine: &str) -> Measured {
        Measured::load(&*self.disk, self.home_of_journals(), machine)
    }

    /// Writes down what was measured, in place of what is there.
    ///
    /// # Errors
    /// The system's; what was there is then still there.
    pub fn save_measured(&self, measured: &Measured) -> Result<(), PlotError> {
        measured.save(&*self.disk, self.home_of_journals())
    }

    /// Takes the lease on the data, of which no other host is kept by it: see [`Lease`].
    #[must_use]
    pub fn lease(&self, own: Holder, now: u64) -> (Lease, Vec<Notice>) {
        Lease::take(Arc::clone(&self.disk), self.home_of_journals(), own, now)
    }

    /// Appends labels, of which the first is number `first`, to the file they belong to; they must
    /// not go past its end. When it returns, they are durable and vouched for.
    ///
    /// What lies in the file after the labels that are known to be there (a torn label, the
    /// leftovers of a power cut) is written over.
    ///
    /// # Errors
    /// [`PlotError::Changed`] when the known labels of the file do not end just before `first`;
    /// [`PlotError::NotAdopted`] before [`DataSet::adopt`]; the system's. The file then holds none,
    /// some or all of the labels, and vouches for none of them.
    pub fn append(&mut self, first: u64, labels: &[u8]) -> Result<(), PlotError> {
        let (number, offset) = self.layout.place_of(first);
        let home = self.home(number)?;
        home.append(&home.file(self.layout, number)?, number, offset, labels)
    }
}

/// Reads labels, most cheaply in order: it keeps the current file open.
#[derive(Debug)]
pub struct Reader<'a> {
    set: &'a DataSet,
    open: Option<(u64, PathBuf, Box<dyn DiskFile>)>,
}

impl Reader<'_> {
    /// Reads labels from number `first` on until `buffer` is full or the labels end; returns the
    /// bytes read, a multiple of 16 if the buffer's length is one.
    ///
    /// # Errors
    /// [`PlotError::Missing`], [`PlotError::Short`], or the system's.
    pub fn read(&mut self, first: u64, buffer: &mut [u8]) -> Result<usize, PlotError> {
        let layout = self.set.layout;
        let mut filled = 0;
        while filled < buffer.len() {
            let next = first.saturating_add(filled as u64 / LABEL);
            if next >= layout.num_labels() {
                break;
            }
            let (number, offset) = layout.place_of(next);
            let left = usize::try_from(layout.bytes_of(number).saturating_sub(offset));
            let end = filled.saturating_add(left.unwrap_or(usize::MAX)).min(buffer.len());
            let part = buffer.get_mut(filled..end).unwrap_or_default();
            self.read_in_file(number, offset, part)?;
            filled = end;
        }
        Ok(filled)
    }

    fn read_in_file(&mut self, number: u64, offset: u64, part: &mut [u8]) -> Result<(), PlotError> {
        let (_, path, file) = match self.open.take() {
            Some(open) if open.0 == number => self.open.insert(open),
            _ => {
                let path = self.set.home(number)?.label_file(number);
                let file = open_to_read(&*self.set.disk, &path)?;
                self.open.insert((number, path, file))
            }
        };
        file.read_exact_at(part, offset).map_err(|error| {
            if error.kind() != io::ErrorKind::UnexpectedEof {
                return PlotError::io("read", path)(error);
            }
            let found = file.length().unwrap_or(0);
            let expected = self.set.layout.bytes_of(number);
            PlotError::Short { path: path.clone(), found, expected }
        })
    }
}

#[cfg(test)]
mod tests;
