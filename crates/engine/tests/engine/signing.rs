//! Requests of devices that sign: accepted once, durable before the reply, and refused without a trace for who has not the key.

use crate::tpm::key_order;
use crate::world::{World, csr, name};
use wardein_crypto::{Digest, Entropy, P256SigningKey, P256VerifyingKey, SystemEntropy};
use wardein_ddkg::message::{CarriedProtocol, SignatureClaim, VisitProtocol, ack_transcript};
use wardein_domain::{Assurance, Call, DeviceState, Event, KeyKeeper};
use wardein_engine::{AuditFilter, Error, ErrorKind, KeyPolicy, SignedReply, SignedRequest, Subject};
use wardein_pki::{Csr, PublicKey};

/// A device whose key is in this process, and says so.
pub(crate) struct Signer {
    id: &'static str,
    key: P256SigningKey,
}

impl Signer {
    pub(crate) async fn enrolled(world: &World, id: &'static str) -> Self {
        let keepers = vec![KeyKeeper::Software];
        let policy = KeyPolicy { keepers, ..KeyPolicy::default() };
        world.engine.put_key_policy(&world.admin, world.tenant(), policy, None).await.unwrap();
        let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
        let signer = Self { id, key };
        let (order, csr) = (key_order(id), signer.csr());
        let enroll = world.engine.enroll_key(&world.station, &order, KeyKeeper::Software, &csr);
        assert_eq!(enroll.await.unwrap().assurance, Assurance::Software);
        signer
    }

    pub(crate) fn csr(&self) -> Vec<u8> {
        Csr::create(&self.key).unwrap()
    }

    /// A protocol as it goes by a file.
    pub(crate) fn carry(&self, protocol: VisitProtocol) -> CarriedProtocol {
        let key_id = Digest::of(&PublicKey::from(*self.key.verifying_key()).spki());
        let signature = self.key.sign(CarriedProtocol::to_sign(&protocol, &key_id).as_ref()).unwrap();
        CarriedProtocol::signed(protocol, signature)
    }

    /// A request for a fresh challenge, and what is signed by it.
    pub(crate) fn request(&self, world: &World, action: &str, body: &[u8]) -> (SignedRequest, Digest) {
        let device = name("klinik", self.id);
        let claim = SignatureClaim {
            challenge: world.engine.challenge(&device).unwrap().challenge,
            device,
            nonce: SystemEntropy::default().array().unwrap(),
            key_id: Digest::of(&PublicKey::from(*self.key.verifying_key()).spki()),
            action: action.parse().unwrap(),
            body_digest: Digest::of(body),
        };
        let transcript = claim.transcript();
        let signature = self.key.sign(transcript.as_ref()).unwrap();
        let SignatureClaim { device, challenge, nonce, action, .. } = claim;
        (SignedRequest { device, challenge, nonce, action, signature, quote: None }, transcript)
    }

    /// Asks, and believes the reply.
    pub(crate) async fn ask(&self, world: &World, action: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
        let (request, transcript) = self.request(world, action, body);
        let SignedReply { server_time, body, signature, .. } =
            world.engine.prove_by_signature(&Call::new("test"), &request, body).await?;
        let identity = P256VerifyingKey(world.engine.trust_bundle().identity_key);
        let ack = ack_transcript(&transcript, server_time, &body);
        assert!(identity.verify(ack.as_ref(), &signature).is_ok(), "the reply is the authority's");
        Ok(body)
    }
}

#[tokio::test]
async fn each_action_is_signed_and_the_certificate_says_how_surely_the_key_is_held() {
    let world = World::new().await;
    let device = Signer::enrolled(&world, "pump-1").await;
    for _ in 0..2 {
        assert_eq!(device.ask(&world, "authenticate", b"").await.unwrap(), b"");
        let bundle = device.ask(&world, "trust-bundle", b"").await.unwrap();
        assert_eq!(bundle, world.engine.trust_bundle().pem.as_bytes());
        let chain = device.ask(&world, "certificate", &device.csr()).await.unwrap();
        let length = u32::from_be_bytes(*chain.first_chunk().unwrap()) as usize;
        let leaf = &chain[4..4 + length];
        let answer = world.engine.check(&world.platform, Subject::Certificate(leaf.to_vec())).await.unwrap();
        assert_eq!(answer.assurance, Some(Assurance::Software));
        // 2.25.8815619233793154664416676304095512097.6
        let policy = [
            0x69, 0x8d, 0xa1, 0xe9, 0xe5, 0xbc, 0xed, 0x9a, 0x98, 0xdf, 0x9e, 0xfd, 0xd5, 0xc5, 0xbc, 0xe4,
            0xbe, 0x8c, 0x21, 6,
        ];
        assert!(leaf.windows(policy.len()).any(|window| window == policy));
    }
}

