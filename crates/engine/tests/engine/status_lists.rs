//! Token Status Lists: a place that stays, and what became of the device at it.

use crate::receipts::{device, signed, text};
use crate::world::{ROOT_KEY, World, ports};
use std::collections::BTreeSet;
use wardein_domain::DeviceState;
use wardein_engine::{Engine, Ports};
use wardein_pki::{StatusBits, TokenStatus};
use wardein_testkit::MemoryCustody;

const BASE: &str = "http://pki.example:7480";

/// The same authority, which says where lists are.
async fn restarted(world: &mut World) {
    world.store = world.store.restart();
    let ports = Ports { revocation_url: Some(BASE.parse().unwrap()), ..ports(&world.store, &world.clock) };
    world.engine = Engine::open(ports, MemoryCustody::of(ROOT_KEY).root_keys()).await.unwrap();
}

/// The place that a receipt on a device names.
async fn place(world: &World, id: &str) -> usize {
    let (_, claims) = signed(world, device(id)).await;
    let (_, status) = claims.split_once("\"status\":{\"status_list\":{\"idx\":").unwrap();
    let (index, rest) = status.split_once(',').unwrap();
    assert_eq!(rest, format!("\"uri\":\"{BASE}/status/0\"}}}}}}"));
    index.parse().unwrap()
}

/// Whether the list has exactly these statuses; all others are valid.
async fn says(world: &World, statuses: &[(usize, TokenStatus)]) -> bool {
    world.engine.publish_status_lists().await.unwrap();
    let token = String::from_utf8(world.engine.status_list(0).unwrap().token.clone()).unwrap();
    let mut bits = StatusBits::new(1 << 20);
    for (index, status) in statuses {
        bits.put(*index, *status);
    }
    let claims = text(token.split('.').nth(1).unwrap());
    let now = world.engine.now();
    assert!(claims.starts_with(&format!("{{\"sub\":\"{BASE}/status/0\",\"iat\":")), "{claims}");
    assert!(now < world.engine.status_list(0).unwrap().made_at + 1_800);
    claims.ends_with(&format!("\"ttl\":60,\"status_list\":{}}}", bits.claim()))
}

async fn set(world: &World, id: &str, state: DeviceState) {
    let name = crate::world::name("klinik", id);
    world.engine.set_device_state(&world.admin, name, state, "test".parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_device_keeps_its_place_and_the_list_says_what_became_of_it() {
    let mut world = World::new().await;
    restarted(&mut world).await;
    world.device("pump-1").await;
    world.device("pump-2").await;
    world.engine.publish_status_lists().await.unwrap();
    assert_eq!(world.engine.status_list(0), None, "nobody was named");
    set(&world, "pump-2", DeviceState::Suspended).await;
    let (one, two) = (place(&world, "pump-1").await, place(&world, "pump-2").await);
    assert_ne!(one, two);
    assert_eq!((place(&world, "pump-1").await, place(&world, "pump-2").await), (one, two), "it is kept");
    assert!(says(&world, &[(two, TokenStatus::Suspended)]).await, "also of what it was before");
    set(&world, "pump-1", DeviceState::Suspended).await;
    set(&world, "pump-2", DeviceState::Active).await;
    assert!(says(&world, &[(one, TokenStatus::Suspended)]).await);
    set(&world, "pump-1", DeviceState::Revoked).await;
    assert!(says(&world, &[(one, TokenStatus::Invalid)]).await);
    restarted(&mut world).await;
    assert_eq!((place(&world, "pump-1").await, place(&world, "pump-2").await), (one, two));
    assert!(says(&world, &[(one, TokenStatus::Invalid)]).await, "after a restart, too");
}

#[tokio::test]
async fn a_list_is_signed_again_while_nothing_changes_and_is_good_for_an_hour() {
    let mut world = World::new().await;
    restarted(&mut world).await;
    world.device("pump-1").await;
    place(&world, "pump-1").await;
    let made = async |world: &World| {
        world.engine.publish_status_lists().await.unwrap();
        let list = world.engine.status_list(0).unwrap();
        let claims = text(String::from_utf8(list.token.clone()).unwrap().split('.').nth(1).unwrap());
        let until = format!("\"iat\":{},\"exp\":{},", list.made_at, list.made_at + 3_600);
        assert!(claims.contains(&until), "{claims}");
        (list.made_at, list.tag.clone())
    };
    let first = made(&world).await;
    world.clock.pass(1_799);
    assert_eq!(made(&world).await, first);
    world.clock.pass(1);
    let second = made(&world).await;
    assert_eq!(second.0, first.0 + 1_800);
    assert_ne!(second.1, first.1);
}

#[tokio::test]
async fn places_are_drawn_and_tell_nothing_of_one_another() {
    let mut world = World::new().await;
    restarted(&mut world).await;
    let mut places = BTreeSet::new();
    for number in 0..24 {
        let id = format!("pump-{number}");
        world.device(&id).await;
        places.insert(place(&world, &id).await);
    }
    assert_eq!(places.len(), 24);
    // Of 24 draws from a million some are far apart, and none are in a row.
    let gaps: Vec<_> = places.iter().zip(places.iter().skip(1)).map(|(one, next)| next - one).collect();
    assert!(gaps.iter().any(|gap| *gap > 20_000) && gaps.iter().all(|gap| *gap != 1), "{places:?}");
}
