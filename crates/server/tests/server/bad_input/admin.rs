//! `AdminService`, but for profiles, grants and keys.

use super::world::{Expected, NO_DEVICE, NO_SERIAL, NO_TENANT, VALIDITY, World, malformed, order};
use crate::common::device::TestDevice;
use tonic::Code;
use wardein_client::v1::begin_batch_request::Change;
use wardein_client::{Timestamp, number, time, v1};
use wardein_crypto::P256SigningKey;
use wardein_domain::{Method, Role};
use wardein_pki::Csr;

const LONG_TOKEN: usize = 513;

#[tokio::test]
async fn create_tenant() {
    let world = World::new().await;
    let (by, named) = (&world.admin, |tenant: &str| v1::CreateTenantRequest { tenant: tenant.into() });
    let rows = [
        ("no name", by, named(""), malformed("tenant")),
        ("64 bytes", by, named(&"t".repeat(64)), malformed("tenant")),
        ("a capital", by, named("Klinik"), malformed("tenant")),
        ("a hyphen first", by, named("-t"), malformed("tenant")),
        ("a separator of keys", by, named("t\0x"), malformed("tenant")),
        ("a path", by, named("t/../other"), malformed("tenant")),
        ("it is there", by, named("t"), (Code::AlreadyExists, "tenant-exists", "tenant t")),
    ];
    world.refuses(Method::CreateTenant, rows).await;
}

#[tokio::test]
async fn list_tenants() {
    let world = World::new().await;
    let by = &world.auditor;
    let page = |page_size, length| v1::ListTenantsRequest { page_size, page_token: vec![b't'; length] };
    let rows = [("a long token", by, page(1, LONG_TOKEN), malformed("page_token"))];
    world.refuses(Method::ListTenants, rows).await;
}

#[tokio::test]
async fn issue_operator() {
    let world = World::new().await;
    let pkcs8 = P256SigningKey::generate_pkcs8().unwrap();
    let csr = Csr::create(&P256SigningKey::from_pkcs8(&pkcs8).unwrap()).unwrap();
    let good = |role, tenant| v1::IssueOperatorRequest { csr: csr.clone(), ..order(role, tenant, "two", 1) };
    let platform = || good(Role::Platform, "t");
    let mut forged = csr.clone();
    *forged.last_mut().unwrap() ^= 1;
    let trailing = [csr.as_slice(), b"x"].concat();
    let (admin, own, foreign) = (&world.admin, &world.tenant_admin, &world.foreign);
    let invalid = |code, word| (Code::InvalidArgument, code, word);
    let denied = (Code::PermissionDenied, "role-insufficient", "without a tenant");
    let rows = [
        ("nothing", admin, v1::IssueOperatorRequest::default(), malformed("validity")),
        ("no role", admin, v1::IssueOperatorRequest { role: 0, ..platform() }, malformed("role")),
        ("no such role", admin, v1::IssueOperatorRequest { role: 77, ..platform() }, malformed("role")),
        ("no name", admin, v1::IssueOperatorRequest { name: String::new(), ..platform() }, malformed("name")),
        (
            "a long name",
            admin,
            v1::IssueOperatorRequest { name: "n".repeat(65), ..platform() },
            malformed("name"),
        ),
        (
            "a path for a name",
            admin,
            v1::IssueOperatorRequest { name: "a/b".into(), ..platform() },
            malformed("name"),
        ),
        ("no tenant for a station", admin, good(Role::Station, ""), malformed("tenant")),
        ("a tenant for an admin", admin, good(Role::Admin, "t"), malformed("tenant")),
        ("no such tenant", admin, good(Role::Station, "nowhere"), NO_TENANT),
        ("another's tenant", foreign, platform(), NO_TENANT),
        ("an admin, by a tenant's", own, good(Role::Admin, ""), denied),
        ("an auditor of all, by a tenant's", own, good(Role::Auditor, ""), denied),
        (
            "no time",
            admin,
            v1::IssueOperatorRequest { validity: time::span(0), ..platform() },
            malformed("validity"),
        ),
        (
            "59 seconds",
            admin,
            v1::IssueOperatorRequest { validity: time::span(59), ..platform() },
            malformed("validity"),
        ),
        (
            "367 days",
            admin,
            v1::IssueOperatorRequest { validity: time::span(367 * 86_400), ..platform() },
            malformed("validity"),
        ),
        (
            "for good",
            admin,
            v1::IssueOperatorRequest { validity: time::span(u64::MAX), ..platform() },
            malformed("validity"),
        ),
        (
            "a quota for a platform",
            admin,
            v1::IssueOperatorRequest { quota: 1, ..platform() },
            malformed("quota"),
        ),
        (
            "no key",
            admin,
            v1::IssueOperatorRequest { csr: vec![], ..platform() },
            invalid("csr-malformed", "request"),
        ),
        (
            "4097 bytes",
            admin,
            v1::IssueOperatorRequest { csr: vec![0x30; 4097], ..platform() },
            malformed("csr"),
        ),
        (
            "no DER",
            admin,
            v1::IssueOperatorRequest { csr: vec![0x30, 0x80], ..platform() },
            invalid("csr-malformed", "DER"),
        ),
        (
            "bytes behind",
            admin,
            v1::IssueOperatorRequest { csr: trailing, ..platform() },
            invalid("csr-trailing-bytes", "follow"),
        ),
        (
            "a forged signature",
            admin,
            v1::IssueOperatorRequest { csr: forged, ..platform() },
            invalid("csr-signature", "not signed"),
        ),
        (
            "it is there",
            own,
            v1::IssueOperatorRequest { name: "one".into(), ..platform() },
            (Code::AlreadyExists, "operator-exists", "revoke it first"),
        ),
    ];
    world.refuses(Method::IssueOperator, rows).await;
}

