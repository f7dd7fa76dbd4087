//! Their shapes, and the migration of each.

use super::super as now;
use crate::kernel::Error;
use serde::Deserialize;
use wardein_crypto::P256VerifyingKey;
use wardein_domain::{
    Bank, LoginNames, ProfileFields, RevocationReason, Rotation, Serial, UnixMillis, UnixSeconds, is_plain,
};
use wardein_port::Table;

#[derive(Deserialize)]
pub(super) struct AuthorityV1 {
    trust_domain: String,
    founded_at: u64,
    restored_at: u64,
    root_der: Vec<u8>,
    issuing_der: Vec<u8>,
    infrastructure_der: Vec<u8>,
    root_key: Vec<u8>,
    issuing_key: Vec<u8>,
    infrastructure_key: Vec<u8>,
    identity_key: Vec<u8>,
    challenge_key: Vec<u8>,
}

impl AuthorityV1 {
    pub(super) fn renewed(self) -> Result<now::AuthorityRow, Error> {
        Ok(now::AuthorityRow {
            trust_domain: word(Table::Authority, &self.trust_domain)?,
            founded_at: UnixSeconds::new(self.founded_at),
            restored_at: UnixSeconds::new(self.restored_at),
            root_der: self.root_der,
            issuing_der: self.issuing_der,
            infrastructure_der: self.infrastructure_der,
            root_key: self.root_key,
            issuing_key: self.issuing_key,
            infrastructure_key: self.infrastructure_key,
            identity_key: self.identity_key,
            challenge_key: self.challenge_key,
        })
    }
}

/// When it was requested, and when it was required.
#[derive(Deserialize)]
struct RotationV1(u64, u64);

impl RotationV1 {
    fn renewed(&self) -> now::RotationRow {
        Rotation { asked_at: self.0, required_at: self.1 }.into()
    }
}

#[derive(Deserialize)]
pub(super) struct TenantV1 {
    created_at: u64,
    keys: Vec<Vec<u8>>,
    rotation: RotationV1,
}

impl TenantV1 {
    pub(super) fn renewed(self) -> now::TenantRow {
        let Self { created_at, keys, rotation } = self;
        now::TenantRow { created_at: UnixSeconds::new(created_at), keys, rotation: rotation.renewed() }
    }
}

#[derive(Deserialize)]
pub(super) struct OperatorV1 {
    role: String,
    tenant: Option<String>,
    name: String,
    not_before: u64,
    not_after: u64,
    revoked: Option<(u64, String)>,
    quota: u64,
}

impl OperatorV1 {
    pub(super) fn renewed(self) -> Result<now::OperatorRow, Error> {
        let table = Table::Operator;
        Ok(now::OperatorRow {
            role: word(table, &self.role)?,
            tenant: maybe(table, self.tenant.as_deref())?,
            name: word(table, &self.name)?,
            not_before: UnixSeconds::new(self.not_before),
            not_after: UnixSeconds::new(self.not_after),
            revoked: self.revoked.map(|revoked| revocation(table, revoked)).transpose()?,
            quota: self.quota,
            issued_by: None,
        })
    }
}

#[derive(Deserialize)]
pub(super) struct ProfileV1 {
    certificate_validity: Option<u64>,
    period: Option<u64>,
    max_uses: Option<u64>,
    suites: Option<Vec<u32>>,
    verdict_lifetime: Option<u64>,
    rekey_after: Option<u64>,
    quarantine_on_clone: Option<bool>,
    token_retention: Option<u32>,
    data_retention: Option<u32>,
    file_retention: Option<u32>,
    archive: Option<Vec<String>>,
    rotation: RotationV1,
}

impl ProfileV1 {
    pub(super) fn renewed(self) -> Result<now::ProfileRow, Error> {
        let purposes = |words: Vec<String>| {
            words.iter().map(|text| word(Table::Profile, text)).collect::<Result<_, _>>()
        };
        let fields = ProfileFields {
            certificate_validity: self.certificate_validity,
            period: self.period,
            max_uses: self.max_uses,
            suites: self.suites,
            verdict_lifetime: self.verdict_lifetime,
            rekey_after: self.rekey_after,
            quarantine_on_clone: self.quarantine_on_clone,
            token_retention: self.token_retention,
            data_retention: self.data_retention,
            file_retention: self.file_retention,
            archive: self.archive.map(purposes).transpose()?,
            certificate_cn: None,
            certificate_dns: None,
            certificate_uri: None,
            certificate_serial_number: None,
            certificate_profile: None,
            certificate_keys: None,
            certificate_no_rev_avail: None,
            certificate_renewal: None,
        };
        Ok(now::ProfileRow::new(&fields, self.rotation.renewed()))
    }
}

