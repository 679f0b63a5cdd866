//! From rates to what is told, for known figures and for any.

use super::*;
use crate::planner::ScanRate;
use plot::{Hashing, Journal, JournalKey, Outcome, Ranges, Rate, Scan, Scanned};
use post::{AtxId, Challenge, NetworkId, NodeId, Nonce, NonceGroup, Statement, presets};
use proptest::prelude::*;

const MB: f64 = 1e6;
const HOUR: f64 = 3600.0;

fn manner(percent: u8) -> Manner {
    let threads = NonZeroUsize::new(4).unwrap();
    Manner { threads, devices: "cpu".to_owned(), pace: Pace::new(percent) }
}

/// A disk of 150 MB/s, four threads that scan 1 GB/s for 128 nonces, 500 hashes a second.
fn measured() -> Measured {
    let mut measured = Measured::new("a machine");
    measured.set_disk(Rate { rate: 150.0 * MB, at: 1 });
    let way = measured.way_mut(4, "cpu");
    way.set_hashing(true, Hashing { hashes: 500.0, setup: 30.0, at: 1 });
    for (nonces, bytes) in [(64, 2000.0), (128, 1000.0), (256, 500.0)] {
        way.set_scan(Scan { nonces, bytes: bytes * MB, at: 1 });
    }
    measured
}

fn mainnet(units: u32) -> Task {
    let [mainnet, ..] = presets();
    task(&mainnet.params, units, mainnet.params.labels_per_unit).unwrap()
}

fn statement() -> Statement {
    Statement {
        node_id: NodeId([1; 32]),
        commitment_atx_id: AtxId([2; 32]),
        challenge: Challenge([3; 32]),
        num_units: 4,
        labels_per_unit: 1 << 10,
    }
}

fn journal() -> Journal {
    Journal::new(JournalKey {
        statement: statement(),
        k1: 26,
        k2: 37,
        pow_difficulty: String::new(),
    })
}

fn standing(journal: Journal) -> Standing {
    Standing::of(journal, 4 << 10)
}

/// Whether labels are scanned so fast for 128 nonces.
fn is_rate(rates: &Rates, bytes: f64) -> bool {
    (ScanRate::of(&rates.scan, 128).unwrap() / bytes - 1.0).abs() < 1e-9
}

#[test]
fn what_was_measured_apart_is_put_together() {
    let rates = manner(100).rates(&measured()).unwrap();
    assert_eq!((rates.disk, rates.hashes, rates.setup), (150.0 * MB, 500.0, 30.0));
    assert_eq!(rates.scan.len(), 3);
    // Rests make processors slower, and disks wait for nobody.
    let half = manner(50).rates(&measured()).unwrap();
    assert_eq!((half.disk, half.hashes, half.setup), (150.0 * MB, 250.0, 60.0));
    assert!(is_rate(&half, 500.0 * MB), "{half:?}");
    // Rates belong to a way of working.
    let other = Manner { devices: "cpu + gpu:0".to_owned(), ..manner(100) };
    assert_eq!(other.rates(&measured()), None);
    assert_eq!(manner(100).rates(&Measured::new("a machine")), None);
}

#[test]
fn real_passes_have_the_last_word() {
    let mut known = measured();
    for percent in [100, 100, 100, 50] {
        let bytes = if percent == 100 { 75.0 * MB } else { 1.0 * MB };
        known.way_mut(4, "cpu").add_pass(Pass { nonces: 128, percent, bytes, at: 2 });
    }
    let rates = manner(100).rates(&known).unwrap();
    // The slower of disk and scan was foretold, and passes took twice as long.
    assert_eq!(rates.disk, 75.0 * MB);
    assert!(is_rate(&rates, 500.0 * MB), "{rates:?}");
    // One mishap is none of the disk's.
    let mut known = measured();
    known.way_mut(4, "cpu").add_pass(Pass { nonces: 128, percent: 100, bytes: 1.0 * MB, at: 2 });
    assert_eq!(manner(100).rates(&known).unwrap().disk, 150.0 * MB);
    // Where nothing but passes is known, they are what is reckoned with.
    let mut passes = Measured::new("a machine");
    let way = passes.way_mut(4, "cpu");
    way.set_hashing(false, Hashing { hashes: 80.0, setup: 1.0, at: 1 });
    assert_eq!(manner(100).rates(&passes), None);
    let way = passes.way_mut(4, "cpu");
    for bytes in [90.0, 110.0, 100.0] {
        way.add_pass(Pass { nonces: 128, percent: 100, bytes: bytes * MB, at: 2 });
    }
    let rates = manner(100).rates(&passes).unwrap();
    let median = ScanRate { nonces: 128, bytes: 100.0 * MB };
    assert_eq!((rates.scan, rates.disk), (vec![median], 110.0 * MB));
}

