//! CAs of devices that follow one another, while devices go on and some sleep; and one whose key leaked.

use crate::elsewhere::chain;
use crate::world::{CRASH_POINTS, START, TestDevice, World, caller, csr, open_under, order};
use std::sync::Arc;
use wardein_crypto::KeyAlgorithm;
use wardein_domain::{CaState, Event, Profile, Role, TenantId, Verdict};
use wardein_engine::{Ca, CaKeySource, CaKeys, CaOrder, ErrorCode, Page};
use wardein_pki::{pem, verify_device_chain};
use wardein_port::Store;
use wardein_testkit::Elsewhere;

pub(crate) const DAY: u64 = 86_400;

pub(crate) fn of(tenant: Option<&str>, is_next: bool) -> CaOrder {
    let tenant = tenant.map(|tenant| tenant.parse().unwrap());
    CaOrder { tenant, algorithm: KeyAlgorithm::P256, is_next }
}

impl World {
    pub(crate) async fn make(&self, tenant: Option<&str>, is_next: bool) -> Ca {
        // Those of one second are in no order of time.
        self.clock.pass(1);
        self.engine.create_ca(&self.admin, of(tenant, is_next)).await.unwrap()
    }

    /// The chain of a fresh certificate of a device, which the root alone verifies.
    pub(crate) async fn chain_of(&self, device: &mut TestDevice) -> Vec<Vec<u8>> {
        let chain = chain(&device.prove(&self.engine, "certificate", &csr()).await.unwrap().body);
        let root = self.bundle().remove(0);
        let ders: Vec<_> = chain.iter().map(Vec::as_slice).collect();
        verify_device_chain(&ders, &[root.as_slice()]).unwrap();
        chain
    }

    pub(crate) fn bundle(&self) -> Vec<Vec<u8>> {
        pem::decode_certificates(&self.engine.trust_bundle().pem).unwrap()
    }

    fn ca_state(&self, ca: &Ca) -> CaState {
        self.engine.issuing_cas().into_iter().find(|found| found.id == ca.id).unwrap().state
    }
}

#[tokio::test]
async fn a_tenants_ca_certifies_its_devices_and_no_others() {
    for algorithm in [KeyAlgorithm::P384, KeyAlgorithm::Rsa3072] {
        let mut world = World::new().await;
        world.engine.create_tenant(&world.admin, "lab".parse().unwrap()).await.unwrap();
        let mut device = world.device("pump-1").await;
        let founded = world.engine.issuing_cas().remove(0);
        assert_eq!(world.chain_of(&mut device).await[1], founded.der);
        world.clock.pass(1);
        let order = CaOrder { algorithm, ..of(Some("klinik"), false) };
        let own = world.engine.create_ca(&world.admin, order).await.unwrap();
        assert_eq!((own.state, own.algorithm), (CaState::Active, algorithm));
        let chain = world.chain_of(&mut device).await;
        assert_eq!(chain[1], own.der);
        assert_eq!(world.verdict(&chain[0]).await, Verdict::Trusted);
        world.restart().await;
        assert_eq!(world.chain_of(&mut device).await[1], own.der);
        let lab: TenantId = "lab".parse().unwrap();
        assert_eq!(world.bundle()[1..], [founded.der.clone(), own.der.clone()]);
        // Devices have those of their own tenant.
        let reply = device.prove(&world.engine, "trust-bundle", b"").await.unwrap().body;
        assert_eq!(reply, world.engine.trust_bundle().pem.as_bytes());
        let page = Page { size: 100, after: None };
        let seen = world.engine.list_cas(&world.admin, Some(&lab), &page).unwrap().items;
        assert_eq!(seen, [founded]);
    }
}

