//! Rows: one file a table, with typed columns.
//!
//! A value is a format byte and a postcard encoding after it. All tables share one format number, which the store's own row names
//! ([`FormatRow`]): a release writes that format, and reads it and the one before. [`v1`] has the rows of format 1, for the
//! migration alone. Golden values of every format ever written are in `tests/rows`.

mod answer;
mod approval;
pub(crate) mod audit;
mod audit_sink;
mod authority;
mod bearer_token;
mod certificate;
mod claim;
mod column;
mod deed;
mod device;
mod endorsement_key;
mod grant;
mod invitation;
mod issuing_ca;
mod key;
mod key_policy;
mod keys;
mod link;
mod operator;
mod pcr_policy;
mod pins;
mod prepared;
mod profile;
mod readers;
mod revocation;
pub(crate) mod seal;
mod service;
mod signature_key;
mod site;
mod spent;
mod status_entry;
mod tenant;
#[cfg(test)]
mod tests;
mod transfer;
mod trust_policy;
mod update;
pub(crate) mod v1;
mod verdict_keys;
mod voucher;
mod webhook;

pub(crate) use answer::AnswerRow;
pub(crate) use approval::{
    ApprovalPolicyRow, AskedRow, OpenProposalRow, OpenProposalsRow, PersonRow, ProposalRow, ProposalStateRow,
};
pub(crate) use audit_sink::AuditSinkRow;
pub(crate) use authority::{
    AuthorityRow, CLOCK_KEY, CRL_KEY, ClockRow, CrlRow, FORMAT_KEY, FORMER_ROOT_KEY, FormatRow,
    FormerRootRow, LAST_BACKUP_KEY, LastBackupRow, ROOT_CRL_KEY, ROOTS_KEY, RootCrlRow, RootsRow,
};
pub(crate) use bearer_token::{BearerTokenRow, BearerTokensRow};
pub(crate) use certificate::CertificateRow;
pub(crate) use claim::{Claim, ClaimRow, parse_serial_key, serial_key, serial_prefix};
pub(crate) use deed::{DeedRow, Step, What};
pub(crate) use device::{
    DeviceRow, MAX_SOFTWARE, PlaceRow, RunningColumn, SoftwareColumn, VersionRow, attribute_names, versions,
    with_place,
};
pub(crate) use endorsement_key::EndorsementKeyRow;
pub(crate) use grant::GrantRow;
pub(crate) use invitation::{InvitationRow, OpenInvitationsRow, RedeemedRow};
pub(crate) use issuing_ca::{CaKeyColumn, IssuingCaRow, ca_place, parse_ca_key};
pub(crate) use key::{
    AUTHORITY, Holder, certificate_key, certificate_prefix, device_key, history_key, log_key,
    operator_name_key, parse_certificate_key, parse_device_key, parse_profile_key, parse_tenant_operator_key,
    platform_certificate_key, profile_key, tenant_operator_key, tenant_operator_prefix, tenant_prefix,
};
pub(crate) use key_policy::{KeyPolicyRow, RootRef, VendorRootRow};
pub(crate) use keys::{Emergency, EmergencyPlace, KeysRow, cold_place};
pub(crate) use link::Link;
pub(crate) use operator::{IssuerRow, OperatorRow};
pub(crate) use pcr_policy::{PcrPolicyRow, SelectionRow};
pub(crate) use pins::{PinColumn, PinsRow};
pub(crate) use prepared::PreparedRow;
pub(crate) use profile::ProfileRow;
pub(crate) use readers::{ReaderColumn, ReadersRow};
pub(crate) use revocation::{
    REVOKED_CERTIFICATES, Revocation, RevokedRow, RuleRow, RuleScope, parse_revocation_key, revoked_key,
    rule_key,
};
pub(crate) use service::{
    ActionColumn, ClosedRow, DeviceVisitsRow, EmergencyUseRow, EmergencyUsesRow, EndedRow, MAX_PROTOCOLS,
    OpenVisitRow, ProtocolColumn, ReleasedAtDeviceRow, ReleasedRow, ServiceCaRow, ServicePolicyRow,
    VisitEndColumn, VisitReleaseColumn, VisitRow, VisitTerms, parse_visit_key, service_ca_place, visit_key,
};
pub(crate) use signature_key::{BaselineRow, SeenChallenges, SignatureKeyRow, key_id};
pub(crate) use site::{ChoiceColumn, SiteRow, WindowColumn};
pub(crate) use spent::SpentRow;
pub(crate) use status_entry::{StatusPlaceRow, parse_status_key, status_device_key, status_place_key};
pub(crate) use tenant::{RotationRow, TenantRow};
pub(crate) use transfer::{
    AcceptedRow, TransferKey, TransferRow, awaited_key, incoming_key, parse_transfer_key, transfer_key,
};
pub(crate) use trust_policy::{TrustPolicyRow, parse_trust_policy_key, trust_policy_key};
pub(crate) use update::{
    FileColumn, KeyColumn, KeySetColumn, LineColumn, LineRow, OnlineColumn, PcrColumn, ReleaseColumn,
    ReleaseStateColumn, RepositoryRow, RolloutColumn, SealedColumn, ServedColumn, UpdateFileRow,
    artifact_key, artifact_place, parse_update_key, update_key, update_place,
};
pub(crate) use verdict_keys::{
    VERDICT_KEYS, VerdictKeyColumn, VerdictKeyStage, VerdictKeysRow, verdict_key_place,
};
pub(crate) use voucher::{UsedVoucherRow, VoucherRow};
pub(crate) use webhook::{
    WebhookPositionRow, WebhookRow, WebhookSecrets, parse_webhook_key, webhook_key, webhook_place,
};

