//! Codes for technicians at devices without network: for one challenge, one visit and its window.

use crate::service::{Site, code};
use crate::world::{TestDevice, facts};
use wardein_crypto::SystemEntropy;
use wardein_ddkg::device::Clock;
use wardein_ddkg::{Purposes, ServiceChallenge, Suite};
use wardein_domain::{Call, DeviceState, Event, Purpose, ServiceScope};
use wardein_engine::{Caller, Engine, Error, ErrorCode, VisitCode, VisitId, VisitOrder};

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
    assert_eq!(later.length, HOUR - 600);
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
