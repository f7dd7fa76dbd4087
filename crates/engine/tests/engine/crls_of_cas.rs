//! Revocation lists where there are several CAs: each has its own, until all that it issued has expired.

use crate::world::World;
use wardein_domain::{CaId, RevocationReason, Serial};
use wardein_engine::{Ca, ErrorCode, Page};
use wardein_pki::{CaCertificate, CrlOrder, Issuing};

impl World {
    /// Who is on the list of a CA, as it is after what is due was made; `None` where it has none.
    async fn on_list_of(&self, ca: CaId) -> Option<Vec<Serial>> {
        self.engine.publish_crls().await.unwrap();
        let file = self.engine.crl(ca.as_bytes())?;
        Some(self.serials(&file.bytes))
    }

    async fn on_the_roots_list(&self) -> Vec<Serial> {
        self.engine.publish_crls().await.unwrap();
        self.serials(&self.engine.root_crl().unwrap().bytes)
    }

    fn serials(&self, list: &[u8]) -> Vec<Serial> {
        let revoked = CrlOrder::read(list).unwrap().revoked;
        assert!(revoked.iter().all(|revoked| revoked.reason == RevocationReason::KeyCompromise));
        revoked.iter().map(|revoked| revoked.serial).collect()
    }

    async fn certified_serials(&self) -> Vec<Serial> {
        let page = Page { size: 100, after: None };
        let listed = self.engine.list_certificates(&self.admin, self.tenant(), None, page).await.unwrap();
        let mut serials: Vec<_> = listed.items.iter().map(|certificate| certificate.serial).collect();
        serials.sort_unstable();
        serials
    }

    /// How many lists are in the file of all.
    fn lists(&self) -> usize {
        self.engine.crl_bundle().unwrap().tag.split('-').count()
    }
}

fn serial(ca: &Ca) -> Serial {
    CaCertificate::<Issuing>::parse(&ca.der).unwrap().serial()
}

#[tokio::test]
async fn a_distrusted_ca_is_on_the_roots_list_and_all_that_it_issued_on_its_own() {
    let mut world = World::new().await;
    let shared = world.engine.issuing_cas().remove(0);
    let own = world.make(Some("klinik"), false).await;
    let (mut one, mut two) = (world.device("pump-1").await, world.device("pump-2").await);
    world.chain_of(&mut one).await;
    world.chain_of(&mut two).await;
    let issued = world.certified_serials().await;
    assert_eq!(world.on_list_of(own.id).await, Some(vec![]));
    assert_eq!(world.on_the_roots_list().await, []);
    world.clock.pass(10);
    let reason = "its key leaked".parse().unwrap();
    let successor = world.engine.distrust_ca(&world.admin, own.id, reason).await.unwrap().successor.unwrap();
    for _ in 0..2 {
        assert_eq!(world.on_list_of(own.id).await, Some(issued.clone()));
        assert_eq!(world.on_the_roots_list().await, [serial(&own)]);
        world.chain_of(&mut one).await;
        for good in [&shared, &successor] {
            assert_eq!(world.on_list_of(good.id).await, Some(vec![]));
        }
        assert_eq!(world.lists(), 4, "the root's, too");
        world.restart().await;
    }
}

#[tokio::test]
async fn a_retired_ca_has_no_list_and_holds_up_no_other() {
    let world = World::new().await;
    let next = world.make(None, true).await;
    assert_eq!(world.on_list_of(next.id).await, Some(vec![]));
    assert!(world.engine.has_crl(next.id.as_bytes()));
    assert_eq!(world.lists(), 3);
    world.engine.retire_ca(&world.admin, next.id).await.unwrap();
    assert_eq!(world.on_list_of(next.id).await, None);
    assert!(!world.engine.has_crl(next.id.as_bytes()));
    assert_eq!(world.lists(), 2);
    // Its last list would have ended by then.
    world.clock.pass(8 * 86_400);
    world.engine.publish_crls().await.unwrap();
    assert!(!world.engine.crl_status().is_overdue());
}

/// Its key is gone here, and may be in a backup.
#[tokio::test]
async fn a_retired_ca_that_is_distrusted_is_on_the_roots_list_and_holds_up_no_other() {
    let world = World::new().await;
    let next = world.make(None, true).await;
    world.engine.retire_ca(&world.admin, next.id).await.unwrap();
    let reason = "a backup was stolen".parse().unwrap();
    world.engine.distrust_ca(&world.admin, next.id, reason).await.unwrap();
    for _ in 0..2 {
        world.engine.publish_crls().await.unwrap();
        assert_eq!(world.on_the_roots_list().await.len(), 1);
        assert_eq!(world.lists(), 2);
        assert!(!world.engine.crl_status().is_overdue());
        // The lists of before would have ended by then.
        world.clock.pass(8 * 86_400);
    }
}

#[tokio::test]
async fn a_rule_by_ca_revokes_what_that_one_issued() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    let shared = world.engine.issuing_cas().remove(0);
    world.chain_of(&mut device).await;
    let by_shared = world.certified_serials().await;
    let own = world.make(Some("klinik"), false).await;
    world.chain_of(&mut device).await;
    let revoke = async |id: CaId| {
        let (issued, code) = (wardein_engine::Issued::ByCa(id), RevocationReason::KeyCompromise);
        let reason = "its key leaked".parse().unwrap();
        world.engine.revoke_issued(&world.admin, issued, 0..=world.engine.now(), code, reason).await
    };
    let unknown = "0".repeat(40).parse().unwrap();
    assert_eq!(revoke(unknown).await.unwrap_err().code, ErrorCode::CaUnknown);
    revoke(shared.id).await.unwrap();
    assert_eq!(world.on_list_of(shared.id).await, Some(by_shared));
    assert_eq!(world.on_list_of(own.id).await, Some(vec![]));
    assert_eq!(world.on_the_roots_list().await, [], "the CA itself is good");
}