#[test]
fn the_plan_keeps_what_was_begun_and_says_why() {
    let (task, rates) = (mainnet(4), manner(100).rates(&measured()).unwrap());
    let reckoning = Some((&task, &rates));
    let none = Wish::default();
    let asked = Wish { nonces: Some(64), ..none };
    let plan = Plan::of(&asked, None, reckoning);
    assert_eq!((plan.nonces, &*plan.why), (64, "64 nonces a pass, as asked for"));
    assert_eq!(plan.prospect.unwrap().outlook.nonces, 64);
    let plan = Plan::of(&none, None, None);
    assert_eq!((plan.nonces, plan.prospect), (NONCES, None));
    assert!(plan.why.contains("nothing was measured here yet"), "{}", plan.why);
    let best = Plan::of(&none, None, reckoning);
    assert!(best.why.contains("the best by what was measured here"), "{}", best.why);
    assert_eq!(best.prospect.as_ref().unwrap().outlook.nonces, best.nonces);
    // A journal that says nothing changes nothing.
    assert_eq!(Plan::of(&none, Some(&standing(journal())), reckoning), best);
    let mut begun = journal();
    begun.set_scanned(Scanned::new(Nonce(48), 48, core::iter::once(0..64).collect(), &[]));
    let plan = Plan::of(&none, Some(&standing(begun.clone())), reckoning);
    assert_eq!((plan.nonces, &*plan.why), (48, "48 nonces a pass, as this proof was begun"));
    assert_eq!(Plan::of(&asked, Some(&standing(begun)), reckoning).nonces, 64);
    // More k2pows are paid for than the best pass would use.
    let mut paid = journal();
    let groups = u8::try_from(best.nonces / Nonce::PER_GROUP + 1).unwrap();
    (0..groups).for_each(|group| paid.set_pow(NonceGroup(group), 7));
    let plan = Plan::of(&none, Some(&standing(paid)), reckoning);
    assert_eq!(plan.nonces, best.nonces + 16);
    assert!(plan.why.ends_with("since as many are paid for"), "{}", plan.why);
}

#[test]
fn a_journal_says_how_far_a_proof_is() {
    let labels: u64 = 4 << 10;
    let begun = |journal: &Journal, nonces| standing(journal.clone()).begun(nonces);
    let mut journal = journal();
    assert_eq!(begun(&journal, 32), Begun::default());
    journal.set_pow(NonceGroup(0), 7);
    journal.set_pow(NonceGroup(2), 7);
    assert_eq!(begun(&journal, 64), Begun { groups: 1, ..Begun::default() });
    journal.set_pow(NonceGroup(1), 7);
    assert_eq!(begun(&journal, 32), Begun { groups: 2, ..Begun::default() });
    assert!(standing(journal.clone()).is_begun());
    let scanned = |first, nonces, labels| {
        Scanned::new(Nonce(first), nonces, core::iter::once(0..labels).collect::<Ranges>(), &[])
    };
    journal.set_scanned(scanned(0, 32, labels / 4));
    assert_eq!(begun(&journal, 32), Begun { passes: 0, groups: 2, read: 0.25 });
    // Other passes read again.
    assert_eq!(begun(&journal, 64), Begun { passes: 0, groups: 3, read: 0.0 });
    journal.set_scanned(scanned(0, 32, labels));
    assert_eq!(begun(&journal, 32), Begun { passes: 1, groups: 1, read: 0.0 });
    journal.set_scanned(scanned(64, 32, 1024));
    assert_eq!(begun(&journal, 32), Begun { passes: 2, groups: 0, read: 0.25 });
    assert_eq!(standing(journal.clone()).pass_number(32), 2);
    assert_eq!(standing(journal).pass_number(48), 0);
}

