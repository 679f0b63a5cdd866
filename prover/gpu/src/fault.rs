//! What can go wrong on a device, in words that say what to do.

use post::LabelIndex;
use post::label::LabelFault;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a device did not do its work.
#[derive(Clone, Debug, Error, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// The driver gave the device up: a reset, a driver update, an unplugged card.
    #[error("the device was lost ({0}); open it again")]
    Lost(String),
    /// Not even the least memory could be had.
    #[error("the device has no memory for {labels} labels in flight ({bytes} bytes)")]
    OutOfMemory {
        /// The labels that were to be made at a time.
        labels: u32,
        /// The scratch for them.
        bytes: u64,
    },
    /// The device did not finish a dispatch that should take a fraction of a second.
    #[error("the device did not answer within {seconds} s")]
    Hung {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The driver refused something that it should not: a bug in it, or here.
    #[error("the driver refused: {0}")]
    Refused(String),
    /// The labels of one index would not fit into a buffer of the device, whatever the gap.
    #[error("a label of N = {n} needs {bytes} bytes of scratch, but the device binds only {limit}")]
    TooLarge {
        /// scrypt's N.
        n: u32,
        /// The scratch of one label with the widest gap.
        bytes: u64,
        /// The largest binding.
        limit: u64,
    },
    /// A label is not what `post` says it is.
    #[error("the device makes wrong labels: the one of index {index} differs from the CPU's")]
    WrongLabel {
        /// Which label.
        index: LabelIndex,
    },
    /// A scan finds other hits than `post`.
    #[error("the device finds other hits than the CPU")]
    WrongHits,
    /// The caller's room does not fit the range.
    #[error("{labels} labels of 16 bytes do not fit {room} bytes exactly")]
    WrongRoom {
        /// Labels asked for.
        labels: u64,
        /// Bytes there are for them.
        room: u64,
    },
    /// The caller asked it to stop.
    #[error("stopped on request")]
    Stopped,
}

impl From<Fault> for LabelFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Stopped => Self::Stopped,
            fault => Self::Device(fault.to_string()),
        }
    }
}
