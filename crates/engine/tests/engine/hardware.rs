//! One device, one hardware, one name: a TPM or a key that is another device's, and ids that would be taken for another or for none.

use crate::signing::Signer;
use crate::tpm::{again, answer, evidence, key_order};
use crate::world::{TestDevice, World, name};
use std::path::Path;
use wardein_crypto::P256SigningKey;
use wardein_domain::{DeviceState, Event, FieldName, KeyKeeper, TpmEvidence};
use wardein_engine::{Error, ErrorKind, KeyPolicy, Subject, TpmActivation};
use wardein_pki::{Csr, pem};
use wardein_testkit::SoftTpm;

impl World {
    async fn allow(&self, shared_tpms: bool) {
        let keepers = vec![KeyKeeper::Software];
        let policy = KeyPolicy { first_use: true, keepers, shared_tpms, ..KeyPolicy::default() };
        self.engine.put_key_policy(&self.admin, self.tenant(), policy, None).await.unwrap();
    }

    async fn ticket(&self, tpm: &mut SoftTpm, id: &str) -> Result<TpmActivation, Error> {
        let begun = self.engine.begin_tpm_enrollment(&self.station, &key_order(id), &evidence(tpm)).await;
        begun.map(|(challenge, _)| answer(tpm, id, &challenge))
    }

    async fn in_tpm(&self, tpm: &mut SoftTpm, id: &str) -> Result<(), Error> {
        let activation = self.ticket(tpm, id).await?;
        self.engine.finish_tpm_enrollment(&self.station, activation).await.map(|_| ())
    }

    async fn in_software(&self, key: &P256SigningKey, id: &str) -> Result<(), Error> {
        let (order, csr) = (key_order(id), Csr::create(key).unwrap());
        self.engine.enroll_key(&self.station, &order, KeyKeeper::Software, &csr).await.map(|_| ())
    }

    async fn becomes(&self, id: &str, state: DeviceState) {
        let reason = "exchanged".parse().unwrap();
        self.engine.set_device_state(&self.admin, name("klinik", id), state, reason).await.unwrap();
    }

    async fn is_shared(&self, id: &str) -> bool {
        let subject = Subject::Device(id.parse().unwrap());
        self.engine.check(&self.platform, subject).await.unwrap().is_shared
    }
}

fn key() -> P256SigningKey {
    P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()
}

fn is_of_another(result: Result<(), Error>) {
    let refused = result.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Exists, "key-of-another-device"));
    assert!(refused.message.contains("v-one") && refused.message.contains("retire"), "{refused}");
}

#[tokio::test]
async fn one_tpm_is_one_device_until_that_is_retired() {
    let mut world = World::new().await;
    world.allow(false).await;
    let mut tpm = SoftTpm::new();
    // Both steps judge it: the first so that nobody goes on in vain, the second because it counts.
    let (first, second) =
        (world.ticket(&mut tpm, "v-one").await.unwrap(), world.ticket(&mut tpm, "v-two").await.unwrap());
    let repeated = again(&first);
    world.engine.finish_tpm_enrollment(&world.station, first).await.unwrap();
    for _ in 0..2 {
        let late = world.engine.finish_tpm_enrollment(&world.station, again(&second)).await;
        is_of_another(late.map(|_| ()));
        is_of_another(world.ticket(&mut tpm, "v-two").await.map(|_| ()));
        // The same again is fine.
        world.engine.finish_tpm_enrollment(&world.station, again(&repeated)).await.unwrap();
        world.in_tpm(&mut tpm, "v-one").await.unwrap();
        world.restart().await;
    }
    world.becomes("v-one", DeviceState::Suspended).await;
    is_of_another(world.in_tpm(&mut tpm, "v-two").await);
    world.becomes("v-one", DeviceState::Retired).await;
    world.in_tpm(&mut tpm, "v-two").await.unwrap();
    assert!(!world.is_shared("v-two").await);
}

#[tokio::test]
async fn one_key_is_one_device_until_that_has_another() {
    let world = World::new().await;
    world.allow(false).await;
    let (shared, other) = (key(), key());
    world.in_software(&shared, "v-one").await.unwrap();
    is_of_another(world.in_software(&shared, "v-two").await);
    // Its device gets another key: this one is free.
    let reason = "lost".parse().unwrap();
    world.engine.readmit_device(&world.admin, name("klinik", "v-one"), true, reason).await.unwrap();
    is_of_another(world.in_software(&shared, "v-two").await);
    world.in_software(&other, "v-one").await.unwrap();
    world.in_software(&shared, "v-two").await.unwrap();
    is_of_another(world.in_software(&other, "v-three").await);
}

