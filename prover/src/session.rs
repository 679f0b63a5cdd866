//! The prover's side of a conversation with a node, without IO: what it says in, what is to be done
//! out.
//!
//! The prover says hello; the node welcomes or refuses it; then the node asks. What it asks for is
//! not answered here: work outlives conversations ([`service`](crate::service)).

use post::{NetworkId, Statement};
use std::collections::VecDeque;
use wire::{JobId, Refusal, SpokenVersions, ToNode, ToProver, Version};

/// So many messages that we do not know are answered; whoever sends more speaks something else.
const UNKNOWN_MAX: u32 = 16;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Say this to the node.
    Say(ToNode),
    /// The node has welcomed us.
    Joined(Version),
    /// The node asks for something.
    Asked(Asked),
    /// The node does not want us. Close.
    Leave(Refusal),
    /// The node broke the protocol. Close.
    Breach(&'static str),
}

/// What a node asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The data sets.
    Info,
    /// A proof, which is of use for so many seconds.
    Proof { job: JobId, statement: Statement, seconds: Option<u64> },
    /// To stop.
    Cancel(JobId),
    /// To forget: the proof is written down, and valid or not.
    Recorded { job: JobId, valid: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Hello is said, the answer is awaited.
    Greeting,
    /// Welcome.
    Open(Version),
    /// Nothing more is to be said.
    Closed,
}

/// One conversation, from hello to close.
#[derive(Debug)]
pub(crate) struct Session {
    state: State,
    unknown: u32,
    actions: VecDeque<Action>,
}

impl Session {
    /// A conversation that begins with our hello.
    pub(crate) fn new(network: NetworkId) -> Self {
        let software = crate::SOFTWARE.to_owned();
        let hello = ToNode::Hello { versions: SpokenVersions::OURS, network, software };
        let actions = VecDeque::from([Action::Say(hello)]);
        Self { state: State::Greeting, unknown: 0, actions }
    }

    /// What is to be done next, in order.
    pub(crate) fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Takes in what the node said.
    pub(crate) fn said(&mut self, message: ToProver) {
        match (self.state, message) {
            (State::Greeting, ToProver::Welcome(version))
                if !SpokenVersions::OURS.include(version) =>
            {
                self.breach("it welcomed us to a version that we do not speak");
            }
            (State::Greeting, ToProver::Welcome(version)) => {
                self.state = State::Open(version);
                self.act(Action::Joined(version));
            }
            (State::Greeting, ToProver::Refused(refusal)) => {
                self.state = State::Closed;
                self.act(Action::Leave(refusal));
            }
            (State::Greeting, _) => self.breach("it spoke before it welcomed us"),
            (State::Open(_), ToProver::Welcome(_) | ToProver::Refused(_)) => {
                self.breach("it greeted twice");
            }
            (State::Open(version), message) => self.asked(version, message),
            (State::Closed, _) => {}
        }
    }

    /// Takes in that the node said something with a number that we do not know.
    pub(crate) fn said_unknown(&mut self, number: u32) {
        self.unknown += 1;
        match self.state {
            State::Open(version) if version >= Version::V2 && self.unknown <= UNKNOWN_MAX => {
                self.act(Action::Say(ToNode::NotUnderstood(number)));
            }
            State::Open(_) | State::Greeting => self.breach("it says what nobody knows"),
            State::Closed => {}
        }
    }

