//! Signed verdicts, and the keys that sign them.

use crate::cas::DAY;
use crate::storage_keys::restart;
use crate::world::{ROOT_KEY, START, World, csr, facts};
use wardein_ddkg::message::from_text;
use wardein_domain::{DeviceState, Event, TrustCondition, TrustLimit, TrustPolicy, TrustRule};
use wardein_engine::{Page, ReceiptAsk, ReceiptNonce, Subject};
use wardein_testkit::MemoryCustody;

fn ask() -> ReceiptAsk {
    let nonce = ReceiptNonce::of((0..16).collect()).unwrap();
    ReceiptAsk { audience: "https://iot.example".parse().unwrap(), nonce }
}

/// The header and the claims.
pub(crate) async fn signed(world: &World, subject: Subject) -> (String, String) {
    let answer = world.engine.check(&world.platform, subject.clone()).await.unwrap();
    let receipt = world.engine.receipt(&subject, &answer, &ask()).await.unwrap();
    let parts: Vec<_> = receipt.split('.').collect();
    assert_eq!((parts.len(), parts[2].len()), (3, 86), "{receipt}");
    (text(parts[0]), text(parts[1]))
}

/// A part of a compact JWS.
pub(crate) fn text(part: &str) -> String {
    let padded = part.replace('-', "+").replace('_', "/") + &"===="[..(4 - part.len() % 4) % 4];
    String::from_utf8(from_text(&padded, 4_096).unwrap()).unwrap()
}

pub(crate) fn device(id: &str) -> Subject {
    Subject::Device(id.parse().unwrap())
}

/// The names of the published keys, each with whether it has retired.
fn published(world: &World) -> Vec<(String, bool)> {
    let jwks = world.engine.verdict_jwks();
    let keys = jwks.split("\"kid\":\"").skip(1);
    keys.map(|rest| (rest[..43].to_owned(), rest[43..].starts_with("\",\"exp\":"))).collect()
}

async fn signs_with(world: &World) -> String {
    let (header, _) = signed(world, device("pump-1")).await;
    let (_, kid) = header.split_once("\"kid\":\"").unwrap();
    kid[..43].to_owned()
}

#[tokio::test]
async fn a_receipt_says_what_the_answer_says_and_is_bound_to_who_asked() {
    let world = World::new().await;
    let mut pump = world.device("pump-1").await;
    world.engine.keep_verdict_keys().await.unwrap();
    let (header, claims) = signed(&world, device("pump-1")).await;
    assert!(header.starts_with("{\"alg\":\"ES256\",\"typ\":\"wardein-verdict+jwt\",\"kid\":\""), "{header}");
    let revision = world.engine.check(&world.platform, device("pump-1")).await.unwrap().revision;
    for part in [
        "{\"iss\":\"spiffe://wardein.example\",\"aud\":\"https://iot.example\",",
        &format!("\"iat\":{START},\"exp\":{},\"jti\":\"", START + 300),
        "\"eat_nonce\":\"AAECAwQFBgcICQoLDA0ODw\",\"eat_profile\":\"tag:wardein,2026:verdict-1:draft-ietf-rats-ear-04\"",
        "\"submods\":{\"device\":{\"ear_status\":\"affirming\",\"ear_trustworthiness_vector\":{\"instance-identity\":2}}}",
        "\"wardein.verdict\":\"trusted\",\"wardein.reasons\":[\"in-good-standing\"],\"wardein.tenant\":\"klinik\"",
        &format!("\"wardein.asked\":{{\"device_id\":\"pump-1\"}},\"wardein.revision\":{revision}"),
        "\"sub\":\"spiffe://wardein.example/klinik/pump-1\",\"wardein.device_id\":\"pump-1\",\"wardein.state\":\"active\"}",
    ] {
        assert!(claims.contains(part), "{part}: {claims}");
    }
    assert!(!claims.contains("\"status\""), "no address is configured for lists: {claims}");
    let (_, again) = signed(&world, device("pump-1")).await;
    assert_ne!(claims, again, "each has an id of its own");

    pump.prove(&world.engine, "certificate", &csr()).await.unwrap();
    let page = Page { size: 1, after: None };
    let listed = world.engine.list_certificates(&world.admin, world.tenant(), None, page).await.unwrap();
    let (der, not_after) = (listed.items[0].der.clone(), listed.items[0].not_after);
    world.clock.pass(86_400 - 100);
    let (_, claims) = signed(&world, Subject::Certificate(der.clone())).await;
    assert!(claims.contains(&format!("\"exp\":{not_after},")), "no longer than the certificate: {claims}");
    let digest = wardein_crypto::hex::encode(&wardein_crypto::Digest::of(&der).0);
    let asked = format!("\"wardein.asked\":{{\"certificate_sha256\":\"{digest}\"}}");
    assert!(claims.contains(&asked), "{claims}");
    let (_, claims) = signed(&world, Subject::Fingerprint(digest.to_uppercase().parse().unwrap())).await;
    assert!(claims.contains(&asked), "it is the same question: {claims}");

    let suspend = world.engine.set_device_state(
        &world.admin,
        pump.name.clone(),
        DeviceState::Suspended,
        "lost".parse().unwrap(),
    );
    suspend.await.unwrap();
    let (_, claims) = signed(&world, device("pump-1")).await;
    assert!(claims.contains("\"ear_status\":\"contraindicated\""), "{claims}");
    assert!(claims.contains("\"wardein.verdict\":\"not-trusted\",\"wardein.reasons\":[\"suspended\"]"));
    let (_, claims) = signed(&world, device("pump-9")).await;
    assert!(
        claims.contains("\"device\":{\"ear_status\":\"none\"}") && !claims.contains("\"sub\""),
        "{claims}"
    );
    let now = world.engine.now();
    assert!(claims.contains(&format!("\"iat\":{now},\"exp\":{now},")), "it is good for nothing: {claims}");
    assert!(claims.contains("\"wardein.asked\":{\"device_id\":\"pump-9\"}"), "{claims}");
}

