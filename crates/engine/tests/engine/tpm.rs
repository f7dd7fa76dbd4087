//! Enrolling devices whose key is in a TPM: who is trusted, what is refused in each step, and that nothing is stored then.

use crate::world::{World, name, order};
use std::collections::BTreeSet;
use wardein_attest::EkDigest;
use wardein_crypto::{Digest, SecretBytes};
use wardein_domain::{
    Assurance, DeviceState, EnrolledKey, Event, FieldName, Role, TpmChallenge, TpmEvidence,
};
use wardein_engine::{AuditFilter, Error, ErrorKind, KeyOrder, KeyPolicy, Page, Subject, TpmActivation};
use wardein_port::{Store, Table};
use wardein_testkit::SoftTpm;

pub(crate) fn key_order(id: &str) -> KeyOrder {
    let (device, profile) = (id.parse().unwrap(), "default".parse().unwrap());
    KeyOrder { device, profile, model: Some("pump".parse().unwrap()), udi: None }
}

pub(crate) fn evidence(tpm: &SoftTpm) -> TpmEvidence {
    let (ek_public, ak_public) = (tpm.ek_public(), tpm.ak_public());
    TpmEvidence { ek_public, ek_certificates: Vec::new(), ak_public }
}

/// What an honest device answers.
pub(crate) fn answer(tpm: &mut SoftTpm, id: &str, challenge: &TpmChallenge) -> TpmActivation {
    let secret = tpm.activate(&challenge.id_object, &challenge.encrypted_secret).unwrap();
    let (attested, signature) = tpm.certify(&challenge.nonce);
    TpmActivation {
        device: id.parse().unwrap(),
        ticket: challenge.ticket.clone(),
        secret: SecretBytes::from_vec(secret),
        device_key: tpm.device_public(),
        attested,
        signature,
        quote: None,
    }
}

/// The same once more, as a station sends it after a lost reply.
pub(crate) fn again(activation: &TpmActivation) -> TpmActivation {
    TpmActivation {
        device: activation.device.clone(),
        ticket: activation.ticket.clone(),
        secret: SecretBytes::from_vec(activation.secret.expose().to_vec()),
        device_key: activation.device_key.clone(),
        attested: activation.attested.clone(),
        signature: activation.signature.clone(),
        quote: activation.quote.clone(),
    }
}

fn digests(tpm: &SoftTpm) -> BTreeSet<EkDigest> {
    BTreeSet::from([EkDigest(Digest(tpm.ek_digest()))])
}

impl World {
    async fn list(&self, tpm: &SoftTpm) {
        let added = self.engine.add_endorsement_keys(&self.admin, &self.tenant(), &digests(tpm)).await;
        assert_eq!(added, Ok(1));
    }

    async fn begin(&self, tpm: &SoftTpm, id: &str) -> Result<TpmChallenge, Error> {
        let begun = self.engine.begin_tpm_enrollment(&self.station, &key_order(id), &evidence(tpm)).await;
        begun.map(|(challenge, _)| challenge)
    }

    async fn finish(&self, activation: TpmActivation) -> Result<EnrolledKey, Error> {
        self.engine.finish_tpm_enrollment(&self.station, activation).await
    }

    async fn stored(&self) -> usize {
        let count = async |table| self.store.scan(table, b"", None, usize::MAX).await.unwrap().len();
        count(Table::Device).await + count(Table::SignatureKey).await
    }
}

