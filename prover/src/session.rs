//! The prover's side of a conversation with a node, without IO: events in, actions out.
//!
//! The prover says hello; the node welcomes or refuses it; then the node asks and the prover
//! answers. One proof at a time: a second request is told to wait elsewhere.

use post::{NetworkId, Proof, Statement};
use std::collections::VecDeque;
use wire::{JobId, PlotInfo, ProveFailure, Refusal, SpokenVersions, Stage, ToNode, ToProver};

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// The node said something.
    Said(ToProver),
    /// The job got on.
    Progress { job: JobId, stage: Stage, done: u64, total: u64 },
    /// The job ended.
    Ended { job: JobId, result: Result<Proof, ProveFailure> },
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Say this to the node.
    Say(ToNode),
    /// Prove the data set with this number.
    Start { job: JobId, plot: usize, statement: Statement },
    /// Stop proving; the job's end will be reported.
    Stop(JobId),
    /// The node does not want us. Close.
    Leave(Refusal),
    /// The node broke the protocol. Close.
    Breach(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Hello is said, the answer is awaited.
    Greeting,
    /// Welcome.
    Open,
    /// Nothing more is to be said.
    Closed,
}

/// One conversation, from hello to close.
#[derive(Debug)]
pub(crate) struct Session {
    state: State,
    plots: Vec<PlotInfo>,
    job: Option<JobId>,
    actions: VecDeque<Action>,
}

impl Session {
    /// A conversation that begins with our hello.
    pub(crate) fn new(network: NetworkId, plots: Vec<PlotInfo>) -> Self {
        let software = concat!("postmesh-prover ", env!("CARGO_PKG_VERSION")).to_owned();
        let hello = ToNode::Hello { versions: SpokenVersions::OURS, network, software };
        let actions = VecDeque::from([Action::Say(hello)]);
        Self { state: State::Greeting, plots, job: None, actions }
    }

    /// Takes in what happened.
    pub(crate) fn handle(&mut self, event: Event) {
        match event {
            Event::Said(message) => self.said(message),
            Event::Progress { job, stage, done, total } => {
                if self.job == Some(job) {
                    self.act(Action::Say(ToNode::Progress { job, stage, done, total }));
                }
            }
            Event::Ended { job, result } => {
                if self.job.take_if(|current| *current == job).is_some() {
                    self.act(Action::Say(match result {
                        Ok(proof) => ToNode::Proved { job, proof },
                        Err(why) => ToNode::Failed { job, why },
                    }));
                }
            }
        }
    }

    /// Whether the node has welcomed us.
    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// What is to be done next, in order.
    pub(crate) fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    fn said(&mut self, message: ToProver) {
        match (self.state, message) {
            (State::Greeting, ToProver::Welcome(version))
                if !SpokenVersions::OURS.include(version) =>
            {
                self.breach("it welcomed us to a version that we do not speak");
            }
            (State::Greeting, ToProver::Welcome(_)) => {
                self.state = State::Open;
                self.act(Action::Say(ToNode::Info(self.plots.clone())));
            }
            (State::Greeting, ToProver::Refused(refusal)) => {
                self.state = State::Closed;
                self.act(Action::Leave(refusal));
            }
            (State::Open, ToProver::Info) => {
                self.act(Action::Say(ToNode::Info(self.plots.clone())));
            }
            (State::Open, ToProver::Prove { job, statement }) => self.prove(job, statement),
            (State::Open, ToProver::Cancel(job)) => {
                if self.job == Some(job) {
                    self.act(Action::Stop(job));
                }
            }
            (State::Closed, _) => {}
            (State::Greeting, _) => self.breach("it spoke before it welcomed us"),
            (State::Open, _) => self.breach("it greeted twice"),
        }
    }

    fn breach(&mut self, what: &'static str) {
        self.state = State::Closed;
        self.act(Action::Breach(what));
    }

    fn prove(&mut self, job: JobId, statement: Statement) {
        let refuse = |why| Action::Say(ToNode::Failed { job, why });
        let plot = self.plots.iter().position(|plot| plot.complete && matches(plot, &statement));
        let action = match (plot, self.job) {
            (None, _) => refuse(ProveFailure::NoSuchData),
            (Some(_), Some(_)) => refuse(ProveFailure::Busy),
            (Some(plot), None) => {
                self.job = Some(job);
                Action::Start { job, plot, statement }
            }
        };
        self.act(action);
    }
}

/// Whether a data set is the one that a statement speaks of.
fn matches(plot: &PlotInfo, statement: &Statement) -> bool {
    plot.node_id == statement.node_id
        && plot.commitment_atx_id == statement.commitment_atx_id
        && plot.num_units == statement.num_units
        && plot.labels_per_unit == statement.labels_per_unit
}

#[cfg(test)]
mod tests {
    use super::*;
    use post::{AtxId, Challenge, NodeId, Nonce};
    use wire::Version;

