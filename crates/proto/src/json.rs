//! Messages of unary methods as JSON (ProtoJSON), for callers that speak no gRPC.
//!
//! By the descriptors, and not by code generated for each message: there is one mapping, the published one, and none can fall behind
//! the messages.

use prost::Message as _;
use prost_reflect::{DescriptorError, DescriptorPool, DynamicMessage, MethodDescriptor};
use std::fmt;

/// The mapping, for the methods of this API.
#[derive(Debug)]
pub struct Json(DescriptorPool);

/// Why a text is not the message that a method takes.
#[derive(Debug)]
pub enum JsonError {
    /// There is no such method.
    Method,
    /// It is not JSON, or not of the message's fields.
    Text(serde_json::Error),
    /// The bytes are not those of a message.
    Message(prost::DecodeError),
}

impl Json {
    /// By the descriptors that are built in.
    pub fn new() -> Result<Self, DescriptorError> {
        DescriptorPool::decode(crate::DESCRIPTORS).map(Self)
    }

    /// The request of the method of that path as protobuf, from JSON. A field that the message does not have is refused: a word that is
    /// misspelt would count as unset.
    pub fn request(&self, path: &str, text: &[u8]) -> Result<Vec<u8>, JsonError> {
        let mut reader = serde_json::Deserializer::from_slice(text);
        let message = DynamicMessage::deserialize(self.method(path)?.input(), &mut reader)?;
        reader.end()?;
        Ok(message.encode_to_vec())
    }

    /// The answer of the method of that path as JSON, from protobuf.
    pub fn answer(&self, path: &str, message: &[u8]) -> Result<Vec<u8>, JsonError> {
        let message =
            DynamicMessage::decode(self.method(path)?.output(), message).map_err(JsonError::Message)?;
        Ok(serde_json::to_vec(&message)?)
    }

    /// The message of that full name as JSON, from protobuf.
    pub fn message(&self, name: &str, message: &[u8]) -> Result<Vec<u8>, JsonError> {
        let kind = self.0.get_message_by_name(name).ok_or(JsonError::Method)?;
        let message = DynamicMessage::decode(kind, message).map_err(JsonError::Message)?;
        Ok(serde_json::to_vec(&message)?)
    }

    fn method(&self, path: &str) -> Result<MethodDescriptor, JsonError> {
        let parts = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        let (service, method) = parts.ok_or(JsonError::Method)?;
        let service = self.0.get_service_by_name(service).ok_or(JsonError::Method)?;
        let found = service.methods().find(|found| found.name() == method);
        found.ok_or(JsonError::Method)
    }
}

/// A refusal in the form of Connect (Error End-Stream and unary errors): the status's word, what to say, and the details of
/// google.rpc.Status, each by its type and as base64 without padding.
pub fn refusal(code: &str, message: &str, details: &[(String, String)]) -> Vec<u8> {
    let details = details.iter().map(|(kind, value)| serde_json::json!({ "type": kind, "value": value }));
    let details: Vec<_> = details.collect();
    serde_json::json!({ "code": code, "message": message, "details": details }).to_string().into_bytes()
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self::Text(error)
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("there is no such method"),
            Self::Text(error) => error.fmt(f),
            Self::Message(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for JsonError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{time, v1};

    const CHECK: &str = "/wardein.v1.TrustService/Check";

    fn request(text: &str) -> Result<v1::CheckRequest, JsonError> {
        let bytes = Json::new().unwrap().request(CHECK, text.as_bytes())?;
        Ok(v1::CheckRequest::decode(bytes.as_slice()).unwrap())
    }

    #[test]
    fn a_request_by_either_name_of_its_field_and_nothing_else() {
        use v1::check_request::Subject;
        for text in [r#"{"deviceId":"pump-1"}"#, r#" { "device_id" : "pump-1" } "#] {
            assert_eq!(request(text).unwrap().subject, Some(Subject::DeviceId("pump-1".into())));
        }
        let der = request(r#"{"certificate":"MII="}"#).unwrap().subject;
        assert_eq!(der, Some(Subject::Certificate(vec![0x30, 0x82])));
        assert_eq!(request("{}").unwrap().subject, None);
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        for text in [
            "",
            "null",
            "[]",
            "{",
            "{} {}",
            r#"{"device":"pump-1"}"#,
            r#"{"deviceId":1}"#,
            r#"{"deviceId":"a","serial":"b"}"#,
            r#"{"certificate":"*"}"#,
            &format!(r#"{{"deviceId":{deep}}}"#),
            &format!(r#"{{"unheard":{deep}}}"#),
        ] {
            assert!(request(text).is_err(), "{}", text.get(..40).unwrap_or(text));
        }
        let json = Json::new().unwrap();
        for path in ["", "/", "Check", "/wardein.v1.TrustService/Unheard", "/wardein.v1.TrustService"] {
            assert!(matches!(json.request(path, b"{}"), Err(JsonError::Method)), "{path}");
        }
    }

    /// Texts that were changed at random: none breaks the reader, and what it reads is a message.
    #[test]
    fn whatever_comes_is_read_or_refused() {
        let json = Json::new().unwrap();
        let texts = [
            (CHECK, r#"{"spiffeId":"spiffe://a/b/c","unheard":[1e308,null,true]}"#),
            (
                "/wardein.v1.TrustService/ListSubjects",
                r#"{"state":"DEVICE_STATE_ACTIVE","pageSize":4294967295,"pageToken":"AA=="}"#,
            ),
            (
                "/wardein.v1.TrustService/VerifyToken",
                r#"{"token":"AAEC","platformNonce":"3q2-7w","idempotencyKey":"\u0041+/"}"#,
            ),
        ];
        const ODD: &[u8] = b"{}[]\",:\\0-9eE.ntf";
        let mut random = 1_u64;
        let mut below = |bound: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % bound
        };
        let (mut read, mut refused) = (0, 0);
        for turn in 0..30_000 {
            let (path, text) = texts[turn % texts.len()];
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..1 + below(4) {
                let at = below(bytes.len());
                match below(4) {
                    0 => bytes[at] = ODD[below(ODD.len())],
                    1 => bytes[at] = below(256) as u8,
                    2 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, bytes[below(bytes.len())]),
                }
                if bytes.is_empty() {
                    bytes.push(b'{');
                }
            }
            match json.request(path, &bytes) {
                Ok(_) => read += 1,
                Err(JsonError::Text(_)) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert!(read > 100 && refused > 100, "{read} {refused}");
    }

    #[test]
    fn an_answer_has_words_for_enums_and_text_for_large_numbers_and_times() {
        let answer = v1::CheckResponse {
            verdict: v1::Verdict::NotTrusted.into(),
            reasons: vec![v1::Reason::Suspended.into()],
            decided_at: time::at(1_700_000_000),
            device_id: "pump-1".into(),
            revision: u64::MAX,
            ..Default::default()
        };
        let text = Json::new().unwrap().answer(CHECK, &answer.encode_to_vec()).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let expected = serde_json::json!({
            "verdict": "VERDICT_NOT_TRUSTED",
            "reasons": ["REASON_SUSPENDED"],
            "decidedAt": "2023-11-14T22:13:20Z",
            "deviceId": "pump-1",
            "revision": "18446744073709551615",
        });
        assert_eq!(read, expected);
        assert!(Json::new().unwrap().answer(CHECK, &[0xff]).is_err());
    }
}
