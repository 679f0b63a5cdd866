//! Choices among recorded devices.

use super::*;
use gpu::Backend;

fn about(name: &str, kind: Kind, skip: Option<Skip>) -> About {
    About {
        name: name.to_owned(),
        stable: true,
        model: "model".to_owned(),
        kind,
        backend: Backend::Vulkan,
        also: Vec::new(),
        driver: "driver 1".to_owned(),
        binding_bytes: 1 << 31,
        skip,
    }
}

const CARD: &str = "gpu:10de-2204-0000:01:00.0";

/// A card, one that is too old, and software.
fn machine() -> Vec<About> {
    let old = Some(Skip::Lacks("compute shaders".to_owned()));
    vec![
        about(CARD, Kind::Discrete, None),
        about("gpu:8086-0102#0", Kind::Integrated, old),
        about("gpu:software", Kind::Software, Some(Skip::Software)),
    ]
}

/// The names of what is picked, or the exit code and the words.
fn picked(asked: &[&str], listed: Vec<About>) -> std::result::Result<Vec<String>, (u8, String)> {
    let asked: Vec<DeviceArg> = asked.iter().map(|asked| asked.parse().unwrap()).collect();
    match pick(&asked, Ok(listed)) {
        Ok(picked) => {
            let name = |about: Option<About>| about.map_or(CPU.to_owned(), |about| about.name);
            Ok(picked.into_iter().map(name).collect())
        }
        Err(Failure::Usage(text)) => Err((2, text)),
        Err(Failure::CouldNot(error)) => Err((3, error.to_string())),
    }
}

fn names(names: &[&str]) -> std::result::Result<Vec<String>, (u8, String)> {
    Ok(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn kinds_and_names_are_picked_each_once() {
    assert_eq!(picked(&["auto"], machine()), names(&[CARD, "cpu"]));
    assert_eq!(picked(&["gpu"], machine()), names(&[CARD]));
    assert_eq!(picked(&["gpu", "cpu"], machine()), names(&[CARD, "cpu"]));
    assert_eq!(picked(&["cpu", "auto", CARD], machine()), names(&["cpu", CARD]));
    assert_eq!(picked(&["gpu:software", "cpu"], machine()), names(&["gpu:software", "cpu"]));
}

#[test]
fn what_cannot_be_is_refused_with_what_there_is() {
    let (code, text) = picked(&["gpu:10de-9999-0000:01:00.0"], machine()).unwrap_err();
    assert_eq!(code, 2);
    assert!(text.ends_with(&format!("cpu, {CARD}, gpu:8086-0102#0, gpu:software")), "{text}");
    let (code, text) = picked(&["gpu:8086-0102#0"], machine()).unwrap_err();
    assert_eq!(code, 3);
    assert_eq!(text, "gpu:8086-0102#0 cannot be used: its driver lacks compute shaders");
}

#[test]
fn without_a_usable_gpu_the_cpu_does_all_unless_one_was_asked_for() {
    let software = || machine().split_off(2);
    assert_eq!(picked(&["auto"], Vec::new()), names(&["cpu"]));
    assert_eq!(picked(&["auto"], software()), names(&["cpu"]));
    let (code, text) = picked(&["gpu"], software()).unwrap_err();
    assert_eq!(code, 3);
    assert!(text.contains("gpu:software: it runs on the CPU"), "{text}");
    let (_, text) = picked(&["cpu", "gpu"], Vec::new()).unwrap_err();
    assert!(text.contains("no GPU, or no driver"), "{text}");
}

#[test]
fn drivers_that_crash_stop_only_who_asked_for_a_gpu() {
    let crashed = || Err(WorkerFault::Ended { status: "signal: 11".to_owned(), said: None });
    assert_eq!(pick(&[DeviceArg::Auto], crashed()).unwrap(), [None]);
    let refused = pick(&[DeviceArg::Gpu], crashed());
    let Err(Failure::CouldNot(error)) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("ended by itself (signal: 11)"), "{error}");
}

#[test]
fn dispatches_are_short_where_somebody_is_watching() {
    let software = about("gpu:software", Kind::Software, Some(Skip::Software));
    assert_eq!(target(&software, false), DISPATCH);
    assert_eq!(target(&software, true), DISPATCH_POLITE);
    assert_eq!(target(&machine()[0], true), DISPATCH_POLITE);
}
