//! What only rows that no authority writes can show: a CA that certified a device of another tenant, and a store of format 3.

use crate::issue::authority::place;
use crate::issue::cas::Ca;
use crate::kernel::{Caller, Engine, Ports};
use crate::rows::seal::Keyring;
use crate::rows::{
    self, AUTHORITY, AuthorityRow, CaKeyColumn, CertificateRow, FORMAT_KEY, FormatRow, IssuingCaRow, Link,
    ca_place,
};
use crate::{CaOrder, Subject, migrate};
use std::sync::Arc;
use wardein_crypto::{KeyAlgorithm, P256SigningKey, Secret};
use wardein_ddkg::DeviceName;
use wardein_domain::{
    Call, CertificateNames, KeyPurposes, Principal, Role, Serial, TenantId, UnixSeconds, Verdict,
    VerdictReason,
};
use wardein_pki::{Csr, DeviceCsr, DeviceIdentity, Validity};
use wardein_port::{Change, RootKey, Store, Table};
use wardein_testkit::{CrashPoint, MemoryStore, TestClock, commit};

const START: u64 = 1_790_000_000;
const ROOT_KEY: [u8; 32] = [7; 32];

fn root_keys() -> Vec<RootKey> {
    vec![RootKey { version: 1, secret: Secret::copied_from(&ROOT_KEY) }]
}

fn ports(store: &MemoryStore) -> Ports {
    Ports::new(Arc::new(store.clone()), TestClock::at(START))
}

/// An authority with these tenants, each with a CA of its own.
async fn world(tenants: &[&str]) -> (MemoryStore, Engine, Caller) {
    let store = MemoryStore::new();
    let domain = "wardein.example".parse().unwrap();
    let founded = crate::found(&ports(&store), Secret::copied_from(&ROOT_KEY), domain).await.unwrap();
    let engine = Engine::open(ports(&store), root_keys()).await.unwrap();
    let admin = Caller { principal: founded.admin, call: Call::new("test") };
    for tenant in tenants {
        let tenant: TenantId = tenant.parse().unwrap();
        engine.create_tenant(&admin, tenant.clone()).await.unwrap();
        let order = CaOrder { tenant: Some(tenant), algorithm: KeyAlgorithm::P256, is_next: false };
        engine.create_ca(&admin, order).await.unwrap();
    }
    (store, engine, admin)
}

/// Puts a certificate for a device of `tenant` on record that this CA signed.
async fn certified(engine: &Engine, store: &MemoryStore, ca: &Ca, tenant: &str) -> Vec<u8> {
    let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
    let csr = Csr::parse(&Csr::create(&key).unwrap()).unwrap();
    let mut random = [0; 16];
    wardein_crypto::Entropy::fill(&mut wardein_crypto::SystemEntropy::default(), &mut random).unwrap();
    let (serial, validity) = (Serial::from_random(random), Validity::starting(START, 3_600).unwrap());
    let name = DeviceName { tenant: tenant.parse().unwrap(), device: "pump-1".parse().unwrap() };
    let identity = DeviceIdentity {
        serial,
        tenant: name.tenant.clone(),
        device: name.device.clone(),
        names: CertificateNames::default(),
        validity: validity.within(engine.memory.ca(&ca.id).unwrap().certificate.validity()).unwrap(),
        assurance: None,
        purposes: KeyPurposes::CLIENT,
        no_rev_avail: false,
    };
    let known = engine.memory.ca(&ca.id).unwrap();
    let der = known.key().unwrap().issue_device(&DeviceCsr::from(&csr), &identity).unwrap().into_der();
    let second = UnixSeconds::new;
    let row = CertificateRow {
        issued_at: second(START),
        not_before: second(identity.validity.not_before()),
        not_after: second(identity.validity.not_after()),
        era: 0,
        der: der.clone(),
    };
    let (mut change, key) = (Change::default(), rows::certificate_key(&name, &serial));
    change.insert(Table::Serial, serial.as_bytes().to_vec(), Link::encode(&key));
    change.insert(Table::Certificate, key, rows::encode(&row).unwrap());
    commit(store, change).await.unwrap();
    der
}

