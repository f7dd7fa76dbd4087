//! Which keys may be what.

use crate::forge::{Area, BOUND, DECRYPT, ECDSA_SHA256, Forger, NONCE, NULL, RESTRICTED, SIGN, Statement};
use crate::vectors::read;
use wardein_attest::{AkPublic, EkPublic, EkTrust, Evidence, Refusal, TrustedAk, make_credential};
use wardein_crypto::{Secret, SystemEntropy};
use wardein_domain::Assurance;
use wardein_pki::{EndorsementError, VendorRoots};

/// 2100-01-01.
const NOW: u64 = 4_102_444_800;

#[test]
fn an_endorsement_key_is_by_the_template_in_each_part() {
    let good = Forger::new().ek_area();
    let refusal = |change: fn(&mut Area)| {
        let mut area = good.clone();
        change(&mut area);
        EkPublic::parse(&area.bytes()).err()
    };
    assert_eq!(refusal(|_| {}), None);
    let attributes = Some(Refusal::EkTemplate("attributes and policy"));
    for bit in [1, 4, 5, 6, 7, 10, 16, 17, 18] {
        let mut area = good.clone();
        area.attributes ^= 1 << bit;
        assert_eq!(EkPublic::parse(&area.bytes()).err(), attributes, "bit {bit}");
    }
    assert_eq!(refusal(|area| area.policy[0] ^= 1), attributes);
    assert_eq!(refusal(|area| area.policy.clear()), attributes);
    assert_eq!(refusal(|area| area.name_hash = 0x000c), Some(Refusal::EkTemplate("name algorithm")));
    assert_eq!(refusal(|area| area.symmetric = NULL.to_vec()), Some(Refusal::EkTemplate("symmetric cipher")));
    assert_eq!(refusal(|area| area.symmetric[2..4].copy_from_slice(&256_u16.to_be_bytes())), {
        Some(Refusal::EkTemplate("symmetric cipher"))
    });
    assert_eq!(refusal(|area| area.scheme = ECDSA_SHA256.to_vec()), Some(Refusal::EkTemplate("scheme")));
}

#[test]
fn an_endorsement_key_of_another_size_is_refused() {
    // The real one of 2048 bits, made longer: the area is well formed, and no template has such a key.
    let mut area = read("ek-rsa2048.pub");
    let at = area.len() - 256;
    area.splice(at..at, [0x80; 128]);
    let length = |area: &mut [u8], at: usize, value: usize| {
        area[at..at + 2].copy_from_slice(&(value as u16).to_be_bytes());
    };
    length(&mut area, at - 2, 384);
    length(&mut area, at - 8, 3072);
    let whole = area.len() - 2;
    length(&mut area, 0, whole);
    assert_eq!(EkPublic::parse(&area).err(), Some(Refusal::EkTemplate("key")));
}

#[test]
fn the_strongest_reason_to_trust_counts_and_nothing_is_trusted_without_one() {
    let (certificate, issuer) = (read("ek-p256.der"), read("vendor-issuer.der"));
    let chain = [&certificate[..], &issuer];
    let ek = || EkPublic::parse(&read("ek-p256.pub")).unwrap();
    let roots = |known: bool| {
        let root = read("vendor-root.der");
        VendorRoots::new(if known { vec![&root[..]] } else { vec![] }.as_slice()).unwrap()
    };
    let judge = |known, first_use, chain: &[&[u8]], listed| {
        EkTrust::new(roots(known), first_use).judge(ek(), chain, listed, NOW).map(|found| found.assurance())
    };
    assert_eq!(judge(true, true, &chain, true), Ok(Assurance::TpmVendor));
    assert_eq!(judge(false, true, &chain, true), Ok(Assurance::TpmListed));
    assert_eq!(judge(true, true, &[], true), Ok(Assurance::TpmListed));
    assert_eq!(judge(true, true, &[], false), Ok(Assurance::TpmFirstUse));
    assert_eq!(judge(true, false, &[], false), Err(Refusal::EkUntrusted));
    // Who shows a certificate is judged by it.
    let unknown = Refusal::EkCertificate(EndorsementError::Chain);
    assert_eq!(judge(false, true, &chain, false), Err(unknown));
    assert_eq!(
        EkTrust::new(roots(true), true).judge(ek(), &chain, false, 0).err(),
        Some(Refusal::EkCertificate(EndorsementError::Time))
    );
}

