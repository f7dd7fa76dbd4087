//! Quotes: a certificate takes one that is of this request, of the device's own TPM, and of a state that the profile's policy takes.

use crate::offers::ask;
use crate::tpm::{again, answer, evidence, key_order};
use crate::updates::{found, release, set};
use crate::world::{World, csr, name};
use std::collections::BTreeMap;
use wardein_attest::{GoldenPcrs, pcr_value};
use wardein_crypto::{Digest, Entropy, SystemEntropy, hex};
use wardein_ddkg::message::SignatureClaim;
use wardein_domain::{
    Bank, Call, Event, FieldName, KeyKeeper, PcrSelection, PcrStanding, ProfileFields, ProfileName, Quote,
};
use wardein_engine::ProfilePut;
use wardein_engine::{
    Error, ErrorKind, KeyOrder, KeyPolicy, PcrPolicy, ReleaseDeed, ReleaseOrder, ReleasePcr, SignedReply,
    SignedRequest, Subject, TpmActivation, UpdateRules,
};
use wardein_pki::{Csr, PublicKey};
use wardein_port::{Store, Table};
use wardein_testkit::SoftTpm;
use wardein_tuf::{NotOffered, Offer, OfferReply, Receipt, ReceiptOutcome};

/// Registers 0 and 7 with these values.
type State = [(u8, [u8; 32]); 2];

const BOOTED: State = [(0, [1; 32]), (7, [2; 32])];
const UPDATED: State = [(0, [1; 32]), (7, [3; 32])];

fn selection() -> PcrSelection {
    PcrSelection::new(Bank::Sha256, &[0, 7]).unwrap()
}

fn digest_of(state: &State) -> [u8; 32] {
    Digest::of(&[state[0].1, state[1].1].concat()).0
}

fn golden(allowed: &[(u8, &[[u8; 32]])]) -> PcrPolicy {
    let value = |bytes: &[u8; 32]| pcr_value(Bank::Sha256, bytes).unwrap();
    let allowed = allowed.iter().map(|(number, values)| (*number, values.iter().map(value).collect()));
    PcrPolicy::Golden(GoldenPcrs::new(Bank::Sha256, allowed.collect::<BTreeMap<_, _>>()).unwrap())
}

fn quote(tpm: &SoftTpm, nonce: &[u8; 32], state: &State) -> Quote {
    let (attested, signature) = tpm.quote(nonce, state);
    Quote { attested, signature, values: state.iter().map(|(_, value)| value.to_vec()).collect() }
}

fn profile(name: &str) -> ProfileName {
    name.parse().unwrap()
}

impl World {
    async fn ask_of(&self, profile_name: &str, policy: Option<PcrPolicy>) {
        let (tenant, profile) = (self.tenant(), profile(profile_name));
        self.engine.put_pcr_policy(&self.admin, &tenant, &profile, policy, None).await.unwrap();
    }

    async fn trust_first_use(&self) {
        let policy =
            KeyPolicy { first_use: true, keepers: vec![KeyKeeper::Software], ..KeyPolicy::default() };
        self.engine.put_key_policy(&self.admin, self.tenant(), policy, None).await.unwrap();
    }

    async fn quoted(&self, id: &str) -> Option<(PcrStanding, u64)> {
        let verdict = self.engine.check(&self.platform, Subject::Device(id.parse().unwrap())).await.unwrap();
        let device = self.engine.get_device(&self.admin, name("klinik", id)).await.unwrap();
        assert_eq!(device.signing.unwrap().last_quote, verdict.last_quote, "record and verdict say the same");
        verdict.last_quote
    }

    async fn approve(&self, id: &str, digest: &[u8]) -> Result<(), Error> {
        self.engine.approve_pcrs(&self.admin, name("klinik", id), digest).await.map(|_| ())
    }
}

/// A device with a TPM.
struct Device {
    id: &'static str,
    tpm: SoftTpm,
}

impl Device {
    /// What it answers to the first step, with a quote of `state`.
    async fn activation(world: &World, id: &'static str, state: Option<&State>) -> (Self, TpmActivation) {
        let mut tpm = SoftTpm::new();
        let begun = world.engine.begin_tpm_enrollment(&world.station, &key_order(id), &evidence(&tpm)).await;
        let (challenge, _) = begun.unwrap();
        let mut activation = answer(&mut tpm, id, &challenge);
        activation.quote = state.map(|state| quote(&tpm, &challenge.nonce, state));
        (Self { id, tpm }, activation)
    }

