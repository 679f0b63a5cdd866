//! Real workers in processes of their own, on a real device (lavapipe, where there is no other);
//! and programs that only look like workers.

use super::message::{HIT_BYTES, State};
use super::*;
use core::time::Duration;
use gpu::{Gap, Mixing, Skip, Tuning};
use post::search::{GroupKeys, Hit, Scanner, Threshold};
use post::{
    Challenge, Commitment, LABEL_BYTES, LabelIndex, LabelRange, Labeler, Nonce, NonceGroup, ScryptN,
};
use rustix::process::{Pid, Signal, kill_process};
use std::cell::Cell;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

const COMMITMENT: Commitment = Commitment([0x3c; 32]);
const TARGET: Duration = Duration::from_millis(50);
const TUNING: Tuning = Tuning { gap: Gap::One, mixing: Mixing::Plain, labels: 64 };
/// Longer than anything takes on a busy machine.
const PATIENT: Patience =
    Patience { opening: Duration::from_secs(60), working: Duration::from_secs(60) };
/// Of those who wait for a worker that will never answer.
const IMPATIENT: Patience =
    Patience { opening: Duration::from_millis(200), working: Duration::from_millis(200) };

/// Not a test: the process that the others start.
#[test]
#[ignore = "a worker, which the tests beside it start"]
fn be_a_worker() {
    // The harness prints to stdout, so the pipe is another.
    let output = File::options().write(true).open("/dev/fd/3").unwrap();
    let Err(why) = serve::serve(std::io::stdin(), output);
    panic!("{why}");
}

/// Not a test: a prover that is killed while its worker is busy.
#[test]
#[ignore = "a process, which a test beside it starts and kills"]
fn be_a_parent() {
    let mut labels = labels(worker(), PATIENT, 8192);
    fill(&mut labels, 0..1).unwrap();
    println!("\nworker {}", labels.process().unwrap());
    fill(&mut labels, 0..1 << 20).unwrap();
}

/// What starts [`be_a_worker`].
fn worker() -> Launcher {
    shell(&format!("exec {}", real()), &[])
}

fn real() -> String {
    let test = std::env::current_exe().unwrap();
    let name = "worker::tests::be_a_worker";
    format!("'{}' --ignored --exact {name} --nocapture 3>&1 1>&2", test.display())
}

fn shell(script: &str, arguments: &[&str]) -> Launcher {
    Launcher::other("/bin/sh", &[&["-c", script, "sh"], arguments].concat())
}

/// The device of these tests; `None` only where `GPU=none` says that there is none.
fn device() -> Option<String> {
    if std::env::var("GPU").is_ok_and(|gpu| gpu == "none") {
        return None;
    }
    let listed = list(&worker(), PATIENT).unwrap();
    let mut usable = listed.iter().filter(|it| matches!(it.skip, None | Some(Skip::Software)));
    // The software, if there is some, lest a test of wires depends on a card.
    let device = usable.next_back();
    let name = device.map(|device| device.name.clone());
    assert!(name.is_some(), "no GPU and no software for one: install mesa-vulkan-drivers");
    name
}

fn labels(launcher: Launcher, patience: Patience, n: u32) -> RemoteLabels {
    labels_on(device().unwrap(), launcher, patience, n)
}

fn labels_on(device: String, launcher: Launcher, patience: Patience, n: u32) -> RemoteLabels {
    let n = ScryptN::new(n).unwrap();
    let (commitment, target, tuning) = (COMMITMENT, TARGET, Some(TUNING));
    RemoteLabels::new(launcher, patience, LabelsJob { device, commitment, n, target, tuning })
}

type Filled = (Vec<u8>, Option<post::Candidate>);

fn fill(labels: &mut RemoteLabels, range: LabelRange) -> Result<Filled, WorkerFault> {
    let mut out = vec![0xee; LABEL_BYTES * (range.end - range.start) as usize];
    let best = labels.try_fill(range, &mut out, &|| false)?;
    Ok((out, best))
}

