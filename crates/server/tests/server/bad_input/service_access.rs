//! `ServiceAccessService`.

use super::world::{Expected, NO_DEVICE, NO_TENANT, World, malformed};
use crate::common::device::TestDevice;
use tonic::Code;
use wardein_client::{Connection, time, v1};
use wardein_domain::{Method, Role};
use wardein_port::Clock as _;

const NO_VISIT: Expected = (Code::NotFound, "visit-unknown", "no visit");
const CLOSED: Expected = (Code::FailedPrecondition, "visit-closed", "was ended");
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";

fn denied(method: &'static str) -> Expected {
    (Code::PermissionDenied, "role-denied", method)
}

fn good(world: &World) -> v1::InviteTechnicianRequest {
    v1::InviteTechnicianRequest {
        tenant: "t".into(),
        technician: "one".into(),
        ssh_key: KEY.into(),
        device_ids: vec!["pump".into()],
        work_order: "WO-1".into(),
        scope: "view".into(),
        ends_at: time::at(world.served.clock.wall_ms() / 1000 + 7_200),
        ..Default::default()
    }
}

async fn invite(world: &World, by: &Connection) -> v1::Visit {
    let invited = by.service_access().invite_technician(good(world)).await.unwrap();
    invited.into_inner().visit.unwrap()
}

#[tokio::test]
async fn service_policy() {
    let world = World::new().await;
    let get = |tenant: &str| v1::GetServicePolicyRequest { tenant: tenant.into() };
    let rows = [
        ("nothing", &world.admin, get(""), malformed("tenant")),
        ("not a tenant's name", &world.admin, get("T"), malformed("tenant")),
        ("no such tenant", &world.admin, get("nowhere"), NO_TENANT),
        ("another's tenant", &world.foreign, get("t"), NO_TENANT),
        ("a technician", &world.technician, get("t"), denied("GetServicePolicy")),
    ];
    world.refuses(Method::GetServicePolicy, rows).await;
    let with = |scopes: &[&str], seconds| v1::PutServicePolicyRequest {
        tenant: "t".into(),
        policy: Some(v1::ServicePolicy {
            scopes: scopes.iter().map(ToString::to_string).collect(),
            longest_visit: time::span(seconds),
            release_at_device: false,
        }),
    };
    let elsewhere = v1::PutServicePolicyRequest { tenant: "nowhere".into(), ..with(&["view"], 3_600) };
    let by = &world.tenant_admin;
    let rows = [
        ("nothing", by, v1::PutServicePolicyRequest::default(), malformed("policy")),
        ("no scopes", by, with(&[], 3_600), malformed("policy.scopes")),
        ("not a scope", by, with(&["View"], 3_600), malformed("policy.scopes")),
        ("an option", by, with(&["-view"], 3_600), malformed("policy.scopes")),
        ("too many", by, with(&["view"; 17], 3_600), malformed("policy.scopes")),
        ("too short", by, with(&["view"], 3_599), malformed("policy.longest_visit")),
        ("too long", by, with(&["view"], 30 * 86_400 + 1), malformed("policy.longest_visit")),
        ("no such tenant", &world.admin, elsewhere, NO_TENANT),
        ("another's tenant", &world.foreign, with(&["view"], 3_600), NO_TENANT),
        ("a coordinator", &world.coordinator, with(&["view"], 3_600), denied("PutServicePolicy")),
    ];
    world.refuses(Method::PutServicePolicy, rows).await;
    // Each choice comes back as it was made.
    for release_at_device in [true, false] {
        let mut put = with(&["view"], 3_600);
        put.policy.as_mut().unwrap().release_at_device = release_at_device;
        by.service_access().put_service_policy(put).await.unwrap();
        let got = by.service_access().get_service_policy(get("t")).await.unwrap().into_inner();
        assert_eq!(got.policy.unwrap().release_at_device, release_at_device);
    }
}