#[tokio::test]
async fn a_ca_is_published_ahead_switched_to_and_retired_and_a_device_that_slept_goes_on() {
    let world = World::new().await;
    let (mut device, mut asleep) = (world.device("pump-1").await, world.device("pump-2").await);
    let first = world.engine.issuing_cas().remove(0);
    let (old, slept) = (world.chain_of(&mut device).await, world.chain_of(&mut asleep).await);
    let next = world.make(None, true).await;
    assert_ne!(next.id, first.id);
    assert_eq!(world.bundle()[1..], [first.der.clone(), next.der.clone()], "published ahead");
    assert_eq!(world.chain_of(&mut device).await[1], first.der, "it does not issue yet");
    world.clock.pass(30 * DAY);
    let late = world.chain_of(&mut device).await;
    world.engine.switch_ca(&world.admin, next.id).await.unwrap();
    assert_eq!((world.ca_state(&first), world.ca_state(&next)), (CaState::Retiring, CaState::Active));
    let new = world.chain_of(&mut device).await;
    assert_eq!(new[1], next.der);
    for leaf in [&late[0], &new[0]] {
        assert_eq!(world.verdict(leaf).await, Verdict::Trusted, "both are good in the overlap");
    }
    let early = world.engine.retire_ca(&world.admin, first.id).await.unwrap_err();
    assert_eq!(early.code, ErrorCode::CaState);
    world.clock.pass(Profile::MAX_CERTIFICATE_VALIDITY);
    let early = world.engine.retire_ca(&world.admin, first.id).await.unwrap_err();
    assert_eq!(early.code, ErrorCode::CaState, "the last second of the longest certificate");
    world.clock.pass(1);
    world.engine.retire_ca(&world.admin, first.id).await.unwrap();
    assert_eq!(world.bundle()[1..], *std::slice::from_ref(&next.der));
    // What it issued is read as expired still, and not as unknown.
    for leaf in [&old[0], &slept[0]] {
        assert_eq!(world.verdict(leaf).await, Verdict::NotTrusted);
    }
    world.clock.pass(200 * DAY);
    let woken = world.chain_of(&mut asleep).await;
    assert_eq!(woken[1], next.der);
    assert_eq!(world.verdict(&woken[0]).await, Verdict::Trusted);
    let said = async |event| world.entries(event).await.len();
    assert_eq!(
        [said(Event::CaMade).await, said(Event::CaSwitched).await, said(Event::CaRetired).await],
        [1, 1, 1]
    );
}

#[tokio::test]
async fn what_a_retired_ca_signed_with_is_erased() {
    let mut world = World::new().await;
    let next = world.make(None, true).await;
    let before = sealed_bytes(&world, &next).await;
    world.engine.retire_ca(&world.admin, next.id).await.unwrap();
    assert!(before > sealed_bytes(&world, &next).await + 100, "the sealed key is gone");
    world.restart().await;
    assert_eq!(world.ca_state(&next), CaState::Retired);
    assert_eq!(world.engine.retire_ca(&world.admin, next.id).await.unwrap().state, CaState::Retired);
}

async fn sealed_bytes(world: &World, ca: &Ca) -> usize {
    let (table, id) = (wardein_port::Table::IssuingCa, ca.id.as_bytes());
    world.store.scan(table, id, None, 1).await.unwrap()[0].1.value.len()
}

#[tokio::test]
async fn a_distrusted_ca_takes_all_it_signed_with_it_and_another_one_issues_at_once() {
    for has_next in [false, true] {
        let mut world = World::new().await;
        let (mut device, mut asleep) = (world.device("pump-1").await, world.device("pump-2").await);
        let leaked = world.make(Some("klinik"), false).await;
        let next = if has_next { Some(world.make(Some("klinik"), true).await) } else { None };
        let (before, slept) = (world.chain_of(&mut device).await, world.chain_of(&mut asleep).await);
        let distrust = async |world: &World| {
            let reason = "its key leaked".parse().unwrap();
            world.engine.distrust_ca(&world.admin, leaked.id, reason).await.unwrap()
        };
        let revision = world.store.head().await.unwrap().revision;
        let done = distrust(&world).await;
        let successor = done.successor.clone().unwrap();
        assert_eq!((done.ca.state, successor.state), (CaState::Distrusted, CaState::Active));
        assert_eq!(successor.tenant, leaked.tenant, "one of its own");
        assert!(next.as_ref().is_none_or(|next| next.id == successor.id), "the one that was published");
        assert_eq!(world.store.head().await.unwrap().revision, revision + 1, "one change");
        for _ in 0..2 {
            for leaf in [&before[0], &slept[0]] {
                assert_eq!(world.verdict(leaf).await, Verdict::NotTrusted);
            }
            assert!(!world.bundle().contains(&leaked.der));
            let fresh = world.chain_of(&mut device).await;
            assert_eq!(fresh[1], successor.der);
            assert_eq!(world.verdict(&fresh[0]).await, Verdict::Trusted);
            world.restart().await;
        }
        world.clock.pass(200 * DAY);
        let woken = world.chain_of(&mut asleep).await;
        assert_eq!(world.verdict(&woken[0]).await, Verdict::Trusted);
        assert_eq!(distrust(&world).await.successor, Some(successor), "the same again");
        assert_eq!(world.entries(Event::CaDistrusted).await.len(), 1);
        for refused in [
            world.engine.switch_ca(&world.admin, leaked.id).await.map(|_| ()),
            world.engine.retire_ca(&world.admin, leaked.id).await.map(|_| ()),
        ] {
            assert_eq!(refused.unwrap_err().code, ErrorCode::CaState);
        }
    }
}

