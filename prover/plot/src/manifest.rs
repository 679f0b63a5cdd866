//! The manifest of a label file: which of its labels are known to be on disk, and their hashes.
//!
//! `postdata_7.bin` has `postmesh_7.manifest` beside it. The file's length alone cannot tell what
//! survived a power cut (a system may keep the length and lose the bytes), so labels count as
//! there once the manifest says so, and the manifest is written after they are synced. A label
//! file without a manifest was made by another program; all of it counts.
//!
//! Layout, little-endian: a header of 64 bytes (`magic[8] ‖ version u32 ‖ N u32 ‖ commitment[32]
//! ‖ adopted u64 ‖ check[8]`), then for each MiB of labels a slot of 64 bytes (`labels u32 ‖ maker
//! u16 ‖ flags u16 ‖ reserved[16] ‖ BLAKE3 of the labels[32] ‖ check[8]`). `maker` counts the
//! sidecar's list of makers from 1 on and is the last that wrote in the block, 0 where it is not
//! known; flag 1 says that another program made the labels and that they were hashed as they
//! were found. `check` is the start of BLAKE3 over the
//! slot's number and the bytes before it, so that a torn slot is told from a whole one. `adopted`
//! is how many labels another program had made when the manifest was begun.

use crate::disk::{Access, Disk, DiskFile};
use crate::error::PlotError;
use crate::files;
use crate::layout::LABEL;
use crate::metadata::BadMetadata;
use post::{Commitment, ScryptN};
use std::path::{Path, PathBuf};

/// Labels that a slot covers: 1 MiB of them.
pub const BLOCK_LABELS: u64 = 1 << 16;
pub(crate) const SLOT_BYTES: u64 = 64;
/// Slots read at a time: 64 KiB of them.
const SLOTS_AT_ONCE: u64 = 1024;
const MAGIC: [u8; 8] = *b"postmesh";
const VERSION: u32 = 1;

/// The manifest of one label file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    path: PathBuf,
    header: Header,
}

/// What a manifest says of its file as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// N of the labels.
    pub(crate) scrypt_n: ScryptN,
    /// Whose labels.
    pub(crate) commitment: Commitment,
    /// Labels at the file's start that another program made.
    pub(crate) adopted: u64,
}

/// What is known of a block: 1 MiB of a label file, or what its end holds of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Labels that it vouches for, from the block's first one on.
    pub labels: u32,
    /// Which of the directory's makers wrote it, counted from 1 on; 0 where that is not known.
    pub maker: u16,
    /// Whether another program made the labels, which were hashed as they were found.
    pub adopted: bool,
    /// BLAKE3 of the labels' bytes.
    pub hash: [u8; 32],
}

/// The flag of adopted labels.
const ADOPTED: u16 = 1;

impl Manifest {
    /// The manifest of label file `number`, if it has one.
    pub(crate) fn open(
        disk: &dyn Disk,
        directory: &Path,
        number: u64,
    ) -> Result<Option<Self>, PlotError> {
        let path = path_of(directory, number);
        let Some(bytes) = disk.length(&path).map_err(PlotError::io("look at", &path))? else {
            return Ok(None);
        };
        let mut header = [0; SLOT_BYTES as usize];
        if bytes >= SLOT_BYTES {
            let file = disk.open(&path, Access::Read).map_err(PlotError::io("open", &path))?;
            file.read_exact_at(&mut header, 0).map_err(PlotError::io("read", &path))?;
        }
        match Header::decode(&header) {
            Ok(header) => Ok(Some(Self { path, header })),
            Err(why) => Err(PlotError::Damaged { path, why }),
        }
    }

    /// Begins the manifest of label file `number`; durable when it returns.
    pub(crate) fn create(
        disk: &dyn Disk,
        directory: &Path,
        number: u64,
        header: Header,
    ) -> Result<Self, PlotError> {
        let path = path_of(directory, number);
        files::replace(disk, &path, &header.encode())?;
        Ok(Self { path, header })
    }

    /// The manifest of label file `number` as it would be with this header: its own is damaged.
    pub(crate) fn beheaded(directory: &Path, number: u64, header: Header) -> Self {
        Self { path: path_of(directory, number), header }
    }

