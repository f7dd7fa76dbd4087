//! Trust queries.

use crate::grpc::convert::{List, at_most, page, parse, parse_optional, text, wrong};
use crate::grpc::words::{Answered, Asked as _};
use wardein_domain::{DeviceState, Offline, OfflineUse};
use wardein_engine::{
    Answer, DeviceFilter, DeviceVerdict, Error, Listed, Page, ReceiptAsk, ReceiptNonce, Subject, WatchFrom,
};
use wardein_pki::CertificateError;
use wardein_proto::v1::check_request::Subject as Asked;
use wardein_proto::v1::watch_request::From;
use wardein_proto::{time, v1};

pub(crate) fn subject(request: v1::CheckRequest) -> Result<Subject, Error> {
    match request.subject {
        Some(Asked::DeviceId(device)) => Ok(Subject::Device(parse("device_id", &device)?)),
        Some(Asked::Certificate(der)) => {
            Ok(Subject::Certificate(at_most("certificate", der, CertificateError::MAX_LEN)?))
        }
        Some(Asked::SpiffeId(id)) => Ok(Subject::SpiffeId(text_at_most("spiffe_id", id, MAX_SPIFFE_ID)?)),
        Some(Asked::Serial(serial)) => Ok(Subject::Serial(parse("serial", &serial)?)),
        Some(Asked::Fingerprint(text)) => Ok(Subject::Fingerprint(parse("fingerprint", &text)?)),
        None => {
            let words = "is missing; it takes device_id, certificate, spiffe_id, serial or fingerprint";
            Err(wrong("subject", words))
        }
    }
}

/// What a receipt is to be bound to, if one is asked for.
pub(crate) fn receipt(request: Option<v1::ReceiptRequest>) -> Result<Option<ReceiptAsk>, Error> {
    let Some(v1::ReceiptRequest { audience, nonce }) = request else { return Ok(None) };
    let audience = parse("receipt.audience", &audience)?;
    let length = nonce.len();
    let nonce = ReceiptNonce::of(nonce).ok_or_else(|| {
        let (min, max) = (ReceiptNonce::LEN.start(), ReceiptNonce::LEN.end());
        wrong("receipt.nonce", format_args!("has {length} bytes; it takes {min} to {max}"))
    })?;
    Ok(Some(ReceiptAsk { audience, nonce }))
}

pub(crate) fn answer(answer: Answer) -> v1::CheckResponse {
    v1::CheckResponse {
        verdict: answer.verdict.wire(),
        reasons: answer.reasons.iter().map(|reason| reason.wire()).collect(),
        keep_until: time::at(answer.keep_until),
        decided_at: time::at(answer.decided_at),
        tenant: answer.tenant.to_string(),
        device_id: text(answer.device.as_ref()),
        state: answer.state.wire(),
        assurance: answer.assurance.wire(),
        pcrs: answer.last_quote.map(|(standing, _)| standing).wire(),
        quoted_at: answer.last_quote.and_then(|(_, at)| time::at(at)),
        is_shared: answer.is_shared,
        revision: answer.revision,
        valid_until: answer.valid_until.and_then(time::at),
        offline: offline(answer.offline),
        receipt: String::new(),
    }
}

pub(crate) fn from(request: v1::WatchRequest) -> Result<WatchFrom, Error> {
    match request.from {
        Some(From::Snapshot(v1::FromSnapshot {})) => Ok(WatchFrom::Snapshot),
        Some(From::Revision(revision)) => Ok(WatchFrom::Revision(revision)),
        None => Err(wrong("from", "is missing; it takes snapshot or revision")),
    }
}

pub(crate) fn verdict(of: DeviceVerdict) -> v1::DeviceVerdict {
    verdict_on(of.device.to_string(), &of)
}

