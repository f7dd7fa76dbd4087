//! What platforms call as POSTs of JSON (Connect's unary calls), over HTTP/1.1 and HTTP/2.

use crate::common::device::TestDevice;
use crate::common::http1::{Answer, Http1, head};
use crate::common::raw::{Raw, text, tls_for};
use crate::common::{Served, copied, issue, revoke};
use bytes::Bytes;
use h2::client::Builder;
use wardein_client::{Connection, Identity, v1};
use wardein_domain::Role;
use wardein_server::Limits;

const CHECK: &str = "/wardein.v1.TrustService/Check";
const LIST: &str = "/wardein.v1.TrustService/ListSubjects";
const VERIFY: &str = "/wardein.v1.TrustService/VerifyToken";
const JSON: &str = "content-type: application/json";

/// An authority with tenant `t` and a device `pump-1`.
struct World {
    served: Served,
    admin: Connection,
    station: Identity,
    platform: Identity,
}

impl World {
    async fn new() -> Self {
        let served = Served::with(Limits::default(), 0).await;
        let admin = served.connect(Some(served.admin())).await.unwrap();
        admin.admin().create_tenant(v1::CreateTenantRequest { tenant: "t".into() }).await.unwrap();
        let station = issue(&admin, Role::Station).await;
        let line = served.connect(Some(copied(&station))).await.unwrap();
        TestDevice::enrolled(&line, "pump-1").await;
        let platform = issue(&admin, Role::Platform).await;
        Self { served, admin, station, platform }
    }

    async fn http1(&self, identity: Option<&Identity>) -> Http1 {
        Http1::over(tls_for(&self.served, "127.0.0.1", identity, &["http/1.1"]).await)
    }
}

async fn post(http: &mut Http1, path: &str, body: &str) -> Answer {
    let length = format!("content-length: {}", body.len());
    http.send([head(path, &[JSON, &length]).as_bytes(), body.as_bytes()].concat()).await;
    http.answer().await
}

