//! Revocation lists: what is on them and when, and numbers that rise whatever happens.

use crate::world::{START, TestDevice, World, csr, name};
use wardein_crypto::KeyAlgorithm;
use wardein_domain::{DeviceState, Event, RevocationReason, Serial, Verdict};
use wardein_engine::{CRL_LIFETIME, CaKeySource, CaKeys, Issued, Page, Subject};
use wardein_pki::{CaCertificate, CrlNumber, CrlOrder, Issuing, pem};
use wardein_port::{Store, Table};
use wardein_testkit::Elsewhere;

/// The serial and the DER of a fresh certificate.
async fn certify(world: &World, device: &mut TestDevice) -> (Serial, Vec<u8>) {
    let reply = device.prove(&world.engine, "certificate", &csr()).await.unwrap().body;
    let length = u32::from_be_bytes(reply[..4].try_into().unwrap()) as usize;
    let der = reply[4..4 + length].to_vec();
    let page = Page { size: 100, after: None };
    let listed = world.engine.list_certificates(&world.admin, world.tenant(), None, page).await.unwrap();
    let found = listed.items.into_iter().find(|certificate| certificate.der == der).unwrap();
    (found.serial, der)
}

impl World {
    fn ca_id(&self) -> [u8; 20] {
        let bundle = pem::decode_certificates(&self.engine.trust_bundle().pem).unwrap();
        *CaCertificate::<Issuing>::parse(&bundle[1]).unwrap().key_id()
    }

    /// The list as it is after what is due was made.
    async fn crl_now(&self) -> CrlOrder {
        self.engine.publish_crls().await.unwrap();
        CrlOrder::read(&self.engine.crl(&self.ca_id()).unwrap().bytes).unwrap()
    }

    /// Who is on it, with the reason.
    async fn on_list(&self) -> Vec<(Serial, RevocationReason)> {
        self.crl_now().await.revoked.iter().map(|revoked| (revoked.serial, revoked.reason)).collect()
    }

    async fn set_state(&self, device: &TestDevice, state: DeviceState) {
        let reason = "by chance".parse().unwrap();
        self.engine.set_device_state(&self.admin, device.name.clone(), state, reason).await.unwrap();
    }

    async fn revoke_one(&self, serial: Serial, code: RevocationReason) -> Result<(), &'static str> {
        let reason = "lost".parse().unwrap();
        let revoked = self.engine.revoke_certificate(&self.admin, self.tenant(), serial, code, reason).await;
        revoked.map_err(|error| error.code.as_str())
    }

    async fn release_one(&self, serial: Serial) -> Result<(), &'static str> {
        let reason = "found".parse().unwrap();
        let released = self.engine.release_certificate(&self.admin, self.tenant(), serial, reason).await;
        released.map_err(|error| error.code.as_str())
    }

    async fn verdict_on(&self, der: &[u8]) -> Verdict {
        self.engine.check(&self.platform, Subject::Certificate(der.to_vec())).await.unwrap().verdict
    }
}

const HOLD: RevocationReason = RevocationReason::CertificateHold;
const COMPROMISE: RevocationReason = RevocationReason::KeyCompromise;

#[tokio::test]
async fn a_suspended_device_has_its_certificates_on_hold_until_it_is_resumed() {
    let mut world = World::new().await;
    let (mut one, mut two) = (world.device("pump-1").await, world.device("pump-2").await);
    let (first, _) = certify(&world, &mut one).await;
    let (second, _) = certify(&world, &mut one).await;
    certify(&world, &mut two).await;
    assert_eq!(world.on_list().await, []);
    let mut both = [(first, HOLD), (second, HOLD)];
    both.sort_unstable_by_key(|(serial, _)| *serial);
    for state in [DeviceState::Suspended, DeviceState::Active, DeviceState::Suspended] {
        world.clock.pass(10);
        let since = world.engine.now();
        world.set_state(&one, state).await;
        for _ in 0..2 {
            let list = world.crl_now().await;
            let found: Vec<_> = list.revoked.iter().map(|revoked| (revoked.serial, revoked.reason)).collect();
            match state {
                DeviceState::Suspended => {
                    assert_eq!(found, both);
                    assert!(list.revoked.iter().all(|revoked| revoked.at == since));
                }
                _ => assert_eq!(found, [], "it left the list"),
            }
            world.restart().await;
        }
    }
    // For good, whether it was on hold before or not.
    for (state, code) in
        [(DeviceState::Quarantined, HOLD), (DeviceState::Revoked, RevocationReason::PrivilegeWithdrawn)]
    {
        world.set_state(&one, state).await;
        assert_eq!(world.on_list().await, both.map(|(serial, _)| (serial, code)));
    }
    world.set_state(&two, DeviceState::Retired).await;
    let list = world.on_list().await;
    assert_eq!(list.len(), 3);
    assert!(list.iter().any(|(_, code)| *code == RevocationReason::CessationOfOperation));
}

