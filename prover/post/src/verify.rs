//! The judge of proofs.
//!
//! 1. The statement must be one that can be proven: units and labels within bounds.
//! 2. The nonce must lie in a group from 0 to 255, and the pow fit in 7 bytes.
//! 3. The packed indices must have the one right length, zero padding, and name K2 *different*
//!    labels that *exist*.
//! 4. The k2pow must meet the difficulty, scaled by the units.
//! 5. The labels picked by [`Indices`] are made again, and each must be good for the nonce.
//!
//! Points 2 and 3 are stricter than the reference, which accepts one good index repeated K2 times,
//! indices beyond the data, pows of 8 bytes (256 key sets for one work) and any padding. The
//! order of indices is free: honest provers with several threads leave them unsorted.

use crate::k2pow::{self, NoUnits, PowHash};
use crate::label::{Scratch, label_in};
use crate::params::Params;
use crate::proof::{Proof, Statement, packed_len, unpack};
use crate::search::{GroupCipher, GroupKeys, Threshold, TooFewLabels};
use crate::units::{LabelIndex, Nonce};
use alloc::vec::Vec;
use thiserror::Error;

/// Which of a proof's labels are made again.
#[derive(Clone, Copy, Debug)]
pub enum Indices<'a> {
    /// Every one.
    All,
    /// `k3` of them, drawn by a seed that the prover cannot know: whoever verifies a part needs
    /// others who verify other parts.
    Subset {
        /// How many, at most K2.
        k3: u32,
        /// The verifier's own.
        seed: &'a [u8],
    },
    /// The one at this position of the list: evidence that a proof is invalid.
    One(u32),
}

/// Why a proof is not valid. Every variant holds the evidence.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Invalid {
    /// The statement has no units.
    #[error(transparent)]
    NoUnits(#[from] NoUnits),
    /// Units outside the network's bounds.
    #[error("{found} units, but the network allows {min} to {max}")]
    Units {
        /// Units stated.
        found: u32,
        /// Fewest allowed.
        min: u32,
        /// Most allowed.
        max: u32,
    },
    /// Units times labels per unit overflow.
    #[error("{num_units} units of {labels_per_unit} labels are none, or more than there can be")]
    LabelCount {
        /// Units stated.
        num_units: u32,
        /// Labels per unit stated.
        labels_per_unit: u64,
    },
    /// Every label would be good.
    #[error(transparent)]
    TooFewLabels(#[from] TooFewLabels),
    /// The nonce group does not fit a byte.
    #[error("nonce {} is beyond the last one, {}", nonce.0, Nonce::END - 1)]
    NonceBeyondEnd {
        /// The nonce stated.
        nonce: Nonce,
    },
    /// The pow does not fit 7 bytes.
    #[error("pow {pow} does not fit in 7 bytes")]
    PowTooLarge {
        /// The pow stated.
        pow: u64,
    },
    /// The packed indices have another length than K2 of them take.
    #[error("{found} bytes of indices, expected {expected}")]
    IndicesLength {
        /// Bytes found.
        found: usize,
        /// Bytes that K2 indices take.
        expected: usize,
    },
    /// The unused bits of the last byte are not zero.
    #[error("the unused bits after the last index are not zero")]
    Padding,
    /// An index names no label of the data.
    #[error("index {index} (at position {position}) is beyond the {num_labels} labels")]
    IndexBeyondEnd {
        /// Position in the list.
        position: usize,
        /// The index.
        index: LabelIndex,
        /// Labels there are.
        num_labels: u64,
    },
    /// An index stands twice.
    #[error("index {index} is named more than once")]
    IndexRepeated {
        /// The index.
        index: LabelIndex,
    },
    /// The k2pow's hash is not below the difficulty.
    #[error("the k2pow {pow} does not meet the difficulty")]
    Pow {
        /// The pow stated.
        pow: u64,
    },
    /// A label is not good for the nonce.
    #[error("label {index} (at position {position}) is not good for nonce {}", nonce.0)]
    NotGood {
        /// Position in the list.
        position: usize,
        /// The index.
        index: LabelIndex,
        /// The nonce.
        nonce: Nonce,
    },
    /// The verifier was asked for a position or a number of labels that the proof does not have.
    #[error("asked to verify {asked} of the {k2} indices")]
    NoSuchIndex {
        /// Position or count asked for.
        asked: u32,
        /// Indices there are.
        k2: u32,
    },
}

/// How a verification can fail: by the proof, or by the machine that verifies.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure<F> {
    /// The proof is not valid.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The hash could not be computed: this says nothing about the proof.
    #[error("the k2pow could not be checked")]
    Unable(F),
}

/// A proof that passed every check that costs nothing: what remains is work.
struct Shaped {
    threshold: Threshold,
    keys: GroupKeys,
    lane: usize,
    indices: Vec<LabelIndex>,
}

/// Verifies that `proof` proves `statement` under `params`.
///
/// Units are checked against the network's bounds; labels per unit are not, since only the caller
/// knows which it asked for.
///
/// # Errors
/// [`Failure::Invalid`] with the first fault found, [`Failure::Unable`] if `pow` failed.
pub fn verify<P: PowHash>(
    proof: &Proof,
    statement: &Statement,
    params: &Params,
    which: Indices<'_>,
    pow: &P,
) -> Result<(), Failure<P::Fault>> {
    let shaped = shape(proof, statement, params)?;
    let chosen = choose(&shaped.indices, statement, which)?;
    check_pow(proof, &shaped, statement, params, pow)?;
    check_labels(proof, &shaped, &chosen, statement, params)?;
    Ok(())
}

