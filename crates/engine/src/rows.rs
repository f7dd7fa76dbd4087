//! Rows: their keys, and what their values say. A value is a format version and a postcard encoding behind it.

use crate::kernel::Error;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use wardein_ddkg::DeviceName;
use wardein_ddkg::authority::Record;
use wardein_domain::{DeviceId, OperatorName, ProfileName, Role, Rotation, Serial, TenantId};
use wardein_port::{Row, RowKey, Store, Table};

/// The row of what there is one of.
pub(crate) const AUTHORITY: &[u8] = b"authority";

/// `tenant ‖ 0`, behind which all that is a tenant's is found.
pub(crate) fn tenant_prefix(tenant: &TenantId) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key.extend_from_slice(tenant.as_str().as_bytes());
    key.push(0);
    key
}

pub(crate) fn device_key(name: &DeviceName) -> Vec<u8> {
    let mut key = tenant_prefix(&name.tenant);
    key.extend_from_slice(name.device.as_str().as_bytes());
    key
}

/// The device that [`device_key`] is the key of.
pub(crate) fn parse_device_key(key: &[u8]) -> Option<DeviceName> {
    let text = std::str::from_utf8(key).ok()?;
    let (tenant, device) = text.split_once('\0')?;
    Some(DeviceName { tenant: tenant.parse().ok()?, device: device.parse().ok()? })
}

pub(crate) fn profile_key(tenant: &TenantId, name: &ProfileName) -> Vec<u8> {
    let mut key = tenant_prefix(tenant);
    key.extend_from_slice(name.as_str().as_bytes());
    key
}

/// Tenant and name that [`profile_key`] is the key of.
pub(crate) fn parse_profile_key(key: &[u8]) -> Result<(TenantId, ProfileName), Error> {
    let text = std::str::from_utf8(key).unwrap_or_default();
    let (tenant, name) = text.split_once('\0').unwrap_or_default();
    Ok((word("tenant", tenant)?, word("profile", name)?))
}

pub(crate) fn operator_name_key(role: Role, tenant: Option<&TenantId>, name: &OperatorName) -> Vec<u8> {
    let tenant = tenant.map_or("", TenantId::as_str);
    [role.as_str(), tenant, name.as_str()].join("\0").into_bytes()
}

/// `tenant ‖ 0 ‖ device ‖ 0`, behind which a device's certificates are found.
pub(crate) fn certificate_prefix(tenant: &TenantId, device: &DeviceId) -> Vec<u8> {
    let mut key = tenant_prefix(tenant);
    key.extend_from_slice(device.as_str().as_bytes());
    key.push(0);
    key
}

pub(crate) fn certificate_key(name: &DeviceName, serial: &Serial) -> Vec<u8> {
    let mut key = certificate_prefix(&name.tenant, &name.device);
    key.extend_from_slice(serial.as_bytes());
    key
}

/// Device and serial that [`certificate_key`] is the key of.
pub(crate) fn parse_certificate_key(key: &[u8]) -> Option<(DeviceName, Serial)> {
    let (name, serial) = key.split_at_checked(key.len().checked_sub(17)?)?;
    Some((parse_device_key(name)?, Serial::from_bytes(serial.get(1..)?).ok()?))
}

#[derive(Serialize, Deserialize)]
pub(crate) struct AuthorityRow {
    pub(crate) trust_domain: String,
    pub(crate) founded_at: u64,
    /// Unix second of the last restoring from a backup, made to rise from one to the next; 0 for none.
    pub(crate) restored_at: u64,
    pub(crate) root_der: Vec<u8>,
    pub(crate) issuing_der: Vec<u8>,
    pub(crate) infrastructure_der: Vec<u8>,
    /// Sealed under the root key: PKCS#8 documents and a raw key.
    pub(crate) root_key: Vec<u8>,
    pub(crate) issuing_key: Vec<u8>,
    pub(crate) infrastructure_key: Vec<u8>,
    pub(crate) identity_key: Vec<u8>,
    pub(crate) challenge_key: Vec<u8>,
}

