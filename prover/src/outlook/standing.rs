//! How far a proof is, by its journal.

use crate::planner::Begun;
use plot::Journal;
use post::{Nonce, NonceGroup};

/// How far a proof is.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    journal: Journal,
    num_labels: u64,
}

impl Standing {
    /// By a journal of a proof over so many labels, which may be a new one.
    pub(crate) fn of(journal: Journal, num_labels: u64) -> Self {
        Self { journal, num_labels }
    }

    /// Whether anything of it is done.
    pub(crate) fn is_begun(&self) -> bool {
        self.pass().is_some() || self.paid() > 0
    }

    /// Nonces of the pass that is being scanned.
    pub(super) fn pass(&self) -> Option<u32> {
        self.journal.scanned().map(|scanned| scanned.nonces).filter(|nonces| *nonces > 0)
    }

    /// The least nonces of a pass that makes use of every k2pow that was paid or begun.
    pub(super) fn paid(&self) -> u32 {
        let paid = self.paid_from(0, Nonce::END);
        let group = u8::try_from(paid).map(NonceGroup);
        let tried = group.is_ok_and(|group| self.journal.tried(group) > 0);
        (paid + u32::from(tried)) * Nonce::PER_GROUP
    }

    /// The number of the pass that is gone on with, if passes have so many nonces.
    pub(crate) fn pass_number(&self, nonces: u32) -> u32 {
        let first = self.journal.scanned().map_or(0, |scanned| scanned.first_nonce);
        if nonces > 0 && first.is_multiple_of(nonces) { first / nonces } else { 0 }
    }

    /// How far it is with passes of so many nonces.
    pub(crate) fn begun(&self, nonces: u32) -> Begun {
        let groups = |passes: u32| {
            let first = passes.saturating_mul(nonces);
            self.paid_from(first, first.saturating_add(nonces))
        };
        let scanned = self.journal.scanned();
        let aligned = |first: &u32| nonces > 0 && first.is_multiple_of(nonces);
        let Some(first) = scanned.map(|scanned| scanned.first_nonce).filter(aligned) else {
            return Begun { groups: groups(0), ..Begun::default() };
        };
        let passes = first / nonces;
        let same = scanned.filter(|scanned| scanned.nonces == nonces);
        let labels = same.map_or(0, |scanned| scanned.labels.count());
        if labels >= self.num_labels {
            // It found nothing: the next one is under way.
            return Begun { passes: passes + 1, groups: groups(passes + 1), read: 0.0 };
        }
        Begun { passes, groups: groups(passes), read: labels as f64 / self.num_labels as f64 }
    }

    /// Groups that are paid for in a row, of these nonces.
    fn paid_from(&self, first: u32, end: u32) -> u32 {
        let groups = (first..end.min(Nonce::END)).step_by(Nonce::PER_GROUP as usize);
        groups.map_while(|first| self.journal.pow(Nonce(first).group()?)).map(|_| 1).sum()
    }
}
