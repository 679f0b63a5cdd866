//! From what the drivers say to a list with each GPU once, and a name for it.

use core::fmt;
use serde::{Deserialize, Serialize};

/// The name of a device: `gpu:10de-2204-0000:01:00.0`, or `gpu:software`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceName {
    text: String,
    stable: bool,
}

impl DeviceName {
    /// Whether it names the same device after a reboot, or after cards were added.
    #[must_use]
    pub fn is_stable(&self) -> bool {
        self.stable
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a device is reached by. Better ones come first: on Windows, DirectX compiles shaders worse
/// than Vulkan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Vulkan.
    Vulkan,
    /// Metal.
    Metal,
    /// DirectX 12.
    Dx12,
}

/// Kinds of devices, the fast ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A card with memory of its own.
    Discrete,
    /// Part of the CPU's package, with the CPU's memory.
    Integrated,
    /// Lent by a host to a virtual machine.
    Virtual,
    /// The driver does not say.
    Unknown,
    /// A program that runs on the CPU, such as lavapipe.
    Software,
}

/// Why a device is not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Skip {
    /// It runs on the CPU, where `cpu` is faster. For tests; ask for it by name.
    Software,
    /// Its driver cannot run what is needed.
    Lacks(String),
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Software => f.write_str("it runs on the CPU, whose own kernels are faster"),
            Self::Lacks(what) => write!(f, "its driver lacks {what}"),
        }
    }
}

/// What a driver says of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) model: String,
    pub(super) vendor: u32,
    pub(super) device: u32,
    /// PCI address; empty if unknown.
    pub(super) bus: String,
    pub(super) kind: Kind,
    pub(super) backend: Backend,
    pub(super) driver: String,
    /// Whether it runs compute shaders at all.
    pub(super) computes: bool,
    /// Invocations of the largest workgroup.
    pub(super) invocations: u32,
    pub(super) binding_bytes: u64,
}

/// A device of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// The place of `found` in what the drivers said.
    pub(super) number: usize,
    pub(super) found: Found,
    pub(super) also: Vec<Backend>,
    pub(super) name: DeviceName,
    pub(super) skip: Option<Skip>,
}

/// Invocations that a workgroup must be able to have.
const INVOCATIONS: u32 = 64;

/// The smallest binding that is any use: WebGPU demands 128 MiB, old devices have less.
const BINDING_BYTES: u64 = 16 << 20;

/// Each device once and by the best backend; the most promising first.
pub(super) fn list(found: Vec<Found>) -> Vec<Listed> {
    let mut found: Vec<_> = found.into_iter().map(Found::unmasked).enumerate().collect();
    found.sort_by_key(|(_, it)| it.route());
    let mut cards: Vec<Card> = Vec::new();
    for (number, it) in found {
        match cards.iter_mut().find(|card| card.is(&it)) {
            Some(card) => card.also.push(it.route()),
            None => cards.push(Card { number, found: it, also: Vec::new() }),
        }
    }
    cards.sort_by_key(|card| card.found.kind);
    let bases: Vec<_> = cards.iter().map(|card| card.found.base()).collect();
    let named = cards.iter().enumerate().map(|(place, card)| {
        let (base, stable) = &bases[place];
        let twins = bases.iter().filter(|(other, _)| other == base).count();
        let earlier = bases[..place].iter().filter(|(other, _)| other == base).count();
        // Software is asked for by its kind; there is seldom more than one.
        let ordinal = !stable && (twins > 1 || card.found.kind != Kind::Software);
        let text = if ordinal { format!("{base}#{earlier}") } else { base.clone() };
        DeviceName { text, stable: !ordinal }
    });
    let names: Vec<_> = named.collect();
    cards
        .into_iter()
        .zip(names)
        .map(|(Card { number, found, mut also }, name)| {
            also.retain(|backend| *backend != found.backend);
            also.dedup();
            let skip = found.skip();
            Listed { number, found, also, name, skip }
        })
        .collect()
}

/// A device and what else it was found by.
struct Card {
    number: usize,
    found: Found,
    also: Vec<Backend>,
}

impl Card {
    /// Whether `other` is this device, found again.
    fn is(&self, other: &Found) -> bool {
        let mine = &self.found;
        if (mine.vendor, mine.device, mine.kind) != (other.vendor, other.device, other.kind) {
            return false;
        }
        match (mine.known_bus(), other.known_bus()) {
            // Two drivers of one card have one address, two cards have two.
            (Some(mine), Some(other)) => mine == other,
            // Equal cards come in equal order, one for each time that a backend names them.
            _ => mine.route() != other.route() && !self.also.contains(&other.route()),
        }
    }
}

/// Microsoft's software device: vendor and device.
const BASIC_RENDER: (u32, u32) = (0x1414, 0x008c);

impl Found {
    /// Without a card's driver, Windows calls its software device integrated, beside the one that
    /// it calls software (<https://github.com/gfx-rs/wgpu/issues/3485>).
    fn unmasked(mut self) -> Self {
        if (self.vendor, self.device) == BASIC_RENDER {
            self.kind = Kind::Software;
        }
        self
    }

    /// What it is really reached by: Mesa's Dozen is Vulkan on top of DirectX.
    fn route(&self) -> Backend {
        if self.driver.starts_with("Dozen") { Backend::Dx12 } else { self.backend }
    }

    /// The PCI address, if it can be relied on. DirectX's is looked up by vendor and device, so
    /// that equal cards share one.
    fn known_bus(&self) -> Option<&str> {
        (self.route() != Backend::Dx12 && !self.bus.is_empty()).then_some(&self.bus)
    }

    /// The name without an ordinal, and whether it needs none.
    fn base(&self) -> (String, bool) {
        if self.kind == Kind::Software {
            return ("gpu:software".to_owned(), false);
        }
        let model = if self.vendor == 0 {
            slug(&self.model)
        } else {
            format!("{:04x}-{:04x}", self.vendor, self.device)
        };
        match self.known_bus() {
            Some(bus) => (format!("gpu:{model}-{}", bus.to_ascii_lowercase()), true),
            None => (format!("gpu:{model}"), false),
        }
    }

    fn skip(&self) -> Option<Skip> {
        if !self.computes {
            Some(Skip::Lacks("compute shaders".to_owned()))
        } else if self.invocations < INVOCATIONS {
            Some(Skip::Lacks(format!("workgroups of {INVOCATIONS} invocations")))
        } else if self.binding_bytes < BINDING_BYTES {
            Some(Skip::Lacks(format!("buffers of {BINDING_BYTES} bytes")))
        } else {
            (self.kind == Kind::Software).then_some(Skip::Software)
        }
    }
}

/// `Apple M2 Pro` becomes `apple-m2-pro`.
fn slug(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
