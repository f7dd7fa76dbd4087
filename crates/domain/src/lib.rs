//! The rules and words of Wardein, pure.
//!
//! What: names that cannot be malformed once they exist, and the arithmetic of schedules. Why here: every floor above
//! speaks in these types, so text from outside is judged once. What it does not do: no IO, no clock, no randomness,
//! no secret.
#![no_std]
extern crate alloc;

mod access;
mod approval;
mod assurance;
mod audit;
mod authority_clock;
mod ca;
mod causes;
mod certificate_names;
mod certificate_profile;
mod code;
mod device;
mod dns_name;
mod enrolled;
mod est;
mod file_name;
mod fingerprint;
mod grant;
mod key_kind;
mod name;
mod offline;
mod operator;
mod pcr;
mod platform_profile;
mod profile;
mod profile_field;
mod quote;
mod registers;
mod renewal;
mod revocation;
mod rotation;
mod schedule;
mod serial;
mod service;
mod template;
mod time;
mod tpm;
mod transfer;
mod trust;
mod trust_policy;
mod udi;
mod update_window;
mod urn;
mod version;
mod webhook_url;

pub use access::{Access, Method};
pub use approval::{ApprovalPolicy, ApprovalPolicyError, GuardedDeed};
pub use assurance::{Assurance, KeyKeeper};
pub use audit::{
    Actor, AuditEntry, Call, Code, Event, Field, FieldName, FieldValue, Fields, Origin, Outcome, Target, Word,
};
pub use authority_clock::{Agreement, AuthorityClock, KeptTime, Reading};
pub use ca::{CaId, CaIdError, CaState};
pub use causes::with_causes;
pub use certificate_names::{CertificateNameError, CertificateNames, NameTemplate};
pub use certificate_profile::{CertificateProfile, KeyPurpose, KeyPurposes};
pub use code::{DeviceAction, ErrorCode, ErrorKind};
pub use device::{DeviceState, TransitionError};
pub use dns_name::{DnsName, DnsNameError};
pub use enrolled::EnrolledKey;
pub use est::{EstOperation, VOUCHER_MARK};
pub use file_name::{FileNameError, check_file_name};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use grant::{GroupTemplate, LoginNames, LoginTemplate, Right};
pub use key_kind::{KeyKind, KeyKinds};
pub use name::{
    Action, ActionCategory, AttributeName, Audience, CommonName, DeviceId, DeviceSerial, LineName, ModelName,
    NameError, OperatorName, ProfileName, Purpose, ReaderName, Reason, ReleaseText, RepositoryName, Selector,
    ServiceScope, SinkName, SubjectSerial, TenantId, TrustDomain, WebhookName, WorkOrder, is_plain,
};
pub use offline::{Offline, OfflineError, OfflineUse};
pub use operator::{Principal, Role};
pub use pcr::{Bank, InvalidSelection, PCRS, PcrSelection};
pub use platform_profile::PlatformProfile;
pub use profile::{Profile, ProfileError, ProfileFields};
pub use profile_field::ProfileField;
pub use quote::Quote;
pub use registers::PcrStanding;
pub use renewal::{RenewalWindow, RenewalWindowError};
pub use revocation::RevocationReason;
pub use rotation::{RekeyGate, Rotation};
pub use schedule::Schedule;
pub use serial::{Serial, SerialError};
pub use service::{
    ServicePolicy, ServicePolicyError, SourceAddress, SourceAddressError, VisitWindow, VisitWindowError,
};
pub use time::{Seconds, UnixMillis, UnixSeconds};
pub use tpm::{TpmChallenge, TpmEvidence};
pub use transfer::TransferState;
pub use trust::{CertificateFacts, DeviceFacts, Judgment, Signs, Verdict, VerdictReason};
pub use trust_policy::{TrustCondition, TrustLimit, TrustPolicy, TrustPolicyError, TrustRule};
pub use udi::{Udi, UdiError};
pub use update_window::{UpdateWindow, WindowError};
pub use urn::{Urn, UrnError};
pub use version::FirmwareVersion;
pub use webhook_url::{WebhookUrl, WebhookUrlError};
