//! The callers: a few connections on a few threads, and so many calls in flight on them.

use crate::authority::Operator;
use futures_util::future::join_all;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use wardein_client::{Connection, Settings, connect, v1};

/// Connections, and calls in flight on each: 512 in all, so that those that wait for the disk do not leave the processors idle.
pub(crate) const CONNECTIONS: usize = 4;
pub(crate) const IN_FLIGHT: usize = 128;

/// Connections of one operator to one server, spread over threads with a runtime each.
pub(crate) struct Clients(Vec<(Runtime, Vec<Connection>)>);

impl Clients {
    /// Connects to each of `addresses` in turn.
    pub(crate) fn connect(addresses: &[SocketAddr], roots: &[u8], operator: &Operator) -> Self {
        let threads = cores().min(CONNECTIONS);
        let mut clients: Vec<_> = (0..threads).map(|_| (runtime(), Vec::new())).collect();
        for (number, address) in (0..CONNECTIONS).zip(addresses.iter().cycle()) {
            let mut settings = Settings::new(format!("https://{address}"), roots.to_vec());
            settings.identity = Some(operator.identity());
            // Both connections of one thread must not fall to one runtime of the server.
            let (runtime, connections) = &mut clients[number / CONNECTIONS.div_ceil(threads)];
            connections.push(runtime.block_on(connect(&settings)).unwrap());
        }
        Self(clients)
    }

    /// Runs `lane` with its number, `lanes` times on each connection, all at one time; the result of each, and the total time.
    pub(crate) fn drive<T, F>(
        &self,
        lanes: usize,
        lane: impl Fn(usize, Connection) -> F + Sync,
    ) -> (Vec<T>, Duration)
    where
        T: Send,
        F: Future<Output = T>,
    {
        let (lane, started) = (&lane, Instant::now());
        let mut first = 0;
        let results = thread::scope(|scope| {
            let mut threads = Vec::new();
            for (runtime, connections) in &self.0 {
                let number = first;
                first += lanes * connections.len();
                threads.push(scope.spawn(move || {
                    let connections = connections.iter().cycle().take(lanes * connections.len());
                    let lanes = connections.enumerate().map(|(index, one)| lane(number + index, one.clone()));
                    runtime.block_on(join_all(lanes))
                }));
            }
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        (results, started.elapsed())
    }

    /// Runs `work` on one connection; its result.
    pub(crate) fn alone<T, F: Future<Output = T>>(&self, work: impl FnOnce(Connection) -> F) -> T {
        let (runtime, connections) = &self.0[0];
        runtime.block_on(work(connections[0].clone()))
    }

    /// Checks a second, for `time`, of devices that follow one another in no order of memory.
    pub(crate) fn check(&self, requests: &[v1::CheckRequest], time: Duration) -> f64 {
        let end = Instant::now() + time;
        let (counts, took) = self.drive(IN_FLIGHT, |lane, connection| async move {
            let mut client = connection.trust();
            let (mut at, mut count) = (lane * FAR, 0_u64);
            while Instant::now() < end {
                at = (at + FAR) % requests.len();
                let answer = client.check(requests[at].clone()).await.unwrap().into_inner();
                assert_eq!(answer.verdict(), v1::Verdict::Trusted);
                count += 1;
            }
            count
        });
        counts.iter().sum::<u64>() as f64 / took.as_secs_f64()
    }

    /// Verdicts a second, for `time`, that are asked for in batches on two streams a connection.
    pub(crate) fn check_stream(&self, batches: &[v1::CheckStreamRequest], time: Duration) -> f64 {
        let end = Instant::now() + time;
        let (counts, took) = self.drive(STREAMS, |lane, connection| async move {
            let (send, messages) = mpsc::channel(AHEAD);
            let mut next =
                batches.iter().cycle().skip(lane * batches.len() / (CONNECTIONS * STREAMS)).cloned();
            for batch in next.by_ref().take(AHEAD) {
                send.send(batch).await.unwrap();
            }
            let (mut send, mut count) = (Some(send), 0_usize);
            let answers = connection.trust().check_stream(ReceiverStream::new(messages)).await;
            let mut answers = answers.unwrap().into_inner();
            while let Some(answer) = answers.message().await.unwrap() {
                assert!(answer.results.iter().all(is_trusted));
                count += answer.results.len();
                match (&send, next.next()) {
                    (Some(open), Some(batch)) if Instant::now() < end => open.send(batch).await.unwrap(),
                    _ => send = None,
                }
            }
            count
        });
        counts.iter().sum::<usize>() as f64 / took.as_secs_f64()
    }

    /// Sends each of `requests` `times` times; the last replies with the numbers of their requests, and proofs a second.
    pub(crate) fn prove(
        &self,
        requests: &[v1::ProveRequest],
        times: usize,
    ) -> (Vec<(usize, v1::ProveResponse)>, f64) {
        // The next free lane takes the next one, so that no lane has work left when the others are done.
        let next = &AtomicUsize::new(0);
        let (replies, took) = self.drive(IN_FLIGHT, |_, connection| async move {
            let (mut client, mut replies) = (connection.device(), Vec::new());
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                let index = turn % requests.len();
                if turn >= requests.len() * times {
                    return replies;
                }
                let reply = client.prove(requests[index].clone()).await.unwrap().into_inner();
                if turn >= requests.len() * (times - 1) {
                    replies.push((index, reply));
                }
            }
        });
        let rate = (requests.len() * times) as f64 / took.as_secs_f64();
        (replies.into_iter().flatten().collect(), rate)
    }

    /// Sends `requests` on one enrollment stream a connection; the answers, by their numbers, and how long it took.
    pub(crate) fn stream(
        &self,
        requests: Vec<v1::enroll_stream_request::Step>,
    ) -> (Vec<(usize, v1::enroll_stream_response::Result)>, Duration) {
        let mut shares: Vec<Vec<_>> = vec![Vec::new(); CONNECTIONS];
        for (index, step) in requests.into_iter().enumerate() {
            let request = v1::EnrollStreamRequest { correlation: index as u64, step: Some(step) };
            shares[index % CONNECTIONS].push(request);
        }
        let (answers, took) = self.drive(1, |lane, connection| {
            let share = shares[lane].clone();
            async move {
                let mut answers = Vec::with_capacity(share.len());
                let messages = tokio_stream::iter(share);
                let mut stream =
                    connection.provisioning().enroll_stream(messages).await.unwrap().into_inner();
                while let Some(answer) = stream.message().await.unwrap() {
                    answers.push((answer.correlation as usize, answer.result.unwrap()));
                }
                answers
            }
        });
        (answers.into_iter().flatten().collect(), took)
    }
}

pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn is_trusted(result: &v1::CheckResult) -> bool {
    use v1::check_result::Result as Outcome;
    matches!(&result.result, Some(Outcome::Verdict(given)) if given.verdict() == v1::Verdict::Trusted)
}

/// Streams on a connection, and batches that are sent ahead of their answers on each.
const STREAMS: usize = 2;
const AHEAD: usize = 4;

/// A prime, so that every device's turn comes.
pub(crate) const FAR: usize = 7_919;
