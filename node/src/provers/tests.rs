//! Conversations as lists of events and the actions they must bring.

use super::*;
use post::{AtxId, Nonce, presets};
use wire::Version;

mod manners;

const A: ConnectionId = ConnectionId(1);
const B: ConnectionId = ConnectionId(2);
const C: ConnectionId = ConnectionId(3);
const US: NodeId = NodeId([1; 32]);
const CHALLENGE: Challenge = Challenge([3; 32]);
/// The Unix second at which the node starts.
const START: u64 = 1_000_000;
/// Seconds from the start to the deadline of what is wanted.
const WINDOW: u64 = 1000;

fn provers_of(identities: impl IntoIterator<Item = NodeId>) -> Provers {
    let [.., standalone] = presets();
    let mut provers = Provers::new(Terms {
        network: standalone.id,
        params: standalone.params,
        identities: identities.into_iter().collect(),
        every: WINDOW,
        window: WINDOW,
    });
    provers.handle(Now { time: Time::ZERO, unix: START }, Event::Tick);
    while provers.poll().is_some() {}
    provers
}

fn provers() -> Provers {
    provers_of([US])
}

fn plot() -> PlotInfo {
    PlotInfo {
        node_id: US,
        commitment_atx_id: AtxId([2; 32]),
        num_units: 4,
        labels_per_unit: 4096,
        vrf_nonce: None,
        complete: true,
    }
}

fn wanted_of(node_id: NodeId) -> ProofRequest {
    let (asked_at, deadline) = (START, START + WINDOW);
    ProofRequest { node_id, challenge: CHALLENGE, asked_at, deadline }
}

fn wanted() -> Event {
    Event::Wanted(wanted_of(US))
}

fn the_statement() -> Statement {
    statement(&plot(), CHALLENGE)
}

fn hello_of(version: Version, network: NetworkId) -> ToNode {
    let versions = SpokenVersions { oldest: Version::V1, newest: version };
    ToNode::Hello { versions, network, software: "p".into() }
}

fn hello(network: NetworkId) -> ToNode {
    hello_of(Version::V1, network)
}

fn at(provers: &mut Provers, seconds: u64, event: Event) -> Vec<Action> {
    let now = Now { time: Time::from_secs(seconds), unix: START + seconds };
    provers.handle(now, event);
    std::iter::from_fn(|| provers.poll()).collect()
}

fn after(provers: &mut Provers, event: Event) -> Vec<Action> {
    let Now { time, .. } = provers.now;
    at(provers, time.as_secs(), event)
}

fn said(provers: &mut Provers, id: ConnectionId, message: ToNode) -> Vec<Action> {
    after(provers, Event::Said(id, message))
}

fn welcome(provers: &mut Provers, id: ConnectionId, version: Version) {
    after(provers, Event::Connected(id, None));
    let hello = hello_of(version, provers.terms.network);
    let greeted = said(provers, id, hello);
    let (welcome, joined) = (ToProver::Welcome(version), Notice::Joined { software: "p".into() });
    assert_eq!(greeted, [Action::Say(id, welcome), Action::Tell(joined)]);
}

/// A prover of version 1 that is connected, welcome, and holds one data set.
fn join(provers: &mut Provers, id: ConnectionId, plot: PlotInfo) -> Vec<Action> {
    welcome(provers, id, Version::V1);
    said(provers, id, ToNode::Info(vec![plot]))
}

fn session(number: u8) -> SessionId {
    SessionId([number; 16])
}

/// A prover of version 2 that attaches with this work.
fn attach(
    provers: &mut Provers,
    id: ConnectionId,
    number: u8,
    work: &[(Statement, WorkState)],
) -> Vec<Action> {
    welcome(provers, id, Version::V2);
    let work = work.iter().cloned().map(|(statement, state)| WorkInfo { statement, state });
    said(provers, id, ToNode::Attach { session: session(number), work: work.collect() })
}

/// A prover of version 2 that attaches without work, and holds these data sets.
fn come(provers: &mut Provers, id: ConnectionId, number: u8, plots: &[PlotInfo]) -> Vec<Action> {
    let mut actions = attach(provers, id, number, &[]);
    actions.extend(said(provers, id, ToNode::Info(plots.to_vec())));
    actions
}

fn asked(id: ConnectionId, job: u64) -> Vec<Action> {
    let statement = the_statement();
    vec![
        Action::Say(id, ToProver::Prove { job: JobId(job), statement: statement.clone() }),
        Action::Tell(Notice::Asked { software: "p".into(), statement, again: false }),
    ]
}

