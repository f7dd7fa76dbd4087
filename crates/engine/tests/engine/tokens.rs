//! Logins: a token is good once, for any caller, and whatever is lost.

use crate::world::{CRASH_POINTS, TestDevice, World, caller, csr, facts, grant, name, order};
use std::task::Poll;
use wardein_crypto::{Digest, SecretBytes, SystemEntropy};
use wardein_ddkg::Suite;
use wardein_ddkg::device::Clock;
use wardein_ddkg::message::Token;
use wardein_domain::{DeviceState, Event, FieldName, LoginNames, ProfileFields, Right, Role, Verdict};
use wardein_engine::ProfilePut;
use wardein_engine::{Error, ErrorKind, LoggedIn, REPEAT_WINDOW, RotationScope, TokenAsk};
use wardein_port::{Store, Table};

impl World {
    pub(crate) async fn login(&self, token: &Token, nonce: &[u8], attempt: &[u8]) -> Result<LoggedIn, Error> {
        let ask = TokenAsk {
            token: token.clone(),
            platform_nonce: nonce.to_vec(),
            idempotency: Digest::of(attempt),
        };
        self.engine.verify_token(&self.platform, ask).await
    }

    /// A device, and the right to verify its tokens.
    pub(crate) async fn with_tokens() -> (Self, TestDevice) {
        let world = Self::new().await;
        world.grant(Right::Token).await;
        let device = world.proven("pump-1").await;
        (world, device)
    }
}

#[tokio::test]
async fn a_token_logs_in_once() {
    let (mut world, mut device) = World::with_tokens().await;
    let token = device.token(b"nonce", 0);
    let logged_in = world.login(&token, b"nonce", b"login 1").await.unwrap();
    assert_eq!((logged_in.user_name.as_str(), logged_in.issued_at), ("pump-1", token.issued_at));
    let answer = logged_in.answer;
    assert_eq!((answer.verdict, answer.device.unwrap()), (Verdict::Trusted, device.name.device.clone()));
    for _ in 0..2 {
        let spent = world.login(&token, b"nonce", b"login 2").await.unwrap_err();
        assert_eq!((spent.kind(), spent.code.as_str()), (ErrorKind::Precondition, "token-spent"));
        world.restart().await;
    }
    world.login(&device.token(b"", 0), b"", b"login 3").await.unwrap();
    let entries = world.entries(Event::TokenVerified).await;
    assert_eq!((entries.len(), entries[0].actor.to_string()), (2, "platform/klinik/iot".to_owned()));
    assert_eq!(facts(&entries[0]), "key=ddkg1:klinik/pump-1/1.token.0.0, user-name=pump-1, delivery=first");
    assert_eq!(entries[0].target.to_string(), "device/klinik/pump-1");
}

#[tokio::test]
async fn an_epoch_takes_as_many_tokens_as_its_profile_says() {
    let mut world = World::new().await;
    world.grant(Right::Token).await;
    let twice = ProfileFields { period: Some(0), max_uses: Some(2), ..ProfileFields::default() };
    world.put_profile("default", twice).await;
    let mut device = world.proven("pump-1").await;
    // A holder of the state that does not count: its next number is altered, and nothing that would lead to the next epoch.
    let mut saved = Vec::new();
    let clock = Clock { elapsed: 0, wall: None };
    let sealed = device.state.as_mut().unwrap().seal(clock, b"", b"", &mut SystemEntropy::default()).unwrap();
    let save = |bytes: &SecretBytes| {
        saved = bytes.expose()[..bytes.expose().len() - 16].to_vec();
        Ok::<_, ()>(())
    };
    sealed.save(save).unwrap();
    // Behind the tokens' tree are two more, each of one node.
    let number = saved.len() - 3 * (8 + 8 + 4 + 4 + 32);
    let mut uncounted = |first: u64| {
        saved[number..number + 8].copy_from_slice(&first.to_be_bytes());
        let summed = [&saved[..], &Digest::of(&saved).0[..16]].concat();
        device.state = Some(wardein_ddkg::device::DeviceState::restore(&summed, 0).unwrap());
        let token = device.token(b"", 0);
        assert_eq!((token.epoch, token.number), (0, first));
        token
    };
    let tokens = [7, 5, 6].map(&mut uncounted);
    for (index, token) in tokens[..2].iter().enumerate() {
        world.login(token, b"", &[index as u8]).await.unwrap();
        world.restart().await;
    }
    let refused = world.login(&tokens[2], b"", b"third").await.unwrap_err();
    assert_eq!(refused.code.as_str(), "epoch-spent");
    // A reply that was lost is given again, and a second use is distinguished from a full epoch.
    world.login(&tokens[1], b"", &[1]).await.unwrap();
    assert_eq!(world.login(&tokens[1], b"", b"again").await.unwrap_err().code.as_str(), "token-spent");
}

