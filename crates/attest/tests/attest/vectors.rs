//! What a real TPM gave (`tests/vectors`, written by `swtpm`) is taken, and nothing else that is near it.

use crate::forge::NONCE;
use std::fs;
use std::path::Path;
use wardein_attest::{AkPublic, EkPublic, EkTrust, Evidence, Refusal, TrustedAk, make_credential};
use wardein_crypto::{Digest, Entropy, EntropyError, Secret};
use wardein_domain::{Assurance, Bank, ErrorCode, PcrSelection};
use wardein_pki::{EndorsementError, VendorRoots};

const EKS: [&str; 3] = ["rsa2048", "p256", "p384"];
const AKS: [&str; 4] = ["rsassa", "rsapss", "p256", "p384"];

/// 2100-01-01, within the certificates' validity.
const NOW: u64 = 4_102_444_800;

#[test]
fn endorsement_keys_of_each_kind_are_trusted_by_their_vendor() {
    for name in EKS {
        let ek = EkPublic::parse(&read(&format!("ek-{name}.pub"))).unwrap();
        let (certificate, issuer) = (read(&format!("ek-{name}.der")), read("vendor-issuer.der"));
        let trust = EkTrust::new(VendorRoots::new(&[&read("vendor-root.der")]).unwrap(), false);
        let endorsed = trust.judge(ek.clone(), &[&certificate, &issuer], false, NOW).unwrap();
        assert_eq!(endorsed.assurance(), Assurance::TpmVendor);
        assert_eq!(endorsed.ek(), &ek);
        let stranger = EkTrust::new(VendorRoots::default(), false);
        assert_eq!(
            stranger.judge(ek.clone(), &[&certificate, &issuer], false, NOW).err(),
            Some(Refusal::EkCertificate(EndorsementError::Chain))
        );
        // The key is in the certificate as it is in the digest's input.
        let spki = ek.spki();
        assert!(certificate.windows(spki.len()).any(|window| window == spki), "{name}");
        assert_eq!(ek.digest().0, Digest::of(&spki));
    }
}

#[test]
fn a_credential_is_the_one_that_the_tpm_opened() {
    let ak = AkPublic::parse(&read("ak-p256.pub")).unwrap();
    for name in EKS {
        let ek = EkPublic::parse(&read(&format!("ek-{name}.pub"))).unwrap();
        let endorsed = EkTrust::new(VendorRoots::default(), false).judge(ek, &[], true, NOW).unwrap();
        let secret = Secret::copied_from(b"a secret that only a TPM returns");
        let credential = make_credential(&endorsed, &ak, &secret, &mut Counter(1)).unwrap();
        assert_eq!(credential.id_object, read(&format!("credential-{name}.id")), "{name}");
        let expected = read(&format!("credential-{name}.secret"));
        // The padding of OAEP is drawn each time.
        assert_eq!(credential.encrypted_secret == expected, name != "rsa2048");
        assert_eq!(credential.encrypted_secret.len(), expected.len());
    }
}

#[test]
fn statements_of_each_kind_of_key_are_taken() {
    let selection = PcrSelection::new(Bank::Sha256, &[0, 7, 16]).unwrap();
    let registers = read("pcrs");
    let values: Vec<&[u8]> = registers.chunks(32).collect();
    for name in AKS {
        let (ak, evidence) = (ak(name), Owned::read("certify", name));
        assert!(ak.certified(evidence.borrow(), &NONCE, &read("device.pub")).is_ok(), "{name}");
        let evidence = Owned::read("quote", name);
        let state = ak.quoted(evidence.borrow(), &NONCE, selection).unwrap();
        assert!(state.values(&values).is_ok(), "{name}");
        // One key's statement is no other key's.
        for other in AKS.into_iter().filter(|other| *other != name) {
            assert!(self::ak(other).quoted(evidence.borrow(), &NONCE, selection).is_err());
        }
    }
}

