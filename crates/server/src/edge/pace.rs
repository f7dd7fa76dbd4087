//! How often an operator may call. Calls that come at one time would be answered one after the other without a pause, and those of
//! others behind them; spread over time, each leaves its thread free for others. So calls that come too early wait for their turn,
//! and are refused only where many wait.

use super::rate::Buckets;
use super::rate_limited;
use crate::config::Limits;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use wardein_domain::Serial;
use wardein_engine::{Error, ErrorCode};

/// The turns of all operators, by the serial of their certificates.
pub(crate) struct Pace {
    rate: Buckets<Serial>,
    /// Places for calls that wait: a part of all, so that those who may call now always find one in hand.
    waiting: Semaphore,
    /// Places for refusals that are held back; others are answered at once.
    held_back: Semaphore,
    patience: Duration,
}

impl Pace {
    pub(crate) fn new(limits: &Limits) -> Self {
        let part = limits.calls / 4;
        Self {
            rate: Buckets::new(limits.operator),
            waiting: Semaphore::new(part),
            held_back: Semaphore::new(part),
            patience: PATIENCE,
        }
    }

    /// Waits until the operator's rate allows one more call, which counts for `cost` trust queries.
    pub(crate) async fn turn(&self, serial: Serial, cost: u32) -> Result<(), Error> {
        self.turn_within(serial, cost, self.patience).await
    }

    /// The same for a message of a stream, which waits longer: in the meantime HTTP/2 holds its sender back.
    pub(crate) async fn turn_of_message(&self, serial: Serial, cost: u32) -> Result<(), Error> {
        self.turn_within(serial, cost, STREAM_PATIENCE).await
    }

    async fn turn_within(&self, serial: Serial, cost: u32, patience: Duration) -> Result<(), Error> {
        let wait = self.rate.reserve(serial, cost, patience).ok_or_else(rate_limited)?;
        if !wait.is_zero() {
            let _place = self.waiting.try_acquire().map_err(|_| rate_limited())?;
            sleep(wait).await;
        }
        Ok(())
    }

    /// Holds a refusal back for the second that it asks its operator to wait: a client that tries again at once is no load.
    pub(crate) async fn hold_back(&self, error: &Error) {
        if error.code == ErrorCode::RateLimited
            && let Ok(_place) = self.held_back.try_acquire()
        {
            sleep(REFUSED_FOR).await;
        }
    }
}

/// The longest that a call waits for its turn.
const PATIENCE: Duration = Duration::from_millis(100);

/// The same of a message of a stream.
const STREAM_PATIENCE: Duration = Duration::from_secs(5);

/// How long a refusal for too many calls is held back.
const REFUSED_FOR: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Rate;
    use futures_util::FutureExt;

    fn with_places(calls: usize) -> Pace {
        let operator = Rate { per_second: 1, burst: 1 };
        let limits = Limits { calls, operator, ..Limits::default() };
        Pace { patience: Duration::from_secs(5), ..Pace::new(&limits) }
    }

    #[tokio::test]
    async fn a_message_of_a_stream_waits_longer_than_a_call() {
        let operator = Rate { per_second: 1, burst: 1 };
        let pace = Pace::new(&Limits { operator, ..Limits::default() });
        let serial = Serial::from_random([1; 16]);
        pace.turn(serial, 4).await.unwrap();
        assert_eq!(pace.turn(serial, 1).await.unwrap_err().code, ErrorCode::RateLimited);
        assert!(pace.turn_of_message(serial, 2).now_or_never().is_none(), "it waits");
        let refused =
            pace.turn_of_message(serial, 1).now_or_never().expect("it would be more than 5 s").unwrap_err();
        assert_eq!(refused.code, ErrorCode::RateLimited);
    }

    #[tokio::test]
    async fn so_many_calls_wait_and_so_many_refusals_are_held_back() {
        let refusal = rate_limited();
        let pace = with_places(8);
        let serial = |byte: u8| Serial::from_random([byte; 16]);
        for operator in [1, 2, 3] {
            pace.turn(serial(operator), 1).await.unwrap();
        }
        let (mut first, mut second) = (Box::pin(pace.turn(serial(1), 1)), Box::pin(pace.turn(serial(2), 1)));
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none(), "they wait");
        let third = pace.turn(serial(3), 1).now_or_never().expect("there is no place left").unwrap_err();
        assert_eq!(third.code, ErrorCode::RateLimited);
        first.await.unwrap();

        let (mut first, mut second) =
            (Box::pin(pace.hold_back(&refusal)), Box::pin(pace.hold_back(&refusal)));
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        assert!(pace.hold_back(&refusal).now_or_never().is_some(), "answered at once");
        let other = Error::new(ErrorCode::RoleDenied, "another refusal");
        drop((first, second));
        assert!(pace.hold_back(&other).now_or_never().is_some());
    }
}
