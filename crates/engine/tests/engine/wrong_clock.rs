//! The authority's time runs ahead for a proof or two, since somebody accepted a wrong clock or the machine was started with one again
//! and again, and is right again: a day, two years, nine years.

use crate::signing::Signer;
use crate::world::{ROOT_KEY, START, TestDevice, World, caller};
use std::sync::Arc;
use wardein_ddkg::Suite;
use wardein_ddkg::authority::Refusal;
use wardein_ddkg::message::ProofRequest;
use wardein_domain::{Call, DeviceState, ErrorCode};
use wardein_engine::{Caller, Detail, Error, Ports, Recovery};
use wardein_port::Clock;
use wardein_testkit::MemoryCustody;

const DAY: u64 = 86_400;
/// The CAs of an authority are valid for ten years, and no clock beyond is accepted.
const JUMPS: [u64; 3] = [DAY, 2 * 365 * DAY, 9 * 365 * DAY];

impl World {
    /// The time is ahead by `seconds` for a proof of `device`, and right again.
    async fn jump(&mut self, device: &mut TestDevice, seconds: u64) {
        let right = self.clock.wall_ms() / 1_000;
        self.be_wrong(right + seconds).await;
        device.prove(&self.engine, "authenticate", b"").await.unwrap();
        self.be_right(right + 10).await;
    }

    /// The authority's time is set to `wrong`.
    async fn be_wrong(&mut self, wrong: u64) {
        self.clock.set(wrong);
        self.admin = self.recovered().await;
        self.accept_clock().await.unwrap();
        assert_eq!(self.engine.now(), wrong + 1);
    }

    /// The clock is right again, and is accepted.
    async fn be_right(&mut self, right: u64) {
        self.clock.set(right);
        self.admin = self.recovered().await;
        assert!(self.accept_clock().await.unwrap().is_new_era);
        assert_eq!(self.engine.now(), right + 1);
        self.clock.pass(5);
    }

    /// An administrator who is valid by both clocks.
    async fn recovered(&mut self) -> Caller {
        self.clock.pass(1);
        let ports = Ports::new(Arc::new(self.store.clone()), self.clock.clone());
        let keys = MemoryCustody::of(ROOT_KEY).root_keys();
        let recovery = Recovery::begin(&ports, keys, 30 * DAY).await.unwrap();
        let admin = caller(recovery.files.admin.clone());
        recovery.finish(&ports).await.unwrap();
        admin
    }

    /// What a device is told that takes the epoch that a refusal names.
    async fn heeding(&self, device: &mut TestDevice) -> &'static str {
        let (request, _) = device.proof(&self.engine, "authenticate", b"");
        match self.engine.prove(&Call::new("1"), request.clone(), vec![]).await {
            Err(Error { code: ErrorCode::EpochSpent, detail: Some(Detail::NextEpoch(next)), .. }) => {
                let refusal = Refusal::EpochSpent { next };
                device.state.as_mut().unwrap().refused(&request, &refusal);
                code(device.prove(&self.engine, "authenticate", b"").await)
            }
            answer => code(answer),
        }
    }

    async fn state(&self, device: &TestDevice) -> DeviceState {
        self.engine.get_device(&self.admin, device.name.clone()).await.unwrap().state
    }
}

fn code<T>(answer: Result<T, Error>) -> &'static str {
    answer.map_or_else(|error| error.code.as_str(), |_| "accepted")
}

#[tokio::test]
async fn a_copy_is_noticed_at_its_first_word() {
    for seconds in JUMPS {
        for has_rekeyed in [false, true] {
            let mut world = World::new().await;
            let mut device = world.proven("pump-1").await;
            let mut copy = device.copied();
            world.jump(&mut copy, seconds).await;
            if has_rekeyed {
                copy.rekey(&world.engine, Suite::P256).await.unwrap();
                copy.prove(&world.engine, "authenticate", b"").await.unwrap();
                world.clock.pass(10);
            }
            let said = world.heeding(&mut device).await;
            assert_eq!(said, "clone-suspected", "+{seconds} s, rekeyed: {has_rekeyed}");
            assert_eq!(world.state(&device).await, DeviceState::Quarantined);
        }
    }
}