use crate::kernel::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wardein_port::{Row, RowKey, Store, Table};

/// The format of rows that this release writes; that of the whole store is in `keep/migrate.rs`.
pub(crate) const FORMAT: u8 = 2;

/// The row as a value.
pub(crate) fn encode(row: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut value = Vec::with_capacity(256);
    value.push(FORMAT);
    postcard::to_extend(row, value)
        .map_err(|error| Error::internal(format_args!("a row does not encode: {error}")))
}

/// The row of a value.
pub(crate) fn decode<T: DeserializeOwned>(table: Table, value: &[u8]) -> Result<T, Error> {
    body(table, value, FORMAT).and_then(|body| parse(table, body))
}

/// The bytes after the format byte, which must be `format`.
pub(crate) fn body(table: Table, value: &[u8], format: u8) -> Result<&[u8], Error> {
    match value.split_first() {
        Some((found, body)) if *found == format => Ok(body),
        Some((found, _)) => Err(damaged(table, format_args!("has format {found}, not {format}"))),
        None => Err(damaged(table, "is empty")),
    }
}

fn parse<T: DeserializeOwned>(table: Table, body: &[u8]) -> Result<T, Error> {
    match postcard::take_from_bytes(body) {
        Ok((row, [])) => Ok(row),
        Ok((_, rest)) => Err(damaged(table, format_args!("has {} bytes too many", rest.len()))),
        Err(error) => Err(damaged(table, format_args!("does not decode: {error}"))),
    }
}

/// A row that nobody can read.
pub(crate) fn damaged(table: Table, what: impl std::fmt::Display) -> Error {
    Error::internal(format_args!("a row of {table:?} {what}; restore the store from a backup"))
}

/// A name in a row's key; it was one when it was written.
pub(crate) fn word<T: std::str::FromStr>(what: &'static str, text: &str) -> Result<T, Error> {
    let damaged = |_| {
        Error::internal(format_args!(
            "the key of a row holds a damaged {what}; restore the store from a backup"
        ))
    };
    text.parse().map_err(damaged)
}

/// The decoded row at `key` with its version, outside of any decision.
pub(crate) async fn load<T: DeserializeOwned>(
    store: &dyn Store,
    table: Table,
    key: &[u8],
) -> Result<Option<(u64, T)>, Error> {
    let row = store.load(&[RowKey { table, key: key.to_vec() }]).await?.pop().flatten();
    row.map(|Row { version, value }| Ok((version, decode(table, &value)?))).transpose()
}
