//! Visits of technicians: asked by one person, released by another, within a window, and ended at any time.

mod at_device;

use crate::world::{World, caller, facts, name, order};
use std::collections::BTreeMap;
use wardein_crypto::hex;
use wardein_ddkg::message::{Admitted, VisitEnd, VisitProtocol};
use wardein_domain::{
    ApprovalPolicy, DeviceState, Event, GuardedDeed, OperatorName, Reason, Role, Seconds, ServicePolicy,
};
use wardein_engine::{
    Caller, Detail, Error, ErrorCode, Page, Visit, VisitCertificate, VisitId, VisitOrder, VisitState,
};
use wardein_pki::ssh::SshKey;
use wardein_port::{Clock as _, Store, Table};
use wardein_testkit::{has_openssh, is_revoked, shown_certificate};

pub(crate) const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";
const HOUR: u64 = 3_600;
const PAGE: Page = Page { size: 100, after: None };

/// An authority with a coordinator, two technicians, one who releases, an administrator, and a device.
pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) coordinator: Caller,
    pub(crate) eva: Caller,
    pub(crate) max: Caller,
    pub(crate) site: Caller,
    pub(crate) anna: Caller,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::of(World::new().await).await
    }

    pub(crate) async fn of(world: World) -> Self {
        let issue = async |role, name: &str| {
            let order = order(role, Some("klinik"), name);
            caller(world.engine.issue_operator(&world.admin, order).await.unwrap().1.principal)
        };
        let coordinator = issue(Role::ServiceCoordinator, "carla").await;
        let (eva, max) = (issue(Role::Technician, "eva").await, issue(Role::Technician, "max").await);
        let (site, anna) = (issue(Role::Site, "sina").await, issue(Role::TenantAdmin, "anna").await);
        world.proven("pump").await;
        Self { world, coordinator, eva, max, site, anna }
    }

    pub(crate) fn now(&self) -> u64 {
        self.world.clock.wall_ms() / 1000
    }

    pub(crate) fn order(&self) -> VisitOrder {
        VisitOrder {
            tenant: self.world.tenant(),
            technician: "eva".parse().unwrap(),
            ssh_key: KEY.parse().unwrap(),
            devices: vec!["pump".parse().unwrap()],
            work_order: "WO-00012".parse().unwrap(),
            scope: "maintenance".parse().unwrap(),
            from: None,
            until: self.now() + HOUR,
            sources: Vec::new(),
            needs_verification: false,
        }
    }

    pub(crate) async fn invite(&self, order: VisitOrder) -> Result<Visit, Error> {
        self.world.engine.invite_technician(&self.coordinator, order).await
    }

    pub(crate) async fn release(&self, by: &Caller, id: VisitId) -> Result<Visit, Error> {
        self.world.engine.release_visit(by, self.world.tenant(), id).await
    }

    pub(crate) async fn end(&self, by: &Caller, id: VisitId) -> Result<Visit, Error> {
        self.world.engine.end_visit(by, self.world.tenant(), id, reason()).await
    }

    async fn get(&self, by: &Caller, id: VisitId) -> Result<Visit, Error> {
        self.world.engine.get_visit(by, self.world.tenant(), id).await
    }

    async fn listed(&self, by: &Caller) -> Vec<VisitId> {
        let found = self.world.engine.list_visits(by, None, PAGE).await.unwrap();
        found.items.into_iter().map(|visit| visit.id).collect()
    }
}

fn reason() -> Reason {
    "done".parse().unwrap()
}

pub(crate) fn code<T>(refused: Result<T, Error>) -> ErrorCode {
    match refused {
        Ok(_) => panic!("it was done"),
        Err(error) => error.code,
    }
}

