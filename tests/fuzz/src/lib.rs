//! What no input may break: for each decoder a function that takes any bytes at all.
//!
//! A body decodes, and asserts what must hold of whatever was accepted. `fuzz_targets/` runs the
//! bodies under libFuzzer, `tests/fuzz.rs` runs them on known inputs, mutated ones and chance.
//! `seeds/TARGET/` holds known inputs: what a target has to accept, and what once broke it.
#![forbid(unsafe_code)]

use chain::{Identity, Network, ProofRecord, SealedKey};
use plot::{Entry, Layout, Metadata, Sidecar};
use post::k2pow::{Difficulty, Input, POW_END, PowHash};
use post::proof::{pack, packed_len, unpack};
use post::verify::{Failure, Indices, Invalid, verify};
use post::{LabelIndex, Nonce, Params, Proof, ScryptN, Statement};
use prover::ProofFile;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::Debug;
use wire::{BadFrame, Checked, Decoder, FRAME_BYTES_MAX, PairRequest, ToNode, ToProver, encode};

/// A body of a target: it panics where something does not hold, and says whether it accepted the
/// input.
pub type Body = fn(&[u8]) -> bool;

/// Every target by its name, which is also that of its seeds.
pub const TARGETS: [(&str, Body); 12] = [
    ("identity_key", identity_key),
    ("link_pairing", link_pairing),
    ("link_to_node", link_to_node),
    ("link_to_prover", link_to_prover),
    ("metadata", metadata),
    ("network_file", network_file),
    ("packed_indices", packed_indices),
    ("proof_file", proof_file),
    ("proof_record", proof_record),
    ("sealed_key", sealed_key),
    ("sidecar", sidecar),
    ("trash_entry", trash_entry),
];

/// A key file: what is read is written so that it reads the same.
pub fn identity_key(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else {
        return false;
    };
    let Ok(identity) = Identity::from_text(text) else {
        return false;
    };
    let digits = text.trim();
    let written = identity.to_text();
    assert_eq!(written.len(), 128);
    assert!(
        written.starts_with(&digits.to_lowercase()),
        "the seed is kept, and so is a public key that was there"
    );
    assert!(matches!(digits.len(), 64 | 128));
    let again = Identity::from_text(&written).expect("what we write, we read");
    assert_eq!(again.node_id(), identity.node_id());
    assert!(written.ends_with(&identity.node_id().to_string()));
    true
}

/// An encrypted key file: what is read is written so that it reads the same. It is not opened,
/// which is meant to take long.
pub fn sealed_key(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else {
        return false;
    };
    let Ok(key) = SealedKey::from_text(text) else {
        return false;
    };
    assert!(SealedKey::is_meant_by(text), "else it would be read as a plain key");
    let written = key.to_text();
    let again = SealedKey::from_text(&written).expect("what we write, we read");
    assert_eq!((again.node_id(), again.to_text()), (key.node_id(), written));
    true
}

/// What somebody says who wants to be paired with a node.
pub fn link_pairing(bytes: &[u8]) -> bool {
    link::<PairRequest>(bytes)
}

/// What provers say to a node.
pub fn link_to_node(bytes: &[u8]) -> bool {
    link::<ToNode>(bytes)
}

/// What a node says to provers.
pub fn link_to_prover(bytes: &[u8]) -> bool {
    link::<ToProver>(bytes)
}

/// A stream of frames, cut by the first byte. The cuts change nothing, and what was accepted is
/// the one encoding of its message.
fn link<M: Checked + Debug + PartialEq>(bytes: &[u8]) -> bool {
    let Some((cut, stream)) = bytes.split_first() else {
        return false;
    };
    let whole = decoded::<M>(stream, stream.len());
    assert_eq!(decoded::<M>(stream, 1), whole);
    assert_eq!(decoded::<M>(stream, usize::from(*cut)), whole);
    let (messages, end) = whole;
    let frames = messages.iter().map(|message| encode(message).expect("it was within bounds"));
    let again: Vec<u8> = frames.flatten().collect();
    let rest = stream.strip_prefix(&again[..]).expect("one encoding a message");
    match (&end, rest.split_first_chunk()) {
        (Ok(mid_frame), None) => assert_eq!(*mid_frame, !rest.is_empty()),
        (Ok(mid_frame), Some((length, body))) => {
            let length = u32::from_le_bytes(*length) as usize;
            assert!(*mid_frame && body.len() < length && length <= FRAME_BYTES_MAX);
        }
        (Err(_), header) => assert!(header.is_some(), "refused before its length was there"),
    }
    end == Ok(false)
}

/// The messages of a stream that comes in pieces of `size` bytes, and whether it ends in the
/// middle of a frame, or why it was given up.
fn decoded<M: Checked>(stream: &[u8], size: usize) -> (Vec<M>, Result<bool, BadFrame>) {
    let mut decoder = Decoder::default();
    let mut messages = Vec::new();
    for piece in stream.chunks(size.max(1)) {
        decoder.push(piece);
        loop {
            match decoder.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(bad) => return (messages, Err(bad)),
            }
        }
    }
    (messages, Ok(decoder.is_mid_frame()))
}

