//! New keys and announced attributes: asked for twice, with a reply lost, and with the power cut between each two durable steps.

use crate::common::{Device, Fault, START, Shared};
use std::collections::BTreeMap;
use wardein_crypto::SystemEntropy;
use wardein_ddkg::{Purposes, Suite};
use wardein_device::{Agent, Config, Directory, Error, Files, Rekeyed, Round, Session, Source};
use wardein_domain::{AttributeName, Purpose};

pub(crate) async fn enrolled() -> (Shared, Device) {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    authority.0.borrow_mut().disk = device.path();
    device.session().unwrap().authenticate().await.unwrap();
    authority.calls();
    (authority, device)
}

fn generations(authority: &Shared, device: &Device) -> (u64, u64) {
    let config = authority.config();
    let held = Files::open(&device.path()).unwrap().state(&config).unwrap().unwrap().generation();
    (held, authority.0.borrow().record.as_ref().unwrap().active_generation())
}

fn source(name: &str, source: &str) -> BTreeMap<AttributeName, Source> {
    [(name.parse().unwrap(), source.parse().unwrap())].into()
}

#[tokio::test]
async fn new_keys_are_agreed_on_and_in_use_at_once_and_again() {
    let (authority, device) = enrolled().await;
    for generation in 2..5 {
        let rekeyed = device.session().unwrap().rekey().await.unwrap();
        assert_eq!(rekeyed, Rekeyed { generation, suite: 1, is_in_use: true });
        assert_eq!(generations(&authority, &device), (generation, generation));
    }
}

pub(crate) fn session_for(device: &Device, purposes: Purposes) -> Session<Shared, SystemEntropy> {
    let (directory, root) = (Directory::open(&device.path()).unwrap(), device.root().into());
    let config = Config { purposes, ..device.authority.config() };
    Session::new(directory, config, device.authority.clone(), SystemEntropy::default(), root).unwrap()
}

#[tokio::test]
async fn purposes_of_device_toml_are_agreed_on_at_the_next_rekey() {
    let (authority, device) = enrolled().await;
    let kept = |device: &Device| {
        Files::open(&device.path()).unwrap().state(&authority.config()).unwrap().unwrap().purposes()
    };
    for purposes in [Purposes::of([Purpose::Data]), Purposes::of([]), Purposes::ENROLLED] {
        assert!(session_for(&device, purposes).rekey().await.unwrap().is_in_use);
        assert_eq!(kept(&device), purposes);
    }
    // An older authority takes no body that names them.
    authority.fault(&[Some(Fault::Refused("malformed"))]);
    assert!(session_for(&device, Purposes::of([])).rekey().await.unwrap().is_in_use);
    assert_eq!(kept(&device), Purposes::ENROLLED);
    assert_eq!(generations(&authority, &device), (5, 5));
    // Where there is nothing to name, the refusal is what it is.
    authority.fault(&[Some(Fault::Refused("malformed"))]);
    assert!(matches!(session_for(&device, Purposes::ENROLLED).rekey().await, Err(Error::Refused(_))));
}