/// The same by the CPU.
fn expected(range: LabelRange, n: u32) -> Filled {
    let mut labels = cpu::Labels::new(COMMITMENT, ScryptN::new(n).unwrap(), NonZeroUsize::MIN);
    let mut out = vec![0; LABEL_BYTES * (range.end - range.start) as usize];
    let best = labels.fill(range, &mut out, &|| false).unwrap();
    (out, best)
}

#[test]
fn a_worker_makes_the_labels_that_the_cpu_makes() {
    if device().is_none() {
        return;
    }
    let mut labels = labels(worker(), PATIENT, 16);
    assert_eq!((labels.kernel(), labels.batch(), labels.process()), ("wgsl", 1, None));
    for range in [0..100, 7..7, (1 << 32) - 5..(1 << 32) + 5] {
        assert_eq!(fill(&mut labels, range.clone()).unwrap(), expected(range, 16));
    }
    assert_eq!((labels.kernel(), labels.batch()), ("wgsl, gap 1", 64));
    let state = labels.state().unwrap();
    assert_eq!((state.tuning, state.settled), (TUNING, true));
    let fault = labels.try_fill(0..5, &mut [0; 10], &|| false).unwrap_err();
    assert!(matches!(fault, WorkerFault::Device(gpu::Fault::WrongRoom { .. })), "{fault}");
}

#[test]
fn a_worker_finds_the_hits_that_the_cpu_finds() {
    let Some(device) = device() else { return };
    let keys: Vec<_> =
        (0..3).map(|group| GroupKeys::new(&Challenge([group; 32]), NonceGroup(group), 5)).collect();
    let threshold = Threshold { top: 2, low: 1 << 50 };
    let mut labels = expected(0..1000, 2).0;
    labels.extend([9; 5]);
    let first = LabelIndex((1 << 32) - 500);
    let found = cpu::Scan::new(keys.clone(), threshold, NonZeroUsize::MIN).scan(first, &labels);
    let job = ScanJob { device, keys, threshold, target: TARGET };
    let mut scan = RemoteScan::new(worker(), PATIENT, job);
    assert_eq!(scan.scan(first, &labels).unwrap(), found.unwrap());
    assert_eq!(scan.scan(first, &[]).unwrap(), []);
    assert_eq!(scan.kernel(), "wgsl, bitsliced");
    assert!(matches!(scan.try_scan(LabelIndex(u64::MAX), &labels), Err(WorkerFault::NoIndex)));
}

#[test]
fn a_device_that_is_not_there_is_named() {
    if device().is_none() {
        return;
    }
    let (device, n) = ("gpu:none-such".to_owned(), ScryptN::new(16).unwrap());
    let job = LabelsJob { device, commitment: COMMITMENT, n, target: TARGET, tuning: None };
    let mut labels = RemoteLabels::new(worker(), PATIENT, job);
    let fault = labels.fill(0..1, &mut [0; 16], &|| false).unwrap_err();
    assert_eq!(fault.to_string(), "gpu:none-such: there is no such device any more");
}

#[test]
fn who_wants_to_stop_need_not_wait_and_may_go_on_later() {
    if device().is_none() {
        return;
    }
    let mut labels = labels(worker(), PATIENT, 8192);
    fill(&mut labels, 0..1).unwrap();
    let (first, asked) = (labels.process().unwrap(), Cell::new(0));
    let mut out = vec![0; LABEL_BYTES << 20];
    let stop = || asked.replace(asked.get() + 1) > 1;
    let fault = labels.try_fill(0..1 << 20, &mut out, &stop).unwrap_err();
    assert!(matches!(fault, WorkerFault::Stopped), "{fault}");
    wait_for_end_of(first);
    assert_eq!(fill(&mut labels, 3..4).unwrap(), expected(3..4, 8192));
    assert_ne!(labels.process(), Some(first));
}

