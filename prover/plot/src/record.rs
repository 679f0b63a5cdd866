//! What is written down of a label file, as far as it is whole.
//!
//! For whoever looks at damage: `init` and `prove` stop where a manifest is damaged, `check` and
//! `repair` go on. A slot that is not whole hides nothing of the blocks after it here: their slots
//! were written when the labels before them were safe.

use crate::directory::{Directory, FileState};
use crate::disk::Disk;
use crate::error::PlotError;
use crate::manifest::{BLOCK_LABELS, Header, Manifest, Slot};
use crate::metadata::BadMetadata;
use crate::set::DataSet;
use std::sync::Arc;

/// What is written down of one label file.
#[derive(Debug)]
pub struct Record {
    /// The file; its labels count as there as far as a whole slot speaks of them.
    pub state: FileState,
    /// Labels at its start that another program made.
    pub adopted: u64,
    /// Why its manifest cannot be used as it is.
    pub fault: Option<PlotError>,
    disk: Arc<dyn Disk>,
    pub(crate) manifest: Option<Manifest>,
    /// Slots that were read, from this block on.
    window: (u64, Vec<Option<Slot>>),
}

impl DataSet {
    /// What is written down of label file `file`.
    ///
    /// # Errors
    /// The system's, when the file cannot be looked at; [`PlotError::Damaged`] where a newer
    /// version wrote its manifest.
    pub fn record(&self, file: u64) -> Result<Record, PlotError> {
        let (home, disk) = (self.home(file)?, Arc::clone(&self.disk));
        let path = home.label_file(file);
        let found = disk.length(&path).map_err(PlotError::io("look at", &path))?;
        let labels = self.layout().labels_of(file);
        let state = FileState { path, labels, found, confirmed: None };
        let whole = state.present().end - state.labels.start;
        let window = (0, Vec::new());
        let mut record =
            Record { state, adopted: whole, fault: None, disk, manifest: None, window };
        match home.manifest(file) {
            Ok(None) => {}
            Ok(Some(manifest)) => {
                record.adopted = manifest.header().adopted;
                record.manifest = Some(manifest);
            }
            Err(newer @ PlotError::Damaged { why: BadMetadata::Version { .. }, .. }) => {
                return Err(newer);
            }
            Err(fault @ PlotError::Damaged { .. }) => {
                record.fault = Some(fault);
                record.manifest = record.without_header(home, file, whole)?;
                record.adopted = record.manifest.as_ref().map_or(whole, |own| own.header().adopted);
            }
            Err(fault) => record.fault = Some(fault),
        }
        if record.manifest.is_some() {
            let confirmed = record.spoken_for()?.max(record.adopted);
            record.state.confirmed = Some(confirmed);
        }
        Ok(record)
    }
}

impl Record {
    /// What is known of a block, counted from the file's start; `None` where nothing is, and where
    /// its slot is not whole.
    ///
    /// # Errors
    /// The system's.
    pub fn slot(&mut self, block: u64) -> Result<Option<Slot>, PlotError> {
        let Some(manifest) = &self.manifest else { return Ok(None) };
        let (first, slots) = &self.window;
        if !(*first..first + slots.len() as u64).contains(&block) {
            self.window = (block, manifest.slots(&*self.disk, block)?);
        }
        let (first, slots) = &self.window;
        let at = usize::try_from(block.saturating_sub(*first)).unwrap_or(usize::MAX);
        Ok(slots.get(at).copied().flatten())
    }

    /// Whether there are bytes in the place of a block's slot that are none: a slot is damaged,
    /// where others were never written.
    ///
    /// # Errors
    /// The system's.
    pub fn is_torn(&mut self, block: u64) -> Result<bool, PlotError> {
        if self.slot(block)?.is_some() {
            return Ok(false);
        }
        let Some(manifest) = &self.manifest else { return Ok(false) };
        Ok(manifest.raw_slot(&*self.disk, block)?.iter().any(|byte| *byte != 0))
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Whether another program made the labels of a block, some of them at least.
    #[must_use]
    pub fn is_adopted(&self, block: u64) -> bool {
        block.saturating_mul(BLOCK_LABELS) < self.adopted
    }

    /// Labels from the file's start to the end of what the last whole slot speaks of.
    fn spoken_for(&self) -> Result<u64, PlotError> {
        let Some(manifest) = &self.manifest else { return Ok(0) };
        let (mut block, mut labels) = (0, 0);
        loop {
            let slots = manifest.slots(&*self.disk, block)?;
            if slots.is_empty() {
                return Ok(labels);
            }
            for slot in slots {
                let end = slot.map(|slot| block * BLOCK_LABELS + u64::from(slot.labels));
                labels = end.unwrap_or(labels);
                block += 1;
            }
        }
    }

    /// A manifest whose header is damaged, with the header that it must have had: all labels before
    /// the first whole slot were adopted, since none was there without one.
    fn without_header(
        &self,
        home: &Directory,
        file: u64,
        whole: u64,
    ) -> Result<Option<Manifest>, PlotError> {
        let Some(scrypt_n) = home.sidecar.as_ref().map(|own| own.scrypt_n) else {
            return Ok(None);
        };
        let header = Header { scrypt_n, commitment: home.metadata.commitment(), adopted: whole };
        let mut manifest = Manifest::beheaded(&home.path, file, header);
        let mut block = 0;
        loop {
            let slots = manifest.slots(&*self.disk, block)?;
            if slots.is_empty() {
                return Ok(Some(manifest));
            }
            if let Some(first) = slots.iter().position(Option::is_some) {
                let adopted = (block + first as u64) * BLOCK_LABELS;
                let header = Header { adopted: adopted.min(whole), ..header };
                manifest = Manifest::beheaded(&home.path, file, header);
                return Ok(Some(manifest));
            }
            block += slots.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests;
