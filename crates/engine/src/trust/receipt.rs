//! A verdict that can be kept and shown: signed, for one audience and one nonce, as an EAT Attestation Result (draft-ietf-rats-ear-04,
//! RFC 9711) in a compact JWS.

use crate::kernel::{Draw, Engine, Error};
use crate::trust::check::{Answer, Subject};
use crate::trust::keys::MAX_RECEIPT_LIFETIME;
use crate::trust::status_list::StatusReference;
use std::str::FromStr;
use wardein_crypto::{Digest, hex};
use wardein_ddkg::DeviceName;
use wardein_domain::{Assurance, ProfileName, Verdict};
use wardein_pki::{jose, spiffe};

/// What a receipt is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptAsk {
    /// Who is to accept it.
    pub audience: Audience,
    /// What the asker drew for this one.
    pub nonce: ReceiptNonce,
}

/// Who a receipt is for: 1 to 256 printable ASCII characters without quotes and backslashes, so that JSON has it as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience(String);

/// It is not an audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudienceError;

impl std::fmt::Display for AudienceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let most = Audience::MAX_LEN;
        write!(
            f,
            "it takes 1 to {most} printable ASCII characters, but no quotation marks and no backslashes"
        )
    }
}

impl Audience {
    /// The most characters.
    pub const MAX_LEN: usize = 256;
}

impl FromStr for Audience {
    type Err = AudienceError;

    fn from_str(text: &str) -> Result<Self, AudienceError> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
        let is_one = (1..=Self::MAX_LEN).contains(&text.len()) && text.bytes().all(is_plain);
        is_one.then(|| Self(text.to_owned())).ok_or(AudienceError)
    }
}

/// The asker's nonce: 8 to 64 bytes (RFC 9711 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptNonce(Vec<u8>);

impl ReceiptNonce {
    /// How many bytes it may have.
    pub const LEN: std::ops::RangeInclusive<usize> = 8..=64;

    /// The nonce of these bytes; none where there are too few or too many.
    pub fn of(bytes: Vec<u8>) -> Option<Self> {
        Self::LEN.contains(&bytes.len()).then_some(Self(bytes))
    }
}

impl Engine {
    /// The answer as a receipt. It is good as long as the verdict may be kept, and for a day at most: one on what is unknown is good for
    /// nothing but the record.
    pub async fn receipt(
        &self,
        subject: &Subject,
        answer: &Answer,
        ask: &ReceiptAsk,
    ) -> Result<String, Error> {
        let key = self.verdict_signer().await?;
        let signer = key.signer.as_ref().ok_or_else(|| Error::internal("the key of verdicts is erased"))?;
        let device = answer.device.clone().map(|device| DeviceName { tenant: answer.tenant.clone(), device });
        let status = match &device {
            Some(device) => self.status_reference(device).await?,
            None => None,
        };
        let claims = self.claims(subject, answer, ask, status)?;
        let signed = jose::sign_compact(&**signer, RECEIPT_TYPE, &key.kid, &claims);
        signed.map_err(|_| Error::internal("the key of verdicts did not sign"))
    }

    /// JSON, of words, numbers and names that need no escapes. What the draft has no claim for is beside it, not in `submods`: readers of
    /// results take unknown claims there for faults.
    fn claims(
        &self,
        subject: &Subject,
        answer: &Answer,
        ask: &ReceiptAsk,
        status: Option<StatusReference>,
    ) -> Result<String, Error> {
        let domain = &self.authority.trust_domain;
        let device = answer.device.clone().map(|device| DeviceName { tenant: answer.tenant.clone(), device });
        // A device that is named with dots alone has no SPIFFE id.
        let sub =
            device.as_ref().and_then(|name| spiffe::device_uri(domain, &name.tenant, &name.device).ok());
        let jti: [u8; 16] = Draw::new(&*self.entropy).public()?;
        let (iat, exp) = (answer.decided_at, lifetime(answer));
        let (audience, nonce) = (&ask.audience.0, jose::base64url(&ask.nonce.0));
        let (iss, jti) = (spiffe::authority_uri(domain), jose::base64url(&jti));
        let reasons: Vec<_> = answer.reasons.iter().map(|reason| format!("\"{}\"", reason.code())).collect();
        let mut text = format!(
            "{{\"iss\":\"{iss}\",\"aud\":\"{audience}\",\"iat\":{iat},\"exp\":{exp},\"jti\":\"{jti}\",\"eat_nonce\":\"{nonce}\",\
             \"eat_profile\":\"{PROFILE}\",\"ear_verifier_id\":{{\"developer\":\"Wardein\",\"build\":\"wardein {BUILD}\"}},\
             \"submods\":{{\"device\":{}}},\"wardein.verdict\":\"{}\",\"wardein.reasons\":[{}],\"wardein.tenant\":\"{}\",\
             \"wardein.asked\":{},\"wardein.revision\":{}",
            appraisal(answer),
            word(answer.verdict),
            reasons.join(","),
            answer.tenant,
            asked(subject),
            answer.revision,
        );
        let more = [
            ("sub", sub),
            ("wardein.device_id", answer.device.as_ref().map(ToString::to_string)),
            ("wardein.state", answer.state.map(|state| state.as_str().to_owned())),
        ];
        for (claim, value) in more {
            if let Some(value) = value {
                text.push_str(&format!(",\"{claim}\":\"{value}\""));
            }
        }
        if let Some(StatusReference { index, uri }) = status {
            text.push_str(&format!(",\"status\":{{\"status_list\":{{\"idx\":{index},\"uri\":\"{uri}\"}}}}"));
        }
        text.push('}');
        Ok(text)
    }
}

