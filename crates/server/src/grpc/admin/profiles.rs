//! Profiles.

use crate::grpc::convert::{parse, parse_optional, span_optional, wrong};
use crate::grpc::words::{Answered, Asked};
use wardein_domain::{
    CertificateProfile, KeyKind, KeyKinds, NameTemplate, ProfileField, ProfileFields, ProfileName, Purpose,
    TenantId,
};
use wardein_engine::{Error, ListedProfile, ProfilePut};
use wardein_proto::{FieldMask, time, v1};

/// The profile, and how it changes; the engine judges the bounds.
pub(crate) fn profile_put(
    asked: v1::PutProfileRequest,
) -> Result<(TenantId, ProfileName, ProfilePut), Error> {
    let v1::Profile {
        tenant,
        name,
        certificate_validity,
        period,
        max_uses,
        suites,
        verdict_lifetime,
        rekey_after,
        quarantine_on_clone,
        token_retention_epochs,
        data_retention_epochs,
        file_retention_epochs,
        archive,
        certificate_cn,
        certificate_dns,
        certificate_uri,
        certificate_serial_number,
        certificate_profile,
        certificate_keys,
        certificate_no_rev_avail,
        certificate_renewal_percent,
        etag,
    } = asked.profile.ok_or_else(|| wrong("profile", "is missing"))?;
    let purpose = |number: &i32| Purpose::asked("profile.archive", *number);
    let purposes = |archive: v1::Archive| archive.purposes.iter().map(purpose).collect::<Result<_, _>>();
    let template =
        |field, text: Option<String>| text.map(|text| parse::<NameTemplate>(field, &text)).transpose();
    let fields = ProfileFields {
        certificate_validity: span_optional("profile.certificate_validity", certificate_validity.as_ref())?,
        period: span_optional("profile.period", period.as_ref())?,
        max_uses,
        suites: (!suites.is_empty()).then_some(suites),
        verdict_lifetime: span_optional("profile.verdict_lifetime", verdict_lifetime.as_ref())?,
        rekey_after: span_optional("profile.rekey_after", rekey_after.as_ref())?,
        quarantine_on_clone,
        token_retention: token_retention_epochs,
        data_retention: data_retention_epochs,
        file_retention: file_retention_epochs,
        archive: archive.map(purposes).transpose()?,
        certificate_cn: template("profile.certificate_cn", certificate_cn)?,
        certificate_dns: template("profile.certificate_dns", certificate_dns)?,
        certificate_uri: template("profile.certificate_uri", certificate_uri)?,
        certificate_serial_number: template("profile.certificate_serial_number", certificate_serial_number)?,
        certificate_profile: CertificateProfile::asked_optional(
            "profile.certificate_profile",
            certificate_profile,
        )?,
        certificate_keys: key_kinds(&certificate_keys)?,
        certificate_no_rev_avail,
        certificate_renewal: certificate_renewal_percent,
    };
    let only = asked.update_mask.map(mask).transpose()?.flatten();
    let (etag, confirms_validity) = (parse_optional("profile.etag", &etag)?, asked.confirm_long_validity);
    let put = ProfilePut { fields, only, etag, confirms_validity };
    Ok((parse("profile.tenant", &tenant)?, parse("profile.name", &name)?, put))
}

/// The kinds of keys, each of which is named once or more; none where the list is empty.
fn key_kinds(numbers: &[i32]) -> Result<Option<KeyKinds>, Error> {
    if numbers.len() > KeyKind::ALL.len() {
        let most = KeyKind::ALL.len();
        return Err(wrong(
            "profile.certificate_keys",
            format_args!("has more kinds than the {most} that there are"),
        ));
    }
    let kind = |number: &i32| KeyKind::asked("profile.certificate_keys", *number);
    let kinds: Vec<KeyKind> = numbers.iter().map(kind).collect::<Result<_, _>>()?;
    Ok((!kinds.is_empty()).then(|| KeyKinds::of(&kinds)))
}

/// The fields that change; none where all do (AIP-134, AIP-161).
fn mask(mask: FieldMask) -> Result<Option<Vec<ProfileField>>, Error> {
    if mask.paths.iter().any(|path| path == "*") {
        return match mask.paths.len() {
            1 => Ok(None),
            _ => Err(wrong("update_mask", "has * and other paths; * comes alone")),
        };
    }
    if mask.paths.len() > ProfileField::ALL.len() {
        let most = ProfileField::ALL.len();
        return Err(wrong("update_mask", format_args!("has more paths than the {most} that there are")));
    }
    let field = |path: &String| parse("update_mask", path);
    Ok(Some(mask.paths.iter().map(field).collect::<Result<_, _>>()?))
}

/// What is set of a profile.
pub(crate) fn profile_set(tenant: &TenantId, one: ListedProfile) -> v1::Profile {
    v1::Profile { etag: one.etag.to_string(), ..profile_response(tenant, &one.name, one.set) }
}

