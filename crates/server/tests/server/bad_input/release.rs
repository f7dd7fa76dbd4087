//! Tokens, keys and payloads that a platform brings: nothing that is refused is spent.

use super::grants::grant;
use super::world::{Expected, NO_DEVICE, NO_TENANT, World, malformed};
use crate::common::device::TestDevice;
use tonic::Code;
use v1::release_key_request::Key;
use wardein_client::{Refusal, time, v1};
use wardein_crypto::Digest;
use wardein_ddkg::KeyName;
use wardein_ddkg::message::Token;
use wardein_domain::Method;

/// The platform here, and so the audience of its tokens.
const PLATFORM: &str = "one";

pub(super) async fn granted(world: &World, rights: &[&str]) {
    for right in rights {
        let request = v1::AddGrantRequest { grant: Some(grant(right)) };
        world.admin.admin().add_grant(request).await.unwrap();
    }
}

/// A device with epochs of a minute, so that they end before the operators here do.
pub(super) async fn proven(world: &World, id: &str) -> TestDevice {
    let profile = v1::Profile {
        tenant: "t".into(),
        name: "default".into(),
        certificate_validity: time::span(300),
        period: time::span(60),
        ..Default::default()
    };
    world
        .admin
        .admin()
        .put_profile(v1::PutProfileRequest {
            profile: Some(profile),
            update_mask: None,
            ..Default::default()
        })
        .await
        .unwrap();
    let mut device = TestDevice::enrolled(&world.station, id).await;
    device.prove(&world.nobody, "authenticate", b"").await.unwrap();
    device
}

/// An idempotency key of its own for each request.
pub(super) fn key_of(request: &[u8]) -> Vec<u8> {
    Digest::of(request).0[..16].to_vec()
}

fn verify(token: &Token) -> v1::VerifyTokenRequest {
    let token = token.encode();
    let idempotency_key = key_of(&token);
    v1::VerifyTokenRequest { token, platform_nonce: b"nonce".to_vec(), idempotency_key }
}

fn invalid(code: &'static str, word: &'static str) -> Expected {
    (Code::InvalidArgument, code, word)
}

fn precondition(code: &'static str, word: &'static str) -> Expected {
    (Code::FailedPrecondition, code, word)
}

pub(super) const NO_GRANT: Expected = (Code::PermissionDenied, "grant-missing", "wardein grant add");