#[tokio::test]
async fn a_visit_is_asked_released_ended_and_on_record() {
    let site = Site::new().await;
    let later = site.now() + 600;
    let visit = site.invite(VisitOrder { from: Some(later), ..site.order() }).await.unwrap();
    assert_eq!(visit.state, VisitState::Requested);
    let released = site.release(&site.site, visit.id).await.unwrap();
    assert_eq!(
        (released.state, released.released.unwrap().0.to_string().as_str()),
        (VisitState::Released, "site/klinik/sina")
    );
    // Again changes nothing.
    let head = site.world.store.head().await.unwrap().revision;
    site.release(&site.site, visit.id).await.unwrap();
    assert_eq!(site.world.store.head().await.unwrap().revision, head);
    site.world.clock.pass(600);
    assert_eq!(site.get(&site.eva, visit.id).await.unwrap().state, VisitState::Current);
    let ended = site.end(&site.site, visit.id).await.unwrap();
    assert_eq!((ended.state, ended.ended.unwrap().2), (VisitState::Ended, reason()));
    site.end(&site.coordinator, visit.id).await.unwrap();
    assert_eq!(code(site.release(&site.site, visit.id).await), ErrorCode::VisitClosed);
    for (event, by) in [
        (Event::TechnicianInvited, "service-coordinator/klinik/carla"),
        (Event::VisitReleased, "site/klinik/sina"),
        (Event::VisitEnded, "site/klinik/sina"),
    ] {
        let entries = site.world.entries(event).await;
        assert_eq!((entries.len(), entries[0].actor.to_string().as_str()), (1, by));
        let text = facts(&entries[0]);
        assert!(text.contains("technician=eva, work-order=WO-00012"), "{text}");
        // It is in the history of the device.
        assert!(entries[0].of_history().is_some());
    }
    let asked = facts(&site.world.entries(Event::TechnicianInvited).await[0]);
    assert!(asked.contains("ssh-key=SHA256:") && asked.contains("service-scope=maintenance"), "{asked}");
}

#[tokio::test]
async fn nobody_releases_what_they_asked_for_nor_their_own_visit() {
    let site = Site::new().await;
    let by_anna = site.world.engine.invite_technician(&site.anna, site.order()).await.unwrap();
    // In another role, and in another case, it is the same person.
    for name in ["anna", "ANNA", "Eva"] {
        let order = order(Role::Site, Some("klinik"), name);
        let (_, issued) = site.world.engine.issue_operator(&site.world.admin, order).await.unwrap();
        let refused = site.release(&caller(issued.principal), by_anna.id).await;
        assert_eq!(code(refused), ErrorCode::ReleaserNotIndependent, "{name}");
    }
    assert_eq!(site.get(&site.eva, by_anna.id).await.unwrap().state, VisitState::Requested);
}

#[tokio::test]
async fn a_technician_sees_and_ends_its_own_visits_alone() {
    let site = Site::new().await;
    let visit = site.invite(site.order()).await.unwrap();
    assert_eq!(site.listed(&site.eva).await, [visit.id]);
    assert!(site.listed(&site.max).await.is_empty());
    assert_eq!(code(site.get(&site.max, visit.id).await), ErrorCode::VisitUnknown);
    assert_eq!(code(site.end(&site.max, visit.id).await), ErrorCode::VisitUnknown);
    // Nor does another tenant.
    site.world.engine.create_tenant(&site.world.admin, "other".parse().unwrap()).await.unwrap();
    let stranger = order(Role::TenantAdmin, Some("other"), "otto");
    let (_, stranger) = site.world.engine.issue_operator(&site.world.admin, stranger).await.unwrap();
    let stranger = caller(stranger.principal);
    assert!(site.listed(&stranger).await.is_empty());
    assert_eq!(code(site.get(&stranger, visit.id).await), ErrorCode::TenantUnknown);
    assert_eq!(code(site.release(&stranger, visit.id).await), ErrorCode::TenantUnknown);
    assert_eq!(
        code(site.world.engine.invite_technician(&stranger, site.order()).await),
        ErrorCode::TenantUnknown
    );
    assert_eq!(site.listed(&site.world.admin).await, [visit.id]);
    site.end(&site.eva, visit.id).await.unwrap();
}

