//! The process of the log agent: one thread that polls and seals, and delivers to each audience at its own pace.

use super::put::Server;
use super::sealer::BatchSealer;
use crate::authority::Authority;
use crate::backoff;
use crate::directory::Files;
use crate::error::Error;
use crate::session::Session;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, sleep};
use wardein_crypto::{Entropy, SystemEntropy};
use wardein_logs::agent::{AgentError, Intake, Now, Outbox, Sent, Step};
use wardein_logs::batch::FilterVersion;
use wardein_logs::config::Destination;
use wardein_logs::deliver::{AnyTarget, DirectoryTarget, PutTarget, S3Place, S3Target};
use wardein_logs::{AudienceName, LogsConfig};

/// The log agent of a device.
pub struct LogAgent<S> {
    intake: Intake<BatchSealer<S>>,
    outboxes: Vec<(AudienceName, Outbox<AnyTarget<Server>>)>,
    begun: Instant,
}

impl<S, A, E> LogAgent<S>
where
    S: AsyncFnMut() -> Result<Session<A, E>, Error>,
    A: Authority,
    E: Entropy,
{
    /// An agent for `config`, whose version is `filter`, on the device of `files`. `open` opens a session for each sealing, and may wait for
    /// others to leave the directory. What the last process left is finished first.
    pub async fn start(
        config: &LogsConfig,
        filter: FilterVersion,
        files: &Files,
        open: S,
    ) -> Result<Self, Error> {
        let intake = Intake::start(config, filter, BatchSealer::new(open, config)?).await.map_err(error)?;
        let mut outboxes = Vec::new();
        for (name, audience) in &config.audiences {
            let target = match &audience.to {
                Destination::Directory(path) => AnyTarget::Directory(DirectoryTarget::new(path)),
                Destination::Https(url) => {
                    let server = Server::of(files, url, audience.unpinned)?;
                    let path = server.path().to_owned();
                    AnyTarget::Put(PutTarget::new(server, path))
                }
                Destination::S3 { url, region, credentials } => {
                    let server = Server::of(files, url, audience.unpinned)?;
                    let at = S3Place {
                        host: server.host().to_owned(),
                        path: server.path().to_owned(),
                        region: region.clone(),
                        credentials: credentials.clone(),
                    };
                    AnyTarget::S3(S3Target::new(server, at, wall))
                }
            };
            outboxes.push((name.clone(), Outbox::new(intake.spool(), name.clone(), target)));
        }
        Ok(Self { intake, outboxes, begun: Instant::now() })
    }

    /// Takes in all that there is and delivers it, once. An error says what is still there; the next call goes on.
    pub async fn once(&mut self) -> Result<(), Error> {
        loop {
            // Also where nothing can be sealed: what is delivered makes room on the disk.
            match (self.take_in().await, self.deliver().await) {
                // There is room again.
                (Ok(Step::Full) | Err(_), Ok(1..)) => {}
                (Err(error), _) | (_, Err(error)) => return Err(error),
                (Ok(Step::Full), _) => return Err(Error::SpoolFull),
                _ => return Ok(()),
            }
        }
    }

    /// Delivers what waits to all audiences that take it; how many batches that were.
    async fn deliver(&mut self) -> Result<u64, Error> {
        let (mut delivered, mut failed) = (0, None);
        for (audience, outbox) in &mut self.outboxes {
            loop {
                match outbox.step().await {
                    Sent::Nothing => break,
                    Sent::Delivered(batch) => {
                        tracing::info!(%batch, "delivered");
                        delivered += 1;
                    }
                    Sent::Quarantined(batch) => {
                        failed.get_or_insert(Error::Quarantined(batch.to_string()));
                    }
                    Sent::Failed { why, .. } => {
                        let audience = audience.to_string();
                        failed.get_or_insert(Error::Undelivered { audience, why });
                        break;
                    }
                }
            }
        }
        failed.map_or(Ok(delivered), Err)
    }

    async fn take_in(&mut self) -> Result<Step, Error> {
        loop {
            match self.intake.step(now(self.begun), true).await.map_err(error)? {
                Step::More => {}
                done => return Ok(done),
            }
        }
    }

    /// Works until `stop`. What was polled until then is sealed at the end, since messages of syslog are not there a second time.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), Error> {
        let Self { mut intake, outboxes, begun } = self;
        let mut sending: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
        for (audience, outbox) in outboxes {
            sending.push(Box::pin(send(audience, outbox)));
        }
        let all = poll_fn(|context| {
            for one in &mut sending {
                // It never ends.
                let _ = one.as_mut().poll(context);
            }
            Poll::<()>::Pending
        });
        let taking = async {
            let mut stop = std::pin::pin!(stop);
            let mut failures = 0;
            loop {
                let (at, stepped) = (Instant::now(), intake.step(now(begun), false).await);
                let pause = match stepped {
                    Ok(step) => {
                        failures = 0;
                        // A backlog takes a quarter of one core: the device has something else to do.
                        if step == Step::More { (at.elapsed() * 3).min(POLL) } else { POLL }
                    }
                    Err(error) => {
                        failures += 1;
                        tracing::error!(%error, failures, "nothing is taken in");
                        backoff::after(failures, random())
                    }
                };
                // Between two steps alone: a step is not cut short.
                tokio::select! {
                    () = &mut stop => break,
                    () = sleep(pause) => {}
                }
            }
            intake.step(now(begun), true).await.map_err(error)?;
            intake.finish().await.map_err(error)
        };
        tokio::select! {
            taken = taking => taken,
            () = all => Ok(()),
        }
    }
}

/// Delivers to one audience, for ever.
async fn send(audience: AudienceName, mut outbox: Outbox<AnyTarget<Server>>) {
    loop {
        match outbox.step().await {
            Sent::Nothing => sleep(POLL).await,
            Sent::Delivered(batch) => tracing::info!(%batch, "delivered"),
            // It has been told.
            Sent::Quarantined(_) => {}
            Sent::Failed { failures, why } => {
                let pause = backoff::after(failures, random());
                tracing::warn!(%audience, why, failures, next_in_seconds = pause.as_secs(), "not delivered");
                sleep(pause).await;
            }
        }
    }
}

fn error(error: AgentError<Error>) -> Error {
    match error {
        AgentError::Seal(error) => error,
        error => Error::Logs(Box::new(error)),
    }
}

/// To spread calls; where there is no randomness, they come early.
fn random() -> u64 {
    SystemEntropy::default().array().map(u64::from_be_bytes).unwrap_or_default()
}

fn now(begun: Instant) -> Now {
    Now { counted: begun.elapsed(), wall: wall() }
}

/// In Unix seconds.
#[expect(clippy::disallowed_methods, reason = "a device's wall clock is its own, and decides nothing")]
fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Between two looks at sources or spool that had nothing.
const POLL: Duration = Duration::from_secs(1);
