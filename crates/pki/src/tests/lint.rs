//! One wrong certificate for each rule of the lint; each would have been signed without it.

use super::request::{sequence, tagged};
use super::*;
use crate::build::{AltName, Issuer, Kind, NO_REV_AVAIL, Order};
use crate::key::PublicKey;
use crate::lint::check;
use crate::{Issued, Issuing, LintError, PkiError, SubjectKey, ToBeSigned, policy};
use rcgen::*;
use std::cell::RefCell;
use wardein_crypto::Digest;
use wardein_domain::{Assurance, CertificateProfile, KeyPurposes};

/// Captures the bytes that it is given to sign.
struct Capture {
    key: SubjectKey,
    algorithm: &'static SignatureAlgorithm,
    tbs: RefCell<Vec<u8>>,
}

impl PublicKeyData for Capture {
    fn der_bytes(&self) -> &[u8] {
        self.key.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl SigningKey for Capture {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        *self.tbs.borrow_mut() = message.to_vec();
        Ok(vec![])
    }
}

/// Everything that a device's certificate is made of, for a test to spoil.
struct Bench {
    key: SubjectKey,
    signer: Capture,
    issuer_params: CertificateParams,
    params: CertificateParams,
}

impl Bench {
    fn tbs(&self) -> Vec<u8> {
        let issuer = rcgen::Issuer::from_params(&self.issuer_params, &self.signer);
        self.params.signed_by(&self.key, &issuer).unwrap();
        self.signer.tbs.take()
    }
}

fn order(key: &PublicKey) -> Order {
    Order {
        serial: serial(9),
        common_name: None,
        subject_serial: None,
        validity: Validity::starting(NOW, 86_400).unwrap(),
        key: key.into(),
        key_id: SubjectKey::from(key).id(),
        kind: Kind::Leaf,
        purposes: KeyPurposes::CLIENT,
        names: vec![AltName::Uri(URI.to_owned())],
        assurance: Some(Assurance::TpmVendor),
        no_rev_avail: false,
    }
}

/// The order of a device whose profile gives it a name of each kind.
fn named_order(key: &PublicKey) -> Order {
    let dns = AltName::Server("pump-0001.example".parse().unwrap());
    let names = vec![AltName::Uri(URI.to_owned()), dns];
    Order { common_name: Some("pump-0001".to_owned()), names, ..order(key) }
}

/// The order of a device with a serial number in its subject.
fn numbered_order(key: &PublicKey) -> Order {
    Order { subject_serial: Some("pump-0001".parse().unwrap()), ..order(key) }
}

/// The order of a provider of SDC services.
fn sdc_order(key: &PublicKey) -> Order {
    Order { purposes: CertificateProfile::SdcProvider.purposes(), ..order(key) }
}

/// The order of a device whose profile forgoes revocation.
fn forgoing_order(key: &PublicKey) -> Order {
    Order { no_rev_avail: true, ..order(key) }
}

/// The lint's verdict on a device's certificate that `spoil` altered before it was written, and `patch` after it.
fn lint_after(spoil: impl FnOnce(&mut Bench), patch: impl FnOnce(&mut Vec<u8>)) -> Result<(), LintError> {
    lint_of(order, spoil, patch)
}

fn lint_of(
    order: fn(&PublicKey) -> Order,
    spoil: impl FnOnce(&mut Bench),
    patch: impl FnOnce(&mut Vec<u8>),
) -> Result<(), LintError> {
    let authority = Authority::found();
    let csr = csr();
    let order = order(csr.public_key());
    let issuer = authority.issuing.issuer();
    let mut bench = Bench {
        key: csr.public_key().into(),
        signer: Capture {
            key: ca_key(&authority),
            algorithm: &PKCS_ECDSA_P256_SHA256,
            tbs: RefCell::default(),
        },
        issuer_params: issuer.params(),
        params: order.params().unwrap(),
    };
    spoil(&mut bench);
    let mut tbs = bench.tbs();
    patch(&mut tbs);
    check(tbs, &order, &issuer).map(|_| ())
}

fn ca_key(authority: &Authority) -> SubjectKey {
    authority.issuing.certificate().verifying_key().clone().into()
}

fn lint(spoil: impl FnOnce(&mut CertificateParams)) -> Result<(), LintError> {
    lint_after(|bench| spoil(&mut bench.params), |_| ())
}

/// Replaces the only occurrence of `from`.
fn replace(tbs: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let places: Vec<_> = (0..=tbs.len() - from.len()).filter(|&i| tbs[i..].starts_with(from)).collect();
    let [place] = places[..] else { panic!("{places:?}") };
    tbs[place..place + to.len()].copy_from_slice(to);
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn extension(oid: &[u64], content: &[u8]) -> CustomExtension {
    CustomExtension::from_oid_content(oid, content.to_vec())
}

#[test]
fn what_is_as_ordered_passes() {
    assert_eq!(lint(|_| ()), Ok(()));
}

#[test]
fn malformed_or_trailing_bytes() {
    let patched = |patch: fn(&mut Vec<u8>)| lint_after(|_| (), patch);
    assert_eq!(patched(|tbs| tbs.push(0)), Err(LintError::Malformed));
    assert_eq!(
        patched(|tbs| {
            tbs.pop();
        }),
        Err(LintError::Malformed)
    );
}

#[test]
fn version() {
    let v2 = lint_after(|_| (), |tbs| replace(tbs, &[0xa0, 3, 2, 1, 2], &[0xa0, 3, 2, 1, 1]));
    assert_eq!(v2, Err(LintError::Version));
}

#[test]
fn serial_is_the_one_ordered() {
    let with = |bytes: &[u8]| lint(|params| params.serial_number = Some(SerialNumber::from_slice(bytes)));
    assert_eq!(with(serial(8).as_bytes()), Err(LintError::Serial));
    assert_eq!(with(&serial(9).as_bytes()[1..]), Err(LintError::Serial));
    // The same bytes read as a negative number: the writer would put a zero before them, so it is patched in.
    let negative = lint_after(|_| (), |tbs| replace(tbs, &[0x02, 16, 0x49, 9, 9], &[0x02, 16, 0xc9, 9, 9]));
    assert_eq!(negative, Err(LintError::Serial));
}

#[test]
fn signature_algorithm() {
    let sha384 = lint_after(|bench| bench.signer.algorithm = &PKCS_ECDSA_P384_SHA384, |_| ());
    assert_eq!(sha384, Err(LintError::SignatureAlgorithm));
}

#[test]
fn issuer_is_the_ca() {
    let other = |bench: &mut Bench| {
        bench.issuer_params.distinguished_name.push(DnType::CommonName, "wardein.example infrastructure CA");
    };
    assert_eq!(lint_after(other, |_| ()), Err(LintError::Issuer));
    // The same text in another string type is another name, byte for byte.
    let printable = |bench: &mut Bench| {
        let name = "wardein.example issuing CA".try_into().map(DnValue::PrintableString).unwrap();
        bench.issuer_params.distinguished_name.push(DnType::CommonName, name);
    };
    assert_eq!(lint_after(printable, |_| ()), Err(LintError::Issuer));
}

#[test]
fn validity_is_the_one_ordered_and_within_the_cas() {
    let step = |params: &CertificateParams| params.not_after - params.not_before;
    assert_eq!(lint(|params| params.not_after += step(params)), Err(LintError::Validity));
    assert_eq!(lint(|params| params.not_before -= step(params)), Err(LintError::Validity));
    let authority = Authority::found();
    let beyond = |not_before, not_after| {
        let device = DeviceIdentity { validity: Validity::new(not_before, not_after).unwrap(), ..device() };
        authority.issuing.issue_device(&device_csr(), &device)
    };
    let end = NOW + INTERMEDIATE_LIFETIME;
    assert!(beyond(NOW - 300, end).is_ok());
    assert_eq!(beyond(NOW - 301, end), Err(PkiError::Lint(LintError::Validity)));
    assert_eq!(beyond(NOW - 300, end + 1), Err(PkiError::Lint(LintError::Validity)));
}

#[test]
fn subject() {
    let named =
        |params: &mut CertificateParams| params.distinguished_name.push(DnType::CommonName, "pump-0001");
    assert_eq!(lint(named), Err(LintError::Subject));
}

#[test]
fn names_beside_the_spiffe_id_are_those_ordered() {
    let named =
        |spoil: fn(&mut CertificateParams)| lint_of(named_order, |bench| spoil(&mut bench.params), |_| ());
    assert_eq!(named(|_| ()), Ok(()));
    let common_name = |params: &mut CertificateParams, text: &str| {
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, text);
    };
    assert_eq!(named(|params| params.distinguished_name = DistinguishedName::new()), Err(LintError::Subject));
    assert_eq!(
        lint_of(named_order, |bench| common_name(&mut bench.params, "pump-0002"), |_| ()),
        Err(LintError::Subject)
    );
    assert_eq!(
        named(|params| params.distinguished_name.push(DnType::OrganizationName, "klinik")),
        Err(LintError::Subject)
    );
    let other = |params: &mut CertificateParams| {
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "pump-0001");
    };
    assert_eq!(named(other), Err(LintError::Subject));
    let dns = |text: &str| SanType::DnsName(text.try_into().unwrap());
    for names in [
        vec![uri(URI)],
        vec![uri(URI), dns("pump-0002.example")],
        vec![dns("pump-0001.example"), uri(URI)],
        vec![uri(URI), dns("pump-0001.example"), dns("pump-0002.example")],
    ] {
        let spoil = |bench: &mut Bench| bench.params.subject_alt_names = names;
        assert_eq!(lint_of(named_order, spoil, |_| ()), Err(LintError::SubjectAltName));
    }
}

