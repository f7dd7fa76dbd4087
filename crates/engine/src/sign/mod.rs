//! Devices that sign instead of deriving (DDKG-1 §5.1): which keys a tenant accepts, how they are enrolled, and the requests made
//! with them.

mod approve;
mod endorsement_keys;
mod enroll;
mod key;
mod pcr_policy;
pub(crate) mod policy;
mod prove;
mod quote;
mod ticket;
mod tpm;

pub use endorsement_keys::EndorsementKey;
pub use enroll::KeyOrder;
pub use pcr_policy::{PcrPolicy, SetPcrPolicy};
pub use policy::KeyPolicy;
pub use prove::{SignedReply, SignedRequest};
pub use tpm::TpmActivation;
