//! Sealed payloads and wrapped file keys (specification, section 7).

use super::Kind;
use crate::key::{FileWrapKey, KeyName, PayloadKey};
use crate::wire::{DecodeError, Problem, Reader, Sink};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use wardein_crypto::{AES_256_GCM_NONCE_LEN, OpenError, Secret, SecretBytes, TAG_LEN};
use wardein_domain::Purpose;

/// The most bytes of a payload: 16 MiB. Longer ones are files.
pub const MAX_PLAINTEXT: usize = 16 << 20;

/// A payload under a key that its name identifies; the key is used for this payload alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPayload {
    /// The name of the key; its purpose is `data`.
    name: KeyName,
    nonce: [u8; AES_256_GCM_NONCE_LEN],
    /// The ciphertext with its 16-byte tag.
    ciphertext: Vec<u8>,
}

impl SealedPayload {
    /// Seals `plaintext`; `additional` is bound to it and travels by other ways.
    pub(crate) fn seal(
        name: KeyName,
        key: &PayloadKey,
        nonce: [u8; AES_256_GCM_NONCE_LEN],
        additional: &[u8],
        plaintext: &[u8],
    ) -> Result<Self, DecodeError> {
        let (length, min, max) = (plaintext.len(), 0, MAX_PLAINTEXT);
        let too_long = || Problem::Length { length, min, max }.of("plaintext");
        if length > max {
            return Err(too_long());
        }
        let mut ciphertext = Vec::with_capacity(length + TAG_LEN);
        ciphertext.put(plaintext);
        key.aead()
            .seal(&nonce, &additional_data(&name, additional)?, &mut ciphertext)
            .map_err(|_| too_long())?;
        Ok(Self { name, nonce, ciphertext })
    }

    /// How many bytes of plaintext it holds.
    pub fn plaintext_len(&self) -> usize {
        self.ciphertext.len().saturating_sub(TAG_LEN)
    }

    /// The name of its key.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The plaintext, if `key` is the key of that name and `additional` the bound data.
    pub fn open(&self, key: &PayloadKey, additional: &[u8]) -> Result<SecretBytes, OpenError> {
        let mut plaintext = self.ciphertext.clone();
        let additional = additional_data(&self.name, additional).map_err(|_| OpenError)?;
        key.aead().open(&self.nonce, &additional, &mut plaintext)?;
        Ok(SecretBytes::from_vec(plaintext))
    }

    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Kind::SealedPayload.put(&mut out);
        out.frame(self.name.to_string().as_bytes());
        out.put(&self.nonce);
        out.frame(&self.ciphertext);
        out
    }

    /// The inverse of [`SealedPayload::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Kind::SealedPayload.read(&mut reader)?;
        let name = read_key_name(reader.frame("key name", 1, KeyName::MAX_LEN)?, Purpose::Data)?;
        let nonce = reader.array("nonce")?;
        let ciphertext = reader.frame("ciphertext", TAG_LEN, MAX_PLAINTEXT + TAG_LEN)?.to_vec();
        reader.finish("sealed payload")?;
        Ok(Self { name, nonce, ciphertext })
    }
}

/// `frame(key name) ‖ frame(caller's additional data)`; the caller's has at most as many bytes as a payload.
fn additional_data(name: &KeyName, additional: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let (length, min, max) = (additional.len(), 0, MAX_PLAINTEXT);
    if length > max {
        return Err(Problem::Length { length, min, max }.of("additional data"));
    }
    let mut out = Vec::new();
    out.frame(name.to_string().as_bytes());
    out.frame(additional);
    Ok(out)
}

/// The stanza of an age file (C2SP age) that wraps its file key for the authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStanza {
    /// The name of the wrapping key; its purpose is `file`.
    name: KeyName,
    body: [u8; FILE_KEY_LEN + TAG_LEN],
}

impl FileStanza {
    pub(crate) fn wrap(name: KeyName, key: &FileWrapKey, file_key: &Secret<FILE_KEY_LEN>) -> Self {
        let mut sealed = file_key.expose().to_vec();
        // The wrapping key is used once, hence the constant nonce, as in age's own stanzas.
        key.aead().seal(&[0; 12], b"", &mut sealed).expect("16 bytes are within any bound");
        let body = sealed.try_into().expect("a file key and a tag are 32 bytes");
        Self { name, body }
    }

    /// The name of the wrapping key.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The file key, if `key` is the key of that name.
    pub fn unwrap_with(&self, key: &FileWrapKey) -> Result<Secret<FILE_KEY_LEN>, OpenError> {
        let mut opened = self.body.to_vec();
        key.aead().open(&[0; 12], b"", &mut opened)?;
        let opened = SecretBytes::from_vec(opened);
        let file_key = opened.expose().first_chunk().ok_or(OpenError)?;
        Ok(Secret::copied_from(file_key))
    }

    /// The arguments of the stanza's first line, `ddkg1 <key name>`.
    pub fn arguments(&self) -> String {
        format!("{STANZA_TYPE} {}", self.name)
    }

    /// The stanza's body before base64.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// A stanza read from a file: its arguments and its body.
    pub fn parse(arguments: &str, body: &[u8]) -> Result<Self, DecodeError> {
        let wrong = || Problem::NotCanonical("is not ddkg1 <key name>").of("stanza arguments");
        let (kind, name) = arguments.split_once(' ').ok_or_else(wrong)?;
        if kind != STANZA_TYPE {
            return Err(wrong());
        }
        let name = read_key_name(name.as_bytes(), Purpose::File)?;
        let (length, exact) = (body.len(), FILE_KEY_LEN + TAG_LEN);
        let body = body
            .try_into()
            .map_err(|_| Problem::Length { length, min: exact, max: exact }.of("stanza body"))?;
        Ok(Self { name, body })
    }
}

fn read_key_name(bytes: &[u8], purpose: Purpose) -> Result<KeyName, DecodeError> {
    let text =
        core::str::from_utf8(bytes).map_err(|_| Problem::NotCanonical("is not UTF-8").of("key name"))?;
    let name: KeyName = text.parse()?;
    if name.purpose != purpose {
        return Err(Problem::NotCanonical("is of another purpose").of("key name"));
    }
    Ok(name)
}

const STANZA_TYPE: &str = "ddkg1";
const FILE_KEY_LEN: usize = 16;
