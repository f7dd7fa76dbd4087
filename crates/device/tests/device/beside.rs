//! Commands beside a running agent: while it waits, while it is in the middle of a request, and what each makes of what the other
//! saved. Time is virtual.

use crate::common::{Device, START, Shared};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use wardein_ddkg::authority::Expected;
use wardein_ddkg::message::Token;
use wardein_ddkg::{AuthorityTime, Policy};
use wardein_device::{Agent, Directory, Error, PATIENCE};

async fn proven() -> (Shared, Device) {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    device.session().unwrap().authenticate().await.unwrap();
    authority.0.borrow_mut().disk = device.path();
    authority.calls();
    (authority, device)
}

/// An agent at work until `others` are done, with its rounds all of which must be good.
async fn with_agent<T>(authority: &Shared, device: &Device, others: impl Future<Output = T>) -> T {
    let mut agent = Agent::new(device.session().unwrap()).unwrap();
    let begin = Instant::now();
    let time = async {
        loop {
            authority.at(START + begin.elapsed().as_secs());
            sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        done = others => done,
        ended = agent.run(std::future::pending()) => panic!("{ended:?}"),
        () = time => panic!("time has no end"),
    }
}

fn verify(authority: &Shared, token: &Token) -> Result<(), &'static str> {
    let mut world = authority.0.borrow_mut();
    let (time, audience) = (AuthorityTime::sure(world.now), "iot".parse().unwrap());
    let expected = Expected { audience: &audience, platform_nonce: b"" };
    let verified = world.record.as_mut().unwrap().verify_token(token, expected, time, &Policy::default());
    verified.map(drop).map_err(|refusal| refusal.code().as_str())
}

#[tokio::test(start_paused = true)]
async fn a_device_logs_in_and_seals_while_its_agent_waits() {
    let (authority, device) = proven().await;
    let mut names = BTreeSet::new();
    with_agent(&authority, &device, async {
        for round in 0..20 {
            sleep(Duration::from_secs(700)).await;
            let mut session = device.beside().await.unwrap();
            let token = session.token("iot".parse().unwrap(), b"", false).await.unwrap();
            assert_eq!(verify(&authority, &token), Ok(()), "round {round}");
            let sealed = session.seal(b"", b"Puls 72/min").unwrap();
            assert!(names.insert(token.key_name()) && names.insert(sealed.name().clone()));
        }
    })
    .await;
    // Neither was ever refused: each number was used once, by whichever process.
    let calls = authority.calls();
    let count = |name| calls.iter().filter(|call| **call == name).count();
    assert_eq!(count("challenge"), count("prove"), "{calls:?}");
    assert!(count("prove") > 35, "20 by the commands, and the agent's own: {calls:?}");
    assert_eq!(authority.0.borrow().refusals, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_command_waits_for_a_request_that_is_under_way() {
    let (authority, device) = proven().await;
    with_agent(&authority, &device, async {
        sleep(Duration::from_secs(60)).await;
        authority.0.borrow_mut().slow = Some(Duration::from_secs(20));
        authority.calls();
        while authority.0.borrow().slow.is_some() {
            sleep(Duration::from_millis(500)).await;
        }
        let begun = Instant::now();
        let sealed = device.beside().await.unwrap().seal(b"", b"x").unwrap();
        let waited = begun.elapsed().as_secs();
        assert!((15..25).contains(&waited), "{waited} seconds");
        assert_eq!(authority.calls().last(), Some(&"prove"), "the request had ended");
        // What both saved holds: the next of each is taken.
        let token = device.beside().await.unwrap().token("iot".parse().unwrap(), b"", false).await.unwrap();
        assert_eq!(verify(&authority, &token), Ok(()));
        assert_ne!(device.beside().await.unwrap().seal(b"", b"x").unwrap().name(), sealed.name());
        sleep(Duration::from_secs(3_600)).await;
    })
    .await;
    assert_eq!(authority.0.borrow().refusals, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_agent_goes_on_with_the_keys_that_a_command_agreed_on() {
    let (authority, device) = proven().await;
    with_agent(&authority, &device, async {
        for generation in 2..6 {
            sleep(Duration::from_secs(1_500)).await;
            let rekeyed = device.beside().await.unwrap().rekey().await.unwrap();
            assert_eq!(rekeyed.generation, generation);
        }
        sleep(Duration::from_secs(1_500)).await;
    })
    .await;
    assert_eq!(authority.0.borrow().record.as_ref().unwrap().active_generation(), 5);
    // Had the agent gone on with what it held in memory, it would have looked like a clone.
    assert_eq!(authority.0.borrow().refusals, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_power_cut_at_the_agent_leaves_the_command_what_was_saved() {
    let (authority, device) = proven().await;
    let cut = async {
        sleep(Duration::from_secs(900)).await;
        authority.fault(&[Some(crate::common::Fault::DiskFails)]);
        while !device.path().join("state.new").exists() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    with_agent(&authority, &device, cut).await;
    std::fs::remove_dir(device.path().join("state.new")).unwrap();
    let mut session = device.beside().await.unwrap();
    let token = session.token("iot".parse().unwrap(), b"", false).await.unwrap();
    assert_eq!(verify(&authority, &token), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_never_free_is_said_so_after_a_while() {
    let (_authority, device) = proven().await;
    let mut session = device.session().unwrap();
    session.rest();
    let busy = Directory::open(&device.path()).unwrap();
    let begun = Instant::now();
    let Err(error) = device.beside().await else { panic!("there are two") };
    assert!(matches!(error, Error::Locked(_)) && error.to_string().contains("try again"), "{error}");
    assert!((PATIENCE..PATIENCE * 2).contains(&begun.elapsed()));
    assert!(matches!(session.wake().await, Err(Error::Locked(_))));
    // Without it nothing is done, and nothing sent that was not saved.
    assert!(matches!(session.seal(b"", b"x"), Err(Error::Fault(_))));
    drop(busy);
    session.wake().await.unwrap();
    session.seal(b"", b"x").unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_time_that_another_process_was_told_is_not_counted_twice() {
    let (authority, device) = proven().await;
    let mut session = device.session().unwrap();
    session.authenticate().await.unwrap();
    session.rest();
    sleep(Duration::from_secs(5_000)).await;
    authority.at(START + 5_000);
    device.beside().await.unwrap().authenticate().await.unwrap();
    session.wake().await.unwrap();
    assert_eq!(session.known_time(), START + 5_000);
}

/// A state that was changed beside it and cannot be read is not passed over: with the one in memory it would be a clone of itself.
#[tokio::test]
async fn nobody_goes_on_from_a_state_that_is_not_the_one_on_disk() {
    let (_authority, device) = proven().await;
    let mut session = device.session().unwrap();
    session.rest();
    let mut other = device.beside().await.unwrap();
    other.authenticate().await.unwrap();
    drop(other);
    let path = device.path().join("state");
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, b"cut short").unwrap();
    for _ in 0..2 {
        assert!(session.wake().await.is_err());
        assert!(session.authenticate().await.is_err(), "nothing is asked from the state in memory");
        session.rest();
    }
    std::fs::write(&path, good).unwrap();
    session.wake().await.unwrap();
    session.authenticate().await.unwrap();
}
