//! Bearer tokens: calls of JSON and hooks over HTTP/1.1 without a client certificate.

use crate::common::http1::{Answer, Http1, head};
use crate::common::raw::tls_for;
use crate::common::{Served, copied, issue, revoke};
use wardein_client::{Connection, Identity, time, v1};
use wardein_crypto::hex;
use wardein_ddkg::message::to_text;
use wardein_domain::Role;
use wardein_pki::{parse_operator, pem};
use wardein_server::{Limits, Rate};

/// An authority with tenant `t`, its platform, and a token of it.
struct World {
    served: Served,
    admin: Connection,
    platform: Identity,
    serial: String,
    id: String,
    token: String,
}

impl World {
    async fn new(limits: Limits) -> Self {
        let served = Served::with(limits, 0).await;
        let admin = served.connect(Some(served.admin())).await.unwrap();
        admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
        let platform = issue(&admin, Role::Platform).await;
        let leaf =
            pem::decode_certificates(std::str::from_utf8(&platform.certificates).unwrap()).unwrap().remove(0);
        let operator = parse_operator(&"wardein.test".parse().unwrap(), &leaf).unwrap();
        let serial = operator.principal.serial.to_string();
        let order = v1::CreateBearerTokenRequest { serial: serial.clone(), lifetime: time::span(3_600) };
        let made = admin.bearer_tokens().create_bearer_token(order).await.unwrap().into_inner();
        let token = format!("wardein-bearer-{}", hex::encode(&made.token));
        Self { served, admin, platform, serial, id: made.bearer_token.unwrap().id, token }
    }

    async fn http(&self, identity: Option<&Identity>) -> Http1 {
        Http1::over(tls_for(&self.served, "127.0.0.1", identity, &["http/1.1"]).await)
    }

    fn bearer(&self) -> String {
        format!("authorization: Bearer {}", self.token)
    }
}

const CHECK: &str = "/wardein.v1.TrustService/Check";

async fn post(http: &mut Http1, path: &str, body: &str, lines: &[&str]) -> Answer {
    let length = format!("content-length: {}", body.len());
    let lines = [&["content-type: application/json", &length][..], lines].concat();
    http.send([head(path, &lines).as_bytes(), body.as_bytes()].concat()).await;
    http.answer().await
}

