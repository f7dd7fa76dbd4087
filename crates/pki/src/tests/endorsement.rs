//! Chains of endorsement keys: each check has a case that it alone refuses.

use super::{NOW, key};
use crate::{EndorsementChain, EndorsementError, PublicKey, VendorRoots};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyUsagePurpose, PublicKeyData, SerialNumber, SignatureAlgorithm, SigningKey,
    date_time_ymd,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::time::Duration;
use wardein_crypto::P256SigningKey;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

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

/// As nearly all intermediates of Infineon, STMicroelectronics and Intel have them.
#[test]
fn critical_policies_are_no_reason_to_refuse_a_chain() {
    let pem = |text: &str| crate::pem::decode_certificates(text).unwrap().remove(0);
    let intermediate = pem(include_str!("vectors/intermediate.pem"));
    let judge = |leaf: &str, intermediates: &[&[u8]], root: &str| {
        let leaf = pem(leaf);
        let chain = [&[&leaf[..]], intermediates].concat();
        VendorRoots::new(&[&pem(root)]).unwrap().verify(&EndorsementChain::parse(&chain)?, NOW)
    };
    let leaf = include_str!("vectors/leaf.pem");
    assert_eq!(judge(leaf, &[&intermediate], include_str!("vectors/root.pem")), Ok(()));
    let (leaf, root) =
        (include_str!("vectors/leaf-policies.pem"), include_str!("vectors/root-of-leaf-policies.pem"));
    assert_eq!(judge(leaf, &[], root), Ok(()));
    assert_eq!(judge(leaf, &[], include_str!("vectors/intermediate.pem")), Err(EndorsementError::Chain));

    let vendor = Vendor::new(|issuer| issuer.custom_extensions = vec![extension(32, &ANY_POLICY, true)]);
    let leaf = vendor.leaf(|leaf| leaf.custom_extensions.push(extension(32, &ANY_POLICY, true)));
    assert_eq!(vendor.judge_alone(&leaf), Ok(()));
}

