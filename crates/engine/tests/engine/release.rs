//! What devices sealed: opened or released once, for those who were granted it, with the reason on record.

use crate::world::{CRASH_POINTS, TestDevice, World, caller, csr, facts, name};
use wardein_crypto::Digest;
use wardein_ddkg::KeyName;
use wardein_ddkg::message::{FileStanza, SealedPayload};
use wardein_domain::{DeviceState, Event, FieldName, ProfileFields, Purpose, Right};
use wardein_engine::ProfilePut;
use wardein_engine::{Error, ErrorKind, OpenAsk, REPEAT_WINDOW, ReleaseAsk, Sealed, Unsealed};

impl World {
    pub(crate) async fn open(&self, sealed: &SealedPayload, attempt: &[u8]) -> Result<Unsealed, Error> {
        self.open_with(sealed, b"log", attempt).await
    }

    async fn open_with(
        &self,
        sealed: &SealedPayload,
        additional: &[u8],
        attempt: &[u8],
    ) -> Result<Unsealed, Error> {
        let ask = OpenAsk {
            sealed: sealed.clone(),
            additional: additional.to_vec(),
            reason: "alarm 7".parse().unwrap(),
            idempotency: idempotency(sealed.name(), attempt),
        };
        self.engine.open_payload(&self.platform, ask).await
    }

    async fn release(&self, sealed: Sealed, attempt: &[u8]) -> Result<Unsealed, Error> {
        self.engine.release_key(&self.platform, asked(sealed, attempt)).await
    }

    /// A device, and every right but to tokens.
    async fn with_keys() -> (Self, TestDevice) {
        let world = Self::new().await;
        for right in [Right::Open, Right::Data, Right::File] {
            world.grant(right).await;
        }
        let device = world.proven("pump-1").await;
        (world, device)
    }
}

/// The idempotency key of an attempt at what one key sealed: each request has its own.
fn idempotency(name: &KeyName, attempt: &[u8]) -> Digest {
    Digest::of(&[name.to_string().as_bytes(), attempt].concat())
}

fn asked(sealed: Sealed, attempt: &[u8]) -> ReleaseAsk {
    let name = match &sealed {
        Sealed::Payload(name) => name,
        Sealed::File(stanza) => stanza.name(),
    };
    let idempotency = idempotency(name, attempt);
    ReleaseAsk { sealed, reason: "archive".parse().unwrap(), idempotency }
}

fn code<T>(result: Result<T, Error>) -> (ErrorKind, &'static str) {
    let error = result.err().unwrap();
    (error.kind(), error.code.as_str())
}

#[tokio::test]
async fn a_payload_is_opened_once() {
    let (mut world, mut device) = World::with_keys().await;
    let sealed = device.seal(b"Puls 72/min", 0);
    let opened = world.open(&sealed, b"1").await.unwrap();
    assert_eq!((opened.secret.expose(), &opened.key_name), (&b"Puls 72/min"[..], sealed.name()));
    assert_eq!(opened.state, DeviceState::Active);
    for _ in 0..2 {
        assert_eq!(code(world.open(&sealed, b"2").await), (ErrorKind::Precondition, "key-spent"));
        let released = world.release(Sealed::Payload(sealed.name().clone()), b"2").await;
        assert_eq!(code(released), (ErrorKind::Precondition, "key-spent"));
        world.restart().await;
    }
    let entries = world.entries(Event::PayloadOpened).await;
    assert_eq!((entries.len(), entries[0].actor.to_string()), (1, "platform/klinik/iot".to_owned()));
    assert_eq!(facts(&entries[0]), "key=ddkg1:klinik/pump-1/1.data.0.0, delivery=first, reason=alarm 7");
}

#[tokio::test]
async fn a_key_is_released_once_and_opens_what_was_sealed() {
    let (mut world, mut device) = World::with_keys().await;
    let sealed = device.seal(b"Puls", 0);
    let name = Sealed::Payload(sealed.name().clone());
    let key = world.release(name.clone(), b"1").await.unwrap().secret;
    let key = wardein_crypto::Secret::copied_from(key.expose().try_into().unwrap());
    assert_eq!(sealed.open(&wardein_ddkg::PayloadKey::from(key), b"log").unwrap().expose(), b"Puls");

    let stanza = device.wrap([5; 16]);
    let file = Sealed::File(stanza);
    assert_eq!(world.release(file.clone(), b"1").await.unwrap().secret.expose(), [5; 16]);
    for _ in 0..2 {
        for sealed in [&name, &file] {
            assert_eq!(
                code(world.release(sealed.clone(), b"2").await),
                (ErrorKind::Precondition, "key-spent")
            );
        }
        assert_eq!(
            code(world.open(&sealed, b"1").await),
            (ErrorKind::Precondition, "key-spent"),
            "by another way"
        );
        world.restart().await;
    }
    let entries = world.entries(Event::KeyReleased).await;
    let said: Vec<_> = entries.iter().map(facts).collect();
    assert_eq!(
        said,
        [
            "key=ddkg1:klinik/pump-1/1.data.0.0, delivery=first, reason=archive",
            "key=ddkg1:klinik/pump-1/1.file.0.0, delivery=first, reason=archive",
        ]
    );
}

