//! The form of a vector file. Unknown and missing fields are refused, so that nothing goes unchecked in silence.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use wardein_crypto::hex;

/// Bytes in lower-case hex.
pub(super) struct Hex(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = hex::decode(&text).map(Self);
        bytes.ok_or_else(|| D::Error::custom(format!("{text:?} is not whole bytes in lower-case hex")))
    }
}

macro_rules! form {
    ($($name:ident { $($field:ident: $type:ty),+ $(,)? })+) => {
        $(
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            pub(super) struct $name { $(pub(super) $field: $type),+ }
        )+
    };
}

form! {
    File {
        seed_note: String,
        tenant: String,
        device_id: String,
        expand: Vec<Expand>,
        transcript: Vec<TranscriptOf>,
        tree: Tree,
        keys: Keys,
        schedule: Vec<Due>,
        attributes: Measured,
        enrollment: Vec<Enrollment>,
        proof: Proof,
        signature: Signature,
        rekey: Rekey,
        sealed: Sealed,
        token: TokenOf,
        file: FileKey,
    }
    Expand { secret: Hex, label: String, context: Hex, length: usize, out: Hex }
    TranscriptOf { label: String, fields: Vec<Hex>, out: Hex }
    Tree {
        generation_root: Hex,
        purpose: String,
        root: Hex,
        leaves: Vec<Leaf>,
        frontiers: Vec<Frontier>,
        covers: Vec<CoverOf>,
    }
    Leaf { epoch: u32, secret: Hex }
    Frontier { epoch: u32, nodes: usize, encoded: Hex }
    CoverOf { from: u32, to: u32, encoded: Hex }
    Keys { generation_root: Hex, entries: Vec<Key> }
    Key { epoch: u32, purpose: String, number: u64, name: String, key: Hex }
    Due { period: u64, not_before: u64, time: u64, due: u32 }
    Measured { values: BTreeMap<String, String>, digests: BTreeMap<String, Hex>, digest: Hex }
    Proof {
        generation_root: Hex,
        challenge: Hex,
        recipe: Vec<String>,
        device_nonce: Hex,
        generation: u64,
        epoch: u32,
        number: u64,
        action: String,
        body_digest: Hex,
        binding: Hex,
        transcript: Hex,
        mac: Hex,
        server_time: u64,
        reply_digest: Hex,
        ack: Hex,
    }
    Signature {
        challenge: Hex,
        device_nonce: Hex,
        key_id: Hex,
        action: String,
        body_digest: Hex,
        transcript: Hex,
    }
    Rekey {
        generation_root: Hex,
        epoch: u32,
        proof_transcript: Hex,
        suite: u16,
        device_share: Hex,
        authority_share: Hex,
        generation: u64,
        period: u64,
        max_uses: u64,
        not_before: u64,
        ikm: Hex,
        transcript: Hex,
        new_generation_root: Hex,
    }
    Sealed {
        generation_root: Hex,
        generation: u64,
        epoch: u32,
        number: u64,
        nonce: Hex,
        plaintext: Hex,
        additional_data: Hex,
        ciphertext: Hex,
    }
    TokenOf {
        generation_root: Hex,
        generation: u64,
        epoch: u32,
        number: u64,
        audience: String,
        platform_nonce: Hex,
        issued_at: u64,
        mac: Hex,
    }
    FileKey { generation_root: Hex, epoch: u32, number: u64, file_key: Hex, stanza: String, body: Hex }
}

/// An agreement. The fields that a suite has not are refused where they are given, and demanded where it has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Enrollment {
    pub(super) suite: u16,
    pub(super) device_p256_private: Hex,
    pub(super) authority_p256_private: Hex,
    pub(super) mlkem_keygen_d: Option<Hex>,
    pub(super) mlkem_keygen_z: Option<Hex>,
    pub(super) mlkem_encaps_m: Option<Hex>,
    pub(super) mlkem_shared_secret: Option<Hex>,
    pub(super) device_nonce: Hex,
    pub(super) device_share: Hex,
    pub(super) authority_share: Hex,
    pub(super) generation: u64,
    pub(super) period: u64,
    pub(super) max_uses: u64,
    pub(super) not_before: u64,
    pub(super) transcript: Hex,
    pub(super) ikm: Hex,
    pub(super) generation_root: Hex,
    pub(super) authority_confirmation: Hex,
    pub(super) device_confirmation: Hex,
    pub(super) authority_identity_public: Option<Hex>,
    pub(super) signature: Option<Hex>,
}
