//! Two hosts and one disk, clocks that differ, power cuts.

use super::*;
use crate::simulated::Simulated;
use proptest::prelude::*;

const DAY: u64 = 86_400;
const NOON: u64 = 1_000_000_000;

fn holder(host: &str, number: u32) -> Holder {
    let (host, host_id) = (host.to_owned(), format!("id of {host} {number}"));
    Holder { host, host_id, pid: number, session: format!("session {number}") }
}

fn take(disk: &Simulated, host: &str, number: u32, now: u64) -> (Lease, Vec<Notice>) {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Lease::take(disk, Path::new("/data"), holder(host, number), now)
}

fn warned_of<'a>(notices: &'a [Notice]) -> Vec<&'a str> {
    let other = |notice: &'a Notice| match notice {
        Notice::Other { host, .. } => Some(host.as_str()),
        _ => None,
    };
    notices.iter().filter_map(other).collect()
}

#[test]
fn alone_nothing_is_said_and_the_note_is_written_seldom() {
    let disk = Simulated::default();
    let (mut lease, notices) = take(&disk, "attic", 1, NOON);
    assert_eq!(notices, []);
    let counter = |lease: &Lease| lease.found().unwrap().counter;
    for (after, working, expected) in [
        (10, false, 1),
        (29, true, 1),
        (30, true, 2),
        (59, true, 2),
        (61, true, 3),
        (3000, false, 3),
    ] {
        assert_eq!(lease.beat(NOON + after, working), []);
        assert_eq!(counter(&lease), expected, "after {after}");
    }
    // Work that begins while it rests is said at once, and a clock that was set back costs a beat.
    lease.beat(NOON + 3001, true);
    assert_eq!(counter(&lease), 4);
    lease.beat(NOON - DAY, false);
    assert_eq!(counter(&lease), 5);
    // The same host again, after a crash.
    assert_eq!(take(&disk, "attic", 1, NOON).1, []);
    // And after a reboot within the minute.
    assert_eq!(take(&disk, "attic", 2, NOON + 20).1, []);
}

#[test]
fn a_beat_is_one_write_and_syncs_nothing() {
    let disk = Simulated::default();
    let (mut lease, _) = take(&disk, "attic", 1, NOON);
    let before = disk.operations();
    lease.beat(NOON + 30, true);
    // Look, open, read; open, write, rename.
    assert_eq!(disk.operations() - before, 6);
    let left = |seed| disk.reboot(seed).content(&lease.path);
    assert!((0..32).any(|seed| left(seed) != disk.content(&lease.path)), "it was synced");
}

#[test]
fn two_hosts_that_alternate_are_both_warned() {
    for skew in [0, DAY, 2 * DAY] {
        let disk = Simulated::default();
        // One clock is a day behind, right, or a day ahead of the other.
        let theirs = |now| now + skew - DAY;
        let (mut attic, notices) = take(&disk, "attic", 1, NOON);
        assert_eq!(notices, []);
        attic.beat(NOON + 30, true);
        let (mut cellar, notices) = take(&disk, "cellar", 2, theirs(NOON + 40));
        if skew == DAY {
            assert_eq!(warned_of(&notices), ["attic"]);
        } else {
            let at = NOON + 30;
            assert_eq!(notices, [Notice::Earlier { host: "attic".into(), at }]);
        }
        assert_eq!(warned_of(&attic.beat(NOON + 60, true)), ["cellar"]);
        let expected: &[&str] = if skew == DAY { &[] } else { &["attic"] };
        assert_eq!(warned_of(&cellar.beat(theirs(NOON + 70), true)), expected);
        // It goes on, and is not told every time.
        for round in 3..20 {
            assert_eq!(attic.beat(NOON + 30 * round, true), []);
            assert_eq!(cellar.beat(theirs(NOON + 30 * round + 10), true), []);
        }
        let later = NOON + AGAIN + 90;
        assert_eq!(warned_of(&attic.beat(later, true)), ["cellar"]);
    }
}

#[test]
fn hosts_of_one_name_are_told_apart_by_the_next_beat() {
    let disk = Simulated::default();
    let (mut one, _) = take(&disk, "ubuntu", 1, NOON);
    let (mut two, notices) = take(&disk, "ubuntu", 2, NOON + 5);
    assert_eq!(notices, []);
    assert_eq!(warned_of(&one.beat(NOON + 30, true)), ["ubuntu"]);
    assert_eq!(warned_of(&two.beat(NOON + 35, true)), ["ubuntu"]);
}

