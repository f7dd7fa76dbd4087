//! `DeviceService`: nobody is known before a proof holds, so a refusal before that leaves no entry.

use super::world::{Expected, NO_DEVICE, World, malformed};
use crate::common::device::TestDevice;
use prost::Message as _;
use tonic::Code;
use wardein_client::{Connection, v1};
use wardein_crypto::P256SigningKey;
use wardein_domain::Method;
use wardein_pki::Csr;

const MAC_WRONG: Expected = (Code::Unauthenticated, "mac-wrong", "mac");
const CHALLENGE_UNKNOWN: Expected = (Code::Unauthenticated, "challenge-unknown", "challenge");
const TOO_LARGE: Expected = (Code::InvalidArgument, "too-large", "1024");
const CONFIRMATION_WRONG: Expected = (Code::Unauthenticated, "confirmation-wrong", "confirmation");

#[tokio::test]
async fn get_challenge() {
    let world = World::new().await;
    let ask =
        |tenant: &str, id: &str| v1::GetChallengeRequest { tenant: tenant.into(), device_id: id.into() };
    let by = &world.nobody;
    let rows = [
        ("nothing", by, ask("", ""), malformed("tenant")),
        ("no device", by, ask("t", ""), malformed("device_id")),
        ("64 bytes", by, ask(&"t".repeat(64), "pump-1"), malformed("tenant")),
        ("129 bytes", by, ask("t", &"d".repeat(129)), malformed("device_id")),
        ("900 bytes", by, ask("t", &"d".repeat(900)), malformed("device_id")),
        ("8 KiB", by, ask("t", &"d".repeat(8192)), TOO_LARGE),
        ("a separator of keys", by, ask("t", "a\0b"), malformed("device_id")),
    ];
    world.refuses(Method::GetChallenge, rows).await;
    let before = world.rows().await;
    for (tenant, device) in [("t", "pump-9"), ("nowhere", "pump-1")] {
        let answer = by.device().get_challenge(ask(tenant, device)).await.expect("alike for any name");
        assert!(!answer.into_inner().challenge.is_empty());
    }
    assert!(world.rows().await == before);
}

#[tokio::test]
async fn prove_what_is_malformed() {
    let world = World::new().await;
    let mut device = TestDevice::enrolled(&world.station, "pump-1").await;
    let by = &world.nobody;
    let (good, _) = device.proof(by, "authenticate", b"").await;
    let with = |spoil: fn(&mut v1::ProveRequest)| {
        let mut request = good.clone();
        spoil(&mut request);
        request
    };
    let invalid = |code, word| (Code::InvalidArgument, code, word);
    let rows = [
        ("nothing", by, v1::ProveRequest::default(), malformed("generation")),
        ("no tenant", by, with(|request| request.tenant.clear()), malformed("tenant")),
        ("no device", by, with(|request| request.device_id.clear()), malformed("device_id")),
        ("a path", by, with(|request| request.device_id = "../pump".into()), malformed("device_id")),
        ("256 bytes", by, with(|request| request.challenge = vec![0; 256]), malformed("challenge")),
        ("no nonce", by, with(|request| request.device_nonce.clear()), malformed("device_nonce")),
        ("33 bytes of nonce", by, with(|request| request.device_nonce.push(0)), malformed("device_nonce")),
        ("no generation", by, with(|request| request.generation = 0), malformed("generation")),
        ("number 2⁶³", by, with(|request| request.number = 1 << 63), malformed("number")),
        ("no action", by, with(|request| request.action.clear()), malformed("action")),
        ("33 bytes of action", by, with(|request| request.action = "a".repeat(33)), malformed("action")),
        (
            "an action unheard of",
            by,
            with(|request| request.action = "fly".into()),
            invalid("action-unknown", "action"),
        ),
        ("no mac", by, with(|request| request.mac.clear()), malformed("mac")),
        ("31 bytes of mac", by, with(|request| request.mac.truncate(31)), malformed("mac")),
        ("a body where none is taken", by, with(|request| request.body = vec![1]), malformed("body")),
        (
            "a rekey without its share",
            by,
            with(|request| request.action = "rekey".into()),
            malformed("suite"),
        ),
        (
            "a rekey of no suite",
            by,
            with(|request| (request.action, request.body) = ("rekey".into(), vec![0, 9])),
            malformed("suite"),
        ),
        (
            "a rekey with a share cut short",
            by,
            with(|request| (request.action, request.body) = ("rekey".into(), vec![0, 1, 0, 0, 0, 1, 4])),
            malformed("share"),
        ),
        (
            "attributes cut short",
            by,
            with(|request| (request.action, request.body) = ("attributes".into(), vec![0, 0, 0, 9])),
            malformed("attribute"),
        ),
        (
            "an attribute of 4097 bytes",
            by,
            with(|request| {
                let value = [&[0, 0, 0, 1, b'a', 0, 0, 0x10, 1][..], &[0; 4097]].concat();
                (request.action, request.body) = ("attributes".into(), value);
            }),
            malformed("attribute value"),
        ),
    ];
    world.refuses(Method::Prove, rows).await;
    by.device().prove(good).await.expect("what none of these did harm to");
}