#[tokio::test]
async fn of_two_that_ask_at_once_one_is_answered() {
    let (world, mut device) = World::with_tokens().await;
    for round in 0..8u8 {
        let token = device.token(b"", 0);
        let (first, second) = ([1, round], [2, round]);
        let (one, two) = tokio::join!(world.login(&token, b"", &first), world.login(&token, b"", &second));
        assert_eq!(one.is_ok(), two.is_err(), "round {round}");
        assert_eq!(one.err().or(two.err()).unwrap().code.as_str(), "token-spent");
    }
}

#[tokio::test]
async fn a_lost_reply_is_given_again_to_the_one_who_asked_and_not_for_long() {
    let (world, mut device) = World::with_tokens().await;
    let token = device.token(b"nonce", 0);
    world.login(&token, b"nonce", b"login").await.unwrap();
    let again = world.login(&token, b"nonce", b"login").await.unwrap();
    assert_eq!(again.user_name, "pump-1");
    let entries = world.entries(Event::TokenVerified).await;
    assert_eq!(entries[1].field(FieldName::Delivery), Some("again"));

    let wrong = world.login(&token, b"other", b"login").await.unwrap_err();
    assert_eq!((wrong.kind(), wrong.code.as_str()), (ErrorKind::Invalid, "nonce-wrong"));
    world.clock.pass(REPEAT_WINDOW);
    world.login(&token, b"nonce", b"login").await.unwrap();
    let late = device.token(b"late", REPEAT_WINDOW);
    world.login(&late, b"late", b"late login").await.unwrap();
    world.clock.pass(1);
    assert_eq!(world.login(&token, b"nonce", b"login").await.unwrap_err().code.as_str(), "token-spent");

    // Another holder of the platform's name: the same audience, another certificate.
    let serial = world.platform.principal.serial;
    world.engine.revoke_operator(&world.admin, serial, "renewed".parse().unwrap(), false).await.unwrap();
    let renewed =
        world.engine.issue_operator(&world.admin, order(Role::Platform, Some("klinik"), "iot")).await;
    let renewed = caller(renewed.unwrap().1.principal);
    let ask = TokenAsk {
        token: late.clone(),
        platform_nonce: b"late".into(),
        idempotency: Digest::of(b"late login"),
    };
    assert_eq!(world.engine.verify_token(&renewed, ask).await.unwrap_err().code.as_str(), "token-spent");
    // Nor is the reply given again to one who was revoked since.
    let revoked = world.login(&late, b"late", b"late login").await.unwrap_err();
    assert_eq!((revoked.kind(), revoked.code.as_str()), (ErrorKind::Unauthenticated, "operator-revoked"));
}

#[tokio::test]
async fn a_login_is_not_given_again_for_a_device_that_was_suspended_since() {
    let (world, mut device) = World::with_tokens().await;
    let token = device.token(b"", 0);
    world.login(&token, b"", b"login").await.unwrap();
    let (name, reason) = (device.name.clone(), "lost".parse().unwrap());
    world.engine.set_device_state(&world.admin, name, DeviceState::Suspended, reason).await.unwrap();
    assert_eq!(world.login(&token, b"", b"login").await.unwrap_err().code.as_str(), "suspended");
}

