//! An offer: which release one device may install now, signed by the authority that knows the device (after Uptane's Director). The maker's
//! metadata says what a release is; an offer says who may have it, and when.
//!
//! ```text
//! "wardein update offer 1" ‖ 0
//! text(tenant) ‖ text(device) ‖ text(repository) ‖ text(line)        text: u8(length) ‖ bytes
//! u64(version) ‖ u64(length) ‖ sha256[32]
//! u64(issued)                                                        Unix milliseconds
//! u64(expires)                                                       Unix seconds
//! u8(length) ‖ signature                                             ECDSA P-256 with SHA-256 of all before, DER
//! ```
//!
//! Numbers are big-endian. The device asks for it by the action `update-offer` (DDKG-1 §8.3) with an [`OfferAsk`], and gets an
//! [`OfferReply`]. Where the release's artifact is sealed, its key comes with the offer.

use crate::role::TargetFile;
use crate::wire::{number, put_text, take, text};
use wardein_crypto::{Digest, P256SigningKey, P256VerifyingKey, SigningError};
use wardein_domain::{DeviceId, LineName, ReleaseText, RepositoryName, TenantId, UnixSeconds};

/// What a device asks: which release it may install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferAsk {
    /// The maker's repository, by its name with the authority.
    pub repository: RepositoryName,
    /// The device's product line.
    pub line: LineName,
    /// Its model, as releases name it.
    pub model: ReleaseText,
    /// The lowest version that it may install.
    pub floor: u64,
    /// The version that it runs; 0 where it does not know.
    pub running: u64,
    /// The version that it asks for; 0 for the latest above the one that it runs.
    pub version: u64,
}

/// What it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfferReply {
    /// The signed offer.
    Offered(Vec<u8>),
    /// The signed offer of a release whose artifact is sealed, with the artifact's key, which is sealed for the one proof that
    /// asked (DDKG-1 §8.3): `nonce ‖ frame(ciphertext) ‖ offer`. Only the session that made that proof can part them.
    WithKey(Vec<u8>),
    /// Nothing, and why.
    Not(NotOffered),
}

/// Why nothing is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotOffered {
    /// The authority knows no such line.
    #[error("the authority has no such repository or product line")]
    Line,
    /// The line has no such release for the model, or none above the one that runs.
    #[error("there is no such release for this model, or none above what runs")]
    Release,
    /// It is proposed still.
    #[error("it is not released yet")]
    Proposed,
    /// It was paused.
    #[error("it is paused")]
    Paused,
    /// It was recalled.
    #[error("it was recalled")]
    Recalled,
    /// It is below the device's floor.
    #[error("it is below the lowest version that this device may install")]
    Floor,
    /// It is rolled out to other devices first.
    #[error("it is rolled out to other devices for now")]
    Rollout,
    /// The site, such as a hospital, has not consented to it.
    #[error("the site has not consented to it")]
    Consent,
    /// The site has refused it.
    #[error("the site has refused it")]
    Refused,
    /// The site has its devices updated at other times.
    #[error("the site has its devices updated at other times")]
    Window,
    /// Its artifact is sealed, and the device signs: it derives no key under which the artifact's could be sealed for it.
    #[error(
        "its artifact is sealed, and this device derives no key for which the artifact's could be sealed"
    )]
    Sealed,
    /// For a reason that this program does not know.
    #[error("for a reason that a newer program knows")]
    Other,
}

/// What one device may install, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Whose device it is.
    pub tenant: TenantId,
    /// The device.
    pub device: DeviceId,
    /// The maker's repository, by its name with the authority.
    pub repository: RepositoryName,
    /// The product line.
    pub line: LineName,
    /// The release.
    pub version: u64,
    /// The artifact's length in bytes.
    pub length: u64,
    /// The artifact's digest.
    pub sha256: Digest,
    /// When it was made, in Unix milliseconds: it is good for one installation, and later ones need a later offer.
    pub issued: u64,
    /// Until when it is good.
    pub expires: UnixSeconds,
}

