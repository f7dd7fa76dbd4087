//! Who may deliver.

use crate::fleet::{Fleet, For, named};
use crate::house::{House, is_refused};
use tokio::io::AsyncWriteExt;
use wardein_pki::pem;
use wardein_receive::Standing;

const RECORD: &str = r#"{"source":"app"}"#;

#[tokio::test]
async fn a_device_delivers_under_its_own_name_and_in_its_tenant() {
    let house = House::begin().await;
    let mut device = house.fleet.device("pump-1");
    let delivery = device.batch(1, &[RECORD], For::Reader);
    let path = |device: &str| format!("/v1/{device}/{}.age", named(1));
    let refused = house.put(&device, &path("pump-2"), &delivery.age).await;
    assert!(is_refused(&refused, 403, "wrong-device"), "{refused:?}");
    let other = house.fleet.device_of("praxis", "pump-1");
    let refused = house.put(&other, &path("pump-1"), &delivery.age).await;
    assert!(is_refused(&refused, 403, "other-tenant"), "{refused:?}");
    // A name from before names were files.
    let climbing = house.fleet.device(".hidden");
    let refused = house.put(&climbing, &path(".hidden"), &delivery.age).await;
    assert!(is_refused(&refused, 403, "wrong-device"), "{refused:?}");
    let refused = house.put(&device, "/v1/pump-1/ward-000000000001.age", &delivery.age).await;
    assert!(is_refused(&refused, 403, "unknown-audience"), "{refused:?}");
    for device in ["pump-1", "pump-2", ".hidden"] {
        assert!(house.waiting(device).is_empty() && house.segments(device).is_empty());
    }
}

#[tokio::test]
async fn a_path_is_a_file_of_a_batch_and_takes_put_alone() {
    let house = House::begin().await;
    let device = house.fleet.device("pump-1");
    let name = named(1);
    for path in [
        "/".to_owned(),
        "/v1/pump-1".to_owned(),
        format!("/v1/pump-1/{name}"),
        format!("/v1/pump-1/{name}.age.part"),
        format!("/v1/pump-1/../pump-1/{name}.age"),
        format!("/v1/pump%2d1/{name}.age"),
        format!("/v2/pump-1/{name}.age"),
        format!("/v1/pump-1/{name}.age?x=1"),
    ] {
        let refused = house.put(&device, &path, b"x").await;
        assert!(is_refused(&refused, 404, "unknown-path"), "{path}: {refused:?}");
    }
    let get = format!("GET /v1/pump-1/{name}.age HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let refused = house.send(&device, get.as_bytes()).await.unwrap();
    assert!(is_refused(&refused, 405, "wrong-method"), "{refused:?}");
}

#[tokio::test]
async fn nobody_without_a_certificate_of_this_authority_sends_a_byte() {
    let house = House::begin().await;
    let stranger = Fleet::found().device("pump-1");
    assert!(house.send(&stranger, b"PUT / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.is_err());
    let nobody = async {
        let mut stream = house.connect_with(|builder| builder.with_no_client_auth()).await?;
        stream.write_all(b"PUT / HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
        crate::house::answer(&mut stream).await
    };
    assert!(nobody.await.is_err());
    assert!(house.authority.0.lock().unwrap().asked.is_empty(), "the authority is not asked about strangers");
}

#[tokio::test]
async fn a_device_that_is_not_trusted_now_is_refused_and_delivers_again_later() {
    let house = House::begin().await;
    let mut device = house.fleet.device("pump-1");
    let delivery = device.batch(1, &[RECORD], For::Reader);
    house.authority.says(Standing::NotTrusted("suspended".to_owned()));
    let refused = house.deliver(&device, &delivery).await;
    assert!(is_refused(&refused, 403, "not-trusted") && refused.1.contains("suspended"), "{refused:?}");
    assert!(house.waiting("pump-1").is_empty());
    house.authority.says(Standing::Unknown("no route".to_owned()));
    let refused = house.deliver(&device, &delivery).await;
    assert!(is_refused(&refused, 503, "authority-unreachable"), "{refused:?}");

    // Suspended between the two files.
    house.authority.says(Standing::Trusted);
    let path = format!("/v1/pump-1/{}.age", named(1));
    assert_eq!(house.put(&device, &format!("{path}.sig"), delivery.sig.as_bytes()).await.0, 202);
    house.authority.says(Standing::NotTrusted("suspended".to_owned()));
    assert_eq!(house.put(&device, &path, &delivery.age).await.0, 403);
    assert!(house.segments("pump-1").is_empty());
    house.authority.says(Standing::Trusted);
    assert_eq!(house.deliver(&device, &delivery).await.0, 200);
    // It is asked about the certificate that was shown: one that was revoked alone is not good either.
    let shown = pem::decode_certificates(&device.certificates).unwrap().remove(0);
    assert!(house.authority.0.lock().unwrap().asked.iter().all(|asked| *asked == shown));
}

#[tokio::test]
async fn what_the_receiver_may_not_open_waits_and_what_is_spent_is_over() {
    let house = House::with(|settings| settings.reader_key = None).await;
    let mut device = house.fleet.device("pump-1");
    let for_reader = device.batch(1, &[RECORD], For::Reader);
    let refused = house.deliver(&device, &for_reader).await;
    assert!(is_refused(&refused, 403, "no-key"), "{refused:?}");
    let delivery = device.batch(2, &[RECORD], For::Authority);
    let refused = house.deliver(&device, &delivery).await;
    assert!(is_refused(&refused, 403, "key-refused"), "{refused:?}");
    assert_eq!(house.waiting("pump-1").len(), 3, "both files, and the number that the key was asked under");
    house.authority.learns(&delivery);
    assert_eq!(house.deliver(&device, &delivery).await.0, 200);

    let spent = device.batch(3, &[RECORD], For::Authority);
    house.authority.learns(&spent);
    house.authority.0.lock().unwrap().keys.values_mut().for_each(|(_, number)| *number = Some([9; 32]));
    let refused = house.deliver(&device, &spent).await;
    assert!(is_refused(&refused, 409, "key-spent"), "{refused:?}");
    assert!(house.waiting("pump-1").is_empty());
}