/// What a prover of version 2 is asked so many seconds before the deadline.
fn asked_within(id: ConnectionId, job: u64, seconds: u64, again: bool) -> Vec<Action> {
    let statement = the_statement();
    let message = ToProver::ProveWithin { job: JobId(job), statement: statement.clone(), seconds };
    let notice = Notice::Asked { software: "p".into(), statement, again };
    vec![Action::Say(id, message), Action::Tell(notice)]
}

fn proof() -> Proof {
    Proof { nonce: Nonce(1), indices: vec![1], pow: 1 }
}

fn proved(job: u64) -> ToNode {
    ToNode::Proved { job: JobId(job), proof: proof() }
}

fn failed(job: u64, why: ProveFailure) -> ToNode {
    ToNode::Failed { job: JobId(job), why }
}

fn judged() -> Action {
    let (request, statement) = (wanted_of(US), the_statement());
    Action::Judge { software: "p".into(), request, statement, proof: proof() }
}

fn recorded() -> Event {
    Event::Recorded { node_id: US, challenge: CHALLENGE, valid: true }
}

fn receipt(id: ConnectionId, job: u64) -> Action {
    Action::Say(id, ToProver::Recorded { job: JobId(job), valid: true })
}

fn lost(works_on: bool) -> Action {
    Action::Tell(Notice::Lost { software: "p".into(), works_on })
}

#[test]
fn a_challenge_is_given_to_the_prover_and_its_proof_to_the_judge() {
    let mut provers = provers();
    assert_eq!(after(&mut provers, wanted()), []);
    assert_eq!(join(&mut provers, A, plot()), asked(A, 0));
    assert_eq!(said(&mut provers, A, proved(0)), [judged()]);
    // Delivered twice, it is judged once. Of version 1 nobody waits for a verdict.
    assert_eq!(said(&mut provers, A, proved(0)), []);
    assert_eq!(after(&mut provers, recorded()), []);
}

#[test]
fn a_prover_of_version_two_is_told_the_deadline_and_the_verdict() {
    let mut provers = provers();
    after(&mut provers, wanted());
    at(&mut provers, 7, Event::Tick);
    assert_eq!(come(&mut provers, A, 1, &[plot()]), asked_within(A, 0, WINDOW - 7, false));
    let progress = |stage| ToNode::Progress { job: JobId(0), stage, done: 0, total: 2 };
    let told = said(&mut provers, A, progress(Stage::Waiting));
    assert!(matches!(told[..], [Action::Tell(Notice::Progress { stage: Stage::Waiting, .. })]));
    assert_eq!(said(&mut provers, A, proved(0)), [judged()]);
    assert_eq!(after(&mut provers, recorded()), [receipt(A, 0)]);
    assert_eq!(said(&mut provers, A, progress(Stage::Scan)), []);
}

#[test]
fn a_prover_that_dies_is_reported_and_asked_again_when_it_is_back() {
    let mut provers = provers();
    join(&mut provers, A, plot());
    assert_eq!(after(&mut provers, wanted()), asked(A, 0));
    assert_eq!(after(&mut provers, Event::Gone(A, None)), [lost(false)]);
    assert_eq!(join(&mut provers, B, plot()), asked(B, 1));
}

#[test]
fn another_prover_takes_over_from_one_that_dies() {
    let mut provers = provers();
    join(&mut provers, A, plot());
    join(&mut provers, B, plot());
    assert_eq!(after(&mut provers, wanted()), asked(A, 0));
    let actions = after(&mut provers, Event::Gone(A, None));
    assert_eq!(actions[1..], asked(B, 1));
    // The dead one's proof, were it still on its way, is nobody's.
    assert_eq!(said(&mut provers, A, proved(0)), []);
}

