//! Batches that are taken: once, in their order, with what is missing.

use crate::fleet::{Delivery, Device, For, header, named};
use crate::house::{House, is_refused, sha256};
use std::fs;
use wardein_crypto::Digest;
use wardein_files::SignedStatement;
use wardein_logs::{Gap, GapReason, KnownBy, Observed};
use wardein_receive::{GAPS, RECORDS, STATEMENT};

const RECORDS_OF_ONE: [&str; 2] = [
    r#"{"source":"app","fields":{"level":"ERROR","n":12345678901234567890.10}}"#,
    r#"{"source":"app","fields":{}}"#,
];

#[tokio::test]
async fn a_batch_is_taken_by_a_readers_key_or_a_released_one() {
    let house = House::begin().await;
    let mut device = house.fleet.device("pump-1");
    for (batch, to) in [(1, For::Reader), (2, For::Authority), (3, For::Reader)] {
        let delivery = device.batch(batch, &RECORDS_OF_ONE, to);
        if to == For::Authority {
            house.authority.learns(&delivery);
        }
        let path = format!("/v1/pump-1/{}.age", named(batch));
        let (status, said) = house.put(&device, &format!("{path}.sig"), delivery.sig.as_bytes()).await;
        assert_eq!((status, said), (202, format!("{{\"waiting_for\":\"{}.age\"}}", named(batch))));
        assert!(!house.segments("pump-1").contains(&named(batch)));
        let (status, said) = house.put(&device, &path, &delivery.age).await;
        let expected =
            format!("{{\"number\":{batch},\"sha256\":\"{}\",\"batch\":{batch}}}", sha256(&delivery.age));
        assert_eq!((status, said), (200, expected));
        assert!(house.waiting("pump-1").is_empty());
        let read = |file| house.read("pump-1", &named(batch), file);
        let line = |record| {
            let of = format!("\"number\":{batch},\"batch\":{batch},\"audience\":\"maker\"");
            format!("{{\"device\":\"pump-1\",{of},\"record\":{record}}}\n")
        };
        assert_eq!(read(RECORDS), RECORDS_OF_ONE.map(line).concat(), "no number is rounded");
        assert_eq!((read(GAPS), read(STATEMENT)), (String::new(), delivery.sig));
    }
}

/// Who ends with the sealed file takes any success for the batch's.
#[tokio::test]
async fn a_batch_whose_statement_is_not_there_is_not_acknowledged() {
    let house = House::begin().await;
    let mut device = house.fleet.device("pump-1");
    let (first, second) = (device.batch(1, &[], For::Reader), device.batch(2, &[], For::Reader));
    let path = |batch| format!("/v1/pump-1/{}.age", named(batch));
    let refused = house.put(&device, &path(1), &first.age).await;
    assert!(is_refused(&refused, 428, "statement-first"), "{refused:?}");
    assert!(house.waiting("pump-1").is_empty());
    // Another one of the same audience came in between.
    for (batch, delivery) in [(1, &first), (2, &second)] {
        assert_eq!(house.put(&device, &format!("{}.sig", path(batch)), delivery.sig.as_bytes()).await.0, 202);
    }
    assert_eq!(house.put(&device, &path(1), &first.age).await.0, 428);
    assert_eq!(house.put(&device, &path(2), &second.age).await.0, 200);
}

#[tokio::test]
async fn what_comes_again_is_acknowledged_and_nothing_is_there_twice() {
    let house = House::begin().await;
    let mut device = house.fleet.device("pump-1");
    let delivery = device.batch(1, &RECORDS_OF_ONE, For::Authority);
    house.authority.learns(&delivery);
    let first = house.deliver(&device, &delivery).await;
    assert_eq!(first.0, 200);
    // Also once its records are used, and by another receiver that goes on from the directory.
    for _ in 0..2 {
        assert_eq!(house.deliver(&device, &delivery).await, first);
        let segment = house.received().join("records/pump-1").join(named(1));
        drop(fs::remove_file(segment.join(RECORDS)));
        drop(fs::remove_file(segment.join(GAPS)));
    }
    assert_eq!(house.segments("pump-1"), [named(1)]);
    assert!(!house.received().join("records/pump-1").join(named(1)).join(RECORDS).exists());

    let other = device.batch(1, &RECORDS_OF_ONE[..1], For::Reader);
    let refused = house.deliver(&device, &other).await;
    assert!(is_refused(&refused, 409, "batch-taken"), "{refused:?}");
    assert!(house.waiting("pump-1").is_empty(), "it is never taken");
}

