//! Who is let in, and who is shown out.

use super::*;
use crate::provers::peers::{HELLO_WITHIN, PROVERS_MAX, STRANGERS_MAX};

#[test]
fn strangers_of_other_networks_and_versions_are_refused() {
    let mut provers = provers();
    let ours = provers.terms.network;
    after(&mut provers, Event::Connected(A, None));
    let refused = said(&mut provers, A, hello(NetworkId([9; 32])));
    let why = Refusal::Network(ours);
    let notice = Notice::Refused { who: "p".into(), why };
    let expected = [Action::Say(A, ToProver::Refused(why)), Action::Close(A), Action::Tell(notice)];
    assert_eq!(refused, expected);
    after(&mut provers, Event::Connected(B, None));
    let versions = SpokenVersions { oldest: Version(8), newest: Version(9) };
    let hello = ToNode::Hello { versions, network: ours, software: "p".into() };
    let refused = said(&mut provers, B, hello);
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
        after(&mut provers, wanted());
        let told = join(&mut provers, A, plot);
        let [Action::Tell(Notice::Unsuitable { why, .. })] = &told[..] else {
            panic!("{told:?}");
        };
        assert!(why.contains(word), "{why}");
    }
    // Work on such data is not asked for either.
    let mut provers = provers();
    after(&mut provers, wanted());
    let small = Statement { labels_per_unit: 1, ..the_statement() };
    assert_eq!(attach(&mut provers, A, 1, &[(small, WorkState::Proved)]), []);
}

#[test]
fn who_does_not_keep_to_the_protocol_is_left() {
    let attach = || ToNode::Attach { session: session(1), work: vec![] };
    let network = provers().terms.network;
    let (v1, v2) = (Some(Version::V1), Some(Version::V2));
    let cases: [(Option<Version>, Vec<ToNode>); 7] = [
        (None, vec![ToNode::Info(vec![])]),
        (None, vec![proved(0)]),
        (v1, vec![hello(network)]),
        (v1, vec![attach()]),
        (v2, vec![ToNode::Info(vec![])]),
        (v2, vec![failed(0, ProveFailure::Busy)]),
        (v2, vec![attach(), attach()]),
    ];
    for (version, mut messages) in cases {
        let mut provers = provers();
        match version {
            Some(version) => welcome(&mut provers, A, version),
            None => assert_eq!(after(&mut provers, Event::Connected(A, None)), []),
        }
        let last = messages.pop().unwrap();
        for message in messages {
            assert_eq!(said(&mut provers, A, message), []);
        }
        assert_eq!(said(&mut provers, A, last)[0], Action::Close(A), "{version:?}");
        assert_eq!(said(&mut provers, A, hello(network)), []);
    }
}

#[test]
fn an_unknown_message_is_answered_so_often_and_no_more() {
    let mut provers = provers();
    come(&mut provers, A, 1, &[]);
    let answer = Action::Say(A, ToProver::NotUnderstood(40));
    let answers: Vec<_> =
        (0..15).flat_map(|_| after(&mut provers, Event::NotUnderstood(A, 40))).collect();
    assert_eq!(answers, vec![answer; 15]);
    assert_eq!(said(&mut provers, A, ToNode::NotUnderstood(5)), []);
    assert_eq!(after(&mut provers, Event::NotUnderstood(A, 40))[0], Action::Close(A));
    // Of version 1, and from strangers, it is no message at all.
    join(&mut provers, B, plot());
    assert_eq!(after(&mut provers, Event::NotUnderstood(B, 40))[0], Action::Close(B));
    after(&mut provers, Event::Connected(C, None));
    assert_eq!(after(&mut provers, Event::NotUnderstood(C, 40))[0], Action::Close(C));
}

#[test]
fn who_does_not_say_who_it_is_is_left_after_a_while() {
    for welcomed in [false, true] {
        let mut provers = provers();
        after(&mut provers, wanted());
        if welcomed {
            welcome(&mut provers, A, Version::V2);
        } else {
            after(&mut provers, Event::Connected(A, None));
        }
        assert_eq!(provers.deadline(), Some(HELLO_WITHIN));
        assert_eq!(at(&mut provers, 9, Event::Tick), []);
        assert_eq!(at(&mut provers, 10, Event::Tick)[0], Action::Close(A));
        assert_eq!(provers.deadline(), Some(Time::from_secs(WINDOW)));
    }
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
    let refused = said(&mut provers, first, hello(network));
    assert_eq!(refused[0], Action::Say(first, ToProver::Refused(Refusal::Full)));
}

#[test]
fn a_prover_on_another_host_is_called_by_its_name() {
    let mut provers = provers();
    after(&mut provers, Event::Connected(A, Some("attic".into())));
    let network = provers.terms.network;
    let greeted = said(&mut provers, A, hello(network));
    let joined = Notice::Joined { software: "attic (p)".into() };
    assert_eq!(greeted.last(), Some(&Action::Tell(joined)));
    after(&mut provers, Event::Connected(B, Some("cellar".into())));
    let left = after(&mut provers, Event::Gone(B, None));
    assert_eq!(left, [Action::Tell(Notice::Left { who: "cellar".into(), why: None })]);
}
