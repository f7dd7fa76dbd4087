//! Enrollment by stream, over real TLS, with devices that speak DDKG-1.

use crate::common::{Served, issue};
use tokio_stream::StreamExt;
use v1::enroll_stream_request::Step;
use v1::enroll_stream_response::Result as Outcome;
use wardein_client::{Connection, v1};
use wardein_crypto::{Entropy, EphemeralKey, SystemEntropy};
use wardein_domain::Role;
use wardein_server::Limits;

fn enroll(device: &str) -> v1::EnrollRequest {
    v1::EnrollRequest {
        device_id: device.into(),
        suite: 1,
        device_nonce: SystemEntropy::default().array::<32>().unwrap().to_vec(),
        device_share: EphemeralKey::generate(&mut SystemEntropy::default()).unwrap().public().to_vec(),
        attributes: vec![v1::Attribute { name: "firmware".into(), value: b"1.0".to_vec() }],
        ..Default::default()
    }
}

async fn station(served: &Served) -> (Connection, Connection) {
    let admin = served.connect(Some(served.admin())).await.unwrap();
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
    let station = served.connect(Some(issue(&admin, Role::Station).await)).await.unwrap();
    (admin, station)
}

#[tokio::test]
async fn each_message_has_its_result_and_a_failure_stops_nothing() {
    let served = Served::with(Limits { stream_in_flight: 8, ..Limits::default() }, 0).await;
    let (admin, station) = station(&served).await;
    let messages = (0..60).map(|correlation| {
        let step = match correlation % 3 {
            0 => Some(Step::Enroll(enroll(&format!("pump-{correlation}")))),
            1 => Some(Step::Enroll(enroll("not a name"))),
            _ => None,
        };
        v1::EnrollStreamRequest { correlation, step }
    });
    let messages: Vec<_> = messages.collect();
    let answer = station.provisioning().enroll_stream(tokio_stream::iter(messages)).await.unwrap();
    let results: Vec<_> = answer.into_inner().map(Result::unwrap).collect().await;
    assert_eq!(results.len(), 60);
    let mut seen: Vec<_> = results.iter().map(|result| result.correlation).collect();
    seen.sort();
    assert_eq!(seen, (0..60).collect::<Vec<_>>());
    for result in results {
        match (result.correlation % 3, result.result.unwrap()) {
            (0, Outcome::Enrolled(reply)) => assert_eq!((reply.tenant.as_str(), reply.generation), ("t", 1)),
            (1, Outcome::Failure(failure)) => {
                assert_eq!((failure.status, failure.code.as_str()), (3, "malformed"));
                assert!(failure.message.starts_with("device_id: "), "{}", failure.message);
            }
            (2, Outcome::Failure(failure)) => assert!(failure.message.starts_with("step: ")),
            (_, other) => panic!("{other:?}"),
        }
    }
    let asked = v1::ListDevicesRequest { tenant: "t".into(), ..Default::default() };
    assert_eq!(admin.admin().list_devices(asked).await.unwrap().into_inner().devices.len(), 20);
    let asked = v1::ListEntriesRequest { page_size: 1000, ..Default::default() };
    let entries = admin.audit().list_entries(asked).await.unwrap().into_inner().entries;
    assert_eq!(entries.iter().filter(|entry| entry.event == "call.refuse").count(), 40);
}

#[tokio::test]
async fn a_stream_that_its_station_leaves_cancels_nothing_that_was_answered() {
    let served = Served::start().await;
    let (admin, station) = station(&served).await;
    let messages = tokio_stream::iter([v1::EnrollStreamRequest {
        correlation: 1,
        step: Some(Step::Enroll(enroll("pump-1"))),
    }]);
    let messages = messages.chain(tokio_stream::pending());
    let mut answers = station.provisioning().enroll_stream(messages).await.unwrap().into_inner();
    assert!(matches!(answers.next().await.unwrap().unwrap().result, Some(Outcome::Enrolled(_))));
    drop((answers, station));
    let asked = v1::GetDeviceRequest { tenant: "t".into(), device_id: "pump-1".into() };
    assert_eq!(
        admin.admin().get_device(asked).await.unwrap().into_inner().device.unwrap().state(),
        v1::DeviceState::Pending
    );
}

#[tokio::test]
async fn an_operator_revoked_in_the_middle_of_a_stream_enrolls_no_more() {
    let served = Served::start().await;
    let (admin, station) = station(&served).await;
    let (send, messages) = tokio::sync::mpsc::channel(4);
    let messages = tokio_stream::wrappers::ReceiverStream::new(messages);
    let step = |device| v1::EnrollStreamRequest { correlation: 1, step: Some(Step::Enroll(enroll(device))) };
    send.send(step("pump-1")).await.unwrap();
    let mut answers = station.provisioning().enroll_stream(messages).await.unwrap().into_inner();
    assert!(matches!(answers.next().await.unwrap().unwrap().result, Some(Outcome::Enrolled(_))));
    let operators =
        admin.admin().list_operators(v1::ListOperatorsRequest::default()).await.unwrap().into_inner();
    let serial = operators
        .operators
        .iter()
        .find(|operator| operator.role() == v1::Role::Station)
        .unwrap()
        .serial
        .clone();
    let revoke = v1::RevokeOperatorRequest { serial, reason: "test".into(), with_issued: false };
    admin.admin().revoke_operator(revoke).await.unwrap();
    send.send(step("pump-2")).await.unwrap();
    match answers.next().await.unwrap().unwrap().result {
        Some(Outcome::Failure(failure)) => assert_eq!(failure.code, "operator-revoked"),
        other => panic!("{other:?}"),
    }
    // The stream ends, though the station would go on.
    assert!(answers.next().await.is_none());
    drop(send);
}