#[tokio::test]
async fn what_is_missing_is_on_record_and_nothing_is_refused_for_it() {
    let house = House::begin().await;
    let mut device = house.fleet.device("pump-1");
    let gaps = async |device: &Device, delivery: &Delivery| {
        assert_eq!(house.deliver(device, delivery).await.0, 200);
        let text = house.read("pump-1", &delivery.name, GAPS);
        let of = |line: &str| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(
                (value["device"].as_str(), value["audience"].as_str()),
                (Some("pump-1"), Some("maker"))
            );
            format!("{} {} {}", value["why"].as_str().unwrap(), value["from"], value["to"])
        };
        text.lines().map(of).collect::<Vec<_>>()
    };
    let mut of = header(2, 0);
    let gap = Gap { source: "app".parse().unwrap(), lines: None, bytes: 5_120, why: GapReason::Truncated };
    of.gaps.push(gap);
    let delivery =
        device.seal(&named(2), &wardein_logs::batch::write::<&str>(&of, &[]).unwrap(), For::Reader);
    assert_eq!(gaps(&device, &delivery).await, ["truncated null null", "batches-missing 1 1"]);
    assert!(house.read("pump-1", &named(2), GAPS).contains(r#""source":"app","lines":null,"bytes":5120"#));

    // A file for somebody else, and a batch that does not come.
    let late = device.batch(3, &[], For::Reader);
    drop(device.seal("elsewhere", b"", For::Reader));
    let delivery = device.batch(4, &[], For::Reader);
    assert_eq!(gaps(&device, &delivery).await, ["batches-missing 3 3", "statements-missing 2 3"]);
    assert_eq!(gaps(&device, &late).await, ["batch-late null null"]);

    // Two that hold the device's key.
    device.previous = Digest([7; 32]);
    let delivery = device.batch(5, &[], For::Reader);
    assert_eq!(gaps(&device, &delivery).await, ["statement-before-is-another null null"]);
    device.number = 2;
    let delivery = device.batch(6, &[], For::Reader);
    assert_eq!(gaps(&device, &delivery).await, ["statement-number-falls null null"]);
}

#[tokio::test]
async fn what_a_collector_sealed_is_marked_beside_the_device_that_sealed_it() {
    let house = House::begin().await;
    let mut device = house.fleet.device("gateway-1");
    let mut of = header(1, 2);
    let mark = Observed {
        source: "pump".parse().unwrap(),
        // The name of a device that is enrolled, too: it has sealed nothing.
        observed: "pump-1".parse().unwrap(),
        known_by: KnownBy::Certificate,
    };
    of.observed.push(mark);
    for source in ["own", "pump"] {
        let gap = Gap { source: source.parse().unwrap(), lines: Some(1), bytes: 7, why: GapReason::TooLong };
        of.gaps.push(gap);
    }
    let records = [r#"{"source":"own","observed":"pump-1"}"#, r#"{"source":"pump","device":"pump-1"}"#];
    let delivery = device.seal(&named(1), &wardein_logs::batch::write(&of, &records).unwrap(), For::Reader);
    assert_eq!(house.deliver(&device, &delivery).await.0, 200);

    let beside = r#""device":"gateway-1","number":1,"batch":1,"audience":"maker""#;
    let mark = r#""sealed-by-collector":{"source":"pump","observed":"pump-1","known-by":"certificate"}"#;
    let [own, pump] = records;
    let expected = format!("{{{beside},\"record\":{own}}}\n{{{beside},{mark},\"record\":{pump}}}\n");
    assert_eq!(house.read("gateway-1", &named(1), RECORDS), expected);
    let gap = |source: &str| format!(r#""source":"{source}","lines":1,"bytes":7,"why":"too-long""#);
    let expected = format!("{{{beside},{}}}\n{{{beside},{mark},{}}}\n", gap("own"), gap("pump"));
    assert_eq!(house.read("gateway-1", &named(1), GAPS), expected);
    assert!(house.segments("pump-1").is_empty(), "nothing is the observed device's");
}

#[tokio::test]
async fn a_batch_far_behind_is_refused_and_one_in_the_window_is_taken_late() {
    let house = House::begin().await;
    let mut device = house.fleet.device("pump-1");
    let (old, early, late, last) = (
        device.batch(998, &[], For::Reader),
        device.batch(999, &[], For::Reader),
        device.batch(1_000, &[], For::Reader),
        device.batch(2_000, &[], For::Reader),
    );
    assert_eq!(house.deliver(&device, &old).await.0, 200);
    assert_eq!(house.deliver(&device, &last).await.0, 200);
    let refused = house.deliver(&device, &early).await;
    assert!(is_refused(&refused, 409, "outside-window"), "{refused:?}");
    assert_eq!(house.deliver(&device, &late).await.0, 200);
    assert_eq!(house.deliver(&device, &old).await.0, 200, "it is there, and known");
    assert_eq!(house.segments("pump-1"), [998, 1_000, 2_000].map(named));
}

#[tokio::test]
async fn a_segment_behind_the_window_is_removed_once_it_is_used() {
    let house = House::begin().await;
    let mut device = house.fleet.device("pump-1");
    for batch in [1, 2] {
        let delivery = device.batch(batch, &RECORDS_OF_ONE, For::Reader);
        assert_eq!(house.deliver(&device, &delivery).await.0, 200);
    }
    let used = house.received().join("records/pump-1").join(named(1));
    fs::remove_file(used.join(RECORDS)).unwrap();
    fs::remove_file(used.join(GAPS)).unwrap();
    for batch in [1_002, 1_003] {
        let delivery = device.batch(batch, &[], For::Reader);
        assert_eq!(house.deliver(&device, &delivery).await.0, 200);
    }
    assert_eq!(house.segments("pump-1"), [2, 1_002, 1_003].map(named), "what nobody has used waits");
    let signed = SignedStatement::parse(house.read("pump-1", &named(2), STATEMENT).as_bytes()).unwrap();
    assert_eq!(signed.statement().number, 2);
}
