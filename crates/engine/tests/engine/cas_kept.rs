//! What becomes of CAs by themselves as years pass, and of an authority whose root's key is elsewhere.

use crate::cas::{DAY, of};
use crate::world::{World, order};
use wardein_crypto::{KeyAlgorithm, P256SigningKey, SecretBytes};
use wardein_domain::{CaState, Event, Profile, Role, Verdict};
use wardein_engine::{CRL_LIFETIME, CaKeySource, CaKeys, CaOrder, ErrorCode, Own, RootExport, import_root};
use wardein_pki::{CrlOrder, pem};
use wardein_testkit::{Elsewhere, MemoryCustody};

#[tokio::test]
async fn by_itself_the_next_ca_is_made_published_switched_to_and_the_former_one_retired() {
    let mut world = World::new().await;
    let (mut device, mut asleep) = (world.device("pump-1").await, world.device("pump-2").await);
    let order = CaOrder { algorithm: KeyAlgorithm::P384, ..of(Some("klinik"), false) };
    let own = world.engine.create_ca(&world.admin, order).await.unwrap();
    world.chain_of(&mut asleep).await;
    let life = own.not_after - own.not_before;
    let keep = async |world: &World| {
        let kept = world.engine.keep_cas().await.unwrap();
        let mut kept: Vec<_> = kept.into_iter().map(|ca| (ca.tenant.is_some(), ca.state)).collect();
        kept.sort();
        kept
    };
    // As years pass, with a restart now and then, as the clock takes a month of stillness at most.
    let pass_to = async |world: &mut World, second: u64| {
        while world.engine.now() < second {
            world.clock.pass((second - world.engine.now()).min(30 * DAY));
            world.engine.look_at_clock().await.unwrap();
        }
        world.restart().await;
        world.engine.look_at_clock().await.unwrap();
    };
    pass_to(&mut world, own.not_after - life / 4 - DAY).await;
    assert_eq!(keep(&world).await, []);
    pass_to(&mut world, own.not_after - life / 4 + 1).await;
    let made = keep(&world).await;
    assert_eq!(made, [(false, CaState::Next), (true, CaState::Next)]);
    assert_eq!(keep(&world).await, [], "once");
    let next: Vec<_> =
        world.engine.issuing_cas().into_iter().filter(|ca| ca.state == CaState::Next).collect();
    let nexts = next.iter().map(|ca| (ca.tenant.is_some(), ca.algorithm)).collect::<Vec<_>>();
    assert!(nexts.contains(&(true, KeyAlgorithm::P384)) && nexts.contains(&(false, KeyAlgorithm::P256)));
    assert_eq!(world.chain_of(&mut device).await[1], own.der);
    let soon = world.engine.now() + 30 * DAY;
    pass_to(&mut world, soon - DAY).await;
    assert_eq!(keep(&world).await, [], "published for less than 30 days");
    pass_to(&mut world, soon + 1).await;
    assert_eq!(keep(&world).await, [(false, CaState::Active), (true, CaState::Active)]);
    let chain = world.chain_of(&mut device).await;
    assert!(next.iter().any(|ca| ca.der == chain[1]));
    let ended = world.engine.now() + Profile::MAX_CERTIFICATE_VALIDITY;
    pass_to(&mut world, ended).await;
    assert_eq!(keep(&world).await, []);
    pass_to(&mut world, ended + 2).await;
    assert_eq!(keep(&world).await, [(false, CaState::Retired), (true, CaState::Retired)]);
    // One that was off all the time.
    let chain = world.chain_of(&mut asleep).await;
    assert_eq!(world.verdict(&chain[0]).await, Verdict::Trusted);
}