    async fn enrolled(world: &World, id: &'static str, state: Option<&State>) -> Self {
        let (device, activation) = Self::activation(world, id, state).await;
        world.engine.finish_tpm_enrollment(&world.station, activation).await.unwrap();
        device
    }

    fn csr(&self) -> Vec<u8> {
        Csr::create(self.tpm.device_key()).unwrap()
    }

    /// A request without a quote, and its transcript.
    fn request(&self, world: &World, action: &str, body: &[u8]) -> (SignedRequest, [u8; 32]) {
        let device = name("klinik", self.id);
        let claim = SignatureClaim {
            challenge: world.engine.challenge(&device).unwrap().challenge,
            device,
            nonce: SystemEntropy::default().array().unwrap(),
            key_id: Digest::of(&PublicKey::from(*self.tpm.device_key().verifying_key()).spki()),
            action: action.parse().unwrap(),
            body_digest: Digest::of(body),
        };
        let transcript = claim.transcript();
        let signature = self.tpm.device_key().sign(transcript.as_ref()).unwrap();
        let SignatureClaim { device, challenge, nonce, action, .. } = claim;
        (SignedRequest { device, challenge, nonce, action, signature, quote: None }, transcript.0)
    }

    async fn certify(&self, world: &World, state: Option<&State>) -> Result<SignedReply, Error> {
        let csr = self.csr();
        let (mut request, transcript) = self.request(world, "certificate", &csr);
        request.quote = state.map(|state| quote(&self.tpm, &transcript, state));
        world.engine.prove_by_signature(&Call::new("test"), &request, &csr).await
    }

    async fn tell(&self, world: &World, outcome: ReceiptOutcome) -> Result<SignedReply, Error> {
        let receipt = Receipt {
            tenant: world.tenant(),
            device: self.id.parse().unwrap(),
            repository: "maker".parse().unwrap(),
            line: "pumps".parse().unwrap(),
            version: 2,
            sha256: Digest::of(b"firmware"),
            installed: 7,
            outcome,
        };
        let body = receipt.encode();
        let (request, _) = self.request(world, "update-receipt", &body);
        world.engine.prove_by_signature(&Call::new("test"), &request, &body).await
    }

    async fn refused(&self, world: &World, state: Option<&State>) -> (ErrorKind, &'static str) {
        let error = self.certify(world, state).await.unwrap_err();
        (error.kind(), error.code.as_str())
    }
}

/// Has release 2 say that it shows [`UPDATED`], released, and installed by the device.
async fn updated(world: &World, device: &Device, pcrs: &State) -> Result<SignedReply, Error> {
    let pcr = |(number, value): &(u8, [u8; 32])| ReleasePcr {
        bank: Bank::Sha256,
        number: *number,
        value: value.to_vec(),
    };
    let order = ReleaseOrder { pcrs: pcrs.iter().map(pcr).collect(), ..release(2, "pumps/2.img") };
    world.engine.add_release(&world.admin, order).await.unwrap();
    set(world, &world.admin, 2, ReleaseDeed::Release).await.unwrap();
    device.tell(world, ReceiptOutcome::Started).await
}

async fn certificates(world: &World) -> usize {
    world.store.scan(Table::Certificate, b"", None, usize::MAX).await.unwrap().len()
}