#[tokio::test]
async fn a_hold_is_released_and_what_is_revoked_for_good_is_not() {
    let mut world = World::new().await;
    let mut device = world.device("pump-1").await;
    let (serial, der) = certify(&world, &mut device).await;
    assert_eq!(world.release_one(serial).await, Ok(()), "nothing to release");
    for _ in 0..2 {
        world.revoke_one(serial, HOLD).await.unwrap();
        world.revoke_one(serial, HOLD).await.unwrap();
        assert_eq!(world.verdict_on(&der).await, Verdict::NotTrusted);
        assert_eq!(world.on_list().await, [(serial, HOLD)]);
        world.restart().await;
        assert_eq!(world.on_list().await, [(serial, HOLD)]);
        world.release_one(serial).await.unwrap();
        world.release_one(serial).await.unwrap();
        assert_eq!(world.verdict_on(&der).await, Verdict::Trusted);
        assert_eq!(world.on_list().await, []);
        world.restart().await;
        assert_eq!(world.on_list().await, []);
    }
    assert_eq!(world.entries(Event::CertificateRevoked).await.len(), 2);
    assert_eq!(world.entries(Event::CertificateReleased).await.len(), 2);
    // A released certificate is still on hold by the state of its device, and is revoked for good by a rule.
    world.revoke_one(serial, HOLD).await.unwrap();
    world.set_state(&device, DeviceState::Suspended).await;
    world.release_one(serial).await.unwrap();
    assert_eq!(world.on_list().await, [(serial, HOLD)]);
    world.set_state(&device, DeviceState::Active).await;
    assert_eq!(world.on_list().await, []);
    world.revoke_one(serial, HOLD).await.unwrap();
    let reason = || "leaked".parse().unwrap();
    let issued = Issued::ToDevice(name("klinik", "pump-1"));
    world.engine.revoke_issued(&world.admin, issued, 0..=START, COMPROMISE, reason()).await.unwrap();
    assert_eq!(world.on_list().await, [(serial, COMPROMISE)]);
    world.revoke_one(serial, RevocationReason::Superseded).await.unwrap();
    assert_eq!(world.on_list().await, [(serial, RevocationReason::Superseded)], "its own reason");
    assert_eq!(world.revoke_one(serial, HOLD).await, Err("certificate-revoked-for-good"));
    assert_eq!(world.release_one(serial).await, Err("certificate-revoked-for-good"));
    assert_eq!(world.on_list().await, [(serial, RevocationReason::Superseded)]);
}

#[tokio::test]
async fn rules_are_expanded() {
    for scope in 0..3 {
        let mut world = World::new().await;
        let (mut one, mut two) = (world.device("pump-1").await, world.device("pump-2").await);
        let (early, _) = certify(&world, &mut one).await;
        world.clock.pass(10);
        let (within, _) = certify(&world, &mut one).await;
        let (other, _) = certify(&world, &mut two).await;
        let issued = match scope {
            0 => Issued::ToDevice(name("klinik", "pump-1")),
            1 => Issued::InTenant(world.tenant()),
            _ => Issued::ByCa(world.engine.issuing_cas()[0].id),
        };
        let reason = "the key leaked".parse().unwrap();
        world
            .engine
            .revoke_issued(&world.admin, issued, START + 5..=START + 15, COMPROMISE, reason)
            .await
            .unwrap();
        let mut expected = vec![within];
        expected.extend((scope > 0).then_some(other));
        expected.sort_unstable();
        for _ in 0..2 {
            let found: Vec<_> = world.on_list().await;
            let serials: Vec<_> = found.iter().map(|(serial, _)| *serial).collect();
            assert_eq!(serials, expected, "scope {scope}");
            assert!(found.iter().all(|(serial, code)| *serial != early && *code == COMPROMISE));
            world.restart().await;
        }
    }
}

