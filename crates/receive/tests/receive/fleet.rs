//! Devices of an authority, and the batches that they seal.

use std::sync::Mutex;
use wardein_client::unix_now;
use wardein_crypto::{Digest, P256SigningKey, Secret, SecretBytes};
use wardein_ddkg::DeviceName;
use wardein_ddkg::message::FileStanza;
use wardein_domain::{CertificateNames, KeyPurposes, Serial};
use wardein_files::{Authority, FIRST, FileError, ReaderKey, SignedStatement, Statement, seal};
use wardein_logs::batch::{self, FilterVersion, Header};
use wardein_pki::{
    Csr, DeviceCsr, DeviceIdentity, INTERMEDIATE_LIFETIME, IssuingCa, ROOT_LIFETIME, RootCa, Validity, pem,
};

/// Of age-keygen.
pub(crate) const READER_KEY: &str =
    "AGE-SECRET-KEY-1XMWWC06LY3EE5RYTXM9MFLAZ2U56JJJ36S0MYPDRWSVLUL66MV4QX3S7F6";

/// An authority's CAs.
pub(crate) struct Fleet {
    pub(crate) root: Vec<u8>,
    issuing: IssuingCa,
}

/// A device with its certificate, and the chain of its statements.
pub(crate) struct Device {
    pub(crate) name: DeviceName,
    key: P256SigningKey,
    pub(crate) pkcs8: SecretBytes,
    pub(crate) certificates: String,
    pub(crate) number: u64,
    pub(crate) previous: Digest,
}

/// What a device delivers.
pub(crate) struct Delivery {
    pub(crate) name: String,
    pub(crate) age: Vec<u8>,
    pub(crate) sig: String,
    /// The key of the file, where the authority opens it.
    pub(crate) key: Option<Secret<16>>,
}

/// For whom a batch is sealed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    Reader,
    Authority,
}

impl Fleet {
    pub(crate) fn found() -> Self {
        let validity = |lifetime| Validity::starting(unix_now(), lifetime).unwrap();
        let domain = "wardein.example".parse().unwrap();
        let root = RootCa::found(&domain, key().0, serial(1), validity(ROOT_LIFETIME)).unwrap();
        let issuing = root.found_issuing(key().0, serial(2), validity(INTERMEDIATE_LIFETIME)).unwrap();
        Self { root: root.certificate().der().to_vec(), issuing }
    }

    /// A device of the tenant `klinik`.
    pub(crate) fn device(&self, device: &str) -> Device {
        self.device_of("klinik", device)
    }

    pub(crate) fn device_of(&self, tenant: &str, device: &str) -> Device {
        let (key, pkcs8) = key();
        let name = DeviceName { tenant: tenant.parse().unwrap(), device: device.parse().unwrap() };
        let csr = DeviceCsr::from(&Csr::parse(&Csr::create(&key).unwrap()).unwrap());
        let identity = DeviceIdentity {
            serial: serial(9),
            tenant: name.tenant.clone(),
            device: name.device.clone(),
            names: CertificateNames::default(),
            validity: Validity::starting(unix_now(), 86_400).unwrap(),
            assurance: None,
            purposes: KeyPurposes::CLIENT,
            no_rev_avail: false,
        };
        let leaf = self.issuing.issue_device(&csr, &identity).unwrap().into_der();
        let chain = [leaf.as_slice(), self.issuing.certificate().der()];
        let certificates = pem::encode_certificates(chain).unwrap();
        Device { name, key, pkcs8, certificates, number: 0, previous: FIRST }
    }
}

impl Device {
    /// Batch `number` for the maker, with these records.
    pub(crate) fn batch(&mut self, number: u64, records: &[&str], to: For) -> Delivery {
        self.seal(&named(number), &batch::write(&header(number, records.len()), records).unwrap(), to)
    }

    /// What is sealed under that name, whatever it is.
    pub(crate) fn seal(&mut self, name: &str, plaintext: &[u8], to: For) -> Delivery {
        let (mut age, kept) = (Vec::new(), Mutex::new(None));
        self.number += 1;
        let key_name = format!("ddkg1:{}/{}/1.file.0.{}", self.name.tenant, self.name.device, self.number);
        let body: [u8; 32] = Digest::of(key_name.as_bytes()).0;
        let mut wrap = |file_key: &Secret<16>| {
            *kept.lock().unwrap() = Some(file_key.duplicate());
            FileStanza::parse(&format!("ddkg1 {key_name}"), &body).map_err(FileError::Stanza)
        };
        let readers = [ReaderKey::parse(READER_KEY).unwrap().reader()];
        let sealed = match to {
            For::Reader => seal(plaintext, &mut age, &readers, Authority::<FileError>::Excluded, &mut |_| {}),
            For::Authority => seal(plaintext, &mut age, &[], Authority::Opens(&mut wrap), &mut |_| {}),
        };
        let sealed = sealed.unwrap();
        let statement = Statement {
            device: self.name.clone(),
            number: self.number,
            previous: self.previous,
            sha256: sealed.sha256,
            length: sealed.length,
            key: (to == For::Authority).then(|| key_name.parse().unwrap()),
            sealed_at: unix_now(),
            heard_at: unix_now(),
        };
        self.previous = statement.digest();
        let sig = self.sign(statement);
        Delivery { name: name.to_owned(), age, sig, key: kept.into_inner().unwrap() }
    }

    pub(crate) fn sign(&self, statement: Statement) -> String {
        SignedStatement::sign(statement, &self.key, self.certificates.clone()).unwrap().text()
    }
}

pub(crate) fn header(number: u64, records: usize) -> Header {
    Header {
        format: Header::FORMAT.to_owned(),
        audience: "maker".parse().unwrap(),
        batch: number,
        filter: FilterVersion::of(b"logs.toml"),
        begun: 1_795_305_600,
        ended: 1_795_305_660,
        records: records as u64,
        gaps: Vec::new(),
        withheld: 0,
        observed: Vec::new(),
    }
}

pub(crate) fn named(number: u64) -> String {
    format!("maker-{number:012}")
}

fn key() -> (P256SigningKey, SecretBytes) {
    let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
    (P256SigningKey::from_pkcs8(&pkcs8).unwrap(), pkcs8)
}

fn serial(number: u8) -> Serial {
    Serial::from_random([number; 16])
}
