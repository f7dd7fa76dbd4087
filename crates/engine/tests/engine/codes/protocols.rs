//! Protocols of sessions that codes admitted, and protocols that come as files.

use super::report;
use crate::service::{Site, code};
use crate::signing::Signer;
use crate::world::{TestDevice, facts};
use std::collections::BTreeMap;
use wardein_ddkg::ServiceChallenge;
use wardein_ddkg::device::Clock;
use wardein_ddkg::message::{Admitted, CarriedProtocol, ServiceKey, VisitEnd, VisitProtocol};
use wardein_domain::{DeviceState, Event};
use wardein_engine::{Caller, Error, ErrorCode, ImportedProtocol, Page, VisitId, VisitOrder};

const HOUR: u64 = 3_600;

impl TestDevice {
    /// What the device tells of a session by a code. Its clock is years behind.
    fn protocol(&self, by: Admitted, session: u8, scope: &str) -> VisitProtocol {
        VisitProtocol {
            device: self.name.clone(),
            by,
            session: [session; 16],
            scope: scope.parse().unwrap(),
            began: 1_000,
            ended: 1_060,
            end: VisitEnd::Left,
            actions: BTreeMap::from([("login".parse().unwrap(), 1)]),
        }
    }

    fn of_code(&self, challenge: &ServiceChallenge, session: u8) -> VisitProtocol {
        let key = (&challenge.key_name(self.name.clone())).into();
        self.protocol(Admitted::Code(key), session, "maintenance")
    }

    fn carry(&mut self, protocol: &VisitProtocol) -> CarriedProtocol {
        let clock = Clock { elapsed: 0, wall: None };
        let carried = self.state.as_mut().unwrap().carry_protocol(clock, protocol.clone());
        carried.unwrap().save(|_| Ok::<_, ()>(())).unwrap()
    }
}

impl Site {
    async fn tell(&self, device: &mut TestDevice, protocol: &VisitProtocol) -> Result<(), ErrorCode> {
        let told = device.prove(&self.world.engine, "visit-protocol", &protocol.encode()).await;
        told.map(|_| ()).map_err(|error| error.code)
    }

    async fn import(&self, by: &Caller, carried: &CarriedProtocol) -> Result<ImportedProtocol, Error> {
        self.world.engine.import_protocol(by, carried.clone()).await
    }

    /// How many protocols of the visit there are, and how many are awaited.
    async fn told(&self, id: VisitId) -> (usize, usize) {
        let visit = self.world.engine.get_visit(&self.site, self.world.tenant(), id).await.unwrap();
        (visit.protocols.len(), visit.awaited.len())
    }

    /// Of each use of a code for emergencies whether its session is on record.
    async fn emergencies(&self) -> Vec<bool> {
        let page = Page { size: 100, after: None };
        let found = self.world.engine.list_emergency_uses(&self.site, None, page).await.unwrap();
        found.items.into_iter().flat_map(|of| of.uses).map(|of| of.protocol.is_some()).collect()
    }
}

#[tokio::test]
async fn a_session_by_a_code_is_told_to_the_visit_that_the_code_was_for_and_awaited_there() {
    let site = Site::new().await;
    let mut a = site.world.proven("a").await;
    a.agree(&site.world.engine).await;
    let id = site.visit(site.to_a()).await;
    let challenge = a.show("maintenance");
    site.answer(&site.eva, id, "a", &challenge).await.unwrap();
    // Asked again, it is awaited once.
    site.answer(&site.eva, id, "a", &challenge).await.unwrap();
    let unasked = a.show("maintenance");
    site.world.clock.pass(HOUR);
    assert_eq!(site.told(id).await, (0, 1));
    let good = a.of_code(&challenge, 1);
    for (wrong, refused) in [
        (a.of_code(&unasked, 1), ErrorCode::VisitUnknown),
        (VisitProtocol { scope: "view".parse().unwrap(), ..good.clone() }, ErrorCode::ProtocolOtherVisit),
        (VisitProtocol { ended: good.began + 13 * HOUR + 1, ..good.clone() }, ErrorCode::ProtocolWindow),
        (
            VisitProtocol { device: crate::world::name("klinik", "pump"), ..good.clone() },
            ErrorCode::ProtocolOtherDevice,
        ),
    ] {
        assert_eq!(site.tell(&mut a, &wrong).await, Err(refused), "{wrong:?}");
    }
    assert_eq!(site.told(id).await, (0, 1));
    for _ in 0..2 {
        site.tell(&mut a, &good).await.unwrap();
    }
    assert_eq!(site.told(id).await, (1, 0));
    let said = facts(&site.world.entries(Event::VisitProtocolGiven).await[0]);
    assert!(said.contains("technician=eva, work-order=WO-00012, session=0101"), "{said}");
    // The codes of one device are not another's.
    let mut b = site.world.proven("b").await;
    b.agree(&site.world.engine).await;
    let key = (&challenge.key_name(b.name.clone())).into();
    let other = b.protocol(Admitted::Code(key), 2, "maintenance");
    assert_eq!(site.tell(&mut b, &other).await, Err(ErrorCode::VisitUnknown));
}

