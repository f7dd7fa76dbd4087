//! Keys that the authority makes, and their certificates.

use crate::common::{Device, Fault, START, Shared, VALIDITY};
use std::os::unix::fs::PermissionsExt;
use wardein_crypto::VerifyingKey;
use wardein_device::{Config, Directory, Error, Files, Prover, Session, StoredKey};
use wardein_domain::KeyKind;

async fn enrolled() -> (Shared, Device) {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    authority.calls();
    (authority, device)
}

fn stored(device: &Device, config: &Config) -> StoredKey {
    Files::open(&device.path()).unwrap().key(config).unwrap().unwrap()
}

#[tokio::test]
async fn a_made_key_takes_the_place_of_the_devices_and_is_made_again_at_each_renewal() {
    let (authority, device) = enrolled().await;
    let config = authority.config();
    let mut session = device.session().unwrap();
    session.certificate().await.unwrap();
    assert!(matches!(stored(&device, &config), StoredKey::Own(_)));
    let made = session.made_certificate(KeyKind::Rsa2048).await.unwrap();
    assert_eq!((made.not_before, made.not_after), (START, START + VALIDITY));
    let first = stored(&device, &config).verifying_key();
    assert!(matches!(&first, VerifyingKey::Rsa(key) if key.bits() == 2048));
    assert_eq!(session.stored_certificate().unwrap(), Some(made));
    let file = device.path().join("device.key");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    // What the device cannot make is not asked for with a request of its own.
    let next = session.certificate().await.unwrap();
    assert_ne!(stored(&device, &config).verifying_key(), first, "another key");
    assert_eq!(session.stored_certificate().unwrap(), Some(next));
    drop(session);
    let openssl = |args: &[&str]| std::process::Command::new("openssl").args(args).output().unwrap().stdout;
    let (key, chain) = (file.to_str().unwrap(), device.path().join("certificate.pem"));
    let of_key = openssl(&["pkey", "-in", key, "-pubout"]);
    assert_eq!(of_key, openssl(&["x509", "-in", chain.to_str().unwrap(), "-noout", "-pubkey"]));
}

#[tokio::test]
async fn device_toml_may_say_that_keys_are_made() {
    let (authority, device) = enrolled().await;
    let config = Config { made_key: Some(KeyKind::P256), ..authority.config() };
    let again = Config::parse(&config.to_text().unwrap()).unwrap();
    assert_eq!((again.made_key, again.difference(&config)), (Some(KeyKind::P256), None));
    let directory = Directory::open(&device.path()).unwrap();
    let (authority, entropy) = (authority.clone(), wardein_crypto::SystemEntropy::default());
    let mut session =
        Session::new(directory, config.clone(), authority, entropy, device.root().into()).unwrap();
    Prover::certificate(&mut session).await.unwrap();
    let first = stored(&device, &config).verifying_key();
    Prover::certificate(&mut session).await.unwrap();
    assert_ne!(stored(&device, &config).verifying_key(), first, "made for each certificate");
}

/// The device has what it had, and asks again.
#[tokio::test]
async fn an_answer_that_is_lost_or_wrong_changes_nothing() {
    let (authority, device) = enrolled().await;
    let config = authority.config();
    let mut session = device.session().unwrap();
    let own = session.certificate().await.unwrap();
    let key = stored(&device, &config).verifying_key();
    let unchanged = || assert_eq!(stored(&device, &config).verifying_key(), key);
    authority.fault(&[Some(Fault::AnswerLost)]);
    assert_eq!(session.made_certificate(KeyKind::P256).await.unwrap_err().exit_code(), 4);
    unchanged();
    // Another kind than was asked for, and a certificate that is another device's.
    authority.0.borrow_mut().make = Some("p256");
    let error = session.made_certificate(KeyKind::Rsa2048).await.unwrap_err();
    assert!(matches!(error, Error::Certificate(_)), "{error}");
    unchanged();
    authority.0.borrow_mut().make = None;
    authority.0.borrow_mut().certify_as = Some("pump-2");
    assert!(session.made_certificate(KeyKind::P256).await.is_err());
    unchanged();
    assert_eq!(session.stored_certificate().unwrap(), Some(own));
    authority.0.borrow_mut().certify_as = None;
    // A change on the way is noticed by the ack, and it is asked again at once.
    authority.calls();
    authority.fault(&[Some(Fault::AnswerChanged)]);
    session.made_certificate(KeyKind::P256).await.unwrap();
    assert_eq!(authority.calls(), ["challenge", "prove", "challenge", "prove"]);
    assert_ne!(stored(&device, &config).verifying_key(), key);
}

/// Of the two files the key is written first: a certificate without its key is found, and another is asked for.
#[tokio::test]
async fn a_power_cut_between_key_and_certificate_costs_another_certificate() {
    let (authority, device) = enrolled().await;
    let mut session = device.session().unwrap();
    session.certificate().await.unwrap();
    authority.0.borrow_mut().disk = device.path();
    authority.fault(&[Some(Fault::FileFails("certificate.pem"))]);
    assert!(session.made_certificate(KeyKind::P256).await.is_err());
    assert!(session.stored_certificate().is_err(), "it is not for this key");
    std::fs::remove_dir(device.path().join("certificate.pem.new")).unwrap();
    session.certificate().await.unwrap();
    assert!(session.stored_certificate().unwrap().is_some());
}
