//! The authority's end of DDKG-1 for one device, in bytes: what the C programs and the tests speak to.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    reason = "it serves tests, and not each of them all of it"
)]

use wardein_crypto::{Digest, P256SigningKey, Secret, SystemEntropy};
use wardein_ddkg::authority::{EnrollTerms, Expected, Record, Refusal};
use wardein_ddkg::message::{
    AckedReply, ChallengeOffer, Confirmation, EnrollRequest, ProofRequest, RekeyAsk, SealedPayload, Token,
};
use wardein_ddkg::{AuthorityTime, ChallengeKey, Policy, Purposes};
use wardein_domain::Schedule;

/// When it begins, in Unix seconds.
pub(crate) const START: u64 = 1_800_000_000;

pub(crate) struct Authority {
    identity: P256SigningKey,
    challenges: ChallengeKey,
    policy: Policy,
    record: Option<Record>,
    /// Unix seconds.
    pub(crate) now: u64,
    /// Keys in an epoch, or 0.
    pub(crate) max_uses: u64,
}

/// A refusal as a transport would carry it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: &'static str,
    pub(crate) epoch: u32,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let epoch = match refusal {
            Refusal::EpochSpent { next } => next,
            Refusal::EpochAhead { highest } => highest,
            _ => 0,
        };
        Self { code: refusal.code().as_str(), epoch }
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let document = P256SigningKey::generate_pkcs8().unwrap();
        Self {
            identity: P256SigningKey::from_pkcs8(&document).unwrap(),
            challenges: ChallengeKey::new(Secret::copied_from(&[7; 32])),
            policy: Policy::default(),
            record: None,
            now: START,
            max_uses: 0,
        }
    }

    pub(crate) fn identity_key(&self) -> [u8; 65] {
        self.identity.verifying_key().0
    }

    pub(crate) fn enroll(&mut self, request: &[u8]) -> Result<Vec<u8>, Refused> {
        let request = EnrollRequest::decode(request).unwrap();
        let terms = EnrollTerms { generation: 1, schedule: self.schedule(), purposes: Purposes::ENROLLED };
        let sign = |digest: &Digest| self.identity.sign(digest.as_ref());
        let enrolled =
            Record::enroll(self.record.as_ref(), &request, &terms, sign, &mut SystemEntropy::default())?;
        if let Some(record) = enrolled.record {
            self.record = Some(record);
        }
        Ok(enrolled.reply.encode())
    }

    pub(crate) fn confirm(&mut self, confirmation: &[u8]) -> Result<(), Refused> {
        self.record().confirm(&Confirmation::decode(confirmation).unwrap())?;
        Ok(())
    }

    /// A challenge for all attributes on record.
    pub(crate) fn offer(&mut self) -> Vec<u8> {
        let now = self.now;
        let record = self.record.as_ref().unwrap();
        let recipe = record.attributes().names();
        let entropy = &mut SystemEntropy::default();
        let challenge = self.challenges.issue(record.device(), &recipe, now * 1000, entropy).unwrap();
        ChallengeOffer { challenge, server_time: now, recipe }.encode()
    }

    pub(crate) fn prove(&mut self, proof: &[u8], body: &[u8]) -> Result<Vec<u8>, Refused> {
        let request = ProofRequest::decode(proof).unwrap();
        let (now, schedule, policy) = (self.now, self.schedule(), self.policy.clone());
        let time = AuthorityTime::sure(now);
        let recipe = self.record().attributes().names();
        let checked =
            self.challenges.check(&request.challenge, &request.device, &recipe, now * 1000, &policy);
        let checked = checked.map_err(|error| Refused { code: error.code().as_str(), epoch: 0 })?;
        let record = self.record();
        let accepted = record.verify(&request, checked, &recipe, body, time, &policy)?;
        let answer = if request.action.is_rekey() {
            let ask = RekeyAsk::decode(body).unwrap();
            record.rekey(&accepted, &ask, schedule, &mut SystemEntropy::default())?.encode()
        } else {
            Vec::new()
        };
        let reply: AckedReply = accepted.reply(now, answer);
        Ok(reply.encode())
    }

    pub(crate) fn verify_token(&mut self, token: &[u8], audience: &str, nonce: &[u8]) -> Result<(), Refused> {
        let (time, policy) = (AuthorityTime::sure(self.now), self.policy.clone());
        let audience = audience.parse().unwrap();
        let expected = Expected { audience: &audience, platform_nonce: nonce };
        let spend = self.record().verify_token(&Token::decode(token).unwrap(), expected, time, &policy)?;
        // There is one token here of each number, and nothing to record.
        drop(spend);
        Ok(())
    }

    pub(crate) fn open(&mut self, sealed: &[u8], additional: &[u8]) -> Result<Vec<u8>, Refused> {
        let (now, policy) = (self.now, self.policy.clone());
        let sealed = SealedPayload::decode(sealed).unwrap();
        let (plaintext, _) = self.record().open(&sealed, additional, now, &policy)?;
        Ok(plaintext.expose().to_vec())
    }

    fn schedule(&self) -> Schedule {
        Schedule { period: 3600, max_uses: self.max_uses, not_before: self.now }
    }

    fn record(&mut self) -> &mut Record {
        self.record.as_mut().unwrap()
    }
}
