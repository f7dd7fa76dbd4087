//! Quotes: what is asked of registers, what is approved of them, and what comes with enrollments and requests.

use super::world::{ETAG_MISMATCH, NO_TENANT, World, malformed};
use tonic::Code;
use wardein_client::{number, v1};
use wardein_crypto::Digest;
use wardein_ddkg::message::SignatureClaim;
use wardein_ddkg::{Challenge, DeviceName};
use wardein_domain::Method;
use wardein_pki::{Csr, PublicKey};
use wardein_port::{Change, Store, Table};
use wardein_testkit::{SoftTpm, commit};

const STATE: [(u8, [u8; 32]); 2] = [(0, [1; 32]), (7, [2; 32])];

fn register(number: u32, allowed: &[&[u8]]) -> v1::PcrRegister {
    v1::PcrRegister { number, allowed: allowed.iter().map(|value| value.to_vec()).collect() }
}

/// What is set, without the versions.
fn unversioned(listed: v1::ListPcrPoliciesResponse) -> Vec<v1::PcrPolicy> {
    let policies = listed.policies.into_iter();
    policies.map(|policy| v1::PcrPolicy { etag: String::new(), ..policy }).collect()
}

fn as_enrolled() -> v1::PcrPolicy {
    v1::PcrPolicy {
        tenant: "t".into(),
        profile: "default".into(),
        rule: v1::PcrRule::AsEnrolled.into(),
        bank: v1::PcrBank::Sha256.into(),
        registers: vec![register(0, &[]), register(7, &[])],
        etag: String::new(),
    }
}

fn golden(registers: Vec<v1::PcrRegister>) -> v1::PcrPolicy {
    v1::PcrPolicy { rule: v1::PcrRule::Golden.into(), registers, ..as_enrolled() }
}

fn put(policy: v1::PcrPolicy) -> v1::PutPcrPolicyRequest {
    v1::PutPcrPolicyRequest { policy: Some(policy) }
}

