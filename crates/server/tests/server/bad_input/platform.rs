//! Certificates of platforms, and the pins of their keys.

use super::world::{ETAG_MISMATCH, NO_TENANT, World, malformed};
use tonic::Code;
use wardein_client::{time, v1};
use wardein_crypto::P256SigningKey;
use wardein_domain::Method;
use wardein_pki::Csr;

#[tokio::test]
async fn issue_platform_certificate() {
    let world = World::new().await;
    let key = P256SigningKey::from_pkcs8(&P256SigningKey::generate_pkcs8().unwrap()).unwrap();
    let csr = Csr::create(&key).unwrap();
    let good = || v1::IssuePlatformCertificateRequest {
        tenant: "t".into(),
        profile: v1::PlatformProfile::PlatformServer.into(),
        csr: csr.clone(),
        dns_names: vec!["iot.t".into()],
        common_name: String::new(),
        validity: time::span(86_400),
    };
    let named = |names: &[&str]| v1::IssuePlatformCertificateRequest {
        dns_names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..good()
    };
    let firmware = |name: &str, names: &[&str]| v1::IssuePlatformCertificateRequest {
        profile: v1::PlatformProfile::FirmwareSigning.into(),
        common_name: name.into(),
        ..named(names)
    };
    let valid = |seconds| v1::IssuePlatformCertificateRequest { validity: time::span(seconds), ..good() };
    let asked = |csr: Vec<u8>| v1::IssuePlatformCertificateRequest { csr, ..good() };
    let mut forged = csr.clone();
    *forged.last_mut().unwrap() ^= 1;
    let many: Vec<_> = (0..17).map(|number| format!("iot-{number}.t")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let by = &world.tenant_admin;
    let insufficient = (Code::PermissionDenied, "role-insufficient", "iot.example");
    let denied = (Code::PermissionDenied, "role-denied", "IssuePlatformCertificate");
    let no_tenant = v1::IssuePlatformCertificateRequest { tenant: String::new(), ..good() };
    let nowhere = v1::IssuePlatformCertificateRequest { tenant: "nowhere".into(), ..good() };
    let no_profile = v1::IssuePlatformCertificateRequest { profile: 0, ..good() };
    let other_profile = v1::IssuePlatformCertificateRequest { profile: 3, ..good() };
    let with_name = v1::IssuePlatformCertificateRequest { common_name: "iot".into(), ..good() };
    let rows = [
        ("no tenant", by, no_tenant, malformed("tenant")),
        ("no such tenant", &world.admin, nowhere, NO_TENANT),
        ("another's tenant", &world.foreign, good(), NO_TENANT),
        ("no profile", by, no_profile, malformed("profile")),
        ("no such profile", by, other_profile, malformed("profile")),
        ("no name", by, named(&[]), malformed("dns_names")),
        ("too many names", by, named(&many), malformed("dns_names")),
        ("no DNS name", by, named(&["*.t"]), malformed("dns_names")),
        ("a name twice", by, named(&["iot.t", "IOT.t"]), malformed("dns_names")),
        ("a server's common name", by, with_name, malformed("common_name")),
        ("a signer without a name", by, firmware("", &[]), malformed("common_name")),
        ("a signer with a path for a name", by, firmware("a/b", &[]), malformed("common_name")),
        ("a signer with a DNS name", by, firmware("pump", &["iot.t"]), malformed("dns_names")),
        ("for no time", by, valid(0), malformed("validity")),
        ("for too short", by, valid(299), malformed("validity")),
        ("for too long", by, valid(366 * 86_400 + 1), malformed("validity")),
        ("a request that is too long", by, asked(vec![0x30; Csr::MAX_LEN + 1]), malformed("csr")),
        ("no request", by, asked(Vec::new()), (Code::InvalidArgument, "csr-malformed", "request")),
        ("a request of another", by, asked(forged), (Code::InvalidArgument, "csr-signature", "not signed")),
        ("a name that another tenant may have", by, named(&["iot.example"]), insufficient),
        (
            "by a CA of clients",
            by,
            good(),
            (Code::FailedPrecondition, "certificate-profile-beyond-ca", "platform-server"),
        ),
        ("an auditor", &world.auditor, good(), denied),
        ("a platform", &world.platform, good(), denied),
        ("a station", &world.station, good(), denied),
    ];
    world.refuses(Method::IssuePlatformCertificate, rows).await;
}

fn platform_pins(tenant: &str) -> v1::PlatformPins {
    v1::PlatformPins {
        tenant: tenant.into(),
        current_sha256: vec![1; 32],
        next_sha256: vec![2; 32],
        recovery_sha256: vec![9; 32],
        ..Default::default()
    }
}

#[tokio::test]
async fn put_platform_pins() {
    let world = World::new().await;
    let ask = |pins| v1::PutPlatformPinsRequest { pins: Some(pins), confirm_stranding: false };
    let good = || platform_pins("t");
    world.admin.certificates().put_platform_pins(ask(good())).await.unwrap();
    let by = &world.tenant_admin;
    let current = |bytes: Vec<u8>| ask(v1::PlatformPins { current_sha256: bytes, ..good() });
    let next = |bytes: Vec<u8>| ask(v1::PlatformPins { next_sha256: bytes, ..good() });
    let recovery = |bytes: Vec<u8>| ask(v1::PlatformPins { recovery_sha256: bytes, ..good() });
    let etag = |etag: &str| ask(v1::PlatformPins { etag: etag.into(), ..good() });
    let nothing = v1::PutPlatformPinsRequest { pins: None, confirm_stranding: true };
    let denied = (Code::PermissionDenied, "role-denied", "PutPlatformPins");
    let too_new = (Code::FailedPrecondition, "platform-pin-too-new", "no bundle");
    let rows = [
        ("nothing", by, nothing, malformed("pins")),
        ("no tenant", by, ask(platform_pins("")), malformed("pins.tenant")),
        ("no such tenant", &world.admin, ask(platform_pins("nowhere")), NO_TENANT),
        ("another's tenant", &world.foreign, ask(good()), NO_TENANT),
        ("no current key", by, current(Vec::new()), malformed("pins.current_sha256")),
        ("a pin that is too long", by, next(vec![2; 33]), malformed("pins.next_sha256")),
        ("no recovery key", by, recovery(vec![9; 31]), malformed("pins.recovery_sha256")),
        ("one key twice", by, next(vec![9; 32]), malformed("pins")),
        ("no etag", by, etag("x"), malformed("pins.etag")),
        ("another version", by, etag("0011223344556677"), ETAG_MISMATCH),
        ("a key that no device knows", by, current(vec![7; 32]), too_new),
        ("an auditor", &world.auditor, ask(good()), denied),
        ("a platform", &world.platform, ask(good()), denied),
        ("a station", &world.station, ask(good()), denied),
    ];
    world.refuses(Method::PutPlatformPins, rows).await;
}

#[tokio::test]
async fn get_platform_pins() {
    let world = World::new().await;
    let ask = |tenant: &str| v1::GetPlatformPinsRequest { tenant: tenant.into() };
    let unset = (Code::NotFound, "platform-pins-unset", "no pins");
    let denied = (Code::PermissionDenied, "role-denied", "GetPlatformPins");
    let rows = [
        ("no tenant", &world.auditor, ask(""), malformed("tenant")),
        ("no such tenant", &world.admin, ask("nowhere"), NO_TENANT),
        ("another's tenant", &world.foreign, ask("t"), NO_TENANT),
        ("one without pins", &world.auditor, ask("t"), unset),
        ("a platform", &world.platform, ask("t"), denied),
    ];
    world.refuses(Method::GetPlatformPins, rows).await;
}

/// A tenant without pins, and none at all, are answered alike: nobody learns here which there are.
#[tokio::test]
async fn get_trust_bundle_of_a_tenant() {
    let world = World::new().await;
    let ask = |tenant: &str| v1::GetTrustBundleRequest { tenant: tenant.into() };
    world
        .refuses(
            Method::GetTrustBundle,
            [("no tenant's name", &world.nobody, ask("T t"), malformed("tenant"))],
        )
        .await;
    let get = async |tenant: &str| {
        world.nobody.certificates().get_trust_bundle(ask(tenant)).await.unwrap().into_inner().signed_bundle
    };
    for tenant in ["", "t", "nowhere"] {
        assert!(get(tenant).await.is_empty(), "{tenant}");
    }
    let put = v1::PutPlatformPinsRequest { pins: Some(platform_pins("t")), confirm_stranding: false };
    world.admin.certificates().put_platform_pins(put).await.unwrap();
    assert!(!get("t").await.is_empty() && get("other").await.is_empty());
}
