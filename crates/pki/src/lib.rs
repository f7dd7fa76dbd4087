//! The certificates of Wardein: requests read, authorities founded, leaves issued and recognized.
//!
//! What: PKCS#10 in ([`Csr`]), X.509 out ([`CaKey`]). Every certificate takes one path: built, linted as exactly the bytes that
//! are to be signed, and only then signed; the signing key demands a `lint::Linted`, and only the lint can make one. Writer
//! (rcgen) and reader (x509-parser) are different implementations on purpose. A CA's key is behind a signer, in this process or
//! in another; one in another signs only [`Recorded`] bytes.
//!
//! Revocation lists ([`CrlOrder`]) take the same path.
//!
//! What it does not do: no storage, no clock, no chain building; serials, times, permissions and what is revoked are decided
//! above.

mod algorithm;
mod build;
mod ca;
mod crl;
mod cross;
mod csr;
mod der;
#[cfg(feature = "endorsement")]
mod endorsement;
mod envelope;
mod error;
pub mod est;
mod facts;
mod found;
mod issue;
pub mod jose;
mod key;
mod lint;
mod lint_crl;
mod ocsp;
pub mod pem;
mod pin;
mod pin_bundle;
mod policy;
mod prepare;
mod recognize;
mod revocation_url;
mod roots;
mod server_name;
pub mod spiffe;
mod spiffe_bundle;
pub mod ssh;
mod status_list;
mod subject_key;
#[cfg(test)]
mod tests;
mod validity;

pub use ca::{
    CaCertificate, CaKey, CaRole, Infrastructure, InfrastructureCa, Issuing, IssuingCa, Root, RootCa,
};
pub use crl::{Crl, CrlNumber, CrlOrder, RevokedCertificate};
pub use cross::{CrossChain, CrossError};
pub use csr::{Csr, CsrError, DeviceCsr};
#[cfg(feature = "endorsement")]
pub use endorsement::{EndorsementChain, EndorsementError, VendorRoots};
pub use error::{CertificateError, PkiError};
pub use facts::IssuedBy;
pub use issue::{Issued, PlatformIdentity};
pub use key::{NotP256, PublicKey};
pub use lint::LintError;
pub use ocsp::{OcspAnswer, OcspCertId, OcspError, OcspMalformed, OcspRequest, OcspSigner, OcspStatus};
pub use pin::{Pin, PinError};
pub use pin_bundle::{PinBundle, PinBundleError, Pins};
pub use prepare::{CertificateOrder, Recorded, ToBeSigned};
pub use recognize::{
    DeviceIdentity, HeldCertificate, OperatorIdentity, issuer_key_id, issuer_name, parse_operator,
    verify_device_chain, verify_operator_chain,
};
pub use revocation_url::{RevocationUrl, RevocationUrlError};
pub use roots::roots_of;
pub use server_name::{ServerIdentity, ServerName, ServerNameError};
pub use spiffe_bundle::spiffe_bundle;
pub use status_list::{StatusBits, TokenStatus, gzip};
pub use subject_key::SubjectKey;
pub use validity::{CLOCK_SKEW, INTERMEDIATE_LIFETIME, ROOT_LIFETIME, Validity};
