//! Many callers about one record: in turn, nobody without keys in the way, and none of them left behind by one that goes away.

use crate::est::{certified, key};
use crate::service::Site;
use crate::world::{ROOT_KEY, TestDevice, World, csr, open, order};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use wardein_crypto::Digest;
use wardein_ddkg::message::{ProofRequest, SealedPayload, VisitRelease};
use wardein_domain::{
    AuditEntry, DeviceState, EstOperation, Event, KeyKeeper, Right, Role, Serial, ServicePolicy, Verdict,
};
use wardein_engine::{
    AuditFilter, Engine, Error, ErrorKind, EstCall, KeyPolicy, OpenAsk, Page, Ports, Subject, VisitOrder,
    Wanted,
};
use wardein_pki::Csr;
use wardein_port::Store;
use wardein_testkit::{Chaos, ChaosStore, MemoryCustody};

type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// Lets each come as far as it can, in order; all of them have to wait.
fn begin<T>(calls: &mut [Call<'_, T>]) {
    for call in calls {
        assert!(poll(call).is_pending());
    }
}

fn poll<T>(call: &mut Call<'_, T>) -> Poll<Result<T, Error>> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// The outcomes of all. The last are polled first, so that whose turn it is does not follow from that.
async fn end<T>(mut calls: Vec<Call<'_, T>>) -> Vec<Result<T, Error>> {
    let mut outcomes: Vec<_> = calls.iter().map(|_| None).collect();
    for _ in 0..ROUNDS {
        poll_fn(|context| {
            for (call, outcome) in calls.iter_mut().zip(&mut outcomes).rev() {
                if outcome.is_none()
                    && let Poll::Ready(came) = call.as_mut().poll(context)
                {
                    *outcome = Some(came);
                }
            }
            Poll::Ready(())
        })
        .await;
        if outcomes.iter().all(Option::is_some) {
            return outcomes.into_iter().flatten().collect();
        }
        tokio::task::yield_now().await;
    }
    unreachable!("they wait for each other")
}

fn prove<'a>(engine: &'a Engine, id: impl ToString, request: &ProofRequest) -> Call<'a, ()> {
    let (id, request) = (id.to_string(), request.clone());
    Box::pin(
        async move { engine.prove(&wardein_domain::Call::new(&id), request, Vec::new()).await.map(|_| ()) },
    )
}

fn set<'a>(world: &'a World, engine: &'a Engine, device: &TestDevice, state: DeviceState) -> Call<'a, ()> {
    let (name, reason) = (device.name.clone(), "lost".parse().unwrap());
    Box::pin(async move { engine.set_device_state(&world.admin, name, state, reason).await.map(|_| ()) })
}

fn wrong(device: &mut TestDevice, engine: &Engine) -> ProofRequest {
    let (mut request, _) = device.proof(engine, "authenticate", b"");
    request.mac.0[0] ^= 1;
    request
}

/// Signs of life that are on record, by the ids of their requests, in order.
async fn accepted(world: &World) -> Vec<String> {
    world.entries(Event::DeviceAuthenticated).await.into_iter().map(|entry| entry.request_id).collect()
}

#[tokio::test]
async fn many_proofs_of_one_device_at_a_time_are_all_accepted_in_the_order_in_which_they_came() {
    let world = World::new().await;
    let mut device = world.proven("pump-1").await;
    let before = accepted(&world).await.len();
    let commits = world.store.commits();
    let proofs: Vec<_> = (0..64).map(|_| device.proof(&world.engine, "authenticate", b"").0).collect();
    let numbered = proofs.iter().enumerate();
    let mut calls: Vec<_> = numbered.map(|(n, request)| prove(&world.engine, n, request)).collect();
    world.store.hold();
    begin(&mut calls);
    assert_eq!(world.store.waiting(), 1, "one at a time");
    world.store.release();
    assert_eq!(end(calls).await, vec![Ok(()); 64]);
    assert_eq!(world.store.commits(), commits + 64, "none was made twice");
    let in_order: Vec<_> = (0..64).map(|n: u32| n.to_string()).collect();
    assert_eq!(accepted(&world).await[before..], in_order);
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
}

