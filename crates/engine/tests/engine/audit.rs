//! What a tenant sees of the audit log, of operators and of tenants: its own, found without looking at others.

use crate::world::{World, caller, order};
use wardein_domain::{ErrorCode, Event, Method, Role, TenantId};
use wardein_engine::{AuditFilter, Caller, Ended, Error, Page};

impl World {
    /// A second tenant, `lab`, with an auditor.
    async fn lab(&self) -> (TenantId, Caller) {
        self.engine.create_tenant(&self.admin, "lab".parse().unwrap()).await.unwrap();
        ("lab".parse().unwrap(), self.operator(Role::Auditor, Some("lab"), "reader").await)
    }

    async fn operator(&self, role: Role, tenant: Option<&str>, name: &str) -> Caller {
        let (_, operator) = self.engine.issue_operator(&self.admin, order(role, tenant, name)).await.unwrap();
        caller(operator.principal)
    }

    /// Entries of `klinik`, as many as that.
    async fn busy(&self, count: usize) {
        let error = Error::new(ErrorCode::RoleDenied, "a test refuses");
        for _ in 0..count {
            self.engine.record_refusal(&self.station, Method::Sweep, None, &error).await.unwrap();
        }
    }

    async fn log(&self, by: &Caller, from: u64, limit: usize) -> (Vec<u64>, u64) {
        let (entries, next) = self.engine.list_audit(by, AuditFilter::default(), from, limit).await.unwrap();
        assert!(entries.iter().all(|(_, entry)| entry.tenant == by.principal.tenant));
        (entries.into_iter().map(|(number, _)| number).collect(), next)
    }
}

#[tokio::test]
async fn a_tenants_entries_have_numbers_of_their_own_and_are_found_behind_any_number_of_others() {
    let world = World::new().await;
    let (lab, reader) = world.lab().await;
    // The creation, the auditor, and that it reads.
    assert_eq!(world.log(&reader, 0, 1000).await, (vec![1, 2, 3], 0));
    world.busy(12_000).await;
    assert_eq!(world.log(&reader, 1, 2).await, (vec![1, 2], 3), "others are not even counted");
    world.busy(100).await;
    assert_eq!(world.log(&reader, 3, 1000).await, (vec![3, 4, 5], 0));
    let (by_admin, _) = world
        .engine
        .list_audit(&world.admin, AuditFilter { tenant: Some(lab), ..AuditFilter::default() }, 1, 1000)
        .await
        .unwrap();
    let numbers: Vec<_> = by_admin.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5], "no matter who asks");
    assert_eq!(by_admin[0].1.event, Event::TenantCreated);
    // The whole log is the authority's.
    let (all, next) =
        world.engine.list_audit(&world.admin, AuditFilter::default(), 12_000, 1000).await.unwrap();
    assert_eq!((all.first().unwrap().0, next), (12_000, 0));
}

#[tokio::test]
async fn a_device_is_looked_for_in_its_tenants_entries_alone() {
    let world = World::new().await;
    let mut device = world.proven("pump-1").await;
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    let (_, reader) = world.lab().await;
    let own = world.operator(Role::Auditor, Some("klinik"), "reader").await;
    let id = Some(device.name.device.clone());
    let (found, next) = world
        .engine
        .list_audit(&own, AuditFilter { device: id.clone(), ..AuditFilter::default() }, 1, 1000)
        .await
        .unwrap();
    let events: Vec<_> = found.iter().map(|(_, entry)| entry.event.to_string()).collect();
    let expected = ["device.enroll", "device.confirm", "device.authenticate", "device.authenticate"];
    assert_eq!((events.as_slice(), next), (&expected.map(String::from)[..], 0));
    let (none, _) = world
        .engine
        .list_audit(&reader, AuditFilter { device: id, ..AuditFilter::default() }, 1, 1000)
        .await
        .unwrap();
    assert!(none.is_empty());
}

#[tokio::test]
async fn operators_of_a_tenant_are_listed_without_a_word_of_others() {
    let world = World::new().await;
    let (_, reader) = world.lab().await;
    world.engine.create_tenant(&world.admin, "labor".parse().unwrap()).await.unwrap();
    world.operator(Role::Auditor, Some("labor"), "reader").await;
    for n in 0..20 {
        world.operator(Role::Platform, Some("klinik"), &format!("iot-{n}")).await;
        world.operator(Role::Platform, Some("lab"), &format!("iot-{n}")).await;
    }
    let (mut after, mut seen) = (None, Vec::new());
    loop {
        let page = Page { size: 2, after };
        let page = world.engine.list_operators(&reader, None, page).await.unwrap();
        assert_eq!(page.items.len(), if page.next.is_some() { 2 } else { 1 }, "a page is full of its own");
        seen.extend(page.items.into_iter().map(|one| one.principal));
        after = page.next;
        match &after {
            // The last one that it was given, and nobody else.
            Some(token) => assert!(token.ends_with(seen.last().unwrap().serial.as_bytes())),
            None => break,
        }
    }
    assert_eq!(seen.len(), 21);
    assert!(seen.iter().all(|one| one.tenant == reader.principal.tenant));
    // A token of another list is none of this.
    let all = world.engine.list_operators(&world.admin, None, Page { size: 1, after: None }).await.unwrap();
    let stray = Page { size: 1, after: all.next };
    assert_eq!(
        world.engine.list_operators(&reader, None, stray).await.unwrap_err().code,
        ErrorCode::Malformed
    );
    let page = Page { size: 1000, after: None };
    assert_eq!(world.engine.list_operators(&world.admin, None, page).await.unwrap().items.len(), 45);
}

