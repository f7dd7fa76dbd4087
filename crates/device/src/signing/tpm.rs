//! A TPM as what signs, and its enrollment.

use super::{Signer, SigningKey, TpmActivation, TpmSettings, TpmStation};
use crate::config::Config;
use crate::directory::Directory;
use crate::error::Error;
use wardein_crypto::{Digest, P256VerifyingKey};
use wardein_domain::{EnrolledKey, PcrSelection, Quote, TpmEvidence};
use wardein_pki::PublicKey;
use wardein_tpm::{EkKind, Tcti, Tpm};

/// The TPM of `settings`.
pub fn open_tpm(settings: &TpmSettings) -> Result<TpmSigner, Error> {
    let wrong = |why: String| Error::Config { field: "signs_with", why };
    let tcti: Tcti = settings.tcti.parse().map_err(|error| wrong(format!("{error}")))?;
    let kind = settings.endorsement_key.as_deref().map(str::parse::<EkKind>).transpose();
    let kind = kind.map_err(|error| wrong(format!("{error}")))?;
    // The kernel ends the use of the TPM that it drives; nobody does for another.
    let is_ended_by_us = !settings.tcti.starts_with("device:");
    Ok(TpmSigner { tpm: Some(Tpm::open(&tcti)?), kind, is_ended_by_us })
}

/// A TPM that signs with the device's key. When this is dropped, its power may go.
pub struct TpmSigner {
    /// `None` only while it is dropped.
    tpm: Option<Tpm>,
    kind: Option<EkKind>,
    is_ended_by_us: bool,
}

impl TpmSigner {
    pub(crate) fn tpm(&mut self) -> Result<&mut Tpm, Error> {
        self.tpm.as_mut().ok_or(Error::Fault("using the TPM after its end"))
    }
}

impl Signer for TpmSigner {
    fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.tpm()?.sign(&Digest::of(message).0)?)
    }

    fn quote(&mut self, nonce: &[u8; 32], selection: PcrSelection) -> Result<Quote, Error> {
        quoted(self.tpm()?, nonce, selection)
    }
}

fn quoted(tpm: &mut Tpm, nonce: &[u8; 32], selection: PcrSelection) -> Result<Quote, Error> {
    let mut values = tpm.read_pcrs(selection)?;
    loop {
        let statement = tpm.quote(nonce, selection)?;
        let now = tpm.read_pcrs(selection)?;
        // Registers only ever change while a machine boots and measures: it comes to an end.
        if now == values {
            let (attested, signature) = (statement.attested, statement.signature);
            return Ok(Quote { attested, signature, values: values.values().to_vec() });
        }
        values = now;
    }
}

impl Drop for TpmSigner {
    fn drop(&mut self) {
        if let Some(tpm) = self.tpm.take().filter(|_| self.is_ended_by_us)
            && let Err(error) = tpm.shutdown()
        {
            tracing::warn!(%error, "the TPM did not hear that its power may go");
        }
    }
}

/// Enrolls the device of `config` by the key in its TPM. Asking again is safe: the same key is answered by what is on record.
pub async fn enroll_tpm(
    directory: &Directory,
    config: &Config,
    signer: &mut TpmSigner,
    station: &mut impl TpmStation,
) -> Result<EnrolledKey, Error> {
    let given = signer.kind;
    let tpm = signer.tpm()?;
    let kind = match given {
        Some(kind) => kind,
        // Where the vendor certified none, the factory's list may have any.
        None => tpm.certified_kind()?.unwrap_or(EkKind::P256),
    };
    let endorsement = tpm.endorsement_key(kind)?;
    let device_key = tpm.device_key()?;
    let evidence = TpmEvidence {
        ek_public: endorsement.public,
        ek_certificates: endorsement.certificate.into_iter().collect(),
        ak_public: tpm.attestation_key()?,
    };
    let challenge = station.begin(&config.device, &evidence).await?;
    let secret = tpm.activate(kind, &challenge.id_object, &challenge.encrypted_secret)?;
    let statement = tpm.certify(&challenge.nonce)?;
    let quote = challenge.quote.map(|selection| quoted(tpm, &challenge.nonce, selection)).transpose()?;
    let activation = TpmActivation {
        device: config.device.clone(),
        ticket: challenge.ticket,
        secret,
        device_key: device_key.public,
        attested: statement.attested,
        signature: statement.signature,
        quote,
    };
    let enrolled = station.finish(&activation).await?;
    if enrolled.tenant != config.device.tenant {
        let (found, expected) = (enrolled.tenant.to_string(), config.device.tenant.to_string());
        return Err(Error::OtherTenant { found, expected });
    }
    let key = P256VerifyingKey(device_key.point);
    if enrolled.key_id != Digest::of(&PublicKey::from(key).spki()).0 {
        return Err(Error::Answer("key_id: is of another key than the one in the TPM".into()));
    }
    directory.save_signing_key(&SigningKey { key, assurance: enrolled.assurance })?;
    Ok(enrolled)
}
