//! Trust queries.

use crate::grpc::convert::{at_most, parse, text, wrong};
use wardein_domain::Verdict;
use wardein_engine::{Answer, Error, Subject};
use wardein_pki::CertificateError;
use wardein_proto::v1;
use wardein_proto::v1::check_request::Subject as Asked;

pub(crate) fn subject(request: v1::CheckRequest) -> Result<Subject, Error> {
    match request.subject {
        Some(Asked::DeviceId(device)) => Ok(Subject::Device(parse("device_id", &device)?)),
        Some(Asked::Certificate(der)) => {
            Ok(Subject::Certificate(at_most("certificate", der, CertificateError::MAX_LEN)?))
        }
        None => Err(wrong("subject", "is missing; it takes device_id or certificate")),
    }
}

pub(crate) fn answer(answer: Answer) -> v1::CheckResponse {
    let verdict = match answer.verdict {
        Verdict::Trusted => v1::Verdict::Trusted,
        Verdict::NotTrusted => v1::Verdict::NotTrusted,
        Verdict::Unknown => v1::Verdict::Unknown,
    };
    v1::CheckResponse {
        verdict: verdict.into(),
        reasons: answer.reasons.iter().map(|reason| reason.code().to_owned()).collect(),
        keep_until: answer.keep_until,
        decided_at: answer.decided_at,
        tenant: answer.tenant.to_string(),
        device_id: text(answer.device.as_ref()),
        state: text(answer.state.as_ref()),
        assurance: text(answer.assurance.as_ref()),
        pcrs: text(answer.last_quote.map(|(standing, _)| standing).as_ref()),
        quoted_at: answer.last_quote.map_or(0, |(_, at)| at),
        is_shared: answer.is_shared,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_about_a_device_or_a_certificate_within_bounds() {
        let ask = |subject| super::subject(v1::CheckRequest { subject });
        assert!(ask(Some(Asked::DeviceId("pump-1".into()))).is_ok());
        assert!(ask(Some(Asked::Certificate(vec![0; CertificateError::MAX_LEN]))).is_ok());
        for (field, subject) in [
            ("subject", None),
            ("device_id", Some(Asked::DeviceId(String::new()))),
            ("certificate", Some(Asked::Certificate(vec![0; CertificateError::MAX_LEN + 1]))),
        ] {
            assert!(ask(subject).unwrap_err().message.starts_with(&format!("{field}: ")));
        }
    }
}
