//! OpenSSH: the keys of technicians, certificates for them, and lists of those that are revoked.
//!
//! The formats are those of RFC 4251 §5, RFC 8709 §4, RFC 5656 §3.1 and OpenSSH's PROTOCOL.u2f, PROTOCOL.certkeys and PROTOCOL.krl. Few and
//! small, they are written here rather than by a library: a certificate that is made here has a principal, always.

mod certificate;
mod key;
mod krl;
mod wire;

pub use certificate::{SshCa, SshCertificateOrder};
pub use key::{SshAlgorithm, SshKey, SshKeyError};
pub use krl::revocation_list;
