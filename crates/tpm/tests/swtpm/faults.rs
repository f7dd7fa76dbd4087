use crate::{open, tool};
use wardein_crypto::SecretBytes;
use wardein_testkit::Swtpm;
use wardein_tpm::{EkKind, Tpm, TpmError};

#[test]
fn a_tpm_that_is_not_there_is_told_so() {
    let Some(swtpm) = Swtpm::start() else { return };
    let (tcti, mut tpm) = (swtpm.tcti(), open(&swtpm));
    drop(swtpm);
    assert!(matches!(tpm.sign(&[1; 32]), Err(TpmError::Unavailable { .. })));
    for tcti in [tcti.as_str(), "device:/dev/wardein-has-no-tpm"] {
        let error = Tpm::open(&tcti.parse().unwrap()).err().unwrap();
        assert_eq!(error.code().as_str(), "tpm-unavailable");
        assert!(error.to_string().contains(tcti), "{error}");
    }
}

#[test]
fn a_tpm_that_others_filled_is_told_so() {
    let Some(swtpm) = Swtpm::start() else { return };
    let mut tpm = open(&swtpm);
    tpm.device_key().unwrap();
    for name in ["a", "b", "c"] {
        tool(&swtpm, "tpm2_createprimary", &["-C", "o", "-G", "ecc", "-c", name]);
    }
    let error =
        tpm.seal(&SecretBytes::from_vec(vec![1]), None).and_then(|sealed| tpm.unseal(&sealed)).err().unwrap();
    assert_eq!(error.code().as_str(), "tpm-memory", "{error}");
    assert!(error.to_string().contains("tpm2_flushcontext --transient-object"), "{error}");
}

#[test]
fn a_password_and_a_lockout_are_told_so() {
    let Some(swtpm) = Swtpm::start() else { return };
    let mut tpm = open(&swtpm);
    // An index that counts failed tries holds the certificate.
    let define = ["0x01c0000a", "-C", "o", "-s", "8", "-a", "ownerwrite|authread|ownerread"];
    tool(&swtpm, "tpm2_nvdefine", &define);
    std::fs::write(swtpm.folder().join("certificate"), [0x30, 0x82, 0, 2, 1, 2, 0, 0]).unwrap();
    tool(&swtpm, "tpm2_nvwrite", &["0x01c0000a", "-C", "o", "-i", "certificate"]);
    let certificate = tpm.endorsement_key(EkKind::P256).unwrap().certificate;
    assert_eq!(certificate.unwrap(), [0x30, 0x82, 0, 2, 1, 2]);

    tool(&swtpm, "tpm2_dictionarylockout", &["-s", "-n", "1", "-t", "1000", "-l", "1000"]);
    tool(&swtpm, "tpm2_createprimary", &["-C", "o", "-G", "ecc", "-p", "right", "-c", "locked"]);
    let wrong = swtpm
        .command("tpm2_create")
        .args(["-C", "locked", "-P", "wrong", "-G", "ecc", "-u", "u", "-r", "r"])
        .output();
    assert!(!wrong.unwrap().status.success());
    tool(&swtpm, "tpm2_flushcontext", &["-t"]);
    let locked = tpm.endorsement_key(EkKind::P256);
    assert!(matches!(locked, Err(TpmError::Lockout { .. })), "{locked:?}");
    // Nothing of ours counts, so nothing of ours is locked.
    assert!(tpm.sign(&[1; 32]).is_ok());
    assert!(tpm.endorsement_key(EkKind::Rsa2048).is_ok());

    tool(&swtpm, "tpm2_changeauth", &["-c", "owner", "secret"]);
    tool(&swtpm, "tpm2_evictcontrol", &["-C", "o", "-P", "secret", "-c", "0x81000011"]);
    let refused = tpm.device_key();
    assert!(matches!(refused, Err(TpmError::Password { .. })), "{refused:?}");
}
