//! A data directory: opened, surveyed, read and appended to.

use crate::disk::{Access, Disk, DiskFile, System};
use crate::error::PlotError;
use crate::files;
use crate::journal::{Journal, JournalKey};
use crate::layout::{LABEL, Layout};
use crate::manifest::{BLOCK_LABELS, Header, Manifest};
use crate::metadata::{BadMetadata, Metadata};
use crate::piece::Extent;
use crate::sidecar::Sidecar;
use post::Commitment;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Data of one identity in one directory.
#[derive(Debug)]
pub struct DataDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    metadata: Metadata,
    sidecar: Option<Sidecar>,
    layout: Layout,
}

/// A label file as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileState {
    /// Where it is, or would be.
    pub path: PathBuf,
    /// Its labels when complete.
    pub labels: std::ops::Range<u64>,
    /// Its length; `None` where there is no such file.
    pub found: Option<u64>,
    /// Labels that its manifest vouches for; `None` where it has no manifest, so that its length
    /// must be believed.
    pub confirmed: Option<u64>,
}

impl FileState {
    /// Bytes of the complete file.
    #[must_use]
    pub fn expected(&self) -> u64 {
        (self.labels.end - self.labels.start) * LABEL
    }

    /// Labels that are known to be there; a torn last one is not.
    #[must_use]
    pub fn present(&self) -> std::ops::Range<u64> {
        let whole = self.found.unwrap_or(0) / LABEL;
        let known = whole.min(self.confirmed.unwrap_or(u64::MAX));
        self.labels.start..self.labels.start.saturating_add(known).min(self.labels.end)
    }

    /// Labels that are not there.
    #[must_use]
    pub fn absent(&self) -> std::ops::Range<u64> {
        self.present().end..self.labels.end
    }

    /// Whether every label is there and nothing else.
    ///
    /// # Errors
    /// [`PlotError::Missing`], [`PlotError::Short`], [`PlotError::Oversized`] or
    /// [`PlotError::Unconfirmed`].
    pub fn complete(&self) -> Result<(), PlotError> {
        let (path, expected) = (self.path.clone(), self.expected());
        match self.found {
            None => Err(PlotError::Missing { path }),
            Some(found) if found < expected => Err(PlotError::Short { path, found, expected }),
            Some(found) if found > expected => Err(PlotError::Oversized { path, found, expected }),
            Some(_) => match self.absent() {
                absent if absent.is_empty() => Ok(()),
                absent => Err(PlotError::Unconfirmed { path, first: absent.start }),
            },
        }
    }
}

impl DataDir {
    /// Opens a directory that holds data, of ours or of the reference.
    ///
    /// # Errors
    /// [`PlotError::NoData`], [`PlotError::Damaged`] or a system error.
    pub fn open(path: &Path) -> Result<Self, PlotError> {
        Self::open_on(Arc::new(System), path)
    }

