//! Profiles.

use crate::grpc::convert::{parse, wrong};
use wardein_domain::{ProfileFields, ProfileName, Purpose, TenantId};
use wardein_engine::Error;
use wardein_proto::v1;

/// The new settings; the engine judges the bounds.
pub(crate) fn profile(given: Option<v1::Profile>) -> Result<(TenantId, ProfileName, ProfileFields), Error> {
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
        token_retention,
        data_retention,
        file_retention,
        archive,
    } = given.ok_or_else(|| wrong("profile", "is missing"))?;
    let purpose = |word: &String| parse::<Purpose>("profile.archive", word);
    let purposes = |archive: v1::Archive| archive.purposes.iter().map(purpose).collect::<Result<_, _>>();
    let fields = ProfileFields {
        certificate_validity,
        period,
        max_uses,
        suites: (!suites.is_empty()).then_some(suites),
        verdict_lifetime,
        rekey_after,
        quarantine_on_clone,
        token_retention,
        data_retention,
        file_retention,
        archive: archive.map(purposes).transpose()?,
    };
    Ok((parse("profile.tenant", &tenant)?, parse("profile.name", &name)?, fields))
}

pub(crate) fn profile_response(tenant: &TenantId, name: &ProfileName, fields: ProfileFields) -> v1::Profile {
    let words = |purposes: Vec<Purpose>| purposes.iter().map(ToString::to_string).collect();
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
    } = fields;
    v1::Profile {
        tenant: tenant.to_string(),
        name: name.to_string(),
        certificate_validity,
        period,
        max_uses,
        suites: suites.unwrap_or_default(),
        verdict_lifetime,
        rekey_after,
        quarantine_on_clone,
        token_retention,
        data_retention,
        file_retention,
        archive: archive.map(|purposes| v1::Archive { purposes: words(purposes) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_comes_back_as_it_was_given() {
        let sparse = v1::Profile { tenant: "t".into(), name: "p".into(), ..Default::default() };
        let full = v1::Profile {
            certificate_validity: Some(600),
            period: Some(60),
            max_uses: Some(7),
            suites: vec![2],
            verdict_lifetime: Some(5),
            rekey_after: Some(86_400),
            quarantine_on_clone: Some(false),
            token_retention: Some(2),
            data_retention: Some(3),
            file_retention: Some(4),
            archive: Some(v1::Archive { purposes: vec!["file".into()] }),
            ..sparse.clone()
        };
        let none_archived = v1::Profile { archive: Some(v1::Archive::default()), ..sparse.clone() };
        for given in [sparse.clone(), full, none_archived] {
            let (tenant, name, fields) = profile(Some(given.clone())).unwrap();
            assert_eq!(profile_response(&tenant, &name, fields), given);
        }
        assert!(profile(None).unwrap_err().message.starts_with("profile: "));
        let other = v1::Profile { archive: Some(v1::Archive { purposes: vec!["log".into()] }), ..sparse };
        assert!(profile(Some(other)).unwrap_err().message.starts_with("profile.archive: "));
    }
}
