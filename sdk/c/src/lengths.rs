//! How long a message will be, before a key is used up for it (DDKG-1, section 11): a buffer that is too small must cost nothing.

use wardein_ddkg::message::ChallengeOffer;
use wardein_ddkg::{DeviceName, KeyName, Suite};
use wardein_domain::{Action, Audience};

pub(crate) fn confirmation(device: &DeviceName) -> usize {
    KIND + names(device) + TAG
}

pub(crate) fn proof(device: &DeviceName, offer: &ChallengeOffer, action: &Action) -> usize {
    KIND + names(device)
        + frame(offer.challenge.as_bytes())
        + NONCE
        + GENERATION
        + EPOCH
        + NUMBER
        + frame(action.as_str().as_bytes())
        + DIGEST
        + TAG
}

/// Of the body that goes with the proof of a rekey to `suite`.
pub(crate) fn rekey_body(suite: Suite) -> usize {
    let share = if suite == Suite::P256 { POINT } else { POINT + ENCAPSULATION_KEY };
    SUITE + LENGTH + share
}

pub(crate) fn token(device: &DeviceName, audience: &Audience, nonce: &[u8]) -> usize {
    token_of(names(device), audience, nonce)
}

/// Of a token whose device has the longest name that there is, for where the device is not known yet.
#[cfg(feature = "transport")]
pub(crate) fn token_at_most(audience: &Audience, nonce: &[u8]) -> usize {
    use wardein_domain::{DeviceId, TenantId};
    token_of(LENGTH + TenantId::MAX_LEN + LENGTH + DeviceId::MAX_LEN, audience, nonce)
}

fn token_of(names: usize, audience: &Audience, nonce: &[u8]) -> usize {
    let place = GENERATION + EPOCH + NUMBER;
    KIND + names + place + frame(audience.as_str().as_bytes()) + frame(nonce) + TIME + TAG
}

/// Of a payload under a key with the longest name that there is: its number is not drawn yet.
pub(crate) fn sealed_at_most(plaintext: usize) -> usize {
    KIND + LENGTH + KeyName::MAX_LEN + AEAD_NONCE + LENGTH + plaintext + AEAD_TAG
}

/// Of what a payload of `sealed` bytes holds.
pub(crate) fn plaintext(sealed: usize, name: &KeyName) -> usize {
    let around = KIND + LENGTH + name.to_string().len() + AEAD_NONCE + LENGTH + AEAD_TAG;
    sealed.saturating_sub(around)
}

fn names(device: &DeviceName) -> usize {
    frame(device.tenant.as_str().as_bytes()) + frame(device.device.as_str().as_bytes())
}

fn frame(bytes: &[u8]) -> usize {
    LENGTH + bytes.len()
}

const KIND: usize = 1;
const LENGTH: usize = 4;
const SUITE: usize = 2;
const POINT: usize = 65;
/// ML-KEM-768 (FIPS 203, section 8).
const ENCAPSULATION_KEY: usize = 1184;
const GENERATION: usize = 8;
const EPOCH: usize = 4;
const NUMBER: usize = 8;
const TIME: usize = 8;
const NONCE: usize = 32;
const DIGEST: usize = 32;
const TAG: usize = 32;
const AEAD_NONCE: usize = 12;
const AEAD_TAG: usize = 16;