#[test]
fn key_is_that_of_the_request() {
    let other = SubjectKey::from(&PublicKey::from(*key().verifying_key()));
    assert_eq!(lint_after(|bench| bench.key = other, |_| ()), Err(LintError::Key));
}

#[test]
fn unique_identifiers() {
    // An issuerUniqueID, [1] IMPLICIT BIT STRING, before the extensions; the lengths around it grow by its 4 bytes.
    let with_id = |tbs: &mut Vec<u8>| {
        let extensions =
            tbs.windows(5).position(|bytes| matches!(bytes, [0xa3, 0x81, _, 0x30, 0x81])).unwrap();
        tbs.splice(extensions..extensions, [0x81, 2, 0, 0]);
        let length = u16::from_be_bytes([tbs[2], tbs[3]]) + 4;
        tbs[2..4].copy_from_slice(&length.to_be_bytes());
    };
    assert_eq!(lint_after(|_| (), with_id), Err(LintError::UniqueId));
}

#[test]
fn basic_constraints() {
    for is_ca in
        [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained), IsCa::Ca(BasicConstraints::Constrained(0))]
    {
        assert_eq!(lint(|params| params.is_ca = is_ca), Err(LintError::BasicConstraints));
    }
}

#[test]
fn key_usage() {
    for usages in [
        vec![],
        vec![KeyUsagePurpose::KeyCertSign],
        vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign],
    ] {
        assert_eq!(lint(|params| params.key_usages = usages), Err(LintError::KeyUsage));
    }
}