#[tokio::test]
async fn a_protocol_in_a_file_is_judged_as_by_a_proof_and_says_who_carried_it() {
    let site = Site::new().await;
    let (mut a, mut b) = (site.world.proven("a").await, site.world.proven("b").await);
    a.agree(&site.world.engine).await;
    b.agree(&site.world.engine).await;
    let id = site.visit(site.to_a()).await;
    let challenge = a.show("maintenance");
    site.answer(&site.eva, id, "a", &challenge).await.unwrap();
    let good = a.of_code(&challenge, 1);
    let carried = a.carry(&good);
    assert_eq!(code(site.import(&site.max, &carried).await), ErrorCode::VisitUnknown, "not a visit of his");
    let taken = site.import(&site.eva, &carried).await.unwrap();
    assert_eq!((taken.visit, taken.is_repeated), (Some(id), false));
    let entries = site.world.entries(Event::VisitProtocolGiven).await;
    assert_eq!((entries.len(), entries[0].actor.to_string().as_str()), (1, "technician/klinik/eva"));
    assert!(entries[0].of_history().is_some());
    // Again: the same file, another of the same session, and by the device itself.
    let again = a.carry(&good);
    for (by, carried) in [(&site.eva, &carried), (&site.site, &again)] {
        assert!(site.import(by, carried).await.unwrap().is_repeated);
    }
    site.tell(&mut a, &good).await.unwrap();
    assert_eq!(site.told(id).await, (1, 0));
    let longer = a.carry(&VisitProtocol { ended: good.ended + 1, ..good.clone() });
    assert_eq!(code(site.import(&site.eva, &longer).await), ErrorCode::ProtocolContradicts);
    let other = VisitProtocol { scope: "view".parse().unwrap(), session: [2; 16], ..good.clone() };
    let other = a.carry(&other);
    assert_eq!(code(site.import(&site.eva, &other).await), ErrorCode::ProtocolOtherVisit);
    // Who has the file and no keys can alter nothing, and another device makes none of it.
    let bytes = carried.encode();
    for at in [bytes.len() - 1, bytes.len() - 40] {
        let mut forged = bytes.clone();
        forged[at] ^= 1;
        let forged = CarriedProtocol::decode(&forged).unwrap();
        assert_eq!(code(site.import(&site.eva, &forged).await), ErrorCode::ProtocolForged, "byte {at}");
    }
    let mut renamed = bytes.clone();
    let at = renamed.windows(5).position(|part| part == b"\0\0\0\x01a").unwrap() + 4;
    renamed[at] = b'b';
    let renamed = CarriedProtocol::decode(&renamed).unwrap();
    assert_eq!(renamed.protocol().device, b.name);
    assert_eq!(code(site.import(&site.eva, &renamed).await), ErrorCode::ProtocolForged);
    let of_b = b.carry(&b.of_code(&challenge, 3));
    assert_eq!(code(site.import(&site.eva, &of_b).await), ErrorCode::VisitUnknown);
    assert_eq!(site.told(id).await, (1, 0));
}

#[tokio::test]
async fn a_file_is_worth_nothing_without_keys_that_are_known_nor_of_a_device_that_is_not_trusted() {
    let site = Site::new().await;
    let mut a = site.world.proven("a").await;
    let id = site.visit(site.to_a()).await;
    let engine = &site.world.engine;
    let name = a.name.clone();
    let set = async |state| {
        engine.set_device_state(&site.world.admin, name.clone(), state, "x".parse().unwrap()).await
    };
    // Nobody's keys: what another device would write of a device that has agreed on none.
    let mut twin = site.world.proven("b").await;
    twin.agree(engine).await;
    let mut stolen = twin.carry(&twin.protocol(Admitted::Code(KEY), 1, "maintenance")).encode();
    let at = stolen.windows(5).position(|part| part == b"\0\0\0\x01b").unwrap() + 4;
    stolen[at] = b'a';
    let stolen = CarriedProtocol::decode(&stolen).unwrap();
    assert_eq!(code(site.import(&site.eva, &stolen).await), ErrorCode::ServiceCodesNotAgreed);
    a.agree(engine).await;
    let challenge = a.show("maintenance");
    site.answer(&site.eva, id, "a", &challenge).await.unwrap();
    let good = a.of_code(&challenge, 1);
    let carried = a.carry(&good);
    set(DeviceState::Suspended).await.unwrap();
    assert_eq!(code(site.import(&site.eva, &carried).await), ErrorCode::DeviceSuspended);
    set(DeviceState::Active).await.unwrap();
    a.agree(engine).await;
    assert_eq!(code(site.import(&site.eva, &carried).await), ErrorCode::ProtocolKeysGone);
    // The device has it still, and writes it again.
    let again = a.carry(&good);
    assert!(!site.import(&site.eva, &again).await.unwrap().is_repeated);
}

