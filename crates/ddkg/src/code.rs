//! Codes that a person types where the device has no network (specification, sections 7.1 and 7.2): the answer to a challenge that the device
//! shows, and the one for emergencies.

mod emergency;
mod text;

pub use emergency::EmergencyCode;

use crate::derive::Transcript;
use crate::key::{DeviceName, KeyName, NumberKey};
use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use wardein_crypto::{Digest, MacMismatch, Tag};
use wardein_domain::{Purpose, ServiceScope};

/// What a device shows to a technician: the name of a key, and that the device itself asks, for a scope.
///
/// Its text is some 12 characters of Crockford's base32; case, hyphens and blanks are of no account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceChallenge {
    generation: u64,
    epoch: u32,
    number: u64,
    /// The first 35 bits of the mac, so that nobody asks for codes before the device does.
    mark: u64,
}

/// What the authority answers: for how long the technician is let in, and a mac. Its text is 10 characters of Crockford's base32, in
/// two groups.
#[derive(Clone)]
pub struct ServiceCode {
    /// For so many times [`ServiceCode::UNIT`].
    units: u8,
    /// The first 42 bits of the mac.
    mark: u64,
}

/// A text is not a challenge or a code: it has a character, a length or a value that none has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("has a character, a length or a value that none has; look at it again")]
pub struct CodeError;

impl ServiceChallenge {
    /// Seconds for which a device takes the answer to a challenge.
    pub const LIFETIME: u64 = 15 * 60;

    /// The most characters of a text that is read, with hyphens and blanks.
    pub const MAX_LEN: usize = 96;

    pub(crate) fn new(name: &KeyName, key: &NumberKey, scope: &ServiceScope) -> Self {
        let &KeyName { generation, epoch, number, .. } = name;
        let mut challenge = Self { generation, epoch, number, mark: 0 };
        let tag = key.service_challenge().tag(&challenge.transcript(&name.owner, scope));
        challenge.mark = leading::<CHALLENGE_BITS>(&tag);
        challenge
    }

    /// The name of the key that it takes.
    pub fn key_name(&self, owner: DeviceName) -> KeyName {
        let &Self { generation, epoch, number, .. } = self;
        KeyName { owner, generation, purpose: Purpose::Service, epoch, number }
    }

    /// Whether the device made it, for this scope, under this key.
    pub(crate) fn verify(
        &self,
        owner: &DeviceName,
        key: &NumberKey,
        scope: &ServiceScope,
    ) -> Result<(), MacMismatch> {
        let (transcript, key) = (self.transcript(owner, scope), key.service_challenge());
        key.verify(&transcript, &with_leading::<CHALLENGE_BITS>(key.tag(&transcript), self.mark))
    }

    /// The code that answers it.
    pub(crate) fn answer(
        &self,
        owner: &DeviceName,
        key: &NumberKey,
        scope: &ServiceScope,
        units: u8,
    ) -> ServiceCode {
        let tag = key.service_code().tag(&self.answered(owner, scope, units));
        ServiceCode { units, mark: leading::<CODE_BITS>(&tag) }
    }

    fn transcript(&self, owner: &DeviceName, scope: &ServiceScope) -> Digest {
        Transcript::new("service challenge")
            .field(owner.tenant.as_str())
            .field(owner.device.as_str())
            .integer(self.generation)
            .integer(self.epoch)
            .integer(self.number)
            .field(scope.as_str())
            .finish()
    }

    fn answered(&self, owner: &DeviceName, scope: &ServiceScope, units: u8) -> Digest {
        Transcript::new("service code").field(self.transcript(owner, scope)).integer(units).finish()
    }
}

impl ServiceCode {
    /// Seconds of one unit of its length.
    pub const UNIT: u64 = 180;

    /// The most units: 12 hours.
    pub const MAX_UNITS: u8 = 240;

    /// Seconds for which the technician is let in, counted from when the device showed the challenge.
    pub fn length(&self) -> u64 {
        u64::from(self.units) * Self::UNIT
    }

    /// Whether the authority made it in answer to `challenge`, in a time that does not depend on how it differs.
    pub(crate) fn verify(
        &self,
        challenge: &ServiceChallenge,
        owner: &DeviceName,
        key: &NumberKey,
        scope: &ServiceScope,
    ) -> Result<(), MacMismatch> {
        let (transcript, key) = (challenge.answered(owner, scope, self.units), key.service_code());
        key.verify(&transcript, &with_leading::<CODE_BITS>(key.tag(&transcript), self.mark))
    }
}

impl fmt::Display for ServiceChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = text::Digits::default();
        digits.number(self.generation);
        digits.number(self.epoch.into());
        digits.number(self.number);
        digits.bits::<CHALLENGE_BITS>(self.mark);
        f.write_str(&digits.grouped(4))
    }
}

impl FromStr for ServiceChallenge {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let mut digits = text::Reader::of(text, Self::MAX_LEN).ok_or(CodeError)?;
        let read = |digits: &mut text::Reader| {
            let (generation, epoch, number) = (digits.number()?, digits.number()?, digits.number()?);
            let mark = digits.last::<CHALLENGE_BITS>()?;
            let is_of_key = generation != 0 && number <= crate::MAX_NUMBER;
            is_of_key.then_some(Self { generation, epoch: u32::try_from(epoch).ok()?, number, mark })
        };
        read(&mut digits).ok_or(CodeError)
    }
}

impl ServiceCode {
    /// Its text, which is a secret of some minutes: hence no `Display`.
    pub fn to_text(&self) -> String {
        let mut digits = text::Digits::default();
        digits.bits::<50>(u64::from(self.units) << CODE_BITS | self.mark);
        digits.grouped(5)
    }
}

impl FromStr for ServiceCode {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let bits = text::Reader::of(text, 32).and_then(|mut digits| digits.last::<50>()).ok_or(CodeError)?;
        let units = u8::try_from(bits >> CODE_BITS).map_err(|_| CodeError)?;
        let is_length = (1..=Self::MAX_UNITS).contains(&units);
        is_length.then_some(Self { units, mark: bits & ((1 << CODE_BITS) - 1) }).ok_or(CodeError)
    }
}

/// The first `BITS` bits of a tag.
fn leading<const BITS: u32>(tag: &Tag) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = tag.0;
    u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> (64 - BITS)
}

/// `tag` with its first `BITS` bits replaced: it is the whole tag where those are its own, so that a comparison of whole tags, which takes the
/// same time whatever they are, compares these bits alone.
fn with_leading<const BITS: u32>(tag: Tag, bits: u64) -> Tag {
    let [a, b, c, d, e, f, g, h, rest @ ..] = tag.0;
    let own = u64::from_be_bytes([a, b, c, d, e, f, g, h]) & (u64::MAX >> BITS);
    let mut changed = Tag([0; 32]);
    let (head, tail) = changed.0.split_at_mut(8);
    head.copy_from_slice(&(bits << (64 - BITS) | own).to_be_bytes());
    tail.copy_from_slice(&rest);
    changed
}

const CHALLENGE_BITS: u32 = 35;
const CODE_BITS: u32 = 42;

#[cfg(test)]
mod tests;