#[tokio::test]
async fn a_challenge_is_good_for_one_signature_also_after_a_restart_and_for_another_request() {
    let mut world = World::new().await;
    let device = Signer::enrolled(&world, "pump-1").await;
    let (request, _) = device.request(&world, "authenticate", b"");
    world.engine.prove_by_signature(&Call::new("1"), &request, b"").await.unwrap();
    // The device is tricked into signing the same challenge again, for something else.
    let mut other = request.clone();
    other.action = "trust-bundle".parse().unwrap();
    let claim = SignatureClaim {
        device: other.device.clone(),
        challenge: other.challenge.clone(),
        nonce: other.nonce,
        key_id: Digest::of(&PublicKey::from(*device.key.verifying_key()).spki()),
        action: other.action.clone(),
        body_digest: Digest::of(b""),
    };
    other.signature = device.key.sign(claim.transcript().as_ref()).unwrap();
    for _ in 0..2 {
        for request in [&request, &other] {
            let refused = world.engine.prove_by_signature(&Call::new("2"), request, b"").await.unwrap_err();
            assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Precondition, "replayed"));
        }
        world.restart().await;
    }
    world.clock.pass(61);
    let late = world.engine.prove_by_signature(&Call::new("3"), &request, b"").await.unwrap_err();
    assert_eq!((late.kind(), late.code.as_str()), (ErrorKind::Unauthenticated, "challenge-expired"));
}

#[tokio::test]
async fn a_clock_that_goes_back_revives_no_challenge() {
    let world = World::new().await;
    let device = Signer::enrolled(&world, "pump-1").await;
    let (request, _) = device.request(&world, "authenticate", b"");
    world.engine.prove_by_signature(&Call::new("1"), &request, b"").await.unwrap();
    world.clock.pass(61);
    device.ask(&world, "authenticate", b"").await.expect("what drops the challenge that expired");
    let earlier = wardein_testkit::TestClock::at(crate::world::START);
    let behind = crate::world::open(&world.store, &earlier).await;
    let refused = behind.prove_by_signature(&Call::new("2"), &request, b"").await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Unauthenticated, "challenge-expired"));
}

#[tokio::test]
async fn another_key_has_seen_nothing_and_the_same_one_all_it_has() {
    let world = World::new().await;
    let device = Signer::enrolled(&world, "pump-1").await;
    let requests: Vec<_> = (0..128).map(|_| device.request(&world, "authenticate", b"").0).collect();
    for request in &requests {
        world.engine.prove_by_signature(&Call::new("1"), request, b"").await.unwrap();
    }
    let enroll_anew = async |csr: Vec<u8>| {
        let (name, reason) = (name("klinik", "pump-1"), "its key is lost".parse().unwrap());
        world.engine.readmit_device(&world.admin, name, true, reason).await.unwrap();
        let order = key_order("pump-1");
        world.engine.enroll_key(&world.station, &order, KeyKeeper::Software, &csr).await.unwrap();
    };
    let refused = async |code: &str| {
        for request in &requests {
            let refused = world.engine.prove_by_signature(&Call::new("2"), request, b"").await.unwrap_err();
            assert_eq!(refused.code.as_str(), code);
        }
    };
    enroll_anew(device.csr()).await;
    refused("replayed").await;
    let another = Signer { id: "pump-1", key: Signer::key() };
    enroll_anew(another.csr()).await;
    refused("signature-wrong").await;
    another.ask(&world, "authenticate", b"").await.unwrap();
}

#[tokio::test]
async fn a_device_signs_so_many_requests_in_the_time_of_a_challenge_and_no_more() {
    let world = World::new().await;
    let device = Signer::enrolled(&world, "pump-1").await;
    for _ in 0..128 {
        device.ask(&world, "authenticate", b"").await.unwrap();
    }
    let refused = device.ask(&world, "authenticate", b"").await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Exhausted, "signatures-exhausted"));
    world.clock.pass(61);
    device.ask(&world, "authenticate", b"").await.unwrap();
}

#[tokio::test]
async fn who_has_not_the_key_learns_nothing_and_changes_nothing() {
    let world = World::new().await;
    let device = Signer::enrolled(&world, "pump-1").await;
    world.device("pump-2").await;
    let stranger = Signer { id: "pump-1", key: Signer::enrolled(&world, "pump-3").await.key };
    let commits = world.store.commits();
    let derives = Signer { id: "pump-2", key: Signer::key() };
    let absent = Signer { id: "pump-9", key: Signer::key() };
    let mut words = Vec::new();
    for signer in [&stranger, &derives, &absent] {
        let (request, _) = signer.request(&world, "authenticate", b"");
        if signer.id == "pump-2" {
            assert!(!world.engine.challenge(&request.device).unwrap().recipe.names().is_empty());
        }
        let refused = world.engine.prove_by_signature(&Call::new("1"), &request, b"").await.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.code.as_str()),
            (ErrorKind::Unauthenticated, "signature-wrong"),
            "{}",
            signer.id
        );
        words.push(refused.message);
    }
    assert!(words.windows(2).all(|pair| pair[0] == pair[1]), "absent and wrong look alike");

    type Spoil = fn(&mut SignedRequest);
    let spoils: [(Spoil, &str); 5] = [
        (|request| request.nonce[0] ^= 1, "signature-wrong"),
        (|request| request.signature[10] ^= 1, "signature-wrong"),
        (|request| request.signature.clear(), "signature-wrong"),
        (|request| request.action = "trust-bundle".parse().unwrap(), "signature-wrong"),
        (|request| request.device.device = "pump-3".parse().unwrap(), "challenge-unknown"),
    ];
    for (i, (spoil, code)) in spoils.into_iter().enumerate() {
        let (mut request, _) = device.request(&world, "authenticate", b"");
        spoil(&mut request);
        let refused = world.engine.prove_by_signature(&Call::new("1"), &request, b"").await.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Unauthenticated, code), "{i}");
    }
    let (request, _) = device.request(&world, "certificate", &device.csr());
    let other_body = world.engine.prove_by_signature(&Call::new("1"), &request, &csr()).await.unwrap_err();
    assert_eq!(other_body.code.as_str(), "signature-wrong");
    for action in ["rekey", "attributes"] {
        let (request, _) = device.request(&world, action, b"");
        let derived = world.engine.prove_by_signature(&Call::new("1"), &request, b"").await.unwrap_err();
        assert_eq!(
            (derived.kind(), derived.code.as_str()),
            (ErrorKind::Invalid, "action-needs-derived-keys")
        );
    }
    assert_eq!(world.store.commits(), commits);
}