#[tokio::test]
async fn of_two_at_one_time_one_is_refused() {
    let world = World::new().await;
    world.allow(false).await;
    let mut tpm = SoftTpm::new();
    let tickets =
        [world.ticket(&mut tpm, "v-one").await.unwrap(), world.ticket(&mut tpm, "v-two").await.unwrap()];
    // Another node, whose memory and locks are its own: what keeps them apart is the row.
    let other = crate::world::open(&world.store, &world.clock).await;
    let [first, second] = tickets;
    world.store.hold();
    let both = async {
        tokio::join!(
            world.engine.finish_tpm_enrollment(&world.station, first),
            other.finish_tpm_enrollment(&world.station, second),
            async {
                tokio::task::yield_now().await;
                world.store.release();
            },
        )
    };
    let (first, second, ()) = both.await;
    let codes = [first, second].map(|result| result.err().map(|error| error.code.as_str()));
    assert_eq!(codes, [None, Some("key-of-another-device")]);
}

#[tokio::test]
async fn what_a_policy_lets_be_shared_is_in_verdict_and_log() {
    let mut world = World::new().await;
    world.allow(true).await;
    let mut tpm = SoftTpm::new();
    world.in_tpm(&mut tpm, "v-one").await.unwrap();
    assert!(!world.is_shared("v-one").await);
    world.in_tpm(&mut tpm, "v-two").await.unwrap();
    let software = key();
    world.in_software(&software, "s-one").await.unwrap();
    world.in_software(&software, "s-two").await.unwrap();
    world.in_software(&key(), "s-three").await.unwrap();
    for _ in 0..2 {
        for (id, is_shared) in
            [("v-one", true), ("v-two", true), ("s-one", true), ("s-two", true), ("s-three", false)]
        {
            assert_eq!(world.is_shared(id).await, is_shared, "{id}");
        }
        world.restart().await;
    }
    let entries = world.entries(Event::KeyEnrolled).await;
    let shared: Vec<_> = entries.iter().map(|entry| entry.field(FieldName::SharedWith)).collect();
    assert_eq!(shared, [None, Some("klinik/v-one"), None, Some("klinik/s-one"), None]);
    // Sharing that ended with the policy stays visible.
    world.allow(false).await;
    assert!(world.is_shared("v-one").await);
    let refused = world.in_tpm(&mut tpm, "v-three").await.unwrap_err();
    assert_eq!(refused.code.as_str(), "key-of-another-device");
}

#[tokio::test]
async fn the_same_hardware_in_another_tenant_is_nobodys_business() {
    let world = World::new().await;
    world.allow(false).await;
    let software = key();
    world.in_software(&software, "v-one").await.unwrap();
    world.engine.create_tenant(&world.admin, "praxis".parse().unwrap()).await.unwrap();
    let order = crate::world::order(wardein_domain::Role::Station, Some("praxis"), "line-1");
    let (_, station) = world.engine.issue_operator(&world.admin, order).await.unwrap();
    let policy = KeyPolicy { keepers: vec![KeyKeeper::Software], ..KeyPolicy::default() };
    world.engine.put_key_policy(&world.admin, "praxis".parse().unwrap(), policy, None).await.unwrap();
    let (there, csr) = (crate::world::caller(station.principal), Csr::create(&software).unwrap());
    world.engine.enroll_key(&there, &key_order("v-two"), KeyKeeper::Software, &csr).await.unwrap();
}

