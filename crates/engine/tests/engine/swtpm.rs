//! A device whose key is in a real TPM 2.0 (`swtpm`, driven by `tpm2-tools`) is enrolled, signs, and is certified.
//!
//! It runs where `swtpm swtpm-tools tpm2-tools` are installed, and must run where `WARDEIN_SWTPM=required`.

// Of another crate's tests: two crates hold the same TPM, driven by the same tools, against what they do.
#[allow(dead_code, reason = "what the test of the other crate uses")]
#[path = "../../../attest/tests/attest/swtpm/tools.rs"]
mod tools;

use crate::world::{self, World, csr, name};
use tools::{Ek, Tpm};
use wardein_attest::Credential;
use wardein_crypto::{Digest, SecretBytes};
use wardein_ddkg::message::SignatureClaim;
use wardein_domain::{Assurance, Bank, Call, EnrolledKey, PcrSelection, PcrStanding, Quote, TpmEvidence};
use wardein_engine::{
    Error, KeyOrder, KeyPolicy, PcrPolicy, SignedReply, SignedRequest, Subject, TpmActivation,
};

#[tokio::test]
async fn a_device_with_a_real_tpm_is_enrolled_signs_and_is_certified() {
    let Some(tpm) = Tpm::start() else { return };
    let world = World::new().await;
    let [root, issuer] = tpm.vendor();
    // One TPM is several devices here, by each of its endorsement keys.
    let policy = KeyPolicy { vendor_roots: vec![root], shared_tpms: true, ..KeyPolicy::default() };
    world.engine.put_key_policy(&world.admin, world.tenant(), policy, None).await.unwrap();
    let registers = PcrSelection::new(Bank::Sha256, &[0, 7, 16]).unwrap();
    let (default, policy) = ("default".parse().unwrap(), Some(PcrPolicy::AsEnrolled(registers)));
    world.engine.put_pcr_policy(&world.admin, &world.tenant(), &default, policy, None).await.unwrap();
    // Its certificates are made just now, and one of them a little later.
    let now = wardein_port::Clock::wall_ms(&wardein_port::SystemClock) / 1000;
    world.clock.pass(now.saturating_sub(world::START) + 60);
    tpm.make_device_key();
    tpm.make_ak(AK, "sha256");
    for (ek, id) in Ek::ALL.into_iter().zip(["pump-1", "pump-2", "pump-3"]) {
        let (ek_public, certificate) = tpm.ek(ek);
        let order = KeyOrder {
            device: id.parse().unwrap(),
            profile: "default".parse().unwrap(),
            model: None,
            udi: None,
        };
        let evidence = TpmEvidence {
            ek_public,
            ek_certificates: vec![certificate, issuer.clone()],
            ak_public: tpm.read("ak.pub"),
        };
        let begun = world.engine.begin_tpm_enrollment(&world.station, &order, &evidence).await;
        let (challenge, _) = begun.unwrap();
        let (id_object, encrypted_secret) = (challenge.id_object, challenge.encrypted_secret);
        let secret = tpm.activate(ek, &Credential { id_object, encrypted_secret }).unwrap();
        assert_eq!(challenge.quote, Some(registers));
        let (attested, signature) = tpm.certify(&challenge.nonce);
        let activation = TpmActivation {
            device: id.parse().unwrap(),
            ticket: challenge.ticket,
            secret: SecretBytes::from_vec(secret),
            device_key: tpm.read("device.pub"),
            attested,
            signature,
            quote: Some(quote(&tpm, &challenge.nonce)),
        };
        let enrolled = world.engine.finish_tpm_enrollment(&world.station, activation).await.unwrap();
        let EnrolledKey { key_id, assurance, .. } = enrolled;
        assert_eq!((key_id, assurance), (Digest::of(&tpm.device_spki()).0, Assurance::TpmVendor));
        assert_eq!(ask(&world, &tpm, id, "authenticate", b"", false).await.unwrap().body, b"");
    }

    let request = certificate_request(&tpm);
    let chain = ask(&world, &tpm, "pump-1", "certificate", &request, true).await.unwrap().body;
    let length = u32::from_be_bytes(*chain.first_chunk().unwrap()) as usize;
    let answer =
        world.engine.check(&world.platform, Subject::Certificate(chain[4..4 + length].to_vec())).await;
    let answer = answer.unwrap();
    assert_eq!((answer.assurance, answer.is_shared), (Some(Assurance::TpmVendor), true));
    assert_eq!(answer.last_quote.map(|(standing, _)| standing), Some(PcrStanding::AsEnrolled));
    let of_another = ask(&world, &tpm, "pump-1", "certificate", &csr(), true).await.unwrap_err();
    assert_eq!(of_another.code.as_str(), "csr-key-of-another");

    // It boots something else, which an administrator approves.
    let without = ask(&world, &tpm, "pump-1", "certificate", &request, false).await.unwrap_err();
    assert_eq!(without.code.as_str(), "quote-missing");
    tpm.extend(16);
    let changed = ask(&world, &tpm, "pump-1", "certificate", &request, true).await.unwrap_err();
    assert_eq!(changed.code.as_str(), "pcr-changed");
    let digest = Digest::of(&tpm.registers()).0;
    world.engine.approve_pcrs(&world.admin, name("klinik", "pump-1"), &digest).await.unwrap();
    ask(&world, &tpm, "pump-1", "certificate", &request, true).await.unwrap();
    let answer =
        world.engine.check(&world.platform, Subject::Device("pump-1".parse().unwrap())).await.unwrap();
    assert_eq!(answer.last_quote.map(|(standing, _)| standing), Some(PcrStanding::AsApproved));
    let other = ask(&world, &tpm, "pump-2", "certificate", &request, true).await.unwrap_err();
    assert_eq!(other.code.as_str(), "pcr-changed", "another device's approval is its own");
}

