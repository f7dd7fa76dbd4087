//! The roots of a trust bundle.

use crate::ca::{CaCertificate, Root};
use crate::pem::{PemError, decode_certificates, encode_certificates};
use crate::recognize::Parsed;

/// The roots in a trust bundle, PEM, without the CAs beside them: what a device trusts. Of a trust anchor verifiers read neither the
/// purposes nor the time (RFC 5280 §6.1.1 d): an issuing CA among them could certify servers.
pub fn roots_of(bundle: &str) -> Result<String, PemError> {
    let all = decode_certificates(bundle)?;
    let is_root = |der: &&[u8]| {
        let root = CaCertificate::<Root>::parse(der);
        root.is_ok_and(|root| Parsed::new(der).is_ok_and(|parsed| parsed.verify(&root).is_ok()))
    };
    let roots: Vec<_> = all.iter().map(Vec::as_slice).filter(is_root).collect();
    if roots.is_empty() {
        return Err(PemError::Label("CERTIFICATE"));
    }
    encode_certificates(roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Authority;

    #[test]
    fn the_roots_of_a_bundle_are_without_the_cas_beside_them() {
        let (one, other) = (Authority::found(), Authority::found());
        let ders = |authority: &Authority| {
            [authority.root.certificate().der(), authority.issuing.certificate().der()].map(<[u8]>::to_vec)
        };
        let all = [ders(&one), ders(&other)].concat();
        let bundle = encode_certificates(all.iter().map(Vec::as_slice)).unwrap();
        let roots = decode_certificates(&roots_of(&bundle).unwrap()).unwrap();
        assert_eq!(roots, [all[0].clone(), all[2].clone()]);
        let without = encode_certificates([one.infrastructure.certificate().der()]).unwrap();
        assert!(roots_of(&without).is_err() && roots_of("").is_err());
    }
}