#[tokio::test]
async fn windows_scopes_devices_and_technicians_are_judged() {
    let site = Site::new().await;
    let now = site.now();
    let with = |alter: fn(&mut VisitOrder, u64)| {
        let mut order = site.order();
        alter(&mut order, now);
        site.invite(order)
    };
    let codes = [
        (code(with(|order, now| order.until = now).await), ErrorCode::VisitWindowPast),
        (code(with(|order, now| order.from = Some(now - 301)).await), ErrorCode::VisitWindowPast),
        (code(with(|order, now| order.until = now + 299).await), ErrorCode::VisitWindowBounds),
        (code(with(|order, now| order.until = now + 7 * 86_400 + 1).await), ErrorCode::VisitWindowBounds),
        (code(with(|order, now| order.until = now + 3 * 365 * 86_400).await), ErrorCode::VisitWindowBounds),
        (code(with(|order, _| order.until = u64::MAX).await), ErrorCode::VisitWindowBounds),
        (code(with(|order, _| order.scope = "root".parse().unwrap()).await), ErrorCode::ServiceScopeUnknown),
        (code(with(|order, _| order.devices.clear()).await), ErrorCode::Malformed),
        (code(with(|order, _| order.devices.push("pump".parse().unwrap())).await), ErrorCode::Malformed),
        (code(with(|order, _| order.devices.push("none".parse().unwrap())).await), ErrorCode::DeviceUnknown),
        (code(with(|order, _| order.needs_verification = true).await), ErrorCode::Malformed),
        (
            code(with(|order, _| order.technician = "nobody".parse().unwrap()).await),
            ErrorCode::OperatorUnknown,
        ),
        // Who is an operator in another role is not a technician.
        (
            code(with(|order, _| order.technician = "carla".parse().unwrap()).await),
            ErrorCode::OperatorUnknown,
        ),
    ];
    for (at, (found, expected)) in codes.into_iter().enumerate() {
        assert_eq!(found, expected, "{at}");
    }
    let many = (0..33).map(|at| format!("d{at}").parse().unwrap()).collect();
    assert_eq!(code(site.invite(VisitOrder { devices: many, ..site.order() }).await), ErrorCode::Malformed);
    // A technician who was revoked is none.
    let (engine, admin) = (&site.world.engine, &site.world.admin);
    engine.revoke_operator(admin, site.eva.principal.serial, reason(), false).await.unwrap();
    assert_eq!(code(site.invite(site.order()).await), ErrorCode::OperatorUnknown);
    // Nobody visits a device that has ended.
    let of_max = VisitOrder { technician: "max".parse().unwrap(), ..site.order() };
    let retired =
        engine.set_device_state(admin, name("klinik", "pump"), DeviceState::Retired, reason()).await;
    retired.unwrap();
    assert_eq!(code(site.invite(of_max).await), ErrorCode::Malformed);
}

#[tokio::test]
async fn a_policy_of_the_tenant_says_scopes_and_length() {
    let site = Site::new().await;
    let (engine, tenant) = (&site.world.engine, site.world.tenant());
    assert_eq!(engine.get_service_policy(&site.anna, &tenant).await.unwrap(), ServicePolicy::default());
    let policy = ServicePolicy::new(["dose-library".parse().unwrap()], Seconds::new(2 * HOUR)).unwrap();
    engine.put_service_policy(&site.anna, &tenant, policy.clone()).await.unwrap();
    assert_eq!(engine.get_service_policy(&site.anna, &tenant).await.unwrap(), policy);
    assert_eq!(code(site.invite(site.order()).await), ErrorCode::ServiceScopeUnknown);
    let order = VisitOrder { scope: "dose-library".parse().unwrap(), ..site.order() };
    let longer = VisitOrder { until: order.until + HOUR + 1, ..order.clone() };
    assert_eq!(code(site.invite(longer).await), ErrorCode::VisitWindowBounds);
    site.invite(order).await.unwrap();
    let text = facts(&site.world.entries(Event::ServicePolicyPut).await[0]);
    assert!(text.contains("service-scope: calibration,configure,maintenance,view → dose-library"), "{text}");
}

