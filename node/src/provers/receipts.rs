//! Which requests are over, so that a prover that delivers once more learns the verdict.

use super::requests::Key;
use std::collections::{BTreeMap, VecDeque};

/// How many are remembered, of all identities together.
pub(crate) const RECEIPTS_MAX: usize = 256;

/// The verdicts on the latest requests.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    verdicts: BTreeMap<Key, bool>,
    /// The oldest first.
    order: VecDeque<Key>,
}

impl Receipts {
    pub(super) fn add(&mut self, key: Key, valid: bool) {
        if self.verdicts.insert(key, valid).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > RECEIPTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.verdicts.remove(&oldest);
        }
    }

    /// Whether the recorded proof of a request is valid.
    pub(super) fn of(&self, key: Key) -> Option<bool> {
        self.verdicts.get(&key).copied()
    }
}
