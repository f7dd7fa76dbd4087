//! What callers hand in and get back, in domain types.

use wardein_ddkg::message::AckedReply;
use wardein_ddkg::{Attributes, DeviceName};
use wardein_domain::{
    Assurance, AttributeName, Call, DeviceId, DeviceState, ModelName, OperatorName, PcrStanding, Principal,
    Profile, ProfileFields, ProfileName, Reason, RekeyGate, Role, Rotation, Schedule, Serial, TenantId,
    TrustDomain, Udi, Verdict, VerdictReason,
};

/// An authenticated operator, and the request that it makes.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who calls.
    pub principal: Principal,
    /// The request, for log and audit.
    pub call: Call,
}

/// A device's enrollment request with what the factory vouches for. The tenant is the station's.
#[derive(Debug, Clone)]
pub struct EnrollOrder {
    /// The device.
    pub device: DeviceId,
    /// The number of the suite.
    pub suite: u32,
    /// The device's 32 random bytes.
    pub nonce: [u8; 32],
    /// The device's share.
    pub share: Vec<u8>,
    /// What the device measured of itself.
    pub attributes: Attributes,
    /// The profile that it is to follow.
    pub profile: ProfileName,
    /// Its model.
    pub model: Option<ModelName>,
    /// Its unique device identifier.
    pub udi: Option<Udi>,
}

/// An operator to be certified.
#[derive(Debug, Clone)]
pub struct OperatorOrder {
    /// What it may be.
    pub role: Role,
    /// Its tenant.
    pub tenant: Option<TenantId>,
    /// Its name.
    pub name: OperatorName,
    /// A PKCS#10 request, DER; only its key is taken.
    pub csr: Vec<u8>,
    /// Seconds for which the certificate is valid.
    pub validity: u64,
    /// For stations: how many devices it may enroll.
    pub quota: u64,
}

/// Whom a trust query is about.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A device of the caller's tenant.
    Device(DeviceId),
    /// A certificate that a device showed, DER.
    Certificate(Vec<u8>),
}

/// The answer to a trust query.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<VerdictReason>,
    /// Unix seconds until which it may be kept.
    pub keep_until: u64,
    /// Unix seconds at which it was given.
    pub decided_at: u64,
    /// The tenant.
    pub tenant: TenantId,
    /// The device, where one is known.
    pub device: Option<DeviceId>,
    /// Its state on record.
    pub state: Option<DeviceState>,
    /// How surely the key that it signs with is where it is said to be; none for a device that derives its keys.
    pub assurance: Option<Assurance>,
    /// The last quote of its TPM's registers that was taken: by what it was found good, and when in Unix seconds.
    pub last_quote: Option<(PcrStanding, u64)>,
}

/// A part of a long list.
#[derive(Debug, Clone)]
pub struct Page {
    /// How many items: 1 to [`Page::MAX`].
    pub size: usize,
    /// The token of the page before.
    pub after: Option<Vec<u8>>,
}

impl Page {
    /// The most items of a page.
    pub const MAX: usize = 1000;
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Paged<T> {
    /// The items.
    pub items: Vec<T>,
    /// The token of the next page, if there is one.
    pub next: Option<Vec<u8>>,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its name.
    pub id: TenantId,
    /// Unix seconds.
    pub created_at: u64,
}

/// An operator on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Who it is.
    pub principal: Principal,
    /// Unix seconds from which its certificate is valid.
    pub not_before: u64,
    /// Unix seconds until which its certificate is valid.
    pub not_after: u64,
    /// Unix seconds at which it was revoked.
    pub revoked_at: Option<u64>,
    /// For stations: how many devices it may enroll.
    pub quota: u64,
    /// For stations: how many devices it enrolled.
    pub used: u64,
}

/// A profile on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedProfile {
    /// Its name.
    pub name: ProfileName,
    /// What is set for it.
    pub set: ProfileFields,
    /// What holds, with what it inherits.
    pub effective: Profile,
}

/// Whose keys are to be agreed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotationScope {
    /// Those of all devices of the tenant.
    Tenant,
    /// Those of the devices of a profile.
    Profile(ProfileName),
    /// Those of a device.
    Device(DeviceId),
}

/// When keys change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatus {
    /// The profile that was asked about, or that of the device.
    pub profile: ProfileName,
    /// What holds by it.
    pub effective: Profile,
    /// The latest rotations of all levels.
    pub rotation: Rotation,
    /// Of the device that was asked about.
    pub device: Option<DeviceKeys>,
    /// What the tenant's records are sealed under.
    pub storage: StorageKey,
}