#[test]
fn a_ca_is_one_and_may_issue_what_it_issued() {
    let refused = |change: fn(&mut CertificateParams)| {
        let vendor = Vendor::new(change);
        assert_eq!(vendor.judge(&vendor.leaf(|_| {})), Err(EndorsementError::Chain));
    };
    refused(|issuer| issuer.is_ca = IsCa::NoCa);
    refused(|issuer| issuer.is_ca = IsCa::ExplicitNoCa);
    let crls = Vendor::new(|issuer| issuer.key_usages = vec![KeyUsagePurpose::CrlSign]);
    assert_eq!(crls.judge_alone(&crls.leaf(|_| {})), Err(EndorsementError::Chain));
    let short = Vendor::new(|issuer| issuer.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    assert_eq!(short.judge(&short.leaf(|_| {})), Ok(()));
    // Below a CA that may have none under it.
    let (below, below_key) = (ca("below"), Signer(key()));
    let issuer = Issuer::from_params(&short.issuer_params, &short.issuer_key);
    let below_der = below.signed_by(&below_key, &issuer).unwrap().der().to_vec();
    let leaf = short.leaf_by(&below, &below_key, |_| {});
    assert_eq!(short.judge_chain(&[&leaf, &below_der, &short.issuer]), Err(EndorsementError::Chain));
    let long = Vendor { issuer_params: ca("issuer"), ..Vendor::new(|_| {}) };
    let issuer = Issuer::from_params(&long.issuer_params, &long.issuer_key);
    let below_der = below.signed_by(&below_key, &issuer).unwrap().der().to_vec();
    let leaf = long.leaf_by(&below, &below_key, |_| {});
    assert_eq!(long.judge_chain(&[&leaf, &below_der, &long.issuer]), Ok(()));
}

#[test]
fn what_is_critical_and_not_understood_is_refused() {
    // An extension of nobody.
    let (unknown, value) = (99, [0x05, 0x00]);
    for (number, value) in [(unknown, &value[..]), (30, &NAME_CONSTRAINTS), (36, &POLICY_CONSTRAINTS)] {
        let vendor = Vendor::new(|issuer| issuer.custom_extensions = vec![extension(number, value, true)]);
        assert_eq!(vendor.judge_alone(&vendor.leaf(|_| {})), Err(EndorsementError::Chain), "{number}");
        let vendor = Vendor::new(|_| {});
        let leaf = vendor.leaf(|leaf| leaf.custom_extensions.push(extension(number, value, true)));
        assert_eq!(vendor.judge_alone(&leaf), Err(EndorsementError::Chain), "{number}");
    }
    let vendor = Vendor::new(|issuer| issuer.custom_extensions = vec![extension(99, &value, false)]);
    assert_eq!(vendor.judge(&vendor.leaf(|_| {})), Ok(()));
    // One that is judged and cannot be read does not count as absent.
    let leaf = vendor.leaf(|leaf| {
        leaf.key_usages.clear();
        leaf.custom_extensions.push(extension(15, &[0x05, 0x00], false));
    });
    assert_eq!(vendor.judge_alone(&leaf), Err(EndorsementError::Malformed));
}

#[test]
fn work_is_bounded_where_many_have_one_name() {
    let vendor = Vendor::new(|_| {});
    let leaf = vendor.leaf(|_| {});
    let others: Vec<_> = (0..31).map(|_| Vendor::new(|_| {}).root).collect();
    let judge = |others: &[Vec<u8>]| {
        let roots: Vec<&[u8]> = others.iter().chain([&vendor.root]).map(Vec::as_slice).collect();
        let chain = [&leaf[..], &vendor.issuer];
        VendorRoots::new(&roots).unwrap().verify(&EndorsementChain::parse(&chain)?, NOW)
    };
    // One signature is the leaf's.
    assert_eq!(judge(&others[..30]), Ok(()));
    assert_eq!(judge(&others), Err(EndorsementError::Chain));
}

#[test]
fn hundreds_of_roots_are_read_and_the_right_one_is_found() {
    let text = include_str!("vectors/seventeen.pem");
    let mut roots = crate::pem::decode_certificates(text).unwrap();
    assert_eq!(roots.len(), 17);
    let vendor = Vendor::new(|_| {});
    roots.extend(
        (0..494).map(|i| ca(&format!("root {i}")).self_signed(&vendor.issuer_key).unwrap().der().to_vec()),
    );
    roots.push(vendor.root.clone());
    let text = crate::pem::encode_certificates(roots.iter().map(Vec::as_slice)).unwrap();
    let read = crate::pem::decode_certificates(&text).unwrap();
    assert_eq!(read.len(), 512);
    let read: Vec<_> = read.iter().map(Vec::as_slice).collect();
    let (leaf, roots) = (vendor.leaf(|_| {}), VendorRoots::new(&read).unwrap());
    assert_eq!(roots.verify(&EndorsementChain::parse(&[&leaf, &vendor.issuer]).unwrap(), NOW), Ok(()));
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
        self.leaf_by(&self.issuer_params, &self.issuer_key, change)
    }

    fn leaf_by(
        &self,
        issuer: &CertificateParams,
        issuer_key: &Signer,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Vec<u8> {
        let mut params = params("");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![2, 23, 133, 8, 1])];
        params.key_usages = vec![KeyUsagePurpose::KeyAgreement];
        let mut name = CustomExtension::from_oid_content(&[2, 5, 29, 17], DIRECTORY_NAME.to_vec());
        name.set_criticality(true);
        params.custom_extensions = vec![name];
        change(&mut params);
        let issuer = Issuer::from_params(issuer, issuer_key);
        let key = PublicKey::from(*self.ek.verifying_key());
        params.signed_by(&key, &issuer).unwrap().der().to_vec()
    }

    fn judge(&self, leaf: &[u8]) -> Result<(), EndorsementError> {
        self.judge_chain(&[leaf, &self.issuer])
    }

    /// The verifier that rustls uses, which differs from ours in what is judged alone below, has to agree.
    fn judge_chain(&self, chain: &[&[u8]]) -> Result<(), EndorsementError> {
        let ours = self.judge_chain_alone(chain);
        let root = CertificateDer::from(&self.root[..]);
        let certificates: Vec<_> = chain.iter().map(|der| CertificateDer::from(*der)).collect();
        let theirs = EndEntityCert::try_from(&certificates[0]).and_then(|leaf| {
            let usage = KeyUsage::required_if_present(&[0x67, 0x81, 0x05, 0x08, 0x01]);
            let (roots, now) = ([anchor_from_trusted_cert(&root)?], Duration::from_secs(NOW));
            let now = UnixTime::since_unix_epoch(now);
            let algorithms = [webpki::ring::ECDSA_P256_SHA256];
            leaf.verify_for_usage(&algorithms, &roots, &certificates[1..], now, usage, None, None).map(|_| ())
        });
        let is_use = ours == Err(EndorsementError::Use);
        assert!(ours.is_ok() == theirs.is_ok() || is_use, "{ours:?}, {theirs:?}");
        ours
    }

    fn judge_alone(&self, leaf: &[u8]) -> Result<(), EndorsementError> {
        self.judge_chain_alone(&[leaf, &self.issuer])
    }

    fn judge_chain_alone(&self, chain: &[&[u8]]) -> Result<(), EndorsementError> {
        VendorRoots::new(&[&self.root]).unwrap().verify(&EndorsementChain::parse(chain)?, NOW)
    }
}

/// An extension of X.509, 2.5.29.`number`.
fn extension(number: u64, value: &[u8], is_critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, number], value.to_vec());
    extension.set_criticality(is_critical);
    extension
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

/// `SEQUENCE { SEQUENCE { anyPolicy } }`
const ANY_POLICY: [u8; 10] = [0x30, 0x08, 0x30, 0x06, 0x06, 0x04, 0x55, 0x1d, 0x20, 0x00];

/// `SEQUENCE { [0] { SEQUENCE { [2] "xy" } } }`: names of DNS that are permitted.
const NAME_CONSTRAINTS: [u8; 10] = [0x30, 0x08, 0xa0, 0x06, 0x30, 0x04, 0x82, 0x02, b'x', b'y'];

/// `SEQUENCE { [0] 0 }`: an explicit policy is required.
const POLICY_CONSTRAINTS: [u8; 5] = [0x30, 0x03, 0x80, 0x01, 0x00];