/// Whatever fails, and whether or not the process ends there: the next request is taken, and the next rekey goes through.
#[tokio::test]
async fn no_fault_between_two_durable_steps_parts_the_two_ends() {
    let faults = [Fault::Lost, Fault::AnswerLost, Fault::AnswerChanged, Fault::DiskFails];
    for fault in faults {
        for failing in 0..2 {
            for restarts in [false, true] {
                let what = format!("{fault:?} at request {failing}, restarts: {restarts}");
                let (authority, device) = enrolled().await;
                let mut session = device.session().unwrap();
                let mut plan = vec![None; failing];
                plan.push(Some(fault));
                authority.fault(&plan);
                // A reply that was changed is asked for again by itself.
                let first = session.rekey().await;
                let must_fail = failing == 0 && fault != Fault::AnswerChanged;
                assert_eq!(first.is_err(), must_fail, "{what}");
                drop(std::fs::remove_dir(device.path().join("state.new")));
                let (held, active) = generations(&authority, &device);
                assert!(held == active || held == active + 1, "{what}: {held}, {active}");
                if restarts {
                    drop(session);
                    session = device.session().unwrap();
                }
                session.authenticate().await.unwrap_or_else(|error| panic!("{what}: {error}"));
                let rekeyed = session.rekey().await.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert!(rekeyed.is_in_use, "{what}");
                let (held, active) = generations(&authority, &device);
                assert_eq!(held, active, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn the_agent_rekeys_when_it_is_asked_when_it_must_and_by_its_own_schedule() {
    let (authority, device) = enrolled().await;
    let mut agent = Agent::new(device.session().unwrap()).unwrap();
    assert_eq!(agent.round().await.unwrap(), Round::Renewed);
    authority.0.borrow_mut().is_rekey_due = true;
    assert_eq!(agent.round().await.unwrap(), Round::Rekeyed);
    assert_eq!(agent.round().await.unwrap(), Round::Authenticated, "asked once, done once");
    authority.0.borrow_mut().is_rekey_required = true;
    assert_eq!(agent.round().await.unwrap(), Round::Rekeyed);
    assert_eq!(generations(&authority, &device), (3, 3));
    let month = 30 * 86_400;
    authority.at(START + month - 1);
    assert_eq!(agent.round().await.unwrap(), Round::Renewed);
    authority.at(START + month);
    assert_eq!(agent.round().await.unwrap(), Round::Rekeyed);
    assert_eq!(generations(&authority, &device), (4, 4));
    drop(agent);
    Directory::open(&device.path()).unwrap().save_config(&authority.config()).unwrap();
    let status = wardein_device::Status::read(&Files::open(&device.path()).unwrap()).unwrap().to_string();
    assert!(status.contains(&wardein_device::utc(START + 2 * month)), "{status}");
}

#[tokio::test]
async fn a_rekey_that_fails_keeps_the_device_in_service() {
    let (authority, device) = enrolled().await;
    let mut agent = Agent::new(device.session().unwrap()).unwrap();
    authority.0.borrow_mut().is_rekey_due = true;
    // The certificate, the pins, the roots, the readers, the rekey.
    authority.fault(&[None, None, None, None, Some(Fault::Refused("retention-full"))]);
    assert_eq!(agent.round().await.unwrap(), Round::Renewed);
    authority.fault(&[None, Some(Fault::AnswerLost)]);
    authority.0.borrow_mut().is_rekey_due = true;
    assert_eq!(agent.round().await.unwrap(), Round::Authenticated);
    authority.0.borrow_mut().is_rekey_due = true;
    assert_eq!(agent.round().await.unwrap(), Round::Rekeyed);
}

#[tokio::test]
async fn a_suite_that_is_not_allowed_is_raised_where_it_can_be_and_never_lowered() {
    let (authority, device) = enrolled().await;
    authority.0.borrow_mut().only_suite = Some(2);
    let done = device.session().unwrap().rekey().await;
    // Not by the feature of this crate: built beside the authority, the protocol has the suite anyway.
    if Suite::from_number(2).is_ok() {
        assert_eq!(done.unwrap().suite, 2);
    } else {
        assert!(matches!(done, Err(Error::Refused(refused)) if refused.code == "suite-not-allowed"));
    }
}

#[tokio::test]
async fn attributes_are_announced_before_an_update() {
    let (authority, device) = enrolled().await;
    std::fs::write(device.root().join("next"), b"v2").unwrap();
    let coming = source("firmware", "file:/next");
    authority.fault(&[Some(Fault::AnswerLost)]);
    device.session().unwrap().announce(&coming, &BTreeMap::new()).await.unwrap_err();
    for _ in 0..2 {
        let names = device.session().unwrap().announce(&coming, &BTreeMap::new()).await.unwrap();
        assert_eq!(names.len(), 2);
    }
    device.session().unwrap().authenticate().await.expect("the update has not come yet");
    std::fs::write(device.root().join("firmware"), b"v2").unwrap();
    device.session().unwrap().authenticate().await.expect("it has come");
}

#[tokio::test]
async fn attributes_are_announced_after_an_update_by_what_is_left_of_the_former_image() {
    let (_authority, device) = enrolled().await;
    std::fs::rename(device.root().join("firmware"), device.root().join("former")).unwrap();
    std::fs::write(device.root().join("firmware"), b"v2").unwrap();
    let refused = device.session().unwrap().authenticate().await.unwrap_err();
    assert!(refused.to_string().contains("mac-wrong"), "{refused}");
    let former = source("firmware", "file:/former");
    device.session().unwrap().announce(&BTreeMap::new(), &former).await.unwrap();
    device.session().unwrap().authenticate().await.unwrap();
    let other = device.session().unwrap().announce(&source("board", "text:b"), &BTreeMap::new()).await;
    assert!(matches!(other, Err(Error::Config { field: "attributes", .. })));
}