#[test]
fn a_worker_that_is_killed_at_work_is_missed_and_replaced() {
    if device().is_none() {
        return;
    }
    let mut labels = labels(worker(), PATIENT, 8192);
    fill(&mut labels, 0..1).unwrap();
    let process = labels.process().unwrap();
    let kill = || {
        let _ = kill_process(Pid::from_raw(process as i32).unwrap(), Signal::KILL);
        false
    };
    let fault = labels.try_fill(0..1 << 20, &mut vec![0; LABEL_BYTES << 20], &kill).unwrap_err();
    assert!(fault.to_string().contains("its worker ended by itself (signal: 9"), "{fault}");
    assert_eq!(fill(&mut labels, 3..4).unwrap(), expected(3..4, 8192));
}

#[test]
fn a_worker_whose_parent_is_killed_ends_in_the_middle_of_work() {
    if device().is_none() {
        return;
    }
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "worker::tests::be_a_parent", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines().map_while(Result::ok);
    let worker = lines.filter_map(|line| line.strip_prefix("worker ")?.parse().ok()).next();
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_for_end_of(worker.unwrap());
}

/// Waits until a process is gone, or is only waited for by its parent.
fn wait_for_end_of(process: u32) {
    let end = Instant::now() + PATIENT.working;
    while let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat"))
        && !stat.rsplit(") ").next().is_some_and(|state| state.starts_with('Z'))
    {
        assert!(Instant::now() < end, "{process} is still there");
        std::thread::yield_now();
    }
}

/// What a worker would say.
fn says(replies: &[Reply], raw: &[u8]) -> Vec<u8> {
    let frames = replies.iter().flat_map(|reply| frame::encode(reply).unwrap());
    frames.chain(raw.iter().copied()).collect()
}

fn ready() -> Reply {
    let state = State { tuning: TUNING, settled: true, dispatch: None };
    Reply::Ready { kernel: "rogue".to_owned(), state: Some(state) }
}

fn filled(bytes: u64) -> Reply {
    Reply::Filled { bytes, state: State { tuning: TUNING, settled: true, dispatch: None } }
}

/// The fault of a program that says something, does something else, and is asked for 8 labels.
fn fault_of(root: &Path, patience: Patience, says: &[u8], then: &str) -> String {
    let file = root.join("says");
    fs::write(&file, says).unwrap();
    let rogue = shell(&format!("cat \"$1\"; {then}"), &[file.to_str().unwrap()]);
    let mut labels = labels_on("gpu:rogue".to_owned(), rogue, patience, 2);
    let fault = fill(&mut labels, 0..8).unwrap_err().to_string();
    assert_eq!(labels.process(), None);
    fault
}

#[test]
fn rogues_are_found_out_and_nobody_waits_for_them() {
    let root = tempfile::tempdir().unwrap();
    let hang = "exec sleep 1000";
    for said in [
        Vec::new(),
        says(&[ready()], &[]),
        says(&[ready(), Reply::Alive], &[1, 0]),
        // As many bytes as were announced, but one.
        says(&[ready(), filled(128)], &[7; 127]),
    ] {
        let found = fault_of(root.path(), IMPATIENT, &said, hang);
        assert_eq!(found, "it did not answer for 0.2 s; its worker was stopped");
    }
    let fault_of = |says: &[u8], then| fault_of(root.path(), PATIENT, says, then);
    let ended = "its worker ended by itself (exit status: 7, its last words: oh dear)";
    assert_eq!(fault_of(&[], "echo what now >&2; echo oh dear >&2; exit 7"), ended);
    let ended = "its worker ended by itself (exit status: 0)";
    assert_eq!(fault_of(&says(&[ready(), filled(128)], &[7; 127]), "exit 0"), ended);
    assert_eq!(fault_of(&says(&[ready()], &[]), "exit 0"), ended);
    for (said, fault) in [
        (says(&[ready(), filled(127)], &[7; 127]), "it made more or fewer labels than"),
        (says(&[ready(), filled(u64::MAX)], &[]), "it made more or fewer labels than"),
        (says(&[ready(), ready()], &[]), "an answer to another question"),
        (says(&[filled(128)], &[7; 128]), "an answer to another question"),
        (vec![0xff; 8], "a message of 4294967295 bytes"),
        (vec![1, 0, 0, 0, 99], "what is no message"),
    ] {
        let found = fault_of(&said, hang);
        assert!(found.contains(fault), "{found}");
    }
    let garbage = fault_of(&[], "exec cat /dev/urandom");
    assert!(garbage.starts_with("its worker said what makes no sense: "), "{garbage}");
    let nobody = Launcher::other("/no/such/program", &[]);
    let nothing = labels_on("gpu:rogue".to_owned(), nobody, PATIENT, 2)
        .fill(0..0, &mut [], &|| false)
        .unwrap_err();
    assert!(nothing.to_string().contains("could not be started"), "{nothing}");
}