#[tokio::test]
async fn a_device_that_must_rekey_does_not_log_in() {
    let (world, mut device) = World::with_tokens().await;
    let (token, used) = (device.token(b"", 0), device.token(b"", 0));
    world.login(&used, b"", b"used").await.unwrap();
    for is_required in [false, true] {
        let (scope, reason) = (RotationScope::Tenant, "drill".parse().unwrap());
        world.engine.rotate_keys(&world.admin, world.tenant(), scope, is_required, reason).await.unwrap();
        assert_eq!(world.login(&used, b"", b"used").await.is_err(), is_required, "asked again");
    }
    let before = world.rows().await;
    let refused = world.login(&token, b"", b"login").await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Precondition, "rekey-required"));
    assert!(world.rows().await == before);
    world.clock.pass(1);
    device.rekey(&world.engine, wardein_ddkg::Suite::P256).await.unwrap();
    let early = device.state.as_mut().unwrap().token(
        wardein_ddkg::device::Clock { elapsed: 0, wall: None },
        "iot".parse().unwrap(),
        b"",
    );
    assert!(early.is_err(), "a proof comes first");
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    assert_eq!(
        world.login(&token, b"", b"login").await.unwrap_err().code.as_str(),
        "message-generation-retired"
    );
    world.login(&device.token(b"", 0), b"", b"new").await.unwrap();
}

#[tokio::test]
async fn a_crash_loses_no_token_and_spends_none_twice() {
    for point in CRASH_POINTS {
        let (mut world, mut device) = World::with_tokens().await;
        let token = device.token(b"", 0);
        world.store.crash_at(0, point);
        assert_eq!(world.login(&token, b"", b"login").await.unwrap_err().code.as_str(), "store-unavailable");
        world.restart().await;
        world.login(&token, b"", b"login").await.unwrap();
        assert_eq!(
            world.login(&token, b"", b"other").await.unwrap_err().code.as_str(),
            "token-spent",
            "{point:?}"
        );
    }
}

/// Each refusal has its code and spends nothing: the token is good afterwards.
#[tokio::test]
async fn what_is_refused_is_not_spent() {
    let (world, mut device) = World::with_tokens().await;
    let mut unheard = device.token(b"n", 0);
    unheard.device = name("klinik", "unheard");
    let mut foreign = device.token(b"n", 0);
    foreign.device = name("nowhere", "pump-1");
    let mut forged = device.token(b"n", 0);
    forged.mac.0[0] ^= 1;
    let mut generation = device.token(b"n", 0);
    generation.generation = 7;
    let mut ahead = device.token(b"n", 0);
    ahead.epoch = 65_537;
    let clock = wardein_ddkg::device::Clock { elapsed: 0, wall: None };
    let other = device.state.as_mut().unwrap().token(clock, "scada".parse().unwrap(), b"n").unwrap();
    let other = other.save(|_| Ok::<_, ()>(())).unwrap();
    let good = device.token(b"n", 0);
    let before = world.rows().await;
    for (what, token, nonce, kind, code) in [
        ("another's device", &foreign, &b"n"[..], ErrorKind::NotFound, "tenant-unknown"),
        ("no device", &unheard, b"n", ErrorKind::NotFound, "device-unknown"),
        ("a forged one", &forged, b"n", ErrorKind::Invalid, "message-mac-wrong"),
        ("no generation", &generation, b"n", ErrorKind::Invalid, "message-generation-unknown"),
        ("the future", &ahead, b"n", ErrorKind::Precondition, "epoch-ahead"),
        ("another audience", &other, b"n", ErrorKind::Invalid, "audience-wrong"),
        ("another nonce", &good, b"m", ErrorKind::Invalid, "nonce-wrong"),
        ("no nonce", &good, b"", ErrorKind::Invalid, "nonce-wrong"),
    ] {
        let refused = world.login(token, nonce, b"login").await.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (kind, code), "{what}: {refused}");
    }
    assert!(world.rows().await == before);
    for (state, code) in [(DeviceState::Suspended, "suspended"), (DeviceState::Active, "")] {
        let (name, reason) = (device.name.clone(), "test".parse().unwrap());
        world.engine.set_device_state(&world.admin, name, state, reason).await.unwrap();
        let before = world.rows().await;
        let result = world.login(&good, b"n", b"login").await;
        assert_eq!(result.as_ref().err().map_or("", |error| error.code.as_str()), code);
        assert_eq!(world.rows().await == before, result.is_err());
    }
}