#[tokio::test]
async fn who_is_wrong_is_refused_while_the_record_is_held_and_delays_nobody() {
    let world = World::new().await;
    // With rows at hand, and with rows that must be loaded.
    let far = ChaosStore::over(world.store.clone(), 1, Chaos { later: 1_000, ..Chaos::default() });
    let ports = Ports::new(Arc::new(far), world.clock.clone());
    let far = Engine::open(ports, MemoryCustody::of(ROOT_KEY).root_keys()).await.unwrap();
    for (engine, id) in [(&world.engine, "pump-1"), (&far, "pump-2")] {
        let mut device = world.proven(id).await;
        let [first, second] = [0, 1].map(|_| device.proof(engine, "authenticate", b"").0);
        let wrong = wrong(&mut device, engine);
        let (commits, head) = (world.store.commits(), world.store.head().await.unwrap());
        world.store.hold();
        let mut right = vec![prove(engine, "first", &first)];
        begin(&mut right);
        for n in 0..1_000 {
            let refused = end(vec![prove(engine, n, &wrong)]).await.remove(0).unwrap_err();
            assert_eq!((refused.kind(), refused.code.as_str()), (ErrorKind::Unauthenticated, "mac-wrong"));
            if n == 500 {
                right.push(prove(engine, "second", &second));
                begin(&mut right[1..]);
            }
        }
        assert_eq!(world.store.waiting(), 1, "what was right has not come to an end meanwhile");
        world.store.release();
        assert_eq!(end(right).await, [Ok(()), Ok(())]);
        assert_eq!(world.store.commits(), commits + 2);
        let entries = world.store.head().await.unwrap().last_audit - head.last_audit;
        assert_eq!(entries, 2, "who is wrong is not on record");
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_a_durable_record_and_its_turn_to_the_next() {
    let world = World::new().await;
    let mut device = world.proven("pump-1").await;
    let proofs: [_; 4] = std::array::from_fn(|_| device.proof(&world.engine, "authenticate", b"").0);
    let mut calls: Vec<_> = proofs.iter().enumerate().map(|(n, of)| prove(&world.engine, n, of)).collect();
    world.store.hold();
    begin(&mut calls);
    // One in flight, and one that waits for its turn.
    drop(calls.remove(0));
    drop(calls.remove(1));
    assert_eq!(world.store.waiting(), 1);
    world.store.release();
    assert_eq!(end(calls).await, [Ok(()), Ok(())]);
    let again = async |n: usize| {
        world.engine.prove(&wardein_domain::Call::new("again"), proofs[n].clone(), vec![]).await
    };
    assert_eq!(
        again(0).await.unwrap_err().code.as_str(),
        "replayed",
        "it came to its end without its caller"
    );
    again(2).await.expect("it never began, and the challenge is good still");

    // What memory has is what the store has: nothing conflicts.
    let commits = world.store.commits();
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    assert_eq!(world.store.commits(), commits + 1);

    world.store.hold();
    let mut calls = vec![set(&world, &world.engine, &device, DeviceState::Suspended)];
    begin(&mut calls);
    drop(calls);
    let verdict = async |engine: &Engine| {
        let subject = Subject::Device(device.name.device.clone());
        engine.check(&world.platform, subject).await.unwrap().verdict
    };
    assert_eq!(verdict(&world.engine).await, Verdict::Trusted);
    world.store.release();
    assert_eq!(verdict(&world.engine).await, Verdict::NotTrusted);
    assert_eq!(verdict(&open(&world.store, &world.clock).await).await, Verdict::NotTrusted);
}

#[tokio::test]
async fn no_proof_is_accepted_after_the_suspension_that_it_met_on_its_way() {
    for (is_elsewhere, is_first) in [(false, true), (false, false), (true, true), (true, false)] {
        let world = World::new().await;
        let mut device = world.proven("pump-1").await;
        // Another node's records are not held by this one.
        let other = open(&world.store, &world.clock).await;
        let request = device.proof(&world.engine, "authenticate", b"").0;
        let there = if is_elsewhere { &other } else { &world.engine };
        let mut calls = vec![
            prove(&world.engine, "proof", &request),
            set(&world, there, &device, DeviceState::Suspended),
        ];
        if !is_first {
            calls.reverse();
        }
        world.store.hold();
        begin(&mut calls);
        assert_eq!(world.store.waiting(), if is_elsewhere { 2 } else { 1 });
        world.store.release();
        let mut outcomes = end(calls).await;
        if !is_first {
            outcomes.reverse();
        }
        assert_eq!(outcomes[1], Ok(()));
        let proved = outcomes.remove(0).map_err(|error| (error.kind(), error.code.as_str()));
        let expected = if is_first { Ok(()) } else { Err((ErrorKind::Denied, "suspended")) };
        assert_eq!(proved, expected, "elsewhere: {is_elsewhere}");

        let (entries, _) =
            world.engine.list_audit(&world.admin, AuditFilter::default(), 1, 1_000).await.unwrap();
        let entry = |event: Event, id: &str| {
            let is_it = |(_, entry): &&(u64, AuditEntry)| entry.event == event && entry.request_id == id;
            entries.iter().find(is_it).map(|(number, _)| *number)
        };
        let suspended = entry(Event::DeviceStateSet, "test");
        assert!(suspended.is_some());
        let taken = entry(Event::DeviceAuthenticated, "proof");
        assert_eq!(taken.is_some(), is_first);
        assert!(taken < suspended, "{taken:?}, {suspended:?}");
        assert_eq!(entry(Event::CallRefused, "proof").is_some(), !is_first, "the refusal is on record");
        for engine in [&world.engine, &other] {
            let refused = device.prove(engine, "authenticate", b"").await.unwrap_err();
            assert_eq!(refused.code.as_str(), "suspended");
        }
    }
}

/// Whatever memory says of the device: its version is checked in the change that has the certificate.
#[tokio::test]
async fn no_certificate_renews_itself_after_the_suspension_that_it_met_on_its_way() {
    for is_elsewhere in [false, true] {
        let world = World::new().await;
        let mut device = world.proven("pump-1").await;
        let own = key();
        let (shown, request) = (certified(&world, &mut device, &own).await, Csr::create(&own).unwrap());
        let other = open(&world.store, &world.clock).await;
        let there = if is_elsewhere { &other } else { &world.engine };
        let renew: Call<'_, ()> = Box::pin(async {
            let call = wardein_domain::Call::new("renewal");
            let asked = EstCall { call: &call, operation: EstOperation::SimpleReenroll };
            world.engine.renew(asked, &shown, &Wanted::Csr(&request)).await.map(|_| ())
        });
        let mut calls = vec![set(&world, there, &device, DeviceState::Suspended), renew];
        world.store.hold();
        begin(&mut calls);
        assert_eq!(world.store.waiting(), if is_elsewhere { 2 } else { 1 });
        world.store.release();
        let outcomes = end(calls).await;
        let code = outcomes[1].as_ref().map_err(|error| error.code.as_str());
        assert_eq!((&outcomes[0], code), (&Ok(()), Err("suspended")), "elsewhere: {is_elsewhere}");
    }
}