#[test]
fn a_rogue_is_followed_by_a_fresh_worker() {
    if device().is_none() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let marker = root.path().join("was here");
    for rogue in ["exit 1", "exec cat /dev/urandom"] {
        let script = format!("if mkdir \"$1\"; then {rogue}; else exec {}; fi", real());
        let launcher = shell(&script, &[marker.to_str().unwrap()]);
        let mut labels = labels(launcher, PATIENT, 2);
        fill(&mut labels, 0..8).unwrap_err();
        assert_eq!(fill(&mut labels, 0..8).unwrap(), expected(0..8, 2));
        fs::remove_dir(&marker).unwrap();
    }
}

#[test]
fn hits_where_none_can_be_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let keys = vec![GroupKeys::new(&Challenge([1; 32]), NonceGroup(1), 5)];
    let (threshold, target) = (Threshold { top: 128, low: 0 }, TARGET);
    let mut by_cpu = cpu::Scan::new(keys.clone(), threshold, NonZeroUsize::MIN);
    let good = by_cpu.scan(LabelIndex(100), &[0; 32]).unwrap();
    let job = ScanJob { device: "gpu:rogue".to_owned(), keys, threshold, target };
    let hit = |index, nonce| Hit { index: LabelIndex(index), nonce: Nonce(nonce) };
    let said = |hits: &[Hit]| {
        let raw: Vec<_> = hits.iter().flat_map(bytes_of).collect();
        says(&[ready(), Reply::Hits { hits: hits.len() as u64 }], &raw)
    };
    let scan = |said: Vec<u8>| {
        let file = root.path().join("says");
        fs::write(&file, said).unwrap();
        let rogue = shell("cat \"$1\"; exec sleep 1000", &[file.to_str().unwrap()]);
        let mut scan = RemoteScan::new(rogue, PATIENT, job.clone());
        scan.scan(LabelIndex(100), &[0; 32]).map_err(|fault| fault.to_string())
    };
    assert!(good.len() > 2);
    assert_eq!(scan(said(&good)), Ok(good.clone()));
    let lie = (16..32).map(|nonce| hit(100, nonce)).find(|hit| !good.contains(hit)).unwrap();
    assert!(scan(said(&[lie])).unwrap_err().contains("finds other hits than the CPU"));
    for bad in [[hit(99, 16)], [hit(102, 16)], [hit(100, 15)], [hit(100, 32)], [hit(100, 1 << 20)]]
    {
        assert!(scan(said(&bad)).unwrap_err().contains("hits where none can be"), "{bad:?}");
    }
    for bad in [[good[1], good[0]], [good[0], good[0]]] {
        assert!(scan(said(&bad)).unwrap_err().contains("hits where none can be"), "{bad:?}");
    }
    let many = says(&[ready(), Reply::Hits { hits: 33 }], &[]);
    assert!(scan(many).unwrap_err().contains("more hits than there can be"));
}

fn bytes_of(hit: &Hit) -> [u8; HIT_BYTES] {
    let mut bytes = [0; HIT_BYTES];
    bytes[..8].copy_from_slice(&hit.index.0.to_le_bytes());
    bytes[8..].copy_from_slice(&hit.nonce.0.to_le_bytes());
    bytes
}