#[tokio::test]
async fn a_platform_without_a_grant_for_the_devices_profile_is_refused() {
    let world = World::new().await;
    let mut device = world.proven("pump-1").await;
    let token = device.token(b"", 0);
    let pumps = "pumps".parse().unwrap();
    let fields = ProfileFields::default();
    world.engine.put_profile(&world.admin, world.tenant(), pumps, ProfilePut::whole(fields)).await.unwrap();
    for right in [Right::Open, Right::Data, Right::File] {
        world.grant(right).await;
    }
    world
        .engine
        .add_grant(&world.admin, grant(Right::Token, Some("pumps")), LoginNames::default())
        .await
        .unwrap();
    let before = world.rows().await;
    let refused = world.login(&token, b"", b"login").await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Denied, "grant-missing"));
    let ask =
        TokenAsk { token: token.clone(), platform_nonce: Vec::new(), idempotency: Digest::of(b"login") };
    assert_eq!(
        world.engine.verify_token(&world.station, ask.clone()).await.unwrap_err().code.as_str(),
        "grant-missing"
    );
    assert!(world.rows().await == before);

    let template = |text: &str| LoginNames { user_name: text.parse().ok(), ..LoginNames::default() };
    world.engine.add_grant(&world.admin, grant(Right::Token, None), template("any")).await.unwrap();
    let own = grant(Right::Token, Some("default"));
    let nearer = LoginNames {
        organization: "{tenant}".parse().ok(),
        groups: ["pumps", "of-{profile}"].map(|group| group.parse().unwrap()).into(),
        ..template("{tenant}-{device}")
    };
    world.engine.add_grant(&world.admin, own.clone(), nearer).await.unwrap();
    let logged_in = world.login(&token, b"", b"login").await.unwrap();
    assert_eq!(logged_in.user_name, "klinik-pump-1", "the nearer one");
    assert_eq!(
        (logged_in.organization.as_str(), logged_in.groups),
        ("klinik", vec!["pumps".to_owned(), "of-default".to_owned()])
    );
    let verified = world.entries(Event::TokenVerified).await;
    let facts = facts(verified.last().unwrap());
    assert!(facts.contains("organization=klinik, groups=pumps,of-default"), "{facts}");
    world.engine.remove_grant(&world.admin, own, "test".parse().unwrap()).await.unwrap();
    let logged_in = world.login(&token, b"", b"login").await.unwrap();
    assert_eq!(
        (logged_in.user_name.as_str(), logged_in.organization.as_str(), logged_in.groups.len()),
        ("any", "", 0)
    );
    // A station of that name, were it let in here, has nothing of it.
    let issued = world.engine.issue_operator(&world.admin, order(Role::Station, Some("klinik"), "iot")).await;
    let station = caller(issued.unwrap().1.principal);
    assert_eq!(world.engine.verify_token(&station, ask).await.unwrap_err().code.as_str(), "grant-missing");
}

#[tokio::test]
async fn a_token_is_over_after_its_epochs_and_what_was_spent_may_be_forgotten_then() {
    let (world, mut device) = World::with_tokens().await;
    let (used, late) = (device.token(b"", 0), device.token(b"", 0));
    world.login(&used, b"", b"1").await.unwrap();
    assert_eq!(world.engine.forget_spent(&device.name).await.unwrap(), 0);
    world.clock.pass(3 * 3_600);
    let refused = world.login(&late, b"", b"2").await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Precondition, "epoch-spent"));

    assert_eq!(world.engine.forget_spent(&device.name).await.unwrap(), 0, "the record yields it still");
    // The record is moved forward by the next login.
    let next = device.token(b"", 3 * 3_600);
    world.login(&next, b"", b"3").await.unwrap();
    assert_eq!(world.engine.forget_spent(&device.name).await.unwrap(), 1);
    assert_eq!(world.login(&used, b"", b"1").await.unwrap_err().code.as_str(), "epoch-spent");
    assert_eq!(world.login(&next, b"", b"4").await.unwrap_err().code.as_str(), "token-spent");
}

