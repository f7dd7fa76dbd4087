//! Proved requests: refusals that mend themselves, those that do not, and what a damaged disk says.

use crate::common::{Device, Fault, START, Shared, VALIDITY};
use wardein_device::{Error, Files, Status};

async fn enrolled() -> (Shared, Device) {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    authority.calls();
    (authority, device)
}

#[tokio::test]
async fn the_confirmation_is_sent_again_until_a_proof_is_acknowledged() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    authority.fault(&[None, Some(Fault::Lost)]);
    assert!(!device.enroll(false).await.unwrap().is_confirmed);
    authority.calls();
    device.session().unwrap().authenticate().await.unwrap();
    assert_eq!(authority.calls(), ["challenge", "prove", "confirm by device", "challenge", "prove"]);
    // From then on there is nothing to confirm, and the refusal stands.
    authority.fault(&[Some(Fault::Refused("enrollment-pending"))]);
    let error = device.session().unwrap().authenticate().await.unwrap_err();
    assert_eq!((error.exit_code(), authority.calls()), (3, vec!["challenge", "prove"]));
}

#[tokio::test]
async fn an_epoch_that_is_over_is_left_by_the_number_that_the_refusal_names() {
    let (authority, device) = enrolled().await;
    let mut session = device.session().unwrap();
    session.authenticate().await.unwrap();
    authority.calls();
    authority.fault(&[Some(Fault::Refused("epoch-spent"))]);
    session.authenticate().await.unwrap();
    assert_eq!(authority.calls(), ["challenge", "prove", "challenge", "prove"]);
    authority.fault(&[Some(Fault::Refused("epoch-ahead")), Some(Fault::Refused("challenge-expired"))]);
    session.authenticate().await.unwrap();
    assert_eq!(authority.calls().len(), 6);
}

#[tokio::test]
async fn acks_that_are_lost_make_the_device_follow_the_authority() {
    let authority = Shared::new();
    authority.0.borrow_mut().schedule.max_uses = 1;
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    let mut session = device.session().unwrap();
    for _ in 0..3 {
        authority.fault(&[Some(Fault::AnswerLost)]);
        assert_eq!(session.authenticate().await.unwrap_err().exit_code(), 4);
        authority.calls();
        // The epoch is full at the authority; its refusal says which one is next.
        session.authenticate().await.unwrap();
        assert_eq!(authority.calls(), ["challenge", "prove", "challenge", "prove"]);
    }
}

#[tokio::test]
async fn the_trust_bundle_is_believed_only_with_its_ack() {
    let (authority, device) = enrolled().await;
    let mut session = device.session().unwrap();
    authority.fault(&[Some(Fault::AnswerChanged)]);
    let bundle = session.trust_bundle().await.unwrap();
    assert_eq!(bundle, authority.0.borrow().root_pem.as_bytes());
    assert_eq!(authority.calls(), ["challenge", "prove", "challenge", "prove"]);
}

#[tokio::test]
async fn endless_refusals_end() {
    let (authority, device) = enrolled().await;
    for code in ["epoch-spent", "challenge-expired", "replayed"] {
        authority.fault(&[Some(Fault::Refused(code)); 100]);
        let error = device.session().unwrap().authenticate().await.unwrap_err();
        assert_eq!(error.exit_code(), 3, "{code}");
        assert_eq!(authority.calls().len(), 12, "{code}");
    }
    authority.fault(&[Some(Fault::Refused("device-suspended")); 100]);
    let error = device.session().unwrap().authenticate().await.unwrap_err();
    assert!(error.to_string().contains("device-suspended"), "{error}");
    assert_eq!(authority.calls().len(), 2, "asking again mends nothing");
}

#[tokio::test]
async fn a_reply_that_was_changed_is_not_believed() {
    let (authority, device) = enrolled().await;
    let mut session = device.session().unwrap();
    authority.fault(&[Some(Fault::AnswerChanged)]);
    assert_eq!(session.authenticate().await.unwrap(), START);
    assert_eq!(authority.calls().len(), 4);
    authority.fault(&[Some(Fault::AnswerChanged); 100]);
    assert_eq!(session.authenticate().await.unwrap_err().exit_code(), 1);
}