#[test]
fn every_changed_byte_of_a_statement_or_its_signature_is_refused() {
    let device = read("device.pub");
    for name in AKS {
        let (ak, evidence) = (ak(name), Owned::read("certify", name));
        for index in 0..evidence.attested.len() {
            let mut changed = evidence.clone();
            changed.attested[index] ^= 1 << (index % 8);
            assert!(ak.certified(changed.borrow(), &NONCE, &device).is_err(), "{name} {index}");
        }
        for index in 0..evidence.signature.len() {
            let mut changed = evidence.clone();
            changed.signature[index] ^= 1 << (index % 8);
            assert!(ak.certified(changed.borrow(), &NONCE, &device).is_err(), "{name} {index}");
        }
        for index in 0..device.len() {
            let mut changed = device.clone();
            changed[index] ^= 1 << (index % 8);
            assert!(ak.certified(evidence.borrow(), &NONCE, &changed).is_err(), "{name} {index}");
        }
    }
}

#[test]
fn every_changed_bit_of_a_public_area_is_refused_or_makes_another_key() {
    for name in EKS {
        let area = read(&format!("ek-{name}.pub"));
        let digest = EkPublic::parse(&area).unwrap().digest();
        for changed in flips(&area) {
            assert!(EkPublic::parse(&changed).ok().is_none_or(|ek| ek.digest() != digest), "{name}");
        }
    }
    for name in AKS {
        let area = read(&format!("ak-{name}.pub"));
        let ak = AkPublic::parse(&area).unwrap();
        for changed in flips(&area) {
            assert!(AkPublic::parse(&changed).ok().is_none_or(|other| other.name() != ak.name()), "{name}");
        }
    }
}

#[test]
fn whatever_is_cut_short_or_followed_by_a_byte_is_refused() {
    let cut_or_followed = |bytes: &[u8]| {
        let followed = [bytes, &[0]].concat();
        let mut all: Vec<Vec<u8>> = (0..bytes.len()).map(|length| bytes[..length].to_vec()).collect();
        all.push(followed);
        all
    };
    let is_parse_error = |refusal: Option<Refusal>| {
        let code = refusal.map(Refusal::code);
        assert!(
            matches!(
                code.map(ErrorCode::as_str),
                Some("tpm-truncated" | "tpm-trailing-bytes" | "tpm-too-long")
            ),
            "{code:?}"
        );
    };
    for name in EKS {
        for bytes in cut_or_followed(&read(&format!("ek-{name}.pub"))) {
            is_parse_error(EkPublic::parse(&bytes).err());
        }
    }
    let selection = PcrSelection::new(Bank::Sha256, &[0, 7, 16]).unwrap();
    for name in AKS {
        for bytes in cut_or_followed(&read(&format!("ak-{name}.pub"))) {
            is_parse_error(AkPublic::parse(&bytes).err());
        }
        for kind in ["certify", "quote"] {
            let (ak, whole) = (ak(name), Owned::read(kind, name));
            let judge = |evidence: Owned| {
                is_parse_error(ak.quoted(evidence.borrow(), &NONCE, selection).err());
            };
            for attested in cut_or_followed(&whole.attested) {
                judge(Owned { attested, ..whole.clone() });
            }
            for signature in cut_or_followed(&whole.signature) {
                judge(Owned { signature, ..whole.clone() });
            }
        }
    }
}

pub(crate) fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    fs::read(path).unwrap()
}

fn ak(name: &str) -> TrustedAk {
    TrustedAk::assertion(AkPublic::parse(&read(&format!("ak-{name}.pub"))).unwrap())
}

fn flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut changed = bytes.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        changed
    })
}

#[derive(Clone)]
struct Owned {
    attested: Vec<u8>,
    signature: Vec<u8>,
}

impl Owned {
    fn read(kind: &str, ak: &str) -> Self {
        let [attested, signature] = ["attest", "sig"].map(|end| read(&format!("{kind}-{ak}.{end}")));
        Self { attested, signature }
    }

    fn borrow(&self) -> Evidence<'_> {
        Evidence { attested: &self.attested, signature: &self.signature }
    }
}

/// As in `swtpm`.
struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill_with(|| {
            self.0 = self.0.wrapping_add(1);
            self.0
        });
        Ok(())
    }
}
