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

/// Whether there is a GPU, if only one of software: everywhere but where `GPU=none` says no.
fn has_gpu() -> bool {
    std::env::var("GPU").map_or(true, |gpu| gpu != "none")
}

#[test]
fn every_gpu_is_listed_with_what_it_does() {
    let output = bench("devices --seconds 0.1 --json");
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(!lines.is_empty(), has_gpu(), "install mesa-vulkan-drivers, or set GPU=none");
    for value in lines {
        check(&value, "GiB/s", 1);
        assert!(value["device"].as_str().unwrap().starts_with("gpu:"), "{value}");
        for key in ["operations_per_second", "binding_bytes", "copy_bytes"] {
            assert!(value[key].as_f64().unwrap() > 0.0, "{key}: {value}");
        }
        assert_eq!(value["labels_at_most"].as_array().unwrap().len(), 3);
    }
}

#[test]
fn labels_are_measured_on_several_devices_each_alone() {
    if !has_gpu() {
        return;
    }
    let words = "init --device gpu:software --device cpu --threads 1 --seconds 0.2 --scrypt-n 16 \
                 --json";
    let output = bench(words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    for (value, device) in lines.iter().zip(["gpu:software", "cpu"]) {
        check(value, "labels/s", 1);
        check_limit(value);
        assert_eq!((&value["device"], &value["scrypt_n"]), (&device.into(), &16.into()));
    }
    let gpu = &lines[0];
    let number = |key: &str| gpu[key].as_f64().unwrap();
    assert!(gpu["kernel"].as_str().unwrap().starts_with("wgsl"), "{gpu}");
    assert!(number("dispatch_p50_ms") > 0.0 && number("dispatches") >= 1.0, "{gpu}");
    assert!(number("dispatch_p99_ms") >= number("dispatch_p50_ms"), "{gpu}");
    assert!([1, 2, 4].contains(&gpu["tuning"]["gap"].as_u64().unwrap()), "{gpu}");
    assert!(gpu["tuning"]["labels"].as_u64().unwrap() > 0, "{gpu}");
    // 16 rows written at most and 16 read, of 128 bytes.
    assert!((2048.0..=4096.0).contains(&number("bytes_per_label")), "{gpu}");
}

#[test]
fn the_scan_of_a_gpu_is_measured() {
    if !has_gpu() {
        return;
    }
    let words = "prove --device gpu:software --nonces 16 --seconds 0.2 --json";
    let value = result(&bench(words));
    check(&value, "GiB/s", 1);
    assert_eq!((&value["device"], &value["nonces"]), (&"gpu:software".into(), &16.into()));
}

/// The names of a folder's files, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn all_are_measured_written_down_drawn_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, out) = (folder.path().to_str().unwrap(), folder.path().join("out"));
    let words = ["all", "--seconds", "0.1", "--scrypt-n", "16", "--size", "8MiB", "--json"];
    let more = ["--threads", "1", "--dir", dir, "--out", out.to_str().unwrap()];
    let document = result(&bench_with(&[&words[..], &more].concat()));
    let benches: Vec<_> =
        document["results"].as_array().unwrap().iter().map(|it| it["bench"].clone()).collect();
    for bench in ["init", "prove", "pow", "disk"] {
        assert!(benches.contains(&bench.into()), "{bench}: {benches:?}");
    }
    assert_eq!(benches.contains(&"device".into()), has_gpu());
    let written = names(&out);
    let [table, picture] = &written[..] else { panic!("{written:?}") };
    let text = std::fs::read_to_string(out.join(table)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
    let text = std::fs::read_to_string(out.join(picture)).unwrap();
    let picture = roxmltree::Document::parse(&text).unwrap();
    let bars = picture.descendants().filter(|node| node.attribute("class") == Some("bar"));
    assert!(bars.count() >= benches.len());
    // With itself, nothing has changed.
    let table = out.join(table).display().to_string();
    let changes = result(&bench_with(&["compare", &table, &table, "--json"]));
    let changes = changes["changes"].as_array().unwrap();
    assert_eq!(changes.len(), benches.len());
    assert!(changes.iter().all(|it| it["verdict"] == "within_noise" && it["ratio"] == 1.0));
    // What was measured is what a forecast needs.
    let words = ["forecast", "--network", "standalone", "--size", "64KiB", "--window", "1h"];
    let value = result(&bench_with(&[&words[..], &["--from", &table, "--json"]].concat()));
    assert!(value["in_time"].as_f64().unwrap() > 0.99, "{value}");
}

#[test]
fn a_forecast_says_how_likely_a_proof_is_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("forecast.svg");
    let words = "forecast --size 4TiB --window 12h --scan 1.8@64 --scan 0.43@288 --disk 0.2 \
                 --pow 500 --threads 2";
    let words: Vec<_> = words.split_whitespace().collect();
    let drawn = ["--svg", picture.to_str().unwrap()];
    let value = result(&bench_with(&[&words[..], &["--json"], &drawn].concat()));
    let number = |key: &str| value[key].as_f64().unwrap();
    assert_eq!((number("units"), number("threads")), (64.0, 2.0));
    // 4 TiB by 0.2 GiB/s; 64 · 4687.5 hashes a group.
    assert!((number("scan_seconds") - 4096.0 / 0.2).abs() < 1.0, "{value}");
    assert!((value["rates"]["hashes_per_group"].as_f64().unwrap() - 300_000.0).abs() < 10.0);
    assert_eq!(value["bound_by"], "disk");
    assert!(number("in_time") > 0.99 && number("nonces") >= 192.0, "{value}");
    let text = std::fs::read_to_string(&picture).unwrap();
    roxmltree::Document::parse(&text).unwrap();
    // A file that is there is not written over, and nothing is reckoned for it.
    let again = bench_with(&[&words[..], &drawn].concat());
    assert_eq!((again.status.code(), again.stdout.len()), (Some(3), 0));
    assert_eq!(std::fs::read_to_string(&picture).unwrap(), text);
    let output = bench_with(&words);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("with a chance of") && said.contains("Best: --nonces"), "{said}");
    // What is asked for is taken.
    let few = result(&bench_with(&[&words[..], &["--nonces", "16", "--json"]].concat()));
    assert_eq!(few["nonces"], 16);
    assert!((few["one_pass"].as_f64().unwrap() - 0.326_265).abs() < 1e-5, "{few}");
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
        ("compare", 2, "FILE"),
        ("compare one.json", 2, "FILE"),
        ("compare /proc/no/one /proc/no/two", 3, "cannot be read"),
        ("compare Cargo.toml Cargo.toml", 2, "holds no results"),
        ("init --device card", 2, "gpu:NAME"),
        ("init --device gpu:none-such --seconds 0.1", 2, "no device gpu:none-such"),
        ("all --device gpu:none-such --seconds 0.1", 2, "no device gpu:none-such"),
        ("prove --svg Cargo.toml", 3, "is there already"),
        ("forecast --size 4TiB --window 12", 2, "12h"),
        ("forecast --size 4TiB --window 12h", 2, "--dir, --disk or --from"),
        ("forecast --size 4TiB --window 1h --disk 1 --network none", 2, "mainnet"),
        ("forecast --size 1GiB --window 1h --disk 1", 2, "units"),
        ("forecast --size 4TiB --window 1h --disk 1 --scan 1", 2, "0.9@128"),
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
