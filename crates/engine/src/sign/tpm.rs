//! Enrolling a device whose key is in a TPM 2.0, in two steps: evidence for a credential, and the answer to it.

use super::enroll::NewKey;
use super::policy::StoredPolicy;
use super::ticket::{Facts, Ticket};
use crate::kernel::{Caller, Draw, Engine, Error};
use crate::rows::{self, Claim};
use crate::sign::KeyOrder;
use wardein_attest::{AkPublic, EkDigest, EkPublic, EkTrust, Evidence, Refusal, TrustedAk, make_credential};
use wardein_crypto::{Digest, SecretBytes};
use wardein_ddkg::DeviceName;
use wardein_domain::{Assurance, DeviceId, EnrolledKey, ErrorCode, Quote, TpmChallenge, TpmEvidence};
use wardein_port::Table;

/// The TPM's answer.
pub struct TpmActivation {
    /// The device.
    pub device: DeviceId,
    /// From the first step.
    pub ticket: Vec<u8>,
    /// The secret that TPM2_ActivateCredential returned.
    pub secret: SecretBytes,
    /// TPM2B_PUBLIC of the device's key.
    pub device_key: Vec<u8>,
    /// TPMS_ATTEST of TPM2_Certify of that key.
    pub attested: Vec<u8>,
    /// TPMT_SIGNATURE of it.
    pub signature: Vec<u8>,
    /// TPM2_Quote of the requested PCRs.
    pub quote: Option<Quote>,
}

/// Seconds between the two steps: a slow TPM needs a few, a person at a station more.
const LIFETIME: u64 = 600;

impl Engine {
    /// Judges a TPM by its endorsement key, and makes a credential that only it opens. With it comes the Unix second at which the
    /// second step is no longer taken. Nothing is stored.
    pub async fn begin_tpm_enrollment(
        &self,
        caller: &Caller,
        order: &KeyOrder,
        evidence: &TpmEvidence,
    ) -> Result<(TpmChallenge, u64), Error> {
        let tenant = self.stations_tenant(caller)?;
        let TpmEvidence { ek_public, ek_certificates, ak_public } = evidence;
        self.rules_of(tenant, &order.profile)?;
        let (ek, ak) = (EkPublic::parse(ek_public)?, AkPublic::parse(ak_public)?);
        let digest = ek.digest();
        let name = DeviceName { tenant: tenant.clone(), device: order.device.clone() };
        let chain: Vec<&[u8]> = ek_certificates.iter().map(Vec::as_slice).collect();
        let (StoredPolicy { version, policy }, roots, is_listed, pcr_policy) = self
            .look(|tx| {
                let is_listed = self.is_listed(tx, tenant, &digest)?;
                let policy = self.key_policy(tx, tenant)?;
                let roots = self.roots_for(tx, tenant, &policy.policy, &chain)?;
                Ok((policy, roots, is_listed, self.pcr_policy(tx, tenant, &order.profile)?))
            })
            .await?;
        let trust = EkTrust::new(roots, policy.first_use);
        let endorsed = trust.judge(ek, &chain, is_listed, self.now())?;
        // Judged again when it is enrolled; here so that nobody goes the whole way for nothing.
        self.look(|tx| {
            if tx.get(Table::Device, &rows::device_key(&name))?.is_none() {
                self.check_new(&name, &order.profile)?;
            }
            self.judge_claim(tx, &name, Claim::Tpm(&digest.0.0), policy.shared_tpms)
        })
        .await?;

        let mut draw = Draw::new(&*self.entropy);
        let (secret, nonce) = (draw.hidden()?, draw.public()?);
        let credential = make_credential(&endorsed, &ak, &secret, &mut draw)?;
        let expires_at = self.now().saturating_add(LIFETIME);
        let keys = (digest.0.0, ak_public.as_slice());
        let facts = Facts::new(order, endorsed.assurance(), keys, (nonce, expires_at, version));
        let ticket = Ticket { secret, facts }.seal(draw.nonce()?, &self.memory, &name)?;
        let (id_object, encrypted_secret) = (credential.id_object, credential.encrypted_secret);
        let quote = pcr_policy.selection();
        Ok((TpmChallenge { ticket, id_object, encrypted_secret, nonce, quote }, expires_at))
    }

    /// Enrolls a device by the key that its TPM certifies to be inside it. The same again gets the same answer.
    pub async fn finish_tpm_enrollment(
        &self,
        caller: &Caller,
        activation: TpmActivation,
    ) -> Result<EnrolledKey, Error> {
        let tenant = self.stations_tenant(caller)?;
        let TpmActivation { device, ticket, secret, device_key, attested, signature, quote } = activation;
        let name = DeviceName { tenant: tenant.clone(), device };
        let Ticket { secret: expected, facts } = Ticket::open(&self.memory, &name, &ticket, self.now())?;
        let (assurance, ek) = (facts.assurance()?, EkDigest(Digest(facts.ek)));
        // A TPM trusted in the first step may no longer be trusted.
        let (policy, is_listed) =
            self.look(|tx| Ok((self.key_policy(tx, tenant)?, self.is_listed(tx, tenant, &ek)?))).await?;
        if policy.version != facts.policy || (assurance == Assurance::TpmListed && !is_listed) {
            let message = "the tenant's key storage policy has changed since the first step; begin again";
            return Err(Error::new(ErrorCode::KeyPolicyChanged, message));
        }
        let ak = TrustedAk::activated(AkPublic::parse(&facts.ak)?, &expected, secret.expose())?;
        let evidence = Evidence { attested: &attested, signature: &signature };
        let certified = ak.certified(evidence, &facts.nonce, &device_key)?;
        let order = facts.order(name.device)?;
        let pcr_policy = self.look(|tx| self.pcr_policy(tx, tenant, &order.profile)).await?;
        let quoted = pcr_policy.enroll(&ak, quote.as_ref(), &facts.nonce)?;
        let key = *certified.public_key();
        let new = NewKey { key, assurance, ek: Some(ek), ak: Some(facts.ak), quoted };
        self.put_key(caller, &order, &new).await
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal)
    }
}
