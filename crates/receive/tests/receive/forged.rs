//! What is not what it says: each is refused, and leaves nothing.

use crate::fleet::{Delivery, Device, Fleet, For, named};
use crate::house::{House, is_refused};
use wardein_crypto::Digest;
use wardein_files::{SignedStatement, Statement};

const RECORD: &str = r#"{"source":"app"}"#;

async fn is_refused_whole(house: &House, device: &Device, delivery: &Delivery, code: &str) {
    let refused = house.deliver(device, delivery).await;
    assert!(is_refused(&refused, 422, code), "{code}: {refused:?}");
    let id = device.name.device.as_str();
    assert!(house.segments(id).is_empty() && house.waiting(id).is_empty(), "{code}");
}

fn statement(delivery: &Delivery) -> Statement {
    SignedStatement::parse(delivery.sig.as_bytes()).unwrap().statement().clone()
}

#[tokio::test]
async fn a_statement_counts_as_its_device_signed_it_and_no_other() {
    let house = House::begin().await;
    let mut device = house.fleet.device("pump-1");
    let good = device.batch(1, &[RECORD], For::Reader);
    let with = |sig: String| Delivery { name: good.name.clone(), age: good.age.clone(), sig, key: None };

    let number = with(good.sig.replacen("number: 1", "number: 2", 1));
    is_refused_whole(&house, &device, &number, "statement-refused").await;
    is_refused_whole(&house, &device, &with("wardein-file 1\n".to_owned()), "statement-refused").await;
    // By a device of the same name, of another authority.
    let stranger = Fleet::found().device("pump-1");
    is_refused_whole(&house, &device, &with(stranger.sign(statement(&good))), "statement-refused").await;
    // By another device of this authority, and of another tenant: each vouches for itself alone.
    for mut other in [house.fleet.device("pump-2"), house.fleet.device_of("praxis", "pump-1")] {
        let of_other = other.batch(1, &[RECORD], For::Reader);
        is_refused_whole(&house, &device, &of_other, "statement-of-other").await;
    }
    // Under a certificate that was not valid then.
    let before = Statement { sealed_at: 1_000, ..statement(&good) };
    is_refused_whole(&house, &device, &with(device.sign(before)), "statement-refused").await;
    assert_eq!(house.deliver(&device, &good).await.0, 200);
}

#[tokio::test]
async fn every_altered_byte_is_refused_before_a_key_is_spent() {
    let house = House::begin().await;
    let mut device = house.fleet.device("pump-1");
    let good = device.batch(1, &[RECORD], For::Authority);
    house.authority.learns(&good);
    for at in [0, 60, good.age.len() / 2, good.age.len() - 1] {
        let mut age = good.age.clone();
        age[at] ^= 1;
        let altered = Delivery { name: good.name.clone(), age, sig: good.sig.clone(), key: None };
        is_refused_whole(&house, &device, &altered, "other-file").await;
    }
    let cut = Delivery {
        name: good.name.clone(),
        age: good.age[..good.age.len() - 1].to_vec(),
        sig: good.sig.clone(),
        key: None,
    };
    is_refused_whole(&house, &device, &cut, "other-file").await;
    assert!(house.authority.0.lock().unwrap().keys.values().all(|(_, spent)| spent.is_none()));
    assert_eq!(house.deliver(&device, &good).await.0, 200);
}

#[tokio::test]
async fn a_key_is_asked_for_under_the_name_that_was_signed_alone() {
    let house = House::begin().await;
    let mut device = house.fleet.device("pump-1");
    let good = device.batch(1, &[RECORD], For::Authority);
    house.authority.learns(&good);
    let other = Some("ddkg1:klinik/pump-1/1.file.0.77".parse().unwrap());
    for key in [other, None] {
        let sig = device.sign(Statement { key, ..statement(&good) });
        let forged = Delivery { name: good.name.clone(), age: good.age.clone(), sig, key: None };
        is_refused_whole(&house, &device, &forged, "other-file").await;
    }
}

#[tokio::test]
async fn what_is_sealed_is_the_batch_of_its_name_or_nothing() {
    let house = House::begin().await;
    let mut device = house.fleet.device("pump-1");
    let batch = |number, records: &[&str]| {
        wardein_logs::batch::write(&crate::fleet::header(number, records.len()), records).unwrap()
    };
    let other = device.seal(&named(2), &batch(1, &[RECORD]), For::Reader);
    is_refused_whole(&house, &device, &other, "other-batch").await;
    let mut of = crate::fleet::header(2, 0);
    of.audience = "ward".parse().unwrap();
    let other = device.seal(&named(2), &wardein_logs::batch::write::<&str>(&of, &[]).unwrap(), For::Reader);
    is_refused_whole(&house, &device, &other, "other-batch").await;

    let bad = device.seal(&named(2), b"no batch", For::Reader);
    is_refused_whole(&house, &device, &bad, "batch-malformed").await;
    // Records that would leave their line, or are none.
    for record in ["{\"source\":\"app\"},\"device\":\"pump-2\"", "{\"source\":\"app\"", "7", "\u{0}"] {
        let lines = format!("{}\n{record}\n", serde_json::to_string(&crate::fleet::header(2, 1)).unwrap());
        let bad = device.seal(&named(2), &zstd::encode_all(lines.as_bytes(), 3).unwrap(), For::Reader);
        is_refused_whole(&house, &device, &bad, "batch-malformed").await;
    }
    // What is not age, though signed.
    let good = device.batch(2, &[RECORD], For::Reader);
    let age = b"not age at all".to_vec();
    let sig = device.sign(Statement { sha256: Digest::of(&age), length: 14, ..statement(&good) });
    let bad = Delivery { name: named(2), age, sig, key: None };
    is_refused_whole(&house, &device, &bad, "not-opened").await;
}
