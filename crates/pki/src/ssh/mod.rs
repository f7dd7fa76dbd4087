//! OpenSSH: the keys of technicians.
//!
//! The formats are those of RFC 4251 §5, RFC 8709 §4, RFC 5656 §3.1 and OpenSSH's PROTOCOL.u2f.

mod key;
mod wire;

pub use key::{SshAlgorithm, SshKey, SshKeyError};