#[tokio::test]
async fn a_tenants_auditor_sees_its_tenant_and_no_other() {
    let world = World::new().await;
    let (lab, reader) = world.lab().await;
    let page = || Page { size: 10, after: None };
    let names = async |by: &Caller| -> Vec<TenantId> {
        let listed = world.engine.list_tenants(by, page()).await.unwrap();
        listed.items.into_iter().map(|tenant| tenant.id).collect()
    };
    assert_eq!(names(&reader).await, [lab]);
    assert_eq!(names(&world.admin).await.len(), 2);
    let everywhere = world.operator(Role::Auditor, None, "outside").await;
    assert_eq!(names(&everywhere).await.len(), 2);
}

#[tokio::test]
async fn entries_are_found_by_time_actor_event_and_outcome() {
    let world = World::new().await;
    let listed = async |filter: AuditFilter| {
        let (entries, next) = world.engine.list_audit(&world.admin, filter, 1, 1000).await.unwrap();
        assert_eq!(next, 0);
        let reading = |(_, entry): &(u64, wardein_domain::AuditEntry)| entry.event != Event::AuditRead;
        entries.into_iter().filter(reading).map(|(number, _)| number).collect::<Vec<_>>()
    };
    let begin = world.engine.now() * 1000;
    world.busy(3).await;
    world.clock.pass(60);
    world.proven("pump-1").await;
    let middle = begin + 60_000;
    let all = listed(AuditFilter::default()).await;
    let first = listed(AuditFilter { until_ms: Some(middle), ..AuditFilter::default() }).await;
    let second = listed(AuditFilter { since_ms: Some(middle), ..AuditFilter::default() }).await;
    assert!(first.len() >= 3 && second.len() >= 3, "{first:?} {second:?}");
    assert_eq!([first, second.clone()].concat(), all);
    let from_the_start = AuditFilter { since_ms: Some(0), ..AuditFilter::default() };
    assert_eq!(listed(from_the_start).await, all);
    let later = AuditFilter { since_ms: Some(u64::MAX), ..AuditFilter::default() };
    assert!(listed(later).await.is_empty());
    // Of a tenant too, whose entries have numbers of their own.
    let klinik = Some("klinik".parse().unwrap());
    let of_tenant = AuditFilter { tenant: klinik, since_ms: Some(middle), ..AuditFilter::default() };
    assert_eq!(listed(of_tenant).await.len(), second.len());

    for (actor, event, ended, count) in [
        (Some("station"), None, Ended::Refused, 3),
        (Some("station/klinik"), Some("call"), Ended::Refused, 3),
        (Some("stat"), None, Ended::Either, 0),
        (None, Some("call.refuse"), Ended::Either, 3),
        (None, Some("call.refus"), Ended::Either, 0),
        (None, Some("call"), Ended::In("role-denied".into()), 3),
        (None, Some("call"), Ended::In("ok".into()), 0),
        (Some("device"), Some("device.authenticate"), Ended::In("ok".into()), 1),
        (None, Some("device.enroll"), Ended::In("ok".into()), 1),
    ] {
        let (actor, event) = (actor.map(str::to_owned), event.map(str::to_owned));
        let filter = AuditFilter { actor, event, ended, ..AuditFilter::default() };
        assert_eq!(listed(filter.clone()).await.len(), count, "{filter:?}");
    }
}

#[tokio::test]
async fn a_search_for_rare_entries_ends_and_says_where_to_go_on() {
    let world = World::new().await;
    world.busy(10_100).await;
    let rare = AuditFilter { event: Some("tenant".into()), ..AuditFilter::default() };
    let (found, next) = world.engine.list_audit(&world.admin, rare.clone(), 2, 10).await.unwrap();
    assert!(found.len() < 10 && next >= 10_000, "{next}");
    let (_, last) = world.engine.list_audit(&world.admin, rare, next, 10).await.unwrap();
    assert_eq!(last, 0);
}

#[tokio::test]
async fn a_sink_reads_the_whole_log_without_an_entry_and_its_place_never_goes_back() {
    let world = World::new().await;
    world.busy(10).await;
    let sink = "siem".parse().unwrap();
    let place = async || world.engine.sink_position(&sink).await.unwrap();
    assert_eq!(place().await, 0);
    let last = world.engine.last_entry().await.unwrap();
    let all = world.engine.entries_for_sink(0, 1_000).await.unwrap();
    assert_eq!(all.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
    assert_eq!(world.engine.entries_for_sink(last, 1_000).await.unwrap().len(), 1);
    for (noted, known) in [(7, 7), (9, 9), (3, 9)] {
        world.engine.note_sink_position(&sink, noted).await.unwrap();
        assert_eq!(place().await, known);
    }
    assert_eq!(world.engine.last_entry().await.unwrap(), last, "neither reading nor noting has an entry");
    assert_eq!(world.engine.sink_position(&"other".parse().unwrap()).await.unwrap(), 0);
}
