//! `postmesh_rates.json`: how fast this machine reads these labels and computes on them, as it was
//! measured, and when. Forecasts of proofs are made from it.
//!
//! It only saves measuring again: a file that is damaged, or that another machine wrote, counts as
//! none. Rates are those of working time, all threads and devices of a way together; what rests
//! (`--duty`) take off is reckoned by whoever asks.

use crate::disk::Disk;
use crate::error::PlotError;
use crate::files;
use serde::{Deserialize, Serialize};
use std::path::Path;

pub(crate) const FILE_NAME: &str = "postmesh_rates.json";
const VERSION: u32 = 1;
/// Ways of working that are remembered; the one that was measured longest ago gives way.
const WAYS_MAX: usize = 8;
/// Passes that are remembered of each.
const PASSES_MAX: usize = 8;
/// Numbers of nonces whose scan is remembered of each.
const SCANS_MAX: usize = 16;

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    version: u32,
    /// What measured it, in words: rates of another machine are of no use.
    machine: String,
    /// Bytes a second that the disks give to plain sequential reads of the labels, all together.
    disk: Option<Rate>,
    /// The ways of working that were measured.
    ways: Vec<Way>,
}

/// A rate, and when it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Units a second.
    pub rate: f64,
    /// Seconds since 1970.
    pub at: u64,
}

/// A way of working: so many threads, and these devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Way {
    /// Threads of the CPU.
    pub threads: usize,
    /// What scans, in words.
    pub devices: String,
    /// RandomX with its dataset, and without.
    fast: Option<Hashing>,
    light: Option<Hashing>,
    /// Scans of labels in memory, one for each number of nonces.
    scans: Vec<Scan>,
    /// Passes of real proofs, the oldest first.
    passes: Vec<Pass>,
}

/// How RandomX runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hashing {
    /// Hashes a second.
    pub hashes: f64,
    /// Seconds until it is ready.
    pub setup: f64,
    /// Seconds since 1970.
    pub at: u64,
}

/// A scan of labels in memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// Nonces of a pass.
    pub nonces: u32,
    /// Bytes a second.
    pub bytes: f64,
    /// Seconds since 1970.
    pub at: u64,
}

/// A pass over the data: reading and scanning together, rests included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pass {
    /// Nonces of the pass.
    pub nonces: u32,
    /// Percent of the time that the threads worked.
    pub percent: u8,
    /// Bytes a second.
    pub bytes: f64,
    /// Seconds since 1970.
    pub at: u64,
}

impl Measured {
    /// Nothing yet, by this machine.
    #[must_use]
    pub fn new(machine: &str) -> Self {
        Self { version: VERSION, machine: machine.to_owned(), disk: None, ways: vec![] }
    }

    /// What this machine measured; nothing where there is no file, or none of its own.
    pub(crate) fn load(disk: &dyn Disk, directory: &Path, machine: &str) -> Self {
        let bytes = files::read_small(disk, &directory.join(FILE_NAME)).ok().flatten();
        let known = bytes.and_then(|bytes| Self::decode(&bytes));
        known.filter(|known| known.machine == machine).unwrap_or_else(|| Self::new(machine))
    }

    pub(crate) fn save(&self, disk: &dyn Disk, directory: &Path) -> Result<(), PlotError> {
        // Texts and finite numbers always serialise.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        files::replace(disk, &directory.join(FILE_NAME), &bytes)
    }

    /// What the bytes of a file say; `None` where they are none of this version, or say what
    /// nothing can be computed with.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut known: Self = serde_json::from_slice(bytes).ok()?;
        let sound = known.version == VERSION
            && known.disk.is_none_or(|disk| is_rate(disk.rate))
            && known.ways.iter().all(Way::is_sound);
        known.ways.truncate(WAYS_MAX);
        sound.then_some(known)
    }

    /// Bytes a second of plain sequential reads.
    #[must_use]
    pub fn disk(&self) -> Option<Rate> {
        self.disk
    }

    /// Writes down what the disks give.
    pub fn set_disk(&mut self, disk: Rate) {
        if is_rate(disk.rate) {
            self.disk = Some(disk);
        }
    }

    /// What is known of a way of working.
    #[must_use]
    pub fn way(&self, threads: usize, devices: &str) -> Option<&Way> {
        self.ways.iter().find(|way| way.is(threads, devices))
    }

    /// The same, to write something down.
    pub fn way_mut(&mut self, threads: usize, devices: &str) -> &mut Way {
        let known = self.ways.iter().position(|way| way.is(threads, devices));
        let way = known.map(|at| self.ways.remove(at));
        if self.ways.len() >= WAYS_MAX {
            let oldest = self.ways.iter().enumerate().min_by_key(|(_, way)| way.last());
            let oldest = oldest.map_or(0, |(at, _)| at);
            self.ways.remove(oldest);
        }
        self.ways.push_mut(way.unwrap_or_else(|| Way::new(threads, devices)))
    }
}

