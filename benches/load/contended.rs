//! One device, and many callers at a time: it measures how the device's record handles them.
//!
//! Each caller takes the next message of the device, sends it, and does not send it again where it is refused.

use crate::clients::Clients;
use crate::fleet::Fleet;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tonic::{Response, Status};
use wardein_client::{Connection, Refusal};

/// Proofs of one device: callers at a time, and how many proofs a round.
pub(crate) const PROVERS: [(usize, usize); 3] = [(1, 400), (8, 800), (64, 1_600)];

/// Payloads of one device to be opened: the same.
pub(crate) const OPENERS: [(usize, usize); 2] = [(2, 400), (32, 1_200)];

/// Devices that are needed: one for each line above.
pub(crate) const DEVICES: usize = PROVERS.len() + OPENERS.len();

/// The results of the calls of one line, by round and in total.
#[derive(Default)]
pub(crate) struct Race {
    /// Calls a second that were granted.
    pub(crate) granted: Vec<f64>,
    pub(crate) calls: usize,
    /// By the code of the refusal.
    pub(crate) refused: BTreeMap<String, usize>,
}

/// A round of each line of [`PROVERS`] and [`OPENERS`], by the devices from the `first` on.
pub(crate) fn round(races: &mut [Race; DEVICES], clients: &Clients, fleet: &mut Fleet, first: usize) {
    let (proving, opening) = races.split_at_mut(PROVERS.len());
    let mut device = first;
    for (race, (callers, count)) in proving.iter_mut().zip(PROVERS) {
        let proofs = fleet.prepare_alone(clients, device, count);
        let replies = race.run(clients, callers, &proofs.requests, async |connection, request| {
            connection.device().prove(request).await
        });
        fleet.acknowledge_alone(proofs, replies);
        device += 1;
    }
    for (race, (callers, count)) in opening.iter_mut().zip(OPENERS) {
        let sealed = fleet.seal_alone(device, count);
        race.run(clients, callers, &sealed, async |connection, request| {
            connection.trust().open(request).await
        });
        device += 1;
    }
}

impl Race {
    /// Each of `requests` once, by so many callers at a time; the answers with the numbers of their requests.
    fn run<Q, A, F>(
        &mut self,
        clients: &Clients,
        callers: usize,
        requests: &[Q],
        call: impl Fn(Connection, Q) -> F + Sync,
    ) -> Vec<(usize, A)>
    where
        Q: Clone + Sync,
        A: Send,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let (call, next) = (&call, &AtomicUsize::new(0));
        let lanes = callers.div_ceil(crate::CONNECTIONS);
        let (outcomes, took) = clients.drive(lanes, |lane, connection| async move {
            let (mut answers, mut refusals) = (Vec::new(), Vec::new());
            let take = || (lane < callers).then(|| next.fetch_add(1, Ordering::Relaxed));
            while let Some((turn, request)) = take().and_then(|turn| Some((turn, requests.get(turn)?))) {
                match call(connection.clone(), request.clone()).await {
                    Ok(answer) => answers.push((turn, answer.into_inner())),
                    Err(status) => refusals.push(Refusal::from(status).code),
                }
            }
            (answers, refusals)
        });
        let (answers, refusals): (Vec<_>, Vec<_>) = outcomes.into_iter().unzip();
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        self.take(answers.len(), took, refusals.into_iter().flatten());
        answers
    }

    fn take(&mut self, answered: usize, took: Duration, refusals: impl Iterator<Item = String>) {
        self.granted.push(answered as f64 / took.as_secs_f64());
        self.calls += answered;
        for code in refusals {
            self.calls += 1;
            *self.refused.entry(code).or_default() += 1;
        }
    }

    /// The share of calls that were refused, and of which code how many, in percent.
    pub(crate) fn refusals(&self) -> String {
        let share = |count: usize| 100.0 * count as f64 / self.calls.max(1) as f64;
        let all = share(self.refused.values().sum());
        let codes = self.refused.iter().map(|(code, count)| format!("{code} {:.1} %", share(*count)));
        let codes = codes.collect::<Vec<_>>().join(", ");
        if codes.is_empty() { "none refused".to_owned() } else { format!("{all:.1} % refused: {codes}") }
    }
}
