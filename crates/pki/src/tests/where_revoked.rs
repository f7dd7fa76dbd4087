//! What certificates say of revocation, and the certificate of who answers about them: each rule of the lint.

use super::*;
use crate::build::OCSP_NO_CHECK;
use crate::lint::check;
use crate::prepare::Capture;
use crate::{CertificateOrder, Issuing, LintError};
use rcgen::{CertificateParams, CrlDistributionPoint, CustomExtension, ExtendedKeyUsagePurpose};

fn ca(authority: &Authority, url: Option<&str>) -> IssuingCa {
    authority.issuing.clone().with_revocation_url(url.map(|url| url.parse().unwrap()))
}

fn of_device(ca: &IssuingCa) -> CertificateOrder<Issuing> {
    ca.device_order(&device_csr(), &device()).unwrap()
}

fn of_responder(ca: &IssuingCa) -> CertificateOrder<Issuing> {
    let validity = Validity::starting(NOW, 86_400).unwrap();
    ca.ocsp_order(&key().verifying_key().to_owned().into(), serial(77), validity).unwrap()
}

/// The lint's verdict on a certificate that `spoil` altered before it was written.
fn lint_of(
    url: Option<&str>,
    order: fn(&IssuingCa) -> CertificateOrder<Issuing>,
    spoil: impl FnOnce(&mut CertificateParams),
) -> Result<(), LintError> {
    let ca = ca(&Authority::found(), url);
    let (order, issuer) = (order(&ca).order, ca.issuer());
    let mut params = order.params().unwrap();
    issuer.add_revocation(&order, &mut params).unwrap();
    spoil(&mut params);
    let (capture, issuer_params) = (Capture::new(issuer.algorithm), issuer.params());
    params.signed_by(&order.key, &rcgen::Issuer::from_params(&issuer_params, &capture)).unwrap();
    check(capture.into_bytes(), &order, &issuer).map(|_| ())
}

const URL: &str = "http://pki.example:7480/";

fn point(uri: &str) -> CrlDistributionPoint {
    CrlDistributionPoint { uris: vec![uri.to_owned()] }
}

#[test]
fn a_leaf_says_one_list_and_one_responder_where_there_is_a_url() {
    let lint = |spoil: fn(&mut CertificateParams)| lint_of(Some(URL), of_device, spoil);
    assert_eq!(lint(|_| ()), Ok(()));
    assert_eq!(lint_of(None, of_device, |_| ()), Ok(()));
    let wrong = Err(LintError::CrlDistributionPoints);
    assert_eq!(lint(|params| params.crl_distribution_points.clear()), wrong);
    assert_eq!(lint(|params| params.crl_distribution_points.push(point("http://pki.example/2.crl"))), wrong);
    assert_eq!(
        lint(|params| params.crl_distribution_points = vec![point("http://pki.example/2.crl")]),
        wrong
    );
    assert_eq!(
        lint(|params| {
            let first = params.crl_distribution_points[0].uris[0].clone();
            params.crl_distribution_points[0].uris.push(first);
        }),
        wrong
    );
    let listed =
        |params: &mut CertificateParams| params.crl_distribution_points = vec![point("http://x/1.crl")];
    assert_eq!(lint_of(None, of_device, listed), wrong);
    let wrong = Err(LintError::AuthorityInfoAccess);
    assert_eq!(lint(|params| params.custom_extensions.retain(|one| !is_access(one))), wrong);
    assert_eq!(
        lint(|params| {
            let found = params.custom_extensions.iter_mut().find(|one| is_access(one)).unwrap();
            let mut content = found.content().to_vec();
            *content.last_mut().unwrap() = b'q';
            *found = CustomExtension::from_oid_content(ACCESS, content);
        }),
        wrong
    );
    assert_eq!(
        lint(|params| {
            params
                .custom_extensions
                .iter_mut()
                .filter(|one| is_access(one))
                .for_each(|one| one.set_criticality(true));
        }),
        wrong
    );
    // It is read back as a device all the same.
    let authority = Authority::found();
    let ca = ca(&authority, Some(URL));
    let leaf = ca.issue_device(&device_csr(), &device()).unwrap();
    assert_eq!(ca.recognize(leaf.der()), Ok(device()));
    let text = String::from_utf8_lossy(leaf.der()).into_owned();
    let id = wardein_crypto::hex::encode(ca.certificate().key_id());
    assert!(text.contains(&format!("http://pki.example:7480/crl/{id}.crl")), "{text}");
    assert!(text.contains("http://pki.example:7480/ocsp"), "{text}");
}

fn is_access(extension: &CustomExtension) -> bool {
    extension.oid_components().eq(ACCESS.iter().copied())
}

const ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];

#[test]
fn a_responder_signs_answers_and_nothing_else() {
    let lint = |spoil: fn(&mut CertificateParams)| lint_of(Some(URL), of_responder, spoil);
    assert_eq!(lint(|_| ()), Ok(()));
    let wrong = Err(LintError::ExtendedKeyUsage);
    assert_eq!(lint(|params| params.extended_key_usages.clear()), wrong);
    assert_eq!(lint(|params| params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth)), wrong);
    assert_eq!(lint(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]), wrong);
    let may_answer = |params: &mut CertificateParams| {
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::OcspSigning);
    };
    assert_eq!(lint_of(None, of_device, may_answer), wrong, "a device answers for nobody");
    let wrong = Err(LintError::OcspNoCheck);
    assert_eq!(lint(|params| params.custom_extensions.clear()), wrong);
    assert_eq!(
        lint(|params| {
            params.custom_extensions = vec![CustomExtension::from_oid_content(OCSP_NO_CHECK, vec![4, 0])];
        }),
        wrong
    );
    assert_eq!(lint(|params| params.custom_extensions[0].set_criticality(true)), wrong);
    let unchecked = |params: &mut CertificateParams| {
        params.custom_extensions.push(CustomExtension::from_oid_content(OCSP_NO_CHECK, vec![5, 0]));
    };
    assert_eq!(lint_of(None, of_device, unchecked), wrong, "a device can be revoked");
    // It says no list of itself: nobody is to ask.
    let listed =
        |params: &mut CertificateParams| params.crl_distribution_points = vec![point("http://x/1.crl")];
    assert_eq!(lint_of(Some(URL), of_responder, listed), Err(LintError::CrlDistributionPoints));
}