    /// Writes the header anew, in place. Durable when it returns.
    pub(crate) fn mend_header(&self, disk: &dyn Disk) -> Result<(), PlotError> {
        let file = self.open_file(disk, Access::Write)?;
        let written = file.write_all_at(&self.header.encode(), 0).and_then(|()| file.sync());
        written.map_err(PlotError::io("write", &self.path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn header(&self) -> Header {
        self.header
    }

    /// Labels from the file's start on that are known to be on disk: those that were adopted, and
    /// block by block those that a slot vouches for.
    pub(crate) fn confirmed(&self, disk: &dyn Disk) -> Result<u64, PlotError> {
        let mut confirmed = self.header.adopted;
        let mut block = confirmed / BLOCK_LABELS;
        loop {
            let slots = self.slots(disk, block)?;
            if slots.is_empty() {
                return Ok(confirmed);
            }
            for slot in slots {
                let Some(slot) = slot else { return Ok(confirmed) };
                confirmed = confirmed.max(block * BLOCK_LABELS + u64::from(slot.labels));
                if u64::from(slot.labels) < BLOCK_LABELS {
                    return Ok(confirmed);
                }
                block += 1;
            }
        }
    }

    /// The slots of blocks from `block` on, a thousand at most; none past the manifest's end. A
    /// slot that is not whole is `None`.
    pub(crate) fn slots(
        &self,
        disk: &dyn Disk,
        block: u64,
    ) -> Result<Vec<Option<Slot>>, PlotError> {
        let length = disk.length(&self.path).map_err(PlotError::io("look at", &self.path))?;
        let left = length.unwrap_or(0).saturating_sub(offset_of(block)) / SLOT_BYTES;
        let count = left.min(SLOTS_AT_ONCE);
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; usize::try_from(count * SLOT_BYTES).unwrap_or(0)];
        let file = self.open_file(disk, Access::Read)?;
        let read = file.read_exact_at(&mut bytes, offset_of(block));
        read.map_err(PlotError::io("read", &self.path))?;
        let slots = bytes.as_chunks().0.iter().zip(block..);
        Ok(slots.map(|(slot, block)| Slot::decode(slot, block)).collect())
    }

    /// Takes back what was said of the labels from `first` on, which are about to be made again;
    /// `before` are the labels of its block that come before it. Durable when it returns.
    pub(crate) fn cut(
        &mut self,
        disk: &dyn Disk,
        first: u64,
        before: &[u8],
    ) -> Result<(), PlotError> {
        let (header, bytes) = self.head(disk, first, Slot::of(before, 0))?;
        files::replace(disk, &self.path, &bytes)?;
        self.header = header;
        Ok(())
    }

    /// The manifest of the file's first `labels` labels: its header and its bytes. Slots of whole
    /// blocks are as they were; `last` is that of the block which the end cuts through.
    fn head(
        &self,
        disk: &dyn Disk,
        labels: u64,
        last: Option<Slot>,
    ) -> Result<(Header, Vec<u8>), PlotError> {
        let block = labels / BLOCK_LABELS;
        let header = Header { adopted: self.header.adopted.min(labels), ..self.header };
        let length = disk.length(&self.path).map_err(PlotError::io("look at", &self.path))?;
        let kept = usize::try_from(offset_of(block).min(length.unwrap_or(0)));
        let mut bytes = vec![0; kept.unwrap_or(usize::MAX)];
        let file = self.open_file(disk, Access::Read)?;
        file.read_exact_at(&mut bytes, 0).map_err(PlotError::io("read", &self.path))?;
        for (byte, value) in bytes.iter_mut().zip(header.encode()) {
            *byte = value;
        }
        if let Some(slot) = last.filter(|_| bytes.len() as u64 == offset_of(block)) {
            bytes.extend(slot.encode(block));
        }
        Ok((header, bytes))
    }

    /// The bytes of a manifest of the first `labels` labels. `block` are the labels, as far as
    /// they are there, of the block that the end cuts through.
    ///
    /// That block is hashed again. If it was not what its slot says, the new slot has the hash of
    /// the whole block, which no head of it has: what was bad stays known to be bad.
    pub(crate) fn of_head(
        &self,
        disk: &dyn Disk,
        labels: u64,
        block: &[u8],
    ) -> Result<Vec<u8>, PlotError> {
        let rest = labels % BLOCK_LABELS;
        let slot = self.slot(disk, labels / BLOCK_LABELS)?.filter(|_| rest > 0);
        let slot = slot.map(|slot| {
            let bytes = usize::try_from(rest * LABEL).unwrap_or(usize::MAX);
            let cut = block.get(..bytes).filter(|_| u64::from(slot.labels) > rest);
            let head = cut.and_then(|head| Self::cut_slot(slot, head, block));
            head.unwrap_or(slot)
        });
        self.head(disk, labels, slot).map(|(_, bytes)| bytes)
    }

    fn cut_slot(slot: Slot, head: &[u8], block: &[u8]) -> Option<Slot> {
        let Slot { labels, hash, .. } = Slot::of(head, 0)?;
        let hash = if slot.agrees(block) == Some(true) { hash } else { slot.hash };
        Some(Slot { labels, hash, ..slot })
    }

    /// Vouches for labels that were just synced: `first` is the number within the file of the
    /// first of `labels`. Durable when it returns.
    ///
    /// `before` are the labels of the same block that come before them; `maker` made them.
    pub(crate) fn confirm(
        &self,
        disk: &dyn Disk,
        first: u64,
        (before, labels): (&[u8], &[u8]),
        maker: u16,
    ) -> Result<(), PlotError> {
        let file = self.open_file(disk, Access::Write)?;
        let mut bytes = [before, labels].concat();
        let mut block = first / BLOCK_LABELS;
        let block_bytes = usize::try_from(BLOCK_LABELS * LABEL).unwrap_or(usize::MAX);
        while !bytes.is_empty() {
            let rest = bytes.split_off(block_bytes.min(bytes.len()));
            if let Some(slot) = Slot::of(&bytes, maker) {
                self.write(&*file, block, slot)?;
            }
            bytes = rest;
            block += 1;
        }
        file.sync().map_err(PlotError::io("sync", &self.path))
    }

    /// The slot of a block, if there is a whole one.
    pub(crate) fn slot(&self, disk: &dyn Disk, block: u64) -> Result<Option<Slot>, PlotError> {
        let file = self.open_file(disk, Access::Read)?;
        let mut bytes = [0; SLOT_BYTES as usize];
        match file.read_exact_at(&mut bytes, offset_of(block)) {
            Ok(()) => Ok(Slot::decode(&bytes, block)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(PlotError::io("read", &self.path)(error)),
        }
    }

    /// Writes the slots of blocks whose labels are on disk already. Durable when it returns.
    pub(crate) fn set(&self, disk: &dyn Disk, slots: &[(u64, Slot)]) -> Result<(), PlotError> {
        let file = self.open_file(disk, Access::Write)?;
        for (block, slot) in slots {
            self.write(&*file, *block, *slot)?;
        }
        file.sync().map_err(PlotError::io("sync", &self.path))
    }

    /// The bytes in the place of a block's slot, whatever they are; zeros past the end.
    pub(crate) fn raw_slot(
        &self,
        disk: &dyn Disk,
        block: u64,
    ) -> Result<[u8; SLOT_BYTES as usize], PlotError> {
        let file = self.open_file(disk, Access::Read)?;
        let mut bytes = [0; SLOT_BYTES as usize];
        match file.read_exact_at(&mut bytes, offset_of(block)) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(bytes),
            read => read.map(|()| bytes).map_err(PlotError::io("read", &self.path)),
        }
    }

    /// Puts bytes back into the place of a block's slot. Durable when it returns.
    pub(crate) fn put_raw_slot(
        disk: &dyn Disk,
        (directory, number): (&Path, u64),
        block: u64,
        bytes: &[u8],
    ) -> Result<(), PlotError> {
        let path = path_of(directory, number);
        let put = || {
            let file = disk.open(&path, Access::Write)?;
            file.write_all_at(bytes, offset_of(block))?;
            file.sync()
        };
        put().map_err(PlotError::io("write", &path))
    }

    fn write(&self, file: &dyn DiskFile, block: u64, slot: Slot) -> Result<(), PlotError> {
        let written = file.write_all_at(&slot.encode(block), offset_of(block));
        written.map_err(PlotError::io("write", &self.path))
    }

    fn open_file(&self, disk: &dyn Disk, access: Access) -> Result<Box<dyn DiskFile>, PlotError> {
        disk.open(&self.path, access).map_err(PlotError::io("open", &self.path))
    }
}

pub(crate) fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("postmesh_{number}.manifest"))
}