#[tokio::test]
async fn a_device_is_certified_in_the_state_that_it_was_enrolled_in_until_another_is_approved() {
    let mut world = World::new().await;
    world.trust_first_use().await;
    world.ask_of("default", Some(PcrPolicy::AsEnrolled(selection()))).await;
    let device = Device::enrolled(&world, "pump-1", Some(&BOOTED)).await;
    assert_eq!(world.engine.quote_asked(&name("klinik", "pump-1")).await, Ok(Some(selection())));
    let enrolled_at =
        world.engine.get_device(&world.admin, name("klinik", "pump-1")).await.unwrap().enrolled_at;
    assert_eq!(world.quoted("pump-1").await, Some((PcrStanding::AsEnrolled, enrolled_at)));
    let entries = world.entries(Event::KeyEnrolled).await;
    assert_eq!(entries[0].field(FieldName::Pcrs), Some("sha256:0,7"));
    assert_eq!(entries[0].field(FieldName::PcrStanding), Some("as-enrolled"));

    world.clock.pass(3_600);
    device.certify(&world, Some(&BOOTED)).await.unwrap();
    assert_eq!(world.quoted("pump-1").await, Some((PcrStanding::AsEnrolled, enrolled_at + 3_600)));
    assert_eq!(device.refused(&world, None).await, (ErrorKind::Denied, "quote-missing"));

    let before = certificates(&world).await;
    let refused = device.certify(&world, Some(&UPDATED)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Denied, "pcr-changed"));
    let digest = digest_of(&UPDATED);
    let text = hex::encode(&digest);
    assert!(refused.message.contains(&text), "what an administrator is to compare: {}", refused.message);
    assert_eq!(certificates(&world).await, before);
    assert_eq!(world.quoted("pump-1").await, Some((PcrStanding::AsEnrolled, enrolled_at + 3_600)));
    let refusals = world.entries(Event::CallRefused).await;
    let last = refusals.last().unwrap();
    assert_eq!(
        (last.actor.to_string().as_str(), last.outcome.code()),
        ("device/klinik/pump-1", "pcr-changed")
    );
    assert!(last.field(FieldName::Message).unwrap().contains(&text), "the audit log tells it");
    // What asks for no certificate takes no quote.
    let (request, _) = device.request(&world, "authenticate", b"");
    world.engine.prove_by_signature(&Call::new("test"), &request, b"").await.unwrap();

    world.approve("pump-1", &digest).await.unwrap();
    let commits = world.store.commits();
    world.approve("pump-1", &digest).await.expect("the same again");
    assert_eq!(world.store.commits(), commits);
    for _ in 0..2 {
        device.certify(&world, Some(&UPDATED)).await.unwrap();
        assert!(matches!(world.quoted("pump-1").await, Some((PcrStanding::AsApproved, _))));
        assert_eq!(
            device.refused(&world, Some(&BOOTED)).await,
            (ErrorKind::Denied, "pcr-changed"),
            "no way back"
        );
        world.restart().await;
    }
    let approvals = world.entries(Event::PcrsApproved).await;
    assert_eq!(approvals.len(), 1);
    assert_eq!(approvals[0].target.to_string(), "device/klinik/pump-1");
    let approved = approvals[0].fields.get(FieldName::PcrDigest).unwrap();
    assert_eq!((approved.before.clone(), &approved.value), (Some(hex::encode(&digest_of(&BOOTED))), &text));
}