#[tokio::test]
async fn a_lost_reply_is_given_again_also_after_a_crash_and_not_for_long() {
    for point in CRASH_POINTS {
        let (mut world, mut device) = World::with_keys().await;
        let (opened, named, stanza) = (device.seal(b"a", 0), device.seal(b"b", 0), device.wrap([5; 16]));
        let named = Sealed::Payload(named.name().clone());
        for attempt in 0..3 {
            if attempt == 0 {
                world.store.crash_at(0, point);
                assert_eq!(code(world.open(&opened, b"1").await).1, "store-unavailable");
                world.restart().await;
            }
            assert_eq!(world.open(&opened, b"1").await.unwrap().secret.expose(), b"a");
            assert_eq!(world.release(named.clone(), b"1").await.unwrap().secret.expose().len(), 32);
            let file = Sealed::File(stanza.clone());
            assert_eq!(world.release(file, b"1").await.unwrap().secret.expose(), [5; 16]);
        }
        assert_eq!(world.entries(Event::PayloadOpened).await[1].field(FieldName::Delivery), Some("again"));
        world.clock.pass(REPEAT_WINDOW + 1);
        assert_eq!(code(world.open(&opened, b"1").await).1, "key-spent");
        assert_eq!(code(world.release(named, b"1").await).1, "key-spent");
        assert_eq!(code(world.release(Sealed::File(stanza), b"1").await).1, "key-spent");
    }
}

/// A platform goes over to its renewed certificate while the reply is lost.
#[tokio::test]
async fn a_lost_reply_is_given_again_across_a_renewal_and_to_nobody_else() {
    let (world, mut device) = World::with_keys().await;
    let (opened, named, stanza) = (device.seal(b"a", 0), device.seal(b"b", 0), device.wrap([5; 16]));
    let (named, file) = (Sealed::Payload(named.name().clone()), Sealed::File(stanza));
    world.open(&opened, b"1").await.unwrap();
    world.release(named.clone(), b"1").await.unwrap();
    world.release(file.clone(), b"1").await.unwrap();
    let engine = &world.engine;
    let renewed = engine.renew_operator(&world.platform, &csr(), 0).await.unwrap().1;
    let renewed = caller(renewed.principal);
    let open = |attempt| OpenAsk {
        sealed: opened.clone(),
        additional: b"log".to_vec(),
        reason: "alarm 7".parse().unwrap(),
        idempotency: idempotency(opened.name(), attempt),
    };
    let asks = [&named, &file];
    assert_eq!(engine.open_payload(&renewed, open(b"1")).await.unwrap().secret.expose(), b"a");
    assert_eq!(code(engine.open_payload(&renewed, open(b"2")).await).1, "key-spent");
    for sealed in asks {
        engine.release_key(&renewed, asked(sealed.clone(), b"1")).await.unwrap();
        assert_eq!(code(engine.release_key(&renewed, asked(sealed.clone(), b"2")).await).1, "key-spent");
    }
    // The former is revoked: it may have been another's.
    let serial = world.platform.principal.serial;
    engine.revoke_operator(&world.admin, serial, "stolen".parse().unwrap(), false).await.unwrap();
    assert_eq!(code(engine.open_payload(&renewed, open(b"1")).await).1, "key-spent");
    for sealed in asks {
        assert_eq!(code(engine.release_key(&renewed, asked(sealed.clone(), b"1")).await).1, "key-spent");
    }
}

#[tokio::test]
async fn an_idempotency_key_is_for_one_request_whichever_way_it_is_made() {
    let (world, mut device) = World::with_keys().await;
    let (first, second) = (device.seal(b"a", 0), device.seal(b"b", 0));
    let named = Sealed::Payload(second.name().clone());
    let open = |sealed: &SealedPayload| OpenAsk {
        sealed: sealed.clone(),
        additional: b"log".to_vec(),
        reason: "alarm 7".parse().unwrap(),
        idempotency: Digest::of(b"one for all"),
    };
    let release = ReleaseAsk { idempotency: Digest::of(b"one for all"), ..asked(named.clone(), b"") };
    world.engine.open_payload(&world.platform, open(&first)).await.unwrap();
    let used = (ErrorKind::Invalid, "idempotency-key-used");
    assert_eq!(code(world.engine.open_payload(&world.platform, open(&second)).await), used);
    assert_eq!(code(world.engine.release_key(&world.platform, release).await), used);
    world.engine.open_payload(&world.platform, open(&first)).await.unwrap();
    world.release(named, b"another").await.expect("nothing was spent");
}

