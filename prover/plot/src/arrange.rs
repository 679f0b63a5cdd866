//! Which directory holds which file: decided before anything is written, then carried out.
//!
//! Files that have labels stay where they are. Every other one goes to the directory that was
//! promised it before, else to the first one that has room. What was decided is written into the
//! sidecars before metadata makes the directories data, so that an interrupted run is carried on
//! by the next one.

use crate::directory::{Directory, FileState, label_file, layout_of};
use crate::disk::{Disk, System};
use crate::error::PlotError;
use crate::layout::Layout;
use crate::metadata::Metadata;
use crate::numbers::FileNumbers;
use crate::set::DataSet;
use crate::sidecar::Sidecar;
use post::ScryptN;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory that may hold files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub path: PathBuf,
    /// Bytes of labels that it may hold in all; no limit but the room there is.
    pub limit: Option<u64>,
}

/// What a directory holds and will hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The directory.
    pub path: PathBuf,
    /// Its files.
    pub files: FileNumbers,
    /// Labels that are there.
    pub present: u64,
    /// Labels that will be made.
    pub missing: u64,
    /// Bytes that this takes beyond what is taken already.
    pub cost: u64,
    /// Bytes that its filesystem has left now.
    pub available: u64,
}

/// Which directory holds which file of a data set.
#[derive(Debug)]
pub struct Arrangement {
    disk: Arc<dyn Disk>,
    metadata: Metadata,
    shares: Vec<Share>,
    /// All files of the shares, where others are made elsewhere.
    part: Option<FileNumbers>,
}

/// Bytes that a file's manifest and directory entry take, at most.
pub(crate) fn overhead(bytes: u64) -> u64 {
    bytes / (1 << 14) + (8 << 10)
}

impl Arrangement {
    /// Spreads a data set over places, without writing anything. `found` is what they hold, and
    /// `metadata` what is wanted, which may be more units than are found. Of a share that is found,
    /// no other files are placed.
    ///
    /// # Errors
    /// [`PlotError::NoRoom`] where it does not fit; [`PlotError::Unplaced`] where some files lie
    /// elsewhere; the system's.
    pub fn new(
        found: Option<&DataSet>,
        places: &[Place],
        metadata: Metadata,
    ) -> Result<Self, PlotError> {
        Self::new_on(Arc::new(System), found, places, metadata)
    }

    /// As [`Arrangement::new`], of these files only: the others are made elsewhere.
    ///
    /// # Errors
    /// Those of [`Arrangement::new`]; [`PlotError::OtherShare`] where the places hold others.
    pub fn of_share(
        found: Option<&DataSet>,
        places: &[Place],
        metadata: Metadata,
        files: FileNumbers,
    ) -> Result<Self, PlotError> {
        Self::of_share_on(Arc::new(System), found, places, metadata, files)
    }

    /// As [`Arrangement::new`], on any disk.
    ///
    /// # Errors
    /// Those of [`Arrangement::new`].
    pub fn new_on(
        disk: Arc<dyn Disk>,
        found: Option<&DataSet>,
        places: &[Place],
        metadata: Metadata,
    ) -> Result<Self, PlotError> {
        Self::of_files(disk, found, places, metadata, None)
    }

    /// As [`Arrangement::of_share`], on any disk.
    ///
    /// # Errors
    /// Those of [`Arrangement::of_share`].
    pub fn of_share_on(
        disk: Arc<dyn Disk>,
        found: Option<&DataSet>,
        places: &[Place],
        metadata: Metadata,
        files: FileNumbers,
    ) -> Result<Self, PlotError> {
        Self::of_files(disk, found, places, metadata, Some(files))
    }

    fn of_files(
        disk: Arc<dyn Disk>,
        found: Option<&DataSet>,
        places: &[Place],
        metadata: Metadata,
        asked: Option<FileNumbers>,
    ) -> Result<Self, PlotError> {
        let first = places.first().map_or(Path::new(""), |place| &place.path);
        let layout = layout_of(first, &metadata)?;
        let all = FileNumbers::from(0..layout.files());
        let files = wanted(found, &all, asked)?;
        let mut rooms = Rooms::look(&disk, found, places)?;
        let mut homeless = Vec::new();
        for number in files.iter() {
            if !rooms.keep(layout, number)? {
                homeless.push(number);
            }
        }
        let mut missing = 0_u64;
        for number in homeless {
            let known = found.filter(|set| number < set.layout().files());
            if !rooms.is_promised(number) && known.is_some_and(is_recorded) {
                known.map_or(Ok(()), DataSet::whole_or_share)?;
            }
            if !rooms.place(layout, number)? {
                missing = missing.saturating_add(layout.bytes_of(number));
            }
        }
        if missing > 0 {
            return Err(PlotError::NoRoom { missing, places: rooms.left() });
        }
        let (shares, part) = (rooms.shares(), (files != all).then_some(files));
        Ok(Self { disk, metadata, shares, part })
    }

