//! Cross-certificates, of a company's PKI that OpenSSL makes: it judges the request, the chain and a leaf under it.

use super::{Authority, device, device_csr, key, serial};
use crate::pem::{encode_certificates, encode_request, read_certificates};
use crate::{
    CaCertificate, CaKey, CrossChain, CrossError, DeviceIdentity, INTERMEDIATE_LIFETIME, Issuing, IssuingCa,
    Validity,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use wardein_crypto::{KeyAlgorithm, Signer, SigningKey};
use wardein_domain::KeyPurposes;

/// The directory of a company's PKI: a root of RSA, and a CA on P-384 under it.
struct Company(PathBuf);

impl Company {
    /// None where OpenSSL cannot be run.
    fn found() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("wardein-cross-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let company = Self(directory);
        if let Err(error) = Command::new("openssl").arg("version").output() {
            eprintln!("SKIPPED: openssl cannot be run ({error}); there is no other PKI to be certified by");
            return None;
        }
        company.openssl("req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 3650 -sha512 -subj /O=Klinik/CN=Root -addext keyUsage=critical,keyCertSign,cRLSign");
        company.openssl("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout sub.key -out sub.csr -subj /O=Klinik/CN=Sub");
        company.sign("sub", "root", "sub.pem", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n");
        Some(company)
    }

    fn openssl(&self, line: &str) {
        assert!(self.tries(line), "openssl {line}");
    }

    fn tries(&self, line: &str) -> bool {
        let output = Command::new("openssl").current_dir(&self.0).args(line.split(' ')).output().unwrap();
        if !output.status.success() {
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        }
        output.status.success()
    }

    /// Has a CA certify what a request asks for, with these extensions, or with those of the request.
    fn sign(&self, request: &str, ca: &str, out: &str, extensions: &str) {
        self.write("extensions", extensions.as_bytes());
        let with = if extensions.is_empty() { "-copy_extensions copyall" } else { "-extfile extensions" };
        // Ours ends first, not in the same second as the one above it or the next.
        let days = if request == "ours" { 900 } else { 1_000 };
        self.openssl(&format!(
            "x509 -req -in {request}.csr -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -days {days} -sha256 -out {out} {with}"
        ));
    }

    /// The certificate of our CA with these extensions.
    fn certified(&self, extensions: &str) -> Vec<u8> {
        self.sign("ours", "sub", "cross.pem", extensions);
        self.der("cross.pem")
    }

    fn der(&self, name: &str) -> Vec<u8> {
        read_certificates(&std::fs::read(self.0.join(name)).unwrap()).unwrap().remove(0)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.0.join(name), bytes).unwrap();
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(Path::new(&self.0));
    }
}

/// A further CA of an authority, and its request at the company.
fn further(company: &Company, authority: &Authority, algorithm: KeyAlgorithm) -> IssuingCa {
    let document = SigningKey::generate_pkcs8(algorithm).unwrap();
    let signer = SigningKey::from_pkcs8(algorithm.signature(), &document).unwrap();
    let validity = Validity::starting(super::NOW, INTERMEDIATE_LIFETIME).unwrap();
    let order = authority.root.further_issuing_order(
        &signer.verifying_key(),
        KeyPurposes::CLIENT,
        serial(20),
        validity,
    );
    let issued = authority.root.prepare(&order.unwrap()).unwrap().sign(&authority.root).unwrap();
    let ca = CaKey::load(signer, issued.der()).unwrap();
    company.write("ours.csr", encode_request(&ca.cross_request().unwrap()).unwrap().as_bytes());
    company.openssl("req -in ours.csr -noout -verify");
    ca
}

/// An hour after the company made this certificate, by the machine's clock. Those that it makes meanwhile are valid then too.
fn hour_after(der: &[u8]) -> u64 {
    CrossChain::of(vec![der.to_vec()]).unwrap().validity().not_before() + 3_600
}

fn verify(ca: &IssuingCa, chain: &[Vec<u8>], now: u64) -> Result<CrossChain, CrossError> {
    let chain: Vec<_> = chain.iter().map(Vec::as_slice).collect();
    CrossChain::verify(ca.certificate(), &chain, now)
}

#[test]
fn a_leaf_under_a_cross_certified_ca_leads_to_either_root() {
    for algorithm in [KeyAlgorithm::P256, KeyAlgorithm::Rsa3072] {
        let Some(company) = Company::found() else { return };
        let authority = Authority::found();
        let ca = further(&company, &authority, algorithm);
        let computed = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
        // What the request asks for, and what a CA that computes the key identifier itself makes of it.
        for extensions in ["", computed] {
            let cross = company.certified(extensions);
            let now = hour_after(&cross);
            let all = [cross.clone(), company.der("sub.pem"), company.der("root.pem")];
            let chain = verify(&ca, &all, now).unwrap();
            assert_eq!(chain.certificates(), &all[..2], "without the root");
            assert!(chain.validity().contains(now) && !chain.validity().contains(now + 1001 * 86_400));
            let validity = Validity::starting(now, 3_600).unwrap();
            let device = DeviceIdentity { validity, ..device() };
            let leaf = ca.issue_device(&device_csr(), &device).unwrap();
            let ours = ca.certificate().der();
            let handed_out = [leaf.der(), &all[0], &all[1], ours];
            company.write("chain.pem", encode_certificates(handed_out).unwrap().as_bytes());
            company.write("leaf.pem", encode_certificates([leaf.der()]).unwrap().as_bytes());
            // As the trust bundle has it: of two issuers OpenSSL takes the first, of those that it trusts before others.
            let trusted = [authority.root.certificate().der(), ours];
            company.write("wardein.pem", encode_certificates(trusted).unwrap().as_bytes());
            let verified = crate::verify_device_chain(&handed_out, &[authority.root.certificate().der()]);
            assert_eq!(verified.unwrap().0, device, "a device goes by the root alone");
            for root in ["root", "wardein"] {
                company.openssl(&format!(
                    "verify -x509_strict -purpose sslclient -attime {now} -no-CApath -CAfile {root}.pem -untrusted chain.pem leaf.pem"
                ));
            }
            assert!(!company.tries(&format!("verify -attime {now} -no-CApath -CAfile root.pem leaf.pem")));
        }
    }
}

#[test]
fn a_chain_that_its_verifiers_would_refuse_is_refused() {
    let Some(company) = Company::found() else { return };
    let authority = Authority::found();
    let ca = further(&company, &authority, KeyAlgorithm::P256);
    let (good, sub, root) = (company.certified(""), company.der("sub.pem"), company.der("root.pem"));
    let now = hour_after(&good);
    let all = || vec![good.clone(), sub.clone(), root.clone()];
    assert!(verify(&ca, &all(), now).is_ok());
    let refused = |chain: &[Vec<u8>], now| verify(&ca, chain, now).unwrap_err();

    // In number and order.
    assert_eq!(refused(&[], now), CrossError::Length);
    assert_eq!(refused(&all()[..1], now), CrossError::Length);
    assert_eq!(refused(&vec![good.clone(); 7], now), CrossError::Length);
    assert_eq!(refused(&all()[..2], now), CrossError::Root);
    assert_eq!(refused(&[good.clone(), root.clone()], now), CrossError::Issuer(1));
    assert_eq!(refused(&[sub.clone(), root.clone()], now), CrossError::OtherCa);
    assert_eq!(refused(&[good.clone(), sub.clone(), sub.clone(), root.clone()], now), CrossError::Issuer(2));

    // In bytes.
    for (at, cut) in [(0, good.len() - 1), (1, 10), (2, 0)] {
        let mut chain = all();
        chain[at].truncate(cut);
        assert_eq!(refused(&chain, now), CrossError::Malformed(at + 1));
        chain[at] = vec![0x30; 9_000];
        assert_eq!(refused(&chain, now), CrossError::Malformed(at + 1));
        let mut chain = all();
        *chain[at].last_mut().unwrap() ^= 1;
        assert_eq!(refused(&chain, now), CrossError::Signature(at + 1), "{at}");
    }

    // In time.
    let until = verify(&ca, &all(), now).unwrap().validity();
    assert_eq!(refused(&all(), until.not_after() + 1), CrossError::Validity(1));
    assert!(matches!(refused(&all(), until.not_before() - 86_400), CrossError::Validity(_)));

    // In what it may do.
    let base = "subjectKeyIdentifier=hash\n";
    let ca_of = "basicConstraints=critical,CA:TRUE\n";
    let signs = "keyUsage=critical,keyCertSign,cRLSign\n";
    for (extensions, expected) in [
        (format!("{base}basicConstraints=critical,CA:FALSE\n{signs}"), CrossError::Use(1)),
        (format!("{base}{signs}"), CrossError::Use(1)),
        (format!("{base}{ca_of}keyUsage=critical,cRLSign,digitalSignature\n"), CrossError::Use(1)),
        (format!("{base}{ca_of}keyUsage=critical,keyCertSign\n"), CrossError::Lists),
        (format!("{base}{ca_of}{signs}extendedKeyUsage=serverAuth\n"), CrossError::Purposes(1)),
        (format!("subjectKeyIdentifier={}\n{ca_of}{signs}", "00".repeat(20)), CrossError::KeyId),
        (format!("subjectKeyIdentifier=none\n{ca_of}{signs}"), CrossError::KeyId),
    ] {
        let mut chain = all();
        chain[0] = company.certified(&extensions);
        assert_eq!(refused(&chain, now), expected, "{extensions}");
    }
    for purposes in ["clientAuth", "clientAuth,serverAuth", "anyExtendedKeyUsage"] {
        let mut chain = all();
        chain[0] = company.certified(&format!("{base}{ca_of}{signs}extendedKeyUsage={purposes}\n"));
        assert!(verify(&ca, &chain, now).is_ok(), "{purposes}");
    }
    for (above, expected) in [
        ("basicConstraints=critical,CA:TRUE,pathlen:0", CrossError::PathLen(2)),
        ("basicConstraints=critical,CA:FALSE", CrossError::Use(2)),
        ("basicConstraints=critical,CA:TRUE\nextendedKeyUsage=emailProtection", CrossError::Purposes(2)),
    ] {
        company.sign("sub", "root", "sub.pem", &format!("{base}{above}\n"));
        let chain = [good.clone(), company.der("sub.pem"), root.clone()];
        assert_eq!(refused(&chain, now), expected, "{above}");
    }

    // For another subject, and for another key.
    company.sign("sub", "root", "sub.pem", &format!("{base}{ca_of}"));
    company.openssl("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -out ours.csr -subj /CN=Other");
    let mut chain = all();
    chain[0] = company.certified(&format!("{base}{ca_of}{signs}"));
    assert_eq!(refused(&chain, now), CrossError::OtherCa);
}

#[test]
fn a_ca_of_either_key_identifier_is_read() {
    let authority = Authority::found();
    let validity = authority.issuing.certificate().validity();
    let (first, further) = (key(), key());
    let further = Signer::verifying_key(&further);
    let order = authority.root.further_issuing_order(&further, KeyPurposes::CLIENT, serial(8), validity);
    let issued = authority.root.prepare(&order.unwrap()).unwrap().sign(&authority.root).unwrap();
    let further = CaCertificate::<Issuing>::parse(issued.der()).unwrap();
    assert_eq!(*further.key_id(), further.key.common_id());
    let first = authority.root.found_issuing(first, serial(9), validity).unwrap();
    assert_eq!(*first.certificate().key_id(), first.certificate().key.id());
}
