//! The use cases over the fake store, a clock in hand, and devices that run the device's end of DDKG-1; and two years of a fleet (`years`). One test
//! binary, so that it links once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test states its expectations with them")]

mod administration;
mod audit;
mod backup;
mod cas;
mod cas_kept;
mod certificate_names;
mod certificate_profiles;
mod clock;
mod contended;
mod crashes;
mod crls;
mod crls_of_cas;
mod deed_crashes;
mod deeds;
mod devices;
mod elsewhere;
mod enrollment;
mod est;
mod grants;
mod hardware;
mod invitations;
mod keys;
mod migration;
mod operators;
mod platform;
mod proofs;
mod quotes;
mod refusals;
mod release;
mod restored;
mod revocations;
mod root_rotation;
mod shred;
mod signing;
mod storage_keys;
mod swtpm;
mod tokens;
mod tpm;
mod transfers;
mod trust;
mod watch;
mod world;
mod wrong_clock;
mod years;
