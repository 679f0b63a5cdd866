//! How fast a device is here and now: labels, and the scan of a proof.

use super::Chosen;
use crate::args::WorkArgs;
use crate::settings;
use core::time::Duration;
use post::label::LabelFault;
use post::search::{GroupKeys, ScanFault, Threshold};
use post::{Challenge, Commitment, LABEL_BYTES, LabelIndex, Labeler, NonceGroup, ScryptN};
use std::time::Instant;
use thiserror::Error;

/// How long each is measured.
const TRIAL: Duration = Duration::from_secs(2);

/// Labels of a step for each thread of the CPU; a GPU says how many it makes at a time.
const LABELS_A_THREAD: u64 = 64;

/// Groups of nonces that are searched in one pass, unless told: 128 nonces.
const GROUPS: u8 = 8;

/// Bytes of labels that are scanned at once.
const SCAN_BYTES: usize = 8 << 20;

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Probe {
    pub(crate) label_kernel: String,
    pub(crate) labels_per_second: f64,
    pub(crate) scan_kernel: String,
    /// By one thread of the CPU, or by the whole of a GPU.
    pub(crate) scan_bytes_per_second: f64,
}

/// Why nothing was measured.
#[derive(Debug, Error)]
pub(crate) enum ProbeError {
    #[error(transparent)]
    Label(#[from] LabelFault),
    #[error(transparent)]
    Scan(#[from] ScanFault),
    #[error("there is nothing to scan: {0}")]
    NoRandomness(#[from] getrandom::Error),
    #[error("stopped on request")]
    Stopped,
}

/// Measures a device. The first time, a GPU also finds out what suits it best: that may take a
/// minute, and is kept.
pub(crate) fn probe(
    chosen: &Chosen,
    n: ScryptN,
    work: &WorkArgs,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Probe, ProbeError> {
    let (label_kernel, labels_per_second) = labels(chosen, n, work, stop)?;
    let (scan_kernel, scan_bytes_per_second) = scan(chosen, work, stop)?;
    Ok(Probe { label_kernel, labels_per_second, scan_kernel, scan_bytes_per_second })
}

fn labels(
    chosen: &Chosen,
    n: ScryptN,
    work: &WorkArgs,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(String, f64), ProbeError> {
    let mut labeler = chosen.labels(Commitment([0; 32]), n, work);
    let least = LABELS_A_THREAD * settings::threads(work).get() as u64;
    let step = |labeler: &dyn Labeler| match labeler.batch() {
        0 | 1 => least,
        batch => batch,
    };
    // Opens the device.
    labeler.fill(0..1, &mut [0; LABEL_BYTES], stop)?;
    let mut labels = step(&*labeler);
    let (mut out, mut made, mut start) = (Vec::new(), 0, Instant::now());
    while start.elapsed() < TRIAL {
        out.resize(usize::try_from(labels).unwrap_or(0).saturating_mul(LABEL_BYTES), 0);
        let begun = Instant::now();
        labeler.fill(made..made + labels, &mut out, stop)?;
        settings::pace(work).after(begun.elapsed(), stop);
        made += labels;
        // A device that still tries how many labels suit it best is given the time.
        let now = step(&*labeler);
        if now != labels {
            (labels, made, start) = (now, 0, Instant::now());
        }
    }
    Ok((labeler.kernel().to_owned(), made as f64 / start.elapsed().as_secs_f64()))
}

fn scan(
    chosen: &Chosen,
    work: &WorkArgs,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<(String, f64), ProbeError> {
    let keys = (0..GROUPS).map(|group| GroupKeys::new(&Challenge([0; 32]), NonceGroup(group), 0));
    let keys: Vec<_> = keys.collect();
    // As in four units of mainnet: hits are rare.
    let mut scanner = chosen.scan(&keys, Threshold { top: 0, low: 26 << 22 });
    let mut labels = vec![0; SCAN_BYTES];
    getrandom::fill(&mut labels)?;
    // Opens the device.
    scanner.scan(LabelIndex(0), &labels)?;
    let (start, mut bytes) = (Instant::now(), 0);
    while start.elapsed() < TRIAL {
        if stop() {
            return Err(ProbeError::Stopped);
        }
        let begun = Instant::now();
        scanner.scan(LabelIndex(0), &labels)?;
        bytes += labels.len();
        settings::pace(work).after(begun.elapsed(), stop);
    }
    Ok((scanner.kernel().to_owned(), bytes as f64 / start.elapsed().as_secs_f64()))
}
