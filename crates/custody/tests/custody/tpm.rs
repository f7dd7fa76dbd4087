//! The root key under a TPM: had back while the machine is as it was, and by the recovery passphrase alone where it is not.
//!
//! It runs where `swtpm swtpm-tools tpm2-tools` are installed, and must run where `WARDEIN_SWTPM=required`.

use std::fs;
use std::path::Path;
use wardein_crypto::{Secret, SecretBytes, SystemEntropy};
use wardein_custody::{
    CustodyError, Kind, Opened, Passphrase, Protection, TpmProtection, TpmTarget, create, open, open_by_tpm,
    status,
};
use wardein_testkit::Swtpm;

/// 16 is for debugging, and can be extended and reset at will.
const REGISTERS: &str = "0,7,16";

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(SecretBytes::from_vec(text.into())).unwrap()
}

fn under(tpm: &Swtpm, recovery: &str) -> Protection {
    let target = TpmTarget::parse(&tpm.tcti(), REGISTERS).unwrap();
    Protection::Tpm(TpmProtection { target, recovery: passphrase(recovery) })
}

fn by_recovery(path: &Path, recovery: &str) -> Result<Opened, CustodyError> {
    open(path, &Protection::Passphrase(passphrase(recovery)))
}

fn key(opened: Result<Opened, CustodyError>) -> Result<Vec<[u8; 32]>, &'static str> {
    let opened = opened.map_err(|error| error.code().as_str())?;
    Ok(opened.keys().map(|(_, key)| *key.expose()).collect())
}

fn extend(tpm: &Swtpm) {
    let extended = tpm.command("tpm2_pcrextend").arg(format!("16:sha256={}", "5a".repeat(32))).status();
    assert!(extended.unwrap().success());
}

#[test]
fn the_root_key_is_had_while_the_machine_is_as_it_was_and_else_by_the_recovery_passphrase() {
    let Some(mut tpm) = Swtpm::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("custody.json");
    let (root, entropy) = (Secret::copied_from(&[0xa5; 32]), &mut SystemEntropy::default());
    create(&path, &under(&tpm, "correct horse"), &root, entropy).unwrap();
    let had = || Ok(vec![[0xa5; 32]]);
    assert_eq!(key(open_by_tpm(&path, &tpm.tcti())), had());
    assert_eq!(key(by_recovery(&path, "correct horse")), had());
    assert_eq!(key(by_recovery(&path, "battery staple")), Err("custody-wrong-passphrase"));
    let said = status(&path).unwrap();
    assert_eq!((said.kind, said.registers.as_deref()), (Kind::Tpm, Some("sha256:0,7,16")));
    assert!(said.cost.is_some(), "what a guess of the recovery passphrase costs");
    // As after a power cut: registers start over, and the key is had back.
    tpm.cut_power();
    assert_eq!(key(open_by_tpm(&path, &tpm.tcti())), had());

    // A copy of the file is of no use with another TPM.
    let other = Swtpm::start().unwrap();
    assert_eq!(key(open_by_tpm(&path, &other.tcti())), Err("tpm-sealed-elsewhere"));
    assert_eq!(key(open_by_tpm(&path, "swtpm:host=127.0.0.1,port=1")), Err("tpm-unavailable"));
    assert_eq!(key(open_by_tpm(&path, "/dev/tpm0")), Err("custody-tcti"));

    // A change of the root key is kept under the same TPM.
    let serving = open_by_tpm(&path, &tpm.tcti()).unwrap();
    serving.keep(2, &Secret::copied_from(&[0xb6; 32]), entropy).unwrap();
    serving.keep_only(2).unwrap();
    let had = || Ok(vec![[0xb6; 32]]);
    assert_eq!(key(open_by_tpm(&path, &tpm.tcti())), had());

    extend(&tpm);
    let refused = open_by_tpm(&path, &tpm.tcti()).err().unwrap();
    assert_eq!(refused.code().as_str(), "tpm-pcr-changed");
    let words = refused.to_string();
    assert!(words.contains("recovery passphrase") && words.contains("wardein custody reseal"), "{words}");
    let before = fs::read(&path).unwrap();
    by_recovery(&path, "correct horse").unwrap().change(&under(&tpm, "correct horse"), entropy).unwrap();
    assert_eq!(key(open_by_tpm(&path, &tpm.tcti())), had(), "sealed to the machine as it is now");
    assert_eq!(key(by_recovery(&path, "correct horse")), had());
    // The file of before is for the machine as it was.
    fs::write(&path, before).unwrap();
    assert_eq!(key(open_by_tpm(&path, &tpm.tcti())), Err("tpm-pcr-changed"));

    // To a passphrase and back.
    let words = Protection::Passphrase(passphrase("battery staple"));
    by_recovery(&path, "correct horse").unwrap().change(&words, entropy).unwrap();
    assert_eq!(key(open_by_tpm(&path, &tpm.tcti())), Err("custody-kind"));
    open(&path, &words).unwrap().change(&under(&tpm, "correct horse"), entropy).unwrap();
    assert_eq!(key(open_by_tpm(&path, &tpm.tcti())), had());
    assert_eq!(key(by_recovery(&path, "battery staple")), Err("custody-wrong-passphrase"));
}

