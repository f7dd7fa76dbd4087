//! Deeds of several steps, as those see them who asked. [`crate::run::upkeep::work_off_deeds`] works them off.

use super::convert::progress;
use crate::edge::context::Context;
use crate::grpc::Api;
use crate::grpc::status::status_of;
use crate::grpc::words::Answered;
use futures_util::{Stream, stream};
use std::pin::Pin;
use std::time::Duration;
use tonic::Status;
use wardein_engine::{DeedProgress, DeedWatch, Error, ErrorCode, Shredding};
use wardein_proto::v1;

/// How far a shredding is.
pub(super) type Shreds = Pin<Box<dyn Stream<Item = Result<v1::ShredDeviceResponse, Status>> + Send>>;

/// One message a change, until all is done, nobody listens, or its caller may not call any more. The deed continues in any case.
pub(super) fn shreds(api: Api, context: Context, begun: Shredding) -> Shreds {
    let Shredding { state, had_keys, mut watch } = begun;
    let state = state.wire();
    let first = watch.now();
    Box::pin(stream::unfold(Some((api, watch, first)), move |at| {
        let context = context.clone();
        async move {
            let (api, mut watch, now) = at?;
            if let Some(error) = now.failure {
                return Some((Err(status_of(&error, &context.call().request_id)), None));
            }
            let is_done = now.is_done();
            let message = v1::ShredDeviceResponse { state, had_keys, progress: Some(progress(now)), is_done };
            if is_done {
                return Some((Ok(message), None));
            }
            let next = changed(&api, &context, &mut watch).await;
            Some((Ok(message), Some((api, watch, next))))
        }
    }))
}

/// The next progress of a deed. A server that stops says so, for the deed then waits for the next start.
async fn changed(api: &Api, context: &Context, watch: &mut DeedWatch) -> DeedProgress {
    loop {
        let has_changed = tokio::time::timeout(LOOK, watch.changed()).await.is_ok();
        if let Err(error) = api.authenticate(context).await {
            let error = api.shared.record(context, context.0.device.get(), error).await;
            return DeedProgress { failure: Some(error), ..watch.now() };
        }
        if has_changed {
            return watch.now();
        }
        if api.shared.work.is_closed() {
            return DeedProgress { failure: Some(stopping()), ..watch.now() };
        }
    }
}

pub(crate) fn stopping() -> Error {
    Error::new(ErrorCode::Stopping, "the service is stopping; deeds in progress resume when it starts again")
}

/// How often it is looked whether the server stops.
const LOOK: Duration = Duration::from_millis(500);