#[tokio::test]
async fn a_quote_of_another_request_tpm_or_kind_is_refused_and_certifies_nothing() {
    let world = World::new().await;
    world.trust_first_use().await;
    world.ask_of("default", Some(PcrPolicy::AsEnrolled(selection()))).await;
    let device = Device::enrolled(&world, "pump-1", Some(&BOOTED)).await;
    let other = Device::enrolled(&world, "pump-2", Some(&BOOTED)).await;
    let csr = device.csr();
    let (mut first, transcript) = device.request(&world, "certificate", &csr);
    first.quote = Some(quote(&device.tpm, &transcript, &BOOTED));
    world.engine.prove_by_signature(&Call::new("test"), &first, &csr).await.unwrap();
    let (stale, quoted) = (first.quote.clone().unwrap(), world.quoted("pump-1").await);

    type Spoil<'a> = &'a dyn Fn(&mut Quote, &[u8; 32]);
    let spoils: [(&str, Spoil, ErrorKind, &str); 13] = [
        ("replayed", &|quote, _| *quote = stale.clone(), ErrorKind::Denied, "attest-nonce"),
        (
            "of another TPM",
            &|given, nonce| *given = quote(&other.tpm, nonce, &BOOTED),
            ErrorKind::Denied,
            "attest-signature",
        ),
        (
            "a certify",
            &|quote, nonce| (quote.attested, quote.signature) = device.tpm.certify(nonce),
            ErrorKind::Invalid,
            "attest-type",
        ),
        (
            "of fewer registers",
            &|quote, nonce| {
                (quote.attested, quote.signature) = device.tpm.quote(nonce, &BOOTED[..1]);
                quote.values.truncate(1);
            },
            ErrorKind::Denied,
            "pcr-selection",
        ),
        (
            "of other registers",
            &|quote, nonce| {
                (quote.attested, quote.signature) = device.tpm.quote(nonce, &[BOOTED[0], (8, BOOTED[1].1)]);
            },
            ErrorKind::Denied,
            "pcr-selection",
        ),
        ("with other values", &|quote, _| quote.values[1][0] ^= 1, ErrorKind::Denied, "pcr-digest"),
        ("without values", &|quote, _| quote.values.clear(), ErrorKind::Denied, "pcr-digest"),
        (
            "changed",
            &|quote, _| *quote.attested.last_mut().unwrap() ^= 1,
            ErrorKind::Denied,
            "attest-signature",
        ),
        ("signed otherwise", &|quote, _| quote.signature[8] ^= 1, ErrorKind::Denied, "attest-signature"),
        ("cut off", &|quote, _| quote.attested.truncate(80), ErrorKind::Invalid, "tpm-truncated"),
        ("with bytes behind", &|quote, _| quote.attested.push(0), ErrorKind::Invalid, "tpm-trailing-bytes"),
        ("too long", &|quote, _| quote.attested.resize(321, 0), ErrorKind::Invalid, "tpm-too-long"),
        ("without a signature", &|quote, _| quote.signature.clear(), ErrorKind::Invalid, "tpm-truncated"),
    ];
    let before = certificates(&world).await;
    for (what, spoil, kind, code) in spoils {
        // With an action that needs none, too: what comes is judged.
        for (action, body) in [("certificate", &csr[..]), ("authenticate", b"")] {
            let (mut request, transcript) = device.request(&world, action, body);
            let mut spoiled = quote(&device.tpm, &transcript, &BOOTED);
            spoil(&mut spoiled, &transcript);
            request.quote = Some(spoiled);
            let refused =
                world.engine.prove_by_signature(&Call::new("test"), &request, body).await.unwrap_err();
            assert_eq!((refused.kind(), refused.code.as_str()), (kind, code), "{what}");
        }
        assert_eq!((certificates(&world).await, world.quoted("pump-1").await), (before, quoted), "{what}");
    }
    // A right quote does not help another signature, and the request that it was refused with is spent.
    let (mut request, transcript) = device.request(&world, "certificate", &csr);
    let missing = world.engine.prove_by_signature(&Call::new("test"), &request, &csr).await.unwrap_err();
    assert_eq!(missing.code.as_str(), "quote-missing");
    request.quote = Some(quote(&device.tpm, &transcript, &BOOTED));
    let spent = world.engine.prove_by_signature(&Call::new("test"), &request, &csr).await.unwrap_err();
    assert_eq!(spent.code.as_str(), "replayed");
    request.signature[10] ^= 1;
    let unsigned = world.engine.prove_by_signature(&Call::new("test"), &request, &csr).await.unwrap_err();
    assert_eq!(unsigned.code.as_str(), "signature-wrong");
    assert_eq!(certificates(&world).await, before);
}

#[tokio::test]
async fn an_enrollment_is_refused_without_the_quote_that_is_asked_for_and_stores_nothing() {
    let world = World::new().await;
    world.trust_first_use().await;
    let (_, asked_before) = Device::activation(&world, "pump-9", None).await;
    world.ask_of("default", Some(golden(&[(0, &[[1; 32]]), (7, &[[2; 32], [4; 32]])]))).await;
    let rows = world.rows().await;
    let late = world.engine.finish_tpm_enrollment(&world.station, asked_before).await.unwrap_err();
    assert_eq!(
        (late.kind(), late.code.as_str()),
        (ErrorKind::Denied, "quote-missing"),
        "the policy holds from when it is set"
    );
    let (device, good) = Device::activation(&world, "pump-1", Some(&BOOTED)).await;
    let nonce_of_another = quote(&device.tpm, &[9; 32], &BOOTED);
    type Spoil<'a> = &'a dyn Fn(&mut TpmActivation);
    let spoils: [(Spoil, &str); 4] = [
        (&|activation| activation.quote = None, "quote-missing"),
        (&|activation| activation.quote = Some(nonce_of_another.clone()), "attest-nonce"),
        (&|activation| activation.quote.as_mut().unwrap().values[0][0] ^= 1, "pcr-digest"),
        (&|activation| activation.quote.as_mut().unwrap().signature[8] ^= 1, "attest-signature"),
    ];
    for (spoil, code) in spoils {
        let mut spoiled = again(&good);
        spoil(&mut spoiled);
        let refused = world.engine.finish_tpm_enrollment(&world.station, spoiled).await.unwrap_err();
        assert_eq!(refused.code.as_str(), code);
    }
    let (_, updated) = Device::activation(&world, "pump-2", Some(&UPDATED)).await;
    let refused = world.engine.finish_tpm_enrollment(&world.station, updated).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Denied, "pcr-value"));
    assert!(refused.message.starts_with("PCR 7 "), "{}", refused.message);
    let (csr, order) = (csr(), key_order("pump-3"));
    let by_word =
        world.engine.enroll_key(&world.station, &order, KeyKeeper::Software, &csr).await.unwrap_err();
    assert_eq!((by_word.kind(), by_word.code.as_str()), (ErrorKind::Precondition, "quote-without-tpm"));
    assert_eq!(world.rows().await, rows);

    world.engine.finish_tpm_enrollment(&world.station, again(&good)).await.unwrap();
    assert!(matches!(world.quoted("pump-1").await, Some((PcrStanding::Golden, _))));
    device.certify(&world, Some(&[BOOTED[0], (7, [4; 32])])).await.expect("another of the values");
    assert_eq!(device.refused(&world, Some(&UPDATED)).await, (ErrorKind::Denied, "pcr-value"));
    assert_eq!(device.refused(&world, None).await, (ErrorKind::Denied, "quote-missing"));
    world.ask_of("default", Some(golden(&[(0, &[[1; 32]]), (7, &[[3; 32]])]))).await;
    device.certify(&world, Some(&UPDATED)).await.expect("the list of the update");
    assert_eq!(device.refused(&world, Some(&BOOTED)).await, (ErrorKind::Denied, "pcr-value"));
}

