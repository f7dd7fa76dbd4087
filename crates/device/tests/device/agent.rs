//! The agent over virtual time: hours and months pass while nobody waits.

use crate::common::{Device, START, Shared, VALIDITY};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use wardein_device::{Agent, Round};

/// The authority's clock follows the virtual one.
async fn keep_time(authority: Shared) {
    let begin = Instant::now();
    loop {
        authority.at(START + begin.elapsed().as_secs());
        sleep(Duration::from_secs(1)).await;
    }
}

/// Runs an agent for `duration`; the calls that came.
async fn run_for(authority: &Shared, device: &Device, duration: Duration) -> Vec<&'static str> {
    let mut agent = Agent::new(device.session().unwrap()).unwrap();
    authority.calls();
    tokio::select! {
        () = keep_time(authority.clone()) => {}
        ended = agent.run(sleep(duration)) => ended.unwrap(),
    }
    authority.calls()
}

#[tokio::test(start_paused = true)]
async fn it_renews_at_two_thirds_and_gives_signs_of_life() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    let day = Duration::from_secs(86_400);
    let proofs = run_for(&authority, &device, day).await.iter().filter(|call| **call == "prove").count();
    // Every 600 seconds, a tenth more or less.
    assert!((130..=165).contains(&proofs), "{proofs}");
    let certificate = device.session().unwrap().stored_certificate().unwrap().unwrap();
    let age = START + 86_400 - certificate.not_before;
    assert!(age <= VALIDITY * 9 / 12 + 660, "renewed {age} seconds before the end of the day");
    assert!(certificate.not_before > START, "the first one was renewed");
}

#[tokio::test(start_paused = true)]
async fn it_survives_months_without_the_authority_and_asks_seldom() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    authority.0.borrow_mut().away = true;
    let months = Duration::from_secs(90 * 86_400);
    let mut agent = Agent::new(device.session().unwrap()).unwrap();
    authority.calls();
    let back = async {
        sleep(months).await;
        let asked = authority.calls().len();
        // Half an hour in the mean.
        assert!((3_900..4_900).contains(&asked), "{asked}");
        authority.at(START + months.as_secs());
        authority.0.borrow_mut().away = false;
        sleep(Duration::from_secs(3_601)).await;
    };
    agent.run(back).await.unwrap();
    drop(agent);
    let certificate = device.session().unwrap().stored_certificate().unwrap().unwrap();
    assert_eq!(certificate.not_before, START + months.as_secs());
}

#[tokio::test]
async fn one_round_does_what_is_due() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    let round = async |expected| {
        let mut agent = Agent::new(device.session().unwrap()).unwrap();
        assert_eq!(agent.round().await.unwrap(), expected);
    };
    round(Round::Renewed).await;
    authority.at(START + VALIDITY / 2);
    round(Round::Authenticated).await;
    authority.at(START + VALIDITY * 10 / 12);
    round(Round::Renewed).await;
    // A certificate that cannot be read is replaced.
    std::fs::write(device.path().join("certificate.pem"), "nonsense").unwrap();
    round(Round::Renewed).await;
    authority.0.borrow_mut().away = true;
    let mut agent = Agent::new(device.session().unwrap()).unwrap();
    assert_eq!(agent.round().await.unwrap_err().exit_code(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_was_revoked_asks_once_a_day() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    authority.0.borrow_mut().is_revoked = true;
    let week = Duration::from_secs(7 * 86_400);
    let asked = run_for(&authority, &device, week).await.iter().filter(|call| **call == "prove").count();
    assert!((6..=9).contains(&asked), "{asked}");
}
