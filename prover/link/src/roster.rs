//! Who may connect from other hosts: the provers whose keys are known, and the invitations that
//! are open. A file of the node, which its commands change while it runs.

use crate::code::Code;
use crate::error::LinkError;
use crate::files::Kept;
use crate::key::LinkId;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;
use wire::{PairRefusal, PairRequest, is_name};

/// How long an invitation is open.
const OPEN_FOR: Duration = Duration::from_secs(600);
/// How many wrong answers an invitation survives, less one.
const TRIES: u8 = 3;
/// Most invitations that are open at a time.
const INVITATIONS_MAX: usize = 16;
/// Most provers that a node knows.
const PROVERS_MAX: usize = 256;

/// A prover whose key is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paired {
    /// What people call it; no two have the same.
    pub name: String,
    /// Its link key.
    pub id: LinkId,
    /// When it was paired, in Unix seconds.
    pub since_unix: u64,
}

/// An invitation that nobody has used yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Invitation {
    ticket: [u8; 32],
    until_unix: u64,
    tries_left: u8,
}

/// Who may connect. Time is handed in, as Unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roster {
    provers: Vec<Paired>,
    invitations: Vec<Invitation>,
}

/// Why the roster was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// Nobody has this name.
    #[error("no prover is called {0}")]
    NoSuch(String),
    /// Somebody else has it.
    #[error("another prover is called {0} already")]
    Taken(String),
    /// It is no name.
    #[error("{0} is no name: 1 to 64 letters, digits and - . _")]
    BadName(String),
    /// Too many invitations.
    #[error("{INVITATIONS_MAX} invitations are open already: use one, or wait ten minutes")]
    TooManyInvitations,
}

impl Roster {
    /// The provers, in the order of their names.
    pub fn provers(&self) -> impl Iterator<Item = &Paired> {
        self.provers.iter()
    }

    /// The prover with this key.
    #[must_use]
    pub fn prover(&self, id: LinkId) -> Option<&Paired> {
        self.provers.iter().find(|prover| prover.id == id)
    }

    /// Opens an invitation.
    ///
    /// # Errors
    /// [`RosterError::TooManyInvitations`].
    pub fn invite(&mut self, code: &Code, now_unix: u64) -> Result<(), RosterError> {
        self.forget_old(now_unix);
        if self.invitations.len() >= INVITATIONS_MAX {
            return Err(RosterError::TooManyInvitations);
        }
        let until_unix = now_unix.saturating_add(OPEN_FOR.as_secs());
        self.invitations.push(Invitation { ticket: code.ticket(), until_unix, tries_left: TRIES });
        Ok(())
    }

    /// Whether anybody is invited.
    #[must_use]
    pub fn invites(&self, now_unix: u64) -> bool {
        self.invitations.iter().any(|invitation| invitation.is_open(now_unix))
    }

    /// Pairs the prover with key `id`, which has shown on a connection that both know as `bound`
    /// that it has the secret of an open invitation. That invitation is then used up.
    ///
    /// # Errors
    /// [`PairRefusal`]. A wrong proof counts against every open invitation.
    pub fn redeem(
        &mut self,
        id: LinkId,
        request: &PairRequest,
        bound: &[u8; 32],
        now_unix: u64,
    ) -> Result<(), PairRefusal> {
        self.forget_old(now_unix);
        // Compared in constant time, by `blake3::Hash`.
        let right = |own: &Invitation| proof(&own.ticket, bound) == request.proof;
        let Some(at) = self.invitations.iter().position(right) else {
            for invitation in &mut self.invitations {
                invitation.tries_left = invitation.tries_left.saturating_sub(1);
            }
            self.forget_old(now_unix);
            return Err(PairRefusal::Code);
        };
        if !is_name(&request.name) {
            return Err(PairRefusal::BadName);
        }
        if self.provers.iter().any(|other| other.name == request.name && other.id != id) {
            return Err(PairRefusal::NameTaken);
        }
        // A prover that pairs again gets its new name.
        self.provers.retain(|other| other.id != id);
        if self.provers.len() >= PROVERS_MAX {
            return Err(PairRefusal::Full);
        }
        self.invitations.remove(at);
        self.provers.push(Paired { name: request.name.clone(), id, since_unix: now_unix });
        self.provers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }

