//! Certificate profiles: what certificates are for, which keys they take, and what they say of revocation.

use crate::signing::Signer;
use crate::world::{TestDevice, World, caller, csr, facts, order};
use wardein_crypto::KeyAlgorithm;
use wardein_domain::{
    CertificateProfile, Event, KeyKind, KeyKinds, KeyPurposes, NameTemplate, Profile, ProfileFields, Role,
};
use wardein_engine::{CaKeys, Caller, Error, ErrorKind, Page, ProfilePut, Subject};
use wardein_pki::{Csr, DeviceIdentity, SubjectKey, pem, verify_device_chain};

/// Requests that openssl made.
macro_rules! request {
    ($name:literal) => {
        &include_bytes!(concat!("../../../pki/src/tests/vectors/requests/", $name, ".der"))[..]
    };
}

const DAY: u64 = 86_400;

fn of(profile: CertificateProfile) -> ProfileFields {
    ProfileFields { certificate_profile: Some(profile), ..ProfileFields::default() }
}

impl World {
    /// One whose devices may be servers.
    async fn serving() -> Self {
        Self::founded(CaKeys { devices_serve: true, ..CaKeys::default() }, Vec::new()).await
    }

    async fn put(&self, put: ProfilePut) -> Result<Profile, Error> {
        let name = "default".parse().unwrap();
        let listed = self.engine.put_profile(&self.admin, self.tenant(), name, put).await?;
        Ok(listed.effective)
    }

    /// The contents of the leaf in a reply, and its key.
    fn read(&self, chain: &[u8]) -> (DeviceIdentity, SubjectKey) {
        let length = u32::from_be_bytes(*chain.first_chunk().unwrap()) as usize;
        let bundle = pem::decode_certificates(&self.engine.trust_bundle().pem).unwrap();
        verify_device_chain(&[&chain[4..4 + length], &bundle[1]], &[&bundle[0]]).unwrap()
    }

    async fn ask(&self, device: &mut TestDevice, csr: &[u8]) -> Result<(DeviceIdentity, SubjectKey), Error> {
        let answer = device.prove(&self.engine, "certificate", csr).await?;
        Ok(self.read(&answer.body))
    }

    async fn refusal(&self, device: &mut TestDevice, csr: &[u8]) -> (ErrorKind, &'static str) {
        let refused = self.ask(device, csr).await.unwrap_err();
        (refused.kind(), refused.code.as_str())
    }

    async fn count(&self) -> usize {
        let page = Page { size: 100, after: None };
        self.engine.list_certificates(&self.admin, self.tenant(), None, page).await.unwrap().items.len()
    }
}

#[tokio::test]
async fn a_device_is_certified_for_what_its_profile_says() {
    let world = World::serving().await;
    let mut device = world.device("ct-1").await;
    let (first, _) = world.ask(&mut device, &csr()).await.unwrap();
    assert_eq!(
        (first.purposes, first.no_rev_avail),
        (KeyPurposes::CLIENT, false),
        "unless a profile says so"
    );
    for profile in CertificateProfile::ALL {
        let effective = world.put(ProfilePut::whole(of(profile))).await.unwrap();
        assert_eq!(
            (effective.certificate_profile(), effective.certificate_keys()),
            (profile, profile.keys())
        );
        for (request, kind) in [
            (&csr()[..], KeyKind::P256),
            (request!("p384"), KeyKind::P384),
            (request!("rsa-3072"), KeyKind::Rsa3072),
            (request!("rsa-4096"), KeyKind::Rsa4096),
        ] {
            if !profile.keys().contains(kind) {
                let refused = world.ask(&mut device, request).await.unwrap_err();
                assert_eq!(
                    (refused.kind(), refused.code.as_str()),
                    (ErrorKind::Precondition, "csr-key-not-accepted")
                );
                assert!(refused.message.contains("it accepts p256"), "{refused}");
                continue;
            }
            let (identity, key) = world.ask(&mut device, request).await.unwrap();
            assert_eq!((identity.purposes, key.kind()), (profile.purposes(), kind), "{profile}");
        }
        assert_eq!(world.refusal(&mut device, request!("rsa-2048")).await.1, "csr-key-not-accepted");
    }
    // Trust queries go by such certificates, too.
    let answer = device.prove(&world.engine, "certificate", request!("p384")).await.unwrap().body;
    let length = u32::from_be_bytes(*answer.first_chunk().unwrap()) as usize;
    let leaf = answer[4..4 + length].to_vec();
    let checked = world.engine.check(&world.platform, Subject::Certificate(leaf)).await.unwrap();
    assert_eq!(checked.device.unwrap(), device.name.device);
    // The legacy kind is for who names it.
    let legacy = ProfileFields {
        certificate_keys: Some(KeyKinds::of(&[KeyKind::Rsa2048])),
        ..of(CertificateProfile::DicomTls)
    };
    world.put(ProfilePut::whole(legacy)).await.unwrap();
    assert_eq!(world.ask(&mut device, request!("rsa-2048")).await.unwrap().1.kind(), KeyKind::Rsa2048);
    assert_eq!(world.refusal(&mut device, &csr()).await.1, "csr-key-not-accepted");
    let said: Vec<String> = world.entries(Event::ProfilePut).await.iter().map(facts).collect();
    let said = said.last().unwrap();
    assert!(
        said.contains("certificate-keys") && said.contains("rsa-2048") && said.contains("dicom-tls"),
        "{said}"
    );
}

