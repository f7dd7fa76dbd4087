//! Grants to platforms.

use crate::grpc::convert::{parse, parse_optional, text, wrong};
use crate::grpc::words::{Answered, Asked};
use wardein_domain::{Reason, UserNameTemplate};
use wardein_engine::{Error, Grant, GrantOrder};
use wardein_proto::{time, v1};

pub(crate) fn grant_order(
    given: Option<&v1::Grant>,
) -> Result<(GrantOrder, Option<UserNameTemplate>), Error> {
    let given = given.ok_or_else(|| wrong("grant", "is missing"))?;
    let order = GrantOrder {
        tenant: parse("grant.tenant", &given.tenant)?,
        platform: parse("grant.platform", &given.platform)?,
        right: Asked::asked("grant.right", given.right)?,
        profile: parse_optional("grant.profile", &given.profile)?,
    };
    Ok((order, parse_optional("grant.user_name", &given.user_name)?))
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
        user_name: text(grant.user_name.as_ref()),
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
            granted_at: time::at(0),
            ..Default::default()
        };
        let (order, user_name) = grant_order(Some(&good())).unwrap();
        let granted = Grant { order, user_name, granted_at: 0, granted_by: String::new() };
        assert_eq!(grant(granted), good());
        assert!(grant_order(None).unwrap_err().message.starts_with("grant: "));
        for (field, spoiled) in [
            ("grant.tenant", v1::Grant { tenant: String::new(), ..good() }),
            ("grant.platform", v1::Grant { platform: "a/b".into(), ..good() }),
            ("grant.right", v1::Grant { right: 77, ..good() }),
            ("grant.profile", v1::Grant { profile: "P".into(), ..good() }),
            ("grant.user_name", v1::Grant { user_name: "{serial}".into(), ..good() }),
        ] {
            let error = grant_order(Some(&spoiled)).unwrap_err();
            assert!(error.message.starts_with(&format!("{field}: ")), "{field}: {}", error.message);
        }
    }
}