#[tokio::test]
async fn pcr_policy() {
    let world = World::new().await;
    let by = &world.tenant_admin;
    let with = |spoil: &dyn Fn(&mut v1::PcrPolicy)| {
        let mut policy = as_enrolled();
        spoil(&mut policy);
        put(policy)
    };
    let values = |allowed: &[&[u8]]| put(golden(vec![register(0, allowed)]));
    let registers = malformed("policy.registers");
    let rows = [
        ("nothing", by, v1::PutPcrPolicyRequest::default(), malformed("policy")),
        ("no tenant", by, with(&|p| p.tenant.clear()), malformed("policy.tenant")),
        ("a long tenant", by, with(&|p| p.tenant = "t".repeat(64)), malformed("policy.tenant")),
        ("another tenant", by, with(&|p| p.tenant = "other".into()), NO_TENANT),
        ("no profile", by, with(&|p| p.profile.clear()), malformed("policy.profile")),
        (
            "no such profile",
            by,
            with(&|p| p.profile = "none".into()),
            (Code::NotFound, "profile-unknown", "profile"),
        ),
        ("no rule", by, with(&|p| p.rule = 0), malformed("policy.rule")),
        ("an unknown rule", by, with(&|p| p.rule = 77), malformed("policy.rule")),
        ("no bank", by, with(&|p| p.bank = 0), malformed("policy.bank")),
        ("SHA-1", by, with(&|p| p.bank = 77), malformed("policy.bank")),
        ("no register", by, with(&|p| p.registers.clear()), registers),
        (
            "register 24",
            by,
            with(&|p| p.registers[0].number = 24),
            malformed("has number 24; it takes 0 to 23"),
        ),
        (
            "a value for register 31",
            by,
            put(golden(vec![register(31, &[&[1; 32]])])),
            malformed("has number 31; it takes 0 to 23"),
        ),
        ("register 256", by, with(&|p| p.registers[0].number = 256), registers),
        ("a register twice", by, with(&|p| p.registers[0].number = 7), registers),
        (
            "values for what was enrolled",
            by,
            with(&|p| p.registers[0].allowed = vec![vec![1; 32]]),
            registers,
        ),
        ("registers that nobody asks for", by, with(&|p| p.rule = v1::PcrRule::Any.into()), registers),
        ("the same, inherited", by, with(&|p| p.rule = v1::PcrRule::Inherited.into()), registers),
        ("no value", by, values(&[]), registers),
        ("31 bytes", by, values(&[&[1; 31]]), malformed("policy.registers of number 0")),
        (
            "a value of another bank",
            by,
            values(&[&[1; 32], &[1; 48]]),
            malformed("policy.registers of number 0"),
        ),
        ("no etag", by, with(&|p| p.etag = "g".repeat(16)), malformed("policy.etag")),
        ("an etag of nothing", by, with(&|p| p.etag = "0".repeat(16)), ETAG_MISMATCH),
        ("8 KiB", by, values(&[&[1; 8192]]), malformed("policy.registers of number 0")),
        ("17 values", by, values(&[&[1; 32][..]; 17]), registers),
    ];
    world.refuses(Method::PutPcrPolicy, rows).await;
    let policy = golden(vec![register(0, &[&[1; 32], &[2; 32]]), register(23, &[&[3; 32]])]);
    for _ in 0..2 {
        by.attestation().put_pcr_policy(put(policy.clone())).await.expect("the same again is fine");
    }
    let list = |tenant: &str| v1::ListPcrPoliciesRequest { tenant: tenant.into() };
    let rows = [
        ("no tenant", by, list(""), malformed("tenant")),
        ("a long tenant", by, list(&"t".repeat(64)), malformed("tenant")),
        ("another tenant", by, list("other"), NO_TENANT),
    ];
    world.refuses(Method::ListPcrPolicies, rows).await;
    let listed = world.auditor.attestation().list_pcr_policies(list("t")).await.unwrap().into_inner();
    assert_eq!(unversioned(listed), [policy]);
    by.attestation().put_pcr_policy(put(as_enrolled())).await.unwrap();
    let listed = by.attestation().list_pcr_policies(list("t")).await.unwrap().into_inner();
    assert_eq!(unversioned(listed), [as_enrolled()]);
    for (rule, count) in [("any", 1), ("inherited", 0)] {
        let policy =
            v1::PcrPolicy { rule: number::<v1::PcrRule>(rule), bank: 0, registers: vec![], ..as_enrolled() };
        by.attestation().put_pcr_policy(put(policy)).await.unwrap();
        let listed = by.attestation().list_pcr_policies(list("t")).await.unwrap().into_inner();
        assert_eq!(listed.policies.len(), count, "{rule}");
    }
}

/// A policy of an authority that still took registers which no device's TPM has.
#[tokio::test]
async fn a_stored_policy_of_a_register_that_no_tpm_has_is_replaced_by_setting_another() {
    let world = World::new().await;
    let (by, store) = (&world.tenant_admin, &world.served.store);
    let last = |number| v1::PcrPolicy { registers: vec![register(number, &[])], ..as_enrolled() };
    by.attestation().put_pcr_policy(put(last(23))).await.unwrap();
    let (key, row) = store.scan(Table::PcrPolicy, b"", None, 2).await.unwrap().pop().unwrap();
    let mut value = row.value;
    // A list of one number is the last of the row.
    *value.last_mut().filter(|number| **number == 23).unwrap() = 24;
    let mut change = Change::default();
    change.update(Table::PcrPolicy, key, row.version, value);
    commit(store, change).await.unwrap();

    let list = || v1::ListPcrPoliciesRequest { tenant: "t".into() };
    let refused = by.attestation().list_pcr_policies(list()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Internal);
    by.attestation().put_pcr_policy(put(last(23))).await.unwrap();
    let listed = by.attestation().list_pcr_policies(list()).await.unwrap().into_inner();
    assert_eq!(unversioned(listed), [last(23)]);
}

