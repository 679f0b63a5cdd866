//! One directory's share of a data set: its label files, and what is written beside them.

use crate::belongings::{Kind, kind_of, number_of};
use crate::disk::{Access, Disk};
use crate::error::PlotError;
use crate::files;
use crate::layout::{LABEL, Layout};
use crate::manifest::{BLOCK_LABELS, Header, Manifest};
use crate::metadata::{self, BadMetadata, Metadata};
use crate::numbers::FileNumbers;
use crate::sidecar::Sidecar;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

/// A directory that holds data.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
    pub(crate) metadata: Metadata,
    /// `None` where another program made the data and it was not adopted yet.
    pub(crate) sidecar: Option<Sidecar>,
    /// By what number its slots call what makes labels now.
    pub(crate) maker: u16,
}

impl Directory {
    /// Opens a directory that holds data, of ours or of the reference; `None` where it holds none.
    pub(crate) fn open(disk: &Arc<dyn Disk>, path: &Path) -> Result<Option<Self>, PlotError> {
        let Some(metadata) = Metadata::load(&**disk, path)? else { return Ok(None) };
        layout_of(path, &metadata)?;
        let sidecar = Sidecar::load(&**disk, path)?;
        let (disk, path) = (Arc::clone(disk), path.to_path_buf());
        Ok(Some(Self { disk, path, metadata, sidecar, maker: 0 }))
    }

    /// Makes a directory for new data, as far as its sidecar; metadata is what makes it data.
    pub(crate) fn begin(
        disk: &Arc<dyn Disk>,
        path: &Path,
        metadata: Metadata,
        sidecar: Sidecar,
    ) -> Result<Self, PlotError> {
        layout_of(path, &metadata)?;
        disk.create_directory(path).map_err(PlotError::io("create", path))?;
        if Metadata::load(&**disk, path)?.is_some() || has_labels(&**disk, path)? {
            return Err(PlotError::Exists { path: path.to_path_buf() });
        }
        sidecar.save(&**disk, path)?;
        let (disk, path) = (Arc::clone(disk), path.to_path_buf());
        Ok(Self { disk, path, metadata, sidecar: Some(sidecar), maker: 0 })
    }

    /// The path of a label file.
    pub(crate) fn label_file(&self, number: u64) -> PathBuf {
        label_file(&self.path, number)
    }

    /// Numbers of the label files that are there, whether they belong to the data or not.
    pub(crate) fn found(&self) -> Result<FileNumbers, PlotError> {
        found(&*self.disk, &self.path)
    }

    /// A label file of the layout.
    pub(crate) fn file(&self, layout: Layout, number: u64) -> Result<FileState, PlotError> {
        let path = self.label_file(number);
        let found = self.disk.length(&path).map_err(PlotError::io("look at", &path))?;
        let manifest = self.manifest(number)?;
        let confirmed = manifest.map(|manifest| manifest.confirmed(&*self.disk)).transpose()?;
        Ok(FileState { path, labels: layout.labels_of(number), found, confirmed })
    }

    /// The manifest of a label file, which must be about these labels.
    pub(crate) fn manifest(&self, number: u64) -> Result<Option<Manifest>, PlotError> {
        let Some(manifest) = Manifest::open(&*self.disk, &self.path, number)? else {
            return Ok(None);
        };
        let header = manifest.header();
        let n = self.sidecar.as_ref().map(|sidecar| sidecar.scrypt_n);
        let n_agrees = n.is_none_or(|n| n == header.scrypt_n);
        if n_agrees && header.commitment == self.metadata.commitment() {
            return Ok(Some(manifest));
        }
        let (path, expected) = (manifest.path().to_path_buf(), "that of the metadata");
        let why = BadMetadata::Field { field: "identity or N", expected };
        Err(PlotError::Damaged { path, why })
    }

    /// Replaces the metadata, atomically.
    pub(crate) fn set_metadata(&mut self, metadata: Metadata) -> Result<(), PlotError> {
        metadata.save(&*self.disk, &self.path)?;
        self.metadata = metadata;
        Ok(())
    }