#[tokio::test]
async fn a_listed_tpm_is_enrolled_and_the_level_is_told_in_record_and_verdict_after_a_restart_too() {
    let mut world = World::new().await;
    let mut tpm = SoftTpm::new();
    let refused = world.begin(&tpm, "pump-1").await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Denied, "ek-untrusted"));
    world.list(&tpm).await;
    let commits = world.store.commits();
    let challenge = world.begin(&tpm, "pump-1").await.unwrap();
    assert_eq!(world.store.commits(), commits, "the first step stores nothing");

    let activation = answer(&mut tpm, "pump-1", &challenge);
    let repeated = again(&activation);
    let enrolled = world.finish(activation).await.unwrap();
    assert_eq!(enrolled.assurance, Assurance::TpmListed);
    let commits = world.store.commits();
    assert_eq!(world.finish(again(&repeated)).await.unwrap(), enrolled, "the same again is answered alike");
    assert_eq!(world.store.commits(), commits);

    for _ in 0..2 {
        let verdict =
            world.engine.check(&world.platform, Subject::Device("pump-1".parse().unwrap())).await.unwrap();
        assert_eq!(
            (verdict.state, verdict.assurance),
            (Some(DeviceState::Active), Some(Assurance::TpmListed))
        );
        world.restart().await;
    }
    let (entries, _) = world.engine.list_audit(&world.admin, AuditFilter::default(), 1, 1000).await.unwrap();
    let (_, entry) = entries.iter().find(|(_, entry)| entry.event == Event::KeyEnrolled).unwrap();
    assert_eq!(
        (entry.actor.to_string(), entry.target.to_string()),
        ("station/klinik/line-1".to_owned(), "device/klinik/pump-1".to_owned())
    );
    let digest = EkDigest(Digest(tpm.ek_digest())).to_string();
    assert_eq!(entry.field(FieldName::Assurance), Some("tpm-listed"));
    assert_eq!(entry.field(FieldName::EndorsementKey), Some(digest.as_str()));
    assert_eq!(entry.field(FieldName::KeyId).unwrap().len(), 64);
}

#[tokio::test]
async fn trust_on_first_use_is_a_policy_and_the_record_says_so() {
    let world = World::new().await;
    let policy = KeyPolicy { first_use: true, ..KeyPolicy::default() };
    world.engine.put_key_policy(&world.admin, world.tenant(), policy, None).await.unwrap();
    let mut tpm = SoftTpm::new();
    let challenge = world.begin(&tpm, "pump-1").await.unwrap();
    let enrolled = world.finish(answer(&mut tpm, "pump-1", &challenge)).await.unwrap();
    assert_eq!(enrolled.assurance, Assurance::TpmFirstUse);
}

#[tokio::test]
async fn a_vendors_tpm_is_trusted_by_its_certificate_and_another_key_is_not() {
    let world = World::new().await;
    let vector = |name: &str| {
        let vectors = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../attest/tests/vectors");
        std::fs::read(vectors.join(name)).unwrap()
    };
    let captured = TpmEvidence {
        ek_public: vector("ek-p384.pub"),
        ek_certificates: vec![vector("ek-p384.der"), vector("vendor-issuer.der")],
        ak_public: vector("ak-p256.pub"),
    };
    let order = key_order("pump-1");
    let begin = async |evidence: &TpmEvidence| {
        world.engine.begin_tpm_enrollment(&world.station, &order, evidence).await
    };
    world.clock.pass(4_102_444_800 - crate::world::START);
    assert_eq!(begin(&captured).await.unwrap_err().code.as_str(), "ek-certificate-chain");
    let policy = KeyPolicy { vendor_roots: vec![vector("vendor-root.der")], ..KeyPolicy::default() };
    world.engine.put_key_policy(&world.admin, world.tenant(), policy, None).await.unwrap();
    assert!(begin(&captured).await.is_ok());

    let of_another = TpmEvidence { ek_public: SoftTpm::new().ek_public(), ..captured.clone() };
    assert_eq!(begin(&of_another).await.unwrap_err().code.as_str(), "ek-certificate-of-another");
    let alone = TpmEvidence { ek_certificates: captured.ek_certificates[..1].to_vec(), ..captured.clone() };
    assert_eq!(begin(&alone).await.unwrap_err().code.as_str(), "ek-certificate-chain");
    let not_restricted = TpmEvidence { ak_public: vector("device.pub"), ..captured };
    assert_eq!(begin(&not_restricted).await.unwrap_err().code.as_str(), "ak-attributes");
    assert_eq!(world.stored().await, 0);
}

