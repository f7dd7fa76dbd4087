//! What the fuzz targets do, apart from the engine, so that `tests/pki/corpus.rs` runs the same lines on a stable compiler.
//!
//! | target | takes | reaches |
//! | --- | --- | --- |
//! | [`request`] | a PKCS#10 request | reading it, and verifying its signature |
//! | [`certificate`] | a certificate or a private key, DER or PEM | reading it as each kind that is presented |

use wardein_domain::TrustDomain;
use wardein_pki::{
    CaCertificate, Csr, Infrastructure, Issuing, Root, SubjectKey, parse_operator, pem, spiffe,
    verify_device_chain,
};

/// Reads `data` as a request. What is taken is signed by the key that it carries, which is there in its one form.
pub fn request(data: &[u8]) {
    match Csr::parse(data) {
        Ok(csr) => {
            let point = &csr.public_key().verifying_key().0;
            assert!(data.windows(point.len()).any(|window| window == point), "its key is another one");
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.code().as_str().is_empty()),
    }
    if let Some(key) = SubjectKey::from_spki(data) {
        assert_eq!(key.spki(), data, "read from a second form");
    }
}

/// Reads `data` as every certificate that somebody may present, and as text.
pub fn certificate(data: &[u8]) {
    let domain: TrustDomain = "wardein.test".parse().expect("a domain");
    if let Ok(operator) = parse_operator(&domain, data) {
        assert!(operator.validity.not_before() <= operator.validity.not_after());
    }
    let root = CaCertificate::<Root>::parse(data);
    let (issuing, infrastructure) =
        (CaCertificate::<Issuing>::parse(data).is_ok(), CaCertificate::<Infrastructure>::parse(data).is_ok());
    assert!(
        u8::from(root.is_ok()) + u8::from(issuing) + u8::from(infrastructure) <= 2,
        "one CA in all roles"
    );
    if let Ok(root) = root {
        assert!(verify_device_chain(&[data, data], &[root.der()]).is_err(), "a root is taken for a device");
    }
    let _ = verify_device_chain(&[data, data], &[data]).is_ok();
    if let Ok(text) = core::str::from_utf8(data) {
        let _ = (spiffe::parse_device(text).is_ok(), spiffe::parse_operator(text).is_ok());
        if let Ok(certificates) = pem::decode_certificates(text) {
            let again =
                pem::encode_certificates(certificates.iter().map(Vec::as_slice)).expect("they were PEM");
            // Lines of another length make it longer.
            let is_bounded = again.len() <= pem::MAX_LEN;
            assert!(
                !is_bounded || pem::decode_certificates(&again).expect("it was encoded here") == certificates
            );
        }
    }
    let _ = pem::decode_private_key(data).is_ok();
}
