//! The hooks of brokers and proxies, over HTTP/1.1 with a platform's certificate.

use crate::common::device::TestDevice;
use crate::common::http1::{Answer, Http1, head};
use crate::common::raw::tls_for;
use crate::common::{Served, copied, issue, revoke};
use wardein_client::{Connection, Identity, v1};
use wardein_crypto::P256SigningKey;
use wardein_ddkg::message::to_text;
use wardein_domain::Role;
use wardein_pki::{Csr, pem};
use wardein_server::Limits;

/// An authority with tenant `t`, a device `pump-1` with a certificate, and a platform.
struct World {
    served: Served,
    admin: Connection,
    station: Identity,
    platform: Identity,
    device: TestDevice,
    /// In PEM, percent-encoded.
    certificate: String,
}

impl World {
    async fn new() -> Self {
        let served = Served::with(Limits::default(), 0).await;
        let admin = served.connect(Some(served.admin())).await.unwrap();
        admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
        let station = issue(&admin, Role::Station).await;
        let line = served.connect(Some(copied(&station))).await.unwrap();
        let mut device = TestDevice::enrolled(&line, "pump-1").await;
        let nobody = served.connect(None).await.unwrap();
        let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
        device.prove(&nobody, "certificate", &Csr::create(&key).unwrap()).await.unwrap();
        let asked = v1::ListCertificatesRequest { tenant: "t".into(), ..Default::default() };
        let listed = admin.certificates().list_certificates(asked).await.unwrap().into_inner();
        let certificate = escaped(&pem::encode_certificates([&listed.certificates[0].der[..]]).unwrap());
        let platform = issue(&admin, Role::Platform).await;
        Self { served, admin, station, platform, device, certificate }
    }

    async fn http(&self, identity: Option<&Identity>) -> Http1 {
        Http1::over(tls_for(&self.served, "127.0.0.1", identity, &["http/1.1"]).await)
    }

    async fn set(&self, state: v1::DeviceState) {
        let set = v1::SetDeviceStateRequest {
            tenant: "t".into(),
            device_id: "pump-1".into(),
            state: state.into(),
            reason: "test".into(),
            ..Default::default()
        };
        self.admin.admin().set_device_state(set).await.unwrap();
    }
}

fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

async fn post(http: &mut Http1, path: &str, body: &str) -> (u16, String) {
    let length = format!("content-length: {}", body.len());
    let head = head(path, &["content-type: application/json", &length]);
    http.send([head.as_bytes(), body.as_bytes()].concat()).await;
    said(&http.answer().await)
}

fn said(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!answer.header("wardein-request-id").is_empty());
    (answer.status, String::from_utf8(answer.body.clone()).unwrap())
}

async fn get(http: &mut Http1, path: &str, lines: &[String]) -> Answer {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    http.send(format!("GET {path} HTTP/1.1\r\nhost: x\r\n{lines}\r\n")).await;
    http.answer().await
}

fn emqx(result: &str) -> (u16, String) {
    (200, format!("{{\"result\":\"{result}\"}}"))
}

const AUTHN: &str = "/hooks/emqx/authn";
const AUTHZ: &str = "/hooks/emqx/authz";
const USER: &str = "/hooks/mosquitto/user";
const ACL: &str = "/hooks/mosquitto/acl";

