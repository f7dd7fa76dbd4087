//! Certificates of platforms: what they are for, whose names they have, and that they are revoked like those of devices.

use crate::world::{World, caller, csr, facts, order};
use std::sync::Arc;
use wardein_crypto::{Digest, KeyAlgorithm, hex};
use wardein_domain::{Event, Fingerprint, PlatformProfile, RevocationReason, Role, Target, VerdictReason};
use wardein_engine::{
    CaKeySource, CaKeys, Caller, ErrorCode, Issued, Page, PlatformCertificate, PlatformOrder, Subject,
};
use wardein_pki::{CaCertificate, CrlOrder, Issuing, Root, issuer_key_id, pem};
use wardein_testkit::Elsewhere;

const DAY: u64 = 86_400;

/// One that may certify platforms.
async fn serving() -> World {
    World::founded(CaKeys { devices_serve: true, ..CaKeys::default() }, Vec::new()).await
}

fn server(names: &[&str]) -> PlatformOrder {
    PlatformOrder {
        tenant: "klinik".parse().unwrap(),
        profile: PlatformProfile::PlatformServer,
        csr: csr(),
        common_name: None,
        dns_names: names.iter().map(|name| name.parse().unwrap()).collect(),
        validity: 90 * DAY,
    }
}

fn firmware() -> PlatformOrder {
    PlatformOrder {
        profile: PlatformProfile::FirmwareSigning,
        common_name: Some("pump-firmware".parse().unwrap()),
        validity: 5 * 366 * DAY,
        ..server(&[])
    }
}

impl World {
    async fn platform_cert(
        &self,
        by: &Caller,
        order: PlatformOrder,
    ) -> Result<PlatformCertificate, ErrorCode> {
        self.engine.issue_platform(by, order).await.map_err(|error| error.code)
    }

    async fn administrator_of_tenant(&self) -> Caller {
        let order = order(Role::TenantAdmin, Some("klinik"), "anna");
        caller(self.engine.issue_operator(&self.admin, order).await.unwrap().1.principal)
    }

    async fn listed(&self) -> usize {
        let page = Page { size: 100, after: None };
        self.engine.list_certificates(&self.admin, self.tenant(), None, page).await.unwrap().items.len()
    }

    async fn on_crl(&self) -> usize {
        let bundle = pem::decode_certificates(&self.engine.trust_bundle().pem).unwrap();
        let ca = *CaCertificate::<Issuing>::parse(&bundle[1]).unwrap().key_id();
        self.engine.publish_crls().await.unwrap();
        CrlOrder::read(&self.engine.crl(&ca).unwrap().bytes).unwrap().revoked.len()
    }
}

#[tokio::test]
async fn a_platform_gets_its_certificate_and_the_same_again_and_it_is_on_record() {
    let world = serving().await;
    let asked = server(&["iot.klinik", "iot2.klinik"]);
    let by = world.administrator_of_tenant().await;
    let issued = world.platform_cert(&by, asked.clone()).await.unwrap();
    let chain = pem::decode_certificates(&issued.pem).unwrap();
    assert_eq!(chain[1], pem::decode_certificates(&world.engine.trust_bundle().pem).unwrap()[1]);
    // The answer was lost.
    assert_eq!(world.platform_cert(&by, asked.clone()).await.unwrap(), issued);
    assert_eq!(world.platform_cert(&world.admin, asked.clone()).await.unwrap(), issued);
    assert_eq!(world.listed().await, 1);
    let entries = world.entries(Event::PlatformCertified).await;
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(entry.target, Target::Tenant(world.tenant()));
    let said = facts(entry);
    let digest = hex::encode(&Digest::of(&chain[0]).0);
    for word in ["platform-server", "dns-names=iot.klinik,iot2.klinik", &digest, &issued.serial.to_string()] {
        assert!(said.contains(word), "{word} in {said}");
    }
    // Another name, another time, another key: another certificate.
    let others = [
        server(&["iot.klinik"]),
        PlatformOrder { validity: 89 * DAY, ..asked.clone() },
        PlatformOrder { csr: csr(), ..asked.clone() },
    ];
    for other in others {
        assert_ne!(world.platform_cert(&by, other).await.unwrap().serial, issued.serial);
    }
    world.clock.pass(DAY + 1);
    let mut sweep = world.engine.begin_sweep(None, None).await.unwrap();
    while !world.engine.sweep_some(&mut sweep, 100).await.unwrap().is_done {}
    assert_ne!(world.platform_cert(&by, asked).await.unwrap().serial, issued.serial, "for a day");
    assert_eq!(world.listed().await, 5);
}

