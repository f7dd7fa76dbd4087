//! `WebhookService`.

use super::world::{Expected, NO_TENANT, World, malformed};
use tonic::Code;
use wardein_client::v1;
use wardein_domain::Method;

const NO_WEBHOOK: Expected = (Code::NotFound, "webhook-unknown", "no webhook");

fn good(world: &World) -> v1::PutWebhookRequest {
    v1::PutWebhookRequest {
        tenant: "t".into(),
        name: "iot".into(),
        // Nobody listens there.
        url: "https://127.0.0.1:1/hook".into(),
        ca_pem: world.served.founded.infrastructure_pem.clone(),
        renew_secret: false,
    }
}

#[tokio::test]
async fn put_webhook() {
    let world = World::new().await;
    let (admin, good) = (&world.admin, good(&world));
    let to = |url: &str| v1::PutWebhookRequest { url: url.into(), ..good.clone() };
    let trusting = |ca_pem: String| v1::PutWebhookRequest { ca_pem, ..good.clone() };
    let many = good.ca_pem.repeat(9);
    let no_ca = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let denied = (Code::PermissionDenied, "role-denied", "PutWebhook");
    let rows = [
        ("nothing", admin, v1::PutWebhookRequest::default(), malformed("tenant")),
        ("no name", admin, v1::PutWebhookRequest { name: String::new(), ..good.clone() }, malformed("name")),
        ("a path", admin, v1::PutWebhookRequest { name: "../x".into(), ..good.clone() }, malformed("name")),
        ("nowhere", admin, to(""), malformed("url")),
        ("in the clear", admin, to("http://iot.example/"), malformed("url")),
        ("a file", admin, to("file:///etc/passwd"), malformed("url")),
        ("with a password", admin, to("https://a:b@iot.example/"), malformed("url")),
        ("with another header", admin, to("https://iot.example/\r\nx: y"), malformed("url")),
        ("too long", admin, to(&format!("https://iot.example/{}", "a".repeat(512))), malformed("url")),
        ("believes nobody", admin, trusting(String::new()), malformed("ca_pem")),
        ("no PEM", admin, trusting("x".into()), malformed("ca_pem")),
        ("no certificate", admin, trusting(no_ca.into()), malformed("ca_pem")),
        ("nine of them", admin, trusting(many), malformed("ca_pem")),
        ("too much", admin, trusting("x".repeat(33 << 10)), malformed("ca_pem")),
        (
            "no such tenant",
            admin,
            v1::PutWebhookRequest { tenant: "nowhere".into(), ..good.clone() },
            NO_TENANT,
        ),
        ("a tenant's administrator", &world.tenant_admin, good.clone(), denied),
        ("a platform", &world.platform, good.clone(), denied),
    ];
    world.refuses(Method::PutWebhook, rows).await;
}

#[tokio::test]
async fn list_webhooks() {
    let world = World::new().await;
    let of = |tenant: &str| v1::ListWebhooksRequest { tenant: tenant.into() };
    let denied = (Code::PermissionDenied, "role-denied", "ListWebhooks");
    let rows = [
        ("no tenant's name", &world.admin, of("T"), malformed("tenant")),
        ("no such tenant", &world.admin, of("nowhere"), NO_TENANT),
        ("another's tenant", &world.foreign, of("t"), NO_TENANT),
        ("a platform", &world.platform, of("t"), denied),
        ("a station", &world.station, of("t"), denied),
    ];
    world.refuses(Method::ListWebhooks, rows).await;
}

#[tokio::test]
async fn remove_webhook() {
    let world = World::new().await;
    let admin = &world.admin;
    let named = |tenant: &str, name: &str| v1::RemoveWebhookRequest {
        tenant: tenant.into(),
        name: name.into(),
        reason: "over".into(),
    };
    let denied = (Code::PermissionDenied, "role-denied", "RemoveWebhook");
    let rows = [
        ("nothing", admin, v1::RemoveWebhookRequest::default(), malformed("tenant")),
        ("no name", admin, named("t", ""), malformed("name")),
        (
            "no reason",
            admin,
            v1::RemoveWebhookRequest { reason: String::new(), ..named("t", "iot") },
            malformed("reason"),
        ),
        ("none", admin, named("t", "iot"), NO_WEBHOOK),
        ("no such tenant", admin, named("nowhere", "iot"), NO_TENANT),
        ("a tenant's administrator", &world.tenant_admin, named("t", "iot"), denied),
    ];
    world.refuses(Method::RemoveWebhook, rows).await;
}

#[tokio::test]
async fn test_webhook() {
    let world = World::new().await;
    let admin = &world.admin;
    let named =
        |tenant: &str, name: &str| v1::TestWebhookRequest { tenant: tenant.into(), name: name.into() };
    let denied = (Code::PermissionDenied, "role-denied", "TestWebhook");
    let rows = [
        ("nothing", admin, v1::TestWebhookRequest::default(), malformed("tenant")),
        ("no name", admin, named("t", ""), malformed("name")),
        ("none", admin, named("t", "iot"), NO_WEBHOOK),
        ("no such tenant", admin, named("nowhere", "iot"), NO_TENANT),
        ("a tenant's administrator", &world.tenant_admin, named("t", "iot"), denied),
    ];
    world.refuses(Method::TestWebhook, rows).await;
    // Where nobody listens it says so, and no more.
    admin.webhooks().put_webhook(good(&world)).await.unwrap();
    let said = admin.webhooks().test_webhook(named("t", "iot")).await.unwrap().into_inner();
    assert!(!said.is_taken && said.said.starts_with("not reached: "), "{}", said.said);
}