#[tokio::test]
async fn what_is_replayed_substituted_or_forged_is_refused_and_nothing_is_stored() {
    let world = World::new().await;
    let (mut tpm, mut other) = (SoftTpm::new(), SoftTpm::new());
    world.list(&tpm).await;
    world.list(&other).await;
    let challenge = world.begin(&tpm, "pump-1").await.unwrap();
    let others = world.begin(&other, "pump-2").await.unwrap();
    let good = answer(&mut tpm, "pump-1", &challenge);
    let theirs = answer(&mut other, "pump-2", &others);
    let (old_attested, old_signature) = tpm.certify(&others.nonce);
    let forger = SoftTpm::new();
    let with = |spoil: &dyn Fn(&mut TpmActivation)| {
        let mut spoiled = again(&good);
        spoil(&mut spoiled);
        spoiled
    };
    let cases = [
        (with(&|a| a.secret = SecretBytes::from_vec(vec![0; 32])), ErrorKind::Denied, "credential-wrong"),
        (
            with(&|a| a.secret = SecretBytes::from_vec(theirs.secret.expose().to_vec())),
            ErrorKind::Denied,
            "credential-wrong",
        ),
        (with(&|a| a.device_key = theirs.device_key.clone()), ErrorKind::Denied, "certify-name"),
        (
            with(&|a| (a.attested, a.signature) = (theirs.attested.clone(), theirs.signature.clone())),
            ErrorKind::Denied,
            "attest-signature",
        ),
        // A statement of the right TPM, for another request.
        (
            with(&|a| (a.attested, a.signature) = (old_attested.clone(), old_signature.clone())),
            ErrorKind::Denied,
            "attest-nonce",
        ),
        (
            with(&|a| (a.attested, a.signature) = forger.certify(&challenge.nonce)),
            ErrorKind::Denied,
            "attest-signature",
        ),
        (with(&|a| a.attested[0] ^= 1), ErrorKind::Denied, "attest-signature"),
        (with(&|a| a.attested.truncate(40)), ErrorKind::Invalid, "tpm-truncated"),
        (with(&|a| a.signature.push(0)), ErrorKind::Invalid, "tpm-trailing-bytes"),
        // The attestation key cannot certify itself as the device's: it may not sign a request.
        (with(&|a| a.device_key = tpm.ak_public()), ErrorKind::Invalid, "device-key-attributes"),
        (with(&|a| a.ticket = theirs.ticket.clone()), ErrorKind::Invalid, "ticket-unknown"),
        (with(&|a| a.ticket[20] ^= 1), ErrorKind::Invalid, "ticket-unknown"),
        (with(&|a| a.ticket.clear()), ErrorKind::Invalid, "ticket-unknown"),
        (with(&|a| a.device = "pump-2".parse().unwrap()), ErrorKind::Invalid, "ticket-unknown"),
    ];
    let commits = world.store.commits();
    for (i, (activation, kind, code)) in cases.into_iter().enumerate() {
        let refused = world.finish(activation).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (kind, code), "case {i}: {refused}");
    }
    assert_eq!((world.stored().await, world.store.commits()), (0, commits));
    world.finish(good).await.expect("what none of these did harm to");
}

