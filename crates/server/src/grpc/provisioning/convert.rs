//! Enrollment.

use crate::grpc::convert::{at_most, bytes32, parse, parse_optional, text, wrong};
use wardein_crypto::{ML_KEM_768_KEY_LEN, P256_POINT_LEN};
use wardein_ddkg::Attributes;
use wardein_ddkg::message::EnrollReply;
use wardein_domain::{DeviceId, ProfileName, TenantId};
use wardein_engine::{EnrollOrder, Error};
use wardein_proto::v1;

pub(crate) fn order(request: v1::EnrollRequest) -> Result<EnrollOrder, Error> {
    let profile = match request.profile.as_str() {
        "" => ProfileName::DEFAULT,
        profile => profile,
    };
    Ok(EnrollOrder {
        device: parse("device_id", &request.device_id)?,
        suite: request.suite,
        nonce: bytes32("device_nonce", &request.device_nonce)?,
        share: at_most("device_share", request.device_share, MAX_SHARE)?,
        attributes: attributes(&request.attributes)?,
        profile: parse("profile", profile)?,
        model: parse_optional("model", &request.model)?,
        udi: parse_optional("udi", &request.udi)?,
    })
}

fn attributes(given: &[v1::Attribute]) -> Result<Attributes, Error> {
    let mut attributes = Attributes::new();
    for (i, attribute) in given.iter().enumerate() {
        let name = parse(&format!("attributes[{i}].name"), &attribute.name)?;
        attributes
            .insert(name, &attribute.value)
            .map_err(|error| wrong(&format!("attributes[{i}]"), error))?;
    }
    Ok(attributes)
}

pub(crate) fn confirmation(request: &v1::ConfirmRequest) -> Result<(DeviceId, [u8; 32]), Error> {
    let tag = bytes32("device_confirmation", &request.device_confirmation)?;
    Ok((parse("device_id", &request.device_id)?, tag))
}

pub(crate) fn reply(reply: EnrollReply, tenant: Option<&TenantId>) -> v1::EnrollResponse {
    let schedule = reply.schedule;
    v1::EnrollResponse {
        authority_share: reply.share.as_bytes().to_vec(),
        generation: reply.generation,
        schedule: Some(v1::Schedule {
            period_seconds: schedule.period,
            max_uses: schedule.max_uses,
            not_before_seconds: schedule.not_before,
        }),
        signature: reply.signature,
        authority_confirmation: reply.confirmation.0.to_vec(),
        tenant: text(tenant),
    }
}

// Suite 2: a P-256 point and an ML-KEM-768 encapsulation key (DDKG-1 §2). The engine judges the length by the suite.
const MAX_SHARE: usize = P256_POINT_LEN + ML_KEM_768_KEY_LEN;

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> v1::EnrollRequest {
        v1::EnrollRequest {
            device_id: "pump-1".into(),
            suite: 1,
            device_nonce: vec![1; 32],
            device_share: vec![4; 65],
            attributes: vec![v1::Attribute { name: "firmware".into(), value: b"1.0".to_vec() }],
            ..Default::default()
        }
    }

    #[test]
    fn a_request_with_nothing_optional_follows_the_default_profile() {
        let order = order(request()).unwrap();
        assert_eq!(order.profile.as_str(), ProfileName::DEFAULT);
        assert!(order.model.is_none() && order.udi.is_none());
    }

    #[test]
    fn each_field_is_judged_and_named() {
        let attribute = |name: &str, length| v1::Attribute { name: name.into(), value: vec![0; length] };
        for (field, spoiled) in [
            ("device_id", v1::EnrollRequest { device_id: "a/b".into(), ..request() }),
            ("device_nonce", v1::EnrollRequest { device_nonce: vec![0; 33], ..request() }),
            ("device_share", v1::EnrollRequest { device_share: vec![0; MAX_SHARE + 1], ..request() }),
            ("profile", v1::EnrollRequest { profile: "A".into(), ..request() }),
            ("model", v1::EnrollRequest { model: "m".repeat(65), ..request() }),
            ("udi", v1::EnrollRequest { udi: "(01)1".into(), ..request() }),
            ("attributes[0].name", v1::EnrollRequest { attributes: vec![attribute("a b", 0)], ..request() }),
            ("attributes[0]", v1::EnrollRequest { attributes: vec![attribute("a", 4097)], ..request() }),
            (
                "attributes[1]",
                v1::EnrollRequest { attributes: vec![attribute("a", 0), attribute("a", 0)], ..request() },
            ),
        ] {
            let error = order(spoiled).unwrap_err();
            assert!(error.message.starts_with(&format!("{field}: ")), "{field}: {}", error.message);
        }
    }
}