#[tokio::test]
async fn a_certificate_of_one_tenants_ca_for_a_device_of_another_is_none() {
    let (store, engine, _) = world(&["klinik", "lab"]).await;
    let cas = engine.issuing_cas();
    let of = |tenant: Option<&str>| {
        cas.iter().find(|ca| ca.tenant.as_ref().map(TenantId::as_str) == tenant).unwrap()
    };
    let platform = |tenant: &str| {
        let (role, tenant) = (Role::Platform, Some(tenant.parse().unwrap()));
        let principal =
            Principal { role, tenant, name: "iot".parse().unwrap(), serial: Serial::from_random([9; 16]) };
        Caller { principal, call: Call::new("test") }
    };
    for (ca, tenant, is_recognized) in [
        (of(Some("klinik")), "klinik", true),
        (of(Some("klinik")), "lab", false),
        (of(Some("lab")), "klinik", false),
        (of(None), "lab", true),
    ] {
        let der = certified(&engine, &store, ca, tenant).await;
        assert_eq!(engine.recognize(&der).is_ok(), is_recognized, "{:?} for {tenant}", ca.tenant);
        let answer = engine.check(&platform(tenant), Subject::Certificate(der)).await.unwrap();
        assert_eq!(answer.verdict, Verdict::Unknown, "there is no device");
        let is_unknown = answer.reasons.contains(&VerdictReason::CertificateUnknown);
        assert_eq!(is_unknown, !is_recognized, "{tenant}");
    }
}

/// The same store as format 3 had it: the one issuing CA in the authority's row.
async fn third(store: &MemoryStore) -> MemoryStore {
    let ring = Keyring::of(root_keys()).unwrap();
    let (key, row) = store.scan(Table::IssuingCa, b"", None, 1).await.unwrap().remove(0);
    let ca: IssuingCaRow = rows::decode(Table::IssuingCa, &row.value).unwrap();
    let CaKeyColumn::Sealed(sealed) = &ca.key else { panic!("its key is sealed") };
    let id = rows::parse_ca_key(&key).unwrap();
    let document = ring.open(ca_place(&id), sealed).unwrap();
    let old = MemoryStore::new();
    let mut change = Change::default();
    for table in Table::ALL.into_iter().filter(|table| *table != Table::IssuingCa) {
        for (key, row) in store.scan(table, b"", None, usize::MAX).await.unwrap() {
            let mut value = row.value;
            if (table, &key[..]) == (Table::Authority, AUTHORITY) {
                let mut authority: AuthorityRow = rows::decode(table, &value).unwrap();
                authority.issuing_der = ca.der.clone();
                authority.issuing_key = ring.seal([3; 12], place("issuing"), document.expose()).unwrap();
                value = rows::encode(&authority).unwrap();
            }
            if (table, &key[..]) == (Table::Authority, FORMAT_KEY) {
                value = rows::encode(&FormatRow { format: 3 }).unwrap();
            }
            change.insert(table, key, value);
        }
    }
    change.audit = store.audit(1, 1_000).await.unwrap().into_iter().map(|(_, entry)| entry).collect();
    commit(&old, change).await.unwrap();
    old
}

#[tokio::test]
async fn the_issuing_ca_of_a_store_of_the_third_format_goes_on_whatever_dies_in_between() {
    let (store, engine, _) = world(&[]).await;
    let (bundle, ca) = (engine.trust_bundle().pem, engine.issuing_cas().remove(0));
    let mut old = third(&store).await;
    let der = certified(&engine, &old, &ca, "klinik").await;
    let mut crashes = 0;
    loop {
        let point = [CrashPoint::BeforeApply, CrashPoint::AfterApply][crashes as usize % 2];
        old.crash_at(crashes / 2, point);
        let migrated = migrate(&ports(&old), root_keys(), |_| {}).await;
        let has_crashed = old.crashed();
        old = old.restart();
        if !has_crashed {
            assert!(migrated.unwrap() || crashes > 0);
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 1, "{crashes} crashes");
    let engine = Engine::open(ports(&old), root_keys()).await.unwrap();
    assert_eq!(engine.trust_bundle().pem, bundle);
    assert_eq!(engine.issuing_cas(), [ca]);
    assert!(engine.recognize(&der).is_ok());
    let (_, row): (u64, AuthorityRow) = rows::load(&old, Table::Authority, AUTHORITY).await.unwrap().unwrap();
    assert!(row.issuing_der.is_empty() && row.issuing_key.is_empty(), "it is in one place");
}
