//! The use cases of Wardein: decide, commit, project.
//!
//! What: everything that the authority does. A decision is a function of rows, memory, the time and random bytes that were handed
//! in; it comes to one [`wardein_port::Change`]. The store commits that and gives it a revision, and the written rows are
//! projected to the memory that answers, in order. Why here: one place in which a decision, its record and its audit entry come
//! together, so that none exists without the others. What it does not do: no transport, no files, no SQL.

mod access;
mod approve;
mod derive;
mod fleet;
mod issue;
mod keep;
mod kernel;
mod project;
mod release;
mod rows;
mod service;
mod sign;
mod trust;
mod update;

pub use access::audit::{AuditFilter, Ended};
pub use access::bearer_tokens::{BearerToken, BearerTokenId, MadeBearerToken};
pub use access::grants::{Grant, GrantOrder};
pub use access::invitations::{Invitation, InvitationId, InvitationOrder};
pub use access::open_invitations::OpenInvitation;
pub use access::operators::{Issuer, Operator, OperatorOrder};
pub use access::tenants::Tenant;
pub use approve::policy::ApprovalPolicyView;
pub use approve::proposals::{Proposal, ProposalId, ProposalState};
pub use derive::proof::Proved;
pub use derive::rotation::{DeviceKeys, KeyStatus, RotationScope};
pub use derive::spent::REPEAT_WINDOW;
pub use fleet::batches::{BatchChange, BatchOrder};
pub use fleet::devices::{Device, DeviceFilter, SigningKey};
pub use fleet::enrollment::EnrollOrder;
pub use fleet::profiles::{ListedProfile, ProfilePut};
pub use fleet::shred::Shredding;
pub use fleet::subjects::Listed;
pub use fleet::transfers::{AcceptOrder, Accepted, Transfer, TransferOrder};
pub use fleet::vouchers::{Voucher, VoucherOrder};
pub use issue::authority::{ServerIdentity, TrustBundle};
pub use issue::ca_changes::{CaOrder, Distrusted};
pub use issue::ca_keys::{CaKeySource, CaKeys};
pub use issue::ca_schedule::{Expiry, Own};
pub use issue::cas::Ca;
pub use issue::certificates::{Certificate, Issued};
pub use issue::crl::{CRL_LIFETIME, CrlFile, CrlStatus};
pub use issue::made_key::{KeySource, MadeKey};
pub use issue::ocsp::OcspReply;
pub use issue::pins::{PinsPut, PlatformPins};
pub use issue::platform::{PlatformCertificate, PlatformOrder};
pub use issue::renewal::{Enrolled, EstCall, Wanted};
pub use keep::backup::{Backup, BackupPart};
pub use keep::clock::{Acceptance, ClockStatus, LeftBehind};
pub use keep::deeds::{Deed, DeedOf, DeedProgress, DeedStep, DeedWatch};
pub use keep::found::{Founded, found, found_with};
pub use keep::migrate::{Migrating, migrate};
pub use keep::opens::require_custody;
pub use keep::recover::{Recovery, administrators};
pub use keep::restore::{Restored, Restoring, Verified, restore_in_place};
pub use keep::root_ca::{RootExport, import_root};
pub use keep::root_rotation::{drop_former_root, rotate_root};
pub use keep::sweep::{Sweep, SweepProgress, pace};
pub use keep::unserved::{StoreDeed, record_store_deed};
pub use kernel::{Caller, Detail, Engine, Error, Etag, Meter, Page, Paged, Ports, Status};
pub use project::ReceiptCounts;
pub use project::Revoked;
pub use release::files::{FileKeys, FileKeysAsk, FileStanzas};
pub use release::keys::{OpenAsk, ReleaseAsk, Sealed, Unsealed};
pub use release::readers::{ReaderOrder, Sealing};
pub use release::tokens::{LoggedIn, TokenAsk};
pub use rows::seal::StorageKey;
pub use service::ca::VisitCertificate;
pub use service::carried::ImportedProtocol;
pub use service::code::VisitCode;
pub use service::counts::ServiceCounts;
pub use service::emergency::{EmergencyCode, EmergencyUse, EmergencyUses};
pub use service::invite::VisitOrder;
pub use service::protocols::SessionProtocol;
pub use service::visits::{Releaser, Visit, VisitClosing, VisitId, VisitState};
pub use sign::{
    EndorsementKey, KeyOrder, KeyPolicy, PcrPolicy, SetPcrPolicy, SignedReply, SignedRequest, TpmActivation,
};
pub use trust::check::{Answer, Subject, VerdictBatch};
pub use trust::policy::{DeviceTrust, PolicyPreview, SetTrustPolicy, TrustPolicyView, VerdictChange};
pub use trust::receipt::{Audience, AudienceError, ReceiptAsk, ReceiptNonce};
pub use trust::status_list::StatusListFile;
pub use trust::watch::{Bookmark, DeviceVerdict, Watch, WatchFrom, Watched};
pub use trust::webhooks::{Receiver, Webhook, WebhookOrder};
pub use update::UpdateRole;
pub use update::lines::LineOrder;
pub use update::releases::ReleaseDeed;
pub use update::repositories::UpdateKeys;
pub use update::site::{UpdateChoice, UpdateDecision, UpdateRules};
pub use update::views::{
    ArtifactKey, ProductLine, Release, ReleaseOrder, ReleasePcr, ReleaseState, Rollout, UpdateDraft,
    UpdateFile, UpdateKey, UpdateRepository,
};
pub use wardein_domain::{ErrorCode, ErrorKind};