#[test]
fn a_session_that_went_away_is_waited_for_and_then_others_are_asked() {
    let mut provers = provers();
    come(&mut provers, A, 1, &[plot()]);
    come(&mut provers, B, 2, &[plot()]);
    assert_eq!(after(&mut provers, wanted()), asked_within(A, 0, WINDOW, false));
    assert_eq!(after(&mut provers, Event::Gone(A, None)), [lost(true)]);
    assert_eq!(provers.deadline(), Some(KEPT_FOR));
    assert_eq!(at(&mut provers, 59, Event::Tick), []);
    assert_eq!(at(&mut provers, 60, Event::Tick), asked_within(B, 1, WINDOW - 60, false));
    // It comes back with the proof after all: that is taken, and the other need not go on.
    let back = attach(&mut provers, C, 1, &[(the_statement(), WorkState::Proved)]);
    assert_eq!(back, asked_within(C, 2, WINDOW - 60, true));
    let cancel = Action::Say(B, ToProver::Cancel(JobId(1)));
    assert_eq!(said(&mut provers, C, proved(2)), [cancel, judged()]);
    // The other was done already. It is told the verdict as well.
    assert_eq!(said(&mut provers, B, proved(1)), []);
    assert_eq!(after(&mut provers, recorded()), [receipt(C, 2), receipt(B, 1)]);
}

#[test]
fn a_session_that_is_back_goes_on_with_what_it_has_and_is_asked_anew_for_what_it_has_not() {
    for work in [vec![(the_statement(), WorkState::Pending)], vec![]] {
        let mut provers = provers();
        come(&mut provers, A, 1, &[plot()]);
        after(&mut provers, wanted());
        after(&mut provers, Event::Gone(A, None));
        let goes_on = !work.is_empty();
        let mut actions = attach(&mut provers, B, 1, &work);
        actions.extend(said(&mut provers, B, ToNode::Info(vec![plot()])));
        assert_eq!(actions, asked_within(B, 1, WINDOW, goes_on));
    }
}

#[test]
fn a_session_that_connects_again_replaces_its_dead_connection() {
    let mut provers = provers();
    come(&mut provers, A, 1, &[plot()]);
    after(&mut provers, wanted());
    let actions = attach(&mut provers, B, 1, &[(the_statement(), WorkState::Pending)]);
    let replaced = [vec![Action::Close(A), lost(true)], asked_within(B, 1, WINDOW, true)];
    assert_eq!(actions, replaced.concat());
    assert_eq!(said(&mut provers, A, proved(0)), []);
    assert_eq!(said(&mut provers, B, proved(1)), [judged()]);
}

#[test]
fn a_proof_that_is_recorded_already_is_answered_and_not_judged_again() {
    let mut provers = provers();
    come(&mut provers, A, 1, &[plot()]);
    after(&mut provers, wanted());
    said(&mut provers, A, proved(0));
    after(&mut provers, Event::Gone(A, None));
    assert_eq!(after(&mut provers, recorded()), []);
    let statement = the_statement();
    let asked = attach(&mut provers, B, 1, &[(statement.clone(), WorkState::Proved)]);
    let (job, seconds) = (JobId(1), RECEIPT_WITHIN);
    assert_eq!(asked, [Action::Say(B, ToProver::ProveWithin { job, statement, seconds })]);
    assert_eq!(said(&mut provers, B, proved(1)), [receipt(B, 1)]);
    // Work on it, and proofs of what was never asked, are nothing to us.
    let other = Statement { challenge: Challenge([9; 32]), ..the_statement() };
    let work = [(the_statement(), WorkState::Pending), (other, WorkState::Proved)];
    assert_eq!(attach(&mut provers, C, 2, &work), []);
}

#[test]
fn many_identities_are_asked_for_at_once_and_each_of_who_has_least_to_do() {
    let ids = [1, 2, 3, 4].map(|number| NodeId([number; 32]));
    let plots = ids.map(|node_id| PlotInfo { node_id, ..plot() });
    let mut provers = provers_of(ids);
    join(&mut provers, A, plots[0].clone());
    said(&mut provers, A, ToNode::Info(plots.to_vec()));
    come(&mut provers, B, 1, &plots);
    let mut asked = Vec::new();
    for node_id in ids {
        for action in after(&mut provers, Event::Wanted(wanted_of(node_id))) {
            if let Action::Say(id, _) = action {
                asked.push(id);
            }
        }
    }
    // Of version 1 it takes one at a time, of version 2 it has a queue.
    assert_eq!(asked, [A, B, B, B]);
    let done = said(&mut provers, B, proved(1));
    assert!(matches!(&done[..], [Action::Judge { request, .. }] if request.node_id == ids[1]));
}

