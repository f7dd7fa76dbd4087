//! `Watch`: what the engine's watch tells, and a bookmark every five seconds.
//!
//! A message is made when the one before was taken, so that a slow reader holds nothing but its place in the engine's changes.

use super::convert::verdict;
use crate::edge::context::Context;
use crate::edge::metrics::Metrics;
use crate::edge::streams::StreamPlace;
use crate::grpc::Api;
use crate::grpc::status::status_of;
use futures_util::{Stream, stream};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tonic::Status;
use v1::watch_response::Event;
use wardein_engine::{DeviceVerdict, Error, ErrorCode, Watch, Watched};
use wardein_proto::{time, v1};

/// The messages.
pub(super) type Events = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

/// One message after the other, until nobody listens, the caller may not call any more, or the service stops.
pub(super) fn events(api: Api, context: Context, place: StreamPlace, watch: Watch, came: Instant) -> Events {
    let watching = Watching {
        stop: api.shared.stop.subscribe(),
        counted: Counted::new(&api.shared.metrics),
        api,
        context,
        watch,
        came,
        due: Instant::now(),
        is_owed: true,
        _place: place,
    };
    Box::pin(stream::unfold(Some(watching), |watching| async move {
        let mut watching = watching?;
        match watching.next().await {
            Ok(event) => Some((Ok(v1::WatchResponse { event: Some(event) }), Some(watching))),
            Err(error) => {
                let Watching { api, context, .. } = &watching;
                let error = api.shared.record(context, None, error).await;
                Some((Err(status_of(&error, &context.call().request_id)), None))
            }
        }
    }))
}

struct Watching {
    api: Api,
    context: Context,
    watch: Watch,
    stop: watch::Receiver<bool>,
    /// When the request came.
    came: Instant,
    /// When the next bookmark is due, or the next attempt at one.
    due: Instant,
    /// One is due as soon as there is nothing else.
    is_owed: bool,
    counted: Counted,
    _place: StreamPlace,
}

/// Counts one who watches.
struct Counted(Arc<Metrics>);

impl Watching {
    async fn next(&mut self) -> Result<Event, Error> {
        let engine = &self.api.shared.engine;
        loop {
            if Instant::now() >= self.due {
                let bookmark = self.watch.bookmark(engine).await?;
                self.due = Instant::now() + BOOKMARK;
                self.is_owed = bookmark.is_none();
                if let Some(bookmark) = bookmark {
                    let elapsed = bookmark.as_of.saturating_duration_since(self.came);
                    return Ok(Event::Bookmark(v1::Bookmark {
                        revision: bookmark.revision,
                        time: time::at(bookmark.time),
                        elapsed: wire(elapsed),
                    }));
                }
            }
            let told = tokio::select! {
                biased;
                _ = self.stop.wait_for(|is_stopping| *is_stopping) => return Err(stopping()),
                told = tokio::time::timeout_at(self.due.into(), self.watch.next(engine)) => told,
            };
            match told {
                Err(_) => {}
                Ok(told) => match told? {
                    Watched::Snapshot(devices) => {
                        return Ok(Event::Snapshot(v1::Snapshot { devices: verdicts(devices) }));
                    }
                    Watched::SnapshotEnd { revision, devices } => {
                        return Ok(Event::SnapshotEnd(v1::SnapshotEnd { revision, devices }));
                    }
                    Watched::Change { previous, revision, devices, lag } => {
                        if let Some(lag) = lag {
                            self.counted.0.watch_lag(lag);
                        }
                        let devices = verdicts(devices);
                        return Ok(Event::Change(v1::Change { revision, previous, devices }));
                    }
                    Watched::Current if self.is_owed => self.due = Instant::now(),
                    Watched::Current => {}
                },
            }
        }
    }
}

impl Counted {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.watching();
        Self(metrics.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.watched();
    }
}

fn verdicts(devices: Vec<DeviceVerdict>) -> Vec<v1::DeviceVerdict> {
    devices.into_iter().map(verdict).collect()
}

/// Cut to what the wire has room for: never more than has passed.
fn wire(elapsed: Duration) -> Option<wardein_proto::Duration> {
    let nanos = i32::try_from(elapsed.subsec_nanos()).ok()?;
    Some(wardein_proto::Duration { seconds: i64::try_from(elapsed.as_secs()).ok()?, nanos })
}

fn stopping() -> Error {
    Error::new(ErrorCode::Stopping, "the service is stopping; go on from the last revision once it is up")
}

/// The time between two bookmarks.
const BOOKMARK: Duration = Duration::from_secs(5);
