//! A device that signs its requests, against an authority in this process.

use crate::common::signing::SoftKey;
use crate::common::{Device, Fault, START, Shared, VALIDITY};
use std::collections::BTreeMap;
use wardein_crypto::Digest;
use wardein_ddkg::message::{Admitted, CarriedProtocol, ServiceKey, VisitEnd, VisitProtocol};
use wardein_device::{Agent, CallError, Carrier, Error, Prover, Round};
use wardein_pki::PublicKey;

fn code(error: &Error) -> &str {
    match error {
        Error::Refused(refused) => &refused.code,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn it_is_certified_and_renews_by_itself() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    let key = SoftKey::new();
    device.enroll_key(&key);
    let mut agent = Agent::new(device.signing_session(key).unwrap()).unwrap();
    assert_eq!(agent.round().await.unwrap(), Round::Renewed);
    authority.at(START + 600);
    assert_eq!(agent.round().await.unwrap(), Round::Authenticated);
    // The reply tells that the certificate is old by now.
    authority.at(START + VALIDITY * 3 / 4 + 1);
    assert_eq!(agent.round().await.unwrap(), Round::Renewed);
    assert_eq!(
        authority.calls(),
        ["challenge", "prove by signature"].repeat(8),
        "the last round authenticates, then renews; with each certificate come the pins and the roots"
    );
}

#[tokio::test]
async fn it_signs_protocols_that_go_by_a_file_and_says_nothing_of_codes() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    let key = SoftKey::new();
    device.enroll_key(&key);
    let mut session = device.signing_session(key).unwrap();
    let by = Admitted::Visit {
        visit: [7; 8],
        technician: "eva".parse().unwrap(),
        work_order: "WO-1".parse().unwrap(),
    };
    let protocol = VisitProtocol {
        device: session.name().clone(),
        by,
        session: [9; 16],
        scope: "view".parse().unwrap(),
        began: 1,
        ended: 2,
        end: VisitEnd::Left,
        actions: BTreeMap::new(),
    };
    let carried = session.carry(protocol.clone()).unwrap().unwrap();
    let known = authority.0.borrow().signs_with.unwrap();
    let signed = CarriedProtocol::to_sign(&protocol, &Digest::of(&PublicKey::from(known).spki()));
    assert!(known.verify(signed.as_ref(), carried.signature().unwrap()).is_ok());
    let by = Admitted::Code(ServiceKey { generation: 1, epoch: 0, number: 0 });
    assert!(session.carry(VisitProtocol { by, ..protocol }).unwrap().is_none());
    assert_eq!(authority.calls(), Vec::<&str>::new(), "it asks nobody");
}

#[tokio::test]
async fn a_reply_that_somebody_changed_is_not_believed() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    let key = SoftKey::new();
    device.enroll_key(&key);
    let mut session = device.signing_session(key).unwrap();
    authority.fault(&[Some(Fault::AnswerChanged)]);
    assert_eq!(session.authenticate().await.unwrap(), START, "it asked again");
    authority.fault(&[Some(Fault::AnswerChanged); 3]);
    assert!(matches!(session.certificate().await, Err(Error::Protocol(_))));
    assert!(session.stored_certificate().unwrap().is_none());
    assert_eq!(session.known_time(), START);
}

#[tokio::test]
async fn a_challenge_that_is_of_no_use_is_replaced_and_a_refusal_is_told() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    let key = SoftKey::new();
    device.enroll_key(&key);
    let mut session = device.signing_session(key).unwrap();
    authority.fault(&[Some(Fault::Refused("challenge-expired")), Some(Fault::Refused("replayed"))]);
    session.authenticate().await.unwrap();
    authority.fault(&[Some(Fault::Refused("suspended"))]);
    let error = session.authenticate().await.unwrap_err();
    assert_eq!((code(&error), error.exit_code()), ("suspended", 3));
    authority.fault(&[Some(Fault::AnswerLost)]);
    assert!(matches!(session.authenticate().await, Err(Error::Unreachable(_))));
    assert!(matches!(session.rekey().await, Err(Error::Signs("rekey"))));
    drop(session);

    // A copy of the directory without the key is of no use.
    let mut copied = device.signing_session(SoftKey::new()).unwrap();
    assert_eq!(code(&copied.authenticate().await.unwrap_err()), "signature-wrong");
}

#[tokio::test]
async fn what_is_stored_of_the_key_is_needed_and_its_damage_found() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    let key = SoftKey::new();
    device.enroll_key(&key);
    let file = device.path().join("signing.json");
    let whole = std::fs::read_to_string(&file).unwrap();
    for damaged in ["", "{}", &whole.replace("\"04", "\"05"), &whole.replace("tpm-listed", "sure")] {
        std::fs::write(&file, damaged).unwrap();
        assert!(matches!(device.signing_session(SoftKey::new()), Err(Error::Damaged { .. })), "{damaged}");
    }
    std::fs::remove_file(&file).unwrap();
    let Err(error) = device.signing_session(SoftKey::new()) else { panic!("it is not enrolled") };
    assert!(matches!(error, Error::NotEnrolled(_)), "{error}");
    assert_eq!(Error::from(CallError::Unreachable(String::new())).exit_code(), 4);
}
