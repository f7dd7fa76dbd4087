//! An authority that was restored from a backup takes nothing that was spent since, whatever its clock says, and devices come
//! back.

use crate::signing::Signer;
use crate::world::{START, TestDevice, World, csr, open_under};
use wardein_crypto::Digest;
use wardein_ddkg::Suite;
use wardein_ddkg::message::SealedPayload;
use wardein_domain::{Call, DeviceState, Event, ProfileFields, Purpose, RekeyGate, Right, Verdict};
use wardein_engine::ProfilePut;
use wardein_engine::{Error, ErrorKind, OpenAsk, ReleaseAsk, Sealed, Subject};
use wardein_testkit::MemoryCustody;

impl World {
    /// What the platform has of what was sealed: the payload opened, its key and the file's released. The codes of the refusals.
    async fn unsealed(&self, device: &mut TestDevice, payload: &SealedPayload) -> Vec<Option<&'static str>> {
        let stanza = device.wrap([5; 16]);
        let release = |sealed| {
            let idempotency = Digest::of(if matches!(sealed, Sealed::File(_)) { b"file" } else { b"name" });
            ReleaseAsk { sealed, reason: "test".parse().unwrap(), idempotency }
        };
        let by_name =
            self.engine.release_key(&self.platform, release(Sealed::Payload(payload.name().clone())));
        vec![
            by_name.await.err().map(|error| error.code.as_str()),
            self.engine
                .release_key(&self.platform, release(Sealed::File(stanza)))
                .await
                .err()
                .map(|error| error.code.as_str()),
            self.engine
                .open_payload(&self.platform, opening(payload))
                .await
                .err()
                .map(|error| error.code.as_str()),
        ]
    }

    async fn with_all_rights() -> (Self, MemoryCustody) {
        let (world, custody) = Self::with_custody().await;
        for right in [Right::Token, Right::Data, Right::File, Right::Open] {
            world.grant(right).await;
        }
        (world, custody)
    }

    async fn gate_of(&self, device: &TestDevice) -> RekeyGate {
        self.engine.get_device(&self.admin, device.name.clone()).await.unwrap().gate
    }

    async fn enroll_anew(&self, device: &TestDevice) -> TestDevice {
        let (name, reason) = (device.name.clone(), "restored".parse().unwrap());
        self.engine.readmit_device(&self.admin, name, true, reason).await.unwrap();
        let mut device = self.device(device.name.device.as_str()).await;
        device.prove(&self.engine, "authenticate", b"").await.unwrap();
        device
    }
}

fn opening(payload: &SealedPayload) -> OpenAsk {
    OpenAsk {
        sealed: payload.clone(),
        additional: b"log".to_vec(),
        reason: "test".parse().unwrap(),
        idempotency: Digest::of(&payload.encode()),
    }
}

fn refusal<T>(result: Result<T, Error>) -> (ErrorKind, &'static str) {
    let error = result.err().unwrap();
    (error.kind(), error.code.as_str())
}

const REQUIRED: (ErrorKind, &str) = (ErrorKind::Precondition, "rekey-required");
const LOST: (ErrorKind, &str) = (ErrorKind::Precondition, "keys-after-backup");

#[tokio::test]
async fn a_device_rekeys_before_anything_else_and_is_back_whatever_the_clock_says() {
    let day = 86_400;
    let (world, custody) = World::with_custody().await;
    let (mut one, mut two) = (world.proven("pump-1").await, world.device("pump-2").await);
    world.clock.pass(5 * day);
    one.rekey(&world.engine, Suite::P256).await.unwrap();
    one.prove(&world.engine, "authenticate", b"").await.unwrap();
    let backup = world.backup().await;
    world.clock.pass(60);
    // What devices do after the backup, and the restored authority does not know.
    for _ in 0..3 {
        one.prove(&world.engine, "certificate", &csr()).await.unwrap();
        two.prove(&world.engine, "authenticate", b"").await.unwrap();
    }
    for (restored_at, served_at) in [
        (START + day, START + day),
        (START + 6 * day, START + 6 * day),
        (START + 1_000 * day, START + 6 * day),
    ] {
        world.clock.set(restored_at);
        let mut after = world.restored(&backup, &custody).await;
        world.clock.set(served_at);
        after.engine.look_at_clock().await.unwrap();
        if served_at < START + 5 * day {
            after.accept_clock().await.unwrap();
        }
        for device in [&mut one, &mut two] {
            let mut device = device.copied();
            for _ in 0..2 {
                for (action, body) in
                    [("authenticate", vec![]), ("certificate", csr()), ("trust-bundle", vec![])]
                {
                    assert_eq!(refusal(device.prove(&after.engine, action, &body).await), REQUIRED);
                }
                assert_eq!(after.gate_of(&device).await, RekeyGate::Required);
                after = reopened(after, &custody).await;
            }
            device.rekey(&after.engine, Suite::P256MlKem768).await.unwrap();
            device.prove(&after.engine, "certificate", &csr()).await.unwrap();
            assert_eq!(after.gate_of(&device).await, RekeyGate::Free);
            after = reopened(after, &custody).await;
            assert!(!device.hear(&after.engine, "authenticate", b"").await.unwrap().1, "no second rekey");
        }
        assert!(after.entries(Event::CloneSuspected).await.is_empty());
    }
}

