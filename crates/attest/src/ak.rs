//! The attestation key: it signs what its TPM says, and nothing else.

use crate::algorithm::Scheme;
use crate::attested::{Attested, Claim, MAGIC};
use crate::pcr::PcrState;
use crate::public::{Attributes, Name, Public};
use crate::signature::Signature;
use crate::{DeviceKey, Refusal};
use wardein_crypto::Secret;
use wardein_crypto::tpm::{HashAlgorithm, HashValue};
use wardein_domain::PcrSelection;

/// A key that could be an attestation key, by its public area. Whether it is in a TPM is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AkPublic {
    public: Public,
    scheme: Scheme,
}

impl AkPublic {
    /// Reads a TPM2B_PUBLIC.
    ///
    /// Without `restricted` the owner of the key could sign a TPMS_ATTEST of his own making.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let public = Public::parse(bytes)?;
        let is_bound = public.attributes.has(BOUND.union(Attributes::RESTRICTED).union(Attributes::SIGN));
        ensure(is_bound && !public.attributes.has_any(Attributes::DECRYPT), Refusal::AkAttributes)?;
        ensure(public.symmetric.is_none(), Refusal::AkScheme)?;
        let scheme = public.scheme.ok_or(Refusal::AkScheme)?;
        Ok(Self { public, scheme })
    }

    /// The hash of what it signs: that of the digest in a quote.
    pub fn hash(&self) -> HashAlgorithm {
        self.scheme.hash()
    }

    /// Its name, which a credential is made for.
    pub fn name(&self) -> &Name {
        self.public.name()
    }
}

/// An attestation key that is known to be in the TPM of its endorsement key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedAk(AkPublic);

/// What a TPM says, and its signature: as `TPM2_Certify` and `TPM2_Quote` give them.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// TPMS_ATTEST, without the two bytes of length of a TPM2B_ATTEST.
    pub attested: &'a [u8],
    /// TPMT_SIGNATURE.
    pub signature: &'a [u8],
}

impl TrustedAk {
    /// `shown` came back from the TPM to which `secret` went in the credential that was made for `ak`.
    pub fn activated(ak: AkPublic, secret: &Secret<32>, shown: &[u8]) -> Result<Self, Refusal> {
        ensure(secret.matches(shown), Refusal::CredentialWrong)?;
        Ok(Self(ak))
    }

    /// A key that was activated before and is on record. The caller vouches for it.
    pub fn assertion(ak: AkPublic) -> Self {
        Self(ak)
    }

    /// The device's key, a TPM2B_PUBLIC, of which TPM2_Certify says that it is in the same TPM.
    pub fn certified(
        &self,
        evidence: Evidence<'_>,
        nonce: &[u8; 32],
        device_key: &[u8],
    ) -> Result<DeviceKey, Refusal> {
        let key = DeviceKey::parse(device_key)?;
        let Claim::Certify { name } = self.said(evidence, nonce)? else {
            return Err(Refusal::AttestType);
        };
        ensure(name == key.name().as_bytes(), Refusal::CertifyName)?;
        Ok(key)
    }

    /// The state of the registers in `selection`, of which TPM2_Quote says that it is as of now.
    pub fn quoted(
        &self,
        evidence: Evidence<'_>,
        nonce: &[u8; 32],
        selection: PcrSelection,
    ) -> Result<PcrState, Refusal> {
        let Claim::Quote { selection: found, digest } = self.said(evidence, nonce)? else {
            return Err(Refusal::AttestType);
        };
        ensure(found == selection, Refusal::PcrSelection)?;
        let digest = HashValue::from_bytes(self.0.scheme.hash(), digest).ok_or(Refusal::PcrDigest)?;
        Ok(PcrState { selection, digest })
    }

    /// What the TPM says, once it is known to be this key's, made by the TPM itself, and an answer to `nonce`.
    fn said<'a>(&self, evidence: Evidence<'a>, nonce: &[u8; 32]) -> Result<Claim<'a>, Refusal> {
        let signature = Signature::parse(evidence.signature)?;
        let attested = Attested::parse(evidence.attested)?;
        ensure(signature.scheme == self.0.scheme, Refusal::AttestScheme)?;
        signature.verify(&self.0.public.key, evidence.attested).map_err(|_| Refusal::AttestSignature)?;
        ensure(attested.magic == MAGIC, Refusal::AttestMagic)?;
        ensure(attested.extra_data == nonce, Refusal::AttestNonce)?;
        Ok(attested.claim)
    }
}

/// What keeps a key in the TPM that made it.
pub(crate) const BOUND: Attributes =
    Attributes::FIXED_TPM.union(Attributes::FIXED_PARENT).union(Attributes::SENSITIVE_DATA_ORIGIN);

pub(crate) fn ensure(holds: bool, refusal: Refusal) -> Result<(), Refusal> {
    holds.then_some(()).ok_or(refusal)
}