#[tokio::test]
async fn keys_follow_one_another_by_themselves_and_the_next_one_is_published_a_month_ahead() {
    let mut world = World::new().await;
    let pass = async |world: &mut World, seconds: u64| {
        world.clock.pass(seconds);
        world.engine.look_at_clock().await.unwrap();
        world.restart().await;
        world.engine.look_at_clock().await.unwrap();
    };
    let keep = async |world: &World| world.engine.keep_verdict_keys().await.unwrap();
    assert_eq!(published(&world), []);
    assert!(keep(&world).await && !keep(&world).await, "once");
    let first = published(&world);
    assert_eq!(first.len(), 2);
    assert_eq!(signs_with(&world).await, first[0].0);
    pass(&mut world, 30 * DAY - 1).await;
    assert!(!keep(&world).await);
    assert_eq!(published(&world), first, "after a restart, too");
    pass(&mut world, 1).await;
    assert!(keep(&world).await);
    let second = published(&world);
    assert_eq!((second.len(), &second[0], &second[1]), (3, &(first[0].0.clone(), true), &first[1]));
    assert_eq!(signs_with(&world).await, first[1].0);
    // What the former one signed in its last second ends a day later.
    pass(&mut world, DAY + 3_600).await;
    assert!(!keep(&world).await);
    pass(&mut world, 1).await;
    assert!(keep(&world).await);
    assert_eq!(published(&world), second[1..], "it is published no more");
    assert_eq!(world.entries(Event::VerdictKeysChanged).await.len(), 3);
    let rows: Vec<_> = world.rows().await.into_iter().filter(|(key, _)| key == b"verdict-keys").collect();
    assert_eq!(rows.len(), 1, "one row has them all");
}

/// They are in custody as the CAs' keys are: what is sealed under the root key is sealed again when that is changed.
#[tokio::test]
async fn they_outlive_a_change_of_the_root_key() {
    let (mut world, custody) = (World::new().await, MemoryCustody::of(ROOT_KEY));
    world.device("pump-1").await;
    restart(&mut world, &custody).await;
    world.engine.keep_verdict_keys().await.unwrap();
    let (before, kid) = (published(&world), signs_with(&world).await);
    assert_eq!(world.engine.rotate_root_key(&world.admin).await.unwrap(), 2);
    restart(&mut world, &custody).await;
    assert_eq!((published(&world), signs_with(&world).await), (before, kid));
}

#[tokio::test]
async fn a_key_that_leaked_is_replaced_at_once_and_published_no_more() {
    let mut world = World::new().await;
    world.device("pump-1").await;
    world.engine.keep_verdict_keys().await.unwrap();
    let first = published(&world);
    let replace = async |world: &World, with_next| {
        let reason = "leaked".parse().unwrap();
        world.engine.replace_verdict_key(&world.admin, reason, with_next).await.unwrap()
    };
    // The next one, which platforms have, signs.
    assert_eq!(replace(&world, false).await, first[1].0);
    let second = published(&world);
    assert_eq!((second.len(), &second[0]), (2, &first[1]));
    assert_eq!(signs_with(&world).await, first[1].0);
    world.restart().await;
    assert_eq!(published(&world), second);
    let entry = &world.entries(Event::VerdictKeysChanged).await[1];
    let (before, after) = (&first[0].0, &first[1].0);
    assert_eq!(facts(entry), format!("verdict-key: {before} → {after}, reason=leaked"));
    assert_eq!(entry.actor.to_string(), "admin/admin");
    // Both: neither of them is published any more.
    let made = replace(&world, true).await;
    let third = published(&world);
    assert_eq!((third.len(), &third[0].0), (2, &made));
    assert!(!third.iter().any(|key| first.contains(key) || second.contains(key)), "{third:?}");
    assert_eq!(signs_with(&world).await, made);
}

#[tokio::test]
async fn a_receipt_names_the_policy_by_which_it_was_given() {
    let world = World::new().await;
    world.device("pump-1").await;
    let (_, claims) = signed(&world, device("pump-1")).await;
    assert!(!claims.contains("policy"), "{claims}");
    let rule = TrustRule { when: TrustCondition::SilentFor(60), limit: TrustLimit::Restricted };
    let policy = TrustPolicy::new(vec![rule], None).unwrap();
    let tenant = world.tenant();
    let set = world.engine.put_trust_policy(&world.admin, &tenant, None, Some(policy), None).await.unwrap();
    let (_, claims) = signed(&world, device("pump-1")).await;
    let named = format!(
        "\"ear_appraisal_policy_ids\":[\"tag:wardein,2026:trust-policy:klinik::{}\"]",
        set.effective.unwrap().etag
    );
    assert!(claims.contains(&named), "{named}: {claims}");
}
