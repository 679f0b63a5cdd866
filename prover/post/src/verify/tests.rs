//! One test for each way a proof can be refused. The proofs come from a tiny search over N = 2
//! data with a stand-in hash: real ones are in `tests/vectors.rs`.

use super::*;
use crate::k2pow::{Difficulty, Input};
use crate::label::label;
use crate::proof::pack;
use crate::search::{Tally, pass};
use crate::units::{AtxId, Challenge, NodeId, NonceGroup};
use crate::{LabelIndex, Nonce, ScryptN};
use core::convert::Infallible;
use proptest::prelude::*;
use std::sync::LazyLock;

/// BLAKE3 in RandomX's place, cut to its first 32 bytes.
struct Blake3;

impl PowHash for Blake3 {
    type Fault = Infallible;

    fn hash(&self, input: &Input) -> Result<[u8; 32], Infallible> {
        Ok(blake3::hash(input).into())
    }
}

/// RandomX's place when it cannot work.
struct Broken;

impl PowHash for Broken {
    type Fault = &'static str;

    fn hash(&self, _: &Input) -> Result<[u8; 32], &'static str> {
        Err("no memory")
    }
}

fn params() -> Params {
    let mut pow_difficulty = Difficulty([0xff; 32]);
    pow_difficulty.0[0] = 0x40;
    Params {
        labels_per_unit: 256,
        units_min: 2,
        units_max: 4,
        scrypt_n: ScryptN::new(2).unwrap(),
        k1: 12,
        k2: 12,
        pow_difficulty,
    }
}

fn statement(seed: u8) -> Statement {
    Statement {
        node_id: NodeId([seed; 32]),
        commitment_atx_id: AtxId([2; 32]),
        challenge: Challenge([seed ^ 3; 32]),
        num_units: 2,
        labels_per_unit: 256,
    }
}

/// The slow and obvious prover.
fn prove(statement: &Statement, params: &Params) -> Proof {
    let num_labels = statement.num_labels().unwrap();
    let threshold = Threshold::new(params.k1, num_labels).unwrap();
    let bound = params.pow_difficulty.scaled(statement.num_units).unwrap();
    let commitment = statement.commitment();
    let labels: Vec<_> = (0..num_labels)
        .map(|index| label(&commitment, LabelIndex(index), params.scrypt_n).stored())
        .collect();
    (0..256)
        .find_map(|number| {
            let nonces = pass(number, 16)?;
            let group = NonceGroup(u8::try_from(number).unwrap());
            let solves = |pow: &u64| {
                let input = k2pow::input(*pow, group, &statement.challenge, &statement.node_id);
                bound.met_by(&Blake3.hash(&input).unwrap())
            };
            let pow = (0..).find(solves)?;
            let cipher = GroupCipher::new(&GroupKeys::new(&statement.challenge, group, pow));
            let mut tally = Tally::new(Nonce(nonces.start), 16, params.k2);
            for (index, label) in (0_u64..).zip(&labels) {
                let mut hits = Vec::new();
                cipher.hits(LabelIndex(index), label, threshold, &mut hits);
                tally.add(&hits);
            }
            let winner = tally.winner(LabelIndex(num_labels))?;
            Some(Proof::new(&winner, num_labels, pow))
        })
        .unwrap()
}

static PROVEN: LazyLock<(Statement, Proof)> = LazyLock::new(|| {
    let statement = statement(1);
    let proof = prove(&statement, &params());
    (statement, proof)
});

fn judge(proof: &Proof, statement: &Statement, which: Indices<'_>) -> Result<(), Invalid> {
    verify(proof, statement, &params(), which, &Blake3).map_err(|failure| match failure {
        Failure::Invalid(invalid) => invalid,
        Failure::Unable(never) => match never {},
    })
}

fn indices(proof: &Proof) -> Vec<LabelIndex> {
    unpack(&proof.indices, 12, 512).unwrap()
}

