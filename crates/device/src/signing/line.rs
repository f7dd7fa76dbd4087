//! The same two steps as lines of JSON. The README has the format.

use super::{TpmActivation, asked, on_record};
use crate::line::{VERSION, array, bytes, device};
use serde::{Deserialize, Serialize};
use wardein_crypto::{SecretBytes, hex};
use wardein_ddkg::DeviceName;
use wardein_domain::{EnrolledKey, PcrSelection, Quote, TpmChallenge, TpmEvidence};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EvidenceLine {
    version: u32,
    tenant: String,
    device_id: String,
    ek_public: String,
    ek_certificates: Vec<String>,
    ak_public: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChallengeLine {
    ticket: String,
    id_object: String,
    encrypted_secret: String,
    nonce: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quote: Option<RegistersLine>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistersLine {
    bank: String,
    registers: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuoteLine {
    attested: String,
    signature: String,
    values: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActivationLine {
    tenant: String,
    device_id: String,
    ticket: String,
    secret: String,
    device_key: String,
    attested: String,
    signature: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quote: Option<QuoteLine>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnrolledLine {
    tenant: String,
    key_id: String,
    assurance: String,
}

impl EvidenceLine {
    pub(crate) fn new(device: &DeviceName, evidence: &TpmEvidence) -> Self {
        Self {
            version: VERSION,
            tenant: device.tenant.to_string(),
            device_id: device.device.to_string(),
            ek_public: hex::encode(&evidence.ek_public),
            ek_certificates: evidence.ek_certificates.iter().map(|bytes| hex::encode(bytes)).collect(),
            ak_public: hex::encode(&evidence.ak_public),
        }
    }

    /// Whose it is, and the evidence; an error names the field.
    pub(crate) fn judge(&self) -> Result<(DeviceName, TpmEvidence), String> {
        if self.version != VERSION {
            return Err(format!("version: is {}; this station speaks {VERSION}", self.version));
        }
        let certificates = self.ek_certificates.iter().map(|text| bytes("ek_certificates", text));
        let device = device(&self.tenant, &self.device_id)?;
        let evidence = TpmEvidence {
            ek_public: bytes("ek_public", &self.ek_public)?,
            ek_certificates: certificates.collect::<Result<_, _>>()?,
            ak_public: bytes("ak_public", &self.ak_public)?,
        };
        Ok((device, evidence))
    }
}

impl From<&TpmChallenge> for ChallengeLine {
    fn from(challenge: &TpmChallenge) -> Self {
        Self {
            ticket: hex::encode(&challenge.ticket),
            id_object: hex::encode(&challenge.id_object),
            encrypted_secret: hex::encode(&challenge.encrypted_secret),
            nonce: hex::encode(&challenge.nonce),
            quote: challenge.quote.map(RegistersLine::from),
        }
    }
}

impl ChallengeLine {
    pub(crate) fn judge(&self) -> Result<TpmChallenge, String> {
        Ok(TpmChallenge {
            ticket: bytes("ticket", &self.ticket)?,
            id_object: bytes("id_object", &self.id_object)?,
            encrypted_secret: bytes("encrypted_secret", &self.encrypted_secret)?,
            nonce: array("nonce", &self.nonce)?,
            quote: self.quote.as_ref().map(|quote| asked(&quote.bank, &quote.registers)).transpose()?,
        })
    }
}

impl From<PcrSelection> for RegistersLine {
    fn from(selection: PcrSelection) -> Self {
        let registers = selection.numbers().map(u32::from).collect();
        Self { bank: selection.bank().to_string(), registers }
    }
}

impl From<&TpmActivation> for ActivationLine {
    fn from(activation: &TpmActivation) -> Self {
        Self {
            tenant: activation.device.tenant.to_string(),
            device_id: activation.device.device.to_string(),
            ticket: hex::encode(&activation.ticket),
            secret: hex::encode(activation.secret.expose()),
            device_key: hex::encode(&activation.device_key),
            attested: hex::encode(&activation.attested),
            signature: hex::encode(&activation.signature),
            quote: activation.quote.as_ref().map(|quote| QuoteLine {
                attested: hex::encode(&quote.attested),
                signature: hex::encode(&quote.signature),
                values: quote.values.iter().map(|value| hex::encode(value)).collect(),
            }),
        }
    }
}

impl ActivationLine {
    /// The answer; an error names the field.
    pub(crate) fn judge(&self) -> Result<TpmActivation, String> {
        Ok(TpmActivation {
            device: device(&self.tenant, &self.device_id)?,
            ticket: bytes("ticket", &self.ticket)?,
            secret: SecretBytes::from_vec(bytes("secret", &self.secret)?),
            device_key: bytes("device_key", &self.device_key)?,
            attested: bytes("attested", &self.attested)?,
            signature: bytes("signature", &self.signature)?,
            quote: self.quote.as_ref().map(QuoteLine::judge).transpose()?,
        })
    }
}

impl QuoteLine {
    fn judge(&self) -> Result<Quote, String> {
        let values = self.values.iter().map(|value| bytes("quote.values", value));
        Ok(Quote {
            attested: bytes("quote.attested", &self.attested)?,
            signature: bytes("quote.signature", &self.signature)?,
            values: values.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&EnrolledKey> for EnrolledLine {
    fn from(enrolled: &EnrolledKey) -> Self {
        Self {
            tenant: enrolled.tenant.to_string(),
            key_id: hex::encode(&enrolled.key_id),
            assurance: enrolled.assurance.to_string(),
        }
    }
}

impl EnrolledLine {
    pub(crate) fn judge(&self) -> Result<EnrolledKey, String> {
        on_record(&self.tenant, &bytes("key_id", &self.key_id)?, &self.assurance)
    }
}
