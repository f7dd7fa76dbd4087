//! A device that goes over to another tenant: with a reply lost, and with the power cut between each two durable steps.

use crate::common::{Device, Fault, Shared};
use std::fs;
use wardein_crypto::SystemEntropy;
use wardein_ddkg::DeviceName;
use wardein_device::{Agent, Directory, Error, Files, Round, Session, Status};

fn name(tenant: &str, device: &str) -> DeviceName {
    DeviceName { tenant: tenant.parse().unwrap(), device: device.parse().unwrap() }
}

async fn enrolled() -> (Shared, Device) {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    authority.0.borrow_mut().disk = device.path();
    Directory::open(&device.path()).unwrap().save_config(&authority.config()).unwrap();
    started(&device).unwrap().authenticate().await.unwrap();
    authority.calls();
    (authority, device)
}

/// A start of the agent's process: device.toml is read, as it is then.
fn started(device: &Device) -> Result<Session<Shared, SystemEntropy>, Error> {
    let directory = Directory::open(&device.path())?;
    let config = directory.files().config()?.unwrap();
    Session::new(directory, config, device.authority.clone(), SystemEntropy::default(), device.root().into())
}

/// Whose the device is by device.toml and its state, and whether anything is under way.
fn whose(device: &Device) -> (DeviceName, bool) {
    let files = Files::open(&device.path()).unwrap();
    let config = files.config().unwrap().unwrap();
    let state = files.state(&config).unwrap().unwrap();
    assert_eq!(*state.device(), config.device);
    (config.device, device.path().join("transfer.json").exists())
}

#[tokio::test]
async fn the_agent_goes_over_when_it_hears_of_it_and_certifies_a_new_key() {
    let (authority, device) = enrolled().await;
    let mut agent = Agent::new(started(&device).unwrap()).unwrap();
    assert_eq!(agent.round().await.unwrap(), Round::Renewed);
    let files = |name: &str| fs::read(device.path().join(name)).unwrap();
    let (key, certificate) = (files("device.key"), files("certificate.pem"));
    let to = name("lab", "pump-7");
    authority.0.borrow_mut().transfer_to = Some(to.clone());
    assert_eq!(agent.round().await.unwrap(), Round::Transferred);
    assert_eq!(whose(&device), (to.clone(), false));
    assert_eq!(*authority.0.borrow().record.as_ref().unwrap().device(), to);
    assert_eq!(*authority.0.borrow().left.as_ref().unwrap().device(), name("clinic", "pump-1"));
    assert!(files("device.key") != key && files("certificate.pem") != certificate);
    assert_eq!(agent.round().await.unwrap(), Round::Authenticated);
    drop(agent);
    assert_eq!(started(&device).unwrap().config().device, to);
    let shown = Status::read(&Files::open(&device.path()).unwrap()).unwrap().to_string();
    assert!(shown.contains("lab") && shown.contains("pump-7"), "{shown}");
}

#[tokio::test]
async fn one_that_was_withdrawn_meanwhile_is_forgotten_and_the_device_stays_in_service() {
    let (authority, device) = enrolled().await;
    let mut agent = Agent::new(started(&device).unwrap()).unwrap();
    agent.round().await.unwrap();
    authority.0.borrow_mut().transfer_to = Some(name("lab", "pump-7"));
    authority.fault(&[None, Some(Fault::Refused("transfer-unknown"))]);
    assert_eq!(agent.round().await.unwrap(), Round::Authenticated);
    assert_eq!(whose(&device).0, name("clinic", "pump-1"));
    // One that is held up is tried again.
    authority.fault(&[None, Some(Fault::Lost)]);
    assert_eq!(agent.round().await.unwrap(), Round::Authenticated);
    assert_eq!(agent.round().await.unwrap(), Round::Transferred);
}

