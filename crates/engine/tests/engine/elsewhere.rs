//! CAs whose keys are in another process, and CAs of every algorithm.

use crate::world::{CRASH_POINTS, START, TestDevice, World, csr, order};
use std::sync::{Arc, Mutex};
use std::thread;
use wardein_crypto::{Digest, KeyAlgorithm, Signer};
use wardein_domain::{CaState, Call, Event, Fingerprint, Role, Verdict};
use wardein_engine::{CaKeySource, CaKeys, ErrorCode, InvitationOrder, Page, Ports, Subject, rotate_root};
use wardein_pki::verify_device_chain;
use wardein_port::{Signers, Store, Table};
use wardein_testkit::{Elsewhere, KeysElsewhere, block_on};

/// An authority whose issuing and infrastructure CA have one key, in another process.
async fn world(signer: &Arc<Elsewhere>) -> World {
    let source = || CaKeySource::Elsewhere(signer.clone());
    let keys = CaKeys { issuing: source(), infrastructure: source(), ..CaKeys::default() };
    World::founded(keys, vec![signer.clone()]).await
}

/// The certificates of a reply, leaf first.
pub(crate) fn chain(mut reply: &[u8]) -> Vec<Vec<u8>> {
    let mut chain = Vec::new();
    while let Some((length, rest)) = reply.split_first_chunk() {
        let (der, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        chain.push(der.to_vec());
        reply = rest;
    }
    chain
}

impl World {
    async fn prepared(&self) -> usize {
        self.store.scan(Table::Prepared, b"", None, 100).await.unwrap().len()
    }

    async fn certificates(&self) -> usize {
        let page = Page { size: 100, after: None };
        self.engine.list_certificates(&self.admin, self.tenant(), None, page).await.unwrap().items.len()
    }

    pub(crate) async fn sweep(&self) {
        let mut sweep = self.engine.begin_sweep(None, None).await.unwrap();
        while !self.engine.sweep_some(&mut sweep, 100).await.unwrap().is_done {}
    }

    async fn certify(&self, device: &mut TestDevice) -> Result<Vec<Vec<u8>>, ErrorCode> {
        let reply = device.prove(&self.engine, "certificate", &csr()).await.map_err(|error| error.code)?;
        Ok(chain(&reply.body))
    }
}

#[tokio::test]
async fn a_signer_elsewhere_is_given_only_what_is_durably_on_record() {
    let signer = Elsewhere::new(KeyAlgorithm::P384);
    let world = world(&signer).await;
    let mut device = world.device("pump-1").await;
    let store = world.store.clone();
    signer.before(move |tbs| {
        let rows = block_on(store.scan(Table::Prepared, b"", None, 100)).unwrap();
        assert!(rows.iter().any(|(_, row)| row.value.ends_with(tbs)), "not on record");
    });
    let before = signer.given().len();
    let chain = world.certify(&mut device).await.unwrap();
    world.engine.issue_operator(&world.admin, order(Role::Platform, Some("klinik"), "iot-2")).await.unwrap();
    let names = ["localhost".parse().unwrap()];
    world.engine.issue_server_identity(&names).await.unwrap();
    assert_eq!(signer.given().len(), before + 3);
    assert_eq!(world.prepared().await, 0, "all is complete");
    let fingerprint = Fingerprint::of_digest(Digest::of(&chain[0]).0);
    for subject in [Subject::Certificate(chain[0].clone()), Subject::Fingerprint(fingerprint)] {
        assert_eq!(world.engine.check(&world.platform, subject).await.unwrap().verdict, Verdict::Trusted);
    }
    assert_eq!(world.entries(Event::CertificatePrepared).await.len(), 1);
    assert_eq!(world.entries(Event::CertificateIssued).await.len(), 1);
}

#[tokio::test]
async fn a_crash_between_record_and_certificate_costs_the_device_another_proof() {
    for nth in 0..2 {
        for point in CRASH_POINTS {
            let signer = Elsewhere::new(KeyAlgorithm::P256);
            let mut world = world(&signer).await;
            let mut device = world.device("pump-1").await;
            let signed = signer.given().len();
            world.store.crash_at(nth, point);
            assert!(world.certify(&mut device).await.is_err(), "commit {nth}, {point:?}");
            world.restart().await;
            let case = format!("commit {nth}, {point:?}");
            let is_recorded = (nth, point) != (0, CRASH_POINTS[0]);
            assert_eq!(signer.given().len() - signed, usize::from(nth == 1), "{case}");
            let is_complete = nth == 1 && point != CRASH_POINTS[0];
            assert_eq!(world.certificates().await, usize::from(is_complete), "{case}");
            assert_eq!(world.prepared().await, usize::from(is_recorded && !is_complete), "{case}");
            // Another process may be at it, until no call can be under way any more.
            world.sweep().await;
            assert_eq!(world.prepared().await, usize::from(is_recorded && !is_complete), "{case}");
            world.clock.pass(601);
            world.sweep().await;
            assert_eq!(world.prepared().await, 0, "{case}");
            let abandoned = usize::from(is_recorded && !is_complete);
            assert_eq!(world.entries(Event::CertificateAbandoned).await.len(), abandoned, "{case}");
            let revoked = world.store.scan(Table::Revocation, b"c", None, 100).await.unwrap();
            assert_eq!(revoked.len(), abandoned, "{case}");
            world.certify(&mut device).await.unwrap();
            assert_eq!(world.certificates().await, 1 + usize::from(is_complete), "{case}");
        }
    }
}

#[tokio::test]
async fn a_signer_that_is_down_refuses_certificates_and_nothing_else() {
    let signer = Elsewhere::new(KeyAlgorithm::P256);
    let world = world(&signer).await;
    let mut device = world.device("pump-1").await;
    signer.set_down(true);
    assert_eq!(world.certify(&mut device).await, Err(ErrorCode::SignerUnavailable));
    let asked = order(Role::Platform, Some("klinik"), "iot-2");
    let refused = world.engine.issue_operator(&world.admin, asked).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::SignerUnavailable);
    assert_eq!((world.prepared().await, world.certificates().await), (0, 0));
    assert_eq!(world.entries(Event::CertificateAbandoned).await.len(), 2);
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    signer.set_down(false);
    world.certify(&mut device).await.unwrap();
    // The name is free: its holder was never certified.
    world.engine.issue_operator(&world.admin, order(Role::Platform, Some("klinik"), "iot-2")).await.unwrap();
}

