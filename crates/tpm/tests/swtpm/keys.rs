use crate::{left_over, open, tool};
use wardein_crypto::SecretBytes;
use wardein_testkit::Swtpm;
use wardein_tpm::{EkKind, TpmError};

#[test]
fn keys_are_made_once_and_found_again() {
    let Some(mut swtpm) = Swtpm::start() else { return };
    let mut tpm = open(&swtpm);
    let (attestation, device) = (tpm.attestation_key().unwrap(), tpm.device_key().unwrap());
    assert_ne!(attestation, device.public);
    assert_eq!(tpm.device_key().unwrap(), device);
    tpm.shutdown().unwrap();
    assert_eq!(left_over(&swtpm), "");

    swtpm.cut_power();
    let mut tpm = open(&swtpm);
    assert_eq!((tpm.attestation_key().unwrap(), tpm.device_key().unwrap()), (attestation, device));
}

#[test]
fn three_power_cuts_do_not_lock_the_tpm_out() {
    let Some(mut swtpm) = Swtpm::start() else { return };
    for cut in 0..4 {
        let mut tpm = open(&swtpm);
        tpm.sign(&[1; 32]).unwrap();
        tpm.certify(&[2; 32]).unwrap();
        tpm.endorsement_key(EkKind::P384).unwrap();
        let sealed = tpm.seal(&SecretBytes::from_vec(vec![3]), None).unwrap();
        assert_eq!(tpm.unseal(&sealed).unwrap().expose(), [3], "{cut}");
        swtpm.cut_power();
    }
    assert_eq!(failed_tries(&swtpm), "0x0");

    // A key that has not `noDA` is locked by the same, which shows that the above shows something.
    tool(&swtpm, "tpm2_createprimary", &["-C", "o", "-G", "ecc", "-c", "root.ctx"]);
    tool(&swtpm, "tpm2_evictcontrol", &["-C", "o", "-c", "root.ctx", "0x81000020"]);
    tool(&swtpm, "tpm2_flushcontext", &["-t"]);
    let create = ["-C", "0x81000020", "-G", "ecc", "-u", "key.pub", "-r", "key.priv"];
    for _ in 0..3 {
        tool(&swtpm, "tpm2_create", &create);
        swtpm.cut_power();
    }
    assert_eq!(failed_tries(&swtpm), "0x3");
    assert!(!swtpm.command("tpm2_create").args(create).output().unwrap().status.success());
    assert!(open(&swtpm).sign(&[1; 32]).is_ok());
}

/// As the TPM counts them for its lockout.
fn failed_tries(swtpm: &Swtpm) -> String {
    let state = tool(swtpm, "tpm2_getcap", &["properties-variable"]);
    let counter = state.lines().find_map(|line| line.strip_prefix("TPM2_PT_LOCKOUT_COUNTER: "));
    counter.unwrap().to_owned()
}

/// As tpm2-tools and tpm2-tss make them: RSA or P-256, without `noDA`, which three power cuts would lock.
#[test]
fn another_programs_storage_root_stays_as_it_is_and_ours_is_elsewhere() {
    for algorithm in ["rsa", "ecc"] {
        let Some(mut swtpm) = Swtpm::start() else { return };
        tool(&swtpm, "tpm2_createprimary", &["-C", "o", "-G", algorithm, "-c", "root.ctx"]);
        tool(&swtpm, "tpm2_evictcontrol", &["-C", "o", "-c", "root.ctx", "0x81000001"]);
        let before = tool(&swtpm, "tpm2_readpublic", &["-c", "0x81000001"]);
        tool(&swtpm, "tpm2_flushcontext", &["-t"]);

        let secret = SecretBytes::from_vec(vec![3]);
        let mut tpm = open(&swtpm);
        let (device, sealed) = (tpm.device_key().unwrap(), tpm.seal(&secret, None).unwrap());
        assert_eq!(tool(&swtpm, "tpm2_readpublic", &["-c", "0x81000001"]), before);
        let kept = tool(&swtpm, "tpm2_getcap", &["handles-persistent"]);
        assert!(kept.contains("0x81000012"), "{kept}");
        assert_eq!(left_over(&swtpm), "");
        drop(tpm);

        for _ in 0..4 {
            swtpm.cut_power();
            let mut tpm = open(&swtpm);
            assert_eq!(tpm.device_key().unwrap(), device);
            assert_eq!(tpm.unseal(&sealed).unwrap().expose(), [3]);
        }
        assert_eq!(failed_tries(&swtpm), "0x0");
        // The other program is gone: ours stays where it is.
        tool(&swtpm, "tpm2_evictcontrol", &["-C", "o", "-c", "0x81000001"]);
        assert_eq!(open(&swtpm).unseal(&sealed).unwrap().expose(), [3]);
    }
}

/// One of RSA by the TCG's template, as Windows makes it, is used.
#[test]
fn a_storage_root_of_rsa_by_the_template_is_used() {
    let Some(swtpm) = Swtpm::start() else { return };
    let template = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt";
    tool(&swtpm, "tpm2_createprimary", &["-C", "o", "-G", "rsa2048", "-a", template, "-c", "root.ctx"]);
    tool(&swtpm, "tpm2_evictcontrol", &["-C", "o", "-c", "root.ctx", "0x81000001"]);
    tool(&swtpm, "tpm2_flushcontext", &["-t"]);
    let mut tpm = open(&swtpm);
    tpm.sign(&[1; 32]).unwrap();
    tpm.certify(&[2; 32]).unwrap();
    let sealed = tpm.seal(&SecretBytes::from_vec(vec![3]), None).unwrap();
    assert_eq!(tpm.unseal(&sealed).unwrap().expose(), [3]);
    let kept = tool(&swtpm, "tpm2_getcap", &["handles-persistent"]);
    assert!(!kept.contains("0x81000012"), "{kept}");
}

#[test]
fn a_handle_that_another_program_uses_stays_as_it_is() {
    let Some(swtpm) = Swtpm::start() else { return };
    let mut tpm = open(&swtpm);
    let device = tpm.device_key().unwrap();
    tool(&swtpm, "tpm2_createprimary", &["-C", "o", "-G", "ecc", "-c", "root.ctx"]);
    tool(&swtpm, "tpm2_flushcontext", &["-t"]);
    let put = |handle: &str| {
        tool(&swtpm, "tpm2_evictcontrol", &["-C", "o", "-c", "root.ctx", handle]);
        tool(&swtpm, "tpm2_flushcontext", &["-t"]);
    };
    let take = |handle: &str| tool(&swtpm, "tpm2_evictcontrol", &["-C", "o", "-c", handle]);

    // A key that is none of ours where ours is to be.
    take("0x81000011");
    put("0x81000011");
    let refused = tpm.sign(&[1; 32]);
    assert!(matches!(refused, Err(TpmError::HandleTaken { handle: 0x8100_0011, .. })), "{refused:?}");
    assert_ne!(tpm.attestation_key().unwrap(), device.public);

    // Both places of the storage root.
    take("0x81000001");
    put("0x81000001");
    put("0x81000012");
    let refused = tpm.seal(&SecretBytes::from_vec(vec![3]), None);
    assert!(matches!(refused, Err(TpmError::HandleTaken { handle: 0x8100_0012, .. })), "{:?}", refused.err());
}
