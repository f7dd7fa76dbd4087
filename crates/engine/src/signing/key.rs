//! The row of a key that a device signs with. Nothing in it is secret.

use crate::api::SigningKey;
use crate::kernel::{Engine, Error, Kind, Stop, Tx};
use crate::rows;
use crate::signing::quote::BaselineRow;
use serde::{Deserialize, Serialize};
use wardein_attest::AkPublic;
use wardein_crypto::{Digest, P256VerifyingKey};
use wardein_ddkg::{Challenge, CheckedChallenge, DeviceName};
use wardein_domain::{Assurance, PcrStanding};
use wardein_pki::PublicKey;
use wardein_port::Table;

#[derive(Serialize, Deserialize)]
pub(crate) struct SignatureKeyRow {
    /// An uncompressed P-256 point.
    pub(crate) point: Vec<u8>,
    pub(crate) assurance: String,
    /// The digest of the endorsement key of its TPM.
    pub(crate) ek: Option<[u8; 32]>,
    /// TPM2B_PUBLIC of the attestation key that certified it.
    pub(crate) ak: Option<Vec<u8>>,
    /// What the registers of its TPM are compared with, if a quote was asked for or a state was approved.
    pub(crate) baseline: Option<BaselineRow>,
    /// When, in Unix seconds, the last quote was taken, and by which [`PcrStanding`].
    pub(crate) quoted: Option<(u64, String)>,
    /// Unix seconds of the last accepted signature; 0 for none.
    pub(crate) last_seen: u64,
    pub(crate) seen: SeenChallenges,
}

impl SignatureKeyRow {
    pub(crate) fn key(&self) -> Result<PublicKey, Error> {
        let point =
            self.point.as_slice().try_into().map_err(|_| Error::internal("a key has not 65 bytes"))?;
        Ok(PublicKey::from(P256VerifyingKey(point)))
    }

    pub(crate) fn assurance(&self) -> Result<Assurance, Error> {
        rows::word("assurance level", &self.assurance)
    }

    pub(crate) fn ak(&self) -> Result<Option<AkPublic>, Error> {
        let parse = |ak: &Vec<u8>| AkPublic::parse(ak).map_err(Error::internal);
        self.ak.as_ref().map(parse).transpose()
    }

    pub(crate) fn signing_key(&self) -> Result<SigningKey, Error> {
        let (id, assurance) = (key_id(&self.key()?).0, self.assurance()?);
        Ok(SigningKey { id, assurance, last_quote: self.last_quote()? })
    }

    /// The last quote that was taken: by what it was found good, and when.
    pub(crate) fn last_quote(&self) -> Result<Option<(PcrStanding, u64)>, Error> {
        let parse = |(at, word): &(u64, String)| Ok((rows::word("standing of registers", word)?, *at));
        self.quoted.as_ref().map(parse).transpose()
    }
}

/// `key id` of DDKG-1 §5.1.
pub(crate) fn key_id(key: &PublicKey) -> Digest {
    Digest::of(&key.spki())
}

/// The challenges that were answered by a signature and have not expired. They stand in the row of the key, so that answering one
/// twice is a conflict, and need no sweep: each answer drops those that have expired.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct SeenChallenges {
    /// Each by its time of issue in Unix milliseconds and the first 16 bytes of its SHA-256.
    seen: Vec<(u64, [u8; 16])>,
    /// The latest time of issue of one that was dropped. What was issued until then stays refused, even if a clock goes back.
    dropped_ms: u64,
}

impl SeenChallenges {
    /// How many signatures a device can have accepted within the lifetime of one challenge.
    const MAX: usize = 128;

    /// Spends a challenge, or refuses it: each is good for one signature.
    pub(crate) fn spend(
        &mut self,
        challenge: &Challenge,
        checked: &CheckedChallenge,
        now_ms: u64,
        lifetime_ms: u64,
    ) -> Result<(), Error> {
        let issued_ms = checked.issued_ms();
        if issued_ms <= self.dropped_ms {
            let message = "the challenge is older than one that has expired; ask for another";
            return Err(Error::new(Kind::Unauthenticated, "challenge-expired", message));
        }
        let is_over = |issued_ms: u64| issued_ms.saturating_add(lifetime_ms) < now_ms;
        let over = self.seen.iter().map(|(issued_ms, _)| *issued_ms).filter(|issued_ms| is_over(*issued_ms));
        self.dropped_ms = over.fold(self.dropped_ms, u64::max);
        self.seen.retain(|(issued_ms, _)| !is_over(*issued_ms));
        let mut digest = [0; 16];
        digest.copy_from_slice(&Digest::of(challenge.as_bytes()).0[..16]);
        if self.seen.contains(&(issued_ms, digest)) {
            let message = "the challenge was answered already; ask for another";
            return Err(Error::new(Kind::Precondition, "replayed", message));
        }
        if self.seen.len() == Self::MAX {
            let message = format_args!(
                "the device signed {} requests within {} seconds; wait, then ask for another challenge",
                Self::MAX,
                lifetime_ms / 1000
            );
            return Err(Error::new(Kind::Exhausted, "signatures-exhausted", message));
        }
        self.seen.push((issued_ms, digest));
        Ok(())
    }
}

impl Engine {
    /// The key that a device signs with, with the version of its row.
    pub(crate) fn signature_key(
        &self,
        tx: &Tx<'_>,
        name: &DeviceName,
    ) -> Result<Option<(u64, SignatureKeyRow)>, Stop> {
        tx.row(Table::SignatureKey, &rows::device_key(name))
    }
}
