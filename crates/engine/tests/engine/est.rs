//! Certificates by EST: by the certificate that a device has, and the first one by a voucher.

use crate::made_keys::Maker;
use crate::world::{START, TestDevice, World, csr, facts, name, order};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use wardein_crypto::{KeyAlgorithm, P256SigningKey, Secret};
use wardein_domain::RevocationReason::{CertificateHold, KeyCompromise};
use wardein_domain::{
    Call, CertificateNames, DeviceState, EstOperation, Event, KeyKeeper, KeyKind, KeyPurposes, Role, Serial,
};
use wardein_engine::{
    CaKeySource, CaKeys, Certificate, Enrolled, Error, EstCall, Issued, KeyOrder, KeyPolicy, OperatorOrder,
    Page, Voucher, VoucherOrder, Wanted,
};
use wardein_pki::{
    Csr, DeviceCsr, DeviceIdentity, HeldCertificate, PublicKey, RootCa, SubjectKey, Validity, pem,
};
use wardein_testkit::{CrashPoint, Elsewhere};

const DAY: u64 = 86_400;

pub(crate) fn key() -> P256SigningKey {
    P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()
}

/// A request whose signature is not that of its key.
fn unsigned(key: &P256SigningKey) -> Vec<u8> {
    let mut csr = Csr::create(key).unwrap();
    *csr.last_mut().unwrap() ^= 1;
    csr
}

fn code<T>(answer: Result<T, Error>) -> &'static str {
    answer.err().map_or("ok", |error| error.code.as_str())
}

impl World {
    async fn renew(&self, shown: &[u8], csr: &[u8]) -> Result<Vec<u8>, Error> {
        let call = Call::new("est");
        let asked = EstCall { call: &call, operation: EstOperation::SimpleReenroll };
        Ok(self.engine.renew(asked, shown, &Wanted::Csr(csr)).await?.leaf)
    }

    async fn redeem(&self, device: &str, secret: &[u8; 32], csr: &[u8]) -> Result<Vec<u8>, Error> {
        let call = Call::new("est");
        let asked = EstCall { call: &call, operation: EstOperation::SimpleEnroll };
        let secret = Secret::copied_from(secret);
        Ok(self.engine.redeem_voucher(asked, &name("klinik", device), secret, &Wanted::Csr(csr)).await?.leaf)
    }

    async fn voucher(&self, device: &str) -> [u8; 32] {
        let made = self.engine.make_voucher(&self.station, voucher(device)).await.unwrap();
        *made.secret.expose()
    }

    /// Those on record, of all devices.
    async fn all_certificates(&self) -> Vec<Certificate> {
        let page = Page { size: 1000, after: None };
        self.engine.list_certificates(&self.admin, self.tenant(), None, page).await.unwrap().items
    }

    async fn state_of(&self, device: &str) -> DeviceState {
        self.engine.get_device(&self.admin, name("klinik", device)).await.unwrap().state
    }

    async fn put_state(&self, device: &str, state: DeviceState) {
        let reason = "by chance".parse().unwrap();
        self.engine.set_device_state(&self.admin, name("klinik", device), state, reason).await.unwrap();
    }

    /// What a device's refusals are recorded as, the last first.
    async fn refused(&self) -> Vec<String> {
        let entries = self.entries(Event::CallRefused).await;
        entries.iter().rev().map(|entry| format!("{} {}", entry.target, entry.outcome)).collect()
    }
}

fn voucher(device: &str) -> VoucherOrder {
    VoucherOrder {
        tenant: None,
        device: device.parse().unwrap(),
        profile: "default".parse().unwrap(),
        model: None,
        udi: None,
        lifetime: 7 * DAY,
    }
}

/// A device's certificate for that key.
pub(crate) async fn certified(world: &World, device: &mut TestDevice, key: &P256SigningKey) -> Vec<u8> {
    device.prove(&world.engine, "certificate", &Csr::create(key).unwrap()).await.unwrap();
    let all = world.all_certificates().await;
    let of_key = SubjectKey::from_spki(&PublicKey::from(*key.verifying_key()).spki()).unwrap();
    let found = all.into_iter().find(|one| HeldCertificate::read(&one.der).unwrap().key == of_key);
    found.unwrap().der
}

