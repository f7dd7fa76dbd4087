//! What the audit log says: who did what on whom, with which result.

use crate::name::{DeviceId, TenantId};
use crate::operator::Principal;
use alloc::string::{String, ToString};
use core::fmt::{self, Write};

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// An operator.
    Operator(Principal),
    /// A device, by a right proof.
    Device(TenantId, DeviceId),
    /// The authority itself.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(principal) => principal.fmt(f),
            Self::Device(tenant, device) => write!(f, "device/{tenant}/{device}"),
            Self::System => f.write_str("system"),
        }
    }
}

macro_rules! events {
    ($($(#[$doc:meta])* $event:ident = $code:literal,)*) => {
        /// What was done, or was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $event,)*
        }

        impl Event {
            /// The stable code.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$event => $code,)*
                }
            }
        }
    };
}

events! {
    /// The authority was founded.
    Founded = "authority.found",
    /// The service started.
    Started = "authority.start",
    /// A server's certificate was issued.
    ServerCertified = "authority.certify-server",
    /// The service stopped in order.
    Stopped = "authority.stop",
    /// A tenant was created.
    TenantCreated = "tenant.create",
    /// An operator's certificate was issued.
    OperatorIssued = "operator.issue",
    /// An operator was revoked.
    OperatorRevoked = "operator.revoke",
    /// A profile was set.
    ProfilePut = "profile.put",
    /// A device was enrolled, and its confirmation is awaited.
    DeviceEnrolled = "device.enroll",
    /// A device's enrollment was confirmed.
    DeviceConfirmed = "device.confirm",
    /// A device was enrolled by the key that it signs with.
    KeyEnrolled = "device.enroll-key",
    /// Which keys devices may sign with was set.
    KeyPolicyPut = "key-policy.put",
    /// What is asked of the registers of devices' TPMs was set.
    PcrPolicyPut = "pcr-policy.put",
    /// The state of a device's registers was approved.
    PcrsApproved = "device.approve-pcrs",
    /// Endorsement keys were put on a tenant's list.
    EndorsementKeysAdded = "endorsement-key.add",
    /// Endorsement keys were taken off a tenant's list.
    EndorsementKeysRemoved = "endorsement-key.remove",
    /// A device proved itself.
    DeviceAuthenticated = "device.authenticate",
    /// A device's state was set by hand.
    DeviceStateSet = "device.set-state",
    /// A device's keys were erased for good, and what the disk may have of them is made unreadable: the begin, and the end.
    DeviceShredded = "device.shred",
    /// A device that was quarantined came back into trust, or may enroll anew.
    DeviceReadmitted = "device.readmit",
    /// A device agreed on keys anew.
    DeviceRekeyed = "device.rekey",
    /// A device announced other attributes.
    AttributesAnnounced = "device.attributes",
    /// Keys were asked to be agreed anew.
    KeysRotated = "key.rotate",
    /// A clone was suspected.
    CloneSuspected = "device.clone-suspected",
    /// A device took the trust bundle.
    TrustBundleServed = "device.trust-bundle",
    /// A certificate was issued to a device.
    CertificateIssued = "certificate.issue",
    /// A certificate was revoked.
    CertificateRevoked = "certificate.revoke",
    /// A platform was granted a right.
    GrantAdded = "grant.add",
    /// A platform's right was taken back.
    GrantRemoved = "grant.remove",
    /// A token was verified for a platform, and spent.
    TokenVerified = "token.verify",
    /// A key was released to a platform.
    KeyReleased = "key.release",
    /// A payload was opened for a platform.
    PayloadOpened = "payload.open",
    /// A key that seals rows is changed, the root key or a tenant's: each step, and the destruction of the root key's older versions.
    StorageKeyRotated = "key.rotate-storage",
    /// Versions of a tenant's key that nothing was under were dropped.
    StorageKeyDropped = "key.drop-storage",
    /// All devices' keys were gone over.
    Swept = "key.sweep",
    /// A backup was begun, or is complete.
    BackedUp = "authority.backup",
    /// The authority was restored from a backup.
    Restored = "authority.restore",
    /// The store was brought to the format of a later release.
    Migrated = "authority.migrate",
    /// The audit log was read.
    AuditRead = "audit.read",
    /// A call of an authenticated caller was refused.
    CallRefused = "call.refuse",
}

impl Event {
    /// Whether it only says that a device is there: too frequent, and too alike, for its history.
    pub fn is_sign_of_life(self) -> bool {
        matches!(self, Self::DeviceAuthenticated | Self::TrustBundleServed)
    }
}

/// How it ended: done, or refused with a stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused(&'static str),
}

impl Outcome {
    /// `ok`, or the code of the refusal.
    pub fn code(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Refused(code) => code,
        }
    }
}

/// One entry. The store gives it its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Unix milliseconds.
    pub time_ms: u64,
    /// The tenant that it concerns, if one.
    pub tenant: Option<TenantId>,
    /// Who.
    pub actor: String,
    /// What: the code of an [`Event`].
    pub event: String,
    /// On whom, such as `device/TENANT/ID`.
    pub target: String,
    /// `ok`, or the code of the refusal.
    pub outcome: String,
    /// More, in words. It holds no secret.
    pub detail: String,
    /// The id of the request.
    pub request_id: String,
}

impl AuditEntry {
    /// An entry without detail.
    pub fn new(
        time_ms: u64,
        actor: &Actor,
        event: Event,
        target: impl fmt::Display,
        outcome: Outcome,
        request_id: &str,
    ) -> Self {
        let tenant = match actor {
            Actor::Operator(principal) => principal.tenant.clone(),
            Actor::Device(tenant, _) => Some(tenant.clone()),
            Actor::System => None,
        };
        Self {
            time_ms,
            tenant,
            actor: text(actor),
            event: event.code().to_string(),
            target: text(target),
            outcome: outcome.code().to_string(),
            detail: String::new(),
            request_id: request_id.to_string(),
        }
    }

    /// The same with the tenant that it concerns.
    pub fn in_tenant(self, tenant: &TenantId) -> Self {
        Self { tenant: Some(tenant.clone()), ..self }
    }

    /// The same with more words.
    pub fn with(self, detail: impl fmt::Display) -> Self {
        Self { detail: detail.to_string(), ..self }
    }
}

/// As `to_string`, with room for most at once.
fn text(words: impl fmt::Display) -> String {
    let mut text = String::with_capacity(64);
    // A String takes whatever it is given.
    let _ = write!(text, "{words}");
    text
}