/// A key that what is stored is sealed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageKey {
    /// The version that is sealed under now, from 1.
    pub version: u32,
    /// How many older versions are kept, because something may be under them still.
    pub older: u32,
}

/// Where a device's keys stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceKeys {
    /// The active generation.
    pub generation: u64,
    /// One that was agreed and not used yet.
    pub pending_generation: Option<u64>,
    /// The suite of the active generation.
    pub suite: u16,
    /// Unix seconds at which the active generation was agreed.
    pub agreed_at: u64,
    /// Unix seconds at which it is to be agreed anew by its age.
    pub due_at: Option<u64>,
    /// What the device may ask for.
    pub gate: RekeyGate,
    /// The highest epoch of an accepted proof.
    pub proof_epoch: u32,
    /// The schedule of the active generation.
    pub schedule: Schedule,
}

/// The answer to a proved request.
#[derive(Debug, Clone)]
pub struct Proved {
    /// What the device believes.
    pub reply: AckedReply,
    /// Whether it is to rekey soon.
    pub rekey_due: bool,
}

/// A device on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Who it is.
    pub name: DeviceName,
    /// Where it stands.
    pub state: DeviceState,
    /// Why, where a human or an alarm brought it there.
    pub state_reason: Option<Reason>,
    /// The profile that it follows.
    pub profile: ProfileName,
    /// Its model.
    pub model: Option<ModelName>,
    /// Its unique device identifier.
    pub udi: Option<Udi>,
    /// Unix seconds.
    pub enrolled_at: u64,
    /// The station that enrolled it.
    pub enrolled_by: String,
    /// The active generation of its keys.
    pub generation: u64,
    /// The highest epoch of an accepted proof.
    pub proof_epoch: u32,
    /// The suite of the active generation.
    pub suite: u16,
    /// The names of its attributes.
    pub attributes: Vec<AttributeName>,
    /// Unix seconds of the last accepted proof.
    pub last_seen: Option<u64>,
    /// Unix seconds at which the active generation was agreed.
    pub agreed_at: u64,
    /// Whether its keys are to be agreed anew.
    pub gate: RekeyGate,
    /// The key that it signs with, where it does not derive its keys.
    pub signing: Option<SigningKey>,
}

/// The key that a device signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningKey {
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub id: [u8; 32],
    /// How surely it is where it is said to be.
    pub assurance: Assurance,
    /// The last quote of its TPM's registers that was taken: by what it was found good, and when in Unix seconds.
    pub last_quote: Option<(PcrStanding, u64)>,
}

/// Which devices to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceFilter {
    /// Those in this state.
    pub state: Option<DeviceState>,
    /// Those of this profile.
    pub profile: Option<ProfileName>,
    /// Those of this model.
    pub model: Option<ModelName>,
    /// Those whose last proof was before this Unix second, or that never proved anything.
    pub seen_before: Option<u64>,
    /// Those whose last proof was at this Unix second or later.
    pub seen_after: Option<u64>,
    /// Those whose keys are to be agreed anew.
    pub rekey_due: bool,
}

/// A certificate on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its serial.
    pub serial: Serial,
    /// Whose it is.
    pub device: DeviceName,
    /// Unix seconds from which it is valid.
    pub not_before: u64,
    /// Unix seconds until which it is valid.
    pub not_after: u64,
    /// Unix seconds at which it was revoked, and why.
    pub revoked: Option<(u64, Reason)>,
    /// The certificate, DER.
    pub der: Vec<u8>,
}

/// What the authority says of itself.
#[derive(Debug, Clone)]
pub struct Status {
    /// The trust domain of its SPIFFE ids.
    pub trust_domain: TrustDomain,
    /// Unix seconds.
    pub time: u64,
    /// Unix seconds at which the engine was opened.
    pub started_at: u64,
    /// How many audit entries there are.
    pub audit_entries: u64,
    /// The root key.
    pub root_key: StorageKey,
}

/// What devices and platforms verify with.
#[derive(Debug, Clone)]
pub struct TrustBundle {
    /// Root and issuing CA, PEM, root first.
    pub pem: String,
    /// The identity key, an uncompressed P-256 point.
    pub identity_key: [u8; 65],
}
