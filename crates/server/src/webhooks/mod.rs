//! Webhooks: what a watch of a tenant tells, posted to its receivers. Each has a task, which waits for its receiver alone: nothing that is
//! decided or committed waits for it.
//!
//! A message that was not taken is sent again twice. Then it is made again after a pause, of what is true by then: a device that changed
//! five times while its receiver was away is told once.

mod message;
mod post;

use crate::edge::Shared;
use crate::edge::flood::Kind;
use message::Message;
pub(crate) use post::{Failure, Post, trusts};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use wardein_domain::{TenantId, WebhookName};
use wardein_engine::{Error, ErrorCode, Receiver, Watch, Watched, Webhook};

/// How the deliveries of a webhook stand at this node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Unix seconds at which something was last taken.
    pub(crate) taken_at: Option<u64>,
    /// Unix seconds since when nothing is.
    pub(crate) failing_since: Option<u64>,
    /// What came of the last attempt, where it failed.
    pub(crate) failure: String,
}

/// Those of all webhooks.
#[derive(Default)]
pub(crate) struct Standings(Mutex<HashMap<Name, Standing>>);

type Name = (TenantId, WebhookName);

impl Standings {
    pub(crate) fn of(&self, webhook: &Webhook) -> Standing {
        self.lock().get(&name(webhook)).cloned().unwrap_or_default()
    }

    fn taken(&self, webhook: &Webhook, now: u64) {
        let standing = Standing { taken_at: Some(now), ..Standing::default() };
        self.lock().insert(name(webhook), standing);
    }

    fn failed(&self, webhook: &Webhook, now: u64, failure: &Failure) {
        let mut all = self.lock();
        let standing = all.entry(name(webhook)).or_default();
        standing.failing_since.get_or_insert(now);
        standing.failure = failure.to_string();
    }

