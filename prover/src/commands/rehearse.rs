//! `rehearse`: a proof that nobody asked for, from end to end, and what is to be expected of those
//! that somebody will ask for.

use super::prove::show;
use crate::args::RehearseArgs;
use crate::background;
use crate::devices;
use crate::keeper::Keeper;
use crate::machine;
use crate::outcome::{ExitCode, Failure, Result, answer};
use crate::outlook::{self, LIKELY, Manner, NONCES, Outlook, Plan, Prospect, Wish, alarm, percent};
use crate::planner::{Rates, ScanRate};
use crate::progress::human_time;
use crate::prove::{self, Job, ProveError, Surroundings};
use crate::randomx::Pows;
use crate::settings;
use crate::stop::Stop;
use bytesize::ByteSize;
use plot::{DataSet, Lock, PlotError};
use post::{Challenge, Params, Statement};
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use wire::Stage;

/// Rehearses.
pub(crate) fn rehearse(args: &RehearseArgs) -> Result {
    let network = settings::network(&args.network, &args.proof)?;
    let stop = Stop::on_signals()?;
    background::enter(&args.work);
    let (_locks, set) = super::open_shared(&args.data)?;
    set.whole()?;
    give_way(&set)?;
    let _keeper = Keeper::of_command(&set);
    let scrypt_n = super::scrypt_n(&set, &network)?;
    let params = Params { scrypt_n, ..network.params };
    let threads = settings::threads(&args.work);
    let mut job = Job { statement: statement(&set)?, params, nonces: NONCES, threads };
    let hands = devices::hands(&args.work)?;
    let pace = settings::pace(&args.work);
    let pows = Pows::new(args.proving.randomx, threads.get(), pace);
    let (line, clock) = (Mutex::new(None), Mutex::new(Clock::default()));
    let progress = |stage, done, total| show(&line, args.json, stage, done, total);
    let stop = || stop.is_set();
    let turn = |stage| {
        clock.lock().unwrap_or_else(PoisonError::into_inner).begin(stage);
        true
    };
    let (hands, pows) = (&hands, &pows);
    let around = Surroundings { pows, hands, pace, stop: &stop, progress: &progress, turn: &turn };
    let manner = Manner::of(threads, hands, pace);
    let asked = args.proving.nonces.asked();
    let window = args.window.map(|span| span.0).or_else(|| known_window(&set));
    tracing::info!("measuring disks and processors, for ten seconds once RandomX is ready");
    let proof = prove::measure(&job, &set, &around).and_then(|_| {
        let (plan, _) = job.plan(&set, &manner, asked, window.map(|window| window as f64));
        tracing::info!("{}", plan.why);
        let start = Instant::now();
        prove::rehearse(&job, &set, &around).map(|_| start.elapsed())
    });
    drop(line);
    let took = match proof {
        Err(none @ ProveError::NoProof) => {
            eprintln!("{none}");
            return Ok(ExitCode::No);
        }
        Err(ProveError::Stopped) => {
            eprintln!("stopped: nothing was proven");
            return Ok(ExitCode::CouldNot);
        }
        other => other?,
    };
    let clock = clock.into_inner().unwrap_or_else(PoisonError::into_inner).stopped();
    Verdict::of(&job, &set, (&manner, asked), Course { took, clock, window })?.tell(args.json)
}

/// A proof that somebody waits for comes first.
fn give_way(set: &DataSet) -> Result<()> {
    match Lock::journal(set.home_of_journals()) {
        Err(PlotError::InUse { .. }) => Err(Failure::CouldNot(anyhow::anyhow!(
            "a proof of {} is being made, which a rehearsal would delay: rehearse when it is done",
            set.name()
        ))),
        // Where there can be no lock, nobody holds one.
        _ => Ok(()),
    }
}

/// What a random challenge asks of this data.
fn statement(set: &DataSet) -> Result<Statement> {
    let mut challenge = [0; 32];
    getrandom::fill(&mut challenge)
        .map_err(|error| anyhow::anyhow!("the system has no randomness: {error}"))
        .map_err(Failure::CouldNot)?;
    let metadata = set.metadata();
    Ok(Statement {
        node_id: metadata.node_id,
        commitment_atx_id: metadata.commitment_atx_id,
        challenge: Challenge(challenge),
        num_units: metadata.num_units,
        labels_per_unit: metadata.labels_per_unit,
    })
}

/// As long as the node gave the last proof of this data.
fn known_window(set: &DataSet) -> Option<u64> {
    outlook::window(set.agenda().ok()?.requests())
}

/// How long each stage took.
#[derive(Debug, Default)]
struct Clock {
    now: Option<(Stage, Instant)>,
    pow: Duration,
    scan: Duration,
    passes: u32,
}

impl Clock {
    fn begin(&mut self, stage: Stage) {
        self.end();
        self.passes += u32::from(stage == Stage::Pow);
        self.now = Some((stage, Instant::now()));
    }

    fn end(&mut self) {
        match self.now.take() {
            Some((Stage::Scan, since)) => self.scan += since.elapsed(),
            Some((_, since)) => self.pow += since.elapsed(),
            None => {}
        }
    }

