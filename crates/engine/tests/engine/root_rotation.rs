//! A root that another one replaces: who trusts either verifies what is under both.

use crate::cas::DAY;
use crate::elsewhere::chain;
use crate::storage_keys::restart;
use crate::world::{CRASH_POINTS, TestDevice, World, csr, ports};
use wardein_crypto::KeyAlgorithm;
use wardein_domain::{CaState, Event, Profile, Verdict};
use wardein_engine::{ErrorCode, RootExport, drop_former_root, rotate_root};
use wardein_pki::{CaCertificate, CrlOrder, Root, pem, roots_of, verify_device_chain};
use wardein_port::RootKey;
use wardein_testkit::MemoryCustody;

fn keys() -> Vec<RootKey> {
    MemoryCustody::of(crate::world::ROOT_KEY).root_keys()
}

impl World {
    /// Replaces the root while nobody serves; the new and the former one.
    pub(crate) async fn rotate_root(&mut self, algorithm: KeyAlgorithm) -> [Vec<u8>; 2] {
        let rotated = rotate_root(&ports(&self.store, &self.clock), keys(), algorithm).await.unwrap();
        self.restart().await;
        pem::decode_certificates(&rotated).unwrap().try_into().unwrap()
    }

    async fn drop_former(&self) -> Result<bool, ErrorCode> {
        drop_former_root(&ports(&self.store, &self.clock), keys()).await.map_err(|error| error.code)
    }

    async fn certified(&self, device: &mut TestDevice) -> Vec<Vec<u8>> {
        chain(&device.prove(&self.engine, "certificate", &csr()).await.unwrap().body)
    }
}

fn is_verified(chain: &[Vec<u8>], root: &[u8]) -> bool {
    let chain: Vec<_> = chain.iter().map(Vec::as_slice).collect();
    verify_device_chain(&chain, &[root]).is_ok()
}

fn parse(der: &[u8]) -> CaCertificate<Root> {
    CaCertificate::parse(der).unwrap()
}

#[tokio::test]
async fn who_trusts_either_root_verifies_what_is_under_both() {
    for algorithm in [KeyAlgorithm::P384, KeyAlgorithm::Rsa3072] {
        let mut world = World::new().await;
        let (mut device, mut asleep) = (world.device("pump-1").await, world.device("pump-2").await);
        let before = world.certified(&mut device).await;
        let slept = world.certified(&mut asleep).await;
        let first = world.engine.issuing_cas().remove(0);
        let old = world.bundle().remove(0);
        world.clock.pass(1);
        let [new, former] = world.rotate_root(algorithm).await;
        assert_eq!(former, old);
        assert_eq!(parse(&new).verifying_key().algorithm(), algorithm.signature());
        assert_eq!(world.bundle()[..2], [new.clone(), old.clone()]);
        let roots = roots_of(&world.engine.trust_bundle().pem).unwrap();
        assert_eq!(pem::decode_certificates(&roots).unwrap(), [new.clone(), old.clone()]);

        assert_eq!(world.engine.spiffe_bundle().matches("\"kty\"").count(), 2);

        // What was issued before is as good as it was; with what is handed out now it leads to the new root as well.
        assert!(is_verified(&before, &old) && !is_verified(&before, &new));
        let under_old = world.certified(&mut device).await;
        assert_eq!(under_old[1], first.der);
        world.clock.pass(1);
        let next = world.make(None, true).await;
        world.engine.switch_ca(&world.admin, next.id).await.unwrap();
        let under_new = world.certified(&mut device).await;
        assert_eq!(under_new[1], next.der);
        for chain in [&under_old, &under_new] {
            assert_eq!(chain.len(), 3);
            assert!(is_verified(chain, &old) && is_verified(chain, &new));
            assert_eq!(world.verdict(&chain[0]).await, Verdict::Trusted);
        }
        assert!(
            !is_verified(&under_old[..2], &new) && !is_verified(&under_new[..2], &old),
            "by the link alone"
        );
        let mixed = [&under_new[..2], &under_old[2..]].concat();
        assert!(!is_verified(&mixed, &old), "and by the right one");
        let other = World::new().await.bundle().remove(0);
        assert!(!is_verified(&under_new, &other) && !is_verified(&under_old, &other));

        // The server and the operators of before.
        let server = world.engine.issue_server_identity(&["localhost".parse().unwrap()]).await.unwrap();
        assert_eq!(server.chain.len(), 3);

        // Lists of both roots, of which the former's is good as long as it.
        world.engine.publish_crls().await.unwrap();
        let former_list = world.engine.crl(parse(&old).key_id()).unwrap();
        assert!(world.engine.has_crl(parse(&old).key_id()));
        assert_eq!(former_list.next_update, parse(&old).validity().not_after());
        let bundle = String::from_utf8(world.engine.crl_bundle().unwrap().bytes.clone()).unwrap();
        assert_eq!(bundle.matches("-----BEGIN X509 CRL-----").count(), 4);
        assert!(CrlOrder::read(&world.engine.root_crl().unwrap().bytes).is_some());

        // The end: not before the CA under the former root is retired.
        let again = rotate_root(&ports(&world.store, &world.clock), keys(), algorithm).await.unwrap_err();
        assert_eq!(again.code, ErrorCode::RootRotating);
        assert_eq!(world.drop_former().await, Err(ErrorCode::RootRotating));
        world.clock.pass(Profile::MAX_CERTIFICATE_VALIDITY + 1);
        world.engine.retire_ca(&world.admin, first.id).await.unwrap();
        assert_eq!(world.drop_former().await, Ok(true));
        assert_eq!(world.drop_former().await, Ok(false));
        world.restart().await;
        assert_eq!(world.bundle(), [new.clone(), next.der.clone()]);
        assert_eq!(world.engine.spiffe_bundle().matches("\"kty\"").count(), 1);
        assert_eq!(world.verdict(&slept[0]).await, Verdict::NotTrusted, "expired");
        let woken = world.certified(&mut asleep).await;
        assert!(woken.len() == 2 && is_verified(&woken, &new));
        assert!(!world.engine.has_crl(parse(&old).key_id()));
        let said = async |event| world.entries(event).await.len();
        assert_eq!([said(Event::RootRotated).await, said(Event::FormerRootDropped).await], [1, 1]);
    }
}

