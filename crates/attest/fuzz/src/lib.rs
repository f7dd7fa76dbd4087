//! What the fuzz targets do, apart from the engine, so that `tests/attest/corpus.rs` runs the same lines on a stable compiler.
//!
//! | target | takes | reaches |
//! | --- | --- | --- |
//! | [`public`] | a TPM2B_PUBLIC | each kind of key; a credential is made for what is taken |
//! | [`statement`] | a TPMS_ATTEST and a TPMT_SIGNATURE | both parsers, and the checks of certify and quote |
//! | [`certificate`] | a chain of certificates | reading it, and verifying it to a vendor's root |

use wardein_attest::{
    AkPublic, Attested, EkPublic, EkTrust, Evidence, Public, Refusal, Signature, TrustedAk, make_credential,
};
use wardein_crypto::{Entropy, EntropyError, Secret};
use wardein_domain::{Bank, PcrSelection};
use wardein_pki::{EndorsementChain, VendorRoots};

/// Reads `data` as each kind of key. What is taken must be usable.
pub fn public(data: &[u8]) {
    let Ok(public) = Public::parse(data) else {
        assert!(EkPublic::parse(data).is_err() && AkPublic::parse(data).is_err());
        return;
    };
    assert!(matches!(public.name().as_bytes().len(), 34 | 50));
    let ak = AkPublic::parse(data);
    let ek = EkPublic::parse(data);
    assert!(ak.is_err() || ek.is_err(), "one key decrypts and signs");
    if let Ok(ek) = ek {
        assert!(ek.spki().len() > 64);
        credential(ek, &known_ak());
    }
    match ak {
        Ok(ak) => credential(EkPublic::parse(EK).expect("a real one"), &ak),
        Err(refusal) => explained(refusal),
    }
    let evidence = Evidence { attested: ATTESTED, signature: SIGNATURE };
    if TrustedAk::assertion(known_ak()).certified(evidence, NONCE, data).is_ok() {
        assert_eq!(data, DEVICE, "a key is certified that the TPM did not certify");
    }
}

/// Reads `data`, cut where its first two bytes say, as a statement and its signature. Nobody has signed anything with this nonce.
pub fn statement(data: &[u8]) {
    let Some((attested, signature)) = cut(data) else { return };
    let is_read = Attested::parse(attested).is_ok() && Signature::parse(signature).is_ok();
    let ak = TrustedAk::assertion(known_ak());
    let evidence = Evidence { attested, signature };
    let selection = PcrSelection::new(Bank::Sha256, &[0, 7, 16]).expect("registers");
    for refusal in
        [ak.certified(evidence, &[0; 32], DEVICE).err(), ak.quoted(evidence, &[0; 32], selection).err()]
    {
        let refusal = refusal.expect("a statement that answers another nonce was taken");
        explained(refusal);
        assert_eq!(matches!(refusal, Refusal::Structure(_)), !is_read);
    }
}

/// Reads `data` as a chain, each certificate but the last after two bytes of its length.
pub fn certificate(data: &[u8]) {
    let mut chain = Vec::new();
    let mut rest = data;
    while let Some((certificate, more)) = cut(rest) {
        chain.push(certificate);
        rest = more;
    }
    chain.push(rest);
    let _ = VendorRoots::new(&chain).is_ok();
    let roots = VendorRoots::new(&[ROOT, ISSUER]).expect("real ones");
    match EndorsementChain::parse(&chain) {
        Ok(chain) => match roots.verify(&chain, NOW) {
            Ok(()) => {
                let is_known = CERTIFICATES.iter().any(|known| {
                    let known = EndorsementChain::parse(&[known]).expect("a real one");
                    known.key_bits() == chain.key_bits()
                });
                assert!(is_known, "a key is endorsed that the vendor did not endorse");
            }
            Err(error) => explained(Refusal::EkCertificate(error)),
        },
        Err(error) => explained(Refusal::EkCertificate(error)),
    }
}

fn credential(ek: EkPublic, ak: &AkPublic) {
    let endorsed = EkTrust::new(VendorRoots::default(), false).judge(ek, &[], true, NOW).expect("listed");
    let secret = Secret::copied_from(&[7; 32]);
    let credential = make_credential(&endorsed, ak, &secret, &mut Counter(0)).expect("a credential");
    assert!(matches!(credential.id_object.len(), 68 | 84));
    assert!(matches!(credential.encrypted_secret.len(), 68 | 100 | 256));
}

fn explained(refusal: Refusal) {
    assert!(!refusal.to_string().is_empty() && !refusal.code().as_str().is_empty());
}

fn known_ak() -> AkPublic {
    AkPublic::parse(AK).expect("a real one")
}

fn cut(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

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

const NOW: u64 = 4_102_444_800;
const NONCE: &[u8; 32] = b"a nonce of thirty-two bytes, yes";
const AK: &[u8] = include_bytes!("../../tests/vectors/ak-p256.pub");
const EK: &[u8] = include_bytes!("../../tests/vectors/ek-p256.pub");
const DEVICE: &[u8] = include_bytes!("../../tests/vectors/device.pub");
const ATTESTED: &[u8] = include_bytes!("../../tests/vectors/certify-p256.attest");
const SIGNATURE: &[u8] = include_bytes!("../../tests/vectors/certify-p256.sig");
const ROOT: &[u8] = include_bytes!("../../tests/vectors/vendor-root.der");
const ISSUER: &[u8] = include_bytes!("../../tests/vectors/vendor-issuer.der");
const CERTIFICATES: [&[u8]; 3] = [
    include_bytes!("../../tests/vectors/ek-rsa2048.der"),
    include_bytes!("../../tests/vectors/ek-p256.der"),
    include_bytes!("../../tests/vectors/ek-p384.der"),
];