#[test]
fn an_honest_proof_is_accepted_whichever_labels_are_checked() {
    let (statement, proof) = &*PROVEN;
    assert_eq!(judge(proof, statement, Indices::All), Ok(()));
    assert_eq!(judge(proof, statement, Indices::Subset { k3: 3, seed: b"me" }), Ok(()));
    assert_eq!(judge(proof, statement, Indices::Subset { k3: 12, seed: b"me" }), Ok(()));
    for position in 0..12 {
        assert_eq!(judge(proof, statement, Indices::One(position)), Ok(()));
    }
}

#[test]
fn unsorted_indices_are_fine() {
    let (statement, proof) = &*PROVEN;
    let mut indices = indices(proof);
    indices.reverse();
    let proof = Proof { indices: pack(&indices, 512), ..proof.clone() };
    assert_eq!(judge(&proof, statement, Indices::All), Ok(()));
}

#[test]
fn one_good_index_repeated_is_refused() {
    let (statement, proof) = &*PROVEN;
    let index = indices(proof)[0];
    let proof = Proof { indices: pack(&[index; 12], 512), ..proof.clone() };
    assert_eq!(judge(&proof, statement, Indices::All), Err(Invalid::IndexRepeated { index }));
}

#[test]
fn an_index_beyond_the_data_is_refused() {
    let (statement, proof) = &*PROVEN;
    let mut indices = indices(proof);
    indices[7] = LabelIndex(512);
    let proof = Proof { indices: pack(&indices, 512), ..proof.clone() };
    let expected = Invalid::IndexBeyondEnd { position: 7, index: LabelIndex(512), num_labels: 512 };
    assert_eq!(judge(&proof, statement, Indices::All), Err(expected));
}

#[test]
fn a_pow_of_eight_bytes_is_refused_though_its_hash_is_the_same() {
    let (statement, proof) = &*PROVEN;
    let pow = proof.pow | 1 << 56;
    let group = proof.nonce.group().unwrap();
    let input = |pow| k2pow::input(pow, group, &statement.challenge, &statement.node_id);
    assert_eq!(input(pow), input(proof.pow));
    let proof = Proof { pow, ..proof.clone() };
    assert_eq!(judge(&proof, statement, Indices::All), Err(Invalid::PowTooLarge { pow }));
}

#[test]
fn padding_bits_are_refused() {
    let (statement, proof) = &*PROVEN;
    // 12 indices of 10 bits fill 15 bytes exactly; one unit less leaves 9 bits and 4 of padding.
    assert_eq!(proof.indices.len(), 15);
    let mut params = params();
    params.k2 = 11;
    let mut bytes = pack(&indices(proof)[..11], 512);
    *bytes.last_mut().unwrap() |= 0x80;
    let proof = Proof { indices: bytes, ..proof.clone() };
    let verdict = verify(&proof, statement, &params, Indices::All, &Blake3);
    assert_eq!(verdict, Err(Failure::Invalid(Invalid::Padding)));
}

#[test]
fn nonces_past_group_255_are_refused() {
    let (statement, proof) = &*PROVEN;
    let nonce = Nonce(Nonce::END);
    let proof = Proof { nonce, ..proof.clone() };
    assert_eq!(judge(&proof, statement, Indices::All), Err(Invalid::NonceBeyondEnd { nonce }));
}

#[test]
fn a_list_of_another_length_is_refused() {
    let (statement, proof) = &*PROVEN;
    for found in [0, 14, 16] {
        let mut proof = proof.clone();
        proof.indices.resize(found, 0);
        let expected = Invalid::IndicesLength { found, expected: 15 };
        assert_eq!(judge(&proof, statement, Indices::All), Err(expected));
    }
}

