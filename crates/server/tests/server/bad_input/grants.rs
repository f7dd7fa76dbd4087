//! Grants.

use super::world::{NO_TENANT, World, malformed};
use tonic::Code;
use wardein_client::{number, v1};
use wardein_domain::Method;

pub(crate) fn grant(right: &str) -> v1::Grant {
    v1::Grant {
        tenant: "t".into(),
        platform: "one".into(),
        right: number::<v1::Right>(right),
        ..Default::default()
    }
}

fn add(grant: v1::Grant) -> v1::AddGrantRequest {
    v1::AddGrantRequest { grant: Some(grant) }
}

#[tokio::test]
async fn add_grant() {
    let world = World::new().await;
    let (by, good) = (&world.tenant_admin, || grant("token"));
    let rows = [
        ("nothing", by, v1::AddGrantRequest::default(), malformed("grant")),
        ("no tenant", by, add(v1::Grant { tenant: String::new(), ..good() }), malformed("grant.tenant")),
        (
            "no platform",
            by,
            add(v1::Grant { platform: String::new(), ..good() }),
            malformed("grant.platform"),
        ),
        (
            "a long platform",
            by,
            add(v1::Grant { platform: "p".repeat(65), ..good() }),
            malformed("grant.platform"),
        ),
        ("no right", by, add(grant("")), malformed("grant.right")),
        ("a right that is none", by, add(grant("proof")), malformed("grant.right")),
        (
            "no profile's name",
            by,
            add(v1::Grant { profile: "A".into(), ..good() }),
            malformed("grant.profile"),
        ),
        (
            "an unknown place",
            by,
            add(v1::Grant { user_name: "{serial}".into(), ..good() }),
            malformed("grant.user_name"),
        ),
        (
            "129 bytes",
            by,
            add(v1::Grant { user_name: "u".repeat(129), ..good() }),
            malformed("grant.user_name"),
        ),
        (
            "a user name for keys",
            by,
            add(v1::Grant { user_name: "u".into(), ..grant("data") }),
            malformed("user_name"),
        ),
        (
            "groups for keys",
            by,
            add(v1::Grant { groups: vec!["g".into()], ..grant("data") }),
            malformed("groups"),
        ),
        (
            "17 groups",
            by,
            add(v1::Grant { groups: vec!["g".into(); 17], ..good() }),
            malformed("grant.groups"),
        ),
        (
            "no such profile",
            by,
            add(v1::Grant { profile: "unheard".into(), ..good() }),
            (Code::NotFound, "profile-unknown", "unheard"),
        ),
        (
            "no such platform",
            by,
            add(v1::Grant { platform: "unheard".into(), ..good() }),
            (Code::NotFound, "operator-unknown", "unheard"),
        ),
        ("no such tenant", by, add(v1::Grant { tenant: "nowhere".into(), ..good() }), NO_TENANT),
        ("another's tenant", &world.foreign, add(good()), NO_TENANT),
        ("for itself", &world.platform, add(good()), (Code::PermissionDenied, "role-denied", "AddGrant")),
        ("an auditor", &world.auditor, add(good()), (Code::PermissionDenied, "role-denied", "AddGrant")),
    ];
    world.refuses(Method::AddGrant, rows).await;
}

#[tokio::test]
async fn list_grants() {
    let world = World::new().await;
    world.admin.admin().add_grant(add(grant("token"))).await.unwrap();
    let good = || v1::ListGrantsRequest { tenant: "t".into(), page_size: 1, ..Default::default() };
    let by = &world.auditor;
    let rows = [
        ("no tenant", by, v1::ListGrantsRequest { tenant: String::new(), ..good() }, malformed("tenant")),
        (
            "a long token",
            by,
            v1::ListGrantsRequest { page_token: vec![1; 513], ..good() },
            malformed("page_token"),
        ),
        (
            "the token of another tenant's list",
            by,
            v1::ListGrantsRequest { page_token: b"other\0one\0token\0".to_vec(), ..good() },
            malformed("page_token"),
        ),
        ("another's tenant", &world.foreign, good(), NO_TENANT),
        ("a platform", &world.platform, good(), (Code::PermissionDenied, "role-denied", "ListGrants")),
    ];
    world.refuses(Method::ListGrants, rows).await;
    assert_eq!(world.auditor.admin().list_grants(good()).await.unwrap().into_inner().grants.len(), 1);
}

#[tokio::test]
async fn remove_grant() {
    let world = World::new().await;
    world.admin.admin().add_grant(add(grant("token"))).await.unwrap();
    let good = || v1::RemoveGrantRequest {
        tenant: "t".into(),
        platform: "one".into(),
        right: v1::Right::Token.into(),
        reason: "moved".into(),
        ..Default::default()
    };
    let (by, unknown) = (&world.tenant_admin, (Code::NotFound, "grant-unknown", "no such grant"));
    let rows = [
        ("no tenant", by, v1::RemoveGrantRequest { tenant: String::new(), ..good() }, malformed("tenant")),
        (
            "no platform",
            by,
            v1::RemoveGrantRequest { platform: String::new(), ..good() },
            malformed("platform"),
        ),
        ("no right", by, v1::RemoveGrantRequest { right: 0, ..good() }, malformed("right")),
        (
            "no profile's name",
            by,
            v1::RemoveGrantRequest { profile: "A".into(), ..good() },
            malformed("profile"),
        ),
        ("no reason", by, v1::RemoveGrantRequest { reason: String::new(), ..good() }, malformed("reason")),
        ("another right", by, v1::RemoveGrantRequest { right: v1::Right::Data.into(), ..good() }, unknown),
        ("of a profile", by, v1::RemoveGrantRequest { profile: "default".into(), ..good() }, unknown),
        ("another platform", by, v1::RemoveGrantRequest { platform: "two".into(), ..good() }, unknown),
        ("another's tenant", &world.foreign, good(), NO_TENANT),
        ("an auditor", &world.auditor, good(), (Code::PermissionDenied, "role-denied", "RemoveGrant")),
    ];
    world.refuses(Method::RemoveGrant, rows).await;
}