#[tokio::test]
async fn a_device_that_used_up_many_epochs_since_comes_back() {
    let (world, custody) = World::with_custody().await;
    let uses = ProfileFields { max_uses: Some(1), ..ProfileFields::default() };
    world
        .engine
        .put_profile(&world.admin, world.tenant(), "default".parse().unwrap(), ProfilePut::whole(uses))
        .await
        .unwrap();
    let mut device = world.proven("pump-1").await;
    let backup = world.backup().await;
    for _ in 0..80 {
        device.prove(&world.engine, "authenticate", b"").await.unwrap();
    }
    let after = world.restored(&backup, &custody).await;
    assert_eq!(refusal(device.prove(&after.engine, "authenticate", b"").await), REQUIRED);
    device.rekey(&after.engine, Suite::P256).await.unwrap();
    device.prove(&after.engine, "authenticate", b"").await.unwrap();
}

async fn reopened(world: World, custody: &MemoryCustody) -> World {
    let engine = open_under(&world.store, &world.clock, custody).await.unwrap();
    World { engine, ..world }
}

#[tokio::test]
async fn nothing_that_was_recorded_is_taken_not_even_a_rekey() {
    let (world, custody) = World::with_custody().await;
    let mut device = world.proven("pump-1").await;
    let signer = Signer::enrolled(&world, "pump-2").await;
    let before =
        (device.proof(&world.engine, "authenticate", b"").0, signer.request(&world, "authenticate", b"").0);
    let backup = world.backup().await;
    let (rekey, body, _) = device.rekey_proof(&world.engine, Suite::P256);
    let (proof, _) = device.proof(&world.engine, "authenticate", b"");
    let (signed, _) = signer.request(&world, "authenticate", b"");
    world.engine.prove(&Call::new("test"), proof.clone(), Vec::new()).await.unwrap();
    world.engine.prove_by_signature(&Call::new("test"), &signed, b"").await.unwrap();

    let after = world.restored(&backup, &custody).await;
    let rows = after.rows().await;
    for (request, body) in [(rekey, body), (proof, Vec::new()), (before.0, Vec::new())] {
        let refused = after.engine.prove(&Call::new("test"), request, body).await.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.code.as_str()),
            (ErrorKind::Unauthenticated, "challenge-unknown")
        );
    }
    for request in [signed, before.1] {
        let refused = after.engine.prove_by_signature(&Call::new("test"), &request, b"").await.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.code.as_str()),
            (ErrorKind::Unauthenticated, "challenge-unknown")
        );
    }
    assert!(after.rows().await == rows);
    // A key that signs is spent by nothing but challenges, of which there are new ones.
    signer.ask(&after, "authenticate", b"").await.unwrap();
    device.rekey(&after.engine, Suite::P256).await.unwrap();
    device.prove(&after.engine, "authenticate", b"").await.unwrap();
}