impl Way {
    fn new(threads: usize, devices: &str) -> Self {
        let (scans, passes) = (vec![], vec![]);
        Self { threads, devices: devices.to_owned(), fast: None, light: None, scans, passes }
    }

    fn is(&self, threads: usize, devices: &str) -> bool {
        self.threads == threads && self.devices == devices
    }

    fn is_sound(&self) -> bool {
        let hashing = [self.fast, self.light].into_iter().flatten();
        let nonces = |nonces: u32| (1..=post::Nonce::END).contains(&nonces);
        let percent = |percent: u8| (1..=100).contains(&percent);
        hashing.into_iter().all(|it| it.is_sound())
            && self.scans.len() <= SCANS_MAX
            && self.scans.iter().all(|scan| is_rate(scan.bytes) && nonces(scan.nonces))
            && self.passes.len() <= PASSES_MAX
            && self
                .passes
                .iter()
                .all(|pass| is_rate(pass.bytes) && nonces(pass.nonces) && percent(pass.percent))
    }

    /// When it was measured last.
    fn last(&self) -> u64 {
        let hashing = [self.fast, self.light].into_iter().flatten().map(|it| it.at);
        let scans = self.scans.iter().map(|scan| scan.at);
        let passes = self.passes.iter().map(|pass| pass.at);
        hashing.chain(scans).chain(passes).max().unwrap_or(0)
    }

    /// RandomX as it ran last, with its dataset or without.
    #[must_use]
    pub fn hashing(&self) -> Option<Hashing> {
        [self.light, self.fast].into_iter().flatten().max_by_key(|it| it.at)
    }

    /// Writes down how RandomX ran: with its dataset (`fast`) or without.
    pub fn set_hashing(&mut self, fast: bool, hashing: Hashing) {
        if hashing.is_sound() {
            *(if fast { &mut self.fast } else { &mut self.light }) = Some(hashing);
        }
    }

    /// Scans of labels in memory, each for another number of nonces.
    #[must_use]
    pub fn scans(&self) -> &[Scan] {
        &self.scans
    }

    /// Writes down a scan, in place of an earlier one for as many nonces.
    pub fn set_scan(&mut self, scan: Scan) {
        if is_rate(scan.bytes) {
            self.scans.retain(|earlier| earlier.nonces != scan.nonces);
            self.scans.push(scan);
            let surplus = self.scans.len().saturating_sub(SCANS_MAX);
            self.scans.drain(..surplus);
        }
    }

    /// The last passes of real proofs, the oldest first.
    #[must_use]
    pub fn passes(&self) -> &[Pass] {
        &self.passes
    }

    /// Writes down a pass.
    pub fn add_pass(&mut self, pass: Pass) {
        if is_rate(pass.bytes) {
            self.passes.push(pass);
            let surplus = self.passes.len().saturating_sub(PASSES_MAX);
            self.passes.drain(..surplus);
        }
    }
}

impl Hashing {
    fn is_sound(&self) -> bool {
        is_rate(self.hashes) && self.setup.is_finite() && self.setup >= 0.0
    }
}