#[test]
fn a_bad_label_is_found_by_all_and_by_its_position_only() {
    let (statement, proof) = &*PROVEN;
    let mut indices = indices(proof);
    let free = (0..512).map(LabelIndex).find(|index| !indices.contains(index)).unwrap();
    indices[4] = free;
    let proof = Proof { indices: pack(&indices, 512), ..proof.clone() };
    let expected = Invalid::NotGood { position: 4, index: free, nonce: proof.nonce };
    assert_eq!(judge(&proof, statement, Indices::All), Err(expected.clone()));
    assert_eq!(judge(&proof, statement, Indices::One(4)), Err(expected));
    assert_eq!(judge(&proof, statement, Indices::One(3)), Ok(()));
    // Among many verifiers with seeds of their own, some look at it and some do not.
    let seen = (0..40_u8).filter(|seed| {
        judge(&proof, statement, Indices::Subset { k3: 3, seed: &[*seed] }).is_err()
    });
    assert!((1..40).contains(&seen.count()));
}

#[test]
fn positions_and_counts_that_do_not_exist_are_refused() {
    let (statement, proof) = &*PROVEN;
    for (which, asked) in [
        (Indices::One(12), 12),
        (Indices::Subset { k3: 0, seed: b"" }, 0),
        (Indices::Subset { k3: 13, seed: b"" }, 13),
    ] {
        assert_eq!(judge(proof, statement, which), Err(Invalid::NoSuchIndex { asked, k2: 12 }));
    }
}

#[test]
fn a_pow_that_misses_the_difficulty_is_refused() {
    let (statement, proof) = &*PROVEN;
    let group = proof.nonce.group().unwrap();
    let bound = params().pow_difficulty.scaled(2).unwrap();
    let input = |pow| k2pow::input(pow, group, &statement.challenge, &statement.node_id);
    let pow = (0..).find(|pow| !bound.met_by(&Blake3.hash(&input(*pow)).unwrap())).unwrap();
    let proof = Proof { pow, ..proof.clone() };
    assert_eq!(judge(&proof, statement, Indices::All), Err(Invalid::Pow { pow }));
}

#[test]
fn units_and_labels_out_of_bounds_are_refused() {
    let (statement, proof) = &*PROVEN;
    for found in [0, 1, 5] {
        let statement = Statement { num_units: found, ..statement.clone() };
        let expected = Invalid::Units { found, min: 2, max: 4 };
        assert_eq!(judge(proof, &statement, Indices::All), Err(expected));
    }
    for labels_per_unit in [0, u64::MAX] {
        let statement = Statement { labels_per_unit, ..statement.clone() };
        let expected = Invalid::LabelCount { num_units: 2, labels_per_unit };
        assert_eq!(judge(proof, &statement, Indices::All), Err(expected));
    }
    let statement = Statement { labels_per_unit: 6, ..statement.clone() };
    let expected = TooFewLabels { labels: 12, k1: 12 };
    assert_eq!(judge(proof, &statement, Indices::All), Err(expected.into()));
}

#[test]
fn a_machine_that_cannot_hash_says_nothing_about_the_proof() {
    let (statement, proof) = &*PROVEN;
    let verdict = verify(proof, statement, &params(), Indices::All, &Broken);
    assert_eq!(verdict, Err(Failure::Unable("no memory")));
}

/// The order that the reference's own test of its shuffle expects for an empty seed.
#[test]
fn the_shuffle_is_the_reference_s() {
    let order = shuffled((0..100).collect(), &[]);
    assert_eq!(order[..12], [39, 13, 95, 77, 36, 41, 74, 17, 59, 87, 91, 63]);
    assert_eq!(order[96..], [8, 28, 66, 47]);
    let mut sorted = order;
    sorted.sort_unstable();
    assert_eq!(sorted, (0..100).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn what_the_plain_prover_proves_is_valid(seed: u8) {
        let statement = statement(seed);
        let proof = prove(&statement, &params());
        prop_assert_eq!(judge(&proof, &statement, Indices::All), Ok(()));
    }

    #[test]
    fn any_proof_is_judged_without_panic(
        nonce: u32, pow: u64, indices: Vec<u8>, num_units: u32, labels_per_unit: u64,
    ) {
        let statement = Statement { num_units, labels_per_unit, ..statement(9) };
        let proof = Proof { nonce: Nonce(nonce), indices, pow };
        prop_assert!(judge(&proof, &statement, Indices::All).is_err());
    }
}
