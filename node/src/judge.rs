//! The judge on its bench: verifies proofs with RandomX, which is made when first needed.

use chain::Verdict;
use post::verify::{Failure, Indices, verify};
use post::{Params, Proof, Statement};
use pow::{Mode, PowFault, RandomX};
use std::sync::{Mutex, PoisonError};

/// Verifies proofs for one network.
#[derive(Debug)]
pub(crate) struct Judge {
    params: Params,
    randomx: Mutex<Option<RandomX>>,
}

impl Judge {
    pub(crate) fn new(params: Params) -> Self {
        Self { params, randomx: Mutex::new(None) }
    }

    /// Whether a proof proves what was asked, every label of it made again.
    ///
    /// # Errors
    /// The machine lacks the memory to tell, which says nothing about the proof.
    pub(crate) fn judge(&self, proof: &Proof, statement: &Statement) -> Result<Verdict, PowFault> {
        let mut randomx = self.randomx.lock().unwrap_or_else(PoisonError::into_inner);
        let randomx = match randomx.take() {
            Some(made) => randomx.insert(made),
            None => randomx.insert(RandomX::new(Mode::Light, 1)?),
        };
        match verify(proof, statement, &self.params, Indices::All, randomx) {
            Ok(()) => Ok(Verdict::Valid),
            Err(Failure::Invalid(invalid)) => Ok(Verdict::Invalid(invalid.to_string())),
            Err(Failure::Unable(fault)) => Err(fault),
        }
    }
}