#[tokio::test]
async fn a_profile_has_its_own_policy_or_the_tenants() {
    let world = World::new().await;
    let (tenant, engine) = (world.tenant(), &world.engine);
    for id in ["pumps", "scales"] {
        engine
            .put_profile(
                &world.admin,
                tenant.clone(),
                profile(id),
                ProfilePut::whole(ProfileFields::default()),
            )
            .await
            .unwrap();
    }
    let absent =
        engine.put_pcr_policy(&world.admin, &tenant, &profile("none"), Some(PcrPolicy::Any), None).await;
    assert_eq!(absent.unwrap_err().code.as_str(), "profile-unknown");
    let commits = world.store.commits();
    world.ask_of("pumps", None).await;
    assert_eq!(world.store.commits(), commits, "nothing was set");

    world.trust_first_use().await;
    let asked = async |id: &str| {
        let order = KeyOrder { profile: profile(id), ..key_order("pump-1") };
        let begun = engine.begin_tpm_enrollment(&world.station, &order, &evidence(&SoftTpm::new())).await;
        begun.unwrap().0.quote
    };
    let one = PcrSelection::new(Bank::Sha384, &[5]).unwrap();
    world.ask_of("default", Some(PcrPolicy::AsEnrolled(selection()))).await;
    world.ask_of("pumps", Some(PcrPolicy::AsEnrolled(one))).await;
    world.ask_of("scales", Some(PcrPolicy::Any)).await;
    let commits = world.store.commits();
    world.ask_of("pumps", Some(PcrPolicy::AsEnrolled(one))).await;
    assert_eq!(world.store.commits(), commits, "the same again");
    for (profile, expected) in [("default", Some(selection())), ("pumps", Some(one)), ("scales", None)] {
        assert_eq!(asked(profile).await, expected, "{profile}");
    }
    let set = |id: &str, policy| (profile(id), policy);
    let listed = engine.list_pcr_policies(&world.admin, &tenant).await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|set| (set.profile, set.policy)).collect();
    let all = [
        set("default", PcrPolicy::AsEnrolled(selection())),
        set("pumps", PcrPolicy::AsEnrolled(one)),
        set("scales", PcrPolicy::Any),
    ];
    assert_eq!(listed, all);
    world.ask_of("pumps", None).await;
    assert_eq!(asked("pumps").await, Some(selection()), "inherited again");
    world.ask_of("pumps", Some(golden(&[(0, &[[1; 32]])]))).await;
    let listed = engine.list_pcr_policies(&world.admin, &tenant).await.unwrap();
    assert_eq!(listed[1].policy, golden(&[(0, &[[1; 32]])]));
    assert_eq!(world.entries(Event::PcrPolicyPut).await.len(), 5);
}