/// Why bytes are not an offer to go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// They are not of its form.
    #[error("the bytes are not an offer")]
    Malformed,
    /// The authority's identity key did not sign them.
    #[error("the offer is not signed by the authority's identity key")]
    Signature,
    /// It is made to another device.
    #[error("the offer is for another device")]
    Device,
    /// It is of another release, or of another artifact than the maker's metadata names.
    #[error("the offer is of another release, or of another artifact")]
    Release,
    /// It has ended.
    #[error("the offer has ended; ask for another")]
    Expired,
    /// An installation was made by it, or by a later one.
    #[error("the offer was used already, or a later one was; ask for another")]
    Replayed,
}

impl OfferAsk {
    /// The longest body, in bytes.
    pub const MAX_LEN: usize = 1 + 3 * 256 + 3 * 8;

    /// The body of the action. A model is no longer than [`crate::Release::MAX_MODEL`].
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for text in [self.repository.as_str(), self.line.as_str(), self.model.as_str()] {
            put_text(&mut out, text);
        }
        for number in [self.floor, self.running, self.version] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out
    }

    /// The ask of a body; `None` where it is none.
    pub fn decode(body: &[u8]) -> Option<Self> {
        let mut rest = body.strip_prefix(&[VERSION])?;
        let ask = Self {
            repository: text(&mut rest)?.parse().ok()?,
            line: text(&mut rest)?.parse().ok()?,
            model: text(&mut rest)?.parse().ok()?,
            floor: number(&mut rest)?,
            running: number(&mut rest)?,
            version: number(&mut rest)?,
        };
        rest.is_empty().then_some(ask)
    }
}

impl OfferReply {
    /// The reply body of the action.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Offered(offer) => [&[1], offer.as_slice()].concat(),
            Self::WithKey(sealed) => [&[2], sealed.as_slice()].concat(),
            Self::Not(why) => [&[0], why.word().as_bytes()].concat(),
        }
    }

    /// The reply of a body; `None` where it is none.
    pub fn decode(body: &[u8]) -> Option<Self> {
        match body.split_first()? {
            (1, offer) if offer.len() <= Offer::MAX_LEN => Some(Self::Offered(offer.to_vec())),
            (2, sealed) if sealed.len() <= Offer::MAX_LEN + MAX_SEALED_KEY => {
                Some(Self::WithKey(sealed.to_vec()))
            }
            (0, word) if word.len() <= MAX_WORD => {
                Some(Self::Not(NotOffered::of(std::str::from_utf8(word).ok()?)))
            }
            _ => None,
        }
    }
}

impl NotOffered {
    /// All that this program knows.
    pub const ALL: [Self; 11] = [
        Self::Line,
        Self::Release,
        Self::Proposed,
        Self::Paused,
        Self::Recalled,
        Self::Floor,
        Self::Rollout,
        Self::Consent,
        Self::Refused,
        Self::Window,
        Self::Sealed,
    ];

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Line => "line-unknown",
            Self::Release => "release-unknown",
            Self::Proposed => "proposed",
            Self::Paused => "paused",
            Self::Recalled => "recalled",
            Self::Floor => "below-floor",
            Self::Rollout => "rollout",
            Self::Consent => "consent",
            Self::Refused => "refused",
            Self::Window => "window",
            Self::Sealed => "sealed",
            Self::Other => "other",
        }
    }

    fn of(word: &str) -> Self {
        Self::ALL.into_iter().find(|why| why.word() == word).unwrap_or(Self::Other)
    }
}

impl Offer {
    /// The most bytes of one.
    pub const MAX_LEN: usize = 1024;
    /// Seconds for which one is good: as long as a device that holds one can be kept from hearing of a pause or a recall.
    pub const LIFETIME: u64 = 3600;

    /// The offer as it is sent, signed.
    pub fn sign(&self, identity: &P256SigningKey) -> Result<Vec<u8>, SigningError> {
        let mut out = self.to_be_signed();
        let signature = identity.sign(&out)?;
        out.push(signature.len() as u8);
        out.extend_from_slice(&signature);
        Ok(out)
    }

