//! Grants to platforms.

use crate::grpc::convert::{parse, parse_optional, text, wrong};
use crate::grpc::words::{Answered, Asked};
use wardein_domain::{LoginNames, Reason};
use wardein_engine::{Error, Grant, GrantOrder};
use wardein_proto::{time, v1};

pub(crate) fn grant_order(given: Option<&v1::Grant>) -> Result<(GrantOrder, LoginNames), Error> {
    let given = given.ok_or_else(|| wrong("grant", "is missing"))?;
    let order = GrantOrder {
        tenant: parse("grant.tenant", &given.tenant)?,
        platform: parse("grant.platform", &given.platform)?,
        right: Asked::asked("grant.right", given.right)?,
        profile: parse_optional("grant.profile", &given.profile)?,
    };
    let (count, most) = (given.groups.len(), LoginNames::MAX_GROUPS);
    if count > most {
        return Err(wrong("grant.groups", format_args!("has {count}; it takes at most {most}")));
    }
    let group = |(number, group): (usize, &String)| parse(&format!("grant.groups[{number}]"), group);
    let names = LoginNames {
        user_name: parse_optional("grant.user_name", &given.user_name)?,
        organization: parse_optional("grant.organization", &given.organization)?,
        groups: given.groups.iter().enumerate().map(group).collect::<Result<_, _>>()?,
    };
    Ok((order, names))
}

pub(crate) fn grant_to_remove(given: &v1::RemoveGrantRequest) -> Result<(GrantOrder, Reason), Error> {
    let order = GrantOrder {
        tenant: parse("tenant", &given.tenant)?,
        platform: parse("platform", &given.platform)?,
        right: Asked::asked("right", given.right)?,
        profile: parse_optional("profile", &given.profile)?,
    };
    Ok((order, parse("reason", &given.reason)?))
}

pub(crate) fn grant(grant: Grant) -> v1::Grant {
    let GrantOrder { tenant, platform, right, profile } = grant.order;
    v1::Grant {
        tenant: tenant.to_string(),
        platform: platform.to_string(),
        right: right.wire(),
        profile: text(profile.as_ref()),
        user_name: text(grant.names.user_name.as_ref()),
        organization: text(grant.names.organization.as_ref()),
        groups: grant.names.groups.iter().map(ToString::to_string).collect(),
        granted_at: time::at(grant.granted_at),
        granted_by: grant.granted_by,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_of_a_grant_is_judged_and_named() {
        let good = || v1::Grant {
            tenant: "t".into(),
            platform: "iot".into(),
            right: v1::Right::Token.into(),
            profile: "pumps".into(),
            user_name: "pump-{device}".into(),
            organization: "{tenant}".into(),
            groups: vec!["pumps".into(), "{profile}".into()],
            granted_at: time::at(0),
            ..Default::default()
        };
        let (order, names) = grant_order(Some(&good())).unwrap();
        let granted = Grant { order, names, granted_at: 0, granted_by: String::new() };
        assert_eq!(grant(granted), good());
        assert!(grant_order(None).unwrap_err().message.starts_with("grant: "));
        for (field, spoiled) in [
            ("grant.tenant", v1::Grant { tenant: String::new(), ..good() }),
            ("grant.platform", v1::Grant { platform: "a/b".into(), ..good() }),
            ("grant.right", v1::Grant { right: 77, ..good() }),
            ("grant.profile", v1::Grant { profile: "P".into(), ..good() }),
            ("grant.user_name", v1::Grant { user_name: "{serial}".into(), ..good() }),
            ("grant.organization", v1::Grant { organization: "o".repeat(129), ..good() }),
            ("grant.groups", v1::Grant { groups: vec!["g".into(); 17], ..good() }),
            ("grant.groups[1]", v1::Grant { groups: vec!["g".into(), String::new()], ..good() }),
            ("grant.groups[1]", v1::Grant { groups: vec!["g".into(), "a,b".into()], ..good() }),
        ] {
            let error = grant_order(Some(&spoiled)).unwrap_err();
            assert!(error.message.starts_with(&format!("{field}: ")), "{field}: {}", error.message);
        }
    }
}