#[tokio::test]
async fn invite_technician() {
    let world = World::new().await;
    TestDevice::enrolled(&world.station, "pump").await;
    let by = &world.coordinator;
    let good = good(&world);
    let now = world.served.clock.wall_ms() / 1000;
    let with = |alter: fn(&mut v1::InviteTechnicianRequest)| {
        let mut request = good.clone();
        alter(&mut request);
        request
    };
    let ending = |ends_at: u64| v1::InviteTechnicianRequest { ends_at: time::at(ends_at), ..good.clone() };
    let past = (Code::InvalidArgument, "visit-window-past", "past");
    let bounds = (Code::InvalidArgument, "visit-window-bounds", "window");
    let no_scope = (Code::InvalidArgument, "service-scope-unknown", "calibration");
    let no_technician = (Code::NotFound, "operator-unknown", "no technician");
    let rows = [
        ("nothing", by, v1::InviteTechnicianRequest::default(), malformed("technician")),
        ("no tenant", &world.admin, with(|order| order.tenant.clear()), malformed("tenant")),
        ("no key", by, with(|order| order.ssh_key.clear()), malformed("ssh_key")),
        ("an RSA key", by, with(|order| order.ssh_key = "ssh-rsa AAAA".into()), malformed("ssh_key")),
        ("options", by, with(|order| order.ssh_key = format!("pty {KEY}")), malformed("ssh_key")),
        ("a cut key", by, with(|order| order.ssh_key.truncate(40)), malformed("ssh_key")),
        ("a long one", by, with(|order| order.ssh_key += &" x".repeat(600)), malformed("ssh_key")),
        ("no device", by, with(|order| order.device_ids.clear()), malformed("device_ids")),
        ("all devices", by, with(|order| order.device_ids = vec!["*".into()]), malformed("device_ids")),
        ("a list in one", by, with(|order| order.device_ids = vec!["a,b".into()]), malformed("device_ids")),
        ("a line", by, with(|order| order.device_ids = vec!["a\nb".into()]), malformed("device_ids")),
        ("too many", by, with(|order| order.device_ids = vec!["a".into(); 33]), malformed("device_ids")),
        ("twice", by, with(|order| order.device_ids.push("pump".into())), malformed("device_ids")),
        ("no such device", by, with(|order| order.device_ids = vec!["none".into()]), NO_DEVICE),
        ("no work order", by, with(|order| order.work_order.clear()), malformed("work_order")),
        ("a command", by, with(|order| order.work_order = "1;reboot".into()), malformed("work_order")),
        ("an option", by, with(|order| order.work_order = "-x".into()), malformed("work_order")),
        ("no scope", by, with(|order| order.scope.clear()), malformed("scope")),
        ("none of the list", by, with(|order| order.scope = "root".into()), no_scope),
        ("no technician", by, with(|order| order.technician = "none".into()), no_technician),
        (
            "not a source",
            by,
            with(|order| order.source_addresses = vec!["x".into()]),
            malformed("source_addresses"),
        ),
        (
            "host bits",
            by,
            with(|order| order.source_addresses = vec!["10.0.0.1/8".into()]),
            malformed("source_addresses"),
        ),
        (
            "nine sources",
            by,
            with(|order| order.source_addresses = vec!["10.0.0.1".into(); 9]),
            malformed("source_addresses"),
        ),
        (
            "no token",
            by,
            with(|order| order.verification_required = true),
            malformed("verification_required"),
        ),
        ("no end", by, with(|order| order.ends_at = None), malformed("ends_at")),
        ("over", by, ending(now - 1), past),
        ("a moment", by, ending(now + 250), bounds),
        ("years", by, ending(now + 3 * 365 * 86_400), bounds),
        ("another's tenant", &world.foreign, good.clone(), NO_TENANT),
        ("a technician", &world.technician, good.clone(), denied("InviteTechnician")),
    ];
    world.refuses(Method::InviteTechnician, rows).await;
    let visit = invite(&world, by).await;
    assert_eq!(visit.state, i32::from(v1::VisitState::Requested));
    let overlaps = (Code::FailedPrecondition, "visit-overlaps", "already");
    world.refuses(Method::InviteTechnician, [("twice", by, good, overlaps)]).await;
}

