//! One pass over the data: disks, workers, and the one who counts.
//!
//! ```text
//! disk ─ readers ─┐             ┌─ worker ─┐
//!                 ├─▶ pieces ───┤          ├─▶ hits ─▶ count ─▶ winner ─▶ judged ─▶ proof
//! disk ─ readers ─┘             └─ worker ─┘
//! ```
//!
//! Nobody waits for anybody but through the two queues. A worker that finds no piece waiting has
//! time: it holds the piece that it scanned against the manifest.

use super::count::Count;
use super::data::Data;
use super::diary::Diary;
use super::faults::Faults;
use super::judge;
use super::meter::Meter;
use super::{Job, ProveError, Surroundings, Worker};
use plot::{Piece, Stream};
use post::search::{GroupCipher, GroupKeys, Hit, ScanFault, Scanner, Threshold, Winner};
use post::{LABEL_BYTES, LabelIndex, Proof};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use wire::Stage;

/// How long a wish to stop waits, at most, while the disks say nothing.
const TICK: Duration = Duration::from_millis(100);

pub(super) struct Pass<'a, 'd> {
    pub(super) job: &'a Job,
    pub(super) data: &'a Data,
    pub(super) keys: Vec<GroupKeys>,
    pub(super) threshold: Threshold,
    pub(super) around: &'a Surroundings<'a>,
    pub(super) diary: &'a mut Diary<'d>,
    pub(super) faults: &'a mut Faults,
    pub(super) count: Count,
    /// Whether a label is known to be right on disk.
    pub(super) is_partly_right: bool,
    pub(super) meter: Meter,
}

/// What a worker says of a piece.
struct Part {
    labels: Range<u64>,
    hits: Vec<Hit>,
    trouble: Option<Trouble>,
}

/// What is wrong with a piece.
struct Trouble {
    path: PathBuf,
    gaps: Vec<Range<u64>>,
    why: String,
    differs: bool,
}

type Parts = Result<Part, ScanFault>;

impl Pass<'_, '_> {
    /// Scans what was not scanned before; the proof, if the pass has one.
    pub(super) fn run(&mut self, workers: Vec<Worker>) -> Result<Option<Proof>, ProveError> {
        let Data { disk, extents, .. } = self.data;
        let stream = Stream::open(disk, extents, self.count.scanned(), workers.len())?;
        let (parts, scanned) = channel();
        thread::scope(|scope| {
            let mut refused = None;
            for mut worker in workers {
                let (stream, parts, around) = (&stream, parts.clone(), self.around);
                let thread = thread::Builder::new().name("scan".to_owned());
                let started =
                    thread.spawn_scoped(scope, move || work(&mut *worker, stream, &parts, around));
                refused = refused.or(started.err());
            }
            drop(parts);
            let ended = match refused {
                Some(why) => Err(ProveError::Thread(why)),
                None => self.collect(&scanned),
            };
            stream.close();
            if matches!(ended, Err(ProveError::Stopped)) {
                // What the workers have in hand is finished, and not lost.
                scanned.into_iter().flatten().for_each(|part| self.take(part));
                self.diary.note(&self.count);
            }
            ended
        })
    }

    /// Counts until there is a proof, or nothing left to count.
    fn collect(&mut self, scanned: &Receiver<Parts>) -> Result<Option<Proof>, ProveError> {
        let start = Instant::now();
        loop {
            (self.around.progress)(Stage::Scan, self.count.passed(), self.data.num_labels);
            self.meter.note(start.elapsed(), self.count.passed());
            if (self.around.stop)() {
                return Err(ProveError::Stopped);
            }
            if let Some(proof) = self.judged()? {
                return Ok(Some(proof));
            }
            self.diary.note_now_and_then(&self.count);
            match scanned.recv_timeout(TICK) {
                Ok(part) => self.take(part?),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    fn take(&mut self, part: Part) {
        let Part { labels, hits, trouble } = part;
        let mut gaps = Vec::new();
        if let Some(trouble) = trouble {
            gaps = trouble.gaps;
            for gap in &gaps {
                self.faults.unreadable(gap.clone(), &trouble.path, &trouble.why);
            }
            if trouble.differs {
                self.faults.differing(labels.clone(), &trouble.path);
            }
        }
        self.count.add(labels, &gaps, &hits);
    }

    /// The proof of the winner, if there is one and its labels are right. Those that are not are
    /// dropped, and whoever wins then is judged.
    fn judged(&mut self) -> Result<Option<Proof>, ProveError> {
        while let Some(winner) = self.count.winner() {
            let Some(keys) = self.keys_of(&winner) else { return Ok(None) };
            let not_good =
                judge::not_good(&winner, keys, self.threshold, self.job, self.around.stop)?;
            if not_good.is_empty() {
                return Ok(Some(Proof::new(&winner, self.data.num_labels, keys.pow)));
            }
            self.is_partly_right |= not_good.len() < winner.indices.len();
            for (index, label) in not_good {
                self.is_partly_right |= !self.drop_label(index, &label);
            }
            if !self.is_partly_right {
                self.is_partly_right =
                    judge::is_partly_right(self.data, self.job, self.around.stop)?;
            }
            if !self.is_partly_right {
                let (place, n) = (self.data.place.clone(), self.job.params.scrypt_n.get());
                return Err(ProveError::AllWrong { place, n });
            }
        }
        Ok(None)
    }

    fn keys_of(&self, winner: &Winner) -> Option<&GroupKeys> {
        let group = winner.nonce.group()?;
        self.keys.iter().find(|keys| keys.group == group)
    }

    /// Drops a label that is not good for the nonce that it was counted for; in truth it is
    /// `label`. Whether it is the disk that is wrong.
    fn drop_label(&mut self, index: LabelIndex, label: &[u8; LABEL_BYTES]) -> bool {
        let path = self.data.path_of(index);
        if self.data.label(index).as_ref() != Some(label) {
            self.faults.wrong(index, path);
            self.count.ban(index);
            self.diary.journal.add_bad(index);
            self.diary.save();
            return true;
        }
        self.faults.misread(index, path);
        self.count.take_back(index);
        let mut hits = Vec::new();
        for keys in &self.keys {
            GroupCipher::new(keys).hits(index, label, self.threshold, &mut hits);
        }
        self.count.add_hits(&hits);
        false
    }
}

/// Scans piece after piece until there are none, or nobody listens.
fn work(
    scanner: &mut dyn Scanner,
    stream: &Stream,
    parts: &Sender<Parts>,
    around: &Surroundings<'_>,
) {
    while let Some(piece) = stream.next() {
        let start = Instant::now();
        let part = scan(scanner, stream, &piece);
        let failed = part.is_err();
        // Its memory goes back before anything else.
        drop(piece);
        if parts.send(part).is_err() || failed {
            return;
        }
        // Meanwhile the disk fills what memory there is, and waits.
        around.pace.after(start.elapsed(), around.stop);
    }
}

fn scan(scanner: &mut dyn Scanner, stream: &Stream, piece: &Piece) -> Parts {
    let mut hits = Vec::new();
    for (first, labels) in piece.runs() {
        hits.extend(scanner.scan(LabelIndex(first), labels)?);
    }
    let differs = stream.is_idle() && piece.differs_from_manifest();
    let trouble = (differs || piece.fault().is_some()).then(|| Trouble {
        path: piece.extent().path.clone(),
        gaps: piece.gaps(),
        why: piece.fault().map(ToString::to_string).unwrap_or_default(),
        differs,
    });
    Ok(Part { labels: piece.labels(), hits, trouble })
}
