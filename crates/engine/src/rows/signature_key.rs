//! The row of a key that a device signs with, at tenant and id. Nothing in it is secret.

use super::{SelectionRow, column, damaged};
use crate::fleet::devices::SigningKey;
use crate::kernel::Error;
use serde::{Deserialize, Serialize};
use wardein_attest::{AkPublic, PcrState};
use wardein_crypto::tpm::HashValue;
use wardein_crypto::{Digest, P256VerifyingKey};
use wardein_ddkg::{AuthorityTime, Challenge, CheckedChallenge, Policy};
use wardein_domain::{Assurance, ErrorCode, PcrStanding, UnixMillis, UnixSeconds};
use wardein_pki::PublicKey;
use wardein_port::Table;

#[derive(Serialize, Deserialize)]
pub(crate) struct SignatureKeyRow {
    #[serde(with = "column")]
    pub(crate) point: P256VerifyingKey,
    #[serde(with = "column")]
    pub(crate) assurance: Assurance,
    /// The digest of the endorsement key of its TPM.
    pub(crate) ek: Option<[u8; 32]>,
    /// TPM2B_PUBLIC of the attestation key that certified it.
    pub(crate) ak: Option<Vec<u8>>,
    /// The PCRs that its quotes are compared with, if a quote was required or a state was approved.
    pub(crate) baseline: Option<BaselineRow>,
    /// The last quote that was taken.
    #[serde(with = "column::maybe")]
    pub(crate) quoted: Option<(UnixSeconds, PcrStanding)>,
    /// The last accepted signature.
    #[serde(with = "column::maybe")]
    pub(crate) last_seen: Option<UnixSeconds>,
    pub(crate) seen: SeenChallenges,
}

impl SignatureKeyRow {
    pub(crate) fn key(&self) -> PublicKey {
        PublicKey::from(self.point)
    }

    pub(crate) fn ak(&self) -> Result<Option<AkPublic>, Error> {
        let parse = |ak: &Vec<u8>| AkPublic::parse(ak).map_err(|error| damaged(Table::SignatureKey, error));
        self.ak.as_ref().map(parse).transpose()
    }

    pub(crate) fn signing_key(&self) -> SigningKey {
        let id = key_id(&self.key()).0;
        SigningKey { id, assurance: self.assurance, last_quote: self.last_quote() }
    }

    /// The last quote that was taken: how its PCRs were found, and when.
    pub(crate) fn last_quote(&self) -> Option<(PcrStanding, u64)> {
        self.quoted.map(|(at, standing)| (standing, at.get()))
    }
}

/// `key id` of DDKG-1 §5.1.
pub(crate) fn key_id(key: &PublicKey) -> Digest {
    Digest::of(&key.spki())
}

/// The state that a device's PCRs are compared with.
#[derive(Serialize, Deserialize)]
pub(crate) struct BaselineRow {
    pub(super) selection: SelectionRow,
    pub(super) digest: Vec<u8>,
    pub(crate) is_approved: bool,
}

impl BaselineRow {
    pub(crate) fn new(state: &PcrState, is_approved: bool) -> Self {
        Self { selection: state.selection().into(), digest: state.digest().as_ref().to_vec(), is_approved }
    }

    /// As a quote by `ak` would say it.
    pub(crate) fn state(&self, ak: &AkPublic) -> Result<PcrState, Error> {
        let digest = HashValue::from_bytes(ak.hash(), &self.digest);
        let digest = digest.ok_or_else(|| damaged(Table::SignatureKey, "has a damaged digest of PCRs"))?;
        Ok(PcrState::assertion(self.selection.parse()?, digest))
    }
}

/// The challenges that were answered by a signature and have not expired. They are in the row of the key, so that answering one
/// twice is a conflict, and need no sweep: each answer drops those that have expired.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct SeenChallenges {
    pub(super) seen: Vec<Seen>,
    /// The latest time of issue of one that was dropped. Any issued until then stays refused.
    #[serde(with = "column")]
    pub(super) dropped: UnixMillis,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    #[serde(with = "column")]
    pub(super) issued: UnixMillis,
    /// The first half of the challenge's SHA-256.
    pub(super) digest: [u8; 16],
}

impl SeenChallenges {
    /// How many signatures of a device are accepted within the lifetime of one challenge.
    const MAX: usize = 128;

    /// Spends a challenge, or refuses it: each is good for one signature.
    ///
    /// What a clock that ran ahead has left is corrected first (DDKG-1 §9.1), or the device would be refused for as long as the clock
    /// was ahead. No challenge is good again by that: those of an earlier era were made under another key.
    pub(crate) fn spend(
        &mut self,
        challenge: &Challenge,
        checked: &CheckedChallenge,
        time: AuthorityTime,
        policy: &Policy,
    ) -> Result<(), Error> {
        let (lifetime_ms, skew_ms) = (policy.challenge_lifetime_ms, policy.skew_ms);
        self.dropped = UnixMillis::new(time.reads(self.dropped.get(), skew_ms));
        self.seen.retain(|seen| seen.issued.get() <= time.now_ms.saturating_add(skew_ms));
        let issued = UnixMillis::new(checked.issued_ms());
        if issued <= self.dropped {
            let message = "the challenge is older than one that has expired; ask for another";
            return Err(Error::new(ErrorCode::ChallengeExpired, message));
        }
        let is_over = |seen: &Seen| seen.issued.get().saturating_add(lifetime_ms) < time.now_ms;
        let over = self.seen.iter().filter(|seen| is_over(seen)).map(|seen| seen.issued);
        self.dropped = over.fold(self.dropped, UnixMillis::max);
        self.seen.retain(|seen| !is_over(seen));
        let mut digest = [0; 16];
        digest.copy_from_slice(&Digest::of(challenge.as_bytes()).0[..16]);
        let seen = Seen { issued, digest };
        if self.seen.contains(&seen) {
            let message = "the challenge was already answered; ask for another";
            return Err(Error::new(ErrorCode::Replayed, message));
        }
        if self.seen.len() == Self::MAX {
            let message = format_args!(
                "the device signed {} requests within {} seconds; wait, then ask for another challenge",
                Self::MAX,
                lifetime_ms / 1000
            );
            return Err(Error::new(ErrorCode::SignaturesExhausted, message));
        }
        self.seen.push(seen);
        Ok(())
    }
}