#[tokio::test]
async fn an_emergency_is_told_to_its_use_and_a_file_puts_the_use_on_record() {
    let site = Site::new().await;
    let mut a = site.world.proven("a").await;
    a.agree(&site.world.engine).await;
    let [first, second, third] = [(); 3].map(|()| a.make_emergency_code().0);
    let of = |a: &TestDevice, key, session| a.protocol(Admitted::Emergency(key), session, "emergency");
    // Who writes the spool of a device makes no uses: the device itself reports them.
    let told = of(&a, first, 1);
    assert_eq!(site.tell(&mut a, &told).await, Err(ErrorCode::EmergencyUseUnknown));
    a.prove(&site.world.engine, "emergency-code", &report(second, &[first])).await.unwrap();
    for (wrong, refused) in [
        (VisitProtocol { scope: "view".parse().unwrap(), ..told.clone() }, ErrorCode::ProtocolOtherVisit),
        (VisitProtocol { ended: told.began + 5 * HOUR + 1, ..told.clone() }, ErrorCode::ProtocolWindow),
    ] {
        assert_eq!(site.tell(&mut a, &wrong).await, Err(refused), "{wrong:?}");
    }
    for _ in 0..2 {
        site.tell(&mut a, &told).await.unwrap();
    }
    let twice = of(&a, first, 2);
    assert_eq!(site.tell(&mut a, &twice).await, Err(ErrorCode::ProtocolContradicts), "it is good once");
    assert_eq!(site.emergencies().await, [true]);
    let carried = a.carry(&of(&a, second, 3));
    let taken = site.import(&site.site, &carried).await.unwrap();
    assert_eq!((taken.visit, taken.is_repeated), (None, false));
    assert!(site.import(&site.eva, &carried).await.unwrap().is_repeated);
    assert_eq!(site.emergencies().await, [true, true]);
    // What the device reports afterward is known.
    a.prove(&site.world.engine, "emergency-code", &report(third, &[second])).await.unwrap();
    assert_eq!(site.emergencies().await, [true, true]);
    assert_eq!(site.world.entries(Event::EmergencyCodeUsed).await.len(), 2);
    assert_eq!(site.world.engine.count_service().await.unwrap().open_reviews, 2);
}

#[tokio::test]
async fn a_device_that_signs_signs_its_protocols_and_no_other_key_does() {
    let site = Site::new().await;
    let (device, other) =
        (Signer::enrolled(&site.world, "s").await, Signer::enrolled(&site.world, "t").await);
    let id = site.visit(VisitOrder { devices: vec!["s".parse().unwrap()], ..site.order() }).await;
    let by = Admitted::Visit {
        visit: id,
        technician: "eva".parse().unwrap(),
        work_order: "WO-00012".parse().unwrap(),
    };
    let protocol = VisitProtocol {
        device: crate::world::name("klinik", "s"),
        by,
        session: [1; 16],
        scope: "maintenance".parse().unwrap(),
        began: site.now() + 1,
        ended: site.now() + 2,
        end: VisitEnd::Left,
        actions: BTreeMap::new(),
    };
    assert_eq!(code(site.import(&site.eva, &other.carry(protocol.clone())).await), ErrorCode::ProtocolForged);
    let signature = device.carry(protocol.clone()).signature().unwrap().to_vec();
    let altered = VisitProtocol { ended: protocol.ended + 1, ..protocol.clone() };
    let altered = CarriedProtocol::signed(altered, signature);
    assert_eq!(code(site.import(&site.eva, &altered).await), ErrorCode::ProtocolForged);
    for is_repeated in [false, true] {
        let taken = site.import(&site.eva, &device.carry(protocol.clone())).await.unwrap();
        assert_eq!((taken.visit, taken.is_repeated), (Some(id), is_repeated));
    }
    // It has no codes, so none let anybody in; and a device that derives keys signs nothing.
    let by_code = VisitProtocol { by: Admitted::Code(KEY), ..protocol.clone() };
    assert_eq!(code(site.import(&site.eva, &device.carry(by_code)).await), ErrorCode::VisitUnknown);
    let renamed = VisitProtocol { device: crate::world::name("klinik", "pump"), ..protocol };
    assert_eq!(code(site.import(&site.eva, &device.carry(renamed)).await), ErrorCode::ProtocolForged);
}

const KEY: ServiceKey = ServiceKey { generation: 2, epoch: 0, number: 0 };
