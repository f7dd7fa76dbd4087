//! Sealed artifacts of releases: who gets the key, by what proof, and where it is nowhere to be seen.

use crate::offers::{ask, numbered, ready};
use crate::signing::Signer;
use crate::updates::{found, founded, set};
use crate::world::{TestDevice, World, facts};
use wardein_crypto::{Digest, P256VerifyingKey, Secret, hex};
use wardein_ddkg::device::{DeviceError, MadeKeyOpener};
use wardein_domain::{Call, ErrorCode, Event};
use wardein_engine::{ArtifactKey, Error, Release, ReleaseDeed, ReleaseOrder, Rollout, UpdateRules};
use wardein_tuf::{NotOffered, Offer, OfferAsk, OfferReply, Plaintext};

const KEY: [u8; 16] = *b"an artifact's ke";

fn plaintext() -> Plaintext {
    Plaintext { length: 5, sha256: Digest::of(b"plain") }
}

async fn add(world: &World, version: u64, key: [u8; 16]) -> Result<Release, Error> {
    let key = ArtifactKey { plaintext: plaintext(), key: Secret::copied_from(&key) };
    world.engine.add_sealed_release(&world.admin, numbered(version), key).await
}

async fn release(world: &World, version: u64) {
    add(world, version, KEY).await.unwrap();
    set(world, &world.admin, version, ReleaseDeed::Release).await.unwrap();
}

/// The reply, and what opens a key in it.
async fn asked(world: &World, device: &mut TestDevice, ask: &OfferAsk) -> (OfferReply, MadeKeyOpener) {
    let body = ask.encode();
    let (request, mut in_flight) = device.proof(&world.engine, "update-offer", &body);
    let opener = in_flight.take_opener().unwrap();
    let proved = world.engine.prove(&Call::new("test"), request, body).await.unwrap();
    let reply = device.acknowledge(in_flight, proved.reply).body;
    (OfferReply::decode(&reply).unwrap(), opener)
}

/// The offer and the artifact's key, or why there is none.
async fn given(
    world: &World,
    device: &mut TestDevice,
    ask: &OfferAsk,
) -> Result<(Offer, Vec<u8>), NotOffered> {
    match asked(world, device, ask).await {
        (OfferReply::WithKey(sealed), opener) => {
            let (key, offer) = opener.open(&sealed).unwrap();
            let identity = P256VerifyingKey(world.engine.trust_bundle().identity_key);
            Ok((Offer::open(&offer, &identity).unwrap(), key.expose().to_vec()))
        }
        (OfferReply::Offered(_), _) => panic!("an offer without the key"),
        (OfferReply::Not(why), _) => Err(why),
    }
}

#[tokio::test]
async fn the_key_comes_with_an_offer_for_the_proof_that_asked_alone() {
    let world = ready().await;
    let (mut device, mut other) = (world.proven("pump-1").await, world.proven("pump-2").await);
    release(&world, 2).await;
    let (offer, key) = given(&world, &mut device, &ask(0, 0, 0)).await.unwrap();
    assert_eq!((offer.version, offer.sha256, key.as_slice()), (2, Digest::of(b"firmware"), &KEY[..]));
    let (OfferReply::WithKey(sealed), _) = asked(&world, &mut device, &ask(0, 0, 0)).await else {
        panic!("it is sealed")
    };
    assert!(!sealed.windows(16).any(|part| part == KEY));
    let (_, of_next) = asked(&world, &mut device, &ask(0, 0, 0)).await;
    let (_, of_other) = asked(&world, &mut other, &ask(0, 0, 0)).await;
    for opener in [of_next, of_other] {
        assert_eq!(opener.open(&sealed).err(), Some(DeviceError::OpenFailed));
    }
    // A release that is not sealed goes on as it did.
    world.engine.add_release(&world.admin, numbered(3)).await.unwrap();
    set(&world, &world.admin, 3, ReleaseDeed::Release).await.unwrap();
    assert!(matches!(asked(&world, &mut device, &ask(0, 2, 0)).await.0, OfferReply::Offered(_)));
    let said = world.entries(Event::UpdateOffered).await;
    let (artifact, file) = (hex::encode(&Digest::of(b"firmware").0), hex::encode(&plaintext().sha256.0));
    let whose = "repository=maker, line=pumps";
    assert_eq!(facts(&said[0]), format!("{whose}, release=2, artifact={artifact}, plaintext={file}"));
    assert_eq!(facts(&said[4]), format!("{whose}, release=3, artifact={artifact}"));
}