#[tokio::test]
async fn a_certificate_renews_itself_and_for_its_own_key_no_second_signature_is_verified() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    let (own, other) = (key(), key());
    let first = certified(&world, &mut device, &own).await;
    let serial = HeldCertificate::read(&first).unwrap().serial;
    world.clock.pass(3600);

    let second = world.renew(&first, &unsigned(&own)).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(HeldCertificate::read(&second).unwrap().key, HeldCertificate::read(&first).unwrap().key);
    assert_eq!(code(world.renew(&first, &unsigned(&other)).await), "csr-signature");
    let third = world.renew(&first, &Csr::create(&other).unwrap()).await.unwrap();
    let fourth = world.renew(&third, &unsigned(&other)).await.unwrap();
    for leaf in [second, third, fourth] {
        let on_record = world.all_certificates().await.into_iter().find(|one| one.der == leaf).unwrap();
        assert_eq!(on_record.device, Some("pump-1".parse().unwrap()));
        assert_eq!(on_record.not_after, START + 3600 + DAY);
    }
    let entries = world.entries(Event::CertificateIssued).await;
    assert_eq!(entries.len(), 4);
    assert!(facts(&entries[1]).contains(&format!("previous-serial={serial}")), "{}", facts(&entries[1]));
    assert_eq!(world.refused().await, ["/.well-known/est/simplereenroll csr-signature"]);
}

/// What somebody with a CA of his own makes of a certificate: the same in all that says where it is on record.
fn forged(like: &[u8]) -> Vec<u8> {
    let held = HeldCertificate::read(like).unwrap();
    let valid = Validity::new(START, START + DAY).unwrap();
    let (domain, [one, two]) =
        ("wardein.test".parse().unwrap(), [1, 2].map(|n| Serial::from_random([n; 16])));
    let root = RootCa::found(&domain, key(), one, valid).unwrap();
    let issuing = root.found_issuing(key(), two, valid).unwrap();
    let identity = DeviceIdentity {
        serial: held.serial,
        tenant: held.tenant.clone(),
        device: held.device.clone(),
        names: CertificateNames::default(),
        validity: valid,
        assurance: None,
        purposes: KeyPurposes::CLIENT,
        no_rev_avail: false,
    };
    let forged = issuing.issue_device(&DeviceCsr::of_made(&held.key), &identity).unwrap().into_der();
    let read = HeldCertificate::read(&forged).unwrap();
    assert_eq!((read.serial, read.device, read.key), (held.serial, held.device, held.key));
    forged
}

#[tokio::test]
async fn a_certificate_that_is_not_on_record_or_not_valid_now_renews_nothing() {
    let world = World::new().await;
    let mut device = world.device("pump-1").await;
    let own = key();
    let first = certified(&world, &mut device, &own).await;
    let request = Csr::create(&own).unwrap();

    let foreign = World::new().await;
    let mut elsewhere = foreign.device("pump-1").await;
    let of_another = certified(&foreign, &mut elsewhere, &own).await;
    let mut altered = first.clone();
    *altered.last_mut().unwrap() ^= 1;
    let forged = forged(&first);
    let root = pem::decode_certificates(&world.engine.trust_bundle().pem).unwrap();
    for (what, shown) in [
        ("another authority's", &of_another[..]),
        ("one that was altered", &altered),
        ("another CA's for its serial, device and key", &forged),
        ("no certificate", b"\x30\x00"),
        ("nothing", b""),
        ("the root", &root[0]),
        ("the issuing CA's", &root[1]),
    ] {
        assert_eq!(code(world.renew(shown, &request).await), "holder-unknown", "{what}");
    }
    world.clock.pass(DAY + 1);
    assert_eq!(code(world.renew(&first, &request).await), "holder-expired");
    assert_eq!(world.all_certificates().await.len(), 1, "nothing was issued");
}

