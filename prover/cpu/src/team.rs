//! Threads that share one piece of work, for as long as a call lasts.

use std::panic::resume_unwind;
use std::thread;

/// Runs `work` with every member, each on a thread of its own, the first on the caller's.
///
/// The members are expected to pull what there is to do from a shared queue, so that a thread
/// that the system refuses only makes the work slower.
pub(crate) fn each<M: Send, R: Send>(
    members: &mut [M],
    work: impl Fn(&mut M) -> R + Sync,
) -> Vec<R> {
    let Some((first, others)) = members.split_first_mut() else {
        return Vec::new();
    };
    if others.is_empty() {
        return vec![work(first)];
    }
    let work = &work;
    thread::scope(|scope| {
        let others: Vec<_> = others
            .iter_mut()
            .filter_map(|member| {
                let thread = thread::Builder::new().name("cpu".to_owned());
                thread.spawn_scoped(scope, move || work(member)).ok()
            })
            .collect();
        let first = work(first);
        let others = others
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        core::iter::once(first).chain(others).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_works() {
        let mut members = [1, 2, 3];
        let results = each(&mut members, |member| {
            *member *= 2;
            *member + 1
        });
        assert_eq!(members, [2, 4, 6]);
        assert_eq!(results, [3, 5, 7]);
        assert_eq!(each(&mut [0; 0], |member| *member), []);
    }
}