/// Its new key is sealed and its former one gone, so that it can be exported, and makes CAs.
#[tokio::test]
async fn a_root_that_was_rotated_signs_with_its_new_key() {
    let mut world = World::new().await;
    let [new, _] = world.rotate_root(KeyAlgorithm::P256).await;
    let made = world.make(Some("klinik"), false).await;
    assert_eq!(wardein_pki::issuer_key_id(&made.der).unwrap(), *parse(&new).key_id());
    let export = RootExport::begin(&ports(&world.store, &world.clock), keys(), 365 * DAY).await.unwrap();
    assert_eq!(pem::decode_certificates(&export.certificate_pem).unwrap(), [new]);
    export.finish(&ports(&world.store, &world.clock)).await.unwrap();
    let refused = rotate_root(&ports(&world.store, &world.clock), keys(), KeyAlgorithm::P256).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::RootUnavailable);
}

#[tokio::test]
async fn a_crash_while_the_root_is_rotated_leaves_no_half() {
    for point in CRASH_POINTS {
        let mut world = World::new().await;
        let mut device = world.device("pump-1").await;
        let old = world.bundle().remove(0);
        world.store.crash_at(0, point);
        drop(rotate_root(&ports(&world.store, &world.clock), keys(), KeyAlgorithm::P256).await);
        world.restart().await;
        let roots = roots_of(&world.engine.trust_bundle().pem).unwrap();
        let count = pem::decode_certificates(&roots).unwrap().len();
        let chain = world.certified(&mut device).await;
        assert_eq!(chain.len(), 1 + count, "{point:?}");
        assert!(is_verified(&chain, &old));
        assert_eq!(world.engine.issuing_cas()[0].state, CaState::Active);
    }
}

/// Who takes the bundle only where its number rose would otherwise go on with a root that was dropped (SPIFFE Trust Domain and Bundle §4.1.1).
#[tokio::test]
async fn the_number_of_spiffes_bundle_rises_with_each_change_and_with_no_other() {
    let (mut world, custody) = World::with_custody().await;
    let sequence = |world: &World| -> u64 {
        let bundle = world.engine.spiffe_bundle();
        let (_, rest) = bundle.split_once("\"spiffe_sequence\":").unwrap();
        rest.split_once(',').unwrap().0.parse().unwrap()
    };
    let founded = sequence(&world);
    let first = world.engine.issuing_cas().remove(0);
    world.rotate_root(KeyAlgorithm::P256).await;
    let rotated = sequence(&world);
    assert!(rotated > founded, "{rotated}, {founded}");
    world.clock.pass(1);
    let next = world.make(None, true).await;
    world.engine.switch_ca(&world.admin, next.id).await.unwrap();
    world.clock.pass(Profile::MAX_CERTIFICATE_VALIDITY + 1);
    world.engine.retire_ca(&world.admin, first.id).await.unwrap();
    world.restart().await;
    assert_eq!(sequence(&world), rotated, "CAs are not in it");
    restart(&mut world, &custody).await;
    let backup = world.backup().await;
    assert_eq!(world.drop_former().await, Ok(true));
    world.restart().await;
    let dropped = sequence(&world);
    assert!(dropped > rotated, "{dropped}, {rotated}");
    // In the same second.
    world.rotate_root(KeyAlgorithm::P256).await;
    let again = sequence(&world);
    assert!(again > dropped, "{again}, {dropped}");
    world.clock.pass(60);
    let restored = world.restored(&backup, &custody).await;
    assert!(sequence(&restored) > again, "what was dropped is back");
}
