//! A session without its authority: what is wrong is distinguished, in time.

use crate::common::chars;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::ptr::null_mut;
use std::time::{Duration, Instant};
use wardein::Status::*;
use wardein::*;
use wardein_crypto::{P256SigningKey, hex};
use wardein_pki::{Pin, PinBundle, Pins, Validity, pem};

struct Ses(*mut Session);

impl Drop for Ses {
    fn drop(&mut self) {
        unsafe { wardein_session_free(self.0) };
    }
}

impl Ses {
    fn new(path: &Path) -> Self {
        let (path, mut session) = (path.to_str().unwrap(), null_mut());
        assert_eq!(unsafe { wardein_session_new(chars(path), path.len(), &mut session) }, WARDEIN_OK);
        Self(session)
    }

    fn authenticate(&self, deadline_ms: u32) -> Status {
        unsafe { wardein_session_authenticate(self.0, deadline_ms, &mut 0) }
    }

    fn error(&self) -> String {
        let (mut text, mut length) = (vec![0u8; 1024], 0);
        let status =
            unsafe { wardein_session_error(self.0, text.as_mut_ptr().cast(), text.len(), &mut length) };
        assert_eq!(status, WARDEIN_OK);
        text.truncate(length);
        String::from_utf8(text).unwrap()
    }
}

/// A directory with a device.toml whose authority is at `port`, and with a state if there is one.
fn directory(port: u16, state: Option<&[u8]>) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let root = include_str!("../../../../tests/fixtures/0.1.0/sqlite/root-ca.pem");
    let text = format!(
        "tenant = \"klinik-nord\"\ndevice_id = \"pump-0001\"\nendpoint = \"https://127.0.0.1:{port}\"\nidentity_key = \
         \"04{}\"\ntrust_roots = \"\"\"\n{root}\"\"\"\n[attributes]\nfirmware = \"text:1.4.2\"\nserial = \"text:A-77\"\n",
        "ab".repeat(64)
    );
    std::fs::write(directory.path().join("device.toml"), text).unwrap();
    if let Some(state) = state {
        std::fs::write(directory.path().join("state"), state).unwrap();
    }
    directory
}

/// The state of a device that an authority of this process knows.
fn state() -> Vec<u8> {
    let mut authority = crate::authority::Authority::new();
    crate::common::Dev::proven(&mut authority).flash.state.clone()
}

