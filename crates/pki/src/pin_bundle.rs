//! The trust bundle, second version: the pins of a platform's keys and the roots, signed by the authority's identity key.
//!
//! ```text
//! "wardein trust bundle 2" ‖ 0
//! u8(length) ‖ tenant
//! u64(epoch) ‖ u64(not before) ‖ u64(not after)        Unix seconds
//! current[32] ‖ recovery[32] ‖ u8(0 or 1) ‖ next[32], where it is 1
//! u8(count, 1 to 4), and for each root u16(length) ‖ certificate, DER
//! u8(length) ‖ signature                               ECDSA P-256 with SHA-256 of all before, DER
//! ```
//!
//! Numbers are big-endian. A pin is the SHA-256 of a SubjectPublicKeyInfo (RFC 7469 §2.4).

use crate::pin::Pin;
use crate::{CertificateError, Validity};
use wardein_crypto::{P256SigningKey, P256VerifyingKey, SigningError};
use wardein_domain::TenantId;

/// The pins of a platform's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pins {
    /// Of the key that the platform has now.
    pub current: Pin,
    /// Of the one that it goes over to next.
    pub next: Option<Pin>,
    /// Of one that is kept offline, for the day on which the others are lost.
    pub recovery: Pin,
}

impl Pins {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Pin> {
        [Some(self.current), self.next, Some(self.recovery)].into_iter().flatten()
    }
}

/// A bundle whose signature was verified, or that is yet to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinBundle {
    /// Whose platform it is.
    pub tenant: TenantId,
    /// It rises whenever the pins change, and never falls.
    pub epoch: u64,
    /// When it is valid.
    pub validity: Validity,
    /// The pins.
    pub pins: Pins,
    /// The certificates to trust, DER.
    pub roots: Vec<Vec<u8>>,
}

/// Why bytes are not a bundle to go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinBundleError {
    /// They are not of its form.
    #[error("the bytes are no trust bundle of version 2")]
    Malformed,
    /// The identity key did not sign them.
    #[error("the trust bundle is not signed by the authority's identity key")]
    Signature,
    /// It is of another tenant.
    #[error("the trust bundle is of another tenant")]
    Tenant,
    /// It is older than the one that is held.
    #[error("the trust bundle is of an epoch before that of the one that is held")]
    Rollback,
    /// It is of the same epoch as the one that is held, and has other pins.
    #[error("the trust bundle has other pins than the one of the same epoch that is held")]
    Fork,
}

impl PinBundle {
    /// The most bytes of one.
    pub const MAX_LEN: usize = 40 * 1024;
    /// The most roots in one.
    pub const MAX_ROOTS: usize = 4;

    /// The bundle as it is sent, signed. Of roots, which are at most [`PinBundle::MAX_ROOTS`], none is longer than
    /// [`CertificateError::MAX_LEN`].
    pub fn sign(&self, identity: &P256SigningKey) -> Result<Vec<u8>, SigningError> {
        let mut out = self.to_be_signed();
        let signature = identity.sign(&out)?;
        out.push(signature.len() as u8);
        out.extend_from_slice(&signature);
        Ok(out)
    }

