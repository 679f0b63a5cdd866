//! Who may work now: plain arithmetic over what jobs want and hold. No clocks, no threads.
//!
//! - Proofs come before labels, labels before scrubs; work of a lower kind runs only where none of
//!   a higher kind is to be done. Among proofs the earliest deadline is first; one that is late
//!   already stands behind those that are not.
//! - A physical disk has one sequential reader or writer at a time.
//! - The processor has one k2pow or one maker of labels at a time; a k2pow overlaps with the
//!   reading of another proof.
//! - A data set has one job at a time.
//!
//! Whoever is first in this order gets what it wants; the next one what is left. Who holds what
//! somebody better needs is stopped; all work goes on later where it was.

use super::status::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// The number of a job.
pub(super) type Number = u64;

/// The order of work: the smallest is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) kind: Kind,
    pub(super) is_late: bool,
    /// In seconds since 1970; the end of time for what has none.
    pub(super) deadline_at: u64,
    pub(super) number: Number,
}

/// What nobody else may have meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) set: usize,
    pub(super) disks: BTreeSet<u64>,
    pub(super) compute: bool,
}

impl Needs {
    /// The data set alone: what a job holds between two stages.
    pub(super) fn only(set: usize) -> Self {
        Self { set, disks: BTreeSet::new(), compute: false }
    }

    fn clashes(&self, other: &Self) -> bool {
        self.set == other.set
            || self.compute && other.compute
            || !self.disks.is_disjoint(&other.disks)
    }
}

/// A job, as the schedule sees it.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) rank: Rank,
    /// What its next stage needs, or the one that it is in; `None` where it is to rest.
    pub(super) wants: Option<Needs>,
    /// What it has, once it was started.
    pub(super) holds: Option<Needs>,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    /// These get what they want.
    pub(super) grant: Vec<Number>,
    /// These give back what they hold, and will claim it again.
    pub(super) stop: Vec<Number>,
}

/// Decides who works.
pub(super) fn decide(claims: &[Claim]) -> Decision {
    let ordered: BTreeMap<Rank, &Claim> = claims.iter().map(|claim| (claim.rank, claim)).collect();
    let chosen = choose(&ordered);
    let mut decision = Decision::default();
    for claim in ordered.values() {
        let number = claim.rank.number;
        let others = claims.iter().filter(|other| other.rank.number != number);
        match (chosen.get(&number), &claim.holds) {
            (Some(wants), holds) if holds.as_ref() != Some(*wants) => {
                let mut held = others.filter_map(|other| other.holds.as_ref());
                if held.all(|held| !held.clashes(wants)) {
                    decision.grant.push(number);
                }
            }
            // One that waits between two stages is left alone, unless its data is needed.
            (None, Some(holds)) => {
                let is_at_work = *holds != Needs::only(holds.set);
                if is_at_work || chosen.values().any(|wants| wants.clashes(holds)) {
                    decision.stop.push(number);
                }
            }
            (Some(_), _) | (None, None) => {}
        }
    }
    decision
}

