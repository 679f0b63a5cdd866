//! Verification of a real proof, and what it is made of: RandomX's light hash, and labels that
//! are made again at mainnet's N.
//!
//! `cargo bench -p bench --profile release --bench verify`. The proof is one of the reference's
//! vectors.

use core::convert::Infallible;
use criterion::{Criterion, SamplingMode};
use post::k2pow::{Input, PowHash};
use post::verify::{Indices, verify};
use post::{NodeId, Nonce, Params, Proof, ScryptN, Statement, k2pow, presets};
use pow::{Mode, RandomX};
use serde_json::Value;
use std::error::Error;
use std::str::FromStr;
use std::time::Duration;

const VECTORS: &str = include_str!("../../tests/vectors/post-proofs.json");

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let Case { statement, params, proof } = case()?;
    let randomx = RandomX::new(Mode::Light, 1)?;
    let mut group = criterion.benchmark_group("verify");
    group.sampling_mode(SamplingMode::Flat);
    let node = NodeId([1; 32]);
    let mut pow = 0;
    group.bench_function("pow/mode=light", |bencher| {
        bencher.iter(|| {
            pow += 1;
            let group = post::NonceGroup(0);
            randomx.hash(&k2pow::input(pow, group, &statement.challenge, &node)).is_ok()
        });
    });
    let subset = |k3| Indices::Subset { k3, seed: b"bench" };
    for (k3, which) in [(1, subset(1)), (params.k2, Indices::All)] {
        group.bench_function(format!("labels/k3={k3}"), |bencher| {
            bencher.iter(|| {
                let verdict = verify(&proof, &statement, &params, which, &Free);
                assert!(verdict.is_ok(), "{verdict:?}");
            });
        });
    }
    group.bench_function(format!("proof/k3={}", params.k2), |bencher| {
        bencher.iter(|| {
            let verdict = verify(&proof, &statement, &params, Indices::All, &randomx);
            assert!(verdict.is_ok(), "{verdict:?}");
        });
    });
    group.finish();
    criterion.final_summary();
    Ok(())
}

/// A hash that costs nothing and solves everything: what remains is the labels.
struct Free;

impl PowHash for Free {
    type Fault = Infallible;

    fn hash(&self, _: &Input) -> Result<[u8; 32], Infallible> {
        Ok([0; 32])
    }
}

/// A proof and what it is a proof of.
struct Case {
    statement: Statement,
    params: Params,
    proof: Proof,
}

/// The first vector at mainnet's N.
fn case() -> Result<Case, Box<dyn Error>> {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS)?;
    let [mainnet, ..] = presets();
    let n = mainnet.params.scrypt_n;
    let of_mainnet = |vector: &&Value| vector["scrypt"]["n"] == n.get();
    let vector = vectors.iter().find(of_mainnet).ok_or("no vector has mainnet's N")?;
    let statement = Statement {
        node_id: hex(&vector["node_id"])?,
        commitment_atx_id: hex(&vector["commitment_atx_id"])?,
        challenge: hex(&vector["challenge"])?,
        num_units: number(&vector["num_units"])?,
        labels_per_unit: number(&vector["labels_per_unit"])?,
    };
    let params = Params {
        units_min: 1,
        k1: number(&vector["k1"])?,
        k2: number(&vector["k2"])?,
        scrypt_n: ScryptN::new(n.get())?,
        pow_difficulty: hex(&vector["pow_difficulty"])?,
        ..mainnet.params
    };
    let proof = &vector["proof"];
    let indices = proof["indices"].as_str().ok_or("no indices")?;
    let indices = indices.as_bytes().chunks(2).map(|digits| {
        Ok::<_, Box<dyn Error>>(u8::from_str_radix(core::str::from_utf8(digits)?, 16)?)
    });
    let proof = Proof {
        nonce: Nonce(number(&proof["nonce"])?),
        indices: indices.collect::<Result<_, _>>()?,
        pow: number(&proof["pow"])?,
    };
    Ok(Case { statement, params, proof })
}

fn hex<T: FromStr<Err: Error + 'static>>(value: &Value) -> Result<T, Box<dyn Error>> {
    Ok(value.as_str().ok_or("no text")?.parse()?)
}

fn number<T: TryFrom<u64, Error: Error + 'static>>(value: &Value) -> Result<T, Box<dyn Error>> {
    Ok(value.as_u64().ok_or("no number")?.try_into()?)
}