#[tokio::test]
async fn one_technician_has_one_visit_of_a_device_at_a_time() {
    let site = Site::new().await;
    let first = site.invite(site.order()).await.unwrap();
    assert_eq!(code(site.invite(site.order()).await), ErrorCode::VisitOverlaps);
    // Another may be there with it, and the same one right after.
    site.invite(VisitOrder { technician: "max".parse().unwrap(), ..site.order() }).await.unwrap();
    let end = first.window.until().get();
    let next = VisitOrder { from: Some(end), until: end + HOUR, ..site.order() };
    site.invite(next.clone()).await.unwrap();
    assert_eq!(code(site.invite(VisitOrder { from: Some(end - 1), ..next }).await), ErrorCode::VisitOverlaps);
    // What was ended is in nobody's way.
    site.end(&site.site, first.id).await.unwrap();
    site.invite(site.order()).await.unwrap();
    // A device has sixteen that are not over.
    for at in 3..16 {
        let from = end + at * HOUR;
        site.invite(VisitOrder { from: Some(from), until: from + HOUR, ..site.order() }).await.unwrap();
    }
    let from = end + 20 * HOUR;
    let one_more = VisitOrder { from: Some(from), until: from + HOUR, ..site.order() };
    assert_eq!(code(site.invite(one_more.clone()).await), ErrorCode::VisitQuota);
    site.world.clock.pass(HOUR + 1);
    site.invite(one_more).await.unwrap();
}

#[tokio::test]
async fn a_visit_is_over_with_its_window() {
    let site = Site::new().await;
    let visit = site.invite(site.order()).await.unwrap();
    site.release(&site.site, visit.id).await.unwrap();
    site.world.clock.pass(HOUR - 1);
    assert_eq!(site.get(&site.eva, visit.id).await.unwrap().state, VisitState::Current);
    site.world.clock.pass(1);
    assert_eq!(site.get(&site.eva, visit.id).await.unwrap().state, VisitState::Over);
    assert_eq!(code(site.end(&site.site, visit.id).await), ErrorCode::VisitClosed);
    let unreleased = site.invite(site.order()).await.unwrap();
    site.world.clock.pass(HOUR);
    assert_eq!(code(site.release(&site.site, unreleased.id).await), ErrorCode::VisitClosed);
}

/// It may have been ended after the backup.
#[tokio::test]
async fn a_visit_of_before_a_restore_lets_nobody_in() {
    let (world, custody) = World::with_custody().await;
    let site = Site::of(world).await;
    let visit = site.invite(site.order()).await.unwrap();
    site.release(&site.site, visit.id).await.unwrap();
    let backup = site.world.backup().await;
    site.end(&site.site, visit.id).await.unwrap();
    site.world.clock.pass(60);
    let after = site.world.restored(&backup, &custody).await;
    let found = after.engine.get_visit(&after.admin, after.tenant(), visit.id).await.unwrap();
    assert_eq!(found.state, VisitState::Over);
    let refused =
        after.engine.certify_visit(&site.eva, after.tenant(), visit.id, "pump".parse().unwrap()).await;
    assert_eq!(code(refused), ErrorCode::VisitClosed);
}