fn says(answer: &Answer, part: &str) {
    let body = String::from_utf8_lossy(&answer.body);
    assert!(body.contains(part), "{part}: {body}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(!answer.header("wardein-request-id").is_empty());
}

#[tokio::test]
async fn a_platform_asks_in_json_as_it_asks_by_grpc() {
    let world = World::new().await;
    let mut http = world.http1(Some(&world.platform)).await;
    for asked in [r#"{"deviceId":"pump-1"}"#, r#"{"device_id":"pump-1"}"#] {
        let answer = post(&mut http, CHECK, asked).await;
        assert_eq!(answer.said(), (200, "ok"));
        says(&answer, r#""verdict":"VERDICT_TRUSTED","reasons":["REASON_IN_GOOD_STANDING"]"#);
        says(&answer, r#""deviceId":"pump-1","state":"DEVICE_STATE_ACTIVE""#);
    }
    let set = v1::SetDeviceStateRequest {
        tenant: "t".into(),
        device_id: "pump-1".into(),
        state: v1::DeviceState::Suspended.into(),
        reason: "test".into(),
        ..Default::default()
    };
    world.admin.admin().set_device_state(set).await.unwrap();
    says(&post(&mut http, CHECK, r#"{"deviceId":"pump-1"}"#).await, "VERDICT_NOT_TRUSTED");
    says(&post(&mut http, CHECK, r#"{"deviceId":"pump-2"}"#).await, "VERDICT_UNKNOWN");
    let listed = post(&mut http, LIST, "{}").await;
    assert_eq!(listed.said(), (200, "ok"));
    says(&listed, "pump-1");

    // Over HTTP/2 the type of the body tells the form.
    let raw = Raw::with(&world.served, "127.0.0.1", Some(&world.platform), &Builder::new()).await;
    let mut begun = raw.begin_as(CHECK, "application/json").await;
    begun.request.send_data(Bytes::from_static(br#"{"deviceId":"pump-1"}"#), true).unwrap();
    let response = begun.answer().await;
    assert_eq!((response.status().as_u16(), text(response.headers(), "wardein-code").as_str()), (200, "ok"));
    let body = response.into_body().data().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&body).contains("VERDICT_NOT_TRUSTED"));
}

#[tokio::test]
async fn what_is_no_call_of_a_platform_is_refused_with_its_code() {
    let world = World::new().await;
    let mut http = world.http1(Some(&world.platform)).await;
    let check = r#"{"deviceId":"pump-1"}"#;
    let rows = [
        ("no JSON", CHECK, "deviceId=pump-1", 400, "malformed", "invalid_argument"),
        ("no message", CHECK, "", 400, "malformed", "invalid_argument"),
        ("two", CHECK, "{}{}", 400, "malformed", "invalid_argument"),
        ("no subject", CHECK, "{}", 400, "malformed", "google.rpc.BadRequest"),
        ("two subjects", CHECK, r#"{"deviceId":"a","serial":"b"}"#, 400, "malformed", "invalid_argument"),
        (
            "a text that is no message",
            VERIFY,
            r#""secret-token""#,
            400,
            "malformed",
            "another kind, at line 1",
        ),
        (
            "a value of another kind",
            VERIFY,
            r#"{"token":{"secret-token":1}}"#,
            400,
            "malformed",
            "another kind, at line 1",
        ),
        ("a misspelt field", CHECK, r#"{"deviceID":"pump-1"}"#, 400, "malformed", "deviceID"),
        ("a bad id", CHECK, r#"{"deviceId":"../pump-1"}"#, 400, "malformed", "device"),
        ("no token", VERIFY, "{}", 400, "malformed", "invalid_argument"),
        ("another spelling", "/wardein.v1.TrustService/check", check, 404, "method-unknown", "unimplemented"),
        ("a query", "/wardein.v1.TrustService/Check?x", check, 404, "method-unknown", "unimplemented"),
        // Its answer is a secret; it is gRPC's alone.
        ("a release", "/wardein.v1.TrustService/ReleaseKey", "{}", 404, "method-unknown", "unimplemented"),
        ("a stream", "/wardein.v1.TrustService/Watch", "{}", 404, "method-unknown", "unimplemented"),
        (
            "an administrator's",
            "/wardein.v1.AdminService/ListTenants",
            "{}",
            404,
            "method-unknown",
            "unimplemented",
        ),
    ];
    for (what, path, body, status, code, part) in rows {
        let answer = post(&mut http, path, body).await;
        assert_eq!(answer.said(), (status, code), "{what}");
        says(&answer, part);
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret-token"), "{what}");
    }
    let large = format!(r#"{{"deviceId":"{}"}}"#, "x".repeat(16 << 10));
    let mut other = world.http1(Some(&world.platform)).await;
    assert_eq!(post(&mut other, CHECK, &large).await.said(), (413, "too-large"));
    // It is the same connection.
    assert_eq!(post(&mut http, CHECK, check).await.said(), (200, "ok"));

    let length = format!("content-length: {}", check.len());
    for kind in ["application/octet-stream", "text/plain", "application/grpc", "application/jsonx"] {
        let head = head(CHECK, &[&format!("content-type: {kind}"), &length]);
        http.send([head.as_bytes(), check.as_bytes()].concat()).await;
        let answer = http.answer().await;
        assert_eq!(answer.said(), (415, "not-supported"), "{kind}");
    }
    let head_of = |lines: &[&str]| head(CHECK, lines);
    http.send([head_of(&[JSON, &length, "content-encoding: gzip"]).as_bytes(), check.as_bytes()].concat())
        .await;
    assert_eq!(http.answer().await.said(), (415, "not-supported"));
    http.send(format!("GET {CHECK} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    let answer = http.answer().await;
    assert_eq!((answer.said(), answer.header("allow")), ((405, "not-supported"), "POST"));
    http.send(head_of(&[JSON, "transfer-encoding: chunked"])).await;
    assert_eq!(http.answer().await.said(), (411, "not-supported"));
    http.is_closed().await;
}

#[tokio::test]
async fn it_is_for_platforms_as_grpc_is() {
    let world = World::new().await;
    let check = r#"{"deviceId":"pump-1"}"#;
    let nobody = post(&mut world.http1(None).await, CHECK, check).await;
    assert_eq!(nobody.said(), (401, "certificate-required"));
    says(&nobody, "unauthenticated");
    let denied = post(&mut world.http1(Some(&world.station)).await, CHECK, check).await;
    assert_eq!(denied.said(), (403, "role-denied"));
    says(&denied, "permission_denied");
    // It ends with its caller, also on a connection that is open.
    let mut http = world.http1(Some(&world.platform)).await;
    assert_eq!(post(&mut http, CHECK, check).await.said(), (200, "ok"));
    revoke(&world.admin, &world.platform).await;
    assert_eq!(post(&mut http, CHECK, check).await.said(), (401, "operator-revoked"));
}