    /// As [`DataDir::open`], on any disk.
    ///
    /// # Errors
    /// Those of [`DataDir::open`].
    pub fn open_on(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, PlotError> {
        let metadata = Metadata::load(&*disk, path)?;
        let metadata = metadata.ok_or_else(|| PlotError::NoData { path: path.to_path_buf() })?;
        let layout = layout_of(path, &metadata)?;
        let sidecar = Sidecar::load(&*disk, path)?;
        Ok(Self { disk, path: path.to_path_buf(), metadata, sidecar, layout })
    }

    /// Makes a directory for new data, with no labels in it yet.
    ///
    /// # Errors
    /// [`PlotError::Exists`] where there is metadata already, or label files without it.
    pub fn create(path: &Path, metadata: Metadata, sidecar: Sidecar) -> Result<Self, PlotError> {
        Self::create_on(Arc::new(System), path, metadata, sidecar)
    }

    /// As [`DataDir::create`], on any disk.
    ///
    /// # Errors
    /// Those of [`DataDir::create`].
    pub fn create_on(
        disk: Arc<dyn Disk>,
        path: &Path,
        metadata: Metadata,
        sidecar: Sidecar,
    ) -> Result<Self, PlotError> {
        let layout = layout_of(path, &metadata)?;
        disk.create_directory(path).map_err(PlotError::io("create", path))?;
        let first = label_file(path, 0);
        let labels = disk.length(&first).map_err(PlotError::io("look at", &first))?;
        if Metadata::load(&*disk, path)?.is_some() || labels.is_some() {
            return Err(PlotError::Exists { path: path.to_path_buf() });
        }
        // The sidecar first: metadata is what makes a directory data.
        sidecar.save(&*disk, path)?;
        metadata.save(&*disk, path)?;
        Ok(Self { disk, path: path.to_path_buf(), metadata, sidecar: Some(sidecar), layout })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose data, and how much.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Our own facts, once they are known.
    #[must_use]
    pub fn sidecar(&self) -> Option<Sidecar> {
        self.sidecar
    }

    /// Which label is where.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Every label file, in order.
    ///
    /// # Errors
    /// The system's, when a file cannot be looked at.
    pub fn survey(&self) -> Result<Vec<FileState>, PlotError> {
        (0..self.layout.files()).map(|number| self.file(number)).collect()
    }

    /// The labels that are there, file by file: what a scan reads. A file that is not whole, or
    /// that cannot be looked at, says so and costs nothing but its own labels.
    #[must_use]
    pub fn extents(&self) -> Vec<Arc<Extent>> {
        (0..self.layout.files()).map(|number| Arc::new(self.extent(number))).collect()
    }

    fn extent(&self, number: u64) -> Extent {
        let (state, fault) = match self.file(number) {
            Ok(state) => (state.clone(), state.complete().err()),
            Err(fault) => {
                // A manifest that cannot be used: the file's length must be believed.
                let path = label_file(&self.path, number);
                let found = self.disk.length(&path).ok().flatten();
                let labels = self.layout.labels_of(number);
                (FileState { path, labels, found, confirmed: None }, Some(fault))
            }
        };
        let (present, FileState { path, labels, .. }) = (state.present(), state);
        let manifest = self.manifest(number).ok().flatten();
        Extent { path, labels, present, fault, manifest }
    }

    /// What the labels lie on.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// One label file.
    ///
    /// # Errors
    /// The system's, when it cannot be looked at.
    pub fn file(&self, number: u64) -> Result<FileState, PlotError> {
        let path = label_file(&self.path, number);
        let found = self.disk.length(&path).map_err(PlotError::io("look at", &path))?;
        let manifest = self.manifest(number)?;
        let confirmed = manifest.map(|manifest| manifest.confirmed(&*self.disk)).transpose()?;
        Ok(FileState { path, labels: self.layout.labels_of(number), found, confirmed })
    }

    /// The manifest of a label file, which must be about these labels.
    fn manifest(&self, number: u64) -> Result<Option<Manifest>, PlotError> {
        let Some(manifest) = Manifest::open(&*self.disk, &self.path, number)? else {
            return Ok(None);
        };
        let header = manifest.header();
        let n_agrees = self.sidecar.is_none_or(|sidecar| sidecar.scrypt_n == header.scrypt_n);
        if n_agrees && header.commitment == self.commitment() {
            return Ok(Some(manifest));
        }
        let (path, expected) = (manifest.path().to_path_buf(), "that of the metadata");
        let why = BadMetadata::Field { field: "identity or N", expected };
        Err(PlotError::Damaged { path, why })
    }

    fn commitment(&self) -> Commitment {
        Commitment::new(&self.metadata.node_id, &self.metadata.commitment_atx_id)
    }

    /// A reader of the labels.
    #[must_use]
    pub fn reader(&self) -> Reader<'_> {
        Reader { directory: self, open: None }
    }

    /// Replaces the metadata, atomically. What places labels must stay as it is.
    ///
    /// # Errors
    /// The system's; the old metadata is then still there.
    pub fn update(&mut self, change: impl FnOnce(&mut Metadata)) -> Result<(), PlotError> {
        let mut metadata = self.metadata.clone();
        change(&mut metadata);
        metadata.save(&*self.disk, &self.path)?;
        self.metadata = metadata;
        Ok(())
    }

    /// Writes down what is now known about adopted data.
    ///
    /// # Errors
    /// The system's.
    pub fn set_sidecar(&mut self, sidecar: Sidecar) -> Result<(), PlotError> {
        sidecar.save(&*self.disk, &self.path)?;
        self.sidecar = Some(sidecar);
        Ok(())
    }

    /// The journal of a proof, as far as it was written down.
    #[must_use]
    pub fn journal(&self, key: JournalKey) -> Journal {
        Journal::load(&*self.disk, &self.path, key)
    }

    /// Writes the journal of a proof down.
    ///
    /// # Errors
    /// The system's; the old journal is then still there.
    pub fn save_journal(&self, journal: &Journal) -> Result<(), PlotError> {
        journal.save(&*self.disk, &self.path)
    }

    /// Appends labels, of which the first is number `first`, to the file they belong to; they must
    /// not go past its end. When it returns, they are durable and vouched for.
    ///
    /// What lies in the file after the labels that are known to be there (a torn label, the
    /// leftovers of a power cut) is written over.
    ///
    /// # Errors
    /// [`PlotError::Changed`] when the known labels of the file do not end just before `first`;
    /// [`PlotError::NotAdopted`] before [`DataDir::set_sidecar`]; the system's. The file then holds
    /// none, some or all of the labels, and vouches for none of them.
    pub fn append(&mut self, first: u64, labels: &[u8]) -> Result<(), PlotError> {
        let (number, offset) = self.layout.place_of(first);
        let state = self.file(number)?;
        let path = &state.path;
        let found = state.found.unwrap_or(0);
        if state.absent().start != first {
            return Err(PlotError::Changed { path: path.clone(), found, expected: offset });
        }
        let end = offset.saturating_add(labels.len() as u64);
        if end.max(found) > state.expected() {
            let expected = state.expected();
            return Err(PlotError::Oversized {
                path: path.clone(),
                found: end.max(found),
                expected,
            });
        }
        let (disk, in_file) = (&*self.disk, offset / LABEL);
        let before = self.block_before(&state, in_file)?;
        let manifest = self.manifest_from(number, in_file, &before, state.confirmed)?;
        let file = disk.open(path, Access::Write).map_err(PlotError::io("open", path))?;
        file.write_all_at(labels, offset).map_err(PlotError::io("write", path))?;
        file.sync().map_err(PlotError::io("sync", path))?;
        if state.found.is_none() {
            files::sync_parent(disk, path)?;
        }
        manifest.confirm(disk, in_file, &before, labels)
    }

    /// The labels on disk that share a block with label `in_file` and come before it.
    fn block_before(&self, state: &FileState, in_file: u64) -> Result<Vec<u8>, PlotError> {
        let first = in_file / BLOCK_LABELS * BLOCK_LABELS;
        let bytes = usize::try_from((in_file - first) * LABEL).unwrap_or(usize::MAX);
        let mut before = vec![0; bytes];
        if bytes > 0 {
            let path = &state.path;
            let file = self.disk.open(path, Access::Read).map_err(PlotError::io("open", path))?;
            let read = file.read_exact_at(&mut before, first * LABEL);
            read.map_err(PlotError::io("read", path))?;
        }
        Ok(before)
    }

    /// The manifest of a file whose labels from `in_file` on are about to be written: begun if
    /// there is none, cut back if it says more.
    fn manifest_from(
        &self,
        number: u64,
        in_file: u64,
        before: &[u8],
        confirmed: Option<u64>,
    ) -> Result<Manifest, PlotError> {
        let disk = &*self.disk;
        let Some(mut manifest) = self.manifest(number)? else {
            let path = self.path.clone();
            let Sidecar { scrypt_n } = self.sidecar.ok_or(PlotError::NotAdopted { path })?;
            let header = Header { scrypt_n, commitment: self.commitment(), adopted: in_file };
            return Manifest::create(disk, &self.path, number, header);
        };
        if confirmed.is_some_and(|confirmed| confirmed > in_file) {
            manifest.cut(disk, in_file, before)?;
        }
        Ok(manifest)
    }
}

fn layout_of(directory: &Path, metadata: &Metadata) -> Result<Layout, PlotError> {
    let path = directory.join(crate::metadata::FILE_NAME);
    Layout::new(metadata).map_err(|why| PlotError::Damaged { path, why })
}

fn label_file(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("postdata_{number}.bin"))
}