#[test]
fn what_is_late_is_given_up_and_the_next_challenge_is_due() {
    let mut provers = provers();
    come(&mut provers, A, 1, &[plot()]);
    after(&mut provers, wanted());
    assert_eq!(provers.deadline(), Some(Time::from_secs(WINDOW)));
    assert_eq!(at(&mut provers, WINDOW - 1, Event::Tick), []);
    let late = at(&mut provers, WINDOW, Event::Tick);
    let cancel = Action::Say(A, ToProver::Cancel(JobId(0)));
    let given_up = Action::GiveUp(wanted_of(US), GivenUp::Late);
    assert_eq!(late, [cancel, given_up, Action::Draw(US)]);
    assert_eq!(said(&mut provers, A, proved(0)), []);
}

#[test]
fn what_was_proven_in_time_is_not_late() {
    let mut provers = provers();
    come(&mut provers, A, 1, &[plot()]);
    after(&mut provers, wanted());
    at(&mut provers, WINDOW - 1, Event::Tick);
    said(&mut provers, A, proved(0));
    assert_eq!(at(&mut provers, WINDOW + 5, Event::Tick), []);
    assert_eq!(after(&mut provers, recorded()), [receipt(A, 0), Action::Draw(US)]);
}

#[test]
fn what_was_wanted_before_a_restart_is_wanted_still_and_the_next_is_due_as_it_was() {
    let challenge = CHALLENGE;
    let old = |number, asked_at, deadline| {
        let node_id = NodeId([number; 32]);
        ProofRequest { node_id, challenge, asked_at, deadline }
    };
    let ids = [1, 2, 3].map(|number| NodeId([number; 32]));
    let terms = Terms { identities: ids.into_iter().collect(), ..provers().terms };
    let mut provers = Provers::new(terms);
    let late = old(2, START - 4000, START - 3000);
    provers.recall(old(1, START - 400, START + 600));
    provers.recall(late.clone());
    let start = at(&mut provers, 0, Event::Tick);
    assert_eq!(
        start,
        [Action::GiveUp(late, GivenUp::Late), Action::Draw(ids[1]), Action::Draw(ids[2])]
    );
    assert_eq!(come(&mut provers, A, 1, &[plot()]), asked_within(A, 0, 600, false));
    said(&mut provers, A, proved(0));
    assert_eq!(after(&mut provers, recorded()), [receipt(A, 0)]);
    assert_eq!(provers.deadline(), Some(Time::from_secs(600)));
    assert!(at(&mut provers, 600, Event::Tick).contains(&Action::Draw(US)));
}

#[test]
fn what_was_recorded_before_a_restart_is_answered() {
    let mut provers = Provers::new(provers().terms);
    provers.recall_verdict(US, CHALLENGE, true);
    provers.recall_pace(US, START - 10);
    assert_eq!(at(&mut provers, 0, Event::Tick), []);
    assert_eq!(provers.deadline(), Some(Time::from_secs(WINDOW - 10)));
    attach(&mut provers, A, 1, &[(the_statement(), WorkState::Proved)]);
    assert_eq!(said(&mut provers, A, proved(0)), [receipt(A, 0)]);
}

#[test]
fn a_prover_that_fails_rests_and_is_asked_again() {
    let mut provers = provers();
    join(&mut provers, A, plot());
    after(&mut provers, wanted());
    let why = ProveFailure::Fault("disk".into());
    let told = said(&mut provers, A, failed(0, why.clone()));
    assert_eq!(told, [Action::Tell(Notice::Failed { software: "p".into(), node_id: US, why })]);
    assert_eq!(provers.deadline(), Some(REST));
    assert_eq!(at(&mut provers, 4, Event::Tick), []);
    assert_eq!(at(&mut provers, 5, Event::Tick), asked(A, 1));
}

#[test]
fn a_proof_that_could_not_be_judged_is_asked_for_again() {
    let mut provers = provers();
    come(&mut provers, A, 1, &[plot()]);
    after(&mut provers, wanted());
    said(&mut provers, A, proved(0));
    let not_judged = Event::NotJudged { node_id: US, challenge: CHALLENGE };
    assert_eq!(after(&mut provers, not_judged), []);
    assert_eq!(at(&mut provers, 5, Event::Tick), asked_within(A, 1, WINDOW - 5, false));
}

#[test]
fn a_challenge_without_a_proof_is_given_up() {
    let mut provers = provers();
    join(&mut provers, A, plot());
    after(&mut provers, wanted());
    let told = said(&mut provers, A, failed(0, ProveFailure::NoProof));
    assert_eq!(told[1..], [Action::GiveUp(wanted_of(US), GivenUp::NoProof)]);
    assert_eq!(at(&mut provers, 99, Event::Tick), []);
}