/// The keys of a rekey in the middle of it are not among those that the record had before.
#[tokio::test]
async fn what_is_spent_while_others_are_forgotten_stays_spent() {
    let (world, mut device) = World::with_tokens().await;
    let name = device.name.clone();
    world.login(&device.token(b"", 0), b"", b"1").await.unwrap();
    world.clock.pass(3 * 3_600);
    world.login(&device.token(b"", 3 * 3_600), b"", b"2").await.unwrap();
    world.store.hold();
    let mut forgetting = Box::pin(world.engine.forget_spent(&name));
    let is_waiting = std::future::poll_fn(|cx| Poll::Ready(forgetting.as_mut().poll(cx).is_pending())).await;
    assert!(is_waiting, "the first token is being forgotten");
    world.store.release();
    device.rekey(&world.engine, Suite::P256).await.unwrap();
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    let token = device.token(b"", 0);
    world.login(&token, b"", b"3").await.unwrap();
    assert_eq!(forgetting.await.unwrap(), 1);
    assert_eq!(world.login(&token, b"", b"4").await.unwrap_err().code.as_str(), "token-spent");
}

#[tokio::test]
async fn two_tokens_of_one_number_are_two_holders() {
    let (mut world, mut device) = World::with_tokens().await;
    let mut copy = device.copied();
    let copied = copy.token(b"", 0);
    let own = loop {
        let token = device.token(b"", 1);
        if token.number == copied.number {
            break token;
        }
    };
    assert_eq!(own.key_name(), copied.key_name());
    // Another message with a wrong mac is no evidence of anything.
    world.login(&copied, b"", b"1").await.unwrap();
    let mut forged = own.clone();
    forged.mac.0[0] ^= 1;
    assert_eq!(world.login(&forged, b"", b"2").await.unwrap_err().code.as_str(), "message-mac-wrong");

    let alarm = world.login(&own, b"", b"3").await.unwrap_err();
    assert_eq!((alarm.kind(), alarm.code.as_str()), (ErrorKind::Denied, "clone-suspected"));
    let entries = world.entries(Event::CloneSuspected).await;
    let key = own.key_name();
    let expected =
        format!("sign=key-twice, state: active → quarantined, key={key}, operator=platform/klinik/iot");
    assert_eq!(facts(&entries[0]), expected);
    for _ in 0..2 {
        let record = world.engine.get_device(&world.admin, device.name.clone()).await.unwrap();
        assert_eq!(record.state, DeviceState::Quarantined);
        assert_eq!(record.state_reason.unwrap().as_str(), "clone suspected: key-twice");
        let refused = world.login(&device.token(b"", 0), b"", b"4").await.unwrap_err();
        assert_eq!(refused.code.as_str(), "quarantined");
        world.restart().await;
    }
    assert!(device.prove(&world.engine, "certificate", &csr()).await.is_err());
}

/// A platform goes over to its renewed certificate while the reply of a login is lost.
#[tokio::test]
async fn a_lost_login_is_answered_again_across_a_renewal_and_to_nobody_else() {
    let (world, mut device) = World::with_tokens().await;
    let engine = &world.engine;
    let token = device.token(b"nonce", 0);
    world.login(&token, b"nonce", b"login").await.unwrap();
    let (_, renewed) = engine.renew_operator(&world.platform, &csr(), 0).await.unwrap();
    let ask = |attempt: &[u8]| TokenAsk {
        token: token.clone(),
        platform_nonce: b"nonce".to_vec(),
        idempotency: Digest::of(attempt),
    };
    let renewed = caller(renewed.principal);
    assert_eq!(engine.verify_token(&renewed, ask(b"login")).await.unwrap().user_name, "pump-1");
    assert_eq!(engine.verify_token(&renewed, ask(b"other")).await.unwrap_err().code.as_str(), "token-spent");
    // The same name in another role is another operator.
    let station =
        engine.issue_operator(&world.admin, order(Role::Station, Some("klinik"), "iot")).await.unwrap();
    let station = caller(station.1.principal);
    assert!(engine.verify_token(&station, ask(b"login")).await.is_err());
}

