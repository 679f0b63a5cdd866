//! Facts made by the reference (Spacemesh's post-rs): labels, data, VRF nonces, proofs that it
//! accepts and changes of them that it refuses.
//!
//! Nothing may go unread: the fields of a vector are all named here (an unknown one fails to
//! parse), and so are the files.

use cpu::{Labels, label_kernels};
use plot::{DataSet, Metadata};
use post::k2pow::Difficulty;
use post::verify::{Failure, Indices, Invalid, verify};
use post::{
    AtxId, Candidate, Challenge, Commitment, LABEL_BYTES, LabelIndex, Labeler, NodeId, Nonce,
    Params, Proof, ScryptN, Statement, label, vrf,
};
use pow::{Mode, RandomX};
use serde::Deserialize;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Every file, and the test that reads it.
const READ: [&str; 6] = [
    "labels.json",                               // labels_are_the_reference_s
    "post-proofs.json",                          // data_…, proofs_…
    "reference-data-dir/postdata_0.bin",         // the_reference_s_directory_is_understood
    "reference-data-dir/postdata_1.bin",         // the same
    "reference-data-dir/postdata_2.bin",         // the same
    "reference-data-dir/postdata_metadata.json", // the same
];

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

fn read<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    serde_json::from_slice(&fs::read(folder().join(name)).unwrap()).unwrap()
}

