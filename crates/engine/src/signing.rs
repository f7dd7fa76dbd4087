//! Devices that sign instead of deriving (DDKG-1 §5.1): which keys a tenant takes, how they are enrolled, and what is asked with
//! them.

mod endorsement_keys;
mod enroll;
mod key;
mod policy;
mod prove;
mod ticket;
mod tpm;

pub use endorsement_keys::EndorsementKey;
pub use enroll::{EnrolledKey, KeyOrder};
pub use policy::KeyPolicy;
pub use prove::{SignedReply, SignedRequest};
pub use tpm::{TpmActivation, TpmChallenge, TpmEvidence};
