//! Profiles: the rules for groups of devices.

use crate::kernel::record::{INHERITED, Recording, listed};
use crate::kernel::{Caller, Decision, Engine, Error, Etag, Page};
use crate::project::Rules;
use crate::rows::{self, ProfileRow, RotationRow};
use wardein_ddkg::DeviceName;
use wardein_domain::{
    CertificateNames, ErrorCode, Event, FieldName, Fields, KeyPurposes, NameTemplate, Outcome, Profile,
    ProfileField, ProfileFields, ProfileName, Role, Target, TenantId,
};
use wardein_port::{Change, Table};

/// A profile on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedProfile {
    /// Its name.
    pub name: ProfileName,
    /// Its settings.
    pub set: ProfileFields,
    /// The rules in force, including inherited ones.
    pub effective: Profile,
    /// The version of the settings.
    pub etag: Etag,
}

/// How a profile is to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfilePut {
    /// The new settings.
    pub fields: ProfileFields,
    /// The settings that change; all of them where there is no list.
    pub only: Option<Vec<ProfileField>>,
    /// The version that is changed; whatever there is where it is left out.
    pub etag: Option<Etag>,
    /// Whether somebody confirmed certificates for more than [`Profile::SHORT_VALIDITY`].
    pub confirms_validity: bool,
}

impl ProfilePut {
    /// Everything, whatever there is.
    pub fn whole(fields: ProfileFields) -> Self {
        Self { fields, only: None, etag: None, confirms_validity: false }
    }

    /// What is set in `fields`; the rest stays.
    pub fn set(fields: ProfileFields) -> Self {
        Self { only: Some(fields.named()), fields, etag: None, confirms_validity: false }
    }
}

impl Engine {
    /// Creates or changes a profile, and says what is set then. It applies to devices at once, except their schedules, which change
    /// with their next generation, and the names in their certificates, which change with the next one.
    pub async fn put_profile(
        &self,
        caller: &Caller,
        tenant: TenantId,
        name: ProfileName,
        put: ProfilePut,
    ) -> Result<ListedProfile, Error> {
        self.require_tenant(caller, &tenant)?;
        // The bounds do not depend on inherited values.
        Profile::DEFAULT
            .with(&put.fields)
            .map_err(|error| Error::wrong(&format!("profile.{}", error.field), error))?;
        put.fields
            .check_names(&tenant, &name)
            .map_err(|error| Error::wrong(&format!("profile.{}", error.field), error))?;
        let key = rows::profile_key(&tenant, &name);
        let set = self.transact_by(caller, |tx| {
            let present: Option<(u64, ProfileRow)> = tx.row(Table::Profile, &key)?;
            let (version, before) = present.unzip();
            let was = before.as_ref().map(ProfileRow::fields);
            Etag::require(put.etag, was.as_ref().map(etag).transpose()?)?;
            let set = match &put.only {
                Some(only) => put.fields.clone().only(only, was.clone().unwrap_or_default()),
                None => put.fields.clone(),
            };
            let default =
                self.memory.profile(&tenant, &default_profile()).unwrap_or(Profile::DEFAULT).fields();
            may_name(caller, &name, &default, was.as_ref(), &set)?;
            may_live(put.confirms_validity, was.as_ref(), &set)?;
            self.may_certify_for(&tenant, was.as_ref(), &set)?;
            let changed = changed(&was, &set);
            let rotation = before.map(|before| before.rotation).unwrap_or_default();
            let row = ProfileRow::new(&set, rotation);
            let mut change = Change::default();
            change.put(Table::Profile, key.clone(), version, rows::encode(&row)?);
            let target = Target::Profile(tenant.clone(), name.clone());
            let entry = self.entry(caller, Event::ProfilePut, target, Outcome::Done);
            change.record(&entry.in_tenant(&tenant).with_all(changed))?;
            Ok(Decision::new(change, set))
        });
        self.listed(&tenant, name.clone(), set.await?)
    }

    /// Refuses what the CA of the tenant's devices cannot certify. What was chosen before may stay, and where there is no CA at present,
    /// the next one decides.
    fn may_certify_for(
        &self,
        tenant: &TenantId,
        was: Option<&ProfileFields>,
        set: &ProfileFields,
    ) -> Result<(), Error> {
        let Some(chosen) = set.certificate_profile else { return Ok(()) };
        let is_new = was.is_none_or(|was| was.certificate_profile != Some(chosen));
        let Some(ca) = self.memory.issuer(tenant).filter(|_| is_new) else { return Ok(()) };
        if !ca.certificate.purposes().includes(chosen.purposes()) {
            let message = format_args!(
                "profile.certificate_profile: {chosen} is for servers, too, and the issuing CA certifies clients alone"
            );
            return Err(Error::new(ErrorCode::CertificateProfileBeyondCa, message));
        }
        Ok(())
    }