#[test]
fn extended_key_usage() {
    use ExtendedKeyUsagePurpose::*;
    for purposes in [
        vec![],
        vec![ServerAuth],
        vec![ClientAuth, ServerAuth],
        vec![ClientAuth, Any],
        vec![ClientAuth, Other(vec![1, 2, 3])],
    ] {
        assert_eq!(lint(|params| params.extended_key_usages = purposes), Err(LintError::ExtendedKeyUsage));
    }
}

#[test]
fn purposes_of_sdc_are_exactly_those_ordered() {
    use ExtendedKeyUsagePurpose::*;
    let sdc = |number: u64| Other(vec![1, 2, 840, 10004, 20701, 1, number]);
    let with = |purposes: Vec<ExtendedKeyUsagePurpose>| {
        lint_of(sdc_order, |bench| bench.params.extended_key_usages = purposes, |_| ())
    };
    assert_eq!(with(vec![ClientAuth, ServerAuth, sdc(1)]), Ok(()));
    for purposes in [
        vec![ClientAuth, ServerAuth],
        vec![ClientAuth, ServerAuth, sdc(2)],
        vec![ClientAuth, ServerAuth, sdc(1), sdc(2)],
        vec![ClientAuth, ServerAuth, sdc(1), sdc(1)],
        vec![ClientAuth, sdc(1)],
        vec![ClientAuth, ServerAuth, sdc(1), CodeSigning],
        vec![ClientAuth, ServerAuth, sdc(1), EmailProtection],
        vec![ClientAuth, ServerAuth, sdc(1), TimeStamping],
        vec![ClientAuth, ServerAuth, sdc(1), OcspSigning],
        vec![ClientAuth, ServerAuth, sdc(1), Any],
    ] {
        assert_eq!(with(purposes), Err(LintError::ExtendedKeyUsage));
    }
}

