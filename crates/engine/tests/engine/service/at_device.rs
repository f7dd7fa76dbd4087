//! Release at the device: by a person there, of that device alone, where the tenant allows it.

use super::{HOUR, Site, code};
use crate::signing::Signer;
use crate::world::{TestDevice, facts, order};
use wardein_crypto::hex;
use wardein_ddkg::message::{PendingVisit, VisitRelease};
use wardein_domain::{ApprovalPolicy, Event, GuardedDeed, Role, ServicePolicy};
use wardein_engine::{Detail, ErrorCode, Releaser, VisitId, VisitOrder, VisitState};

impl Site {
    /// Switches release at the device on or off.
    async fn allow(&self, is_allowed: bool) {
        let policy = ServicePolicy::default().with_release_at_device(is_allowed);
        self.world.engine.put_service_policy(&self.anna, &self.world.tenant(), policy).await.unwrap();
    }

    fn order_of(&self, devices: &[&str]) -> VisitOrder {
        let devices = devices.iter().map(|device| device.parse().unwrap()).collect();
        VisitOrder { devices, ..self.order() }
    }

    async fn pending(&self, device: &mut TestDevice) -> Result<Vec<PendingVisit>, ErrorCode> {
        let answer = device.prove(&self.world.engine, "pending-visits", b"").await;
        answer
            .map(|acknowledged| PendingVisit::decode_all(&acknowledged.body).unwrap())
            .map_err(|error| error.code)
    }

    async fn release_at(&self, device: &mut TestDevice, id: VisitId) -> Result<(), ErrorCode> {
        let answer = device.prove(&self.world.engine, "visit-release", &VisitRelease(id).encode()).await;
        answer.map(|acknowledged| assert_eq!(acknowledged.body, b"")).map_err(|error| error.code)
    }

    async fn state(&self, id: VisitId) -> VisitState {
        self.get(&self.site, id).await.unwrap().state
    }
}

#[tokio::test]
async fn a_person_at_the_device_releases_a_visit_where_the_tenant_allows_it_and_it_is_on_record() {
    let site = Site::new().await;
    let mut a = site.world.proven("a").await;
    let visit = site.invite(site.order_of(&["a"])).await.unwrap();
    // Nobody allowed it.
    assert_eq!(site.pending(&mut a).await, Err(ErrorCode::ReleaseAtDeviceOff));
    assert_eq!(site.release_at(&mut a, visit.id).await, Err(ErrorCode::ReleaseAtDeviceOff));
    assert_eq!(site.state(visit.id).await, VisitState::Requested);
    site.allow(true).await;
    let said = facts(&site.world.entries(Event::ServicePolicyPut).await[0]);
    assert!(said.contains("release-at-device: false → true"), "{said}");
    let waiting = PendingVisit {
        visit: visit.id,
        technician: "eva".parse().unwrap(),
        work_order: "WO-00012".parse().unwrap(),
        scope: "maintenance".parse().unwrap(),
        from: visit.window.from().get(),
        until: visit.window.until().get(),
        role: Role::ServiceCoordinator,
        by: "carla".parse().unwrap(),
        asked: visit.made_at,
        devices: 1,
    };
    assert_eq!(site.pending(&mut a).await, Ok(vec![waiting]));
    site.release_at(&mut a, visit.id).await.unwrap();
    let released = site.get(&site.site, visit.id).await.unwrap();
    let (by, at) = released.released.unwrap();
    assert_eq!((released.state, at), (VisitState::Current, site.now()));
    assert_eq!((by.to_string().as_str(), by), ("device/klinik/a", Releaser::AtDevice(a.name.clone())));
    // It does what a release by role `site` does.
    site.certify(&site.eva, visit.id, "a").await.unwrap();
    assert_eq!(site.pending(&mut a).await, Ok(Vec::new()));
    // Again changes nothing: its answer may have been lost.
    site.release_at(&mut a, visit.id).await.unwrap();
    let entries = site.world.entries(Event::VisitReleased).await;
    assert_eq!((entries.len(), entries[0].actor.to_string().as_str()), (1, "device/klinik/a"));
    let id = hex::encode(&visit.id);
    let expected =
        format!("visit={id}, technician=eva, work-order=WO-00012, released-by=a person at the device");
    assert_eq!(facts(&entries[0]), expected);
    assert!(entries[0].of_history().is_some());
    assert_eq!(site.world.entries(Event::VisitReleaseRepeated).await.len(), 1);
    // It is switched off again.
    site.allow(false).await;
    site.end(&site.site, visit.id).await.unwrap();
    let next = site.invite(site.order_of(&["a"])).await.unwrap();
    assert_eq!(site.release_at(&mut a, next.id).await, Err(ErrorCode::ReleaseAtDeviceOff));
    assert_eq!(site.state(next.id).await, VisitState::Requested);
}

