//! Rules that revoke what was issued in a span of time, and issuance, which checks them.

use crate::world::{START, TestDevice, World, caller, csr, name, order};
use wardein_domain::{Event, RevocationReason, Role, Verdict};
use wardein_engine::{ErrorKind, Issued, Page, Subject};

/// The leaf of a fresh certificate.
async fn certify(world: &World, device: &mut TestDevice) -> Vec<u8> {
    let reply = device.prove(&world.engine, "certificate", &csr()).await.unwrap().body;
    let length = u32::from_be_bytes(reply[..4].try_into().unwrap()) as usize;
    reply[4..4 + length].to_vec()
}

impl World {
    pub(crate) async fn verdict(&self, der: &[u8]) -> Verdict {
        self.engine.check(&self.platform, Subject::Certificate(der.to_vec())).await.unwrap().verdict
    }

    async fn revoke(&self, issued: Issued, from: u64, until: u64) {
        let reason = "the key leaked".parse().unwrap();
        self.engine
            .revoke_issued(&self.admin, issued, from..=until, RevocationReason::KeyCompromise, reason)
            .await
            .unwrap();
    }

    /// How many certificates of the tenant are revoked.
    async fn revoked(&self) -> usize {
        let page = Page { size: 100, after: None };
        let found = self.engine.list_certificates(&self.admin, self.tenant(), None, page).await.unwrap();
        found.items.iter().filter(|certificate| certificate.revoked.is_some()).count()
    }
}

#[tokio::test]
async fn a_rule_revokes_what_was_issued_in_its_span_and_nothing_else() {
    for scope in 0..3 {
        let world = World::new().await;
        let (mut one, mut two) = (world.device("pump-1").await, world.device("pump-2").await);
        let early = certify(&world, &mut one).await;
        world.clock.pass(10);
        let (within, other) = (certify(&world, &mut one).await, certify(&world, &mut two).await);
        world.clock.pass(10);
        let late = certify(&world, &mut one).await;
        let issued = match scope {
            0 => Issued::ToDevice(name("klinik", "pump-1")),
            1 => Issued::InTenant(world.tenant()),
            _ => Issued::ByCa(world.engine.issuing_cas()[0].id),
        };
        world.revoke(issued.clone(), START + 5, START + 15).await;
        assert_eq!(world.verdict(&early).await, Verdict::Trusted);
        assert_eq!(world.verdict(&within).await, Verdict::NotTrusted);
        assert_eq!(world.verdict(&late).await, Verdict::Trusted);
        let is_others = scope > 0;
        assert_eq!(world.verdict(&other).await == Verdict::NotTrusted, is_others, "scope {scope}");
        assert_eq!(world.revoked().await, 1 + usize::from(is_others));
        // The same again changes nothing, and is on record once.
        world.revoke(issued, START + 5, START + 15).await;
        assert_eq!(world.entries(Event::CertificateRevoked).await.len(), 1);
    }
}

#[tokio::test]
async fn nothing_is_issued_that_a_rule_revokes_already() {
    for scope in 0..3 {
        let world = World::new().await;
        let issued = match scope {
            0 => Issued::ToDevice(name("klinik", "pump-1")),
            1 => Issued::InTenant(world.tenant()),
            _ => Issued::ByCa(world.engine.issuing_cas()[0].id),
        };
        let mut device = world.device("pump-1").await;
        world.revoke(issued, 0, START + 60).await;
        let refused = device.prove(&world.engine, "certificate", &csr()).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Exhausted, "issuance-revoked"));
        assert_eq!(world.entries(Event::CertificateIssued).await.len(), 0);
        world.clock.pass(61);
        let der = certify(&world, &mut device).await;
        assert_eq!(world.verdict(&der).await, Verdict::Trusted);
    }
}

#[tokio::test]
async fn rules_survive_a_restart_and_a_device_has_one_that_is_widened() {
    let mut world = World::new().await;
    let mut device = world.device("pump-1").await;
    let first = certify(&world, &mut device).await;
    world.clock.pass(100);
    let second = certify(&world, &mut device).await;
    let issued = || Issued::ToDevice(name("klinik", "pump-1"));
    world.revoke(issued(), START + 90, START + 110).await;
    world.revoke(issued(), START, START + 1).await;
    world.restart().await;
    for der in [first, second] {
        assert_eq!(world.verdict(&der).await, Verdict::NotTrusted);
    }
}

#[tokio::test]
async fn who_may_revoke_what() {
    let world = World::new().await;
    world.device("pump-1").await;
    let admin = order(Role::TenantAdmin, Some("klinik"), "boss");
    let admin = caller(world.engine.issue_operator(&world.admin, admin).await.unwrap().1.principal);
    let revoke = async |issued, from, until| {
        let reason = "by chance".parse().unwrap();
        world
            .engine
            .revoke_issued(&admin, issued, from..=until, RevocationReason::KeyCompromise, reason)
            .await
            .map_err(|error| error.code.as_str())
    };
    let ca = world.engine.issuing_cas()[0].id;
    assert_eq!(revoke(Issued::ByCa(ca), 0, 1).await, Err("role-insufficient"));
    assert_eq!(revoke(Issued::InTenant("other".parse().unwrap()), 0, 1).await, Err("tenant-unknown"));
    assert_eq!(revoke(Issued::ToDevice(name("klinik", "pump-9")), 0, 1).await, Err("device-unknown"));
    assert_eq!(revoke(Issued::InTenant(world.tenant()), 2, 1).await, Err("malformed"));
    assert_eq!(revoke(Issued::InTenant(world.tenant()), 0, 1).await, Ok(()));
}