/// A platform with one key for all its logins gives away what the key is for, and finds out.
#[tokio::test]
async fn an_idempotency_key_is_for_one_request() {
    let (mut world, mut device) = World::with_tokens().await;
    let other = order(Role::Platform, Some("klinik"), "billing");
    let other = caller(world.engine.issue_operator(&world.admin, other).await.unwrap().1.principal);
    let (one, two) = (device.token(b"", 0), device.token(b"", 0));
    world.login(&one, b"", b"login").await.unwrap();
    let before = world.rows().await;
    for _ in 0..2 {
        let refused = world.login(&two, b"", b"login").await.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Invalid, "idempotency-key-used"));
        world.restart().await;
    }
    assert!(world.rows().await == before, "nothing is spent");
    // Its own request is repeated, and each has its own: also by a certificate that was renewed, and not by another platform.
    world.login(&one, b"", b"login").await.unwrap();
    let renewed = world.engine.renew_operator(&world.platform, &csr(), 0).await.unwrap().1;
    let former = std::mem::replace(&mut world.platform, caller(renewed.principal));
    assert_eq!(world.login(&two, b"", b"login").await.unwrap_err().code.as_str(), "idempotency-key-used");
    world.platform = former;
    let clock = wardein_ddkg::device::Clock { elapsed: 0, wall: None };
    let token = device.state.as_mut().unwrap().token(clock, "billing".parse().unwrap(), b"").unwrap();
    let token = token.save(|_| Ok::<_, ()>(())).unwrap();
    let ask = TokenAsk { token, platform_nonce: Vec::new(), idempotency: Digest::of(b"login") };
    let grant =
        wardein_engine::GrantOrder { platform: "billing".parse().unwrap(), ..grant(Right::Token, None) };
    world.engine.add_grant(&world.admin, grant, LoginNames::default()).await.unwrap();
    world.engine.verify_token(&other, ask).await.unwrap();
    // What was refused is as good as before, and so is the key once nothing that it was used for is repeated.
    world.login(&two, b"", b"another").await.unwrap();
    let (late, later) = (device.token(b"", REPEAT_WINDOW), device.token(b"", 2 * REPEAT_WINDOW));
    world.clock.pass(REPEAT_WINDOW);
    assert_eq!(world.login(&late, b"", b"login").await.unwrap_err().code.as_str(), "idempotency-key-used");
    world.clock.pass(REPEAT_WINDOW);
    world.login(&later, b"", b"login").await.unwrap();
}

#[tokio::test]
async fn of_two_requests_with_one_idempotency_key_one_is_answered() {
    let (world, mut device) = World::with_tokens().await;
    let mut second = world.proven("pump-2").await;
    for round in 0..8u8 {
        let (one, two) = (device.token(b"", 0), second.token(b"", 0));
        world.store.hold();
        let key = [round];
        let (one, two, ()) =
            tokio::join!(world.login(&one, b"", &key), world.login(&two, b"", &key), async {
                world.store.release()
            });
        assert_ne!(one.is_ok(), two.is_ok(), "round {round}");
        assert_eq!(one.err().or(two.err()).unwrap().code.as_str(), "idempotency-key-used");
    }
}

#[tokio::test]
async fn used_idempotency_keys_are_forgotten() {
    let (world, mut device) = World::with_tokens().await;
    let left = async || world.store.scan(Table::IdempotencyKey, b"", None, 100).await.unwrap().len();
    let sweep = async || {
        let mut sweep = world.engine.begin_sweep(None, None).await.unwrap();
        while !world.engine.sweep_some(&mut sweep, 100).await.unwrap().is_done {}
    };
    world.clock.pass(2 * 86_400);
    world.engine.look_at_clock().await.unwrap();
    for attempt in 0..3u8 {
        world.login(&device.token(b"", 2 * 86_400), b"", &[attempt]).await.unwrap();
    }
    sweep().await;
    assert_eq!(left().await, 3, "they may be repeated");
    world.clock.pass(2 * REPEAT_WINDOW);
    world.login(&device.token(b"", 2 * 86_400), b"", &[9]).await.unwrap();
    sweep().await;
    assert_eq!(left().await, 1);
}