#[tokio::test]
async fn a_visit_of_another_device_or_of_several_or_that_is_over_is_not_released_at_the_device() {
    let site = Site::new().await;
    let (mut a, mut b) = (site.world.proven("a").await, site.world.proven("b").await);
    site.allow(true).await;
    let of_a = site.invite(site.order_of(&["a"])).await.unwrap();
    // Whether there is such a visit of another device, it does not learn.
    assert_eq!(site.pending(&mut b).await, Ok(Vec::new()));
    assert_eq!(site.release_at(&mut b, of_a.id).await, Err(ErrorCode::VisitUnknown));
    assert_eq!(site.release_at(&mut b, [7; 8]).await, Err(ErrorCode::VisitUnknown));
    let of_max = VisitOrder { technician: "max".parse().unwrap(), ..site.order_of(&["a", "b"]) };
    let of_both = site.invite(of_max).await.unwrap();
    let listed: Vec<_> =
        site.pending(&mut b).await.unwrap().iter().map(|of| (of.visit, of.devices)).collect();
    assert_eq!(listed, [(of_both.id, 2)]);
    for device in [&mut a, &mut b] {
        assert_eq!(site.release_at(device, of_both.id).await, Err(ErrorCode::ReleaseNeedsSite));
    }
    for (action, body) in [("pending-visits", &b"x"[..]), ("visit-release", b""), ("visit-release", &[1; 8])]
    {
        let refused = a.prove(&site.world.engine, action, body).await;
        assert_eq!(code(refused), ErrorCode::Malformed, "{action}");
    }
    for id in [of_a.id, of_both.id] {
        assert_eq!(site.state(id).await, VisitState::Requested);
    }
    assert!(site.world.entries(Event::VisitReleased).await.is_empty());
    site.end(&site.coordinator, of_a.id).await.unwrap();
    assert_eq!(site.release_at(&mut a, of_a.id).await, Err(ErrorCode::VisitClosed));
    let late = site.invite(site.order_of(&["a"])).await.unwrap();
    site.world.clock.pass(HOUR);
    assert_eq!(site.pending(&mut a).await, Ok(Vec::new()));
    assert_eq!(site.release_at(&mut a, late.id).await, Err(ErrorCode::VisitClosed));
}

/// A technician with a shell could ask for the next visit from inside.
#[tokio::test]
async fn nothing_is_released_at_a_device_that_somebody_may_be_in() {
    let site = Site::new().await;
    let mut a = site.world.proven("a").await;
    site.allow(true).await;
    let of_max = VisitOrder { technician: "max".parse().unwrap(), ..site.order_of(&["a"]) };
    let inside = site.invite(of_max).await.unwrap();
    let next = site.invite(site.order_of(&["a"])).await.unwrap();
    site.release(&site.site, inside.id).await.unwrap();
    assert_eq!(site.release_at(&mut a, next.id).await, Err(ErrorCode::ReleaseNeedsSite));
    assert_eq!(site.state(next.id).await, VisitState::Requested);
    site.end(&site.site, inside.id).await.unwrap();
    site.release_at(&mut a, next.id).await.unwrap();
    assert_eq!(site.state(next.id).await, VisitState::Current);
}

#[tokio::test]
async fn a_device_that_signs_releases_likewise() {
    let site = Site::new().await;
    let s = Signer::enrolled(&site.world, "s").await;
    let visit = site.invite(site.order_of(&["s"])).await.unwrap();
    let release = VisitRelease(visit.id).encode();
    for (action, body) in [("pending-visits", &b""[..]), ("visit-release", &release)] {
        let refused = s.ask(&site.world, action, body).await;
        assert_eq!(code(refused), ErrorCode::ReleaseAtDeviceOff, "{action}");
    }
    site.allow(true).await;
    let listed = PendingVisit::decode_all(&s.ask(&site.world, "pending-visits", b"").await.unwrap()).unwrap();
    assert_eq!((listed.len(), listed[0].visit), (1, visit.id));
    for _ in 0..2 {
        assert_eq!(s.ask(&site.world, "visit-release", &release).await.unwrap(), b"");
    }
    assert_eq!(site.state(visit.id).await, VisitState::Current);
    let entries = site.world.entries(Event::VisitReleased).await;
    assert_eq!((entries.len(), entries[0].actor.to_string().as_str()), (1, "device/klinik/s"));
}

#[tokio::test]
async fn what_a_second_person_has_not_approved_does_not_wait_at_the_device() {
    let site = Site::new().await;
    let engine = &site.world.engine;
    let mut a = site.world.proven("a").await;
    site.allow(true).await;
    let second = order(Role::TenantAdmin, Some("klinik"), "berta");
    engine.issue_operator(&site.world.admin, second).await.unwrap();
    let policy = ApprovalPolicy::new([GuardedDeed::InviteTechnician], ApprovalPolicy::LIFETIME).unwrap();
    engine.put_approval_policy(&site.anna, None, policy, None).await.unwrap();
    site.world.clock.pass(1);
    let order = site.order_of(&["a"]);
    let error = site.invite(order.clone()).await.unwrap_err();
    let Some(Detail::Proposal(id)) = error.detail else { panic!("{error}") };
    assert_eq!(site.pending(&mut a).await, Ok(Vec::new()));
    let digest = engine.get_proposal(&site.anna, id).await.unwrap().digest;
    engine.approve_proposal(&site.anna, id, digest).await.unwrap();
    let visit = site.invite(order).await.unwrap();
    assert_eq!(site.pending(&mut a).await.unwrap().len(), 1);
    site.release_at(&mut a, visit.id).await.unwrap();
}
