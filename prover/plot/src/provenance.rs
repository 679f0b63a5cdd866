//! Where labels come from: made here or by another program, by what, and whether their hashes are
//! written down.

use crate::error::PlotError;
use crate::manifest::BLOCK_LABELS;
use crate::numbers::FileNumbers;
use crate::set::DataSet;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the labels of a data set come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Labels that were made here, and are vouched for.
    pub made: u64,
    /// Labels of another program that were hashed as they were found.
    pub hashed: u64,
    /// Labels of another program, or of ours where a slot is damaged, without a hash.
    pub unhashed: u64,
    /// What made labels or repaired some, in which directory, and the files that it last wrote in.
    pub makers: Vec<(PathBuf, String, FileNumbers)>,
    /// How many of a million labels the last check made again, in the directory where it was the
    /// fewest; `None` where one has none that passed.
    pub checked_ppm: Option<u32>,
}

impl DataSet {
    /// Where its labels come from. Reads every manifest.
    ///
    /// # Errors
    /// The system's.
    pub fn provenance(&self) -> Result<Provenance, PlotError> {
        let mut all = Provenance::default();
        for (path, files) in self.shares() {
            let mut makers: BTreeMap<u16, FileNumbers> = BTreeMap::new();
            for file in files.iter().filter(|file| *file < self.layout().files()) {
                self.add_file(file, &mut all, &mut makers)?;
            }
            for (maker, files) in makers {
                let names = self.makers_of(path);
                let at = usize::from(maker).checked_sub(1);
                let name = at.and_then(|at| names.get(at).cloned());
                let name = name.unwrap_or_else(|| "not recorded".to_owned());
                all.makers.push((path.to_path_buf(), name, files));
            }
        }
        let checked = self.sidecars().map(|(_, own)| own.and_then(|own| own.checked_ppm));
        all.checked_ppm = checked.min().flatten();
        Ok(all)
    }

    fn makers_of(&self, path: &Path) -> &[String] {
        let own = self.sidecars().find(|(own, _)| *own == path).and_then(|(_, own)| own);
        own.map_or(&[], |own| &own.makers)
    }

    fn add_file(
        &self,
        file: u64,
        all: &mut Provenance,
        makers: &mut BTreeMap<u16, FileNumbers>,
    ) -> Result<(), PlotError> {
        let mut record = self.record(file)?;
        let present = record.state.present();
        for labels in self.by_block(present.clone()) {
            let slot = record.slot((labels.start - present.start) / BLOCK_LABELS)?;
            let count = labels.end - labels.start;
            match slot {
                None => all.unhashed += count,
                Some(slot) if slot.adopted => all.hashed += count,
                Some(_) => all.made += count,
            }
            // What nobody made here has no maker.
            if let Some(slot) = slot.filter(|slot| !slot.adopted || slot.maker > 0) {
                makers.entry(slot.maker).or_default().insert(file);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metadata, Slot};
    use post::{AtxId, NodeId, ScryptN};

    #[test]
    fn it_tells_what_was_made_here_and_what_was_adopted() {
        let root = tempfile::tempdir().unwrap();
        let metadata = Metadata::new(NodeId([1; 32]), AtxId([2; 32]), 30, 1, 10 * 16);
        let mut set = DataSet::create(root.path(), metadata, ScryptN::new(2).unwrap()).unwrap();
        set.set_maker("first").unwrap();
        set.append(0, &[1; 160]).unwrap();
        set.append(10, &[1; 80]).unwrap();
        set.set_maker("second").unwrap();
        set.append(15, &[1; 80]).unwrap();
        // The reference's file: no manifest.
        std::fs::write(root.path().join("postdata_2.bin"), [3; 160]).unwrap();
        let mut expected = Provenance {
            made: 20,
            hashed: 0,
            unhashed: 10,
            makers: vec![
                (root.path().into(), "first".into(), [0].into_iter().collect()),
                (root.path().into(), "second".into(), [1].into_iter().collect()),
            ],
            checked_ppm: None,
        };
        assert_eq!(set.provenance().unwrap(), expected);
        set.vouch(2, &[(0, Slot::adopted(&[3; 160]).unwrap())]).unwrap();
        (expected.hashed, expected.unhashed) = (10, 0);
        assert_eq!(set.provenance().unwrap(), expected);
        for (ppm, kept) in [(Some(7), Some(7)), (Some(3), Some(7)), (None, None)] {
            set.set_checked(ppm).unwrap();
            assert_eq!(set.provenance().unwrap().checked_ppm, kept);
        }
    }
}
