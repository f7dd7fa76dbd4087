//! Codes for technicians at devices without network: for one challenge, one visit and its window.

mod protocols;

use crate::service::{Site, code};
use crate::world::{TestDevice, World, facts, order};
use wardein_crypto::SystemEntropy;
use wardein_ddkg::device::Clock;
use wardein_ddkg::message::{EmergencyReport, ServiceKey};
use wardein_ddkg::{Purposes, ServiceChallenge, Suite};
use wardein_domain::{ApprovalPolicy, Call, DeviceState, Event, GuardedDeed, Purpose, Role, ServiceScope};
use wardein_engine::{Caller, Detail, Engine, Error, ErrorCode, VisitCode, VisitId, VisitOrder};
use wardein_port::{Store, Table};

const HOUR: u64 = 3_600;

impl TestDevice {
    /// Agrees on keys for all purposes.
    async fn agree(&mut self, engine: &Engine) {
        let state = self.state.as_mut().unwrap();
        let ask = state.ask_challenge();
        let offer = engine.challenge(&self.name).unwrap();
        let all = (Suite::P256, Purposes::of(Purpose::ALL));
        let proved = state.rekey_for(ask, &offer, &self.measured, all, &mut SystemEntropy::default());
        let (request, ask, in_flight) = proved.unwrap().save(|_| Ok::<_, ()>(())).unwrap();
        let proved = engine.prove(&Call::new("test"), request, ask.encode()).await.unwrap();
        self.acknowledge(in_flight, proved.reply);
        self.prove(engine, "authenticate", b"").await.unwrap();
    }

    fn show(&mut self, scope: &str) -> ServiceChallenge {
        let clock = Clock { elapsed: 0, wall: None };
        let challenge = self.state.as_mut().unwrap().service_challenge(clock, &scope.parse().unwrap());
        challenge.unwrap().save(|_| Ok::<_, ()>(())).unwrap()
    }

    fn takes(&self, challenge: &ServiceChallenge, scope: &str, answer: &VisitCode) -> bool {
        let text = std::str::from_utf8(answer.code.expose()).unwrap();
        let (code, scope): (_, ServiceScope) = (text.parse().unwrap(), scope.parse().unwrap());
        self.state.as_ref().unwrap().check_service_code(challenge, &scope, &code).is_ok()
    }
}

impl Site {
    async fn answer(
        &self,
        by: &Caller,
        id: VisitId,
        device: &str,
        challenge: &ServiceChallenge,
    ) -> Result<VisitCode, Error> {
        let (tenant, device) = (self.world.tenant(), device.parse().unwrap());
        self.world.engine.answer_challenge(by, tenant, id, device, challenge.clone()).await
    }

    /// A visit of Eva's to the device `a`, released.
    async fn visit(&self, order: VisitOrder) -> VisitId {
        let visit = self.invite(order).await.unwrap();
        self.release(&self.site, visit.id).await.unwrap();
        visit.id
    }

    fn to_a(&self) -> VisitOrder {
        VisitOrder { devices: vec!["a".parse().unwrap()], ..self.order() }
    }
}

