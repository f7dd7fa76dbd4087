//! The names in a device's certificate beside its SPIFFE id: by its profile, and refused where they do not fit.

use crate::signing::Signer;
use crate::tpm::key_order;
use crate::world::{TestDevice, World, caller, csr, facts, order};
use wardein_domain::{DeviceState, Event, KeyKeeper, NameTemplate, ProfileFields, Role};
use wardein_engine::{Caller, DeviceFilter, Error, ErrorKind, Page, ProfilePut, Subject};
use wardein_pki::{CaCertificate, Issuing, pem};

fn fields(cn: &str, dns: &str) -> ProfileFields {
    let template = |text: &str| Some(text.parse::<NameTemplate>().unwrap());
    ProfileFields { certificate_cn: template(cn), certificate_dns: template(dns), ..ProfileFields::default() }
}

impl World {
    async fn name_by(&self, by: &Caller, fields: ProfileFields) -> Result<(), Error> {
        let name = "default".parse().unwrap();
        self.engine.put_profile(by, self.tenant(), name, ProfilePut::whole(fields)).await.map(|_| ())
    }

    /// Common name and DNS name of the certificate in a reply.
    fn names(&self, chain: &[u8]) -> (Option<String>, Option<String>) {
        let length = u32::from_be_bytes(*chain.first_chunk().unwrap()) as usize;
        let bundle = pem::decode_certificates(&self.engine.trust_bundle().pem).unwrap();
        let ca = CaCertificate::<Issuing>::parse(&bundle[1]).unwrap();
        let names = ca.recognize(&chain[4..4 + length]).unwrap().names;
        (names.common_name.map(|name| name.to_string()), names.dns.map(|name| name.to_string()))
    }

    async fn tenant_admin(&self) -> Caller {
        let anna = order(Role::TenantAdmin, Some("klinik"), "anna");
        caller(self.engine.issue_operator(&self.admin, anna).await.unwrap().1.principal)
    }
}

#[tokio::test]
async fn a_certificate_has_the_names_of_its_devices_profile() {
    let world = World::new().await;
    let mut device = world.device("Pump-1").await;
    let chain = device.prove(&world.engine, "certificate", &csr()).await.unwrap().body;
    assert_eq!(world.names(&chain), (None, None), "none, unless a profile says so");

    world.name_by(&world.admin, fields("{device}.{tenant}", "{device}.{profile}.example")).await.unwrap();
    let chain = device.prove(&world.engine, "certificate", &csr()).await.unwrap().body;
    let dns = "pump-1.default.example".to_owned();
    assert_eq!(world.names(&chain), (Some("Pump-1.klinik".into()), Some(dns)));
    // It is that device's all the same.
    let length = u32::from_be_bytes(*chain.first_chunk().unwrap()) as usize;
    let leaf = chain[4..4 + length].to_vec();
    let answer = world.engine.check(&world.platform, Subject::Certificate(leaf)).await.unwrap();
    assert_eq!(answer.device.unwrap(), device.name.device);

    // A device that signs, too; and what a profile inherits.
    let signer = Signer::enrolled(&world, "meter-1").await;
    let chain = signer.ask(&world, "certificate", &signer.csr()).await.unwrap();
    assert_eq!(world.names(&chain).0, Some("meter-1.klinik".into()));
    let own = "ward".parse().unwrap();
    let bare = ProfileFields { certificate_cn: Some(NameTemplate::NONE), ..ProfileFields::default() };
    world.engine.put_profile(&world.admin, world.tenant(), own, ProfilePut::whole(bare)).await.unwrap();
    let profiles = world.engine.list_profiles(&world.admin, world.tenant()).await.unwrap();
    let effective = profiles[1].effective.fields();
    assert_eq!(effective.certificate_cn, Some(NameTemplate::NONE));
    assert_eq!(effective.certificate_dns.unwrap().as_str(), "{device}.{profile}.example");
    let put = world.entries(Event::ProfilePut).await;
    let said: Vec<String> = put.iter().map(facts).collect();
    assert!(said[0].contains("certificate-cn") && said[0].contains("{device}.{tenant}"), "{said:?}");
    assert!(said[1].contains("none"), "{said:?}");
}