#[tokio::test]
async fn weak_and_strange_keys_are_refused_and_nothing_is_issued() {
    let world = World::serving().await;
    let every = ProfileFields {
        certificate_keys: Some(KeyKinds::of(&KeyKind::ALL)),
        ..of(CertificateProfile::DicomTls)
    };
    world.put(ProfilePut::whole(every)).await.unwrap();
    let mut device = world.device("ct-1").await;
    for (request, code) in [
        (request!("rsa-1024"), "csr-rsa-modulus"),
        (request!("rsa-2048-exponent-3"), "csr-rsa-exponent"),
        (request!("rsa-2048-sha1"), "csr-signature-algorithm"),
        (request!("p521"), "csr-signature-algorithm"),
        (request!("ed25519"), "csr-signature-algorithm"),
    ] {
        assert_eq!(world.refusal(&mut device, request).await, (ErrorKind::Invalid, code));
    }
    let mut forged = request!("rsa-4096").to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(world.refusal(&mut device, &forged).await, (ErrorKind::Invalid, "csr-signature"));
    assert_eq!(world.count().await, 0);
}

#[tokio::test]
async fn a_ca_of_clients_has_no_profile_of_servers() {
    let world = World::new().await;
    for profile in CertificateProfile::ALL {
        let put = world.put(ProfilePut::whole(of(profile))).await;
        match profile {
            CertificateProfile::DeviceTls => drop(put.unwrap()),
            _ => {
                let refused = put.unwrap_err();
                let code = (refused.kind(), refused.code.as_str());
                assert_eq!(code, (ErrorKind::Precondition, "certificate-profile-beyond-ca"));
                assert!(refused.message.contains(profile.as_str()), "{refused}");
            }
        }
    }
}

