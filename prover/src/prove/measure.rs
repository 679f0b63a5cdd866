//! How fast this machine proves, measured apart: the disks alone, and the scan of labels that are
//! in memory already. And what a proof that is made shows of it anyway is written down here.

use super::data::Data;
use super::{Faults, Hands, Job, ProveError, Surroundings, Worker};
use crate::outlook::Manner;
use crate::{machine, progress};
use plot::{Disk, Extent, Measured, Pass, Piece, Ranges, Rate, Scan, Stream};
use post::search::{GroupKeys, ScanFault, Threshold};
use post::{LABEL_BYTES, LabelIndex, Nonce};
use pow::SolveError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Places of a disk that are read: a spinning one is twice as fast at its beginning as at its end.
const PLACES: u32 = 5;
/// Pieces of labels that are scanned in memory: more than branch predictors can learn.
const PIECES: usize = 64;

/// Numbers of nonces whose scan is measured; the planner draws lines between them.
const NONCES: [u32; 5] = [32, 64, 128, 256, 512];
/// How long each measurement takes: all of them less than ten seconds, besides the time until
/// RandomX is ready.
const DISK: Duration = Duration::from_secs(2);
const SCAN: Duration = Duration::from_millis(500);
const HASHING: Duration = Duration::from_secs(3);

/// Measures what forecasts are made from, as this process proves: what the disks give, how fast
/// labels are scanned, and how fast RandomX hashes in the mode that a proof would choose. It is
/// written down beside the data.
pub(crate) fn measure(
    job: &Job,
    set: &plot::DataSet,
    around: &Surroundings<'_>,
) -> Result<Measured, ProveError> {
    let difficulty = job.params.pow_difficulty.scaled(job.statement.num_units)?;
    let groups = job.nonces / Nonce::PER_GROUP;
    let Surroundings { pows, hands, pace, stop, .. } = *around;
    let randomx = pows.to_solve(&difficulty, groups, stop).map_err(SolveError::from)?;
    pows.try_out(&randomx, HASHING, stop)?;
    let at = progress::unix_now();
    let manner = Manner::of(job.threads, hands, pace);
    let mut measured = set.measured(&machine::name());
    measured.set_disk(Rate { rate: disk_rate(job, set, DISK, stop)?, at });
    let way = measured.way_mut(manner.threads.get(), &manner.devices);
    if let Some((fast, hashing)) = pows.measured(at) {
        way.set_hashing(fast, hashing);
    }
    for nonces in NONCES {
        let bytes = scan_rate(job, set, hands, (nonces, SCAN), stop)?;
        way.set_scan(Scan { nonces, bytes, at });
    }
    set.save_measured(&measured)?;
    Ok(measured)
}