/// Who is to work, and what they want: as many of the best as do not stand in each other's way.
fn choose<'a>(ordered: &BTreeMap<Rank, &'a Claim>) -> BTreeMap<Number, &'a Needs> {
    let mut chosen: BTreeMap<Number, &Needs> = BTreeMap::new();
    let mut kind = None;
    for (rank, claim) in ordered {
        let Some(wants) = &claim.wants else { continue };
        let is_first = *kind.get_or_insert(rank.kind) == rank.kind;
        if is_first && chosen.values().all(|better| !better.clashes(wants)) {
            chosen.insert(rank.number, wants);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn needs(set: usize, disks: &[u64], compute: bool) -> Needs {
        Needs { set, disks: disks.iter().copied().collect(), compute }
    }

    fn claim(number: Number, kind: Kind, deadline_at: u64, wants: Needs) -> Claim {
        let rank = Rank { kind, is_late: false, deadline_at, number };
        Claim { rank, wants: Some(wants), holds: None }
    }

    fn at_work(claim: Claim) -> Claim {
        Claim { holds: claim.wants.clone(), ..claim }
    }

    #[test]
    fn one_reader_a_disk_and_the_earliest_deadline_first() {
        let scan = |number, deadline, disk| {
            claim(number, Kind::Prove, deadline, needs(number as usize, &[disk], false))
        };
        let decision = decide(&[scan(1, 30, 7), scan(2, 20, 7), scan(3, 40, 8)]);
        assert_eq!(decision, Decision { grant: vec![2, 3], stop: vec![] });
        // Who comes later with an earlier deadline takes the disk once it is given back.
        let decision = decide(&[at_work(scan(1, 30, 7)), scan(2, 20, 7)]);
        assert_eq!(decision, Decision { grant: vec![], stop: vec![1] });
    }

    #[test]
    fn a_k2pow_overlaps_with_the_reading_of_another_proof() {
        let scan = at_work(claim(1, Kind::Prove, 10, needs(1, &[7], false)));
        let pow = |number: Number| {
            claim(number, Kind::Prove, 20 + number, needs(number as usize, &[], true))
        };
        let decision = decide(&[scan.clone(), pow(2), pow(3)]);
        assert_eq!(decision, Decision { grant: vec![2], stop: vec![] });
        // Its k2pow done, it waits for the disk and holds its set; the next k2pow begins.
        let waits = Claim {
            holds: Some(Needs::only(2)),
            ..claim(2, Kind::Prove, 22, needs(2, &[7], false))
        };
        let decision = decide(&[scan, waits, pow(3)]);
        assert_eq!(decision, Decision { grant: vec![3], stop: vec![] });
    }

    #[test]
    fn labels_wait_for_proofs_and_scrubs_for_labels() {
        let init = at_work(claim(1, Kind::Init, u64::MAX, needs(1, &[7], true)));
        let proof = claim(2, Kind::Prove, 10, needs(2, &[], true));
        let scrub = claim(3, Kind::Scrub, u64::MAX, needs(3, &[9], false));
        let decision = decide(&[init.clone(), proof, scrub.clone()]);
        assert_eq!(decision, Decision { grant: vec![], stop: vec![1] });
        assert_eq!(decide(&[init, scrub.clone()]), Decision::default());
        assert_eq!(decide(&[scrub]), Decision { grant: vec![3], stop: vec![] });
    }

    #[test]
    fn what_is_late_stands_behind_what_can_still_be_in_time() {
        let mut late = claim(1, Kind::Prove, 10, needs(1, &[7], false));
        late.rank.is_late = true;
        let other = claim(2, Kind::Prove, 99, needs(2, &[7], false));
        assert_eq!(decide(&[late, other]).grant, [2]);
    }

    #[test]
    fn what_is_to_rest_gives_back_first() {
        let rests =
            Claim { wants: None, ..at_work(claim(1, Kind::Prove, 10, needs(1, &[7], false))) };
        let other = claim(2, Kind::Prove, 99, needs(2, &[7], false));
        let decision = decide(&[rests.clone(), other.clone()]);
        assert_eq!(decision, Decision { grant: vec![], stop: vec![1] });
        let decision = decide(&[Claim { holds: None, ..rests }, other]);
        assert_eq!(decision, Decision { grant: vec![2], stop: vec![] });
    }

    fn any_claim(number: Number) -> impl Strategy<Value = Claim> {
        let kind = prop_oneof![Just(Kind::Prove), Just(Kind::Init), Just(Kind::Scrub)];
        let needs = (0..4_usize, prop::collection::btree_set(0..4_u64, 0..3), any::<bool>())
            .prop_map(|(set, disks, compute)| Needs { set, disks, compute });
        (kind, any::<bool>(), 0..5_u64, needs).prop_map(
            move |(kind, is_late, deadline_at, wants)| {
                let rank = Rank { kind, is_late, deadline_at, number };
                Claim { rank, wants: Some(wants), holds: None }
            },
        )
    }

    fn any_claims() -> impl Strategy<Value = Vec<Claim>> {
        (0..12_u64).map(any_claim).collect::<Vec<_>>()
    }

    proptest! {
        /// Whatever comes and goes: nobody ever has what another has; whoever is stopped gives
        /// way to somebody better; and once all is given back, the first one works.
        #[test]
        fn nothing_is_had_twice_and_the_first_works(
            all in any_claims(), arrivals in prop::collection::vec(1..12_usize, 1..8),
        ) {
            let mut there: Vec<Claim> = Vec::new();
            let mut waiting = all;
            for count in arrivals {
                there.extend(waiting.drain(..count.min(waiting.len())));
                for _ in 0..4 {
                    let Decision { grant, stop } = decide(&there);
                    for claim in &mut there {
                        if stop.contains(&claim.rank.number) {
                            claim.holds = None;
                        }
                        if grant.contains(&claim.rank.number) {
                            claim.holds = claim.wants.clone();
                        }
                    }
                    let held: Vec<_> = there.iter().filter_map(|it| it.holds.as_ref()).collect();
                    for (at, one) in held.iter().enumerate() {
                        prop_assert!(held[at + 1..].iter().all(|other| !one.clashes(other)));
                    }
                }
                prop_assert_eq!(decide(&there), Decision::default(), "it settles");
                let first = there.iter().min_by_key(|claim| claim.rank);
                prop_assert!(first.is_none_or(|first| first.holds.is_some()));
            }
        }
    }
}