/// Whatever it read of the policy: it is checked in the change that has the release.
#[tokio::test]
async fn no_visit_is_released_at_a_device_once_that_was_switched_off_while_it_was_on_its_way() {
    for is_elsewhere in [false, true] {
        let site = Site::new().await;
        let (world, tenant) = (&site.world, site.world.tenant());
        let mut device = world.proven("a").await;
        let on = ServicePolicy::default().with_release_at_device(true);
        world.engine.put_service_policy(&site.anna, &tenant, on).await.unwrap();
        let order = VisitOrder { devices: vec!["a".parse().unwrap()], ..site.order() };
        let body = VisitRelease(site.invite(order).await.unwrap().id).encode();
        let other = open(&world.store, &world.clock).await;
        let there = if is_elsewhere { &other } else { &world.engine };
        let (request, _) = device.proof(&world.engine, "visit-release", &body);
        let off: Call<'_, ()> =
            Box::pin(there.put_service_policy(&site.anna, &tenant, ServicePolicy::default()));
        let release: Call<'_, ()> = Box::pin(async {
            let call = wardein_domain::Call::new("release");
            world.engine.prove(&call, request, body).await.map(|_| ())
        });
        let mut calls = vec![off, release];
        world.store.hold();
        begin(&mut calls);
        world.store.release();
        let outcomes = end(calls).await;
        let code = outcomes[1].as_ref().map_err(|error| error.code.as_str());
        assert_eq!(
            (&outcomes[0], code),
            (&Ok(()), Err("release-at-device-off")),
            "elsewhere: {is_elsewhere}"
        );
        assert!(world.entries(Event::VisitReleased).await.is_empty());
    }
}

