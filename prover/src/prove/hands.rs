//! Who scans: the CPU's threads, other devices, or both.
//!
//! Where the user leaves the choice to us, it is made by measuring all of them on the data at hand:
//! a device that scans no faster than the CPU thread that feeds it is left alone. Whatever scans,
//! the proof is the same: a device is looked at while it works, and where it errs or breaks, its
//! place is taken by the CPU.

use super::Worker;
use super::data::Data;
use cpu::Scan;
use plot::{Piece, Stream};
use post::search::{GroupCipher, GroupKeys, Hit, ScanFault, Scanner, Threshold};
use post::{LABEL_BYTES, LabelIndex, NonceGroup};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a device is tried.
const TRIAL: Duration = Duration::from_millis(200);
/// One of the slices of a trial, of which the fastest counts.
const TRIAL_SLICE: Duration = Duration::from_millis(10);
/// Pieces that devices are tried on.
const TRIAL_PIECES: usize = 4;
/// Of so many labels one is scanned by the CPU too.
const LOOKED_AT: usize = 512;

/// A device for the keys of a pass. Whether it works shows when it is first asked.
type Open = dyn Fn(&[GroupKeys], Threshold) -> Worker + Send + Sync;

/// A device beside the CPU that can scan.
pub(crate) struct Device {
    /// What people call it.
    pub(crate) name: String,
    pub(crate) open: Box<Open>,
}

/// Is told that a device is opened, or why it is not used any more.
pub(crate) type Watch = dyn Fn(&str, Option<&str>) + Send + Sync;

/// What may scan.
#[derive(Default)]
pub(crate) struct Hands {
    /// Whether the CPU's threads do, or only stand in for what breaks.
    pub(crate) cpu: bool,
    pub(crate) devices: Vec<Device>,
    /// Devices are asked only for a scan that takes the CPU longer than so many seconds, and must
    /// first show that they help; `None`: they scan in any case.
    pub(crate) measure: Option<f64>,
    /// Who looks on.
    pub(crate) watch: Option<Arc<Watch>>,
}

impl Hands {
    /// The CPU alone.
    #[cfg(test)]
    pub(crate) const CPU: Self =
        Self { cpu: true, devices: Vec::new(), measure: None, watch: None };

    /// What the CPU scans in so many seconds is not worth waking a GPU for.
    pub(crate) const WORTH: f64 = 10.0;

    /// What may scan, in words.
    pub(crate) fn name(&self) -> String {
        let devices = self.devices.iter().map(|device| device.name.as_str());
        let all: Vec<&str> = self.cpu.then_some("cpu").into_iter().chain(devices).collect();
        all.join(" + ")
    }

    /// The workers of a pass: at least one, if anything may scan.
    pub(super) fn hire(
        &self,
        threads: NonZeroUsize,
        data: &Data,
        keys: &[GroupKeys],
        threshold: Threshold,
    ) -> Vec<Worker> {
        let thread = || Box::new(Scan::new(keys.to_vec(), threshold, NonZeroUsize::MIN)) as Worker;
        let devices = match self.measure {
            _ if self.devices.is_empty() => vec![],
            Some(worth) => self.measured(threads, data, keys, threshold, worth),
            // Where the CPU only stands in, all of it does.
            None => {
                let spare = if self.cpu { NonZeroUsize::MIN } else { threads };
                self.opened(spare, keys, threshold).map(|one| Box::new(one) as Worker).collect()
            }
        };
        let threads = if self.cpu { threads.get() } else { 0 };
        devices.into_iter().chain((0..threads).map(|_| thread())).collect()
    }

    /// The devices, each with so many threads of the CPU to take its place.
    fn opened(
        &self,
        spare: NonZeroUsize,
        keys: &[GroupKeys],
        threshold: Threshold,
    ) -> impl Iterator<Item = Guarded> {
        self.devices.iter().map(move |Device { name, open }| {
            let plain = Scan::new(keys.to_vec(), threshold, spare);
            if let Some(watch) = &self.watch {
                watch(name, None);
            }
            let guarded = Guarded::new(name, open(keys, threshold), plain, keys, threshold);
            Guarded { watch: self.watch.clone(), ..guarded }
        })
    }

    /// The devices that help, by how fast they and the CPU scan some of the data.
    fn measured(
        &self,
        threads: NonZeroUsize,
        data: &Data,
        keys: &[GroupKeys],
        threshold: Threshold,
        worth: f64,
    ) -> Vec<Worker> {
        let pieces = data.sample(TRIAL_PIECES);
        let mut thread = Scan::new(keys.to_vec(), threshold, NonZeroUsize::MIN);
        let Some(each) = rate(&mut thread, &pieces) else { return vec![] };
        let cpu = each * threads.get() as f64;
        let labels = data.num_labels - data.missing.count();
        if labels as f64 * LABEL_BYTES as f64 / cpu < worth {
            return vec![];
        }
        let mut helpers = Vec::new();
        for mut device in self.opened(NonZeroUsize::MIN, keys, threshold) {
            let rate = rate(&mut device, &pieces).unwrap_or(0.0);
            if device.scanner.is_none() {
                // What was measured is the CPU in its place.
                continue;
            }
            let (name, helps) = (&device.name, rate > each);
            let verdict = if helps { "it helps" } else { "it is left alone" };
            tracing::info!(
                "{name} scans {:.3} GiB/s of this data, {threads} CPU threads {:.3}: {verdict}",
                gib(rate),
                gib(cpu),
            );
            if helps {
                helpers.push(Box::new(device) as Worker);
            }
        }
        helpers
    }
}

