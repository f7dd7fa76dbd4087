//! A device that derives keys and has them sealed by a TPM (`swtpm`) where they are stored.
//!
//! It runs where `swtpm swtpm-tools tpm2-tools` are installed, and must run where `WARDEIN_SWTPM=required`.

use crate::common::{Device, Fault, Shared};
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use wardein_crypto::{SecretBytes, hex};
use wardein_device::{Directory, Error, Files, Given, Rekeyed};
use wardein_testkit::Swtpm;

/// A device whose state the TPM is to seal, not enrolled yet.
fn device(swtpm: &Swtpm) -> (Shared, Device) {
    let authority = Shared::new();
    let device = Device::new(&authority);
    authority.0.borrow_mut().sealed_by = Some(swtpm.tcti());
    authority.0.borrow_mut().disk = device.path();
    (authority, device)
}

/// What the device holds, as bytes in the clear.
fn plaintext(authority: &Shared, device: &Device) -> Vec<u8> {
    let config = authority.config();
    let mut state = Files::open(&device.path()).unwrap().state(&config).unwrap().unwrap();
    let clock = wardein_ddkg::device::Clock { elapsed: 0, wall: None };
    let unsaved = state.token(clock, "iot".parse().unwrap(), b"").unwrap();
    let mut bytes = Vec::new();
    let written = |state: &SecretBytes| {
        bytes.extend(state.expose());
        Ok::<_, ()>(())
    };
    unsaved.save(written).unwrap();
    bytes
}

/// Whether 16 bytes in a row of `plaintext` are in any file of the directory.
fn shows(directory: &Path, plaintext: &[u8]) -> bool {
    let windows: HashSet<&[u8]> = plaintext.windows(16).collect();
    fs::read_dir(directory).unwrap().any(|entry| {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(16).any(|window| windows.contains(window))
    })
}