/// RFC 5280 appendix A.1: X520SerialNumber is a PrintableString.
#[test]
fn the_serial_number_of_the_subject_is_the_one_ordered_and_printable() {
    let number = || DnType::CustomDnType(vec![2, 5, 4, 5]);
    let with = |parts: Vec<(DnType, DnValue)>| {
        let spoil = |bench: &mut Bench| {
            bench.params.distinguished_name = DistinguishedName::new();
            parts.into_iter().for_each(|(kind, value)| bench.params.distinguished_name.push(kind, value));
        };
        lint_of(numbered_order, spoil, |_| ())
    };
    let printable = |text: &str| DnValue::PrintableString(text.try_into().unwrap());
    let utf8 = |text: &str| DnValue::Utf8String(text.to_owned());
    assert_eq!(with(vec![(number(), printable("pump-0001"))]), Ok(()));
    for parts in [
        vec![],
        vec![(number(), printable("pump-0002"))],
        vec![(number(), utf8("pump-0001"))],
        vec![(DnType::CommonName, printable("pump-0001"))],
        vec![(number(), printable("pump-0001")), (DnType::CommonName, utf8("pump-0001"))],
        vec![(DnType::CommonName, utf8("pump-0001")), (number(), printable("pump-0001"))],
    ] {
        assert_eq!(with(parts), Err(LintError::Subject));
    }
}

/// RFC 9608 §2: NULL, and not critical.
#[test]
fn no_rev_avail_is_null_and_there_only_where_it_was_ordered() {
    let with = |extensions: Vec<CustomExtension>| {
        let spoil = |bench: &mut Bench| {
            bench.params.custom_extensions.truncate(1);
            bench.params.custom_extensions.extend(extensions);
        };
        lint_of(forgoing_order, spoil, |_| ())
    };
    let right = || extension(NO_REV_AVAIL, &[5, 0]);
    let mut critical = right();
    critical.set_criticality(true);
    assert_eq!(with(vec![right()]), Ok(()));
    for wrong in [
        vec![],
        vec![critical],
        vec![extension(NO_REV_AVAIL, &[])],
        vec![extension(NO_REV_AVAIL, &[0x30, 0])],
    ] {
        assert_eq!(with(wrong), Err(LintError::NoRevAvail));
    }
    assert_eq!(with(vec![right(), right()]), Err(LintError::RepeatedExtension));
    assert_eq!(lint(|params| params.custom_extensions.push(right())), Err(LintError::NoRevAvail));
}

/// RFC 9608 §3: no CRL, no delta CRL and no OCSP beside it.
#[test]
fn what_forgoes_revocation_points_to_none() {
    let uri = tagged(0x86, b"http://a.example/");
    let point = tagged(0xa0, &tagged(0xa0, &uri));
    let points = sequence(&[&sequence(&[&point])]);
    let access = |method: u8| {
        let method = [6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, method];
        sequence(&[&sequence(&[&method, &uri])])
    };
    let (crl, freshest, aia) = (&[2, 5, 29, 31][..], &[2, 5, 29, 46][..], &[1, 3, 6, 1, 5, 5, 7, 1, 1][..]);
    for (oid, content, rule) in [
        (crl, points.clone(), LintError::RevocationPointer),
        (freshest, points, LintError::RevocationPointer),
        (aia, access(1), LintError::RevocationPointer),
        // The issuer's certificate may be pointed to; this authority does not, and here there is no responder either.
        (aia, access(2), LintError::AuthorityInfoAccess),
    ] {
        let with = |bench: &mut Bench| bench.params.custom_extensions.push(extension(oid, &content));
        assert_eq!(lint_of(forgoing_order, with, |_| ()), Err(rule), "{oid:?}");
    }
}

/// RFC 9608 §3: never on a CA.
#[test]
fn no_ca_forgoes_revocation() {
    let authority = Authority::found();
    let order =
        Order { kind: Kind::Ca { path_len: 0 }, assurance: None, ..forgoing_order(csr().public_key()) };
    let made = ToBeSigned::<Issuing>::new(&order, &authority.issuing.issuer(), Digest([0; 32]));
    assert_eq!(made, Err(PkiError::Lint(LintError::NoRevAvail)));
}

#[test]
fn subject_alternative_name() {
    let other = uri("spiffe://wardein.example/klinik-nord/pump-0002");
    let dns = SanType::DnsName("pump-0001".try_into().unwrap());
    for names in [vec![], vec![other.clone()], vec![uri(URI), other], vec![dns.clone()], vec![uri(URI), dns]]
    {
        assert_eq!(lint(|params| params.subject_alt_names = names), Err(LintError::SubjectAltName));
    }
    let not_critical =
        |tbs: &mut Vec<u8>| replace(tbs, &[0x55, 0x1d, 17, 1, 1, 0xff], &[0x55, 0x1d, 17, 1, 1, 0]);
    assert!(lint_after(|_| (), not_critical).is_err());
}