#[tokio::test]
async fn where_the_policy_asks_for_it_another_administrator_approves_first() {
    let site = Site::new().await;
    let engine = &site.world.engine;
    let second = order(Role::TenantAdmin, Some("klinik"), "berta");
    engine.issue_operator(&site.world.admin, second).await.unwrap();
    let policy = ApprovalPolicy::new([GuardedDeed::InviteTechnician], ApprovalPolicy::LIFETIME).unwrap();
    engine.put_approval_policy(&site.anna, None, policy, None).await.unwrap();
    site.world.clock.pass(1);
    // The window is as it was asked for: the same call again is the same proposal.
    let order = VisitOrder { devices: vec!["pump".parse().unwrap()], ..site.order() };
    let proposed = async || {
        let error = site.invite(order.clone()).await.unwrap_err();
        let Some(Detail::Proposal(id)) = error.detail else { panic!("{error}") };
        id
    };
    let id = proposed().await;
    assert_eq!(proposed().await, id);
    assert!(site.world.store.scan(Table::Visit, b"", None, 9).await.unwrap().is_empty());
    let shown = engine.get_proposal(&site.anna, id).await.unwrap();
    let asked: Vec<_> = shown.asked.iter().map(|(name, value)| format!("{name}={value}")).collect();
    for part in ["technician=eva", "device_id=pump", "work_order=WO-00012", "scope=maintenance"] {
        assert!(asked.iter().any(|field| field == part), "{part}: {asked:?}");
    }
    // A coordinator decides nothing.
    let denied = engine.approve_proposal(&site.coordinator, id, shown.digest).await;
    assert_eq!(code(denied), ErrorCode::RoleInsufficient);
    engine.approve_proposal(&site.anna, id, shown.digest).await.unwrap();
    let visit = site.invite(order.clone()).await.unwrap();
    assert_eq!(visit.state, VisitState::Requested);
    assert_eq!(visit.technician, "eva".parse::<OperatorName>().unwrap());
    assert_eq!(visit.ssh_key, KEY.parse::<SshKey>().unwrap());
}

impl Site {
    async fn certify(&self, by: &Caller, id: VisitId, device: &str) -> Result<VisitCertificate, Error> {
        self.world.engine.certify_visit(by, self.world.tenant(), id, device.parse().unwrap()).await
    }
}

