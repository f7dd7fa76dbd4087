//! Release at the device, by one that derives its keys and by one that signs.

use crate::common::signing::SoftKey;
use crate::common::{Device, Fault, Shared};
use std::process::Command;
use wardein_ddkg::message::{PendingVisit, VisitRelease};
use wardein_device::{Error, Prover, pending_visits, release_visit};
use wardein_domain::Role;

fn pending() -> PendingVisit {
    PendingVisit {
        visit: [7; 8],
        technician: "eva".parse().unwrap(),
        work_order: "WO-12".parse().unwrap(),
        scope: "view".parse().unwrap(),
        from: 1_000,
        until: 4_600,
        role: Role::ServiceCoordinator,
        by: "carla".parse().unwrap(),
        asked: 900,
        devices: 1,
    }
}

async fn lists_and_releases(authority: &Shared, prover: &mut impl Prover) {
    authority.0.borrow_mut().pending = PendingVisit::encode_all(&[pending()]);
    assert_eq!(pending_visits(prover).await.unwrap(), [pending()]);
    assert!(authority.0.borrow().released.is_empty(), "to look is not to release");
    let visit = VisitRelease([7; 8]);
    release_visit(prover, visit).await.unwrap();
    // The answer is lost: the person asks again.
    authority.fault(&[Some(Fault::AnswerLost)]);
    assert!(matches!(release_visit(prover, visit).await, Err(Error::Unreachable(_))));
    release_visit(prover, visit).await.unwrap();
    let heard = std::mem::take(&mut authority.0.borrow_mut().released);
    assert!(!heard.is_empty() && heard.iter().all(|body| *body == visit.encode()), "{heard:?}");
    authority.fault(&[Some(Fault::Refused("release-needs-site"))]);
    assert_eq!(release_visit(prover, visit).await.unwrap_err().exit_code(), 3);
    // A list of another form is not shown in part.
    authority.0.borrow_mut().pending.pop();
    assert!(matches!(pending_visits(prover).await, Err(Error::Fault(_))));
}

#[tokio::test]
async fn both_kinds_of_devices_list_what_waits_and_release_it() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    lists_and_releases(&authority, &mut device.session().unwrap()).await;
    let authority = Shared::new();
    let device = Device::new(&authority);
    let key = SoftKey::new();
    device.enroll_key(&key);
    lists_and_releases(&authority, &mut device.signing_session(key).unwrap()).await;
}

#[test]
fn only_the_id_of_a_visit_is_taken() {
    for id in ["", "070707070707070", "07070707070707070", "0707070707070X07", "../../../../etc/x"] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_wardein-device")).args(["service", "release", id]).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains("16 lower-case hex digits"), "{id}: {said}");
    }
}