/// A process dies anywhere in the change; the CA is distrusted with its successor, or neither.
#[tokio::test]
async fn a_crash_while_a_ca_is_distrusted_leaves_no_half() {
    for point in CRASH_POINTS {
        let mut world = World::new().await;
        let mut device = world.device("pump-1").await;
        let leaked = world.engine.issuing_cas().remove(0);
        let before = world.chain_of(&mut device).await;
        world.store.crash_at(0, point);
        let reason = || "its key leaked".parse().unwrap();
        drop(world.engine.distrust_ca(&world.admin, leaked.id, reason()).await);
        world.restart().await;
        let is_done = world.ca_state(&leaked) == CaState::Distrusted;
        assert_eq!(world.engine.issuing_cas().len(), 1 + usize::from(is_done), "{point:?}");
        let expected = if is_done { Verdict::NotTrusted } else { Verdict::Trusted };
        assert_eq!(world.verdict(&before[0]).await, expected, "{point:?}");
        let successor =
            world.engine.distrust_ca(&world.admin, leaked.id, reason()).await.unwrap().successor.unwrap();
        assert_eq!(world.chain_of(&mut device).await[1], successor.der, "{point:?}");
        assert_eq!(world.verdict(&before[0]).await, Verdict::NotTrusted, "{point:?}");
    }
}

#[tokio::test]
async fn one_ca_is_active_and_one_is_next() {
    let world = World::new().await;
    world.clock.pass(1);
    let create = async |tenant, is_next| {
        world
            .engine
            .create_ca(&world.admin, of(tenant, is_next))
            .await
            .map(|_| ())
            .map_err(|error| error.code)
    };
    assert_eq!(create(None, false).await, Err(ErrorCode::CaExists));
    assert_eq!(create(Some("klinik"), true).await, Err(ErrorCode::CaState), "it would follow none");
    assert_eq!(create(Some("lab"), false).await, Err(ErrorCode::TenantUnknown));
    let both = tokio::join!(create(None, true), create(None, true));
    assert!([both.0, both.1].contains(&Ok(())) && both.0 != both.1, "{both:?}");
    assert_eq!(create(None, true).await, Err(ErrorCode::CaExists));
    let cas = world.engine.issuing_cas();
    assert_eq!(cas.len(), 2);
    assert_eq!(world.engine.retire_ca(&world.admin, cas[0].id).await.unwrap_err().code, ErrorCode::CaState);
    let unknown = "0".repeat(40).parse().unwrap();
    assert_eq!(world.engine.switch_ca(&world.admin, unknown).await.unwrap_err().code, ErrorCode::CaUnknown);
}

/// Without the root's key nothing is made; what leaked is distrusted all the same.
#[tokio::test]
async fn without_the_root_a_ca_is_distrusted_and_its_devices_wait_or_get_the_authoritys() {
    let root = Elsewhere::new(KeyAlgorithm::P384);
    let keys = CaKeys { root: CaKeySource::Elsewhere(root.clone()), ..CaKeys::default() };
    let mut world = World::founded(keys, vec![root.clone()]).await;
    let mut device = world.device("pump-1").await;
    let own = world.make(Some("klinik"), false).await;
    assert_eq!(world.chain_of(&mut device).await[1], own.der, "a root elsewhere signs what is on record");
    let signers = std::mem::replace(&mut world.signers, Arc::new(Vec::new()));
    world.restart().await;
    let refused = world.engine.create_ca(&world.admin, of(None, true)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::RootUnavailable);
    let reason = || "its key leaked".parse().unwrap();
    let founded = world.engine.issuing_cas().into_iter().find(|ca| ca.tenant.is_none()).unwrap();
    let done = world.engine.distrust_ca(&world.admin, own.id, reason()).await.unwrap();
    assert_eq!(done.successor.unwrap().id, founded.id, "the authority's");
    assert_eq!(world.chain_of(&mut device).await[1], founded.der);
    let done = world.engine.distrust_ca(&world.admin, founded.id, reason()).await.unwrap();
    assert_eq!(done.successor, None);
    let refused = device.prove(&world.engine, "certificate", &csr()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::CaMissing);
    world.signers = signers;
    world.restart().await;
    let made = world.make(None, false).await;
    assert_eq!(world.chain_of(&mut device).await[1], made.der);
}

