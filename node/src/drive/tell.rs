//! What people are told while the node runs.

use crate::history::short;
use crate::provers::{GivenUp, Notice};
use chain::ProofRequest;
use post::NodeId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wire::Stage;

/// How often the progress of one proof is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Tells it, and remembers what was told of late.
#[derive(Debug, Default)]
pub(super) struct Teller {
    told: BTreeMap<NodeId, (Stage, Instant)>,
}

impl Teller {
    pub(super) fn tell(&mut self, notice: Notice) {
        match notice {
            Notice::Joined { software } => tracing::info!("{software} connected"),
            Notice::Left { who, why: None } => tracing::info!("{who} left"),
            Notice::Left { who, why: Some(why) } => tracing::warn!("{who} left: {why}"),
            Notice::Refused { who, why } => tracing::warn!("refused {who}: {why}"),
            Notice::Unsuitable { plot, why } => {
                tracing::warn!("a data set of {} units is not used: {why}", plot.num_units);
            }
            Notice::Asked { software, statement, again } => {
                self.told.remove(&statement.node_id);
                let units = statement.num_units;
                let challenge = short(&statement.challenge.to_string());
                let asked = if again { "asked again" } else { "asked" };
                tracing::info!(
                    "{asked} {software} to prove {units} units of {} for challenge {challenge}",
                    name(statement.node_id)
                );
            }
            Notice::Progress { software, node_id, stage, done, total } => {
                self.progress(&software, node_id, stage, (done, total));
            }
            Notice::Failed { software, node_id, why } => {
                tracing::warn!("{software} has no proof of {}: {why}", name(node_id));
            }
            Notice::Lost { software, works_on: true } => tracing::warn!(
                "{software} went away while proving; it works on, and is waited for a minute"
            ),
            Notice::Lost { software, works_on: false } => {
                tracing::warn!("{software} went away while proving; asking again when it is back");
            }
        }
    }

    /// That a request from before a restart is still wanted.
    pub(super) fn goes_on(&self, request: &ProofRequest) {
        let (whose, challenge) = (name(request.node_id), short(&request.challenge.to_string()));
        tracing::info!("still waiting for a proof of {whose} for challenge {challenge}");
    }

    /// That a request is over without a proof.
    pub(super) fn given_up(&mut self, request: &ProofRequest, why: GivenUp) {
        let (whose, challenge) = (name(request.node_id), short(&request.challenge.to_string()));
        match why {
            GivenUp::Late => tracing::error!(
                "LATE: there was no proof of {whose} for challenge {challenge} in time"
            ),
            GivenUp::NoProof => {
                tracing::warn!("the data of {whose} has no proof for challenge {challenge}");
            }
        }
    }

    fn progress(&mut self, who: &str, node_id: NodeId, stage: Stage, (done, total): (u64, u64)) {
        let told = self.told.get(&node_id);
        if told.is_some_and(|(told, at)| *told == stage && at.elapsed() < PROGRESS_EVERY) {
            return;
        }
        self.told.insert(node_id, (stage, Instant::now()));
        let whose = name(node_id);
        match stage {
            Stage::Waiting => tracing::info!("{who}, {whose}: {stage}, {total} come first"),
            Stage::Pow | Stage::Scan => {
                tracing::info!("{who}, {whose}: {stage}: {done} of {total}");
            }
        }
    }
}

/// An identity, as people tell it from others.
fn name(node_id: NodeId) -> String {
    format!("identity {}", short(&node_id.to_string()))
}
