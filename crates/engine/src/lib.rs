//! The use cases of Wardein: decide, commit, project.
//!
//! What: everything that the authority does. A decision is a function of rows, memory, the time and random bytes that were handed in;
//! it comes to one [`wardein_port::Change`]. The store commits that and gives it a revision, and what it wrote is projected to the memory
//! that answers, in order. Why here: one place in which a decision, its record and its audit entry come together, so that none exists
//! without the others. What it does not do: no transport, no files, no SQL.

mod actions;
mod alarm;
mod api;
mod audit;
mod authority;
mod backup;
mod certificates;
mod deeds;
mod device_keys;
mod devices;
mod found;
mod grants;
mod history;
mod kernel;
mod keys;
mod migrate;
mod operators;
mod profiles;
mod project;
mod proving;
mod provisioning;
mod readmission;
mod release;
mod restore;
mod restored;
mod root_key;
mod rows;
mod rows_audit;
mod seal;
mod shred;
mod signing;
mod spent;
mod sweep;
mod tenant_keys;
mod tenants;
mod tokens;
mod trust;
mod upkeep;

pub use api::{
    Answer, Caller, Certificate, Device, DeviceFilter, DeviceKeys, EnrollOrder, KeyStatus, ListedProfile,
    Operator, OperatorOrder, Page, Paged, Proved, RotationScope, SigningKey, Status, StorageKey, Subject,
    Tenant, TrustBundle,
};
pub use authority::ServerIdentity;
pub use backup::{Backup, BackupPart};
pub use certificates::Issued;
pub use deeds::{Deed, DeedOf, DeedProgress, DeedStep, DeedWatch};
pub use found::{Founded, found};
pub use grants::{Grant, GrantOrder};
pub use kernel::{Engine, Error, Kind, Meter, Ports};
pub use migrate::{Migrating, migrate};
pub use release::{OpenAsk, ReleaseAsk, Sealed, Unsealed};
pub use restore::{Restored, Restoring};
pub use shred::Shredding;
pub use signing::{
    EndorsementKey, EnrolledKey, KeyOrder, KeyPolicy, PcrPolicy, Quote, SetPcrPolicy, SignedReply,
    SignedRequest, TpmActivation, TpmChallenge, TpmEvidence,
};
pub use spent::REPEAT_WINDOW;
pub use sweep::{Sweep, SweepProgress, pace};
pub use tokens::{LoggedIn, TokenAsk};
