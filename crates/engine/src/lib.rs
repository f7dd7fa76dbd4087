//! The use cases of Wardein: load, decide purely, commit one [`port::Change`], answer.
//!
//! What: everything that the authority does, over two ports, [`port::Store`] and [`port::Clock`]. Why here: one place in which a
//! decision, its record and its audit entry come together, so that none is ever had without the others. What it does not
//! do: no transport, no files, no SQL.

mod actions;
mod alarm;
mod api;
mod audit;
mod authority;
mod backup;
mod certificates;
mod devices;
mod directory;
mod engine;
mod error;
mod found;
mod grants;
mod history;
mod keys;
mod keys_row;
mod operators;
pub mod port;
mod profiles;
mod proving;
mod provisioning;
mod readmission;
mod recent;
mod release;
mod restore;
mod restored;
mod root_key;
mod rows;
mod rules;
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
pub use engine::Engine;
pub use error::{Error, Kind};
pub use found::{Founded, found};
pub use grants::{Grant, GrantOrder};
pub use release::{OpenAsk, ReleaseAsk, Sealed, Unsealed};
pub use restore::{Restored, Restoring};
pub use shred::Shredded;
pub use signing::{
    EndorsementKey, EnrolledKey, KeyOrder, KeyPolicy, PcrPolicy, Quote, SetPcrPolicy, SignedReply,
    SignedRequest, TpmActivation, TpmChallenge, TpmEvidence,
};
pub use spent::REPEAT_WINDOW;
pub use sweep::{Sweep, SweepProgress};
pub use tokens::{LoggedIn, TokenAsk};