/// A device; with it a moment until which its certificates count as revoked, which is a row of its own now.
#[derive(Deserialize)]
pub(crate) struct DeviceV1 {
    state: String,
    state_reason: Option<String>,
    profile: String,
    model: Option<String>,
    udi: Option<String>,
    enrolled_at: u64,
    enrolled_by: String,
    station: [u8; 16],
    attributes: Vec<String>,
    rotation: RotationV1,
    readmitted_at: u64,
    assurance: Option<String>,
}

impl DeviceV1 {
    pub(crate) fn renewed(self) -> Result<(now::DeviceRow, Option<UnixSeconds>), Error> {
        let table = Table::Device;
        let readmitted_at = Some(self.readmitted_at).filter(|at| *at != 0).map(UnixSeconds::new);
        let names = self.attributes.iter().map(|name| word(table, name));
        let row = now::DeviceRow {
            state: word(table, &self.state)?,
            state_reason: maybe(table, self.state_reason.as_deref())?,
            state_since: UnixSeconds::new(self.enrolled_at),
            profile: word(table, &self.profile)?,
            model: maybe(table, self.model.as_deref())?,
            udi: maybe(table, self.udi.as_deref())?,
            enrolled_at: UnixSeconds::new(self.enrolled_at),
            enrolled_by: self.enrolled_by,
            places: now::with_place(Vec::new(), &serial(table, &self.station)?),
            replaced: 0,
            attributes: names.collect::<Result<_, _>>()?,
            rotation: self.rotation.renewed(),
            assurance: maybe(table, self.assurance.as_deref())?,
            is_shared: false,
            versions: Vec::new(),
            announced: Vec::new(),
            software: Vec::new(),
        };
        Ok((row, readmitted_at))
    }
}

/// A certificate; with it its revocation, which is a row of its own now.
#[derive(Deserialize)]
pub(crate) struct CertificateV1 {
    issued_at: u64,
    not_before: u64,
    not_after: u64,
    revoked: Option<(u64, String)>,
    der: Vec<u8>,
}

impl CertificateV1 {
    pub(crate) fn renewed(self) -> Result<(now::CertificateRow, Option<now::RevokedRow>), Error> {
        let row = now::CertificateRow {
            issued_at: UnixSeconds::new(self.issued_at),
            not_before: UnixSeconds::new(self.not_before),
            not_after: UnixSeconds::new(self.not_after),
            era: 0,
            der: self.der,
        };
        let revoked = self.revoked.map(|revoked| revocation(Table::Certificate, revoked)).transpose()?;
        let revoked = revoked.map(|(at, reason)| row.revoked(at, reason, RevocationReason::Unspecified));
        Ok((row, revoked.transpose()?))
    }
}

#[derive(Deserialize)]
pub(super) struct SpentV1 {
    at: u64,
    by: [u8; 16],
    idempotency: [u8; 32],
    message: Option<[u8; 32]>,
}

impl SpentV1 {
    pub(super) fn renewed(self) -> Result<now::SpentRow, Error> {
        let Self { at, by, idempotency, message } = self;
        let by = serial(Table::Spent, &by)?;
        Ok(now::SpentRow { at: UnixSeconds::new(at), by, idempotency, message })
    }
}

#[derive(Deserialize)]
pub(super) struct GrantV1 {
    user_name: Option<String>,
    granted_at: u64,
    granted_by: String,
}

impl GrantV1 {
    pub(super) fn renewed(self) -> Result<now::GrantRow, Error> {
        let user_name = maybe(Table::Grant, self.user_name.as_deref())?;
        let names = LoginNames { user_name, ..LoginNames::default() };
        Ok(now::GrantRow::new(names, UnixSeconds::new(self.granted_at), self.granted_by))
    }
}

#[derive(Deserialize)]
pub(super) struct SignatureKeyV1 {
    point: Vec<u8>,
    assurance: String,
    ek: Option<[u8; 32]>,
    ak: Option<Vec<u8>>,
    baseline: Option<BaselineV1>,
    quoted: Option<(u64, String)>,
    last_seen: u64,
    seen: SeenV1,
}

#[derive(Deserialize)]
struct BaselineV1 {
    selection: SelectionV1,
    digest: Vec<u8>,
    is_approved: bool,
}

#[derive(Deserialize)]
struct SeenV1 {
    seen: Vec<(u64, [u8; 16])>,
    dropped_ms: u64,
}

