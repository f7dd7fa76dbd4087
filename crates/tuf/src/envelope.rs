//! A metadata file: what is signed, and the signatures over its canonical form.

use crate::json::Value;
use crate::key::{Key, KeyId};
use crate::role::{Document, Keyholders, array, get, object, text};
use crate::{Error, Malformed, Role};
use std::collections::BTreeMap;
use wardein_crypto::{Signer, SigningError, hex};

/// The longest signature that is read, in bytes: one of RSA with 8,192 bits.
const MAX_SIGNATURE_LEN: usize = 1024;

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The key that made it.
    pub key: KeyId,
    /// The signature; of ECDSA in DER.
    pub bytes: Vec<u8>,
}

/// A metadata file that was read or is being signed. Nothing of it is trusted before [`Envelope::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    signed: Value,
    signatures: Vec<Signature>,
}

impl Envelope {
    /// What is to be signed, without a signature.
    pub fn new(document: &impl Document) -> Self {
        Self { signed: document.to_value(), signatures: Vec::new() }
    }

    /// The file in `bytes`, which is at most as long as files of that role may be.
    pub fn parse(bytes: &[u8], limit: u64) -> Result<Self, Malformed> {
        if bytes.len() as u64 > limit {
            return Err(Malformed::Field("length"));
        }
        let whole = Value::parse(bytes)?;
        let fields = object(&whole, "metadata")?;
        let signed = get(fields, "signed")?;
        object(signed, "signed")?;
        let mut signatures: Vec<Signature> = Vec::new();
        for value in array(get(fields, "signatures")?, "signatures")? {
            let fields = object(value, "signatures")?;
            let key = KeyId::parse(text(get(fields, "keyid")?, "keyid")?)?;
            let bytes = hex::decode(text(get(fields, "sig")?, "sig")?);
            let bytes =
                bytes.filter(|bytes| bytes.len() <= MAX_SIGNATURE_LEN).ok_or(Malformed::Field("sig"))?;
            if signatures.iter().any(|other| other.key == key) {
                return Err(Malformed::SignedTwice);
            }
            signatures.push(Signature { key, bytes });
        }
        Ok(Self { signed: signed.clone(), signatures })
    }

    /// What was signed, as the role that it is said to be. Whether it was signed is for [`Envelope::verify`].
    pub fn read<D: Document>(&self) -> Result<D, Malformed> {
        D::read(&self.signed)
    }

    /// The bytes that each signature is made of.
    pub fn canonical(&self) -> Vec<u8> {
        self.signed.canonical()
    }

    /// The signatures.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let signatures = self.signatures.iter().map(|signature| {
            Value::object([
                ("keyid", Value::text(signature.key.to_string())),
                ("sig", Value::text(hex::encode(&signature.bytes))),
            ])
        });
        Value::object([("signatures", Value::Array(signatures.collect())), ("signed", self.signed.clone())])
            .to_json()
    }

    /// Signs with a key on P-256, in the place of an earlier signature of the same key. The authority's custody and an offline key in a
    /// file are such signers.
    pub fn sign(&mut self, signer: &dyn Signer) -> Result<(), SigningError> {
        let wardein_crypto::VerifyingKey::P256(key) = signer.verifying_key() else {
            return Err(SigningError);
        };
        let bytes = signer.sign(&self.canonical())?;
        self.put(Signature { key: Key::p256(&key).id(), bytes });
        Ok(())
    }

    /// Adds a signature that was made elsewhere, if it is one of these keys over this document; whether it was.
    pub fn add(&mut self, signature: Signature, keys: &BTreeMap<KeyId, Key>) -> bool {
        let key = keys.get(&signature.key).and_then(Key::verifying);
        let is_good = key.is_some_and(|key| key.verify(&self.canonical(), &signature.bytes).is_ok());
        if is_good {
            self.put(signature);
        }
        is_good
    }

    fn put(&mut self, signature: Signature) {
        self.signatures.retain(|other| other.key != signature.key);
        self.signatures.push(signature);
    }

    /// How many distinct keys of `holders` have signed it. One key under two ids, as a second spelling of it has, is counted once.
    pub fn count(&self, keys: &BTreeMap<KeyId, Key>, holders: &Keyholders) -> u64 {
        let message = self.canonical();
        let mut counted: Vec<&wardein_crypto::P256VerifyingKey> = Vec::new();
        for signature in self.signatures.iter().filter(|signature| holders.keys.contains(&signature.key)) {
            let Some(key) = keys.get(&signature.key).and_then(Key::verifying) else { continue };
            if !counted.contains(&key) && key.verify(&message, &signature.bytes).is_ok() {
                counted.push(key);
            }
        }
        counted.len() as u64
    }

    /// Whether as many of `holders` have signed it as must (TUF §5.3.4, §5.4.2, §5.5.3, §5.6.3).
    pub fn verify(
        &self,
        role: &Role,
        keys: &BTreeMap<KeyId, Key>,
        holders: &Keyholders,
    ) -> Result<(), Error> {
        let signed = self.count(keys, holders);
        if signed >= holders.threshold {
            return Ok(());
        }
        Err(Error::Threshold { role: role.clone(), signed, needed: holders.threshold })
    }
}