#[tokio::test]
async fn the_infrastructure_ca_is_certified_for_longer_under_the_key_that_it_has() {
    for is_elsewhere in [false, true] {
        let root = Elsewhere::new(KeyAlgorithm::P384);
        let source = if is_elsewhere { CaKeySource::Elsewhere(root.clone()) } else { CaKeySource::default() };
        let keys = CaKeys { root: source, ..CaKeys::default() };
        let mut world = World::founded(keys, vec![root]).await;
        let before = world.engine.infrastructure_ca().unwrap();
        let parse =
            |der: &[u8]| wardein_pki::CaCertificate::<wardein_pki::Infrastructure>::parse(der).unwrap();
        let old = parse(&before);
        let life = old.validity().not_after() - old.validity().not_before();
        while world.engine.now() < old.validity().not_after() - life / 4 {
            world.clock.pass(30 * DAY);
            world.engine.look_at_clock().await.unwrap();
        }
        world.engine.keep_cas().await.unwrap();
        let after = world.engine.infrastructure_ca().unwrap();
        let new = parse(&after);
        assert_eq!(new.key_id(), old.key_id());
        assert!(new.validity().not_after() > old.validity().not_after() + life / 2);
        world.engine.keep_cas().await.unwrap();
        assert_eq!(world.engine.infrastructure_ca().unwrap(), after, "once");
        assert_eq!(world.entries(Event::InfrastructureRenewed).await.len(), 1);
        world.restart().await;
        assert_eq!(world.engine.infrastructure_ca().unwrap(), after);
        let ends = world.engine.expiries().unwrap();
        let ends: Vec<_> = ends.iter().map(|expiry| expiry.not_after).collect();
        assert!(ends.contains(&new.validity().not_after()) && ends.len() == 4, "{ends:?}");
        // Its former operators' chains are good still, and so are new ones.
        world.engine.issue_operator(&world.admin, order(Role::Auditor, None, "late")).await.unwrap();
    }
}

/// A clock that is wrong would have CAs made, switched to and erased at random.
#[tokio::test]
async fn by_a_clock_that_jumped_nothing_is_done_with_cas() {
    let world = World::new().await;
    let ca = world.engine.issuing_cas().remove(0);
    world.clock.set(ca.not_after - DAY);
    world.engine.look_at_clock().await.unwrap();
    assert_eq!(world.engine.keep_cas().await.unwrap(), []);
    assert_eq!(world.engine.issuing_cas().len(), 1);
}

/// The root's end is the end of all: what would not last longer is not made.
#[tokio::test]
async fn near_the_roots_end_no_cas_are_made_without_end() {
    let world = World::new().await;
    let root = world.engine.expiries().unwrap()[0].not_after;
    let mut made = 0;
    while world.engine.now() < root - DAY {
        world.clock.pass(30 * DAY.min((root - world.engine.now()) / 30 + 1));
        world.engine.look_at_clock().await.unwrap();
        made += world.engine.keep_cas().await.unwrap().iter().filter(|ca| ca.state == CaState::Next).count();
    }
    assert!((1..=3).contains(&made), "{made}");
}

#[tokio::test]
async fn without_its_roots_key_the_authority_goes_on_and_with_it_again_makes_cas() {
    let mut world = World::new().await;
    let mut device = world.device("pump-1").await;
    let keys = || MemoryCustody::of(crate::world::ROOT_KEY).root_keys();
    let ports = |world: &World| crate::world::ports(&world.store, &world.clock);
    // Nothing is erased before the file is durable.
    drop(RootExport::begin(&ports(&world), keys(), 365 * DAY).await.unwrap());
    let export = RootExport::begin(&ports(&world), keys(), 365 * DAY).await.unwrap();
    assert_eq!(pem::decode_certificates(&export.certificate_pem).unwrap(), world.bundle()[..1]);
    let key = SecretBytes::from_vec(export.key.expose().to_vec());
    export.finish(&ports(&world)).await.unwrap();
    let again = RootExport::begin(&ports(&world), keys(), 365 * DAY).await.err().unwrap();
    assert_eq!(again.code, ErrorCode::RootUnavailable);
    world.restart().await;
    world.chain_of(&mut device).await;
    world.engine.issue_operator(&world.admin, order(Role::Auditor, None, "late")).await.unwrap();
    world.engine.issue_server_identity(&["localhost".parse().unwrap()]).await.unwrap();
    let refused = world.engine.create_ca(&world.admin, of(None, true)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::RootUnavailable);

    let other = P256SigningKey::generate_pkcs8().unwrap();
    for wrong in [other, SecretBytes::from_vec(b"no key".to_vec())] {
        let refused = import_root(&ports(&world), keys(), &wrong).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Malformed);
    }
    for _ in 0..2 {
        import_root(&ports(&world), keys(), &key).await.unwrap();
    }
    world.restart().await;
    let next = world.make(None, true).await;
    world.engine.switch_ca(&world.admin, next.id).await.unwrap();
    assert_eq!(world.chain_of(&mut device).await[1], next.der);
    let said = async |event| world.entries(event).await.len();
    assert_eq!([said(Event::RootExported).await, said(Event::RootImported).await], [1, 1]);
}