    fn asked(&mut self, version: Version, message: ToProver) {
        let is_new = matches!(
            message,
            ToProver::ProveWithin { .. } | ToProver::Recorded { .. } | ToProver::NotUnderstood(_)
        );
        if is_new && version < Version::V2 {
            return self.breach("it speaks another version than it said");
        }
        let asked = match message {
            ToProver::Info => Asked::Info,
            ToProver::Prove { job, statement } => Asked::Proof { job, statement, seconds: None },
            ToProver::ProveWithin { job, statement, seconds } => {
                Asked::Proof { job, statement, seconds: Some(seconds) }
            }
            ToProver::Cancel(job) => Asked::Cancel(job),
            ToProver::Recorded { job, valid } => Asked::Recorded { job, valid },
            // It does without.
            ToProver::NotUnderstood(_) | ToProver::Welcome(_) | ToProver::Refused(_) => return,
        };
        self.act(Action::Asked(asked));
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    fn breach(&mut self, what: &'static str) {
        self.state = State::Closed;
        self.act(Action::Breach(what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use post::{AtxId, Challenge, NodeId};

    const JOB: JobId = JobId(5);

    fn statement() -> Statement {
        Statement {
            node_id: NodeId([1; 32]),
            commitment_atx_id: AtxId([2; 32]),
            challenge: Challenge([3; 32]),
            num_units: 4,
            labels_per_unit: 1024,
        }
    }

    fn after(session: &mut Session, message: ToProver) -> Vec<Action> {
        session.said(message);
        std::iter::from_fn(|| session.poll()).collect()
    }

    fn greeting() -> Session {
        let mut session = Session::new(NetworkId([9; 32]));
        assert!(matches!(session.poll(), Some(Action::Say(ToNode::Hello { .. }))));
        session
    }

    fn open(version: Version) -> Session {
        let mut session = greeting();
        let joined = after(&mut session, ToProver::Welcome(version));
        assert_eq!(joined, [Action::Joined(version)]);
        session
    }

    #[test]
    fn what_the_node_asks_for_is_passed_on() {
        let (job, statement) = (JOB, statement());
        let mut session = open(Version::V2);
        let within = ToProver::ProveWithin { job, statement: statement.clone(), seconds: 7 };
        let asked = Asked::Proof { job, statement: statement.clone(), seconds: Some(7) };
        assert_eq!(after(&mut session, within), [Action::Asked(asked)]);
        let recorded = ToProver::Recorded { job, valid: true };
        let asked = Asked::Recorded { job, valid: true };
        assert_eq!(after(&mut session, recorded), [Action::Asked(asked)]);
        for version in [Version::V1, Version::V2] {
            let mut session = open(version);
            let prove = ToProver::Prove { job, statement: statement.clone() };
            let asked = Asked::Proof { job, statement: statement.clone(), seconds: None };
            assert_eq!(after(&mut session, prove), [Action::Asked(asked)]);
            let said = after(&mut session, ToProver::Cancel(job));
            assert_eq!(said, [Action::Asked(Asked::Cancel(job))]);
            assert_eq!(after(&mut session, ToProver::Info), [Action::Asked(Asked::Info)]);
        }
    }

    #[test]
    fn a_node_that_breaks_the_protocol_is_left() {
        let breaks = |mut session, message| {
            let left = after(&mut session, message);
            assert!(matches!(left[..], [Action::Breach(_)]), "{left:?}");
            assert_eq!(after(&mut session, ToProver::Welcome(Version::V1)), []);
        };
        breaks(greeting(), ToProver::Info);
        breaks(greeting(), ToProver::Welcome(Version(0)));
        breaks(greeting(), ToProver::Welcome(Version(3)));
        breaks(open(Version::V1), ToProver::Welcome(Version::V1));
        breaks(open(Version::V1), ToProver::Recorded { job: JOB, valid: true });
    }

    #[test]
    fn a_message_of_a_later_version_is_answered_and_many_are_not() {
        let mut session = open(Version::V2);
        for number in 90..90 + UNKNOWN_MAX {
            session.said_unknown(number);
            assert_eq!(session.poll(), Some(Action::Say(ToNode::NotUnderstood(number))));
        }
        session.said_unknown(1);
        assert!(matches!(session.poll(), Some(Action::Breach(_))));
        let mut session = open(Version::V1);
        session.said_unknown(90);
        assert!(matches!(session.poll(), Some(Action::Breach(_))));
    }

    #[test]
    fn a_refusal_ends_it() {
        let mut session = greeting();
        let refusal = Refusal::Network(NetworkId([8; 32]));
        let left = after(&mut session, ToProver::Refused(refusal));
        assert_eq!(left, [Action::Leave(refusal)]);
    }
}