    fn to_be_signed(&self) -> Vec<u8> {
        let mut out = CONTEXT.to_vec();
        let texts =
            [self.tenant.as_str(), self.device.as_str(), self.repository.as_str(), self.line.as_str()];
        for text in texts {
            put_text(&mut out, text);
        }
        for number in [self.version, self.length] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.sha256.0);
        for number in [self.issued, self.expires.get()] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out
    }

    /// Reads one that `identity` signed. Whose it is, and whether it is good still, [`Offer::judge`] says.
    pub fn open(bytes: &[u8], identity: &P256VerifyingKey) -> Result<Self, OfferError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(OfferError::Malformed);
        }
        let (offer, signed, signature) = Self::read(bytes).ok_or(OfferError::Malformed)?;
        identity.verify(signed, signature).map_err(|_| OfferError::Signature)?;
        Ok(offer)
    }

    /// The contents, what was signed, and the signature.
    fn read(bytes: &[u8]) -> Option<(Self, &[u8], &[u8])> {
        let mut rest = bytes.strip_prefix(CONTEXT)?;
        let offer = Self {
            tenant: text(&mut rest)?.parse().ok()?,
            device: text(&mut rest)?.parse().ok()?,
            repository: text(&mut rest)?.parse().ok()?,
            line: text(&mut rest)?.parse().ok()?,
            version: number(&mut rest)?,
            length: number(&mut rest)?,
            sha256: Digest(take(&mut rest, 32)?.try_into().ok()?),
            issued: number(&mut rest)?,
            expires: UnixSeconds::new(number(&mut rest)?),
        };
        let signed = bytes.strip_suffix(rest)?;
        let (length, signature) = rest.split_first()?;
        (signature.len() == usize::from(*length)).then_some((offer, signed, signature))
    }

    /// Refuses one that the device cannot install that file by: `file` is the release's, as the maker's metadata has it, `now` is the later
    /// one of the device's clock and the authority's last word, and `used` is when the offer was issued by which the device installed last.
    pub fn judge(
        &self,
        (tenant, device): (&TenantId, &DeviceId),
        (repository, line, version): (&RepositoryName, &LineName, u64),
        file: &TargetFile,
        now: UnixSeconds,
        used: u64,
    ) -> Result<(), OfferError> {
        if (&self.tenant, &self.device) != (tenant, device) {
            return Err(OfferError::Device);
        }
        let is_release = (&self.repository, &self.line, self.version) == (repository, line, version);
        if !is_release || (self.length, self.sha256) != (file.length, file.sha256) {
            return Err(OfferError::Release);
        }
        if self.issued <= used {
            return Err(OfferError::Replayed);
        }
        if self.expires <= now {
            return Err(OfferError::Expired);
        }
        Ok(())
    }
}