/// One past the last label of the block that holds `label`, in a file that begins with `first`.
pub(crate) fn end_of_block(first: u64, label: u64) -> u64 {
    let block = label.saturating_sub(first) / BLOCK_LABELS;
    first.saturating_add((block + 1).saturating_mul(BLOCK_LABELS))
}

fn offset_of(block: u64) -> u64 {
    (block + 1) * SLOT_BYTES
}

/// The first bytes of BLAKE3 over a number and bytes.
fn check(number: u64, bytes: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number.to_le_bytes()).update(bytes);
    let mut check = [0; 8];
    hasher.finalize_xof().fill(&mut check);
    check
}

/// 56 bytes sealed with their check.
fn seal(number: u64, parts: &[&[u8]]) -> [u8; SLOT_BYTES as usize] {
    let mut sealed = [0; SLOT_BYTES as usize];
    for (byte, value) in sealed.iter_mut().zip(parts.concat()) {
        *byte = value;
    }
    let [body @ .., _, _, _, _, _, _, _, _] = &sealed;
    let check = check(number, body);
    for (byte, value) in sealed.iter_mut().rev().zip(check.into_iter().rev()) {
        *byte = value;
    }
    sealed
}

/// The number that a header is sealed under: no block has it.
const HEADER: u64 = u64::MAX;

