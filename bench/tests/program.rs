//! The program as people and scripts meet it: its results, its exit codes, what it leaves behind.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn bench(words: &str) -> Output {
    bench_with(&words.split_whitespace().collect::<Vec<_>>())
}

fn bench_with(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_postmesh-bench")).args(words).output().unwrap()
}

/// The one line that was printed.
fn result(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    let stdout = str::from_utf8(&output.stdout).unwrap();
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    serde_json::from_str(stdout).unwrap()
}

/// What every result has, whatever was measured.
fn check(value: &Value, unit: &str, threads: u64) {
    assert_eq!(value["unit"], unit, "{value}");
    assert_eq!(value["threads"], threads, "{value}");
    assert!(!value["kernel"].as_str().unwrap().is_empty(), "{value}");
    for key in ["rate", "seconds"] {
        assert!(value[key].as_f64().unwrap() > 0.0, "{key}: {value}");
    }
    assert!(value["machine"]["cores"].as_u64().unwrap() > 0, "{value}");
    assert!(!value["machine"]["cpu"].as_str().unwrap().is_empty(), "{value}");
}

/// What a result with a limit has besides.
fn check_limit(value: &Value) {
    let number = |key: &str| value[key].as_f64().unwrap();
    let ratio = number("rate") / number("limit");
    assert!((number("ratio_to_limit") / ratio - 1.0).abs() < 1e-3, "{value}");
    assert!(!value["limit_what"].as_str().unwrap().is_empty(), "{value}");
}

#[test]
fn labels_are_measured_by_every_kernel() {
    for kernel in cpu::label_kernels() {
        let words =
            format!("init --threads 2 --seconds 0.2 --scrypt-n 16 --json --kernel {kernel}");
        let value = result(&bench(&words));
        check(&value, "labels/s", 2);
        check_limit(&value);
        assert_eq!((&value["kernel"], &value["scrypt_n"]), (&(*kernel).into(), &16.into()));
    }
}

#[test]
fn the_scan_of_its_own_file_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_postmesh-bench"))
        .args(["prove", "--threads", "1", "--seconds", "0.2", "--nonces", "16", "--json"])
        .env("TMPDIR", folder.path())
        .output();
    let value = result(&output.unwrap());
    check(&value, "GiB/s", 1);
    check_limit(&value);
    assert_eq!(value["kernel"], cpu::scan_kernels()[0]);
    assert_eq!((&value["nonces"], &value["data_bytes"]), (&16.into(), &(256_u64 << 20).into()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_user_s_file_is_scanned_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postdata_0.bin");
    let bytes: Vec<u8> = (0..=255).cycle().take(100_003).collect();
    std::fs::write(&path, &bytes).unwrap();
    let mut permissions = std::fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(&path, permissions).unwrap();
    let data = path.to_str().unwrap();
    let words = ["prove", "--threads", "2", "--seconds", "0.1", "--json", "--data", data];
    let value = result(&bench_with(&words));
    check(&value, "GiB/s", 2);
    assert_eq!(value["data_bytes"], 100_000);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn hashes_are_measured_and_their_preparation_told_apart() {
    let value = result(&bench("pow --threads 1 --seconds 0.2 --json"));
    check(&value, "hashes/s", 1);
    check_limit(&value);
    assert!(value["prepare_seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_disk_is_measured_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let words = ["disk", "--dir", dir, "--seconds", "0.1", "--size", "8MiB", "--json"];
    let value = result(&bench_with(&words));
    check(&value, "GiB/s", 4);
    for key in ["limit", "limit_what", "ratio_to_limit"] {
        assert_eq!(value.get(key), Some(&Value::Null), "{key}");
    }
    assert!(value["write_rate"].as_f64().unwrap() > 0.0);
    assert!(["direct", "dropped", "cached"].contains(&value["kernel"].as_str().unwrap()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn another_program_is_compared_pair_by_pair() {
    let ours = ["--", "init", "--threads", "1", "--seconds", "0.1", "--scrypt-n", "16"];
    let mut words = vec!["compare", "--runs", "3", "--json", "--against"];
    words.extend(["echo '{\"speed\": 2.5}'", "--pattern", "speed"]);
    words.extend(ours);
    let value = result(&bench_with(&words));
    assert_eq!(value["unit"], "labels/s");
    assert_eq!(value["pairs"].as_array().unwrap().len(), 3);
    assert_eq!(value["their"]["median"], 2.5);
    let (our, ratio) = (value["our"]["median"].as_f64(), value["ratio"].as_f64());
    assert!((our.unwrap() / 2.5 / ratio.unwrap() - 1.0).abs() < 1e-3, "{value}");
    let mut words = vec!["compare", "--runs", "1", "--json", "--against", "true"];
    words.extend(ours);
    let value = result(&bench_with(&words));
    assert_eq!(value["unit"], "s");
    assert!(value["ratio"].as_f64().unwrap() < 1.0, "{value}");
}

#[test]
fn without_json_there_is_a_table() {
    let output = bench("init --threads 1 --seconds 0.1 --scrypt-n 16");
    let text = String::from_utf8(output.stdout).unwrap();
    for name in ["rate ", "unit ", "limit what ", "machine cpu "] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}: {text}");
    }
}

#[test]
fn wrong_usage_is_told_from_what_cannot_be_done() {
    for (words, code, said) in [
        ("init --kernel none", 2, "portable"),
        ("prove --kernel none", 2, "portable"),
        ("init --scrypt-n 1000", 2, "power of two"),
        ("init --seconds 0", 2, "above 0"),
        ("prove --nonces 8", 2, "a multiple of 16"),
        ("pow --mode slow", 2, "light"),
        ("disk", 2, "--dir"),
        ("disk --dir /proc/no/such/folder", 3, "no file in"),
        ("prove --data /proc/no/such/file", 3, "cannot be opened"),
        ("compare --against true -- nothing", 2, "nothing"),
        ("compare --against false -- init --seconds 0.1 --scrypt-n 16", 3, "false"),
        ("compare --against true --pattern x -- init --seconds 0.1 --scrypt-n 16", 3, "follows"),
        ("", 2, "Usage"),
    ] {
        let output = bench(words);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words}: {stderr}");
        assert!(stderr.contains(said), "{words}: {stderr}");
        assert!(output.stdout.is_empty(), "{words}");
    }
    assert!(bench("--help").status.success());
}

#[test]
fn every_recorded_result_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    let mut lines = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            for key in ["bench", "rate", "unit", "threads", "kernel", "limit", "machine"] {
                assert!(value.get(key).is_some(), "{key}: {}: {line}", path.display());
            }
            lines += 1;
        }
    }
    assert!(lines > 0);
}
