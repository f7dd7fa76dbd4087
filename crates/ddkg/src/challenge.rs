//! Challenges that any node of the authority can check without having stored them (specification, section 5).
//!
//! The device treats a challenge as opaque. This form of it is `u8(1) ‖ u64(issued at, Unix ms) ‖ 16 random bytes ‖ tag`,
//! the tag an HMAC over `transcript("challenge", tenant, device id, issued at, random bytes, recipe)`.

use crate::attribute::Recipe;
use crate::derive::Transcript;
use crate::key::DeviceName;
use crate::policy::Policy;
use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::vec::Vec;
use wardein_crypto::{Digest, Entropy, EntropyError, MacKey, Secret, Sha256, Tag};
use wardein_domain::ErrorCode;

/// A challenge as a device sees it: at most 255 opaque bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge(Vec<u8>);

impl Challenge {
    /// The most bytes that a challenge has.
    pub const MAX_LEN: usize = 255;

    /// A challenge of 1 to 255 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (length, min, max) = (bytes.len(), 1, Self::MAX_LEN);
        if !(min..=max).contains(&length) {
            return Err(Problem::Length { length, min, max }.of("challenge"));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Challenge {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The key that all nodes of an authority make and check challenges with.
pub struct ChallengeKey(MacKey);

impl ChallengeKey {
    /// A key made of `secret`, which is uniform and serves nothing else.
    pub fn new(secret: Secret<32>) -> Self {
        Self(MacKey::new(secret))
    }

    /// A challenge for `device` and the attributes of `recipe`, issued at Unix millisecond `now_ms`.
    pub fn issue(
        &self,
        device: &DeviceName,
        recipe: &Recipe,
        now_ms: u64,
        entropy: &mut impl Entropy,
    ) -> Result<Challenge, EntropyError> {
        let random: [u8; RANDOM_LEN] = entropy.array()?;
        let tag = self.0.tag(transcript(device, recipe, now_ms, &random).as_ref());
        let mut bytes = Vec::with_capacity(LEN);
        bytes.put(&[FORM]);
        bytes.u64(now_ms);
        bytes.put(&random);
        bytes.put(&tag.0);
        Ok(Challenge(bytes))
    }

    /// Checks that `challenge` is this authority's, for this device and recipe, and neither expired nor from the
    /// future at Unix millisecond `now_ms`. The proof of it is the value that [`crate::authority`] demands.
    pub fn check(
        &self,
        challenge: &Challenge,
        device: &DeviceName,
        recipe: &Recipe,
        now_ms: u64,
        policy: &Policy,
    ) -> Result<CheckedChallenge, ChallengeError> {
        let (issued_ms, random, tag) = parts(challenge).map_err(|_| ChallengeError::Unknown)?;
        let transcript = transcript(device, recipe, issued_ms, &random);
        self.0.verify(transcript.as_ref(), &tag).map_err(|_| ChallengeError::Unknown)?;
        if issued_ms > now_ms.saturating_add(policy.skew_ms) {
            return Err(ChallengeError::FromTheFuture { issued_ms, now_ms });
        }
        let expires_ms = issued_ms.saturating_add(policy.challenge_lifetime_ms);
        if now_ms > expires_ms {
            return Err(ChallengeError::Expired { expires_ms, now_ms });
        }
        Ok(CheckedChallenge { issued_ms })
    }
}

/// Proof that a challenge was checked; nothing else makes one.
#[derive(Debug, Clone, Copy)]
pub struct CheckedChallenge {
    issued_ms: u64,
}

impl CheckedChallenge {
    /// When the challenge was issued, in Unix milliseconds.
    pub fn issued_ms(&self) -> u64 {
        self.issued_ms
    }
}

/// Why a challenge does not count. In each case the device asks for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// It was not issued by this authority for this device and these attributes.
    #[error("the challenge was not issued here for this device and these attributes; ask for another")]
    Unknown,
    /// It has expired.
    #[error("the challenge expired at Unix ms {expires_ms}, and it is {now_ms}; ask for another")]
    Expired {
        /// Unix ms at which it expired.
        expires_ms: u64,
        /// Unix ms now.
        now_ms: u64,
    },
    /// The clock of the node that issued it is ahead of this one's by more than `skew`.
    #[error("the challenge was issued at Unix ms {issued_ms}, and it is {now_ms}; ask for another")]
    FromTheFuture {
        /// Unix ms at which it was issued.
        issued_ms: u64,
        /// Unix ms now.
        now_ms: u64,
    },
}

impl ChallengeError {
    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown => ErrorCode::ChallengeUnknown,
            Self::Expired { .. } => ErrorCode::ChallengeExpired,
            Self::FromTheFuture { .. } => ErrorCode::ChallengeFromTheFuture,
        }
    }
}

fn transcript(device: &DeviceName, recipe: &Recipe, issued_ms: u64, random: &[u8]) -> Digest {
    let mut names = Sha256::new();
    recipe.put(&mut names);
    Transcript::new("challenge")
        .field(device.tenant.as_str())
        .field(device.device.as_str())
        .integer(issued_ms)
        .field(random)
        .field(names.finish())
        .finish()
}

fn parts(challenge: &Challenge) -> Result<(u64, [u8; RANDOM_LEN], Tag), DecodeError> {
    let mut reader = Reader::new(challenge.as_bytes());
    let form = reader.u8("challenge form")?;
    if form != FORM {
        return Err(
            Problem::Range { value: form.into(), min: FORM.into(), max: FORM.into() }.of("challenge form")
        );
    }
    let parts = (reader.u64("issued at")?, reader.array("random")?, Tag(reader.array("tag")?));
    reader.finish("challenge")?;
    Ok(parts)
}

const FORM: u8 = 1;
const RANDOM_LEN: usize = 16;
const LEN: usize = 1 + 8 + RANDOM_LEN + 32;
