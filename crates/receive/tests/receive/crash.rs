//! A receiver that is killed, and one that goes on from its directory. What a crash leaves within a segment is tried in
//! `segment.rs`.

use crate::fleet::{Delivery, Device, Fleet, For, named};
use crate::house::{Fake, settings};
use bytes::Bytes;
use http_body_util::Full;
use std::fs;
use std::path::Path;
use tokio::runtime::{Builder, Runtime};
use wardein_pki::pem;
use wardein_receive::{BatchName, OpenError, Part, Put, Receiver, Refused, Sender};

const RECORD: &str = r#"{"source":"app"}"#;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn sender(fleet: &Fleet, device: &Device) -> Sender {
    let chain = pem::decode_certificates(&device.certificates).unwrap();
    Sender::of(&chain.iter().map(Vec::as_slice).collect::<Vec<_>>(), &[&fleet.root]).unwrap()
}

async fn put(
    receiver: &Receiver<Fake>,
    from: &Sender,
    delivery: &Delivery,
    part: Part,
) -> Result<Put, Refused> {
    let bytes = match part {
        Part::Sealed => delivery.age.clone(),
        Part::Statement => delivery.sig.clone().into_bytes(),
    };
    let name = BatchName::parse(&delivery.name).unwrap();
    receiver.put(from, &name, part, Full::new(Bytes::from(bytes))).await
}

fn number_of(put: Result<Put, Refused>) -> u64 {
    match put {
        Ok(Put::Taken(receipt)) => receipt.number,
        other => panic!("{other:?}"),
    }
}

fn segments(directory: &Path) -> usize {
    fs::read_dir(directory.join("records/pump-1")).map_or(0, Iterator::count)
}

#[test]
fn a_receiver_killed_after_it_asked_for_a_key_goes_on_with_the_same_question() {
    let (fleet, authority, directory) = (Fleet::found(), Fake::new(), tempfile::tempdir().unwrap());
    let mut device = fleet.device("pump-1");
    let from = sender(&fleet, &device);
    let delivery = device.batch(1, &[RECORD], For::Authority);
    authority.learns(&delivery);
    authority.0.lock().unwrap().is_lost = true;
    let first = runtime();
    first.block_on(async {
        let receiver = Receiver::open(settings(directory.path(), &fleet), authority.clone()).unwrap();
        assert_eq!(put(&receiver, &from, &delivery, Part::Statement).await, Ok(Put::Announced));
        let taking = put(&receiver, &from, &delivery, Part::Sealed);
        let asked = async {
            while authority.0.lock().unwrap().keys.values().all(|(_, number)| number.is_none()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            taken = taking => panic!("{taken:?}"),
            () = asked => {}
        }
    });
    // Everything ends where it is.
    drop(first);
    assert_eq!(segments(directory.path()), 0);
    authority.0.lock().unwrap().is_lost = false;
    runtime().block_on(async {
        let receiver = Receiver::open(settings(directory.path(), &fleet), authority.clone()).unwrap();
        receiver.resume().await.unwrap();
        assert_eq!(segments(directory.path()), 1, "taken without the device");
        assert_eq!(put(&receiver, &from, &delivery, Part::Statement).await, Ok(Put::Announced));
        assert_eq!(number_of(put(&receiver, &from, &delivery, Part::Sealed).await), 1);
        assert_eq!(segments(directory.path()), 1);
    });
}

#[test]
fn a_receiver_killed_before_it_answered_takes_nothing_twice() {
    let (fleet, directory) = (Fleet::found(), tempfile::tempdir().unwrap());
    let mut device = fleet.device("pump-1");
    let from = sender(&fleet, &device);
    let delivery = device.batch(1, &[RECORD], For::Reader);
    let take = |delivery: &Delivery| {
        let runtime = runtime();
        let receiver = Receiver::open(settings(directory.path(), &fleet), Fake::new()).unwrap();
        runtime.block_on(async {
            assert_eq!(put(&receiver, &from, delivery, Part::Statement).await, Ok(Put::Announced));
            number_of(put(&receiver, &from, delivery, Part::Sealed).await)
        })
    };
    assert_eq!(take(&delivery), 1);
    // The segment had its name, and what had come was not removed yet; another batch was on its way, and one half made.
    let waiting = directory.path().join("incoming/pump-1");
    fs::create_dir_all(&waiting).unwrap();
    fs::write(waiting.join(format!("{}.age", named(1))), &delivery.age).unwrap();
    fs::write(waiting.join(format!("{}.age.part", named(2))), &delivery.age[..9]).unwrap();
    let half = directory.path().join("records/pump-1").join(format!("{}.part", named(2)));
    fs::create_dir(&half).unwrap();
    fs::write(half.join("records.ndjson"), "{").unwrap();
    assert_eq!((take(&delivery), segments(directory.path())), (1, 1));
    let next = device.batch(2, &[RECORD], For::Reader);
    assert_eq!((take(&next), segments(directory.path())), (2, 2));
    let gaps = directory.path().join("records/pump-1").join(named(2)).join("gaps.ndjson");
    assert_eq!(fs::read_to_string(gaps).unwrap(), "", "it knows the one before");
}

#[test]
fn one_process_receives_into_a_directory() {
    let (fleet, directory) = (Fleet::found(), tempfile::tempdir().unwrap());
    let first = Receiver::open(settings(directory.path(), &fleet), Fake::new()).unwrap();
    let second = Receiver::open(settings(directory.path(), &fleet), Fake::new());
    assert!(matches!(second, Err(OpenError::Locked(_))));
    drop(first);
    assert!(Receiver::open(settings(directory.path(), &fleet), Fake::new()).is_ok());
}