#[tokio::test]
async fn what_is_not_on_record_is_approved_first_and_only_where_a_policy_compares() {
    let world = World::new().await;
    world.trust_first_use().await;
    let device = Device::enrolled(&world, "pump-1", None).await;
    world.device("pump-2").await;
    let key = Device { id: "pump-3", tpm: SoftTpm::new() };
    let order = key_order("pump-3");
    world.engine.enroll_key(&world.station, &order, KeyKeeper::Software, &key.csr()).await.unwrap();
    let code = async |id: &str, digest: &[u8]| world.approve(id, digest).await.unwrap_err().code.as_str();
    let digest = digest_of(&BOOTED);
    assert_eq!(code("pump-1", &digest).await, "pcr-policy-other", "no policy");
    device.certify(&world, None).await.expect("no quote is asked for");
    device.certify(&world, Some(&BOOTED)).await.expect("and one that comes is not looked at");
    assert_eq!(world.quoted("pump-1").await, None);
    assert_eq!(world.engine.quote_asked(&name("klinik", "pump-1")).await, Ok(None));

    world.ask_of("default", Some(PcrPolicy::AsEnrolled(selection()))).await;
    assert_eq!(device.refused(&world, Some(&BOOTED)).await, (ErrorKind::Denied, "pcr-unknown"));
    assert_eq!(key.refused(&world, None).await, (ErrorKind::Precondition, "quote-without-tpm"));
    assert_eq!(key.refused(&world, Some(&BOOTED)).await, (ErrorKind::Precondition, "quote-without-tpm"));
    for id in ["pump-2", "pump-3", "pump-9"] {
        assert_eq!(world.engine.quote_asked(&name("klinik", id)).await, Ok(None), "{id}");
    }
    let no_tpm = "quote-without-tpm";
    for (id, expected) in [("pump-2", no_tpm), ("pump-3", no_tpm), ("pump-9", "device-unknown")] {
        assert_eq!(code(id, &digest).await, expected);
    }
    assert_eq!(code("pump-1", &digest[1..]).await, "malformed");
    assert_eq!(code("pump-1", &[0; 48]).await, "malformed");
    world.approve("pump-1", &digest).await.unwrap();
    device.certify(&world, Some(&BOOTED)).await.unwrap();
    assert!(matches!(world.quoted("pump-1").await, Some((PcrStanding::AsApproved, _))));

    // Of other registers nothing is on record.
    let fewer = PcrSelection::new(Bank::Sha256, &[0]).unwrap();
    world.ask_of("default", Some(PcrPolicy::AsEnrolled(fewer))).await;
    let csr = device.csr();
    let (mut request, transcript) = device.request(&world, "certificate", &csr);
    let (attested, signature) = device.tpm.quote(&transcript, &BOOTED[..1]);
    request.quote = Some(Quote { attested, signature, values: vec![BOOTED[0].1.to_vec()] });
    let refused = world.engine.prove_by_signature(&Call::new("test"), &request, &csr).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Denied, "pcr-unknown"));
}

#[tokio::test]
async fn the_pcrs_of_a_release_are_a_devices_own_once_it_has_started_and_nobody_approves_them() {
    let world = World::new().await;
    world.trust_first_use().await;
    found(&world).await;
    world.ask_of("default", Some(PcrPolicy::AsEnrolled(selection()))).await;
    let device = Device::enrolled(&world, "pump-1", Some(&BOOTED)).await;
    assert_eq!(device.refused(&world, Some(&UPDATED)).await.1, "pcr-changed");
    updated(&world, &device, &UPDATED).await.unwrap();
    device.certify(&world, Some(&UPDATED)).await.unwrap();
    assert_eq!(world.quoted("pump-1").await.unwrap().0, PcrStanding::AsApproved);
    assert_eq!(device.refused(&world, Some(&BOOTED)).await.1, "pcr-changed", "the former ones hold no more");
    let said = world.entries(Event::UpdateStarted).await;
    assert_eq!(said[0].field(FieldName::PcrDigest), Some(hex::encode(&digest_of(&UPDATED)).as_str()));
    // What an administrator approves later is not undone by the same receipt.
    world.approve("pump-1", &digest_of(&BOOTED)).await.unwrap();
    device.tell(&world, ReceiptOutcome::Started).await.unwrap();
    device.certify(&world, Some(&BOOTED)).await.unwrap();
}