/// The same with the text of its device's id at hand.
pub(super) fn verdict_on(device_id: String, of: &DeviceVerdict) -> v1::DeviceVerdict {
    v1::DeviceVerdict {
        device_id,
        verdict: of.verdict.wire(),
        reasons: of.reasons.iter().map(|reason| reason.wire()).collect(),
        lifetime: time::span(of.lifetime),
        state: of.state.wire(),
        assurance: of.assurance.wire(),
        is_shared: of.is_shared,
        valid_until: of.valid_until.and_then(time::at),
        offline: offline(of.offline),
    }
}

pub(crate) fn offline(of: Offline) -> Vec<v1::OfflineLimit> {
    let limit =
        |(of, seconds): (OfflineUse, u64)| v1::OfflineLimit { r#use: of.wire(), time: time::span(seconds) };
    of.uses().map(limit).collect()
}

/// Which devices, and which page of them.
pub(crate) fn filter(mut asked: v1::ListSubjectsRequest) -> Result<(DeviceFilter, List, Page), Error> {
    let (list, page) = page(&mut asked)?;
    let filter = DeviceFilter {
        state: DeviceState::asked_optional("state", asked.state)?,
        profile: parse_optional("profile", &asked.profile)?,
        model: parse_optional("model", &asked.model)?,
        ..DeviceFilter::default()
    };
    Ok((filter, list, page))
}

pub(crate) fn listed(device: Listed) -> v1::Subject {
    v1::Subject {
        device_id: device.id.to_string(),
        state: device.state.wire(),
        profile: device.profile.to_string(),
        model: text(device.model.as_ref()),
        udi: text(device.udi.as_ref()),
        enrolled_at: time::at(device.enrolled_at),
    }
}

fn text_at_most(field: &str, text: String, max: usize) -> Result<String, Error> {
    match text.len() {
        length if length > max => {
            Err(wrong(field, format_args!("has {length} bytes; it takes at most {max}")))
        }
        _ => Ok(text),
    }
}

/// SPIFFE-ID §2.3.
const MAX_SPIFFE_ID: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_about_a_device_or_a_certificate_within_bounds() {
        let ask = |subject| super::subject(v1::CheckRequest { subject, receipt: None });
        assert!(ask(Some(Asked::DeviceId("pump-1".into()))).is_ok());
        assert!(ask(Some(Asked::Certificate(vec![0; CertificateError::MAX_LEN]))).is_ok());
        for (field, subject) in [
            ("subject", None),
            ("device_id", Some(Asked::DeviceId(String::new()))),
            ("certificate", Some(Asked::Certificate(vec![0; CertificateError::MAX_LEN + 1]))),
            ("spiffe_id", Some(Asked::SpiffeId("s".repeat(MAX_SPIFFE_ID + 1)))),
            ("serial", Some(Asked::Serial(String::new()))),
            ("serial", Some(Asked::Serial("0g".into()))),
            ("fingerprint", Some(Asked::Fingerprint(String::new()))),
            ("fingerprint", Some(Asked::Fingerprint("0".repeat(65)))),
        ] {
            assert!(ask(subject).unwrap_err().message.starts_with(&format!("{field}: ")));
        }
    }

    #[test]
    fn a_receipt_is_for_an_audience_and_a_nonce_within_bounds() {
        let ask = |audience: &str, nonce: usize| {
            receipt(Some(v1::ReceiptRequest { audience: audience.into(), nonce: vec![0; nonce] }))
        };
        assert_eq!(receipt(None), Ok(None));
        assert!(ask("thingworx", 8).unwrap().is_some() && ask(&"a".repeat(256), 64).unwrap().is_some());
        for (field, audience, nonce) in [
            ("receipt.audience", String::new(), 8),
            ("receipt.audience", "a\"b".into(), 8),
            ("receipt.audience", "a".repeat(257), 8),
            ("receipt.nonce", "thingworx".into(), 7),
            ("receipt.nonce", "thingworx".into(), 65),
        ] {
            let error = ask(&audience, nonce).unwrap_err();
            assert!(error.message.starts_with(&format!("{field}: ")), "{}", error.message);
        }
    }
}
