//! Conversations as lists of events and the actions they must bring.

use super::*;
use post::{AtxId, Nonce, presets};
use wire::Version;

const A: ConnectionId = ConnectionId(1);
const B: ConnectionId = ConnectionId(2);
const CHALLENGE: Challenge = Challenge([3; 32]);

fn provers() -> Provers {
    let [.., standalone] = presets();
    Provers::new(Terms {
        network: standalone.id,
        node_id: NodeId([1; 32]),
        params: standalone.params,
    })
}

fn plot() -> PlotInfo {
    PlotInfo {
        node_id: NodeId([1; 32]),
        commitment_atx_id: AtxId([2; 32]),
        num_units: 4,
        labels_per_unit: 4096,
        vrf_nonce: None,
        complete: true,
    }
}

fn hello(network: NetworkId) -> ToNode {
    ToNode::Hello { versions: SpokenVersions::OURS, network, software: "p".into() }
}

fn at(provers: &mut Provers, seconds: u64, event: Event) -> Vec<Action> {
    provers.handle(Time::from_secs(seconds), event);
    std::iter::from_fn(|| provers.poll()).collect()
}

fn after(provers: &mut Provers, event: Event) -> Vec<Action> {
    at(provers, 0, event)
}

/// A prover that is connected, welcome, and holds one data set.
fn join(provers: &mut Provers, id: ConnectionId, plot: PlotInfo) -> Vec<Action> {
    after(provers, Event::Connected(id, None));
    let network = provers.terms.network;
    let greeted = after(provers, Event::Said(id, hello(network)));
    let (welcome, joined) =
        (ToProver::Welcome(Version::V1), Notice::Joined { software: "p".into() });
    assert_eq!(greeted, [Action::Say(id, welcome), Action::Tell(joined)]);
    after(provers, Event::Said(id, ToNode::Info(vec![plot])))
}

fn asked(id: ConnectionId, job: u64) -> Vec<Action> {
    let statement = statement(&plot(), CHALLENGE);
    vec![
        Action::Say(id, ToProver::Prove { job: JobId(job), statement: statement.clone() }),
        Action::Tell(Notice::Asked { software: "p".into(), statement }),
    ]
}

fn proof() -> Proof {
    Proof { nonce: Nonce(1), indices: vec![1], pow: 1 }
}

#[test]
fn a_challenge_is_given_to_the_prover_and_its_proof_to_the_judge() {
    let mut provers = provers();
    assert_eq!(after(&mut provers, Event::Wanted(CHALLENGE)), []);
    assert_eq!(join(&mut provers, A, plot()), asked(A, 0));
    let proved = ToNode::Proved { job: JobId(0), proof: proof() };
    let judged = after(&mut provers, Event::Said(A, proved.clone()));
    let statement = statement(&plot(), CHALLENGE);
    assert_eq!(judged, [Action::Judge { software: "p".into(), statement, proof: proof() }]);
    // Delivered twice, it is judged once.
    assert_eq!(after(&mut provers, Event::Said(A, proved)), []);
}

#[test]
fn a_prover_that_dies_is_reported_and_asked_again_when_it_is_back() {
    let mut provers = provers();
    join(&mut provers, A, plot());
    assert_eq!(after(&mut provers, Event::Wanted(CHALLENGE)), asked(A, 0));
    let lost = after(&mut provers, Event::Gone(A, None));
    assert_eq!(lost, [Action::Tell(Notice::Lost { software: "p".into() })]);
    assert_eq!(join(&mut provers, B, plot()), asked(B, 1));
}

#[test]
fn another_prover_takes_over_from_one_that_dies() {
    let mut provers = provers();
    join(&mut provers, A, plot());
    join(&mut provers, B, plot());
    assert_eq!(after(&mut provers, Event::Wanted(CHALLENGE)), asked(A, 0));
    let actions = after(&mut provers, Event::Gone(A, None));
    assert_eq!(actions[1..], asked(B, 1));
    // The dead one's proof, were it still on its way, is nobody's.
    let late = ToNode::Proved { job: JobId(0), proof: proof() };
    assert_eq!(after(&mut provers, Event::Said(A, late)), []);
}

#[test]
fn a_prover_that_fails_rests_and_is_asked_again() {
    let mut provers = provers();
    join(&mut provers, A, plot());
    after(&mut provers, Event::Wanted(CHALLENGE));
    let why = ProveFailure::Fault("disk".into());
    let failed = ToNode::Failed { job: JobId(0), why: why.clone() };
    let told = after(&mut provers, Event::Said(A, failed));
    assert_eq!(told, [Action::Tell(Notice::Failed { software: "p".into(), why })]);
    assert_eq!(provers.deadline(), Some(REST));
    assert_eq!(at(&mut provers, 4, Event::Tick), []);
    assert_eq!(at(&mut provers, 5, Event::Tick), asked(A, 1));
}

#[test]
fn a_challenge_without_a_proof_is_given_up() {
    let mut provers = provers();
    join(&mut provers, A, plot());
    after(&mut provers, Event::Wanted(CHALLENGE));
    let failed = ToNode::Failed { job: JobId(0), why: ProveFailure::NoProof };
    let told = after(&mut provers, Event::Said(A, failed));
    assert_eq!(told[1..], [Action::Unproven(CHALLENGE)]);
    assert_eq!(at(&mut provers, 99, Event::Tick), []);
}