#[tokio::test]
async fn list_operators() {
    let world = World::new().await;
    let ask = |tenant: &str, page_size, length| v1::ListOperatorsRequest {
        tenant: tenant.into(),
        page_size,
        page_token: vec![1; length],
    };
    let rows = [
        ("no tenant's name", &world.admin, ask("T", 1, 0), malformed("tenant")),
        ("no such tenant", &world.admin, ask("nowhere", 1, 0), NO_TENANT),
        ("another's tenant", &world.foreign, ask("t", 1, 0), NO_TENANT),
        ("another's tenant, by an auditor", &world.auditor, ask("other", 1, 0), NO_TENANT),
        ("a long token", &world.admin, ask("t", 1, LONG_TOKEN), malformed("page_token")),
    ];
    world.refuses(Method::ListOperators, rows).await;
}

#[tokio::test]
async fn revoke_operator() {
    let world = World::new().await;
    let ask = |serial: &str, reason: &str| v1::RevokeOperatorRequest {
        serial: serial.into(),
        reason: reason.into(),
        with_issued: false,
    };
    let station = world.serial(Role::Station, "t", "one").await;
    let root = world.served.founded.admin.serial.to_string();
    let (by, unknown) = (&world.admin, (Code::NotFound, "operator-unknown", "no operator"));
    let rows = [
        ("no serial", by, ask("", "x"), malformed("serial")),
        ("an odd digit", by, ask(&station[1..], "x"), malformed("serial")),
        ("capitals", by, ask(&"4A".repeat(16), "x"), malformed("serial")),
        ("a megabyte's beginning", by, ask(&"4".repeat(8192), "x"), malformed("serial")),
        ("a serial that none has", by, ask(&"f".repeat(32), "x"), malformed("serial")),
        ("no reason", by, ask(&station, ""), malformed("reason")),
        ("a long reason", by, ask(&station, &"x".repeat(257)), malformed("reason")),
        ("a reason of two lines", by, ask(&station, "a\nb"), malformed("reason")),
        ("no such operator", by, ask(NO_SERIAL, "x"), unknown),
        ("another's operator", &world.foreign, ask(&station, "x"), unknown),
        ("the founder, by a tenant's", &world.tenant_admin, ask(&root, "x"), unknown),
        (
            "the last administrator",
            by,
            ask(&root, "x"),
            (Code::FailedPrecondition, "last-administrator", "operator issue --role admin"),
        ),
    ];
    world.refuses(Method::RevokeOperator, rows).await;
}

#[tokio::test]
async fn get_device() {
    let world = World::new().await;
    TestDevice::enrolled(&world.station, "pump-1").await;
    let ask = |tenant: &str, id: &str| v1::GetDeviceRequest { tenant: tenant.into(), device_id: id.into() };
    let by = &world.admin;
    let rows = [
        ("no tenant", by, ask("", "pump-1"), malformed("tenant")),
        ("no device", by, ask("t", ""), malformed("device_id")),
        ("129 bytes", by, ask("t", &"d".repeat(129)), malformed("device_id")),
        ("a separator of keys", by, ask("t", "pump\0-1"), malformed("device_id")),
        ("a path", by, ask("t", "../other/pump-1"), malformed("device_id")),
        ("no such device", by, ask("t", "pump-2"), NO_DEVICE),
        ("no such tenant", by, ask("nowhere", "pump-1"), NO_TENANT),
        ("a device of another tenant under its own", &world.foreign, ask("other", "pump-1"), NO_DEVICE),
        ("another's tenant", &world.foreign, ask("t", "pump-1"), NO_TENANT),
    ];
    world.refuses(Method::GetDevice, rows).await;
}

