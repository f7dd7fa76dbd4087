//! Decisions of two nodes at one time: the second rests on rows that the first has changed by then, and is judged again.

use super::*;
use crate::world::{ROOT_KEY, open};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use wardein_ddkg::message::ProofRequest;
use wardein_engine::{Engine, Ports};
use wardein_testkit::{Chaos, ChaosStore, MemoryCustody};

type Deed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + 'a>>;

impl Two {
    async fn other_node(&self) -> Engine {
        open(&self.store, &self.clock).await
    }

    /// Both have decided before either is durable, and the first comes first; the code of each.
    async fn at_one_time<A, B>(&self, mut first: Deed<'_, A>, mut second: Deed<'_, B>) -> [&'static str; 2] {
        self.store.hold();
        let mut context = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert_eq!(self.store.waiting(), 2, "each has decided");
        self.store.release();
        [code(first.await), code(second.await)]
    }

    fn suspend<'a>(&'a self, engine: &'a Engine, device: &DeviceName) -> Deed<'a, ()> {
        let device = device.clone();
        Box::pin(async move {
            engine.set_device_state(&self.klinik, device, DeviceState::Suspended, reason()).await.map(|_| ())
        })
    }
}

impl TestDevice {
    /// What asks for the transfer, with its body.
    fn transfer_proof(&mut self, two: &Two) -> (ProofRequest, Vec<u8>) {
        let state = self.state.as_mut().unwrap();
        let (ask, offer) = (state.ask_challenge(), two.engine.challenge(&self.name).unwrap());
        let proof = state.transfer(ask, &offer, &self.measured, Suite::P256, &mut SystemEntropy::default());
        let (request, ask, _) = proof.unwrap().save(|_| Ok::<_, ()>(())).unwrap();
        (request, ask.encode())
    }
}

#[tokio::test]
async fn a_device_that_is_suspended_meanwhile_is_not_offered() {
    let two = Two::new().await;
    let device = two.proven("pump-1").await;
    let (from, node) = (device.name.clone(), two.other_node().await);
    let offering = Box::pin(two.engine.offer_transfer(&two.klinik, offer(from.clone(), "lab")));
    let codes = two.at_one_time(two.suspend(&node, &from), offering).await;
    assert_eq!(codes, ["ok", "transition-not-allowed"]);
    assert!(two.open("klinik").await.is_empty() && two.open("lab").await.is_empty());
}

#[tokio::test]
async fn a_device_that_is_suspended_meanwhile_does_not_arrive() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let (from, node) = (device.name.clone(), two.other_node().await);
    two.agree(&from, "lab").await;
    device.transfer(&two).await.unwrap();
    let (request, _) = device.proof(&two.engine, "authenticate", b"");
    let call = Call::new("test");
    let arriving = Box::pin(two.engine.prove(&call, request, Vec::new()));
    let codes = two.at_one_time(two.suspend(&node, &from), arriving).await;
    assert_eq!(codes, ["ok", "suspended"]);
    assert!(two.trusting("pump-1").await.is_empty());
    assert_eq!(two.state(&from).await, Some(DeviceState::Suspended));
}

#[tokio::test]
async fn what_is_withdrawn_meanwhile_is_not_accepted() {
    let two = Two::new().await;
    let device = two.proven("pump-1").await;
    let (from, node) = (device.name.clone(), two.other_node().await);
    two.engine.offer_transfer(&two.klinik, offer(from.clone(), "lab")).await.unwrap();
    let withdrawing = Box::pin(node.withdraw_transfer(&two.klinik, from.clone(), reason()));
    let accepting = Box::pin(two.engine.accept_transfer(&two.lab, accept(from.clone(), "lab")));
    let codes = two.at_one_time(withdrawing, accepting).await;
    assert_eq!(codes, ["ok", "transfer-unknown"]);
    assert!(two.open("lab").await.is_empty());
}

#[tokio::test]
async fn a_transfer_that_is_withdrawn_meanwhile_is_not_agreed_on() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let (from, node) = (device.name.clone(), two.other_node().await);
    two.agree(&from, "lab").await;
    let (request, ask) = device.transfer_proof(&two);
    let withdrawing = Box::pin(node.withdraw_transfer(&two.klinik, from.clone(), reason()));
    let call = Call::new("test");
    let agreeing = Box::pin(two.engine.prove(&call, request, ask));
    let codes = two.at_one_time(withdrawing, agreeing).await;
    assert_eq!(codes, ["ok", "transfer-unknown"]);
    assert_eq!(two.state(&name("lab", "pump-1")).await, None);
    assert_eq!(two.trusting("pump-1").await, ["klinik"]);
}