#[tokio::test]
async fn a_certificate_that_comes_on_record_after_its_rule_is_listed_all_the_same() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    let (serial, _) = certify(&world, &mut device).await;
    // As if its record had been under way while the rule was made.
    let row = world.store.scan(Table::Certificate, b"", None, 1).await.unwrap().remove(0);
    let mut change = wardein_port::Change::default();
    change.delete(Table::Certificate, row.0.clone(), row.1.version);
    wardein_testkit::commit(&world.store, change).await.unwrap();
    let reason = "the key leaked".parse().unwrap();
    world
        .engine
        .revoke_issued(&world.admin, Issued::InTenant(world.tenant()), 0..=START, COMPROMISE, reason)
        .await
        .unwrap();
    assert_eq!(world.on_list().await, []);
    let mut change = wardein_port::Change::default();
    change.insert(Table::Certificate, row.0, row.1.value);
    wardein_testkit::commit(&world.store, change).await.unwrap();
    world.clock.pass(600);
    assert_eq!(world.on_list().await, []);
    world.clock.pass(61);
    assert_eq!(world.on_list().await, [(serial, COMPROMISE)]);
}

#[tokio::test]
async fn the_expired_leave_the_list_after_two_days() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    let (serial, _) = certify(&world, &mut device).await;
    let (other, _) = certify(&world, &mut device).await;
    world.revoke_one(serial, COMPROMISE).await.unwrap();
    world.set_state(&device, DeviceState::Suspended).await;
    let both = world.on_list().await.len();
    assert_eq!(both, 2);
    // A day is the validity of the profile.
    world.clock.pass(86_400 + 2 * 86_400 - 10);
    assert_eq!(world.on_list().await.len(), 2, "{other} and {serial}");
    world.clock.pass(20);
    assert_eq!(world.on_list().await.len(), 2, "a list is good for what it was made for");
    world.clock.pass(86_400);
    assert_eq!(world.on_list().await, []);
    world.set_state(&device, DeviceState::Active).await;
    world.set_state(&device, DeviceState::Suspended).await;
    assert_eq!(world.on_list().await, []);
}

#[tokio::test]
async fn a_list_is_made_again_when_something_changed_or_it_is_a_day_old_and_not_otherwise() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    let (serial, _) = certify(&world, &mut device).await;
    assert!(world.engine.crl(&world.ca_id()).is_none() && world.engine.crl_bundle().is_none());
    assert_eq!(world.engine.crl_status().ends_in, None);
    let first = world.crl_now().await;
    assert_eq!((first.this_update, first.next_update), (START - 300, START + CRL_LIFETIME));
    world.clock.pass(86_399);
    assert_eq!(world.crl_now().await, first, "nothing to do");
    world.clock.pass(1);
    let second = world.crl_now().await;
    assert!(second.number > first.number && second.next_update == first.next_update + 86_400);
    assert_eq!(world.engine.crl_status().ends_in, Some(CRL_LIFETIME as i64));
    assert!(!world.engine.crl_status().is_overdue());
    world.revoke_one(serial, COMPROMISE).await.unwrap();
    let third = world.crl_now().await;
    assert!(third.number > second.number);
    assert_eq!(third.revoked.len(), 1);
    assert_eq!(world.engine.crl_status().entries, 1);
    let bundle = String::from_utf8(world.engine.crl_bundle().unwrap().bytes.clone()).unwrap();
    assert_eq!(bundle.matches("-----BEGIN X509 CRL-----").count(), 2);
    let root = CrlOrder::read(&world.engine.root_crl().unwrap().bytes).unwrap();
    assert_eq!(root.revoked, []);
    // Nothing is made where nobody calls for it: then it is said.
    world.clock.pass(CRL_LIFETIME / 2 + 1);
    assert!(world.engine.crl_status().is_overdue());
}

