//! A device that goes over to another tenant: both agree, the device carries it out, and at no moment do two tenants trust it, or
//! none answer it.

use crate::signing::Signer;
use crate::tpm::key_order;
use crate::world::{CRASH_POINTS, TestDevice, World, caller, csr, facts, name, order};
use wardein_crypto::{Digest, SystemEntropy};
use wardein_ddkg::device::{DeviceState as Keys, InFlight};
use wardein_ddkg::message::{RekeyAsk, TransferAnswer};
use wardein_ddkg::{Attributes, DeviceName, Suite};
use wardein_domain::{
    Call, DeviceState, Event, KeyKeeper, ProfileFields, ProfileName, Reason, Right, Role, TransferState,
    Verdict,
};
use wardein_engine::{
    AcceptOrder, Caller, Error, KeyPolicy, OpenAsk, Page, ProfilePut, Proved, Subject, TokenAsk, Transfer,
    TransferOrder, VoucherOrder,
};
use wardein_port::{Store, Table};

mod copies;
mod decided;
mod raced;

const WEEK: u64 = 7 * 86_400;

/// The authority with two more tenants, and administrators of each.
struct Two {
    world: World,
    klinik: Caller,
    lab: Caller,
    home: Caller,
}

impl std::ops::Deref for Two {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl std::ops::DerefMut for Two {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

fn reason() -> Reason {
    "sold".parse().unwrap()
}

fn offer(device: DeviceName, to: &str) -> TransferOrder {
    TransferOrder { device, to: to.parse().unwrap(), lifetime: WEEK, reason: reason() }
}

fn accept(from: DeviceName, to: &str) -> AcceptOrder {
    AcceptOrder { tenant: to.parse().unwrap(), from, device: None, profile: "default".parse().unwrap() }
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("ok", |error| error.code.as_str())
}

impl Two {
    async fn new() -> Self {
        let world = World::new().await;
        for tenant in ["lab", "home"] {
            world.engine.create_tenant(&world.admin, tenant.parse().unwrap()).await.unwrap();
        }
        let admin = async |tenant: &str| {
            let order = order(Role::TenantAdmin, Some(tenant), "anna");
            caller(world.engine.issue_operator(&world.admin, order).await.unwrap().1.principal)
        };
        let (klinik, lab, home) = (admin("klinik").await, admin("lab").await, admin("home").await);
        Self { world, klinik, lab, home }
    }

    fn of(&self, tenant: &str) -> &Caller {
        match tenant {
            "klinik" => &self.klinik,
            "lab" => &self.lab,
            _ => &self.home,
        }
    }

    /// Both sides agree.
    async fn agree(&self, from: &DeviceName, to: &str) -> Transfer {
        self.engine.offer_transfer(self.of(from.tenant.as_str()), offer(from.clone(), to)).await.unwrap();
        self.engine.accept_transfer(self.of(to), accept(from.clone(), to)).await.unwrap()
    }

    async fn state(&self, device: &DeviceName) -> Option<DeviceState> {
        self.engine.get_device(&self.admin, device.clone()).await.ok().map(|device| device.state)
    }

    async fn open(&self, tenant: &str) -> Vec<(String, TransferState)> {
        let page = Page { size: 100, after: None };
        let found = self.engine.list_transfers(self.of(tenant), tenant.parse().unwrap(), page).await.unwrap();
        found
            .items
            .into_iter()
            .map(|one| (format!("{}/{}", one.from.tenant, one.from.device), one.state))
            .collect()
    }

    /// How many rows of transfers there are: the transfers, and what leads to them from the receiving tenants.
    async fn rows(&self) -> usize {
        self.store.scan(Table::Transfer, b"", None, 100).await.unwrap().len()
    }

