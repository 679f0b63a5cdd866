//! A proving scan by a GPU that another process drives.

use super::fault::WorkerFault;
use super::message::{HIT_BYTES, Keys, Reply, Request};
use super::process::{Launcher, Patience, Process};
use core::time::Duration;
use post::search::{GroupCipher, GroupKeys, Hit, ScanFault, Scanner, Threshold};
use post::{LABEL_BYTES, LabelIndex, Nonce, NonceGroup};
use std::collections::BTreeMap;

/// What is searched for, and by which device.
#[derive(Clone, Debug)]
pub(crate) struct ScanJob {
    /// The device's name.
    pub(crate) device: String,
    pub(crate) keys: Vec<GroupKeys>,
    pub(crate) threshold: Threshold,
    /// How long a dispatch should take.
    pub(crate) target: Duration,
}

/// The scan for one set of keys on a GPU. The worker is started by the first call that needs it,
/// and again by the first one after a fault.
pub(crate) struct RemoteScan {
    launcher: Launcher,
    patience: Patience,
    job: ScanJob,
    /// What hits are held against: the definition.
    ciphers: BTreeMap<NonceGroup, GroupCipher>,
    worker: Option<Process>,
    kernel: String,
}

impl RemoteScan {
    pub(crate) fn new(launcher: Launcher, patience: Patience, job: ScanJob) -> Self {
        let ciphers = job.keys.iter().map(|keys| (keys.group, GroupCipher::new(keys))).collect();
        Self { launcher, patience, job, ciphers, worker: None, kernel: "wgsl".to_owned() }
    }

    /// As [`Scanner::scan`], with faults that a program can tell apart.
    pub(crate) fn try_scan(
        &mut self,
        first: LabelIndex,
        labels: &[u8],
    ) -> Result<Vec<Hit>, WorkerFault> {
        let labels = labels.as_chunks::<LABEL_BYTES>().0;
        let count = labels.len() as u64;
        if first.0.checked_add(count).is_none() {
            return Err(WorkerFault::NoIndex);
        }
        let mut worker = match self.worker.take() {
            Some(worker) => worker,
            None => self.open()?,
        };
        let raw = labels.as_flattened();
        let request = Request::Search { first: first.0, bytes: raw.len() as u64 };
        let working = self.patience.working;
        let Reply::Hits { hits } = worker.ask(&request, raw, working, &|| false)? else {
            return Err(WorkerFault::Nonsense("an answer to another question"));
        };
        let nonces = u64::from(Nonce::PER_GROUP) * self.job.keys.len() as u64;
        if hits > count.saturating_mul(nonces) {
            return Err(WorkerFault::Nonsense("more hits than there can be"));
        }
        let mut found: Vec<Hit> = Vec::new();
        for _ in 0..hits {
            let mut bytes = [0; HIT_BYTES];
            worker.read(&mut bytes, working, &|| false)?;
            let hit = hit_of(bytes);
            let at = hit.index.0.checked_sub(first.0).and_then(|at| usize::try_from(at).ok());
            let is_good = at.and_then(|at| self.is_good(labels.get(at)?, hit.nonce));
            match is_good.filter(|_| found.last() < Some(&hit)) {
                Some(true) => found.push(hit),
                // Else the disk would be blamed for it.
                Some(false) => return Err(gpu::Fault::WrongHits.into()),
                None => return Err(WorkerFault::Nonsense("hits where none can be")),
            }
        }
        self.worker = Some(worker);
        Ok(found)
    }

    fn open(&mut self) -> Result<Process, WorkerFault> {
        let ScanJob { device, keys, threshold: Threshold { top, low }, target } = self.job.clone();
        let keys = keys.iter().map(|keys| Keys {
            group: keys.group.0,
            key: keys.key,
            lanes: keys.lane_keys,
        });
        let request = Request::Scan { device, groups: keys.collect(), top, low, target };
        let mut worker = Process::start(&self.launcher)?;
        match worker.ask(&request, &[], self.patience.opening, &|| false)? {
            Reply::Ready { kernel, .. } => {
                self.kernel = kernel;
                Ok(worker)
            }
            _ => Err(WorkerFault::Nonsense("an answer to another question")),
        }
    }

    /// Whether a label is good for a nonce; `None` if that is not searched.
    fn is_good(&self, label: &[u8; LABEL_BYTES], nonce: Nonce) -> Option<bool> {
        let cipher = self.ciphers.get(&nonce.group()?)?;
        Some(cipher.is_good(label, nonce.lane(), self.job.threshold))
    }
}

fn hit_of(bytes: [u8; HIT_BYTES]) -> Hit {
    let [a, b, c, d, e, f, g, h, nonce @ ..] = bytes;
    let index = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    Hit { index: LabelIndex(index), nonce: Nonce(u32::from_le_bytes(nonce)) }
}

impl Scanner for RemoteScan {
    fn scan(&mut self, first: LabelIndex, labels: &[u8]) -> Result<Vec<Hit>, ScanFault> {
        self.try_scan(first, labels)
            .map_err(|fault| ScanFault(format!("{}: {fault}", self.job.device)))
    }

    fn kernel(&self) -> &str {
        &self.kernel
    }
}
