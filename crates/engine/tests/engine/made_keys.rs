//! Keys that the authority makes, for devices that prove who they are (DDKG-1 §8.2).

use crate::elsewhere::chain;
use crate::world::{TestDevice, World, facts};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use wardein_crypto::{KeyAlgorithm, SecretBytes, Signer, SigningKey, hex};
use wardein_ddkg::device::{DeviceError, MadeKeyOpener};
use wardein_domain::{Call, DeviceState, Event, KeyKind, KeyKinds, ProfileFields};
use wardein_engine::{CaKeySource, CaKeys, Error, ErrorCode, KeySource, MadeKey, Page};
use wardein_pki::{HeldCertificate, SubjectKey};
use wardein_testkit::Elsewhere;

/// Makes keys, counts them, and may have none.
#[derive(Default)]
pub(crate) struct Maker {
    pub(crate) made: AtomicUsize,
    is_empty: AtomicBool,
}

impl KeySource for Maker {
    fn take(&self, kind: KeyKind) -> Result<MadeKey, Error> {
        if self.is_empty.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorCode::Overloaded, "none is ready"));
        }
        self.made.fetch_add(1, Ordering::Relaxed);
        MadeKey::make(kind)
    }
}

impl Maker {
    fn count(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }
}

/// The reply body, and what opens it.
async fn ask(
    world: &World,
    device: &mut TestDevice,
    kind: &str,
) -> Result<(MadeKeyOpener, Vec<u8>), &'static str> {
    let (request, mut in_flight) = device.proof(&world.engine, "made-key", kind.as_bytes());
    let opener = in_flight.take_opener().unwrap();
    let asked = world.engine.prove(&Call::new("test"), request, kind.as_bytes().to_vec()).await;
    let proved = asked.map_err(|error| error.code.as_str())?;
    Ok((opener, device.acknowledge(in_flight, proved.reply).body))
}

fn public(algorithm: KeyAlgorithm, pkcs8: &SecretBytes) -> SubjectKey {
    SubjectKey::from(SigningKey::from_pkcs8(algorithm.signature(), pkcs8).unwrap().verifying_key())
}

async fn with_maker(world: &World) -> Arc<Maker> {
    let keys = KeyKinds::of(&[KeyKind::P256, KeyKind::Rsa3072]);
    let fields = ProfileFields { certificate_keys: Some(keys), ..ProfileFields::default() };
    world.put_profile("default", fields).await;
    let maker = Arc::new(Maker::default());
    world.engine.make_keys_by(maker.clone());
    maker
}

async fn issued(world: &World) -> usize {
    let page = Page { size: 100, after: None };
    world.engine.list_certificates(&world.admin, world.tenant(), None, page).await.unwrap().items.len()
}

#[tokio::test]
async fn a_made_key_opens_for_the_device_that_asked_alone_and_is_on_no_record() {
    let world = World::new().await;
    with_maker(&world).await;
    let (mut device, mut other) = (world.proven("pump-1").await, world.proven("pump-2").await);
    for (kind, algorithm) in [("rsa-3072", KeyAlgorithm::Rsa3072), ("p256", KeyAlgorithm::P256)] {
        let (opener, body) = ask(&world, &mut device, kind).await.unwrap();
        let (of_other, _) = ask(&world, &mut other, "p256").await.unwrap();
        assert_eq!(of_other.open(&body).err(), Some(DeviceError::OpenFailed), "another device's");
        let (of_next, _) = ask(&world, &mut device, "p256").await.unwrap();
        assert_eq!(of_next.open(&body).err(), Some(DeviceError::OpenFailed), "another request's");
        let (key, certificates) = opener.open(&body).unwrap();
        let chain = chain(&certificates);
        assert_eq!(HeldCertificate::read(&chain[0]).unwrap().key, public(algorithm, &key));
        assert_eq!(chain.len(), 2, "with the issuing CA");

        // The public half is in the certificate, and some bytes are those of every key.
        let is_known = |part: &[u8]| body.windows(16).any(|of| of == part);
        let secret: Vec<&[u8]> = key.expose().windows(16).filter(|part| !is_known(part)).collect();
        assert!(secret.len() > 16, "the private half");
        for (_, row) in world.rows().await {
            let has = |part: &&[u8]| row.value.windows(16).any(|of| of == *part);
            assert!(!secret.iter().step_by(8).any(has), "{kind} is in the store");
        }
        let entries = world.entries(Event::CertificateIssued).await;
        let entry = facts(&entries[entries.len() - 3]);
        assert!(entry.contains(&format!("key-made={kind}")), "{entry}");
        for entry in world.entries(Event::CertificateIssued).await {
            let entry = facts(&entry);
            assert!(!secret.iter().step_by(8).any(|part| entry.contains(&hex::encode(part))), "{entry}");
        }
    }
}