    /// What each directory holds and will hold.
    #[must_use]
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// Writes it down: in new directories and in those of `found`, which it was made for.
    ///
    /// # Errors
    /// The system's; the next run then carries on.
    pub fn carry_out(self, found: Option<DataSet>, n: ScryptN) -> Result<DataSet, PlotError> {
        let several = self.shares.len() > 1 || self.part.is_some();
        let spread = several || found.as_ref().is_some_and(is_recorded);
        let mut known = found.map(|set| set.directories).unwrap_or_default();
        let mut directories = Vec::new();
        for share in &self.shares {
            let at = known.iter().position(|directory| directory.path == share.path);
            let directory = at.map(|at| known.swap_remove(at));
            let own = directory.as_ref().and_then(|directory| directory.sidecar.clone());
            let mut sidecar = own.unwrap_or_else(|| Sidecar::new(n));
            if spread {
                let others = self.shares.iter().filter(|other| other.path != share.path);
                sidecar.siblings = others.map(|other| other.path.clone()).collect();
                sidecar.files = Some(share.files.clone());
                sidecar.share.clone_from(&self.part);
            }
            directories.push(match directory {
                Some(mut directory) => {
                    if spread {
                        directory.set_sidecar(sidecar)?;
                    }
                    directory
                }
                None => Directory::begin(&self.disk, &share.path, self.metadata.clone(), sidecar)?,
            });
        }
        for directory in &mut directories {
            let metadata = directory.metadata.with_facts_of(&self.metadata);
            directory.set_metadata(metadata)?;
        }
        let nothing = || PlotError::NoData { path: PathBuf::new() };
        DataSet::of(self.disk, directories)?.ok_or_else(nothing)
    }
}

/// The files that are to be in the places: those that are asked for, which must be those that are
/// there, if any; else those of the share that is there, else `all`.
fn wanted(
    found: Option<&DataSet>,
    all: &FileNumbers,
    asked: Option<FileNumbers>,
) -> Result<FileNumbers, PlotError> {
    let Some(set) = found else { return Ok(asked.unwrap_or_else(|| all.clone())) };
    let there = set.wanted();
    let is_whole = there == FileNumbers::from(0..set.layout().files());
    let Some(asked) = asked else { return Ok(if is_whole { all.clone() } else { there }) };
    let refuse = |found| {
        let (path, asked) = (set.name(), asked.clone());
        Err(PlotError::OtherShare { path, found, asked })
    };
    if set.sidecars().all(|(_, sidecar)| sidecar.is_none()) {
        // Another program's: what is there says all that is known.
        for directory in &set.directories {
            let files = directory.found()?;
            if files.iter().any(|file| !asked.contains(file)) {
                return refuse(files);
            }
        }
    } else if asked != there && !(is_whole && asked == *all) {
        return refuse(there);
    }
    Ok(asked)
}

/// Whether it is written down which files the directories hold.
fn is_recorded(set: &DataSet) -> bool {
    set.sidecars().any(|(_, sidecar)| sidecar.is_some_and(|own| own.files.is_some()))
}

/// What the places hold and have room for, while files are given to them.
struct Rooms<'a> {
    disk: &'a Arc<dyn Disk>,
    found: Option<&'a DataSet>,
    places: Vec<RoomOf>,
    /// Bytes left on each filesystem.
    left: BTreeMap<u64, u64>,
}

/// A place, while files are given to it.
struct RoomOf {
    promised: FileNumbers,
    filesystem: u64,
    /// Bytes of labels that it may still take.
    limit_left: u64,
    share: Share,
}

