//! Grants: what a platform may get from its tenant's devices. They are read from the store at each use, so that one that is taken
//! back is gone with the answer.

use crate::kernel::record::Recording;
use crate::kernel::{Caller, Decision, Engine, Error, Page, Paged, Stop, Tx};
use crate::rows::{self, GrantRow};
use wardein_domain::{
    ErrorCode, Event, FieldName, Fields, GroupTemplate, LoginNames, LoginTemplate, OperatorName, Outcome,
    ProfileName, Reason, Right, Role, Target, TenantId,
};
use wardein_port::{Change, Table};

/// A right to be granted, or taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantOrder {
    /// The tenant of platform and devices.
    pub tenant: TenantId,
    /// The platform's name. The holder of that name has the grant.
    pub platform: OperatorName,
    /// The right.
    pub right: Right,
    /// The profile whose devices it is about; none for all devices of the tenant.
    pub profile: Option<ProfileName>,
}

/// A grant on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// A grant: the right and its holder.
    pub order: GrantOrder,
    /// As whom the platform takes a device; for [`Right::Token`].
    pub names: LoginNames,
    /// Unix seconds.
    pub granted_at: u64,
    /// Who granted it.
    pub granted_by: String,
}

impl Engine {
    /// Grants a right. Granting it again replaces the names; the very same again changes nothing.
    pub async fn add_grant(
        &self,
        caller: &Caller,
        order: GrantOrder,
        names: LoginNames,
    ) -> Result<Grant, Error> {
        self.require_tenant(caller, &order.tenant)?;
        if order.right != Right::Token {
            let LoginNames { user_name, organization, groups } = &names;
            let given = [
                ("user_name", user_name.is_some()),
                ("organization", organization.is_some()),
                ("groups", !groups.is_empty()),
            ];
            if let Some((field, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
                return Err(Error::wrong(field, format_args!("right {} takes none", order.right)));
            }
        }
        if let Some(profile) = &order.profile
            && self.memory.profile(&order.tenant, profile).is_none()
        {
            let message = format_args!("there is no profile {profile} in tenant {}", order.tenant);
            return Err(Error::new(ErrorCode::ProfileUnknown, message).about("wardein.v1.Profile", profile));
        }
        let holder = rows::operator_name_key(Role::Platform, Some(&order.tenant), &order.platform);
        if self.look(|tx| tx.get(Table::OperatorName, &holder)).await?.is_none() {
            let message =
                format_args!("there has never been a platform {}; issue its identity first", order.platform);
            return Err(
                Error::new(ErrorCode::OperatorUnknown, message).about("wardein.v1.Operator", &order.platform)
            );
        }
        let key = key(&order);
        let (granted_at, granted_by) = (self.time(), caller.principal.to_string());
        self.transact_by(caller, |tx| {
            let present: Option<(u64, GrantRow)> = tx.row(Table::Grant, &key)?;
            let mut change = Change::default();
            if let Some((_, row)) = &present
                && row.names() == names
            {
                return Ok(Decision::new(change, parse(row, order.clone())));
            }
            let row = GrantRow::new(names.clone(), granted_at, granted_by.clone());
            let value = rows::encode(&row)?;
            let version = present.as_ref().map(|(version, _)| *version);
            change.put(Table::Grant, key.clone(), version, value);
            let entry = self.entry(caller, Event::GrantAdded, target(&order), Outcome::Done);
            let mut fields = facts(&order);
            if order.right == Right::Token {
                fields = named(fields, present.as_ref().map(|(_, row)| row.names()).as_ref(), &names);
            }
            change.record(&entry.in_tenant(&order.tenant).with_all(fields))?;
            Ok(Decision::new(change, parse(&row, order.clone())))
        })
        .await
    }

    /// The grants of a tenant, by platform, right and profile.
    pub async fn list_grants(
        &self,
        caller: &Caller,
        tenant: TenantId,
        page: Page,
    ) -> Result<Paged<Grant>, Error> {
        self.require_tenant(caller, &tenant)?;
        self.page(Table::Grant, &rows::tenant_prefix(&tenant), &page, |key, value| {
            Ok(Some(parse(&rows::decode(Table::Grant, value)?, parse_key(key)?)))
        })
        .await
    }

    /// Takes a right back: the platform is refused from the answer on.
    pub async fn remove_grant(
        &self,
        caller: &Caller,
        order: GrantOrder,
        reason: Reason,
    ) -> Result<(), Error> {
        self.require_tenant(caller, &order.tenant)?;
        let key = key(&order);
        self.transact_by(caller, |tx| {
            let present: Option<(u64, GrantRow)> = tx.row(Table::Grant, &key)?;
            let Some((version, _)) = present else {
                let message = format_args!("{} has no such grant: {}", order.platform, words(&order));
                return Err(Error::new(ErrorCode::GrantUnknown, message)
                    .about("wardein.v1.Grant", words(&order))
                    .into());
            };
            let mut change = Change::default();
            change.delete(Table::Grant, key.clone(), version);
            let entry = self.entry(caller, Event::GrantRemoved, target(&order), Outcome::Done);
            let fields = facts(&order).with(FieldName::Reason, &reason);
            change.record(&entry.in_tenant(&order.tenant).with_all(fields))?;
            Ok(Decision::new(change, ()))
        })
        .await
    }

    /// The caller's grant of `right` for devices of `profile`: one for that profile takes precedence over one for all.
    pub(crate) fn require_grant(
        &self,
        tx: &Tx<'_>,
        caller: &Caller,
        tenant: &TenantId,
        right: Right,
        profile: &ProfileName,
    ) -> Result<Grant, Stop> {
        let platform = &caller.principal.name;
        // Roles have names of their own: a station with a platform's name has nothing of it.
        let candidates = (caller.principal.role == Role::Platform)
            .then(|| [Some(profile.clone()), None])
            .into_iter()
            .flatten();
        for profile in candidates {
            let order = GrantOrder { tenant: tenant.clone(), platform: platform.clone(), right, profile };
            if let Some((_, row)) = tx.row::<GrantRow>(Table::Grant, &key(&order))? {
                return Ok(parse(&row, order));
            }
        }
        let message = format_args!(
            "{platform} was not granted `{right}` for devices of profile {profile}; an administrator may: wardein grant add"
        );
        Err(Error::new(ErrorCode::GrantMissing, message).into())
    }
}

fn parse(row: &GrantRow, order: GrantOrder) -> Grant {
    let (granted_at, granted_by) = (row.granted_at.get(), row.granted_by.clone());
    Grant { order, names: row.names(), granted_at, granted_by }
}

/// `tenant ‖ 0 ‖ platform ‖ 0 ‖ right ‖ 0 ‖ profile`, the last empty for all devices.
fn key(order: &GrantOrder) -> Vec<u8> {
    let GrantOrder { tenant, platform, right, profile } = order;
    let profile = profile.as_ref().map_or("", ProfileName::as_str);
    [tenant.as_str(), platform.as_str(), right.as_str(), profile].join("\0").into_bytes()
}

fn parse_key(key: &[u8]) -> Result<GrantOrder, Error> {
    let text = std::str::from_utf8(key).unwrap_or_default();
    let [tenant, platform, right, profile] = text.split('\0').collect::<Vec<_>>()[..] else {
        return Err(Error::internal("a grant's key is damaged"));
    };
    Ok(GrantOrder {
        tenant: rows::word("tenant", tenant)?,
        platform: rows::word("operator name", platform)?,
        right: rows::word("right", right)?,
        profile: (!profile.is_empty()).then(|| rows::word("profile", profile)).transpose()?,
    })
}

fn target(order: &GrantOrder) -> Target {
    Target::Platform(order.tenant.clone(), order.platform.clone())
}

/// The granted right, for the audit entry.
fn facts(order: &GrantOrder) -> Fields {
    let profile = order.profile.as_ref().map_or("all", ProfileName::as_str);
    Fields::default().with(FieldName::Right, order.right).with(FieldName::Profile, profile)
}

/// The names of a grant, and what they were before.
fn named(fields: Fields, before: Option<&LoginNames>, now: &LoginNames) -> Fields {
    let one = |name: &Option<LoginTemplate>| name.as_ref().map_or("none", LoginTemplate::as_str).to_owned();
    let list = |names: &[GroupTemplate]| match names {
        [] => "none".to_owned(),
        names => names.iter().map(GroupTemplate::as_str).collect::<Vec<_>>().join(","),
    };
    let words = |names: &LoginNames| [one(&names.user_name), one(&names.organization), list(&names.groups)];
    let before = before.map(words);
    let names = [FieldName::UserName, FieldName::Organization, FieldName::Groups];
    names.into_iter().zip(words(now)).enumerate().fold(fields, |fields, (place, (name, now))| match &before {
        Some(before) if before[place] != now => fields.changed(name, &before[place], now),
        Some(_) => fields,
        None if now == "none" && name != FieldName::UserName => fields,
        None => fields.with(name, now),
    })
}

/// The same for the caller.
fn words(order: &GrantOrder) -> String {
    match &order.profile {
        Some(profile) => format!("{} of profile {profile}", order.right),
        None => format!("{} of all devices", order.right),
    }
}
