//! SPEECH, the sockets: how node and prover on one host reach each other.
//!
//! The node listens on a well-known local socket and provers dial it, so a machine that holds
//! disks opens no port and one socket serves many provers. Who may connect is decided here, once:
//! the socket lies in a directory that only its user can enter, and each peer's credentials are
//! checked besides. What is said is `wire`'s business.

mod connection;
mod error;
mod place;
mod socket;

pub use connection::{Connection, Incoming, Outgoing};
pub use error::LinkError;
pub use place::default_socket;
pub use socket::{Listener, dial};