#[tokio::test]
async fn without_an_offer_there_is_no_key() {
    let world = founded().await;
    let mut device = world.proven("pump-1").await;
    add(&world, 2, KEY).await.unwrap();
    assert_eq!(given(&world, &mut device, &ask(0, 0, 0)).await, Err(NotOffered::Proposed));
    set(&world, &world.admin, 2, ReleaseDeed::Release).await.unwrap();
    assert_eq!(given(&world, &mut device, &ask(0, 0, 0)).await, Err(NotOffered::Consent));
    let rules = UpdateRules { needs_consent: false, window: None };
    let (engine, admin, tenant) = (&world.engine, &world.admin, Some(world.tenant()));
    engine.put_update_rules(admin, tenant, rules, "test".parse().unwrap()).await.unwrap();
    let (name, line) = ("maker".parse().unwrap(), "pumps".parse().unwrap());
    let roll_out = async |rollout| {
        let reason = "test".parse().unwrap();
        engine.set_release_rollout(admin, (&name, &line, 2), rollout, reason).await.unwrap()
    };
    roll_out(Rollout { tenants: vec!["lab".parse().unwrap()], ..Rollout::everyone() }).await;
    assert_eq!(given(&world, &mut device, &ask(0, 0, 0)).await, Err(NotOffered::Rollout), "another tenant's");
    roll_out(Rollout::everyone()).await;
    let monitors = OfferAsk { line: "monitors".parse().unwrap(), ..ask(0, 0, 0) };
    assert_eq!(given(&world, &mut device, &monitors).await, Err(NotOffered::Line), "another line's");
    assert_eq!(given(&world, &mut device, &ask(3, 0, 2)).await, Err(NotOffered::Floor));
    set(&world, admin, 2, ReleaseDeed::Pause).await.unwrap();
    assert_eq!(given(&world, &mut device, &ask(0, 0, 2)).await, Err(NotOffered::Paused));
    set(&world, admin, 2, ReleaseDeed::Resume).await.unwrap();
    assert_eq!(given(&world, &mut device, &ask(0, 0, 0)).await.unwrap().1, KEY);
    set(&world, admin, 2, ReleaseDeed::Recall).await.unwrap();
    assert_eq!(given(&world, &mut device, &ask(0, 0, 2)).await, Err(NotOffered::Recalled));
    // The same order says the same still, and brings nothing back.
    assert_eq!(add(&world, 2, KEY).await.unwrap().plaintext, Some(plaintext()));
    assert_eq!(given(&world, &mut device, &ask(0, 0, 2)).await, Err(NotOffered::Recalled));
}

#[tokio::test]
async fn a_device_that_signs_is_offered_what_is_not_sealed() {
    let world = ready().await;
    let device = Signer::enrolled(&world, "pump-9").await;
    let offered = async |ask: OfferAsk| {
        let reply = device.ask(&world, "update-offer", &ask.encode()).await.unwrap();
        OfferReply::decode(&reply).unwrap()
    };
    world.engine.add_release(&world.admin, numbered(2)).await.unwrap();
    set(&world, &world.admin, 2, ReleaseDeed::Release).await.unwrap();
    release(&world, 3).await;
    assert_eq!(offered(ask(0, 0, 3)).await, OfferReply::Not(NotOffered::Sealed));
    assert_eq!(offered(ask(0, 2, 0)).await, OfferReply::Not(NotOffered::Sealed));
    assert!(matches!(offered(ask(0, 0, 0)).await, OfferReply::Offered(_)), "the one before it");
}

