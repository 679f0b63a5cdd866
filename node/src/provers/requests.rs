//! What is wanted, and who works on it: one request for each identity at most.
//!
//! A request is *open* while a proof is awaited. Then connections may have jobs for it, and it may
//! be *kept* for sessions that went away with one: their work goes on, and they come back. It is
//! free, and can be given to anybody, while neither is the case. From the first proof on it is
//! *being judged*, and whoever delivers one as well is told the verdict too.
//!
//! Knows nothing of what connections and sessions are.

use super::{ConnectionId, Time};
use chain::ProofRequest;
use post::{Challenge, NodeId};
use std::collections::BTreeMap;
use wire::{JobId, SessionId};

/// What names a request.
pub(super) type Key = (NodeId, Challenge);

/// Where a job runs, and its number there.
pub(super) type Job = (ConnectionId, JobId);

/// All requests.
#[derive(Debug, Default)]
pub(super) struct Requests {
    by_identity: BTreeMap<NodeId, Request>,
}

#[derive(Debug)]
struct Request {
    wanted: ProofRequest,
    /// The work on it, at most one job a connection.
    jobs: Vec<Job>,
    /// The sessions that it is kept for, each until a time.
    kept: BTreeMap<SessionId, Time>,
    /// The jobs that delivered a proof, the one that is being judged first. Open: none.
    delivered: Vec<Job>,
}

/// What a proof that was delivered is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// The first: it is to be judged, and these jobs are not needed any more.
    First { request: ProofRequest, needless: Vec<Job> },
    /// Another is being judged; the verdict will be told to both.
    Again,
    /// It is not wanted (any more).
    NotWanted,
}

/// What a failed job was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FailedJob {
    /// The only work on its request.
    Last(ProofRequest),
    /// There is other work on its request.
    OneOfSome,
    /// It was given up before.
    NotWanted,
}

/// Who had to do with a request that is over.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Those who still work on it.
    pub(super) needless: Vec<Job>,
    /// Those who delivered a proof.
    pub(super) delivered: Vec<Job>,
}

impl Requests {
    /// Whether something is wanted of an identity.
    pub(super) fn has(&self, node_id: NodeId) -> bool {
        self.by_identity.contains_key(&node_id)
    }

    /// Adds a request; one of the same identity stays instead.
    pub(super) fn add(&mut self, wanted: ProofRequest) {
        self.by_identity.entry(wanted.node_id).or_insert_with(|| Request {
            wanted,
            jobs: Vec::new(),
            kept: BTreeMap::new(),
            delivered: Vec::new(),
        });
    }

    /// The request of this identity for this challenge.
    pub(super) fn get(&self, (node_id, challenge): Key) -> Option<&ProofRequest> {
        let request = self.by_identity.get(&node_id)?;
        (request.wanted.challenge == challenge).then_some(&request.wanted)
    }

    fn get_mut(&mut self, (node_id, challenge): Key) -> Option<&mut Request> {
        let request = self.by_identity.get_mut(&node_id)?;
        (request.wanted.challenge == challenge).then_some(request)
    }

    /// Those that nobody works on and that are kept for nobody.
    pub(super) fn free(&self) -> Vec<ProofRequest> {
        let free = self.open().filter(|request| request.jobs.is_empty() && request.kept.is_empty());
        free.map(|request| request.wanted.clone()).collect()
    }

    /// Notes that a connection works on a request.
    pub(super) fn ask(&mut self, key: Key, job: Job) {
        if let Some(request) = self.get_mut(key) {
            request.jobs.push(job);
        }
    }

    /// Takes in that a job delivered a proof.
    pub(super) fn deliver(&mut self, key: Key, job: Job) -> Delivered {
        let Some(request) = self.get_mut(key) else {
            return Delivered::NotWanted;
        };
        request.jobs.retain(|other| *other != job);
        request.delivered.push(job);
        if request.delivered.len() > 1 {
            return Delivered::Again;
        }
        request.kept.clear();
        let needless = std::mem::take(&mut request.jobs);
        Delivered::First { request: request.wanted.clone(), needless }
    }

    /// Takes in that a job has no proof.
    pub(super) fn fail(&mut self, key: Key, job: Job) -> FailedJob {
        let Some(request) = self.get_mut(key) else {
            return FailedJob::NotWanted;
        };
        let failed = request.jobs.extract_if(.., |other| *other == job).count();
        if failed == 0 || !request.is_open() {
            FailedJob::NotWanted
        } else if request.jobs.is_empty() && request.kept.is_empty() {
            FailedJob::Last(request.wanted.clone())
        } else {
            FailedJob::OneOfSome
        }
    }

    /// Takes in that a connection is gone: what it worked on is kept for its session, until then.
    /// Returns whether that was anything.
    pub(super) fn detach(
        &mut self,
        connection: ConnectionId,
        keep: Option<(SessionId, Time)>,
    ) -> bool {
        let mut any = false;
        for request in self.by_identity.values_mut() {
            let gone = request.jobs.extract_if(.., |(at, _)| *at == connection).count();
            if gone > 0 && request.is_open() {
                request.kept.extend(keep);
                any = true;
            }
        }
        any
    }

    /// Nothing is kept for a session any more: it is back, and says itself what it works on.
    pub(super) fn attach(&mut self, session: SessionId) {
        for request in self.by_identity.values_mut() {
            request.kept.remove(&session);
        }
    }

    /// Nothing is kept for sessions that did not come back in time.
    pub(super) fn forget_kept(&mut self, now: Time) {
        for request in self.by_identity.values_mut() {
            request.kept.retain(|_, until| *until > now);
        }
    }

    /// Takes in that there is no verdict: the request is open again. Returns who delivered.
    pub(super) fn not_judged(&mut self, key: Key) -> Vec<Job> {
        let request = self.get_mut(key);
        request.map(|request| std::mem::take(&mut request.delivered)).unwrap_or_default()
    }

    /// Ends a request.
    pub(super) fn end(&mut self, key: Key) -> Ended {
        if self.get(key).is_none() {
            return Ended::default();
        }
        let ended = self.by_identity.remove(&key.0);
        ended.map_or_else(Ended::default, |Request { jobs, delivered, .. }| Ended {
            needless: jobs,
            delivered,
        })
    }

    /// Open requests whose deadline is not after this Unix second.
    pub(super) fn late(&self, unix: u64) -> Vec<ProofRequest> {
        let late = self.open().filter(|request| request.wanted.deadline <= unix);
        late.map(|request| request.wanted.clone()).collect()
    }

    /// The earliest deadline of an open request.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.open().map(|request| request.wanted.deadline).min()
    }

    /// Until when open requests are kept for sessions.
    pub(super) fn kept_until(&self) -> impl Iterator<Item = Time> {
        self.open().flat_map(|request| request.kept.values().copied())
    }

    fn open(&self) -> impl Iterator<Item = &Request> {
        self.by_identity.values().filter(|request| request.is_open())
    }
}

impl Request {
    fn is_open(&self) -> bool {
        self.delivered.is_empty()
    }
}