#[tokio::test]
async fn a_device_that_the_receiving_tenant_revokes_meanwhile_does_not_arrive() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let (from, node) = (device.name.clone(), two.other_node().await);
    two.agree(&from, "lab").await;
    device.transfer(&two).await.unwrap();
    let (request, _) = device.proof(&two.engine, "authenticate", b"");
    let revoking =
        Box::pin(node.set_device_state(&two.lab, device.name.clone(), DeviceState::Revoked, reason()));
    let call = Call::new("test");
    let arriving = Box::pin(two.engine.prove(&call, request, Vec::new()));
    assert_eq!(two.at_one_time(revoking, arriving).await, ["ok", "revoked"]);
    assert_eq!(two.trusting("pump-1").await, ["klinik"]);
}

/// A sweep that has passed the place of the new row would not see that it is under a former key.
#[tokio::test]
async fn keys_that_are_agreed_on_beside_a_rotation_are_sealed_under_the_newest() {
    let two = Two::new().await;
    let mut device = two.proven("pump-1").await;
    let (from, node) = (device.name.clone(), two.other_node().await);
    two.agree(&from, "lab").await;
    let (request, ask) = device.transfer_proof(&two);
    let rotating = Box::pin(node.rotate_tenant_key(&two.admin, "lab".parse().unwrap()));
    let call = Call::new("test");
    let agreeing = Box::pin(two.engine.prove(&call, request, ask));
    assert_eq!(two.at_one_time(rotating, agreeing).await, ["ok", "ok"]);
    let rows = two.store.scan(Table::DeviceKeys, b"lab\0", None, 9).await.unwrap();
    assert_eq!(rows.iter().map(|(_, row)| &row.value[1..5]).collect::<Vec<_>>(), [[0, 0, 0, 2]]);
}

/// What leads to a transfer was read, and then the device is offered to another: that is nobody's concern but theirs.
#[tokio::test]
async fn a_list_beside_another_offer_shows_only_its_own() {
    for turns in 0..24 {
        let two = Two::new().await;
        let device = two.proven("pump-1").await;
        let from = device.name.clone();
        let chaos = Chaos { later: 1_000, slow: 1_000, ..Chaos::default() };
        let far = Arc::new(ChaosStore::over(two.store.clone(), turns, chaos));
        let ports = Ports::new(far, two.clock.clone());
        let node = Engine::open(ports, MemoryCustody::of(ROOT_KEY).root_keys()).await.unwrap();
        two.engine.offer_transfer(&two.klinik, offer(from.clone(), "lab")).await.unwrap();
        let page = Page { size: 9, after: None };
        let mut listing: Deed<'_, _> = Box::pin(node.list_transfers(&two.lab, "lab".parse().unwrap(), page));
        let mut context = Context::from_waker(Waker::noop());
        let mut listed = None;
        for _ in 0..turns {
            if let Poll::Ready(answer) = listing.as_mut().poll(&mut context) {
                listed = Some(answer);
                break;
            }
        }
        let is_over = listed.is_some();
        two.engine.withdraw_transfer(&two.klinik, from.clone(), reason()).await.unwrap();
        two.engine.offer_transfer(&two.klinik, offer(from.clone(), "home")).await.unwrap();
        let listed = match listed {
            Some(listed) => listed,
            None => listing.await,
        };
        let items = listed.unwrap().items;
        assert!(items.iter().all(|transfer| transfer.to.as_str() == "lab"), "{turns}: {items:?}");
        assert!(!is_over || items.len() == 1);
    }
}

/// What a node knows of a device may be older than the store: a change whose outcome it was not told is there, and not projected.
#[tokio::test]
async fn a_node_that_is_behind_takes_in_no_device_that_was_revoked() {
    let mut behind = 0;
    for seed in 0..8 {
        let two = Two::new().await;
        let mut device = two.proven("pump-1").await;
        two.agree(&device.name.clone(), "lab").await;
        device.transfer(&two).await.unwrap();
        let far = ChaosStore::over(two.store.clone(), seed, Chaos::default());
        let ports = Ports::new(Arc::new(far.clone()), two.clock.clone());
        let node = Engine::open(ports, MemoryCustody::of(ROOT_KEY).root_keys()).await.unwrap();
        let (request, _) = device.proof(&node, "authenticate", b"");
        let row = || two.store.peek(Table::Device, b"lab\0pump-1").unwrap();
        let before = row();
        far.set(Chaos { unknown: 1_000, ..Chaos::default() });
        let name = device.name.clone();
        let revoked = node.set_device_state(&two.lab, name, DeviceState::Revoked, reason()).await;
        assert!(revoked.is_err(), "it was not told");
        far.set(Chaos::default());
        if row() == before {
            continue;
        }
        behind += 1;
        assert_eq!(code(node.prove(&Call::new("test"), request, Vec::new()).await), "revoked", "{seed}");
        assert_eq!(two.trusting("pump-1").await, ["klinik"]);
    }
    assert!(behind > 0);
}