/// Bytes a second that the disks give to a pass over all of the data, all of them at once, past the
/// page cache where a proof goes past it. It takes about `length`.
fn disk_rate(
    job: &Job,
    set: &plot::DataSet,
    length: Duration,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<f64, ProveError> {
    let data = survey(job, set)?;
    let mut disks: BTreeMap<Option<u64>, Vec<Arc<Extent>>> = BTreeMap::new();
    for extent in data.extents.iter().filter(|extent| !extent.present.is_empty()) {
        let physical = data.disk.physical(&extent.path).ok();
        disks.entry(physical).or_default().push(Arc::clone(extent));
    }
    let disk = &data.disk;
    let all = thread::scope(|scope| {
        let threads: Vec<_> = disks
            .into_values()
            .map(|extents| {
                thread::Builder::new()
                    .name("measure".to_owned())
                    .spawn_scoped(scope, move || seconds_of(disk, &extents, length, stop))
                    .map_err(ProveError::Thread)
            })
            .collect::<Result<_, _>>()?;
        threads.into_iter().map(joined).collect::<Result<Vec<_>, ProveError>>()
    })?;
    if stop() {
        return Err(ProveError::Stopped);
    }
    // A pass takes as long as the disk that takes longest.
    let longest = all.iter().copied().fold(0.0, f64::max);
    Ok((data.num_labels - data.missing.count()) as f64 * LABEL_BYTES as f64 / longest)
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Seconds that a disk takes for all of its labels, by what it gives at places all over it.
fn seconds_of(
    disk: &Arc<dyn Disk>,
    extents: &[Arc<Extent>],
    length: Duration,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<f64, ProveError> {
    let labels = |extent: &Arc<Extent>| extent.present.end - extent.present.start;
    let all: u64 = extents.iter().map(labels).sum();
    let (mut read, mut took) = (0, Duration::ZERO);
    // At least once, and again where there is little.
    while (took < length || read == 0) && !stop() {
        let before = read;
        for place in 0..PLACES {
            let skipped = first_labels(extents, all * u64::from(place) / u64::from(PLACES));
            let start = Instant::now();
            let stream = Stream::open(disk, extents, &skipped, 1)?;
            while let Some(piece) = stream.next() {
                read += piece.runs().map(|(_, labels)| labels.len()).sum::<usize>();
                if start.elapsed() * PLACES >= length || stop() {
                    break;
                }
            }
            took += start.elapsed();
            stream.close();
        }
        if read == before {
            let why = extents.iter().find_map(|extent| extent.fault.as_ref());
            let why = why.map_or("nothing can be read".to_owned(), ToString::to_string);
            return Err(ProveError::NoLabels(why));
        }
    }
    let rate = read as f64 / took.as_secs_f64();
    Ok(all as f64 * LABEL_BYTES as f64 / rate)
}

/// The first so many labels of some files.
fn first_labels(extents: &[Arc<Extent>], mut count: u64) -> Ranges {
    let mut first = Ranges::default();
    for extent in extents {
        let part = count.min(extent.present.end - extent.present.start);
        first.insert(extent.present.start..extent.present.start + part);
        count -= part;
    }
    first
}

/// Bytes a second of a scan for so many nonces, by all that scans, of labels in memory. It takes
/// about `length`.
fn scan_rate(
    job: &Job,
    set: &plot::DataSet,
    hands: &Hands,
    (nonces, length): (u32, Duration),
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<f64, ProveError> {
    let data = survey(job, set)?;
    let threshold = Threshold::new(job.params.k1, data.num_labels)?;
    let groups = (0..nonces).step_by(Nonce::PER_GROUP as usize);
    let challenge = job.statement.challenge;
    let keys: Vec<GroupKeys> = groups
        .filter_map(|first| Some(GroupKeys::new(&challenge, Nonce(first).group()?, first.into())))
        .collect();
    let mut workers = hands.hire(job.threads, &data, &keys, threshold);
    let pieces = data.sample(PIECES);
    // The first piece of each wakes it.
    together(&mut workers, |worker| scan_for(worker, &pieces, Duration::ZERO, stop))?;
    let rate = together(&mut workers, |worker| scan_for(worker, &pieces, length, stop))?;
    if stop() { Err(ProveError::Stopped) } else { Ok(rate) }
}

/// What all do, summed, each on a thread of its own.
fn together(
    workers: &mut [Worker],
    work: impl Fn(&mut Worker) -> Result<f64, ScanFault> + Sync,
) -> Result<f64, ProveError> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = workers
            .iter_mut()
            .map(|worker| thread::Builder::new().spawn_scoped(scope, move || work(worker)))
            .collect::<Result<_, _>>()
            .map_err(ProveError::Thread)?;
        let rates = threads.into_iter().map(joined);
        Ok(rates.sum::<Result<f64, ScanFault>>()?)
    })
}

/// Scans one piece after the other until time is up, one at least; bytes a second.
fn scan_for(
    worker: &mut Worker,
    pieces: &[Piece],
    length: Duration,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<f64, ScanFault> {
    // Threads begin at different places, so that none has the other's in its cache.
    static TURN: AtomicUsize = AtomicUsize::new(0);
    let first = TURN.fetch_add(PIECES / 4 + 1, Ordering::Relaxed);
    let (start, mut bytes) = (Instant::now(), 0);
    for at in first.. {
        let piece = at.checked_rem(pieces.len()).and_then(|at| pieces.get(at));
        for (first, labels) in piece.into_iter().flat_map(Piece::runs) {
            core::hint::black_box(worker.scan(LabelIndex(first), labels)?);
            bytes += labels.len();
        }
        if start.elapsed() >= length || stop() {
            break;
        }
    }
    Ok(bytes as f64 / start.elapsed().as_secs_f64())
}

fn survey(job: &Job, set: &plot::DataSet) -> Result<Data, ProveError> {
    let (num_units, labels_per_unit) = (job.statement.num_units, job.statement.labels_per_unit);
    let num_labels = job.statement.num_labels();
    let num_labels = num_labels.ok_or(ProveError::LabelCount { num_units, labels_per_unit })?;
    Data::survey(set, num_labels, &mut Faults::default())
}

/// Writes down what a proof showed: how RandomX ran, and how fast each of its passes was, in labels
/// a second. What was too short to tell is not there.
pub(super) fn write_down(
    job: &Job,
    set: &plot::DataSet,
    around: &Surroundings<'_>,
    passes: &[f64],
) {
    let at = progress::unix_now();
    let hashing = around.pows.measured(at);
    if hashing.is_none() && passes.is_empty() {
        return;
    }
    let manner = Manner::of(job.threads, around.hands, around.pace);
    let mut measured = set.measured(&machine::name());
    let way = measured.way_mut(manner.threads.get(), &manner.devices);
    if let Some((fast, hashing)) = hashing {
        way.set_hashing(fast, hashing);
    }
    for labels in passes {
        let (nonces, percent) = (job.nonces, around.pace.percent());
        way.add_pass(Pass { nonces, percent, bytes: labels * LABEL_BYTES as f64, at });
    }
    // It can be measured again.
    if let Err(why) = set.save_measured(&measured) {
        tracing::debug!("what was measured is not kept: {why}");
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{calm, filled, large_job, threads};
    use super::*;

    #[test]
    fn rates_are_those_of_the_data_at_hand() {
        let root = tempfile::tempdir().unwrap();
        let job = large_job();
        let set = filled(&root.path().join("data"), &job, 1_000);
        let short = Duration::from_millis(20);
        let disk = disk_rate(&job, &set, short, &|| false).unwrap();
        assert!(disk.is_finite() && disk > 0.0);
        let around = calm();
        let rate = |nonces| scan_rate(&job, &set, around.hands, (nonces, short), &|| false);
        let rates = [16, 256].map(|nonces| rate(nonces).unwrap());
        assert!(rates.iter().all(|rate| rate.is_finite() && *rate > 0.0), "{rates:?}");
        let stopped = disk_rate(&job, &set, short, &|| true);
        assert!(matches!(stopped, Err(ProveError::Stopped)));
        let stopped = scan_rate(&job, &set, around.hands, (16, short), &|| true);
        assert!(matches!(stopped, Err(ProveError::Stopped)));
    }

    #[test]
    fn what_a_proof_showed_is_found_again() {
        let root = tempfile::tempdir().unwrap();
        let job = Job { threads: threads(3), ..large_job() };
        let set = filled(&root.path().join("data"), &job, 20_000);
        let around = calm();
        write_down(&job, &set, &around, &[]);
        let there = set.home_of_journals().join("postmesh_rates.json");
        assert!(around.pows.measured(0).is_some() || !there.exists());
        write_down(&job, &set, &around, &[10.0, 20.0]);
        let measured = set.measured(&machine::name());
        let way = measured.way(3, "cpu").unwrap();
        let bytes: Vec<f64> = way.passes().iter().map(|pass| pass.bytes).collect();
        assert_eq!((bytes, way.passes()[0].nonces), (vec![160.0, 320.0], job.nonces));
    }

    #[test]
    fn the_first_labels_of_files_are_those_of_the_first_files() {
        let root = tempfile::tempdir().unwrap();
        let set = filled(&root.path().join("data"), &large_job(), 1_000);
        let extents = set.extents();
        let first = |count| first_labels(&extents, count);
        let labels = |count| core::iter::once(0..count).collect::<Ranges>();
        assert_eq!(first(0), Ranges::default());
        assert_eq!(first(2_500), labels(2_500));
        assert_eq!(first(1 << 40), labels(12_000));
    }
}
