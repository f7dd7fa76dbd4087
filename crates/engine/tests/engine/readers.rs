//! Readers of files: on a signed list that devices get, which rises and never falls.

use crate::world::World;
use wardein_crypto::P256VerifyingKey;
use wardein_domain::{Event, Reason, UnixSeconds};
use wardein_engine::{Error, ErrorCode, ReaderOrder, Sealing};
use wardein_files::{ReaderList, SealFor};

const HOSPITAL: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const MAKER: &str = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";

fn order(name: &str, key: &str) -> ReaderOrder {
    ReaderOrder { name: name.parse().unwrap(), key: key.parse().unwrap(), from: None, until: None }
}

fn reason() -> Reason {
    "test".parse().unwrap()
}

#[tokio::test]
async fn a_device_gets_the_list_of_its_profile_signed() {
    let world = World::new().await;
    let (tenant, profile) = (world.tenant(), "default".parse().unwrap());
    let of = Sealing { tenant: &tenant, profile: &profile };
    let (engine, admin) = (&world.engine, &world.admin);
    let mut pump = world.proven("pump").await;
    let identity = P256VerifyingKey(engine.trust_bundle().identity_key);
    let none = pump.prove(engine, "readers", b"").await.unwrap().body;
    let none = ReaderList::open(&none, &identity).unwrap();
    assert_eq!((none.number, none.seal_for, none.readers.len()), (0, SealFor::Authority, 0));

    let alone = engine.put_sealing(admin, of, SealFor::Readers, reason()).await;
    assert_eq!(code(alone), ErrorCode::ReadersMissing);
    let first = engine.add_reader(admin, of, order("hospital", HOSPITAL), reason()).await.unwrap();
    let again = engine.add_reader(admin, of, order("hospital", HOSPITAL), reason()).await.unwrap();
    assert_eq!(first, again);
    let other = engine.add_reader(admin, of, order("hospital", MAKER), reason()).await;
    assert_eq!(code(other), ErrorCode::ReaderExists);
    let ended = ReaderOrder { until: Some(UnixSeconds::new(1)), ..order("maker", MAKER) };
    assert_eq!(code(engine.add_reader(admin, of, ended, reason()).await), ErrorCode::Malformed);
    let second = engine.add_reader(admin, of, order("maker", MAKER), reason()).await.unwrap();
    let third = engine.put_sealing(admin, of, SealFor::Readers, reason()).await.unwrap();
    assert!(none.number < first.number && first.number < second.number && second.number < third.number);

    let came = pump.prove(engine, "readers", b"").await.unwrap().body;
    assert_eq!(ReaderList::open(&came, &identity).unwrap(), third);
    let refused = pump.prove(engine, "readers", b"x").await;
    assert_eq!(code(refused), ErrorCode::Malformed);

    let nobody = engine.remove_reader(admin, of, &"nobody".parse().unwrap(), reason()).await;
    assert_eq!(code(nobody), ErrorCode::ReaderUnknown);
    for name in ["maker", "hospital"] {
        engine.remove_reader(admin, of, &name.parse().unwrap(), reason()).await.unwrap();
    }
    let came = pump.prove(engine, "readers", b"").await.unwrap().body;
    let last = ReaderList::open(&came, &identity).unwrap();
    // End to end stays end to end: what nobody could open is not sealed for the authority instead.
    assert_eq!((last.seal_for, last.readers.len()), (SealFor::Readers, 0));
    assert!(last.number > third.number);
    for (event, times) in [(Event::ReaderAdded, 2), (Event::ReaderRemoved, 2), (Event::SealingPut, 1)] {
        assert_eq!(world.entries(event).await.len(), times, "{event:?}");
    }
}

#[tokio::test]
async fn a_profile_has_as_many_readers_as_a_file_has_stanzas_for() {
    let world = World::new().await;
    let (tenant, profile) = (world.tenant(), "default".parse().unwrap());
    let of = Sealing { tenant: &tenant, profile: &profile };
    for number in 0..ReaderList::MAX_READERS {
        let order = order(&format!("reader-{number}"), HOSPITAL);
        world.engine.add_reader(&world.admin, of, order, reason()).await.unwrap();
    }
    let more = world.engine.add_reader(&world.admin, of, order("one-more", HOSPITAL), reason()).await;
    assert_eq!(code(more), ErrorCode::ReaderQuota);
}

fn code<T>(result: Result<T, Error>) -> ErrorCode {
    result.err().expect("a refusal").code
}