    /// Calls a prover by another name.
    ///
    /// # Errors
    /// [`RosterError::NoSuch`], [`RosterError::Taken`], [`RosterError::BadName`].
    pub fn rename(&mut self, name: &str, new: &str) -> Result<(), RosterError> {
        if !is_name(new) {
            return Err(RosterError::BadName(new.to_owned()));
        }
        if self.provers.iter().any(|prover| prover.name == new) {
            return Err(RosterError::Taken(new.to_owned()));
        }
        let prover = self.provers.iter_mut().find(|prover| prover.name == name);
        prover.ok_or_else(|| RosterError::NoSuch(name.to_owned()))?.name = new.to_owned();
        self.provers.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }

    /// Forgets a prover: it cannot connect any more.
    ///
    /// # Errors
    /// [`RosterError::NoSuch`].
    pub fn remove(&mut self, name: &str) -> Result<Paired, RosterError> {
        let at = self.provers.iter().position(|prover| prover.name == name);
        let at = at.ok_or_else(|| RosterError::NoSuch(name.to_owned()))?;
        Ok(self.provers.remove(at))
    }

    fn forget_old(&mut self, now_unix: u64) {
        self.invitations.retain(|invitation| invitation.is_open(now_unix));
    }
}

impl Invitation {
    fn is_open(&self, now_unix: u64) -> bool {
        // A clock that was set back opens nothing again for longer than it was open.
        let opened = self.until_unix.saturating_sub(OPEN_FOR.as_secs());
        self.tries_left > 0 && (opened..self.until_unix).contains(&now_unix)
    }
}

/// What shows that a side has the secret behind `ticket`, on the connection `bound` only.
pub(crate) fn proof(ticket: &[u8; 32], bound: &[u8; 32]) -> blake3::Hash {
    blake3::keyed_hash(ticket, bound)
}

/// The roster of a node, on disk.
#[derive(Clone, Debug)]
pub struct RosterFile(Kept<Roster>);