/// TPM2_Quote of the registers that the policy asks for, with their values.
fn quote(tpm: &Tpm, nonce: &[u8; 32]) -> Quote {
    let (attested, signature) = tpm.quote(AK, nonce);
    Quote { attested, signature, values: tpm.registers().chunks(32).map(<[u8]>::to_vec).collect() }
}

const AK: &str = "ecc256:ecdsa-sha256:null";

/// Asks for `action` with a signature that the TPM makes, and perhaps a quote.
async fn ask(
    world: &World,
    tpm: &Tpm,
    id: &str,
    action: &str,
    body: &[u8],
    quotes: bool,
) -> Result<SignedReply, Error> {
    let device = name("klinik", id);
    let claim = SignatureClaim {
        challenge: world.engine.challenge(&device).unwrap().challenge,
        device,
        nonce: [7; 32],
        key_id: Digest::of(&tpm.device_spki()),
        action: action.parse().unwrap(),
        body_digest: Digest::of(body),
    };
    let transcript = claim.transcript();
    let signature = sign(tpm, transcript.as_ref());
    let quote = quotes.then(|| quote(tpm, &transcript.0));
    let SignatureClaim { device, challenge, nonce, action, .. } = claim;
    let request = SignedRequest { device, challenge, nonce, action, signature, quote };
    world.engine.prove_by_signature(&Call::new("test"), &request, body).await
}

/// TPM2_Sign by the device's key: ECDSA with SHA-256, DER.
fn sign(tpm: &Tpm, message: &[u8]) -> Vec<u8> {
    std::fs::write(tpm.path("message"), message).unwrap();
    tpm.run("tpm2_sign", &["-c", "0x81000011", "-g", "sha256", "-f", "plain", "-o", "signed", "message"]);
    tpm.read("signed")
}

/// A PKCS#10 request for the TPM's key: that of another key, with the point changed and signed again.
fn certificate_request(tpm: &Tpm) -> Vec<u8> {
    let other = csr();
    let start = usize::from(other[1] & 0x7f) + 2;
    let info = &other[start..];
    let header = if info[1] < 0x80 { 2 } else { 2 + usize::from(info[1] & 0x7f) };
    let length = info[2..header].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let length = if header == 2 { usize::from(info[1]) } else { length };
    let mut info = info[..header + length].to_vec();
    let spki = tpm.device_spki();
    let place = info.windows(26).position(|window| window == &spki[..26]).unwrap();
    info[place..place + spki.len()].copy_from_slice(&spki);
    let signature = sign(tpm, &info);
    let algorithm = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let bits = [&[3, signature.len() as u8 + 1, 0], &signature[..]].concat();
    let request = [&info[..], &algorithm, &bits].concat();
    // A request for such a key has between 128 and 255 bytes, so its length is one byte behind 0x81.
    [&[0x30, 0x81, u8::try_from(request.len()).unwrap()], &request[..]].concat()
}