pub(crate) fn profile_response(tenant: &TenantId, name: &ProfileName, fields: ProfileFields) -> v1::Profile {
    let words = |purposes: Vec<Purpose>| purposes.into_iter().map(Purpose::wire).collect();
    let ProfileFields {
        certificate_validity,
        period,
        max_uses,
        suites,
        verdict_lifetime,
        rekey_after,
        quarantine_on_clone,
        token_retention,
        data_retention,
        file_retention,
        archive,
        certificate_cn,
        certificate_dns,
        certificate_uri,
        certificate_serial_number,
        certificate_profile,
        certificate_keys,
        certificate_no_rev_avail,
        certificate_renewal,
    } = fields;
    v1::Profile {
        tenant: tenant.to_string(),
        name: name.to_string(),
        certificate_validity: certificate_validity.and_then(time::span),
        period: period.and_then(time::span),
        max_uses,
        suites: suites.unwrap_or_default(),
        verdict_lifetime: verdict_lifetime.and_then(time::span),
        rekey_after: rekey_after.and_then(time::span),
        quarantine_on_clone,
        token_retention_epochs: token_retention,
        data_retention_epochs: data_retention,
        file_retention_epochs: file_retention,
        archive: archive.map(|purposes| v1::Archive { purposes: words(purposes) }),
        certificate_cn: certificate_cn.map(|template| template.to_string()),
        certificate_dns: certificate_dns.map(|template| template.to_string()),
        certificate_uri: certificate_uri.map(|template| template.to_string()),
        certificate_serial_number: certificate_serial_number.map(|template| template.to_string()),
        certificate_profile: certificate_profile.wire(),
        certificate_keys: certificate_keys
            .map(|kinds| kinds.iter().map(KeyKind::wire).collect())
            .unwrap_or_default(),
        certificate_no_rev_avail,
        certificate_renewal_percent: certificate_renewal,
        etag: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_proto::Duration;

    fn put(profile: v1::Profile, paths: &[&str]) -> Result<ProfilePut, Error> {
        let mask = FieldMask { paths: paths.iter().map(ToString::to_string).collect() };
        let update_mask = (!paths.is_empty()).then_some(mask);
        Ok(profile_put(v1::PutProfileRequest { profile: Some(profile), update_mask, ..Default::default() })?
            .2)
    }

    fn sparse() -> v1::Profile {
        v1::Profile { tenant: "t".into(), name: "p".into(), ..Default::default() }
    }

    #[test]
    fn a_profile_comes_back_as_it_was_given() {
        let full = v1::Profile {
            certificate_validity: time::span(600),
            period: time::span(60),
            max_uses: Some(7),
            suites: vec![2],
            verdict_lifetime: time::span(5),
            rekey_after: time::span(86_400),
            quarantine_on_clone: Some(false),
            token_retention_epochs: Some(2),
            data_retention_epochs: Some(3),
            file_retention_epochs: Some(4),
            archive: Some(v1::Archive { purposes: vec![v1::Purpose::File.into()] }),
            certificate_cn: Some("{device}.{tenant}".into()),
            certificate_dns: Some(String::new()),
            certificate_uri: Some("urn:dev:os:1-{device}".into()),
            certificate_serial_number: Some("{device}".into()),
            certificate_profile: v1::CertificateProfile::DicomTls.into(),
            certificate_keys: vec![v1::KeyKind::P384.into(), v1::KeyKind::Rsa3072.into()],
            certificate_no_rev_avail: Some(true),
            certificate_renewal_percent: Some(50),
            ..sparse()
        };
        let none_archived = v1::Profile { archive: Some(v1::Archive::default()), ..sparse() };
        for given in [sparse(), full, none_archived] {
            let request = v1::PutProfileRequest { profile: Some(given.clone()), ..Default::default() };
            let (tenant, name, put) = profile_put(request).unwrap();
            assert_eq!(profile_response(&tenant, &name, put.fields), given);
        }
        let none = profile_put(v1::PutProfileRequest::default());
        assert!(none.unwrap_err().message.starts_with("profile: "));
        let spoiled = [
            (
                v1::Profile { archive: Some(v1::Archive { purposes: vec![77] }), ..sparse() },
                "profile.archive: ",
            ),
            (v1::Profile { etag: "x".into(), ..sparse() }, "profile.etag: "),
            (v1::Profile { certificate_profile: 77, ..sparse() }, "profile.certificate_profile: "),
            (v1::Profile { certificate_keys: vec![77], ..sparse() }, "profile.certificate_keys: "),
            (v1::Profile { certificate_keys: vec![1; 6], ..sparse() }, "profile.certificate_keys: "),
            (
                v1::Profile { period: Some(Duration { seconds: 60, nanos: 1 }), ..sparse() },
                "profile.period: takes whole seconds",
            ),
        ];
        for (given, field) in spoiled {
            let error = put(given, &[]).unwrap_err();
            assert!(error.message.starts_with(field), "{}", error.message);
        }
    }

    #[test]
    fn a_mask_names_fields_or_all_of_them() {
        assert!(put(sparse(), &[]).unwrap().only.is_none());
        assert!(put(sparse(), &["*"]).unwrap().only.is_none());
        let only = put(sparse(), &["period", "max_uses"]).unwrap().only;
        assert_eq!(only, Some(vec![ProfileField::Period, ProfileField::MaxUses]));
        let none = profile_put(v1::PutProfileRequest {
            profile: Some(sparse()),
            update_mask: Some(FieldMask::default()),
            ..Default::default()
        });
        assert_eq!(none.unwrap().2.only, Some(vec![]), "nothing is named, and nothing changes");
        for bad in [&["*", "period"][..], &["name"], &["profile.period"], &["period"; 40]] {
            assert!(put(sparse(), bad).unwrap_err().message.starts_with("update_mask: "), "{bad:?}");
        }
    }
}