/// Whatever memory says of the CA: it is checked in the change that has the certificate.
#[tokio::test]
async fn no_certificate_is_of_a_ca_that_was_distrusted_while_it_was_on_its_way() {
    for is_elsewhere in [false, true] {
        let world = World::new().await;
        let mut device = world.proven("pump-1").await;
        let other = open(&world.store, &world.clock).await;
        let there = if is_elsewhere { &other } else { &world.engine };
        let (id, body) = (world.engine.issuing_cas()[0].id, csr());
        let (request, _) = device.proof(&world.engine, "certificate", &body);
        let mut distrust: Call<'_, Vec<u8>> = Box::pin(async {
            there.distrust_ca(&world.admin, id, "leaked".parse().unwrap()).await.map(|_| Vec::new())
        });
        let certify: Call<'_, Vec<u8>> = Box::pin(async {
            let call = wardein_domain::Call::new("certify");
            Ok(world.engine.prove(&call, request, body).await?.reply.body)
        });
        world.store.hold();
        // The key of the successor is made on a thread of its own.
        while world.store.waiting() == 0 {
            assert!(poll(&mut distrust).is_pending());
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let mut calls = vec![certify];
        begin(&mut calls);
        calls.push(distrust);
        world.store.release();
        let outcomes = end(calls).await;
        assert!(outcomes[1].is_ok(), "{outcomes:?}");
        let chain = outcomes[0].as_ref().unwrap();
        let length = u32::from_be_bytes(*chain.first_chunk().unwrap()) as usize;
        assert_eq!(world.verdict(&chain[4..4 + length]).await, Verdict::Trusted, "elsewhere: {is_elsewhere}");
    }
}

/// The serial of the operator of that name, from the store.
/// The store answers in rounds: all that wait are judged together, as a group is, and those that conflict decide again.
async fn end_in_rounds<T>(world: &World, calls: Vec<Call<'_, T>>) -> Vec<Result<T, Error>> {
    let count = calls.len();
    let (mut calls, mut outcomes): (Vec<_>, Vec<_>) = (calls.into_iter().map(Some).collect(), Vec::new());
    for _ in 0..4 * count {
        world.store.hold();
        for call in &mut calls {
            if let Some(waiting) = call
                && let Poll::Ready(came) = poll(waiting)
            {
                outcomes.push(came);
                *call = None;
            }
        }
        world.store.release();
        // What tokio lets a task do at a time is bounded.
        tokio::task::yield_now().await;
    }
    assert_eq!(outcomes.len(), count, "they wait for each other");
    outcomes
}

#[tokio::test]
async fn many_openings_of_one_devices_payloads_at_a_time_all_come_to_an_end() {
    let world = World::new().await;
    world.grant(Right::Open).await;
    let mut device = world.proven("pump-1").await;
    let sealed: Vec<_> = (0..64).map(|n: u8| device.seal(&[n], 0)).collect();
    let open = |(n, sealed): (usize, &SealedPayload)| -> Call<'_, Vec<u8>> {
        let ask = OpenAsk {
            sealed: sealed.clone(),
            additional: b"log".to_vec(),
            reason: "alarm".parse().unwrap(),
            idempotency: Digest::of(&n.to_be_bytes()),
        };
        let opened = world.engine.open_payload(&world.platform, ask);
        Box::pin(async move { opened.await.map(|unsealed| unsealed.secret.expose().to_vec()) })
    };
    let opened = end_in_rounds(&world, sealed.iter().enumerate().map(open).collect()).await;
    let mut plaintexts: Vec<_> = opened.into_iter().map(Result::unwrap).collect();
    plaintexts.sort();
    assert_eq!(plaintexts, (0..64).map(|n: u8| vec![n]).collect::<Vec<_>>());
}