#[tokio::test]
async fn an_id_is_no_option_no_hidden_file_and_no_other_ones_but_for_its_case() {
    let mut world = World::new().await;
    world.allow(false).await;
    let derived = async |world: &World, id: &str| {
        let order = TestDevice::begin(&world.engine, id).order();
        world.engine.enroll(&world.station, order).await.map(|_| ())
    };
    for id in ["-rf", "--help", ".", "..", "...", ".hidden", "a.", "CON", "nul.txt", "a:b"] {
        let mut tpm = SoftTpm::new();
        for refused in [
            derived(&world, id).await,
            world.in_software(&key(), id).await,
            world.ticket(&mut tpm, id).await.map(|_| ()),
        ] {
            let refused = refused.unwrap_err();
            assert_eq!(refused.code.as_str(), "malformed", "{id}");
            assert!(refused.message.starts_with("device_id: "), "{refused}");
        }
    }
    derived(&world, "E-1").await.unwrap();
    world.in_software(&key(), "e-2").await.unwrap();
    for _ in 0..2 {
        for refused in [
            derived(&world, "e-1").await,
            world.in_software(&key(), "e-1").await,
            derived(&world, "E-2").await,
            world.in_tpm(&mut SoftTpm::new(), "E-2").await,
        ] {
            let refused = refused.unwrap_err();
            assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Exists, "id-similar"));
        }
        derived(&world, "E-1").await.expect("the device itself may begin again");
        world.restart().await;
    }
    // A name stays taken.
    world.becomes("e-2", DeviceState::Retired).await;
    assert_eq!(derived(&world, "E-2").await.unwrap_err().code.as_str(), "id-similar");
    Signer::enrolled(&world, "e-3").await.ask(&world, "authenticate", b"").await.unwrap();
}

fn vector(file: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../pki/src/tests/vectors").join(file)).unwrap()
}

fn certificates(file: &str) -> Vec<Vec<u8>> {
    pem::read_certificates(&vector(file)).unwrap()
}

/// A chain as vendors have them, whose policies are critical, under one of as many roots as a policy takes.
#[tokio::test]
async fn a_vendors_chain_is_judged_under_hundreds_of_roots() {
    let mut world = World::new().await;
    let mut vendor_roots = certificates("seventeen.pem");
    let set = async |world: &World, vendor_roots: &[Vec<u8>]| {
        let policy = KeyPolicy { vendor_roots: vendor_roots.to_vec(), ..KeyPolicy::default() };
        world.engine.put_key_policy(&world.admin, world.tenant(), policy, None).await
    };
    set(&world, &vendor_roots).await.unwrap();
    let evidence = |chain: &[&str]| TpmEvidence {
        ek_public: vector("ek.tpm2b_public"),
        ek_certificates: chain.iter().map(|file| certificates(file).remove(0)).collect(),
        ak_public: vector("ak.tpm2b_public"),
    };
    let begin = async |world: &World, evidence: &TpmEvidence| {
        let begun = world.engine.begin_tpm_enrollment(&world.station, &key_order("pump-1"), evidence).await;
        begun.map(|_| ()).map_err(|error| error.code.as_str())
    };
    let whole = evidence(&["leaf.pem", "intermediate.pem"]);
    assert_eq!(begin(&world, &whole).await, Err("ek-certificate-chain"));
    // As many as there may be, each another certificate: the same one is kept once.
    let (root, intermediate) =
        (certificates("root.pem").remove(0), certificates("intermediate.pem").remove(0));
    let filler = |i: usize| {
        let mut der = vendor_roots[0].clone();
        // In its signature, which nobody judges of a certificate that is trusted.
        let length = der.len();
        der[length - 1] = i as u8;
        der[length - 2] = (i >> 8) as u8;
        der
    };
    let mut many: Vec<_> = (0..512 - 18).map(filler).collect();
    many.append(&mut vendor_roots);
    many.push(root.clone());
    set(&world, &many).await.unwrap();
    for _ in 0..2 {
        assert_eq!(begin(&world, &whole).await, Ok(()));
        assert_eq!(begin(&world, &evidence(&["leaf.pem"])).await, Err("ek-certificate-chain"));
        let (kept, _) = world.engine.get_key_policy(&world.admin, &world.tenant()).await.unwrap();
        assert_eq!(kept.vendor_roots.len(), 512);
        world.restart().await;
    }
    many.push(intermediate.clone());
    let refused = set(&world, &many).await.unwrap_err();
    assert!(refused.message.contains("513 certificates"), "{refused}");
    set(&world, &[root, intermediate.clone(), intermediate]).await.unwrap();
    let (kept, _) = world.engine.get_key_policy(&world.admin, &world.tenant()).await.unwrap();
    assert_eq!(kept.vendor_roots.len(), 2, "one that comes twice is kept once");
    assert_eq!(begin(&world, &evidence(&["leaf.pem"])).await, Ok(()), "its intermediate is trusted itself");
    set(&world, &[]).await.unwrap();
    assert_eq!(begin(&world, &whole).await, Err("ek-certificate-chain"));
}