#[test]
fn authority_key_identifier_is_the_cas() {
    let none = lint(|params| params.use_authority_key_identifier_extension = false);
    assert_eq!(none, Err(LintError::AuthorityKeyId));
    let other = |bench: &mut Bench| {
        bench.issuer_params.key_identifier_method = KeyIdMethod::PreSpecified(vec![7; 20]);
    };
    assert_eq!(lint_after(other, |_| ()), Err(LintError::AuthorityKeyId));
}

#[test]
fn subject_key_identifier_is_the_keys() {
    let other = |params: &mut CertificateParams| {
        params.key_identifier_method = KeyIdMethod::PreSpecified(vec![7; 20]);
    };
    assert_eq!(lint(other), Err(LintError::SubjectKeyId));
}

#[test]
fn other_extensions() {
    for oid in [&[1, 2, 3][..], &[2, 5, 29, 18], &[2, 5, 29, 30]] {
        let with = |params: &mut CertificateParams| params.custom_extensions.push(extension(oid, &[5, 0]));
        assert!(matches!(lint(with), Err(LintError::UnknownExtension | LintError::Malformed)), "{oid:?}");
    }
    // The right subjectKeyIdentifier, a second time.
    let again = |bench: &mut Bench| {
        let content = [&[4, 20][..], &bench.key.id()].concat();
        bench.params.custom_extensions.push(extension(&[2, 5, 29, 14], &content));
    };
    assert_eq!(lint_after(again, |_| ()), Err(LintError::RepeatedExtension));
}

#[test]
fn the_policy_is_that_of_the_level_ordered_and_no_other() {
    let with = |content: Vec<u8>| {
        move |params: &mut CertificateParams| {
            params.custom_extensions = vec![extension(policy::EXTENSION, &content)];
        }
    };
    assert_eq!(lint(with(policy::content(Assurance::TpmVendor))), Ok(()));
    for level in Assurance::ALL.into_iter().skip(1) {
        assert_eq!(lint(with(policy::content(level))), Err(LintError::Policy), "{level}");
    }
    // anyPolicy (RFC 5280 §4.2.1.4).
    assert_eq!(lint(with(vec![0x30, 8, 0x30, 6, 6, 4, 0x55, 0x1d, 0x20, 0])), Err(LintError::Policy));
    assert_eq!(lint(|params| params.custom_extensions.clear()), Err(LintError::Policy));
    let critical = |params: &mut CertificateParams| params.custom_extensions[0].set_criticality(true);
    assert_eq!(lint(critical), Err(LintError::Policy));
    // One where none was ordered.
    let (authority, csr) = (Authority::found(), csr());
    let order = order(csr.public_key());
    let issuer = authority.issuing.issuer();
    let key = ca_key(&authority);
    let signer = Capture { key, algorithm: &PKCS_ECDSA_P256_SHA256, tbs: RefCell::default() };
    let (params, issuer_params) = (order.params().unwrap(), issuer.params());
    params.signed_by(&order.key, &rcgen::Issuer::from_params(&issuer_params, &signer)).unwrap();
    let without = Order { assurance: None, ..order };
    assert_eq!(check(signer.tbs.take(), &without, &issuer).err(), Some(LintError::Policy));
}

#[test]
fn nothing_is_signed_that_breaks_a_rule() {
    // The order has a name that the issuer's facts contradict: here, a CA that is no longer valid.
    let authority = Authority::found();
    let csr = csr();
    let facts = authority.issuing.issuer();
    let expired = Issuer { validity: Some(Validity::new(1, 2).unwrap()), ..facts };
    let refused = ToBeSigned::<Issuing>::new(&order(csr.public_key()), &expired, Digest([0; 32]));
    assert_eq!(refused, Err(PkiError::Lint(LintError::Validity)));
}

#[test]
fn a_certificate_with_other_bytes_than_those_linted_does_not_leave() {
    let authority = Authority::found();
    let (one, other) = (authority.device(), authority.operator());
    let tbs = |der: &[u8]| crate::envelope::Envelope::open(der).unwrap().signed.to_vec();
    assert!(Issued::assembled(one.clone(), &tbs(&one)).is_ok());
    assert_eq!(Issued::assembled(one, &tbs(&other)), Err(PkiError::Altered));
}

const URI: &str = "spiffe://wardein.example/klinik-nord/pump-0001";