impl RosterFile {
    /// The roster in `path`, which need not be there.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(Kept::at(path))
    }

    /// What it says now.
    ///
    /// # Errors
    /// [`LinkError::Io`], [`LinkError::Damaged`].
    pub fn read(&self) -> Result<Roster, LinkError> {
        self.0.read()
    }

    /// Changes it; what others change meanwhile is not lost.
    ///
    /// # Errors
    /// Those of [`RosterFile::read`]; nothing is then changed.
    pub fn change<T>(&self, change: impl FnOnce(&mut Roster) -> T) -> Result<T, LinkError> {
        self.0.change(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;
    const BOUND: [u8; 32] = [7; 32];

    fn code(secret: u8) -> Code {
        Code::new(LinkId([1; 32]), [secret; 16])
    }

    fn request(name: &str, secret: u8) -> PairRequest {
        PairRequest { name: name.into(), proof: proof(&code(secret).ticket(), &BOUND).into() }
    }

    fn names(roster: &Roster) -> Vec<&str> {
        roster.provers().map(|prover| prover.name.as_str()).collect()
    }

    #[test]
    fn an_invitation_pairs_one_prover_once() {
        let mut roster = Roster::default();
        roster.invite(&code(5), NOW).unwrap();
        roster.redeem(LinkId([2; 32]), &request("attic", 5), &BOUND, NOW + 599).unwrap();
        assert_eq!(roster.prover(LinkId([2; 32])).unwrap().name, "attic");
        let again = roster.redeem(LinkId([3; 32]), &request("other", 5), &BOUND, NOW + 599);
        assert_eq!(again, Err(PairRefusal::Code));
        assert_eq!(names(&roster), ["attic"]);
    }

    #[test]
    fn it_is_open_for_ten_minutes_and_three_tries() {
        let mut roster = Roster::default();
        roster.invite(&code(5), NOW).unwrap();
        for now in [NOW - 1, NOW + 600] {
            let late = roster.clone().redeem(LinkId([2; 32]), &request("a", 5), &BOUND, now);
            assert_eq!(late, Err(PairRefusal::Code));
        }
        for left in [true, true, false] {
            let wrong = roster.redeem(LinkId([2; 32]), &request("a", 6), &BOUND, NOW);
            assert_eq!(wrong, Err(PairRefusal::Code));
            assert_eq!(roster.invites(NOW), left);
        }
        let burned = roster.redeem(LinkId([2; 32]), &request("a", 5), &BOUND, NOW);
        assert_eq!(burned, Err(PairRefusal::Code));
    }

    #[test]
    fn a_proof_for_another_connection_is_none() {
        let mut roster = Roster::default();
        roster.invite(&code(5), NOW).unwrap();
        let replayed = roster.redeem(LinkId([2; 32]), &request("a", 5), &[8; 32], NOW);
        assert_eq!(replayed, Err(PairRefusal::Code));
    }

    #[test]
    fn names_are_unique_and_costs_no_invitation() {
        let mut roster = Roster::default();
        roster.invite(&code(5), NOW).unwrap();
        roster.invite(&code(6), NOW).unwrap();
        roster.redeem(LinkId([2; 32]), &request("attic", 5), &BOUND, NOW).unwrap();
        let taken = roster.redeem(LinkId([3; 32]), &request("attic", 6), &BOUND, NOW);
        assert_eq!(taken, Err(PairRefusal::NameTaken));
        let bad = roster.redeem(LinkId([3; 32]), &request("a b", 6), &BOUND, NOW);
        assert_eq!(bad, Err(PairRefusal::BadName));
        roster.redeem(LinkId([3; 32]), &request("Cellar", 6), &BOUND, NOW).unwrap();
        assert_eq!(names(&roster), ["Cellar", "attic"]);
        assert_eq!(roster.rename("attic", "Cellar"), Err(RosterError::Taken("Cellar".into())));
        assert_eq!(roster.rename("loft", "x"), Err(RosterError::NoSuch("loft".into())));
        assert_eq!(roster.rename("attic", ""), Err(RosterError::BadName(String::new())));
        roster.rename("attic", "loft").unwrap();
        assert_eq!(roster.remove("loft").unwrap().id, LinkId([2; 32]));
        assert_eq!(roster.prover(LinkId([2; 32])), None);
        assert!(roster.remove("loft").is_err());
    }

    #[test]
    fn both_lists_are_bounded() {
        let mut roster = Roster::default();
        for secret in 0..16 {
            roster.invite(&code(secret), NOW).unwrap();
        }
        assert_eq!(roster.invite(&code(16), NOW), Err(RosterError::TooManyInvitations));
        roster.invite(&code(16), NOW + 600).unwrap();
        for number in 0..=255 {
            let id = LinkId([number; 32]);
            roster.provers.push(Paired { name: number.to_string(), id, since_unix: NOW });
        }
        let full = roster.redeem(LinkId([9; 32]), &request("x", 16), &BOUND, NOW + 600);
        // One that is known takes its own place.
        assert_eq!(full, Ok(()));
        roster.invite(&code(17), NOW + 600).unwrap();
        let id = LinkId(core::array::from_fn(|at| at as u8));
        let full = roster.redeem(id, &request("y", 17), &BOUND, NOW + 600);
        assert_eq!(full, Err(PairRefusal::Full));
    }

    #[test]
    fn the_file_is_whole_or_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("provers.json");
        let file = RosterFile::at(&path);
        assert_eq!(file.read().unwrap(), Roster::default());
        file.change(|roster| roster.invite(&code(5), NOW)).unwrap().unwrap();
        let redeemed = file
            .change(|roster| roster.redeem(LinkId([2; 32]), &request("a", 5), &BOUND, NOW))
            .unwrap();
        assert_eq!(redeemed, Ok(()));
        assert_eq!(names(&file.read().unwrap()), ["a"]);
        std::fs::write(&path, "{}x").unwrap();
        assert!(matches!(file.change(|_| ()), Err(LinkError::Damaged { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"{}x");
    }
}
