//! Writes a certificate of every certificate profile, of devices and of platforms, and kind of key, by an issuing CA of every algorithm, for others to judge
//! (`deploy/certificates.sh`): `cargo run --example certificates -- DIR`. The keys are those of the requests of openssl among the tests'
//! vectors; the CAs' are made, and thrown away.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use wardein_crypto::{KeyAlgorithm, Signer, SigningKey};
use wardein_domain::{
    Assurance, CertificateNames, CertificateProfile, KeyKind, KeyKinds, KeyPurposes, PlatformProfile, Serial,
};
use wardein_pki::{
    DeviceCsr, DeviceIdentity, INTERMEDIATE_LIFETIME, IssuingCa, PlatformIdentity, ROOT_LIFETIME, RootCa,
    Validity, pem,
};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: certificates DIR")?);
    for algorithm in KeyAlgorithm::ALL {
        issue_by(algorithm, &folder.join(algorithm.name()))?;
    }
    Ok(())
}

fn issue_by(algorithm: KeyAlgorithm, folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    #[expect(clippy::disallowed_methods, reason = "judges go by the clock of this machine")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut serials = Serials(0);
    let root = signer(KeyAlgorithm::P384)?;
    let validity = Validity::starting(now, ROOT_LIFETIME)?;
    let root = RootCa::found(&"wardein.example".parse()?, root, serials.next()?, validity)?;
    let key = signer(algorithm)?;
    let validity = Validity::starting(now, INTERMEDIATE_LIFETIME)?;
    let order = root.issuing_order(&key.verifying_key(), KeyPurposes::EVERY, serials.next()?, validity)?;
    let ca = IssuingCa::load(key, root.prepare(&order)?.sign(&root)?.der())?;
    write(folder, "root", root.certificate().der())?;
    write(folder, "issuing", ca.certificate().der())?;
    for profile in CertificateProfile::ALL {
        for kind in KeyKind::ALL {
            // What a profile may say beside that.
            for what in ["", "-bare", "-norevavail", "-assured"] {
                let device = DeviceIdentity {
                    serial: serials.next()?,
                    tenant: "klinik-nord".parse()?,
                    device: "pump-0001".parse()?,
                    names: if what == "-bare" { CertificateNames::default() } else { names()? },
                    validity: Validity::starting(now, 86_400)?,
                    assurance: (what == "-assured").then_some(Assurance::TpmVendor),
                    purposes: profile.purposes(),
                    no_rev_avail: what == "-norevavail",
                };
                let csr = DeviceCsr::parse(&request(kind)?, KeyKinds::of(&[kind]))?;
                let leaf = ca.issue_device(&csr, &device)?;
                write(folder, &format!("{profile}-{kind}{what}"), leaf.der())?;
            }
        }
    }
    // Those that are valid for more than days say where they are found revoked, as the Baseline Requirements have it (BR 7.1.2.11.2).
    let ca = ca.with_revocation_url(Some("http://pki.example.com".parse()?));
    for profile in PlatformProfile::ALL {
        for kind in KeyKinds::STRONG.iter() {
            let (name, days) = match profile {
                PlatformProfile::PlatformServer => ("iot.klinik-nord.example.com", 90),
                PlatformProfile::FirmwareSigning => ("firmware.klinik-nord.example.com", 10 * 365),
            };
            let is_server = profile == PlatformProfile::PlatformServer;
            let platform = PlatformIdentity {
                serial: serials.next()?,
                tenant: "klinik-nord".parse()?,
                profile,
                common_name: Some(name.parse()?),
                dns_names: if is_server { vec![name.parse()?] } else { Vec::new() },
                validity: Validity::starting(now, days * 86_400)?.within(ca.certificate().validity())?,
            };
            let csr = DeviceCsr::parse(&request(kind)?, KeyKinds::STRONG)?;
            let leaf = ca.prepare(&ca.platform_order(&csr, &platform)?)?.sign(&ca)?;
            write(folder, &format!("{profile}-{kind}"), leaf.der())?;
        }
    }
    Ok(())
}

fn names() -> Result<CertificateNames, Box<dyn Error>> {
    Ok(CertificateNames {
        common_name: Some("pump-0001.klinik-nord.example.com".parse()?),
        dns: Some("pump-0001.klinik-nord.example.com".parse()?),
        uri: Some("urn:dev:os:32473-pump-0001".parse()?),
        serial_number: Some("pump-0001".parse()?),
    })
}

fn signer(algorithm: KeyAlgorithm) -> Result<Arc<dyn Signer>, Box<dyn Error>> {
    let document = SigningKey::generate_pkcs8(algorithm).map_err(|_| "no entropy for keys")?;
    let key = SigningKey::from_pkcs8(algorithm.signature(), &document).map_err(|_| "a damaged key")?;
    Ok(Arc::new(key))
}

fn request(kind: KeyKind) -> Result<Vec<u8>, Box<dyn Error>> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/vectors/requests");
    Ok(fs::read(vectors.join(format!("{kind}.der")))?)
}

fn write(folder: &Path, name: &str, der: &[u8]) -> Result<(), Box<dyn Error>> {
    fs::write(folder.join(name).with_extension("pem"), pem::encode_certificates([der])?)?;
    Ok(())
}

/// Serials with bits that look random, as judges want them.
struct Serials(u64);

impl Serials {
    fn next(&mut self) -> Result<Serial, Box<dyn Error>> {
        self.0 += 1;
        let digest = wardein_crypto::Digest::of(&self.0.to_be_bytes());
        Ok(Serial::from_random(*digest.0.first_chunk().ok_or("a digest is longer")?))
    }
}