    /// Replaces the sidecar, atomically.
    pub(crate) fn set_sidecar(&mut self, sidecar: Sidecar) -> Result<(), PlotError> {
        if self.sidecar.as_ref() != Some(&sidecar) {
            sidecar.save(&*self.disk, &self.path)?;
            self.sidecar = Some(sidecar);
        }
        Ok(())
    }

    /// Says what makes the labels that will be appended.
    pub(crate) fn set_maker(&mut self, name: &str) -> Result<(), PlotError> {
        let Some(mut sidecar) = self.sidecar.clone() else { return Ok(()) };
        self.maker = sidecar.maker(name);
        self.set_sidecar(sidecar)
    }

    /// Appends labels to a file, of which the first is at byte `offset`; see
    /// [`crate::DataSet::append`].
    pub(crate) fn append(
        &self,
        state: &FileState,
        number: u64,
        offset: u64,
        labels: &[u8],
    ) -> Result<(), PlotError> {
        let (disk, path, in_file) = (&*self.disk, &state.path, offset / LABEL);
        let found = state.found.unwrap_or(0);
        if state.absent().start != state.labels.start.saturating_add(in_file) {
            return Err(PlotError::Changed { path: path.clone(), found, expected: offset });
        }
        let (end, expected) = (offset.saturating_add(labels.len() as u64), state.expected());
        if end.max(found) > expected {
            let found = end.max(found);
            return Err(PlotError::Oversized { path: path.clone(), found, expected });
        }
        let before = self.block_before(state, in_file)?;
        let manifest = self.manifest_from(number, in_file, &before, state.confirmed)?;
        let file = disk.open(path, Access::Write).map_err(PlotError::io("open", path))?;
        file.write_all_at(labels, offset).map_err(PlotError::io("write", path))?;
        file.sync().map_err(PlotError::io("sync", path))?;
        if state.found.is_none() {
            files::sync_parent(disk, path)?;
        }
        manifest.confirm(disk, in_file, (&before, labels), self.maker)
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
            return self.begin_manifest(number, in_file);
        };
        if confirmed.is_some_and(|confirmed| confirmed > in_file) {
            manifest.cut(disk, in_file, before)?;
        }
        Ok(manifest)
    }

    /// Begins the manifest of a file whose first `adopted` labels another program made.
    pub(crate) fn begin_manifest(&self, number: u64, adopted: u64) -> Result<Manifest, PlotError> {
        let path = self.path.clone();
        let n = self.sidecar.as_ref().map(|sidecar| sidecar.scrypt_n);
        let scrypt_n = n.ok_or(PlotError::NotAdopted { path })?;
        let header = Header { scrypt_n, commitment: self.metadata.commitment(), adopted };
        Manifest::create(&*self.disk, &self.path, number, header)
    }
}

/// The layout that metadata describes.
pub(crate) fn layout_of(directory: &Path, metadata: &Metadata) -> Result<Layout, PlotError> {
    let path = directory.join(metadata::FILE_NAME);
    Layout::new(metadata).map_err(|why| PlotError::Damaged { path, why })
}

pub(crate) fn label_file(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("postdata_{number}.bin"))
}

/// Numbers of the label files in a directory.
pub(crate) fn found(disk: &dyn Disk, path: &Path) -> Result<FileNumbers, PlotError> {
    let names = disk.list(path).map_err(PlotError::io("list", path))?;
    let labels = names.iter().filter(|name| kind_of(name) == Some(Kind::Labels));
    Ok(labels.filter_map(|name| number_of(name)).collect())
}

/// Whether there are label files with labels in them.
fn has_labels(disk: &dyn Disk, path: &Path) -> Result<bool, PlotError> {
    for number in found(disk, path)?.iter() {
        let file = label_file(path, number);
        let length = disk.length(&file).map_err(PlotError::io("look at", &file))?;
        if length.is_some_and(|length| length > 0) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Opens a label file to read it.
pub(crate) fn open_to_read(
    disk: &dyn Disk,
    path: &Path,
) -> Result<Box<dyn crate::disk::DiskFile>, PlotError> {
    disk.open(path, Access::Read).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => PlotError::Missing { path: path.to_path_buf() },
        _ => PlotError::io("open", path)(error),
    })
}