#[tokio::test]
async fn each_right_is_needed_and_none_comes_with_another() {
    let world = World::new().await;
    let mut device = world.proven("pump-1").await;
    let (sealed, stanza) = (device.seal(b"x", 0), device.wrap([1; 16]));
    let named = Sealed::Payload(device.seal(b"y", 0).name().clone());
    for right in Right::ALL {
        world.grant(right).await;
        let before = world.rows().await;
        let results = [
            (Right::Open, world.open(&sealed, b"1").await.err()),
            (Right::Data, world.release(named.clone(), b"1").await.err()),
            (Right::File, world.release(Sealed::File(stanza.clone()), b"1").await.err()),
        ];
        for (needed, error) in results {
            // What was spent for a right before is asked for again in time.
            assert_eq!(error.is_none(), needed <= right, "{needed} with {right}: {error:?}");
            assert!(error.is_none_or(
                |error| (error.kind(), error.code.as_str()) == (ErrorKind::Denied, "grant-missing")
            ));
        }
        assert_eq!(world.rows().await == before, right == Right::Token);
    }
}

#[tokio::test]
async fn what_a_device_sealed_is_its_owners_whatever_became_of_the_device() {
    let (world, mut device) = World::with_keys().await;
    for state in [DeviceState::Suspended, DeviceState::Revoked] {
        let sealed = device.seal(b"last words", 0);
        let (name, reason) = (device.name.clone(), "lost".parse().unwrap());
        world.engine.set_device_state(&world.admin, name, state, reason).await.unwrap();
        assert_eq!(world.open(&sealed, b"1").await.unwrap().state, state);
    }
}

/// Each refusal has its code and spends nothing: what was refused is opened afterwards.
#[tokio::test]
async fn what_is_refused_is_not_spent() {
    let (world, mut device) = World::with_keys().await;
    let sealed = device.seal(b"x", 0);
    let named = |change: fn(&mut KeyName)| {
        let mut name = sealed.name().clone();
        change(&mut name);
        Sealed::Payload(name)
    };
    let mut bytes = sealed.encode();
    *bytes.last_mut().unwrap() ^= 1;
    let changed = SealedPayload::decode(&bytes).unwrap();
    let stanza = device.wrap([1; 16]);
    let mut body = stanza.body().to_vec();
    body[0] ^= 1;
    let changed_stanza = FileStanza::parse(&stanza.arguments(), &body).unwrap();
    let before = world.rows().await;
    for (what, sealed, kind, expected) in [
        (
            "another's",
            named(|it| it.owner = name("nowhere", "pump-1")),
            ErrorKind::NotFound,
            "tenant-unknown",
        ),
        (
            "no device",
            named(|it| it.owner = name("klinik", "unheard")),
            ErrorKind::NotFound,
            "device-unknown",
        ),
        ("no generation", named(|it| it.generation = 2), ErrorKind::Invalid, "message-generation-unknown"),
        ("the future", named(|it| it.epoch = 1), ErrorKind::Precondition, "epoch-ahead"),
        ("a token's", named(|it| it.purpose = Purpose::Token), ErrorKind::Invalid, "malformed"),
        ("a proof's", named(|it| it.purpose = Purpose::Proof), ErrorKind::Invalid, "malformed"),
        ("a file's by name", named(|it| it.purpose = Purpose::File), ErrorKind::Invalid, "malformed"),
        ("a changed stanza", Sealed::File(changed_stanza), ErrorKind::Invalid, "open-failed"),
    ] {
        assert_eq!(code(world.release(sealed, b"1").await), (kind, expected), "{what}");
    }
    assert_eq!(code(world.open(&changed, b"1").await), (ErrorKind::Invalid, "open-failed"));
    assert_eq!(code(world.open_with(&sealed, b"other", b"1").await), (ErrorKind::Invalid, "open-failed"));
    assert!(world.rows().await == before);
    world.open(&sealed, b"1").await.unwrap();
    world.release(Sealed::File(stanza), b"1").await.unwrap();

    let late = device.seal(b"late", 0);
    world.clock.pass(3_600 + 300);
    let before = world.rows().await;
    assert_eq!(code(world.open(&late, b"2").await), (ErrorKind::Precondition, "epoch-gone"));
    let late = Sealed::Payload(late.name().clone());
    assert_eq!(code(world.release(late, b"2").await), (ErrorKind::Precondition, "epoch-gone"));
    assert!(world.rows().await == before);
}