#[tokio::test]
async fn a_revoked_certificate_or_one_of_a_device_that_is_not_active_renews_nothing() {
    for what in ["hold", "revoked", "rule", "suspended", "quarantined", "device-revoked", "retired"] {
        let world = World::new().await;
        let mut device = world.device("pump-1").await;
        let own = key();
        let first = certified(&world, &mut device, &own).await;
        let (serial, reason) =
            (HeldCertificate::read(&first).unwrap().serial, || "by chance".parse().unwrap());
        let revoke = async |code| {
            world
                .engine
                .revoke_certificate(&world.admin, world.tenant(), serial, code, reason())
                .await
                .unwrap();
        };
        let wanted = match what {
            "hold" => {
                revoke(CertificateHold).await;
                "holder-revoked"
            }
            "revoked" => {
                revoke(KeyCompromise).await;
                "holder-revoked"
            }
            "rule" => {
                let of = Issued::ToDevice(device.name.clone());
                world
                    .engine
                    .revoke_issued(&world.admin, of, 0..=START, KeyCompromise, reason())
                    .await
                    .unwrap();
                world.clock.pass(1);
                "holder-revoked"
            }
            "suspended" => {
                world.put_state("pump-1", DeviceState::Suspended).await;
                "suspended"
            }
            "quarantined" => {
                world.put_state("pump-1", DeviceState::Quarantined).await;
                "quarantined"
            }
            "retired" => {
                world.put_state("pump-1", DeviceState::Retired).await;
                "retired"
            }
            _ => {
                world.put_state("pump-1", DeviceState::Revoked).await;
                "revoked"
            }
        };
        let request = Csr::create(&own).unwrap();
        assert_eq!(code(world.renew(&first, &request).await), wanted, "{what}");
        assert_eq!(world.all_certificates().await.len(), 1, "{what}: nothing was issued");
        assert_eq!(world.refused().await, [format!("/.well-known/est/simplereenroll {wanted}")]);
    }
}

#[tokio::test]
async fn a_device_that_signs_has_certificates_for_its_enrolled_key_alone() {
    let world = World::new().await;
    let keeper = KeyKeeper::Software;
    let policy = KeyPolicy { keepers: vec![keeper], ..KeyPolicy::default() };
    world.engine.put_key_policy(&world.admin, world.tenant(), policy, None).await.unwrap();
    let own = key();
    let enroll = KeyOrder {
        device: "gate-1".parse().unwrap(),
        profile: "default".parse().unwrap(),
        model: None,
        udi: None,
    };
    let request = Csr::create(&own).unwrap();
    world.engine.enroll_key(&world.station, &enroll, keeper, &request).await.unwrap();
    let order = VoucherOrder { tenant: Some(world.tenant()), ..voucher("gate-1") };
    let made = world.engine.make_voucher(&world.admin, order).await.unwrap();
    let secret = *made.secret.expose();
    assert_eq!(code(world.redeem("gate-1", &secret, &csr()).await), "csr-key-of-another");
    let first = world.redeem("gate-1", &secret, &request).await.unwrap();
    assert_eq!(code(world.renew(&first, &csr()).await), "csr-key-of-another");
    world.renew(&first, &request).await.unwrap();
}

#[tokio::test]
async fn a_device_without_keys_of_ours_gets_its_first_certificate_by_a_voucher_once() {
    let world = World::new().await;
    let secret = world.voucher("pump-1").await;
    assert_eq!(world.state_of("pump-1").await, DeviceState::Pending);
    let own = key();
    let request = Csr::create(&own).unwrap();
    // A request that is refused does not spend it.
    assert_eq!(code(world.redeem("pump-1", &secret, &unsigned(&own)).await), "csr-signature");
    assert_eq!(world.state_of("pump-1").await, DeviceState::Pending);

    let leaf = world.redeem("pump-1", &secret, &request).await.unwrap();
    assert_eq!(world.state_of("pump-1").await, DeviceState::Active);
    assert_eq!(world.redeem("pump-1", &secret, &request).await.unwrap(), leaf, "the answer was lost");
    assert_eq!(code(world.redeem("pump-1", &secret, &csr()).await), "voucher-invalid");
    assert_eq!(world.all_certificates().await.len(), 1);
    let renewed = world.renew(&leaf, &csr()).await.unwrap();
    assert_ne!(renewed, leaf);
    let entries = world.entries(Event::CertificateIssued).await;
    assert!(facts(&entries[0]).contains("state: pending → active"), "{}", facts(&entries[0]));
    let made = world.entries(Event::VoucherMade).await;
    let id = made[0].fields.iter().find(|field| field.name.to_string() == "voucher").unwrap();
    assert!(facts(&entries[0]).contains(&format!("voucher={}", id.value)));
    // What is stored opens nothing.
    for (_, row) in world.rows().await {
        assert!(!row.value.windows(32).any(|part| part == secret));
    }
}