#[tokio::test]
async fn a_name_that_does_not_fit_is_refused_at_enrollment_and_at_issuance() {
    let world = World::new().await;
    let long = "p".repeat(58);
    let mut early = world.device(&long).await;
    world.name_by(&world.admin, fields("{device}.{tenant}", "")).await.unwrap();
    // Enrolled before: its next certificate.
    let refused = early.prove(&world.engine, "certificate", &csr()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Precondition, "certificate-name-unfit"));
    for word in ["profile default", "certificate_cn", "common name has 65 bytes; it takes 1 to 64"] {
        assert!(refused.message.contains(word), "{refused}");
    }
    early.prove(&world.engine, "authenticate", b"").await.unwrap();
    // At the factory, whichever way it is enrolled.
    let longer = "q".repeat(58);
    let late = TestDevice::begin(&world.engine, &longer);
    let refused = world.engine.enroll(&world.station, late.order()).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "certificate-name-unfit");
    Signer::enrolled(&world, "meter-1").await;
    let key_order = key_order(&longer);
    let refused = world.engine.enroll_key(&world.station, &key_order, KeyKeeper::Software, &csr()).await;
    assert_eq!(refused.unwrap_err().code.as_str(), "certificate-name-unfit");
    world.device(&"p".repeat(57)).await;

    // What no device could have is not set.
    for (cn, dns) in [(format!("{{device}}{}", "x".repeat(64)), ""), (String::new(), "{device}_x")] {
        let refused = world.name_by(&world.admin, fields(&cn, dns)).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Invalid, "malformed"));
    }

    // What a DNS name cannot have.
    world.name_by(&world.admin, fields("", "{device}.example")).await.unwrap();
    for id in ["p_1", &"p".repeat(64)] {
        let device = TestDevice::begin(&world.engine, id);
        let refused = world.engine.enroll(&world.station, device.order()).await.unwrap_err();
        assert_eq!(refused.code.as_str(), "certificate-name-unfit", "{id}");
        assert!(refused.message.contains("certificate_dns"), "{refused}");
    }
    early.prove(&world.engine, "certificate", &csr()).await.unwrap();
    let all = Page { size: 100, after: None };
    let devices =
        world.engine.list_devices(&world.admin, world.tenant(), &DeviceFilter::default(), all).await;
    let devices = devices.unwrap().items;
    assert_eq!(devices.len(), 3, "nothing is left of those that were refused");
    assert!(devices.iter().all(|device| device.state == DeviceState::Active));
}

#[tokio::test]
async fn a_tenants_administrator_names_its_own_devices_only() {
    let world = World::new().await;
    let anna = world.tenant_admin().await;
    for foreign in ["{device}", "{tenant}.{device}", "{device}-{tenant}", "{device}.{tenant}.other"] {
        for fields in [fields(foreign, ""), fields("", foreign)] {
            let refused = world.name_by(&anna, fields).await.unwrap_err();
            assert_eq!(
                (refused.kind(), refused.code.as_str()),
                (ErrorKind::Denied, "role-insufficient"),
                "{foreign}"
            );
            assert!(refused.message.contains("`.{tenant}`"), "{refused}");
        }
    }
    world.name_by(&anna, fields("{device}.{tenant}", "{device}.ward.{tenant}")).await.unwrap();
    world.name_by(&anna, fields("", "")).await.unwrap();
    // What an administrator of the authority chose stays, until it is changed.
    world.name_by(&world.admin, fields("{device}", "")).await.unwrap();
    let shorter = ProfileFields { period: Some(60), ..fields("{device}", "") };
    world.name_by(&anna, shorter).await.unwrap();
    assert!(world.name_by(&anna, fields("{device}", "{device}")).await.is_err());
    world.name_by(&anna, ProfileFields::default()).await.unwrap();
    assert!(world.name_by(&anna, fields("{device}", "")).await.is_err());
}
