//! The agent over virtual time: hours and months pass while nobody waits.

use crate::common::signing::SoftKey;
use crate::common::{Device, START, Shared, VALIDITY};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use wardein_device::{Agent, Prover, Round};
use wardein_domain::RenewalWindow;

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

/// Seconds after [`START`], as a share of the certificate's time.
fn share(percent: u64) -> u64 {
    START + VALIDITY * percent / 100
}

#[tokio::test]
async fn it_renews_when_the_authority_says_also_after_a_restart() {
    let authority = Shared::new();
    let device = Device::new(&authority);
    device.enroll(false).await.unwrap();
    let round = async |percent, expected| {
        authority.at(share(percent));
        let mut agent = Agent::new(device.session().unwrap()).unwrap();
        assert_eq!(agent.round().await.unwrap(), expected, "{percent}");
    };
    authority.0.borrow_mut().renewal = RenewalWindow::new(share(30), share(40));
    round(0, Round::Renewed).await;
    round(29, Round::Authenticated).await;
    round(41, Round::Renewed).await;
    // What it says is over by now: two thirds of the time it is.
    round(41 + 57, Round::Authenticated).await;
    round(41 + 75, Round::Renewed).await;
}

#[tokio::test]
async fn it_goes_by_no_window_that_would_wear_it_out_or_let_its_certificate_end() {
    for (start, end, renewed_at_half) in [(0, 9, false), (50, 101, false), (20, 30, true)] {
        let authority = Shared::new();
        let device = Device::new(&authority);
        device.enroll(false).await.unwrap();
        authority.0.borrow_mut().renewal = RenewalWindow::new(share(start), share(end));
        let mut agent = Agent::new(device.session().unwrap()).unwrap();
        assert_eq!(agent.round().await.unwrap(), Round::Renewed);
        let stored = device.path().join("certificate.pem");
        let first = std::fs::read(&stored).unwrap();
        authority.at(share(50));
        agent.round().await.unwrap();
        assert_eq!(std::fs::read(&stored).unwrap() != first, renewed_at_half, "{start} {end}");
        drop(agent);
        // The note of it may be damaged, or say what nobody told.
        for note in ["{", "{\"serial\":\"00\",\"start\":1,\"end\":2}"] {
            std::fs::write(device.path().join("renewal.json"), note).unwrap();
            let stored = device.session().unwrap().stored_certificate().unwrap().unwrap();
            let usual = RenewalWindow::at(66, stored.not_before, stored.not_after);
            assert_eq!(stored.renewal, usual, "{note}");
        }
    }
}

#[tokio::test]
async fn a_device_that_signs_renews_when_the_authority_says() {
    let authority = Shared::new();
    let (device, key) = (Device::new(&authority), SoftKey::new());
    device.enroll_key(&key);
    let window = RenewalWindow::new(share(30), share(40));
    authority.0.borrow_mut().renewal = window;
    let mut session = device.signing_session(key).unwrap();
    let certificate = session.certificate().await.unwrap();
    assert_eq!(Some(certificate.renewal), window);
    assert_eq!(session.stored_certificate().unwrap(), Some(certificate));
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
