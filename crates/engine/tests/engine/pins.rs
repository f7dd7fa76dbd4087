//! The pins of a platform's keys: their epochs, their overlap, and the bundle in which devices get them.

use crate::signing::Signer;
use crate::world::{START, World, facts};
use wardein_crypto::{KeyAlgorithm, P256VerifyingKey};
use wardein_domain::{Event, TenantId};
use wardein_engine::{Error, ErrorCode, PinsPut, PlatformPins};
use wardein_pki::{Pin, PinBundle, Pins, pem};

const DAY: u64 = 86_400;
const HALF_A_YEAR: u64 = 183 * DAY;

fn pins(current: u8, next: Option<u8>, recovery: u8) -> Pins {
    let pin = |byte| Pin([byte; 32]);
    Pins { current: pin(current), next: next.map(pin), recovery: pin(recovery) }
}

fn put(pins: Pins) -> PinsPut {
    PinsPut { pins, etag: None, confirms_stranding: false }
}

impl World {
    async fn put_pins(&self, put: PinsPut) -> Result<PlatformPins, Error> {
        self.engine.put_platform_pins(&self.admin, self.tenant(), put).await
    }

    fn identity(&self) -> P256VerifyingKey {
        P256VerifyingKey(self.engine.trust_bundle().identity_key)
    }

    /// What a device of the tenant opens.
    async fn pin_bundle(&self) -> PinBundle {
        let signed = self.engine.signed_bundle(&self.tenant()).await.unwrap().unwrap();
        PinBundle::open(&signed, &self.identity()).unwrap()
    }
}

#[tokio::test]
async fn a_bundle_has_the_pins_the_root_and_an_epoch_and_is_signed() {
    let world = World::new().await;
    let tenant = world.tenant();
    assert_eq!(world.engine.signed_bundle(&tenant).await.unwrap(), None);
    let none = world.engine.platform_pins(&world.admin, &tenant).await.unwrap_err();
    assert_eq!(none.code, ErrorCode::PlatformPinsUnset);
    let first = world.put_pins(put(pins(1, Some(2), 9))).await.unwrap();
    let bundle = world.pin_bundle().await;
    let root = pem::decode_certificates(&world.engine.trust_bundle().pem).unwrap().remove(0);
    assert_eq!((&bundle.tenant, bundle.epoch, bundle.pins), (&tenant, first.epoch, pins(1, Some(2), 9)));
    assert_eq!(bundle.roots, [root]);
    assert!(bundle.validity.contains(START) && bundle.validity.not_after() == world.engine.now() + 366 * DAY);
    // The same again is no other epoch; another is a higher one, also within the same second.
    assert_eq!(world.put_pins(put(pins(1, Some(2), 9))).await.unwrap(), first);
    let second = world.put_pins(put(pins(1, Some(3), 9))).await.unwrap();
    assert_eq!(second.epoch, first.epoch + 1);
    assert_eq!(world.pin_bundle().await.judge(&tenant, Some(&bundle)), Ok(()));
    assert!(bundle.judge(&tenant, Some(&world.pin_bundle().await)).is_err());
    let entries = world.entries(Event::PlatformPinsPut).await;
    let [one, two] = &entries[..] else { panic!("{entries:?}") };
    assert!(facts(one).contains(&format!("current-pin={}", Pin([1; 32]))), "{}", facts(one));
    let changed = format!("next-pin: {} → {}", Pin([2; 32]), Pin([3; 32]));
    assert!(facts(two).contains(&changed) && !facts(two).contains("recovery-pin"), "{}", facts(two));
    // Nobody is told whether there is such a tenant.
    let nowhere: TenantId = "nowhere".parse().unwrap();
    assert_eq!(world.engine.signed_bundle(&nowhere).await.unwrap(), None);
}

#[tokio::test]
async fn a_device_that_was_off_for_six_months_knows_the_key_that_the_platform_has() {
    let mut world = World::new().await;
    world.put_pins(put(pins(1, Some(2), 9))).await.unwrap();
    let mut current = 1;
    // Devices that took the bundle of any day of the last six months, over two years of rotations as early as they are allowed.
    let mut taken = Vec::new();
    for day in 0..730 {
        taken.push((day, world.pin_bundle().await));
        taken.retain(|(since, _)| since + 183 > day);
        let next = put(pins(current + 1, Some(current + 2), 9));
        match world.put_pins(next).await {
            Ok(_) => {
                current += 1;
                world.restart().await;
            }
            Err(error) => assert_eq!(error.code, ErrorCode::PlatformPinTooNew),
        }
        let now = world.engine.now();
        for (since, bundle) in &taken {
            assert!(bundle.accepts(Pin([current; 32]), now), "{since} {day} {current}");
            assert!(bundle.accepts(Pin([9; 32]), now));
        }
        world.clock.pass(DAY);
    }
    assert_eq!(current, 4, "it went over three times");
}

