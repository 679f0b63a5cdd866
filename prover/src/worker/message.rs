//! What is said on the pipes between the prover and a worker.
//!
//! One question at a time, each answered by any number of [`Reply::Alive`] and one other reply.
//! Labels and hits travel as raw bytes behind the message that announces them, since there are
//! many.

use core::time::Duration;
use gpu::{Backend, Kind, Skip, Tuning};
use post::Commitment;
use serde::{Deserialize, Serialize};

/// A question to a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Which devices are there? Answered by [`Reply::Listed`].
    List,
    /// Open a device for labels. Answered by [`Reply::Ready`].
    Labels {
        /// Its name.
        device: String,
        commitment: Commitment,
        /// scrypt's N.
        n: u32,
        /// How long a dispatch should take.
        target: Duration,
        /// What is known to be best, instead of measuring.
        tuning: Option<Tuning>,
    },
    /// Make `labels` labels from `first` on. Answered by [`Reply::Filled`].
    Fill { first: u64, labels: u64 },
    /// Open a device for a scan. Answered by [`Reply::Ready`].
    Scan {
        device: String,
        groups: Vec<Keys>,
        /// The threshold's parts.
        top: u8,
        low: u64,
        target: Duration,
    },
    /// Search the labels that follow, 16 bytes each, of which the first has index `first`. Answered
    /// by [`Reply::Hits`].
    Search { first: u64, bytes: u64 },
}

/// The keys of a nonce group, as far as a scan needs them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keys {
    pub(crate) group: u8,
    pub(crate) key: [u8; 16],
    pub(crate) lanes: [[u8; 16]; 16],
}

/// An answer of a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// The device finishes what it is given, and is not through yet.
    Alive,
    /// The devices, the most promising first.
    Listed(Vec<About>),
    /// The device is open, and has given the answers that `post` gives.
    Ready {
        /// Which kernel runs, for people.
        kernel: String,
        /// Of labels only.
        state: Option<State>,
    },
    /// The labels are made, and follow: so many bytes, 16 for each label.
    Filled { bytes: u64, state: State },
    /// The hits follow: so many, of [`HIT_BYTES`] each.
    Hits { hits: u64 },
    /// There is no device of this name.
    NoDevice,
    /// The device did not do it.
    Fault(gpu::Fault),
}

/// Bytes of a hit: the label's index (u64 LE), then the nonce (u32 LE).
pub(crate) const HIT_BYTES: usize = 12;

/// What a device that makes labels has learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// What is best, as far as it is known.
    pub(crate) tuning: Tuning,
    /// Whether that will not change any more.
    pub(crate) settled: bool,
    /// Microseconds of a dispatch, half of them being shorter, and 99 of 100.
    pub(crate) dispatch: Option<(u64, u64)>,
}

/// What is known of a GPU without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) name: String,
    /// Whether the name is the same after a reboot, or after cards were added.
    pub(crate) stable: bool,
    /// What its maker calls it.
    pub(crate) model: String,
    pub(crate) kind: Kind,
    /// What it is reached by.
    pub(crate) backend: Backend,
    /// What else it could be reached by.
    pub(crate) also: Vec<Backend>,
    /// The driver and its version.
    pub(crate) driver: String,
    /// Bytes of the largest buffer that a shader can be given.
    pub(crate) binding_bytes: u64,
    /// Why it is not used unless it is named, or not at all.
    pub(crate) skip: Option<Skip>,
}

impl From<&gpu::Device> for About {
    fn from(device: &gpu::Device) -> Self {
        Self {
            name: device.name.to_string(),
            stable: device.name.is_stable(),
            model: device.model.clone(),
            kind: device.kind,
            backend: device.backend,
            also: device.also.clone(),
            driver: device.driver.clone(),
            binding_bytes: device.binding_bytes,
            skip: device.skip.clone(),
        }
    }
}