    /// The tenants that trust a device of that id.
    async fn trusting(&self, id: &str) -> Vec<&'static str> {
        let mut trusting = Vec::new();
        for tenant in ["klinik", "lab", "home"] {
            if self.state(&name(tenant, id)).await == Some(DeviceState::Active) {
                trusting.push(tenant);
            }
        }
        trusting
    }
}

impl TestDevice {
    /// Proves a transfer; the proved answer, and what it takes to believe it.
    async fn ask_transfer(&mut self, two: &Two) -> (Result<Proved, Error>, InFlight) {
        self.ask_transfer_of(two, Suite::P256).await
    }

    async fn ask_transfer_of(&mut self, two: &Two, suite: Suite) -> (Result<Proved, Error>, InFlight) {
        let state = self.state.as_mut().unwrap();
        let ask = state.ask_challenge();
        let offer = two.engine.challenge(&self.name).unwrap();
        let proof = state.transfer(ask, &offer, &self.measured, suite, &mut SystemEntropy::default());
        let (request, ask, in_flight) = proof.unwrap().save(|_| Ok::<_, ()>(())).unwrap();
        (two.engine.prove(&Call::new("test"), request, ask.encode()).await, in_flight)
    }

    /// Carries out a transfer, as far as the keys go.
    async fn transfer(&mut self, two: &Two) -> Result<(), Error> {
        let (proved, in_flight) = self.ask_transfer(two).await;
        self.acknowledge(in_flight, proved?.reply);
        self.name = self.state.as_ref().unwrap().device().clone();
        Ok(())
    }

    /// All of it.
    async fn go_over(&mut self, two: &Two) {
        self.transfer(two).await.unwrap();
        self.prove(&two.engine, "authenticate", b"").await.unwrap();
    }

    /// A sign of life, and whether the device hears that a transfer is due.
    async fn hears(&mut self, two: &Two) -> bool {
        let (request, in_flight) = self.proof(&two.engine, "authenticate", b"");
        let proved = two.engine.prove(&Call::new("test"), request, Vec::new()).await.unwrap();
        self.acknowledge(in_flight, proved.reply);
        proved.transfer_due
    }
}

#[tokio::test]
async fn both_agree_the_device_hears_of_it_and_belongs_to_the_other_with_its_first_proof_there() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let (from, to) = (device.name.clone(), name("lab", "pump-1"));
    device.prove(&two.engine, "certificate", &csr()).await.unwrap();
    assert!(!device.hears(&two).await);
    assert_eq!(code(device.ask_transfer(&two).await.0), "transfer-unknown", "nobody has offered it");

    let offered = two.engine.offer_transfer(&two.klinik, offer(from.clone(), "lab")).await.unwrap();
    assert_eq!((offered.state, offered.accepted), (TransferState::Offered, None));
    assert!(!device.hears(&two).await, "an offer alone is nothing to the device");
    assert_eq!(code(device.ask_transfer(&two).await.0), "transfer-unknown", "nobody has accepted it");
    assert_eq!(two.open("lab").await, [("klinik/pump-1".to_owned(), TransferState::Offered)]);
    assert_eq!(two.open("klinik").await, two.open("lab").await);
    assert!(two.open("home").await.is_empty());

    two.engine.accept_transfer(&two.lab, accept(from.clone(), "lab")).await.unwrap();
    assert!(device.hears(&two).await);
    assert!(
        device.hears(&two).await,
        "until it is carried out; a device that knows of none stays in service"
    );
    let generation = device.state.as_ref().unwrap().generation();
    device.transfer(&two).await.unwrap();
    assert_eq!(device.name, to);
    assert!(device.state.as_ref().unwrap().generation() > generation);
    assert_eq!(two.trusting("pump-1").await, ["klinik"], "until it has proved itself there");
    assert_eq!(two.state(&to).await, Some(DeviceState::Pending));