    fn plot() -> PlotInfo {
        PlotInfo {
            node_id: NodeId([1; 32]),
            commitment_atx_id: AtxId([2; 32]),
            num_units: 4,
            labels_per_unit: 1024,
            vrf_nonce: None,
            complete: true,
        }
    }

    fn statement() -> Statement {
        Statement {
            node_id: NodeId([1; 32]),
            commitment_atx_id: AtxId([2; 32]),
            challenge: Challenge([3; 32]),
            num_units: 4,
            labels_per_unit: 1024,
        }
    }

    fn after(session: &mut Session, event: Event) -> Vec<Action> {
        session.handle(event);
        std::iter::from_fn(|| session.poll()).collect()
    }

    fn open(plots: Vec<PlotInfo>) -> Session {
        let mut session = Session::new(NetworkId([9; 32]), plots.clone());
        assert!(matches!(session.poll(), Some(Action::Say(ToNode::Hello { .. }))));
        let answer = after(&mut session, Event::Said(ToProver::Welcome(Version::V1)));
        assert_eq!(answer, [Action::Say(ToNode::Info(plots))]);
        session
    }

    fn ask(job: u64, statement: Statement) -> Event {
        Event::Said(ToProver::Prove { job: JobId(job), statement })
    }

    #[test]
    fn a_proof_is_asked_for_and_delivered() {
        let mut session = open(vec![plot()]);
        let (job, statement) = (JobId(5), statement());
        let started = after(&mut session, ask(5, statement.clone()));
        assert_eq!(started, [Action::Start { job, plot: 0, statement }]);
        let (stage, done, total) = (Stage::Scan, 1, 2);
        let said = after(&mut session, Event::Progress { job, stage, done, total });
        assert_eq!(said, [Action::Say(ToNode::Progress { job, stage, done, total })]);
        let proof = Proof { nonce: Nonce(1), indices: vec![], pow: 0 };
        let said = after(&mut session, Event::Ended { job, result: Ok(proof.clone()) });
        assert_eq!(said, [Action::Say(ToNode::Proved { job, proof })]);
        // What comes late from a job that is over is nobody's business.
        assert_eq!(after(&mut session, Event::Progress { job, stage, done, total }), []);
    }

    #[test]
    fn a_second_proof_must_wait_elsewhere() {
        let mut session = open(vec![plot()]);
        after(&mut session, ask(1, statement()));
        let said = after(&mut session, ask(2, statement()));
        let (job, why) = (JobId(2), ProveFailure::Busy);
        assert_eq!(said, [Action::Say(ToNode::Failed { job, why })]);
        let result = Err(ProveFailure::NoProof);
        after(&mut session, Event::Ended { job: JobId(1), result });
        let started = after(&mut session, ask(3, statement()));
        assert!(matches!(started[..], [Action::Start { .. }]));
    }

    #[test]
    fn data_that_is_not_held_or_not_complete_is_not_proven() {
        let incomplete = PlotInfo { complete: false, ..plot() };
        let larger = Statement { num_units: 5, ..statement() };
        for (plots, statement) in
            [(vec![], statement()), (vec![incomplete], statement()), (vec![plot()], larger)]
        {
            let mut session = open(plots);
            let (job, why) = (JobId(1), ProveFailure::NoSuchData);
            let said = after(&mut session, ask(1, statement));
            assert_eq!(said, [Action::Say(ToNode::Failed { job, why })]);
        }
    }

    #[test]
    fn only_the_running_job_is_cancelled() {
        let mut session = open(vec![plot()]);
        after(&mut session, ask(1, statement()));
        assert_eq!(after(&mut session, Event::Said(ToProver::Cancel(JobId(2)))), []);
        let stopped = after(&mut session, Event::Said(ToProver::Cancel(JobId(1))));
        assert_eq!(stopped, [Action::Stop(JobId(1))]);
    }

    #[test]
    fn a_node_that_breaks_the_protocol_is_left() {
        let mut session = Session::new(NetworkId([9; 32]), vec![]);
        session.poll();
        let left = after(&mut session, Event::Said(ToProver::Info));
        assert!(matches!(left[..], [Action::Breach(_)]));
        assert_eq!(after(&mut session, Event::Said(ToProver::Welcome(Version::V1))), []);
        for version in [0, 3] {
            let mut session = Session::new(NetworkId([9; 32]), vec![]);
            session.poll();
            let left = after(&mut session, Event::Said(ToProver::Welcome(Version(version))));
            assert!(matches!(left[..], [Action::Breach(_)]));
        }
        let mut session = open(vec![]);
        let left = after(&mut session, Event::Said(ToProver::Welcome(Version::V1)));
        assert!(matches!(left[..], [Action::Breach(_)]));
    }

    #[test]
    fn a_refusal_ends_it() {
        let mut session = Session::new(NetworkId([9; 32]), vec![]);
        session.poll();
        let refusal = Refusal::Network(NetworkId([8; 32]));
        let left = after(&mut session, Event::Said(ToProver::Refused(refusal)));
        assert_eq!(left, [Action::Leave(refusal)]);
    }
}