#[tokio::test]
async fn list_devices() {
    let world = World::new().await;
    let good = || v1::ListDevicesRequest { tenant: "t".into(), page_size: 1, ..Default::default() };
    let by = &world.admin;
    for id in ["pump-1", "pump-2"] {
        TestDevice::enrolled(&world.station, id).await;
    }
    let token = by.admin().list_devices(good()).await.unwrap().into_inner().next_page_token;
    assert!(!token.is_empty());
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let foreign_token = b"other\0pump-1".to_vec();
    let rows = [
        ("no tenant", by, v1::ListDevicesRequest { tenant: String::new(), ..good() }, malformed("tenant")),
        ("no such state", by, v1::ListDevicesRequest { state: 77, ..good() }, malformed("state")),
        (
            "before 1970",
            by,
            v1::ListDevicesRequest { seen_before: at(-1), ..good() },
            malformed("seen_before"),
        ),
        (
            "after the year 9999",
            by,
            v1::ListDevicesRequest { seen_after: at(253_402_300_800), ..good() },
            malformed("seen_after"),
        ),
        (
            "the token of another filter",
            by,
            v1::ListDevicesRequest { rekey_due: true, page_token: token, ..good() },
            malformed("page_token"),
        ),
        (
            "no profile's name",
            by,
            v1::ListDevicesRequest { profile: "a b".into(), ..good() },
            malformed("profile"),
        ),
        ("no UDI", by, v1::ListDevicesRequest { udi: "4711".into(), ..good() }, malformed("udi")),
        (
            "the UDI of many devices",
            by,
            v1::ListDevicesRequest { udi: "(01)09506000134352".into(), ..good() },
            malformed("udi"),
        ),
        (
            "a long serial number",
            by,
            v1::ListDevicesRequest { serial_number: "4".repeat(21), ..good() },
            malformed("serial_number"),
        ),
        (
            "a long operator",
            by,
            v1::ListDevicesRequest { enrolled_by: "o".repeat(149), ..good() },
            malformed("enrolled_by"),
        ),
        (
            "enrolled before 1970",
            by,
            v1::ListDevicesRequest { enrolled_after: at(-1), ..good() },
            malformed("enrolled_after"),
        ),
        ("a long model", by, v1::ListDevicesRequest { model: "m".repeat(65), ..good() }, malformed("model")),
        (
            "a long token",
            by,
            v1::ListDevicesRequest { page_token: vec![1; LONG_TOKEN], ..good() },
            malformed("page_token"),
        ),
        (
            "the token of another list",
            by,
            v1::ListDevicesRequest { page_token: foreign_token, ..good() },
            malformed("page_token"),
        ),
        ("no such tenant", by, v1::ListDevicesRequest { tenant: "nowhere".into(), ..good() }, NO_TENANT),
        ("another's tenant", &world.foreign, good(), NO_TENANT),
    ];
    world.refuses(Method::ListDevices, rows).await;
}

#[tokio::test]
async fn set_device_state() {
    let world = World::new().await;
    for id in ["pump-1", "pump-2"] {
        TestDevice::enrolled(&world.station, id).await;
    }
    TestDevice::pending(&world.station, "pump-3").await;
    world.set_state("pump-2", "revoked").await;
    let good = |device_id: &str, state: &str| v1::SetDeviceStateRequest {
        tenant: "t".into(),
        device_id: device_id.into(),
        state: number::<v1::DeviceState>(state),
        reason: "test".into(),
        ..Default::default()
    };
    let revoke = || good("pump-1", "revoked");
    let by = &world.admin;
    let not_allowed = |word| (Code::FailedPrecondition, "transition-not-allowed", word);
    let rows = [
        (
            "no tenant",
            by,
            v1::SetDeviceStateRequest { tenant: String::new(), ..revoke() },
            malformed("tenant"),
        ),
        ("no device", by, good("", "revoked"), malformed("device_id")),
        ("no state", by, good("pump-1", ""), malformed("state")),
        ("a state of the past", by, good("pump-1", "pending"), malformed("state")),
        (
            "no reason",
            by,
            v1::SetDeviceStateRequest { reason: String::new(), ..revoke() },
            malformed("reason"),
        ),
        (
            "a long reason",
            by,
            v1::SetDeviceStateRequest { reason: "x".repeat(257), ..revoke() },
            malformed("reason"),
        ),
        (
            "a batch of 33 bytes",
            by,
            v1::SetDeviceStateRequest { batch: vec![1; 33], ..revoke() },
            malformed("batch"),
        ),
        ("a helpdesk revokes", &world.helpdesk, revoke(), BEYOND),
        ("a helpdesk retires", &world.helpdesk, good("pump-1", "retired"), BEYOND),
        ("a helpdesk quarantines", &world.helpdesk, good("pump-1", "quarantined"), BEYOND),
        ("a helpdesk resumes", &world.helpdesk, good("pump-1", "active"), BEYOND),
        (
            "a helpdesk suspends what is revoked",
            &world.helpdesk,
            good("pump-2", "suspended"),
            not_allowed("revoked"),
        ),
        ("no such device", by, good("pump-9", "revoked"), NO_DEVICE),
        ("revoked is for good", by, good("pump-2", "active"), not_allowed("revoked")),
        ("not confirmed", by, good("pump-3", "active"), not_allowed("pending")),
        ("no such tenant", by, v1::SetDeviceStateRequest { tenant: "nowhere".into(), ..revoke() }, NO_TENANT),
        ("another's tenant", &world.foreign, revoke(), NO_TENANT),
        (
            "a device of another tenant under its own",
            &world.foreign,
            v1::SetDeviceStateRequest { tenant: "other".into(), ..revoke() },
            NO_DEVICE,
        ),
    ];
    world.refuses(Method::SetDeviceState, rows).await;
    world.helpdesk.admin().set_device_state(good("pump-1", "suspended")).await.unwrap();
}

