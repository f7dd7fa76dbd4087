//! The methods of devices as POSTs of bytes (DDKG-1 §11.1), over HTTP/1.1 and HTTP/2: the same decisions as over gRPC.

use crate::common::device::TestDevice;
use crate::common::http1::{CHALLENGE, CONFIRM, Http1, PROVE, SIGNED};
use crate::common::raw::{Raw, end, message, tls_for};
use crate::common::{Served, issue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wardein_client::{Connection, v1};
use wardein_crypto::{Digest, P256SigningKey, Tag};
use wardein_ddkg::message::{
    ChallengeAnswer, ChallengeAsk, Confirmation, Confirmed, ProofAnswer, ProofAsk, ProofRequest, Refused,
    SignatureClaim, SignedAnswer, SignedAsk, ack_transcript,
};
use wardein_ddkg::{Challenge, DeviceName};
use wardein_domain::{RenewalWindow, Role};
use wardein_pki::{Csr, PublicKey};
use wardein_server::{Limits, Rate};

struct World {
    served: Served,
    admin: Connection,
    station: Connection,
}

impl World {
    async fn new() -> Self {
        let served = Served::start().await;
        let admin = served.connect(Some(served.admin())).await.unwrap();
        admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
        let station = served.connect(Some(issue(&admin, Role::Station).await)).await.unwrap();
        Self { served, admin, station }
    }

    async fn http(&self) -> Http1 {
        Http1::connect(&self.served, "127.0.0.1").await
    }
}

fn name(id: &str) -> DeviceName {
    DeviceName { tenant: "t".parse().unwrap(), device: id.parse().unwrap() }
}

/// A proof as it is posted.
fn posted(request: v1::ProveRequest) -> Vec<u8> {
    let proof = ProofRequest {
        device: name(&request.device_id),
        challenge: Challenge::new(&request.challenge).unwrap(),
        nonce: request.device_nonce.try_into().unwrap(),
        generation: request.generation,
        epoch: request.epoch,
        number: request.number,
        action: request.action.parse().unwrap(),
        body_digest: Digest::of(&request.body),
        mac: Tag(request.mac.try_into().unwrap()),
    };
    ProofAsk { request: proof, body: request.body }.encode()
}

#[tokio::test]
async fn a_proof_is_posted_and_believed_and_is_one_in_both_forms() {
    let world = World::new().await;
    let mut device = TestDevice::enrolled(&world.station, "pump-1").await;
    let mut http = world.http().await;
    for (action, body) in [("authenticate", vec![]), ("certificate", csr())] {
        let (request, in_flight) = device.proof(&world.station, action, &body).await;
        let answer = http.post(PROVE, &posted(request.clone())).await;
        assert_eq!(answer.said(), (200, "ok"), "{answer:?}");
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert!(!answer.header("wardein-request-id").is_empty());
        let ProofAnswer { reply, rekey_due } = ProofAnswer::decode(&answer.body).unwrap();
        assert!(!rekey_due);
        assert_eq!(reply.body.is_empty(), action == "authenticate");
        device.acknowledge(in_flight, reply);
        // What was posted is spent, in whichever form it comes again.
        let answer = http.post(PROVE, &posted(request.clone())).await;
        assert_eq!(answer.said(), (409, "replayed"));
        let again = world.station.device().prove(request).await.unwrap_err();
        assert_eq!(again.metadata().get("wardein-code").unwrap(), "replayed");
    }
    device.prove(&world.station, "authenticate", b"").await.expect("and gRPC goes on where it ended");
}

/// An older device takes no further byte of message 12: when to renew is beside it, too.
#[tokio::test]
async fn when_a_certificate_is_to_be_renewed_is_in_a_header_and_in_a_field() {
    let world = World::new().await;
    let mut device = TestDevice::enrolled(&world.station, "pump-1").await;
    let mut http = world.http().await;
    let mut said = async |device: &mut TestDevice, action: &str, body: &[u8]| {
        let (request, in_flight) = device.proof(&world.station, action, body).await;
        let answer = http.post(PROVE, &posted(request)).await;
        let ProofAnswer { reply, .. } = ProofAnswer::decode(&answer.body).unwrap();
        let now = reply.server_time;
        device.acknowledge(in_flight, reply);
        let (request, _) = device.proof(&world.station, action, body).await;
        let by_grpc = world.station.device().prove(request).await.unwrap().into_inner().renewal;
        (now, answer.header("wardein-renewal").to_owned(), by_grpc)
    };
    let (_, header, field) = said(&mut device, "authenticate", b"").await;
    assert_eq!((header.as_str(), field), ("", None), "there is no certificate in it");
    for (share, days) in [(None, 66), (Some(50), 50)] {
        let profile = v1::Profile {
            tenant: "t".into(),
            name: "default".into(),
            certificate_validity: wardein_client::time::span(100_000),
            certificate_renewal_percent: share,
            ..Default::default()
        };
        let put = v1::PutProfileRequest { profile: Some(profile), ..Default::default() };
        world.admin.admin().put_profile(put).await.unwrap();
        let (now, header, field) = said(&mut device, "certificate", &csr()).await;
        let window = header.parse::<RenewalWindow>().unwrap();
        let thousand = |percent: u64| now + 1_000 * percent;
        assert_eq!((window.start(), window.end()), (thousand(days - 8), thousand(days + 8)));
        let v1::RenewalWindow { start_seconds, end_seconds } = field.unwrap();
        // It is of the next certificate, a moment later.
        assert!(start_seconds - window.start() < 60 && end_seconds - start_seconds == 16_000);
    }
}

fn csr() -> Vec<u8> {
    Csr::create(&P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_challenge_is_posted_for_and_a_confirmation_is_taken() {
    let world = World::new().await;
    let (mut device, tag) = TestDevice::pending(&world.station, "pump-1").await;
    let mut http = world.http().await;
    let answer = http.post(CHALLENGE, &ChallengeAsk { device: name("pump-1") }.encode()).await;
    assert_eq!(answer.said(), (200, "ok"));
    let ChallengeAnswer { offer, quote } = ChallengeAnswer::decode(&answer.body).unwrap();
    assert_eq!((offer.recipe.names().len(), quote), (1, None));
    let (request, _) = device.proof(&world.station, "authenticate", b"").await;
    assert_eq!(http.post(PROVE, &posted(request)).await.said(), (409, "enrollment-pending"));
    let confirmation = Confirmation { device: name("pump-1"), tag: Tag(tag.try_into().unwrap()) };
    let answer = http.post(CONFIRM, &confirmation.encode()).await;
    assert_eq!(answer.said(), (200, "ok"));
    Confirmed::decode(&answer.body).unwrap();
    device.prove(&world.station, "authenticate", b"").await.unwrap();
}

#[tokio::test]
async fn a_signed_request_is_posted_and_its_answer_is_signed() {
    let world = World::new().await;
    let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
    let policy = v1::KeyPolicy {
        tenant: "t".into(),
        keepers: vec![v1::KeyKeeper::Software.into()],
        ..Default::default()
    };
    let put = v1::PutKeyPolicyRequest { policy: Some(policy) };
    world.admin.attestation().put_key_policy(put).await.unwrap();
    let enroll = v1::EnrollKeyRequest {
        device_id: "pump-1".into(),
        keeper: v1::KeyKeeper::Software.into(),
        csr: Csr::create(&key).unwrap(),
        ..Default::default()
    };
    world.station.provisioning().enroll_key(enroll).await.unwrap();
    let mut http = world.http().await;
    let asked = http.post(CHALLENGE, &ChallengeAsk { device: name("pump-1") }.encode()).await;
    let ChallengeAnswer { offer, .. } = ChallengeAnswer::decode(&asked.body).unwrap();
    let claim = SignatureClaim {
        device: name("pump-1"),
        challenge: offer.challenge.clone(),
        nonce: [7; 32],
        key_id: Digest::of(&PublicKey::from(*key.verifying_key()).spki()),
        action: "authenticate".parse().unwrap(),
        body_digest: Digest::of(b""),
    };
    let transcript = claim.transcript();
    let ask = SignedAsk {
        device: claim.device,
        challenge: offer.challenge,
        nonce: claim.nonce,
        action: claim.action,
        body: Vec::new(),
        signature: key.sign(transcript.as_ref()).unwrap(),
        quote: None,
    };
    let answer = http.post(SIGNED, &ask.encode()).await;
    assert_eq!(answer.said(), (200, "ok"), "{answer:?}");
    let SignedAnswer { server_time, body, signature } = SignedAnswer::decode(&answer.body).unwrap();
    let bundle =
        world.station.certificates().get_trust_bundle(v1::GetTrustBundleRequest::default()).await.unwrap();
    let identity = wardein_crypto::P256VerifyingKey(bundle.into_inner().identity_key.try_into().unwrap());
    identity.verify(ack_transcript(&transcript, server_time, &body).as_ref(), &signature).unwrap();
    assert_eq!(http.post(SIGNED, &ask.encode()).await.said(), (409, "replayed"));
}

#[tokio::test]
async fn the_epoch_of_a_refusal_is_in_its_headers_and_its_body() {
    let world = World::new().await;
    let mut device = TestDevice::enrolled(&world.station, "pump-1").await;
    let (mut request, _) = device.proof(&world.station, "authenticate", b"").await;
    request.epoch = u32::MAX;
    let answer = world.http().await.post(PROVE, &posted(request)).await;
    assert_eq!(answer.said(), (409, "epoch-ahead"));
    let highest: u32 = answer.header("wardein-highest-epoch").parse().unwrap();
    let refused = Refused::decode(&answer.body).unwrap();
    assert_eq!(refused.epoch, Some(wardein_ddkg::message::NamedEpoch::Highest(highest)));
    assert_eq!(answer.header("wardein-next-epoch"), "");
}

/// A device has one connection, whichever way it asks.
#[tokio::test]
async fn a_post_over_http2_is_answered_beside_grpc_on_one_connection() {
    let world = World::new().await;
    let raw = Raw::connect(&world.served, "127.0.0.1").await;
    let ask = ChallengeAsk { device: name("pump-1") }.encode();
    let posted = async |path: &str, kind: &'static str, bytes: &[u8]| {
        let mut begun = raw.begin_as(path, kind).await;
        begun.request.send_data(bytes.to_vec().into(), true).unwrap();
        let answer = begun.answer().await;
        let code = answer.headers().get("wardein-code").map(|code| code.to_str().unwrap().to_owned());
        (answer.status().as_u16(), code.unwrap_or_default(), answer)
    };
    let octets = "application/octet-stream";
    let (status, code, answer) = posted(CHALLENGE, octets, &ask).await;
    assert_eq!((status, code.as_str()), (200, "ok"));
    let trailers = end(answer).await;
    assert!(trailers.is_empty(), "a trailer is gRPC's: {trailers:?}");
    let (status, code, _) = posted(CHALLENGE, "application/grpc", &ask).await;
    assert_eq!((status, code.as_str()), (415, "not-supported"));
    let (status, code, _) = posted(CHALLENGE, octets, &[0; 1025]).await;
    assert_eq!((status, code.as_str()), (413, "too-large"));
    let (status, code, _) = posted("/v1/device/none", octets, &ask).await;
    assert_eq!((status, code.as_str()), (404, "method-unknown"));
    let grpc = "/wardein.v1.DeviceService/GetChallenge";
    let answer = raw.send(grpc, &message(b"\x0a\x01t\x12\x01d"), true).await.answer().await;
    assert_eq!(answer.headers().get("wardein-code").unwrap(), "ok");
    assert_eq!(answer.headers().get("content-type").unwrap(), "application/grpc");
}

#[tokio::test]
async fn without_alpn_it_is_http_1_1_and_nothing_of_operators_is_behind_it() {
    let world = World::new().await;
    let admin = world.served.admin();
    for (alpn, identity) in [(&[][..], None), (&["http/1.1"][..], None), (&["http/1.1"][..], Some(&admin))] {
        let mut http = Http1::over(tls_for(&world.served, "127.0.0.1", identity, alpn).await);
        let ask = ChallengeAsk { device: name("pump-1") }.encode();
        assert_eq!(http.post(CHALLENGE, &ask).await.said(), (200, "ok"));
        for path in [
            "/wardein.v1.DeviceService/GetChallenge",
            "/wardein.v1.AdminService/GetStatus",
            "/v1/admin/status",
            "/v1/device/challenge/",
            "/v1/device/challenge?x",
            "/v1/device/Challenge",
            "/v1/device//challenge",
            "/v1/device/%63hallenge",
            "/metrics",
            "/",
        ] {
            assert_eq!(http.post(path, &ask).await.said(), (404, "method-unknown"), "{path}");
        }
    }
}

#[tokio::test]
async fn both_forms_draw_on_one_rate_and_are_counted_as_one_method() {
    let open = Rate { per_second: 1, burst: 3 };
    let served = Served::with(Limits { open, ..Limits::default() }, 0).await;
    let ask = ChallengeAsk { device: name("pump-1") }.encode();
    let (raw, mut http) =
        (Raw::connect(&served, "127.0.0.1").await, Http1::connect(&served, "127.0.0.1").await);
    let grpc = "/wardein.v1.DeviceService/GetChallenge";
    raw.send(grpc, &message(b"\x0a\x01t\x12\x01d"), true).await.answer().await;
    for _ in 0..2 {
        assert_eq!(http.post(CHALLENGE, &ask).await.said(), (200, "ok"));
    }
    let answer = http.post(CHALLENGE, &ask).await;
    assert_eq!((answer.said(), answer.header("retry-after")), ((429, "rate-limited"), "1"));
    assert_eq!(Refused::decode(&answer.body).unwrap().retry_after_ms, 1_000);
    let call = raw.send(grpc, &message(b"\x0a\x01t\x12\x01d"), true).await;
    assert_eq!(call.refusal().await.0, "rate-limited");
    let metrics = metrics(&served).await;
    let line = |code: &str, count: u32| {
        format!("wardein_requests_total{{code=\"{code}\",method=\"{grpc}\"}} {count}")
    };
    for line in [line("ok", 3), line("rate-limited", 2)] {
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}

async fn metrics(served: &Served) -> String {
    let mut socket = TcpStream::connect(served.http).await.unwrap();
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A refusal after the proof held is the device's, and is on record as over gRPC.
#[tokio::test]
async fn a_refusal_of_a_known_device_is_on_record() {
    let world = World::new().await;
    let mut device = TestDevice::enrolled(&world.station, "pump-1").await;
    let suspend = v1::SetDeviceStateRequest {
        tenant: "t".into(),
        device_id: "pump-1".into(),
        state: v1::DeviceState::Suspended.into(),
        reason: "test".into(),
        ..Default::default()
    };
    let (request, _) = device.proof(&world.station, "authenticate", b"").await;
    world.admin.admin().set_device_state(suspend).await.unwrap();
    let answer = world.http().await.post(PROVE, &posted(request)).await;
    assert_eq!(answer.said(), (403, "suspended"));
    let id = answer.header("wardein-request-id");
    let asked = v1::ListEntriesRequest { page_size: 1000, ..Default::default() };
    let entries = world.admin.audit().list_entries(asked).await.unwrap().into_inner().entries;
    let entry = entries.iter().find(|entry| entry.request_id == id).expect("it is on record");
    assert_eq!((entry.actor.as_str(), entry.outcome.as_str()), ("device/t/pump-1", "suspended"));
    assert!(entry.address.starts_with("127.0.0.1:"));
}

/// An older device takes no other value in the last byte of message 12: the hint is beside it.
#[tokio::test]
async fn that_a_transfer_is_due_is_in_a_header_and_in_a_field() {
    let world = World::new().await;
    let mut device = TestDevice::enrolled(&world.station, "pump-1").await;
    let mut http = world.http().await;
    let mut said = async |device: &mut TestDevice| {
        let (request, in_flight) = device.proof(&world.station, "authenticate", b"").await;
        let answer = http.post(PROVE, &posted(request)).await;
        let ProofAnswer { reply, .. } = ProofAnswer::decode(&answer.body).unwrap();
        device.acknowledge(in_flight, reply);
        let (request, _) = device.proof(&world.station, "authenticate", b"").await;
        let by_grpc = world.station.device().prove(request).await.unwrap().into_inner().transfer_due;
        (answer.header("wardein-transfer-due").to_owned(), by_grpc)
    };
    assert_eq!(said(&mut device).await, (String::new(), false));
    world.admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "other".into() }).await.unwrap();
    let offer = v1::TransferDeviceRequest {
        tenant: "t".into(),
        device_id: "pump-1".into(),
        to_tenant: "other".into(),
        lifetime: None,
        reason: "sold".into(),
    };
    world.admin.admin().transfer_device(offer).await.unwrap();
    let accept = v1::AcceptTransferRequest {
        tenant: "other".into(),
        from_tenant: "t".into(),
        device_id: "pump-1".into(),
        ..Default::default()
    };
    world.admin.admin().accept_transfer(accept).await.unwrap();
    assert_eq!(said(&mut device).await, ("1".to_owned(), true));
}
