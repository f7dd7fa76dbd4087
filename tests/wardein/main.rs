//! The real binaries. One test binary, so that it links once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test states its expectations with them")]

mod approvals;
mod backup;
mod cas;
mod certificates;
mod clock;
mod common;
mod dev;
mod device_updates;
mod encrypted;
mod fairness;
mod files;
mod founding;
mod full_disk;
mod invite;
mod kill;
mod logging;
mod lost;
mod made_keys;
mod memory;
mod moving;
#[cfg(feature = "pkcs11")]
mod pkcs11;
mod platform;
mod postgresql;
mod recover;
mod relay;
mod renew;
mod request;
mod rotating_fleet;
mod rotation;
mod service;
mod shred;
mod storage_keys;
mod system;
#[cfg(feature = "tpm")]
mod tpm;
mod tpm2_tools;
mod transfer;
mod trust;
mod updates;
mod upgrade;
mod watch;