#[tokio::test]
async fn a_certificate_is_for_the_window_of_a_released_visit_and_one_device() {
    let site = Site::new().await;
    site.world.proven("pump-2").await;
    assert_eq!(site.world.engine.get_service_ca(&site.eva, site.world.tenant()).await.unwrap(), None);
    let begins = site.now() + 600;
    let order = VisitOrder { from: Some(begins), until: begins + 2 * HOUR, ..site.order() };
    let visit = site.invite(order).await.unwrap();
    let refused = async |by: &Caller, device: &str| code(site.certify(by, visit.id, device).await);
    assert_eq!(refused(&site.eva, "pump").await, ErrorCode::VisitNotReleased);
    site.release(&site.site, visit.id).await.unwrap();
    assert_eq!(refused(&site.eva, "pump").await, ErrorCode::VisitNotBegun);
    site.world.clock.pass(600);
    assert_eq!(refused(&site.max, "pump").await, ErrorCode::VisitUnknown);
    assert_eq!(refused(&site.eva, "pump-2").await, ErrorCode::Malformed);
    let issued = site.certify(&site.eva, visit.id, "pump").await.unwrap();
    // An hour at most, and not before the window.
    assert_eq!((issued.valid_after, issued.valid_before), (begins, begins + HOUR));
    assert_eq!(issued.principal, "dev:klinik/pump");
    if !has_openssh() {
        return;
    }
    let said = shown_certificate(&issued.line);
    let until = format!("--until={}", begins + 2 * HOUR);
    for part in [
        "Type: ssh-ed25519-cert-v01@openssh.com user certificate",
        &format!("Key ID: \"visit:klinik/{}\"", hex::encode(&visit.id)),
        &format!("Serial: {}", issued.serial),
        "dev:klinik/pump\n",
        "--scope=maintenance --work-order=WO-00012 --technician=eva",
        &until,
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let ca = site.world.engine.get_service_ca(&site.eva, site.world.tenant()).await.unwrap().unwrap();
    let print = ca.parse::<SshKey>().unwrap().fingerprint();
    assert!(said.contains(&format!("Signing CA: ECDSA {print}")), "{print}: {said}");
    // The next one ends with the window.
    site.world.clock.pass(HOUR + 1_800);
    let next = site.certify(&site.eva, visit.id, "pump").await.unwrap();
    assert_eq!(next.valid_before, begins + 2 * HOUR);
    let entry = facts(&site.world.entries(Event::VisitCertified).await[1]);
    assert!(entry.contains(&format!("ssh-serial={}", next.serial)), "{entry}");
    site.world.clock.pass(1_800);
    assert_eq!(refused(&site.eva, "pump").await, ErrorCode::VisitClosed);
    // Another visit is certified by the same CA; one that was ended by none.
    let again = site.invite(site.order()).await.unwrap();
    site.release(&site.site, again.id).await.unwrap();
    assert!(
        shown_certificate(&site.certify(&site.eva, again.id, "pump").await.unwrap().line).contains(&print)
    );
    site.end(&site.site, again.id).await.unwrap();
    assert_eq!(code(site.certify(&site.eva, again.id, "pump").await), ErrorCode::VisitClosed);
}

#[tokio::test]
async fn a_device_hears_of_visits_that_were_ended_until_their_window_is_over() {
    let site = Site::new().await;
    let (mut pump, mut other) = (site.world.proven("a").await, site.world.proven("b").await);
    let heard = async |device: &mut crate::world::TestDevice| {
        let body = device.prove(&site.world.engine, "service-access", b"").await.unwrap().body;
        let mut rest = &body[1..];
        let mut parts = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (part, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            parts.push(part.to_vec());
            rest = after;
        }
        let [ca, list, ended] = parts.try_into().unwrap();
        (String::from_utf8(ca).unwrap(), list, ended)
    };
    // Nothing, before the tenant has a CA.
    assert_eq!(heard(&mut pump).await, (String::new(), Vec::new(), Vec::new()));
    let order = VisitOrder { devices: vec!["a".parse().unwrap()], ..site.order() };
    let visit = site.invite(order).await.unwrap();
    site.release(&site.site, visit.id).await.unwrap();
    let certificate = site.certify(&site.eva, visit.id, "a").await.unwrap();
    let ca = site.world.engine.get_service_ca(&site.eva, site.world.tenant()).await.unwrap().unwrap();
    let (line, list, ended) = heard(&mut pump).await;
    assert_eq!((line.as_str(), ended.len()), (ca.as_str(), 0));
    assert!(!has_openssh() || !is_revoked(&list, &certificate.line));
    site.end(&site.site, visit.id).await.unwrap();
    let (_, list, ended) = heard(&mut pump).await;
    assert_eq!(ended, visit.id);
    assert!(!has_openssh() || is_revoked(&list, &certificate.line));
    // Another device hears nothing of it.
    let (line, list, ended) = heard(&mut other).await;
    assert_eq!((line, ended), (ca, Vec::new()));
    assert!(!has_openssh() || !is_revoked(&list, &certificate.line));
    // A body has nothing to say here.
    let refused = pump.prove(&site.world.engine, "service-access", b"x").await;
    assert_eq!(code(refused), ErrorCode::Malformed);
}

/// A key in a token, as `ssh-keygen -t ed25519-sk` makes one (OpenSSH, PROTOCOL.u2f).
fn key_in_token() -> SshKey {
    let mut blob = Vec::new();
    for part in [&b"sk-ssh-ed25519@openssh.com"[..], &[7; 32], b"ssh:"] {
        blob.extend((part.len() as u32).to_be_bytes());
        blob.extend(part);
    }
    SshKey::from_blob(&blob).unwrap()
}

#[tokio::test]
async fn what_was_asked_of_where_and_how_a_technician_comes_is_in_the_certificate() {
    let site = Site::new().await;
    let order = VisitOrder {
        ssh_key: key_in_token(),
        needs_verification: true,
        sources: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::7".parse().unwrap()],
        ..site.order()
    };
    let visit = site.invite(order).await.unwrap();
    site.release(&site.site, visit.id).await.unwrap();
    let certificate = site.certify(&site.eva, visit.id, "pump").await.unwrap();
    if has_openssh() {
        let said = shown_certificate(&certificate.line);
        for part in [
            "Type: sk-ssh-ed25519-cert-v01@openssh.com user certificate",
            "source-address 192.0.2.0/24,2001:db8::7",
            "verify-required",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}

#[tokio::test]
async fn a_device_has_so_many_visits_that_were_ended_in_their_window() {
    let site = Site::new().await;
    for _ in 0..128 {
        let visit = site.invite(site.order()).await.unwrap();
        site.end(&site.eva, visit.id).await.unwrap();
    }
    assert_eq!(code(site.invite(site.order()).await), ErrorCode::VisitQuota);
    site.world.clock.pass(HOUR);
    site.invite(site.order()).await.unwrap();
}

#[tokio::test]
async fn the_ssh_ca_stays_where_the_root_key_is_changed() {
    let (world, custody) = World::with_custody().await;
    let mut site = Site::of(world).await;
    let visit = site.invite(site.order()).await.unwrap();
    site.release(&site.site, visit.id).await.unwrap();
    let tenant = site.world.tenant();
    let before = site.world.engine.get_service_ca(&site.eva, tenant.clone()).await.unwrap();
    assert_eq!(site.world.engine.rotate_root_key(&site.world.admin).await.unwrap(), 2);
    assert_eq!(custody.versions(), [2]);
    crate::storage_keys::restart(&mut site.world, &custody).await;
    site.certify(&site.eva, visit.id, "pump").await.unwrap();
    assert_eq!(site.world.engine.get_service_ca(&site.eva, tenant).await.unwrap(), before);
}

fn named(visit: VisitId, technician: &str, work_order: &str) -> Admitted {
    Admitted::Visit {
        visit,
        technician: technician.parse().unwrap(),
        work_order: work_order.parse().unwrap(),
    }
}

fn protocol(visit: &Visit, device: &crate::world::TestDevice, session: u8) -> VisitProtocol {
    let from = visit.window.from().get();
    VisitProtocol {
        device: device.name.clone(),
        by: named(visit.id, visit.technician.as_str(), visit.work_order.as_str()),
        session: [session; 16],
        scope: visit.scope.clone(),
        began: from + 10,
        ended: from + 70,
        end: VisitEnd::Left,
        actions: BTreeMap::from([("calibration".parse().unwrap(), 2), ("login".parse().unwrap(), 1)]),
    }
}

#[tokio::test]
async fn a_device_gives_the_protocol_of_a_visit_and_a_missing_one_stays_open() {
    let site = Site::new().await;
    let engine = &site.world.engine;
    let mut device = site.world.proven("a").await;
    let other = site.world.proven("b").await;
    let devices = vec!["a".parse().unwrap(), "b".parse().unwrap()];
    let visit = site.invite(VisitOrder { devices, ..site.order() }).await.unwrap();
    let give = async |device: &mut crate::world::TestDevice, protocol: &VisitProtocol| {
        let given = device.prove(engine, "visit-protocol", &protocol.encode()).await;
        given.map(|acknowledged| assert_eq!(acknowledged.body, b"")).map_err(|error| error.code)
    };
    let good = protocol(&visit, &device, 1);
    assert_eq!(give(&mut device, &good).await, Err(ErrorCode::VisitNotReleased));
    site.release(&site.site, visit.id).await.unwrap();
    for device in ["a", "b"] {
        let tenant = site.world.tenant();
        engine.certify_visit(&site.eva, tenant, visit.id, device.parse().unwrap()).await.unwrap();
    }
    assert_eq!(site.get(&site.eva, visit.id).await.unwrap().awaited, [], "it is under way");
    let (from, until) = (visit.window.from().get(), visit.window.until().get());
    let by = |by: Admitted| VisitProtocol { by, ..good.clone() };
    let forged = [
        (VisitProtocol { device: other.name.clone(), ..good.clone() }, ErrorCode::ProtocolOtherDevice),
        (VisitProtocol { device: name("lab", "a"), ..good.clone() }, ErrorCode::ProtocolOtherDevice),
        (by(named([7; 8], "eva", "WO-00012")), ErrorCode::VisitUnknown),
        (by(named(visit.id, "max", "WO-00012")), ErrorCode::ProtocolOtherVisit),
        (by(named(visit.id, "eva", "WO-1")), ErrorCode::ProtocolOtherVisit),
        (VisitProtocol { scope: "view".parse().unwrap(), ..good.clone() }, ErrorCode::ProtocolOtherVisit),
        (VisitProtocol { began: from - 61, ..good.clone() }, ErrorCode::ProtocolWindow),
        (VisitProtocol { began: until, ended: until, ..good.clone() }, ErrorCode::ProtocolWindow),
        (VisitProtocol { ended: until + 3_601, ..good.clone() }, ErrorCode::ProtocolWindow),
    ];
    for (protocol, code) in forged {
        assert_eq!(give(&mut device, &protocol).await, Err(code), "{protocol:?}");
    }
    let cut = &good.encode()[..40];
    assert_eq!(device.prove(engine, "visit-protocol", cut).await.unwrap_err().code, ErrorCode::Malformed);
    assert_eq!(site.get(&site.eva, visit.id).await.unwrap().protocols, []);
    for _ in 0..3 {
        give(&mut device, &good).await.unwrap();
    }
    let longer = VisitProtocol { ended: good.ended + 1, ..good.clone() };
    assert_eq!(give(&mut device, &longer).await, Err(ErrorCode::ProtocolContradicts));
    let broken = VisitProtocol { end: VisitEnd::BrokeOff, ..protocol(&visit, &device, 2) };
    give(&mut device, &broken).await.unwrap();
    let seen = site.get(&site.site, visit.id).await.unwrap();
    assert_eq!((seen.protocols.len(), seen.protocols[1].end), (2, VisitEnd::BrokeOff));
    assert_eq!(
        seen.protocols[0].actions,
        [("calibration".parse().unwrap(), 2), ("login".parse().unwrap(), 1)]
    );
    let said = site.world.entries(Event::VisitProtocolGiven).await;
    assert_eq!(said.len(), 2);
    let (id, session) = (hex::encode(&visit.id), "01".repeat(16));
    let expected = format!(
        "visit={id}, technician=eva, work-order=WO-00012, session={session}, began={}, ended={}, end=left, action=calibration=2, \
         action=login=1",
        from + 10,
        from + 70
    );
    assert_eq!(facts(&said[0]), expected);
    // Once it is over, what let the technician in and has not told is open; it tells late, and is not.
    site.world.clock.pass(HOUR);
    assert_eq!(site.get(&site.site, visit.id).await.unwrap().awaited, ["b".parse().unwrap()]);
    let missing = async || engine.count_service().await.unwrap().without_protocol;
    assert_eq!(missing().await, 1);
    // It is closed by who may, with a reason, and stays marked; what comes late is taken.
    let close = async |by: &Caller| {
        engine.close_visit(by, site.world.tenant(), visit.id, "the pump was scrapped".parse().unwrap()).await
    };
    let closed = close(&site.site).await.unwrap();
    let closing = closed.closed.unwrap();
    assert_eq!(
        (closing.by.name.as_str(), closing.reason.as_str()),
        ("site/klinik/sina", "the pump was scrapped")
    );
    assert_eq!((closing.devices, closed.awaited), (vec!["b".parse().unwrap()], vec![]));
    assert_eq!((code(close(&site.site).await), missing().await), (ErrorCode::ProtocolNotAwaited, 0));
    let entries = site.world.entries(Event::VisitClosed).await;
    assert!(entries.len() == 1 && facts(&entries[0]).contains("reason=the pump was scrapped"));
    let mut late = other;
    let told = protocol(&visit, &late, 3);
    give(&mut late, &told).await.unwrap();
    let seen = site.get(&site.site, visit.id).await.unwrap();
    assert_eq!((seen.protocols.len(), seen.awaited, seen.closed.is_some()), (3, vec![], true));
    // Of a visit that nobody was certified for nothing is awaited.
    let unused = site.invite(site.order()).await.unwrap();
    site.release(&site.site, unused.id).await.unwrap();
    site.end(&site.site, unused.id).await.unwrap();
    assert_eq!(site.get(&site.site, unused.id).await.unwrap().awaited, []);
}