    fn to_be_signed(&self) -> Vec<u8> {
        let mut out = CONTEXT.to_vec();
        let tenant = self.tenant.as_str().as_bytes();
        out.push(tenant.len() as u8);
        out.extend_from_slice(tenant);
        for number in [self.epoch, self.validity.not_before(), self.validity.not_after()] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.pins.current.0);
        out.extend_from_slice(&self.pins.recovery.0);
        out.push(self.pins.next.is_some().into());
        out.extend(self.pins.next.iter().flat_map(|next| next.0));
        out.push(self.roots.len() as u8);
        for root in &self.roots {
            out.extend_from_slice(&(root.len() as u16).to_be_bytes());
            out.extend_from_slice(root);
        }
        out
    }

    /// Reads one that `identity` signed. Whose it is, and whether it is newer than another, [`PinBundle::judge`] says.
    pub fn open(bytes: &[u8], identity: &P256VerifyingKey) -> Result<Self, PinBundleError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(PinBundleError::Malformed);
        }
        let (bundle, signed, signature) = Self::read(bytes).ok_or(PinBundleError::Malformed)?;
        identity.verify(signed, signature).map_err(|_| PinBundleError::Signature)?;
        Ok(bundle)
    }

    /// The contents, what was signed, and the signature.
    fn read(bytes: &[u8]) -> Option<(Self, &[u8], &[u8])> {
        let mut rest = bytes.strip_prefix(CONTEXT)?;
        let tenant = usize::try_from(number::<1>(&mut rest)?).ok()?;
        let tenant = std::str::from_utf8(take(&mut rest, tenant)?).ok()?.parse().ok()?;
        let epoch = number::<8>(&mut rest)?;
        let validity = Validity::new(number::<8>(&mut rest)?, number::<8>(&mut rest)?).ok()?;
        let (current, recovery) = (pin(&mut rest)?, pin(&mut rest)?);
        let next = match number::<1>(&mut rest)? {
            0 => None,
            1 => Some(pin(&mut rest)?),
            _ => return None,
        };
        let count = usize::try_from(number::<1>(&mut rest)?).ok()?;
        let roots = (1..=Self::MAX_ROOTS).contains(&count).then_some(0..count)?.map(|_| {
            let length = usize::try_from(number::<2>(&mut rest)?).ok()?;
            let is_bounded = (1..=CertificateError::MAX_LEN).contains(&length);
            take(&mut rest, length).filter(|_| is_bounded).map(<[u8]>::to_vec)
        });
        let roots = roots.collect::<Option<Vec<_>>>()?;
        let signed = bytes.strip_suffix(rest)?;
        let length = usize::try_from(number::<1>(&mut rest)?).ok()?;
        let signature = take(&mut rest, length)?;
        let bundle = Self { tenant, epoch, validity, pins: Pins { current, next, recovery }, roots };
        rest.is_empty().then_some((bundle, signed, signature))
    }

    /// Refuses one that a device of `tenant` may not go over to from the one that it holds, if it holds one.
    pub fn judge(&self, tenant: &TenantId, held: Option<&Self>) -> Result<(), PinBundleError> {
        if self.tenant != *tenant {
            return Err(PinBundleError::Tenant);
        }
        // That of a former tenant holds nobody up.
        let Some(held) = held.filter(|held| held.tenant == *tenant) else { return Ok(()) };
        if self.epoch < held.epoch {
            return Err(PinBundleError::Rollback);
        }
        if self.epoch == held.epoch && self.pins != held.pins {
            return Err(PinBundleError::Fork);
        }
        Ok(())
    }

    /// Whether a server with that key is the platform, at Unix second `now`. Once the bundle has expired, only the recovery key is.
    pub fn accepts(&self, pin: Pin, now: u64) -> bool {
        match now <= self.validity.not_after() {
            true => self.pins.iter().any(|one| one == pin),
            false => pin == self.pins.recovery,
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// A number of N bytes, at most 8.
fn number<const N: usize>(rest: &mut &[u8]) -> Option<u64> {
    Some(take(rest, N)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn pin(rest: &mut &[u8]) -> Option<Pin> {
    Some(Pin(take(rest, 32)?.try_into().ok()?))
}

/// No transcript of DDKG-1 begins so: of those, 32 bytes are signed.
const CONTEXT: &[u8] = b"wardein trust bundle 2\0";

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> P256SigningKey {
        P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()
    }

    fn bundle(epoch: u64) -> PinBundle {
        PinBundle {
            tenant: "klinik".parse().unwrap(),
            epoch,
            validity: Validity::new(100, 200).unwrap(),
            pins: Pins { current: Pin([1; 32]), next: Some(Pin([2; 32])), recovery: Pin([3; 32]) },
            roots: vec![vec![0x30, 0], vec![7; 300]],
        }
    }

    #[test]
    fn a_bundle_is_read_as_it_was_signed_and_every_changed_byte_is_found() {
        let identity = key();
        let without = PinBundle { pins: Pins { next: None, ..bundle(7).pins }, ..bundle(7) };
        for made in [bundle(7), without] {
            let bytes = made.sign(&identity).unwrap();
            assert_eq!(PinBundle::open(&bytes, identity.verifying_key()), Ok(made));
            assert_eq!(PinBundle::open(&bytes, key().verifying_key()), Err(PinBundleError::Signature));
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                assert!(PinBundle::open(&changed, identity.verifying_key()).is_err(), "byte {at}");
                let cut = PinBundle::open(&bytes[..at], identity.verifying_key());
                assert_eq!(cut, Err(PinBundleError::Malformed), "{at} bytes");
            }
            let longer = [&bytes[..], &[0]].concat();
            let longer = PinBundle::open(&longer, identity.verifying_key());
            assert_eq!(longer, Err(PinBundleError::Malformed));
        }
        let huge = vec![0; PinBundle::MAX_LEN + 1];
        assert_eq!(PinBundle::open(&huge, identity.verifying_key()), Err(PinBundleError::Malformed));
    }

    /// Devices of other releases and languages read these bytes.
    #[test]
    fn the_bytes_that_are_signed_never_change() {
        let made = PinBundle { roots: vec![vec![0x30, 0]], ..bundle(0x0102_0304) };
        let expected = [
            &b"wardein trust bundle 2\0\x06klinik"[..],
            &[0, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0, 200],
            &[1; 32],
            &[3; 32],
            &[1],
            &[2; 32],
            &[1, 0, 2, 0x30, 0],
        ];
        assert_eq!(made.to_be_signed(), expected.concat());
    }

    /// The devices in Python and Go read the same file.
    #[test]
    fn the_bundle_that_other_languages_read_is_read() {
        let text = include_str!("../../../sdk/testdata/pin-bundle.txt");
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            wardein_crypto::hex::decode(line.trim()).unwrap()
        };
        let identity = P256VerifyingKey(value("identity").try_into().unwrap());
        assert_eq!(PinBundle::open(&value("bundle"), &identity), Ok(bundle(7)));
    }

    #[test]
    fn no_epoch_falls_and_none_has_two_sets_of_pins() {
        let (tenant, other) = ("klinik".parse().unwrap(), "lab".parse().unwrap());
        assert_eq!(bundle(7).judge(&tenant, None), Ok(()));
        assert_eq!(bundle(7).judge(&other, None), Err(PinBundleError::Tenant));
        assert_eq!(bundle(7).judge(&tenant, Some(&bundle(7))), Ok(()));
        assert_eq!(bundle(8).judge(&tenant, Some(&bundle(7))), Ok(()));
        assert_eq!(bundle(6).judge(&tenant, Some(&bundle(7))), Err(PinBundleError::Rollback));
        let forked = PinBundle { pins: Pins { next: None, ..bundle(7).pins }, ..bundle(7) };
        assert_eq!(forked.judge(&tenant, Some(&bundle(7))), Err(PinBundleError::Fork));
        // A device that went over to another tenant starts over.
        let former = PinBundle { tenant: other, ..bundle(9) };
        assert_eq!(bundle(7).judge(&tenant, Some(&former)), Ok(()));
    }

    #[test]
    fn an_expired_bundle_knows_the_recovery_key_alone() {
        let held = bundle(7);
        for pin in held.pins.iter() {
            assert!(held.accepts(pin, 0) && held.accepts(pin, 200));
            assert_eq!(held.accepts(pin, 201), pin == held.pins.recovery);
        }
        assert!(!held.accepts(Pin([4; 32]), 150) && !held.accepts(Pin([4; 32]), 201));
    }
}
