//! Tokens and sealed payloads: what a restart, a silence and a running agent make of them.

use crate::common::{Device, START, Shared};
use std::collections::BTreeSet;
use wardein_ddkg::authority::Expected;
use wardein_ddkg::message::{SealedPayload, Token};
use wardein_ddkg::{AuthorityTime, Policy};
use wardein_device::Error;

async fn proven() -> (Shared, Device) {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    device.session().unwrap().authenticate().await.unwrap();
    authority.calls();
    (authority, device)
}

fn verify(authority: &Shared, token: &Token) -> Result<(), &'static str> {
    let mut world = authority.0.borrow_mut();
    let (time, audience) = (AuthorityTime::sure(world.now), "iot".parse().unwrap());
    let expected = Expected { audience: &audience, platform_nonce: b"nonce" };
    let verified = world.record.as_mut().unwrap().verify_token(token, expected, time, &Policy::default());
    verified.map(drop).map_err(|refusal| refusal.code().as_str())
}

#[tokio::test]
async fn a_token_is_made_in_the_epoch_that_the_authority_tells() {
    let (authority, device) = proven().await;
    authority.at(START + 30 * 86_400);
    let late = device.session().unwrap().token("iot".parse().unwrap(), b"nonce", true).await.unwrap();
    assert_eq!((verify(&authority, &late), authority.calls().len()), (Err("epoch-spent"), 0));
    let mut session = device.session().unwrap();
    for calls in [vec!["challenge", "prove"], vec![]] {
        let token = session.token("iot".parse().unwrap(), b"nonce", false).await.unwrap();
        assert_eq!((verify(&authority, &token), authority.calls()), (Ok(()), calls));
    }
    // Nobody there: said, and no token made.
    drop(session);
    authority.0.borrow_mut().away = true;
    let error = device.session().unwrap().token("iot".parse().unwrap(), b"", false).await.unwrap_err();
    assert_eq!(error.exit_code(), 4);
}

#[tokio::test]
async fn no_key_is_taken_twice_across_restarts() {
    let (_authority, device) = proven().await;
    let mut names = BTreeSet::new();
    for _ in 0..5 {
        let mut session = device.session().unwrap();
        for _ in 0..3 {
            let token = session.token("iot".parse().unwrap(), b"", true).await.unwrap();
            assert!(names.insert(token.key_name()));
            assert!(names.insert(session.seal(b"", b"x").unwrap().name().clone()));
        }
    }
    assert_eq!(names.len(), 30);
}

#[tokio::test]
async fn what_was_sealed_is_opened_by_the_authority() {
    let (authority, device) = proven().await;
    let sealed = device.session().unwrap().seal(b"log", b"Puls 72/min").unwrap();
    assert!(authority.calls().is_empty(), "nobody is asked");
    let sealed = SealedPayload::decode(&sealed.encode()).unwrap();
    let mut world = authority.0.borrow_mut();
    let policy = Policy { data_retention: u32::MAX, ..Policy::default() };
    let (opened, _) = world.record.as_mut().unwrap().open(&sealed, b"log", START, &policy).unwrap();
    assert_eq!(opened.expose(), b"Puls 72/min");
}

#[tokio::test]
async fn a_state_that_cannot_be_saved_gives_nothing() {
    let (authority, device) = proven().await;
    let mut session = device.session().unwrap();
    // The state's place is taken by a directory, over which no file can be renamed.
    std::fs::remove_file(device.path().join("state")).unwrap();
    std::fs::create_dir(device.path().join("state")).unwrap();
    let error = session.seal(b"", b"x").unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
    let error = session.token("iot".parse().unwrap(), b"", true).await.unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
    assert!(authority.calls().is_empty());
}

#[tokio::test]
async fn a_token_wants_a_proof_before_and_its_bounds_kept() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    let error = device.session().unwrap().token("iot".parse().unwrap(), b"", true).await.unwrap_err();
    assert!(error.to_string().contains("prov"), "{error}");
    let mut session = device.session().unwrap();
    let error = session.token("iot".parse().unwrap(), &[0; 65], false).await.unwrap_err();
    assert!(error.to_string().contains("platform nonce"), "{error}");
}