#[test]
fn a_certificate_of_another_key_is_refused_even_for_a_listed_one() {
    let (certificate, issuer) = (read("ek-p384.der"), read("vendor-issuer.der"));
    let ek = EkPublic::parse(&read("ek-p256.pub")).unwrap();
    let trust = EkTrust::new(VendorRoots::new(&[&read("vendor-root.der")]).unwrap(), true);
    let refusal = trust.judge(ek.clone(), &[&certificate, &issuer], true, NOW).err();
    assert_eq!(refusal, Some(Refusal::EkCertificateOfAnother));
    let refusal = trust.judge(ek, &[b"no certificate"], true, NOW).err();
    assert_eq!(refusal, Some(Refusal::EkCertificate(EndorsementError::Malformed)));
}

#[test]
fn an_attestation_key_is_bound_restricted_and_only_signs() {
    let forger = Forger::new();
    let refusal = |change: &dyn Fn(&mut Area)| {
        let mut area = forger.ak_area();
        change(&mut area);
        AkPublic::parse(&area.bytes()).err()
    };
    assert_eq!(refusal(&|_| {}), None);
    for bit in [1 << 1, 1 << 4, 1 << 5, RESTRICTED, SIGN] {
        assert_eq!(refusal(&|area| area.attributes &= !bit), Some(Refusal::AkAttributes), "{bit:x}");
    }
    assert_eq!(refusal(&|area| area.attributes |= DECRYPT), Some(Refusal::AkAttributes));
    assert_eq!(refusal(&|area| area.scheme = NULL.to_vec()), Some(Refusal::AkScheme));
    assert_eq!(refusal(&|area| area.symmetric = crate::forge::AES_128_CFB.to_vec()), Some(Refusal::AkScheme));
}

#[test]
fn an_attestation_key_is_trusted_only_for_the_whole_secret() {
    let forger = Forger::new();
    let ak = || AkPublic::parse(&forger.ak_area().bytes()).unwrap();
    let secret = Secret::copied_from(&[7; 32]);
    assert!(TrustedAk::activated(ak(), &secret, &[7; 32]).is_ok());
    for shown in [&[7; 31][..], &[7; 33], &[8; 32], &[]] {
        assert_eq!(TrustedAk::activated(ak(), &secret, shown).err(), Some(Refusal::CredentialWrong));
    }
}

#[test]
fn a_credential_is_for_one_key_and_fresh_each_time() {
    let (forger, other) = (Forger::new(), Forger::new());
    let secret = Secret::copied_from(&[7; 32]);
    let make = |ak: &Forger| {
        let ak = AkPublic::parse(&ak.ak_area().bytes()).unwrap();
        make_credential(&forger.endorsed(), &ak, &secret, &mut SystemEntropy::default()).unwrap()
    };
    let (first, second, for_other) = (make(&forger), make(&forger), make(&other));
    assert!(first != second && first != for_other);
    // What is hidden cannot be read.
    assert!(!first.id_object.windows(8).any(|window| window == [7; 8]));
}

#[test]
fn a_device_key_is_bound_and_only_signs() {
    let forger = Forger::new();
    let refusal = |change: &dyn Fn(&mut Area)| {
        let mut area = forger.device_area();
        change(&mut area);
        let attested = Statement::certify(&area).bytes();
        let signature = forger.sign(&attested);
        let evidence = Evidence { attested: &attested, signature: &signature };
        forger.trusted().certified(evidence, &NONCE, &area.bytes()).err()
    };
    assert_eq!(refusal(&|_| {}), None);
    assert_eq!(refusal(&|area| area.attributes = BOUND & !0x40 | SIGN), None);
    for bit in [1 << 1, 1 << 4, 1 << 5, SIGN] {
        assert_eq!(refusal(&|area| area.attributes &= !bit), Some(Refusal::DeviceKeyAttributes), "{bit:x}");
    }
    for bit in [RESTRICTED, DECRYPT] {
        assert_eq!(refusal(&|area| area.attributes |= bit), Some(Refusal::DeviceKeyAttributes), "{bit:x}");
    }
}

#[test]
fn a_device_key_is_on_p256() {
    let forger = Forger::new();
    for other in ["ak-rsassa.pub", "ak-p384.pub"] {
        let mut area = read(other);
        // Not restricted: the lowest bit of the byte before the last two of the attributes.
        area[7] &= !1;
        let attested = Statement::certify(&forger.device_area()).bytes();
        let signature = forger.sign(&attested);
        let evidence = Evidence { attested: &attested, signature: &signature };
        let refusal = forger.trusted().certified(evidence, &NONCE, &area).err();
        assert_eq!(refusal, Some(Refusal::DeviceKeyKind), "{other}");
    }
}