/// No transcript of DDKG-1 begins so, and no trust bundle: the same key signs those.
const CONTEXT: &[u8] = b"wardein update offer 1\0";
/// The version of [`OfferAsk`]'s form.
const VERSION: u8 = 1;
/// The longest word of [`NotOffered`], in bytes.
const MAX_WORD: usize = 32;
/// The bytes of a sealed key of 16 bytes: a nonce, a length, the ciphertext and its tag.
const MAX_SEALED_KEY: usize = 12 + 4 + 16 + 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> P256SigningKey {
        P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()
    }

    fn offer() -> Offer {
        Offer {
            tenant: "klinik".parse().unwrap(),
            device: "pump-1".parse().unwrap(),
            repository: "acme".parse().unwrap(),
            line: "infusion".parse().unwrap(),
            version: 7,
            length: 300,
            sha256: Digest([9; 32]),
            issued: 1_000_500,
            expires: UnixSeconds::new(4_600),
        }
    }

    fn ask() -> OfferAsk {
        OfferAsk {
            repository: "acme".parse().unwrap(),
            line: "infusion".parse().unwrap(),
            model: "pump-3".parse().unwrap(),
            floor: 5,
            running: 6,
            version: 7,
        }
    }

    #[test]
    fn an_offer_is_read_as_it_was_signed_and_every_changed_byte_is_found() {
        let identity = key();
        let bytes = offer().sign(&identity).unwrap();
        assert_eq!(Offer::open(&bytes, identity.verifying_key()), Ok(offer()));
        assert_eq!(Offer::open(&bytes, key().verifying_key()), Err(OfferError::Signature));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Offer::open(&changed, identity.verifying_key()).is_err(), "byte {at}");
            let cut = Offer::open(&bytes[..at], identity.verifying_key());
            assert_eq!(cut, Err(OfferError::Malformed), "{at} bytes");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Offer::open(&longer, identity.verifying_key()), Err(OfferError::Malformed));
        let huge = vec![0; Offer::MAX_LEN + 1];
        assert_eq!(Offer::open(&huge, identity.verifying_key()), Err(OfferError::Malformed));
    }

    #[test]
    fn an_offer_is_for_one_device_one_release_one_hour_and_one_installation() {
        let (tenant, device) = ("klinik".parse().unwrap(), "pump-1".parse().unwrap());
        let (repository, line) = ("acme".parse().unwrap(), "infusion".parse().unwrap());
        let file = TargetFile { length: 300, sha256: Digest([9; 32]), custom: None };
        let at = UnixSeconds::new;
        let whose = (&tenant, &device);
        let what = (&repository, &line, 7);
        let judge = |whose, what, file: &TargetFile, now, used| offer().judge(whose, what, file, now, used);
        assert_eq!(judge(whose, what, &file, at(4_599), 1_000_499), Ok(()));
        let other: TenantId = "lab".parse().unwrap();
        assert_eq!(judge((&other, &device), what, &file, at(0), 0), Err(OfferError::Device));
        let other: DeviceId = "pump-2".parse().unwrap();
        assert_eq!(judge((&tenant, &other), what, &file, at(0), 0), Err(OfferError::Device));
        let other: RepositoryName = "maker".parse().unwrap();
        assert_eq!(judge(whose, (&other, &line, 7), &file, at(0), 0), Err(OfferError::Release));
        let other: LineName = "monitors".parse().unwrap();
        assert_eq!(judge(whose, (&repository, &other, 7), &file, at(0), 0), Err(OfferError::Release));
        assert_eq!(judge(whose, (&repository, &line, 8), &file, at(0), 0), Err(OfferError::Release));
        let longer = TargetFile { length: 301, ..file.clone() };
        assert_eq!(judge(whose, what, &longer, at(0), 0), Err(OfferError::Release));
        let other = TargetFile { sha256: Digest([8; 32]), ..file.clone() };
        assert_eq!(judge(whose, what, &other, at(0), 0), Err(OfferError::Release));
        assert_eq!(judge(whose, what, &file, at(4_600), 0), Err(OfferError::Expired));
        assert_eq!(judge(whose, what, &file, at(0), 1_000_500), Err(OfferError::Replayed));
    }

    /// Devices of other releases read and write these bytes.
    #[test]
    fn the_bytes_never_change() {
        let expected = [
            &b"wardein update offer 1\0\x06klinik\x06pump-1\x04acme\x08infusion"[..],
            &[0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 1, 44],
            &[9; 32],
            &[0, 0, 0, 0, 0, 15, 68, 52, 0, 0, 0, 0, 0, 0, 17, 248],
        ];
        assert_eq!(offer().to_be_signed(), expected.concat());
        let expected = [
            &b"\x01\x04acme\x08infusion\x06pump-3"[..],
            &[0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 7],
        ];
        assert_eq!(ask().encode(), expected.concat());
    }

    #[test]
    fn asks_and_replies_are_read_back_and_nothing_else_is() {
        let bytes = ask().encode();
        assert_eq!(OfferAsk::decode(&bytes), Some(ask()));
        assert!(bytes.len() <= OfferAsk::MAX_LEN);
        for at in 0..bytes.len() {
            assert_eq!(OfferAsk::decode(&bytes[..at]), None, "{at} bytes");
        }
        assert_eq!(OfferAsk::decode(&[&bytes[..], &[0]].concat()), None);
        for why in NotOffered::ALL {
            let reply = OfferReply::Not(why);
            assert_eq!(OfferReply::decode(&reply.encode()), Some(reply));
        }
        let longest = OfferReply::WithKey(vec![7; Offer::MAX_LEN + MAX_SEALED_KEY]);
        for reply in [OfferReply::Offered(vec![7; 300]), longest] {
            assert_eq!(OfferReply::decode(&reply.encode()), Some(reply));
        }
        let longer = OfferReply::WithKey(vec![7; Offer::MAX_LEN + MAX_SEALED_KEY + 1]);
        assert_eq!(OfferReply::decode(&longer.encode()), None);
        assert_eq!(OfferReply::decode(b"\0later"), Some(OfferReply::Not(NotOffered::Other)));
        for wrong in [&b""[..], b"\x03", b"\0\xff", &[0; 40], &vec![1; 2 + Offer::MAX_LEN]] {
            assert_eq!(OfferReply::decode(wrong), None);
        }
    }
}