#[tokio::test]
async fn verify_token() {
    let world = World::new().await;
    let mut device = proven(&world, "pump-1").await;
    let (by, token, used) =
        (&world.platform, device.token(PLATFORM, b"nonce"), device.token(PLATFORM, b"nonce"));
    world.refuses(Method::VerifyToken, [("without a grant", by, verify(&token), NO_GRANT)]).await;
    granted(&world, &["open", "data", "file"]).await;
    world.refuses(Method::VerifyToken, [("with other grants", by, verify(&token), NO_GRANT)]).await;
    granted(&world, &["token"]).await;
    by.trust().verify_token(verify(&used)).await.unwrap();

    let of = |tenant: &str, id: &str| {
        let mut token = token.clone();
        (token.device.tenant, token.device.device) = (tenant.parse().unwrap(), id.parse().unwrap());
        verify(&token)
    };
    let with = |change: fn(&mut Token)| {
        let mut token = token.clone();
        change(&mut token);
        verify(&token)
    };
    let good = || verify(&token);
    let cut = |length: usize| v1::VerifyTokenRequest { token: token.encode()[..length].to_vec(), ..good() };
    let rows = [
        ("nothing", by, v1::VerifyTokenRequest::default(), malformed("token")),
        ("a token that is cut off", by, cut(token.encode().len() - 1), malformed("token")),
        ("its first byte", by, cut(1), malformed("token")),
        (
            "another message",
            by,
            v1::VerifyTokenRequest { token: device.seal(b"").encode(), ..good() },
            malformed("token"),
        ),
        ("1025 bytes", by, v1::VerifyTokenRequest { token: vec![7; 1025], ..good() }, malformed("token")),
        (
            "a byte behind it",
            by,
            v1::VerifyTokenRequest { token: [token.encode(), vec![0]].concat(), ..good() },
            malformed("token"),
        ),
        (
            "65 bytes of nonce",
            by,
            v1::VerifyTokenRequest { platform_nonce: vec![0; 65], ..good() },
            malformed("platform_nonce"),
        ),
        (
            "no idempotency key",
            by,
            v1::VerifyTokenRequest { idempotency_key: Vec::new(), ..good() },
            malformed("idempotency_key"),
        ),
        (
            "a short idempotency key",
            by,
            v1::VerifyTokenRequest { idempotency_key: vec![1; 15], ..good() },
            malformed("idempotency_key"),
        ),
        ("another tenant's device", by, of("other", "pump-1"), NO_TENANT),
        ("no tenant's device", by, of("nowhere", "pump-1"), NO_TENANT),
        ("no such device", by, of("t", "pump-9"), NO_DEVICE),
        ("a changed mac", by, with(|token| token.mac.0[0] ^= 1), invalid("message-mac-wrong", "mac")),
        ("another time", by, with(|token| token.issued_at += 1), invalid("message-mac-wrong", "mac")),
        (
            "a generation to come",
            by,
            with(|token| token.generation = 2),
            invalid("message-generation-unknown", "2"),
        ),
        ("the future", by, with(|token| token.epoch = 70_000), precondition("epoch-ahead", "65537")),
        (
            "for another platform",
            by,
            verify(&device.token("two", b"nonce")),
            invalid("audience-wrong", "two"),
        ),
        (
            "with another nonce",
            by,
            verify(&device.token(PLATFORM, b"other")),
            invalid("nonce-wrong", "nonce"),
        ),
        (
            "spent",
            by,
            v1::VerifyTokenRequest { idempotency_key: vec![2; 16], ..verify(&used) },
            precondition("token-spent", "spent"),
        ),
        ("by a station", &world.station, good(), (Code::PermissionDenied, "role-denied", "VerifyToken")),
        ("by an administrator", &world.admin, good(), (Code::PermissionDenied, "role-denied", "VerifyToken")),
    ];
    world.refuses(Method::VerifyToken, rows).await;

    for (state, code) in [("suspended", "suspended"), ("active", "")] {
        world.set_state("pump-1", state).await;
        if !code.is_empty() {
            let refused = (Code::PermissionDenied, code, "administrator");
            world.refuses(Method::VerifyToken, [(state, by, good(), refused)]).await;
        }
    }
    world.served.clock.pass(300 + 3 * 60);
    world.refuses(Method::VerifyToken, [("expired", by, good(), precondition("epoch-spent", "epoch"))]).await;

    device.prove(&world.nobody, "authenticate", b"").await.unwrap();
    let fresh = device.token(PLATFORM, b"nonce");
    let answer = by.trust().verify_token(verify(&fresh)).await.unwrap().into_inner();
    assert_eq!(
        (answer.user_name.as_str(), answer.trust.unwrap().verdict()),
        ("pump-1", v1::Verdict::Trusted)
    );
}