#[tokio::test]
async fn a_root_elsewhere_founds_and_is_not_needed_after() {
    let root = Elsewhere::new(KeyAlgorithm::P384);
    let keys = CaKeys { root: CaKeySource::Elsewhere(root.clone()), ..CaKeys::default() };
    let mut world = World::founded(keys, Vec::new()).await;
    assert_eq!((root.given().len(), world.prepared().await), (3, 0));
    world.restart().await;
    let mut device = world.device("pump-1").await;
    world.certify(&mut device).await.unwrap();
}

#[tokio::test]
async fn every_algorithm_certifies() {
    for algorithm in KeyAlgorithm::ALL {
        let made = || CaKeySource::Made(algorithm);
        let keys = CaKeys { root: made(), issuing: made(), infrastructure: made(), devices_serve: false };
        let mut world = World::founded(keys, Vec::new()).await;
        world.restart().await;
        let mut device = world.device("pump-1").await;
        let chain = world.certify(&mut device).await.unwrap();
        let bundle = wardein_pki::pem::decode_certificates(&world.engine.trust_bundle().pem).unwrap();
        let ders: Vec<_> = chain.iter().map(Vec::as_slice).collect();
        let (identity, _) = verify_device_chain(&ders, &[bundle[0].as_slice()]).unwrap();
        assert!(
            identity.validity.is_within(wardein_pki::Validity::starting(START - 600, 400 * 86_400).unwrap())
        );
        let answer = world.engine.check(&world.platform, Subject::Certificate(chain[0].clone())).await;
        assert_eq!(answer.unwrap().verdict, Verdict::Trusted, "{}", algorithm.name());
    }
}

#[tokio::test]
async fn an_authority_without_the_signer_of_its_ca_does_not_open() {
    let signer = Elsewhere::new(KeyAlgorithm::P256);
    let found = world(&signer).await;
    let other: Arc<dyn Signer> = Elsewhere::new(KeyAlgorithm::P256);
    let refused = found.reopened(vec![other]).await.err().unwrap();
    assert!(refused.message.contains("no signer has it"), "{}", refused.message);
}

#[tokio::test]
async fn an_operator_that_is_certified_elsewhere_is_answered_again_too() {
    let signer = Elsewhere::new(KeyAlgorithm::P384);
    let world = world(&signer).await;
    let billing = order(Role::Platform, Some("klinik"), "billing");
    let first = world.engine.issue_operator(&world.admin, billing.clone()).await.unwrap();
    let signed = signer.given().len();
    assert_eq!(world.engine.issue_operator(&world.admin, billing.clone()).await.unwrap(), first);
    assert_eq!(signer.given().len(), signed, "nothing is signed twice");
    // What was not signed is not answered: it is given up, and the same order completes.
    signer.set_down(true);
    let late = order(Role::Platform, Some("klinik"), "late");
    let refused = world.engine.issue_operator(&world.admin, late.clone()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::SignerUnavailable);
    signer.set_down(false);
    let (_, operator) = world.engine.issue_operator(&world.admin, late).await.unwrap();
    world.engine.authenticate(&operator.principal).await.unwrap();
}

