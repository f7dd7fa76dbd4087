//! The state of a device.

use super::error::DeviceError;
use crate::key::DeviceName;
use crate::progress::{Numbers, ProofEpochs};
use crate::purposes::Purposes;
use crate::suite::Suite;
use crate::tree::{Cover, GenerationRoot};
use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicUsize, Ordering};
use wardein_crypto::{P256VerifyingKey, SecretBytes, Tag};
use wardein_domain::{Purpose, Schedule};

/// The whole state of an enrolled device: the trees of one generation and its place in them.
///
/// Its bytes are secret: their holder is the device. They are meant to be sealed to the hardware where it can.
pub struct DeviceState {
    pub(super) device: DeviceName,
    /// The pinned key that authenticates the authority at enrollment.
    pub(super) identity: P256VerifyingKey,
    /// The suite that this generation comes from.
    pub(super) suite: Suite,
    pub(super) generation: u64,
    pub(super) schedule: Schedule,
    pub(super) standing: Standing,
    /// The last server_time that an ack authenticated, in Unix seconds.
    pub(super) known_time: u64,
    pub(super) proofs: ProofEpochs,
    pub(super) trees: BTreeMap<Purpose, Tree>,
    /// How often this state was saved; it only rises, so that a hardware counter can detect an old image.
    pub(super) writes: u64,
    /// Whether the saved bytes are behind in a way that matters.
    pub(super) is_dirty: bool,
    /// Which rekey was sent last. It is not stored: a restart forgets the private share too.
    pub(super) rekey_attempt: Attempt,
    /// The last requested challenge. It is not stored: a restart forgets every connection too.
    pub(super) challenge_ask: Attempt,
}

/// Tells one attempt of this process from every other, those of a state that was restored since included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt(usize);

impl Attempt {
    pub(super) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// How far the authority is known to know of this generation.
pub(super) enum Standing {
    /// Enrolled; the confirmation is sent until a proof is acknowledged.
    Unconfirmed(Tag),
    /// Rekeyed; no proof under the new generation was acknowledged yet.
    Unproven,
    /// A proof was acknowledged.
    Proven,
}

/// One purpose of the generation.
pub(super) struct Tree {
    pub(super) cover: Cover,
    pub(super) numbers: Numbers,
    /// Numbers taken in the frontier's epoch, or perhaps taken before a crash. Proofs count acks instead.
    pub(super) taken: u64,
}

impl DeviceState {
    /// The device's name.
    pub fn device(&self) -> &DeviceName {
        &self.device
    }

    /// The generation that keys come from.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The suite that the generation comes from.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// When keys change.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The last time that the authority reported and an ack authenticated, in Unix seconds.
    pub fn known_time(&self) -> u64 {
        self.known_time
    }

    /// The last epoch in which a proof was acknowledged.
    pub fn proof_epoch(&self) -> u32 {
        self.proofs.acked()
    }

    /// The purposes for which it keeps keys.
    pub fn purposes(&self) -> Purposes {
        Purposes::of(self.trees.keys().copied())
    }

    pub(super) fn trees_of(root: &GenerationRoot, purposes: Purposes) -> BTreeMap<Purpose, Tree> {
        let tree = |purpose| (purpose, Tree { cover: root.tree(purpose), numbers: Numbers::new(), taken: 0 });
        purposes.iter().map(tree).collect()
    }

    pub(super) fn tree(&mut self, purpose: Purpose) -> Result<&mut Tree, DeviceError> {
        self.trees.get_mut(&purpose).ok_or(DeviceError::PurposeNotKept(purpose))
    }

    pub(super) fn unsaved<M>(&mut self, message: M) -> Unsaved<'_, M> {
        Unsaved { state: self, message }
    }
}

/// Something that may leave only when the state that it rests on is saved.
#[must_use = "the message is had by saving the state"]
pub struct Unsaved<'a, M> {
    state: &'a mut DeviceState,
    message: M,
}

impl<M> Unsaved<'_, M> {
    /// Saves the state by `write` where it must be saved, then gives the message.
    ///
    /// `write` must return only when the bytes are durable and whole, for instance written beside, synced, and renamed.
    /// After an error the message is lost, and the next one will save first.
    pub fn save<E>(self, write: impl FnOnce(&SecretBytes) -> Result<(), E>) -> Result<M, E> {
        if self.state.is_dirty {
            // Flash wears out long before 2⁶⁴ writes; bytes that claim so many must not stop the device.
            self.state.writes = self.state.writes.saturating_add(1);
            write(&self.state.encode())?;
            self.state.is_dirty = false;
        }
        Ok(self.message)
    }

    /// Whose state it is: after a transfer the device's new name.
    pub fn device(&self) -> &DeviceName {
        &self.state.device
    }

    /// Whether [`Unsaved::save`] will write.
    pub fn must_write(&self) -> bool {
        self.state.is_dirty
    }
}
