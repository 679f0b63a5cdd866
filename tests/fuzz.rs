//! The bodies of the fuzz targets on stable, in a second: known inputs, known ones with a few
//! changes, and chance. `make fuzz` searches for longer.

use bodies::{Body, TARGETS};
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

// By its path, since a package below a member cannot stand outside of the workspace for it.
#[allow(unreachable_pub, reason = "a library, elsewhere")]
#[path = "fuzz/src/lib.rs"]
mod bodies;

/// Changed inputs for each target, and as many random ones.
const INPUTS: u64 = 4000;
/// Bytes of the longest random input.
const RANDOM_BYTES_MAX: u64 = 300;

#[test]
fn no_input_breaks_a_decoder() {
    for target in TARGETS {
        let seeds = seeds(target.0);
        let mut chance = Chance(0);
        hold(target, &[]);
        for seed in &seeds {
            hold(target, seed);
        }
        for _ in 0..INPUTS {
            hold(target, &chance.changed(&seeds));
            let length = chance.below(RANDOM_BYTES_MAX);
            hold(target, &chance.bytes(length));
        }
    }
}

/// Else the changed inputs would all end at the first check.
#[test]
fn every_target_accepts_one_of_its_seeds() {
    for (name, body) in TARGETS {
        let accepted = seeds(name).iter().any(|seed| body(seed));
        assert!(accepted, "{name} accepts none of its seeds");
    }
}

#[test]
fn every_target_has_its_program_and_its_seeds() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap();
    let mut programs: Vec<&str> = manifest["bin"]
        .as_array()
        .unwrap()
        .iter()
        .map(|program| program["name"].as_str().unwrap())
        .collect();
    programs.sort_unstable();
    let targets = TARGETS.map(|(name, _)| name);
    assert_eq!(programs, targets);
    for kind in ["fuzz_targets", "seeds"] {
        let stems = entries(&folder().join(kind));
        let stems = stems.iter().map(|path| path.file_stem().unwrap());
        assert!(stems.eq(targets), "{kind} are not those of the targets");
    }
}

/// Runs a body; names the input that breaks it.
fn hold((name, body): (&str, Body), input: &[u8]) {
    if catch_unwind(|| body(input)).is_err() {
        panic!("{name} is broken by the bytes {}", post::to_hex(input));
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// What lies in a folder, sorted.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let files = entries(&folder().join("seeds").join(target));
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Numbers that look random and are the same in each run: SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// One of these inputs with one to four changes.
    fn changed(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut pick = |from: usize| self.below(from.max(1) as u64) as usize;
        let mut input = inputs[pick(inputs.len())].clone();
        let other = inputs[pick(inputs.len())].clone();
        for _ in 0..=pick(4) {
            let at = pick(input.len());
            let end = at + pick(input.len() - at);
            match pick(7) {
                0 => input.truncate(at),
                1 => drop(input.drain(at..end)),
                2 => input.extend_from_within(at..end),
                3 => input.insert(at, pick(256) as u8),
                4 => input.splice(at..end, other.clone()).for_each(drop),
                // A digit changes numbers and hexadecimal text, and leaves them what they are.
                5 => input[at..].iter_mut().take(1).for_each(|byte| *byte = b'0' + pick(10) as u8),
                _ => input[at..].iter_mut().take(1).for_each(|byte| *byte ^= 1 << pick(8)),
            }
        }
        input
    }
}