/// What was not signed has used nothing up: the same token with the same key completes.
#[tokio::test]
async fn an_invitation_whose_certificate_was_not_signed_is_good_still() {
    let signer = Elsewhere::new(KeyAlgorithm::P256);
    let world = world(&signer).await;
    let (tenant, name) = (Some(world.tenant()), "late".parse().unwrap());
    let order =
        InvitationOrder { role: Role::Platform, tenant, name, validity: 86_400, quota: 0, lifetime: 3_600 };
    let token = world.engine.invite_operator(&world.admin, order).await.unwrap().token;
    let redeem =
        async |csr: &[u8]| world.engine.redeem_invitation(&Call::new("redeemed"), token.expose(), csr).await;
    let request = csr();
    signer.set_down(true);
    assert_eq!(redeem(&request).await.unwrap_err().code, ErrorCode::SignerUnavailable);
    signer.set_down(false);
    assert_eq!(redeem(&csr()).await.unwrap_err().code, ErrorCode::InvitationInvalid, "another key");
    let (_, operator) = redeem(&request).await.unwrap();
    world.engine.authenticate(&operator.principal).await.unwrap();
}

#[tokio::test]
async fn keys_of_new_cas_are_made_elsewhere_where_that_is_set() {
    let keys = Arc::new(KeysElsewhere::default());
    let mut world = World::founded_by(CaKeys::default(), keys.clone()).await;
    let mut device = world.device("pump-1").await;
    let founded = world.engine.issuing_cas().remove(0);
    let next = world.make(None, true).await;
    let [made] = &keys.keys()[..] else { panic!("one key") };
    assert_eq!(world.chain_of(&mut device).await[1], founded.der);
    assert_eq!(made.given().len(), 0);
    world.engine.switch_ca(&world.admin, next.id).await.unwrap();
    world.restart().await;
    assert_eq!(world.chain_of(&mut device).await[1], next.der);
    assert_eq!(made.given().len(), 1);
    assert_eq!(world.engine.cas_without_key(), []);

    // The one that follows a distrusted one is made there, too, in a change of its own.
    let done = world.engine.distrust_ca(&world.admin, next.id, "it leaked".parse().unwrap()).await.unwrap();
    assert_eq!(world.chain_of(&mut device).await[1], done.successor.unwrap().der);
    assert_eq!(keys.keys().len(), 2);
}

/// A key in a token stays there until somebody removes it: none is made that no CA comes of.
#[tokio::test]
async fn no_key_is_made_elsewhere_that_no_ca_comes_of() {
    let (keys, root) = (Arc::new(KeysElsewhere::default()), Elsewhere::new(KeyAlgorithm::P256));
    // The root's key is in another process than those of new CAs, and out of reach.
    let ca_keys = CaKeys { root: CaKeySource::Elsewhere(root), ..CaKeys::default() };
    let world = World::founded_by(ca_keys, keys.clone()).await;
    let refused = world.engine.create_ca(&world.admin, crate::cas::of(None, true)).await.unwrap_err();
    assert_eq!((refused.code, keys.keys().len()), (ErrorCode::RootUnavailable, 0));

    let world = World::founded_by(CaKeys::default(), keys.clone()).await;
    keys.set_full(true);
    let refused = world.engine.create_ca(&world.admin, crate::cas::of(None, true)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::SignerUnavailable);
    assert!(refused.message.contains("it is full"), "{}", refused.message);
    keys.set_full(false);
    // A root in the same store, which does not sign.
    let root = keys.make(KeyAlgorithm::P256).unwrap();
    let ca_keys = CaKeys { root: CaKeySource::Elsewhere(root), ..CaKeys::default() };
    let world = World::founded_by(ca_keys, keys.clone()).await;
    keys.keys()[0].set_down(true);
    let refused = world.engine.create_ca(&world.admin, crate::cas::of(None, true)).await.unwrap_err();
    assert_eq!((refused.code, keys.keys().len()), (ErrorCode::SignerUnavailable, 1));
    keys.keys()[0].set_down(false);
    world.make(None, true).await;
    assert_eq!(keys.keys().len(), 2);
}