impl Header {
    fn encode(self) -> [u8; SLOT_BYTES as usize] {
        let (version, n) = (VERSION.to_le_bytes(), self.scrypt_n.get().to_le_bytes());
        seal(HEADER, &[&MAGIC, &version, &n, &self.commitment.0, &self.adopted.to_le_bytes()])
    }

    fn decode(bytes: &[u8; SLOT_BYTES as usize]) -> Result<Self, BadMetadata> {
        let damaged = BadMetadata::Field { field: "header", expected: "whole" };
        let (magic, rest) = bytes.split_first_chunk::<8>().ok_or(damaged.clone())?;
        let (version, rest) = rest.split_first_chunk::<4>().ok_or(damaged.clone())?;
        let (n, rest) = rest.split_first_chunk::<4>().ok_or(damaged.clone())?;
        let (commitment, rest) = rest.split_first_chunk::<32>().ok_or(damaged.clone())?;
        let (adopted, _) = rest.split_first_chunk::<8>().ok_or(damaged.clone())?;
        let version = u32::from_le_bytes(*version);
        if *magic == MAGIC && version > VERSION {
            return Err(BadMetadata::Version { found: version.into() });
        }
        let scrypt_n = ScryptN::new(u32::from_le_bytes(*n)).map_err(|_| damaged.clone())?;
        let commitment = Commitment(*commitment);
        let header = Self { scrypt_n, commitment, adopted: u64::from_le_bytes(*adopted) };
        if header.encode() == *bytes { Ok(header) } else { Err(damaged) }
    }
}

impl Slot {
    /// The slot of a block that begins with these labels; none for none.
    pub(crate) fn of(labels: &[u8], maker: u16) -> Option<Self> {
        let count = u32::try_from(labels.len() as u64 / LABEL).ok()?;
        let hash = || blake3::hash(labels).into();
        (count > 0).then(|| Self { labels: count, maker, adopted: false, hash: hash() })
    }

    /// The slot of a block with these labels, which another program made.
    #[must_use]
    pub fn adopted(labels: &[u8]) -> Option<Self> {
        Self::of(labels, 0).map(|slot| Self { adopted: true, ..slot })
    }

    /// Whether the block that begins with these bytes is as it was when the slot was written;
    /// `None` where there are fewer labels than it vouches for.
    #[must_use]
    pub fn agrees(&self, bytes: &[u8]) -> Option<bool> {
        let count = usize::try_from(u64::from(self.labels) * LABEL).ok()?;
        bytes.get(..count).map(|labels| *blake3::hash(labels).as_bytes() == self.hash)
    }

    fn encode(self, block: u64) -> [u8; SLOT_BYTES as usize] {
        let flags = if self.adopted { ADOPTED } else { 0 };
        let [labels, maker, flags]: [&[u8]; 3] =
            [&self.labels.to_le_bytes(), &self.maker.to_le_bytes(), &flags.to_le_bytes()];
        seal(block, &[labels, maker, flags, &[0; 16], &self.hash])
    }

