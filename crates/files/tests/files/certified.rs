//! A device with a certificate, in memory.

use wardein_crypto::{Digest, P256SigningKey};
use wardein_domain::{CertificateNames, KeyPurposes, Serial};
use wardein_files::{FIRST, SignedStatement, Statement};
use wardein_pki::{
    Csr, DeviceCsr, DeviceIdentity, INTERMEDIATE_LIFETIME, IssuingCa, ROOT_LIFETIME, RootCa, Validity, pem,
};

/// 2026-11-22.
pub(crate) const NOW: u64 = 1_795_305_600;

pub(crate) struct Certified {
    pub(crate) root: Vec<u8>,
    issuing: IssuingCa,
    pub(crate) key: P256SigningKey,
    pub(crate) certificates: String,
}

impl Certified {
    /// `pump-1` of the tenant `klinik`, for a day from [`NOW`] on.
    pub(crate) fn found() -> Self {
        let validity = |lifetime| Validity::starting(NOW, lifetime).unwrap();
        let domain = "wardein.example".parse().unwrap();
        let root = RootCa::found(&domain, key(), serial(1), validity(ROOT_LIFETIME)).unwrap();
        let issuing = root.found_issuing(key(), serial(2), validity(INTERMEDIATE_LIFETIME)).unwrap();
        let key = key();
        let certificates = certify(&issuing, &key, "pump-1");
        Self { root: root.certificate().der().to_vec(), issuing, key, certificates }
    }

    /// The certificates of another device with the same key.
    pub(crate) fn certificates_of(&self, device: &str) -> String {
        certify(&self.issuing, &self.key, device)
    }

    pub(crate) fn sign(&self, statement: Statement) -> SignedStatement {
        SignedStatement::sign(statement, &self.key, self.certificates.clone()).unwrap()
    }
}

pub(crate) fn statement(number: u64, previous: Digest) -> Statement {
    Statement {
        device: wardein_ddkg::DeviceName {
            tenant: "klinik".parse().unwrap(),
            device: "pump-1".parse().unwrap(),
        },
        number,
        previous,
        sha256: Digest::of(b"sealed"),
        length: 6,
        key: Some("ddkg1:klinik/pump-1/1.file.0.6".parse().unwrap()),
        sealed_at: NOW + 60,
        heard_at: NOW,
    }
}

pub(crate) fn first() -> Statement {
    statement(1, FIRST)
}

pub(crate) fn key() -> P256SigningKey {
    P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()
}

fn certify(issuing: &IssuingCa, key: &P256SigningKey, device: &str) -> String {
    let csr = DeviceCsr::from(&Csr::parse(&Csr::create(key).unwrap()).unwrap());
    let identity = DeviceIdentity {
        serial: serial(9),
        tenant: "klinik".parse().unwrap(),
        device: device.parse().unwrap(),
        names: CertificateNames::default(),
        validity: Validity::starting(NOW, 86_400).unwrap(),
        assurance: None,
        purposes: KeyPurposes::CLIENT,
        no_rev_avail: false,
    };
    let leaf = issuing.issue_device(&csr, &identity).unwrap().into_der();
    pem::encode_certificates([leaf.as_slice(), issuing.certificate().der()]).unwrap()
}

fn serial(number: u8) -> Serial {
    Serial::from_random([number; 16])
}
