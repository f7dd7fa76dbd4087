//! The parts of a backup on their way out.
//!
//! A task of its own reads and seals, off the threads that serve, and holds one part ready: a slow client holds nobody up, and
//! is aborted when the store has had to keep too much in the meantime, or when nothing is fetched for too long.

use crate::edge::context::Context;
use crate::grpc::Api;
use crate::grpc::status::status_of;
use futures_util::Stream;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::{Permit, Sender};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use wardein_engine::{Backup, Error, ErrorCode};
use wardein_proto::v1;

/// The parts.
pub(super) type Parts = Pin<Box<dyn Stream<Item = Result<v1::BackupResponse, Status>> + Send>>;

type Part = Result<v1::BackupResponse, Status>;

/// The most bytes of a message. A sealed part may have 5 MiB, and clients take messages of 4 MiB by default.
const PIECE: usize = 1 << 20;

pub(super) fn parts(api: Api, context: Context, backup: Backup) -> Parts {
    let (out, parts) = mpsc::channel(1);
    tokio::spawn(async move {
        if let Err(error) = send_all(&api, &context, backup, &out).await {
            let error = api.shared.record(&context, None, error).await;
            let request_id = &context.call().request_id;
            tracing::warn!(
                request_id,
                code = error.code.as_str(),
                error = error.message,
                "a backup was aborted"
            );
            // It waits behind a part that was not taken, and holds nothing of the store any more.
            drop(out.send(Err(status_of(&error, request_id))).await);
        }
    });
    Box::pin(ReceiverStream::new(parts))
}

async fn send_all(api: &Api, context: &Context, mut backup: Backup, out: &Sender<Part>) -> Result<(), Error> {
    let (mut rest, mut is_last) = (Vec::new(), false);
    let (mut rows, mut audit_entries) = (0, 0);
    loop {
        let (waited, place) = place(api, context, out, backup).await?;
        let Some(place) = place else {
            tracing::warn!(request_id = context.call().request_id, "a backup was aborted by its caller");
            return Ok(());
        };
        backup = waited;
        // It is as long as its caller may call.
        api.authenticate(context).await?;
        if rest.is_empty() {
            let read = tokio::task::spawn_blocking(move || {
                let part = backup.next_part();
                (backup, part)
            });
            let (goes_on, part) = read.await.map_err(|_| Error::internal("reading for a backup panicked"))?;
            backup = goes_on;
            let part = part?;
            if part.is_last {
                api.shared.engine.end_backup(context.caller()?, &part).await?;
                // Other nodes, and this one after a start, read it from the store.
                api.shared.metrics.last_backup(Some(part.taken_ms / 1000));
            }
            (rest, is_last, rows, audit_entries) = (part.bytes, part.is_last, part.rows, part.audit_entries);
        }
        let after = rest.split_off(rest.len().min(PIECE));
        let part = std::mem::replace(&mut rest, after);
        let is_last = is_last && rest.is_empty();
        place.send(Ok(v1::BackupResponse { part, rows, audit_entries, is_last }));
        if is_last {
            return Ok(());
        }
    }
}

/// A place for the next part; none if nobody listens any more.
async fn place<'a>(
    api: &Api,
    context: &Context,
    out: &'a Sender<Part>,
    backup: Backup,
) -> Result<(Backup, Option<Permit<'a, Part>>), Error> {
    let (begun, patience) = (Instant::now(), api.shared.limits.stream_idle_time);
    loop {
        match tokio::time::timeout(LOOK, out.reserve()).await {
            Ok(place) => return Ok((backup, place.ok())),
            Err(_) => {
                backup.may_go_on()?;
                api.authenticate(context).await?;
            }
        }
        if begun.elapsed() > patience {
            let message = "no part was fetched for too long; take the backup over a stable connection";
            return Err(Error::new(ErrorCode::BackupStalled, message));
        }
    }
}

/// How often the cost of a part that is not fetched is checked.
const LOOK: Duration = Duration::from_millis(500);