    /// Stopped when the proof is there: it was verified by then, which counts as scanning.
    fn stopped(mut self) -> Self {
        self.end();
        self
    }
}

/// How the rehearsal went.
struct Course {
    took: Duration,
    clock: Clock,
    window: Option<u64>,
}

/// What the rehearsal says.
struct Verdict {
    job: Job,
    course: Course,
    rates: Rates,
    prospect: Prospect,
    /// Why so many nonces.
    why: String,
    alarm: Option<String>,
}

impl Verdict {
    fn of(
        job: &Job,
        set: &DataSet,
        (manner, asked): (&Manner, Option<u32>),
        course: Course,
    ) -> Result<Self> {
        let Statement { num_units, labels_per_unit, .. } = job.statement;
        let task = outlook::task(&job.params, num_units, labels_per_unit)?;
        let rates = manner.rates(&set.measured(&machine::name())).ok_or_else(|| {
            Failure::CouldNot(anyhow::anyhow!("what was measured cannot be read back"))
        })?;
        let window = course.window.map(|window| window as f64);
        let wish = Wish { nonces: asked, window, ..Wish::default() };
        let Plan { why, prospect, .. } = Plan::of(&wish, None, Some((&task, &rates)));
        let prospect = match prospect {
            Some(prospect) => prospect,
            // It says why there is none.
            None => outlook::prospect(&task, &rates, &wish)?,
        };
        let alarm = alarm(&task, &rates, &wish, manner.pace.share(), &prospect);
        Ok(Self { job: job.clone(), course, rates, prospect, why, alarm })
    }

    /// Seconds to spare where it takes longest, of what there are.
    fn margin(&self) -> Option<f64> {
        Some(self.course.window? as f64 - self.prospect.outlook.most_seconds)
    }

    fn is_soon_enough(&self) -> bool {
        self.prospect.outlook.in_time.is_none_or(|in_time| in_time >= LIKELY)
    }

    fn tell(&self, as_json: bool) -> Result {
        if as_json {
            answer!("{}", self.object())?;
        } else {
            for line in self.lines() {
                answer!("{line}")?;
            }
        }
        Ok(if self.is_soon_enough() { ExitCode::Done } else { ExitCode::No })
    }

    fn scan_rate(&self) -> f64 {
        ScanRate::of(&self.rates.scan, self.job.nonces).unwrap_or(0.0)
    }

    fn object(&self) -> Value {
        let Self { job, course, rates, prospect, why, alarm } = self;
        let Outlook { in_time, expected_seconds, most_seconds, nonces } = prospect.outlook;
        let Clock { pow, scan, passes, .. } = &course.clock;
        json!({
            "valid": true, "challenge": job.statement.challenge,
            "seconds": course.took.as_secs_f64(), "passes": passes, "nonces": job.nonces,
            "stages": { "k2pow": pow.as_secs_f64(), "scan": scan.as_secs_f64() },
            "measured": {
                "disk_bytes_per_second": rates.disk,
                "scan_bytes_per_second": self.scan_rate(),
                "hashes_per_second": rates.hashes, "randomx_ready_seconds": rates.setup,
            },
            "outlook": {
                "in_time": in_time, "expected_seconds": expected_seconds,
                "most_seconds": most_seconds, "nonces": nonces,
            },
            "settings": why, "window_seconds": course.window, "margin_seconds": self.margin(),
            "soon_enough": course.window.map(|_| self.is_soon_enough()), "alarm": alarm,
        })
    }

    fn lines(&self) -> Vec<String> {
        let Self { job, course, rates, prospect, why, alarm } = self;
        let Outlook { in_time, expected_seconds, most_seconds, .. } = prospect.outlook;
        let Clock { pow, scan, passes, .. } = &course.clock;
        let time = |time: &Duration| human_time(time.as_secs_f64());
        let bytes = |rate: f64| ByteSize::b(rate as u64);
        let mut lines = vec![
            format!(
                "proof       valid, made in {}: k2pow {}, scan {}; {passes} passes of {} nonces",
                time(&course.took),
                time(pow),
                time(scan),
                job.nonces
            ),
            format!(
                "measured    disks {}/s, scan {}/s in memory, {:.1} k2pow hashes/s, ready after {}",
                bytes(rates.disk),
                bytes(self.scan_rate()),
                rates.hashes,
                human_time(rates.setup)
            ),
            format!(
                "such proofs take {} on average, 99 of 100 at most {}",
                human_time(expected_seconds),
                human_time(most_seconds)
            ),
            format!("settings    {why}"),
        ];
        lines.push(match (course.window, in_time, self.margin()) {
            (Some(window), Some(in_time), Some(margin)) => {
                let (left, word) =
                    if margin < 0.0 { (-margin, "missing") } else { (margin, "to spare") };
                format!(
                    "window      {}: {} of proofs are in time, {} {word} for 99 of 100",
                    human_time(window as f64),
                    percent(in_time),
                    human_time(left)
                )
            }
            _ => "window      not known: --window says how long a proof may take".to_owned(),
        });
        lines.extend(alarm.iter().map(|alarm| format!("NOT SOON ENOUGH: {alarm}")));
        lines
    }
}