impl AuthorityRow {
    /// What is sealed under the root key, by column.
    pub(crate) fn sealed_columns(&mut self) -> [(&'static str, &mut Vec<u8>); 5] {
        [
            ("root", &mut self.root_key),
            ("issuing", &mut self.issuing_key),
            ("infrastructure", &mut self.infrastructure_key),
            ("identity", &mut self.identity_key),
            ("challenge", &mut self.challenge_key),
        ]
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct TenantRow {
    pub(crate) created_at: u64,
    /// The versions of the tenant's key, newest first: each its number and the key, sealed under the root key.
    pub(crate) keys: Vec<Vec<u8>>,
    /// The last rotation of all its devices' keys.
    pub(crate) rotation: RotationRow,
}

/// A [`Rotation`]: when it was asked for and when it was required, in Unix seconds.
#[derive(Serialize, Deserialize, Clone, Copy, Default)]
pub(crate) struct RotationRow(u64, u64);

impl From<RotationRow> for Rotation {
    fn from(RotationRow(asked_at, required_at): RotationRow) -> Self {
        Self { asked_at, required_at }
    }
}

impl From<Rotation> for RotationRow {
    fn from(Rotation { asked_at, required_at }: Rotation) -> Self {
        Self(asked_at, required_at)
    }
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct OperatorRow {
    pub(crate) role: String,
    pub(crate) tenant: Option<String>,
    pub(crate) name: String,
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
    pub(crate) revoked: Option<(u64, String)>,
    pub(crate) quota: u64,
}

/// What is set for a profile, and the last rotation of its devices' keys.
#[derive(Serialize, Deserialize)]
pub(crate) struct ProfileRow {
    pub(crate) certificate_validity: Option<u64>,
    pub(crate) period: Option<u64>,
    pub(crate) max_uses: Option<u64>,
    pub(crate) suites: Option<Vec<u32>>,
    pub(crate) verdict_lifetime: Option<u64>,
    pub(crate) rekey_after: Option<u64>,
    pub(crate) quarantine_on_clone: Option<bool>,
    pub(crate) token_retention: Option<u32>,
    pub(crate) data_retention: Option<u32>,
    pub(crate) file_retention: Option<u32>,
    pub(crate) archive: Option<Vec<String>>,
    pub(crate) rotation: RotationRow,
}

#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct DeviceRow {
    pub(crate) state: String,
    pub(crate) state_reason: Option<String>,
    pub(crate) profile: String,
    pub(crate) model: Option<String>,
    pub(crate) udi: Option<String>,
    pub(crate) enrolled_at: u64,
    pub(crate) enrolled_by: String,
    /// The serial of the station's certificate, by which its quota is counted.
    pub(crate) station: [u8; 16],
    /// The names of its attributes, in byte order: its recipe.
    pub(crate) attributes: Vec<String>,
    /// The last rotation of its keys alone.
    pub(crate) rotation: RotationRow,
    /// Unix second at which it was last readmitted; 0 for never. What was certified until then counts as revoked.
    pub(crate) readmitted_at: u64,
    /// How surely the key that it signs with is where it is said to be; none for a device that derives its keys.
    pub(crate) assurance: Option<String>,
}

/// What [`DeviceRow::attributes`] holds of a record.
pub(crate) fn attribute_names(record: &Record) -> Vec<String> {
    record.attributes().names().names().iter().map(ToString::to_string).collect()
}

#[derive(Serialize, Deserialize)]
pub(crate) struct CertificateRow {
    /// Unix second; `not_before` is earlier, for clocks that are behind.
    pub(crate) issued_at: u64,
    pub(crate) not_before: u64,
    pub(crate) not_after: u64,
    pub(crate) revoked: Option<(u64, String)>,
    pub(crate) der: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct AuditRow<'a> {
    pub(crate) time_ms: u64,
    pub(crate) tenant: Option<Cow<'a, str>>,
    pub(crate) actor: Cow<'a, str>,
    pub(crate) event: Cow<'a, str>,
    pub(crate) target: Cow<'a, str>,
    pub(crate) outcome: Cow<'a, str>,
    pub(crate) detail: Cow<'a, str>,
    pub(crate) request_id: Cow<'a, str>,
}

pub(crate) fn encode(row: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut value = Vec::with_capacity(256);
    value.push(FORMAT);
    postcard::to_extend(row, value)
        .map_err(|error| Error::internal(format_args!("a row does not encode: {error}")))
}

pub(crate) fn decode<T: DeserializeOwned>(table: Table, value: &[u8]) -> Result<T, Error> {
    match value.split_first() {
        Some((&FORMAT, body)) => postcard::from_bytes(body)
            .map_err(|error| Error::internal(format_args!("a row of {table:?} does not decode: {error}"))),
        Some((format, _)) => {
            Err(Error::internal(format_args!("a row of {table:?} has format {format}; {FORMAT} is known")))
        }
        None => Err(Error::internal(format_args!("a row of {table:?} is empty"))),
    }
}

/// A word of the domain that a row holds; it was one when it was written.
pub(crate) fn word<T: std::str::FromStr>(what: &'static str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::internal(format_args!("a row holds a {what} that is none")))
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

const FORMAT: u8 = 1;
