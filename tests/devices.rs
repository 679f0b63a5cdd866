//! The list of devices, by the real program: what it says on this machine, and without drivers.

use crate::world::{World, run};
use serde_json::{Value, json};
use std::fs;
use std::process::Stdio;

/// The devices that the program lists.
fn listed(world: &World, environment: &[(&str, &str)]) -> Vec<Value> {
    let mut command = world.prover(&["devices", "--json"]);
    command.envs(environment.iter().copied());
    let (code, answer, said) = run(command);
    assert_eq!(code, Some(0), "{said}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["fault"], Value::Null);
    answer["devices"].as_array().unwrap().clone()
}

#[test]
fn every_device_is_listed_once_with_what_it_is_used_for() {
    let devices = listed(&World::new(), &[]);
    assert_eq!((&devices[0]["name"], &devices[0]["kind"]), (&"cpu".into(), &"cpu".into()));
    assert!(devices[0]["threads"].as_u64().unwrap() > 0);
    let mut names: Vec<_> = devices.iter().map(|it| it["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), devices.len());
    for device in &devices {
        // Either it is used or it is said why not.
        let used = !device["uses"].as_array().unwrap().is_empty();
        assert_eq!(used, device["skipped"].is_null(), "{device}");
    }
    let none = std::env::var("GPU").is_ok_and(|gpu| gpu == "none");
    assert!(none || devices.len() > 1, "no GPU: install mesa-vulkan-drivers, or set GPU=none");
    if let Some(software) = devices.iter().find(|it| it["name"] == "gpu:software") {
        assert_eq!(software["uses"], Value::Array(Vec::new()));
        assert!(software["binding_bytes"].as_u64().unwrap() > 0);
    }
}

/// Vulkan's loader finds no driver.
#[cfg(target_os = "linux")]
#[test]
fn a_machine_without_a_gpu_is_told_so_and_works() {
    let nowhere = [("VK_DRIVER_FILES", "/nowhere.json"), ("VK_ICD_FILENAMES", "/nowhere.json")];
    let world = World::new();
    assert_eq!(listed(&world, &nowhere).len(), 1);
    let mut command = world.prover(&["devices"]);
    let (code, answer, _) = run({
        command.envs(nowhere);
        command
    });
    assert_eq!(code, Some(0));
    assert!(answer.contains("there is no GPU, or no driver for it"), "{answer}");
}

#[test]
fn a_worker_that_nobody_asks_ends() {
    let mut command = World::new().prover(&["worker"]);
    command.stdin(Stdio::null());
    let (_, answer, _) = run(command);
    assert_eq!(answer, "");
}

#[test]
fn a_device_that_is_not_there_costs_no_directory() {
    let world = World::new();
    let mut init = world.init(&"11".repeat(32));
    init.args(["--device", "gpu:nowhere"]);
    let (code, _, said) = run(init);
    assert!(code == Some(2) && said.contains("there is no device gpu:nowhere"), "{said}");
    assert!(!world.path("data").exists());
}

#[test]
fn what_is_no_device_is_refused_with_what_to_say() {
    let (code, _, said) =
        run(World::new().prover(&["plan", "--data-dir", "x", "--device", "cuda"]));
    assert_eq!(code, Some(2));
    assert!(said.contains("postmesh-prover devices"), "{said}");
}

/// The real program drives the software device by a worker, with what the cache says of it.
#[test]
fn a_device_is_measured_with_what_is_known_of_it() {
    let world = World::new();
    let devices = listed(&world, &[]);
    let Some(software) = devices.iter().find(|it| it["name"] == "gpu:software") else { return };
    let key = json!({
        "device": "gpu:software", "driver": software["driver"], "n": 2, "target_ms": 10,
    });
    let tuning = json!({ "gap": "two", "mixing": "plain", "labels": 640 });
    let known = json!({ "for": key, "tuning": tuning, "labels_per_second": null });
    fs::create_dir_all(world.path("cache")).unwrap();
    let file = world.path("cache/tuning.json");
    fs::write(&file, json!({ "version": 1, "tunings": [known] }).to_string()).unwrap();
    let arguments = ["devices", "--probe", "--device", "gpu:software", "--polite", "--json"];
    let mut command = world.prover(&arguments);
    command.args(["--scrypt-n", "2"]);
    let (code, answer, said) = run(command);
    assert_eq!(code, Some(0), "{answer} {said}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let devices = answer["devices"].as_array().unwrap();
    assert_eq!(devices[0]["probe"], Value::Null, "the CPU was not asked for");
    let software = devices.iter().find(|it| it["name"] == "gpu:software").unwrap();
    let (probe, tuned) = (&software["probe"], &software["tuned"][0]);
    assert_eq!(probe["label_kernel"], "wgsl, gap 2");
    assert!(probe["labels_per_second"].as_f64().unwrap() > 0.0);
    assert!(probe["scan_bytes_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!((&tuned["lookup_gap"], &tuned["labels_in_flight"]), (&2.into(), &640.into()));
    // What was measured is known from now on.
    assert!(tuned["labels_per_second"].as_f64().unwrap() > 0.0, "{tuned}");
}

/// Data sets and proofs are the same byte for byte, by the CPU, the GPU or both. The tuning is
/// given, so that no search for the best one takes minutes on a software device.
#[test]
fn data_and_proofs_are_the_same_whatever_makes_them() {
    let known = World::new();
    let devices = listed(&known, &[]);
    let Some(software) = devices.iter().find(|it| it["name"] == "gpu:software") else { return };
    let key = json!({
        "device": "gpu:software", "driver": software["driver"], "n": 2, "target_ms": 50,
    });
    let tuning = json!({ "gap": "one", "mixing": "plain", "labels": 64 });
    let tuned = json!({ "for": key, "tuning": tuning, "labels_per_second": null });
    let made = |devices: &[&str]| {
        let world = World::new();
        fs::create_dir_all(world.path("cache")).unwrap();
        let text = json!({ "version": 1, "tunings": [tuned] }).to_string();
        fs::write(world.path("cache/tuning.json"), text).unwrap();
        let named = devices.iter().flat_map(|name| ["--device", name]);
        let named: Vec<&str> = named.collect();
        let mut init = world.init(&"11".repeat(32));
        init.args(&named).arg("--json");
        let (code, answer, said) = run(init);
        assert_eq!(code, Some(0), "{said}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let (data, network) = (world.path("data"), world.network());
        let mut prove = world.prover(&["prove", "--json", "--challenge", &"33".repeat(32)]);
        prove.arg("--data-dir").arg(&data).arg("--network").arg(network).args(&named);
        let (code, proof, said) = run(prove);
        assert_eq!(code, Some(0), "{said}");
        let by = answer["devices"].as_array().unwrap().iter();
        let by: Vec<_> = by.map(|it| it["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(by, devices);
        let labels = world.data().into_iter().filter(|(name, _)| name.starts_with("postdata_"));
        (labels.collect::<Vec<_>>(), proof)
    };
    let expected = made(&["cpu"]);
    assert!(made(&["gpu:software"]) == expected);
    assert!(made(&["cpu", "gpu:software"]) == expected);
}
