//! Whether an endorsement key is of a TPM that is trusted, and how strongly.

use crate::{EkPublic, Refusal};
use wardein_domain::Assurance;
use wardein_pki::{EndorsementChain, VendorRoots};

/// What makes a TPM trusted.
pub struct EkTrust {
    roots: VendorRoots,
    first_use: bool,
}

/// An endorsement key that is trusted, and how strongly. Only [`EkTrust::judge`] makes one.
#[derive(Debug)]
pub struct Endorsed {
    ek: EkPublic,
    assurance: Assurance,
}

impl EkTrust {
    /// Trusts what chains to one of `roots`, and, if `first_use`, whatever comes with no certificate at all: then any program can claim
    /// to be a TPM, and the record must say so.
    pub fn new(roots: VendorRoots, first_use: bool) -> Self {
        Self { roots, first_use }
    }

    /// Judges a key with the chain of its certificate, leaf first and perhaps empty, at `now` in Unix seconds. `listed` says whether its
    /// digest is on the list of the factory.
    ///
    /// The strongest that holds counts. A certificate that cannot be read or is of another key is refused in any case, because
    /// the evidence contradicts itself; one that leads to no trusted root helps nothing, and a listed key can do without.
    pub fn judge(&self, ek: EkPublic, chain: &[&[u8]], listed: bool, now: u64) -> Result<Endorsed, Refusal> {
        let assurance = match self.by_certificate(&ek, chain, now)? {
            Ok(()) => Assurance::TpmVendor,
            Err(_) if listed => Assurance::TpmListed,
            Err(Refusal::EkUntrusted) if self.first_use => Assurance::TpmFirstUse,
            Err(refusal) => return Err(refusal),
        };
        Ok(Endorsed { ek, assurance })
    }

    /// The outer error contradicts the key. The inner one only fails to support it: [`Refusal::EkUntrusted`] if there is no certificate.
    fn by_certificate(
        &self,
        ek: &EkPublic,
        chain: &[&[u8]],
        now: u64,
    ) -> Result<Result<(), Refusal>, Refusal> {
        if chain.is_empty() {
            return Ok(Err(Refusal::EkUntrusted));
        }
        let chain = EndorsementChain::parse(chain).map_err(Refusal::EkCertificate)?;
        if chain.key_bits() != ek.public.key.bits() {
            return Err(Refusal::EkCertificateOfAnother);
        }
        Ok(self.roots.verify(&chain, now).map_err(Refusal::EkCertificate))
    }
}

impl Endorsed {
    /// The key.
    pub fn ek(&self) -> &EkPublic {
        &self.ek
    }

    /// How strongly it is trusted.
    pub fn assurance(&self) -> Assurance {
        self.assurance
    }
}