/// Whatever fails, and whether or not the process ends there: the device is one of the two, with the keys of that one, is answered,
/// and arrives.
#[tokio::test]
async fn no_fault_between_two_durable_steps_parts_the_two_ends() {
    let disk = ["transfer.json", "state", "device.toml"].map(Fault::FileFails);
    for fault in [Fault::Lost, Fault::AnswerLost, Fault::AnswerChanged].into_iter().chain(disk) {
        for failing in 0..2 {
            for restarts in [false, true] {
                let what = format!("{fault:?} at request {failing}, restarts: {restarts}");
                let (authority, device) = enrolled().await;
                let (from, to) = (name("clinic", "pump-1"), name("lab", "pump-7"));
                let mut session = started(&device).unwrap();
                session.certificate().await.unwrap();
                authority.0.borrow_mut().transfer_to = Some(to.clone());
                let mut plan = vec![None; failing];
                plan.push(Some(fault));
                authority.fault(&plan);
                let _may_fail = session.transfer().await;
                for file in ["transfer.json", "state", "device.toml"] {
                    drop(fs::remove_dir(device.path().join(format!("{file}.new"))));
                }
                let (is, _) = whose(&device);
                assert!(is == from || is == to, "{what}");
                if restarts {
                    drop(session);
                    session = started(&device).unwrap();
                    assert_eq!(session.config().device, is, "{what}");
                    assert!(!device.path().join("transfer.json").exists(), "{what}");
                } else if session.config().device != is {
                    panic!("{what}: it goes on as {:?}", session.config().device);
                }
                session.authenticate().await.unwrap_or_else(|error| panic!("{what}: {error}"));
                if is == from {
                    session.transfer().await.unwrap_or_else(|error| panic!("{what}: {error}"));
                }
                drop(session);
                let mut session = started(&device).unwrap();
                assert_eq!(whose(&device), (to.clone(), false), "{what}");
                assert_eq!(*authority.0.borrow().record.as_ref().unwrap().device(), to, "{what}");
                session.authenticate().await.unwrap();
                session.certificate().await.unwrap();
                assert!(authority.0.borrow().refusals.is_empty(), "{what}: no sign of a copy");
            }
        }
    }
}

/// The three files as a power cut leaves them, each old or new in the order in which they are written.
#[tokio::test]
async fn a_start_finds_the_name_whichever_files_were_written() {
    for written in 0..=4 {
        let (authority, device) = enrolled().await;
        let to = name("lab", "pump-7");
        started(&device).unwrap().certificate().await.unwrap();
        let before = ["state", "device.toml", "device.key", "certificate.pem"]
            .map(|file| (file, fs::read(device.path().join(file)).unwrap()));
        authority.0.borrow_mut().transfer_to = Some(to.clone());
        started(&device).unwrap().transfer().await.unwrap();
        // Undone from the last step back.
        if written <= 3 {
            let arriving = r#"{"tenant":"lab","device_id":"pump-7"}"#;
            fs::write(device.path().join("transfer.json"), arriving).unwrap();
        }
        for (file, bytes) in &before {
            let is_undone = match *file {
                "state" => written == 0,
                "device.key" | "certificate.pem" => written <= 1,
                _ => written <= 2,
            };
            if is_undone {
                fs::write(device.path().join(file), bytes).unwrap();
            }
        }
        let is = if written == 0 { name("clinic", "pump-1") } else { to };
        assert_eq!(whose(&device).0, is, "{written} steps were taken");
        let session = started(&device).unwrap();
        assert_eq!(session.config().device, is);
        assert!(!device.path().join("transfer.json").exists());
        assert_eq!(device.path().join("device.key").exists(), written == 0, "{written}");
        drop(session);
        assert_eq!(whose(&device), (is, false));
    }
}

/// A damaged note is an error, and not a guess.
#[tokio::test]
async fn a_damaged_note_is_refused() {
    let (_authority, device) = enrolled().await;
    for bytes in [&b"{"[..], br#"{"tenant":"LAB","device_id":"x"}"#, &[b' '; 5000]] {
        fs::write(device.path().join("transfer.json"), bytes).unwrap();
        assert!(matches!(Files::open(&device.path()).unwrap().config(), Err(Error::Damaged { .. })));
    }
}

/// A process beside the agent carries it out; the agent goes on as who the device is.
#[tokio::test]
async fn another_process_may_carry_it_out() {
    let (authority, device) = enrolled().await;
    let mut agent = started(&device).unwrap();
    agent.authenticate().await.unwrap();
    agent.rest();
    authority.0.borrow_mut().transfer_to = Some(name("lab", "pump-7"));
    started(&device).unwrap().transfer().await.unwrap();
    agent.wake().await.unwrap();
    assert_eq!(agent.config().device, name("lab", "pump-7"));
    agent.authenticate().await.unwrap();
}
