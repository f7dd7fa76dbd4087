//! kill -9 of the server during enrollments and proofs, a hundred times: nothing that was acknowledged is lost, and nothing is
//! done twice. `WARDEIN_KILLS` sets another number.

use crate::common::Served;
use futures_util::future::join_all;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::timeout;
use wardein_client::{Identity, v1};
use wardein_crypto::{Entropy, P256VerifyingKey, SecretBytes, SystemEntropy};
use wardein_ddkg::device::{DeviceState, Enrolling};
use wardein_ddkg::message::{EnrollRequest, ProofRequest};
use wardein_ddkg::{AttributeDigests, Attributes, DeviceName, Purposes, Suite};
use wardein_device::{Authority, CallError, Remote, RemoteStation, Station, Vouched};

const STREAMS: usize = 4;

#[test]
fn a_hundred_kills_lose_nothing_that_was_acknowledged() {
    let kills = std::env::var("WARDEIN_KILLS").map_or(100, |kills| kills.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut served = Served::found().await;
        let station = served.issue("station", 1_000_000).await;
        let (mut enrolled, mut proved) = (0, 0);
        for kill in 0..kills {
            let work = Rc::new(RefCell::new(Vec::new()));
            let streams = (0..STREAMS).map(|stream| {
                speak(&served, &station, format!("d-{kill}-{stream}"), Rc::clone(&work))
            });
            let after = Duration::from_millis(20 + u64::from(SystemEntropy::default().array::<1>().unwrap()[0]) / 2);
            // Whatever is under way when the server dies fails in its client.
            drop(timeout(after, join_all(streams)).await);
            served.kill();
            served.start().await;
            let acknowledged = work.take();
            enrolled += acknowledged.len();
            for device in acknowledged {
                proved += device.acknowledged.len();
                verify(&served, device).await;
            }
        }
        println!("{kills} kills; {enrolled} enrollments and {proved} proofs were acknowledged, and all of them are there");
        assert!(enrolled > kills / 2 && proved > kills / 2, "too little was under way: {enrolled}, {proved}");
    });
}

/// Enrolls devices one after the other and proves with each, noting what was acknowledged, until a call fails.
async fn speak(served: &Served, station: &Identity, prefix: String, done: Rc<RefCell<Vec<TestDevice>>>) {
    let identity = Identity { certificates: station.certificates.clone(), key: copy(&station.key) };
    let mut factory = RemoteStation::new(served.remote(), identity, Vouched::default());
    let mut authority = served.remote();
    for number in 0.. {
        let Ok(device) = enroll(served, &mut factory, format!("{prefix}-{number}")).await else { return };
        let at = done.borrow().len();
        done.borrow_mut().push(device);
        for _ in 0..4 {
            let Some(mut state) = done.borrow_mut()[at].state.take() else { return };
            let flash = Rc::clone(&done.borrow()[at].flash);
            let outcome = prove(&mut state, &flash, &mut authority).await;
            let mut devices = done.borrow_mut();
            devices[at].state = Some(state);
            match outcome {
                Ok(request) => devices[at].acknowledged.push(request),
                Err(_) => return,
            }
        }
    }
}

struct TestDevice {
    name: DeviceName,
    /// None while a proof is under way: the server died, and the number is not used again.
    state: Option<DeviceState>,
    flash: Rc<RefCell<Vec<u8>>>,
    acknowledged: Vec<ProofRequest>,
}

async fn enroll(served: &Served, factory: &mut RemoteStation, id: String) -> Result<TestDevice, CallError> {
    let name = DeviceName { tenant: "klinik".parse().unwrap(), device: id.parse().unwrap() };
    let pinned = P256VerifyingKey(served.identity_key);
    let (suite, entropy) = (Suite::P256, &mut SystemEntropy::default());
    let enrolling = Enrolling::begin(pinned, suite, name.clone(), Attributes::new(), entropy).unwrap();
    let request: EnrollRequest = enrolling.request().clone();
    let (_, reply) = factory.enroll(&request).await?;
    let mut state = enrolling.finish(&reply, Purposes::ALL).unwrap();
    let flash = Rc::new(RefCell::new(Vec::new()));
    let confirmation = state.confirmation().unwrap().save(|bytes| keep(&flash, bytes)).unwrap();
    factory.confirm(&confirmation).await?;
    Ok(TestDevice { name, state: Some(state), flash, acknowledged: Vec::new() })
}

/// One proved request whose reply was believed.
async fn prove(
    state: &mut DeviceState,
    flash: &RefCell<Vec<u8>>,
    authority: &mut Remote,
) -> Result<ProofRequest, CallError> {
    let ask = state.ask_challenge();
    let offer = authority.challenge(&state.device().clone()).await?;
    let (none, entropy) = (AttributeDigests::default(), &mut SystemEntropy::default());
    let action = "authenticate".parse().unwrap();
    let proof = state.prove(ask, &offer, &none, action, b"", entropy).unwrap();
    let (request, in_flight) = proof.save(|bytes| keep(flash, bytes)).unwrap();
    let reply = authority.prove(&request, b"").await?;
    state.acknowledge(in_flight, reply.acked).unwrap().save(|bytes| keep(flash, bytes)).unwrap();
    Ok(request)
}

fn keep(flash: &RefCell<Vec<u8>>, bytes: &SecretBytes) -> Result<(), ()> {
    *flash.borrow_mut() = bytes.expose().to_vec();
    Ok(())
}

fn copy(secret: &SecretBytes) -> SecretBytes {
    SecretBytes::from_vec(secret.expose().to_vec())
}

/// What was acknowledged to `device` is there: it is active, each proof that was believed is spent, and it goes on.
async fn verify(served: &Served, device: TestDevice) {
    let name = v1::GetDeviceRequest {
        tenant: device.name.tenant.to_string(),
        device_id: device.name.device.to_string(),
    };
    let found = served.admin().await.admin().get_device(name).await.unwrap().into_inner().device.unwrap();
    assert_eq!(found.state, "active", "{}", found.device_id);
    let mut authority = served.remote();
    for spent in &device.acknowledged {
        let Err(CallError::Refused(refused)) = authority.prove(spent, b"").await else {
            unreachable!("a proof of {} was taken twice", found.device_id);
        };
        assert_eq!(refused.code, "replayed", "{}", found.device_id);
    }
    // The process of the device may have died with the server's; what it saved carries on.
    let mut state = match device.state {
        Some(state) => state,
        None => DeviceState::restore(&device.flash.borrow(), 0).unwrap(),
    };
    let mut tries = 0;
    while let Err(error) = prove(&mut state, &device.flash, &mut authority).await {
        tries += 1;
        assert!(tries < 3, "{}: {error:?}", found.device_id);
    }
}