#[tokio::test]
async fn a_voucher_is_good_for_its_device_for_a_time_and_until_another_is_made() {
    let mut world = World::new().await;
    let (one, two) = (world.voucher("pump-1").await, world.voucher("pump-2").await);
    let (request, unknown) = (csr(), [7; 32]);
    for (device, secret) in [("pump-1", &two), ("pump-2", &one), ("pump-1", &unknown), ("pump-3", &one)] {
        assert_eq!(code(world.redeem(device, secret, &request).await), "voucher-invalid", "{device}");
    }
    assert_eq!(world.refused().await, [""; 0], "who has no secret leaves no entry");
    let again = world.voucher("pump-1").await;
    assert_eq!(code(world.redeem("pump-1", &one, &request).await), "voucher-invalid");
    world.clock.pass(7 * DAY + 1);
    assert_eq!(code(world.redeem("pump-1", &again, &request).await), "voucher-invalid", "it is over");
    let again = world.voucher("pump-1").await;
    world.restart().await;
    world.redeem("pump-1", &again, &request).await.unwrap();
    // By then it has a certificate, and renews that.
    world.clock.pass(2 * DAY);
    assert_eq!(code(world.redeem("pump-1", &again, &request).await), "voucher-invalid");
    assert_eq!(world.all_certificates().await.len(), 1);
}

#[tokio::test]
async fn a_voucher_of_an_operator_that_was_revoked_is_good_no_more() {
    let world = World::new().await;
    let secret = world.voucher("pump-1").await;
    let serial = world.station.principal.serial;
    let reason = "left".parse().unwrap();
    world.engine.revoke_operator(&world.admin, serial, reason, false).await.unwrap();
    assert_eq!(code(world.redeem("pump-1", &secret, &csr()).await), "voucher-invalid");
    assert_eq!(world.all_certificates().await.len(), 0);
}

#[tokio::test]
async fn a_device_out_of_trust_gets_nothing_by_its_voucher() {
    let world = World::new().await;
    let secret = world.voucher("pump-1").await;
    world.redeem("pump-1", &secret, &csr()).await.unwrap();
    let order = || VoucherOrder { tenant: Some(world.tenant()), ..voucher("pump-1") };
    let secret = *world.engine.make_voucher(&world.admin, order()).await.unwrap().secret.expose();
    world.put_state("pump-1", DeviceState::Suspended).await;
    assert_eq!(code(world.redeem("pump-1", &secret, &csr()).await), "suspended");
    assert_eq!(code(world.engine.make_voucher(&world.admin, order()).await), "suspended");
    world.put_state("pump-1", DeviceState::Active).await;
    // A device that comes back begins again.
    let reason = "opened".parse().unwrap();
    world.engine.readmit_device(&world.admin, name("klinik", "pump-1"), true, reason).await.unwrap();
    assert_eq!(code(world.redeem("pump-1", &secret, &csr()).await), "voucher-invalid");
    world.clock.pass(1);
    let secret = world.voucher("pump-1").await;
    world.redeem("pump-1", &secret, &csr()).await.unwrap();
    world.put_state("pump-1", DeviceState::Revoked).await;
    assert_eq!(code(world.redeem("pump-1", &secret, &csr()).await), "revoked");
    assert_eq!(code(world.engine.make_voucher(&world.station, voucher("pump-1")).await), "device-revoked");
    assert_eq!(world.all_certificates().await.len(), 2);
}

