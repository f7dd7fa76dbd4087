//! Trust queries follow what happens at once, and end at the tenant.

use crate::world::{START, World, caller, csr, order};
use wardein_crypto::Digest;
use wardein_domain::{DeviceState, Fingerprint, Role, Verdict, VerdictReason};
use wardein_engine::{ErrorKind, Page, Subject};
use wardein_port::{Change, Store as _, Table};
use wardein_testkit::commit;

fn fingerprint(der: &[u8]) -> Fingerprint {
    Fingerprint::of_digest(Digest::of(der).0)
}

async fn by_id(world: &World, id: &str) -> (Verdict, Vec<&'static str>) {
    let answer = world.engine.check(&world.platform, Subject::Device(id.parse().unwrap())).await.unwrap();
    (answer.verdict, answer.reasons.into_iter().map(VerdictReason::code).collect())
}

#[tokio::test]
async fn the_verdict_changes_with_the_answer_to_the_order() {
    let mut world = World::new().await;
    let device = world.device("pump-1").await;
    assert_eq!(by_id(&world, "pump-1").await, (Verdict::Trusted, vec!["in-good-standing"]));
    assert_eq!(by_id(&world, "pump-2").await, (Verdict::Unknown, vec!["no-such-device"]));
    for (state, verdict, reason) in [
        (DeviceState::Suspended, Verdict::NotTrusted, "suspended"),
        (DeviceState::Active, Verdict::Trusted, "in-good-standing"),
        (DeviceState::Revoked, Verdict::NotTrusted, "revoked"),
    ] {
        let order =
            world.engine.set_device_state(&world.admin, device.name.clone(), state, "x".parse().unwrap());
        order.await.unwrap();
        assert_eq!(by_id(&world, "pump-1").await, (verdict, vec![reason]));
        world.restart().await;
        assert_eq!(by_id(&world, "pump-1").await, (verdict, vec![reason]), "and after a restart");
    }
    let back = world.engine.set_device_state(
        &world.admin,
        device.name.clone(),
        DeviceState::Active,
        "x".parse().unwrap(),
    );
    assert_eq!(back.await.unwrap_err().code.as_str(), "transition-not-allowed", "revoked is for good");
}

#[tokio::test]
async fn a_certificate_counts_while_it_is_valid_on_record_and_not_revoked() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    device.prove(&world.engine, "certificate", &csr()).await.unwrap();
    let page = Page { size: 1, after: None };
    let listed = world.engine.list_certificates(&world.admin, world.tenant(), None, page).await.unwrap();
    let certificate = &listed.items[0];
    let subjects = || {
        let der = certificate.der.clone();
        [
            Subject::Fingerprint(fingerprint(&der)),
            Subject::Serial(certificate.serial),
            Subject::Certificate(der),
        ]
    };
    let check = async || {
        let mut said = Vec::new();
        for subject in subjects() {
            let answer = world.engine.check(&world.platform, subject).await.unwrap();
            assert_eq!(answer.device.as_ref(), Some(&device.name.device));
            said.push((answer.verdict, answer.reasons[0].code(), answer.keep_until));
        }
        said.dedup();
        assert_eq!(said.len(), 1, "however it is named: {said:?}");
        said.remove(0)
    };
    assert_eq!(check().await, (Verdict::Trusted, "in-good-standing", START + 300));
    world.clock.pass(86_400 - 100);
    assert_eq!(check().await.2, certificate.not_after, "kept no longer than the certificate");
    let revoke = world.engine.revoke_certificate(
        &world.admin,
        world.tenant(),
        certificate.serial,
        wardein_domain::RevocationReason::KeyCompromise,
        "lost".parse().unwrap(),
    );
    revoke.await.unwrap();
    assert_eq!((check().await.0, check().await.1), (Verdict::NotTrusted, "certificate-revoked"));
    world.clock.pass(200);
    assert_eq!(check().await.1, "certificate-expired");
}

#[tokio::test]
async fn foreign_and_malformed_certificates() {
    let world = World::new().await;
    let (pem, _) =
        world.engine.issue_operator(&world.admin, order(Role::Auditor, None, "eve")).await.unwrap();
    let operator = wardein_pki::pem::decode_certificates(&pem).unwrap().remove(0);
    let answer = world.engine.check(&world.platform, Subject::Certificate(operator)).await.unwrap();
    assert_eq!(answer.verdict, Verdict::Unknown);
    for malformed in [vec![], vec![0x30, 0x80], vec![0; 9000]] {
        let refused = world.engine.check(&world.platform, Subject::Certificate(malformed)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
}

#[tokio::test]
async fn a_fingerprint_is_that_of_the_certificate_on_record() {
    let world = World::new().await;
    let mut ders = Vec::new();
    for id in ["pump-1", "pump-2"] {
        world.device(id).await.prove(&world.engine, "certificate", &csr()).await.unwrap();
        let page = Page { size: 1, after: None };
        let device = Some(id.parse().unwrap());
        let listed =
            world.engine.list_certificates(&world.admin, world.tenant(), device, page).await.unwrap();
        ders.push(listed.items[0].der.clone());
    }
    let check = async |fingerprint| {
        let answer = world.engine.check(&world.platform, Subject::Fingerprint(fingerprint)).await.unwrap();
        (answer.verdict, answer.device.map(|device| device.to_string()))
    };
    let [one, two] = [fingerprint(&ders[0]), fingerprint(&ders[1])];
    assert_eq!(check(one).await, (Verdict::Trusted, Some("pump-1".into())));
    assert_eq!(check(Fingerprint::of_digest([7; 32])).await, (Verdict::Unknown, None));
    // What leads to another device's certificate leads nowhere.
    let table = Table::CertificateFingerprint;
    let rows = world.store.scan(table, b"", None, 9).await.unwrap();
    let at = |fingerprint: Fingerprint| {
        rows.iter().find(|(key, _)| key == fingerprint.as_bytes()).map(|(_, row)| row.clone()).unwrap()
    };
    let mut change = Change::default();
    change.update(table, one.as_bytes().to_vec(), at(one).version, at(two).value);
    commit(&world.store, change).await.unwrap();
    assert_eq!(check(one).await, (Verdict::Unknown, None));
    assert_eq!(check(two).await, (Verdict::Trusted, Some("pump-2".into())));
}

#[tokio::test]
async fn another_tenants_platform_sees_nothing() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    device.prove(&world.engine, "certificate", &csr()).await.unwrap();
    world.engine.create_tenant(&world.admin, "other".parse().unwrap()).await.unwrap();
    let issued = world.engine.issue_operator(&world.admin, order(Role::Platform, Some("other"), "iot")).await;
    let other = caller(issued.unwrap().1.principal);
    let answer = world.engine.check(&other, Subject::Device(device.name.device.clone())).await.unwrap();
    assert_eq!((answer.verdict, answer.device, answer.state), (Verdict::Unknown, None, None));
    let page = Page { size: 1, after: None };
    let der = world
        .engine
        .list_certificates(&world.admin, world.tenant(), None, page)
        .await
        .unwrap()
        .items
        .remove(0)
        .der;
    for subject in [Subject::Fingerprint(fingerprint(&der)), Subject::Certificate(der)] {
        let answer = world.engine.check(&other, subject).await.unwrap();
        assert_eq!((answer.verdict, answer.device, answer.state), (Verdict::Unknown, None, None));
    }
}
