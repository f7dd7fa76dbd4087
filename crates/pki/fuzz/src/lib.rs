//! What the fuzz targets do, apart from the engine, so that `tests/pki/corpus.rs` runs the same lines on a stable compiler.
//!
//! | target | takes | reaches |
//! | --- | --- | --- |
//! | [`request`] | a PKCS#10 request | reading it, and verifying its signature |
//! | [`certificate`] | a certificate or a private key, DER or PEM | reading it as each kind that is presented |
//! | [`est`] | the body of a request by EST | reading its form, then the request; writing it again |
//! | [`ocsp`] | an OCSP request, as a body or in a path | reading it |

use wardein_domain::{KeyKind, KeyKinds, TrustDomain};
use wardein_pki::est::{self, Lines};
use wardein_pki::{
    CaCertificate, Csr, CsrError, DeviceCsr, HeldCertificate, Infrastructure, Issuing, OcspRequest, Root,
    SubjectKey, parse_operator, pem, spiffe, verify_device_chain,
};

/// Reads `data` as a request. What is taken is signed by the key that it carries, which is there in its one form.
pub fn request(data: &[u8]) {
    match DeviceCsr::parse(data, KeyKinds::of(&KeyKind::ALL)) {
        Ok(csr) => {
            let spki = csr.key().spki();
            assert!(data.windows(spki.len()).any(|window| window == spki), "its key is another one");
            let is_p256 = csr.key().kind() == KeyKind::P256;
            assert_eq!(Csr::parse(data).is_ok(), is_p256, "an operator's key is on P-256");
            assert_eq!(
                DeviceCsr::parse_of_holder(data, csr.key(), KeyKinds::of(&KeyKind::ALL)).as_ref(),
                Ok(&csr),
                "its holder is not taken"
            );
            let refused = DeviceCsr::parse(data, KeyKinds::of(&[]));
            assert_eq!(refused, Err(CsrError::KeyNotAccepted), "a kind that is not accepted");
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.code().as_str().is_empty()),
    }
    if let Some(key) = SubjectKey::from_spki(data) {
        assert_eq!(key.spki(), data, "read from a second form");
    }
}

/// Reads `data` as the body of a request by EST. What is taken is read alike in every form that answers have, and the request in it is no
/// other than without the form.
pub fn est(data: &[u8]) {
    for lines in [Lines::Of64, Lines::One] {
        let text = est::encode(data, lines);
        let text = core::str::from_utf8(text.expose()).expect("base64 is ASCII");
        assert_eq!(est::decode_base64(text).as_deref(), Some(data), "what is written is not read");
    }
    let Some(der) = est::read_request(data) else { return };
    assert!(!der.is_empty() && der.len() <= data.len());
    if der.first() == Some(&0x30) {
        let again = est::encode(&der, Lines::One);
        assert_eq!(est::read_request(again.expose()).as_ref(), Some(&der), "read from a second form");
    }
    request(&der);
}

/// Reads `data` as the body of a POST, and as what a GET has in its path. What is taken is bounded, and in the bytes.
pub fn ocsp(data: &[u8]) {
    let is_there = |part: &[u8]| data.windows(part.len()).any(|window| window == part);
    let bounded = |request: &OcspRequest| {
        assert!((1..=OcspRequest::MAX_CERTIFICATES).contains(&request.certificates.len()));
        assert!(request.certificates.iter().all(|id| (1..=20).contains(&id.serial().len())));
        let nonce = request.nonce.as_ref();
        assert!(nonce.is_none_or(|nonce| (1..=OcspRequest::MAX_NONCE).contains(&nonce.len())));
    };
    if let Ok(request) = OcspRequest::parse(data) {
        bounded(&request);
        assert!(request.certificates.iter().all(|id| is_there(id.serial())));
        assert!(request.nonce.is_none_or(|nonce| is_there(&nonce)));
    }
    if let Ok(text) = core::str::from_utf8(data)
        && let Ok(requests) = OcspRequest::parse_path(text)
    {
        assert!((1..=16).contains(&requests.len()));
        requests.iter().for_each(bounded);
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
    if let Some(held) = HeldCertificate::read(data) {
        let spki = held.key.spki();
        assert!(data.windows(spki.len()).any(|window| window == spki), "its key is another one");
    }
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