#[tokio::test]
async fn a_station_makes_vouchers_for_devices_that_wait_and_for_no_others() {
    let world = World::new().await;
    world.device("pump-1").await;
    let pending = TestDevice::begin(&world.engine, "pump-2");
    world.engine.enroll(&world.station, pending.order()).await.unwrap();
    let by_station = async |device: &str| world.engine.make_voucher(&world.station, voucher(device)).await;
    assert_eq!(code(by_station("pump-1").await), "already-enrolled", "it is active");
    assert_eq!(code(by_station("pump-2").await), "already-enrolled", "it is to confirm its enrollment");
    assert_eq!(code(by_station("PUMP-1").await), "id-similar");
    let by_admin = async |device: &str| {
        let order = VoucherOrder { tenant: Some(world.tenant()), ..voucher(device) };
        world.engine.make_voucher(&world.admin, order).await
    };
    assert_eq!(code(by_admin("pump-2").await), "pending");
    assert_eq!(code(by_admin("pump-3").await), "device-unknown");
    let Voucher { secret, .. } = by_admin("pump-1").await.unwrap();
    world.redeem("pump-1", secret.expose(), &csr()).await.unwrap();

    // One that waits may be enrolled otherwise; its voucher is gone then.
    let secret = world.voucher("pump-4").await;
    let mut device = TestDevice::begin(&world.engine, "pump-4");
    let reply = world.engine.enroll(&world.station, device.order()).await.unwrap();
    assert_eq!(code(world.redeem("pump-4", &secret, &csr()).await), "voucher-invalid");
    let tag = device.finish(&reply);
    world.engine.confirm(&world.station, "pump-4".parse().unwrap(), tag).await.unwrap();
    assert_eq!(code(world.redeem("pump-4", &secret, &csr()).await), "voucher-invalid");
    // One that has certificates may not.
    let secret = world.voucher("pump-5").await;
    world.redeem("pump-5", &secret, &csr()).await.unwrap();
    let device = TestDevice::begin(&world.engine, "pump-5");
    assert_eq!(code(world.engine.enroll(&world.station, device.order()).await), "already-enrolled");
    assert_eq!(code(by_station("pump-5").await), "already-enrolled");

    for (lifetime, wanted) in [(59, "malformed"), (60, "ok"), (366 * DAY, "ok"), (366 * DAY + 1, "malformed")]
    {
        let order = VoucherOrder { lifetime, ..voucher("pump-6") };
        assert_eq!(code(world.engine.make_voucher(&world.station, order).await), wanted);
    }
    let order = VoucherOrder { profile: "unheard".parse().unwrap(), ..voucher("pump-7") };
    assert_eq!(code(world.engine.make_voucher(&world.station, order).await), "profile-unknown");
}

#[tokio::test]
async fn a_voucher_costs_a_place_of_the_station() {
    let world = World::new().await;
    let few = OperatorOrder { quota: 2, ..order(Role::Station, Some("klinik"), "line-2") };
    let (_, operator) = world.engine.issue_operator(&world.admin, few).await.unwrap();
    let station = crate::world::caller(operator.principal);
    let make = async |device: &str| code(world.engine.make_voucher(&station, voucher(device)).await);
    assert_eq!([make("pump-1").await, make("pump-1").await, make("pump-2").await], ["ok"; 3]);
    assert_eq!(make("pump-3").await, "quota-exhausted");
    for _ in 0..7 {
        assert_eq!(make("pump-1").await, "ok", "a voucher that went astray is made again");
    }
    assert_eq!(make("pump-1").await, "quota-exhausted", "not without end");
}

