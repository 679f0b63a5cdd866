//! A data directory: opened, surveyed, read and appended to.

use crate::error::PlotError;
use crate::files;
use crate::layout::{LABEL, Layout};
use crate::metadata::Metadata;
use crate::sidecar::Sidecar;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Data of one identity in one directory.
#[derive(Debug)]
pub struct DataDir {
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
}

impl FileState {
    /// Bytes of the complete file.
    #[must_use]
    pub fn expected(&self) -> u64 {
        (self.labels.end - self.labels.start) * LABEL
    }

    /// Labels that are there, a torn last one not counted.
    #[must_use]
    pub fn present(&self) -> std::ops::Range<u64> {
        let whole = self.found.unwrap_or(0) / LABEL;
        self.labels.start..self.labels.start.saturating_add(whole).min(self.labels.end)
    }

    /// Labels that are not there.
    #[must_use]
    pub fn absent(&self) -> std::ops::Range<u64> {
        self.present().end..self.labels.end
    }

    /// Whether every label is there and nothing else.
    ///
    /// # Errors
    /// [`PlotError::Missing`], [`PlotError::Short`] or [`PlotError::Oversized`].
    pub fn complete(&self) -> Result<(), PlotError> {
        let (path, expected) = (self.path.clone(), self.expected());
        match self.found {
            None => Err(PlotError::Missing { path }),
            Some(found) if found < expected => Err(PlotError::Short { path, found, expected }),
            Some(found) if found > expected => Err(PlotError::Oversized { path, found, expected }),
            Some(_) => Ok(()),
        }
    }
}

impl DataDir {
    /// Opens a directory that holds data, of ours or of the reference.
    ///
    /// # Errors
    /// [`PlotError::NoData`], [`PlotError::Damaged`] or a system error.
    pub fn open(path: &Path) -> Result<Self, PlotError> {
        let metadata = Metadata::load(path)?;
        let metadata = metadata.ok_or_else(|| PlotError::NoData { path: path.to_path_buf() })?;
        let layout = layout_of(path, &metadata)?;
        let sidecar = Sidecar::load(path)?;
        Ok(Self { path: path.to_path_buf(), metadata, sidecar, layout })
    }