#[tokio::test]
async fn no_token_of_before_logs_in() {
    let (world, custody) = World::with_all_rights().await;
    let mut device = world.proven("pump-1").await;
    let (spent_before, spent_since, unspent) =
        (device.token(b"", 0), device.token(b"", 0), device.token(b"", 0));
    world.login(&spent_before, b"", b"1").await.unwrap();
    let backup = world.backup().await;
    world.login(&spent_since, b"", b"2").await.unwrap();

    let after = world.restored(&backup, &custody).await;
    let rows = after.rows().await;
    // Also what is asked again as if its reply had been lost.
    for (token, attempt) in [(&spent_before, b"1"), (&spent_since, b"2"), (&unspent, b"3")] {
        assert_eq!(refusal(after.login(token, b"", attempt).await), REQUIRED);
    }
    assert!(after.rows().await == rows);
    device.rekey(&after.engine, Suite::P256).await.unwrap();
    device.prove(&after.engine, "authenticate", b"").await.unwrap();
    for (token, attempt) in [(&spent_since, b"2"), (&unspent, b"3")] {
        assert_eq!(refusal(after.login(token, b"", attempt).await).1, "message-generation-retired");
    }
    let fresh = device.token(b"", 0);
    after.login(&fresh, b"", b"4").await.unwrap();
    assert_eq!(refusal(after.login(&fresh, b"", b"5").await).1, "token-spent");
}

#[tokio::test]
async fn no_key_of_before_is_given_out_but_from_the_archive() {
    let (world, custody) = World::with_all_rights().await;
    let mut device = world.proven("pump-1").await;
    let (of_before, since) = (device.seal(b"Puls", 0), device.seal(b"Puls", 0));
    world.engine.open_payload(&world.platform, opening(&of_before)).await.unwrap();
    let backup = world.backup().await;
    world.engine.open_payload(&world.platform, opening(&since)).await.unwrap();

    let after = world.restored(&backup, &custody).await;
    let rows = after.rows().await;
    assert_eq!(after.unsealed(&mut device, &since).await, [Some("key-from-before-restore"); 3]);
    let again = after.engine.open_payload(&after.platform, opening(&of_before)).await;
    assert_eq!(refusal(again).1, "key-from-before-restore", "as if its reply had been lost");
    assert!(after.rows().await == rows);
    device.rekey(&after.engine, Suite::P256).await.unwrap();
    device.prove(&after.engine, "authenticate", b"").await.unwrap();
    let refused = after.engine.open_payload(&after.platform, opening(&since)).await;
    assert_eq!(refusal(refused).1, "key-from-before-restore", "under a generation that is retired now");
    let fresh = device.seal(b"Puls", 0);
    after.engine.open_payload(&after.platform, opening(&fresh)).await.unwrap();

    // A profile that lets keys be given out again lets these be.
    let archive = ProfileFields { archive: Some(vec![Purpose::Data]), ..ProfileFields::default() };
    let name = "default".parse().unwrap();
    after.engine.put_profile(&after.admin, after.tenant(), name, ProfilePut::set(archive)).await.unwrap();
    let opened = after.engine.open_payload(&after.platform, opening(&since)).await.unwrap();
    assert_eq!(opened.secret.expose(), b"Puls");
}

#[tokio::test]
async fn a_device_that_rekeyed_after_the_backup_is_told_so_and_enrolled_anew() {
    let (world, custody) = World::with_all_rights().await;
    let (mut rekeyed, mut asked_twice) = (world.proven("pump-1").await, world.proven("pump-2").await);
    // A rekey whose reply is lost before the backup, and requested again after it.
    let (request, body, _) = asked_twice.rekey_proof(&world.engine, Suite::P256);
    world.engine.prove(&Call::new("test"), request, body).await.unwrap();
    let backup = world.backup().await;
    for device in [&mut rekeyed, &mut asked_twice] {
        device.rekey(&world.engine, Suite::P256).await.unwrap();
        device.prove(&world.engine, "authenticate", b"").await.unwrap();
    }
    let after = world.restored(&backup, &custody).await;
    for device in [&mut rekeyed, &mut asked_twice] {
        let rows = after.rows().await;
        assert_eq!(refusal(device.prove(&after.engine, "authenticate", b"").await), LOST);
        assert_eq!(refusal(device.rekey(&after.engine, Suite::P256).await), LOST);
        assert!(after.rows().await == rows);
    }
    let (token, payload) = (rekeyed.token(b"", 0), rekeyed.seal(b"Puls", 0));
    assert_eq!(refusal(after.login(&token, b"", b"1").await), LOST);
    assert_eq!(after.unsealed(&mut rekeyed, &payload).await, [Some(LOST.1); 3]);

    let mut anew = after.enroll_anew(&rekeyed).await;
    let record = after.engine.get_device(&after.admin, anew.name.clone()).await.unwrap();
    assert_eq!((record.gate, record.state), (RekeyGate::Free, DeviceState::Active));
    assert!(record.generation > world.engine.now(), "above what was given out after the backup");
    after.login(&anew.token(b"", 0), b"", b"2").await.unwrap();
    assert_eq!(refusal(after.login(&token, b"", b"1").await).1, "message-generation-unknown");
    // One that never was restored makes no such claim.
    assert_eq!(refusal(world.login(&anew.token(b"", 0), b"", b"3").await).1, "message-generation-unknown");
}