#[tokio::test]
async fn a_ticket_is_for_its_tenant_its_time_and_the_policy_that_it_was_given_under() {
    let world = World::new().await;
    world.engine.create_tenant(&world.admin, "praxis".parse().unwrap()).await.unwrap();
    let (_, there) = world
        .engine
        .issue_operator(&world.admin, order(Role::Station, Some("praxis"), "line-1"))
        .await
        .unwrap();
    let there = crate::world::caller(there.principal);
    let mut tpm = SoftTpm::new();
    world.list(&tpm).await;
    let challenge = world.begin(&tpm, "pump-1").await.unwrap();
    let good = answer(&mut tpm, "pump-1", &challenge);
    let foreign = world.engine.finish_tpm_enrollment(&there, again(&good)).await.unwrap_err();
    assert_eq!(foreign.code.as_str(), "ticket-unknown");

    world.engine.remove_endorsement_keys(&world.admin, &world.tenant(), &digests(&tpm)).await.unwrap();
    assert_eq!(world.finish(again(&good)).await.unwrap_err().code.as_str(), "key-policy-changed");
    world.list(&tpm).await;
    let policy = KeyPolicy { first_use: true, ..KeyPolicy::default() };
    world.engine.put_key_policy(&world.admin, world.tenant(), policy.clone(), None).await.unwrap();
    assert_eq!(world.finish(again(&good)).await.unwrap_err().code.as_str(), "key-policy-changed");

    let mut later = SoftTpm::new();
    let challenge = world.begin(&later, "pump-2").await.unwrap();
    let in_time = answer(&mut later, "pump-2", &challenge);
    world.clock.pass(600);
    let late = world.finish(again(&in_time)).await.unwrap_err();
    assert_eq!((late.kind(), late.code.as_str()), (ErrorKind::Precondition, "ticket-expired"));
    assert_eq!(world.stored().await, 0);
    assert_eq!(world.engine.get_key_policy(&world.admin, &world.tenant()).await.unwrap().0, policy);
    let all = Page { size: 10, after: None };
    let listed = world.engine.list_endorsement_keys(&world.admin, &world.tenant(), &all).await.unwrap().items;
    assert_eq!(listed.iter().map(|key| key.digest).collect::<BTreeSet<_>>(), digests(&tpm));
}

#[tokio::test]
async fn a_device_has_one_way_to_be_known_and_quota_counts_for_it() {
    let world = World::new().await;
    let mut tpm = SoftTpm::new();
    world.list(&tpm).await;
    world.device("pump-1").await;
    let challenge = world.begin(&tpm, "pump-1").await.unwrap();
    let over = world.finish(answer(&mut tpm, "pump-1", &challenge)).await.unwrap_err();
    assert_eq!(
        (over.kind(), over.code.as_str()),
        (ErrorKind::Exists, "already-enrolled"),
        "it derives its keys"
    );

    let mut tpm = SoftTpm::new();
    world.list(&tpm).await;
    let challenge = world.begin(&tpm, "pump-2").await.unwrap();
    world.finish(answer(&mut tpm, "pump-2", &challenge)).await.unwrap();
    let derived = crate::world::TestDevice::begin(&world.engine, "pump-2");
    let over = world.engine.enroll(&world.station, derived.order()).await.unwrap_err();
    assert_eq!((over.kind(), over.code.as_str()), (ErrorKind::Exists, "already-enrolled"), "it signs");
    let mut other = SoftTpm::new();
    world.list(&other).await;
    let challenge = world.begin(&other, "pump-2").await.unwrap();
    let over = world.finish(answer(&mut other, "pump-2", &challenge)).await.unwrap_err();
    assert_eq!(over.code.as_str(), "already-enrolled", "it signs with another key");

    let reason = "lost".parse().unwrap();
    let revoked = DeviceState::Revoked;
    world.engine.set_device_state(&world.admin, name("klinik", "pump-2"), revoked, reason).await.unwrap();
    let challenge = world.begin(&SoftTpm::new(), "pump-2").await.map(|_| ()).unwrap_err();
    assert_eq!(challenge.code.as_str(), "ek-untrusted");

    let mut small = order(Role::Station, Some("klinik"), "line-2");
    small.quota = 1;
    let (_, small) = world.engine.issue_operator(&world.admin, small).await.unwrap();
    let small = crate::world::caller(small.principal);
    for (id, expected) in [("pump-3", None), ("pump-4", Some("quota-exhausted"))] {
        let mut tpm = SoftTpm::new();
        world.list(&tpm).await;
        let begun = world.engine.begin_tpm_enrollment(&small, &key_order(id), &evidence(&tpm)).await;
        let (challenge, _) = begun.unwrap();
        let activation = answer(&mut tpm, id, &challenge);
        let finished = world.engine.finish_tpm_enrollment(&small, activation).await;
        assert_eq!(finished.err().map(|error| error.code.as_str()), expected);
    }
}