#[tokio::test]
async fn a_ca_whose_key_is_gone_signs_nothing_and_is_followed_by_another() {
    let signer = Elsewhere::new(KeyAlgorithm::P256);
    let keys = CaKeys { issuing: CaKeySource::Elsewhere(signer.clone()), ..CaKeys::default() };
    let mut world = World::founded(keys, vec![signer]).await;
    let mut device = world.device("pump-1").await;
    let before = world.certify(&mut device).await.unwrap();
    let lost = world.engine.issuing_cas().remove(0);
    world.signers = Arc::new(Vec::new());
    world.restart().await;
    assert_eq!(world.engine.cas_without_key(), [lost.id]);
    assert_eq!(world.certify(&mut device).await, Err(ErrorCode::SignerUnavailable));
    let answer = world.engine.check(&world.platform, Subject::Certificate(before[0].clone())).await.unwrap();
    assert_eq!(answer.verdict, Verdict::Trusted);
    let next = world.make(None, true).await;
    world.engine.switch_ca(&world.admin, next.id).await.unwrap();
    assert_eq!(world.certify(&mut device).await.unwrap()[1], next.der);
    let done = world.engine.distrust_ca(&world.admin, lost.id, "it is lost".parse().unwrap()).await.unwrap();
    assert_eq!(done.ca.state, CaState::Distrusted);
}

#[tokio::test]
async fn a_key_that_another_node_made_is_looked_for_when_it_is_to_sign() {
    let keys = Arc::new(KeysElsewhere::default());
    let mut world = World::founded_by(CaKeys::default(), keys.clone()).await;
    let mut device = world.device("pump-1").await;
    let next = world.make(None, true).await;
    world.engine.switch_ca(&world.admin, next.id).await.unwrap();
    keys.forget();
    world.restart().await;
    assert_eq!(world.engine.cas_without_key(), [next.id], "not known");
    assert_eq!(world.certify(&mut device).await.unwrap()[1], next.der);
}

#[tokio::test]
async fn a_root_elsewhere_is_followed_by_one_that_is_made_there() {
    let keys = Arc::new(KeysElsewhere::default());
    let root = keys.make(KeyAlgorithm::P256).unwrap();
    let ca_keys = CaKeys { root: CaKeySource::Elsewhere(root), ..CaKeys::default() };
    let mut world = World::founded_by(ca_keys, keys.clone()).await;
    let mut device = world.device("pump-1").await;
    let old = world.bundle().remove(0);
    world.clock.pass(1);
    let ports = Ports { signers: keys.clone(), ..crate::world::ports(&world.store, &world.clock) };
    let root_keys = || wardein_testkit::MemoryCustody::of(crate::world::ROOT_KEY).root_keys();
    let Err(refused) = wardein_engine::RootExport::begin(&ports, root_keys(), 30 * 86_400).await else {
        panic!("it left");
    };
    assert!(refused.message.contains("never leaves"), "{}", refused.message);
    let (store, recorded) = (world.store.clone(), Arc::new(Mutex::new(Vec::new())));
    let seen = recorded.clone();
    keys.keys()[0].before(move |tbs| {
        let look = || block_on(store.scan(Table::Prepared, b"", None, 100)).unwrap();
        let rows = thread::scope(|scope| scope.spawn(look).join().unwrap());
        seen.lock().unwrap().push(rows.iter().any(|(_, row)| row.value.ends_with(tbs)));
    });
    // What does not sign leaves no key behind.
    keys.keys()[0].set_down(true);
    rotate_root(&ports, root_keys(), KeyAlgorithm::P384).await.unwrap_err();
    assert_eq!(keys.keys().len(), 1);
    keys.keys()[0].set_down(false);
    rotate_root(&ports, root_keys(), KeyAlgorithm::P384).await.unwrap();
    assert_eq!(keys.keys().len(), 2);
    // The new root under the old one, twice, and the old one's last list, which is not a certificate.
    assert_eq!(*recorded.lock().unwrap(), [true, true, false]);
    world.restart().await;
    assert_eq!(world.bundle()[1], old);
    world.clock.pass(1);
    let next = world.make(None, true).await;
    world.engine.switch_ca(&world.admin, next.id).await.unwrap();
    let chain = world.certify(&mut device).await.unwrap();
    let ders: Vec<_> = chain.iter().map(Vec::as_slice).collect();
    for root in [&world.bundle()[0], &old] {
        verify_device_chain(&ders, &[root.as_slice()]).unwrap();
    }
}