#[tokio::test]
async fn visits() {
    let world = World::new().await;
    TestDevice::enrolled(&world.station, "pump").await;
    let visit = invite(&world, &world.coordinator).await;
    let list = |tenant: &str| v1::ListVisitsRequest { tenant: tenant.into(), ..Default::default() };
    let other_list = v1::ListVisitsRequest { page_token: vec![7; 9], ..list("t") };
    let rows = [
        ("not a tenant's name", &world.admin, list("T"), malformed("tenant")),
        ("another's tenant", &world.foreign, list("t"), NO_TENANT),
        ("a token of another list", &world.admin, other_list, malformed("page_token")),
        ("a platform", &world.platform, list("t"), denied("ListVisits")),
    ];
    world.refuses(Method::ListVisits, rows).await;
    let get = |id: &str| v1::GetVisitRequest { tenant: "t".into(), id: id.into() };
    let rows = [
        ("no id", &world.admin, get(""), malformed("id")),
        ("not hex", &world.admin, get(&"x".repeat(16)), malformed("id")),
        ("none", &world.admin, get(&"0".repeat(16)), NO_VISIT),
        ("another tenant's", &world.foreign, get(&visit.id), NO_TENANT),
        ("a station", &world.station, get(&visit.id), denied("GetVisit")),
    ];
    world.refuses(Method::GetVisit, rows).await;
    let release = |id: &str| v1::ReleaseVisitRequest { tenant: "t".into(), id: id.into() };
    let rows = [
        ("no id", &world.site, release("1"), malformed("id")),
        ("none", &world.site, release(&"0".repeat(16)), NO_VISIT),
        ("an administrator", &world.tenant_admin, release(&visit.id), denied("ReleaseVisit")),
        ("who asked for it", &world.coordinator, release(&visit.id), denied("ReleaseVisit")),
        ("the technician", &world.technician, release(&visit.id), denied("ReleaseVisit")),
        // All operators here are called `one`: one person.
        (
            "the same person",
            &world.site,
            release(&visit.id),
            (Code::PermissionDenied, "releaser-not-independent", "another person"),
        ),
    ];
    world.refuses(Method::ReleaseVisit, rows).await;
    let end = |id: &str, reason: &str| v1::EndVisitRequest {
        tenant: "t".into(),
        id: id.into(),
        reason: reason.into(),
    };
    let rows = [
        ("no id", &world.coordinator, end("", "x"), malformed("id")),
        ("no reason", &world.coordinator, end(&visit.id, ""), malformed("reason")),
        ("too much of it", &world.coordinator, end(&visit.id, &"x".repeat(257)), malformed("reason")),
        ("none", &world.coordinator, end(&"0".repeat(16), "x"), NO_VISIT),
        ("another tenant's", &world.foreign, end(&visit.id, "x"), NO_TENANT),
        ("an auditor", &world.auditor, end(&visit.id, "x"), denied("EndVisit")),
    ];
    world.refuses(Method::EndVisit, rows).await;
    let close = |id: &str, reason: &str| v1::CloseVisitRequest {
        tenant: "t".into(),
        id: id.into(),
        reason: reason.into(),
    };
    let goes_on = (Code::FailedPrecondition, "protocol-not-awaited", "is awaited");
    let rows = [
        ("no id", &world.admin, close("", "x"), malformed("id")),
        ("no reason", &world.admin, close(&visit.id, ""), malformed("reason")),
        ("none", &world.admin, close(&"0".repeat(16), "x"), NO_VISIT),
        ("another tenant's", &world.foreign, close(&visit.id, "x"), NO_TENANT),
        ("the technician", &world.technician, close(&visit.id, "x"), denied("CloseVisit")),
        ("who asked for it", &world.coordinator, close(&visit.id, "x"), denied("CloseVisit")),
        ("it goes on", &world.site, close(&visit.id, "x"), goes_on),
    ];
    world.refuses(Method::CloseVisit, rows).await;
    let import = |protocol: &[u8]| v1::ImportVisitProtocolRequest { protocol: protocol.to_vec() };
    // By nobody's keys, of a session at a device of this tenant.
    let body = [
        &b"\x01\x01\0\0\0\x01t\0\0\0\x04pump"[..],
        &[7; 8],
        &[7; 16],
        b"\0\0\0\x03eva\0\0\0\x04WO-1\0\0\0\x04view",
        &[0; 17],
    ];
    let body = body.concat();
    let key = [&[0, 0, 0, 0, 0, 0, 0, 1][..], &[0; 12]].concat();
    let whole = [&[17][..], &key, &(body.len() as u32).to_be_bytes(), &body, &[7; 32]].concat();
    let not_agreed = (Code::FailedPrecondition, "service-codes-not-agreed", "pump");
    let rows = [
        ("nothing", &world.admin, import(b""), malformed("protocol")),
        ("cut", &world.admin, import(&whole[..whole.len() - 1]), malformed("protocol")),
        ("longer", &world.admin, import(&[&whole[..], b"x"].concat()), malformed("protocol")),
        ("too long", &world.admin, import(&[17; 9_000]), malformed("protocol")),
        ("of a device without such keys", &world.coordinator, import(&whole), not_agreed),
        ("another tenant's", &world.foreign, import(&whole), NO_TENANT),
        ("a station", &world.station, import(&whole), denied("ImportVisitProtocol")),
    ];
    world.refuses(Method::ImportVisitProtocol, rows).await;
    world.technician.service_access().end_visit(end(&visit.id, "done")).await.unwrap();
    let second = world.operator(Role::Site, "two", 0).await;
    world.refuses(Method::ReleaseVisit, [("ended", &second, release(&visit.id), CLOSED)]).await;
}

