use crate::{extend_16, left_over, open, tool};
use std::fs;
use wardein_attest::{AkPublic, EkPublic, EkTrust, Evidence, Refusal, TrustedAk, make_credential};
use wardein_crypto::{Digest, P256VerifyingKey, Secret, SystemEntropy};
use wardein_domain::{Assurance, Bank, PcrSelection};
use wardein_pki::VendorRoots;
use wardein_testkit::Swtpm;
use wardein_tpm::{EkKind, Statement, TpmError};

/// 2100-01-01: after the certificates were made, whenever this runs. They are valid until 9999.
const NOW: u64 = 4_102_444_800;
const NONCE: [u8; 32] = [7; 32];

fn evidence(statement: &Statement) -> Evidence<'_> {
    Evidence { attested: &statement.attested, signature: &statement.signature }
}

#[test]
fn evidence_under_every_endorsement_key_is_accepted() {
    let Some(swtpm) = Swtpm::start() else { return };
    let mut tpm = open(&swtpm);
    let [root, issuer] = swtpm.vendor().map(|path| {
        wardein_pki::pem::decode_certificates(&fs::read_to_string(path).unwrap()).unwrap().remove(0)
    });
    let trust = EkTrust::new(VendorRoots::new(&[&root]).unwrap(), true);
    assert_eq!(tpm.certified_kind().unwrap(), Some(EkKind::Rsa2048));
    let ak_bytes = tpm.attestation_key().unwrap();
    let ak = AkPublic::parse(&ak_bytes).unwrap();

    for kind in EkKind::ALL {
        let ek = tpm.endorsement_key(kind).unwrap();
        // The vendor certified no key on P-256.
        let assurance = if kind == EkKind::P256 { Assurance::TpmFirstUse } else { Assurance::TpmVendor };
        let chain: Vec<&[u8]> = ek.certificate.iter().map(Vec::as_slice).chain([issuer.as_slice()]).collect();
        let chain = if ek.certificate.is_some() { &chain[..] } else { &[] };
        let endorsed = trust.judge(EkPublic::parse(&ek.public).unwrap(), chain, false, NOW).unwrap();
        assert_eq!(endorsed.assurance(), assurance, "{kind}");

        let secret = Secret::copied_from(&[3; 32]);
        let credential = make_credential(&endorsed, &ak, &secret, &mut SystemEntropy::default()).unwrap();
        let shown = tpm.activate(kind, &credential.id_object, &credential.encrypted_secret).unwrap();
        assert!(TrustedAk::activated(ak.clone(), &secret, shown.expose()).is_ok(), "{kind}");

        let mut of_another = credential.id_object.clone();
        *of_another.last_mut().unwrap() ^= 1;
        let refused = tpm.activate(kind, &of_another, &credential.encrypted_secret);
        assert!(matches!(refused, Err(TpmError::Failed { .. })), "{kind}: {:?}", refused.err());
    }

    let trusted = TrustedAk::assertion(ak);
    let device = tpm.device_key().unwrap();
    let certified = tpm.certify(&NONCE).unwrap();
    let key = trusted.certified(evidence(&certified), &NONCE, &device.public).unwrap();
    assert_eq!(key.public_key().verifying_key().0, device.point);
    assert_eq!(trusted.certified(evidence(&certified), &[8; 32], &device.public), Err(Refusal::AttestNonce));
    assert_eq!(left_over(&swtpm), "");
}

#[test]
fn a_quote_tells_the_registers_as_they_are() {
    let Some(swtpm) = Swtpm::start() else { return };
    let mut tpm = open(&swtpm);
    let ak = TrustedAk::assertion(AkPublic::parse(&tpm.attestation_key().unwrap()).unwrap());
    // More than a TPM reads at one time.
    let numbers: Vec<u8> = (0..17).collect();
    let selection = PcrSelection::new(Bank::Sha256, &numbers).unwrap();

    let before = ak.quoted(evidence(&tpm.quote(&NONCE, selection).unwrap()), &NONCE, selection).unwrap();
    let values = tpm.read_pcrs(selection).unwrap();
    let given: Vec<&[u8]> = values.values().iter().map(Vec::as_slice).collect();
    assert!(before.values(&given).is_ok());
    extend_16(&swtpm);
    let after = ak.quoted(evidence(&tpm.quote(&NONCE, selection).unwrap()), &NONCE, selection).unwrap();
    assert_eq!(after.same_as(&before), Err(Refusal::PcrChanged));
    assert_ne!(tpm.read_pcrs(selection).unwrap(), values);

    // `swtpm_setup` was told to switch on the bank of SHA-256 alone.
    let absent = PcrSelection::new(Bank::Sha384, &[0]).unwrap();
    assert_eq!(tpm.read_pcrs(absent), Err(TpmError::NoRegisters { selection: absent }));
    assert_eq!(left_over(&swtpm), "");
}

#[test]
fn the_device_signs_in_its_tpm_alone() {
    let Some(swtpm) = Swtpm::start() else { return };
    let mut tpm = open(&swtpm);
    let key = P256VerifyingKey(tpm.device_key().unwrap().point);
    // Some of the numbers have leading zeros, or a first bit of 1.
    for message in 0..40_u8 {
        let signature = tpm.sign(&Digest::of(&[message]).0).unwrap();
        assert!(key.verify(&[message], &signature).is_ok(), "{message}");
        assert!(key.verify(&[!message], &signature).is_err(), "{message}");
    }
    // The attestation key signs no digest that came from outside: it is restricted.
    fs::write(swtpm.folder().join("digest"), [5; 32]).unwrap();
    let sign = ["-g", "sha256", "-d", "-o", "signature", "digest"];
    tpm.attestation_key().unwrap();
    let refused = swtpm.command("tpm2_sign").args(["-c", "0x81000010"]).args(sign).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("ticket"), "{refused:?}");
    tool(&swtpm, "tpm2_sign", &[&["-c", "0x81000011"][..], &sign].concat());
}