#[tokio::test]
async fn a_device_that_was_enrolled_after_the_backup_is_enrolled_again() {
    let (world, custody) = World::with_custody().await;
    let backup = world.backup().await;
    let mut device = world.proven("pump-1").await;
    let after = world.restored(&backup, &custody).await;
    let refused = refusal(device.prove(&after.engine, "authenticate", b"").await);
    assert_eq!(refused, (ErrorKind::Unauthenticated, "mac-wrong"), "as of any that is not there");
    after.proven("pump-1").await;
    let record = after.engine.get_device(&after.admin, device.name.clone()).await.unwrap();
    assert!(record.generation > 1, "no name of a key stands for two keys");
}

#[tokio::test]
async fn a_certificate_that_was_issued_after_the_backup_is_not_trusted() {
    let (world, custody) = World::with_custody().await;
    let mut device = world.proven("pump-1").await;
    let leaf = |body: &[u8]| {
        let length = u32::from_be_bytes(*body.first_chunk().unwrap()) as usize;
        Subject::Certificate(body[4..4 + length].to_vec())
    };
    let before = leaf(&device.prove(&world.engine, "certificate", &csr()).await.unwrap().body);
    let backup = world.backup().await;
    let since = leaf(&device.prove(&world.engine, "certificate", &csr()).await.unwrap().body);
    let after = world.restored(&backup, &custody).await;
    for (world, subject, verdict) in [
        (&world, &since, Verdict::Trusted),
        (&after, &before, Verdict::Trusted),
        (&after, &since, Verdict::Unknown),
    ] {
        assert_eq!(world.engine.check(&world.platform, subject.clone()).await.unwrap().verdict, verdict);
    }
}

#[tokio::test]
async fn each_restoring_makes_all_keys_stale_again_also_in_the_same_second() {
    let (world, custody) = World::with_custody().await;
    let mut device = world.proven("pump-1").await;
    let first = world.backup().await;
    let after = world.restored(&first, &custody).await;
    device.rekey(&after.engine, Suite::P256).await.unwrap();
    device.prove(&after.engine, "authenticate", b"").await.unwrap();
    let second = after.backup().await;
    let mut at_second = device.copied();
    let again = after.restored(&second, &custody).await;
    assert_eq!(refusal(at_second.prove(&again.engine, "authenticate", b"").await), REQUIRED);
    at_second.rekey(&again.engine, Suite::P256).await.unwrap();
    at_second.prove(&again.engine, "authenticate", b"").await.unwrap();
    // The first backup once more: what was agreed at the authority in between is lost.
    let from_first = world.restored(&first, &custody).await;
    assert_eq!(refusal(device.prove(&from_first.engine, "authenticate", b"").await), LOST);
}

#[tokio::test]
async fn a_record_that_is_full_is_no_way_around_it() {
    let (world, custody) = World::with_custody().await;
    let keep = ProfileFields { data_retention: Some(10_000), ..ProfileFields::default() };
    world
        .engine
        .put_profile(&world.admin, world.tenant(), "default".parse().unwrap(), ProfilePut::whole(keep))
        .await
        .unwrap();
    let mut device = world.device("pump-1").await;
    for _ in 0..16 {
        world.clock.pass(4_000);
        device.rekey(&world.engine, Suite::P256).await.unwrap();
        device.prove(&world.engine, "authenticate", b"").await.unwrap();
    }
    let backup = world.backup().await;
    let after = world.restored(&backup, &custody).await;
    assert_eq!(refusal(device.prove(&after.engine, "authenticate", b"").await), REQUIRED);
    assert_eq!(refusal(device.rekey(&after.engine, Suite::P256).await).1, "retention-full");
    after.enroll_anew(&device).await;
}