#[tokio::test]
async fn attributes_are_measured_anew_for_every_proof() {
    let (authority, device) = enrolled().await;
    let mut session = device.session().unwrap();
    session.authenticate().await.unwrap();
    std::fs::write(device.root().join("firmware"), b"tampered").unwrap();
    let error = session.authenticate().await.unwrap_err();
    assert!(error.to_string().contains("mac-wrong"), "{error}");
    std::fs::write(device.root().join("firmware"), b"v1").unwrap();
    authority.calls();
    session.authenticate().await.unwrap();
}

#[tokio::test]
async fn a_certificate_is_for_the_devices_own_key_and_openssl_accepts_it() {
    let (authority, device) = enrolled().await;
    let certificate = device.session().unwrap().certificate().await.unwrap();
    assert_eq!((certificate.not_before, certificate.not_after), (START, START + VALIDITY));
    let root = device.root().join("root.pem");
    std::fs::write(&root, &authority.0.borrow().root_pem).unwrap();
    let file = device.path().join("certificate.pem");
    let openssl = |args: &[&str]| {
        let output = std::process::Command::new("openssl").args(args).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (root, file) = (root.to_str().unwrap(), file.to_str().unwrap());
    let time = START.to_string();
    let verify =
        ["verify", "-purpose", "sslclient", "-attime", &time, "-CAfile", root, "-untrusted", file, file];
    assert!(openssl(&verify).0);
    let key = device.path().join("device.key");
    let (_, of_key) = openssl(&["pkey", "-in", key.to_str().unwrap(), "-pubout"]);
    let (_, of_certificate) = openssl(&["x509", "-in", file, "-noout", "-pubkey"]);
    assert!(!of_key.is_empty() && of_key == of_certificate);
}

#[tokio::test]
async fn a_certificate_for_another_device_is_not_stored() {
    let (authority, device) = enrolled().await;
    authority.0.borrow_mut().certify_as = Some("pump-2");
    let error = device.session().unwrap().certificate().await.unwrap_err();
    assert!(error.to_string().contains("clinic/pump-2"), "{error}");
    assert!(!device.path().join("certificate.pem").exists());
}

#[tokio::test]
async fn a_damaged_state_is_found_and_says_what_to_do() {
    let (_authority, device) = enrolled().await;
    let path = device.path().join("state");
    let good = std::fs::read(&path).unwrap();
    let mut changed = good.clone();
    changed[20] ^= 1;
    for damaged in [good.split_at(good.len() / 2).0.to_vec(), changed, Vec::new(), vec![1; 6000]] {
        std::fs::write(&path, damaged).unwrap();
        match device.session() {
            Err(Error::Damaged { path: named, .. }) => assert_eq!(named, path),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("a damaged state was taken"),
        }
    }
    std::fs::write(&path, good).unwrap();
    assert!(device.session().is_ok());
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(device.session(), Err(Error::NotEnrolled(_))));
}

#[tokio::test]
async fn a_state_is_run_by_one_process_and_a_restart_burns_no_more_than_numbers() {
    let (_authority, device) = enrolled().await;
    for _ in 0..5 {
        let mut session = device.session().unwrap();
        assert!(matches!(device.session(), Err(Error::Locked(_))));
        session.authenticate().await.unwrap();
    }
}

#[tokio::test]
async fn status_tells_what_is_there_beside_a_running_process() {
    let (authority, device) = enrolled().await;
    let mut session = device.session().unwrap();
    let files = Files::open(&device.path()).unwrap();
    assert!(matches!(Status::read(&files), Err(Error::NotConfigured(_))));
    std::fs::write(device.path().join("device.toml"), authority.config().to_text().unwrap()).unwrap();
    let before = Status::read(&files).unwrap();
    assert!(before.to_string().contains("yes, no proof acknowledged yet"), "{before}");
    authority.at(START + 7200);
    session.certificate().await.unwrap();
    let json = serde_json::to_value(Status::read(&files).unwrap()).unwrap();
    assert_eq!(json["device_id"], "pump-1");
    assert_eq!(json["enrollment"]["generation"], 1);
    assert_eq!(json["enrollment"]["epoch"], 2);
    assert_eq!(json["enrollment"]["confirmed"], true);
    assert_eq!(json["certificate"]["not_after"], START + 7200 + VALIDITY);
    assert_eq!(json["certificate"]["expired"], false);
    assert_eq!(
        (&json["last_contact"], &json["known_time"]),
        (&(START + 7200).into(), &(START + 7200).into())
    );
    std::fs::write(device.path().join("certificate.pem"), "nonsense").unwrap();
    assert!(Status::read(&files).unwrap().to_string().contains("unusable"));
}