    fn decode(bytes: &[u8; SLOT_BYTES as usize], block: u64) -> Option<Self> {
        let (labels, rest) = bytes.split_first_chunk::<4>()?;
        let (maker, rest) = rest.split_first_chunk::<2>()?;
        let (flags, rest) = rest.split_first_chunk::<2>()?;
        let (_, rest) = rest.split_first_chunk::<16>()?;
        let (hash, _) = rest.split_first_chunk::<32>()?;
        let slot = Self {
            labels: u32::from_le_bytes(*labels),
            maker: u16::from_le_bytes(*maker),
            adopted: u16::from_le_bytes(*flags) == ADOPTED,
            hash: *hash,
        };
        let fits = u64::from(slot.labels) <= BLOCK_LABELS && slot.labels > 0;
        (fits && slot.encode(block) == *bytes).then_some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::System;
    use std::fs;

    fn header(adopted: u64) -> Header {
        let scrypt_n = ScryptN::new(2).unwrap();
        Header { scrypt_n, commitment: Commitment([7; 32]), adopted }
    }

    #[test]
    fn labels_are_confirmed_block_by_block() {
        let root = tempfile::tempdir().unwrap();
        let manifest = Manifest::create(&System, root.path(), 3, header(0)).unwrap();
        assert_eq!(manifest.confirmed(&System).unwrap(), 0);
        let block = vec![5; (BLOCK_LABELS * LABEL) as usize];
        manifest.confirm(&System, 0, (&[], &block[..160]), 0).unwrap();
        assert_eq!(manifest.confirmed(&System).unwrap(), 10);
        // The rest of the block and some of the next.
        let more = [&block[160..], &block[..320]].concat();
        manifest.confirm(&System, 10, (&block[..160], &more), 3).unwrap();
        assert_eq!(manifest.confirmed(&System).unwrap(), BLOCK_LABELS + 20);
        let slot = manifest.slot(&System, 0).unwrap().unwrap();
        assert_eq!((u64::from(slot.labels), slot.maker, slot.adopted), (BLOCK_LABELS, 3, false));
        assert_eq!((slot.agrees(&block), slot.agrees(&block[16..])), (Some(true), None));
        assert_eq!(manifest.slot(&System, 2).unwrap(), None);
        let hash = |block, labels| {
            let slot = manifest.slot(&System, block).unwrap();
            slot.filter(|slot| u64::from(slot.labels) == labels).map(|slot| slot.hash)
        };
        assert_eq!(hash(0, BLOCK_LABELS), Some(blake3::hash(&block).into()));
        assert_eq!(hash(1, 20), Some(blake3::hash(&block[..320]).into()));
        assert_eq!([hash(0, 10), hash(1, 19), hash(1, 21), hash(2, 1)], [None; 4]);
        let opened = Manifest::open(&System, root.path(), 3).unwrap().unwrap();
        assert_eq!(opened, manifest);
        assert_eq!(opened.header(), header(0));
        assert_eq!(Manifest::open(&System, root.path(), 4).unwrap(), None);
    }

    #[test]
    fn adopted_labels_count_without_a_slot() {
        let root = tempfile::tempdir().unwrap();
        let adopted = BLOCK_LABELS + 7;
        let manifest = Manifest::create(&System, root.path(), 0, header(adopted)).unwrap();
        assert_eq!(manifest.confirmed(&System).unwrap(), adopted);
        manifest.confirm(&System, adopted, (&[1; 7 * 16], &[2; 32]), 0).unwrap();
        assert_eq!(manifest.confirmed(&System).unwrap(), adopted + 2);
    }

    #[test]
    fn what_is_taken_back_is_not_confirmed() {
        let root = tempfile::tempdir().unwrap();
        let mut manifest = Manifest::create(&System, root.path(), 0, header(0)).unwrap();
        let labels = vec![5; (2 * BLOCK_LABELS * LABEL) as usize + 160];
        manifest.confirm(&System, 0, (&[], &labels), 0).unwrap();
        assert_eq!(manifest.confirmed(&System).unwrap(), 2 * BLOCK_LABELS + 10);
        manifest.cut(&System, BLOCK_LABELS + 3, &labels[..48]).unwrap();
        assert_eq!(manifest.confirmed(&System).unwrap(), BLOCK_LABELS + 3);
        manifest.cut(&System, BLOCK_LABELS, &[]).unwrap();
        assert_eq!(manifest.confirmed(&System).unwrap(), BLOCK_LABELS);
        let mut adopted = Manifest::create(&System, root.path(), 1, header(100)).unwrap();
        adopted.cut(&System, 7, &labels[..7 * 16]).unwrap();
        assert_eq!(adopted.confirmed(&System).unwrap(), 7);
    }

    #[test]
    fn a_head_keeps_whole_blocks_and_hashes_the_last_one_again() {
        let root = tempfile::tempdir().unwrap();
        let manifest = Manifest::create(&System, root.path(), 0, header(5)).unwrap();
        let labels: Vec<u8> =
            (0..(2 * BLOCK_LABELS + 50) * LABEL).map(|at| (at / 16 % 251) as u8).collect();
        manifest.confirm(&System, 0, (&[], &labels), 3).unwrap();
        let block_bytes = (BLOCK_LABELS * LABEL) as usize;
        let slots: Vec<Slot> =
            (0..3).map(|b| manifest.slot(&System, b).unwrap().unwrap()).collect();
        // In the second block, of which the disk gives what it was written, or not.
        for (turned, good) in [(0, true), (1, false)] {
            let mut block = labels[block_bytes..2 * block_bytes].to_vec();
            block[block_bytes - 1] ^= turned;
            let head = manifest.of_head(&System, BLOCK_LABELS + 7, &block).unwrap();
            fs::write(path_of(root.path(), 1), head).unwrap();
            let head = Manifest::open(&System, root.path(), 1).unwrap().unwrap();
            assert_eq!(head.header(), header(5));
            assert_eq!(head.confirmed(&System).unwrap(), BLOCK_LABELS + 7);
            assert_eq!(head.slot(&System, 0).unwrap(), Some(slots[0]));
            let last = head.slot(&System, 1).unwrap().unwrap();
            assert_eq!((last.labels, last.maker), (7, 3));
            assert_eq!(last.agrees(&block), Some(good));
            assert_eq!(head.slot(&System, 2).unwrap(), None);
        }
        // At the end of a block, and before the adopted labels end.
        for (count, adopted) in [(2 * BLOCK_LABELS, 5), (3, 3)] {
            let head = manifest.of_head(&System, count, &labels[..block_bytes]).unwrap();
            fs::write(path_of(root.path(), 1), head).unwrap();
            let head = Manifest::open(&System, root.path(), 1).unwrap().unwrap();
            assert_eq!(head.header(), header(adopted));
            assert_eq!(head.confirmed(&System).unwrap(), count);
        }
    }

    #[test]
    fn a_torn_slot_vouches_for_nothing_and_a_damaged_header_is_named() {
        let root = tempfile::tempdir().unwrap();
        let manifest = Manifest::create(&System, root.path(), 0, header(0)).unwrap();
        manifest.confirm(&System, 0, (&[], &[1; 32]), 0).unwrap();
        let whole = fs::read(&manifest.path).unwrap();
        for at in 64..128 {
            let mut torn = whole.clone();
            torn[at] ^= 1;
            fs::write(&manifest.path, &torn).unwrap();
            assert_eq!(manifest.confirmed(&System).unwrap(), 0, "byte {at}");
        }
        for at in 0..64 {
            let mut torn = whole.clone();
            torn[at] ^= 1;
            fs::write(&manifest.path, &torn).unwrap();
            let opened = Manifest::open(&System, root.path(), 0);
            assert!(matches!(opened, Err(PlotError::Damaged { .. })), "byte {at}");
        }
        fs::write(&manifest.path, b"").unwrap();
        assert!(Manifest::open(&System, root.path(), 0).is_err());
    }

    #[test]
    fn a_slot_of_another_block_is_no_slot() {
        let slot = Slot { labels: 3, maker: 7, adopted: true, hash: [9; 32] };
        assert_eq!(Slot::decode(&slot.encode(1), 1), Some(slot));
        assert_eq!(Slot::decode(&slot.encode(1), 2), None);
        let none = Slot { labels: 0, ..slot };
        assert_eq!(Slot::decode(&none.encode(1), 1), None);
    }
}