#[tokio::test]
async fn an_honest_device_goes_on_and_raises_no_alarm() {
    for seconds in JUMPS {
        let mut world = World::new().await;
        let mut device = world.proven("pump-1").await;
        world.jump(&mut device, seconds).await;
        for _ in 0..3 {
            device.prove(&world.engine, "authenticate", b"").await.unwrap();
            world.clock.pass(10);
            world.restart().await;
        }
        device.rekey(&world.engine, Suite::P256).await.unwrap();
        // A request that comes twice, and one that was overtaken.
        let (early, _) = device.proof(&world.engine, "authenticate", b"");
        let (late, _) = device.proof(&world.engine, "authenticate", b"");
        let take = async |request: &ProofRequest| {
            code(world.engine.prove(&Call::new("1"), request.clone(), vec![]).await)
        };
        assert_eq!(take(&late).await, "accepted");
        assert_eq!(take(&early).await, "accepted");
        assert_eq!((take(&late).await, take(&early).await), ("replayed", "replayed"));
        assert_eq!(world.state(&device).await, DeviceState::Active);
    }
}

#[tokio::test]
async fn a_device_that_signs_goes_on_at_once() {
    for seconds in JUMPS {
        let mut world = World::new().await;
        let device = Signer::enrolled(&world, "pump-1").await;
        world.be_wrong(START + seconds).await;
        // The second one drops the first, which has expired; the last ones are still in its list.
        for wait in [0, 120, 180, 0] {
            world.clock.pass(wait);
            for _ in 0..30 {
                device.ask(&world, "authenticate", b"").await.unwrap();
            }
        }
        world.be_right(START + 400).await;
        for round in 0..128 {
            let said = code(device.ask(&world, "authenticate", b"").await);
            assert_eq!(said, "accepted", "+{seconds} s, request {round}");
        }
        let (request, _) = device.request(&world, "authenticate", b"");
        let full = world.engine.prove_by_signature(&Call::new("1"), &request, b"").await;
        assert_eq!(code(full), "signatures-exhausted", "those of now count");
    }
}

#[tokio::test]
async fn the_genuine_device_rekeys_after_a_readmission_whatever_numbers_the_other_has_used() {
    let mut world = World::new().await;
    let mut device = world.proven("pump-1").await;
    let mut copy = device.copied();
    // It skips numbers, as a device that crashes again and again.
    for _ in 0..20 {
        world.clock.pass(10);
        copy.prove(&world.engine, "authenticate", b"").await.unwrap();
        copy = copy.copied();
    }
    world.clock.pass(10);
    let (recorded, _) = copy.proof(&world.engine, "authenticate", b"");
    let alarm = device.prove(&world.engine, "authenticate", b"").await;
    assert_eq!(code(alarm), "clone-suspected");
    let name = device.name.clone();
    let reason = "looked at".parse().unwrap();
    world.clock.pass(1);
    world.engine.readmit_device(&world.admin, name, false, reason).await.unwrap();
    world.restart().await;
    let before = world.engine.prove(&Call::new("1"), recorded, vec![]).await;
    assert_eq!(code(before), "replayed", "an answer to a challenge of before counts no more");
    world.clock.pass(10);
    assert_eq!(code(device.prove(&world.engine, "authenticate", b"").await), "rekey-required");
    assert_eq!(code(copy.prove(&world.engine, "authenticate", b"").await), "rekey-required");
    device.rekey(&world.engine, Suite::P256).await.unwrap();
    device.prove(&world.engine, "authenticate", b"").await.unwrap();
    world.clock.pass(10);
    assert_eq!(code(copy.prove(&world.engine, "authenticate", b"").await), "clone-suspected", "it is out");
}