/// The login that EMQX sends for a device with a certificate.
fn login(client: &str, name: &str) -> String {
    format!(r#"{{"clientid":"{client}","username":"undefined","password":"","cert_common_name":"{name}"}}"#)
}

#[tokio::test]
async fn emqx_lets_a_trusted_device_in_as_itself_and_hears_deny_with_200_otherwise() {
    let world = World::new().await;
    let mut http = world.http(Some(&world.platform)).await;
    let (status, body) = post(&mut http, AUTHN, &login("pump-1", "pump-1")).await;
    assert_eq!(status, 200);
    let (_, until) = body.split_once("{\"result\":\"allow\",\"is_superuser\":false,\"expire_at\":").unwrap();
    let until: u64 = until.trim_end_matches('}').parse().unwrap();
    let now = crate::common::now();
    assert!((now + 200..now + 310).contains(&until), "as long as the verdict: {until}");
    for (what, body) in [
        ("another's session", login("pump-2", "pump-1")),
        ("nobody's certificate", login("pump-2", "pump-2")),
        ("a name alone", r#"{"clientid":"pump-1","username":"pump-1"}"#.to_owned()),
        ("another name", login("pump-1", "pump-1").replace("undefined", "pump-2")),
        ("no token", r#"{"clientid":"pump-1","username":"pump-1","password":"AAAA"}"#.to_owned()),
        ("a path", login("../pump-1", "../pump-1")),
        ("no JSON", "clientid=pump-1".to_owned()),
        ("nothing", String::new()),
        ("no client", "{}".to_owned()),
        ("too much", format!(r#"{{"clientid":"{}"}}"#, "x".repeat(8 << 10))),
    ] {
        assert_eq!(post(&mut http, AUTHN, &body).await, emqx("deny"), "{what}");
    }
    let act = |client: &str, topic: &str| {
        format!(
            r#"{{"clientid":"{client}","topic":"{topic}","action":"publish","cert_common_name":"pump-1"}}"#
        )
    };
    assert_eq!(post(&mut http, AUTHZ, &act("pump-1", "ward/pump-1/status")).await, emqx("allow"));
    assert_eq!(post(&mut http, AUTHZ, &act("pump-1", "ward/pump-2/status")).await, emqx("ignore"));
    assert_eq!(post(&mut http, AUTHZ, &act("pump-1", "#")).await, emqx("ignore"));
    assert_eq!(post(&mut http, AUTHZ, &act("pump-2", "ward/pump-2/status")).await, emqx("deny"));
    assert_eq!(post(&mut http, AUTHZ, &act("pump-1", "")).await, emqx("deny"));

    world.set(v1::DeviceState::Suspended).await;
    assert_eq!(post(&mut http, AUTHN, &login("pump-1", "pump-1")).await, emqx("deny"));
    assert_eq!(post(&mut http, AUTHZ, &act("pump-1", "ward/pump-1/status")).await, emqx("deny"));
    assert_eq!(post(&mut http, AUTHZ, &act("pump-1", "ward/pump-2/status")).await, emqx("deny"));
    world.set(v1::DeviceState::Active).await;
    assert_eq!(post(&mut http, AUTHZ, &act("pump-1", "ward/pump-1/status")).await, emqx("allow"));
}

/// A certificate may name a device with its tenant.
#[tokio::test]
async fn a_name_with_the_tenant_is_of_one_device_or_of_none() {
    let world = World::new().await;
    let mut http = world.http(Some(&world.platform)).await;
    let (_, body) = post(&mut http, AUTHN, &login("pump-1.t", "pump-1.t")).await;
    assert!(body.starts_with("{\"result\":\"allow\""), "{body}");
    assert_eq!(post(&mut http, AUTHN, &login("pump-1", "pump-1.t")).await, emqx("deny"));
    assert_eq!(post(&mut http, AUTHN, &login("pump-1.u", "pump-1.u")).await, emqx("deny"));
    let act = r#"{"clientid":"pump-1.t","topic":"ward/pump-1.t","action":"subscribe"}"#;
    assert_eq!(post(&mut http, AUTHZ, act).await, emqx("allow"));
    let line = world.served.connect(Some(copied(&world.station))).await.unwrap();
    TestDevice::enrolled(&line, "pump-1.t").await;
    assert_eq!(post(&mut http, AUTHN, &login("pump-1.t", "pump-1.t")).await, emqx("deny"));
    assert_eq!(post(&mut http, AUTHZ, act).await, emqx("deny"));
    let (_, body) = post(&mut http, AUTHN, &login("pump-1", "pump-1")).await;
    assert!(body.starts_with("{\"result\":\"allow\""), "{body}");
}

#[tokio::test]
async fn a_token_as_the_password_is_good_once_and_for_its_device() {
    let mut world = World::new().await;
    let grant = v1::Grant {
        tenant: "t".into(),
        platform: "test-platform".into(),
        right: v1::Right::Token.into(),
        user_name: "{device}".into(),
        ..Default::default()
    };
    world.admin.admin().add_grant(v1::AddGrantRequest { grant: Some(grant) }).await.unwrap();
    let mut http = world.http(Some(&world.platform)).await;
    let mut token = || to_text(&world.device.token("test-platform", b"").encode());
    let body = |name: &str, client: &str, password: &str| {
        format!(r#"{{"username":"{name}","password":"{password}","clientid":"{client}"}}"#)
    };
    let denied = (403, "{\"Ok\":false,\"Error\":\"not allowed\"}".to_owned());
    let one = token();
    for (name, client) in [("pump-2", "pump-1"), ("pump-1", "pump-2"), ("", "pump-1")] {
        assert_eq!(post(&mut http, USER, &body(name, client, &one)).await, denied, "{name} {client}");
    }
    let allowed = (200, "{\"Ok\":true,\"Error\":\"\"}".to_owned());
    assert_eq!(
        post(&mut http, USER, &body("pump-1", "pump-1", &one)).await,
        allowed,
        "none of those spent it"
    );
    assert_eq!(post(&mut http, USER, &body("pump-1", "pump-1", &one)).await, denied, "it is spent");
    assert_eq!(post(&mut http, USER, &body("pump-1", "", &token())).await, allowed);
    let emqx_login = body("pump-1", "pump-1", &token());
    let (status, said) = post(&mut http, AUTHN, &emqx_login).await;
    assert!(status == 200 && said.starts_with("{\"result\":\"allow\""), "{said}");
    assert_eq!(post(&mut http, AUTHN, &emqx_login).await, emqx("deny"));

    assert_eq!(post(&mut http, "/hooks/mosquitto/superuser", r#"{"username":"pump-1"}"#).await, denied);
    let acl = |topic: &str, acc: u8| {
        format!(r#"{{"username":"pump-1","clientid":"pump-1","topic":"{topic}","acc":{acc}}}"#)
    };
    assert_eq!(post(&mut http, ACL, &acl("a/pump-1/b", 2)).await, allowed);
    assert_eq!(post(&mut http, ACL, &acl("a/pump-2/b", 1)).await, denied);
    assert_eq!(post(&mut http, ACL, &acl("a/pump-1/b", 5)).await, denied);
    world.set(v1::DeviceState::Suspended).await;
    assert_eq!(post(&mut http, ACL, &acl("a/pump-1/b", 2)).await, denied);
}

#[tokio::test]
async fn a_request_passes_with_the_certificate_of_a_trusted_device() {
    let world = World::new().await;
    let mut http = world.http(Some(&world.platform)).await;
    let nginx = format!("x-client-cert: {}", world.certificate);
    let envoy = format!("x-forwarded-client-cert: Hash=0;Cert=\"{}\";Subject=\"\"", world.certificate);
    for (path, line) in [("/hooks/request", &nginx), ("/hooks/request/any/path?of=it", &envoy)] {
        let answer = get(&mut http, path, std::slice::from_ref(line)).await;
        assert_eq!(said(&answer), (200, String::new()), "{path}");
        assert_eq!(answer.header("wardein-device"), "pump-1");
        let until: u64 = answer.header("wardein-until").parse().unwrap();
        assert!(until > crate::common::now());
    }
    // Envoy asks by the method of the request in question.
    http.send(format!("POST /hooks/request/a HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n{envoy}\r\n\r\n"))
        .await;
    assert_eq!(http.answer().await.status, 200);
    let refused = async |http: &mut Http1, lines: &[String], code: &str| {
        let answer = get(http, "/hooks/request", lines).await;
        assert_eq!(answer.said(), (403, code), "{lines:?}");
        assert_eq!(answer.header("wardein-device"), "");
    };
    refused(&mut http, &[], "malformed").await;
    refused(&mut http, &[nginx.clone(), envoy.clone()], "malformed").await;
    refused(&mut http, &[nginx.clone(), nginx.clone()], "malformed").await;
    refused(&mut http, &[envoy.clone() + ",Hash=0"], "malformed").await;
    refused(&mut http, &["x-client-cert: %zz".to_owned()], "malformed").await;
    refused(&mut http, &["x-client-cert: none".to_owned()], "malformed").await;
    // One that is no device's.
    let root = pem::decode_certificates(&world.served.founded.bundle_pem).unwrap().swap_remove(0);
    let root = escaped(&pem::encode_certificates([&root[..]]).unwrap());
    refused(&mut http, &[format!("x-client-cert: {root}")], "ok").await;
    http.send(format!("GET /hooks/request HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n{nginx}\r\n\r\nx"))
        .await;
    assert_eq!(http.answer().await.said(), (403, "malformed"));
    // Chunks, in which another request could be.
    let mut other = world.http(Some(&world.platform)).await;
    let head =
        format!("GET /hooks/request HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n{nginx}\r\n\r\n");
    other.send(head + "0\r\n\r\n").await;
    assert_eq!(other.answer().await.said(), (403, "not-supported"));
    world.set(v1::DeviceState::Suspended).await;
    refused(&mut http, std::slice::from_ref(&nginx), "ok").await;
}

/// What it may do is for the platform's own rules, which a hook does not know.
#[tokio::test]
async fn a_restricted_device_is_refused_by_every_hook() {
    let world = World::new().await;
    let rule = v1::TrustRule {
        reason: v1::Reason::FirmwareOld.into(),
        attribute: "board".into(),
        least_version: "99.0".into(),
        verdict: v1::Verdict::Restricted.into(),
        ..Default::default()
    };
    let policy = v1::TrustPolicy { tenant: "t".into(), rules: vec![rule], ..Default::default() };
    let put = v1::PutTrustPolicyRequest { policy: Some(policy) };
    world.admin.trust_policies().put_trust_policy(put).await.unwrap();
    let mut http = world.http(Some(&world.platform)).await;
    let body = r#"{"deviceId":"pump-1"}"#;
    let length = format!("content-length: {}", body.len());
    let head = head("/wardein.v1.TrustService/Check", &["content-type: application/json", &length]);
    http.send([head.as_bytes(), body.as_bytes()].concat()).await;
    let checked = String::from_utf8(http.answer().await.body).unwrap();
    assert!(checked.contains("VERDICT_RESTRICTED"), "{checked}");
    assert_eq!(post(&mut http, AUTHN, &login("pump-1", "pump-1")).await, emqx("deny"));
    let act = r#"{"clientid":"pump-1","topic":"ward/pump-1","action":"publish"}"#;
    assert_eq!(post(&mut http, AUTHZ, act).await, emqx("deny"));
    let acl = r#"{"username":"pump-1","topic":"ward/pump-1","acc":2}"#;
    assert_eq!(post(&mut http, ACL, acl).await.0, 403);
    let nginx = [format!("x-client-cert: {}", world.certificate)];
    assert_eq!(get(&mut http, "/hooks/request", &nginx).await.said(), (403, "ok"));
}

#[tokio::test]
async fn hooks_are_for_platforms_as_checks_are() {
    let world = World::new().await;
    let check = login("pump-1", "pump-1");
    for (identity, code) in [(None, "certificate-required"), (Some(&world.station), "role-denied")] {
        let mut http = world.http(identity).await;
        let length = format!("content-length: {}", check.len());
        let head = head(AUTHN, &["content-type: application/json", &length]);
        http.send([head.as_bytes(), check.as_bytes()].concat()).await;
        let answer = http.answer().await;
        assert_eq!((answer.said(), said(&answer)), ((200, code), emqx("deny")));
        let nginx = [format!("x-client-cert: {}", world.certificate)];
        assert_eq!(get(&mut http, "/hooks/request", &nginx).await.said(), (403, code));
    }
    // Neither is what is not a POST of JSON.
    let mut http = world.http(Some(&world.platform)).await;
    let answer = get(&mut http, AUTHN, &[]).await;
    assert_eq!((answer.said(), said(&answer)), ((200, "not-supported"), emqx("deny")));
    assert_eq!(get(&mut http, "/hooks/other", &[]).await.status, 404);
    assert_eq!(post(&mut http, AUTHN, &check).await.0, 200);
    revoke(&world.admin, &world.platform).await;
    assert_eq!(post(&mut http, AUTHN, &check).await, emqx("deny"));
}
