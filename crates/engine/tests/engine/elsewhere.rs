//! CAs whose keys are in another process, and CAs of every algorithm.

use crate::world::{CRASH_POINTS, START, TestDevice, World, csr, order};
use std::sync::Arc;
use wardein_crypto::{KeyAlgorithm, Signer};
use wardein_domain::{Call, Event, Role, Verdict};
use wardein_engine::{CaKeySource, CaKeys, ErrorCode, InvitationOrder, Page, Subject};
use wardein_pki::verify_device_chain;
use wardein_port::{Store, Table};
use wardein_testkit::{Elsewhere, block_on};

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
    let answer = world.engine.check(&world.platform, Subject::Certificate(chain[0].clone())).await.unwrap();
    assert_eq!(answer.verdict, Verdict::Trusted);
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