/// Whatever CA a tenant gets, and whatever follows one whose key leaked.
#[tokio::test]
async fn further_cas_certify_for_what_the_first_one_does() {
    for serves in [false, true] {
        let world = if serves { World::serving().await } else { World::new().await };
        let mut device = world.device("ct-1").await;
        let own = world.make(Some("klinik"), false).await;
        let put = world.put(ProfilePut::whole(of(CertificateProfile::DicomTls))).await;
        assert_eq!(put.is_ok(), serves);
        for _ in 0..2 {
            let chain = world.chain_of(&mut device).await;
            let [leaf, ca, root] = [&chain[0], &chain[1], &world.bundle()[0]];
            let (leaf, _) = verify_device_chain(&[leaf, ca], &[root]).unwrap();
            let expected = if serves { KeyPurposes::BOTH_ENDS } else { KeyPurposes::CLIENT };
            assert_eq!(leaf.purposes, expected);
            let reason = "its key leaked".parse().unwrap();
            world.engine.distrust_ca(&world.admin, own.id, reason).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_certificate_for_more_than_a_week_is_confirmed() {
    let world = World::new().await;
    let lives =
        |days: u64| ProfileFields { certificate_validity: Some(days * DAY), ..ProfileFields::default() };
    let confirmed = |fields| ProfilePut { confirms_validity: true, ..ProfilePut::whole(fields) };
    world.put(ProfilePut::whole(lives(7))).await.unwrap();
    let refused = world.put(ProfilePut::whole(lives(8))).await.unwrap_err();
    let code = (refused.kind(), refused.code.as_str());
    assert_eq!(code, (ErrorKind::Precondition, "certificate-validity-unconfirmed"));
    world.put(confirmed(lives(30))).await.unwrap();
    // What was confirmed goes on, and what is more is confirmed again.
    world.put(ProfilePut::whole(ProfileFields { period: Some(60), ..lives(30) })).await.unwrap();
    world.put(ProfilePut::whole(lives(29))).await.unwrap();
    assert!(world.put(ProfilePut::whole(lives(30))).await.is_err());
    assert_eq!(world.put(confirmed(lives(367))).await.unwrap_err().code.as_str(), "malformed");
    world.put(confirmed(lives(366))).await.unwrap();
    let mut device = world.device("pump-1").await;
    let (identity, _) = world.ask(&mut device, &csr()).await.unwrap();
    assert_eq!(identity.validity.not_after() - identity.validity.not_before(), 366 * DAY + 300);
}

#[tokio::test]
async fn a_certificate_says_that_nobody_is_told_of_its_revocation_and_lives_for_a_week() {
    let world = World::new().await;
    let fields = ProfileFields {
        certificate_validity: Some(30 * DAY),
        certificate_no_rev_avail: Some(true),
        ..ProfileFields::default()
    };
    world.put(ProfilePut { confirms_validity: true, ..ProfilePut::whole(fields) }).await.unwrap();
    let mut device = world.device("pump-1").await;
    let (identity, _) = world.ask(&mut device, &csr()).await.unwrap();
    assert!(identity.no_rev_avail);
    assert_eq!(identity.validity.not_after() - identity.validity.not_before(), 7 * DAY + 300);
}

#[tokio::test]
async fn names_of_every_form_are_in_the_certificate_and_a_tenants_administrator_chooses_its_own() {
    let world = World::new().await;
    let template = |text: &str| Some(text.parse::<NameTemplate>().unwrap());
    let fields = |uri: &str, serial: &str| ProfileFields {
        certificate_uri: template(uri),
        certificate_serial_number: template(serial),
        ..ProfileFields::default()
    };
    world.put(ProfilePut::whole(fields("urn:dev:os:1-{device}.{tenant}", "{device}"))).await.unwrap();
    let mut device = world.device("Pump-1").await;
    let (identity, _) = world.ask(&mut device, &csr()).await.unwrap();
    assert_eq!(identity.names.uri.unwrap().as_str(), "urn:dev:os:1-Pump-1.klinik");
    assert_eq!(identity.names.serial_number.unwrap().as_str(), "Pump-1");
    let anna = order(Role::TenantAdmin, Some("klinik"), "anna");
    let anna = caller(world.engine.issue_operator(&world.admin, anna).await.unwrap().1.principal);
    let by_anna = async |fields| {
        let name = "ward".parse().unwrap();
        world.engine.put_profile(&anna, world.tenant(), name, ProfilePut::whole(fields)).await.map(|_| ())
    };
    for foreign in [fields("urn:dev:os:1-{device}", ""), fields("", "{device}")] {
        assert_eq!(by_anna(foreign).await.unwrap_err().code.as_str(), "role-insufficient");
    }
    by_anna(fields("urn:dev:os:1-{device}.{tenant}", "{device}.{tenant}")).await.unwrap();
    assert_eq!(by_anna(fields("{device}.{tenant}", "")).await.unwrap_err().code.as_str(), "malformed");
}

/// Clients that trust the root would take the device for the authority.
#[tokio::test]
async fn no_device_is_certified_as_a_server_by_the_authoritys_own_name() {
    let world = World::serving().await;
    let names = ["authority.example".parse().unwrap(), "10.0.0.1".parse().unwrap()];
    world.engine.issue_server_identity(&names).await.unwrap();
    let named =
        |profile| ProfileFields { certificate_dns: Some("{device}.example".parse().unwrap()), ..of(profile) };
    world.put(ProfilePut::whole(named(CertificateProfile::DicomTls))).await.unwrap();
    let (mut impostor, mut other) = (world.device("Authority").await, world.device("ct-1").await);
    let refused = world.ask(&mut impostor, &csr()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Precondition, "certificate-name-unfit"));
    assert!(refused.message.contains("authority's own name"), "{refused}");
    world.ask(&mut other, &csr()).await.unwrap();
    // Verifiers go by the common name where there is nothing else.
    let common = ProfileFields {
        certificate_cn: Some("{device}.example".parse().unwrap()),
        ..of(CertificateProfile::DicomTls)
    };
    world.put(ProfilePut::whole(common)).await.unwrap();
    let refused = world.ask(&mut impostor, &csr()).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "certificate-name-unfit");
    assert!(refused.message.contains("certificate_cn"), "{refused}");
    world.ask(&mut other, &csr()).await.unwrap();
    world.put(ProfilePut::whole(named(CertificateProfile::DeviceTls))).await.unwrap();
    world.ask(&mut impostor, &csr()).await.expect("a client is nobody's server");
}

/// The proof of a device that signs is over its request: the request's own signature by the same key shows nothing more.
#[tokio::test]
async fn a_device_that_signs_shows_its_key_once() {
    let world = World::new().await;
    let signer = Signer::enrolled(&world, "meter-1").await;
    let mut unsigned = signer.csr();
    *unsigned.last_mut().unwrap() ^= 1;
    let chain = signer.ask(&world, "certificate", &unsigned).await.unwrap();
    let (_, key) = world.read(&chain);
    assert_eq!(key, SubjectKey::from(Csr::parse(&signer.csr()).unwrap().public_key()));
    for other in [&csr()[..], request!("p384"), request!("rsa-2048")] {
        let refused = signer.ask(&world, "certificate", other).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Invalid, "csr-key-of-another"));
    }
    let keys =
        ProfileFields { certificate_keys: Some(KeyKinds::of(&[KeyKind::P384])), ..ProfileFields::default() };
    world.put(ProfilePut::whole(keys)).await.unwrap();
    let refused = signer.ask(&world, "certificate", &signer.csr()).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "csr-key-not-accepted");
}