#[test]
fn the_window_is_what_the_node_gave_last() {
    let request = |asked_at, deadline_at| Request {
        statement: statement(),
        network: NetworkId([9; 32]),
        asked_at,
        deadline_at,
        outcome: Outcome::Pending,
    };
    assert_eq!(window(&[]), None);
    assert_eq!(window(&[request(5, None)]), None);
    let all = [request(5, Some(100)), request(700, Some(900)), request(800, None)];
    assert_eq!(window(&all), Some(200));
    assert_eq!(window(&[request(9, Some(3))]), None);
}

#[test]
fn the_alarm_names_what_helps_and_nothing_else() {
    let (task, rates) = (mainnet(4), manner(50).rates(&measured()).unwrap());
    let with = |rates: &Rates, window| {
        let wish = Wish { window: Some(window), ..Wish::default() };
        let prospect = prospect(&task, rates, &wish).unwrap();
        (alarm(&task, rates, &wish, 0.5, &prospect), prospect.outlook)
    };
    let (calm, outlook) = with(&rates, 12.0 * HOUR);
    assert!(calm.is_none() && outlook.in_time.unwrap() > LIKELY, "{outlook:?}");
    let (text, outlook) = with(&rates, 0.25 * HOUR);
    let text = text.unwrap();
    assert!(outlook.in_time.unwrap() < LIKELY, "{outlook:?}");
    assert!(text.contains("15 min 0 s left"), "{text}");
    assert!(text.contains("Next time begin"), "{text}");
    // The disk takes three days, beside which nothing else counts.
    let slow = Rates { disk: 1.0 * MB, hashes: 1e6, setup: 0.0, ..rates.clone() };
    let (text, _) = with(&slow, 60.0 * HOUR);
    let text = text.unwrap();
    assert!(text.contains("with disks twice as fast"), "{text}");
    assert!(!text.contains("computing power"), "{text}");
    assert_eq!(percent(0.9876), "98.76 %");
    assert_eq!(
        (percent(1.0), percent(0.0)),
        ("more than 99.99 %".into(), "less than 0.01 %".into())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever was measured and however far it is: chances are chances, what takes longest takes
    /// no less than the mean of those below it, and more of a window never does harm.
    #[test]
    fn outlooks_make_sense(
        disk in 1e5_f64..1e10,
        scan in 1e6_f64..1e11,
        hashes in 0.1_f64..1e5,
        units in 1_u32..64,
        groups in 1_u32..32,
        passes in 0_u32..3,
        read in 0.0_f64..1.0,
        window in 0.0_f64..1e6,
    ) {
        let rates = Rates {
            threads: 2,
            scan: vec![ScanRate { nonces: 128, bytes: scan }],
            disk,
            hashes,
            setup: 1.0,
        };
        let nonces = groups * Nonce::PER_GROUP;
        let of = |window, begun| {
            let wish = Wish { nonces: Some(nonces), window: Some(window), begun };
            prospect(&mainnet(units), &rates, &wish).unwrap().outlook
        };
        let begun = Begun { passes, groups: groups / 2, read };
        let outlook = of(window, begun);
        let in_time = outlook.in_time.unwrap();
        prop_assert!((0.0..=1.0).contains(&in_time), "{outlook:?}");
        prop_assert!(outlook.expected_seconds > 0.0 && outlook.most_seconds.is_finite());
        prop_assert!(of(window * 2.0, begun).in_time.unwrap() >= in_time - 1e-9);
        let most = of(outlook.most_seconds, begun).in_time.unwrap();
        prop_assert!((most - LIKELY).abs() < 1e-2, "{most}");
        // Who has read more of the same pass is sooner there.
        let fresh = of(window, Begun { read: 0.0, ..begun });
        prop_assert!(fresh.expected_seconds >= outlook.expected_seconds - 1e-6);
        prop_assert!(of(-1.0, begun).in_time.unwrap() < 1e-6);
    }
}