impl SignatureKeyV1 {
    pub(super) fn renewed(self) -> Result<now::SignatureKeyRow, Error> {
        let table = Table::SignatureKey;
        let point =
            self.point.as_slice().try_into().map_err(|_| now::damaged(table, "has a damaged point"))?;
        let baseline = |row: BaselineV1| {
            let BaselineV1 { selection, digest, is_approved } = row;
            Ok::<_, Error>(now::BaselineRow { selection: selection.renewed(table)?, digest, is_approved })
        };
        let SeenV1 { seen, dropped_ms } = self.seen;
        let seen = seen
            .into_iter()
            .map(|(issued, digest)| now::signature_key::Seen { issued: UnixMillis::new(issued), digest });
        Ok(now::SignatureKeyRow {
            point: P256VerifyingKey(point),
            assurance: word(table, &self.assurance)?,
            ek: self.ek,
            ak: self.ak,
            baseline: self.baseline.map(baseline).transpose()?,
            quoted: self
                .quoted
                .map(|(at, standing)| Ok::<_, Error>((UnixSeconds::new(at), word(table, &standing)?)))
                .transpose()?,
            last_seen: Some(self.last_seen).filter(|at| *at != 0).map(UnixSeconds::new),
            seen: now::SeenChallenges { seen: seen.collect(), dropped: UnixMillis::new(dropped_ms) },
        })
    }
}

/// A policy; the certificates in it are rows of their own now.
#[derive(Deserialize)]
pub(crate) struct KeyPolicyV1 {
    vendor_roots: Vec<Vec<u8>>,
    first_use: bool,
    keepers: Vec<String>,
}

impl KeyPolicyV1 {
    pub(crate) fn renewed(self) -> Result<(now::KeyPolicyRow, Vec<Vec<u8>>), Error> {
        let keepers =
            self.keepers.iter().map(|text| word(Table::KeyPolicy, text)).collect::<Result<_, _>>()?;
        let Self { vendor_roots: ders, first_use, .. } = self;
        let vendor_roots = crate::sign::policy::refs(&ders)?;
        Ok((now::KeyPolicyRow { vendor_roots, first_use, keepers, shared_tpms: false }, ders))
    }
}

#[derive(Deserialize)]
pub(super) struct EndorsementKeyV1 {
    added_at: u64,
}

impl EndorsementKeyV1 {
    pub(super) fn renewed(self) -> now::EndorsementKeyRow {
        now::EndorsementKeyRow { added_at: UnixSeconds::new(self.added_at) }
    }
}

#[derive(Deserialize)]
pub(super) enum PcrPolicyV1 {
    Any,
    Golden { bank: String, allowed: Vec<(u8, Vec<Vec<u8>>)> },
    AsEnrolled(SelectionV1),
}

/// A bank by its name, and PCRs.
#[derive(Deserialize)]
pub(super) struct SelectionV1(String, Vec<u8>);

impl PcrPolicyV1 {
    pub(super) fn renewed(self) -> Result<now::PcrPolicyRow, Error> {
        let table = Table::PcrPolicy;
        Ok(match self {
            Self::Any => now::PcrPolicyRow::Any,
            Self::Golden { bank: name, allowed } => {
                now::PcrPolicyRow::Golden { bank: bank(table, &name)?, allowed }
            }
            Self::AsEnrolled(selection) => now::PcrPolicyRow::AsEnrolled(selection.renewed(table)?),
        })
    }
}

impl SelectionV1 {
    fn renewed(self, table: Table) -> Result<now::SelectionRow, Error> {
        Ok(now::SelectionRow { bank: bank(table, &self.0)?, pcrs: self.1 })
    }
}

fn bank(table: Table, name: &str) -> Result<Bank, Error> {
    name.parse().map_err(|_| now::damaged(table, "names an unknown PCR bank"))
}

fn serial(table: Table, bytes: &[u8; 16]) -> Result<Serial, Error> {
    Serial::from_bytes(bytes).map_err(|error| now::damaged(table, error))
}

fn revocation<T: std::str::FromStr>(
    table: Table,
    (at, reason): (u64, String),
) -> Result<(UnixSeconds, T), Error> {
    Ok((UnixSeconds::new(at), word(table, &reason)?))
}

fn maybe<T: std::str::FromStr>(table: Table, text: Option<&str>) -> Result<Option<T>, Error> {
    text.map(|text| word(table, text)).transpose()
}

fn word<T: std::str::FromStr>(table: Table, text: &str) -> Result<T, Error> {
    // Free text could have characters that cannot be seen, and is read without them.
    let seen = || match text.chars().filter(|c| is_plain(*c)).collect::<String>() {
        none if none.is_empty() => "-".to_owned(),
        seen => seen,
    };
    let word = text.parse().or_else(|_| seen().parse());
    word.map_err(|_| now::damaged(table, "holds a word that this release does not know"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wardein_domain::{ModelName, Role};

    #[test]
    fn text_that_is_taken_no_more_is_read_without_what_cannot_be_seen() {
        let model = |text| word::<ModelName>(Table::Device, text).unwrap().as_str().to_owned();
        assert_eq!(model("Pump \u{202e}tsurt"), "Pump tsurt");
        assert_eq!((model("\u{200b}"), model("Gerät")), ("-".to_owned(), "Gerät".to_owned()));
        assert!(word::<Role>(Table::Operator, "king").is_err());
    }
}