/// An administrator of the authority chose names for clients; who makes servers of them chooses names again.
#[tokio::test]
async fn names_that_were_chosen_for_clients_are_not_for_servers() {
    let world = World::serving().await;
    let anna = order(Role::TenantAdmin, Some("klinik"), "anna");
    let anna = caller(world.engine.issue_operator(&world.admin, anna).await.unwrap().1.principal);
    let put = async |by: &Caller, name: &str, fields| {
        let put =
            world.engine.put_profile(by, world.tenant(), name.parse().unwrap(), ProfilePut::whole(fields));
        put.await.map(|_| ()).map_err(|error| error.code.as_str())
    };
    let named =
        |profile, name: &str| ProfileFields { certificate_dns: Some(name.parse().unwrap()), ..of(profile) };
    let foreign = |profile| named(profile, "{device}.hospital.example");
    put(&world.admin, "own", foreign(CertificateProfile::DeviceTls)).await.unwrap();
    put(&anna, "own", foreign(CertificateProfile::DeviceTls)).await.expect("what was chosen may stay");
    assert_eq!(put(&anna, "own", foreign(CertificateProfile::DicomTls)).await, Err("role-insufficient"));
    put(&anna, "own", named(CertificateProfile::DicomTls, "{device}.{tenant}")).await.unwrap();
    // Inherited names likewise, and a purpose that others would inherit.
    put(&world.admin, "default", foreign(CertificateProfile::DeviceTls)).await.unwrap();
    assert_eq!(put(&anna, "ward", of(CertificateProfile::DicomTls)).await, Err("role-insufficient"));
    let default = named(CertificateProfile::DicomTls, "{device}.{tenant}");
    assert_eq!(put(&anna, "default", default.clone()).await, Err("role-insufficient"));
    put(&world.admin, "default", default).await.unwrap();
}

/// Whether it derives its keys or signs: its proof is good when its certificate is long over.
#[tokio::test]
async fn a_device_that_was_off_for_a_year_is_certified_by_its_proof() {
    let world = World::new().await;
    let signer = Signer::enrolled(&world, "meter-1").await;
    let mut device = world.device("pump-1").await;
    let (first, _) = world.ask(&mut device, &csr()).await.unwrap();
    signer.ask(&world, "certificate", &signer.csr()).await.unwrap();
    world.clock.pass(365 * DAY);
    let (again, _) = world.ask(&mut device, &csr()).await.unwrap();
    assert!(again.validity.not_before() > first.validity.not_after() + 300 * DAY);
    let chain = signer.ask(&world, "certificate", &signer.csr()).await.unwrap();
    assert_eq!(world.read(&chain).0.validity, again.validity);
}

/// Whatever the CA's own key is.
#[tokio::test]
async fn a_ca_of_any_algorithm_certifies_keys_of_any_kind() {
    for algorithm in KeyAlgorithm::ALL {
        let issuing = wardein_engine::CaKeySource::Made(algorithm);
        let keys = CaKeys { issuing, devices_serve: true, ..CaKeys::default() };
        let world = World::founded(keys, Vec::new()).await;
        world.put(ProfilePut::whole(of(CertificateProfile::SdcProvider))).await.unwrap();
        let mut device = world.device("monitor-1").await;
        for (request, kind) in
            [(request!("p384-sha256"), KeyKind::P384), (request!("rsa-3072"), KeyKind::Rsa3072)]
        {
            let (identity, key) = world.ask(&mut device, request).await.unwrap();
            assert_eq!((identity.purposes, key.kind()), (CertificateProfile::SdcProvider.purposes(), kind));
        }
    }
}
