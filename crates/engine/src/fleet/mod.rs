//! The devices: how they are enrolled, listed, suspended, readmitted, retired and transferred, and the profiles that they follow.

pub(crate) mod alarm;
pub(crate) mod arrival;
pub(crate) mod awaited;
pub(crate) mod batches;
pub(crate) mod claims;
pub(crate) mod devices;
pub(crate) mod enrollment;
pub(crate) mod history;
pub(crate) mod profiles;
pub(crate) mod readmission;
pub(crate) mod shred;
pub(crate) mod subjects;
pub(crate) mod transfers;
pub(crate) mod vouchers;
