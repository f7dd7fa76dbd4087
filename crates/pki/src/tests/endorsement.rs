//! Chains of endorsement keys: each check has a case that it alone refuses.

use super::{NOW, key};
use crate::{EndorsementChain, EndorsementError, PublicKey, VendorRoots};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyUsagePurpose, PublicKeyData, SerialNumber, SignatureAlgorithm, SigningKey,
    date_time_ymd,
};
use wardein_crypto::P256SigningKey;

#[test]
fn a_chain_to_a_trusted_root_is_accepted() {
    let vendor = Vendor::new(|_| {});
    let leaf = vendor.leaf(|_| {});
    assert_eq!(vendor.judge(&leaf), Ok(()));
    let chain = [&leaf[..], &vendor.issuer];
    let parsed = EndorsementChain::parse(&chain).unwrap();
    assert_eq!(parsed.key_bits(), vendor.ek.verifying_key().0);
    // The intermediate itself may be the trusted certificate.
    let roots = VendorRoots::new(&[&vendor.issuer]).unwrap();
    assert_eq!(roots.verify(&EndorsementChain::parse(&[&leaf]).unwrap(), NOW), Ok(()));
}

#[test]
fn a_chain_to_no_trusted_root_is_refused() {
    let (vendor, another) = (Vendor::new(|_| {}), Vendor::new(|_| {}));
    let leaf = vendor.leaf(|_| {});
    let judge = |roots: &[&[u8]], chain: &[&[u8]]| {
        VendorRoots::new(roots).unwrap().verify(&EndorsementChain::parse(chain)?, NOW)
    };
    assert_eq!(judge(&[&vendor.root], &[&leaf, &vendor.issuer]), Ok(()));
    assert_eq!(judge(&[&another.root], &[&leaf, &vendor.issuer]), Err(EndorsementError::Chain));
    assert_eq!(judge(&[], &[&leaf, &vendor.issuer]), Err(EndorsementError::Chain));
    assert_eq!(judge(&[&vendor.root], &[&leaf]), Err(EndorsementError::Chain));
    let mut changed = leaf.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(judge(&[&vendor.root], &[&changed, &vendor.issuer]), Err(EndorsementError::Chain));
}

#[test]
fn a_chain_that_is_not_valid_now_is_refused() {
    let vendor = Vendor::new(|_| {});
    let expired = vendor.leaf(|leaf| leaf.not_after = date_time_ymd(2026, 11, 21));
    assert_eq!(vendor.judge(&expired), Err(EndorsementError::Time));
    let early = vendor.leaf(|leaf| leaf.not_before = date_time_ymd(2026, 11, 23));
    assert_eq!(vendor.judge(&early), Err(EndorsementError::Time));
    let vendor = Vendor::new(|issuer| issuer.not_after = date_time_ymd(2026, 11, 21));
    assert_eq!(vendor.judge(&vendor.leaf(|_| {})), Err(EndorsementError::Time));
}

#[test]
fn a_certificate_for_another_use_is_refused() {
    let vendor = Vendor::new(|_| {});
    let without = vendor.leaf(|leaf| leaf.extended_key_usages.clear());
    assert_eq!(vendor.judge(&without), Err(EndorsementError::Use));
    let other = vendor.leaf(|leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert_eq!(vendor.judge(&other), Err(EndorsementError::Use));
    let signing = vendor.leaf(|leaf| leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    assert_eq!(vendor.judge(&signing), Err(EndorsementError::Use));
    let unsaid = vendor.leaf(|leaf| leaf.key_usages.clear());
    assert_eq!(vendor.judge(&unsaid), Ok(()));
    let ca = vendor.leaf(|leaf| leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(vendor.judge(&ca), Err(EndorsementError::Use));
    // A CA that its root lets make only certificates of web servers.
    let web = Vendor::new(|issuer| issuer.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert_eq!(web.judge(&web.leaf(|_| {})), Err(EndorsementError::Use));
}

#[test]
fn what_is_no_chain_of_certificates_is_refused() {
    let vendor = Vendor::new(|_| {});
    let leaf = vendor.leaf(|_| {});
    let error = |chain: &[&[u8]]| EndorsementChain::parse(chain).err();
    assert_eq!(error(&[]), Some(EndorsementError::Malformed));
    assert_eq!(error(&[b"certificate"]), Some(EndorsementError::Malformed));
    assert_eq!(error(&[&[&leaf[..], &[0]].concat()]), Some(EndorsementError::Malformed));
    for length in 0..leaf.len() {
        assert_eq!(error(&[&leaf[..length]]), Some(EndorsementError::Malformed), "{length} bytes");
    }
    assert_eq!(error(&[&leaf[..]; 5]), None);
    assert_eq!(error(&[&leaf[..]; 6]), Some(EndorsementError::TooLong));
    assert_eq!(error(&[&leaf, &[0; 4096]]), None);
    assert_eq!(error(&[&leaf, &[0; 4097]]), Some(EndorsementError::TooLong));
    assert_eq!(VendorRoots::new(&[b"root"]).err(), Some(EndorsementError::Malformed));
}

/// A vendor of TPMs, and the endorsement key of one.
struct Vendor {
    root: Vec<u8>,
    issuer: Vec<u8>,
    issuer_params: CertificateParams,
    issuer_key: Signer,
    ek: P256SigningKey,
}

impl Vendor {
    fn new(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (root_key, issuer_key) = (Signer(key()), Signer(key()));
        let root = ca("root");
        let root_der = root.self_signed(&root_key).unwrap().der().to_vec();
        let mut issuer_params = ca("issuer");
        change(&mut issuer_params);
        let issuer = issuer_params.signed_by(&issuer_key, &Issuer::from_params(&root, &root_key)).unwrap();
        Self { root: root_der, issuer: issuer.der().to_vec(), issuer_params, issuer_key, ek: key() }
    }

    /// The certificate of the endorsement key, as vendors write it unless changed: empty subject, critical alternative name.
    fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = params("");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![2, 23, 133, 8, 1])];
        params.key_usages = vec![KeyUsagePurpose::KeyAgreement];
        let mut name = CustomExtension::from_oid_content(&[2, 5, 29, 17], DIRECTORY_NAME.to_vec());
        name.set_criticality(true);
        params.custom_extensions = vec![name];
        change(&mut params);
        let issuer = Issuer::from_params(&self.issuer_params, &self.issuer_key);
        let key = PublicKey::from(*self.ek.verifying_key());
        params.signed_by(&key, &issuer).unwrap().der().to_vec()
    }

    fn judge(&self, leaf: &[u8]) -> Result<(), EndorsementError> {
        let chain = [leaf, &self.issuer];
        VendorRoots::new(&[&self.root]).unwrap().verify(&EndorsementChain::parse(&chain)?, NOW)
    }
}

fn ca(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&[7]));
    params.distinguished_name = DistinguishedName::new();
    if !name.is_empty() {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(9999, 12, 31));
    params
}

struct Signer(P256SigningKey);

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        &self.0.verifying_key().0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.0.sign(message).unwrap())
    }
}

/// `SEQUENCE { [4] Name { tcg-at-tpmManufacturer = "id:00" } }`
const DIRECTORY_NAME: [u8; 26] = [
    0x30, 0x18, 0xa4, 0x16, 0x30, 0x14, 0x31, 0x12, 0x30, 0x10, 0x06, 0x05, 0x67, 0x81, 0x05, 0x02, 0x01,
    0x0c, 0x07, b'i', b'd', b':', b'0', b'0', b'0', b'0',
];