    /// Makes a directory for new data, with no labels in it yet.
    ///
    /// # Errors
    /// [`PlotError::Exists`] where there is metadata already, or label files without it.
    pub fn create(path: &Path, metadata: Metadata, sidecar: Sidecar) -> Result<Self, PlotError> {
        let layout = layout_of(path, &metadata)?;
        fs::create_dir_all(path).map_err(PlotError::io("create", path))?;
        let first = label_file(path, 0);
        if Metadata::load(path)?.is_some() || first.exists() {
            return Err(PlotError::Exists { path: path.to_path_buf() });
        }
        // The sidecar first: metadata is what makes a directory data.
        sidecar.save(path)?;
        metadata.save(path)?;
        Ok(Self { path: path.to_path_buf(), metadata, sidecar: Some(sidecar), layout })
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

    /// One label file.
    ///
    /// # Errors
    /// The system's, when it cannot be looked at.
    pub fn file(&self, number: u64) -> Result<FileState, PlotError> {
        let path = label_file(&self.path, number);
        let found = match fs::metadata(&path) {
            Ok(metadata) => Some(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(PlotError::io("look at", &path)(error)),
        };
        Ok(FileState { path, labels: self.layout.labels_of(number), found })
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
        metadata.save(&self.path)?;
        self.metadata = metadata;
        Ok(())
    }

    /// Writes down what is now known about adopted data.
    ///
    /// # Errors
    /// The system's.
    pub fn set_sidecar(&mut self, sidecar: Sidecar) -> Result<(), PlotError> {
        sidecar.save(&self.path)?;
        self.sidecar = Some(sidecar);
        Ok(())
    }

    /// Appends labels, of which the first is number `first`, to the file they belong to; they must
    /// not go past its end. When it returns, they are durable.
    ///
    /// A torn label at the end of the file is completed in its place.
    ///
    /// # Errors
    /// [`PlotError::Changed`] when the file does not end just before `first`; the system's. The
    /// file then holds none, some or all of the labels, and no others.
    pub fn append(&mut self, first: u64, labels: &[u8]) -> Result<(), PlotError> {
        let (number, offset) = self.layout.place_of(first);
        let state = self.file(number)?;
        let path = &state.path;
        let found = state.found.unwrap_or(0);
        if found / LABEL * LABEL != offset {
            return Err(PlotError::Changed { path: path.clone(), found, expected: offset });
        }
        let end = offset.saturating_add(labels.len() as u64);
        if end > state.expected() {
            let expected = state.expected();
            return Err(PlotError::Oversized { path: path.clone(), found: end, expected });
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(PlotError::io("open", path))?;
        files::write_all_at(&file, labels, offset).map_err(PlotError::io("write", path))?;
        file.sync_data().map_err(PlotError::io("sync", path))?;
        if state.found.is_none() { files::sync_parent(path) } else { Ok(()) }
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
    open: Option<(u64, PathBuf, File)>,
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
        files::read_exact_at(file, part, offset).map_err(|error| {
            if error.kind() != io::ErrorKind::UnexpectedEof {
                return PlotError::io("read", path)(error);
            }
            let found = file.metadata().map_or(0, |metadata| metadata.len());
            let expected = self.directory.layout.bytes_of(number);
            PlotError::Short { path: path.clone(), found, expected }
        })
    }
}

fn open_to_read(directory: &DataDir, number: u64) -> Result<(u64, PathBuf, File), PlotError> {
    let path = label_file(&directory.path, number);
    match File::open(&path) {
        Ok(file) => Ok((number, path, file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(PlotError::Missing { path }),
        Err(error) => Err(PlotError::io("open", &path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use post::{AtxId, NodeId, ScryptN};

    fn sidecar() -> Sidecar {
        Sidecar { scrypt_n: ScryptN::new(2).unwrap() }
    }

    /// Two units of five labels in files of four: 4 + 4 + 2.
    fn new_directory() -> (tempfile::TempDir, DataDir) {
        let root = tempfile::tempdir().unwrap();
        let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), 5, 2, 64);
        let directory = DataDir::create(&root.path().join("data"), metadata, sidecar()).unwrap();
        (root, directory)
    }

    fn labels(range: std::ops::Range<u8>) -> Vec<u8> {
        range.flat_map(|label| [label; 16]).collect()
    }

    fn fill(directory: &mut DataDir) {
        for range in [0..4, 4..8, 8..10] {
            directory.append(u64::from(range.start), &labels(range)).unwrap();
        }
    }

    #[test]
    fn labels_are_read_back_across_files() {
        let (_root, mut directory) = new_directory();
        fill(&mut directory);
        let opened = DataDir::open(directory.path()).unwrap();
        assert_eq!(opened.sidecar(), Some(sidecar()));
        let mut buffer = [0; 7 * 16];
        let mut reader = opened.reader();
        assert_eq!(reader.read(2, &mut buffer).unwrap(), 7 * 16);
        assert_eq!(buffer[..], labels(2..9));
        assert_eq!(reader.read(8, &mut buffer).unwrap(), 2 * 16);
        assert_eq!(buffer[..32], labels(8..10));
        assert_eq!(reader.read(10, &mut buffer).unwrap(), 0);
        for file in opened.survey().unwrap() {
            file.complete().unwrap();
        }
    }

    #[test]
    fn data_is_never_made_over_data() {
        let (_root, directory) = new_directory();
        let again = DataDir::create(directory.path(), directory.metadata().clone(), sidecar());
        assert!(matches!(again, Err(PlotError::Exists { .. })));
        // Not even when only the labels are left.
        let mut directory = directory;
        fill(&mut directory);
        fs::remove_file(directory.path().join(crate::metadata::FILE_NAME)).unwrap();
        let again = DataDir::create(directory.path(), directory.metadata().clone(), sidecar());
        assert!(matches!(again, Err(PlotError::Exists { .. })));
        assert!(matches!(DataDir::open(directory.path()), Err(PlotError::NoData { .. })));
    }

    #[test]
    fn a_torn_label_is_completed_in_place() {
        let (_root, mut directory) = new_directory();
        directory.append(0, &labels(0..2)).unwrap();
        let path = directory.file(0).unwrap().path;
        let torn = [labels(0..2), vec![2; 9]].concat();
        fs::write(&path, torn).unwrap();
        assert_eq!(directory.file(0).unwrap().present(), 0..2);
        directory.append(2, &labels(2..4)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), labels(0..4));
    }

    #[test]
    fn appends_that_do_not_fit_the_file_are_refused() {
        let (_root, mut directory) = new_directory();
        directory.append(0, &labels(0..2)).unwrap();
        for first in [0, 1, 3] {
            let refused = directory.append(first, &labels(0..1));
            assert!(matches!(refused, Err(PlotError::Changed { .. })), "{first}");
        }
        let refused = directory.append(2, &labels(2..5));
        assert!(matches!(refused, Err(PlotError::Oversized { .. })));
        let path = directory.file(0).unwrap().path;
        assert_eq!(fs::read(path).unwrap(), labels(0..2));
    }

    #[test]
    fn missing_short_and_oversized_files_are_told_apart() {
        let (_root, mut directory) = new_directory();
        fill(&mut directory);
        let files = directory.survey().unwrap();
        fs::remove_file(&files[0].path).unwrap();
        fs::write(&files[1].path, [0; 40]).unwrap();
        fs::write(&files[2].path, [0; 48]).unwrap();
        let files = directory.survey().unwrap();
        assert!(matches!(files[0].complete(), Err(PlotError::Missing { .. })));
        let short = files[1].complete();
        assert!(matches!(short, Err(PlotError::Short { found: 40, expected: 64, .. })));
        assert_eq!(files[1].absent(), 6..8);
        let long = files[2].complete();
        assert!(matches!(long, Err(PlotError::Oversized { found: 48, expected: 32, .. })));
        let mut reader = directory.reader();
        let mut buffer = [0; 32];
        assert!(matches!(reader.read(0, &mut buffer), Err(PlotError::Missing { .. })));
        assert!(matches!(reader.read(6, &mut buffer), Err(PlotError::Short { found: 40, .. })));
    }

    #[test]
    fn metadata_changes_are_kept() {
        let (_root, mut directory) = new_directory();
        directory.update(|metadata| metadata.last_position = Some(7)).unwrap();
        let again = DataDir::open(directory.path()).unwrap();
        assert_eq!(again.metadata().last_position, Some(7));
    }
}