const BEYOND: Expected = (Code::PermissionDenied, "role-insufficient", "role helpdesk");

#[tokio::test]
async fn begin_batch() {
    let world = World::new().await;
    let of = |change| v1::BeginBatchRequest {
        tenant: "t".into(),
        change: Some(change),
        selector: "ids given by hand".into(),
        devices: 2,
        digest: vec![7; 32],
        reason: "test".into(),
    };
    let state = |word: &str| of(Change::State(number::<v1::DeviceState>(word)));
    let good = || state("suspended");
    let rotation = || of(Change::Rotation(v1::BatchRotation { required: true }));
    let (by, denied) = (&world.admin, (Code::PermissionDenied, "role-denied", "BeginBatch"));
    let rows = [
        ("no tenant", by, v1::BeginBatchRequest { tenant: String::new(), ..good() }, malformed("tenant")),
        ("no change", by, v1::BeginBatchRequest { change: None, ..good() }, malformed("change")),
        ("a state of the past", by, state("pending"), malformed("state")),
        ("no state", by, state(""), malformed("state")),
        (
            "no selector",
            by,
            v1::BeginBatchRequest { selector: String::new(), ..good() },
            malformed("selector"),
        ),
        (
            "a long selector",
            by,
            v1::BeginBatchRequest { selector: "x".repeat(513), ..good() },
            malformed("selector"),
        ),
        (
            "a selector that moves a cursor",
            by,
            v1::BeginBatchRequest { selector: "a\u{1b}[2J".into(), ..good() },
            malformed("selector"),
        ),
        ("no devices", by, v1::BeginBatchRequest { devices: 0, ..good() }, malformed("devices")),
        ("too many", by, v1::BeginBatchRequest { devices: 100_001, ..good() }, malformed("devices")),
        ("31 bytes", by, v1::BeginBatchRequest { digest: vec![7; 31], ..good() }, malformed("digest")),
        ("no reason", by, v1::BeginBatchRequest { reason: String::new(), ..good() }, malformed("reason")),
        ("no such tenant", by, v1::BeginBatchRequest { tenant: "nowhere".into(), ..good() }, NO_TENANT),
        ("another's tenant", &world.foreign, good(), NO_TENANT),
        ("an auditor", &world.auditor, good(), denied),
        ("a helpdesk resumes", &world.helpdesk, state("active"), BEYOND),
        ("a helpdesk revokes", &world.helpdesk, state("revoked"), BEYOND),
        ("a helpdesk rotates", &world.helpdesk, rotation(), BEYOND),
    ];
    world.refuses(Method::BeginBatch, rows).await;
    world.helpdesk.admin().begin_batch(good()).await.unwrap();
    by.admin().begin_batch(rotation()).await.unwrap();
}

/// It asks for nothing, so only its caller can be wrong; and time.
#[tokio::test]
async fn get_status() {
    let world = World::new().await;
    let empty = v1::GetStatusRequest {};
    let denied = (Code::PermissionDenied, "role-denied", "GetStatus");
    world.refuses(Method::GetStatus, [("a station", &world.station, empty, denied)]).await;
    world.served.clock.pass(VALIDITY + 1);
    let expired = (Code::Unauthenticated, "operator-expired", "expired");
    world.refuses(Method::GetStatus, [("its time is over", &world.auditor, empty, expired)]).await;
}