/// Everything that can be said without hashing.
fn shape(proof: &Proof, statement: &Statement, params: &Params) -> Result<Shaped, Invalid> {
    let (found, min, max) = (statement.num_units, params.units_min, params.units_max);
    if !(min..=max).contains(&found) {
        return Err(Invalid::Units { found, min, max });
    }
    let num_labels = statement.num_labels().ok_or(Invalid::LabelCount {
        num_units: statement.num_units,
        labels_per_unit: statement.labels_per_unit,
    })?;
    let threshold = Threshold::new(params.k1, num_labels)?;
    let nonce = proof.nonce;
    let group = nonce.group().ok_or(Invalid::NonceBeyondEnd { nonce })?;
    if proof.pow >= k2pow::POW_END {
        return Err(Invalid::PowTooLarge { pow: proof.pow });
    }
    Ok(Shaped {
        threshold,
        keys: GroupKeys::new(&statement.challenge, group, proof.pow),
        lane: nonce.lane(),
        indices: distinct_indices(&proof.indices, params.k2, num_labels)?,
    })
}

/// The K2 different indices that the bytes name.
fn distinct_indices(bytes: &[u8], k2: u32, num_labels: u64) -> Result<Vec<LabelIndex>, Invalid> {
    let count = k2 as usize;
    let expected = packed_len(count, num_labels);
    if bytes.len() != expected {
        return Err(Invalid::IndicesLength { found: bytes.len(), expected });
    }
    let indices = unpack(bytes, count, num_labels).ok_or(Invalid::Padding)?;
    let beyond = indices.iter().enumerate().find(|(_, index)| index.0 >= num_labels);
    if let Some((position, index)) = beyond {
        return Err(Invalid::IndexBeyondEnd { position, index: *index, num_labels });
    }
    let mut sorted = indices.clone();
    sorted.sort_unstable();
    let repeated = sorted.iter().zip(sorted.iter().skip(1)).find(|(a, b)| a == b);
    match repeated {
        Some((index, _)) => Err(Invalid::IndexRepeated { index: *index }),
        None => Ok(indices),
    }
}

/// The positions and indices that are to be made again.
fn choose(
    indices: &[LabelIndex],
    statement: &Statement,
    which: Indices<'_>,
) -> Result<Vec<(usize, LabelIndex)>, Invalid> {
    let all = indices.iter().copied().enumerate();
    let k2 = u32::try_from(indices.len()).unwrap_or(u32::MAX);
    match which {
        Indices::All => Ok(all.collect()),
        Indices::Subset { k3, .. } if k3 == k2 => Ok(all.collect()),
        Indices::Subset { k3, .. } if k3 == 0 || k3 > k2 => {
            Err(Invalid::NoSuchIndex { asked: k3, k2 })
        }
        Indices::Subset { k3, seed } => {
            let seed = [seed, &statement.node_id.0, &statement.challenge.0];
            let mut order = shuffled(all.collect(), &seed);
            order.truncate(k3 as usize);
            Ok(order)
        }
        Indices::One(position) => {
            let chosen: Vec<_> = all.skip(position as usize).take(1).collect();
            let missing = Invalid::NoSuchIndex { asked: position, k2 };
            if chosen.is_empty() { Err(missing) } else { Ok(chosen) }
        }
    }
}

/// The reference's shuffle: Fisher–Yates from the front, with 16-bit draws (LE) from the BLAKE3
/// stream of the seed, rejecting those that would favour the front.
fn shuffled<T>(mut items: Vec<T>, seed: &[&[u8]]) -> Vec<T> {
    let mut hasher = blake3::Hasher::new();
    for part in seed {
        hasher.update(part);
    }
    let mut stream = hasher.finalize_xof();
    let mut front: &mut [T] = &mut items;
    while let Ok(remaining) = u16::try_from(front.len()) {
        let Some(past_end) = u16::MAX.checked_rem(remaining) else {
            break;
        };
        let limit = u16::MAX.saturating_sub(past_end);
        let mut draw = [0; 2];
        stream.fill(&mut draw);
        let draw = u16::from_le_bytes(draw);
        if draw >= limit {
            continue;
        }
        front.swap(0, usize::from(draw.checked_rem(remaining).unwrap_or(0)));
        front = front.get_mut(1..).unwrap_or_default();
    }
    items
}

fn check_pow<P: PowHash>(
    proof: &Proof,
    shaped: &Shaped,
    statement: &Statement,
    params: &Params,
    pow: &P,
) -> Result<(), Failure<P::Fault>> {
    let bound = params.pow_difficulty.scaled(statement.num_units).map_err(Invalid::from)?;
    let group = shaped.keys.group;
    let input = k2pow::input(proof.pow, group, &statement.challenge, &statement.node_id);
    let hash = pow.hash(&input).map_err(Failure::Unable)?;
    if bound.met_by(&hash) { Ok(()) } else { Err(Invalid::Pow { pow: proof.pow }.into()) }
}

fn check_labels(
    proof: &Proof,
    shaped: &Shaped,
    chosen: &[(usize, LabelIndex)],
    statement: &Statement,
    params: &Params,
) -> Result<(), Invalid> {
    let commitment = statement.commitment();
    let cipher = GroupCipher::new(&shaped.keys);
    let mut scratch = Scratch::new(params.scrypt_n);
    for (position, index) in chosen.iter().copied() {
        let label = label_in(&mut scratch, &commitment, index).stored();
        if !cipher.is_good(&label, shaped.lane, shaped.threshold) {
            return Err(Invalid::NotGood { position, index, nonce: proof.nonce });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