impl Signer {
    fn key() -> P256SigningKey {
        P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()
    }
}

#[tokio::test]
async fn a_request_for_a_certificate_is_read_only_for_who_has_the_key() {
    let world = World::new().await;
    let device = Signer::enrolled(&world, "pump-1").await;
    let stranger = Signer { id: "pump-1", key: Signer::key() };
    let trailing = [&device.csr()[..], &[0]].concat();
    for (body, code) in
        [(vec![], "csr-malformed"), (vec![0x30; 4097], "csr-too-long"), (trailing, "csr-trailing-bytes")]
    {
        let refused = stranger.ask(&world, "certificate", &body).await.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.code.as_str()),
            (ErrorKind::Unauthenticated, "signature-wrong"),
            "{code}"
        );
        let refused = device.ask(&world, "certificate", &body).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Invalid, code));
    }
    device.ask(&world, "certificate", &device.csr()).await.unwrap();
}

#[tokio::test]
async fn another_key_is_not_certified_and_a_device_out_of_trust_is_refused_on_record() {
    let world = World::new().await;
    let device = Signer::enrolled(&world, "pump-1").await;
    let refused = device.ask(&world, "certificate", &csr()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Invalid, "csr-key-of-another"));
    let set = async |state| {
        let device = name("klinik", "pump-1");
        world
            .engine
            .set_device_state(&world.admin, device, state, "maintenance".parse().unwrap())
            .await
            .unwrap();
    };
    set(DeviceState::Suspended).await;
    let (request, _) = device.request(&world, "authenticate", b"");
    let refused = world.engine.prove_by_signature(&Call::new("1"), &request, b"").await.unwrap_err();
    assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Denied, "suspended"));
    set(DeviceState::Active).await;
    // What was refused is not taken later.
    assert_eq!(
        world.engine.prove_by_signature(&Call::new("1"), &request, b"").await.unwrap_err().code.as_str(),
        "replayed"
    );
    device.ask(&world, "authenticate", b"").await.unwrap();
    let (entries, _) = world.engine.list_audit(&world.admin, AuditFilter::default(), 1, 1000).await.unwrap();
    let refusals = entries.iter().filter(|(_, entry)| entry.event == Event::CallRefused);
    let found: Vec<_> = refusals.map(|(_, entry)| (entry.actor.to_string(), entry.outcome.code())).collect();
    let actor = || "device/klinik/pump-1".to_owned();
    assert_eq!(found, [(actor(), "csr-key-of-another"), (actor(), "suspended")]);
}

#[tokio::test]
async fn a_keeper_must_be_allowed_and_its_level_claims_no_evidence() {
    let world = World::new().await;
    let enroll = async |id: &str, keeper| {
        world.engine.enroll_key(&world.station, &key_order(id), keeper, &csr()).await
    };
    let commits = world.store.commits();
    for keeper in KeyKeeper::ALL {
        let refused = enroll("pump-1", keeper).await.unwrap_err();
        assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Denied, "keeper-not-allowed"));
    }
    assert_eq!(world.store.commits(), commits);
    let keepers = vec![KeyKeeper::SecureElement, KeyKeeper::Pkcs11];
    let policy = KeyPolicy { keepers, ..KeyPolicy::default() };
    world.engine.put_key_policy(&world.admin, world.tenant(), policy, None).await.unwrap();
    for (id, keeper, level) in [
        ("pump-1", KeyKeeper::SecureElement, Assurance::StatedSecureElement),
        ("pump-2", KeyKeeper::Pkcs11, Assurance::StatedPkcs11),
    ] {
        assert_eq!(enroll(id, keeper).await.unwrap().assurance, level);
    }
    assert_eq!(enroll("pump-3", KeyKeeper::Software).await.unwrap_err().code.as_str(), "keeper-not-allowed");
}