/// Verifiers of whole chains refuse every device where the root has no list.
#[tokio::test]
async fn without_its_roots_key_the_root_has_the_list_of_the_export_until_that_ends() {
    let mut world = World::new().await;
    let keys = || MemoryCustody::of(crate::world::ROOT_KEY).root_keys();
    let ports = |world: &World| crate::world::ports(&world.store, &world.clock);
    let on_list = async |world: &World| {
        world.engine.publish_crls().await.unwrap();
        CrlOrder::read(&world.engine.root_crl().unwrap().bytes).unwrap()
    };
    let export = async |world: &World, seconds: u64| {
        let export = RootExport::begin(&ports(world), keys(), seconds).await?;
        let key = SecretBytes::from_vec(export.key.expose().to_vec());
        let until = export.crl_until;
        export.finish(&ports(world)).await.unwrap();
        Ok::<_, wardein_engine::Error>((key, until))
    };
    let leaked = world.make(Some("klinik"), false).await;
    let reason = || "its key leaked".parse().unwrap();
    world.engine.distrust_ca(&world.admin, leaked.id, reason()).await.unwrap();
    let before = on_list(&world).await;
    assert_eq!(export(&world, CRL_LIFETIME - 1).await.err().unwrap().code, ErrorCode::Malformed);
    let (key, until) = export(&world, 365 * DAY).await.unwrap();
    assert_eq!(until, world.engine.now() + 365 * DAY);
    world.restart().await;
    let offline = on_list(&world).await;
    assert!(offline.number > before.number);
    assert_eq!((offline.next_update, &offline.revoked), (until, &before.revoked));
    assert_eq!(offline.revoked.len(), 1);
    let bundle = String::from_utf8(world.engine.crl_bundle().unwrap().bytes.clone()).unwrap();
    assert_eq!(bundle.matches("-----BEGIN X509 CRL-----").count(), 4, "the root's, and of each CA");
    let ends = |world: &World| {
        let expiries = world.engine.expiries().unwrap();
        expiries.into_iter().find(|expiry| expiry.of == Own::RootCrl).map(|expiry| expiry.not_after)
    };
    assert_eq!(ends(&world), Some(until));
    // Nobody can sign another: one that is distrusted meanwhile is on its own list alone.
    let own = world.engine.issuing_cas().into_iter().find(|ca| ca.state == CaState::Active).unwrap();
    world.engine.distrust_ca(&world.admin, own.id, reason()).await.unwrap();
    world.clock.pass(2 * DAY);
    world.engine.look_at_clock().await.unwrap();
    assert_eq!(on_list(&world).await, offline);
    // With the key again it is as it was before; so is the next export.
    import_root(&ports(&world), keys(), &key).await.unwrap();
    world.restart().await;
    let online = on_list(&world).await;
    assert!(online.number > offline.number && online.revoked.len() == 2);
    assert_eq!(online.next_update, world.engine.now() + CRL_LIFETIME);
    assert_eq!(ends(&world), None);
    // It does not outlive the root.
    let root = world.engine.expiries().unwrap()[0].not_after;
    let (_, until) = export(&world, 100 * 365 * DAY).await.unwrap();
    assert_eq!(until, root);
    world.restart().await;
    assert!(on_list(&world).await.number > online.number);
}