#[tokio::test]
async fn a_code_is_for_one_challenge_one_device_and_the_scope_of_the_visit() {
    let site = Site::new().await;
    let (mut a, mut b) = (site.world.proven("a").await, site.world.proven("b").await);
    a.agree(&site.world.engine).await;
    b.agree(&site.world.engine).await;
    let both = VisitOrder { devices: vec!["a".parse().unwrap(), "b".parse().unwrap()], ..site.order() };
    let id = site.visit(both).await;
    let challenge = a.show("maintenance");
    let answer = site.answer(&site.eva, id, "a", &challenge).await.unwrap();
    assert_eq!(answer.length, HOUR);
    assert!(a.takes(&challenge, "maintenance", &answer));
    assert!(!b.takes(&challenge, "maintenance", &answer), "the keys of one device open another");
    // What the device did not show, for the scope of the visit, is not answered.
    let view = a.show("view");
    let wrong = ErrorCode::ServiceChallengeWrong;
    assert_eq!(code(site.answer(&site.eva, id, "a", &view).await), wrong);
    assert_eq!(code(site.answer(&site.eva, id, "b", &challenge).await), wrong);
    let mut typo = challenge.to_string();
    let last = if typo.pop() == Some('0') { '1' } else { '0' };
    typo.push(last);
    let typo: ServiceChallenge = typo.parse().unwrap();
    assert_eq!(code(site.answer(&site.eva, id, "a", &typo).await), wrong);
    assert_eq!(code(site.answer(&site.eva, id, "pump", &challenge).await), ErrorCode::Malformed);
    // Who is not invited gets none.
    assert_eq!(code(site.answer(&site.max, id, "a", &challenge).await), ErrorCode::VisitUnknown);
    let entries = site.world.entries(Event::VisitCodeGiven).await;
    let text = facts(&entries[0]);
    for part in
        ["technician=eva", "service-scope=maintenance", "key=ddkg1:klinik/a/2.service.0.0", "delivery=first"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let secret = std::str::from_utf8(answer.code.expose()).unwrap();
    assert!(!text.contains(secret) && entries[0].of_history().is_some());
}

#[tokio::test]
async fn the_same_ask_gets_the_same_code_and_another_visit_gets_none() {
    let site = Site::new().await;
    let mut a = site.world.proven("a").await;
    a.agree(&site.world.engine).await;
    let id = site.visit(site.to_a()).await;
    let challenge = a.show("maintenance");
    let first = site.answer(&site.eva, id, "a", &challenge).await.unwrap();
    site.world.clock.pass(600);
    let again = site.answer(&site.eva, id, "a", &challenge).await.unwrap();
    assert_eq!((first.code.expose(), first.length), (again.code.expose(), again.length));
    let text = facts(&site.world.entries(Event::VisitCodeGiven).await[1]);
    assert!(text.contains("delivery=again"), "{text}");
    // Max has a visit of his own to the same device.
    let maxs = site.visit(VisitOrder { technician: "max".parse().unwrap(), ..site.to_a() }).await;
    let used = site.answer(&site.max, maxs, "a", &challenge).await;
    assert_eq!(code(used), ErrorCode::ServiceChallengeUsed);
    // A later challenge has what is left of the window then.
    let later = site.answer(&site.eva, id, "a", &a.show("maintenance")).await.unwrap();
    assert_eq!(later.length, (HOUR - 600) / 180 * 180, "in steps of three minutes");
}

#[tokio::test]
async fn a_code_is_for_the_window_of_a_released_visit_and_half_a_day_at_most() {
    let site = Site::new().await;
    let mut a = site.world.proven("a").await;
    a.agree(&site.world.engine).await;
    let challenge = a.show("maintenance");
    let from = site.now() + 600;
    let visit = VisitOrder { from: Some(from), until: from + 30 * HOUR, ..site.to_a() };
    let visit = site.invite(visit).await.unwrap().id;
    let refused = async || code(site.answer(&site.eva, visit, "a", &challenge).await);
    assert_eq!(refused().await, ErrorCode::VisitNotReleased);
    site.release(&site.site, visit).await.unwrap();
    assert_eq!(refused().await, ErrorCode::VisitNotBegun);
    site.world.clock.pass(600);
    let longest = site.answer(&site.eva, visit, "a", &challenge).await.unwrap();
    assert_eq!(longest.length, 12 * HOUR);
    // Three minutes before the end there is a last one; then none.
    site.world.clock.pass(30 * HOUR - 180);
    assert_eq!(site.answer(&site.eva, visit, "a", &a.show("maintenance")).await.unwrap().length, 180);
    site.world.clock.pass(1);
    let late = site.answer(&site.eva, visit, "a", &a.show("maintenance")).await;
    assert_eq!(code(late), ErrorCode::VisitClosed);
    let ended = site.visit(VisitOrder { technician: "max".parse().unwrap(), ..site.to_a() }).await;
    site.end(&site.site, ended).await.unwrap();
    let none = site.answer(&site.max, ended, "a", &a.show("maintenance")).await;
    assert_eq!(code(none), ErrorCode::VisitClosed);
}

#[tokio::test]
async fn a_device_that_agreed_on_no_keys_or_is_gone_gets_no_codes() {
    let site = Site::new().await;
    let (mut a, mut b) = (site.world.proven("a").await, site.world.proven("b").await);
    b.agree(&site.world.engine).await;
    let id = site.visit(site.to_a()).await;
    let challenge = b.show("maintenance");
    // Its own generation has no such keys.
    a.rekey(&site.world.engine, Suite::P256).await.unwrap();
    a.prove(&site.world.engine, "authenticate", b"").await.unwrap();
    let refused = site.answer(&site.eva, id, "a", &challenge).await;
    assert_eq!(code(refused), ErrorCode::ServiceCodesNotAgreed);
    a.agree(&site.world.engine).await;
    let challenge = a.show("maintenance");
    let (engine, name, reason) = (&site.world.engine, a.name.clone(), "old".parse().unwrap());
    engine.set_device_state(&site.world.admin, name, DeviceState::Retired, reason).await.unwrap();
    assert_eq!(code(site.answer(&site.eva, id, "a", &challenge).await), ErrorCode::Malformed);
}

fn report(current: ServiceKey, used: &[ServiceKey]) -> Vec<u8> {
    EmergencyReport { current, used: used.to_vec() }.encode()
}

impl TestDevice {
    fn make_emergency_code(&mut self) -> (ServiceKey, Vec<u8>) {
        let clock = Clock { elapsed: 0, wall: None };
        let made = self.state.as_mut().unwrap().emergency_code(clock).unwrap();
        let (name, code) = made.save(|_| Ok::<_, ()>(())).unwrap();
        ((&name).into(), code.to_text().expose().to_vec())
    }
}

impl Site {
    async fn show(&self, by: &Caller) -> Result<Vec<u8>, Error> {
        let name = crate::world::name("klinik", "a");
        let shown =
            self.world.engine.show_emergency_code(by, &name, "the ward is locked".parse().unwrap()).await;
        shown.map(|shown| shown.code.expose().to_vec())
    }

    async fn uses(&self) -> Vec<bool> {
        let page = wardein_engine::Page { size: 100, after: None };
        let found = self.world.engine.list_emergency_uses(&self.site, None, page).await.unwrap();
        found.items.into_iter().flat_map(|of| of.uses).map(|of| of.closed.is_none()).collect()
    }
}

#[tokio::test]
async fn a_code_for_emergencies_is_kept_shown_with_an_alarm_and_replaced() {
    let site = Site::new().await;
    let mut a = site.world.proven("a").await;
    assert_eq!(code(site.show(&site.site).await), ErrorCode::EmergencyCodeMissing);
    a.agree(&site.world.engine).await;
    let (first, text) = a.make_emergency_code();
    let told = async |a: &mut TestDevice, key, used: &[ServiceKey]| {
        a.prove(&site.world.engine, "emergency-code", &report(key, used)).await.unwrap().body
    };
    assert_eq!(told(&mut a, first, &[]).await, [1, 0]);
    assert_eq!(told(&mut a, first, &[]).await, [1, 0], "asking again is safe");
    // Also once the device is off for years, and has agreed on other keys before.
    a.rekey(&site.world.engine, Suite::P256).await.unwrap();
    a.prove(&site.world.engine, "authenticate", b"").await.unwrap();
    site.world.clock.pass(86_400);
    assert_eq!(site.show(&site.site).await.unwrap(), text);
    assert_eq!(site.show(&site.anna).await.unwrap(), text);
    let entries = site.world.entries(Event::EmergencyCodeShown).await;
    let said = facts(&entries[0]);
    assert!(said.contains("key=ddkg1:klinik/a/2.service.") && said.contains("the ward is locked"), "{said}");
    assert!(!said.contains(std::str::from_utf8(&text).unwrap()));
    assert_eq!((entries.len(), entries[0].of_history().is_some()), (2, true));
    // The device hears that it was shown, and makes another.
    assert_eq!(told(&mut a, first, &[]).await, [1, 1]);
    let (next, other) = a.make_emergency_code();
    assert_eq!(told(&mut a, next, &[]).await, [1, 0]);
    assert_eq!(site.show(&site.site).await.unwrap(), other);
    // A key that the device does not have is not one.
    let unknown = ServiceKey { generation: 9, ..next };
    let refused = a.prove(&site.world.engine, "emergency-code", &report(unknown, &[])).await;
    assert_eq!(code(refused), ErrorCode::Malformed);
}

#[tokio::test]
async fn a_use_is_an_alarm_and_its_review_stays_open_until_somebody_closes_it() {
    let site = Site::new().await;
    let mut a = site.world.proven("a").await;
    a.agree(&site.world.engine).await;
    let name = crate::world::name("klinik", "a");
    let close = async |by: &Caller| {
        site.world.engine.close_emergency_review(by, &name, "a nurse was locked out".parse().unwrap()).await
    };
    assert_eq!(code(close(&site.site).await), ErrorCode::EmergencyReviewMissing);
    let keys: Vec<_> = (0..20).map(|_| a.make_emergency_code().0).collect();
    for (used, current) in keys.iter().zip(&keys[1..3]) {
        // Told twice, since the reply was lost.
        for _ in 0..2 {
            a.prove(&site.world.engine, "emergency-code", &report(*current, &[*used, *used])).await.unwrap();
        }
    }
    assert_eq!(site.uses().await, [true, true]);
    let open = async || site.world.engine.count_service().await.unwrap().open_reviews;
    assert_eq!(open().await, 2);
    assert_eq!(site.world.entries(Event::EmergencyCodeUsed).await.len(), 2);
    assert_eq!(close(&site.site).await.unwrap().uses.len(), 2);
    assert_eq!(site.uses().await, [false, false]);
    assert_eq!(open().await, 0);
    assert_eq!(code(close(&site.site).await), ErrorCode::EmergencyReviewMissing);
    let entries = site.world.entries(Event::EmergencyReviewClosed).await;
    assert!(facts(&entries[1]).contains("a nurse was locked out"));
    // However many a device names, so many are listed: the latest.
    for used in keys[2..19].chunks(8) {
        a.prove(&site.world.engine, "emergency-code", &report(keys[19], used)).await.unwrap();
    }
    assert_eq!(site.uses().await, [true; 16]);
    assert_eq!(site.world.entries(Event::EmergencyCodeUsed).await.len(), 19);
}

#[tokio::test]
async fn a_code_for_emergencies_takes_two_people_where_the_policy_says_so() {
    let site = Site::new().await;
    let mut a = site.world.proven("a").await;
    a.agree(&site.world.engine).await;
    let (key, text) = a.make_emergency_code();
    a.prove(&site.world.engine, "emergency-code", &report(key, &[])).await.unwrap();
    let engine = &site.world.engine;
    let order = order(Role::TenantAdmin, Some("klinik"), "bert");
    engine.issue_operator(&site.world.admin, order).await.unwrap();
    let policy = ApprovalPolicy::new([GuardedDeed::ShowEmergencyCode], ApprovalPolicy::LIFETIME).unwrap();
    engine.put_approval_policy(&site.anna, None, policy, None).await.unwrap();
    site.world.clock.pass(1);
    let asked = site.show(&site.site).await.unwrap_err();
    let Some(Detail::Proposal(id)) = asked.detail else { panic!("{asked}") };
    // Nothing was shown: the device keeps it.
    let body = a.prove(engine, "emergency-code", &report(key, &[])).await.unwrap().body;
    assert_eq!(body, [1, 0]);
    let digest = engine.get_proposal(&site.anna, id).await.unwrap().digest;
    engine.approve_proposal(&site.anna, id, digest).await.unwrap();
    assert_eq!(site.show(&site.site).await.unwrap(), text);
    assert_eq!(code(site.show(&site.site).await), ErrorCode::ApprovalRequired, "an approval is for one time");
}

#[tokio::test]
async fn a_code_for_emergencies_outlives_a_restart_and_goes_with_the_keys() {
    let (world, _custody) = World::with_custody().await;
    let site = Site::of(world).await;
    let mut a = site.world.proven("a").await;
    a.agree(&site.world.engine).await;
    let (key, text) = a.make_emergency_code();
    a.prove(&site.world.engine, "emergency-code", &report(key, &[])).await.unwrap();
    let records = site.world.store.scan(Table::DeviceKeys, b"klinik\0a", None, 9).await.unwrap();
    assert_eq!(records.len(), 1);
    assert!(!records[0].1.value.windows(4).any(|part| part == &text[..4]), "it is sealed");
    assert_eq!(site.show(&site.site).await.unwrap(), text);
    let (name, reason) = (a.name.clone(), "old".parse().unwrap());
    site.world.engine.begin_shred(&site.world.admin, &name, reason, 0).await.unwrap();
    assert_eq!(code(site.show(&site.site).await), ErrorCode::EmergencyCodeMissing);
}