#[tokio::test]
async fn certificates() {
    let world = World::new().await;
    TestDevice::enrolled(&world.station, "pump").await;
    let get = |tenant: &str| v1::GetServiceCaRequest { tenant: tenant.into() };
    let rows = [
        ("nothing", &world.admin, get(""), malformed("tenant")),
        ("another's tenant", &world.foreign, get("t"), NO_TENANT),
        ("a platform", &world.platform, get("t"), denied("GetServiceCa")),
    ];
    world.refuses(Method::GetServiceCa, rows).await;
    let visit = invite(&world, &world.coordinator).await;
    let of = |id: &str, device: &str| v1::IssueVisitCertificateRequest {
        tenant: "t".into(),
        id: id.into(),
        device_id: device.into(),
    };
    let good = of(&visit.id, "pump");
    let by = &world.technician;
    let waits = (Code::FailedPrecondition, "visit-not-released", "release");
    let other = world.operator(Role::Technician, "two", 0).await;
    let elsewhere = v1::IssueVisitCertificateRequest { tenant: "other".into(), ..good.clone() };
    let rows = [
        ("nothing", by, v1::IssueVisitCertificateRequest::default(), malformed("id")),
        ("no device", by, of(&visit.id, ""), malformed("device_id")),
        ("all devices", by, of(&visit.id, "*"), malformed("device_id")),
        ("none", by, of(&"0".repeat(16), "pump"), NO_VISIT),
        ("another tenant", by, elsewhere, NO_TENANT),
        ("another technician's", &other, good.clone(), NO_VISIT),
        ("not released", by, good.clone(), waits),
        ("who asked for it", &world.coordinator, good.clone(), denied("IssueVisitCertificate")),
        ("an administrator", &world.admin, good.clone(), denied("IssueVisitCertificate")),
        ("the site", &world.site, good.clone(), denied("IssueVisitCertificate")),
    ];
    world.refuses(Method::IssueVisitCertificate, rows).await;
    let second = world.operator(Role::Site, "two", 0).await;
    let release = v1::ReleaseVisitRequest { tenant: "t".into(), id: visit.id.clone() };
    second.service_access().release_visit(release).await.unwrap();
    let rows = [("a device of no visit", by, of(&visit.id, "pump-2"), malformed("device_id"))];
    world.refuses(Method::IssueVisitCertificate, rows).await;
    let issued = by.service_access().issue_visit_certificate(good.clone()).await.unwrap().into_inner();
    assert_eq!(issued.principal, "dev:t/pump");
    assert!(issued.certificate.starts_with("ssh-ed25519-cert-v01@openssh.com "));
    let end = v1::EndVisitRequest { tenant: "t".into(), id: visit.id.clone(), reason: "done".into() };
    world.coordinator.service_access().end_visit(end).await.unwrap();
    world.refuses(Method::IssueVisitCertificate, [("ended", by, good, CLOSED)]).await;
}

