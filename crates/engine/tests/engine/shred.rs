//! Keys that are erased for good.

use crate::storage_keys::restart;
use crate::world::{ROOT_KEY, START, World, facts};
use wardein_crypto::Digest;
use wardein_domain::{Call, DeviceState, Event, Right};
use wardein_engine::{ErrorKind, OpenAsk};
use wardein_port::{Store, Table};
use wardein_testkit::MemoryCustody;

#[tokio::test]
async fn a_device_that_is_shredded_has_no_keys_and_its_history_stays() {
    let (mut world, custody) = (World::new().await, MemoryCustody::of(ROOT_KEY));
    restart(&mut world, &custody).await;
    for right in [Right::Token, Right::Open] {
        world.grant(right).await;
    }
    let (mut device, mut other) = (world.proven("pump-1").await, world.proven("pump-2").await);
    let (token, spent, payload) = (device.token(b"", 0), device.token(b"", 0), device.seal(b"Puls", 0));
    world.login(&spent, b"", b"0").await.unwrap();
    let (request, _) = device.proof(&world.engine, "authenticate", b"");
    let reason = || "sold".parse().unwrap();
    for had_keys in [true, false, false] {
        let begun = world.engine.begin_shred(&world.admin, &device.name, reason(), 1_000).await.unwrap();
        assert_eq!((begun.state, begun.had_keys), (DeviceState::Retired, had_keys));
        for table in [Table::DeviceKeys, Table::DeviceHot] {
            let keys = world.store.scan(table, b"", None, 9).await.unwrap();
            assert_eq!(keys.iter().map(|(key, _)| &key[..]).collect::<Vec<_>>(), [b"klinik\0pump-2"]);
        }
        // Nothing of it is taken, neither from memory nor from the store.
        let refused = world.engine.prove(&Call::new("test"), request.clone(), Vec::new()).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Unauthenticated, "mac-wrong"));
        assert_eq!(world.login(&token, b"", b"1").await.unwrap_err().code.as_str(), "keys-gone");
        let ask = OpenAsk {
            sealed: payload.clone(),
            additional: b"log".to_vec(),
            reason: reason(),
            idempotency: Digest::of(b"1"),
        };
        assert_eq!(
            world.engine.open_payload(&world.platform, ask).await.err().unwrap().code.as_str(),
            "keys-gone"
        );
        restart(&mut world, &custody).await;
    }
    let record = world.engine.get_device(&world.admin, device.name.clone()).await.unwrap();
    assert_eq!((record.state, record.generation), (DeviceState::Retired, 0));
    let entries = world.entries(Event::DeviceShredded).await;
    let words = [
        "step=begun, state: active → retired, had-keys=true, reason=sold",
        "step=complete, key-version=2, root-key-version=2",
    ];
    assert_eq!([facts(&entries[0]), facts(&entries[1])], words);
    other.prove(&world.engine, "authenticate", b"").await.unwrap();
    let again = world.device_order("pump-1").await;
    assert_eq!(again.unwrap_err().code.as_str(), "device-retired");
    assert!(record.enrolled_at == START);
}

#[tokio::test]
async fn the_key_of_its_tenant_stays_while_the_clock_is_in_doubt() {
    let (mut world, custody) = (World::new().await, MemoryCustody::of(ROOT_KEY));
    restart(&mut world, &custody).await;
    let device = world.proven("pump-1").await;
    world.clock.set(START + 400 * 86_400);
    world.engine.look_at_clock().await.unwrap();
    world.engine.begin_shred(&world.admin, &device.name, "sold".parse().unwrap(), 1_000).await.unwrap();
    for _ in 0..3 {
        assert_eq!(world.engine.deed_step().await.unwrap_err().code.as_str(), "clock-held");
    }
    world.clock.set(START);
    world.engine.look_at_clock().await.unwrap();
    world.clock.pass(86_400);
    while world.engine.deed_step().await.unwrap().is_some() {}
    assert_eq!(world.entries(Event::DeviceShredded).await.len(), 2);
}

#[tokio::test]
async fn one_that_was_revoked_stays_so() {
    let (mut world, custody) = (World::new().await, MemoryCustody::of(ROOT_KEY));
    restart(&mut world, &custody).await;
    let device = world.proven("pump-1").await;
    let (name, reason) = (device.name.clone(), "stolen".parse().unwrap());
    world.engine.set_device_state(&world.admin, name, DeviceState::Revoked, reason).await.unwrap();
    let reason = "sure".parse().unwrap();
    let begun = world.engine.begin_shred(&world.admin, &device.name, reason, 1_000).await.unwrap();
    assert_eq!((begun.state, begun.had_keys), (DeviceState::Revoked, true));
    let record = world.engine.get_device(&world.admin, device.name.clone()).await.unwrap();
    assert_eq!(record.state_reason.unwrap().as_str(), "stolen");
}

impl World {
    async fn device_order(&self, id: &str) -> Result<(), wardein_engine::Error> {
        let device = crate::world::TestDevice::begin(&self.engine, id);
        self.engine.enroll(&self.station, device.order()).await.map(|_| ())
    }
}
