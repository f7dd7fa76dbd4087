//! Verifies TPM 2.0 evidence in software: no TPM, no TPM library, no IO, no clock.
//!
//! What: that a device's signing key lives in a TPM, that the TPM is one that is trusted, and in which state the platform
//! booted. Bytes come in as the TPM gives them, become types that cannot be malformed, and a value that matters is made only by the
//! check that it stands for. Why in software: an authority with no TPM verifies any number of them.
//!
//! # The two steps
//!
//! 1. *Evidence and challenge.* The device sends the public areas of its endorsement key ([`EkPublic::parse`]) and of an attestation key
//!    ([`AkPublic::parse`]), and the endorsement key's certificate. [`EkTrust::judge`] says whether the TPM is trusted and how strongly
//!    ([`Endorsed`]); [`make_credential`] hides a fresh secret that only that TPM opens, and only if the attestation key is in it. The
//!    caller keeps the attestation key, the secret and a fresh nonce, and sends credential and nonce.
//! 2. *Activation and certify.* The device returns the secret ([`TrustedAk::activated`]: from here on the attestation key is trusted),
//!    its signing key, and what TPM2_Certify says of that key with the nonce ([`TrustedAk::certified`] makes the [`DeviceKey`]).
//!
//! At enrollment and with any later request a quote may come along: [`TrustedAk::quoted`] makes a [`PcrState`], which is compared with the one
//! of the enrollment ([`PcrState::same_as`]) or, with the values behind it ([`PcrState::values`]), with [`GoldenPcrs`].
//!
//! What it does not do: no revocation of TPM vendors' certificates and no fetching of intermediates, no event logs, no storage.
//! Nonces and secrets are the caller's to draw, to keep and to use once.
//!
//! Sections cited are of the TPM 2.0 Library, family 2.0, revision 01.59.

mod ak;
mod algorithm;
mod attested;
mod credential;
mod device_key;
mod ek;
mod pcr;
mod public;
mod refusal;
mod signature;
mod spki;
mod trust;
mod wire;

pub use ak::{AkPublic, Evidence, TrustedAk};
pub use algorithm::Scheme;
pub use attested::Attested;
pub use credential::{Credential, make_credential};
pub use device_key::DeviceKey;
pub use ek::{EkDigest, EkPublic, InvalidDigest};
pub use pcr::{GoldenPcrs, InvalidGolden, PcrState, PcrValues, pcr_value};
pub use public::{Attributes, Key, Name, Public};
pub use refusal::Refusal;
pub use signature::Signature;
pub use trust::{EkTrust, Endorsed};
pub use wire::{Fault, ParseError};