#[tokio::test]
async fn many_changes_of_one_row_at_a_time_all_come_to_an_end() {
    let world = World::new().await;
    let put = |n: usize| -> Call<'_, _> {
        let all = KeyKeeper::ALL.into_iter().enumerate();
        let keepers = all.filter(|(bit, _)| n >> bit & 1 == 1).map(|(_, keeper)| keeper).collect();
        let policy = KeyPolicy { keepers, first_use: n >> 3 & 1 == 1, ..KeyPolicy::default() };
        Box::pin(world.engine.put_key_policy(&world.admin, world.tenant(), policy, None))
    };
    let put = end_in_rounds(&world, (0..64).map(put).collect()).await;
    assert_eq!(put.into_iter().filter(Result::is_err).count(), 0);
}

async fn serial(engine: &Engine, world: &World, name: &str) -> Serial {
    let page = Page { size: 100, after: None };
    let listed = engine.list_operators(&world.admin, None, page).await.unwrap().items;
    listed.iter().find(|one| one.principal.name.as_str() == name).unwrap().principal.serial
}

#[tokio::test]
async fn an_operator_that_is_revoked_while_it_is_issued_is_refused_from_then_on() {
    for is_elsewhere in [false, true] {
        let world = World::new().await;
        let other = open(&world.store, &world.clock).await;
        let there = if is_elsewhere { &other } else { &world.engine };
        let issue = |order| -> Call<'_, _> { Box::pin(world.engine.issue_operator(&world.admin, order)) };
        let revoke = |serial| -> Call<'_, _> {
            Box::pin(there.revoke_operator(&world.admin, serial, "stolen".parse().unwrap(), false))
        };
        let mut issuing = vec![issue(order(Role::Platform, Some("klinik"), "late"))];
        world.store.hold();
        begin(&mut issuing);
        world.store.release();
        // It is on record, and its caller has not heard of it.
        let serial = serial(there, &world, "late").await;
        world.store.hold();
        let mut revoking = vec![revoke(serial)];
        begin(&mut revoking);
        world.store.release();
        // The revocation is answered before the issue, or after it.
        let principal = if is_elsewhere {
            assert_eq!(end(revoking).await, [Ok(1)]);
            end(issuing).await.remove(0).unwrap().1.principal
        } else {
            let principal = end(issuing).await.remove(0).unwrap().1.principal;
            assert_eq!(end(revoking).await, [Ok(1)]);
            principal
        };
        assert_eq!(principal.serial, serial);
        let restarted = open(&world.store, &world.clock).await;
        for engine in [&world.engine, &other, &restarted] {
            let refused = engine.authenticate(&principal).await.unwrap_err();
            assert_eq!(
                (refused.kind(), refused.code.as_str()),
                (ErrorKind::Unauthenticated, "operator-revoked")
            );
        }
        // A name that was revoked is free.
        let again = world.engine.issue_operator(&world.admin, order(Role::Platform, Some("klinik"), "late"));
        world.engine.authenticate(&again.await.unwrap().1.principal).await.unwrap();
    }
}

/// More than any of these calls takes.
const ROUNDS: usize = 1_000;

/// What a call set is its answer, whatever another has set since.
#[tokio::test]
async fn of_two_who_set_a_policy_each_hears_its_own() {
    let world = World::new().await;
    let put = |first_use| -> Call<'_, _> {
        let keepers = KeyKeeper::ALL.into_iter().rev().chain(KeyKeeper::ALL).collect();
        let policy = KeyPolicy { keepers, first_use, ..KeyPolicy::default() };
        Box::pin(world.engine.put_key_policy(&world.admin, world.tenant(), policy, None))
    };
    let answers = end_in_rounds(&world, vec![put(true), put(false), put(true)]).await;
    let last = world.engine.get_key_policy(&world.admin, &world.tenant()).await.unwrap();
    let mut heard = Vec::new();
    for (answer, first_use) in answers.into_iter().zip([true, false, true]) {
        let (policy, etag) = answer.unwrap();
        assert_eq!((policy.first_use, policy.keepers.len()), (first_use, KeyKeeper::ALL.len()));
        assert_eq!(policy.keepers, last.0.keepers, "in one order, each once");
        assert_eq!(etag == last.1, first_use == last.0.first_use);
        heard.push(etag);
    }
    assert!(heard[0] == heard[2] && heard[0] != heard[1]);
}