    assert!(!device.hears(&two).await);
    assert_eq!(two.trusting("pump-1").await, ["lab"]);
    assert_eq!(two.state(&from).await, Some(DeviceState::Transferred));
    assert!(two.open("klinik").await.is_empty() && two.open("lab").await.is_empty());
    // It certifies there, and the earlier certificates are revoked.
    device.prove(&two.engine, "certificate", &csr()).await.unwrap();
    let page = || Page { size: 10, after: None };
    for (tenant, is_revoked) in [("klinik", true), ("lab", false)] {
        let found = two.engine.list_certificates(&two.admin, tenant.parse().unwrap(), None, page()).await;
        let revoked: Vec<_> = found.unwrap().items.iter().map(|one| one.revoked.is_some()).collect();
        assert_eq!(revoked, [is_revoked], "{tenant}");
    }
    // Model and attributes came along, and who accepted is who brought it in.
    let arrived = two.engine.get_device(&two.lab, to.clone()).await.unwrap();
    assert_eq!(arrived.model, Some("pump".parse().unwrap()));
    assert_eq!(arrived.attributes, ["firmware".parse().unwrap()]);
    assert_eq!(arrived.enrolled_by, two.lab.principal.to_string());
    // Each log has all of it.
    for event in
        [Event::TransferOffered, Event::TransferAccepted, Event::TransferAgreed, Event::DeviceTransferred]
    {
        let tenants: Vec<_> =
            two.entries(event).await.iter().map(|entry| entry.tenant.clone().unwrap().to_string()).collect();
        assert_eq!(tenants.len(), 2, "{event}");
        assert!(["klinik", "lab"].iter().all(|tenant| tenants.iter().any(|one| one == tenant)), "{event}");
    }
    let done = two.entries(Event::DeviceTransferred).await;
    assert_eq!(facts(&done[0]), "from=klinik/pump-1, to=lab/pump-1, state: active → transferred");
    assert_eq!(facts(&done[1]), "from=klinik/pump-1, to=lab/pump-1, state: pending → active");
}

#[tokio::test]
async fn what_it_sealed_stays_its_former_owners_and_its_tokens_end() {
    let two = Two::new().await;
    two.grant(Right::Open).await;
    two.grant(Right::Token).await;
    let mut device = two.proven("pump-1").await;
    let (sealed, token) = (device.seal(b"Puls 72/min", 0), device.token(b"nonce", 0));
    let from = device.name.clone();
    two.agree(&from, "lab").await;
    device.go_over(&two).await;
    let opened = two.world.open(&sealed, b"1").await.unwrap();
    assert_eq!((opened.secret.expose(), opened.state), (&b"Puls 72/min"[..], DeviceState::Transferred));
    let ask = TokenAsk { token, platform_nonce: b"nonce".to_vec(), idempotency: Digest::of(b"1") };
    assert_eq!(code(two.engine.verify_token(&two.platform, ask).await), "message-generation-retired");
    let verdict = two.engine.check(&two.platform, Subject::Device("pump-1".parse().unwrap())).await.unwrap();
    assert_eq!((verdict.verdict, verdict.reasons[0].code()), (Verdict::NotTrusted, "transferred"));
    // What it seals there is the other's alone.
    let sealed = device.seal(b"mine", 0);
    assert_eq!(sealed.name().owner, name("lab", "pump-1"));
    let ask =
        OpenAsk { sealed, additional: b"log".to_vec(), reason: reason(), idempotency: Digest::of(b"2") };
    assert_eq!(code(two.engine.open_payload(&two.platform, ask).await), "tenant-unknown");
}