#[test]
fn no_vector_goes_unread() {
    let mut found = Vec::new();
    let mut folders = vec![folder()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder()).unwrap();
                found.push(name.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert_eq!(found, READ);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelVector {
    node_id: NodeId,
    commitment_atx_id: AtxId,
    commitment: Commitment,
    n: u32,
    index: String,
    label: String,
    label32: String,
}

#[test]
fn labels_are_the_reference_s() {
    let vectors: Vec<LabelVector> = read("labels.json");
    assert_eq!(vectors.len(), 47);
    for vector in vectors {
        let commitment = Commitment::new(&vector.node_id, &vector.commitment_atx_id);
        assert_eq!(commitment, vector.commitment);
        let (n, index) = (ScryptN::new(vector.n).unwrap(), vector.index.parse().unwrap());
        let made = label(&commitment, LabelIndex(index), n);
        assert_eq!(post::to_hex(&made.0), vector.label32, "label {index}, N = {n}");
        assert_eq!(post::to_hex(&made.stored()), vector.label, "label {index}, N = {n}");
        for kernel in label_kernels() {
            let mut labels = Labels::with_kernel(kernel, commitment, n, one_thread()).unwrap();
            let mut stored = [0; LABEL_BYTES];
            let best = labels.fill(index..index + 1, &mut stored, &|| false).unwrap();
            assert_eq!(stored, made.stored(), "label {index}, N = {n}, {kernel}");
            assert_eq!(best, Some(Candidate { index: LabelIndex(index), label: made }));
        }
    }
}

fn one_thread() -> NonZeroUsize {
    NonZeroUsize::MIN
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofVector {
    node_id: NodeId,
    commitment_atx_id: AtxId,
    commitment: Commitment,
    challenge: Challenge,
    num_units: u32,
    labels_per_unit: u64,
    labels_per_file: u64,
    scrypt: Scrypt,
    k1: u32,
    k2: u32,
    pow_difficulty: String,
    nonces_per_pass: u32,
    vrf_nonce: u64,
    data_blake3: String,
    files: Vec<FileVector>,
    proof: HexProof,
    rejected: Vec<Rejected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scrypt {
    n: u32,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileVector {
    name: String,
    bytes: u64,
    blake3: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HexProof {
    nonce: u32,
    indices: String,
    pow: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rejected {
    change: String,
    reference_error: String,
    proof_base64_indices: Base64Proof,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base64Proof {
    nonce: u32,
    indices: String,
    pow: u64,
}

impl ProofVector {
    fn params(&self) -> Params {
        Params {
            labels_per_unit: self.labels_per_unit,
            units_min: 1,
            units_max: u32::MAX,
            scrypt_n: ScryptN::new(self.scrypt.n).unwrap(),
            k1: self.k1,
            k2: self.k2,
            pow_difficulty: self.pow_difficulty.parse::<Difficulty>().unwrap(),
        }
    }

    fn statement(&self) -> Statement {
        Statement {
            node_id: self.node_id,
            commitment_atx_id: self.commitment_atx_id,
            challenge: self.challenge,
            num_units: self.num_units,
            labels_per_unit: self.labels_per_unit,
        }
    }

    fn accepted(&self) -> Proof {
        let indices = post::from_hex(&self.proof.indices).unwrap();
        Proof { nonce: Nonce(self.proof.nonce), indices, pow: self.proof.pow }
    }

    fn judge(&self, proof: &Proof, which: Indices<'_>) -> Result<(), Failure<pow::PowFault>> {
        verify(proof, &self.statement(), &self.params(), which, &*RANDOMX)
    }
}

static RANDOMX: LazyLock<RandomX> = LazyLock::new(|| RandomX::new(Mode::Light, 1).unwrap());

#[test]
fn data_and_vrf_nonces_are_the_reference_s() {
    for vector in read::<Vec<ProofVector>>("post-proofs.json") {
        assert_eq!((vector.scrypt.r, vector.scrypt.p), (1, 1));
        let statement = vector.statement();
        assert_eq!(statement.commitment(), vector.commitment);
        let num_labels = statement.num_labels().unwrap();
        let n = vector.params().scrypt_n;
        let mut labels = Labels::new(statement.commitment(), n, one_thread());
        let mut data = vec![0; usize::try_from(num_labels).unwrap() * LABEL_BYTES];
        let best = labels.fill(0..num_labels, &mut data, &|| false).unwrap().unwrap();
        assert_eq!(best.index, LabelIndex(vector.vrf_nonce));
        assert!(vrf::suits(&best.label, num_labels));
        assert_eq!(blake3::hash(&data).to_hex().as_str(), vector.data_blake3);
        let files = data.chunks(usize::try_from(vector.labels_per_file).unwrap() * LABEL_BYTES);
        assert_eq!(files.len(), vector.files.len());
        for ((number, bytes), file) in files.enumerate().zip(&vector.files) {
            assert_eq!(file.name, format!("postdata_{number}.bin"));
            assert_eq!(file.bytes, bytes.len() as u64);
            assert_eq!(blake3::hash(bytes).to_hex().as_str(), file.blake3);
        }
    }
}

#[test]
fn proofs_are_accepted_and_changed_ones_refused_for_the_right_reason() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    for vector in read::<Vec<ProofVector>>("post-proofs.json") {
        let accepted = vector.accepted();
        // It was found in the first pass.
        assert!(accepted.nonce.0 < vector.nonces_per_pass);
        assert_eq!(vector.judge(&accepted, Indices::All), Ok(()));
        assert_eq!(vector.judge(&accepted, Indices::Subset { k3: 5, seed: b"seed" }), Ok(()));
        assert_eq!(vector.judge(&accepted, Indices::One(vector.k2 - 1)), Ok(()));
        assert_eq!(vector.rejected.len(), 4);
        for rejected in &vector.rejected {
            let proof = &rejected.proof_base64_indices;
            let indices = STANDARD.decode(&proof.indices).unwrap();
            let proof = Proof { nonce: Nonce(proof.nonce), indices, pow: proof.pow };
            let verdict = vector.judge(&proof, Indices::All);
            let Err(Failure::Invalid(invalid)) = verdict else { panic!("{verdict:?}") };
            let theirs = &rejected.reference_error;
            let (ours, word) = match rejected.change.as_str() {
                "pow bit flipped" => (matches!(invalid, Invalid::Pow { .. }), "proof of work"),
                "nonce changed within its group" | "index bit flipped" => {
                    (matches!(invalid, Invalid::NotGood { .. }), "satisfy difficulty")
                }
                "indices one byte short" => {
                    (matches!(invalid, Invalid::IndicesLength { .. }), "number of indices")
                }
                other => panic!("a change that this test does not know: {other}"),
            };
            assert!(ours, "{}: {invalid}", rejected.change);
            assert!(theirs.contains(word), "{}: {theirs}", rejected.change);
        }
    }
}

#[test]
fn the_reference_s_directory_is_understood() {
    let path = folder().join("reference-data-dir");
    let directory = DataSet::open(&[&path]).unwrap();
    let metadata = directory.metadata();
    assert_eq!((metadata.num_units, metadata.labels_per_unit), (3, 256));
    assert_eq!(directory.scrypt_n(), None);
    let original = fs::read(path.join("postdata_metadata.json")).unwrap();
    let again = Metadata::decode(&original).unwrap().encode();
    assert_eq!(
        String::from_utf8(again).unwrap().trim(),
        String::from_utf8(original).unwrap().trim()
    );
    let commitment = Commitment::new(&metadata.node_id, &metadata.commitment_atx_id);
    let mut labels = Labels::new(commitment, ScryptN::new(8192).unwrap(), one_thread());
    let mut expected = vec![0; 768 * LABEL_BYTES];
    labels.fill(0..768, &mut expected, &|| false).unwrap();
    let mut stored = vec![0; 800 * LABEL_BYTES];
    let count = directory.reader().read(0, &mut stored).unwrap();
    assert_eq!(stored[..count], expected);
    for file in directory.survey().unwrap() {
        file.complete().unwrap();
    }
}
