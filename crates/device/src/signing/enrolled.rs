//! What is stored of a key that signs: its public half. The other half never leaves the TPM.

use serde::{Deserialize, Serialize};
use wardein_crypto::{P256VerifyingKey, hex};
use wardein_domain::Assurance;

/// The key that the device was enrolled with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its public half.
    pub key: P256VerifyingKey,
    /// How surely the authority takes it to be in the TPM.
    pub assurance: Assurance,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    key: String,
    assurance: String,
}

impl SigningKey {
    /// The text of the file `signing.json`.
    pub(crate) fn to_text(&self) -> String {
        let (key, assurance) = (hex::encode(&self.key.0), self.assurance.to_string());
        serde_json::json!({ "key": key, "assurance": assurance }).to_string()
    }

    /// The inverse of [`SigningKey::to_text`].
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let Fields { key, assurance } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let key = hex::decode_array(&key).filter(|point: &[u8; 65]| point[0] == 4);
        Ok(Self {
            key: P256VerifyingKey(key.ok_or("key: is no uncompressed P-256 point in hex")?),
            assurance: assurance.parse().map_err(|_| format!("assurance: {assurance:?} is no level"))?,
        })
    }
}