#[tokio::test]
async fn release_key() {
    let world = World::new().await;
    let mut device = proven(&world, "pump-1").await;
    let (by, sealed, stanza) = (&world.platform, device.seal(b"x"), device.wrap([3; 16]));
    let named = |name: &KeyName| v1::ReleaseKeyRequest {
        key: Some(Key::KeyName(name.to_string())),
        reason: "archive".into(),
        idempotency_key: key_of(name.to_string().as_bytes()),
    };
    let file = |arguments: &str, body: &[u8]| v1::ReleaseKeyRequest {
        key: Some(Key::File(v1::FileStanza { arguments: arguments.into(), body: body.to_vec() })),
        idempotency_key: key_of(&[arguments.as_bytes(), body].concat()),
        ..named(sealed.name())
    };
    let good = || named(sealed.name());
    let good_file = || file(&stanza.arguments(), stanza.body());
    let with = |change: fn(&mut KeyName)| {
        let mut name = sealed.name().clone();
        change(&mut name);
        named(&name)
    };
    granted(&world, &["token", "open"]).await;
    let rows =
        [("without a grant", by, good(), NO_GRANT), ("a file without a grant", by, good_file(), NO_GRANT)];
    world.refuses(Method::ReleaseKey, rows).await;
    granted(&world, &["data", "file"]).await;

    let used = device.seal(b"y");
    by.trust().release_key(named(used.name())).await.unwrap();
    let text = |name: &str| v1::ReleaseKeyRequest { key: Some(Key::KeyName(name.into())), ..good() };
    let mut wrong_body = stanza.body().to_vec();
    wrong_body[31] ^= 1;
    let rows = [
        ("nothing", by, v1::ReleaseKeyRequest { key: None, ..good() }, malformed("key")),
        ("no name", by, text(""), malformed("key_name")),
        ("a long name", by, text(&"d".repeat(500)), malformed("key_name")),
        ("another form", by, text("ddkg1:t/pump-1/01.data.0.0"), malformed("key_name")),
        ("a path", by, text("ddkg1:t/a/b/1.data.0.0"), malformed("key_name")),
        ("up a directory", by, text("ddkg1:t/../1.data.0.0"), NO_DEVICE),
        (
            "a proof's key",
            by,
            with(|name| name.purpose = wardein_domain::Purpose::Proof),
            malformed("key_name"),
        ),
        (
            "a token's key",
            by,
            with(|name| name.purpose = wardein_domain::Purpose::Token),
            malformed("key_name"),
        ),
        (
            "a file's key by name",
            by,
            with(|name| name.purpose = wardein_domain::Purpose::File),
            malformed("key_name"),
        ),
        ("no reason", by, v1::ReleaseKeyRequest { reason: String::new(), ..good() }, malformed("reason")),
        (
            "a long reason",
            by,
            v1::ReleaseKeyRequest { reason: "x".repeat(257), ..good() },
            malformed("reason"),
        ),
        (
            "no idempotency key",
            by,
            v1::ReleaseKeyRequest { idempotency_key: Vec::new(), ..good() },
            malformed("idempotency_key"),
        ),
        ("no stanza", by, file("", &[]), malformed("file")),
        ("a short body", by, file(&stanza.arguments(), &[0; 31]), malformed("file")),
        ("another stanza", by, file("X25519 abc", stanza.body()), malformed("file")),
        ("a changed body", by, file(&stanza.arguments(), &wrong_body), invalid("open-failed", "changed")),
        ("another tenant's", by, with(|name| name.owner.tenant = "other".parse().unwrap()), NO_TENANT),
        ("no such device's", by, with(|name| name.owner.device = "pump-9".parse().unwrap()), NO_DEVICE),
        (
            "no such generation",
            by,
            with(|name| name.generation = 9),
            invalid("message-generation-unknown", "9"),
        ),
        ("the future", by, with(|name| name.epoch = 6), precondition("epoch-ahead", "ahead")),
        (
            "spent",
            by,
            v1::ReleaseKeyRequest { idempotency_key: vec![2; 16], ..named(used.name()) },
            precondition("key-spent", "spent"),
        ),
        ("by an auditor", &world.auditor, good(), (Code::PermissionDenied, "role-denied", "ReleaseKey")),
    ];
    world.refuses(Method::ReleaseKey, rows).await;
    let answer = by.trust().release_key(good_file()).await.unwrap().into_inner();
    assert_eq!(answer.key[..], [3; 16]);
    by.trust().release_key(good()).await.unwrap();

    let (late, late_file) = (device.seal(b"z"), device.wrap([4; 16]));
    world.served.clock.pass(300 + 60);
    let rows = [
        ("expired", by, named(late.name()), precondition("epoch-gone", "epoch")),
        (
            "expired, by a file",
            by,
            file(&late_file.arguments(), late_file.body()),
            precondition("epoch-gone", "epoch"),
        ),
    ];
    world.refuses(Method::ReleaseKey, rows).await;
}