/// Until which Unix second a receipt is good: no longer than the verdict, nor than its key is published.
fn lifetime(answer: &Answer) -> u64 {
    let longest = answer.decided_at.saturating_add(MAX_RECEIPT_LIFETIME);
    answer.keep_until.clamp(answer.decided_at, longest)
}

/// The tier (draft-ietf-rats-ear-04 §3), and what speaks for it (draft-ietf-rats-ar4si §2.3): only what this authority can vouch for.
fn appraisal(answer: &Answer) -> String {
    let (status, vector) = match answer.verdict {
        // Recognized, and not known to be compromised. Its key is in hardware whose vendor vouches for it.
        Verdict::Trusted if answer.assurance == Some(Assurance::TpmVendor) => {
            ("affirming", ",\"ear_trustworthiness_vector\":{\"instance-identity\":2,\"hardware\":2}")
        }
        Verdict::Trusted => ("affirming", ",\"ear_trustworthiness_vector\":{\"instance-identity\":2}"),
        // Recognized, and in a condition that the tenant's policy names.
        Verdict::Restricted => ("warning", ""),
        // Recognized, and not trustworthy.
        Verdict::NotTrusted => {
            ("contraindicated", ",\"ear_trustworthiness_vector\":{\"instance-identity\":96}")
        }
        Verdict::Unknown => ("none", ""),
    };
    // By which rules, where the tenant has set some: whose, and in which version.
    let policy = answer.policy.as_ref().map(|set| {
        let profile = set.profile.as_ref().map_or("", ProfileName::as_str);
        let (tenant, etag) = (&answer.tenant, set.etag);
        format!(",\"ear_appraisal_policy_ids\":[\"tag:wardein,2026:trust-policy:{tenant}:{profile}:{etag}\"]")
    });
    format!("{{\"ear_status\":\"{status}\"{vector}{}}}", policy.unwrap_or_default())
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Trusted => "trusted",
        Verdict::Restricted => "restricted",
        Verdict::NotTrusted => "not-trusted",
        Verdict::Unknown => "unknown",
    }
}

/// What was asked about, so that a verdict on one thing is not shown for another. Each was parsed by the time it is here.
fn asked(subject: &Subject) -> String {
    match subject {
        Subject::Device(device) => format!("{{\"device_id\":\"{device}\"}}"),
        Subject::Certificate(der) => {
            format!("{{\"certificate_sha256\":\"{}\"}}", hex::encode(&Digest::of(der).0))
        }
        Subject::SpiffeId(id) => format!("{{\"spiffe_id\":\"{id}\"}}"),
        Subject::Serial(serial) => format!("{{\"serial\":\"{serial}\"}}"),
        // The same question as by the certificate itself.
        Subject::Fingerprint(fingerprint) => format!("{{\"certificate_sha256\":\"{fingerprint}\"}}"),
    }
}

/// The media type in the header.
const RECEIPT_TYPE: &str = "wardein-verdict+jwt";

/// The form, with the draft that it is of, for drafts name claims differently: since -04 with underscores, as Veraison's libraries
/// have them.
const PROFILE: &str = "tag:wardein,2026:verdict-1:draft-ietf-rats-ear-04";

const BUILD: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_domain::VerdictReason;

    #[test]
    fn an_audience_needs_no_escapes() {
        for good in ["thingworx", "https://platform.example/a?b=c", &"a".repeat(256)] {
            assert!(good.parse::<Audience>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "a\"b", "a\\b", "ä", "a\n", &"a".repeat(257)] {
            assert_eq!(bad.parse::<Audience>(), Err(AudienceError), "{bad}");
        }
        for (length, is_one) in [(0, false), (7, false), (8, true), (64, true), (65, false)] {
            assert_eq!(ReceiptNonce::of(vec![0; length]).is_some(), is_one);
        }
    }

    #[test]
    fn a_receipt_is_good_as_long_as_the_verdict_and_a_day_at_most() {
        let answer = |keep_until| Answer {
            verdict: Verdict::Trusted,
            reasons: vec![VerdictReason::InGoodStanding],
            keep_until,
            valid_until: None,
            decided_at: 1_000,
            tenant: "t".parse().unwrap(),
            device: None,
            state: None,
            assurance: None,
            last_quote: None,
            is_shared: false,
            offline: wardein_domain::Offline::NONE,
            revision: 1,
            policy: None,
        };
        let until = |keep_until| lifetime(&answer(keep_until));
        assert_eq!((until(1_300), until(1_000), until(900)), (1_300, 1_000, 1_000));
        assert_eq!(until(u64::MAX), 1_000 + 86_400);
    }
}
