//! The certificate policy that says how surely a device's key is where it is said to be (RFC 5280 §4.2.1.4).
//!
//! Its identifier is 2.25.8815619233793154664416676304095512097.N, N being [`Assurance::number`]: an arc made of the UUID
//! 06a1d395-e6d3-462f-9efb-562bcc8f8621 (ITU-T X.667), which nobody must register and nobody else has.

use wardein_domain::Assurance;
use x509_parser::extensions::CertificatePolicies;

/// id-ce-certificatePolicies.
pub(crate) const EXTENSION: &[u64] = &[2, 5, 29, 32];

/// CertificatePolicies with one PolicyInformation, which has no qualifier.
pub(crate) fn content(assurance: Assurance) -> Vec<u8> {
    let identifier = [&ARC[..], &[assurance.number()]].concat();
    // Each length is below 128, so it is one byte.
    [0x06, 0x30, 0x30]
        .into_iter()
        .fold(identifier, |inner, tag| [&[tag, inner.len() as u8], &inner[..]].concat())
}

/// The meaning of a policy, if it is exactly one of ours.
pub(crate) fn read(policies: &CertificatePolicies<'_>) -> Option<Assurance> {
    let [policy] = &policies[..] else { return None };
    let (number, arc) = policy.policy_id.as_bytes().split_last()?;
    let is_ours = arc == ARC && policy.policy_qualifiers.is_none();
    Assurance::ALL.into_iter().find(|assurance| is_ours && assurance.number() == *number)
}

/// The arc, as the contents of an OBJECT IDENTIFIER.
const ARC: [u8; 19] = [
    0x69, 0x8d, 0xa1, 0xe9, 0xe5, 0xbc, 0xed, 0x9a, 0x98, 0xdf, 0x9e, 0xfd, 0xd5, 0xc5, 0xbc, 0xe4, 0xbe,
    0x8c, 0x21,
];
