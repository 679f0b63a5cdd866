//! How many may stand at the door at a time, and how many of one address.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Handshakes at a time; one more is refused unheard.
pub(super) const HANDSHAKES: usize = 32;
/// Handshakes at a time with one address that was shown to be there.
const HANDSHAKES_EACH: usize = 4;

/// Those whose handshake is not through: how many in all, and from each address that was shown.
#[derive(Clone, Default)]
pub(super) struct Hall(Arc<Mutex<(usize, BTreeMap<IpAddr, usize>)>>);

impl Hall {
    pub(super) fn visitors(&self) -> usize {
        self.lock().0
    }

    /// Lets one more in, for as long as the visit lives.
    pub(super) fn enter(&self, address: Option<IpAddr>) -> Option<Visit> {
        let mut hall = self.lock();
        let (all, each) = &mut *hall;
        let same = address.and_then(|address| each.get(&address)).copied().unwrap_or(0);
        if *all >= HANDSHAKES || same >= HANDSHAKES_EACH {
            return None;
        }
        *all += 1;
        if let Some(address) = address {
            each.insert(address, same + 1);
        }
        drop(hall);
        Some(Visit { hall: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, (usize, BTreeMap<IpAddr, usize>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Visit {
    hall: Hall,
    address: Option<IpAddr>,
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut hall = self.hall.lock();
        let (all, each) = &mut *hall;
        *all = all.saturating_sub(1);
        if let Some(address) = self.address
            && let Some(same) = each.get_mut(&address)
        {
            *same = same.saturating_sub(1);
            if *same == 0 {
                each.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_fill_the_hall() {
        let hall = Hall::default();
        let [crowd, prover] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        let mut visits: Vec<_> = (0..100).filter_map(|_| hall.enter(Some(crowd))).collect();
        assert_eq!((visits.len(), hall.visitors()), (HANDSHAKES_EACH, HANDSHAKES_EACH));
        visits.extend(hall.enter(Some(prover)));
        visits.extend((0..100).filter_map(|_| hall.enter(None)));
        assert_eq!((visits.len(), hall.visitors()), (HANDSHAKES, HANDSHAKES));
        assert!(hall.enter(Some(prover)).is_none());
        drop(visits);
        assert!(hall.visitors() == 0 && hall.lock().1.is_empty());
    }
}