fn quote(tpm: &SoftTpm, nonce: &[u8; 32]) -> v1::Quote {
    let (attested, signature) = tpm.quote(nonce, &STATE);
    v1::Quote { attested, signature, values: STATE.iter().map(|(_, value)| value.to_vec()).collect() }
}

/// What it is, how it is made of a good one, and what it is answered.
type Spoil = (&'static str, fn(&mut v1::Quote), super::world::Expected);

/// What spoils a quote in its form: refused before anything is looked up.
fn spoils() -> [Spoil; 4] {
    [
        ("321 bytes quoted", |quote| quote.attested = vec![0; 321], malformed("quote.attested")),
        ("641 bytes signed", |quote| quote.signature = vec![0; 641], malformed("quote.signature")),
        ("25 values", |quote| quote.values = vec![vec![0; 32]; 25], malformed("quote.values")),
        ("49 bytes", |quote| quote.values[1] = vec![0; 49], malformed("quote.values[1]")),
    ]
}

#[tokio::test]
async fn what_comes_with_a_quote_and_what_is_approved() {
    let world = World::new().await;
    let (by, nobody) = (&world.station, &world.nobody);
    let mut tpm = SoftTpm::new();
    let digests = vec![tpm.ek_digest().to_vec()];
    let add = v1::AddEndorsementKeysRequest { tenant: "t".into(), digests };
    world.admin.attestation().add_endorsement_keys(add).await.unwrap();
    world.admin.attestation().put_pcr_policy(put(as_enrolled())).await.unwrap();
    let begin = v1::BeginTpmEnrollmentRequest {
        device_id: "pump-1".into(),
        ek_public: tpm.ek_public(),
        ak_public: tpm.ak_public(),
        ..Default::default()
    };
    let challenge = by.provisioning().begin_tpm_enrollment(begin).await.unwrap().into_inner();
    let registers = v1::PcrSelection { bank: v1::PcrBank::Sha256.into(), registers: vec![0, 7] };
    assert_eq!(challenge.quote, Some(registers.clone()));
    let nonce: [u8; 32] = challenge.nonce.clone().try_into().unwrap();
    let secret = tpm.activate(&challenge.id_object, &challenge.encrypted_secret).unwrap();
    let (attested, signature) = tpm.certify(&nonce);
    let good = v1::FinishTpmEnrollmentRequest {
        device_id: "pump-1".into(),
        ticket: challenge.ticket,
        secret,
        device_key: tpm.device_public(),
        attested,
        signature,
        quote: Some(quote(&tpm, &nonce)),
    };
    let with = |spoil: &dyn Fn(&mut v1::Quote)| {
        let mut request = good.clone();
        spoil(request.quote.as_mut().unwrap());
        request
    };
    let denied = |code, word| (Code::PermissionDenied, code, word);
    let invalid = |code, word| (Code::InvalidArgument, code, word);
    let rows = [
        (
            "no quote",
            by,
            v1::FinishTpmEnrollmentRequest { quote: None, ..good.clone() },
            denied("quote-missing", "sha256:0,7"),
        ),
        (
            "an empty one",
            by,
            with(&|q| *q = v1::Quote::default()),
            invalid("tpm-truncated", "TPMT_SIGNATURE"),
        ),
        ("of another nonce", by, with(&|q| *q = quote(&tpm, &[9; 32])), denied("attest-nonce", "nonce")),
        (
            "of another TPM",
            by,
            with(&|q| *q = quote(&SoftTpm::new(), &nonce)),
            denied("attest-signature", "attestation key"),
        ),
        ("no values", by, with(&|q| q.values.clear()), denied("pcr-digest", "registers")),
        ("bytes behind", by, with(&|q| q.attested.push(0)), invalid("tpm-trailing-bytes", "TPMS_ATTEST")),
    ];
    world.refuses(Method::FinishTpmEnrollment, rows).await;
    for (what, spoil, expected) in spoils() {
        world.refuses(Method::FinishTpmEnrollment, [(what, by, with(&spoil), expected)]).await;
    }
    by.provisioning().finish_tpm_enrollment(good).await.unwrap();

    let csr = Csr::create(tpm.device_key()).unwrap();
    let signed = async || {
        let asked = v1::GetChallengeRequest { tenant: "t".into(), device_id: "pump-1".into() };
        let offer = nobody.device().get_challenge(asked).await.unwrap().into_inner();
        assert_eq!(offer.quote, Some(registers.clone()));
        let claim = SignatureClaim {
            device: DeviceName { tenant: "t".parse().unwrap(), device: "pump-1".parse().unwrap() },
            challenge: Challenge::new(&offer.challenge).unwrap(),
            nonce: [7; 32],
            key_id: Digest::of(&PublicKey::from(*tpm.device_key().verifying_key()).spki()),
            action: "certificate".parse().unwrap(),
            body_digest: Digest::of(&csr),
        };
        let transcript = claim.transcript();
        v1::ProveBySignatureRequest {
            tenant: "t".into(),
            device_id: "pump-1".into(),
            challenge: offer.challenge,
            device_nonce: vec![7; 32],
            action: "certificate".into(),
            body: csr.clone(),
            signature: tpm.device_key().sign(transcript.as_ref()).unwrap(),
            quote: Some(quote(&tpm, &transcript.0)),
        }
    };
    let good = signed().await;
    for (what, spoil, expected) in spoils() {
        let mut request = good.clone();
        spoil(request.quote.as_mut().unwrap());
        world.refuses(Method::ProveBySignature, [(what, nobody, request, expected)]).await;
    }
    nobody.device().prove_by_signature(good.clone()).await.expect("what none of these did harm to");
    // What a known device is refused for spends its challenge, and is on record as its own.
    let stale = v1::ProveBySignatureRequest { quote: good.quote, ..signed().await };
    let refused = nobody.device().prove_by_signature(stale).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("nonce of this request"), "{refused}");

    let by = &world.tenant_admin;
    let approve = |tenant: &str, device: &str, digest: &[u8]| v1::ApprovePcrsRequest {
        tenant: tenant.into(),
        device_id: device.into(),
        digest: digest.to_vec(),
    };
    let rows = [
        ("no tenant", by, approve("", "pump-1", &[1; 32]), malformed("tenant")),
        ("no device", by, approve("t", "", &[1; 32]), malformed("device_id")),
        ("another tenant", by, approve("other", "pump-1", &[1; 32]), NO_TENANT),
        (
            "no such device",
            by,
            approve("t", "pump-2", &[1; 32]),
            (Code::NotFound, "device-unknown", "pump-2"),
        ),
        ("no digest", by, approve("t", "pump-1", &[]), malformed("digest")),
        ("31 bytes", by, approve("t", "pump-1", &[1; 31]), malformed("digest")),
        ("of another hash", by, approve("t", "pump-1", &[1; 48]), malformed("digest")),
        ("49 bytes", by, approve("t", "pump-1", &[1; 49]), malformed("digest")),
    ];
    world.refuses(Method::ApprovePcrs, rows).await;
    for _ in 0..2 {
        by.attestation()
            .approve_pcrs(approve("t", "pump-1", &[1; 32]))
            .await
            .expect("the same again is fine");
    }
    let show = v1::GetDeviceRequest { tenant: "t".into(), device_id: "pump-1".into() };
    let device = by.admin().get_device(show).await.unwrap().into_inner().device.unwrap();
    assert_eq!((device.assurance(), device.pcrs()), (v1::Assurance::TpmListed, v1::PcrStanding::AsEnrolled));
    assert!(device.key_id.len() == 32 && device.quoted_at.is_some() && device.last_seen == device.quoted_at);
}