#[tokio::test]
async fn the_key_is_shown_nowhere_and_its_release_names_the_file_in_it() {
    let world = ready().await;
    let mut device = world.proven("pump-1").await;
    release(&world, 2).await;
    given(&world, &mut device, &ask(0, 0, 0)).await.unwrap();
    for (_, row) in world.rows().await {
        assert!(!row.value.windows(16).any(|part| part == KEY), "the key is stored in the clear");
    }
    let (name, line) = ("maker".parse().unwrap(), "pumps".parse().unwrap());
    let listed = world.engine.list_releases(&world.admin, &name, &line).await.unwrap();
    assert_eq!(listed[0].plaintext, Some(plaintext()));
    let mut texts = vec![format!("{listed:?}")];
    for event in [Event::ReleaseAdded, Event::ReleaseStateSet, Event::UpdateOffered] {
        texts.extend(world.entries(event).await.iter().map(|entry| format!("{entry:?}")));
    }
    let mut is_named = false;
    for file in world.engine.list_update_metadata(&name).await.unwrap() {
        let (bytes, _) = world.engine.update_metadata(&name, &file).await.unwrap().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        is_named |= text.contains("\"plaintext\"") && text.contains(&hex::encode(&plaintext().sha256.0));
        texts.push(text);
    }
    assert!(is_named, "what is in it is signed");
    for text in texts {
        assert!(!text.contains(&hex::encode(&KEY)) && !text.contains(&format!("{KEY:?}")), "{text}");
    }
}

#[tokio::test]
async fn a_release_keeps_the_key_that_it_was_added_with() {
    let world = ready().await;
    let (engine, admin) = (&world.engine, &world.admin);
    let mut device = world.proven("pump-1").await;
    release(&world, 2).await;
    assert_eq!(add(&world, 2, KEY).await.unwrap().plaintext, Some(plaintext()));
    assert_eq!(add(&world, 2, [7; 16]).await.unwrap_err().code, ErrorCode::ReleaseNotNewer);
    let other = Plaintext { length: 6, ..plaintext() };
    let other = ArtifactKey { plaintext: other, key: Secret::copied_from(&KEY) };
    let refused = engine.add_sealed_release(admin, numbered(2), other).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::ReleaseNotNewer);
    for length in [0, ReleaseOrder::MAX_NUMBER + 1] {
        let plaintext = Plaintext { length, ..plaintext() };
        let wrong = ArtifactKey { plaintext, key: Secret::copied_from(&KEY) };
        let refused = engine.add_sealed_release(admin, numbered(3), wrong).await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::Malformed, "{length}");
    }
    // The sealed file alone names it where a downgrade is signed.
    let lowered = ReleaseOrder { downgrade_from: Some(3), ..numbered(2) };
    assert_eq!(engine.add_release(admin, lowered).await.unwrap().plaintext, Some(plaintext()));
    assert_eq!(given(&world, &mut device, &ask(3, 3, 2)).await.unwrap().1, KEY);
    // One that was not sealed is not sealed afterwards.
    engine.add_release(admin, numbered(4)).await.unwrap();
    assert_eq!(add(&world, 4, KEY).await.unwrap_err().code, ErrorCode::ReleaseNotNewer);
}

#[tokio::test]
async fn the_key_outlives_the_root_key_that_sealed_it() {
    let (world, _custody) = World::with_custody().await;
    found(&world).await;
    let rules = UpdateRules { needs_consent: false, window: None };
    let tenant = Some(world.tenant());
    world.engine.put_update_rules(&world.admin, tenant, rules, "test".parse().unwrap()).await.unwrap();
    let mut device = world.proven("pump-1").await;
    release(&world, 2).await;
    // The former version is destroyed in it.
    world.engine.rotate_root_key(&world.admin).await.unwrap();
    assert_eq!(given(&world, &mut device, &ask(0, 0, 0)).await.unwrap().1, KEY);
}