impl<'a> Rooms<'a> {
    fn look(
        disk: &'a Arc<dyn Disk>,
        found: Option<&'a DataSet>,
        places: &[Place],
    ) -> Result<Self, PlotError> {
        let mut rooms = Self { disk, found, places: Vec::new(), left: BTreeMap::new() };
        for place in places {
            let known = found.and_then(|set| set.shares().find(|(path, _)| *path == place.path));
            let promised = match known {
                Some((_, files)) => files.clone(),
                // A directory that an interrupted run began.
                None => Sidecar::load(&**disk, &place.path)?
                    .and_then(|sidecar| sidecar.files)
                    .unwrap_or_default(),
            };
            let room = disk.room(&place.path).map_err(PlotError::io("look at", &place.path))?;
            rooms.left.insert(room.filesystem, room.available);
            rooms.places.push(RoomOf {
                promised,
                filesystem: room.filesystem,
                limit_left: place.limit.unwrap_or(u64::MAX),
                share: Share {
                    path: place.path.clone(),
                    files: FileNumbers::default(),
                    present: 0,
                    missing: 0,
                    cost: 0,
                    available: room.available,
                },
            });
        }
        Ok(rooms)
    }

    fn is_promised(&self, number: u64) -> bool {
        self.places.iter().any(|place| place.promised.contains(number))
    }

    /// Leaves a file that has labels where it is; whether it has.
    fn keep(&mut self, layout: Layout, number: u64) -> Result<bool, PlotError> {
        let promised = |place: &RoomOf| place.promised.contains(number);
        let Some(at) = self.places.iter().position(promised) else { return Ok(false) };
        let state = self.state(at, layout, number)?;
        let kept = state.found.is_some_and(|found| found > 0);
        if kept {
            self.give(at, layout, number, &state)?;
        }
        Ok(kept)
    }

    /// Gives a file to the place that was promised it, or else to the first that has room; whether
    /// any has.
    fn place(&mut self, layout: Layout, number: u64) -> Result<bool, PlotError> {
        let promised = self.places.iter().position(|place| place.promised.contains(number));
        for at in promised.into_iter().chain(0..self.places.len()) {
            let state = self.state(at, layout, number)?;
            let cost = self.cost(&state)?;
            let Some(place) = self.places.get(at) else { continue };
            let left = self.left.get(&place.filesystem).copied().unwrap_or(0);
            if place.limit_left >= state.expected() && left >= cost {
                self.give(at, layout, number, &state)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The file as it is in a place.
    fn state(&self, at: usize, layout: Layout, number: u64) -> Result<FileState, PlotError> {
        let path = self.places.get(at).map_or(Path::new(""), |place| &place.share.path);
        let known = self.found.and_then(|set| set.directories.iter().find(|own| own.path == path));
        match known {
            Some(directory) => directory.file(layout, number),
            None => {
                let path = label_file(path, number);
                let found = self.disk.length(&path).map_err(PlotError::io("look at", &path))?;
                Ok(FileState { path, labels: layout.labels_of(number), found, confirmed: None })
            }
        }
    }

    /// Bytes that completing a file takes beyond what it has been given.
    fn cost(&self, state: &FileState) -> Result<u64, PlotError> {
        let taken = self.disk.allocated(&state.path).map_err(PlotError::io("look at", &state.path));
        let taken = taken?.max(state.found.unwrap_or(0));
        let missing = state.expected().saturating_sub(taken);
        Ok(if state.absent().is_empty() { 0 } else { missing + overhead(missing) })
    }

    fn give(
        &mut self,
        at: usize,
        layout: Layout,
        number: u64,
        state: &FileState,
    ) -> Result<(), PlotError> {
        let cost = self.cost(state)?;
        let Some(place) = self.places.get_mut(at) else { return Ok(()) };
        let count = |range: std::ops::Range<u64>| range.end - range.start;
        place.share.files.insert(number);
        place.share.present += count(state.present());
        place.share.missing += count(state.absent());
        place.share.cost = place.share.cost.saturating_add(cost);
        place.limit_left = place.limit_left.saturating_sub(layout.bytes_of(number));
        if let Some(left) = self.left.get_mut(&place.filesystem) {
            *left = left.saturating_sub(cost);
        }
        Ok(())
    }

    /// Bytes that each place could still take.
    fn left(&self) -> Vec<(PathBuf, u64)> {
        let left = |place: &RoomOf| {
            let on_disk = self.left.get(&place.filesystem).copied().unwrap_or(0);
            (place.share.path.clone(), on_disk.min(place.limit_left))
        };
        self.places.iter().map(left).collect()
    }

    fn shares(self) -> Vec<Share> {
        self.places.into_iter().map(|place| place.share).collect()
    }
}

#[cfg(test)]
mod tests;
