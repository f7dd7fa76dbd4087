//! Enrollment with an authority in the same process, cut off at every step.

use crate::common::{Device, Fault, Shared};
use std::os::unix::fs::PermissionsExt;
use wardein_device::{Enrolled, Error};

const CONFIRMED: Enrolled = Enrolled { generation: 1, is_confirmed: true };

fn code(error: Error) -> String {
    match error {
        Error::Refused(refused) => refused.code,
        other => panic!("no refusal: {other}"),
    }
}

#[tokio::test]
async fn a_device_enrolls_once() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    assert_eq!(device.enroll(false).await.unwrap(), CONFIRMED);
    let mode = std::fs::metadata(device.path().join("state")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    device.session().unwrap().authenticate().await.unwrap();
    authority.calls();
    assert!(matches!(device.enroll(false).await, Err(Error::AlreadyEnrolled)));
    assert!(authority.calls().is_empty(), "it asks nobody");
}

#[tokio::test]
async fn enroll_again_is_safe_wherever_the_last_one_was_cut_off() {
    // What is lost, whether the state is saved then, and what the second run says to the station.
    type Case<'a> = (&'a [Option<Fault>], bool, &'a [&'a str]);
    let cases: [Case<'_>; 4] = [
        (&[Some(Fault::Lost)], false, &["enroll", "confirm"]),
        (&[Some(Fault::AnswerLost)], false, &["enroll", "confirm"]),
        (&[None, Some(Fault::Lost)], true, &["confirm"]),
        (&[None, Some(Fault::AnswerLost)], true, &["confirm"]),
    ];
    for (faults, is_saved, said) in cases {
        let authority = Shared::new();
        let device = Device::new(&authority);
        authority.fault(faults);
        match device.enroll(false).await {
            Ok(enrolled) => assert_eq!((enrolled.is_confirmed, is_saved), (false, true), "{faults:?}"),
            Err(error) => assert_eq!((error.exit_code(), is_saved), (4, false), "{faults:?}"),
        }
        authority.calls();
        assert_eq!(device.enroll(false).await.unwrap(), CONFIRMED, "{faults:?}");
        assert_eq!(authority.calls(), said, "{faults:?}");
        device.session().unwrap().authenticate().await.unwrap();
    }
}

#[tokio::test]
async fn an_enrollment_that_the_authority_replaced_or_lost_is_begun_anew() {
    for lost in [true, false] {
        let authority = Shared::new();
        let device = Device::new(&authority);
        authority.fault(&[None, Some(Fault::Lost)]);
        device.enroll(false).await.unwrap();
        if lost {
            authority.0.borrow_mut().record = None;
        } else {
            // Somebody enrolled under the same id and never confirmed.
            Device::new(&authority).enroll(false).await.unwrap();
            let other = Device::new(&authority);
            authority.0.borrow_mut().record = None;
            authority.fault(&[None, Some(Fault::Lost)]);
            other.enroll(false).await.unwrap();
        }
        authority.calls();
        assert_eq!(device.enroll(false).await.unwrap(), CONFIRMED);
        assert_eq!(authority.calls(), ["confirm", "enroll", "confirm"]);
        device.session().unwrap().authenticate().await.unwrap();
    }
}

#[tokio::test]
async fn a_second_enrollment_is_refused_and_leaves_the_state_as_it_was() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    assert_eq!(code(device.enroll(true).await.unwrap_err()), "already-enrolled");
    device.session().unwrap().authenticate().await.unwrap();
}

#[tokio::test]
async fn anew_replaces_the_state_once_the_authority_agrees() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    authority.0.borrow_mut().record = None;
    assert!(device.session().unwrap().authenticate().await.is_err());
    assert_eq!(device.enroll(true).await.unwrap(), CONFIRMED);
    device.session().unwrap().authenticate().await.unwrap();
}

#[tokio::test]
async fn another_authority_or_another_tenant_is_not_believed() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    authority.0.borrow_mut().tenant = "other".parse().unwrap();
    assert!(matches!(device.enroll(false).await, Err(Error::OtherTenant { .. })));

    let (pinned, impostor) = (Shared::new(), Shared::new());
    let device = Device::new(&pinned);
    let directory = wardein_device::Directory::create(&device.path()).unwrap();
    let mut entropy = wardein_crypto::SystemEntropy::default();
    let mut station = impostor.clone();
    let config = pinned.config();
    let refused =
        wardein_device::enroll(&directory, &config, device.root(), false, &mut station, &mut entropy);
    let error = refused.await.unwrap_err();
    assert!(error.to_string().contains("pinned identity key"), "{error}");
    assert!(!device.path().join("state").exists());
}

#[tokio::test]
async fn an_attribute_that_cannot_be_measured_ends_it_before_a_word_is_said() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    std::fs::remove_file(device.root().join("firmware")).unwrap();
    let error = device.enroll(false).await.unwrap_err();
    assert!(error.to_string().contains("attribute firmware"), "{error}");
    assert!(authority.calls().is_empty());
}