#[test]
fn what_is_wrong_with_a_directory_is_told_apart() {
    let none = Ses::new(Path::new("/nonexistent/wardein"));
    assert_eq!(none.authenticate(1000), WARDEIN_ERR_DIRECTORY);
    let empty = tempfile::tempdir().unwrap();
    std::fs::set_permissions(empty.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let session = Ses::new(empty.path());
    assert_eq!(session.authenticate(1000), WARDEIN_ERR_DIRECTORY);
    assert!(session.error().contains("is open to others"), "{}", session.error());
    std::fs::set_permissions(empty.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(session.authenticate(1000), WARDEIN_ERR_SETTING, "{}", session.error());
    let configured = directory(1, None);
    let session = Ses::new(configured.path());
    assert_eq!(session.authenticate(1000), WARDEIN_ERR_NOT_ENROLLED, "{}", session.error());
    std::fs::write(configured.path().join("state"), b"?").unwrap();
    assert_eq!(session.authenticate(1000), WARDEIN_ERR_DIRECTORY, "{}", session.error());
    let (mut pem, mut length) = ([0u8; 64], 0);
    let certificate = unsafe { wardein_session_certificate(session.0, pem.as_mut_ptr(), 64, &mut length) };
    assert_eq!(certificate, WARDEIN_ERR_ORDER);
}

#[test]
fn a_server_is_the_platform_by_the_pins_that_the_authority_signed() {
    let directory = directory(1, None);
    let [identity, forger] =
        [(); 2].map(|()| P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap());
    let file = directory.path().join("device.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let key = format!("04{}", "ab".repeat(64));
    std::fs::write(&file, text.replace(&key, &hex::encode(&identity.verifying_key().0))).unwrap();
    let shown = pem::decode_certificates(&text).unwrap().remove(0);
    let session = Ses::new(directory.path());
    let judged = |certificate: &[u8]| {
        let mut is = 7;
        let status = unsafe {
            wardein_session_is_platform(session.0, certificate.as_ptr(), certificate.len(), &mut is)
        };
        (status, is)
    };
    assert_eq!(judged(&shown), (WARDEIN_ERR_ORDER, 7), "there are no pins");
    let mut bundle = PinBundle {
        tenant: "klinik-nord".parse().unwrap(),
        epoch: 1,
        validity: Validity::new(1, 2).unwrap(),
        pins: Pins { current: Pin([1; 32]), next: None, recovery: Pin([2; 32]) },
        roots: vec![vec![0x30, 0]],
    };
    let mut held = |current, signer| {
        bundle.pins.current = current;
        std::fs::write(directory.path().join("platform.pins"), bundle.sign(signer).unwrap()).unwrap();
    };
    held(Pin([1; 32]), &identity);
    assert_eq!(judged(&shown), (WARDEIN_OK, 0));
    held(Pin::of_certificate(&shown).unwrap(), &identity);
    assert_eq!(judged(&shown), (WARDEIN_OK, 1), "{}", session.error());
    assert_eq!(judged(b"no certificate"), (WARDEIN_OK, 0));
    assert_eq!(judged(&[0x30; 8193]), (WARDEIN_ERR_ARGUMENT, 7), "it is judged before anything is read");
    held(Pin::of_certificate(&shown).unwrap(), &forger);
    assert_eq!(judged(&shown), (WARDEIN_ERR_DIRECTORY, 7), "nobody else vouches for it");
}

#[test]
fn a_device_whose_tpm_signs_is_not_for_this_library() {
    let directory = directory(1, None);
    let file = directory.path().join("device.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("[attributes]", "signs_with = \"device:/dev/tpmrm0\"\n[attributes]"))
        .unwrap();
    let session = Ses::new(directory.path());
    assert_eq!(session.authenticate(1000), WARDEIN_ERR_SIGNS, "{}", session.error());
    assert!(session.error().contains("signs with the TPM"), "{}", session.error());
}

#[test]
fn an_authority_that_is_not_there_or_says_nothing_is_given_up_in_time() {
    let nobody = { TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let away = directory(nobody, Some(&state()));
    let session = Ses::new(away.path());
    assert_eq!(session.authenticate(10_000), WARDEIN_ERR_UNREACHABLE, "{}", session.error());
    // It takes the connection and is silent.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = directory(silent.local_addr().unwrap().port(), Some(&state()));
    let session = Ses::new(directory.path());
    let begun = Instant::now();
    assert_eq!(session.authenticate(200), WARDEIN_ERR_DEADLINE);
    // The bound of a connection alone would be ten seconds.
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    assert!(session.error().contains("within 200 ms"), "{}", session.error());
    // The directory is free for others meanwhile, and the session is not spent.
    let other = Ses::new(directory.path());
    let mut sealed = [0u8; 1024];
    for of in [&other, &session] {
        let mut length = 0;
        let status = unsafe {
            wardein_session_seal(
                of.0,
                5_000,
                [].as_ptr(),
                0,
                b"37.2".as_ptr(),
                4,
                sealed.as_mut_ptr(),
                1024,
                &mut length,
            )
        };
        assert_eq!(status, WARDEIN_OK, "{}", of.error());
        assert!(length > 60 && length < 1024, "{length}");
    }
}

#[test]
fn a_deadline_has_bounds() {
    let away = directory(1, Some(&state()));
    let session = Ses::new(away.path());
    for wrong in [0, 600_001, u32::MAX] {
        assert_eq!(session.authenticate(wrong), WARDEIN_ERR_ARGUMENT, "{wrong}");
        assert!(session.error().starts_with("deadline_ms: is "), "{}", session.error());
    }
}

#[test]
fn a_directory_in_use_is_waited_for_until_the_deadline() {
    let directory = directory(1, Some(&state()));
    let at_work = std::fs::File::create(directory.path().join("lock")).unwrap();
    at_work.lock().unwrap();
    let session = Ses::new(directory.path());
    assert_eq!(session.authenticate(150), WARDEIN_ERR_DEADLINE);
    at_work.unlock().unwrap();
    assert_eq!(session.authenticate(10_000), WARDEIN_ERR_UNREACHABLE, "{}", session.error());
}
