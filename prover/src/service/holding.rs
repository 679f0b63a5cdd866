//! The data sets that a service holds: looked at on disk, and their agendas kept.

use super::foresight::Known;
use super::jobs::{Set, Time};
use crate::keeper::{Holds, Keeper};
use crate::machine;
use crate::outcome::{Failure, Result};
use crate::outlook::{self, Standing};
use crate::prove::key_of;
use plot::{Agenda, DataSet, Measured, Notice, PlotError, Request};
use post::{NetworkId, Params, Statement};
use std::path::PathBuf;
use wire::{PLOTS_MAX, PlotInfo};

/// How often all labels are looked at in idle time.
const SCRUB_EVERY_SECONDS: Time = 30 * 24 * 3600;

/// How long another host is told of once it was noticed.
const OTHER_HOST_SECONDS: Time = 3 * 3600;

/// A data set of the service.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) directories: Vec<PathBuf>,
    /// As it was last seen.
    pub(super) set: Set,
    /// Labels that are there.
    pub(super) present: u64,
    /// What was measured here.
    measured: Measured,
    /// Another host that uses the data, and when that was noticed last.
    other_host: Option<(String, Time)>,
    in_reach: bool,
    agenda: Agenda,
}

impl Holding {
    /// The data sets in these directories.
    pub(super) fn all(directories: &[&std::path::Path]) -> Result<Vec<Self>> {
        let sets = plot::grouped(directories)?;
        if sets.len() > PLOTS_MAX {
            let found = sets.len();
            return Err(Failure::usage(format!("{found} data sets: {PLOTS_MAX} is the limit")));
        }
        sets.into_iter().map(|paths| Ok(Self::open(paths)?)).collect()
    }

    fn open(directories: Vec<PathBuf>) -> std::result::Result<Self, PlotError> {
        let data = DataSet::open(&directories)?;
        let agenda = data.agenda()?;
        let (set, present) = look(&data, &agenda)?;
        let measured = data.measured(&machine::name());
        let (other_host, in_reach) = (None, true);
        Ok(Self { directories, set, present, measured, other_host, in_reach, agenda })
    }

    /// Looks at it again. What cannot be looked at now stays as it was, but cannot be proven.
    pub(super) fn refresh(&mut self) {
        let data = DataSet::open(&self.directories);
        let looked = data.and_then(|data| {
            let (set, present) = look(&data, &self.agenda)?;
            Ok((set, present, data.measured(&machine::name())))
        });
        match looked {
            Ok((set, present, measured)) => {
                (self.set, self.present, self.measured) = (set, present, measured);
                self.in_reach = true;
            }
            Err(why) => {
                if self.in_reach {
                    tracing::warn!("a data set is out of reach: {why}");
                }
                self.in_reach = false;
                self.set.plot.complete = false;
                self.set.absent = 0;
            }
        }
    }

    /// What proofs of it are foreseen from.
    pub(super) fn known(&self) -> Known<'_> {
        let window = outlook::window(self.agenda.requests());
        Known { set: &self.set, measured: &self.measured, window }
    }

    /// Takes up what was measured since.
    pub(super) fn look_at_rates(&mut self) {
        if let Ok(data) = DataSet::open(&self.directories) {
            self.measured = data.measured(&machine::name());
        }
    }

    /// How far a proof of it is, by its journal.
    pub(super) fn standing(&self, statement: &Statement, params: &Params) -> Option<Standing> {
        let data = DataSet::open(&self.directories).ok()?;
        let journal = data.journal(key_of(statement, params));
        Some(Standing::of(journal, statement.num_labels()?))
    }

    /// Keeps its lease, for as long as the value lives.
    pub(super) fn keeper(&self, tell: impl Fn(Notice) + Send + 'static) -> Option<Keeper> {
        let data = DataSet::open(&self.directories).ok()?;
        Some(Keeper::start(data, Holds::Service, tell))
    }

    /// Takes in what the lease tells.
    pub(super) fn noticed(&mut self, now: Time, notice: &Notice) {
        let name = self.directories.first().map(|path| path.display().to_string());
        let name = name.unwrap_or_default();
        if notice.is_warning() {
            tracing::warn!("{name}: {notice}");
        } else {
            tracing::info!("{name}: {notice}");
        }
        if let Notice::Other { host, .. } = notice {
            self.other_host = Some((host.clone(), now));
        }
    }

    /// Another host that uses the data too, as far as is known.
    pub(super) fn other_host(&self, now: Time) -> Option<&str> {
        let (host, at) = self.other_host.as_ref()?;
        // Whoever still does is noticed again before that.
        (now.saturating_sub(*at) < OTHER_HOST_SECONDS).then_some(host)
    }

    /// Which proofs were asked for.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.agenda.requests().to_vec()
    }

    pub(super) fn note(&mut self, request: Request) {
        self.agenda.put(request);
        self.save();
    }

    pub(super) fn strike(&mut self, statement: &Statement, network: NetworkId) {
        self.agenda.remove(statement, network);
        self.save();
    }

    pub(super) fn scrubbed(&mut self, now: Time) {
        self.agenda.scrubbed_at = Some(now);
        self.set.scrub_at = now.checked_add(SCRUB_EVERY_SECONDS);
        self.save();
    }

    /// A proof is better made without an agenda than not at all.
    fn save(&self) {
        let data = DataSet::open(&self.directories);
        if let Err(why) = data.and_then(|data| data.save_agenda(&self.agenda)) {
            tracing::warn!("a restart would forget what was asked for: {why}");
        }
    }
}

/// What there is of a data set, and how many labels.
fn look(data: &DataSet, agenda: &Agenda) -> std::result::Result<(Set, u64), PlotError> {
    let metadata = data.metadata();
    let files = data.survey()?;
    let count = |range: std::ops::Range<u64>| range.end.saturating_sub(range.start);
    let absent = files.iter().map(|file| count(file.absent())).sum();
    let is_whole = files.iter().all(|file| file.complete().is_ok());
    let plot = PlotInfo {
        node_id: metadata.node_id,
        commitment_atx_id: metadata.commitment_atx_id,
        num_units: metadata.num_units,
        labels_per_unit: metadata.labels_per_unit,
        vrf_nonce: metadata.nonce.map(|index| index.0),
        complete: is_whole,
    };
    // The first one is due a while after the labels were made or brought.
    let from = agenda.scrubbed_at.or_else(|| made_at(data));
    let scrub_at = from.and_then(|at| at.checked_add(SCRUB_EVERY_SECONDS));
    let present = files.iter().map(|file| count(file.present())).sum();
    Ok((Set { plot, disks: data.disks()?, absent, scrub_at }, present))
}

/// When the metadata was last written, in seconds since 1970.
fn made_at(data: &DataSet) -> Option<Time> {
    let path = data.home_of_journals().join("postdata_metadata.json");
    let written = std::fs::metadata(path).ok()?.modified().ok()?;
    Some(written.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs())
}