#[tokio::test]
async fn numbers_rise_across_restarts_and_clocks_that_are_set_back() {
    let mut world = World::new().await;
    let mut last = CrlNumber::default();
    let mut rises = async |world: &World, what: &str| {
        let list = world.crl_now().await;
        assert!(list.number > last, "{what}: {:?} after {last:?}", list.number);
        last = list.number;
    };
    rises(&world, "the first").await;
    for _ in 0..3 {
        world.restart().await;
        rises(&world, "after a restart in the same millisecond").await;
    }
    world.clock.pass(86_400);
    rises(&world, "a day later").await;
    // The wall clock is a day behind, and accepted: a new era at an earlier time.
    world.clock.set(START + 10);
    world.accept_clock().await.unwrap();
    rises(&world, "after a clock that was set back").await;
    world.restart().await;
    rises(&world, "and a restart after it").await;
}

#[tokio::test]
async fn a_ca_elsewhere_signs_lists_and_a_root_out_of_reach_has_none() {
    let (root, issuing) = (Elsewhere::new(KeyAlgorithm::P384), Elsewhere::new(KeyAlgorithm::P256));
    let keys = CaKeys {
        root: CaKeySource::Elsewhere(root.clone()),
        issuing: CaKeySource::Elsewhere(issuing.clone()),
        ..CaKeys::default()
    };
    let world = World::founded(keys, vec![issuing.clone()]).await;
    assert_eq!(world.on_list().await, []);
    assert!(world.engine.root_crl().is_none());
    // A signer that is down leaves the list that there is.
    world.clock.pass(86_400);
    issuing.set_down(true);
    let before = world.engine.crl(&world.ca_id()).unwrap();
    assert_eq!(world.engine.publish_crls().await.unwrap_err().code.as_str(), "signer-unavailable");
    assert_eq!(world.engine.crl(&world.ca_id()).unwrap(), before);
    issuing.set_down(false);
    world.engine.publish_crls().await.unwrap();
    assert_ne!(world.engine.crl(&world.ca_id()).unwrap(), before);
}

/// What expired by a clock that ran ahead is valid again when that is set back, and what was revoked by it was not revoked in the future.
#[tokio::test]
async fn what_is_revoked_is_listed_again_after_a_clock_that_ran_ahead() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    let (first, _) = certify(&world, &mut device).await;
    let (second, _) = certify(&world, &mut device).await;
    world.revoke_one(first, COMPROMISE).await.unwrap();
    assert_eq!(world.on_list().await, [(first, COMPROMISE)]);
    world.clock.set(START + 20 * 86_400);
    world.accept_clock().await.unwrap();
    assert_eq!(world.on_list().await, [], "it has expired");
    world.revoke_one(second, COMPROMISE).await.unwrap();
    world.clock.set(START + 3_600);
    world.accept_clock().await.unwrap();
    let list = world.crl_now().await;
    let mut both = [first, second];
    both.sort();
    assert_eq!(list.revoked.iter().map(|one| one.serial).collect::<Vec<_>>(), both);
    assert!(list.revoked.iter().all(|one| one.at <= world.engine.now()), "{list:?}");
}

/// The graver reason counts, whichever came first.
#[tokio::test]
async fn a_rule_takes_the_graver_reason_and_keeps_it() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    let (serial, _) = certify(&world, &mut device).await;
    let rule = async |until: u64, code| {
        let (issued, why) = (Issued::ToDevice(device.name.clone()), "by chance".parse().unwrap());
        world.engine.revoke_issued(&world.admin, issued, START..=until, code, why).await.unwrap();
    };
    let until = world.engine.now() + 10;
    rule(until, RevocationReason::Superseded).await;
    assert_eq!(world.on_list().await, [(serial, RevocationReason::Superseded)]);
    rule(until, COMPROMISE).await;
    assert_eq!(world.on_list().await, [(serial, COMPROMISE)]);
    rule(until + 10, RevocationReason::Superseded).await;
    assert_eq!(world.on_list().await, [(serial, COMPROMISE)]);
}