async fn check(http: &mut Http1, lines: &[&str]) -> Answer {
    post(http, CHECK, r#"{"deviceId":"pump-1"}"#, lines).await
}

#[tokio::test]
async fn a_token_calls_what_takes_json_and_hooks_as_its_platform() {
    let world = World::new(Limits::default()).await;
    let mut http = world.http(None).await;
    assert_eq!(check(&mut http, &[]).await.said(), (401, "certificate-required"));
    let basic = format!("authorization: Basic {}", to_text(format!("any:{}", world.token).as_bytes()));
    for line in [&world.bearer(), &basic] {
        let answer = check(&mut http, &[line]).await;
        assert_eq!(answer.said(), (200, "ok"), "{line}");
        assert!(String::from_utf8(answer.body).unwrap().contains("VERDICT_UNKNOWN"));
    }
    let login = r#"{"clientid":"pump-1","username":"undefined","password":"","cert_common_name":"pump-1"}"#;
    let answer = post(&mut http, "/hooks/emqx/authn", login, &[&world.bearer()]).await;
    assert_eq!(answer.said(), (200, "ok"), "decided, that it is denied");
    // Its tenant's alone, as with the certificate.
    let listed = post(&mut http, "/wardein.v1.TrustService/ListSubjects", "{}", &[&world.bearer()]).await;
    assert_eq!(listed.said(), (200, "ok"));
    // gRPC takes none.
    let nobody = world.served.connect(None).await.unwrap();
    let mut request = tonic::Request::new(v1::ListSubjectsRequest::default());
    request.metadata_mut().insert("authorization", format!("Bearer {}", world.token).parse().unwrap());
    let refused = nobody.trust().list_subjects(request).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    let mut http = world.http(None).await;
    let other = post(&mut http, "/wardein.v1.AdminService/ListTenants", "{}", &[&world.bearer()]).await;
    assert_eq!(other.said().1, "method-unknown");
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused_with_one_answer() {
    let world = World::new(Limits::default()).await;
    let mut http = world.http(None).await;
    let (good, mut last) = (world.bearer(), world.bearer());
    let digit = if last.ends_with('0') { '1' } else { '0' };
    last.pop();
    last.push(digit);
    for lines in [
        vec![last.as_str()],
        vec!["authorization: Bearer x"],
        vec!["authorization: Basic x"],
        vec![&good[..good.len() - 2]],
        vec![&good, &good],
    ] {
        let answer = check(&mut http, &lines).await;
        assert_eq!(answer.said(), (401, "bearer-token-invalid"), "{lines:?}");
        assert!(!String::from_utf8(answer.body).unwrap().contains("wardein-bearer"));
    }
    let answer = post(&mut http, "/hooks/mosquitto/superuser", r#"{"username":"a"}"#, &[&last]).await;
    assert_eq!(answer.said(), (403, "bearer-token-invalid"));
    assert_eq!(check(&mut http, &[&good]).await.said(), (200, "ok"));
    // Revoked: from the answer on, over the same connection.
    let revoked = v1::RevokeBearerTokenRequest {
        serial: world.serial.clone(),
        id: world.id.clone(),
        reason: "test".into(),
    };
    world.admin.bearer_tokens().revoke_bearer_token(revoked).await.unwrap();
    assert_eq!(check(&mut http, &[&good]).await.said(), (401, "bearer-token-invalid"));
}

#[tokio::test]
async fn it_ends_with_its_identity_and_is_not_looked_at_beside_a_certificate() {
    let world = World::new(Limits::default()).await;
    // A proxy may pass on what its own client sent.
    let mut with_certificate = world.http(Some(&copied(&world.platform))).await;
    let answer = check(&mut with_certificate, &["authorization: Bearer of-another-service"]).await;
    assert_eq!(answer.said(), (200, "ok"));
    let station = issue(&world.admin, Role::Station).await;
    let mut stations = world.http(Some(&station)).await;
    assert_eq!(check(&mut stations, &[&world.bearer()]).await.said(), (403, "role-denied"));

    let mut http = world.http(None).await;
    assert_eq!(check(&mut http, &[&world.bearer()]).await.said(), (200, "ok"));
    revoke(&world.admin, &world.platform).await;
    assert_eq!(check(&mut http, &[&world.bearer()]).await.said(), (401, "operator-revoked"));
}

/// Guesses are counted by address, and who has a good token is not held up by them.
#[tokio::test]
async fn wrong_tokens_are_limited_and_right_ones_are_not() {
    let limits = Limits { open: Rate { per_second: 1, burst: 20 }, ..Limits::default() };
    let world = World::new(limits).await;
    let mut http = world.http(None).await;
    let mut codes = Vec::new();
    for _ in 0..40 {
        codes.push(check(&mut http, &["authorization: Bearer x"]).await.said().1.to_owned());
    }
    assert!(codes.iter().filter(|code| *code == "rate-limited").count() >= 15, "{codes:?}");
    for _ in 0..40 {
        assert_eq!(check(&mut http, &[&world.bearer()]).await.said(), (200, "ok"));
    }
}

/// An entry of the audit log says that a call came with a token, and with which.
#[tokio::test]
async fn the_audit_log_names_the_token_of_a_call() {
    let world = World::new(Limits::default()).await;
    let mut http = world.http(None).await;
    let refused = post(&mut http, CHECK, r#"{"nothing":1}"#, &[&world.bearer()]).await;
    assert_eq!(refused.said(), (400, "malformed"));
    let asked = v1::ListEntriesRequest { page_size: 1000, ..Default::default() };
    let entries = world.admin.audit().list_entries(asked).await.unwrap().into_inner().entries;
    let of_call = entries.iter().find(|entry| entry.event == "call.refuse").unwrap();
    assert_eq!(of_call.actor, "platform/t/test-platform");
    let named = of_call.fields.iter().find(|field| field.name == "bearer-token").unwrap();
    assert_eq!(named.value, world.id);
}
