//! Tokens over real TLS, by who has no certificate.

use crate::common::Served;
use tonic::Code;
use tonic_types::StatusExt;
use wardein_client::{Connection, Identity, Refusal, time, v1};
use wardein_crypto::{P256SigningKey, SecretBytes};
use wardein_pki::{Csr, pem};
use wardein_server::{Limits, Rate};

fn key() -> (SecretBytes, Vec<u8>) {
    let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
    let csr = Csr::create(&P256SigningKey::from_pkcs8(&pkcs8).unwrap()).unwrap();
    (pkcs8, csr)
}

async fn invite(admin: &Connection, name: &str) -> v1::CreateInvitationResponse {
    let (role, tenant, name) = (v1::Role::Platform.into(), "t".into(), name.into());
    let (validity, lifetime) = (time::span(3_600), time::span(60));
    let order = v1::CreateInvitationRequest { role, tenant, name, validity, quota: 0, lifetime };
    admin.invitations().create_invitation(order).await.unwrap().into_inner()
}

async fn world(limits: Limits) -> (Served, Connection, Connection) {
    let served = Served::with(limits, 0).await;
    let admin = served.connect(Some(served.admin())).await.unwrap();
    admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
    let nobody = served.connect(None).await.unwrap();
    (served, admin, nobody)
}

fn redeem(token: &[u8], csr: &[u8]) -> v1::RedeemInvitationRequest {
    v1::RedeemInvitationRequest { token: token.to_vec(), csr: csr.to_vec() }
}

#[tokio::test]
async fn who_has_a_token_gets_an_identity_and_all_others_one_answer() {
    let (served, admin, nobody) = world(Limits::default()).await;
    let made = invite(&admin, "iot").await;
    let (pkcs8, csr) = key();
    let got = nobody.invitations().redeem_invitation(redeem(&made.token, &csr)).await.unwrap().into_inner();
    let identity = || Identity {
        certificates: got.certificate_pem.clone().into_bytes(),
        key: pem::encode_private_key(pkcs8.expose()).unwrap(),
    };
    let platform = served.connect(Some(identity())).await.unwrap();
    let subject = Some(v1::check_request::Subject::DeviceId("pump-1".into()));
    platform.trust().check(v1::CheckRequest { subject, receipt: None }).await.unwrap();
    let again = nobody.invitations().redeem_invitation(redeem(&made.token, &csr)).await.unwrap().into_inner();
    assert_eq!(again, got, "the answer was lost");

    let (over, taken) = (invite(&admin, "over").await, invite(&admin, "taken").await);
    let revoke = v1::RevokeInvitationRequest { id: taken.id.clone(), reason: "lost".into() };
    admin.invitations().revoke_invitation(revoke).await.unwrap();
    served.clock.pass(61);
    let mut wrong = invite(&admin, "wrong").await.token.to_vec();
    wrong[20] ^= 1;
    let mut answers = Vec::new();
    for token in [&[7; 40][..], &wrong, &made.token, &over.token, &taken.token] {
        let other = key().1;
        let status = nobody.invitations().redeem_invitation(redeem(token, &other)).await.unwrap_err();
        let (info, retry) = (status.get_details_error_info().unwrap(), status.get_details_retry_info());
        assert!(info.reason == "INVITATION_INVALID" && retry.is_none());
        // All but the id of the request.
        let mut fields: Vec<_> =
            status.metadata().clone().into_headers().keys().map(|key| key.as_str().to_owned()).collect();
        fields.sort();
        answers.push((status.code(), status.message().to_owned(), fields, info.metadata));
    }
    assert_eq!(answers[0].0, Code::Unauthenticated);
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
}

/// Guessing is bounded as every call without a certificate is, before anything of the token is looked at.
#[tokio::test]
async fn calls_without_a_certificate_are_few_and_small() {
    let open = Rate { per_second: 1, burst: 3 };
    let (_served, admin, nobody) = world(Limits { open, ..Limits::default() }).await;
    let token = invite(&admin, "iot").await.token;
    let large = redeem(&token, &[0x30; 9_000]);
    let refusal = async |request| {
        Refusal::from(nobody.invitations().redeem_invitation(request).await.unwrap_err()).code
    };
    assert_eq!(refusal(large).await, "too-large");
    let guess = || redeem(&[7; 40], &key().1);
    let mut codes = Vec::new();
    for _ in 0..6 {
        codes.push(refusal(guess()).await);
    }
    assert!(codes.contains(&"rate-limited".to_owned()), "{codes:?}");
    assert_eq!(refusal(redeem(&token, &key().1)).await, "rate-limited", "the right one waits as well");
}