    fn keep(&self, running: &HashMap<Name, Running>) {
        self.lock().retain(|name, _| running.contains_key(name));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Standing>> {
        // Nothing in it is ever half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of a webhook, which ends when this is dropped.
struct Running {
    version: u64,
    _task: AbortOnDropHandle<()>,
}

/// Delivers to all webhooks, no matter which node took them in: of several nodes, the one that does the upkeep does it.
pub(crate) async fn deliver_webhooks(shared: &Arc<Shared>) {
    let mut running: HashMap<Name, Running> = HashMap::new();
    loop {
        let receivers = match shared.engine.keeps() {
            true => shared.engine.receivers().await,
            false => Ok(Vec::new()),
        };
        match receivers {
            Ok(receivers) => {
                // One that was set again goes on with what is set now.
                running.retain(|of, task| {
                    let is_it = |receiver: &&Receiver| name(&receiver.webhook) == *of;
                    receivers.iter().find(is_it).is_some_and(|receiver| receiver.version == task.version)
                });
                for receiver in receivers {
                    running.entry(name(&receiver.webhook)).or_insert_with(|| Running {
                        version: receiver.version,
                        _task: AbortOnDropHandle::new(tokio::spawn(deliver(shared.clone(), receiver))),
                    });
                }
                shared.webhooks.keep(&running);
            }
            Err(error) => said(shared, &error, || "the webhooks could not be read".to_owned()),
        }
        sleep(LOOK).await;
    }
}

/// Delivers to one for good.
async fn deliver(shared: Arc<Shared>, receiver: Receiver) {
    let webhook = receiver.webhook.clone();
    let mut delivery = match Post::new(receiver, &shared.engine) {
        Ok(post) => Delivery { shared, webhook, post, pause: FIRST_PAUSE },
        Err(failure) => {
            shared.webhooks.failed(&webhook, shared.engine.now(), &failure);
            return std::future::pending().await;
        }
    };
    loop {
        let ended = delivery.go_on().await;
        let pause = match ended {
            Ended::Removed => return std::future::pending().await,
            Ended::NotTaken => delivery.pause,
            Ended::Fault(error) => {
                let webhook = &delivery.webhook;
                said(&delivery.shared, &error, || format!("webhook {} of {}", webhook.name, webhook.tenant));
                FIRST_PAUSE
            }
        };
        sleep(pause).await;
        delivery.pause = (delivery.pause * 2).min(LONGEST_PAUSE);
    }
}

/// What is delivered to one receiver.
struct Delivery {
    shared: Arc<Shared>,
    webhook: Webhook,
    post: Post,
    /// How long to wait after the next failure.
    pause: Duration,
}

/// Why it must begin again from what is noted.
enum Ended {
    Removed,
    NotTaken,
    Fault(Error),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

impl Delivery {
    async fn go_on(&mut self) -> Ended {
        let engine = self.shared.engine.clone();
        let ended = match engine.watch_for(&self.webhook).await {
            Ok(Some(mut watch)) => self.follow(&mut watch).await,
            Ok(None) => return Ended::Removed,
            Err(error) => Err(error.into()),
        };
        match ended {
            Ok(never) => match never {},
            Err(Ended::Fault(error)) if is_lost(error.code) => match self.lost().await {
                Ok(()) => Ended::Fault(error),
                Err(ended) => ended,
            },
            Err(ended) => ended,
        }
    }

    /// Posts what the watch tells, for good.
    async fn follow(&mut self, watch: &mut Watch) -> Result<std::convert::Infallible, Ended> {
        let engine = self.shared.engine.clone();
        let (mut is_due, mut at) = (Instant::now() + NOTED, None::<Vec<u8>>);
        let mut bookmark = Instant::now() + BOOKMARK;
        loop {
            let told = tokio::select! {
                biased;
                () = sleep_until(is_due), if at.is_some() => {
                    if let Some(revision) = at.take() {
                        engine.note_position(&self.webhook, &revision).await?;
                    }
                    continue;
                }
                // The feed is kept for so long: a tenant of which nothing changes must not fall behind it.
                () = sleep_until(bookmark) => {
                    bookmark = Instant::now() + BOOKMARK;
                    if let Some(mark) = watch.bookmark(&engine).await? {
                        engine.note_position(&self.webhook, &mark.revision).await?;
                        at = None;
                    }
                    continue;
                }
                told = watch.next(&engine) => told?,
            };
            let Watched::Change { previous, revision, devices, .. } = told else { continue };
            let is_whole = previous != revision;
            let mut parts = devices.chunks(DEVICES).peekable();
            while let Some(part) = parts.next() {
                let reached = (is_whole && parts.peek().is_none()).then_some(&revision[..]);
                let message = Message::verdicts(&self.webhook.tenant, reached, part)?;
                self.send(&message).await?;
            }
            if is_whole {
                if at.is_none() {
                    is_due = Instant::now() + NOTED;
                }
                at = Some(revision);
            }
        }
    }

    /// What changed since is not known: the receiver is told so, and what changes from now on.
    async fn lost(&mut self) -> Result<(), Ended> {
        let engine = self.shared.engine.clone();
        let (_, revision) = engine.watch_from_now(&self.webhook).await?;
        self.send(&Message::lost(&self.webhook.tenant, &revision)?).await?;
        engine.note_position(&self.webhook, &revision).await?;
        Ok(())
    }

    /// Sends one message until it is taken, a few times.
    async fn send(&mut self, message: &Message) -> Result<(), Ended> {
        let Self { shared, webhook, post, pause: next_pause } = self;
        let body = message.body(&shared.json, shared.engine.now())?;
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let now = shared.engine.now();
            match post.send(message.id(), now, body.clone()).await {
                Ok(()) => {
                    shared.metrics.webhook_taken();
                    shared.webhooks.taken(webhook, now);
                    *next_pause = FIRST_PAUSE;
                    break;
                }
                Err(failure) => {
                    shared.metrics.webhook_failed();
                    shared.webhooks.failed(webhook, now, &failure);
                    let (name, tenant) = (webhook.name.as_str(), webhook.tenant.as_str());
                    if shared.floods.is_first(Kind::Webhook, || format!("{tenant}/{name}: {failure}")) {
                        tracing::warn!(webhook = name, tenant, %failure, "a webhook's message was not taken");
                    }
                }
            }
            if attempt == ATTEMPTS {
                return Err(Ended::NotTaken);
            }
            sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }
}

/// A message that says nothing, for a trial.
pub(crate) async fn test(shared: &Shared, receiver: Receiver) -> Result<Result<(), Failure>, Error> {
    let message = Message::test(&receiver.webhook.tenant)?;
    let body = message.body(&shared.json, shared.engine.now())?;
    Ok(match Post::new(receiver, &shared.engine) {
        Ok(mut post) => post.send(message.id(), shared.engine.now(), body).await,
        Err(failure) => Err(failure),
    })
}

fn name(webhook: &Webhook) -> Name {
    (webhook.tenant.clone(), webhook.name.clone())
}

/// The revision is kept no more, or is not one of this authority as it was restored.
fn is_lost(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::RevisionCompacted | ErrorCode::RevisionForeign | ErrorCode::RevisionAhead)
}

fn said(shared: &Shared, error: &Error, what: impl Fn() -> String) {
    if shared.floods.is_first(Kind::Webhook, || format!("{}: {error}", what())) {
        tracing::warn!(%error, what = what(), "webhooks");
    }
}

/// How often to look which webhooks there are.
const LOOK: Duration = Duration::from_secs(2);

/// The most devices of a message: some 20 KB.
const DEVICES: usize = 64;

/// How often one message is sent before it is made again.
const ATTEMPTS: u32 = 3;

const FIRST_PAUSE: Duration = Duration::from_secs(1);

const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How long after a message it is noted: a crash has what was sent since sent again, and a flood of changes is not one of writes.
const NOTED: Duration = Duration::from_secs(1);

/// How often the place is noted of a tenant of which nothing changes.
const BOOKMARK: Duration = Duration::from_secs(300);