fn is_rate(rate: f64) -> bool {
    rate.is_finite() && rate > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::System;
    use crate::simulated::Simulated;
    use proptest::prelude::*;
    use std::fs;

    fn full() -> Measured {
        let mut measured = Measured::new("a machine");
        measured.set_disk(Rate { rate: 1.5e8, at: 7 });
        let way = measured.way_mut(4, "cpu");
        way.set_hashing(false, Hashing { hashes: 80.0, setup: 0.5, at: 8 });
        way.set_scan(Scan { nonces: 64, bytes: 1e9, at: 9 });
        way.add_pass(Pass { nonces: 128, percent: 50, bytes: 1e8, at: 10 });
        measured
    }

    #[test]
    fn it_is_read_as_written_by_the_same_machine_only() {
        let root = tempfile::tempdir().unwrap();
        let load = |machine| Measured::load(&System, root.path(), machine);
        assert_eq!(load("a machine"), Measured::new("a machine"));
        full().save(&System, root.path()).unwrap();
        assert_eq!(load("a machine"), full());
        assert_eq!(load("another"), Measured::new("another"));
        for bytes in [&b""[..], b"{}", b"7", &[0xff; 99]] {
            fs::write(root.path().join(FILE_NAME), bytes).unwrap();
            assert_eq!(load("a machine"), Measured::new("a machine"));
        }
    }

    #[test]
    fn what_nothing_can_be_computed_with_is_not_believed() {
        let text = String::from_utf8(serde_json::to_vec(&full()).unwrap()).unwrap();
        assert!(Measured::decode(text.as_bytes()).is_some());
        for (good, bad) in [
            ("150000000.0", "0.0"),
            ("150000000.0", "-1.0"),
            ("\"version\":1", "\"version\":2"),
            ("\"percent\":50", "\"percent\":0"),
            ("\"nonces\":64", "\"nonces\":0"),
            ("\"hashes\":80.0", "\"hashes\":null"),
        ] {
            assert!(text.contains(good), "{text}");
            assert_eq!(Measured::decode(text.replace(good, bad).as_bytes()), None, "{bad}");
        }
        let mut measured = full();
        measured.set_disk(Rate { rate: f64::NAN, at: 99 });
        let way = measured.way_mut(4, "cpu");
        way.set_scan(Scan { nonces: 64, bytes: f64::INFINITY, at: 99 });
        way.add_pass(Pass { nonces: 64, percent: 100, bytes: 0.0, at: 99 });
        way.set_hashing(true, Hashing { hashes: 1.0, setup: f64::NAN, at: 99 });
        assert_eq!(measured, full());
    }

    #[test]
    fn what_was_measured_last_stays() {
        let mut measured = full();
        for at in 0..40_u16 {
            let way = measured.way_mut(4, "cpu");
            way.add_pass(Pass { nonces: 128, percent: 100, bytes: 1.0 + f64::from(at), at: 100 });
            way.set_scan(Scan { nonces: 16 + u32::from(at == 39), bytes: 1.0, at: 100 });
            let threads = 5 + usize::from(at);
            measured
                .way_mut(threads, "cpu")
                .set_hashing(true, Hashing { hashes: 1.0, setup: 0.0, at: 11 + u64::from(at) });
        }
        assert_eq!(measured.ways.len(), WAYS_MAX);
        let way = measured.way(4, "cpu").unwrap();
        assert_eq!((way.passes.len(), way.passes[0].bytes), (PASSES_MAX, 33.0));
        assert_eq!(way.scans.iter().map(|scan| scan.nonces).collect::<Vec<_>>(), [64, 16, 17]);
        assert!(measured.way(5, "cpu").is_none() && measured.way(44, "cpu").is_some());
        assert!(measured.way(44, "gpu").is_none());
        let mut both = Way::new(1, "cpu");
        both.set_hashing(true, Hashing { hashes: 9.0, setup: 60.0, at: 1 });
        both.set_hashing(false, Hashing { hashes: 2.0, setup: 1.0, at: 2 });
        assert_eq!(both.hashing().unwrap().hashes, 2.0);
    }

    #[test]
    fn a_power_cut_leaves_the_old_or_the_new() {
        let root = Path::new("/data");
        let (old, mut new) = (full(), full());
        new.set_disk(Rate { rate: 9.0, at: 99 });
        let began = |cut| {
            let disk = Simulated::default();
            old.save(&disk, root).unwrap();
            disk.cut_after(cut);
            (new.save(&disk, root).is_ok(), disk)
        };
        let operations = (0..).find(|cut| began(*cut).0).unwrap();
        for cut in 0..=operations {
            let (saved, disk) = began(cut);
            for seed in 0..32 {
                let left = Measured::load(&disk.reboot(seed), root, "a machine");
                assert!(left == new || left == old && !saved, "cut {cut}, seed {seed}: {left:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = Measured::decode(&bytes);
        }
    }
}
