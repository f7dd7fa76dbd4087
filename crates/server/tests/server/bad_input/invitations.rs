//! `InvitationService`.

use super::world::{NO_TENANT, World, malformed};
use tonic::Code;
use wardein_client::{number, time, v1};
use wardein_crypto::P256SigningKey;
use wardein_domain::Method;
use wardein_pki::Csr;

fn good(role: &str, tenant: &str) -> v1::CreateInvitationRequest {
    let (role, tenant, name) = (number::<v1::Role>(role), tenant.into(), "two".into());
    let (validity, lifetime) = (time::span(3_600), time::span(3_600));
    v1::CreateInvitationRequest { role, tenant, name, validity, quota: 0, lifetime }
}

fn csr() -> Vec<u8> {
    Csr::create(&P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn create_invitation() {
    let world = World::new().await;
    let (admin, own, foreign) = (&world.admin, &world.tenant_admin, &world.foreign);
    let platform = || good("platform", "t");
    let denied = (Code::PermissionDenied, "role-insufficient", "without a tenant");
    let rows = [
        ("nothing", admin, v1::CreateInvitationRequest::default(), malformed("role")),
        ("no such role", admin, v1::CreateInvitationRequest { role: 77, ..platform() }, malformed("role")),
        (
            "no name",
            admin,
            v1::CreateInvitationRequest { name: String::new(), ..platform() },
            malformed("name"),
        ),
        (
            "a path for a name",
            admin,
            v1::CreateInvitationRequest { name: "../x".into(), ..platform() },
            malformed("name"),
        ),
        ("no tenant for a station", admin, good("station", ""), malformed("tenant")),
        ("a tenant for an admin", admin, good("admin", "t"), malformed("tenant")),
        ("no such tenant", admin, good("platform", "nowhere"), NO_TENANT),
        ("another's tenant", foreign, platform(), NO_TENANT),
        ("an admin, by a tenant's", own, good("admin", ""), denied),
        (
            "no time",
            admin,
            v1::CreateInvitationRequest { validity: None, ..platform() },
            malformed("validity"),
        ),
        (
            "for good",
            admin,
            v1::CreateInvitationRequest { validity: time::span(u64::MAX), ..platform() },
            malformed("validity"),
        ),
        (
            "a quota for a platform",
            admin,
            v1::CreateInvitationRequest { quota: 1, ..platform() },
            malformed("quota"),
        ),
        (
            "good for no time",
            admin,
            v1::CreateInvitationRequest { lifetime: time::span(59), ..platform() },
            malformed("lifetime"),
        ),
        (
            "good for ever",
            admin,
            v1::CreateInvitationRequest { lifetime: time::span(u64::MAX), ..platform() },
            malformed("lifetime"),
        ),
        (
            "it is there",
            own,
            v1::CreateInvitationRequest { name: "one".into(), ..platform() },
            (Code::AlreadyExists, "operator-exists", "revoke it first"),
        ),
    ];
    world.refuses(Method::CreateInvitation, rows).await;
}

#[tokio::test]
async fn revoke_invitation() {
    let world = World::new().await;
    let (admin, foreign) = (&world.admin, &world.foreign);
    let invite = async |name: &str| {
        let order = v1::CreateInvitationRequest { name: name.into(), ..good("platform", "t") };
        admin.invitations().create_invitation(order).await.unwrap().into_inner()
    };
    let (open, used) = (invite("two").await, invite("three").await);
    let redeem = v1::RedeemInvitationRequest { token: used.token.to_vec(), csr: csr() };
    world.nobody.invitations().redeem_invitation(redeem).await.unwrap();
    let named = |id: &str| v1::RevokeInvitationRequest { id: id.into(), reason: "lost".into() };
    let unknown = (Code::NotFound, "invitation-unknown", "no invitation");
    let rows = [
        ("nothing", admin, v1::RevokeInvitationRequest::default(), malformed("id")),
        ("not hex", admin, named(&"x".repeat(16)), malformed("id")),
        ("too long", admin, named(&"0".repeat(18)), malformed("id")),
        (
            "no reason",
            admin,
            v1::RevokeInvitationRequest { reason: String::new(), ..named(&open.id) },
            malformed("reason"),
        ),
        ("none", admin, named("0000000000000000"), unknown),
        ("another tenant's", foreign, named(&open.id), unknown),
        (
            "redeemed",
            admin,
            named(&used.id),
            (Code::FailedPrecondition, "invitation-redeemed", "revoke that"),
        ),
    ];
    world.refuses(Method::RevokeInvitation, rows).await;
}

#[tokio::test]
async fn list_invitations() {
    let world = World::new().await;
    let made = world.admin.invitations().create_invitation(good("platform", "t")).await.unwrap().into_inner();
    let of = |tenant: &str| v1::ListInvitationsRequest { tenant: tenant.into() };
    let denied = |who| (Code::PermissionDenied, "role-denied", who);
    let rows = [
        ("no tenant's name", &world.admin, of("T"), malformed("tenant")),
        ("no such tenant", &world.admin, of("nowhere"), NO_TENANT),
        ("another's tenant", &world.foreign, of("t"), NO_TENANT),
        ("a platform", &world.platform, of("t"), denied("ListInvitations")),
        ("a station", &world.station, of("t"), denied("ListInvitations")),
    ];
    world.refuses(Method::ListInvitations, rows).await;
    for by in [&world.tenant_admin, &world.auditor] {
        let listed = by.invitations().list_invitations(of("")).await.unwrap().into_inner().invitations;
        let [one] = &listed[..] else { panic!("{listed:?}") };
        assert_eq!((&one.id, one.name.as_str(), one.tenant.as_str()), (&made.id, "two", "t"));
        assert_eq!((one.expires_at, one.created_by.as_str()), (made.expires_at, "admin/admin"));
    }
    assert_eq!(
        world.foreign.invitations().list_invitations(of("")).await.unwrap().into_inner().invitations,
        []
    );
}

#[tokio::test]
async fn redeem_invitation() {
    let world = World::new().await;
    let made = world.admin.invitations().create_invitation(good("platform", "t")).await.unwrap().into_inner();
    let (by, token) = (&world.nobody, made.token.to_vec());
    let with = |token: &[u8], csr: Vec<u8>| v1::RedeemInvitationRequest { token: token.to_vec(), csr };
    let invalid = (Code::Unauthenticated, "invitation-invalid", "the invitation is not good");
    let mut forged = csr();
    *forged.last_mut().unwrap() ^= 1;
    let request = |code| (Code::InvalidArgument, code, "request");
    let rows = [
        ("nothing", by, v1::RedeemInvitationRequest::default(), invalid),
        ("half a token", by, with(&token[..20], csr()), invalid),
        ("a token and a half", by, with(&[token.as_slice(), &token[..20]].concat(), csr()), invalid),
        ("no token of ours, and no request", by, with(&[0; 40], b"no request".to_vec()), invalid),
        ("4097 bytes", by, with(&token, vec![0x30; 4097]), malformed("csr")),
        ("no request", by, with(&token, Vec::new()), request("csr-malformed")),
        ("a forged signature", by, with(&token, forged), request("csr-signature")),
        ("bytes behind", by, with(&token, [csr(), vec![0]].concat()), request("csr-trailing-bytes")),
    ];
    world.refuses(Method::RedeemInvitation, rows).await;
    by.invitations().redeem_invitation(with(&token, csr())).await.expect("nothing of it used the token up");
}
