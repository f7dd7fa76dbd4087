//! The Online Certificate Status Protocol (RFC 6960): requests read, answers written and signed.
//!
//! What: one request of a few certificates, by SHA-1 or SHA-256 of their issuer, with a nonce or without (RFC 9654); the answer names its
//! responder and carries the responder's certificate, without which GnuTLS finds no signer. Own DER of some two hundred lines: the
//! libraries for it are unfinished, and half of the protocol is of no use here. What it does not do: requests' signatures, which are
//! optional and say nothing, and other extensions than the nonce.

mod get;
mod request;
mod response;
mod signer;

pub use request::{OcspCertId, OcspMalformed, OcspRequest};
pub use response::{OcspAnswer, OcspError, OcspStatus};
pub use signer::OcspSigner;

/// `SEQUENCE { OBJECT IDENTIFIER }` parts: id-pkix-ocsp-nonce (RFC 9654 §2.1).
const NONCE: [u8; 9] = [0x2b, 6, 1, 5, 5, 7, 48, 1, 2];

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const ENUMERATED: u8 = 0x0a;
const GENERALIZED_TIME: u8 = 0x18;

/// The tag of a constructed element `[number]`.
const fn explicit(number: u8) -> u8 {
    0xa0 | number
}