#[tokio::test]
async fn prove_what_does_not_hold() {
    let world = World::new().await;
    let by = &world.nobody;
    let mut device = TestDevice::enrolled(&world.station, "pump-1").await;
    TestDevice::enrolled(&world.station, "pump-2").await;
    let (good, _) = device.proof(by, "authenticate", b"").await;
    let challenge = async |id: &str| {
        let asked = v1::GetChallengeRequest { tenant: "t".into(), device_id: id.into() };
        by.device().get_challenge(asked).await.unwrap().into_inner().challenge
    };
    let (others, absent) = (challenge("pump-2").await, challenge("pump-9").await);
    let with = |spoil: &dyn Fn(&mut v1::ProveRequest)| {
        let mut request = good.clone();
        spoil(&mut request);
        request
    };
    let ahead = (Code::FailedPrecondition, "epoch-ahead", "too far ahead");
    let generation = (Code::Unauthenticated, "generation-unknown", "generation 2");
    let rows = [
        ("the mac is changed", by, with(&|request| request.mac[0] ^= 1), MAC_WRONG),
        ("the nonce is changed", by, with(&|request| request.device_nonce[31] ^= 1), MAC_WRONG),
        ("the number is changed", by, with(&|request| request.number += 1), MAC_WRONG),
        ("another action is claimed", by, with(&|request| request.action = "trust-bundle".into()), MAC_WRONG),
        ("another generation is claimed", by, with(&|request| request.generation = 2), generation),
        ("another epoch is claimed", by, with(&|request| request.epoch += 1), MAC_WRONG),
        ("an epoch of the far future", by, with(&|request| request.epoch = u32::MAX), ahead),
        ("no challenge", by, with(&|request| request.challenge.clear()), malformed("challenge")),
        ("the challenge is changed", by, with(&|request| request.challenge[9] ^= 1), CHALLENGE_UNKNOWN),
        (
            "the challenge of another",
            by,
            with(&|request| request.challenge = others.clone()),
            CHALLENGE_UNKNOWN,
        ),
        (
            "another device is claimed",
            by,
            with(&|request| request.device_id = "pump-2".into()),
            CHALLENGE_UNKNOWN,
        ),
        (
            "another tenant is claimed",
            by,
            with(&|request| request.tenant = "other".into()),
            CHALLENGE_UNKNOWN,
        ),
        (
            "a device that is not there",
            by,
            with(&|request| (request.device_id, request.challenge) = ("pump-9".into(), absent.clone())),
            MAC_WRONG,
        ),
        (
            "another device, with a challenge of its own",
            by,
            with(&|request| (request.device_id, request.challenge) = ("pump-2".into(), others.clone())),
            MAC_WRONG,
        ),
    ];
    world.refuses(Method::Prove, rows).await;

    by.device().prove(good.clone()).await.expect("what none of these did harm to");
    let replayed = (Code::FailedPrecondition, "replayed", "challenge");
    world.refuses(Method::Prove, [("replayed", by, good.clone(), replayed)]).await;
    world.served.clock.pass(61);
    let expired = (Code::Unauthenticated, "challenge-expired", "challenge");
    let (late, _) = device.proof(by, "authenticate", b"").await;
    world.served.clock.pass(61);
    let rows = [("replayed, and late", by, good, expired), ("late", by, late, expired)];
    world.refuses(Method::Prove, rows).await;
    device.prove(by, "authenticate", b"").await.expect("a fresh challenge");
}

/// Requests that openssl made.
macro_rules! request {
    ($name:literal) => {
        &include_bytes!(concat!("../../../../pki/src/tests/vectors/requests/", $name, ".der"))[..]
    };
}