    fn listed(
        &self,
        tenant: &TenantId,
        name: ProfileName,
        set: ProfileFields,
    ) -> Result<ListedProfile, Error> {
        let effective = self.rules_of(tenant, &name)?.profile;
        Ok(ListedProfile { etag: etag(&set)?, name, set, effective })
    }

    /// The profiles of a tenant, in order of their names.
    pub async fn list_profiles(
        &self,
        caller: &Caller,
        tenant: TenantId,
    ) -> Result<Vec<ListedProfile>, Error> {
        self.require_tenant(caller, &tenant)?;
        let prefix = rows::tenant_prefix(&tenant);
        let rows = self.store.scan(Table::Profile, &prefix, None, Page::MAX).await?;
        rows.into_iter()
            .map(|(key, row)| {
                let name = std::str::from_utf8(key.get(prefix.len()..).unwrap_or_default());
                let name: ProfileName = rows::word("profile", name.unwrap_or_default())?;
                let set = rows::decode::<ProfileRow>(Table::Profile, &row.value)?.fields();
                self.listed(&tenant, name, set)
            })
            .collect()
    }

    /// The rules for the devices of an existing profile.
    pub(crate) fn rules_of(&self, tenant: &TenantId, name: &ProfileName) -> Result<Rules, Error> {
        self.memory.rules(tenant, name).ok_or_else(|| Error::no_profile(tenant, name))
    }
}

/// Of the settings alone: a rotation of keys, which is in the same row, is nobody's change of them.
fn etag(set: &ProfileFields) -> Result<Etag, Error> {
    Ok(Etag::of(&rows::encode(&ProfileRow::new(set, RotationRow::default()))?))
}

/// The names of the certificate of a device, beside its SPIFFE id, by the rules of its profile.
pub(crate) fn certificate_names(
    rules: &Rules,
    device: &DeviceName,
    profile: &ProfileName,
) -> Result<CertificateNames, Error> {
    rules.profile.certificate_names(&device.tenant, &device.device, profile).map_err(|error| {
        Error::new(ErrorCode::CertificateNameUnfit, format_args!("profile {profile}: {error}"))
    })
}

/// The profile that every tenant has.
pub(crate) fn default_profile() -> ProfileName {
    ProfileName::DEFAULT.parse().expect("the constant is a profile's name")
}

/// Refuses a tenant's administrator names that a device of another tenant may have: there is one CA for all, and a server that goes by
/// these names sees nothing else. Administrators of the authority decide on other forms, and those that they chose may stay, but for
/// what they were chosen: names of clients are not for servers.
fn may_name(
    caller: &Caller,
    profile: &ProfileName,
    default: &ProfileFields,
    was: Option<&ProfileFields>,
    set: &ProfileFields,
) -> Result<(), Error> {
    let is_default = *profile == default_profile();
    // What is not set is inherited; before there is a profile, everything would be.
    let serves = |fields: Option<&ProfileFields>| {
        let chosen = fields.and_then(|fields| fields.certificate_profile).or(default.certificate_profile);
        chosen.is_some_and(|chosen| chosen.purposes().includes(KeyPurposes::SERVER))
    };
    let begins_to_serve = serves(Some(set)) && !serves(was);
    if begins_to_serve && is_default && caller.principal.role != Role::Admin {
        let message = "profile.certificate_profile: it is for servers, too, and of the profile that all others inherit; choose another \
                       profile, or have an administrator of the authority do it";
        return Err(Error::new(ErrorCode::RoleInsufficient, message));
    }
    let is_foreign = |template: Option<&NameTemplate>| template.is_some_and(|name| !name.is_of_one_tenant());
    let is_new_name = |of: fn(&ProfileFields) -> Option<&NameTemplate>| {
        let is_chosen = is_foreign(of(set)) && was.map(of) != Some(of(set));
        is_chosen || begins_to_serve && is_foreign(of(set).or(of(default)))
    };
    let names = [
        ("profile.certificate_cn", is_new_name(|fields| fields.certificate_cn.as_ref())),
        ("profile.certificate_dns", is_new_name(|fields| fields.certificate_dns.as_ref())),
        ("profile.certificate_uri", is_new_name(|fields| fields.certificate_uri.as_ref())),
        (
            "profile.certificate_serial_number",
            is_new_name(|fields| fields.certificate_serial_number.as_ref()),
        ),
    ];
    match names.into_iter().find(|(_, is_new)| *is_new) {
        Some((field, ..)) if caller.principal.role != Role::Admin => {
            let message = format_args!(
                "{field}: a tenant's administrator chooses a name that ends with `.{{tenant}}`, so that no device of another \
                 tenant can have it; others are for an administrator of the authority"
            );
            Err(Error::new(ErrorCode::RoleInsufficient, message))
        }
        _ => Ok(()),
    }
}