#[tokio::test]
async fn a_key_is_made_for_who_may_have_it_and_is_on_no_record() {
    let world = World::new().await;
    let (maker, call) = (Arc::new(Maker::default()), Call::new("est"));
    world.engine.make_keys_by(maker.clone());
    let asked = || EstCall { call: &call, operation: EstOperation::ServerKeyGen };
    let pump = name("klinik", "pump-1");
    let secret = world.voucher("pump-1").await;
    let redeem = async |secret: &[u8; 32], kind| {
        let wanted = Wanted::Made(kind);
        world.engine.redeem_voucher(asked(), &pump, Secret::copied_from(secret), &wanted).await
    };
    assert_eq!(code(redeem(&[7; 32], KeyKind::P256).await), "voucher-invalid");
    assert_eq!(code(redeem(&secret, KeyKind::Rsa3072).await), "csr-key-not-accepted");
    assert_eq!(maker.made.load(Ordering::Relaxed), 0, "no key was made for nothing");
    let Enrolled { leaf, key } = redeem(&secret, KeyKind::P256).await.unwrap();
    let key = key.unwrap();
    let signs = P256SigningKey::from_pkcs8(&key).unwrap();
    assert_eq!(
        HeldCertificate::read(&leaf).unwrap().key,
        SubjectKey::from(&PublicKey::from(*signs.verifying_key()))
    );
    assert_eq!(code(redeem(&secret, KeyKind::P256).await), "voucher-invalid", "the key is not kept");
    for (_, row) in world.rows().await {
        assert!(
            !row.value.windows(32).any(|part| key.expose().windows(32).any(|of| of == part)
                && !leaf.windows(32).any(|of| of == part))
        );
    }
    let entries = world.entries(Event::CertificateIssued).await;
    assert!(facts(&entries[0]).contains("key-made=p256"), "{}", facts(&entries[0]));

    let renew = async |leaf: &[u8], kind| world.engine.renew(asked(), leaf, &Wanted::Made(kind)).await;
    let next = renew(&leaf, KeyKind::P256).await.unwrap();
    assert!(next.key.is_some_and(|next| next.expose() != key.expose()));
    let made = maker.made.load(Ordering::Relaxed);
    assert_eq!(code(renew(&leaf, KeyKind::P384).await), "csr-key-not-accepted");
    world.put_state("pump-1", DeviceState::Suspended).await;
    assert_eq!(code(renew(&leaf, KeyKind::P256).await), "suspended");
    assert_eq!(maker.made.load(Ordering::Relaxed), made, "no key was made for nothing");
}

/// What a signer elsewhere did not sign was certified for nobody. What it may be signing now was.
#[tokio::test]
async fn a_voucher_for_a_made_key_outlives_a_signer_that_fails() {
    let signer = Elsewhere::new(KeyAlgorithm::P256);
    let keys = CaKeys { issuing: CaKeySource::Elsewhere(signer.clone()), ..CaKeys::default() };
    let mut world = World::founded(keys, vec![signer.clone()]).await;
    let redeem = async |world: &World, secret: &[u8; 32]| {
        world.engine.make_keys_by(Arc::new(Maker::default()));
        let call = Call::new("est");
        let asked = EstCall { call: &call, operation: EstOperation::ServerKeyGen };
        let (pump, secret) = (name("klinik", "pump-1"), Secret::copied_from(secret));
        code(world.engine.redeem_voucher(asked, &pump, secret, &Wanted::Made(KeyKind::P256)).await)
    };
    let secret = world.voucher("pump-1").await;
    signer.set_down(true);
    assert_eq!(redeem(&world, &secret).await, "signer-unavailable");
    signer.set_down(false);
    // The process dies with the certificate prepared: another one may still sign it.
    world.store.crash_at(1, CrashPoint::BeforeApply);
    assert_ne!(redeem(&world, &secret).await, "ok");
    world.restart().await;
    assert_eq!(redeem(&world, &secret).await, "voucher-invalid", "it may be signed yet");
    world.clock.pass(601);
    world.sweep().await;
    assert_eq!(redeem(&world, &secret).await, "ok");
    assert_eq!(redeem(&world, &secret).await, "voucher-invalid");
    assert_eq!(world.all_certificates().await.len(), 1);
}

/// One that was spent after the backup is on record as unspent.
#[tokio::test]
async fn a_voucher_of_before_a_restore_is_good_no_more() {
    let (world, custody) = World::with_custody().await;
    let secret = world.voucher("pump-1").await;
    let backup = world.backup().await;
    world.redeem("pump-1", &secret, &csr()).await.unwrap();
    world.clock.pass(60);
    let after = world.restored(&backup, &custody).await;
    assert_eq!(code(after.redeem("pump-1", &secret, &csr()).await), "voucher-invalid");
}
