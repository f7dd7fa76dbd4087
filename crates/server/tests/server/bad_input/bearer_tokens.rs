//! `BearerTokenService`.

use super::world::{NO_SERIAL, NO_TENANT, World, malformed};
use tonic::Code;
use wardein_client::{time, v1};
use wardein_domain::{Method, Role};

const NO_OPERATOR: super::world::Expected = (Code::NotFound, "operator-unknown", "no operator");

fn good(serial: &str) -> v1::CreateBearerTokenRequest {
    v1::CreateBearerTokenRequest { serial: serial.into(), lifetime: time::span(3_600) }
}

#[tokio::test]
async fn create_bearer_token() {
    let world = World::new().await;
    let (admin, own, foreign) = (&world.admin, &world.tenant_admin, &world.foreign);
    let platform = world.serial(Role::Platform, "t", "one").await;
    let station = world.serial(Role::Station, "t", "one").await;
    let lasting = |seconds| v1::CreateBearerTokenRequest { lifetime: time::span(seconds), ..good(&platform) };
    let rows = [
        ("nothing", admin, v1::CreateBearerTokenRequest::default(), malformed("serial")),
        ("not a serial", admin, good("x"), malformed("serial")),
        ("nobody's", admin, good(NO_SERIAL), NO_OPERATOR),
        ("another tenant's", foreign, good(&platform), NO_OPERATOR),
        ("a station's", own, good(&station), malformed("serial: station/t/one is not a platform")),
        (
            "no time",
            own,
            v1::CreateBearerTokenRequest { lifetime: None, ..good(&platform) },
            malformed("lifetime"),
        ),
        ("59 seconds", own, lasting(59), malformed("lifetime")),
        ("for ever", own, lasting(u64::MAX), malformed("lifetime")),
        (
            "a platform",
            &world.platform,
            good(&platform),
            (Code::PermissionDenied, "role-denied", "CreateBearerToken"),
        ),
    ];
    world.refuses(Method::CreateBearerToken, rows).await;
    for _ in 0..8 {
        own.bearer_tokens().create_bearer_token(good(&platform)).await.unwrap();
    }
    let quota = (Code::FailedPrecondition, "bearer-token-quota", "8 tokens already");
    world.refuses(Method::CreateBearerToken, [("the ninth", own, good(&platform), quota)]).await;
}

#[tokio::test]
async fn revoke_bearer_token() {
    let world = World::new().await;
    let (admin, foreign) = (&world.admin, &world.foreign);
    let serial = world.serial(Role::Platform, "t", "one").await;
    let made = admin.bearer_tokens().create_bearer_token(good(&serial)).await.unwrap().into_inner();
    let id = made.bearer_token.unwrap().id;
    let named = |serial: &str, id: &str| v1::RevokeBearerTokenRequest {
        serial: serial.into(),
        id: id.into(),
        reason: "lost".into(),
    };
    let unknown = (Code::NotFound, "bearer-token-unknown", "no bearer token");
    let rows = [
        ("nothing", admin, v1::RevokeBearerTokenRequest::default(), malformed("serial")),
        ("no id", admin, named(&serial, ""), malformed("id")),
        ("not hex", admin, named(&serial, &"x".repeat(16)), malformed("id")),
        ("too long", admin, named(&serial, &"0".repeat(18)), malformed("id")),
        (
            "no reason",
            admin,
            v1::RevokeBearerTokenRequest { reason: String::new(), ..named(&serial, &id) },
            malformed("reason"),
        ),
        ("none", admin, named(&serial, "0000000000000000"), unknown),
        ("nobody's", admin, named(NO_SERIAL, &id), NO_OPERATOR),
        ("another tenant's", foreign, named(&serial, &id), NO_OPERATOR),
    ];
    world.refuses(Method::RevokeBearerToken, rows).await;
}

#[tokio::test]
async fn list_bearer_tokens() {
    let world = World::new().await;
    let serial = world.serial(Role::Platform, "t", "one").await;
    let made = world.admin.bearer_tokens().create_bearer_token(good(&serial)).await.unwrap().into_inner();
    let of = |tenant: &str| v1::ListBearerTokensRequest { tenant: tenant.into(), ..Default::default() };
    let denied = (Code::PermissionDenied, "role-denied", "ListBearerTokens");
    let rows = [
        ("no tenant's name", &world.admin, of("T"), malformed("tenant")),
        ("no such tenant", &world.admin, of("nowhere"), NO_TENANT),
        ("another's tenant", &world.foreign, of("t"), NO_TENANT),
        (
            "no page of it",
            &world.admin,
            v1::ListBearerTokensRequest { page_token: vec![1], ..of("t") },
            malformed("page_token"),
        ),
        ("a platform", &world.platform, of("t"), denied),
        ("a station", &world.station, of("t"), denied),
    ];
    world.refuses(Method::ListBearerTokens, rows).await;
    for by in [&world.admin, &world.tenant_admin, &world.auditor] {
        let listed = by.bearer_tokens().list_bearer_tokens(of("")).await.unwrap().into_inner();
        assert_eq!(listed.bearer_tokens, [made.bearer_token.clone().unwrap()]);
    }
    let listed = world.foreign.bearer_tokens().list_bearer_tokens(of("")).await.unwrap().into_inner();
    assert_eq!(listed.bearer_tokens, []);
}