/// Reads labels, most cheaply in order: it keeps the current file open.
#[derive(Debug)]
pub struct Reader<'a> {
    directory: &'a DataDir,
    open: Option<(u64, PathBuf, Box<dyn DiskFile>)>,
}

impl Reader<'_> {
    /// Reads labels from number `first` on until `buffer` is full or the labels end; returns the
    /// bytes read, a multiple of 16 if the buffer's length is one.
    ///
    /// # Errors
    /// [`PlotError::Missing`], [`PlotError::Short`], or the system's.
    pub fn read(&mut self, first: u64, buffer: &mut [u8]) -> Result<usize, PlotError> {
        let layout = self.directory.layout;
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
            _ => self.open.insert(open_to_read(self.directory, number)?),
        };
        file.read_exact_at(part, offset).map_err(|error| {
            if error.kind() != io::ErrorKind::UnexpectedEof {
                return PlotError::io("read", path)(error);
            }
            let found = file.length().unwrap_or(0);
            let expected = self.directory.layout.bytes_of(number);
            PlotError::Short { path: path.clone(), found, expected }
        })
    }
}

fn open_to_read(
    directory: &DataDir,
    number: u64,
) -> Result<(u64, PathBuf, Box<dyn DiskFile>), PlotError> {
    let path = label_file(&directory.path, number);
    match directory.disk.open(&path, Access::Read) {
        Ok(file) => Ok((number, path, file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(PlotError::Missing { path }),
        Err(error) => Err(PlotError::io("open", &path)(error)),
    }
}

#[cfg(test)]
mod tests;