fn gib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 30)
}

/// Bytes a second of a scanner, once it is warm; `None` where it fails or has nothing to scan.
fn rate(scanner: &mut dyn Scanner, pieces: &[Piece]) -> Option<f64> {
    let mut all = || {
        let mut bytes = 0;
        for (first, labels) in pieces.iter().flat_map(Piece::runs) {
            scanner.scan(LabelIndex(first), labels).ok()?;
            bytes += labels.len();
        }
        Some(bytes)
    };
    all().filter(|bytes| *bytes > 0)?;
    let start = Instant::now();
    let mut best = 0.0;
    while start.elapsed() < TRIAL {
        // Who has the processor besides us slows some slices and not the fastest.
        let (begun, mut bytes) = (Instant::now(), 0);
        while begun.elapsed() < TRIAL_SLICE {
            bytes += all()?;
        }
        best = f64::max(best, bytes as f64 / begun.elapsed().as_secs_f64());
    }
    Some(best)
}

impl Data {
    /// Some pieces of the data; none where none can be read.
    pub(super) fn sample(&self, count: usize) -> Vec<Piece> {
        let stream = Stream::open(&self.disk, &self.extents, &plot::Ranges::default(), count);
        let Ok(stream) = stream else { return vec![] };
        let pieces = core::iter::from_fn(|| stream.next()).take(count).collect();
        stream.close();
        pieces
    }
}

/// A device that is looked at while it works. Once it erred, the CPU goes on in its place.
struct Guarded {
    name: String,
    /// `None` once it erred.
    scanner: Option<Worker>,
    plain: Scan,
    ciphers: BTreeMap<NonceGroup, GroupCipher>,
    threshold: Threshold,
    /// Which labels are looked at next.
    turn: usize,
    watch: Option<Arc<Watch>>,
}

impl Guarded {
    fn new(
        name: &str,
        scanner: Worker,
        plain: Scan,
        keys: &[GroupKeys],
        threshold: Threshold,
    ) -> Self {
        let ciphers = keys.iter().map(|keys| (keys.group, GroupCipher::new(keys))).collect();
        let (name, scanner) = (name.to_owned(), Some(scanner));
        Self { name, scanner, plain, ciphers, threshold, turn: 0, watch: None }
    }

    /// Why the device is not to be relied on, if so: each hit must be one, and among some of the
    /// labels there may be no others.
    fn doubt(&mut self, first: LabelIndex, labels: &[u8], hits: &[Hit]) -> Option<String> {
        let stored = labels.as_chunks::<LABEL_BYTES>().0;
        let label_of = |index: LabelIndex| {
            let at = index.0.checked_sub(first.0).and_then(|at| usize::try_from(at).ok());
            at.and_then(|at| stored.get(at))
        };
        let is_hit = |hit: &Hit| {
            let cipher = self.ciphers.get(&hit.nonce.group()?)?;
            Some(cipher.is_good(label_of(hit.index)?, hit.nonce.lane(), self.threshold))
        };
        if let Some(wrong) = hits.iter().find(|hit| is_hit(hit) != Some(true)) {
            return Some(format!("it takes label {} for a good one", wrong.index));
        }
        if !hits.is_sorted_by(|a, b| a < b) {
            return Some("its hits are in no order".to_owned());
        }
        let mut own = Vec::new();
        let from = self.turn % LOOKED_AT.min(stored.len()).max(1);
        self.turn += 1;
        for at in (from..stored.len()).step_by(LOOKED_AT) {
            let (Some(label), index) = (stored.get(at), LabelIndex(first.0 + at as u64)) else {
                break;
            };
            own.clear();
            for cipher in self.ciphers.values() {
                cipher.hits(index, label, self.threshold, &mut own);
            }
            if let Some(missed) = own.iter().find(|hit| hits.binary_search(hit).is_err()) {
                return Some(format!("it overlooks the good label {}", missed.index));
            }
        }
        None
    }
}

impl Scanner for Guarded {
    fn scan(&mut self, first: LabelIndex, labels: &[u8]) -> Result<Vec<Hit>, ScanFault> {
        if let Some(mut scanner) = self.scanner.take() {
            let doubt = match scanner.scan(first, labels) {
                Ok(hits) => match self.doubt(first, labels, &hits) {
                    None => {
                        self.scanner = Some(scanner);
                        return Ok(hits);
                    }
                    Some(doubt) => doubt,
                },
                Err(ScanFault(why)) => why,
            };
            if let Some(watch) = &self.watch {
                watch(&self.name, Some(&doubt));
            }
            tracing::warn!(
                "{} is not used any more, the CPU goes on in its place: {doubt}",
                self.name
            );
        }
        self.plain.scan(first, labels)
    }

    fn kernel(&self) -> &str {
        self.scanner.as_ref().map_or(self.plain.kernel(), |scanner| scanner.kernel())
    }
}

#[cfg(test)]
mod tests;