/// What the network repeats gives no second key, and nothing of the first one.
#[tokio::test]
async fn a_request_is_good_for_one_key_and_a_lost_answer_for_another_one() {
    let world = World::new().await;
    let maker = with_maker(&world).await;
    let mut device = world.proven("pump-1").await;
    let (request, _lost) = device.proof(&world.engine, "made-key", b"p256");
    let call = Call::new("test");
    let first = world.engine.prove(&call, request.clone(), b"p256".to_vec()).await.unwrap();
    for _ in 0..2 {
        let again = world.engine.prove(&call, request.clone(), b"p256".to_vec()).await.unwrap_err();
        assert_eq!(again.code.as_str(), "replayed");
    }
    assert_eq!((maker.count(), issued(&world).await), (1, 1));
    // The device heard nothing: it asks again, and gets a key of its own. The first certificate is of a key that nobody has.
    let (opener, body) = ask(&world, &mut device, "p256").await.unwrap();
    let (key, certificates) = opener.open(&body).unwrap();
    let leaf = chain(&certificates).remove(0);
    assert_eq!(HeldCertificate::read(&leaf).unwrap().key, public(KeyAlgorithm::P256, &key));
    assert!(!first.reply.body.ends_with(&certificates));
    assert_eq!((maker.count(), issued(&world).await), (2, 2));
    // Its number is spent like that of any proof, and the device goes on.
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
}

#[tokio::test]
async fn what_is_refused_uses_no_key_up() {
    let world = World::new().await;
    let mut device = world.proven("pump-1").await;
    assert_eq!(ask(&world, &mut device, "p256").await.err(), Some("not-supported"), "none are made here");
    let maker = with_maker(&world).await;
    assert_eq!(ask(&world, &mut device, "rsa-2048").await.err(), Some("csr-key-not-accepted"));
    for kind in ["", "rsa-1024", "P256", "p256 "] {
        assert_eq!(ask(&world, &mut device, kind).await.err(), Some("malformed"), "{kind}");
    }
    let (mut request, _) = device.proof(&world.engine, "made-key", b"p256");
    request.mac.0[0] ^= 1;
    let forged = world.engine.prove(&Call::new("test"), request, b"p256".to_vec()).await.unwrap_err();
    assert_eq!(forged.code.as_str(), "mac-wrong");
    let mut put = async |state| {
        let reason = "by chance".parse().unwrap();
        world.engine.set_device_state(&world.admin, device.name.clone(), state, reason).await.unwrap();
        ask(&world, &mut device, "p256").await.err()
    };
    assert_eq!(put(DeviceState::Suspended).await, Some("suspended"));
    assert_eq!((maker.count(), issued(&world).await), (0, 0));
    let refused = world.entries(Event::CallRefused).await.len();
    assert_eq!(refused, 2, "of who is known");
    assert_eq!(put(DeviceState::Active).await, None);
    // Where none is ready, the device comes again, with another proof.
    maker.is_empty.store(true, Ordering::Relaxed);
    assert_eq!(ask(&world, &mut device, "rsa-3072").await.err(), Some("overloaded"));
    maker.is_empty.store(false, Ordering::Relaxed);
    assert!(ask(&world, &mut device, "p256").await.is_ok());
    assert_eq!((maker.count(), issued(&world).await), (2, 2));
}

#[tokio::test]
async fn a_device_has_so_many_keys_made_within_an_hour() {
    let world = World::new().await;
    let maker = with_maker(&world).await;
    let (mut device, mut other) = (world.proven("pump-1").await, world.proven("pump-2").await);
    for _ in 0..30 {
        ask(&world, &mut device, "p256").await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(ask(&world, &mut device, "p256").await.err(), Some("made-key-quota"));
    }
    assert_eq!((maker.count(), issued(&world).await), (30, 30));
    // The device goes on, and others have their own.
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    ask(&world, &mut other, "p256").await.unwrap();
    world.clock.pass(3_600);
    ask(&world, &mut device, "p256").await.unwrap();
}

/// The CA's key in another process signs once the certificate is on record; the sealed key stands in front of the chain all the same.
#[tokio::test]
async fn a_made_key_is_certified_by_a_signer_elsewhere() {
    let signer = Elsewhere::new(KeyAlgorithm::P256);
    let keys = CaKeys { issuing: CaKeySource::Elsewhere(signer.clone()), ..CaKeys::default() };
    let world = World::founded(keys, vec![signer.clone()]).await;
    with_maker(&world).await;
    let mut device = world.proven("pump-1").await;
    let (opener, body) = ask(&world, &mut device, "p256").await.unwrap();
    let (key, certificates) = opener.open(&body).unwrap();
    let leaf = chain(&certificates).remove(0);
    assert_eq!(HeldCertificate::read(&leaf).unwrap().key, public(KeyAlgorithm::P256, &key));
}
