//! The rows of format 1, as the release before wrote them: read once, by the migration, and never written.
//!
//! Words were text, times bare numbers, a device's keys one sealed row, and revocation was computed from columns of other rows.

mod rows;

use super::{KeysRow, encode};
use crate::kernel::Error;
use crate::rows::seal::{Keyring, Place};
use wardein_port::Table;

pub(crate) use rows::{CertificateV1, DeviceV1, KeyPolicyV1};

/// The value of a row of format 2 that a row of format 1 becomes, in the tables in which one row becomes one row.
pub(crate) fn renewed(table: Table, value: &[u8]) -> Result<Vec<u8>, Error> {
    match table {
        Table::Authority => encode(&read::<rows::AuthorityV1>(table, value)?.renewed()?),
        Table::Tenant => encode(&read::<rows::TenantV1>(table, value)?.renewed()),
        Table::Operator => encode(&read::<rows::OperatorV1>(table, value)?.renewed()?),
        Table::Profile => encode(&read::<rows::ProfileV1>(table, value)?.renewed()?),
        Table::Spent => encode(&read::<rows::SpentV1>(table, value)?.renewed()?),
        Table::Grant => encode(&read::<rows::GrantV1>(table, value)?.renewed()?),
        Table::SignatureKey => encode(&read::<rows::SignatureKeyV1>(table, value)?.renewed()?),
        Table::EndorsementKey => encode(&read::<rows::EndorsementKeyV1>(table, value)?.renewed()),
        Table::PcrPolicy => encode(&read::<rows::PcrPolicyV1>(table, value)?.renewed()?),
        // The values of these two had no format at all.
        Table::Serial | Table::OperatorName => Ok(super::Link::encode(value)),
        Table::Device
        | Table::DeviceKeys
        | Table::Certificate
        | Table::KeyPolicy
        | Table::History
        | Table::DeviceHot
        | Table::CertificateFingerprint
        | Table::Revocation
        | Table::Deed
        | Table::Prepared
        | Table::DeviceClaim
        | Table::VendorRoot
        | Table::TenantOperator
        | Table::Invitation
        | Table::IdempotencyKey
        | Table::Transfer
        | Table::OperatorAnswer
        | Table::OpenInvitations
        | Table::IssuingCa
        | Table::Voucher
        | Table::PlatformPins
        | Table::TrustPolicy
        | Table::StatusEntry
        | Table::BearerTokens
        | Table::ApprovalPolicy
        | Table::Proposal
        | Table::OpenProposals
        | Table::ServicePolicy
        | Table::Visit
        | Table::DeviceVisits
        | Table::ServiceCa
        | Table::EmergencyUses
        | Table::Webhook
        | Table::WebhookPosition
        | Table::UpdateRepository
        | Table::ProductLine
        | Table::SiteUpdates
        | Table::Readers
        | Table::UpdateFile
        | Table::AuditSink => Err(super::damaged(table, "is not one that a row of format 1 becomes alone")),
    }
}

/// The key of the row that said when the last sweep ended; nothing asks for it any more.
pub(crate) const SWEEP_KEY: &[u8] = b"sweep";

/// A row of format 1.
pub(crate) fn read<T: serde::de::DeserializeOwned>(table: Table, value: &[u8]) -> Result<T, Error> {
    super::body(table, value, 1).and_then(|body| super::parse(table, body))
}

/// The keys of a device out of their sealed row of format 1.
pub(crate) fn read_keys(ring: &Keyring, key: &[u8], value: &[u8]) -> Result<KeysRow, Error> {
    let place = Place { table: Table::DeviceKeys, key, column: "keys" };
    KeysRow::decode_v1(ring.open(place, value)?.expose())
}
