//! MEMORY of the prover: labels on disk. The only prover code that opens data files.
//!
//! A data directory is laid out as the reference lays it out, and stays readable by it:
//! `postdata_metadata.json` says whose data it is and how much; `postdata_0.bin`,
//! `postdata_1.bin`… hold 16-byte labels in order, each file `MaxFileSize` bytes long, the last
//! one what remains. Beside them lie files of ours: `postmesh.json` with what the reference's
//! metadata does not say (scrypt's N), a manifest for each label file that says which of its
//! labels are safe, journals of the proofs that are being made, an agenda of those that were asked
//! for, rates that were measured, the lease of the host that uses the data, and locks. One data set
//! may be spread over several directories and disks: each then holds some of the files.
//!
//! One rule holds everywhere: labels that are known to be there are never truncated, deleted or
//! written over, save by a [`repair`], which keeps what it replaces. What a command takes away goes
//! to `trash/`, until a purge names it. The crate knows files, and neither how labels are made nor
//! what a proof is.

mod agenda;
mod arrange;
mod belongings;
mod block;
mod buffer;
mod claims;
mod copy;
mod directory;
pub mod disk;
mod error;
mod files;
mod journal;
mod layout;
mod lease;
mod lock;
mod manifest;
mod measured;
mod merge;
mod metadata;
mod moving;
mod numbers;
mod physical;
mod piece;
mod provenance;
mod ranges;
mod record;
pub mod repair;
mod set;
mod shrink;
mod sidecar;
#[cfg(any(test, feature = "simulation"))]
pub mod simulated;
mod stream;
mod trash;
mod undo;
mod wipe;

pub use agenda::{Agenda, Outcome, REQUESTS_MAX, Request};
pub use arrange::{Arrangement, Place, Share};
pub use block::{Block, Blocks};
pub use claims::grouped;
pub use copy::Watch;
pub use directory::FileState;
pub use disk::{Access, Disk, System};
pub use error::PlotError;
pub use journal::{Journal, JournalKey, Scanned};
pub use layout::Layout;
pub use lease::{Holder, Lease, Notice};
pub use lock::Lock;
pub use manifest::{BLOCK_LABELS, Slot};
pub use measured::{Hashing, Measured, Pass, Rate, Scan, Way};
pub use merge::{Lack, Merge};
pub use metadata::{BadMetadata, Metadata};
pub use moving::{Move, Moved};
pub use numbers::FileNumbers;
pub use physical::disk_name;
pub use piece::{Extent, Piece};
pub use provenance::Provenance;
pub use ranges::Ranges;
pub use record::Record;
pub use set::{DataSet, Reader};
pub use shrink::{Given, Shrink};
pub use sidecar::Sidecar;
pub use stream::Stream;
pub use trash::{Entry, Size, Stage, What};
pub use undo::Undo;
pub use wipe::Wipe;