#[tokio::test]
async fn a_platforms_certificate_is_revoked_by_serial_tenant_and_ca_and_is_no_devices() {
    let world = serving().await;
    let asked = server(&["iot.klinik"]);
    let issued = world.platform_cert(&world.admin, asked.clone()).await.unwrap();
    let der = pem::decode_certificates(&issued.pem).unwrap().remove(0);
    let fingerprint = Fingerprint::of_digest(Digest::of(&der).0);
    for subject in
        [Subject::Certificate(der), Subject::Serial(issued.serial), Subject::Fingerprint(fingerprint)]
    {
        let answer = world.engine.check(&world.platform, subject).await.unwrap();
        assert_eq!(answer.device, None);
        assert_eq!(answer.reasons, [VerdictReason::NoSuchDevice, VerdictReason::CertificateUnknown]);
    }
    assert_eq!(world.on_crl().await, 0);
    let (code, reason) = (RevocationReason::KeyCompromise, || "lost".parse().unwrap());
    let tenant = world.tenant();
    world
        .engine
        .revoke_certificate(&world.admin, tenant.clone(), issued.serial, code, reason())
        .await
        .unwrap();
    assert_eq!(world.on_crl().await, 1);
    // What is revoked is not handed out again.
    let second = world.platform_cert(&world.admin, asked).await.unwrap();
    assert_ne!(second.serial, issued.serial);
    let now = world.engine.now();
    let rule = Issued::InTenant(tenant);
    world.engine.revoke_issued(&world.admin, rule, now..=now + 60, code, reason()).await.unwrap();
    assert_eq!(world.on_crl().await, 2);
    let refused = world.platform_cert(&world.admin, server(&["iot.klinik"])).await.unwrap_err();
    assert_eq!(refused, ErrorCode::IssuanceRevoked);
}

#[tokio::test]
async fn names_of_others_and_of_the_authority_are_not_certified() {
    let world = serving().await;
    world.engine.issue_server_identity(&["wardein.klinik".parse().unwrap()]).await.unwrap();
    let by = world.administrator_of_tenant().await;
    for (who, name, code) in [
        (&by, "iot.example", Some(ErrorCode::RoleInsufficient)),
        (&by, "klinik", Some(ErrorCode::RoleInsufficient)),
        (&by, "other-klinik", Some(ErrorCode::RoleInsufficient)),
        (&by, "wardein.klinik", Some(ErrorCode::CertificateNameUnfit)),
        (&world.admin, "wardein.klinik", Some(ErrorCode::CertificateNameUnfit)),
        (&world.admin, "iot.example", None),
        (&by, "iot.klinik", None),
    ] {
        assert_eq!(world.platform_cert(who, server(&[name])).await.err(), code, "{name}");
    }
    let two = server(&["iot.klinik", "iot.example"]);
    assert_eq!(world.platform_cert(&by, two).await.err(), Some(ErrorCode::RoleInsufficient));
}

#[tokio::test]
async fn firmware_is_signed_for_years_and_a_ca_of_clients_certifies_no_platform() {
    let world = serving().await;
    let issued = world.platform_cert(&world.admin, firmware()).await.unwrap();
    assert_eq!(issued.not_after, world.engine.now() + 5 * 366 * DAY);
    // No longer than its CA.
    let longest = PlatformOrder { validity: 10 * 366 * DAY, ..firmware() };
    let longest = world.platform_cert(&world.admin, longest).await.unwrap();
    let bundle = pem::decode_certificates(&world.engine.trust_bundle().pem).unwrap();
    let ca = CaCertificate::<Issuing>::parse(&bundle[1]).unwrap();
    assert_eq!(longest.not_after, ca.validity().not_after());
    let clients = World::new().await;
    for asked in [server(&["iot.klinik"]), firmware()] {
        let refused = clients.platform_cert(&clients.admin, asked).await.unwrap_err();
        assert_eq!(refused, ErrorCode::CertificateProfileBeyondCa);
    }
    assert_eq!(clients.listed().await, 0);
}

#[tokio::test]
async fn a_signer_elsewhere_certifies_a_platform_once() {
    let signer = Elsewhere::new(KeyAlgorithm::P384);
    let keys =
        CaKeys { issuing: CaKeySource::Elsewhere(signer.clone()), devices_serve: true, ..CaKeys::default() };
    let world = World::founded(keys, vec![Arc::clone(&signer) as _]).await;
    let asked = server(&["iot.klinik"]);
    let issued = world.platform_cert(&world.admin, asked.clone()).await.unwrap();
    assert_eq!(world.platform_cert(&world.admin, asked).await.unwrap(), issued);
    assert_eq!(world.listed().await, 1);
    assert_eq!(world.entries(Event::CertificatePrepared).await.len(), 1);
    assert_eq!(world.entries(Event::PlatformCertified).await.len(), 1);
}

/// A verifier that has the new root alone is shown the way to it.
#[tokio::test]
async fn a_platforms_chain_leads_to_either_root() {
    let mut world = serving().await;
    let old = pem::decode_certificates(&world.engine.trust_bundle().pem).unwrap().remove(0);
    world.clock.pass(1);
    let [new, _] = world.rotate_root(KeyAlgorithm::P384).await;
    let issued = world.platform_cert(&world.admin, server(&["iot.klinik"])).await.unwrap();
    let chain = pem::decode_certificates(&issued.pem).unwrap();
    assert_eq!(chain.len(), 3);
    let id = |root: &[u8]| *CaCertificate::<Root>::parse(root).unwrap().key_id();
    let issuer = |der: &[u8]| issuer_key_id(der).unwrap();
    assert_eq!((issuer(&chain[1]), issuer(&chain[2])), (id(&old), id(&new)), "the old root, by the new one");
}