#[test]
fn whoever_left_is_told_once_and_warned_of_never() {
    let disk = Simulated::default();
    let (attic, _) = take(&disk, "attic", 1, NOON);
    attic.leave(NOON + 5);
    let (mut cellar, notices) = take(&disk, "cellar", 2, NOON + 10);
    let [earlier @ Notice::Earlier { .. }] = &notices[..] else { panic!("{notices:?}") };
    assert!(!earlier.is_warning() && earlier.to_string().contains("attic"));
    assert_eq!(cellar.beat(NOON + 60, true), []);
    // Who leaves late leaves the other's note alone.
    let (attic, notices) = take(&disk, "attic", 1, NOON + 70);
    assert_eq!(warned_of(&notices), ["cellar"]);
    cellar.beat(NOON + 90, true);
    attic.leave(NOON + 95);
    assert_eq!(cellar.found().unwrap().holder, cellar.watch.own);
}

#[test]
fn a_disk_that_cannot_be_written_is_told_once_and_still_watched() {
    let disk = Simulated::default();
    let (attic, _) = take(&disk, "attic", 1, NOON);
    disk.fail_writes(&attic.path.with_added_extension("tmp"), 0..u64::MAX);
    let (mut cellar, notices) = take(&disk, "cellar", 2, NOON + DAY);
    let [Notice::Earlier { .. }, unwritten @ Notice::Unwritten { .. }] = &notices[..] else {
        panic!("{notices:?}")
    };
    assert!(unwritten.is_warning());
    // Nothing changed and nothing is said, until the other host is seen to be alive.
    assert_eq!(cellar.beat(NOON + DAY + 30, true), []);
    let note = Note { counter: 2, ..attic.found().unwrap() };
    let bytes = serde_json::to_vec(&note).unwrap();
    files::replace(&disk, &attic.path.with_file_name("moved"), &bytes).unwrap();
    disk.rename(&attic.path.with_file_name("moved"), &attic.path).unwrap();
    assert_eq!(warned_of(&cellar.beat(NOON + DAY + 60, true)), ["attic"]);
}

#[test]
fn a_power_cut_leaves_a_note_or_none_and_work_goes_on() {
    let began = |cut| {
        let disk = Simulated::default();
        let (mut lease, _) = take(&disk, "attic", 1, NOON);
        disk.cut_after(cut);
        let notices = lease.beat(NOON + 30, true);
        (notices.is_empty(), disk)
    };
    let operations = (0..).find(|cut| began(*cut).0).unwrap();
    for cut in 0..=operations {
        let (_, disk) = began(cut);
        for seed in 0..32 {
            let disk = disk.reboot(cut << 8 | seed);
            // The same machine, started anew; and another one, which is told of it or of nobody.
            assert_eq!(take(&disk.reboot(0), "attic", 2, NOON + 60).1, [], "cut {cut}");
            let (mut cellar, notices) = take(&disk, "cellar", 3, NOON + 60);
            assert!(notices.iter().all(|it| matches!(it, Notice::Other { .. })), "{notices:?}");
            assert_eq!(cellar.beat(NOON + 90, true), []);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_no_reason_to_stop(bytes: Vec<u8>) {
        let disk = Simulated::default();
        files::replace(&disk, &Path::new("/data").join(FILE_NAME), &bytes).unwrap();
        let (mut lease, notices) = take(&disk, "attic", 1, NOON);
        prop_assert_eq!(notices, []);
        prop_assert_eq!(lease.beat(NOON + 30, true), []);
        prop_assert_eq!(lease.found().unwrap().counter, 2);
    }

    /// Whatever the clocks say: of two hosts that beat in turn, each is warned by its second beat.
    #[test]
    fn clocks_do_not_hide_a_second_host(ahead in 0_u64..3 * DAY, gap in 1_u64..29) {
        let disk = Simulated::default();
        let theirs = |now| now + ahead;
        let (mut attic, _) = take(&disk, "attic", 1, NOON);
        let (mut cellar, at_first) = take(&disk, "cellar", 2, theirs(NOON + gap));
        let attic_told = attic.beat(NOON + 30, true);
        prop_assert_eq!(warned_of(&attic_told), ["cellar"]);
        let later = cellar.beat(theirs(NOON + 30 + gap), true);
        let all = [at_first, later].concat();
        prop_assert_eq!(warned_of(&all), ["attic"]);
    }
}

#[test]
fn who_comes_beside_a_service_of_the_same_host_puts_its_note_back() {
    let disk = Simulated::default();
    let (mut service, _) = take(&disk, "attic", 1, NOON);
    let before = service.found();
    let other = Holder { session: "a command".to_owned(), ..holder("attic", 1) };
    let beside = |now| {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        Lease::take(disk, Path::new("/data"), other.clone(), now)
    };
    let (command, notices) = beside(NOON + 5);
    assert_eq!(notices, []);
    assert_ne!(service.found(), before);
    command.hand_back(NOON + 9);
    assert_eq!(service.found(), before);
    assert_eq!(service.beat(NOON + 40, true), []);
    // Where nobody holds it, it is left.
    service.leave(NOON + 50);
    let (command, _) = beside(NOON + 60);
    command.hand_back(NOON + 70);
    let (lease, notices) = take(&disk, "cellar", 2, NOON + 80);
    assert_eq!(warned_of(&notices), [] as [&str; 0]);
    drop(lease);
}