#[test]
fn what_is_stored_beside_the_seal_is_bound_to_it() {
    let Some(tpm) = Swtpm::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("custody.json");
    let root = Secret::copied_from(&[0xa5; 32]);
    create(&path, &under(&tpm, "correct horse"), &root, &mut SystemEntropy::default()).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&"a5".repeat(8)), "the root key is not in the clear");
    for (from, to) in [("sha256:0,7,16", "sha256:0,7"), ("\"passes\": 3", "\"passes\": 2")] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text);
        fs::write(&path, changed).unwrap();
        assert_eq!(key(open_by_tpm(&path, &tpm.tcti())), Err("custody-wrapped"), "{to}");
        assert!(by_recovery(&path, "correct horse").is_err(), "{to}");
    }
    // What another custody file has sealed by the same TPM opens this one not.
    let sealed = |text: &str| {
        let start = text.find("\"sealed\": \"").unwrap() + 11;
        (start, start + text[start..].find('"').unwrap())
    };
    let second = folder.path().join("second.json");
    create(&second, &under(&tpm, "correct horse"), &root, &mut SystemEntropy::default()).unwrap();
    let other = fs::read_to_string(&second).unwrap();
    let ((start, end), (from, to)) = (sealed(&text), sealed(&other));
    fs::write(&path, format!("{}{}{}", &text[..start], &other[from..to], &text[end..])).unwrap();
    assert_eq!(key(open_by_tpm(&path, &tpm.tcti())), Err("custody-wrapped"));
    for spoiled in ["", "00", &"ff".repeat(300), &other[from..to - 2]] {
        fs::write(&path, format!("{}{spoiled}{}", &text[..start], &text[end..])).unwrap();
        assert!(open_by_tpm(&path, &tpm.tcti()).is_err());
        assert_eq!(key(by_recovery(&path, "correct horse")), Ok(vec![[0xa5; 32]]), "it does without the TPM");
    }
}

#[test]
fn registers_and_places_are_read_before_anything_is_done() {
    for registers in ["", "x", "24", "0,,7", "sha1:0", "sha256:", "0,2,4,7,256"] {
        let refused = TpmTarget::parse("device:/dev/tpmrm0", registers).unwrap_err();
        assert_eq!(refused.code().as_str(), "custody-registers", "{registers}");
    }
    assert_eq!(TpmTarget::parse("tpm", "7").unwrap_err().code().as_str(), "custody-tcti");
    let target = TpmTarget::parse("device:/dev/tpmrm0", "sha384:7, 0").unwrap();
    assert_eq!(target.to_string(), "device:/dev/tpmrm0 with registers sha384:0,7");
}