#[tokio::test]
async fn prove_another_body() {
    let world = World::new().await;
    let by = &world.nobody;
    let mut device = TestDevice::enrolled(&world.station, "pump-1").await;
    let csr = || {
        let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
        Csr::create(&P256SigningKey::from_pkcs8(&pkcs8).unwrap()).unwrap()
    };
    let (good, _) = device.proof(by, "certificate", &csr()).await;
    let mut forged = csr();
    *forged.last_mut().unwrap() ^= 1;
    let trailing = [csr().as_slice(), b"x"].concat();
    let other = v1::ProveRequest { body: csr(), ..good.clone() };
    // The body's digest is made of the body that came, so that a changed one breaks the proof.
    world.refuses(Method::Prove, [("the request of another key", by, other, MAC_WRONG)]).await;
    for (what, body, code, word) in [
        ("no request", Vec::new(), "csr-malformed", "request"),
        ("4097 bytes", vec![0x30; 4097], "csr-too-long", "4096"),
        ("a forged signature", forged, "csr-signature", "not signed"),
        ("bytes behind", trailing, "csr-trailing-bytes", "follow"),
    ] {
        // The request is read for nobody but a device whose mac is right: reading it costs a verification.
        let swapped = v1::ProveRequest { body: body.clone(), ..good.clone() };
        world.refuses(Method::Prove, [(what, by, swapped, MAC_WRONG)]).await;
        let (proved, _) = device.proof(by, "certificate", &body).await;
        let expected = (Code::InvalidArgument, code, word);
        world.refuses_bytes(Method::Prove, what, by, true, Some(proved.encode_to_vec()), expected).await;
    }
    for (what, body, status, code, word) in [
        (
            "an exponent of 3",
            request!("rsa-2048-exponent-3"),
            Code::InvalidArgument,
            "csr-rsa-exponent",
            "65537",
        ),
        ("1024 bits", request!("rsa-1024"), Code::InvalidArgument, "csr-rsa-modulus", "modulus"),
        ("SHA-1", request!("rsa-2048-sha1"), Code::InvalidArgument, "csr-signature-algorithm", "SHA-256"),
        ("P-521", request!("p521"), Code::InvalidArgument, "csr-signature-algorithm", "SHA-256"),
        ("Ed25519", request!("ed25519"), Code::InvalidArgument, "csr-signature-algorithm", "SHA-256"),
        ("P-384", request!("p384"), Code::FailedPrecondition, "csr-key-not-accepted", "accepts p256"),
        ("RSA", request!("rsa-4096"), Code::FailedPrecondition, "csr-key-not-accepted", "accepts p256"),
    ] {
        let (proved, _) = device.proof(by, "certificate", body).await;
        let proved = Some(proved.encode_to_vec());
        world.refuses_bytes(Method::Prove, what, by, true, proved, (status, code, word)).await;
    }
    world.name_devices(&format!("{{device}}{}", "x".repeat(59))).await;
    let (proved, _) = device.proof(by, "certificate", &csr()).await;
    let (what, proved) = ("a name that does not fit", Some(proved.encode_to_vec()));
    let unfit = (Code::FailedPrecondition, "certificate-name-unfit", "65 bytes");
    world.refuses_bytes(Method::Prove, what, by, true, proved, unfit).await;
    world.name_devices("").await;
    by.device().prove(good).await.unwrap();
}

#[tokio::test]
async fn prove_as_a_device_that_is_not_active() {
    let world = World::new().await;
    let by = &world.nobody;
    for (state, id) in [("suspended", "pump-1"), ("revoked", "pump-2")] {
        let mut device = TestDevice::enrolled(&world.station, id).await;
        world.set_state(id, state).await;
        let (proof, _) = device.proof(by, "authenticate", b"").await;
        let expected = (Code::PermissionDenied, state, state);
        // Its mac is right, so it is known who asks.
        world.refuses_bytes(Method::Prove, state, by, true, Some(proof.encode_to_vec()), expected).await;
    }
    world.set_state("pump-1", "active").await;
    let (mut device, _) = TestDevice::pending(&world.station, "pump-3").await;
    let (proof, _) = device.proof(by, "authenticate", b"").await;
    let expected = (Code::FailedPrecondition, "enrollment-pending", "confirm");
    world.refuses(Method::Prove, [("pending", by, proof, expected)]).await;
}

#[tokio::test]
async fn confirm_enrollment() {
    let world = World::new().await;
    TestDevice::enrolled(&world.station, "pump-1").await;
    let (_, tag) = TestDevice::pending(&world.station, "pump-2").await;
    let ask = |tenant: &str, id: &str, tag: &[u8]| v1::ConfirmEnrollmentRequest {
        tenant: tenant.into(),
        device_id: id.into(),
        device_confirmation: tag.to_vec(),
    };
    let mut changed = tag.clone();
    changed[0] ^= 1;
    let by: &Connection = &world.nobody;
    TestDevice::enrolled(&world.station, "pump-3").await.prove(by, "authenticate", b"").await.unwrap();
    let done = (Code::AlreadyExists, "already-enrolled", "already");
    let rows = [
        ("nothing", by, v1::ConfirmEnrollmentRequest::default(), malformed("device_confirmation")),
        ("no tenant", by, ask("", "pump-2", &tag), malformed("tenant")),
        ("no device", by, ask("t", "", &tag), malformed("device_id")),
        ("129 bytes", by, ask("t", &"d".repeat(129), &tag), malformed("device_id")),
        ("31 bytes", by, ask("t", "pump-2", &tag[1..]), malformed("device_confirmation")),
        ("900 bytes", by, ask("t", "pump-2", &[0; 900]), malformed("device_confirmation")),
        ("8 KiB", by, ask("t", "pump-2", &[0; 8192]), TOO_LARGE),
        ("changed", by, ask("t", "pump-2", &changed), CONFIRMATION_WRONG),
        ("that of another device", by, ask("t", "pump-1", &tag), CONFIRMATION_WRONG),
        ("no such device", by, ask("t", "pump-9", &tag), NO_DEVICE),
        ("another tenant", by, ask("other", "pump-2", &tag), NO_DEVICE),
        ("no such tenant", by, ask("nowhere", "pump-2", &tag), NO_DEVICE),
        ("a device that has proved", by, ask("t", "pump-3", &tag), done),
    ];
    world.refuses(Method::ConfirmEnrollment, rows).await;
    for _ in 0..2 {
        let confirm = ask("t", "pump-2", &tag);
        by.device().confirm_enrollment(confirm).await.expect("after all that, and the same again");
    }
}