#[tokio::test]
async fn a_root_elsewhere_certifies_the_successor_of_a_distrusted_ca() {
    let root = Elsewhere::new(KeyAlgorithm::P384);
    let keys = CaKeys { root: CaKeySource::Elsewhere(root.clone()), ..CaKeys::default() };
    let world = World::founded(keys, vec![root.clone()]).await;
    let leaked = world.engine.issuing_cas().remove(0);
    let reason = || "its key leaked".parse().unwrap();
    root.set_down(true);
    let done = world.engine.distrust_ca(&world.admin, leaked.id, reason()).await.unwrap();
    assert_eq!(
        (done.ca.state, done.successor),
        (CaState::Distrusted, None),
        "it does not wait for the signer"
    );
    root.set_down(false);
    let made = world.make(None, false).await;
    let done = world.engine.distrust_ca(&world.admin, made.id, reason()).await.unwrap();
    assert_eq!(done.successor.unwrap().state, CaState::Active);
}

#[tokio::test]
async fn a_leaf_does_not_outlive_its_ca() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    let ca = world.engine.issuing_cas().remove(0);
    world.clock.pass(ca.not_after - START - 3_600);
    world.accept_clock().await.ok();
    let chain = world.chain_of(&mut device).await;
    let validity = |ders: &[Vec<u8>]| {
        let ders: Vec<_> = ders.iter().map(Vec::as_slice).collect();
        verify_device_chain(&ders, &[world.bundle()[0].as_slice()]).unwrap().0.validity
    };
    assert_eq!(validity(&chain).not_after(), ca.not_after);
}

#[tokio::test]
async fn a_change_of_the_root_key_seals_the_keys_of_cas_again() {
    let (mut world, custody) = World::with_custody().await;
    let mut device = world.device("pump-1").await;
    let (own, next) = (world.make(Some("klinik"), false).await, world.make(Some("klinik"), true).await);
    assert_eq!(world.engine.rotate_root_key(&world.admin).await.unwrap(), 2);
    assert_eq!(custody.root_keys().len(), 1, "the former version is destroyed");
    world.engine.switch_ca(&world.admin, next.id).await.unwrap();
    world.store = world.store.restart();
    world.engine = open_under(&world.store, &world.clock, &custody).await.unwrap();
    assert_eq!(world.chain_of(&mut device).await[1], next.der);
    assert_eq!(world.ca_state(&own), CaState::Retiring);
}

#[tokio::test]
async fn cas_come_back_from_a_backup() {
    let (world, custody) = World::with_custody().await;
    let mut device = world.device("pump-1").await;
    world.make(Some("klinik"), false).await;
    let before = world.chain_of(&mut device).await;
    let restored = world.restored(&world.backup().await, &custody).await;
    assert_eq!(restored.engine.issuing_cas(), world.engine.issuing_cas());
    assert_eq!(restored.bundle(), world.bundle());
    assert_eq!(restored.verdict(&before[0]).await, Verdict::Trusted);
}

#[tokio::test]
async fn an_operator_of_a_tenant_sees_the_cas_of_its_devices() {
    let world = World::new().await;
    world.engine.create_tenant(&world.admin, "lab".parse().unwrap()).await.unwrap();
    let (own, other) = (world.make(Some("klinik"), false).await, world.make(Some("lab"), false).await);
    let boss = order(Role::TenantAdmin, Some("klinik"), "boss");
    let boss = caller(world.engine.issue_operator(&world.admin, boss).await.unwrap().1.principal);
    let page = |size, after| Page { size, after };
    let seen = world.engine.list_cas(&boss, None, &page(100, None)).unwrap().items;
    assert!(seen.len() == 2 && seen.contains(&own) && !seen.contains(&other));
    let lab: TenantId = "lab".parse().unwrap();
    let refused = world.engine.list_cas(&boss, Some(&lab), &page(100, None)).unwrap_err();
    assert_eq!(refused.code, ErrorCode::TenantUnknown);
    let first = world.engine.list_cas(&world.admin, None, &page(2, None)).unwrap();
    let rest = world.engine.list_cas(&world.admin, None, &page(2, first.next.clone())).unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next), (2, 1, None));
}
