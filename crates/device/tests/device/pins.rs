//! The pins of the platform's keys on the device: what is stored, what is refused, and to whom payload goes.

use crate::common::{Device, START, Shared};
use std::net::TcpListener;
use wardein_crypto::P256SigningKey;
use wardein_device::{Directory, Error, connect_platform};
use wardein_pki::{Pin, PinBundle, PinBundleError, Pins, Validity};

fn bundle(tenant: &str, epoch: u64, current: u8) -> PinBundle {
    PinBundle {
        tenant: tenant.parse().unwrap(),
        epoch,
        validity: Validity::new(START - 300, START + 1_000).unwrap(),
        pins: Pins { current: Pin([current; 32]), next: None, recovery: Pin([9; 32]) },
        roots: vec![vec![0x30, 0]],
    }
}

/// An authority that vouches for these pins, signed by its identity key or by `signer`.
fn vouches(authority: &Shared, bundle: &PinBundle, signer: Option<&P256SigningKey>) {
    let mut world = authority.0.borrow_mut();
    let signed = bundle.sign(signer.unwrap_or(&world.identity)).unwrap();
    world.pins = signed;
}

fn refused(outcome: Result<Option<PinBundle>, Error>) -> PinBundleError {
    match outcome {
        Err(Error::Pins(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn pins_are_taken_by_their_signature_and_no_epoch_falls() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    let tenant = authority.0.borrow().tenant.to_string();
    let mut session = device.session().unwrap();
    assert_eq!(session.pins().await.unwrap(), None);
    let held = bundle(&tenant, 7, 1);
    vouches(&authority, &held, None);
    assert_eq!(session.pins().await.unwrap(), Some(held.clone()));
    let forger = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
    for (came, signer, why) in [
        (bundle(&tenant, 8, 2), Some(&forger), PinBundleError::Signature),
        (bundle(&tenant, 6, 2), None, PinBundleError::Rollback),
        (bundle(&tenant, 7, 2), None, PinBundleError::Fork),
        (bundle("other", 8, 2), None, PinBundleError::Tenant),
    ] {
        vouches(&authority, &came, signer);
        assert_eq!(refused(session.pins().await), why);
    }
    drop(session);
    // What is stored stays, also in another process, and an older bundle of the same epoch is no news.
    let older = PinBundle { validity: Validity::new(1, START).unwrap(), ..held.clone() };
    vouches(&authority, &older, None);
    let mut session = device.session().unwrap();
    assert_eq!(session.pins().await.unwrap(), Some(held));
    let next = bundle(&tenant, 8, 2);
    vouches(&authority, &next, None);
    assert_eq!(session.pins().await.unwrap(), Some(next.clone()));
    authority.0.borrow_mut().pins.clear();
    assert_eq!(
        session.pins().await.unwrap(),
        Some(next),
        "an authority that says nothing takes nothing away"
    );
}

#[tokio::test]
async fn a_stored_bundle_that_was_changed_is_not_gone_by() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    let tenant = authority.0.borrow().tenant.to_string();
    vouches(&authority, &bundle(&tenant, 7, 1), None);
    device.session().unwrap().pins().await.unwrap();
    let path = device.path().join("platform.pins");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(32).position(|pin| pin == [1; 32]).unwrap();
    bytes[at] = 2;
    std::fs::write(&path, bytes).unwrap();
    let mut session = device.session().unwrap();
    assert!(matches!(session.pins().await, Err(Error::Damaged { .. })));
    std::fs::remove_file(&path).unwrap();
    session.pins().await.unwrap().unwrap();
}

#[tokio::test]
async fn without_pins_nobody_is_connected_to() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let directory = Directory::open(&device.path()).unwrap();
    directory.save_config(&authority.config()).unwrap();
    let refused = connect_platform(directory.files(), &address, &[]).await.unwrap_err();
    assert!(matches!(refused, Error::NoPins(_)), "{refused}");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody called");
}
