//! The form of a vector file. Unknown and missing fields are refused, so that nothing goes unchecked in silence; what was added
//! after the first file may be missing as a whole.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};
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
    ($($name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty),+ $(,)? })+) => {
        $(
            #[derive(Deserialize)]
            #[serde(deny_unknown_fields)]
            pub(super) struct $name { $($(#[$attribute])* pub(super) $field: $type),+ }
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
        #[serde(default)]
        messages: Vec<MessageOf>,
        #[serde(default)]
        bindings: Vec<BindingOf>,
        #[serde(default)]
        attribute_bodies: Vec<AttributeBody>,
        #[serde(default)]
        rekeys: Vec<WholeRekey>,
        #[serde(default)]
        transfers: Vec<WholeTransfer>,
        #[serde(default)]
        made_keys: Vec<WholeMadeKey>,
        #[serde(default)]
        service_codes: Vec<CodeOf>,
        #[serde(default)]
        emergency_codes: Vec<EmergencyCodeOf>,
        #[serde(default)]
        carried_protocols: Vec<CarriedOf>,
        #[serde(default)]
        refusals: Refusals,
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
    MessageOf { name: String, kind: u8, fields: serde_json::Value, encoded: Hex, base64: String }
    BindingOf { name: String, challenge: Hex, recipe: Vec<String>, binding: Hex }
    AttributeBody { name: String, values: BTreeMap<String, String>, body: Hex, body_digest: Hex }
    WholeRekey {
        name: String,
        generation_root: Hex,
        agreement: usize,
        suite: u16,
        recipe: Vec<String>,
        body: Hex,
        proof: Hex,
        reply: Hex,
        purposes_named: Nullable<u32>,
        purposes_granted: Nullable<u32>,
        generation: u64,
        period: u64,
        max_uses: u64,
        not_before: u64,
        transcript: Hex,
        new_generation_root: Hex,
    }
    WholeTransfer {
        name: String,
        generation_root: Hex,
        agreement: usize,
        suite: u16,
        recipe: Vec<String>,
        body: Hex,
        proof: Hex,
        reply: Hex,
        new_tenant: String,
        new_device_id: String,
        generation: u64,
        period: u64,
        max_uses: u64,
        not_before: u64,
        transcript: Hex,
        new_generation_root: Hex,
    }
    WholeMadeKey {
        name: String,
        generation_root: Hex,
        recipe: Vec<String>,
        body: Hex,
        proof: Hex,
        sealing_key: Hex,
        nonce: Hex,
        pkcs8: Hex,
        certificates: Hex,
        reply: Hex,
    }
    CodeOf {
        name: String,
        generation_root: Hex,
        tenant: String,
        device_id: String,
        generation: u64,
        epoch: u32,
        number: u64,
        scope: String,
        challenge: String,
        units: u8,
        code: String,
    }
    CarriedOf {
        name: String,
        generation_root: Hex,
        tenant: String,
        device_id: String,
        generation: u64,
        epoch: u32,
        number: u64,
        body: Hex,
        message: Hex,
    }
    EmergencyCodeOf { name: String, generation_root: Hex, epoch: u32, number: u64, code: String }
    Malformed { name: String, of: String, input: Hex, expect: String }
    EnrollmentStep { name: String, of: usize, message: String, input: Hex, expect: String }
    AckOf {
        name: String,
        generation_root: Hex,
        recipe: Vec<String>,
        proof: Hex,
        reply: Hex,
        expect: String,
    }
    Agreement {
        generation: u64,
        state: String,
        generation_root: Hex,
        period: u64,
        max_uses: u64,
        not_before: u64,
    }
    Proofs {
        name: String,
        challenge_key: Hex,
        attributes: BTreeMap<String, String>,
        confirmed: bool,
        generations: Vec<Agreement>,
        steps: Vec<ProofStep>,
    }
    ProofStep {
        name: String,
        now_ms: u64,
        proof: Hex,
        body: Hex,
        expect: String,
        next_epoch: Nullable<u32>,
        highest_epoch: Nullable<u32>,
        reply: Nullable<Hex>,
    }
    Tokens { name: String, generations: Vec<Agreement>, steps: Vec<TokenStep> }
    TokenStep {
        name: String,
        now_ms: u64,
        token: Hex,
        audience: String,
        platform_nonce: Hex,
        expect: String,
        next_epoch: Nullable<u32>,
        highest_epoch: Nullable<u32>,
    }
    SealedSteps { name: String, generations: Vec<Agreement>, steps: Vec<SealedStep> }
    SealedStep {
        name: String,
        now_ms: u64,
        sealed: Hex,
        additional_data: Hex,
        expect: String,
        plaintext: Nullable<Hex>,
    }
}

/// What is refused, and why. A file may have any of the lists.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Refusals {
    pub(super) malformed: Vec<Malformed>,
    pub(super) enrollment: Vec<EnrollmentStep>,
    pub(super) acks: Vec<AckOf>,
    pub(super) proofs: Vec<Proofs>,
    pub(super) tokens: Vec<Tokens>,
    pub(super) sealed: Vec<SealedSteps>,
}

/// A value or `null`. Unlike an `Option` it may not be missing.
pub(super) struct Nullable<T>(pub(super) Option<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Nullable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        serde_json::from_value(value).map(Self).map_err(D::Error::custom)
    }
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