#[tokio::test]
async fn no_key_becomes_current_before_devices_know_it_unless_it_is_confirmed() {
    let world = World::new().await;
    world.put_pins(put(pins(1, Some(2), 9))).await.unwrap();
    let code = |refused: Result<PlatformPins, Error>| refused.unwrap_err().code;
    // One that no bundle had, the next one too soon, and one that was next, then not, and then again.
    assert_eq!(code(world.put_pins(put(pins(5, Some(2), 9))).await), ErrorCode::PlatformPinTooNew);
    world.clock.pass(HALF_A_YEAR - 1);
    assert_eq!(code(world.put_pins(put(pins(2, None, 9))).await), ErrorCode::PlatformPinTooNew);
    world.put_pins(put(pins(1, Some(3), 9))).await.unwrap();
    let shown = world.put_pins(put(pins(1, Some(2), 9))).await.unwrap();
    assert_eq!(shown.next_from, Some(world.engine.now() + HALF_A_YEAR));
    world.clock.pass(1);
    assert_eq!(code(world.put_pins(put(pins(2, None, 9))).await), ErrorCode::PlatformPinTooNew);
    world.clock.pass(HALF_A_YEAR - 1);
    world.put_pins(put(pins(2, None, 9))).await.unwrap();
    // The day on which the current key is known to others: the recovery key is in every bundle.
    world.put_pins(put(pins(9, Some(6), 8))).await.unwrap();
    let forced = PinsPut { confirms_stranding: true, ..put(pins(7, None, 8)) };
    world.put_pins(forced).await.unwrap();
    let last = world.entries(Event::PlatformPinsPut).await.pop().unwrap();
    assert!(facts(&last).contains("without-overlap=true"), "{}", facts(&last));
}

#[tokio::test]
async fn pins_are_of_different_keys_and_of_the_version_that_was_read() {
    let world = World::new().await;
    for same in [pins(1, Some(1), 9), pins(1, Some(9), 9), pins(9, None, 9)] {
        assert_eq!(world.put_pins(put(same)).await.unwrap_err().code, ErrorCode::Malformed);
    }
    let first = world.put_pins(put(pins(1, None, 9))).await.unwrap();
    let seen = |etag, next| PinsPut { etag: Some(etag), ..put(pins(1, Some(next), 9)) };
    world.put_pins(seen(first.etag, 2)).await.unwrap();
    let refused = world.put_pins(seen(first.etag, 3)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::EtagMismatch);
}

#[tokio::test]
async fn devices_of_either_kind_get_the_bundle_by_their_proof() {
    let world = World::new().await;
    let mut derives = world.device("pump-1").await;
    let signs = Signer::enrolled(&world, "pump-2").await;
    let none = derives.prove(&world.engine, "trust-bundle", &[2]).await.unwrap().body;
    assert!(none.is_empty());
    world.put_pins(put(pins(1, Some(2), 9))).await.unwrap();
    for body in [
        derives.prove(&world.engine, "trust-bundle", &[2]).await.unwrap().body,
        signs.ask(&world, "trust-bundle", &[2]).await.unwrap(),
    ] {
        assert_eq!(PinBundle::open(&body, &world.identity()).unwrap().pins, pins(1, Some(2), 9));
    }
    for strange in [&[1][..], &[3], &[2, 2]] {
        assert!(derives.prove(&world.engine, "trust-bundle", strange).await.is_err());
    }
}

/// A device that has either root learns of the other.
#[tokio::test]
async fn while_a_root_is_followed_by_another_a_bundle_has_both() {
    let mut world = World::new().await;
    world.put_pins(put(pins(1, Some(2), 9))).await.unwrap();
    let old = world.pin_bundle().await.roots;
    world.clock.pass(1);
    let both = world.rotate_root(KeyAlgorithm::P384).await;
    assert_eq!(world.pin_bundle().await.roots, both);
    assert_eq!(old, both[1..]);
}