#[tokio::test]
async fn a_device_that_is_not_confirmed_has_sealed_nothing() {
    let (world, _) = World::with_keys().await;
    let mut pending = TestDevice::begin(&world.engine, "pump-2");
    let reply = world.engine.enroll(&world.station, pending.order()).await.unwrap();
    pending.finish(&reply);
    let sealed = pending.seal(b"x", 0);
    assert_eq!(code(world.open(&sealed, b"1").await), (ErrorKind::Precondition, "enrollment-pending"));
}

#[tokio::test]
async fn two_payloads_under_one_key_are_two_holders() {
    let (world, mut device) = World::with_keys().await;
    let mut copy = device.copied();
    let (own, copied) = (device.seal(b"own", 0), copy.seal(b"copied", 0));
    assert_eq!(own.name(), copied.name());
    world.open(&own, b"1").await.unwrap();
    assert_eq!(code(world.open_with(&copied, b"other", b"2").await), (ErrorKind::Invalid, "open-failed"));
    assert_eq!(code(world.open(&copied, b"2").await), (ErrorKind::Denied, "clone-suspected"));
    let record = world.engine.get_device(&world.admin, device.name.clone()).await.unwrap();
    assert_eq!(record.state, DeviceState::Quarantined);
    assert_eq!(world.entries(Event::CloneSuspected).await.len(), 1);
    assert_eq!(world.entries(Event::PayloadOpened).await.len(), 1, "the other was not given out");
}

#[tokio::test]
async fn what_is_archived_is_opened_and_released_again() {
    let (world, mut device) = World::with_keys().await;
    let mut copy = device.copied();
    let (sealed, stanza) = (device.seal(b"Puls", 0), device.wrap([5; 16]));
    let copied = copy.seal(b"copied", 0);
    assert_eq!(sealed.name(), copied.name());
    let archive = async |purposes: Vec<Purpose>| {
        let fields = ProfileFields { archive: Some(purposes), ..ProfileFields::default() };
        let (name, tenant) = ("default".parse().unwrap(), world.tenant());
        world.engine.put_profile(&world.admin, tenant, name, ProfilePut::set(fields)).await.unwrap();
    };
    world.open(&sealed, b"1").await.unwrap();
    archive(vec![Purpose::Data]).await;
    for n in 2..4 {
        assert_eq!(world.open(&sealed, &[n]).await.unwrap().secret.expose(), b"Puls");
        world.release(Sealed::File(stanza.clone()), b"1").await.unwrap();
        assert_eq!(
            code(world.release(Sealed::File(stanza.clone()), &[n]).await).1,
            "key-spent",
            "data alone"
        );
    }
    let named = Sealed::Payload(sealed.name().clone());
    for n in 4..6 {
        world.release(named.clone(), &[n]).await.unwrap();
    }
    let entries = world.entries(Event::KeyReleased).await;
    assert_eq!(entries.last().unwrap().field(FieldName::Delivery), Some("archive"));
    // The key is out: another payload under it may be the platform's.
    assert_eq!(world.open(&copied, b"6").await.unwrap().secret.expose(), b"copied");
    assert_eq!(world.entries(Event::CloneSuspected).await.len(), 0);
    archive(vec![]).await;
    assert_eq!(code(world.open(&sealed, b"7").await).1, "key-spent");
    assert_eq!(code(world.release(named, b"7").await).1, "key-spent");
}

/// A platform that was given a key can seal under it: that is not evidence against the device.
#[tokio::test]
async fn a_key_that_was_released_gives_no_clone_away() {
    let (world, mut device) = World::with_keys().await;
    let mut copy = device.copied();
    let (own, copied) = (device.seal(b"own", 0), copy.seal(b"copied", 0));
    world.release(Sealed::Payload(own.name().clone()), b"1").await.unwrap();
    assert_eq!(code(world.open(&copied, b"2").await), (ErrorKind::Precondition, "key-spent"));
    let record = world.engine.get_device(&world.admin, device.name.clone()).await.unwrap();
    assert_eq!(record.state, DeviceState::Active);
}

#[tokio::test]
async fn spent_keys_are_forgotten_by_generation_purpose_and_epoch() {
    let (world, mut device) = World::with_keys().await;
    for n in 0..300_u32 {
        world.open(&device.seal(b"x", 0), &n.to_be_bytes()).await.unwrap();
    }
    world.release(Sealed::File(device.wrap([1; 16])), b"1").await.unwrap();
    assert_eq!(world.engine.forget_spent(&device.name).await.unwrap(), 0);
    world.clock.pass(2 * 3_600);
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    let kept = device.seal(b"x", 0);
    world.open(&kept, b"kept").await.unwrap();
    let other = world.proven("pump-2").await;
    assert_eq!(world.engine.forget_spent(&other.name).await.unwrap(), 0);
    assert_eq!(world.engine.forget_spent(&device.name).await.unwrap(), 301);
    assert_eq!(code(world.open(&kept, b"other").await).1, "key-spent");
}