#[test]
fn strangers_of_other_networks_and_versions_are_refused() {
    let mut provers = provers();
    let ours = provers.terms.network;
    after(&mut provers, Event::Connected(A, None));
    let refused = after(&mut provers, Event::Said(A, hello(NetworkId([9; 32]))));
    let why = Refusal::Network(ours);
    let notice = Notice::Refused { who: "p".into(), why };
    let expected = [Action::Say(A, ToProver::Refused(why)), Action::Close(A), Action::Tell(notice)];
    assert_eq!(refused, expected);
    after(&mut provers, Event::Connected(B, None));
    let versions = SpokenVersions { oldest: Version(8), newest: Version(9) };
    let hello = ToNode::Hello { versions, network: ours, software: "p".into() };
    let refused = after(&mut provers, Event::Said(B, hello));
    let why = Refusal::Version(SpokenVersions::OURS);
    assert_eq!(refused[..2], [Action::Say(B, ToProver::Refused(why)), Action::Close(B)]);
}

#[test]
fn data_that_does_not_suit_is_named_and_not_asked_for() {
    for (plot, word) in [
        (PlotInfo { node_id: NodeId([7; 32]), ..plot() }, "belongs to"),
        (PlotInfo { num_units: 5, ..plot() }, "5 units"),
        (PlotInfo { labels_per_unit: 1023, ..plot() }, "1023 labels"),
        (PlotInfo { complete: false, ..plot() }, "init"),
    ] {
        let mut provers = provers();
        after(&mut provers, Event::Wanted(CHALLENGE));
        let told = join(&mut provers, A, plot);
        let [Action::Tell(Notice::Unsuitable { why, .. })] = &told[..] else {
            panic!("{told:?}");
        };
        assert!(why.contains(word), "{why}");
    }
}

#[test]
fn who_does_not_keep_to_the_protocol_is_left() {
    let network = provers().terms.network;
    let cases = [ToNode::Info(vec![]), ToNode::Proved { job: JobId(0), proof: proof() }];
    for message in cases {
        let mut provers = provers();
        after(&mut provers, Event::Connected(A, None));
        let left = after(&mut provers, Event::Said(A, message));
        assert_eq!(left[0], Action::Close(A));
        assert_eq!(after(&mut provers, Event::Said(A, hello(network))), []);
    }
    let mut provers = provers();
    join(&mut provers, A, plot());
    let left = after(&mut provers, Event::Said(A, hello(network)));
    assert_eq!(left[0], Action::Close(A));
}

#[test]
fn who_says_nothing_is_left_after_a_while() {
    let mut provers = provers();
    after(&mut provers, Event::Connected(A, None));
    assert_eq!(provers.deadline(), Some(HELLO_WITHIN));
    assert_eq!(at(&mut provers, 9, Event::Tick), []);
    let left = at(&mut provers, 10, Event::Tick);
    assert_eq!(left[0], Action::Close(A));
    assert_eq!(provers.deadline(), None);
}

#[test]
fn there_is_room_for_so_many_and_no_more() {
    let mut provers = provers();
    let network = provers.terms.network;
    for id in 0..PROVERS_MAX as u64 {
        join(&mut provers, ConnectionId(id), PlotInfo { complete: false, ..plot() });
    }
    // One more is told so when it has said hello, and as many may wait for that.
    let more = PROVERS_MAX as u64..(PROVERS_MAX + STRANGERS_MAX) as u64;
    for id in more.clone() {
        assert_eq!(after(&mut provers, Event::Connected(ConnectionId(id), None)), []);
    }
    let last = ConnectionId(more.end);
    assert_eq!(after(&mut provers, Event::Connected(last, None)), [Action::Close(last)]);
    let first = ConnectionId(more.start);
    let refused = after(&mut provers, Event::Said(first, hello(network)));
    assert_eq!(refused[0], Action::Say(first, ToProver::Refused(Refusal::Full)));
}

#[test]
fn a_rest_that_is_over_is_no_deadline() {
    let mut provers = provers();
    join(&mut provers, A, plot());
    after(&mut provers, Event::Wanted(CHALLENGE));
    let failed = ToNode::Failed { job: JobId(0), why: ProveFailure::Busy };
    after(&mut provers, Event::Said(A, failed));
    // Meanwhile its data has become unsuitable: there is nobody to ask, and nothing to wait for.
    let unsuitable = PlotInfo { complete: false, ..plot() };
    after(&mut provers, Event::Said(A, ToNode::Info(vec![unsuitable])));
    assert_eq!(provers.deadline(), Some(REST));
    assert_eq!(at(&mut provers, 5, Event::Tick), []);
    assert_eq!(provers.deadline(), None);
}

#[test]
fn a_prover_on_another_host_is_called_by_its_name() {
    let mut provers = provers();
    after(&mut provers, Event::Connected(A, Some("attic".into())));
    let network = provers.terms.network;
    let greeted = after(&mut provers, Event::Said(A, hello(network)));
    let joined = Notice::Joined { software: "attic (p)".into() };
    assert_eq!(greeted.last(), Some(&Action::Tell(joined)));
    after(&mut provers, Event::Connected(B, Some("cellar".into())));
    let left = after(&mut provers, Event::Gone(B, None));
    assert_eq!(left, [Action::Tell(Notice::Left { who: "cellar".into(), why: None })]);
}