/// `postdata_metadata.json`: what is accepted is written so that it reads the same, and with the
/// fields of others as they were.
pub fn metadata(bytes: &[u8]) -> bool {
    const OURS: [&str; 8] = [
        "NodeId",
        "CommitmentAtxId",
        "LabelsPerUnit",
        "NumUnits",
        "MaxFileSize",
        "Nonce",
        "NonceValue",
        "LastPosition",
    ];
    let Ok(metadata) = Metadata::decode(bytes) else {
        return false;
    };
    let written = metadata.encode();
    let again = Metadata::decode(&written).expect("what we write, we read");
    assert_eq!(again.encode(), written);
    assert_eq!(
        (again.node_id, again.commitment_atx_id),
        (metadata.node_id, metadata.commitment_atx_id)
    );
    assert_eq!(again.labels_per_unit, metadata.labels_per_unit);
    assert_eq!(
        (again.num_units, again.max_file_size),
        (metadata.num_units, metadata.max_file_size)
    );
    assert_eq!((again.nonce, again.nonce_value), (metadata.nonce, metadata.nonce_value));
    assert_eq!(again.last_position, metadata.last_position);
    let foreign = |bytes: &[u8]| {
        let mut object: Map<String, Value> = serde_json::from_slice(bytes).expect("it was read");
        object.retain(|name, _| !OURS.contains(&name.as_str()));
        object
    };
    assert_eq!(foreign(&written), foreign(bytes));
    if let Ok(layout) = Layout::new(&metadata) {
        tiles(layout);
    }
    true
}

/// The files of a layout hold its labels, each once: asserted of the first and the last file.
fn tiles(layout: Layout) {
    let last = layout.files().checked_sub(1).expect("there are labels, so there is a file");
    assert_eq!(layout.labels_of(0).start, 0);
    assert_eq!(layout.labels_of(last).end, layout.num_labels());
    assert!(layout.labels_of(last + 1).is_empty());
    for file in [0, last] {
        let labels = layout.labels_of(file);
        assert_eq!(layout.place_of(labels.start), (file, 0));
        assert_eq!(layout.place_of(labels.end - 1), (file, layout.bytes_of(file) - 16));
    }
}

/// A network file: only one whose id is the hash of the rest passes, and it round-trips.
pub fn network_file(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else {
        return false;
    };
    let Ok(read) = toml::from_str::<Network>(text) else {
        return false;
    };
    let right = Network::new(read.name().to_owned(), read.post().clone());
    assert_eq!(read.clone().checked().is_ok(), read == right);
    assert_eq!(right.clone().checked().as_ref(), Ok(&right));
    let written = toml::to_string(&right).expect("a network has a file form");
    assert_eq!(toml::from_str(&written).as_ref(), Ok(&right));
    read == right
}

/// Packed indices, after their count (a byte) and the number of labels (8 bytes, LE).
pub fn packed_indices(bytes: &[u8]) -> bool {
    let Some((count, bytes)) = bytes.split_first() else {
        return false;
    };
    let Some((num_labels, bytes)) = bytes.split_first_chunk() else {
        return false;
    };
    let (count, num_labels) = (usize::from(*count), u64::from_le_bytes(*num_labels));
    let fits = bytes.len() == packed_len(count, num_labels);
    let unpacked = unpack(bytes, count, num_labels);
    match &unpacked {
        Some(indices) => {
            assert!(fits && indices.len() == count);
            assert_eq!(pack(indices, num_labels), bytes);
        }
        None => assert!(!fits || bytes.last().is_some_and(|last| last.leading_zeros() < 7)),
    }
    let chosen: Vec<LabelIndex> = bytes
        .chunks_exact(8)
        .filter_map(|chunk| u64::from_le_bytes(chunk.try_into().ok()?).checked_rem(num_labels))
        .map(LabelIndex)
        .collect();
    let packed = pack(&chosen, num_labels);
    assert_eq!(unpack(&packed, chosen.len(), num_labels), Some(chosen));
    unpacked.is_some()
}

/// A proof as JSON, and then the judge of it: what holds of the verdict whatever the proof.
///
/// A seed that is valid here is made by `postmesh-prover` with `--scrypt-n 2 --k1 8 --k2 4
/// --pow-difficulty ffff…` and one unit: RandomX and its stand-in both stay below such a bound.
pub fn proof_file(bytes: &[u8]) -> bool {
    let Ok((proof, statement)) = ProofFile::decode(bytes) else {
        return false;
    };
    let written = serde_json::to_vec(&ProofFile::new(&proof, &statement));
    let again = ProofFile::decode(&written.expect("numbers and text have a JSON form"));
    assert_eq!(again.expect("what we write, we read"), (proof.clone(), statement.clone()));
    let verdict = judge(&proof, &statement, Indices::All);
    match &verdict {
        Ok(()) => holds_strictly(&proof, &statement),
        Err(bad) => {
            let position = match bad {
                Invalid::NotGood { position, .. } => *position,
                _ => 0,
            };
            let evidence = Indices::One(u32::try_from(position).expect("below K2"));
            assert_eq!(judge(&proof, &statement, evidence), verdict, "one index shows it");
        }
    }
    verdict.is_ok()
}