/// Refuses certificates that nobody confirmed to live so long. Those that live so long may go on.
fn may_live(is_confirmed: bool, was: Option<&ProfileFields>, set: &ProfileFields) -> Result<(), Error> {
    let seconds = |fields: &ProfileFields| fields.certificate_validity.unwrap_or_default();
    let (asked, before) = (seconds(set), was.map_or(0, seconds));
    if is_confirmed || asked <= Profile::SHORT_VALIDITY.max(before) {
        return Ok(());
    }
    let message = format_args!(
        "profile.certificate_validity: {asked} seconds are more than {}, and are to be confirmed",
        Profile::SHORT_VALIDITY
    );
    Err(Error::new(ErrorCode::CertificateValidityUnconfirmed, message))
}

impl Error {
    pub(crate) fn no_profile(tenant: &TenantId, name: &ProfileName) -> Self {
        let message = format_args!("profile: tenant {tenant} has no profile {name}");
        Self::new(ErrorCode::ProfileUnknown, message).about("wardein.v1.Profile", name)
    }
}

/// For the audit entry: each setting that is other than it was, or that a new profile has.
fn changed(before: &Option<ProfileFields>, set: &ProfileFields) -> Fields {
    let unset = ProfileFields::default();
    let was = words(before.as_ref().unwrap_or(&unset));
    let differ = was.into_iter().zip(words(set)).filter(|((_, before), (_, value))| before != value);
    differ.fold(Fields::default(), |fields, ((name, was), (_, value))| {
        let word = |value: Option<String>| value.unwrap_or_else(|| INHERITED.to_owned());
        match before {
            Some(_) => fields.changed(name, word(was), word(value)),
            None => fields.with(name, word(value)),
        }
    })
}

/// The settings, as audit fields.
fn words(fields: &ProfileFields) -> [(FieldName, Option<String>); 19] {
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
    let template = |template: &Option<NameTemplate>| {
        template
            .as_ref()
            .map(|name| if *name == NameTemplate::NONE { "none".to_owned() } else { name.to_string() })
    };
    [
        (FieldName::CertificateValidity, certificate_validity.map(|seconds| seconds.to_string())),
        (FieldName::Period, period.map(|seconds| seconds.to_string())),
        (FieldName::MaxUses, max_uses.map(|uses| uses.to_string())),
        (FieldName::Suites, suites.as_deref().map(listed)),
        (FieldName::VerdictLifetime, verdict_lifetime.map(|seconds| seconds.to_string())),
        (FieldName::RekeyAfter, rekey_after.map(|seconds| seconds.to_string())),
        (FieldName::QuarantineOnClone, quarantine_on_clone.map(|is_on| is_on.to_string())),
        (FieldName::TokenRetention, token_retention.map(|epochs| epochs.to_string())),
        (FieldName::DataRetention, data_retention.map(|epochs| epochs.to_string())),
        (FieldName::FileRetention, file_retention.map(|epochs| epochs.to_string())),
        (FieldName::Archive, archive.as_deref().map(listed)),
        (FieldName::CertificateCn, template(certificate_cn)),
        (FieldName::CertificateDns, template(certificate_dns)),
        (FieldName::CertificateUri, template(certificate_uri)),
        (FieldName::CertificateSerialNumber, template(certificate_serial_number)),
        (FieldName::CertificateProfile, certificate_profile.map(|profile| profile.to_string())),
        (FieldName::CertificateKeys, certificate_keys.map(|kinds| kinds.to_string())),
        (FieldName::CertificateNoRevAvail, certificate_no_rev_avail.map(|is_on| is_on.to_string())),
        (FieldName::CertificateRenewal, certificate_renewal.map(|percent| percent.to_string())),
    ]
}