#[tokio::test]
async fn a_release_that_names_some_of_the_pcrs_or_was_rolled_back_admits_none() {
    let world = World::new().await;
    world.trust_first_use().await;
    found(&world).await;
    let three = PcrSelection::new(Bank::Sha256, &[0, 7]).unwrap();
    world.ask_of("default", Some(PcrPolicy::AsEnrolled(three))).await;
    let device = Device::enrolled(&world, "pump-1", Some(&BOOTED)).await;
    let other: State = [(0, [1; 32]), (8, [3; 32])];
    updated(&world, &device, &other).await.unwrap();
    assert_eq!(device.refused(&world, Some(&UPDATED)).await.1, "pcr-changed");
    let fresh = Device::enrolled(&world, "pump-2", Some(&BOOTED)).await;
    fresh.tell(&world, ReceiptOutcome::RolledBack).await.unwrap();
    assert_eq!(fresh.refused(&world, Some(&UPDATED)).await.1, "pcr-changed");
}

#[tokio::test]
async fn golden_values_are_joined_by_those_of_the_release_that_runs_until_it_is_recalled() {
    let world = World::new().await;
    world.trust_first_use().await;
    found(&world).await;
    world.ask_of("default", Some(golden(&[(0, &[[1; 32]]), (7, &[[2; 32]])]))).await;
    let device = Device::enrolled(&world, "pump-1", Some(&BOOTED)).await;
    let other = Device::enrolled(&world, "pump-2", Some(&BOOTED)).await;
    assert_eq!(device.refused(&world, Some(&UPDATED)).await.1, "pcr-value");
    updated(&world, &device, &UPDATED).await.unwrap();
    device.certify(&world, Some(&UPDATED)).await.unwrap();
    assert_eq!(other.refused(&world, Some(&UPDATED)).await.1, "pcr-value", "it never installed it");
    set(&world, &world.admin, 2, ReleaseDeed::Recall).await.unwrap();
    assert_eq!(device.refused(&world, Some(&UPDATED)).await.1, "pcr-value");
}

#[tokio::test]
async fn a_device_that_signs_is_offered_releases_and_held_to_its_floor() {
    let world = World::new().await;
    world.trust_first_use().await;
    found(&world).await;
    let rules = UpdateRules { needs_consent: false, window: None };
    let (tenant, reason) = (Some(world.tenant()), "test".parse().unwrap());
    world.engine.put_update_rules(&world.admin, tenant, rules, reason).await.unwrap();
    let device = Device::enrolled(&world, "pump-1", None).await;
    let asked = async |running: u64, version: u64| {
        let body = ask(0, running, version).encode();
        let (request, _) = device.request(&world, "update-offer", &body);
        let reply = world.engine.prove_by_signature(&Call::new("test"), &request, &body).await.unwrap();
        let identity = wardein_crypto::P256VerifyingKey(world.engine.trust_bundle().identity_key);
        match OfferReply::decode(&reply.body).unwrap() {
            OfferReply::Offered(bytes) => Ok(Offer::open(&bytes, &identity).unwrap()),
            OfferReply::Not(why) => Err(why),
            OfferReply::WithKey(_) => panic!("a device that signs gets no key"),
        }
    };
    assert_eq!(asked(0, 0).await, Err(NotOffered::Release));
    let low = ReleaseOrder { floor: 1, ..release(1, "pumps/1.img") };
    world.engine.add_release(&world.admin, low).await.unwrap();
    set(&world, &world.admin, 1, ReleaseDeed::Release).await.unwrap();
    assert_eq!(asked(0, 0).await.unwrap().device.as_str(), "pump-1");
    let high = ReleaseOrder { floor: 2, ..release(2, "pumps/2.img") };
    world.engine.add_release(&world.admin, high).await.unwrap();
    set(&world, &world.admin, 2, ReleaseDeed::Release).await.unwrap();
    assert_eq!(asked(0, 1).await.unwrap().version, 1);
    device.tell(&world, ReceiptOutcome::Started).await.unwrap();
    assert_eq!(asked(0, 1).await, Err(NotOffered::Floor));
    // A body that was altered under the signature is nobody's.
    let body = ask(0, 0, 0).encode();
    let (request, _) = device.request(&world, "update-offer", &body);
    let altered = ask(0, 0, 2).encode();
    let wrong = world.engine.prove_by_signature(&Call::new("test"), &request, &altered).await.unwrap_err();
    assert_eq!(wrong.code.as_str(), "signature-wrong");
}