fn copy(from: &Path, to: &Path) {
    Directory::create(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardein-device"));
    command.env("TSS2_LOG", "all+none").arg("--dir").arg(directory).args(arguments).output().unwrap()
}

fn status(directory: &Path) -> Value {
    let output = run(directory, &["status", "--json"]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn keys_lie_sealed_from_the_enrollment_on_through_restarts_and_rekeys() {
    let Some(mut swtpm) = Swtpm::start() else { return };
    let (authority, device) = device(&swtpm);
    device.enroll(false).await.unwrap();
    Directory::open(&device.path()).unwrap().save_config(&authority.config()).unwrap();
    for name in ["state", "state.key"] {
        let mode = fs::metadata(device.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    device.session().unwrap().authenticate().await.unwrap();
    let held = plaintext(&authority, &device);
    assert!(held.len() > 256, "{} bytes", held.len());
    assert!(!shows(&device.path(), &held));
    assert_eq!(status(&device.path())["enrollment"]["sealed_by"], swtpm.tcti());

    let key = fs::read(device.path().join("state.key")).unwrap();
    let mut session = device.session().unwrap();
    session.authenticate().await.unwrap();
    session.rekey().await.unwrap();
    drop(session);
    swtpm.cut_power();
    authority.0.borrow_mut().sealed_by = Some(swtpm.tcti());
    let mut session = device.session().unwrap();
    session.authenticate().await.unwrap();
    assert_eq!(session.rekey().await.unwrap(), Rekeyed { generation: 3, suite: 1, is_in_use: true });
    // Between the authority's commit and the device's.
    authority.fault(&[Some(Fault::DiskFails)]);
    assert!(matches!(session.rekey().await, Err(Error::File { .. })));
    drop(session);
    fs::remove_dir(device.path().join("state.new")).unwrap();
    device.session().unwrap().authenticate().await.unwrap();
    assert_eq!(fs::read(device.path().join("state.key")).unwrap(), key, "it is made once");
    fs::write(device.path().join("state.new"), b"half of a state").unwrap();
    assert!(device.session().unwrap().rekey().await.unwrap().is_in_use);

    // The search finds what is not sealed.
    let (authority, clear) = (Shared::new(), Device::new(&authority));
    let clear = Device { authority: authority.clone(), ..clear };
    clear.enroll(false).await.unwrap();
    clear.session().unwrap().authenticate().await.unwrap();
    assert!(shows(&clear.path(), &plaintext(&authority, &clear)));
    Directory::open(&clear.path()).unwrap().save_config(&authority.config()).unwrap();
    assert_eq!(status(&clear.path())["enrollment"]["sealed_by"], Value::Null);
}

#[tokio::test]
async fn a_tpm_is_asked_once_and_again_only_for_what_another_process_saved() {
    let Some(mut swtpm) = Swtpm::start() else { return };
    let (authority, device) = device(&swtpm);
    device.enroll(false).await.unwrap();
    let mut session = device.session().unwrap();
    session.rest();
    let mut other = device.beside().await.unwrap();
    other.authenticate().await.unwrap();
    other.rekey().await.unwrap();
    drop(other);
    session.wake().await.unwrap();
    session.authenticate().await.unwrap();
    // An enrollment beside it, under another key.
    session.rest();
    for name in ["state", "state.key"] {
        fs::remove_file(device.path().join(name)).unwrap();
    }
    authority.0.borrow_mut().record = None;
    device.enroll(false).await.unwrap();
    session.wake().await.unwrap();
    session.authenticate().await.unwrap();
    // From here on nobody answers where device.toml says that the TPM is.
    swtpm.cut_power();
    drop(swtpm);
    session.rekey().await.unwrap();
    session.rest();
    session.wake().await.unwrap();
    session.authenticate().await.unwrap();
    drop(session);
    let away = device.session().err().unwrap();
    assert!(matches!(&away, Error::Tpm(error) if error.code().as_str() == "tpm-unavailable"), "{away}");
    assert!(authority.0.borrow().refusals.is_empty());
}

#[tokio::test]
async fn a_power_cut_between_the_key_and_the_first_state_leaves_what_the_next_attempt_goes_on_with() {
    let Some(mut swtpm) = Swtpm::start() else { return };
    let (authority, device) = device(&swtpm);
    let (state, key) = (device.path().join("state"), device.path().join("state.key"));
    // In mid-write of the key.
    Directory::create(&device.path()).unwrap();
    fs::write(device.path().join("state.key.new"), b"half of a key").unwrap();
    authority.fault(&[Some(Fault::Lost)]);
    assert!(matches!(device.enroll(false).await, Err(Error::Unreachable(_))));
    let made = fs::read(&key).unwrap();
    assert!(!state.exists(), "the key comes first");
    swtpm.cut_power();
    authority.0.borrow_mut().sealed_by = Some(swtpm.tcti());
    // The authority agreed, and the device did not hear it; then its disk did not take the state.
    authority.fault(&[Some(Fault::AnswerLost)]);
    assert!(device.enroll(false).await.is_err());
    fs::create_dir(device.path().join("state.new")).unwrap();
    assert!(matches!(device.enroll(false).await, Err(Error::File { .. })));
    fs::remove_dir(device.path().join("state.new")).unwrap();
    assert!(!state.exists());
    // The state is there, and its confirmation is lost.
    authority.fault(&[None, Some(Fault::Lost)]);
    assert!(!device.enroll(false).await.unwrap().is_confirmed);
    assert!(state.exists());
    assert!(device.enroll(false).await.unwrap().is_confirmed);
    assert_eq!(fs::read(&key).unwrap(), made);
    device.session().unwrap().authenticate().await.unwrap();
    // A TPM that does not answer is found before the authority is asked for anything.
    authority.calls();
    drop(swtpm);
    assert!(matches!(device.enroll(true).await, Err(Error::Tpm(_))));
    assert!(authority.calls().is_empty());
}

#[tokio::test]
async fn a_copy_is_nothing_without_the_tpm_and_what_was_changed_does_not_open() {
    let (Some(swtpm), Some(other)) = (Swtpm::start(), Swtpm::start()) else { return };
    let (authority, device) = device(&swtpm);
    device.enroll(false).await.unwrap();
    device.session().unwrap().authenticate().await.unwrap();
    let held = plaintext(&authority, &device);
    let stolen = Device::new(&authority);
    copy(&device.path(), &stolen.path());
    authority.0.borrow_mut().sealed_by = Some(other.tcti());
    Directory::open(&stolen.path()).unwrap().save_config(&authority.config()).unwrap();
    let refused = stolen.session().err().unwrap();
    assert!(matches!(&refused, Error::SealedElsewhere(path) if path.ends_with("state.key")), "{refused}");
    for arguments in [&["status"][..], &["authenticate"], &["token", "--audience", "iot"]] {
        let output = run(&stolen.path(), arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("(tpm-sealed-elsewhere)") && said.contains("enroll again"), "{said}");
        assert!(output.stdout.is_empty());
    }
    assert!(!shows(&stolen.path(), &held));
    // What the message says to do works.
    for name in ["state", "state.key"] {
        fs::remove_file(stolen.path().join(name)).unwrap();
    }
    authority.0.borrow_mut().record = None;
    stolen.enroll(false).await.unwrap();
    stolen.session().unwrap().authenticate().await.unwrap();

    authority.0.borrow_mut().sealed_by = Some(swtpm.tcti());
    assert!(device.session().is_ok());
    let path = device.path().join("state");
    let state = fs::read(&path).unwrap();
    for at in (0..state.len()).step_by(97).chain(0..20).chain([state.len() - 1]) {
        let mut changed = state.clone();
        changed[at] ^= 0x10;
        fs::write(&path, &changed).unwrap();
        let refused = device.session().err().unwrap();
        // What does not begin as a sealed state is none.
        let is_right = match &refused {
            Error::Config { field, .. } => *field == "sealed_by" && at < 4,
            Error::Damaged { path, .. } => path.ends_with("state") && at >= 4,
            _ => false,
        };
        assert!(is_right, "{at}: {refused}");
    }
    fs::write(&path, &state).unwrap();
    let path = device.path().join("state.key");
    let key = fs::read(&path).unwrap();
    for at in (0..key.len()).step_by(29) {
        let mut changed = key.clone();
        changed[at] ^= 0x10;
        fs::write(&path, &changed).unwrap();
        assert!(device.session().is_err(), "{at}");
    }
    fs::remove_file(&path).unwrap();
    assert!(
        matches!(device.session().err().unwrap(), Error::Damaged { path, .. } if path.ends_with("state.key"))
    );
    // An enrollment that is not again makes no other key for a state that is there.
    assert!(matches!(device.enroll(false).await, Err(Error::Damaged { .. })));
    assert!(!path.exists());
    fs::write(&path, &key).unwrap();
    device.session().unwrap();
}

#[tokio::test]
async fn the_certificates_key_lies_sealed_too_and_is_given_out_to_memory_alone() {
    let (Some(swtpm), Some(other)) = (Swtpm::start(), Swtpm::start()) else { return };
    let (authority, device) = device(&swtpm);
    // Of a time without sealing.
    fs::create_dir(device.path()).unwrap();
    fs::set_permissions(device.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let [clear, sealed] = ["device.key", "device.key.sealed"].map(|name| device.path().join(name));
    fs::write(&clear, b"a key that lay in the clear").unwrap();
    device.enroll(false).await.unwrap();
    let certified = device.session().unwrap().certificate().await.unwrap();
    assert!(!clear.exists());
    assert_eq!(fs::metadata(&sealed).unwrap().permissions().mode() & 0o777, 0o600);
    Directory::open(&device.path()).unwrap().save_config(&authority.config()).unwrap();

    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let out = memory.path().join("key.pem");
    let given = run(&device.path(), &["key", "--out", out.to_str().unwrap()]);
    assert!(given.status.success() && given.stdout.is_empty(), "{given:?}");
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    let pem = fs::read(&out).unwrap();
    let der = wardein_pki::pem::decode_private_key(&pem).unwrap();
    let key = wardein_crypto::P256SigningKey::from_pkcs8(&der).unwrap();
    let public = wardein_crypto::VerifyingKey::from(*key.verifying_key());
    let of_device = |device: &Device| Files::open(&device.path()).unwrap().key(&authority.config());
    assert_eq!(of_device(&device).unwrap().unwrap().verifying_key(), public);
    // Behind it is the public part, which the certificate has too.
    let body: Vec<u8> = pem[28..118].iter().copied().filter(|byte| *byte != b'\n').collect();
    assert!(!shows(&device.path(), &body) && !shows(&device.path(), &der.expose()[34..70]));
    // On a disk it would be what sealing is there to prevent.
    let refused = run(&device.path(), &["key", "--out", "/proc/key.pem"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && said.contains("is on no tmpfs"), "{said}");

    // It is the same key at the next renewal and after a restart.
    let stored = device.session().unwrap().stored_certificate().unwrap().unwrap();
    assert_eq!(stored.serial, certified.serial);
    device.session().unwrap().certificate().await.unwrap();
    assert_eq!(of_device(&device).unwrap().unwrap().verifying_key(), public);

    let stolen = Device::new(&authority);
    copy(&device.path(), &stolen.path());
    authority.0.borrow_mut().sealed_by = Some(other.tcti());
    assert!(matches!(of_device(&stolen), Err(Error::SealedElsewhere(_))));
    authority.0.borrow_mut().sealed_by = Some(swtpm.tcti());
    let bytes = fs::read(&sealed).unwrap();
    let state = fs::read(device.path().join("state")).unwrap();
    let damaged = (0..bytes.len()).step_by(13).map(|at| {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        changed
    });
    for other in damaged.chain([state, pem]) {
        fs::write(&sealed, other).unwrap();
        assert!(matches!(of_device(&device), Err(Error::Damaged { .. })));
    }
    fs::write(&sealed, &bytes).unwrap();
    // With the state's key goes what it sealed; and without sealing, another key.
    for is_sealed in [true, false] {
        for name in ["state", "state.key"] {
            fs::remove_file(device.path().join(name)).unwrap();
        }
        authority.0.borrow_mut().sealed_by = is_sealed.then(|| swtpm.tcti());
        authority.0.borrow_mut().record = None;
        device.enroll(false).await.unwrap();
        device.session().unwrap().certificate().await.unwrap();
        assert_eq!((sealed.exists(), clear.exists()), (is_sealed, !is_sealed));
        assert_ne!(of_device(&device).unwrap().unwrap().verifying_key(), public);
    }
}

#[tokio::test]
async fn sealing_is_chosen_at_the_enrollment() {
    let Some(swtpm) = Swtpm::start() else { return };
    let (authority, device) = device(&swtpm);
    let sealing = |tcti: Option<String>| authority.0.borrow_mut().sealed_by = tcti;
    sealing(None);
    device.enroll(false).await.unwrap();
    let wrong = |refused: &Error| matches!(refused, Error::Config { field: "sealed_by", .. });
    for is_sealed in [true, false] {
        sealing(is_sealed.then(|| swtpm.tcti()));
        let refused = device.session().err().unwrap();
        assert!(wrong(&refused) && refused.exit_code() == 2, "{refused}");
        let refused = device.enroll(false).await.unwrap_err();
        assert!(wrong(&refused), "{refused}");
        authority.0.borrow_mut().record = None;
        device.enroll(true).await.unwrap();
        device.session().unwrap().authenticate().await.unwrap();
    }
}

#[tokio::test]
async fn it_is_a_setting_of_the_enrollment_for_devices_that_derive_keys() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    let (config, directory) = (authority.config(), Directory::create(&device.path()).unwrap());
    let (key, roots) = (device.root().join("identity.pub"), device.root().join("roots.pem"));
    fs::write(&key, hex::encode(&config.identity_key.0)).unwrap();
    fs::write(&roots, &config.trust_roots).unwrap();
    let given = Given {
        tenant: Some("clinic".into()),
        device_id: Some("pump-1".into()),
        endpoint: Some("https://localhost:1".into()),
        identity_key: Some(key),
        trust_roots: Some(roots),
        sealed_by: Some("device:/dev/tpmrm0".into()),
        ..Given::default()
    };
    let signs = Given { signs_with: Some("device:/dev/tpmrm0".into()), ..given.clone() };
    assert!(matches!(signs.settle(&directory), Err(Error::Config { field: "sealed_by", .. })));
    let settled = given.clone().settle(&directory).unwrap();
    assert_eq!(settled.sealed_by.as_deref(), Some("device:/dev/tpmrm0"));
    assert_eq!(given.settle(&directory).unwrap(), settled, "as device.toml has it now");
    let other = Given { sealed_by: Some("device:/dev/tpm1".into()), ..Given::default() };
    assert!(matches!(other.settle(&directory), Err(Error::ConfigDiffers("sealed_by"))));
}