#[tokio::test]
async fn open() {
    let world = World::new().await;
    let mut device = proven(&world, "pump-1").await;
    let (by, sealed, used) = (&world.platform, device.seal(b"x"), device.seal(b"y"));
    let ask = |sealed: Vec<u8>| v1::OpenRequest {
        idempotency_key: key_of(&sealed),
        sealed,
        reason: "alarm".into(),
        ..Default::default()
    };
    let good = || ask(sealed.encode());
    granted(&world, &["token", "data", "file"]).await;
    world.refuses(Method::Open, [("without a grant", by, good(), NO_GRANT)]).await;
    granted(&world, &["open"]).await;
    by.trust().open(ask(used.encode())).await.unwrap();

    let mut changed = sealed.encode();
    *changed.last_mut().unwrap() ^= 1;
    let bytes = sealed.encode();
    let renamed = |from: &str, to: &str| {
        let text = String::from_utf8_lossy(&bytes[5..]).find(from).unwrap() + 5;
        [&bytes[..text], to.as_bytes(), &bytes[text + to.len()..]].concat()
    };
    let rows = [
        ("nothing", by, v1::OpenRequest::default(), malformed("sealed")),
        ("cut off", by, ask(bytes[..bytes.len() - 1].to_vec()), malformed("sealed")),
        ("a token", by, ask(device.token(PLATFORM, b"").encode()), malformed("sealed")),
        ("more than 8 KiB", by, ask(device.seal(&[0; 9000]).encode()), malformed("sealed")),
        (
            "long additional data",
            by,
            v1::OpenRequest { additional_data: vec![0; 1025], ..good() },
            malformed("additional_data"),
        ),
        ("no reason", by, v1::OpenRequest { reason: String::new(), ..good() }, malformed("reason")),
        (
            "no idempotency key",
            by,
            v1::OpenRequest { idempotency_key: Vec::new(), ..good() },
            malformed("idempotency_key"),
        ),
        ("changed", by, ask(changed), invalid("open-failed", "changed")),
        (
            "other additional data",
            by,
            v1::OpenRequest { additional_data: b"log".to_vec(), ..good() },
            invalid("open-failed", "changed"),
        ),
        ("another tenant's", by, ask(renamed(":t/", ":u/")), NO_TENANT),
        ("no such device's", by, ask(renamed("pump-1", "pump-9")), NO_DEVICE),
        (
            "no such generation",
            by,
            ask(renamed("/1.data", "/9.data")),
            invalid("message-generation-unknown", "9"),
        ),
        (
            "spent",
            by,
            v1::OpenRequest { idempotency_key: vec![2; 16], ..ask(used.encode()) },
            precondition("key-spent", "spent"),
        ),
        ("by a station", &world.station, good(), (Code::PermissionDenied, "role-denied", "Open")),
    ];
    world.refuses(Method::Open, rows).await;
    let answer = by.trust().open(good()).await.unwrap().into_inner();
    assert_eq!(
        (&answer.plaintext[..], answer.sealed_by.unwrap().state()),
        (&b"x"[..], v1::DeviceState::Active)
    );

    let late = device.seal(b"z");
    world.served.clock.pass(300 + 60);
    world
        .refuses(Method::Open, [("expired", by, ask(late.encode()), precondition("epoch-gone", "epoch"))])
        .await;
}

/// Every action asked twice over the wire, as after a lost reply.
#[tokio::test]
async fn asking_twice_is_answered_twice_and_anybody_else_is_refused() {
    let world = World::new().await;
    granted(&world, &["token", "open", "data", "file"]).await;
    let mut device = proven(&world, "pump-1").await;
    let (token, sealed, named) = (device.token(PLATFORM, b"nonce"), device.seal(b"x"), device.seal(b"y"));
    let mut trust = world.platform.trust();
    // A key for each request: one for all of them is refused.
    let key = |attempt: u8, request: u8| [attempt, request].repeat(8);
    for (attempt, is_again) in [(1, true), (1, true), (2, false)] {
        let results: [Result<(), Refusal>; 3] = [
            trust
                .verify_token(v1::VerifyTokenRequest { idempotency_key: key(attempt, 1), ..verify(&token) })
                .await
                .map(drop)
                .map_err(Refusal::from),
            trust
                .open(v1::OpenRequest {
                    sealed: sealed.encode(),
                    reason: "alarm".into(),
                    idempotency_key: key(attempt, 2),
                    ..Default::default()
                })
                .await
                .map(drop)
                .map_err(Refusal::from),
            trust
                .release_key(v1::ReleaseKeyRequest {
                    key: Some(Key::KeyName(named.name().to_string())),
                    reason: "alarm".into(),
                    idempotency_key: key(attempt, 3),
                })
                .await
                .map(drop)
                .map_err(Refusal::from),
        ];
        for (result, code) in results.iter().zip(["token-spent", "key-spent", "key-spent"]) {
            assert_eq!(result.is_ok(), is_again, "{result:?}");
            assert!(result.as_ref().err().is_none_or(|refusal| refusal.code == code), "{result:?}");
        }
    }
}