/// There and back again, and on: generations rise, and what was sealed in each stay opens to whom it belongs.
#[tokio::test]
async fn a_loan_comes_back_and_is_sold_twice() {
    let two = Two::new().await;
    two.grant(Right::Open).await;
    let mut device = two.proven("pump-1").await;
    let first = device.seal(b"before", 0);
    let mut generations = vec![device.state.as_ref().unwrap().generation()];
    for (from, to) in
        [("klinik", "lab"), ("lab", "klinik"), ("klinik", "lab"), ("lab", "home"), ("home", "klinik")]
    {
        let of = name(from, "pump-1");
        two.agree(&of, to).await;
        assert_eq!(device.name, of);
        device.go_over(&two).await;
        two.clock.pass(60);
        device.prove(&two.engine, "certificate", &csr()).await.unwrap();
        assert_eq!(two.trusting("pump-1").await, [to], "from {from}");
        assert_eq!(two.state(&of).await, Some(DeviceState::Transferred));
        // Of an earlier stay nothing comes back into force.
        let page = Page { size: 100, after: None };
        let found = two.engine.list_certificates(&two.admin, to.parse().unwrap(), None, page).await.unwrap();
        assert_eq!(found.items.iter().filter(|one| one.revoked.is_none()).count(), 1, "from {from}");
        generations.push(device.state.as_ref().unwrap().generation());
        if generations.len() == 3 {
            // Back for the first time: without a period, what was sealed before opens until another generation retires here.
            assert_eq!(two.world.open(&first, b"1").await.unwrap().secret.expose(), b"before");
        }
    }
    assert!(generations.is_sorted_by(|a, b| a < b), "{generations:?}");
    let again = device.seal(b"after", 0);
    assert_eq!(two.world.open(&again, b"2").await.unwrap().secret.expose(), b"after");
    // Another device is not the one that left under its id.
    let second = two.proven("pump-2").await;
    two.engine.offer_transfer(&two.klinik, offer(second.name.clone(), "lab")).await.unwrap();
    let as_first =
        AcceptOrder { device: Some("pump-1".parse().unwrap()), ..accept(second.name.clone(), "lab") };
    assert_eq!(code(two.engine.accept_transfer(&two.lab, as_first).await), "already-enrolled");
}

#[tokio::test]
async fn a_lost_reply_is_asked_for_again_and_the_last_one_counts() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let from = device.name.clone();
    two.agree(&from, "lab").await;
    for _ in 0..3 {
        let (proved, _) = device.ask_transfer(&two).await;
        proved.unwrap();
        // The device never heard: it is who it was, and in service.
        device.prove(&two.engine, "authenticate", b"").await.unwrap();
        assert_eq!(two.trusting("pump-1").await, ["klinik"]);
    }
    device.go_over(&two).await;
    assert_eq!(two.trusting("pump-1").await, ["lab"]);
}

#[tokio::test]
async fn keys_are_put_right_before_the_transfer_where_that_is_required() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let from = device.name.clone();
    two.agree(&from, "lab").await;
    two.clock.pass(1);
    let scope = wardein_engine::RotationScope::Device(from.device.clone());
    two.engine.rotate_keys(&two.klinik, from.tenant.clone(), scope, true, reason()).await.unwrap();
    assert_eq!(code(device.ask_transfer(&two).await.0), "rekey-required");
    two.clock.pass(1);
    device.rekey(&two.engine, Suite::P256).await.unwrap();
    device.go_over(&two).await;
    assert_eq!(two.trusting("pump-1").await, ["lab"]);
}