#[tokio::test]
async fn challenges() {
    let world = World::new().await;
    TestDevice::enrolled(&world.station, "pump").await;
    let visit = invite(&world, &world.coordinator).await;
    let of = |id: &str, device: &str, challenge: &str| v1::AnswerChallengeRequest {
        tenant: "t".into(),
        id: id.into(),
        device_id: device.into(),
        challenge: challenge.into(),
    };
    let good = of(&visit.id, "pump", "1000-0000-00");
    let by = &world.technician;
    let other = world.operator(Role::Technician, "two", 0).await;
    let waits = (Code::FailedPrecondition, "visit-not-released", "release");
    let rows = [
        ("nothing", by, v1::AnswerChallengeRequest::default(), malformed("id")),
        ("no device", by, of(&visit.id, "", "1000-0000-00"), malformed("device_id")),
        ("no challenge", by, of(&visit.id, "pump", ""), malformed("challenge")),
        ("a cut one", by, of(&visit.id, "pump", "1000-0000-0"), malformed("challenge")),
        ("a longer one", by, of(&visit.id, "pump", "1000-0000-000"), malformed("challenge")),
        ("a very long one", by, of(&visit.id, "pump", &"0".repeat(9_999)), malformed("challenge")),
        ("another letter", by, of(&visit.id, "pump", "1000-U000-00"), malformed("challenge")),
        ("of generation 0", by, of(&visit.id, "pump", "0000-0000-00"), malformed("challenge")),
        ("none", by, of(&"0".repeat(16), "pump", "1000-0000-00"), NO_VISIT),
        ("another technician's", &other, good.clone(), NO_VISIT),
        ("not released", by, good.clone(), waits),
        ("who asked for it", &world.coordinator, good.clone(), denied("AnswerChallenge")),
        ("an administrator", &world.admin, good.clone(), denied("AnswerChallenge")),
        ("the site", &world.site, good.clone(), denied("AnswerChallenge")),
    ];
    world.refuses(Method::AnswerChallenge, rows).await;
    let second = world.operator(Role::Site, "two", 0).await;
    let release = v1::ReleaseVisitRequest { tenant: "t".into(), id: visit.id.clone() };
    second.service_access().release_visit(release).await.unwrap();
    let not_agreed = (Code::FailedPrecondition, "service-codes-not-agreed", "pump");
    let rows = [
        ("a device of no visit", by, of(&visit.id, "pump-2", "1000-0000-00"), malformed("device_id")),
        ("no keys for it", by, good.clone(), not_agreed),
    ];
    world.refuses(Method::AnswerChallenge, rows).await;
    let end = v1::EndVisitRequest { tenant: "t".into(), id: visit.id.clone(), reason: "done".into() };
    world.coordinator.service_access().end_visit(end).await.unwrap();
    world.refuses(Method::AnswerChallenge, [("ended", by, good, CLOSED)]).await;
}

#[tokio::test]
async fn emergencies() {
    let world = World::new().await;
    TestDevice::enrolled(&world.station, "pump").await;
    let show = |tenant: &str, device: &str, reason: &str| v1::ShowEmergencyCodeRequest {
        tenant: tenant.into(),
        device_id: device.into(),
        reason: reason.into(),
    };
    let good = show("t", "pump", "fire");
    let by = &world.site;
    let missing = (Code::FailedPrecondition, "emergency-code-missing", "pump");
    let rows = [
        ("nothing", by, v1::ShowEmergencyCodeRequest::default(), malformed("device_id")),
        ("no tenant", &world.admin, show("", "pump", "fire"), malformed("tenant")),
        ("all devices", by, show("t", "*", "fire"), malformed("device_id")),
        ("no reason", by, show("t", "pump", ""), malformed("reason")),
        ("too much of it", by, show("t", "pump", &"x".repeat(257)), malformed("reason")),
        ("no such device", by, show("t", "none", "fire"), NO_DEVICE),
        ("another's tenant", &world.foreign, good.clone(), NO_TENANT),
        ("no code", by, good.clone(), missing),
        ("a technician", &world.technician, good.clone(), denied("ShowEmergencyCode")),
        ("a coordinator", &world.coordinator, good.clone(), denied("ShowEmergencyCode")),
        ("an auditor", &world.auditor, good, denied("ShowEmergencyCode")),
    ];
    world.refuses(Method::ShowEmergencyCode, rows).await;
    let list = |tenant: &str| v1::ListEmergencyUsesRequest { tenant: tenant.into(), ..Default::default() };
    let other_list = v1::ListEmergencyUsesRequest { page_token: vec![7; 9], ..list("t") };
    let rows = [
        ("not a tenant's name", &world.admin, list("T"), malformed("tenant")),
        ("another's tenant", &world.foreign, list("t"), NO_TENANT),
        ("a token of another list", &world.admin, other_list, malformed("page_token")),
        ("a technician", &world.technician, list("t"), denied("ListEmergencyUses")),
    ];
    world.refuses(Method::ListEmergencyUses, rows).await;
    let close = |device: &str, reason: &str| v1::CloseEmergencyReviewRequest {
        tenant: "t".into(),
        device_id: device.into(),
        reason: reason.into(),
    };
    let none = (Code::FailedPrecondition, "emergency-review-missing", "pump");
    let rows = [
        ("no device", by, close("", "x"), malformed("device_id")),
        ("no reason", by, close("pump", ""), malformed("reason")),
        ("another's tenant", &world.foreign, close("pump", "x"), NO_TENANT),
        ("nothing open", by, close("pump", "x"), none),
        ("an auditor", &world.auditor, close("pump", "x"), denied("CloseEmergencyReview")),
        ("a technician", &world.technician, close("pump", "x"), denied("CloseEmergencyReview")),
    ];
    world.refuses(Method::CloseEmergencyReview, rows).await;
}
