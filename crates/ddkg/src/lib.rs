//! DDKG-1: the protocol by which a device and the authority derive the same keys without ever sending one.
//!
//! What: both ends of the specification, which is in this crate as `SPEC.md`: keys that
//! belong to one device, purpose, epoch and number, change by themselves, and are used once. Why one crate: the device and the
//! authority run the same derivations, and the model of the protocol runs the same rules.
//!
//! What it does not do: no IO, no clock, no storage. The caller brings time, randomness and storage; an [`device::Unsaved`]
//! message leaves only once the state that it rests on is saved, and the changes of an accepted proof must be durable before
//! the reply leaves.
#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod authority;
pub mod device;
pub mod message;
pub mod model;

mod attribute;
mod challenge;
mod code;
mod derive;
mod key;
mod ledger;
mod policy;
mod progress;
mod purposes;
mod rekey;
mod suite;
mod time;
mod tree;
#[cfg(any(test, feature = "vectors"))]
pub mod vectors;
mod wire;

pub use attribute::{
    AttributeDigests, Attributes, Binding, MAX_ATTRIBUTE_LEN, MAX_ATTRIBUTES, NotMeasured, Recipe,
    attribute_digest,
};
pub use challenge::{Challenge, ChallengeError, ChallengeKey, CheckedChallenge};
pub use code::{CodeError, EmergencyCode, ServiceChallenge, ServiceCode};
pub use derive::{Transcript, expand_into};
pub use key::{DeviceName, EpochSecret, FileWrapKey, KeyName, MAX_NUMBER, NumberKey, PayloadKey};
pub use policy::Policy;
pub use purposes::Purposes;
pub use suite::{AuthorityShare, DeviceShare, ShareInvalid, Suite};
pub use time::AuthorityTime;
pub use tree::{Cover, GenerationRoot, MAX_COVER_NODES, NODE_LEN, OutOfRange};
pub use wire::{DecodeError, Problem};
