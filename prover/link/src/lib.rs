//! SPEECH, the sockets: how node and prover reach each other.
//!
//! The node listens and provers dial it, so a machine that holds disks opens no port and one node
//! serves many provers. Who may connect is decided here, once. On one host nothing is configured:
//! a well-known local socket lies in a directory that only its user can enter, and each peer's
//! credentials are checked besides. Between hosts it is QUIC, where both sides know each other's
//! key from a pairing ([`Code`], [`Roster`]). What is said is `wire`'s business.

mod book;
mod code;
mod connection;
mod error;
mod files;
mod key;
mod place;
mod remote;
mod roster;
mod socket;
mod tls;

pub use book::NodeBook;
pub use code::{BadCode, Code};
pub use connection::{Connection, Incoming, Outgoing};
pub use error::LinkError;
pub use key::{BadLinkId, LinkId, LinkKey};
pub use place::{default_socket, meeting_place, runtime_directory};
pub use remote::{RemoteListener, dial_remote, pair};
pub use roster::{Paired, Roster, RosterError, RosterFile};
pub use socket::{Listener, LocalListener, LocalStream, dial, dial_local};
