//! The machine that a number belongs to.

use serde::{Deserialize, Serialize};
use std::fs;

/// What decides how fast a machine is here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The processor, as it calls itself.
    pub(crate) cpu: String,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// Instructions that some kernel uses, if the processor has them.
    pub(crate) features: Vec<String>,
    /// Memory, where the system tells it.
    pub(crate) memory_gib: Option<f64>,
    /// Processes that ran or wanted to before we started (the last minute's mean): whether the
    /// machine was quiet.
    pub(crate) load: Option<f64>,
}

impl Machine {
    /// This machine.
    pub(crate) fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let architecture = || std::env::consts::ARCH.to_owned();
        let kib = field(&read("/proc/meminfo"), "MemTotal").and_then(|text| number(&text));
        Self {
            cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(architecture),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            features: features().into_iter().map(str::to_owned).collect(),
            memory_gib: kib.map(|kib| (kib / f64::from(1 << 20) * 10.0).round() / 10.0),
            load: number(&read("/proc/loadavg")),
        }
    }
}

/// AMD's family of the first cores that work on 512 bits in four pipes (Zen 5), of this CPU?
pub(crate) fn is_wide_amd() -> bool {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let is = |name, value| field(&text, name).as_deref() == Some(value);
    is("vendor_id", "AuthenticAMD") && is("cpu family", "26")
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim());
    values.next().map(str::to_owned)
}

/// The number that a text begins with.
fn number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    use std::is_x86_feature_detected as has;
    [
        ("aes", has!("aes")),
        ("avx2", has!("avx2")),
        ("avx512f", has!("avx512f")),
        ("vaes", has!("vaes")),
    ]
    .into_iter()
    .filter_map(|(name, has)| has.then_some(name))
    .collect()
}

#[cfg(target_arch = "aarch64")]
fn features() -> Vec<&'static str> {
    use std::arch::is_aarch64_feature_detected as has;
    let all = [("neon", has!("neon")), ("aes", has!("aes"))];
    all.into_iter().filter_map(|(name, has)| has.then_some(name)).collect()
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<&'static str> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        let text = "processor\t: 0\nmodel name\t: A CPU\nmodel name\t: Another\nMemTotal: 8 kB\n";
        assert_eq!(field(text, "model name").as_deref(), Some("A CPU"));
        assert_eq!(field(text, "MemTotal").and_then(|text| number(&text)), Some(8.0));
        assert_eq!(field(text, "model"), None);
    }

    #[test]
    fn a_machine_is_read_back_as_it_was_written() {
        let machine = Machine::here();
        assert!(machine.cores > 0 && !machine.cpu.is_empty());
        let text = serde_json::to_string(&machine).unwrap();
        assert_eq!(serde_json::from_str::<Machine>(&text).unwrap(), machine);
    }
}