/// Of a valid proof every part is valid, and what the reference would let through as well is not.
fn holds_strictly(proof: &Proof, statement: &Statement) {
    let k2 = params().k2;
    for count in 0..k2 {
        let which = Indices::Subset { k3: count + 1, seed: &proof.indices };
        assert_eq!(judge(proof, statement, which), Ok(()));
        assert_eq!(judge(proof, statement, Indices::One(count)), Ok(()));
    }
    assert!(judge(proof, statement, Indices::One(k2)).is_err());
    assert!(proof.nonce.0 < Nonce::END && proof.pow < POW_END);
    let labels = statement.num_labels().expect("a valid statement has labels");
    let indices = unpack(&proof.indices, k2 as usize, labels).expect("a valid proof unpacks");
    let different: BTreeSet<_> = indices.iter().collect();
    assert_eq!(different.len(), indices.len());
    assert!(indices.iter().all(|index| index.0 < labels));
    let refused = |changed: Proof| {
        assert!(judge(&changed, statement, Indices::All).is_err(), "{changed:?} is accepted");
    };
    refused(Proof { pow: proof.pow | POW_END, ..proof.clone() });
    refused(Proof { nonce: Nonce(proof.nonce.0 | Nonce::END), ..proof.clone() });
    refused(Proof { indices: [&proof.indices[..], &[0]].concat(), ..proof.clone() });
    let repeated = vec![indices[0]; indices.len()];
    refused(Proof { indices: pack(&repeated, labels), ..proof.clone() });
}

fn judge(proof: &Proof, statement: &Statement, which: Indices<'_>) -> Result<(), Invalid> {
    match verify(proof, statement, &params(), which, &Blake3) {
        Ok(()) => Ok(()),
        Err(Failure::Invalid(bad)) => Err(bad),
        Err(Failure::Unable(never)) => match never {},
    }
}

/// Cheap ones: four labels to make again, at the smallest N.
fn params() -> Params {
    Params {
        labels_per_unit: 1,
        units_min: 1,
        units_max: u32::MAX,
        scrypt_n: ScryptN::new(2).expect("2 is a power of two"),
        k1: 8,
        k2: 4,
        pow_difficulty: Difficulty([0xff; 32]),
    }
}

/// Stands in for RandomX.
struct Blake3;

impl PowHash for Blake3 {
    type Fault = Infallible;

    fn hash(&self, input: &Input) -> Result<[u8; 32], Infallible> {
        Ok(*blake3::hash(input).as_bytes())
    }
}

/// A record of the node's database: one encoding, and no more bytes or fewer.
pub fn proof_record(bytes: &[u8]) -> bool {
    let Ok(record) = chain::decode::<ProofRecord>(bytes) else {
        return false;
    };
    assert_eq!(chain::encode(&record).as_deref(), Ok(bytes));
    let longer = [bytes, &[0]].concat();
    assert!(chain::decode::<ProofRecord>(&longer).is_err());
    let shorter = bytes.split_last().map(|(_, shorter)| shorter).unwrap_or_default();
    assert!(chain::decode::<ProofRecord>(shorter).is_err());
    true
}

/// `postmesh.json`: what is accepted is a version and an N that we know.
pub fn sidecar(bytes: &[u8]) -> bool {
    let Ok(sidecar) = Sidecar::decode(bytes) else {
        return false;
    };
    let n = sidecar.scrypt_n.get();
    assert!(n.is_power_of_two() && (2..=ScryptN::MAX).contains(&n));
    assert_eq!(Sidecar::decode(&sidecar.encode()), Ok(sidecar));
    true
}

/// `trash/N/entry.json`: what is accepted names no file outside of its directory.
pub fn trash_entry(bytes: &[u8]) -> bool {
    let Ok(entry) = Entry::decode(bytes) else {
        return false;
    };
    let encoded = serde_json::to_vec(&entry).unwrap();
    let value: Value = serde_json::from_slice(&encoded).unwrap();
    for file in value["files"].as_array().unwrap() {
        let name = file[0].as_str().unwrap();
        assert!(!name.contains('/') && name.starts_with("post"), "{name}");
    }
    // What a newer version did is not known well enough to be written again.
    let again = Entry::decode(&encoded);
    assert!(again == Ok(entry.clone()) || matches!(entry.what, plot::What::Other));
    true
}
