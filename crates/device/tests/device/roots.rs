//! A root of the authority that follows another: the device trusts both, then the new one alone.

use crate::common::{Device, START, Shared};
use wardein_crypto::P256SigningKey;
use wardein_device::{Agent, CertificateError, Directory, Error, Files, Round};
use wardein_domain::Serial;
use wardein_pki::{PinBundle, RootCa, Validity, pem};

fn root(number: u8) -> String {
    let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
    let years = Validity::new(START - 86_400, START + 86_400).unwrap();
    let domain = "wardein.example".parse().unwrap();
    let root = RootCa::found(&domain, key, Serial::from_random([number; 16]), years).unwrap();
    pem::encode_certificates([root.certificate().der()]).unwrap()
}

fn trusted(device: &Device) -> String {
    Files::open(&device.path()).unwrap().config().unwrap().unwrap().trust_roots
}

#[tokio::test]
async fn roots_are_followed_at_each_renewal() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    Directory::open(&device.path()).unwrap().save_config(&authority.config()).unwrap();
    let (old, new) = (authority.0.borrow().root_pem.clone(), root(7));
    let vouches = |roots: &[&str]| authority.0.borrow_mut().root_pem = roots.concat();

    let mut agent = Agent::new(device.session().unwrap()).unwrap();
    assert_eq!(agent.round().await.unwrap(), Round::Renewed);
    assert_eq!(trusted(&device).trim(), old.trim());
    assert!(authority.0.borrow().trusted.is_empty(), "nothing is new");

    for (day, roots) in [[new.as_str(), &old].as_slice(), &[&new]].into_iter().enumerate() {
        vouches(roots);
        authority.at(START + 40_000 * (day as u64 + 1));
        agent.round().await.unwrap();
        assert_eq!(trusted(&device), roots.concat());
        assert_eq!(authority.0.borrow().trusted[day], roots.concat(), "without a restart");
    }
    drop(agent);
    // The one before is not trusted any more: what it leads to is refused.
    let refused = device.session().unwrap().certificate().await;
    assert!(matches!(refused, Err(Error::Certificate(CertificateError::Chain(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_bundle_without_a_root_or_with_too_many_changes_nothing() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    Directory::open(&device.path()).unwrap().save_config(&authority.config()).unwrap();
    let before = trusted(&device);
    let mut session = device.session().unwrap();
    let many: String = (0..=PinBundle::MAX_ROOTS as u8).map(root).collect();
    for bundle in ["", "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n", &many] {
        authority.0.borrow_mut().root_pem = bundle.to_owned();
        let refused = session.roots().await;
        assert!(matches!(refused, Err(Error::Certificate(CertificateError::Roots))), "{refused:?}");
        assert_eq!(trusted(&device), before);
    }
}