/// What is asked of the keys in one tenant is not asked of those that it agrees on with the next, in the same second either.
#[tokio::test]
async fn a_rotation_in_the_former_tenant_is_none_in_the_next() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let from = device.name.clone();
    two.clock.pass(1);
    let scope = wardein_engine::RotationScope::Device(from.device.clone());
    two.engine.rotate_keys(&two.klinik, from.tenant.clone(), scope, false, reason()).await.unwrap();
    two.agree(&from, "lab").await;
    for (is_due, goes_over) in [(true, true), (false, false)] {
        let (request, in_flight) = device.proof(&two.engine, "authenticate", b"");
        let proved = two.engine.prove(&Call::new("test"), request, Vec::new()).await.unwrap();
        assert_eq!(proved.rekey_due, is_due, "in {}", device.name.tenant);
        device.acknowledge(in_flight, proved.reply);
        if goes_over {
            device.transfer(&two).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_receiving_tenants_profile_says_what_its_keys_are() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let from = device.name.clone();
    let (lab, strict): (_, ProfileName) = ("lab".parse().unwrap(), "strict".parse().unwrap());
    let fields = ProfileFields { suites: Some(vec![2]), ..ProfileFields::default() };
    two.engine.put_profile(&two.lab, lab, strict.clone(), ProfilePut::set(fields)).await.unwrap();
    two.engine.offer_transfer(&two.klinik, offer(from.clone(), "lab")).await.unwrap();
    let taken = AcceptOrder { profile: strict.clone(), ..accept(from, "lab") };
    two.engine.accept_transfer(&two.lab, taken).await.unwrap();
    assert_eq!(code(device.ask_transfer(&two).await.0), "suite-not-allowed");
    let (proved, in_flight) = device.ask_transfer_of(&two, Suite::P256MlKem768).await;
    device.acknowledge(in_flight, proved.unwrap().reply);
    device.name = device.state.as_ref().unwrap().device().clone();
    device.prove(&two.engine, "authenticate", b"").await.unwrap();
    let arrived = two.engine.get_device(&two.lab, device.name.clone()).await.unwrap();
    assert_eq!((arrived.profile, device.state.as_ref().unwrap().suite()), (strict, Suite::P256MlKem768));
}

#[tokio::test]
async fn announced_attributes_come_along() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let mut firmware = Attributes::new();
    firmware.insert("firmware".parse().unwrap(), b"2.0").unwrap();
    firmware.insert("bootloader".parse().unwrap(), b"1").unwrap();
    device.prove(&two.engine, "attributes", &firmware.encode()).await.unwrap();
    two.agree(&device.name.clone(), "lab").await;
    device.transfer(&two).await.unwrap();
    // The firmware is changed between the two.
    device.measured = firmware.digests();
    device.prove(&two.engine, "authenticate", b"").await.unwrap();
    let arrived = two.engine.get_device(&two.lab, device.name.clone()).await.unwrap();
    assert_eq!(arrived.attributes.len(), 2, "what it shows is on record");
    device.prove(&two.engine, "authenticate", b"").await.unwrap();
}

#[tokio::test]
async fn a_body_that_names_purposes_is_refused() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    two.agree(&device.name.clone(), "lab").await;
    let (_, body, _) = device.rekey_proof(&two.engine, Suite::P256);
    let ask = RekeyAsk { purposes: Some(0b1111), ..RekeyAsk::decode(&body).unwrap() };
    assert_eq!(code(device.prove(&two.engine, "transfer", &ask.encode()).await), "malformed");
}

/// Neither name can be altered on the way: the device believes only what was acked, and what was acked is derived from.
#[tokio::test]
async fn the_transcript_binds_the_tenant_and_the_id() {
    for altered in ["tenant", "id"] {
        let two = Two::new().await;
        let mut device = two.proven("pump-1").await;
        two.agree(&device.name.clone(), "lab").await;
        let (proved, in_flight) = device.ask_transfer(&two).await;
        let mut reply = proved.unwrap().reply;
        let mut answer = TransferAnswer::decode(Suite::P256, &reply.body).unwrap();
        match altered {
            "tenant" => answer.device.tenant = "home".parse().unwrap(),
            _ => answer.device.device = "pump-2".parse().unwrap(),
        }
        reply.body = answer.encode();
        let state: &mut Keys = device.state.as_mut().unwrap();
        assert!(state.acknowledge(in_flight, reply).is_err(), "{altered}");
        assert_eq!(*state.device(), name("klinik", "pump-1"));
    }
}

/// Its key stays the same, so its former tenant could go on as it.
#[tokio::test]
async fn a_device_that_signs_is_not_given() {
    let two = Two::new().await;
    let device = Signer::enrolled(&two, "pump-1").await;
    let offered = two.engine.offer_transfer(&two.klinik, offer(name("klinik", "pump-1"), "lab")).await;
    assert_eq!(code(offered), "transfer-needs-derived-keys");
    assert_eq!(code(device.ask(&two, "transfer", b"").await), "action-needs-derived-keys");
}
